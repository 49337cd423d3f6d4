//! What a change is measured against.
//!
//! A change must not be able to approve itself, so contract, waivers, baseline, own rules and inline allowances come from
//! the revision that the change is to go into. Not from where it began: its author chooses that, and could choose a commit
//! from before a waiver was withdrawn. CI systems say which revision that is; where they do and it is not in the clone,
//! that is an error, never a reason to trust the working tree.

mod detect;

use std::path::Path;

use custody_scan::source::{BaseTree, SourceError};

use crate::input::BaseProblem;

pub use detect::{ci_system, detect_base};

/// Which revision a change is measured against.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BaseSpec {
    /// Names of the revision, best first: a commit id, then branches that hold it.
    pub revisions: Vec<String>,
    /// How the base follows from it.
    pub reach: Reach,
    /// What named it, for messages: `GitHub Actions`, `--base`.
    pub from: &'static str,
    /// How its commits get into the clone there.
    pub fix: &'static str,
}

/// How the base follows from the revision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// It is the revision: what a push replaced.
    Exact,
    /// It is the revision that the change is to go into; what the change does is told from their best common ancestor on.
    MergeBase,
}

impl BaseSpec {
    /// The base that the user named.
    pub fn named(revision: impl Into<String>) -> Self {
        BaseSpec {
            revisions: vec![revision.into()],
            reach: Reach::MergeBase,
            from: "--base",
            fix: "fetch it (git fetch --unshallow, or fetch-depth: 0 in CI)",
        }
    }
}

/// What a change is measured against.
pub struct Base {
    target: BaseTree,
    /// Where the change began, if that is another commit.
    began: Option<BaseTree>,
}

impl Base {
    /// The revision whose contract, waivers, baseline, rules and allowances are in force.
    pub fn in_force(&self) -> &BaseTree {
        &self.target
    }

    /// Where the change began: what differs from it, the change did.
    pub(crate) fn began(&self) -> &BaseTree {
        self.began.as_ref().unwrap_or(&self.target)
    }

    /// Whether the target has moved on since the change began.
    pub(crate) fn has_moved_on(&self) -> bool {
        self.began.is_some()
    }
}

/// Opens the base.
///
/// # Errors
///
/// [`BaseProblem`] with the first name's error, where none of the names can be used.
pub fn open_base(root: &Path, spec: &BaseSpec) -> Result<Base, BaseProblem> {
    let mut first: Option<(String, SourceError)> = None;
    for revision in &spec.revisions {
        match open(root, revision, spec.reach) {
            Ok(base) => return Ok(base),
            Err(error) => {
                first.get_or_insert((revision.clone(), error));
            }
        }
    }
    let (revision, why) = match first {
        Some((revision, error)) => (revision, error.to_string()),
        None => (String::new(), "no revision was named".into()),
    };
    // The revision comes from the environment; it may hold anything.
    let revision = revision.escape_default().take(200).collect();
    Err(BaseProblem { revision, from: spec.from, why, fix: spec.fix })
}

fn open(root: &Path, revision: &str, reach: Reach) -> Result<Base, SourceError> {
    let target = BaseTree::open(root, revision)?;
    let began = match reach {
        Reach::Exact => None,
        Reach::MergeBase => Some(BaseTree::at_merge_base(root, revision)?).filter(|b| b.commit() != target.commit()),
    };
    Ok(Base { target, began })
}

#[cfg(test)]
mod tests {
    use custody_testkit::Repository;

    use super::*;

    #[test]
    fn what_the_change_goes_into_is_in_force_and_what_it_does_counts_from_where_it_began() {
        let repository = Repository::new();
        repository.write("a", "1");
        let began = repository.commit("one");
        repository.git(["checkout", "--quiet", "-b", "change"]);
        repository.write("a", "2");
        repository.commit("two");
        repository.git(["checkout", "--quiet", "main"]);
        repository.write("b", "3");
        let target = repository.commit("three");
        repository.git(["checkout", "--quiet", "change"]);
        let base = open_base(repository.root(), &BaseSpec::named("main")).expect("opens");
        assert_eq!((base.in_force().commit(), base.began().commit()), (target, began));
    }

    #[test]
    fn the_next_name_is_tried_where_one_is_unknown() {
        let repository = Repository::new();
        let commit = repository.commit("one");
        let spec = BaseSpec { revisions: vec!["origin/nowhere".into(), "main".into()], ..BaseSpec::named("") };
        assert_eq!(open_base(repository.root(), &spec).expect("opens").in_force().commit(), commit);
    }

    #[test]
    fn a_base_that_the_clone_lacks_is_an_error_with_a_fix() {
        let origin = Repository::new();
        origin.write("a", "1");
        let old = origin.commit("one");
        origin.write("a", "2");
        origin.commit("two");
        let clone = Repository::without_git();
        let url = format!("file://{}", origin.root().display());
        clone.git(["clone", "--quiet", "--depth", "1", url.as_str(), "here"]);
        let variables = [("GITLAB_CI", "true"), ("CI_MERGE_REQUEST_DIFF_BASE_SHA", old.as_str())];
        let spec = detect_base(&|name| variables.iter().find(|v| v.0 == name).map(|v| v.1.to_owned())).expect("named");
        let problem =
            open_base(&clone.path("here"), &spec).map(|b| b.in_force().commit()).expect_err("not fetched").to_string();
        assert!(problem.contains("GIT_DEPTH: 0") && problem.contains("GitLab CI"), "{problem}");
        let problem =
            open_base(&clone.path("here"), &BaseSpec::named("nowhere\u{1b}[31m")).map(|b| b.in_force().commit());
        assert!(!problem.expect_err("unknown").to_string().contains('\u{1b}'));
    }
}
