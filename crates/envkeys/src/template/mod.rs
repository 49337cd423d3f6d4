//! What a value in a template or another committed file is: nothing, a placeholder, harmless, or unsafe (ENV-3, ENV-4).

mod harmless;
mod placeholder;

use custody_contract::file::KeyItem;
use custody_contract::{CredentialRef, Environment, RefProblem, RuleName, SecretRecogniser};

use crate::key::is_secret_name;

pub use harmless::Harmless;

/// A value with what is known about it.
#[derive(Clone, Copy)]
pub struct Setting<'a> {
    /// The key.
    pub name: &'a str,
    /// The value.
    pub value: &'a str,
    /// What the contract says of the key.
    pub key: Option<&'a KeyItem>,
    /// The environment that the file belongs to; development passwords are no default in stage and prod.
    pub environment: Option<Environment>,
}

/// What a value is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Class {
    /// Nothing, or white space.
    Empty,
    /// Stands for a value that is put in later.
    Placeholder,
    /// Cannot be a secret.
    Harmless(Harmless),
    /// May be a secret, for this reason.
    Unsafe(Unsafe),
}

/// Why a value may be a secret; names the reason, never the value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unsafe {
    /// A rule recognises it.
    #[error("rule {rule} recognises secret material in it")]
    Recognised {
        /// The rule.
        rule: RuleName,
    },
    /// A URL with a password.
    #[error("it is a URL with a password in it")]
    UrlPassword,
    /// A URL with a query parameter that grants access.
    #[error("it is a URL whose query carries a token")]
    UrlToken,
    /// The contract declares the key as secret.
    #[error("the contract declares the key as secret, and the value is neither empty nor a placeholder")]
    DeclaredSecret,
    /// The name says that it is one.
    #[error("the key is named like a secret, and the value is neither empty nor a placeholder")]
    SecretName,
    /// It looks like a generated token.
    #[error("it looks like a generated token")]
    LooksGenerated,
}

/// Classifies one value.
///
/// A value in which `recogniser` finds secret material is never a placeholder. The order: empty, development password in
/// a local URL, recognised, placeholder, encrypted, reference, URL with password, secret by declaration or name,
/// generated-looking, harmless.
pub fn classify(setting: &Setting<'_>, recogniser: &dyn SecretRecogniser) -> Class {
    let value = setting.value.trim();
    if value.is_empty() {
        return Class::Empty;
    }
    let local = !setting.environment.is_some_and(Environment::is_release);
    let url = harmless::Url::parse(value);
    let weak_url = url.as_ref().is_some_and(|u| u.is_local() && u.has_development_password());
    if local && weak_url && !setting.key.is_some_and(|k| k.secret) {
        return Class::Harmless(Harmless::DevelopmentPassword);
    }
    if let Some(rule) = recogniser.recognise(value) {
        return Class::Unsafe(Unsafe::Recognised { rule });
    }
    if placeholder::is_placeholder(setting.name, value) {
        return Class::Placeholder;
    }
    if value.starts_with("encrypted:") || (value.starts_with("ENC[") && value.ends_with(']')) {
        return Class::Harmless(Harmless::Encrypted);
    }
    match CredentialRef::parse_with(value, recogniser) {
        Ok(_) => return Class::Harmless(Harmless::Reference),
        Err(error) => {
            if let RefProblem::SecretMaterial { rule } = error.problem {
                return Class::Unsafe(Unsafe::Recognised { rule });
            }
        }
    }
    if let Some(url) = &url {
        match url.password() {
            Some("") | None => {}
            Some(p) if placeholder::is_placeholder("", p) => {}
            Some(_) => return Class::Unsafe(Unsafe::UrlPassword),
        }
        if url.query_token() {
            return Class::Unsafe(Unsafe::UrlToken);
        }
    }
    if setting.key.is_some_and(|k| k.secret) {
        return Class::Unsafe(Unsafe::DeclaredSecret);
    }
    if let Some(key) = setting.key
        && key.values.iter().any(|v| v == value)
    {
        return Class::Harmless(Harmless::Allowed);
    }
    let kind = harmless::kind(value, url.as_ref());
    if is_secret_name(setting.name) && !kind.is_some_and(Harmless::overrides_name) {
        if local && harmless::is_development_password(value) {
            return Class::Harmless(Harmless::DevelopmentPassword);
        }
        return Class::Unsafe(Unsafe::SecretName);
    }
    if let Some(rule) = recogniser.recognise(&format!("{}={value}", setting.name)) {
        return Class::Unsafe(Unsafe::Recognised { rule });
    }
    match kind {
        Some(kind) => Class::Harmless(kind),
        None if harmless::looks_generated(value) => Class::Unsafe(Unsafe::LooksGenerated),
        None => Class::Harmless(Harmless::Text),
    }
}

/// Whether a secret's value only repeats the user or database beside it (`POSTGRES_USER=app`, `POSTGRES_PASSWORD=app`).
pub(crate) fn repeats_a_name<'v>(value: &str, mut others: impl Iterator<Item = (&'v str, &'v str)>) -> bool {
    const NAMES: [&str; 4] = ["USER", "USERNAME", "DB", "DATABASE"];
    harmless::is_guessable(value)
        && others
            .any(|(name, other)| other == value && name.rsplit('_').next().is_some_and(|last| NAMES.contains(&last)))
}

/// Whether a value may appear in a message.
pub(crate) fn may_show(setting: &Setting<'_>, recogniser: &dyn SecretRecogniser) -> bool {
    !is_secret_name(setting.name)
        && !setting.key.is_some_and(|k| k.secret)
        && match classify(setting, recogniser) {
            Class::Empty | Class::Placeholder => true,
            Class::Harmless(kind) => kind != Harmless::DevelopmentPassword && kind != Harmless::Encrypted,
            Class::Unsafe(_) => false,
        }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Recognises what starts with `real`.
    struct Real;
    impl SecretRecogniser for Real {
        fn recognise(&self, text: &str) -> Option<RuleName> {
            text.starts_with("real").then(|| "real".into())
        }
    }

    fn class(name: &str, value: &str) -> Class {
        classify(&Setting { name, value, key: None, environment: None }, &Real)
    }

    #[test]
    fn placeholders_are_known() {
        for value in [
            "<api-key>",
            "your-api-key-here",
            "YOUR_TOKEN",
            "changeme",
            "CHANGE_ME",
            "change-this",
            "xxx",
            "xxxxxxxx",
            "…",
            "...",
            "${VAR}",
            "$VAR",
            "{{ vault.token }}",
            "%TOKEN%",
            "example",
            "replace-me",
            "todo",
            "TBD",
            "<user>:<password>",
            "sk-xxxxxxxxxxxx",
            "__TOKEN__",
            "insert-key",
            "placeholder",
            "redacted",
            "*****",
            "null",
            "dummy-token",
            "my-secret-here",
            "api_token",
            "[your token]",
            "add_your_key",
            "sk_test_...",
            "AKIA…",
            "whsec_xxx",
            "generate-with-openssl-rand-base64-32",
            "openssl rand -hex 32",
        ] {
            assert_eq!(class("API_TOKEN", value), Class::Placeholder, "{value}");
        }
    }

    #[test]
    fn defaults_are_harmless() {
        for (name, value) in [
            ("API", "http://localhost:3000"),
            ("PORT", "8080"),
            ("DEBUG", "true"),
            ("LEVEL", "info"),
            ("REGION", "eu-central-1"),
            ("HOME_DIR", "/var/lib/app"),
            ("V", "1.2.3"),
            ("DAY", "2026-01-31"),
            ("REF", "cred://aws/local/readonly"),
            ("CMD", "python3 scripts/examples/aws-live-smoke.py"),
            ("ENDPOINT", "https://secret-resolver.internal/resolve"),
            ("TTL", "30s"),
            ("MAIL", "ops@example.com"),
            ("LIST", "a,b,c"),
            ("USE_TOKEN", "false"),
            ("ID", "6f9619ff-8b86-d011-b42d-00c04fc964ff"),
            ("TOKEN_FILE", "/run/secrets/token"),
            ("TITLE", "My application for things"),
            ("E", "encrypted:abc"),
        ] {
            assert!(matches!(class(name, value), Class::Harmless(_)), "{name}={value} {:?}", class(name, value));
        }
    }

    #[test]
    fn development_passwords_are_harmless_in_local_files_only() {
        let url = format!("postgres://app:{}@localhost/db", "postgres");
        for environment in [None, Some(Environment::Local)] {
            let of = |name, value| classify(&Setting { name, value, key: None, environment }, &Real);
            assert_eq!(of("DATABASE_URL", &url), Class::Harmless(Harmless::DevelopmentPassword));
            assert_eq!(of("DB_PASSWORD", "postgres"), Class::Harmless(Harmless::DevelopmentPassword));
        }
        let of =
            |name, value| classify(&Setting { name, value, key: None, environment: Some(Environment::Prod) }, &Real);
        assert_eq!(of("DATABASE_URL", &url), Class::Unsafe(Unsafe::UrlPassword));
        assert_eq!(of("DB_PASSWORD", "postgres"), Class::Unsafe(Unsafe::SecretName));
        let remote = format!("postgres://app:{}@db.example.com/db", "postgres");
        assert_eq!(class("DATABASE_URL", &remote), Class::Unsafe(Unsafe::UrlPassword));
    }

    #[test]
    fn what_may_be_a_secret_is_unsafe_with_the_reason() {
        assert!(matches!(class("X", "real-thing"), Class::Unsafe(Unsafe::Recognised { .. })));
        assert!(matches!(class("REF", "cred://aws/real-thing/readonly"), Class::Unsafe(Unsafe::Recognised { .. })));
        assert_eq!(class("DB_PASSWORD", &["tr0u", "b4dor"].concat()), Class::Unsafe(Unsafe::SecretName));
        let url = format!("https://user:{}@api.example.com", ["tr0u", "b4dor"].concat());
        assert_eq!(class("API", &url), Class::Unsafe(Unsafe::UrlPassword));
        let generated: String = (0..40u32).map(|i| char::from(b"q7Zk2Rw9TbX4mLp8"[(i * 7 % 16) as usize])).collect();
        assert_eq!(class("SETTING", &generated), Class::Unsafe(Unsafe::LooksGenerated));
        assert_eq!(class("API", &format!("https://h.example/x?token={generated}")), Class::Unsafe(Unsafe::UrlToken));
        let hidden = format!("changeme-{generated}");
        assert!(matches!(class("SETTING", &hidden), Class::Unsafe(_)));
    }

    proptest! {
        #[test]
        fn a_recognised_secret_is_never_a_placeholder(tail in ".{0,40}", name in "[A-Z_]{1,20}") {
            let value = format!("real{tail}");
            let class = classify(&Setting { name: &name, value: &value, key: None, environment: None }, &Real);
            let is_unsafe = matches!(class, Class::Unsafe(_));
            prop_assert!(is_unsafe);
        }

        #[test]
        fn classifying_never_panics(name in "\\PC{0,12}", value in "\\PC{0,60}") {
            class(&name, &value);
        }
    }
}
