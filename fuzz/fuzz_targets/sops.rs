//! Files of sops, opened with a known key: no panic. The first byte chooses the format.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((format, text)) = data.split_first() else { return };
    let Ok(text) = std::str::from_utf8(text) else { return };
    let formats = ["yaml", "json", "dotenv", "ini", "binary"];
    custody_credential::backend::sops::open_hostile(formats[usize::from(*format) % formats.len()], text);
});
