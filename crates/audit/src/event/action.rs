//! Every event name there is, in one place: what it means, and its class of activity in OCSF.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};

macro_rules! actions {
    ($($(#[doc = $meaning:literal])+ $variant:ident $name:literal $activity:ident;)+) => {
        /// What was done, or asked for.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Action {
            $($(#[doc = $meaning])+ $variant,)+
        }

        impl Action {
            /// Every action, in the order of the documentation.
            pub const ALL: &[Action] = &[$(Action::$variant,)+];

            /// The name in records, queries and exports.
            pub fn as_str(self) -> &'static str {
                match self { $(Action::$variant => $name,)+ }
            }

            /// What it means, in a sentence.
            pub fn meaning(self) -> &'static str {
                match self { $(Action::$variant => concat!($($meaning,)+).trim_ascii(),)+ }
            }

            pub(crate) fn activity(self) -> Activity {
                match self { $(Action::$variant => Activity::$activity,)+ }
            }
        }
    };
}

/// `activity_id` of OCSF's API Activity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Activity {
    Create = 1,
    Read = 2,
    Update = 3,
    Delete = 4,
    Other = 99,
}

actions! {
    /// Secret material was put into a backend.
    Put "put" Create;
    /// A reference was resolved for an authorised caller.
    Resolve "resolve" Read;
    /// Secret material was shown to a person.
    Reveal "reveal" Read;
    /// Resolved material was given to a child process.
    Inject "inject" Read;
    /// Metadata of a credential was read.
    Describe "describe" Read;
    /// Credentials were listed.
    List "list" Read;
    /// Secret material was replaced by a new version.
    Rotate "rotate" Update;
    /// A credential or one of its versions was deleted.
    Delete "delete" Delete;
    /// A credential was tested for being read-only.
    Prove "prove" Read;
    /// Values of a file were moved into a backend.
    Import "import" Create;
    /// A lease was extended.
    Renew "renew" Update;
    /// A lease or a credential was revoked.
    Revoke "revoke" Delete;
    /// Output of a child process held secret material and was masked.
    Mask "mask" Other;
    /// A store was unlocked.
    Unseal "unseal" Other;
    /// A store was locked.
    Seal "seal" Other;
    /// A store was encrypted under another key.
    Rekey "rekey" Update;
    /// A backup of a store was written.
    Backup "backup" Read;
    /// A store was restored from a backup.
    Restore "restore" Create;
    /// Access was asked for, to be granted by somebody else.
    Request "request" Other;
    /// Access was granted.
    Grant "grant" Update;
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A name that no action has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no such action; there are {}", names())]
pub struct UnknownAction;

fn names() -> String {
    Action::ALL.iter().map(|action| action.as_str()).collect::<Vec<_>>().join(", ")
}

impl FromStr for Action {
    type Err = UnknownAction;

    fn from_str(name: &str) -> Result<Self, UnknownAction> {
        Action::ALL.iter().copied().find(|action| action.as_str() == name).ok_or(UnknownAction)
    }
}

impl Serialize for Action {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_action_has_a_name_of_its_own_and_a_meaning() {
        for action in Action::ALL {
            assert_eq!(action.as_str().parse(), Ok(*action));
            assert!(action.meaning().ends_with('.'), "{action}");
        }
        assert!("steal".parse::<Action>().expect_err("none").to_string().contains("reveal"));
    }
}
