//! Values that carry authentication by their form.

use super::is_auth_bearing;

/// What authentication a text carries by its form.
pub(super) fn carried_by(text: &str) -> Option<&'static str> {
    if has_userinfo(text) && !text.get(..7).is_some_and(|s| s.eq_ignore_ascii_case("cred://")) {
        return Some("a URL with userinfo");
    }
    if is_authorization(text) {
        return Some("an Authorization value");
    }
    let part = |part: &str| {
        part.split_once('=').is_some_and(|(name, value)| !value.trim().is_empty() && is_auth_bearing(name.trim()))
    };
    text.split([';', '&', '?', '#', ',', '\n', ' ']).any(part).then_some("a parameter that carries authentication")
}

/// Schemes in which what stands before `@` names a container (Azure storage) and no user.
const CONTAINER_SCHEMES: [&str; 4] = ["abfs", "abfss", "wasb", "wasbs"];

fn has_userinfo(text: &str) -> bool {
    text.match_indices("://").any(|(at, _)| {
        let before = text[..at].rsplit(|c: char| !c.is_ascii_alphanumeric()).next().unwrap_or_default();
        let rest = &text[at + 3..];
        let authority = rest.split(|c: char| matches!(c, '/' | '?' | '#' | '\\') || c.is_whitespace()).next();
        let user = authority.and_then(|a| a.split_once('@')).map(|(user, _)| user);
        let container = CONTAINER_SCHEMES.iter().any(|s| before.eq_ignore_ascii_case(s));
        user.is_some_and(|user| !container || user.contains(':'))
    })
}

fn is_authorization(text: &str) -> bool {
    const SCHEMES: [&str; 7] = ["bearer", "basic", "digest", "negotiate", "sharedkey", "token", "aws4-hmac-sha256"];
    let mut parts = text.split_whitespace();
    let scheme = parts.next().unwrap_or_default().trim_end_matches(':').to_ascii_lowercase();
    let credential = parts.next().unwrap_or_default();
    // Two words and no more, so that prose such as "Token policy enabled." does not count.
    SCHEMES.contains(&scheme.as_str())
        && credential.len() >= 8
        && (parts.next().is_none() || scheme.starts_with("aws4"))
        && credential.bytes().any(|b| b.is_ascii_digit() || b.is_ascii_uppercase() || b == b'=')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_told_by_their_form() {
        let with_userinfo = ["https://user", ":pw@", "example.org/"].concat();
        let in_prose = ["see https://a", ":b@", "c for more"].concat();
        let bearer = ["Bearer ", "abcdefgh1234"].concat();
        let basic = ["basic ", "QWxhZGRpbjpvcGVu"].concat();
        let container = ["abfss://a", ":b@", "c/d"].concat();
        for text in [&with_userinfo, &in_prose, &bearer, &basic, &container] {
            assert!(carried_by(text).is_some(), "{text}");
        }
        for text in ["postgres://admin@db/x", "https://x.example/?a=1&sig=abc", "Server=db;Password=x", "token=abc"] {
            assert!(carried_by(text).is_some(), "{text}");
        }
    }

    #[test]
    fn ordinary_values_are_not() {
        for text in [
            "https://example.org/a@b",
            "mail@example.org",
            "bigquery://finops.billing_export",
            "Bearer of news",
            "Retry policy configured: maxAttempts=3, baseBackoffMs=250.",
            "pageToken=abc",
            "token=",
            "us-central1",
            "Token policy enabled.",
            "cred://aws/123456789012/readonly",
            "abfss://exports@finopsstore.dfs.core.windows.net/daily",
        ] {
            assert!(carried_by(text).is_none(), "{text}");
        }
    }
}
