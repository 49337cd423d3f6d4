//! The process environment as backends see it: passed in, so that tests hold it.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

/// A look-up of environment variables. An empty value counts as absent, as every provider's own tools treat it.
#[derive(Clone)]
pub struct Variables(Arc<LookUp>);

type LookUp = dyn Fn(&str) -> Option<String> + Send + Sync;

impl Variables {
    /// Those of this process. A value that is not UTF-8 counts as absent.
    pub fn of_process() -> Self {
        Self(Arc::new(|name| std::env::var(name).ok()))
    }

    /// Exactly these.
    pub fn of<K: Into<String>, V: Into<String>>(pairs: impl IntoIterator<Item = (K, V)>) -> Self {
        let map: BTreeMap<String, String> = pairs.into_iter().map(|(k, v)| (k.into(), v.into())).collect();
        Self(Arc::new(move |name| map.get(name).cloned()))
    }

    /// Those that a function gives.
    pub(crate) fn by(look_up: impl Fn(&str) -> Option<String> + Send + Sync + 'static) -> Self {
        Self(Arc::new(look_up))
    }

    /// None at all.
    pub fn none() -> Self {
        Self(Arc::new(|_| None))
    }

    /// The value of a variable, unless it is empty.
    pub fn get(&self, name: &str) -> Option<String> {
        (self.0)(name).filter(|value| !value.is_empty())
    }

    /// The first of several names that has a value.
    pub fn first(&self, names: &[&str]) -> Option<String> {
        names.iter().find_map(|name| self.get(name))
    }

    /// A switch: `1`, `t`, `true`, `yes` and `on` in any case.
    pub fn is_set(&self, name: &str) -> bool {
        self.get(name).is_some_and(|value| {
            ["1", "t", "true", "yes", "on"].iter().any(|yes| value.trim().eq_ignore_ascii_case(yes))
        })
    }

    /// The user's home folder.
    pub fn home(&self) -> Option<PathBuf> {
        self.first(&["HOME", "USERPROFILE"]).map(PathBuf::from)
    }
}

impl fmt::Debug for Variables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Variables(…)")
    }
}
