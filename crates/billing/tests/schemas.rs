//! The published schemas are current, take the real packs and refuse their invalid requests.

mod support;

use std::path::PathBuf;

use custody_billing::{handoff_schema, request_schema};
use jsonschema::Validator;
use serde_json::{Value, json};
use support::*;

fn schema_file(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("../../schemas/{name}.schema.json"))
}

fn rendered(schema: &schemars::Schema) -> String {
    format!("{}\n", serde_json::to_string_pretty(schema.as_value()).expect("serialises"))
}

/// `CUSTODY_UPDATE_SCHEMAS=1 cargo test -p custody-billing --test schemas` writes them.
#[test]
fn the_checked_in_schemas_are_those_of_the_types() {
    for (name, schema) in [("billing-request", request_schema()), ("billing-handoff", handoff_schema())] {
        let path = schema_file(name);
        if std::env::var_os("CUSTODY_UPDATE_SCHEMAS").is_some() {
            std::fs::write(&path, rendered(&schema)).expect("writable");
        }
        let checked_in = std::fs::read_to_string(&path).expect("checked in");
        assert_eq!(checked_in, rendered(&schema), "{name} is out of date: see this test");
    }
}

fn validator(schema: schemars::Schema) -> Validator {
    jsonschema::draft202012::options().should_validate_formats(true).build(schema.as_value()).expect("a valid schema")
}

#[test]
fn the_packs_validate_and_their_invalid_requests_do_not() {
    let (request, handoff) = (validator(request_schema()), validator(handoff_schema()));
    let mut seen = 0;
    for (path, bytes) in files() {
        let value: Value = serde_json::from_slice(&bytes).expect("JSON");
        let file = path.rsplit('/').next().expect("name");
        let (valid, expected) = match file {
            "response.expected.json" => (handoff.is_valid(&value), true),
            "request.invalid.json" => (request.is_valid(&value), false),
            _ => (request.is_valid(&value), true),
        };
        assert_eq!(valid, expected, "{path}");
        seen += 1;
    }
    assert_eq!(seen, 16);
}

#[test]
fn an_envelope_validates_and_a_null_auth_mode_does_not() {
    let request = validator(request_schema());
    let bare = json(&files(), &path("aws", "request.valid.json"));
    let context = json!({"requestId": "r-1", "traceId": "t-1", "mode": "operator", "actor": "human"});
    assert!(request.is_valid(&json!({"context": context, "input": bare})));
    for bad in [json!(null), json!(""), json!("write"), json!(true)] {
        let mut broken = bare.clone();
        broken["authMode"] = bad;
        assert!(!request.is_valid(&broken));
    }
    let mut raw = bare;
    raw["credentialRef"] = json!(fake_key());
    assert!(!request.is_valid(&raw));
}
