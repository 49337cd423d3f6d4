//! What comes from outside: the clock, randomness, environment variables, a person. Passed in, so that tests hold them.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use crate::SecretValue;

/// Time as backends and the resolver see it.
pub trait Clock: Send + Sync {
    /// The time of day.
    fn now(&self) -> Timestamp;
    /// Time since some fixed moment; never goes back.
    fn elapsed(&self) -> Duration;
    /// Waits.
    fn sleep(&self, duration: Duration);
}

/// The system's clock.
#[derive(Debug)]
pub struct SystemClock(Instant);

impl Default for SystemClock {
    fn default() -> Self {
        Self(Instant::now())
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }

    fn sleep(&self, duration: Duration) {
        std::thread::sleep(duration);
    }
}

/// Randomness for jitter. Keys and nonces always come from the system itself.
pub trait Randomness: Send + Sync {
    /// A number from 0 (included) to 1 (excluded), evenly distributed.
    fn fraction(&self) -> f64;
}

/// The system's randomness.
#[derive(Debug, Default)]
pub struct SystemRandomness;

impl Randomness for SystemRandomness {
    fn fraction(&self) -> f64 {
        // Without randomness there is no jitter, which is no reason to fail a read.
        let bits = getrandom::u64().unwrap_or(u64::MAX / 2);
        (bits >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// Environment variables.
pub trait Variables: Send + Sync {
    /// The value of one.
    fn get(&self, name: &str) -> Option<OsString>;
    /// The names of all that are UTF-8, sorted.
    fn names(&self) -> Vec<String>;

    /// The value of one where it is UTF-8 and not empty.
    fn text(&self, name: &str) -> Option<String> {
        self.get(name)?.into_string().ok().filter(|text| !text.is_empty())
    }
}

/// The variables of this process.
#[derive(Debug, Default)]
pub struct ProcessVariables;

impl Variables for ProcessVariables {
    fn get(&self, name: &str) -> Option<OsString> {
        // The system's call panics on such names in some versions.
        if name.is_empty() || name.contains(['=', '\0']) { None } else { std::env::var_os(name) }
    }

    fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok()).collect();
        names.sort();
        names
    }
}

impl Variables for BTreeMap<String, String> {
    fn get(&self, name: &str) -> Option<OsString> {
        BTreeMap::get(self, name).map(OsString::from)
    }

    fn names(&self) -> Vec<String> {
        self.keys().cloned().collect()
    }
}

/// A person who can be asked.
pub trait Prompt: Send + Sync {
    /// Asks for a secret without showing what is typed; `None` where nobody can be asked.
    fn secret(&self, question: &str) -> Option<SecretValue>;
}

/// Nobody: CI, services, tests.
#[derive(Debug, Default)]
pub struct NoPrompt;

impl Prompt for NoPrompt {
    fn secret(&self, _: &str) -> Option<SecretValue> {
        None
    }
}

/// What comes from outside, together.
#[derive(Clone)]
pub struct Context {
    /// Relative paths of settings start here: the directory of the contract file.
    pub root: PathBuf,
    /// Environment variables.
    pub variables: Arc<dyn Variables>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Randomness for jitter.
    pub randomness: Arc<dyn Randomness>,
    /// Who may be asked.
    pub prompt: Arc<dyn Prompt>,
}

impl Context {
    /// The live process, with nobody to ask.
    pub fn process(root: impl Into<PathBuf>) -> Self {
        Self {
            root: root.into(),
            variables: Arc::new(ProcessVariables),
            clock: Arc::new(SystemClock::default()),
            randomness: Arc::new(SystemRandomness),
            prompt: Arc::new(NoPrompt),
        }
    }

    /// With these variables instead of the process's.
    #[must_use]
    pub fn with_variables(mut self, variables: impl Variables + 'static) -> Self {
        self.variables = Arc::new(variables);
        self
    }

    /// With somebody to ask.
    #[must_use]
    pub fn with_prompt(mut self, prompt: impl Prompt + 'static) -> Self {
        self.prompt = Arc::new(prompt);
        self
    }

    /// A path of the settings: `~/` is the home directory, a relative one starts at the root.
    pub fn path(&self, text: &str) -> PathBuf {
        match text.strip_prefix("~/") {
            Some(rest) => {
                self.variables.get("HOME").map_or_else(|| self.root.join(text), |h| PathBuf::from(h).join(rest))
            }
            None => self.root.join(text),
        }
    }
}

impl std::fmt::Debug for Context {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Context").field("root", &self.root).finish_non_exhaustive()
    }
}
