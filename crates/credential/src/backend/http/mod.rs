//! The one way in which backends speak HTTP: blocking, bounded, and careful with what it carries.
//!
//! - Every exchange has a limit in time (connect, total) and in size; a server that sends slowly or without end is cut.
//! - A redirect is followed only on the same origin, so that credentials reach nobody else.
//! - Plain `http` leaves the machine only where a backend's protocol or the settings say so.
//! - Bodies are read into memory that is overwritten, in the sockets' buffers too.
//! - Whatever a server says is cut to a line and cleaned before it is quoted, and the credentials of the request are
//!   taken out of it: a server may echo them.

mod answer;
mod buffers;
mod patience;
mod proxy;
mod settings;
mod text;
mod tls;
mod transport;

use std::io::Read;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ureq::http::{HeaderName, HeaderValue, Uri};
use zeroize::Zeroizing;

pub use settings::{HttpSettings, Pem, Secret};

pub(crate) use answer::Answer;
pub(crate) use patience::Patience;
pub(crate) use text::clean;

use super::json::reserve;
use super::{ErrorKind, Fault, Variables};

/// Redirects on the same origin that are followed for one request.
const MAX_REDIRECTS: usize = 3;
/// The head of an answer may have so many bytes; the buffers have room for it.
const MAX_HEAD_BYTES: usize = 32 * 1024;
/// How long an idle connection is kept.
const MAX_IDLE: Duration = Duration::from_secs(50);

/// Whether a request may go over plain `http`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Plaintext {
    /// To this machine only.
    Loopback,
    /// Anywhere: metadata services have nothing else, or the settings allow it.
    Anywhere,
}

/// One exchange that is to be made.
#[derive(Clone)]
pub(crate) struct Request {
    method: Method,
    url: String,
    headers: Vec<(HeaderName, HeaderValue)>,
    body: Option<Zeroizing<Vec<u8>>>,
    secrets: Vec<Zeroizing<String>>,
    fault: Option<Fault>,
}

/// The methods that backends use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Method {
    Get,
    Post,
    Put,
    Patch,
}

impl Request {
    /// A request for this URL.
    pub(crate) fn new(method: Method, url: impl Into<String>) -> Self {
        Self { method, url: url.into(), headers: Vec::new(), body: None, secrets: Vec::new(), fault: None }
    }

    /// A request that reads.
    pub(crate) fn get(url: impl Into<String>) -> Self {
        Self::new(Method::Get, url)
    }

    /// A request that carries a body.
    pub(crate) fn post(url: impl Into<String>) -> Self {
        Self::new(Method::Post, url)
    }

    /// Adds a header.
    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        match (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_str(value)) {
            (Ok(name), Ok(value)) => self.headers.push((name, value)),
            _ => {
                self.fault = Some(Fault::configuration(
                    format!("the header `{name}` would hold characters that HTTP does not allow"),
                    "check the settings (and tokens) for line breaks and other control characters",
                ));
            }
        }
        self
    }

    /// Adds a header that holds a credential: `prefix` and the secret.
    pub(crate) fn secret_header(mut self, name: &str, prefix: &str, secret: &str) -> Self {
        let value = Zeroizing::new(format!("{prefix}{secret}"));
        let before = self.headers.len();
        self = self.header(name, &value);
        if let Some((_, value)) = self.headers.get_mut(before) {
            value.set_sensitive(true);
        }
        self.sensitive(secret)
    }

    /// Names a credential that the request carries elsewhere, so that it is taken out of whatever the server says.
    pub(crate) fn sensitive(mut self, secret: &str) -> Self {
        self.secrets.push(Zeroizing::new(secret.to_owned()));
        self
    }

    /// Sends this body.
    pub(crate) fn body(mut self, content_type: &str, body: Zeroizing<Vec<u8>>) -> Self {
        self.body = Some(body);
        self.header("content-type", content_type)
    }

    /// Sends JSON.
    pub(crate) fn json(self, body: Zeroizing<Vec<u8>>) -> Self {
        self.body("application/json", body)
    }

    /// The body as it will be sent.
    pub(crate) fn body_bytes(&self) -> &[u8] {
        self.body.as_ref().map_or(&[], |body| body.as_slice())
    }

    /// Sends form fields; values of `secret` fields are treated as credentials.
    pub(crate) fn form(mut self, fields: &[(&str, &str)], secret: &[&str]) -> Self {
        let mut body = Zeroizing::new(Vec::new());
        for (index, (name, value)) in fields.iter().enumerate() {
            reserve(&mut body, name.len() * 3 + value.len() * 3 + 2);
            if index > 0 {
                body.push(b'&');
            }
            text::form_encode(&mut body, name);
            body.push(b'=');
            text::form_encode(&mut body, value);
            if secret.contains(name) {
                self = self.sensitive(value);
            }
        }
        self.body("application/x-www-form-urlencoded", body)
    }
}

/// A client of one service: connections are kept and shared between threads.
pub(crate) struct Client {
    direct: ureq::Agent,
    proxied: Option<Proxied>,
    settings: HttpSettings,
    plaintext: Plaintext,
    is_local_socket: bool,
}

/// Agents that go through the proxies of the environment.
struct Proxied {
    proxies: proxy::Proxies,
    https: ureq::Agent,
    http: ureq::Agent,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl Client {
    /// A client for TCP. Certificates are read at the first `https` request, not here.
    pub(crate) fn new(settings: HttpSettings, plaintext: Plaintext, variables: &Variables) -> Result<Self, Fault> {
        let proxy = if settings.no_proxy { None } else { proxy::Proxies::of(variables)? };
        Ok(Self::build(settings, plaintext, proxy, None))
    }

    /// A client for a Unix socket; hosts in URLs are not looked at.
    pub(crate) fn for_socket(settings: HttpSettings, path: PathBuf) -> Self {
        Self::build(settings, Plaintext::Anywhere, None, Some(path))
    }

    fn build(
        settings: HttpSettings,
        plaintext: Plaintext,
        proxies: Option<proxy::Proxies>,
        socket: Option<PathBuf>,
    ) -> Self {
        let tls = Arc::new(tls::Tls::new(&settings));
        let agent =
            |proxy: Option<ureq::Proxy>| transport::agent(config(&settings, proxy), socket.clone(), tls.clone());
        let direct = agent(None);
        let proxied = proxies.map(|proxies| Proxied {
            https: agent(proxies.https().cloned()),
            http: agent(proxies.http().cloned()),
            proxies,
        });
        Self { direct, proxied, is_local_socket: socket.is_some(), settings, plaintext }
    }

    fn agent_for(&self, url: &Uri) -> &ureq::Agent {
        match &self.proxied {
            Some(proxied) if !proxied.proxies.is_direct(url) => {
                if url.scheme_str() == Some("https") {
                    &proxied.https
                } else {
                    &proxied.http
                }
            }
            _ => &self.direct,
        }
    }

    /// Makes the exchange. Any status is an answer; see [`Answer::expect`].
    ///
    /// # Errors
    /// Unreachable, malformed (no HTTP, too big), or configuration (address, certificates, redirect elsewhere).
    pub(crate) fn send(&self, request: &Request) -> Result<Answer, Fault> {
        if let Some(fault) = &request.fault {
            return Err(fault.clone());
        }
        let mut url = parse_url(&request.url)?;
        for _ in 0..=MAX_REDIRECTS {
            self.check_plaintext(&url)?;
            let answer = self.exchange(request, &url)?;
            if !matches!(answer.status, 301 | 302 | 303 | 307 | 308) {
                return Ok(answer);
            }
            url = redirect(&url, &answer, request.method)?;
        }
        Err(Fault::malformed(format!("{} redirects in a circle", origin(&url))))
    }

    /// Patience for a listing.
    pub(crate) fn patience(&self) -> Patience {
        Patience::new(self.settings.timeout())
    }

    fn exchange(&self, request: &Request, url: &Uri) -> Result<Answer, Fault> {
        let mut head = ureq::http::Request::builder().method(request.method.name()).uri(url.clone());
        for (name, value) in &request.headers {
            head = head.header(name, value);
        }
        let unsendable = |_| Fault::configuration("the request cannot be put into HTTP", "check the settings");
        let place = origin(url);
        let agent = self.agent_for(url);
        let sent = match &request.body {
            Some(body) => agent.run(head.body(body.as_slice()).map_err(unsendable)?),
            None if request.method == Method::Get => agent.run(head.body(()).map_err(unsendable)?),
            None => agent.run(head.body(&[] as &[u8]).map_err(unsendable)?),
        };
        let mut response = sent.map_err(|error| text::transport_fault(&error, &place))?;
        let headers = response.headers().clone();
        let limit = self.settings.max_body_bytes();
        let body = read_bounded(response.body_mut().as_reader(), limit, &place)?;
        if let Some(encoding) = headers.get("content-encoding").filter(|value| *value != "identity") {
            let encoding = clean(&String::from_utf8_lossy(encoding.as_bytes()), 40);
            return Err(Fault::malformed(format!(
                "{place} answered in the encoding `{encoding}`, which was not asked for"
            )));
        }
        let secrets = request.secrets.clone();
        Ok(Answer { status: response.status().as_u16(), headers, body, place, secrets })
    }

    fn check_plaintext(&self, url: &Uri) -> Result<(), Fault> {
        let is_fine = url.scheme_str() == Some("https")
            || self.is_local_socket
            || self.plaintext == Plaintext::Anywhere
            || self.settings.allow_plaintext
            || url.host().is_some_and(is_loopback);
        if is_fine {
            return Ok(());
        }
        Err(Fault::configuration(
            format!("{} is plain http, and credentials would cross the network unprotected", origin(url)),
            "use https, or set `http.allow-plaintext = true` where the network itself is protected",
        ))
    }
}

/// The configuration of an agent.
fn config(settings: &HttpSettings, proxy: Option<ureq::Proxy>) -> ureq::config::Config {
    ureq::Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .proxy(proxy)
        .user_agent(concat!("custody/", env!("CARGO_PKG_VERSION")))
        .accept_encoding("identity")
        .timeout_connect(Some(settings.connect_timeout()))
        .timeout_global(Some(settings.timeout()))
        .max_response_header_size(MAX_HEAD_BYTES)
        .input_buffer_size(MAX_HEAD_BYTES)
        .output_buffer_size(MAX_HEAD_BYTES)
        .max_idle_connections(settings.max_connections())
        .max_idle_connections_per_host(settings.max_connections())
        .max_idle_age(MAX_IDLE)
        .build()
}

impl Method {
    fn name(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
        }
    }
}

fn parse_url(text: &str) -> Result<Uri, Fault> {
    let wrong = |why: &str| Fault::configuration(why.to_owned(), "set the address as `https://host[:port]`");
    let url: Uri = text.parse().map_err(|_| wrong("the address is not a URL"))?;
    if !matches!(url.scheme_str(), Some("http" | "https")) {
        return Err(wrong("the address is neither http nor https"));
    }
    match url.authority() {
        // Credentials in an address end up in logs and process lists.
        Some(authority) if authority.as_str().contains('@') => Err(wrong("the address holds a user name or password")),
        Some(authority) if !authority.host().is_empty() => Ok(url),
        _ => Err(wrong("the address has no host")),
    }
}

fn redirect(from: &Uri, answer: &Answer, method: Method) -> Result<Uri, Fault> {
    let place = origin(from);
    let Some(location) = answer.header("location") else {
        return Err(Fault::malformed(format!("{place} redirects without saying where to")));
    };
    let shown = clean(location, 120);
    let target = if location.starts_with('/') && !location.starts_with("//") {
        format!("{place}{location}")
    } else {
        location.to_owned()
    };
    let target =
        parse_url(&target).map_err(|_| Fault::malformed(format!("{place} redirects to `{shown}`, which is no URL")))?;
    if origin(&target) != place {
        return Err(Fault::new(
            ErrorKind::Configuration,
            format!("{place} redirects to {}, and credentials are not sent to another place", origin(&target)),
            "set the address to the place that answers itself (a standby points at the active server)",
        ));
    }
    if method != Method::Get && answer.status != 307 && answer.status != 308 {
        return Err(Fault::malformed(format!("{place} answers a write with a redirect (status {})", answer.status)));
    }
    Ok(target)
}

/// Scheme, host and port of a URL, with the default port left out.
fn origin(url: &Uri) -> String {
    let scheme = url.scheme_str().unwrap_or("http");
    let host = url.host().unwrap_or_default().to_ascii_lowercase();
    match (url.port_u16(), scheme) {
        (None | Some(443), "https") | (None | Some(80), "http") => format!("{scheme}://{host}"),
        (Some(port), _) => format!("{scheme}://{host}:{port}"),
        (None, _) => format!("{scheme}://{host}"),
    }
}

/// Whether a host is this machine.
pub(crate) fn is_loopback(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost") || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// Reads a body to its end, in memory that is overwritten even where it has to grow.
fn read_bounded(mut reader: impl Read, limit: usize, place: &str) -> Result<Zeroizing<Vec<u8>>, Fault> {
    let mut body = Zeroizing::new(Vec::with_capacity(4096));
    let mut chunk = Zeroizing::new([0_u8; 8192]);
    loop {
        match reader.read(chunk.as_mut_slice()) {
            Ok(0) => return Ok(body),
            Ok(count) if body.len() + count > limit => {
                return Err(Fault::malformed(format!("{place} answered with more than {limit} bytes")));
            }
            Ok(count) => {
                reserve(&mut body, count);
                body.extend_from_slice(&chunk[..count]);
            }
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(text::body_fault(error, place)),
        }
    }
}
