//! For tests only: planted repositories, fake secrets that are assembled at run time, and the canary that searches
//! every output for them.
//!
//! Nothing here is published or linked into the binary.

mod canary;
mod command;
mod fake;
mod repository;
pub mod servers;

pub use canary::Canary;
pub use command::{Run, custody};
pub use fake::Fake;
pub use repository::Repository;
