//! The port to secret managers: one trait, one file a backend.

pub mod age;
mod age_files;
pub mod aws;
pub mod azure;
pub(crate) mod bearer;
pub mod bitwarden;
#[cfg(any(test, feature = "testing"))]
pub mod conformance;
pub mod doppler;
pub mod embedded;
pub mod environment;
mod error;
pub mod exec;
mod fault;
mod field;
pub mod file;
pub mod gcp;
pub(crate) mod grouped;
pub mod http;
pub mod infisical;
pub(crate) mod json;
pub mod kubernetes;
pub(crate) mod location;
pub(crate) mod network;
pub mod onepassword;
pub mod openbao;
pub(crate) mod parallel;
pub mod pass;
pub(crate) mod process;
pub mod resolver;
pub mod secret_service;
pub mod sops;
mod variables;

use std::time::Duration;

use custody_contract::CredentialRef;
use jiff::Timestamp;

use crate::SecretValue;

pub use error::{BackendError, ErrorKind};
pub use fault::Fault;
pub use field::{FieldError, select_field, split_location};
pub use variables::Variables;

/// Which version of a secret is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub enum VersionRequest {
    /// The one in force. Backends with stages ask for it explicitly (`AWSCURRENT`).
    #[default]
    Current,
    /// The one before it, where the backend keeps it.
    Previous,
    /// The one with this name or number, as the backend writes it.
    Exact(String),
}

/// One secret that is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ReadRequest {
    /// The reference that is being resolved; errors and audit records name it.
    pub reference: CredentialRef,
    /// Where it lies, in the backend's own notation, with an optional `#field`: `kv/finops/aws#access_key`.
    pub location: String,
    /// Which version.
    pub version: VersionRequest,
}

/// A secret and what is known of it.
#[derive(Debug)]
pub struct Resolved {
    /// The material.
    pub value: SecretValue,
    /// What is known of it besides.
    pub metadata: Metadata,
}

/// What may be said of a secret: nothing in it is secret.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Metadata {
    /// Name or number of the version, as the backend writes it.
    pub version: Option<String>,
    /// When this version was made.
    pub created: Option<Timestamp>,
    /// When it stops being valid.
    pub expires: Option<Timestamp>,
    /// The lease, for dynamic credentials.
    pub lease: Option<Lease>,
}

/// A credential that was made for this caller and ends by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// The backend's id of it. An id is context that would help someone to use the credential (ROT-2): keep it out of
    /// reports.
    pub id: String,
    /// How long it is valid from when it was given.
    pub duration: Duration,
    /// Whether it can be extended.
    pub is_renewable: bool,
}

/// What a backend can do beyond reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Capabilities {
    /// [`Backend::write`] works.
    pub write: bool,
    /// [`Backend::list`] works.
    pub list: bool,
    /// Versions other than the current one can be asked for.
    pub versions: bool,
    /// Several secrets are read in one exchange.
    pub batch: bool,
}

/// A secret manager. Implementations are safe to use from several threads at once.
pub trait Backend: Send + Sync {
    /// Its name in the contract file, in `FICECAL_CREDENTIALS_BACKEND` and in messages.
    fn name(&self) -> &'static str;

    /// What it can do.
    fn capabilities(&self) -> Capabilities;

    /// Where a reference lies for which the contract names no location, in the notation of [`ReadRequest::location`]
    /// and without the prefix of the settings: by default the reference's path, `provider/scope…/access`.
    fn default_location(&self, reference: &CredentialRef) -> String {
        reference.as_str()[CredentialRef::SCHEME.len()..].to_owned()
    }

    /// Reads secrets: one answer for each request, in their order.
    ///
    /// Each answer stands for itself: that one secret is missing says nothing of the others.
    fn read(&self, requests: &[ReadRequest]) -> Vec<Result<Resolved, BackendError>>;

    /// What is known of a secret without reading its value, where the backend can tell.
    ///
    /// # Errors
    /// As for reading; [`ErrorKind::Unsupported`] where it can only be told by reading.
    fn describe(&self, request: &ReadRequest) -> Result<Metadata, BackendError> {
        Err(BackendError::unsupported(self.name(), &request.reference, "describe a secret without reading it"))
    }

    /// Writes a new version; the answer tells which one it is.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] where the backend is only read.
    fn write(&self, request: &ReadRequest, value: &SecretValue) -> Result<Metadata, BackendError> {
        let _ = value;
        Err(BackendError::unsupported(self.name(), &request.reference, "write"))
    }

    /// Extends a lease; the answer is the lease as it is then.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] where nothing is leased; [`ErrorKind::NotFound`] where it has ended.
    fn renew(&self, reference: &CredentialRef, lease: &Lease) -> Result<Lease, BackendError> {
        let _ = lease;
        Err(BackendError::unsupported(self.name(), reference, "extend a lease"))
    }

    /// Ends a lease before its time: the credential stops working.
    ///
    /// # Errors
    /// As for [`Backend::renew`]; a lease that has ended already is no error.
    fn revoke(&self, reference: &CredentialRef, lease: &Lease) -> Result<(), BackendError> {
        let _ = lease;
        Err(BackendError::unsupported(self.name(), reference, "end a lease"))
    }

    /// Gives back what the backend took for itself, such as the token of its login and the leases under it. Called once,
    /// when nothing that was resolved is used any more.
    ///
    /// # Errors
    /// As for reading; what is left then ends by its own time.
    fn end(&self) -> Result<(), BackendError> {
        Ok(())
    }

    /// The locations below a prefix, in the notation of [`ReadRequest::location`].
    ///
    /// # Errors
    /// `None` where the backend cannot list; else as for reading.
    fn list(&self, prefix: &str) -> Option<Result<Vec<String>, BackendError>> {
        let _ = prefix;
        None
    }
}
