//! The normalised errors of billing: a closed set of codes, each always with an adapter id.

use std::fmt;
use std::io;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What kind of error it is, as a caller of an ingest tells them apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ErrorCode {
    /// The credential or the auth mode is missing, refused or not allowed.
    AuthError,
    /// The credential is known and may not do this.
    PermissionError,
    /// The provider asks to slow down.
    RateLimit,
    /// No answer in time.
    Timeout,
    /// The provider is down or cannot be reached.
    UpstreamUnavailable,
    /// The document is wrong.
    ValidationError,
    /// None of these.
    UnknownRuntimeError,
}

impl ErrorCode {
    /// All codes.
    pub const ALL: [ErrorCode; 7] = [
        ErrorCode::AuthError,
        ErrorCode::PermissionError,
        ErrorCode::RateLimit,
        ErrorCode::Timeout,
        ErrorCode::UpstreamUnavailable,
        ErrorCode::ValidationError,
        ErrorCode::UnknownRuntimeError,
    ];

    /// The name in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            ErrorCode::AuthError => "auth_error",
            ErrorCode::PermissionError => "permission_error",
            ErrorCode::RateLimit => "rate_limit",
            ErrorCode::Timeout => "timeout",
            ErrorCode::UpstreamUnavailable => "upstream_unavailable",
            ErrorCode::ValidationError => "validation_error",
            ErrorCode::UnknownRuntimeError => "unknown_runtime_error",
        }
    }

    /// Whether the same call may succeed later.
    pub fn is_retryable(self) -> bool {
        matches!(self, ErrorCode::RateLimit | ErrorCode::Timeout | ErrorCode::UpstreamUnavailable)
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// How a call to a provider failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProviderFailure {
    /// The provider answered with this HTTP status.
    Status(u16),
    /// The call itself failed.
    Io(io::ErrorKind),
}

/// An error as an ingest hands it on. Its message never holds secret material.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NormalisedError {
    /// What kind of error.
    pub code: ErrorCode,
    /// Whose ingest it was; [`NormalisedError::UNKNOWN_ADAPTER`] where no adapter could be told.
    pub adapter_id: String,
    /// What is wrong, for people.
    pub message: String,
    /// Where in the document (RFC 6901); empty for the whole document or where there is none.
    #[serde(default)]
    pub pointer: String,
    /// What is wrong, for programs: stable, snake_case.
    pub reason: String,
}

impl NormalisedError {
    /// Stands where a request does not say which adapter it belongs to.
    pub const UNKNOWN_ADAPTER: &'static str = "unknown-billing";

    /// The error for a failed call to a provider.
    ///
    /// Status and I/O kind decide, never words of a message: "author not found" is no `auth_error`.
    ///
    /// | cause | code |
    /// | --- | --- |
    /// | 401, 407 | `auth_error` |
    /// | 403, 451, `PermissionDenied` | `permission_error` |
    /// | 429 | `rate_limit` |
    /// | 408, 504, `TimedOut` | `timeout` |
    /// | 5xx but 501 and 504, 425, refused, reset, aborted, unreachable, broken pipe, unexpected end | `upstream_unavailable` |
    /// | other 4xx, `InvalidInput`, `InvalidData` | `validation_error` |
    /// | anything else | `unknown_runtime_error` |
    pub fn classify(adapter_id: &str, failure: ProviderFailure) -> Self {
        let (code, reason) = match failure {
            ProviderFailure::Status(status) => of_status(status),
            ProviderFailure::Io(kind) => of_io(kind),
        };
        let message = match failure {
            ProviderFailure::Status(status) => format!("the provider of {adapter_id} answered with status {status}"),
            ProviderFailure::Io(kind) => format!("the provider of {adapter_id} could not be asked: {kind}"),
        };
        NormalisedError { code, adapter_id: adapter_id.into(), message, pointer: String::new(), reason: reason.into() }
    }
}

fn of_status(status: u16) -> (ErrorCode, &'static str) {
    match status {
        401 | 407 => (ErrorCode::AuthError, "provider_refused_credential"),
        403 | 451 => (ErrorCode::PermissionError, "provider_denied_access"),
        429 => (ErrorCode::RateLimit, "provider_rate_limit"),
        408 | 504 => (ErrorCode::Timeout, "provider_timeout"),
        425 | 500 | 502 | 503 | 505..=599 => (ErrorCode::UpstreamUnavailable, "provider_unavailable"),
        400..=499 => (ErrorCode::ValidationError, "provider_refused_request"),
        _ => (ErrorCode::UnknownRuntimeError, "provider_unexpected_status"),
    }
}

fn of_io(kind: io::ErrorKind) -> (ErrorCode, &'static str) {
    use io::ErrorKind as K;
    match kind {
        K::PermissionDenied => (ErrorCode::PermissionError, "access_denied"),
        K::TimedOut => (ErrorCode::Timeout, "provider_timeout"),
        K::ConnectionRefused
        | K::ConnectionReset
        | K::ConnectionAborted
        | K::NotConnected
        | K::HostUnreachable
        | K::NetworkUnreachable
        | K::NetworkDown
        | K::BrokenPipe
        | K::UnexpectedEof => (ErrorCode::UpstreamUnavailable, "provider_unreachable"),
        K::InvalidInput | K::InvalidData => (ErrorCode::ValidationError, "invalid_data"),
        _ => (ErrorCode::UnknownRuntimeError, "unexpected_failure"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn status_and_kind_decide_the_code() {
        let code = |failure| NormalisedError::classify("aws-billing", failure).code;
        for (status, expected) in [
            (401, ErrorCode::AuthError),
            (403, ErrorCode::PermissionError),
            (404, ErrorCode::ValidationError),
            (408, ErrorCode::Timeout),
            (429, ErrorCode::RateLimit),
            (500, ErrorCode::UpstreamUnavailable),
            (501, ErrorCode::UnknownRuntimeError),
            (504, ErrorCode::Timeout),
            (200, ErrorCode::UnknownRuntimeError),
        ] {
            assert_eq!(code(ProviderFailure::Status(status)), expected, "{status}");
        }
        assert_eq!(code(ProviderFailure::Io(io::ErrorKind::TimedOut)), ErrorCode::Timeout);
        assert_eq!(code(ProviderFailure::Io(io::ErrorKind::ConnectionRefused)), ErrorCode::UpstreamUnavailable);
        assert_eq!(code(ProviderFailure::Io(io::ErrorKind::Other)), ErrorCode::UnknownRuntimeError);
    }

    #[test]
    fn names_in_json_are_the_names_in_text() {
        for code in ErrorCode::ALL {
            assert_eq!(serde_json::to_value(code).expect("serialises"), code.as_str());
        }
    }
}
