//! How a backend is made from its settings, and what may be wrong with them.

use std::time::Duration;

use custody_contract::CredentialRef;
use custody_contract::file::BackendItem;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::backend::{BackendError, ErrorKind};
use crate::{Context, SecretValue};

/// A backend that cannot be made: its settings are wrong, or what it needs is not there. Holds no value of a setting.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("backend `{backend}` cannot be used: {why}")]
pub struct ConfigError {
    /// The backend's name in the contract file, or its kind.
    pub backend: String,
    /// The setting that is wrong, where it is one.
    pub setting: Option<String>,
    /// What is wrong: a lowercase fragment.
    pub why: String,
    /// What to do about it: a fragment in the imperative.
    pub fix: String,
}

impl ConfigError {
    /// An error of a backend.
    pub fn new(backend: &str, setting: Option<&str>, why: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { backend: backend.to_owned(), setting: setting.map(str::to_owned), why: why.into(), fix: fix.into() }
    }

    /// The same for one reference that was asked for.
    pub fn for_reference(&self, reference: &CredentialRef) -> BackendError {
        BackendError::new(ErrorKind::Configuration, &self.backend, reference, self.why.clone(), self.fix.clone())
    }
}

/// Resolves a reference that a backend's own login needs (`token = "cred://…"`), through another backend.
pub type Bootstrap<'a> = dyn Fn(&CredentialRef) -> Result<SecretValue, String> + 'a;

/// What a backend is made of: its settings and what comes from outside.
pub struct Setup<'a> {
    /// The backend's name in the contract file, or its kind.
    pub name: &'a str,
    /// What comes from outside.
    pub context: &'a Context,
    /// How long one exchange may take, where the contract file says it.
    pub timeout: Option<Duration>,
    settings: Map<String, Value>,
    bootstrap: &'a Bootstrap<'a>,
}

impl<'a> Setup<'a> {
    /// The setup of a `[backends.NAME]` section, or of a kind that is used without one.
    pub fn new(name: &'a str, item: Option<&BackendItem>, context: &'a Context, bootstrap: &'a Bootstrap<'a>) -> Self {
        Self {
            name,
            context,
            timeout: item.and_then(|i| i.timeout).map(|t| t.0),
            settings: item.map(|i| i.settings.clone()).unwrap_or_default(),
            bootstrap,
        }
    }

    /// For tests: settings as JSON, no other backend.
    #[cfg(any(test, feature = "testing"))]
    pub fn of_json(name: &'a str, settings: Value, context: &'a Context) -> Self {
        let settings = settings.as_object().cloned().unwrap_or_default();
        Self { name, context, timeout: None, settings, bootstrap: &|_| Err("there is no other backend".to_owned()) }
    }

    /// An error that names this backend.
    pub fn error(&self, setting: Option<&str>, why: impl Into<String>, fix: impl Into<String>) -> ConfigError {
        ConfigError::new(self.name, setting, why, fix)
    }

    /// Takes a secret of the backend's own login out of the settings: `NAME = "cred://…"`, `NAME-file = PATH` (one
    /// newline at its end is not part of it) or `NAME-env = VARIABLE`.
    ///
    /// # Errors
    /// More than one of them, a raw value, an unreadable file, a variable that is not set.
    pub fn secret(&mut self, name: &str) -> Result<Option<SecretValue>, ConfigError> {
        let keys = [name.to_owned(), format!("{name}-file"), format!("{name}-env")];
        let found: Vec<(usize, Value)> =
            keys.iter().enumerate().filter_map(|(i, key)| Some((i, self.settings.remove(key)?))).collect();
        let (which, value) = match found.as_slice() {
            [] => return Ok(None),
            [(which, Value::String(value))] => (*which, value.as_str()),
            [_] => return Err(self.error(Some(name), format!("{name} is not text"), "give it as a string")),
            _ => return Err(self.error(Some(name), format!("{name} is said twice"), "keep one of them")),
        };
        match which {
            0 => {
                let reference = CredentialRef::parse(value).map_err(|_| {
                    self.error(
                        Some(name),
                        format!("{name} is not a reference"),
                        format!("use {name}-file or {name}-env"),
                    )
                })?;
                let secret = (self.bootstrap)(&reference).map_err(|why| {
                    let why = format!("{name} cannot be resolved from {reference}: {why}");
                    self.error(Some(name), why, format!("custody cred doctor {reference}"))
                })?;
                Ok(Some(secret))
            }
            1 => {
                let path = self.context.path(value);
                let secret = SecretValue::read_file(&path, 1 << 20).map_err(|e| {
                    let why = format!("cannot read {}: {e}", path.display());
                    self.error(Some(&keys[1]), why, "check the path and its permissions")
                })?;
                Ok(Some(secret.without_final_newline()))
            }
            _ => match self.context.variables.get(value).filter(|v| !v.is_empty()) {
                Some(text) => Ok(Some(SecretValue::new(text.into_encoded_bytes()))),
                None => Err(self.error(Some(&keys[2]), format!("the variable {value} is not set"), "set it")),
            },
        }
    }

    /// The settings that are left, as a type that denies unknown fields.
    ///
    /// # Errors
    /// An unknown setting (with the closest known one), a missing one, or one of a wrong type; never with its value.
    pub fn parse<T: DeserializeOwned>(&mut self) -> Result<T, ConfigError> {
        let settings = std::mem::take(&mut self.settings);
        T::deserialize(Value::Object(settings)).map_err(|error| {
            let message = error.to_string();
            let field = message.split('`').nth(1).map(str::to_owned);
            if let Some(rest) = message.strip_prefix("unknown field `") {
                let unknown = rest.split('`').next().unwrap_or_default();
                let known: Vec<&str> = rest.split('`').skip(2).step_by(2).collect();
                let near = closest(unknown, known.iter().copied());
                let fix = match near {
                    Some(near) => format!("did you mean {near}?"),
                    None if known.is_empty() => "remove it".to_owned(),
                    None => format!("there are: {}", known.join(", ")),
                };
                return self.error(Some(unknown), format!("there is no setting {unknown}"), fix);
            }
            let fix = "see docs/backends.md";
            match message.strip_prefix("missing field ") {
                Some(_) => self.error(
                    field.as_deref(),
                    format!("the setting {} is missing", field.as_deref().unwrap_or("")),
                    fix,
                ),
                // Serde quotes values; only what was expected is kept.
                None => {
                    let expected =
                        message.rfind("expected ").map_or("a setting has a value of a wrong kind", |at| &message[at..]);
                    self.error(None, format!("a setting has a wrong value: {expected}"), fix)
                }
            }
        })
    }
}

/// The closest of `known`, if one is close.
pub(crate) fn closest<'k>(name: &str, known: impl Iterator<Item = &'k str>) -> Option<&'k str> {
    let distance = |k: &&str| strsim::damerau_levenshtein(k, name);
    known.min_by_key(distance).filter(|k| distance(k) <= 3 && distance(k) < name.len())
}
