//! UTF-16 inside of something else: strings in a program, a registry export in an archive, text of both kinds in a file.
//!
//! What is looked for is ASCII interleaved with zeros. A file that is UTF-16 as a whole is not this module's.

use std::ops::Range;

use zeroize::Zeroizing;

/// Shorter strings are not looked at.
const LEAST: usize = 12;

/// A string in UTF-16 and where it stands.
pub(crate) struct Embedded {
    /// Its characters, all of them ASCII.
    pub(crate) text: Zeroizing<Vec<u8>>,
    pub(crate) encoding: &'static str,
    /// Where its first unit starts.
    pub(crate) start: usize,
    /// What two readings of the same string have in common.
    pub(crate) run: usize,
}

/// Gives each string in UTF-16 within `bytes` to `each`. Where it cannot be told whether a last character belongs to it,
/// it is given with and without. Text without zeros costs a look for one.
pub(crate) fn embedded(bytes: &[u8], each: &mut dyn FnMut(Embedded)) {
    let mut at = 0;
    while let Some(zero) = memchr::memchr(0, &bytes[at..]).map(|zero| at + zero) {
        let run = run_around(bytes, at, zero);
        at = run.end.max(zero + 1);
        if run.len() < 2 * LEAST {
            continue;
        }
        let text = |run: Range<usize>| Zeroizing::new(bytes[run].iter().copied().step_by(2).collect::<Vec<u8>>());
        each(Embedded { text: text(run.clone()), encoding: "utf-16le", start: run.start, run: run.start });
        // Big-endian text looks the same, but for a zero before it and a character behind.
        let is_preceded = run.start.checked_sub(1).is_some_and(|before| bytes[before] == 0);
        if is_preceded && bytes.get(run.end).copied().is_some_and(is_text) {
            each(Embedded {
                text: text(run.start..run.end + 1),
                encoding: "utf-16be",
                start: run.start - 1,
                run: run.start,
            });
        }
    }
}

/// Whether there is a string in UTF-16 within `bytes`.
pub(crate) fn has_embedded(bytes: &[u8]) -> bool {
    let mut has = false;
    embedded(bytes, &mut |_| has = true);
    has
}

/// The characters that are each followed by a zero, of which the zero given is one; none of them before `from`.
fn run_around(bytes: &[u8], from: usize, zero: usize) -> Range<usize> {
    let start = zero.saturating_sub(1);
    if start < from || start == zero || !is_text(bytes[start]) {
        return zero..zero;
    }
    let (units, _) = bytes[start..].as_chunks::<2>();
    let length = units.iter().take_while(|unit| is_text(unit[0]) && unit[1] == 0).count();
    start..start + 2 * length
}

fn is_text(byte: u8) -> bool {
    matches!(byte, b'\t' | b'\n' | b'\r' | 0x20..=0x7e)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(bytes: &[u8]) -> Vec<(String, &'static str, usize)> {
        let mut found = Vec::new();
        embedded(bytes, &mut |string| {
            found.push((String::from_utf8_lossy(&string.text).into_owned(), string.encoding, string.start));
        });
        found
    }

    fn units(text: &str, order: fn(u16) -> [u8; 2]) -> Vec<u8> {
        text.encode_utf16().flat_map(order).collect()
    }

    #[test]
    fn strings_in_a_program_are_found_at_their_place() {
        let text = "key=0123456789";
        let little =
            [b"\x7fELF\x01\x02\xff\x00\x00".as_slice(), &units(text, u16::to_le_bytes), b"\x00\x00\xfe"].concat();
        assert_eq!(found(&little), [(text.to_owned(), "utf-16le", 9)]);
        let big = [b"\x7fELF\x01\xff".as_slice(), &units(text, u16::to_be_bytes), b"\xfe\xff"].concat();
        assert!(found(&big).contains(&(text.to_owned(), "utf-16be", 6)));
    }

    #[test]
    fn plain_text_zeros_and_short_strings_are_none() {
        for bytes in [&b"plain text of some length"[..], &[0; 300], b"a\0b\0c\0", b"", b"\0", b"a\0"] {
            assert_eq!(found(bytes), []);
        }
    }

    proptest::proptest! {
        #[test]
        fn a_string_is_found_wherever_it_stands(
            before in proptest::collection::vec(0x80u8.., 0..9),
            text in "[ -~]{12,40}",
            after in proptest::collection::vec(0x80u8.., 0..9),
        ) {
            let bytes = [&before[..], &units(&text, u16::to_le_bytes), &after].concat();
            proptest::prop_assert_eq!(found(&bytes), [(text, "utf-16le", before.len())]);
        }

        #[test]
        fn any_bytes_are_looked_through(bytes in proptest::collection::vec(proptest::sample::select(b"\0\0a\xff\n".to_vec()), 0..200)) {
            for (text, _, start) in found(&bytes) {
                proptest::prop_assert!(text.len() >= LEAST && start + 2 * text.len() <= bytes.len() + 1);
            }
        }
    }
}
