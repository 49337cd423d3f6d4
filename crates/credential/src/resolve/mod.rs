//! From references to secret material: which backend, which location, may it be, and how often is it tried.
//!
//! - What is asked for twice at once is read once; nobody gets an answer to a read that began before he asked, so a
//!   value that was rotated away is never served ([`flight`]).
//! - There is no cache of values. That something is missing or denied is remembered for a moment.
//! - Failures that may pass are tried again with jitter, as long as the server says to wait, within a limit ([`retry`]).

mod error;
mod flight;
mod retry;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use custody_contract::file::{BackendItem, CredentialItem, Placement};
use custody_contract::{Contract, CredentialRef, Environment};

use crate::backend::{
    Backend, BackendError, ErrorKind, Metadata, ReadRequest, Resolved, VersionRequest, split_location,
};
use crate::setup::{ConfigError, Setup};
use crate::{Context, SecretValue, registry};

pub use error::{FailureKind, ResolveError};
pub use retry::Retry;

use flight::{Flights, Key};

/// The variable that chooses where credentials resolve that name no backend (ENV-2).
pub const BACKEND_VARIABLE: &str = "FICECAL_CREDENTIALS_BACKEND";
/// The variable that names the resolver's URL for `secret-manager` (ENV-2).
pub const ENDPOINT_VARIABLE: &str = "FICECAL_SECRET_RESOLVER_ENDPOINT";

/// The kind that holds credentials for which nothing else is said.
pub const DEFAULT_KIND: &str = "embedded";

/// What is asked of the resolver.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Query {
    /// The credential.
    pub reference: CredentialRef,
    /// One field of it, where it has several; instead of the field of its location.
    pub field: Option<String>,
    /// Which version.
    pub version: VersionRequest,
}

impl From<CredentialRef> for Query {
    fn from(reference: CredentialRef) -> Self {
        Self { reference, field: None, version: VersionRequest::Current }
    }
}

/// Where a credential lies.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Place {
    /// The backend's name in the contract file, or its kind.
    pub backend: String,
    /// The location there.
    pub location: String,
}

/// How the resolver behaves.
#[derive(Debug, Clone, Copy)]
pub struct Policy {
    /// How failures that may pass are tried again.
    pub retry: Retry,
    /// How long it is remembered that something is missing or denied.
    pub remember_failure: Duration,
    /// Which references resolve.
    pub registration: Registration,
}

/// Which references resolve.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Registration {
    /// In `stage` and `prod` those that the contract registers, for that environment (ROT-1, BILL-1).
    AsContracted,
    /// All.
    NotNeeded,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            retry: Retry::default(),
            remember_failure: Duration::from_secs(2),
            registration: Registration::AsContracted,
        }
    }
}

/// Resolves references for one contract in one environment. Safe to use from several threads at once.
pub struct Resolver {
    environment: Environment,
    context: Context,
    policy: Policy,
    backends: BTreeMap<String, BackendItem>,
    credentials: HashMap<CredentialRef, CredentialItem>,
    default_backend: String,
    made: Mutex<HashMap<String, Arc<dyn Backend>>>,
    flights: Flights,
}

impl Resolver {
    /// A resolver for a contract. Nothing is opened or asked yet.
    ///
    /// # Errors
    /// A backend's name or kind that nobody knows, in the contract or in `FICECAL_CREDENTIALS_BACKEND`.
    pub fn new(contract: &Contract, environment: Environment, context: Context) -> Result<Self, ConfigError> {
        Self::with_policy(contract, environment, context, Policy::default())
    }

    /// Likewise, with another policy.
    ///
    /// # Errors
    /// As [`Resolver::new`].
    pub fn with_policy(
        contract: &Contract,
        environment: Environment,
        context: Context,
        policy: Policy,
    ) -> Result<Self, ConfigError> {
        let said = contract.environments.get(environment).and_then(|e| e.backend.clone());
        let chosen = context.variables.text(BACKEND_VARIABLE).or(said).unwrap_or_else(|| DEFAULT_KIND.to_owned());
        let resolver = Self {
            environment,
            policy,
            backends: contract.backends.clone(),
            credentials: contract.credentials.iter().map(|c| (c.reference.clone(), c.clone())).collect(),
            default_backend: chosen,
            made: Mutex::default(),
            flights: Flights::default(),
            context,
        };
        resolver.kind_of(&resolver.default_backend)?;
        for name in resolver.backends.keys() {
            resolver.kind_of(name)?;
        }
        for credential in resolver.credentials.values() {
            if let Some(name) = credential.placement(environment).backend {
                resolver.kind_of(&name)?;
            }
        }
        Ok(resolver)
    }

    /// The environment that it resolves for.
    pub fn environment(&self) -> Environment {
        self.environment
    }

    /// What comes from outside.
    pub fn context(&self) -> &Context {
        &self.context
    }

    /// The backend of credentials for which nothing else is said.
    pub fn default_backend(&self) -> &str {
        &self.default_backend
    }

    /// Resolves references: one answer for each, in their order.
    pub fn resolve(&self, references: &[CredentialRef]) -> Vec<Result<Resolved, ResolveError>> {
        self.answer(&references.iter().cloned().map(Query::from).collect::<Vec<_>>())
    }

    /// Answers queries: one answer for each, in their order. Backends are asked at the same time, each once.
    pub fn answer(&self, queries: &[Query]) -> Vec<Result<Resolved, ResolveError>> {
        let mut answers: Vec<Option<Result<Resolved, ResolveError>>> = Vec::new();
        let mut groups: BTreeMap<String, Group> = BTreeMap::new();
        for (index, query) in queries.iter().enumerate() {
            match self.prepare(query) {
                Err(error) => answers.push(Some(Err(error))),
                Ok((name, backend, request)) => {
                    answers.push(None);
                    groups.entry(name).or_insert_with(|| (backend, Vec::new())).1.push((index, request));
                }
            }
        }
        let read = |name: &str, backend: &Arc<dyn Backend>, requests: &[(usize, ReadRequest)]| {
            let requests: Vec<ReadRequest> = requests.iter().map(|(_, request)| request.clone()).collect();
            self.read_from(name, &**backend, &requests)
        };
        let mut read_groups = Vec::new();
        if groups.len() < 2 {
            read_groups.extend(groups.iter().map(|(name, (backend, requests))| read(name, backend, requests)));
        } else {
            std::thread::scope(|scope| {
                let read = &read;
                let threads: Vec<_> = groups
                    .iter()
                    .map(|(name, (backend, requests))| scope.spawn(move || read(name, backend, requests)))
                    .collect();
                read_groups.extend(threads.into_iter().map(|thread| thread.join().unwrap_or_default()));
            });
        }
        for ((_, requests), read) in groups.values().zip(read_groups) {
            for ((index, _), answer) in requests.iter().zip(read) {
                answers[*index] = Some(answer.map_err(ResolveError::from));
            }
        }
        let fault = |query: &Query| {
            let why = "the backend ended without an answer";
            let fix = "report this as a fault of custody";
            BackendError::new(ErrorKind::Malformed, "resolver", &query.reference, why, fix)
        };
        answers.into_iter().zip(queries).map(|(a, q)| a.unwrap_or_else(|| Err(fault(q).into()))).collect()
    }

    /// Writes a new version of a credential where it lies.
    ///
    /// # Errors
    /// As the backend's.
    pub fn put(&self, reference: &CredentialRef, value: &SecretValue) -> Result<Metadata, ResolveError> {
        let place = self.place(reference)?;
        let backend = self.backend(&place.backend).map_err(|e| e.for_reference(reference))?;
        let request =
            ReadRequest { reference: reference.clone(), location: place.location, version: VersionRequest::Current };
        let written = backend.write(&request, value);
        self.flights.forget();
        Ok(written?)
    }

    /// What is known of a credential without its value, as far as its backend can tell.
    ///
    /// # Errors
    /// As the backend's; [`ErrorKind::Unsupported`] where it can only be told by reading.
    pub fn describe(&self, reference: &CredentialRef) -> Result<Metadata, ResolveError> {
        let place = self.place(reference)?;
        let backend = self.backend(&place.backend).map_err(|e| e.for_reference(reference))?;
        let request =
            ReadRequest { reference: reference.clone(), location: place.location, version: VersionRequest::Current };
        Ok(backend.describe(&request)?)
    }

    /// Where a credential lies.
    ///
    /// # Errors
    /// A backend that nobody knows, or that cannot be made.
    pub fn place(&self, reference: &CredentialRef) -> Result<Place, ResolveError> {
        let Placement { backend, location } =
            self.credentials.get(reference).map(|c| c.placement(self.environment)).unwrap_or_default();
        let name = backend.unwrap_or_else(|| self.default_backend.clone());
        let location = match location {
            Some(location) => location,
            None => {
                let backend = self.backend(&name).map_err(|e| e.for_reference(reference))?;
                let prefix = self.backends.get(&name).and_then(|b| b.prefix.as_deref()).unwrap_or("");
                prefixed(prefix, &backend.default_location(reference))
            }
        };
        Ok(Place { backend: name, location })
    }

    /// The contract's entry of a credential.
    pub fn registered(&self, reference: &CredentialRef) -> Option<&CredentialItem> {
        self.credentials.get(reference)
    }

    /// Says whether a reference may be resolved here at all.
    ///
    /// # Errors
    /// It is not registered, or registered for other environments.
    pub fn permitted(&self, reference: &CredentialRef) -> Result<(), ResolveError> {
        let environment = self.environment;
        match self.credentials.get(reference) {
            Some(item) if !item.applies_to(environment) => {
                Err(ResolveError::OutOfEnvironment { reference: reference.clone(), environment })
            }
            None if environment.is_release() && self.policy.registration == Registration::AsContracted => {
                Err(ResolveError::Unregistered { reference: reference.clone(), environment })
            }
            _ => Ok(()),
        }
    }

    /// Forgets what is remembered of failures.
    pub fn flush(&self) {
        self.flights.forget();
    }

    /// A backend by its name in the contract file, or by its kind.
    ///
    /// # Errors
    /// There is none of that name, or its settings are wrong.
    pub fn backend(&self, name: &str) -> Result<Arc<dyn Backend>, ConfigError> {
        self.make(name, &[])
    }

    fn make(&self, name: &str, chain: &[&str]) -> Result<Arc<dyn Backend>, ConfigError> {
        if let Some(made) = self.made().get(name) {
            return Ok(Arc::clone(made));
        }
        if chain.contains(&name) {
            let why = "its own login is a reference that resolves through itself";
            return Err(ConfigError::new(
                name,
                None,
                why,
                "let its login come from a file, a variable or another backend",
            ));
        }
        let kind = self.kind_of(name)?;
        let chain = [chain, &[name]].concat();
        let bootstrap = |reference: &CredentialRef| self.login(reference, &chain);
        let mut setup = Setup::new(name, self.backends.get(name), &self.context, &bootstrap);
        // Made outside the lock: two backends whose logins need each other would wait for ever otherwise.
        let made: Arc<dyn Backend> = (kind.make)(&mut setup)?.into();
        Ok(Arc::clone(self.made().entry(name.to_owned()).or_insert(made)))
    }

    /// The secret of a backend's own login.
    fn login(&self, reference: &CredentialRef, chain: &[&str]) -> Result<SecretValue, String> {
        let placement = self.credentials.get(reference).map(|c| c.placement(self.environment)).unwrap_or_default();
        let name = placement.backend.unwrap_or_else(|| self.default_backend.clone());
        let backend = self.make(&name, chain).map_err(|e| e.to_string())?;
        let prefix = self.backends.get(&name).and_then(|b| b.prefix.as_deref()).unwrap_or("");
        let location = placement.location.unwrap_or_else(|| prefixed(prefix, &backend.default_location(reference)));
        let request = ReadRequest { reference: reference.clone(), location, version: VersionRequest::Current };
        let answer = self.read_from(&name, &*backend, &[request]).pop();
        answer.map_or_else(|| Err("no answer".to_owned()), |a| a.map(|r| r.value).map_err(|e| e.why))
    }

    fn made(&self) -> std::sync::MutexGuard<'_, HashMap<String, Arc<dyn Backend>>> {
        self.made.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn kind_of(&self, name: &str) -> Result<&'static registry::BackendKind, ConfigError> {
        let own: Vec<&str> = self.backends.keys().map(String::as_str).collect();
        match self.backends.get(name) {
            Some(item) => registry::kind(&item.kind).ok_or_else(|| registry::unknown(&item.kind, &[])),
            None => registry::kind(name).ok_or_else(|| registry::unknown(name, &own)),
        }
    }

    fn prepare(&self, query: &Query) -> Result<(String, Arc<dyn Backend>, ReadRequest), ResolveError> {
        self.permitted(&query.reference)?;
        let place = self.place(&query.reference)?;
        let backend = self.backend(&place.backend).map_err(|e| e.for_reference(&query.reference))?;
        let location = match &query.field {
            Some(field) => format!("{}#{field}", split_location(&place.location).0),
            None => place.location,
        };
        let request = ReadRequest { reference: query.reference.clone(), location, version: query.version.clone() };
        Ok((place.backend, backend, request))
    }

    fn read_from(
        &self,
        name: &str,
        backend: &dyn Backend,
        requests: &[ReadRequest],
    ) -> Vec<Result<Resolved, BackendError>> {
        let keys: Vec<Key> = requests.iter().map(|request| Key::new(name, request)).collect();
        let retry = match self.backends.get(name).and_then(|b| b.attempts) {
            Some(attempts) => Retry { attempts: u32::from(attempts), ..self.policy.retry },
            None => self.policy.retry,
        };
        let read = |wanted: &[ReadRequest]| retry.read(backend, wanted, &self.context);
        self.flights.read(&keys, requests, &*self.context.clock, self.policy.remember_failure, &read)
    }
}

impl std::fmt::Debug for Resolver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Resolver").field("environment", &self.environment).finish_non_exhaustive()
    }
}

/// A backend and what is asked of it, each with its place among the queries.
type Group = (Arc<dyn Backend>, Vec<(usize, ReadRequest)>);

/// A default location after the prefix of the settings; a `/` is put between two words.
fn prefixed(prefix: &str, location: &str) -> String {
    let needs_slash = prefix.bytes().last().is_some_and(|b| b.is_ascii_alphanumeric());
    format!("{prefix}{}{location}", if needs_slash { "/" } else { "" })
}
