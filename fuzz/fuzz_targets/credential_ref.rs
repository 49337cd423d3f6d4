//! References: no panic, a canonical form that is stable, and a display that is safe anywhere.
#![no_main]

use custody_contract::CredentialRef;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    match CredentialRef::parse(text) {
        Ok(reference) => {
            let shown = reference.to_string();
            let body = shown.strip_prefix(CredentialRef::SCHEME).expect("canonical scheme");
            assert!(shown.len() <= CredentialRef::MAX_BYTES);
            assert!(body.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-/".contains(&byte)));
            let again = CredentialRef::parse(&shown).expect("canonical text parses");
            assert_eq!(again, reference);
            assert_eq!(again.as_str(), shown);
        }
        Err(error) => drop(format!("{error} {error:?}")),
    }
});
