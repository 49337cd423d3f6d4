//! The JSON Schema of the contract file, for editors.

use crate::file::ContractFile;

/// The JSON Schema (draft 2020-12) of `custody.toml`, generated from the types.
pub fn contract_schema() -> serde_json::Value {
    let mut schema = schemars::schema_for!(ContractFile);
    schema.insert("$id".into(), "https://custody.dev/schemas/custody.schema.json".into());
    schema.to_value()
}
