//! What each dialect reads, for comparisons with the real programs: a JSON list of texts on standard input, and on
//! standard output a list of `{dialect: {key: value}}`, with `failure` where the program gives up and `null` for what
//! the file alone does not decide.

use std::error::Error;

use custody_envkeys::dotenv::{Dialect, Document, Reading, Value};
use serde_json::{Map, Value as Json, json};

const DIALECTS: [(Dialect, &str); 4] =
    [(Dialect::Node, "node"), (Dialect::Compose, "compose"), (Dialect::Python, "python"), (Dialect::Posix, "shell")];

fn main() -> Result<(), Box<dyn Error>> {
    let texts: Vec<String> = serde_json::from_reader(std::io::stdin().lock())?;
    let results: Vec<Json> = texts.iter().map(|text| read(text)).collect();
    serde_json::to_writer(std::io::stdout().lock(), &results)?;
    Ok(())
}

fn read(text: &str) -> Json {
    let document = Document::parse(text.as_bytes());
    let reading = |(dialect, name): (Dialect, &str)| (name.to_owned(), shown(&document.evaluate(dialect)));
    DIALECTS.into_iter().map(reading).collect::<Map<String, Json>>().into()
}

fn shown(reading: &Reading) -> Json {
    let value = |value: &Value| match value {
        Value::Text(text) => json!(text),
        Value::Computed(_) => Json::Null,
    };
    let mut values: Map<String, Json> = reading.values.iter().map(|(key, v)| (key.clone(), value(v))).collect();
    if let Some(failure) = &reading.failure {
        values.insert("failure".into(), json!(failure.why));
    }
    values.into()
}
