//! What a change is measured against.
//!
//! A change must not be able to approve itself, so contract, waivers, baseline, own rules and inline allowances come from
//! the revision that the change starts from. CI systems say which that is; where they do and it is not in the clone, that
//! is an error, never a reason to trust the working tree.

mod detect;

use std::path::Path;

use custody_scan::source::{BaseTree, SourceError};

use crate::input::BaseProblem;

pub use detect::detect_base;

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
    /// It is where the change began: the best common ancestor of the revision and `HEAD`.
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

/// Opens the base.
///
/// # Errors
///
/// [`BaseProblem`] with the first name's error, where none of the names can be used.
pub fn open_base(root: &Path, spec: &BaseSpec) -> Result<BaseTree, BaseProblem> {
    let mut first: Option<(String, SourceError)> = None;
    for revision in &spec.revisions {
        let opened = match spec.reach {
            Reach::Exact => BaseTree::open(root, revision),
            Reach::MergeBase => BaseTree::at_merge_base(root, revision),
        };
        match opened {
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

#[cfg(test)]
mod tests {
    use custody_testkit::Repository;

    use super::*;

    #[test]
    fn the_base_is_where_the_change_began() {
        let repository = Repository::new();
        repository.write("a", "1");
        let began = repository.commit("one");
        repository.git(["checkout", "--quiet", "-b", "change"]);
        repository.write("a", "2");
        repository.commit("two");
        repository.git(["checkout", "--quiet", "main"]);
        repository.write("b", "3");
        repository.commit("three");
        repository.git(["checkout", "--quiet", "change"]);
        let base = open_base(repository.root(), &BaseSpec::named("main")).expect("opens");
        assert_eq!(base.commit(), began);
    }

    #[test]
    fn the_next_name_is_tried_where_one_is_unknown() {
        let repository = Repository::new();
        let commit = repository.commit("one");
        let spec = BaseSpec { revisions: vec!["origin/nowhere".into(), "main".into()], ..BaseSpec::named("") };
        assert_eq!(open_base(repository.root(), &spec).expect("opens").commit(), commit);
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
        let problem = open_base(&clone.path("here"), &spec).map(|b| b.commit()).expect_err("not fetched").to_string();
        assert!(problem.contains("GIT_DEPTH: 0") && problem.contains("GitLab CI"), "{problem}");
        let problem = open_base(&clone.path("here"), &BaseSpec::named("nowhere\u{1b}[31m")).map(|b| b.commit());
        assert!(!problem.expect_err("unknown").to_string().contains('\u{1b}'));
    }
}
