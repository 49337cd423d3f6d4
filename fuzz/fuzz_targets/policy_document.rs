//! Policy documents of every language: no panic, and a verdict whose axes follow from what stands in it.
#![no_main]

use custody_credential::prove::{Input, Language, ProveOptions, prove};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let input = [Input::grant("fuzz", bytes)];
    for language in Language::ALL.into_iter().map(Some).chain([None]) {
        match prove(&input, &ProveOptions { language, ..ProveOptions::default() }) {
            Ok(verdict) => {
                assert!(verdict.offences.iter().all(|o| o.kind.access() <= verdict.access));
                assert!(verdict.readings.iter().all(|r| r.exposure <= verdict.exposure));
            }
            Err(error) => assert!(!error.to_string().is_empty()),
        }
    }
});
