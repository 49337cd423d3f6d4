//! The read-only proof of a credential (CRED-3), as far as lists show it.

use custody_contract::CredentialRef;

/// What is known of a credential's permissions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proof {
    /// Nobody has looked.
    None,
}

impl Proof {
    /// The word in tables.
    pub fn as_str(self) -> &'static str {
        match self {
            Proof::None => "not proven",
        }
    }
}

/// The stored proof of a credential.
pub fn of(_: &CredentialRef) -> Proof {
    Proof::None
}
