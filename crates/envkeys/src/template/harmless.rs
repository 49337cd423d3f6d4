//! Harmless values, and what looks generated.

use crate::key::{is_boolean, is_duration, is_email, is_host_with_port};

/// Kinds of values that are no secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Harmless {
    /// A value that the contract lists.
    Allowed,
    /// `true`, `off` ….
    Boolean,
    /// A number.
    Number,
    /// A URL without a password.
    Url,
    /// A host or address with a dot or port.
    Host,
    /// A file path.
    Path,
    /// A `cred://` reference.
    Reference,
    /// `30s`, `PT1H`.
    Duration,
    /// `1.2.3`.
    Version,
    /// `2026-01-31`.
    Date,
    /// An e-mail address.
    Email,
    /// A UUID: an identifier.
    Identifier,
    /// One word or several, such as a log level, a region or a title.
    Words,
    /// A command line.
    Command,
    /// Encrypted by dotenvx or SOPS.
    Encrypted,
    /// A password that every tutorial uses, in a file for local use. Worth a warning.
    DevelopmentPassword,
    /// Other text that does not look generated.
    Text,
}

impl Harmless {
    /// Whether the value is harmless even under a name such as `USE_TOKEN`.
    pub(super) fn overrides_name(self) -> bool {
        matches!(self, Harmless::Boolean | Harmless::Url | Harmless::Path | Harmless::Duration | Harmless::Reference)
    }
}

/// The kind of a value, if it has one beyond text.
pub(super) fn kind(value: &str, url: Option<&Url<'_>>) -> Option<Harmless> {
    let digits = value.bytes().filter(u8::is_ascii_digit).count();
    if is_boolean(value) {
        return Some(Harmless::Boolean);
    }
    if value.len() <= 20 && value.parse::<f64>().is_ok() {
        return Some(Harmless::Number);
    }
    if url.is_some() {
        return Some(Harmless::Url);
    }
    if is_uuid(value) {
        return Some(Harmless::Identifier);
    }
    if is_path(value) {
        return Some(Harmless::Path);
    }
    if value.len() <= 24 && is_duration(value) {
        return Some(Harmless::Duration);
    }
    if value.parse::<jiff::civil::Date>().is_ok() || value.parse::<jiff::Timestamp>().is_ok() {
        return Some(Harmless::Date);
    }
    if is_version(value) {
        return Some(Harmless::Version);
    }
    if has_generated_run(value) {
        return None;
    }
    if is_email(value) {
        return Some(Harmless::Email);
    }
    if value.contains(['.', ':']) && is_host_with_port(value) {
        return Some(Harmless::Host);
    }
    if value.contains(char::is_whitespace) && value.contains(['/', '-', '.']) {
        return Some(Harmless::Command);
    }
    (digits * 4 <= value.len() || value.len() <= 12).then_some(Harmless::Words)
}

/// The passwords that tutorials and images use.
pub(super) fn is_development_password(value: &str) -> bool {
    const KNOWN: [&str; 26] = [
        "postgres",
        "password",
        "passwd",
        "pass",
        "root",
        "admin",
        "dev",
        "devel",
        "development",
        "test",
        "testing",
        "secret",
        "user",
        "mysql",
        "mariadb",
        "mongo",
        "redis",
        "rabbitmq",
        "guest",
        "minioadmin",
        "minio",
        "local",
        "localhost",
        "app",
        "demo",
        "toor",
    ];
    KNOWN.iter().any(|k| value.eq_ignore_ascii_case(k))
}

/// A word, which as a password is only as good as what it repeats.
pub(crate) fn is_guessable(value: &str) -> bool {
    (1..=24).contains(&value.len()) && value.bytes().all(|b| b.is_ascii_lowercase() || matches!(b, b'_' | b'-'))
}

/// A URL's parts, as far as they matter here.
pub(super) struct Url<'a> {
    userinfo: Option<&'a str>,
    host: &'a str,
    query: &'a str,
}

impl<'a> Url<'a> {
    pub(super) fn parse(value: &'a str) -> Option<Url<'a>> {
        let (scheme, rest) = value.split_once("://")?;
        let scheme_char = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.');
        if scheme.is_empty() || !scheme.chars().all(scheme_char) || value.contains(char::is_whitespace) {
            return None;
        }
        // A password may hold / ? # unescaped by mistake, so the last @ of the text in front of the query decides.
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let mut authority = &rest[..end];
        if !authority.contains('@')
            && let Some(at) = rest.find('@').filter(|_| authority.contains(':'))
            && !rest[..at].contains('?')
            && !is_host_with_port(authority)
        {
            authority = &rest[..rest[at..].find(['/', '?', '#']).map_or(rest.len(), |i| at + i)];
        }
        let (userinfo, host_port) = match authority.rsplit_once('@') {
            Some((userinfo, host)) => (Some(userinfo), host),
            None => (None, authority),
        };
        let host = match host_port.strip_prefix('[') {
            Some(v6) => v6.split(']').next().unwrap_or(v6),
            None => host_port.split(':').next().unwrap_or(host_port),
        };
        let query = rest.split_once('?').map_or("", |(_, q)| q);
        Some(Url { userinfo, host, query })
    }

    pub(super) fn password(&self) -> Option<&'a str> {
        self.userinfo?.split_once(':').map(|(_, password)| password)
    }

    /// A password that everyone knows, or can guess from the user's name.
    pub(super) fn has_development_password(&self) -> bool {
        let Some((user, password)) = self.userinfo.and_then(|u| u.split_once(':')) else { return false };
        is_development_password(password) || (is_guessable(password) && user == password)
    }

    /// On this machine or in a private network: names without a dot, loopback and private addresses, `.local` ….
    pub(super) fn is_local(&self) -> bool {
        let host = self.host.to_ascii_lowercase();
        if let Ok(address) = host.parse::<std::net::Ipv4Addr>() {
            return address.is_loopback() || address.is_private() || address.is_unspecified();
        }
        if let Ok(address) = host.parse::<std::net::Ipv6Addr>() {
            return address.is_loopback() || address.is_unspecified();
        }
        let suffixes = [".localhost", ".local", ".test", ".internal"];
        !host.is_empty() && (!host.contains('.') || suffixes.iter().any(|s| host.ends_with(s)))
    }

    /// Whether a parameter of the query grants access.
    pub(super) fn query_token(&self) -> bool {
        const NAMES: [&str; 11] = [
            "token",
            "access_token",
            "api_key",
            "apikey",
            "key",
            "sig",
            "signature",
            "password",
            "secret",
            "auth",
            "client_secret",
        ];
        self.query.split(['&', ';']).filter_map(|p| p.split_once('=')).any(|(name, value)| {
            let secret =
                NAMES.iter().any(|n| name.eq_ignore_ascii_case(n)) || name.eq_ignore_ascii_case("X-Amz-Signature");
            secret && value.len() >= 12 && has_generated_run(value)
        })
    }
}

fn is_uuid(value: &str) -> bool {
    let parts: Vec<&str> = value.split('-').collect();
    parts.iter().map(|p| p.len()).eq([8, 4, 4, 4, 12]) && parts.iter().all(|p| p.bytes().all(|b| b.is_ascii_hexdigit()))
}

fn is_path(value: &str) -> bool {
    let rooted = ["/", "./", "../", "~/"].iter().any(|p| value.starts_with(p))
        || value.as_bytes().get(1..3).is_some_and(|b| b == b":\\" || b == b":/");
    rooted && !value.contains(['\n', '=']) && !value.split(['/', '\\']).any(looks_generated)
}

fn is_version(value: &str) -> bool {
    let body = value.strip_prefix('v').unwrap_or(value);
    let core = body.split(['-', '+']).next().unwrap_or(body);
    value.len() <= 32
        && core.contains('.')
        && core.split('.').all(|p| !p.is_empty() && p.bytes().all(|b| b.is_ascii_digit()))
}

/// A token without spaces, long enough, with the mix of characters that random generators give.
pub(super) fn looks_generated(value: &str) -> bool {
    value.len() >= 20 && !value.contains(char::is_whitespace) && has_generated_run(value)
}

/// Whether a run of letters and digits in `value` looks random: 16 or more characters, digits and letters mixed all
/// over, high entropy.
pub(super) fn has_generated_run(value: &str) -> bool {
    value.split(|c: char| !c.is_ascii_alphanumeric() && !matches!(c, '+' | '/' | '_')).any(|run| {
        let pieces = if run.contains('/') && run.len() < 40 { run.split('/').collect() } else { vec![run] };
        pieces.into_iter().any(is_random)
    })
}

fn is_random(run: &str) -> bool {
    if run.len() < 16 {
        return false;
    }
    let digits = run.bytes().filter(u8::is_ascii_digit).count();
    let letters = run.bytes().filter(u8::is_ascii_alphabetic).count();
    if run.bytes().all(|b| b.is_ascii_hexdigit()) && digits * 4 > run.len() && letters > 1 {
        return entropy(run) >= 3.0;
    }
    let upper = run.bytes().any(|b| b.is_ascii_uppercase());
    let lower = run.bytes().any(|b| b.is_ascii_lowercase());
    // Changes between kinds of characters: words and numbers change seldom, random text all the time.
    let kind = |b: u8| (b.is_ascii_digit(), b.is_ascii_uppercase());
    let changes = run.as_bytes().windows(2).filter(|w| kind(w[0]) != kind(w[1])).count();
    let mixed = (digits > 1 && letters > 3) || (upper && lower && run.len() >= 24);
    mixed && changes * 4 >= run.len() && entropy(run) >= 3.2
}

/// Shannon entropy in bits a character.
fn entropy(text: &str) -> f64 {
    let mut counts = [0u32; 256];
    text.bytes().for_each(|b| counts[usize::from(b)] += 1);
    let total = text.len() as f64;
    counts.iter().filter(|&&c| c > 0).map(|&c| f64::from(c) / total).map(|p| -p * p.log2()).sum()
}
