//! Contract files: arbitrary text gives a contract or diagnostics, never a panic.
#![no_main]

use custody_contract::Contract;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Err(problems) = Contract::load(text, "custody.toml", jiff::civil::date(2026, 1, 1)) {
        assert!(!problems.is_empty(), "refused without a reason");
    }
});
