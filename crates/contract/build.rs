//! Turns the built-in profiles, `contracts/*.toml`, into JSON, which is read in a fraction of the time that TOML takes: every
//! command reads them at its start. Fails the build where one is no TOML; what it means is checked by a test.

use std::path::PathBuf;
use std::{env, fs};

use serde_json::Value as Json;
use toml::Value as Toml;

fn main() {
    let variable = |name| PathBuf::from(env::var_os(name).expect("set by cargo"));
    let directory = variable("CARGO_MANIFEST_DIR").join("../../contracts");
    println!("cargo:rerun-if-changed=build.rs");
    for name in ["custody", "ficecal"] {
        let path = directory.join(format!("{name}.toml"));
        println!("cargo:rerun-if-changed={}", path.display());
        let parsed = fs::read_to_string(&path).map_err(|e| e.to_string());
        let parsed = parsed.and_then(|text| text.parse::<toml::Table>().map_err(|e| e.to_string().replace('\n', " ")));
        match parsed {
            Ok(table) => {
                let out = variable("OUT_DIR").join(format!("{name}.json"));
                fs::write(out, json(Toml::Table(table)).to_string()).expect("the build's own directory can be written");
            }
            Err(why) => {
                println!("cargo:error=cannot read {}: {why}", path.display());
                std::process::exit(1);
            }
        }
    }
}

fn json(value: Toml) -> Json {
    match value {
        Toml::String(text) => Json::String(text),
        Toml::Integer(number) => number.into(),
        Toml::Float(number) => number.into(),
        Toml::Boolean(is_set) => is_set.into(),
        Toml::Datetime(time) => Json::String(time.to_string()),
        Toml::Array(items) => items.into_iter().map(json).collect(),
        Toml::Table(table) => table.into_iter().map(|(key, value)| (key, json(value))).collect(),
    }
}
