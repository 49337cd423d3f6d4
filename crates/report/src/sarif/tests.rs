use std::sync::LazyLock;

use custody_contract::Finding;

use super::*;
use crate::sample;

static SCHEMA: LazyLock<jsonschema::Validator> = LazyLock::new(|| {
    let schema = include_str!("../../tests/data/sarif-schema-2.1.0.json");
    // The official pattern of `language` has a bracket too many for a strict reader of regular expressions.
    let schema = schema.replace("-[a-zA-Z]{2}]?$", "-[a-zA-Z]{2}\\\\]?$");
    let schema = serde_json::from_str(&schema).expect("the schema is JSON");
    jsonschema::options().should_validate_formats(true).build(&schema).expect("the schema is a schema")
});

/// What the official schema has against `sarif`.
pub(crate) fn schema_errors(sarif: &Value) -> Vec<String> {
    SCHEMA.iter_errors(sarif).map(|e| format!("{}: {e}", e.instance_path())).collect()
}

fn shown(report: &Report, options: &RenderOptions) -> Value {
    let mut out = Vec::new();
    render(report, options, &mut out).expect("renders");
    serde_json::from_slice(&out).expect("is JSON")
}

fn with_root() -> RenderOptions {
    RenderOptions { root: Some("/srv/my repo".into()), ..RenderOptions::default() }
}

#[test]
fn every_sample_keeps_to_the_official_schema() {
    for report in sample::all() {
        for options in [RenderOptions::default(), with_root()] {
            assert_eq!(schema_errors(&shown(&report, &options)), Vec::<String>::new());
        }
    }
}

#[test]
fn the_official_schema_is_really_applied() {
    let mut sarif = shown(&sample::blocked(), &with_root());
    sarif["runs"][0]["results"][0]["locations"][0]["physicalLocation"]["region"]["startLine"] = json!(0);
    assert!(!schema_errors(&sarif).is_empty());
    let mut sarif = shown(&sample::blocked(), &with_root());
    sarif["runs"][0]["originalUriBaseIds"]["SRCROOT"]["uri"] = json!("file:///my repo/");
    assert!(!schema_errors(&sarif).is_empty());
}

#[test]
fn a_result_names_its_rule_by_id_and_index() {
    let sarif = shown(&sample::blocked(), &with_root());
    let rules = &sarif["runs"][0]["tool"]["driver"]["rules"];
    let results = sarif["runs"][0]["results"].as_array().expect("is an array");
    assert!(results.len() > 8);
    for result in results {
        let index = usize::try_from(result["ruleIndex"].as_u64().expect("is a number")).expect("is small");
        assert_eq!(rules[index]["id"], result["ruleId"]);
    }
}

#[test]
fn a_finding_has_every_occurrence_its_fingerprint_and_severity() {
    let report = sample::blocked();
    let sarif = shown(&report, &with_root());
    let result = of_rule(&sarif, "aws-secret-access-key");
    assert_eq!(result["locations"].as_array().map(Vec::len), Some(12));
    assert_eq!(result["locations"][1]["physicalLocation"]["artifactLocation"]["uri"], "old%20name.env");
    assert_eq!(result["locations"][1]["properties"]["commit"], "cd".repeat(20));
    assert_eq!(result["partialFingerprints"]["custody/v1"], report.findings[0].fingerprint.to_string());
    assert_eq!(result["level"], "error");
    assert_eq!(result["properties"]["security-severity"], "9.5");
    assert_eq!(result["properties"]["confidence"], 92);
    assert_eq!(result["suppressions"], json!([]));
    assert_eq!(sarif["runs"][0]["originalUriBaseIds"]["SRCROOT"]["uri"], "file:///srv/my%20repo/");
}

#[test]
fn what_does_not_count_is_suppressed_with_its_justification() {
    let sarif = shown(&sample::blocked(), &with_root());
    let suppression = |rule| of_rule(&sarif, rule)["suppressions"][0].clone();
    let expected = |kind, why| json!({ "kind": kind, "status": "accepted", "justification": why });
    assert_eq!(suppression("slack-token"), expected("external", "revoked 2025-11-02"));
    assert_eq!(suppression("gcp-key"), expected("external", "waiver W-3"));
    assert_eq!(suppression("jwt"), expected("inSource", "a documented example"));
}

#[test]
fn what_was_not_read_makes_the_invocation_unsuccessful() {
    let sarif = shown(&sample::incomplete(), &with_root());
    let invocation = &sarif["runs"][0]["invocations"][0];
    assert_eq!(invocation["executionSuccessful"], false);
    assert_eq!(invocation["exitCode"], 3);
    let notifications = invocation["toolExecutionNotifications"].as_array().expect("is an array");
    assert_eq!(notifications.len(), 3);
    assert_eq!(notifications[0]["level"], "error");
    assert_eq!(notifications[2]["level"], "note");
    let clean = shown(&sample::clean_scan(), &with_root());
    assert_eq!(clean["runs"][0]["invocations"][0]["executionSuccessful"], true);
}

#[test]
fn the_limits_of_code_scanning_are_kept_and_what_is_left_out_is_said() {
    let mut report = sample::blocked_scan();
    let many: Finding = report.findings[0].clone();
    report.findings[0].occurrences = std::iter::repeat_n(many.occurrences[0].clone(), 1_500).collect();
    let one = report.findings[1].clone();
    report.findings.extend(std::iter::repeat_n(one, 25_000));
    let sarif = shown(&report, &with_root());
    let run = &sarif["runs"][0];
    assert_eq!(run["results"].as_array().map(Vec::len), Some(25_000));
    assert_eq!(run["results"][0]["locations"].as_array().map(Vec::len), Some(1_000));
    assert_eq!(run["results"][0]["occurrenceCount"], 1_500);
    let notifications = run["invocations"][0]["toolExecutionNotifications"].as_array().expect("is an array");
    assert_eq!(notifications[0]["message"]["text"], "5 more results are left out; see the JSON report.");
    assert_eq!(run["invocations"][0]["executionSuccessful"], false);
}

fn of_rule(sarif: &Value, rule: &str) -> Value {
    let results = sarif["runs"][0]["results"].as_array().expect("is an array");
    results.iter().find(|r| r["ruleId"] == rule).expect("has a result of the rule").clone()
}
