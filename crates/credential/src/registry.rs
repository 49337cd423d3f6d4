//! The one list of backends: adding one touches its file and this list.

use crate::backend::{self, Backend};
use crate::setup::{ConfigError, Setup, closest};

/// A kind of backend.
#[derive(Debug, Clone, Copy)]
pub struct BackendKind {
    /// Its name in the contract file, in `FICECAL_CREDENTIALS_BACKEND` and in messages.
    pub name: &'static str,
    /// Other names of it.
    pub aliases: &'static [&'static str],
    /// What it is, in a line.
    pub summary: &'static str,
    /// Makes one. Cheap: connections are made when something is asked for.
    pub make: fn(&mut Setup<'_>) -> Result<Box<dyn Backend>, ConfigError>,
}

/// Kinds that need no network; those that do are in [`backend::network`].
static LOCAL: &[BackendKind] = &[
    backend::embedded::KIND,
    backend::environment::KIND,
    backend::file::KIND,
    backend::file::SYSTEMD_KIND,
    backend::exec::KIND,
    backend::age::KIND,
    backend::sops::KIND,
    backend::pass::KIND,
    backend::secret_service::KIND,
];

/// All kinds.
pub fn kinds() -> impl Iterator<Item = &'static BackendKind> {
    LOCAL.iter().chain(&backend::network::KINDS)
}

/// The kind of a name or alias.
pub fn kind(name: &str) -> Option<&'static BackendKind> {
    kinds().find(|k| k.name == name || k.aliases.contains(&name))
}

/// What to say of a name that neither the contract nor the list knows: the closest one, or all.
pub(crate) fn unknown(name: &str, own: &[&str]) -> ConfigError {
    let known =
        || own.iter().copied().chain(kinds().flat_map(|k| [k.name].into_iter().chain(k.aliases.iter().copied())));
    let fix = match closest(name, known()) {
        Some(near) => format!("did you mean {near}?"),
        None => format!("there are: {}", known().collect::<Vec<_>>().join(", ")),
    };
    ConfigError::new(name, None, "no backend has this name", fix)
}
