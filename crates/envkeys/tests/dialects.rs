//! The dialect models against what the real programs read.
//!
//! `data/dialects.json` holds texts and what dotenv 17.4.2 (npm), compose-go of July 2026, dash 0.5.12 and
//! python-dotenv 1.2 (PyPI) read in them, each in an empty process environment. A program that a case does not name was
//! not run on it. `examples/dialects.rs` shows what the models read in any text, for comparisons with the programs.

use std::collections::BTreeMap;

use custody_envkeys::dotenv::{Dialect, Document, Value};
use serde_json::Value as Json;

fn recorded() -> Vec<Json> {
    serde_json::from_str(include_str!("data/dialects.json")).expect("recorded results")
}

fn differences(dialect: Dialect, name: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    for case in recorded() {
        let text = case["text"].as_str().expect("text");
        if case[name].is_null() {
            continue;
        }
        let mut expected: BTreeMap<String, Json> = serde_json::from_value(case[name].clone()).expect("values");
        let fails = expected.remove("failure").is_some();
        let reading = Document::parse(text.as_bytes()).evaluate(dialect);
        // What the model does not follow it must say: a stop, or a value that it calls computed.
        let given_up = reading.failure.as_ref().is_some_and(|f| f.why.contains("not followed"));
        if reading.failure.is_some() != fails && !given_up {
            wrong.push(format!("{text:?}: {:?}, really {fails}", reading.failure));
            continue;
        }
        let found: BTreeMap<&str, &Value> = reading.values.iter().map(|(k, v)| (k.as_str(), v)).collect();
        let keys: std::collections::BTreeSet<&str> =
            found.keys().copied().chain(expected.keys().map(String::as_str)).collect();
        for key in keys {
            let really = expected.get(key).and_then(Json::as_str);
            match found.get(key) {
                Some(Value::Computed(_)) => {}
                Some(Value::Text(value)) if really == Some(value) => {}
                None if really.is_none() || given_up => {}
                other => wrong.push(format!("{text:?}: {key} is {other:?}, really {really:?}")),
            }
        }
    }
    wrong
}

#[test]
fn node_dotenv_is_modelled_to_the_letter() {
    assert_eq!(differences(Dialect::Node, "node"), Vec::<String>::new());
}

#[test]
fn docker_compose_is_modelled_to_the_letter() {
    assert_eq!(differences(Dialect::Compose, "compose"), Vec::<String>::new());
}

#[test]
fn python_dotenv_is_modelled_to_the_letter() {
    assert_eq!(differences(Dialect::Python, "python"), Vec::<String>::new());
}

#[test]
fn a_posix_shell_is_modelled_as_far_as_it_says() {
    assert_eq!(differences(Dialect::Posix, "shell"), Vec::<String>::new());
}
