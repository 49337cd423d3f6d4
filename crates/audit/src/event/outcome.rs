//! What came of it.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};

/// What came of an action.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// It was done.
    Allowed,
    /// Somebody said no: custody, the contract or the backend.
    Denied(Class),
    /// It was to be done and could not be.
    Failed(Class),
}

impl Outcome {
    /// The names of outcomes.
    pub const NAMES: [&str; 3] = ["allowed", "denied", "failed"];

    /// The name in records and queries.
    pub fn as_str(self) -> &'static str {
        match self {
            Outcome::Allowed => "allowed",
            Outcome::Denied(_) => "denied",
            Outcome::Failed(_) => "failed",
        }
    }

    /// Why not.
    pub fn class(self) -> Option<Class> {
        match self {
            Outcome::Allowed => None,
            Outcome::Denied(class) | Outcome::Failed(class) => Some(class),
        }
    }
}

/// A name that no outcome has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no such outcome; there are allowed, denied, failed")]
pub struct UnknownOutcome;

macro_rules! classes {
    ($($(#[doc = $meaning:literal])+ $variant:ident $name:literal;)+) => {
        /// Why an action was denied or failed.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Class {
            $($(#[doc = $meaning])+ $variant,)+
        }

        impl Class {
            /// Every class.
            pub const ALL: &[Class] = &[$(Class::$variant,)+];

            /// The name in records and queries.
            pub fn as_str(self) -> &'static str {
                match self { $(Class::$variant => $name,)+ }
            }
        }
    };
}

classes! {
    /// There is no such credential or version.
    NotFound "not-found";
    /// The backend knows the caller and says no.
    Denied "denied";
    /// The backend does not know the caller.
    Unauthenticated "unauthenticated";
    /// Too many requests.
    RateLimited "rate-limited";
    /// The backend cannot be reached or does not answer in time.
    Unreachable "unreachable";
    /// The answer is not what the protocol promises.
    Malformed "malformed";
    /// The store is locked.
    Sealed "sealed";
    /// The backend cannot do this.
    Unsupported "unsupported";
    /// Settings are wrong or missing.
    Configuration "configuration";
    /// The contract forbids it.
    Policy "policy";
    /// The credential is not proven read-only where it has to be (CRED-3).
    NotReadOnly "not-read-only";
    /// A raw value stands where a reference is wanted.
    RawValue "raw-value";
    /// The person did not confirm, or there is no terminal to ask at.
    NotConfirmed "not-confirmed";
    /// The credential or its lease is past its time.
    Expired "expired";
    /// The command that was to get the material could not be started.
    NotStarted "not-started";
    /// A fault of custody itself.
    Internal "internal";
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A name that no class has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no such class of denial or failure")]
pub struct UnknownClass;

impl FromStr for Class {
    type Err = UnknownClass;

    fn from_str(name: &str) -> Result<Self, UnknownClass> {
        Class::ALL.iter().copied().find(|class| class.as_str() == name).ok_or(UnknownClass)
    }
}

impl Serialize for Class {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}
