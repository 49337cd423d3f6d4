//! What a server answered, and what it means.

use std::time::Duration;

use jiff::Timestamp;
use ureq::http::HeaderMap;
use zeroize::Zeroizing;

use super::super::{ErrorKind, Fault};
use super::clean;

/// Longest message of a server that is quoted.
const MAX_MESSAGE_CHARS: usize = 200;
/// Longest wait that a server may ask for and that is passed on.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(24 * 3600);

/// An answer, of any status.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Zeroizing<Vec<u8>>,
    /// Who answered: scheme, host and port.
    pub(crate) place: String,
    pub(super) secrets: Vec<Zeroizing<String>>,
}

impl Answer {
    /// A header's value, where it is text.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// Whether the status says that it worked.
    pub(crate) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The body as JSON text; the type is looked at so that a log-in page or a captive portal is called what it is.
    pub(crate) fn json(&self) -> Result<&[u8], Fault> {
        let kind = self.header("content-type").unwrap_or_default();
        let essence = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        let is_json = essence.ends_with("/json") || essence.ends_with("+json") || essence.contains("x-amz-json");
        if is_json {
            return Ok(&self.body);
        }
        let named = if essence.is_empty() { "something without a type".to_owned() } else { clean(&essence, 60) };
        Err(Fault::malformed(format!("{} answered {named} where JSON was expected", self.place)))
    }

    /// What the server says, where the protocol defines it as a message: one clean line without the credentials of the
    /// request.
    pub(crate) fn quote(&self, message: &str) -> String {
        let mut message = message.to_owned();
        for secret in &self.secrets {
            if secret.len() >= 4 {
                message = message.replace(secret.as_str(), "…");
            }
        }
        clean(&message, MAX_MESSAGE_CHARS)
    }

    /// The fault that this status stands for; `message` is what the server says about it, if the protocol defines that.
    pub(crate) fn fault(&self, message: Option<&str>) -> Fault {
        let (kind, meaning, fix) = meaning_of(self.status);
        let said = message.map(|text| self.quote(text)).filter(|text| !text.is_empty());
        let why = match said {
            Some(said) => format!("{} answered {} ({meaning}): {said}", self.place, self.status),
            None => format!("{} answered {} ({meaning})", self.place, self.status),
        };
        let mut fault = Fault::new(kind, why, fix);
        fault.retry_after = self.retry_after(Timestamp::now());
        fault
    }

    /// `Retry-After` (RFC 9110, section 10.2.3): seconds or a date.
    pub(crate) fn retry_after(&self, now: Timestamp) -> Option<Duration> {
        retry_after(self.header("retry-after")?, now)
    }
}

fn retry_after(value: &str, now: Timestamp) -> Option<Duration> {
    let value = value.trim();
    let wait = if value.bytes().all(|byte| byte.is_ascii_digit()) && !value.is_empty() {
        Duration::from_secs(value.parse().unwrap_or(u64::MAX))
    } else {
        let date = jiff::fmt::rfc2822::parse(value).ok()?.timestamp();
        Duration::try_from(date.duration_since(now)).unwrap_or(Duration::ZERO)
    };
    Some(wait.min(MAX_RETRY_AFTER))
}

fn meaning_of(status: u16) -> (ErrorKind, &'static str, &'static str) {
    match status {
        400 | 405 | 409 | 411 | 412 | 413..=415 | 422 => {
            (ErrorKind::Malformed, "request refused", "check the location and the backend's settings")
        }
        401 => (ErrorKind::Unauthenticated, "not logged in", "check the login of this backend"),
        403 => (ErrorKind::Denied, "not allowed", "give this caller the right to read it"),
        404 | 410 => (ErrorKind::NotFound, "not found", "check the location"),
        407 => (ErrorKind::Configuration, "the proxy wants a login", "set the proxy's user and password"),
        408 | 425 => (ErrorKind::Unreachable, "no answer in time", "try again"),
        429 => (ErrorKind::RateLimited, "too many requests", "wait, or ask for fewer secrets at once"),
        500..=599 => (ErrorKind::Unreachable, "fault of the server", "try again, and look at the server's health"),
        _ => (ErrorKind::Malformed, "unexpected status", "check that the address is that of the service"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_read_as_seconds_and_as_a_date() {
        let now: Timestamp = "1994-11-06T08:49:07Z".parse().unwrap();
        assert_eq!(retry_after("120", now), Some(Duration::from_secs(120)));
        assert_eq!(retry_after(" 7 ", now), Some(Duration::from_secs(7)));
        assert_eq!(retry_after("Sun, 06 Nov 1994 08:49:37 GMT", now), Some(Duration::from_secs(30)));
        assert_eq!(retry_after("Sun, 06 Nov 1994 08:00:00 GMT", now), Some(Duration::ZERO));
        assert_eq!(retry_after("99999999999999999999999", now), Some(MAX_RETRY_AFTER));
        for junk in ["", "soon", "-3", "1.5"] {
            assert_eq!(retry_after(junk, now), None, "{junk}");
        }
    }
}
