//! Rule files: arbitrary text gives rules or an error, never a panic.
#![no_main]

use custody_scan::rules::RuleSet;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Err(error) = RuleSet::from_toml(text, "rules.toml") {
        drop(format!("{error} {error:?}"));
    }
});
