//! Dependencies between our crates point one way only (ARCHITECTURE.md).

use std::collections::BTreeSet;
use std::process::Command;

const LAYERS: [&[&str]; 6] = [
    &["contract"],
    &["scan", "envkeys", "audit"],
    &["credential"],
    &["rotation", "incident", "billing"],
    &["gate", "report"],
    &["custody"],
];

#[test]
fn a_crate_depends_only_on_layers_below_its_own() {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline", "--locked"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let layer = |name: &str| LAYERS.iter().position(|l| l.contains(&name.trim_start_matches("custody-")));
    let mut seen = BTreeSet::new();
    for package in metadata["packages"].as_array().expect("packages") {
        let name = package["name"].as_str().expect("name");
        if name == "custody-testkit" {
            continue;
        }
        let own = layer(name).unwrap_or_else(|| panic!("{name} has no layer"));
        seen.insert(name.to_owned());
        for dependency in package["dependencies"].as_array().expect("dependencies") {
            let other = dependency["name"].as_str().expect("name");
            let is_dev = dependency["kind"] == "dev";
            // A crate's own tests may turn on a feature of it.
            if !other.starts_with("custody-") || (is_dev && (other == "custody-testkit" || other == name)) {
                continue;
            }
            // `custody` itself is the last layer, so that no library can depend on it.
            let below = layer(other).unwrap_or_else(|| panic!("{other} has no layer"));
            assert!(below < own, "{name} may not depend on {other}");
        }
    }
    assert_eq!(seen.len(), LAYERS.iter().map(|l| l.len()).sum::<usize>(), "{seen:?}");
}
