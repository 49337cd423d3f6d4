//! Runs of characters of one alphabet: base64, base32, hexadecimal.

use std::ops::Range;

use data_encoding::{BASE32_NOPAD, BASE64_NOPAD, BASE64URL_NOPAD, HEXLOWER_PERMISSIVE};
use memchr::{memchr, memrchr};
use wide::u8x16;
use zeroize::Zeroizing;

use super::{Layer, OriginMap};

/// How much of the line before a run is kept as context.
const LEAD: usize = 80;
/// A run goes on in the next line if the line that it fills is at least so long.
const WRAPPED: usize = 60;
/// White space between two lines of a run is at most so long.
const GAP: usize = 64;
/// Padding and a quote behind a run belong to it.
const CLOSING: usize = 3;

/// Runs of at least `least` characters of base64 that decode to text. `within` cuts none.
pub(super) fn base64(bytes: &[u8], within: Range<usize>, least: usize, layer: &mut dyn FnMut(Layer)) {
    each_run(bytes, within, least, &BASE64, |run| {
        if !starts_as_text(&bytes[run.clone()]) {
            return run.end;
        }
        let run = wrapped(bytes, run, is_base64);
        let mut text: Zeroizing<Vec<u8>> = Zeroizing::new(bytes[run.clone()].to_vec());
        text.retain(|&b| is_base64(b));
        if let Some(decoded) = decode64(&text)
            && is_text(&decoded)
        {
            layer(with_lead(bytes, run.clone(), &decoded, "base64"));
        }
        run.end
    });
}

/// The run at `run` with all runs before and behind from line to line, of which one could be taken for the
/// continuation of another.
pub(super) fn chain(bytes: &[u8], run: Range<usize>) -> Range<usize> {
    let padding = bytes[run.clone()].iter().rev().take_while(|&&b| b == b'=').count();
    chain_start(bytes, run.start, 0)..chain_end(bytes, run.end - padding, false)
}

/// See [`super::extend_zones`].
pub(super) fn extend_zones(bytes: &[u8], changed: Range<usize>, zones: &mut Vec<Range<usize>>) {
    let known = zones.last().map_or(0, |zone| zone.end);
    // What stands before a run in its line is context of what it holds.
    let near = bytes.len().min(changed.end + LEAD + 1);
    let line_end = memchr(b'\n', &bytes[changed.end..near]).map_or(near, |p| changed.end + p);
    if line_end < known {
        return;
    }
    let end = chain_end(bytes, line_end, true);
    // So is what closes it.
    let start = changed.start.saturating_sub(CLOSING);
    if start < known {
        if let Some(last) = zones.last_mut() {
            last.end = end;
        }
        return;
    }
    let start = chain_start(bytes, start, known);
    match zones.last_mut() {
        Some(last) if start <= last.end => last.end = end,
        _ => zones.push(start..end),
    }
}

/// Where the chain of runs starts that `at` stands in or behind, but not before `floor`.
fn chain_start(bytes: &[u8], at: usize, floor: usize) -> usize {
    let before = |at: usize, most: usize, wanted: fn(u8) -> bool| {
        bytes[floor..at].iter().rev().take(most).take_while(|&&b| wanted(b)).count()
    };
    let mut start = at - before(at, usize::MAX, is_base64);
    loop {
        let line = start - before(start, GAP, is_gap);
        if line == start || before(line, WRAPPED, is_base64) < WRAPPED {
            return start;
        }
        start = line - before(line, usize::MAX, is_base64);
    }
}

/// Where the chain of runs ends that `at` stands in or before. The run at hand goes on in the next line if it is long
/// enough, or if it may have been longer, `cut` as it is.
fn chain_end(bytes: &[u8], at: usize, mut cut: bool) -> usize {
    let ahead = |at: usize, most: usize, wanted: fn(u8) -> bool| {
        bytes[at..].iter().take(most).take_while(|&&b| wanted(b)).count()
    };
    let mut end = at + ahead(at, usize::MAX, is_base64);
    loop {
        let line = end + ahead(end, GAP, is_gap);
        let length = bytes[..end].iter().rev().take(WRAPPED).take_while(|&&b| is_base64(b)).count();
        let next = ahead(line, usize::MAX, is_base64);
        if line == end || length < WRAPPED && !cut || next == 0 {
            return end;
        }
        cut = false;
        end = line + next;
    }
}

fn is_gap(byte: u8) -> bool {
    matches!(byte, b'\r' | b'\n' | b' ' | b'\t')
}

/// Runs of hexadecimal digits that decode to text.
pub(super) fn hexadecimal(bytes: &[u8], layer: &mut dyn FnMut(Layer)) {
    each_run(bytes, 0..bytes.len(), 16, &HEX, |run| {
        let even = run.start..run.end - (run.len() & 1);
        if let Ok(decoded) = HEXLOWER_PERMISSIVE.decode(&bytes[even.clone()]) {
            let decoded = Zeroizing::new(decoded);
            if is_text(&decoded) {
                layer(with_lead(bytes, even, &decoded, "hex"));
            }
        }
        run.end
    });
}

/// Runs of base32 that decode to text.
pub(super) fn base32(bytes: &[u8], layer: &mut dyn FnMut(Layer)) {
    each_run(bytes, 0..bytes.len(), 16, &BASE32, |run| {
        let text = &bytes[run.clone()];
        // Of eight characters, 2, 4, 5, 7 and 8 can end a text.
        let whole = (0..=3).map(|cut| &text[..text.len() - cut.min(text.len())]);
        let decoded = whole.into_iter().find_map(|t| BASE32_NOPAD.decode(t).ok()).map(Zeroizing::new);
        if let Some(decoded) = decoded.filter(|d| is_text(d)) {
            layer(with_lead(bytes, run.clone(), &decoded, "base32"));
        }
        run.end
    });
}

/// An alphabet, as classes of bytes.
struct Alphabet {
    /// The first byte and the number of bytes behind it, in order of bytes.
    ranges: &'static [(u8, u8)],
    /// Whether lower-case letters are told as upper-case ones are, by a range of the former.
    folded: Option<(u8, u8)>,
    single: &'static [u8],
}

const BASE64: Alphabet = Alphabet { ranges: &[(b'/', 10)], folded: Some((b'a', 25)), single: b"+-_" };
const HEX: Alphabet = Alphabet { ranges: &[(b'0', 9)], folded: Some((b'a', 5)), single: b"" };
const BASE32: Alphabet = Alphabet { ranges: &[(b'A', 25), (b'2', 5)], folded: None, single: b"" };

impl Alphabet {
    /// For each of sixteen bytes, whether it is part of the alphabet.
    #[inline(always)]
    fn mask(&self, block: &[u8; 16]) -> u32 {
        let block = u8x16::new(*block);
        let within = |block: u8x16, (first, more): (u8, u8)| {
            let from = block - u8x16::splat(first);
            from.min(u8x16::splat(more)).simd_eq(from)
        };
        let mut any = u8x16::ZERO;
        if let Some(letters) = self.folded {
            any |= within(block | u8x16::splat(0x20), letters);
        }
        for &range in self.ranges {
            any |= within(block, range);
        }
        for &single in self.single {
            any |= block.simd_eq(u8x16::splat(single));
        }
        any.to_bitmask()
    }

    const fn has(&self, byte: u8) -> bool {
        let mut at = 0;
        while at < self.ranges.len() {
            if byte.wrapping_sub(self.ranges[at].0) <= self.ranges[at].1 {
                return true;
            }
            at += 1;
        }
        let mut at = 0;
        while at < self.single.len() {
            if byte == self.single[at] {
                return true;
            }
            at += 1;
        }
        match self.folded {
            Some((first, more)) => (byte | 0x20).wrapping_sub(first) <= more,
            None => false,
        }
    }
}

fn is_base64(byte: u8) -> bool {
    const TABLE: [bool; 256] = {
        let mut table = [false; 256];
        let mut byte = 0;
        while byte < 256 {
            table[byte] = BASE64.has(byte as u8);
            byte += 1;
        }
        table
    };
    TABLE[usize::from(byte)]
}

/// How many bytes are looked at at once.
const BLOCK: usize = 32;

/// Calls `found` with each run of at least `least` bytes of the alphabet, 16 to 32, which says where to go on.
#[inline(always)]
fn each_run(
    bytes: &[u8],
    within: Range<usize>,
    least: usize,
    alphabet: &Alphabet,
    mut found: impl FnMut(Range<usize>) -> usize,
) {
    let bytes = &bytes[..within.end];
    let mut at = within.start;
    let mut before = 0;
    while at < bytes.len() {
        let block = mask(bytes, at, alphabet);
        // The block behind the one before it: a run that is long enough lies in them when it is seen first.
        let both = u64::from(block) << BLOCK | u64::from(before);
        let starts = starts_of(both, least);
        if starts == 0 {
            before = block;
            at += BLOCK;
            continue;
        }
        let start = at + starts.trailing_zeros() as usize - BLOCK;
        let mut end = start + least;
        end += bytes[end..].iter().take_while(|&&byte| alphabet.has(byte)).count();
        at = found(start..end).max(end);
        before = 0;
    }
}

/// For each of 32 bytes, whether it is part of the alphabet; those behind the end are not.
#[inline(always)]
fn mask(bytes: &[u8], at: usize, alphabet: &Alphabet) -> u32 {
    let mut rest = [0; BLOCK];
    let block = match bytes[at..].first_chunk::<BLOCK>() {
        Some(block) => block,
        None => {
            rest[..bytes.len() - at].copy_from_slice(&bytes[at..]);
            &rest
        }
    };
    let (halves, _) = block.as_chunks::<16>();
    alphabet.mask(&halves[0]) | alphabet.mask(&halves[1]) << 16
}

/// The places from which on `least` bits are set, 16 to 32.
#[inline(always)]
fn starts_of(mut bits: u64, least: usize) -> u64 {
    for step in [1, 2, 4, 8] {
        bits &= bits >> step;
    }
    bits & bits >> (least - 16)
}

/// The run with its continuation in the lines below.
fn wrapped(bytes: &[u8], run: Range<usize>, in_alphabet: impl Fn(u8) -> bool) -> Range<usize> {
    let mut end = run.end;
    let mut line = run.len();
    while line >= WRAPPED {
        let rest = &bytes[end..];
        let gap = rest.iter().take(GAP).take_while(|&&b| is_gap(b)).count();
        if !rest[..gap].contains(&b'\n') {
            break;
        }
        line = rest[gap..].iter().take_while(|&&b| in_alphabet(b)).count();
        if line == 0 {
            break;
        }
        end += gap + line;
    }
    run.start..end
}

fn decode64(text: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let url = text.iter().any(|b| matches!(b, b'-' | b'_'));
    let encoding = if url { BASE64URL_NOPAD } else { BASE64_NOPAD };
    // A run can have swallowed a character too many, or end in bits that are not zero.
    encoding.decode(text).or_else(|_| encoding.decode(&text[..text.len() / 4 * 4])).ok().map(Zeroizing::new)
}

/// Whether the first characters of a base64 run decode to text: cheap, and false for nearly all names and paths.
fn starts_as_text(run: &[u8]) -> bool {
    let length = (run.len().min(24)) / 4 * 4;
    let head = &run[..length];
    if length >= 20 && !may_start_as_text(head) {
        return false;
    }
    let mut buffer = Zeroizing::new([0u8; 18]);
    let out = &mut buffer[..length / 4 * 3];
    let url = head.iter().any(|b| matches!(b, b'-' | b'_'));
    let encoding = if url { BASE64URL_NOPAD } else { BASE64_NOPAD };
    encoding.decode_mut(head, out).is_ok() && (out.iter().all(|&b| is_printable(b)) || is_wide(out))
}

/// Whether at least 20 characters could decode to ASCII or to UTF-16, told without decoding them.
fn may_start_as_text(head: &[u8]) -> bool {
    /// For a character's place in its group of four, whether the bits stand so that the bytes that it is part of may be
    /// ASCII: bytes begin at the first, third and fifth bit of the first, second and third character.
    const FITS: [u8; 256] = {
        let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
        let mut fits = [0b1000; 256];
        let mut value = 0;
        while value < alphabet.len() {
            fits[alphabet[value] as usize] |=
                (value & 0b10_0000 == 0) as u8 | ((value & 0b1000 == 0) as u8) << 1 | ((value & 0b10 == 0) as u8) << 2;
            value += 1;
        }
        fits
    };
    let fits = |group: &[u8; 4]| (0..3).all(|place| FITS[usize::from(group[place])] >> place & 1 != 0);
    // Among the zeros of UTF-16, of which these are half the bytes, some begin or end a group: `A`.
    head.as_chunks::<4>().0.iter().all(fits) || head.contains(&b'A')
}

fn is_wide(bytes: &[u8]) -> bool {
    let zeros = |from: usize| bytes.iter().skip(from).step_by(2).filter(|&&b| b == 0).count();
    zeros(1).max(zeros(0)) * 4 >= bytes.len()
}

fn is_printable(byte: u8) -> bool {
    matches!(byte, b' '..=b'~' | b'\t' | b'\n' | b'\r')
}

/// Mostly printable ASCII, or UTF-16 of such.
fn is_text(bytes: &[u8]) -> bool {
    let printable = bytes.iter().filter(|&&b| is_printable(b)).count();
    bytes.len() >= 4 && (printable * 10 >= bytes.len() * 9 || is_wide(bytes))
}

fn with_lead(bytes: &[u8], run: Range<usize>, decoded: &[u8], encoding: &'static str) -> Layer {
    let from = run.start.saturating_sub(LEAD);
    let from = memrchr(b'\n', &bytes[from..run.start]).map_or(from, |p| from + p + 1);
    let lead = &bytes[from..run.start];
    let mut text = Zeroizing::new(Vec::with_capacity(lead.len() + decoded.len() + 1));
    text.extend_from_slice(lead);
    text.extend_from_slice(decoded);
    // What closed the encoded text closes the decoded one.
    let padding = bytes[run.end..].iter().take(2).take_while(|&&b| b == b'=').count();
    text.extend(bytes.get(run.end + padding).filter(|b| matches!(b, b'"' | b'\'' | b'`' | b'<')));
    Layer { text, lead: lead.len(), encoding, origin: OriginMap::Run(run.start..run.end + padding) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn alphabets_are_the_known_ones() {
        for byte in 0..=u8::MAX {
            let letter = byte as char;
            let base64 = letter.is_ascii_alphanumeric() || "+/-_".contains(letter);
            for (alphabet, expected) in [
                (&BASE64, base64),
                (&HEX, letter.is_ascii_hexdigit()),
                (&BASE32, matches!(letter, 'A'..='Z' | '2'..='7')),
            ] {
                assert_eq!(alphabet.has(byte), expected, "{byte}");
                assert_eq!(alphabet.mask(&[byte; 16]), if expected { 0xffff } else { 0 }, "{byte}");
            }
        }
    }

    proptest! {
        #[test]
        fn each_run_that_is_long_enough_is_found_once(
            pieces in prop::collection::vec((0usize..80, 1usize..40), 0..12),
            least in 16usize..=32,
            from in 0usize..50,
        ) {
            let mut bytes = Vec::new();
            for (run, gap) in pieces {
                bytes.extend(std::iter::repeat_n(b'a', run));
                bytes.extend(std::iter::repeat_n(b'.', gap));
            }
            let from = from.min(bytes.len());
            let mut found = Vec::new();
            each_run(&bytes, from..bytes.len(), least, &BASE64, |run| {
                found.push(run.clone());
                run.end
            });
            let mut expected = Vec::new();
            let mut at = from;
            for run in bytes[from..].split(|&byte| byte == b'.') {
                if run.len() >= least {
                    expected.push(at..at + run.len());
                }
                at += run.len() + 1;
            }
            prop_assert_eq!(found, expected);
        }
    }
}
