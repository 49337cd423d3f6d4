//! ROT-1 through the binary: what the registry must say, and what it must say about what is used.

#[allow(dead_code, reason = "each test file uses a part of this module")]
mod common;

use common::{run, verdict};
use custody_testkit::{Repository, Run};

fn day(ago: i64) -> jiff::civil::Date {
    let today = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).date();
    today.checked_sub(jiff::Span::new().days(ago)).expect("a day")
}

/// A complete entry for `reference`, rotated ten days ago.
fn entry(reference: &str, more: &str) -> String {
    let mut text = format!("[[credential]]\nreference = \"{reference}\"\n");
    for (name, value) in [
        ("owner", "\"finops\"".to_owned()),
        ("contact", "\"#finops\"".to_owned()),
        ("window", "\"90d\"".to_owned()),
        ("procedure", "\"docs/rotation.md\"".to_owned()),
        ("last-rotation", day(10).to_string()),
    ] {
        if !more.contains(&format!("{name} = ")) {
            text.push_str(&format!("{name} = {value}\n"));
        }
    }
    text + more
}

const REFERENCE: &str = "cred://aws/production/readonly";

/// Checks a repository with this registry whose production template uses [`REFERENCE`].
fn check(registry: &str, files: &[(&str, &str)], environment: &str) -> Run {
    let repository = Repository::new();
    repository.write("custody.toml", registry);
    repository.write("docs/rotation.md", "Ask the platform team.\n");
    repository.write(".env.production.example", format!("FICECAL_AWS_CREDENTIAL_REF={REFERENCE}\n"));
    for (path, content) in files {
        repository.write(path, content);
    }
    repository.commit("all");
    run(&repository, &["check", "--env", environment, "--no-incident", "--base", "none", "--format", "json"])
}

/// The verdict of ROT-1 and what it says, one line each.
fn rot_1(run: &Run) -> (String, String) {
    let report = run.json();
    let clauses = report["clauses"].as_array().expect("clauses");
    let clause = clauses.iter().find(|c| c["clause"] == "ROT-1").expect("there");
    let lines = clause["problems"].as_array().into_iter().flatten();
    let text = |p: &serde_json::Value| {
        format!("{}: {}", p["level"].as_str().expect("level"), p["what"].as_str().expect("what"))
    };
    (verdict(&report, "ROT-1").0, lines.map(text).collect::<Vec<_>>().join("\n"))
}

#[test]
fn a_complete_entry_passes() {
    assert_eq!(rot_1(&check(&entry(REFERENCE, ""), &[], "prod")), ("pass".into(), String::new()));
}

#[test]
fn an_entry_for_other_environments_only_is_an_error_of_its_own() {
    let run = check(&entry(REFERENCE, "environments = [\"local\", \"staging\"]\n"), &[], "prod");
    let what = format!("error: {REFERENCE} is used in prod and its entry is for local and stage only");
    assert_eq!(rot_1(&run), ("fail".into(), what));
    run.expect_status(1);
    let report = run.json().to_string();
    assert!(report.contains("add \\\"prod\\\" to its environments"), "{report}");
    // The environment that it lists is asked for nothing that nobody uses there.
    let run = check(&entry(REFERENCE, "environments = [\"local\"]\n"), &[], "stage");
    assert_eq!(rot_1(&run).0, "pass");
}

#[test]
fn an_entry_for_local_does_not_cover_a_billing_request() {
    let request = r#"{"adapterId": "gcp-billing", "credentialRef": "cred://gcp/all/readonly"}"#;
    let registry = |environments: &str| {
        let billing = "[billing]\nrequests = [\"request.json\"]\n";
        format!("{billing}{}{}", entry(REFERENCE, ""), entry("cred://gcp/all/readonly", environments))
    };
    let files = [("request.json", request)];
    let (found, said) = rot_1(&check(&registry("environments = [\"local\"]\n"), &files, "prod"));
    assert_eq!((found.as_str(), said.contains("cred://gcp/all/readonly is used in prod")), ("fail", true), "{said}");
    assert_eq!(rot_1(&check(&registry("environments = [\"prod\"]\n"), &files, "stage")).0, "pass");
}

#[test]
fn what_is_missing_is_named_each_by_its_field() {
    for (field, said) in [
        ("owner = \"\"", "error: {} has no owner"),
        ("owner = \"TODO\"", "error: {} has a placeholder as its owner"),
        ("contact = \" \"", "error: {} has no contact"),
        ("procedure = \"docs/none.md\"", "error: the procedure of {} is not in the repository"),
        ("last-rotation = 2999-01-01", "error: the last rotation of {} lies in the future"),
        ("grace = \"91d\"", "error: the grace period of {} is longer than its window"),
    ] {
        let (found, text) = rot_1(&check(&entry(REFERENCE, &format!("{field}\n")), &[], "prod"));
        assert_eq!((found.as_str(), text), ("fail", said.replace("{}", REFERENCE)), "{field}");
    }
}

#[test]
fn overdue_fails_and_grace_and_the_last_days_warn() {
    for (ago, more, found, said) in [
        (75, "", "pass", ""),
        (76, "", "warn", "warning: {} must be rotated within 14 days"),
        (90, "", "warn", "warning: {} must be rotated within 0 days"),
        (91, "", "fail", "error: {} is 1 day past its window"),
        (91, "grace = \"7d\"\n", "warn", "warning: {} is 1 day past its window, in its grace period"),
        (98, "grace = \"1w\"\n", "fail", "error: {} is 8 days past its window"),
    ] {
        let more = format!("last-rotation = {}\n{more}", day(ago));
        let result = rot_1(&check(&entry(REFERENCE, &more), &[], "prod"));
        assert_eq!(result, (found.into(), said.replace("{}", REFERENCE)), "{more}");
    }
}

#[test]
fn references_without_an_entry_and_entries_without_a_use_are_named() {
    let code = ("src/billing.ts", "const ref = 'cred://azure/all/readonly';\n");
    let run = check(&entry("cred://gcp/all/readonly", ""), &[code], "prod");
    let (found, text) = rot_1(&run);
    assert_eq!(found, "fail");
    for line in [
        format!("error: {REFERENCE} is used and not registered"),
        "warning: cred://azure/all/readonly is named in code and not registered".into(),
        "note: cred://gcp/all/readonly is registered and nothing in the repository uses it".into(),
    ] {
        assert!(text.contains(&line), "{line}\n{text}");
    }
    assert!(run.stdout.contains("src/billing.ts"));
    let both = entry(REFERENCE, "") + &entry("cred://azure/all/readonly", "");
    assert_eq!(rot_1(&check(&both, &[code], "prod")), ("pass".into(), String::new()));
}

#[test]
fn a_registry_that_cannot_be_read_is_exit_status_2_with_line_and_column() {
    for (registry, said) in [
        (entry(REFERENCE, "environments = [\"prdo\"]\n"), "custody.toml:8:16"),
        (entry(REFERENCE, "window = \"90\"\n"), "expected weeks, days, hours or minutes, such as 90d"),
        (entry(REFERENCE, "window = \"3mo\"\n"), "expected weeks, days, hours or minutes, such as 90d"),
        (entry(REFERENCE, "window = \"-90d\"\n"), "expected weeks, days, hours or minutes, such as 90d"),
        (entry(REFERENCE, "last-rotation = 2026-02-30\n"), "custody.toml:7:"),
        (entry(REFERENCE, "last-rotation = \"last week\"\n"), "expected YYYY-MM-DD"),
        (entry(REFERENCE, "ownr = \"x\"\n"), "did you mean `owner`?"),
        (entry(REFERENCE, "") + &entry(REFERENCE, ""), "is registered twice"),
        (entry(REFERENCE, "") + &entry("CRED://aws/production/readonly", ""), "is registered twice"),
    ] {
        let run = check(&registry, &[], "prod");
        run.expect_status(2);
        assert!(run.stderr.contains(said), "{said}\n{}", run.stderr);
    }
}
