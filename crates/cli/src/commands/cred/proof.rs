//! The read-only proof of a credential (CRED-3), as lists show it.

use std::path::Path;

use custody_contract::CredentialRef;
use custody_credential::prove::{DEFAULT_DIRECTORY, ProofState, read_proof};
use jiff::Timestamp;

/// What is known of a credential's permissions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proof {
    /// It is proven to read only, and the proof counts.
    ReadOnly,
    /// Nobody has looked.
    None,
    /// The proof has run out.
    Expired,
    /// It was looked at and is not proven.
    Refused,
    /// There is a proof that cannot be used.
    Unusable,
}

impl Proof {
    /// The word in tables.
    pub fn as_str(self) -> &'static str {
        match self {
            Proof::ReadOnly => "proven",
            Proof::None => "not proven",
            Proof::Expired => "expired",
            Proof::Refused => "not read-only",
            Proof::Unusable => "unusable proof",
        }
    }
}

/// The stored proof of a credential.
pub fn of(reference: &CredentialRef) -> Proof {
    match read_proof(Path::new(DEFAULT_DIRECTORY), reference, Timestamp::now()) {
        ProofState::Valid(_) => Proof::ReadOnly,
        ProofState::Missing => Proof::None,
        ProofState::Expired(_) => Proof::Expired,
        ProofState::NotProven(_) => Proof::Refused,
        ProofState::Unusable(_) => Proof::Unusable,
    }
}
