//! Masking: the same output however it is cut, no value in it, and nothing held after the end.
//!
//! Input: the number of values, how the output is cut, then for each value its length and bytes, then the output; `@0`
//! to `@2` in it stand for the values.
#![no_main]

use std::sync::Arc;

use custody_credential::SecretValue;
use custody_credential::mask::{MARK, Masker};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let [count, cut, rest @ ..] = bytes else { return };
    let mut rest = rest;
    let mut values = Vec::new();
    for _ in 0..1 + count % 3 {
        let [length, more @ ..] = rest else { return };
        let (value, more) = more.split_at(usize::from(*length % 64).min(more.len()));
        values.push(value.to_vec());
        rest = more;
    }
    let mut output = Vec::new();
    let mut at = 0;
    while at < rest.len() {
        match rest[at..] {
            [b'@', digit @ b'0'..=b'2', ..] if usize::from(digit - b'0') < values.len() => {
                output.extend_from_slice(&values[usize::from(digit - b'0')]);
                at += 2;
            }
            _ => {
                output.push(rest[at]);
                at += 1;
            }
        }
    }
    let secrets: Vec<SecretValue> = values.iter().map(|v| SecretValue::new(v.clone())).collect();
    let masker = Masker::new(&secrets.iter().collect::<Vec<_>>()).expect("random bytes");
    let whole = mask(&masker, &output, output.len().max(1), false);
    assert_eq!(whole, mask(&masker, &output, 1 + usize::from(cut % 32), false));
    let impatient = mask(&masker, &output, 1 + usize::from(cut / 32), true);
    for value in values.iter().map(|v| v.trim_ascii()).filter(|v| v.len() >= 8) {
        // A mark may complete a value that has marks in it.
        if !value.contains(&MARK.as_bytes()[0]) {
            for out in [&whole, &impatient] {
                assert!(!out.windows(value.len()).any(|w| w == value), "a value survives");
            }
        }
    }
});

fn mask(masker: &Arc<Masker>, output: &[u8], cut: usize, impatient: bool) -> Vec<u8> {
    let (mut stream, mut out) = (masker.stream(), Vec::new());
    for piece in output.chunks(cut) {
        stream.push(piece, &mut out);
        if impatient {
            stream.release(&mut out);
            assert!(!stream.is_holding());
        }
    }
    stream.finish(&mut out);
    assert!(!stream.is_holding());
    out
}
