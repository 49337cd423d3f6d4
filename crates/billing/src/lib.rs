//! Billing requests, canonical handoffs and fixture packs, held to the contract (CRED-1 to CRED-4 in requests,
//! BILL-1 to BILL-3, VAL-1).
//!
//! [`BillingCheck`] takes bytes or a [`FileTree`](custody_contract::FileTree) and says what is wrong, all of it in one
//! run, each with line, column and JSON pointer, as a [`Problem`] that is also a [`NormalisedError`]. It does no I/O,
//! resolves no credential, calls no provider. Nothing that it says holds a field's value.

mod adapter;
mod auth_fields;
mod check;
mod detect;
mod engine;
mod error;
mod evaluate;
mod ficecal;
mod fields;
mod flat;
mod handoff;
mod json;
mod pack;
mod plain;
mod problem;
mod request;
mod schema;
mod secrets;
mod stubs;
mod tree;

pub use adapter::{AdapterResolution, FALLBACK, InvalidResolutionMode, ResolutionMode, ToolHint};
pub use check::{BillingCheck, DocumentKind, DocumentOutcome, Mode};
pub use detect::{Detection, SecretDetector};
pub use error::{ErrorCode, NormalisedError, ProviderFailure};
pub use ficecal::{FicecalOutcome, ficecal_validate};
pub use handoff::{BillingHandoff, Canonical, MappingConfidence, Provenance, Scope};
pub use pack::{Pack, PackOutcome};
pub use problem::Problem;
pub use request::{IngestMode, NormalisedRequest, Period, RequestContext};
pub use schema::{handoff_schema, request_schema};
pub use tree::{BillingOutcome, merge_findings};
