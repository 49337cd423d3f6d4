//! The JSON Schema of the JSON format.

use custody_contract::Report;
use serde_json::{Value, json};

/// The JSON Schema (2020-12) of a report in the format [`Json`](crate::Format::Json). Also the checked-in file
/// `schemas/custody.report-1.schema.json`.
pub fn report_schema() -> Value {
    let mut schema = schemars::schema_for!(Report);
    schema.insert("title".to_owned(), json!("custody report, version 1"));
    schema.insert("$comment".to_owned(), json!("Generated from the types of custody-contract; do not edit."));
    if let Some(version) = schema.pointer_mut("/properties/schema").and_then(Value::as_object_mut) {
        version.insert("const".to_owned(), json!(Report::SCHEMA));
    }
    schema.to_value()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;
    use crate::sample;

    const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../schemas/custody.report-1.schema.json");

    /// `CUSTODY_UPDATE_SCHEMAS=1 cargo test -p custody-report schema` rewrites the file.
    #[test]
    fn the_published_schema_is_current() {
        let mut current = serde_json::to_string_pretty(&report_schema()).expect("serialises");
        current.push('\n');
        if std::env::var_os("CUSTODY_UPDATE_SCHEMAS").is_some() {
            fs::create_dir_all(Path::new(FILE).parent().expect("has a parent")).expect("can make the directory");
            fs::write(FILE, &current).expect("can write the schema");
        }
        let published = fs::read_to_string(FILE).unwrap_or_default();
        assert!(
            published == current,
            "schema file is stale; rewrite it: CUSTODY_UPDATE_SCHEMAS=1 cargo test -p custody-report schema"
        );
    }

    #[test]
    fn every_sample_keeps_to_the_schema() {
        let validator = jsonschema::validator_for(&report_schema()).expect("is a schema");
        for report in sample::all() {
            let value = serde_json::to_value(&report).expect("serialises");
            let errors: Vec<_> = validator.iter_errors(&value).map(|e| e.to_string()).collect();
            assert!(errors.is_empty(), "{errors:?}");
        }
    }

    #[test]
    fn a_report_of_another_version_is_refused() {
        let validator = jsonschema::validator_for(&report_schema()).expect("is a schema");
        let mut value = serde_json::to_value(sample::blocked()).expect("serialises");
        value["schema"] = json!("custody.report/2");
        assert!(!validator.is_valid(&value));
    }
}
