//! The first user's four packs, and everything that can be broken in them (VAL-1).

mod support;

use std::collections::BTreeMap;

use custody_billing::{FicecalOutcome, Mode, ficecal_validate};
use custody_contract::{Environment, FileTree};
use data_encoding::{BASE64, BASE64URL_NOPAD, HEXLOWER};
use serde_json::{Value, json};
use support::*;

const OK: &str = "[billing-canonical-handoff] OK: validated 4 billing tool fixture packs";

fn run(files: &BTreeMap<String, Vec<u8>>) -> FicecalOutcome {
    ficecal_validate(&tree(files), PACKS, &local())
}

fn run_with(path: &str, value: &Value) -> FicecalOutcome {
    let mut files = files();
    files.insert(path.into(), serde_json::to_vec_pretty(value).expect("serialises"));
    run(&files)
}

/// The outcome is a failure that names the pointer in the file.
fn assert_names(outcome: &FicecalOutcome, path: &str, pointer: &str, case: &str) {
    assert_eq!(outcome.exit, 1, "{case} passes");
    assert!(outcome.last_line.starts_with("[billing-canonical-handoff] ERROR: "), "{case}");
    let named = outcome.problems.iter().any(|p| p.is_error() && p.file == path && p.pointer == pointer);
    assert!(named, "{case}: {path}#{pointer} not named in {:?}", outcome.problems);
}

#[test]
fn the_four_real_packs_pass_everywhere_without_a_note() {
    for environment in Environment::ALL {
        for mode in [Mode::Strict, Mode::Compat] {
            let outcome = ficecal_validate(&tree(&files()), PACKS, &check(environment, mode));
            assert_eq!(outcome.exit, 0, "{:?}", outcome.problems);
            assert_eq!(outcome.last_line, OK);
            assert_eq!(outcome.problems, [], "{environment}");
        }
    }
}

#[test]
fn a_required_field_that_is_missing_or_of_a_wrong_type_is_named() {
    let required: [(&str, &[&str]); 2] = [
        ("request.valid.json", &["/integrationRunId", "/startDate", "/endDate", "/currency", "/mappingProfile"]),
        (
            "response.expected.json",
            &[
                "/integrationRunId",
                "/providerAdapterId",
                "/scope",
                "/scope/startDate",
                "/scope/endDate",
                "/scope/currency",
                "/canonical",
                "/canonical/infraTotal",
                "/canonical/cudPct",
                "/canonical/budgetCap",
                "/canonical/nRef",
                "/provenance",
                "/provenance/sourceVersion",
                "/provenance/coveragePct",
                "/provenance/mappingConfidence",
                "/provenance/warnings",
            ],
        ),
    ];
    for provider in PROVIDERS {
        for (file, pointers) in required {
            let path = path(provider, file);
            for pointer in pointers {
                let original = json(&files(), &path);
                let (parent, field) = pointer.rsplit_once('/').expect("pointer");
                let mut removed = original.clone();
                removed.pointer_mut(parent).expect("there").as_object_mut().expect("object").remove(field);
                assert_names(&run_with(&path, &removed), &path, pointer, &format!("{provider} without {pointer}"));
                for wrong in [json!(null), json!(true), json!({"a": 1}), json!([[1]]), json!("")] {
                    let mut broken = original.clone();
                    *broken.pointer_mut(pointer).expect("there") = wrong.clone();
                    if *pointer == "/provenance/warnings" && wrong.is_array() {
                        assert_names(&run_with(&path, &broken), &path, "/provenance/warnings/0", "warnings");
                    } else if wrong.is_object() && original.pointer(pointer).expect("there").is_object() {
                        assert_eq!(run_with(&path, &broken).exit, 1);
                    } else {
                        assert_names(
                            &run_with(&path, &broken),
                            &path,
                            pointer,
                            &format!("{provider} {pointer} {wrong}"),
                        );
                    }
                }
            }
        }
    }
}

#[test]
fn values_out_of_range_are_named() {
    let cases = [
        ("/canonical/infraTotal", json!(0)),
        ("/canonical/infraTotal", json!(-1)),
        ("/canonical/infraTotal", json!("1194")),
        ("/canonical/cudPct", json!(-0.1)),
        ("/canonical/cudPct", json!(100.1)),
        ("/canonical/budgetCap", json!(-1)),
        ("/canonical/nRef", json!(-1)),
        ("/canonical/nRef", json!(1.5)),
        ("/provenance/coveragePct", json!(-88)),
        ("/provenance/coveragePct", json!(101)),
        ("/provenance/mappingConfidence", json!("certain")),
        ("/provenance/sourceVersion", json!("readonly-v1")),
        ("/scope/startDate", json!("2026-02-30")),
        ("/scope/endDate", json!("2025-12-31")),
        ("/scope/endDate", json!("2026-01-31T00:00:00")),
        ("/scope/currency", json!("usd")),
        ("/scope/currency", json!("ZZZ")),
        ("/scope/currency", json!("EUR")),
        ("/integrationRunId", json!("00000000-0000-4000-8000-000000000999")),
        ("/providerAdapterId", json!("oci-billing")),
        ("/scope/startDate", json!("2026-01-02")),
    ];
    for provider in PROVIDERS {
        let path = path(provider, "response.expected.json");
        for (pointer, value) in &cases {
            let mut broken = json(&files(), &path);
            *broken.pointer_mut(pointer).expect("there") = value.clone();
            assert_names(&run_with(&path, &broken), &path, pointer, &format!("{provider} {pointer} {value}"));
        }
        for number in ["NaN", "Infinity", "-Infinity", "1e999"] {
            for field in ["infraTotal", "cudPct", "budgetCap", "nRef", "coveragePct"] {
                let mut files = files();
                let text = String::from_utf8(files[&path].clone()).expect("UTF-8");
                let line = text.lines().find(|l| l.contains(field)).expect("there");
                let (name, _) = line.split_once(':').expect("member");
                let comma = if line.ends_with(',') { "," } else { "" };
                files.insert(path.clone(), text.replace(line, &format!("{name}: {number}{comma}")).into_bytes());
                let parent = if field == "coveragePct" { "provenance" } else { "canonical" };
                assert_names(
                    &run(&files),
                    &path,
                    &format!("/{parent}/{field}"),
                    &format!("{provider} {field} {number}"),
                );
            }
        }
    }
}

#[test]
fn each_required_warning_is_missed() {
    for (provider, expected) in [("openops", 0), ("aws", 1), ("azure", 2), ("gcp", 2)] {
        let path = path(provider, "response.expected.json");
        let mut broken = json(&files(), &path);
        let given = broken["provenance"]["warnings"].as_array().expect("array").len();
        assert_eq!(given, expected);
        broken["provenance"]["warnings"] = json!([]);
        let outcome = run_with(&path, &broken);
        let missing = outcome.problems.iter().filter(|p| p.reason == "missing_warning").count();
        assert_eq!((missing, outcome.exit), (expected, u8::from(expected > 0)), "{provider}");
    }
}

#[test]
fn a_planted_secret_is_named_in_every_string_field_and_encoding() {
    let secret = fake_key();
    let encoded = [
        ("plain", secret.clone()),
        ("base64", BASE64.encode(secret.as_bytes())),
        ("base64url", BASE64URL_NOPAD.encode(secret.as_bytes())),
        ("hex", HEXLOWER.encode(secret.as_bytes())),
        ("url", secret.bytes().map(|b| format!("%{b:02X}")).collect()),
        ("base64 of hex", BASE64.encode(HEXLOWER.encode(secret.as_bytes()).as_bytes())),
    ];
    for provider in PROVIDERS {
        for file in ["request.valid.json", "response.expected.json"] {
            let path = path(provider, file);
            let original = json(&files(), &path);
            for pointer in strings(&original, "") {
                for (how, text) in &encoded {
                    let mut broken = original.clone();
                    *broken.pointer_mut(&pointer).expect("there") = json!(text);
                    let outcome = run_with(&path, &broken);
                    let case = format!("{how} in {provider} {file} {pointer}");
                    assert_names(&outcome, &path, &pointer, &case);
                    let found = outcome.problems.iter().any(|p| {
                        p.pointer == pointer && matches!(p.reason, "secret_material" | "secret_in_credential_ref")
                    });
                    assert!(found, "{case} is not recognised as a secret");
                    let shown = format!("{outcome:?}");
                    assert!(!shown.contains(&secret) && !shown.contains(text.as_str()), "{case} is shown");
                }
            }
        }
    }
}

fn strings(value: &Value, at: &str) -> Vec<String> {
    match value {
        Value::String(_) => vec![at.to_owned()],
        Value::Array(items) => items.iter().enumerate().flat_map(|(i, v)| strings(v, &format!("{at}/{i}"))).collect(),
        Value::Object(members) => members.iter().flat_map(|(k, v)| strings(v, &format!("{at}/{k}"))).collect(),
        _ => Vec::new(),
    }
}

#[test]
fn a_file_that_is_missing_or_no_json_fails_the_pack() {
    for provider in PROVIDERS {
        for file in ["request.valid.json", "response.expected.json"] {
            let path = path(provider, file);
            let mut without = files();
            without.remove(&path);
            assert_names(&run(&without), &path, "", &format!("{provider} without {file}"));
            for bytes in [&b""[..], b"{", b"[]", b"null", b"not json", b"\xFF\xFE\0", b"\xEF\xBB\xBF{}"] {
                let mut broken = files();
                broken.insert(path.clone(), bytes.to_vec());
                assert_names(&run(&broken), &path, "", &format!("{provider} {file} {bytes:?}"));
            }
        }
        let mut without = files();
        without.retain(|p, _| !p.contains(&format!("billing.{provider}.ingest")));
        let directory = format!("{PACKS}/billing.{provider}.ingest/1.0");
        assert_names(&run(&without), &directory, "", &format!("no pack of {provider}"));
    }
}

#[test]
fn an_invalid_request_that_passes_is_a_problem() {
    let mut files = files();
    let valid = files[&path("aws", "request.valid.json")].clone();
    files.insert(path("aws", "request.invalid.json"), valid);
    let outcome = run(&files);
    assert!(outcome.problems.iter().any(|p| p.reason == "invalid_request_passes"));
    assert_eq!(outcome.exit, 1);
}

#[test]
fn an_unreadable_file_is_a_problem_and_makes_the_account_incomplete() {
    struct Broken(custody_contract::MemoryTree);
    impl FileTree for Broken {
        fn paths(&self) -> &[String] {
            self.0.paths()
        }
        fn is_tracked(&self, path: &str) -> bool {
            self.0.is_tracked(path)
        }
        fn read(&self, path: &str) -> std::io::Result<Vec<u8>> {
            match path.contains("aws") && path.ends_with("response.expected.json") {
                true => Err(std::io::ErrorKind::PermissionDenied.into()),
                false => self.0.read(path),
            }
        }
    }
    let tree = Broken(tree(&files()));
    let outcome = ficecal_validate(&tree, PACKS, &local());
    assert_names(&outcome, &path("aws", "response.expected.json"), "", "unreadable");
    let outcome = local().validate_tree(&tree);
    assert!(outcome.coverage.is_incomplete());
    for evaluation in [&outcome.cred1, &outcome.cred2, &outcome.val1] {
        assert!(!evaluation.incomplete.is_empty());
    }
}

#[test]
fn other_tools_packs_are_left_alone_and_unknown_billing_tools_are_named() {
    let mut files = files();
    files.insert(format!("{PACKS}/mcp.capabilities.get/2.0/response.expected.json"), b"{}".to_vec());
    let outcome = local().validate_packs(&tree(&files), PACKS);
    assert_eq!((outcome.ignored.clone(), outcome.is_valid()), (vec!["mcp.capabilities.get".to_owned()], true));
    files.insert(format!("{PACKS}/billing.snowflake.ingest/1.0/request.valid.json"), b"{}".to_vec());
    assert!(run(&files).problems.iter().any(|p| p.reason == "unknown_tool"));
}

#[test]
fn the_old_verdict_is_offered_for_what_the_script_lets_pass() {
    let compat = check(Environment::Prod, Mode::Compat);
    let path = path("aws", "response.expected.json");
    for (pointer, value) in [
        ("/canonical/nRef", json!(true)),
        ("/canonical/infraTotal", json!(true)),
        ("/provenance/coveragePct", json!(-5)),
        ("/canonical/cudPct", json!(400)),
    ] {
        let mut broken = json(&files(), &path);
        *broken.pointer_mut(pointer).expect("there") = value;
        let mut files = files();
        files.insert(path.clone(), serde_json::to_vec(&broken).expect("serialises"));
        let outcome = ficecal_validate(&tree(&files), PACKS, &compat);
        assert_eq!((outcome.exit, outcome.last_line.as_str()), (0, OK), "{pointer}");
        assert!(!outcome.problems.is_empty());
    }
    let mut broken = json(&files(), &path);
    broken["canonical"]["infraTotal"] = json!(false);
    let mut files = files();
    files.insert(path, serde_json::to_vec(&broken).expect("serialises"));
    assert_eq!(ficecal_validate(&tree(&files), PACKS, &compat).exit, 1);
}
