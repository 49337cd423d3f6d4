//! The engine with the built-in rules: no panic, and matches that lie in the input.
#![no_main]

use std::sync::LazyLock;

use custody_contract::Surface;
use custody_scan::engine::{Decoding, Engine, Input, Scratch};
use libfuzzer_sys::fuzz_target;

static ENGINE: LazyLock<Engine> = LazyLock::new(Engine::builtin);

fuzz_target!(|bytes: &[u8]| {
    let mut scratch = Scratch::default();
    for decoding in [Decoding::Off, Decoding::Full] {
        let input = Input::new(bytes, Some("src/config.ts"), Surface::WorkingTree).decoding(decoding);
        let mut matches = Vec::new();
        ENGINE.scan(&mut scratch, &input, &mut matches);
        assert!(matches.iter().all(|found| found.start < found.end && found.end <= bytes.len()));
    }
});
