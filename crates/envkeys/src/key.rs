//! Values held to what the contract says of their key.

use custody_contract::file::{KeyItem, KeyType};
use custody_contract::{CredentialRef, RefError, SecretRecogniser};
use regex::RegexBuilder;

/// How a value fails its key; holds no part of the value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Breach {
    /// Not an absolute http or https URL.
    #[error("it is not an absolute http or https URL")]
    NotAUrl,
    /// A URL with a user name or password.
    #[error("the URL carries a user name or password")]
    Userinfo,
    /// Not a whole number.
    #[error("it is not a whole number")]
    NotAnInteger,
    /// Not a number.
    #[error("it is not a decimal number")]
    NotANumber,
    /// Not a boolean.
    #[error("it is not one of true, false, 1, 0, yes, no, on, off")]
    NotABoolean,
    /// Not a port.
    #[error("it is not a port from 1 to 65535")]
    NotAPort,
    /// Not one of the allowed values.
    #[error("it is not one of {}", allowed.join(", "))]
    NotAllowed {
        /// What is allowed.
        allowed: Vec<String>,
    },
    /// Not a length of time.
    #[error("it is not a length of time with a unit, such as 30s, 5m or PT1H")]
    NotADuration,
    /// Not a credential reference.
    #[error("{0}")]
    Reference(#[from] RefError),
    /// Not an e-mail address.
    #[error("it is not an e-mail address")]
    NotAnEmail,
    /// Not a host.
    #[error("it is not a host name or address, with or without a port")]
    NotAHost,
    /// Not a command line.
    #[error("it is not a command line: one line that is not blank")]
    NotACommand,
    /// Not JSON.
    #[error("it is not a JSON document")]
    NotJson,
    /// Not a path.
    #[error("it is not a file path")]
    NotAPath,
    /// The pattern of the contract does not match the whole value.
    #[error("it does not match the contract's pattern {pattern}")]
    Pattern {
        /// The pattern.
        pattern: String,
    },
    /// The contract's pattern is no regular expression, so that no value can match it.
    #[error("the contract's pattern for it is no regular expression")]
    InvalidPattern,
}

/// Checks a non-empty value against the type and pattern of its key.
///
/// # Errors
///
/// The first [`Breach`] found.
pub fn validate(key: &KeyItem, value: &str, recogniser: &dyn SecretRecogniser) -> Result<(), Breach> {
    let hold = |holds: bool, breach: Breach| if holds { Ok(()) } else { Err(breach) };
    match key.kind {
        KeyType::Url => url(value)?,
        KeyType::Integer => hold(value.parse::<i64>().is_ok(), Breach::NotAnInteger)?,
        KeyType::Number => hold(value.parse::<f64>().is_ok_and(f64::is_finite), Breach::NotANumber)?,
        KeyType::Boolean => hold(is_boolean(value), Breach::NotABoolean)?,
        KeyType::Port => hold(is_port(value), Breach::NotAPort)?,
        KeyType::Enum => {
            hold(key.values.iter().any(|v| v == value), Breach::NotAllowed { allowed: key.values.clone() })?;
        }
        KeyType::Duration => hold(is_duration(value), Breach::NotADuration)?,
        KeyType::CredentialRef => drop(CredentialRef::parse_with(value, recogniser)?),
        KeyType::Email => hold(is_email(value), Breach::NotAnEmail)?,
        KeyType::Host => hold(is_host_with_port(value), Breach::NotAHost)?,
        KeyType::Command => hold(!value.trim().is_empty() && !value.contains(['\n', '\r', '\0']), Breach::NotACommand)?,
        KeyType::Json => hold(serde_json::from_str::<serde::de::IgnoredAny>(value).is_ok(), Breach::NotJson)?,
        KeyType::Path => hold(!value.trim().is_empty() && !value.contains(['\n', '\0']), Breach::NotAPath)?,
        _ => {}
    }
    let Some(pattern) = &key.pattern else { return Ok(()) };
    let whole = RegexBuilder::new(&format!(r"\A(?:{pattern})\z")).size_limit(1 << 20).build();
    let whole = whole.map_err(|_| Breach::InvalidPattern)?;
    hold(whole.is_match(value), Breach::Pattern { pattern: pattern.clone() })
}

fn url(value: &str) -> Result<(), Breach> {
    let (scheme, rest) = value.split_once("://").ok_or(Breach::NotAUrl)?;
    if !scheme.eq_ignore_ascii_case("http") && !scheme.eq_ignore_ascii_case("https") {
        return Err(Breach::NotAUrl);
    }
    if value.contains(|c: char| c.is_whitespace() || c.is_control() || "\\\"<>^`{|}".contains(c)) {
        return Err(Breach::NotAUrl);
    }
    let authority = &rest[..rest.find(['/', '?', '#']).unwrap_or(rest.len())];
    if authority.contains('@') {
        return Err(Breach::Userinfo);
    }
    if is_host_with_port(authority) { Ok(()) } else { Err(Breach::NotAUrl) }
}

pub(crate) fn is_boolean(value: &str) -> bool {
    ["true", "false", "1", "0", "yes", "no", "on", "off"].iter().any(|b| value.eq_ignore_ascii_case(b))
}

pub(crate) fn is_port(value: &str) -> bool {
    value.bytes().all(|b| b.is_ascii_digit()) && value.parse::<u16>().is_ok_and(|p| p > 0)
}

pub(crate) fn is_duration(value: &str) -> bool {
    value.contains(|c: char| c.is_ascii_digit()) && value.parse::<jiff::Span>().is_ok()
}

pub(crate) fn is_email(value: &str) -> bool {
    let Some((local, host)) = value.rsplit_once('@') else { return false };
    let local_char = |c: char| c.is_alphanumeric() || ".!#$%&'*+/=?^_`{|}~-".contains(c);
    !local.is_empty()
        && local.chars().all(local_char)
        && !local.starts_with('.')
        && !local.ends_with('.')
        && is_host(host)
        && !host.starts_with('[')
}

pub(crate) fn is_host_with_port(value: &str) -> bool {
    if is_host(value) {
        return true;
    }
    value.rsplit_once(':').is_some_and(|(host, port)| is_host(host) && is_port(port))
}

/// A name, an IPv4 address, or an IPv6 address in brackets.
pub(crate) fn is_host(value: &str) -> bool {
    if let Some(inner) = value.strip_prefix('[').and_then(|v| v.strip_suffix(']')) {
        return inner.parse::<std::net::Ipv6Addr>().is_ok();
    }
    let label = |l: &str| {
        (1..=63).contains(&l.len())
            && l.chars().all(|c| c.is_alphanumeric() || c == '-' || c == '_')
            && !l.starts_with('-')
            && !l.ends_with('-')
    };
    value.len() <= 253 && value.strip_suffix('.').unwrap_or(value).split('.').all(label)
}

/// Whether a variable of this name holds secret material, going by its words: `*_TOKEN`, `*_PASSWORD`, `*_API_KEY` ….
///
/// A last word that speaks of something about the secret, as in `TOKEN_URL` or `PASSWORD_MIN_LENGTH`, makes it harmless.
pub fn is_secret_name(name: &str) -> bool {
    let words = words(name);
    let Some(last) = words.last() else { return false };
    if ABOUT.contains(&last.as_str()) {
        return false;
    }
    let has = |w: &str| words.iter().any(|word| word == w);
    let secret_word = SECRET_WORDS.iter().any(|w| has(w)) || words.iter().any(|w| GLUED.iter().any(|g| w.ends_with(g)));
    secret_word || (last == "KEY" && KEY_OWNERS.iter().any(|w| has(w)))
}

/// Upper-case words of `SNAKE_CASE`, `kebab-case`, `dotted.case` and `camelCase`.
fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut lower = false;
    for c in name.chars() {
        if !c.is_alphanumeric() || (lower && c.is_uppercase()) {
            words.push(String::new());
        }
        lower = c.is_lowercase();
        if c.is_alphanumeric() {
            words.last_mut().expect("never empty").extend(c.to_uppercase());
        }
    }
    words.retain(|w| !w.is_empty());
    words
}

const SECRET_WORDS: [&str; 13] = [
    "PASSWORD",
    "PASSWD",
    "PASS",
    "PWD",
    "PASSPHRASE",
    "PASSCODE",
    "SECRET",
    "SECRETS",
    "TOKEN",
    "APIKEY",
    "CREDENTIAL",
    "CREDENTIALS",
    "PAT",
];
const GLUED: [&str; 5] = ["PASSWORD", "SECRET", "TOKEN", "APIKEY", "PRIVATEKEY"];
const KEY_OWNERS: [&str; 17] = [
    "API",
    "ACCESS",
    "PRIVATE",
    "SECRET",
    "ENCRYPTION",
    "SIGNING",
    "MASTER",
    "SERVICE",
    "ACCOUNT",
    "AUTH",
    "SHARED",
    "HMAC",
    "JWT",
    "APP",
    "DEPLOY",
    "STORAGE",
    "SESSION",
];
const ABOUT: [&str; 48] = [
    "URL",
    "URI",
    "ENDPOINT",
    "HOST",
    "PORT",
    "PATH",
    "FILE",
    "DIR",
    "NAME",
    "ID",
    "IDS",
    "ARN",
    "REF",
    "REFERENCE",
    "TTL",
    "EXPIRY",
    "EXPIRES",
    "EXPIRATION",
    "IN",
    "AGE",
    "DAYS",
    "SECONDS",
    "LENGTH",
    "SIZE",
    "MIN",
    "MAX",
    "LIMIT",
    "COUNT",
    "HEADER",
    "PREFIX",
    "SUFFIX",
    "BACKEND",
    "MODE",
    "ENABLED",
    "DISABLED",
    "REQUIRED",
    "TYPE",
    "ALGORITHM",
    "PROVIDER",
    "ISSUER",
    "AUDIENCE",
    "REGION",
    "VERSION",
    "TIMEOUT",
    "POLICY",
    "ROTATION",
    "MANAGER",
    "STORE",
];

#[cfg(test)]
mod tests {
    use custody_contract::RuleName;

    use super::*;

    struct Nothing;
    impl SecretRecogniser for Nothing {
        fn recognise(&self, _: &str) -> Option<RuleName> {
            None
        }
    }

    fn key(kind: KeyType) -> KeyItem {
        KeyItem {
            name: "K".into(),
            required: Default::default(),
            kind,
            values: vec!["a".into(), "b".into()],
            pattern: None,
            secret: false,
            requires: Vec::new(),
            description: None,
            example: None,
            ..KeyItem::default()
        }
    }

    #[test]
    fn each_type_takes_its_values_and_no_others() {
        use KeyType::*;
        for (kind, good, bad) in [
            (
                Url,
                &["http://localhost:3000", "HTTPS://a.example/p?q#f", "http://[::1]:80", "http://10.0.0.1"][..],
                &[
                    "localhost",
                    "ftp://a",
                    "http://",
                    "http://u:p@a",
                    "http://a b",
                    "http://a:99999",
                    "https:/a",
                    "http://{{ host }}",
                ][..],
            ),
            (Integer, &["0", "-5", "42"], &["1.5", "x", "", "1_000"]),
            (Number, &["1.5", "-2", "1e3"], &["x", "NaN", "inf"]),
            (Boolean, &["true", "FALSE", "1", "off"], &["maybe", "2"]),
            (Port, &["1", "65535"], &["0", "65536", "+80", "http"]),
            (Enum, &["a"], &["c", "A"]),
            (Duration, &["30s", "5m", "1h30m", "PT1H", "2d"], &["30", "soon", ""]),
            (CredentialRef, &["cred://aws/prod/readonly"], &["aws", "cred://aws/readonly"]),
            (Email, &["a.b@c.example"], &["a", "@c", "a@", "a b@c"]),
            (Host, &["localhost", "db.internal:5432", "10.0.0.1", "[::1]:80"], &["a b", "http://a", "a:b", "-a"]),
            (Command, &["python3 x.py"], &[" ", "a\nb"]),
            (Json, &["{\"a\":[1]}", "1"], &["{a}", ""]),
            (Path, &["/a/b", "./x"], &["", "a\0b"]),
        ] {
            for value in good {
                assert_eq!(validate(&key(kind), value, &Nothing), Ok(()), "{kind:?} {value:?}");
            }
            for value in bad {
                assert!(validate(&key(kind), value, &Nothing).is_err(), "{kind:?} {value:?}");
            }
        }
    }

    #[test]
    fn a_pattern_matches_the_whole_value() {
        let with = |pattern: &str| KeyItem { pattern: Some(pattern.into()), ..key(KeyType::String) };
        assert!(validate(&with("a|b"), "b", &Nothing).is_ok());
        assert!(validate(&with("a|b"), "ab", &Nothing).is_err());
        assert!(validate(&with("[a-z]+"), "abc\n", &Nothing).is_err());
        assert_eq!(validate(&with("("), "x", &Nothing), Err(Breach::InvalidPattern));
    }

    #[test]
    fn names_of_secrets_are_told_from_names_about_them() {
        for name in [
            "DB_PASSWORD",
            "API_KEY",
            "GITHUB_TOKEN",
            "clientSecret",
            "AWS_SECRET_ACCESS_KEY",
            "POSTGRESPASSWORD",
            "DOTENV_PRIVATE_KEY",
            "SMTP_PASS",
        ] {
            assert!(is_secret_name(name), "{name}");
        }
        for name in [
            "TOKEN_URL",
            "MAX_TOKENS",
            "PASSWORD_MIN_LENGTH",
            "FICECAL_SECRET_RESOLVER_ENDPOINT",
            "PUBLIC_KEY",
            "FICECAL_AWS_CREDENTIAL_REF",
            "KEYBOARD",
            "FICECAL_CREDENTIALS_BACKEND",
            "PASSPORT",
        ] {
            assert!(!is_secret_name(name), "{name}");
        }
    }

    #[test]
    fn a_breach_never_quotes_the_value() {
        let breach = validate(&key(KeyType::CredentialRef), "swordfish", &Nothing).expect_err("no reference");
        assert!(!format!("{breach} {breach:?}").contains("swordfish"));
    }
}
