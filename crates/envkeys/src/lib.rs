//! Environment keys: dotenv dialects, key schema, template classification, deployment files, code usage
//! (ENV-1 to ENV-4).
//!
//! The crate owns what a variable's name and value mean where: in a dotenv file as each of four readers takes it
//! ([`dotenv`]), in compose files, manifests and workflows ([`deploy`]), in code ([`usage`]), and in the contract's key
//! schema. It walks no directories and runs nothing: files come through a [`FileTree`](custody_contract::FileTree), secret
//! material is told by a [`SecretRecogniser`](custody_contract::SecretRecogniser). No message shows a value.

mod check;
pub mod deploy;
pub mod dotenv;
mod files;
mod key;
mod template;
pub mod usage;
mod write;

pub use check::{EnvCheck, EnvOutcome, check};
pub use key::{Breach, is_secret_name, validate};
pub use template::{Class, Harmless, Setting, Unsafe, classify};
pub use write::{example, markdown};
