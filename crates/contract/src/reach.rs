use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// From where in a repository something in its history can be reached: whether it is still in use, and what must be
/// done for it to be gone.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub struct Reach {
    /// The strongest way in which it can be reached.
    pub from: ReachedFrom,
    /// Refs that it can be reached from in this way, by the name that git prints: at most [`Reach::MAX_REFS`]. For
    /// `branch-tip` the branches whose tips have it, `HEAD` if what is checked out is on no branch; for a stash an entry
    /// such as `stash@{0}`; for the reflog the ref whose log it is. Otherwise one that leads to it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refs: Vec<String>,
    /// For `branch-tip`, how many branches have it in their tip; 0 otherwise.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub branches: u32,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde asks for")]
fn is_zero(count: &u32) -> bool {
    *count == 0
}

/// The ways in which something in a history can be reached, strongest first: what is said is the first that holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ReachedFrom {
    /// It is in the tip of a branch, local or remote-tracking, or in what a working tree has checked out.
    BranchTip,
    /// It is in the history of a branch and in no tip.
    BranchHistory,
    /// Only tags lead to it, and what follows here.
    Tag,
    /// Refs of pull or merge requests lead to it, no branch and no tag.
    PullRequest,
    /// Another ref leads to it, such as one of `refs/notes/` or `refs/replace/`.
    OtherRef,
    /// Only a stash leads to it.
    Stash,
    /// It is staged for the next commit.
    Staged,
    /// Only a reflog remembers it.
    Reflog,
    /// Nothing leads to it: git removes it when it next cleans up.
    Unreachable,
}

impl ReachedFrom {
    /// The name in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            ReachedFrom::BranchTip => "branch-tip",
            ReachedFrom::BranchHistory => "branch-history",
            ReachedFrom::Tag => "tag",
            ReachedFrom::PullRequest => "pull-request",
            ReachedFrom::OtherRef => "other-ref",
            ReachedFrom::Stash => "stash",
            ReachedFrom::Staged => "staged",
            ReachedFrom::Reflog => "reflog",
            ReachedFrom::Unreachable => "unreachable",
        }
    }
}

impl Reach {
    /// How many refs are named.
    pub const MAX_REFS: usize = 3;

    /// Reached in this way, with no ref to name.
    pub fn new(from: ReachedFrom) -> Self {
        Reach { from, refs: Vec::new(), branches: 0 }
    }

    /// Reached in this way from a ref.
    pub fn by(from: ReachedFrom, name: impl Into<String>) -> Self {
        Reach { from, refs: vec![name.into()], branches: 0 }
    }

    /// What must be done for it to be gone from this repository's history, once the secret is revoked: a sentence or two.
    pub fn remedy(&self) -> String {
        let named = |what: &str| self.refs.first().map_or_else(|| what.to_owned(), |name| format!("{what}{name}"));
        match self.from {
            ReachedFrom::BranchTip => format!(
                "It is still in {}: take it out there, then rewrite the history, for earlier commits keep it.",
                self.names()
            ),
            ReachedFrom::BranchHistory => format!(
                "The history of {} has it, though no branch's tip: rewrite that history, for whoever clones gets it.",
                self.names()
            ),
            ReachedFrom::Tag => {
                format!(
                    "In the history, only {} leads to it: delete the tag, here and where it was pushed.",
                    named("tag ")
                )
            }
            ReachedFrom::PullRequest => {
                format!("In the history, only {} leads to it: no push removes that, ask the host to.", named(""))
            }
            ReachedFrom::OtherRef => {
                format!("In the history, only {} leads to it: delete or rewrite that ref.", named(""))
            }
            ReachedFrom::Stash => {
                format!("In the history, only a stash holds it: {}.", named("git stash drop "))
            }
            ReachedFrom::Staged => "In the history, it is only staged: unstage it, then git gc --prune=now.".to_owned(),
            ReachedFrom::Reflog => format!(
                "In the history, only {} holds it, so nothing need be rewritten: git reflog expire --expire=now --all, \
                 then git gc --prune=now. If it was ever pushed, others have it.",
                named("the reflog of ")
            ),
            ReachedFrom::Unreachable => "In the history, nothing leads to it, so nothing need be rewritten: \
                git gc --prune=now. If it was ever pushed, others have it."
                .to_owned(),
        }
    }

    /// The refs that are named, and how many more there are.
    fn names(&self) -> String {
        let more = (self.branches as usize).saturating_sub(self.refs.len());
        match (self.refs.is_empty(), more) {
            (true, _) => "a branch".to_owned(),
            (false, 0) => self.refs.join(", "),
            (false, _) => format!("{} and {more} more", self.refs.join(", ")),
        }
    }
}

/// In a few words: `still in main`, `only in the reflog of HEAD`.
impl fmt::Display for Reach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let of = |what: &str| self.refs.first().map_or_else(|| what.to_owned(), |name| format!("{what} {name}"));
        match self.from {
            ReachedFrom::BranchTip => write!(f, "still in {}", self.names()),
            ReachedFrom::BranchHistory => write!(f, "in the history of {}", self.names()),
            ReachedFrom::Tag => f.write_str(&of("only from tag")),
            ReachedFrom::PullRequest | ReachedFrom::OtherRef => f.write_str(&of("only from")),
            ReachedFrom::Stash => f.write_str(&of("only in")),
            ReachedFrom::Staged => f.write_str("staged"),
            ReachedFrom::Reflog if self.refs.is_empty() => f.write_str("only in the reflog"),
            ReachedFrom::Reflog => f.write_str(&of("only in the reflog of")),
            ReachedFrom::Unreachable => f.write_str("unreachable, git gc removes it"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_strongest_way_comes_first() {
        assert!(ReachedFrom::BranchTip < ReachedFrom::BranchHistory && ReachedFrom::Reflog < ReachedFrom::Unreachable);
    }

    #[test]
    fn a_reach_reads_as_a_phrase() {
        let tip = Reach { from: ReachedFrom::BranchTip, refs: vec!["main".into(), "origin/main".into()], branches: 5 };
        assert_eq!(tip.to_string(), "still in main, origin/main and 3 more");
        assert_eq!(Reach::by(ReachedFrom::Tag, "v1").to_string(), "only from tag v1");
        assert_eq!(Reach::by(ReachedFrom::Stash, "stash@{0}").to_string(), "only in stash@{0}");
        assert_eq!(Reach::by(ReachedFrom::PullRequest, "pull/7/head").to_string(), "only from pull/7/head");
        assert_eq!(Reach::new(ReachedFrom::Unreachable).to_string(), "unreachable, git gc removes it");
        let json = serde_json::to_string(&Reach::by(ReachedFrom::Reflog, "HEAD")).expect("serialises");
        assert_eq!(json, r#"{"from":"reflog","refs":["HEAD"]}"#);
    }
}
