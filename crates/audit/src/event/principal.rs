//! Who did it: what the system says of the process, and what a CI job says of itself.

use serde::{Deserialize, Serialize};

use super::Text;

/// What kind of caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum PrincipalKind {
    /// A person at this machine.
    User,
    /// A job of a CI system.
    Ci,
    /// A program that serves others.
    Service,
}

/// Who did it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Principal {
    /// What kind of caller.
    pub kind: PrincipalKind,
    /// The user's name, where the system knows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The real user id; the system vouches for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<u32>,
    /// The process.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid: Option<u32>,
    /// The host's name, where the contract wants it recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// The CI job.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ci: Option<CiIdentity>,
}

/// What a CI job says of itself, from its environment: claimed, not proven.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CiIdentity {
    /// `github`, `gitlab`, …
    pub system: String,
    /// The repository or project.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repository: Option<String>,
    /// The git reference that it runs for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub git_ref: Option<String>,
    /// The run or job.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    /// Who started it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
}

/// A CI system and the variables in which it says: is it there, repository, ref, run, actor.
const CI_SYSTEMS: [(&str, [&str; 5]); 6] = [
    ("github", ["GITHUB_ACTIONS", "GITHUB_REPOSITORY", "GITHUB_REF", "GITHUB_RUN_ID", "GITHUB_ACTOR"]),
    ("gitlab", ["GITLAB_CI", "CI_PROJECT_PATH", "CI_COMMIT_REF_NAME", "CI_JOB_ID", "GITLAB_USER_LOGIN"]),
    ("circleci", ["CIRCLECI", "CIRCLE_PROJECT_REPONAME", "CIRCLE_BRANCH", "CIRCLE_BUILD_NUM", "CIRCLE_USERNAME"]),
    (
        "buildkite",
        ["BUILDKITE", "BUILDKITE_PIPELINE_SLUG", "BUILDKITE_BRANCH", "BUILDKITE_JOB_ID", "BUILDKITE_BUILD_CREATOR"],
    ),
    (
        "azure-pipelines",
        ["TF_BUILD", "BUILD_REPOSITORY_NAME", "BUILD_SOURCEBRANCH", "BUILD_BUILDID", "BUILD_REQUESTEDFOR"],
    ),
    ("jenkins", ["JENKINS_URL", "JOB_NAME", "GIT_BRANCH", "BUILD_NUMBER", "CHANGE_AUTHOR"]),
];

impl Principal {
    /// This process: its real user and its number.
    pub fn current() -> Self {
        let uid = uid();
        Principal {
            kind: PrincipalKind::User,
            name: uid.and_then(user_name),
            uid,
            pid: Some(std::process::id()),
            host: None,
            ci: None,
        }
    }

    /// This process, and the CI job that it runs in, as far as `variable` tells.
    pub fn detect(variable: impl Fn(&str) -> Option<String>) -> Self {
        let mut principal = Self::current();
        principal.ci = CiIdentity::detect(variable);
        if principal.ci.is_some() {
            principal.kind = PrincipalKind::Ci;
        }
        principal
    }

    /// Says on which host.
    #[must_use]
    pub fn on_host(mut self, host: &str) -> Self {
        self.host = Some(Text::new(host).to_string());
        self
    }

    /// A line for tables: the job, else the user.
    pub fn label(&self) -> String {
        match (&self.ci, &self.name, self.uid) {
            (Some(ci), ..) => match &ci.repository {
                Some(repository) => format!("{}:{repository}", ci.system),
                None => ci.system.clone(),
            },
            (None, Some(name), _) => name.clone(),
            (None, None, Some(uid)) => format!("uid {uid}"),
            (None, None, None) => "?".to_owned(),
        }
    }
}

impl CiIdentity {
    /// The job, if `variable` tells of one.
    pub fn detect(variable: impl Fn(&str) -> Option<String>) -> Option<Self> {
        let said = |name: &str| variable(name).filter(|value| !value.is_empty());
        let (system, [_, repository, git_ref, run, actor]) =
            CI_SYSTEMS.iter().find(|(_, [present, ..])| said(present).is_some())?;
        let text = |name: &str| said(name).map(|value| Text::new(&value).to_string());
        Some(CiIdentity {
            system: (*system).to_owned(),
            repository: text(repository),
            git_ref: text(git_ref),
            run: text(run),
            actor: text(actor),
        })
    }
}

#[cfg(unix)]
fn uid() -> Option<u32> {
    Some(rustix::process::getuid().as_raw())
}

#[cfg(not(unix))]
fn uid() -> Option<u32> {
    None
}

/// The name of a local user. Directories of users (LDAP) are not asked: that would load libraries and use the network.
fn user_name(uid: u32) -> Option<String> {
    use std::io::Read as _;
    const LIMIT_BYTES: u64 = 1 << 20;
    let mut users = String::new();
    std::fs::File::open("/etc/passwd").ok()?.take(LIMIT_BYTES).read_to_string(&mut users).ok()?;
    users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(uid)).then(|| Text::new(name).to_string())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_is_known_by_what_its_environment_says() {
        let variable = |name: &str| {
            let value = match name {
                "GITLAB_CI" => "true",
                "CI_PROJECT_PATH" => "finops/api",
                "CI_JOB_ID" => "12",
                "GITLAB_USER_LOGIN" => "dev\n",
                _ => return None,
            };
            Some(value.to_owned())
        };
        let principal = Principal::detect(variable);
        let ci = principal.ci.clone().expect("a job");
        assert_eq!((principal.kind, principal.label().as_str()), (PrincipalKind::Ci, "gitlab:finops/api"));
        assert_eq!((ci.run.as_deref(), ci.git_ref, ci.actor.as_deref()), (Some("12"), None, Some("dev\\u{a}")));
    }

    #[test]
    fn without_a_job_it_is_the_user_of_the_process() {
        let principal = Principal::detect(|_| None);
        assert_eq!((principal.kind, principal.pid), (PrincipalKind::User, Some(std::process::id())));
    }
}
