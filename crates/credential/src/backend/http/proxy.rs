//! Proxies as the environment names them (`https_proxy`, `http_proxy`, `all_proxy`, `no_proxy`).

use ureq::Proxy;
use ureq::http::Uri;

use super::super::{Fault, Variables};
use super::is_loopback;

/// The proxies of this process.
pub(super) struct Proxies {
    https: Option<Proxy>,
    http: Option<Proxy>,
    except: Vec<String>,
}

impl Proxies {
    /// Those that the environment names; `None` if it names none.
    ///
    /// # Errors
    /// Configuration, without the value: a proxy's URL may hold a password.
    pub(super) fn of(variables: &Variables) -> Result<Option<Self>, Fault> {
        let all = variables.first(&["all_proxy", "ALL_PROXY"]);
        let https = variables.first(&["https_proxy", "HTTPS_PROXY"]).or_else(|| all.clone());
        // In a CGI program `HTTP_PROXY` is a header of the request (httpoxy).
        let upper = if variables.get("REQUEST_METHOD").is_some() { None } else { variables.get("HTTP_PROXY") };
        let http = variables.get("http_proxy").or(upper).or(all);
        if https.is_none() && http.is_none() {
            return Ok(None);
        }
        let except = variables.first(&["no_proxy", "NO_PROXY"]).unwrap_or_default();
        let except = except.split(',').map(|host| host.trim().to_ascii_lowercase()).filter(|host| !host.is_empty());
        Ok(Some(Self { https: parse(https)?, http: parse(http)?, except: except.collect() }))
    }

    /// The one for `https`.
    pub(super) fn https(&self) -> Option<&Proxy> {
        self.https.as_ref()
    }

    /// The one for `http`.
    pub(super) fn http(&self) -> Option<&Proxy> {
        self.http.as_ref()
    }

    /// Whether no proxy is asked for this URL. This machine and link-local addresses (metadata services) never go
    /// through one.
    pub(super) fn is_direct(&self, url: &Uri) -> bool {
        let host = url.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase();
        is_loopback(&host)
            || host.starts_with("169.254.")
            || host.starts_with("fd00:ec2::")
            || self.is_excepted(&host, url)
    }

    fn is_excepted(&self, host: &str, url: &Uri) -> bool {
        self.except.iter().any(|entry| {
            if entry == "*" {
                return true;
            }
            let (name, port) = match entry.rsplit_once(':') {
                Some((name, port)) if !name.contains(':') && port.bytes().all(|b| b.is_ascii_digit()) => {
                    (name, Some(port))
                }
                _ => (entry.as_str(), None),
            };
            if port.is_some_and(|port| url.port().is_none_or(|own| own.as_str() != port)) {
                return false;
            }
            if let (Some((network, bits)), Ok(address)) = (name.split_once('/'), host.parse::<std::net::IpAddr>()) {
                return in_network(address, network, bits);
            }
            let suffix = name.trim_start_matches('*').trim_start_matches('.');
            host == suffix || host.strip_suffix(suffix).is_some_and(|rest| rest.ends_with('.'))
        })
    }
}

fn parse(proxy: Option<String>) -> Result<Option<Proxy>, Fault> {
    let Some(text) = proxy else { return Ok(None) };
    let wrong = || {
        Fault::configuration(
            "the proxy that the environment names is not an http or https URL",
            "set https_proxy to `http://host:port`, or unset it",
        )
    };
    let text = if text.contains("://") { text } else { format!("http://{text}") };
    if !text.starts_with("http://") && !text.starts_with("https://") {
        return Err(wrong());
    }
    Proxy::new(&text).map(Some).map_err(|_| wrong())
}

fn in_network(address: std::net::IpAddr, network: &str, bits: &str) -> bool {
    let (Ok(network), Ok(bits)) = (network.parse::<std::net::IpAddr>(), bits.parse::<u32>()) else { return false };
    match (address, network) {
        (std::net::IpAddr::V4(a), std::net::IpAddr::V4(n)) if bits <= 32 => {
            let mask = u32::MAX.checked_shl(32 - bits).unwrap_or(0);
            u32::from(a) & mask == u32::from(n) & mask
        }
        (std::net::IpAddr::V6(a), std::net::IpAddr::V6(n)) if bits <= 128 => {
            let mask = u128::MAX.checked_shl(128 - bits).unwrap_or(0);
            u128::from(a) & mask == u128::from(n) & mask
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_names_the_proxy_and_the_exceptions() {
        let variables = Variables::of([
            ("https_proxy", "http://proxy.test:3128"),
            ("NO_PROXY", "internal.test, .svc ,10.0.0.0/8, other.test:8200"),
        ]);
        let proxies = Proxies::of(&variables).unwrap().unwrap();
        let through = |url: &str| !proxies.is_direct(&url.parse().unwrap());
        assert!(through("https://vault.example/v1"));
        assert!(through("https://notinternal.test/"));
        assert!(through("https://other.test/"));
        assert!(proxies.https().is_some() && proxies.http().is_none());
        for direct in [
            "https://internal.test/",
            "https://a.internal.test/",
            "https://vault.svc/",
            "https://10.1.2.3/",
            "https://other.test:8200/",
            "https://127.0.0.1:8200/",
            "https://[::1]:8200/",
            "http://169.254.169.254/latest",
        ] {
            assert!(!through(direct), "{direct}");
        }
    }

    #[test]
    fn a_wrong_proxy_is_refused_without_its_password() {
        let password = ["pw", "1234"].concat();
        let variables = Variables::of([("HTTPS_PROXY", format!("socks5://user:{password}@proxy"))]);
        let fault = Proxies::of(&variables).err().unwrap();
        assert!(!format!("{fault:?}").contains(&password));
    }
}
