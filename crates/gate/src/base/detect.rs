//! What CI systems say about the base of a change, from their documented variables.

use std::io::Read as _;

use super::{BaseSpec, Reach};

type Variables<'a> = &'a dyn Fn(&str) -> Option<String>;

/// An event payload that is larger is not read.
const MAX_EVENT_BYTES: u64 = 32 << 20;

/// The base of the change that a CI system builds; `None` outside CI and for builds of no change (a schedule, a tag, the
/// first push of a repository).
pub fn detect_base(env: &dyn Fn(&str) -> Option<String>) -> Option<BaseSpec> {
    let env: Variables<'_> = &|name| env(name).map(|v| v.trim().to_owned()).filter(|v| !v.is_empty());
    let systems: [fn(Variables<'_>) -> Option<BaseSpec>; 11] =
        [github, gitlab, bitbucket, azure, buildkite, drone, travis, woodpecker, appveyor, jenkins, circle];
    systems.into_iter().find_map(|system| system(env))
}

/// The CI system that runs this, of those that [`detect_base`] knows.
pub fn ci_system(env: &dyn Fn(&str) -> Option<String>) -> Option<&'static str> {
    const SYSTEMS: [(&str, &str); 13] = [
        ("FORGEJO_ACTIONS", "Forgejo Actions"),
        ("GITEA_ACTIONS", "Gitea Actions"),
        ("GITHUB_ACTIONS", "GitHub Actions"),
        ("GITLAB_CI", "GitLab CI"),
        ("BITBUCKET_BUILD_NUMBER", "Bitbucket Pipelines"),
        ("TF_BUILD", "Azure Pipelines"),
        ("BUILDKITE", "Buildkite"),
        ("CIRCLECI", "CircleCI"),
        ("DRONE", "Drone"),
        ("TRAVIS", "Travis CI"),
        ("APPVEYOR", "AppVeyor"),
        ("JENKINS_URL", "Jenkins"),
        ("CI", "a CI system"),
    ];
    let set = |name: &str| env(name).is_some_and(|v| !v.trim().is_empty() && !v.eq_ignore_ascii_case("false"));
    SYSTEMS.iter().find(|(variable, _)| set(variable)).map(|(_, name)| *name)
}

fn spec(from: &'static str, fix: &'static str, reach: Reach, revisions: Vec<Option<String>>) -> Option<BaseSpec> {
    let mut revisions: Vec<String> = revisions.into_iter().flatten().collect();
    revisions.dedup();
    (!revisions.is_empty()).then_some(BaseSpec { revisions, reach, from, fix })
}

fn is(env: Variables<'_>, name: &str, value: &str) -> bool {
    env(name).is_some_and(|v| v.eq_ignore_ascii_case(value))
}

/// A branch of the target as a clone knows it.
fn remote(branch: String) -> String {
    let branch = branch.strip_prefix("refs/heads/").unwrap_or(&branch);
    format!("refs/remotes/origin/{branch}")
}

/// A commit id that is not all zeros, which stands for "there was none".
fn commit(id: String) -> Option<String> {
    (!id.is_empty() && id.bytes().all(|b| b.is_ascii_hexdigit()) && id.bytes().any(|b| b != b'0')).then_some(id)
}

/// GitHub Actions, and Gitea and Forgejo Actions, which set the same variables.
fn github(env: Variables<'_>) -> Option<BaseSpec> {
    if !is(env, "GITHUB_ACTIONS", "true") && !is(env, "GITEA_ACTIONS", "true") && !is(env, "FORGEJO_ACTIONS", "true") {
        return None;
    }
    let from = match () {
        () if env("FORGEJO_ACTIONS").is_some() => "Forgejo Actions",
        () if env("GITEA_ACTIONS").is_some() => "Gitea Actions",
        () => "GitHub Actions",
    };
    const FIX: &str = "give actions/checkout `fetch-depth: 0`";
    let event = env("GITHUB_EVENT_PATH").and_then(|path| read_event(&path));
    let text = |pointer: &str| event.as_ref()?.pointer(pointer)?.as_str().map(str::to_owned).filter(|t| !t.is_empty());
    let target = env("GITHUB_BASE_REF").map(remote);
    let proposed = [text("/pull_request/base/sha").and_then(commit), text("/merge_group/base_sha").and_then(commit)];
    if target.is_some() || proposed.iter().any(Option::is_some) {
        let [pull, group] = proposed;
        return spec(from, FIX, Reach::MergeBase, vec![pull, group, target]);
    }
    let before = text("/before").and_then(commit);
    if before.is_some() {
        return spec(from, FIX, Reach::Exact, vec![before]);
    }
    // A new branch: measured against the default branch, unless it is that.
    let branch = env("GITHUB_REF").and_then(|r| r.strip_prefix("refs/heads/").map(str::to_owned))?;
    let default = text("/repository/default_branch").filter(|default| *default != branch);
    let is_push = is(env, "GITHUB_EVENT_NAME", "push");
    spec(from, FIX, Reach::MergeBase, vec![default.filter(|_| is_push).map(remote)])
}

fn read_event(path: &str) -> Option<serde_json::Value> {
    let mut content = Vec::new();
    std::fs::File::open(path).ok()?.take(MAX_EVENT_BYTES).read_to_end(&mut content).ok()?;
    serde_json::from_slice(&content).ok()
}

fn gitlab(env: Variables<'_>) -> Option<BaseSpec> {
    if !is(env, "GITLAB_CI", "true") {
        return None;
    }
    const FROM: &str = "GitLab CI";
    const FIX: &str = "set the job's variable `GIT_DEPTH: 0`";
    let target = env("CI_MERGE_REQUEST_TARGET_BRANCH_NAME").map(remote);
    let ids = ["CI_MERGE_REQUEST_TARGET_BRANCH_SHA", "CI_MERGE_REQUEST_DIFF_BASE_SHA"].map(|n| env(n).and_then(commit));
    if target.is_some() || ids.iter().any(Option::is_some) {
        let [head, began] = ids;
        // The diff's base is where the change began, which its author chose: only where the clone has nothing better.
        return spec(FROM, FIX, Reach::MergeBase, vec![head, target, began]);
    }
    let before = env("CI_COMMIT_BEFORE_SHA").and_then(commit);
    if before.is_some() && env("CI_COMMIT_TAG").is_none() {
        return spec(FROM, FIX, Reach::Exact, vec![before]);
    }
    let branch = env("CI_COMMIT_BRANCH")?;
    spec(FROM, FIX, Reach::MergeBase, vec![env("CI_DEFAULT_BRANCH").filter(|d| *d != branch).map(remote)])
}

fn bitbucket(env: Variables<'_>) -> Option<BaseSpec> {
    env("BITBUCKET_BUILD_NUMBER")?;
    let id = env("BITBUCKET_PR_DESTINATION_COMMIT").and_then(commit);
    let branch = env("BITBUCKET_PR_DESTINATION_BRANCH").map(remote);
    spec("Bitbucket Pipelines", "set `clone: depth: full`", Reach::MergeBase, vec![id, branch])
}

fn azure(env: Variables<'_>) -> Option<BaseSpec> {
    if !is(env, "TF_BUILD", "true") {
        return None;
    }
    let target = env("SYSTEM_PULLREQUEST_TARGETBRANCH").or_else(|| env("SYSTEM_PULLREQUEST_TARGETBRANCHNAME"));
    spec("Azure Pipelines", "give the checkout step `fetchDepth: 0`", Reach::MergeBase, vec![target.map(remote)])
}

fn buildkite(env: Variables<'_>) -> Option<BaseSpec> {
    env("BUILDKITE")?;
    let target = env("BUILDKITE_PULL_REQUEST_BASE_BRANCH").filter(|_| !is(env, "BUILDKITE_PULL_REQUEST", "false"));
    let fix = "fetch the branch first (git fetch origin BRANCH), and no shallow clone";
    spec("Buildkite", fix, Reach::MergeBase, vec![target.map(remote)])
}

fn drone(env: Variables<'_>) -> Option<BaseSpec> {
    if !is(env, "DRONE", "true") {
        return None;
    }
    const FIX: &str = "leave out `clone: depth`";
    if env("DRONE_PULL_REQUEST").is_some() {
        return spec("Drone", FIX, Reach::MergeBase, vec![env("DRONE_TARGET_BRANCH").map(remote)]);
    }
    let push = is(env, "DRONE_BUILD_EVENT", "push");
    spec("Drone", FIX, Reach::Exact, vec![env("DRONE_COMMIT_BEFORE").and_then(commit).filter(|_| push)])
}

fn travis(env: Variables<'_>) -> Option<BaseSpec> {
    if !is(env, "TRAVIS", "true") {
        return None;
    }
    const FIX: &str = "set `git: depth: false`";
    if env("TRAVIS_PULL_REQUEST").is_some_and(|p| p != "false") {
        return spec("Travis CI", FIX, Reach::MergeBase, vec![env("TRAVIS_BRANCH").map(remote)]);
    }
    let range = env("TRAVIS_COMMIT_RANGE");
    let before = range.and_then(|r| r.split("..").next().map(str::to_owned)).and_then(commit);
    spec("Travis CI", FIX, Reach::Exact, vec![before])
}

fn woodpecker(env: Variables<'_>) -> Option<BaseSpec> {
    if !is(env, "CI", "woodpecker") && !is(env, "CI_SYSTEM_NAME", "woodpecker") {
        return None;
    }
    const FIX: &str = "give the clone step `partial: false` and `depth: 0`";
    let target = env("CI_COMMIT_TARGET_BRANCH").filter(|_| env("CI_COMMIT_PULL_REQUEST").is_some());
    if target.is_some() {
        return spec("Woodpecker", FIX, Reach::MergeBase, vec![target.map(remote)]);
    }
    let push = is(env, "CI_PIPELINE_EVENT", "push");
    spec("Woodpecker", FIX, Reach::Exact, vec![env("CI_PREV_COMMIT_SHA").and_then(commit).filter(|_| push)])
}

fn appveyor(env: Variables<'_>) -> Option<BaseSpec> {
    if !is(env, "APPVEYOR", "true") {
        return None;
    }
    env("APPVEYOR_PULL_REQUEST_NUMBER")?;
    // In pull requests this is the target's branch.
    let target = env("APPVEYOR_REPO_BRANCH").map(remote);
    spec("AppVeyor", "leave out `clone_depth`, and fetch the target branch", Reach::MergeBase, vec![target])
}

fn jenkins(env: Variables<'_>) -> Option<BaseSpec> {
    env("JENKINS_URL").or_else(|| env("JENKINS_HOME"))?;
    let target = env("CHANGE_TARGET").map(remote);
    let fix = "let the job fetch the target branch, and no shallow clone";
    spec("Jenkins", fix, Reach::MergeBase, vec![target])
}

fn circle(env: Variables<'_>) -> Option<BaseSpec> {
    env("CIRCLECI")?;
    // It says that there is a pull request and not what it is to go into: the default branch, as the clone knows it.
    ["CIRCLE_PULL_REQUEST", "CIRCLE_PULL_REQUESTS", "CIRCLE_PR_NUMBER"].into_iter().find_map(env)?;
    let fix = "name the target branch with --base origin/BRANCH: CircleCI does not";
    spec("CircleCI", fix, Reach::MergeBase, vec![Some("refs/remotes/origin/HEAD".to_owned())])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(variables: &[(&str, &str)]) -> Option<(&'static str, Reach, String)> {
        let spec = detect_base(&|name| variables.iter().find(|v| v.0 == name).map(|v| v.1.to_owned()))?;
        Some((spec.from, spec.reach, spec.revisions.join(" ")))
    }

    const ID: &str = "0123456789abcdef0123456789abcdef01234567";
    const NONE: &str = "0000000000000000000000000000000000000000";

    #[test]
    fn each_ci_system_names_the_base_of_a_pull_request() {
        use Reach::MergeBase;
        let main = "refs/remotes/origin/main";
        for (from, variables, revisions) in [
            ("GitHub Actions", vec![("GITHUB_ACTIONS", "true"), ("GITHUB_BASE_REF", "main")], main),
            (
                "Gitea Actions",
                vec![("GITHUB_ACTIONS", "true"), ("GITEA_ACTIONS", "true"), ("GITHUB_BASE_REF", "main")],
                main,
            ),
            (
                "Forgejo Actions",
                vec![("GITHUB_ACTIONS", "true"), ("FORGEJO_ACTIONS", "true"), ("GITHUB_BASE_REF", "main")],
                main,
            ),
            ("GitLab CI", vec![("GITLAB_CI", "true"), ("CI_MERGE_REQUEST_DIFF_BASE_SHA", ID)], ID),
            ("GitLab CI", vec![("GITLAB_CI", "true"), ("CI_MERGE_REQUEST_TARGET_BRANCH_NAME", "main")], main),
            (
                "Bitbucket Pipelines",
                vec![("BITBUCKET_BUILD_NUMBER", "1"), ("BITBUCKET_PR_DESTINATION_BRANCH", "main")],
                main,
            ),
            (
                "Azure Pipelines",
                vec![("TF_BUILD", "True"), ("SYSTEM_PULLREQUEST_TARGETBRANCH", "refs/heads/main")],
                main,
            ),
            ("Jenkins", vec![("JENKINS_URL", "http://ci"), ("CHANGE_TARGET", "main")], main),
            (
                "Buildkite",
                vec![
                    ("BUILDKITE", "true"),
                    ("BUILDKITE_PULL_REQUEST", "7"),
                    ("BUILDKITE_PULL_REQUEST_BASE_BRANCH", "main"),
                ],
                main,
            ),
            ("Drone", vec![("DRONE", "true"), ("DRONE_PULL_REQUEST", "7"), ("DRONE_TARGET_BRANCH", "main")], main),
            ("Travis CI", vec![("TRAVIS", "true"), ("TRAVIS_PULL_REQUEST", "7"), ("TRAVIS_BRANCH", "main")], main),
            (
                "Woodpecker",
                vec![("CI", "woodpecker"), ("CI_COMMIT_PULL_REQUEST", "7"), ("CI_COMMIT_TARGET_BRANCH", "main")],
                main,
            ),
            (
                "CircleCI",
                vec![("CIRCLECI", "true"), ("CIRCLE_PULL_REQUEST", "https://example.com/pull/7")],
                "refs/remotes/origin/HEAD",
            ),
            (
                "AppVeyor",
                vec![("APPVEYOR", "True"), ("APPVEYOR_PULL_REQUEST_NUMBER", "7"), ("APPVEYOR_REPO_BRANCH", "main")],
                main,
            ),
        ] {
            assert_eq!(found(&variables), Some((from, MergeBase, revisions.to_owned())), "{from}");
        }
    }

    #[test]
    fn a_push_is_measured_against_what_it_replaced() {
        for (from, variables) in [
            ("GitLab CI", vec![("GITLAB_CI", "true"), ("CI_COMMIT_BEFORE_SHA", ID), ("CI_COMMIT_BRANCH", "main")]),
            ("Drone", vec![("DRONE", "true"), ("DRONE_BUILD_EVENT", "push"), ("DRONE_COMMIT_BEFORE", ID)]),
            ("Woodpecker", vec![("CI", "woodpecker"), ("CI_PIPELINE_EVENT", "push"), ("CI_PREV_COMMIT_SHA", ID)]),
        ] {
            assert_eq!(found(&variables), Some((from, Reach::Exact, ID.to_owned())), "{from}");
        }
        let range = format!("{ID}...{NONE}");
        let travis = [("TRAVIS", "true"), ("TRAVIS_PULL_REQUEST", "false"), ("TRAVIS_COMMIT_RANGE", range.as_str())];
        assert_eq!(found(&travis), Some(("Travis CI", Reach::Exact, ID.to_owned())));
    }

    #[test]
    fn a_new_branch_is_measured_against_the_default_branch() {
        let gitlab = [
            ("GITLAB_CI", "true"),
            ("CI_COMMIT_BEFORE_SHA", NONE),
            ("CI_COMMIT_BRANCH", "topic"),
            ("CI_DEFAULT_BRANCH", "main"),
        ];
        assert_eq!(found(&gitlab).map(|f| f.2), Some("refs/remotes/origin/main".into()));
        let first = [("GITLAB_CI", "true"), ("CI_COMMIT_BRANCH", "main"), ("CI_DEFAULT_BRANCH", "main")];
        assert_eq!(found(&first), None);
    }

    #[test]
    fn github_event_payloads_are_read() {
        let directory = custody_testkit::Repository::without_git();
        let path = directory.path("event.json").display().to_string();
        let run = |event: &str, extra: &[(&str, &str)]| {
            directory.write("event.json", event);
            let mut variables = vec![("GITHUB_ACTIONS", "true"), ("GITHUB_EVENT_PATH", path.as_str())];
            variables.extend_from_slice(extra);
            found(&variables).map(|f| (f.1, f.2))
        };
        let pull = format!("{{\"pull_request\":{{\"base\":{{\"sha\":\"{ID}\"}}}}}}");
        assert_eq!(
            run(&pull, &[("GITHUB_BASE_REF", "main")]),
            Some((Reach::MergeBase, format!("{ID} refs/remotes/origin/main")))
        );
        let group = format!("{{\"merge_group\":{{\"base_sha\":\"{ID}\"}}}}");
        assert_eq!(run(&group, &[]), Some((Reach::MergeBase, ID.to_owned())));
        assert_eq!(run(&format!("{{\"before\":\"{ID}\"}}"), &[]), Some((Reach::Exact, ID.to_owned())));
        let new = format!("{{\"before\":\"{NONE}\",\"repository\":{{\"default_branch\":\"main\"}}}}");
        let push = [("GITHUB_EVENT_NAME", "push"), ("GITHUB_REF", "refs/heads/topic")];
        assert_eq!(run(&new, &push), Some((Reach::MergeBase, "refs/remotes/origin/main".into())));
        assert_eq!(run(&new, &[("GITHUB_EVENT_NAME", "push"), ("GITHUB_REF", "refs/heads/main")]), None);
        assert_eq!(run("not json", &[]), None);
    }

    #[test]
    fn the_ci_system_is_named() {
        let system = |name: &str, value: &str| ci_system(&|n| (n == name).then(|| value.to_owned()));
        assert_eq!(system("CIRCLECI", "true"), Some("CircleCI"));
        assert_eq!(system("CI", "1"), Some("a CI system"));
        assert_eq!((system("CI", "false"), system("CI", ""), system("HOME", "/")), (None, None, None));
    }

    #[test]
    fn outside_ci_and_for_builds_of_no_change_there_is_none() {
        assert_eq!(found(&[]), None);
        assert_eq!(found(&[("GITHUB_BASE_REF", "main")]), None, "a variable alone makes no CI system");
        assert_eq!(found(&[("CIRCLECI", "true"), ("CIRCLE_BRANCH", "x")]), None);
        assert_eq!(found(&[("GITHUB_ACTIONS", "true"), ("GITHUB_EVENT_NAME", "schedule")]), None);
    }
}
