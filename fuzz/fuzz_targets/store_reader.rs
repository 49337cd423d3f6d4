//! The embedded store's files as whoever can write them leaves them: no panic; what is read can be written and is the same.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    custody_credential::backend::embedded::read_hostile(data);
});
