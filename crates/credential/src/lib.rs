//! Credential references resolve here: backends, resolution, injection, masking and the read-only proof.
//!
//! Code and configuration hold `cred://provider/scope…/access` (CRED-2, CRED-4); this crate turns the reference into
//! a [`SecretValue`] at run time, read-only, from a secret manager (ENV-4), in the process that needs it.
//!
//! ```
//! use custody_contract::{Contract, CredentialRef, Environment};
//! use custody_credential::{Context, Resolver};
//!
//! # let context = Context::process(".").with_variables(std::collections::BTreeMap::from([
//! #     ("FICECAL_CREDENTIALS_BACKEND".to_owned(), "environment".to_owned()),
//! #     ("AWS_LOCAL_READONLY".to_owned(), "swordfish".to_owned()),
//! # ]));
//! # /*
//! let context = Context::process(".");
//! # */
//! let resolver = Resolver::new(&Contract::builtin(), Environment::Local, context)?;
//! let reference = CredentialRef::parse("cred://aws/local/readonly")?;
//! match resolver.resolve(&[reference]).remove(0) {
//!     Ok(secret) => assert_eq!(secret.value.expose(), b"swordfish"),
//!     Err(error) => eprintln!("{error}\n  fix: {}", error.fix()),
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! What is not here: who may ask and what is recorded of it. The caller records each answer in the audit log.

mod audit_keys;
pub mod backend;
mod context;
#[cfg(target_os = "linux")]
pub mod inject;
#[cfg(not(target_os = "linux"))]
#[path = "inject/elsewhere.rs"]
pub mod inject;
pub mod mask;
mod plan;
mod process;
mod program;
pub mod prove;
mod registry;
mod resolve;
mod secret;
mod setup;
mod terminal;
mod wiping;

pub use audit_keys::StoreKeys;
pub use context::{
    Clock, Context, NoPrompt, ProcessVariables, Prompt, Randomness, SystemClock, SystemRandomness, Variables,
};
pub use plan::{Injection, Plan, PlanFault, PlanProblem, plan};
pub use process::protect_process;
pub use registry::{BackendKind, kind, kinds};
pub use resolve::{
    BACKEND_VARIABLE, DEFAULT_KIND, ENDPOINT_VARIABLE, FailureKind, Place, Policy, Query, Registration, ResolveError,
    Resolver, Retry,
};
pub use secret::SecretValue;
pub use setup::{Bootstrap, ConfigError, Setup};
pub use terminal::TerminalPrompt;
pub use wiping::WipingAllocator;
