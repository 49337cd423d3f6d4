//! Text that is not UTF-8: recognised, and turned into UTF-8 on the way to the engine.
//!
//! Single-byte encodings (Latin-1, Windows-1252) need nothing: secrets are ASCII.

use std::io::{self, Read};

use super::cursor::Origin;

/// A wide encoding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Wide {
    /// Bytes of one unit: 2 or 4.
    unit: usize,
    big_endian: bool,
}

impl Wide {
    const fn new(unit: usize, big_endian: bool) -> Self {
        Wide { unit, big_endian }
    }

    /// The encoding of a file that begins with `head`, if it is a wide one.
    pub(crate) fn detect(head: &[u8]) -> Option<Wide> {
        match head {
            [0xff, 0xfe, 0, 0, ..] => Some(Wide::new(4, false)),
            [0, 0, 0xfe, 0xff, ..] => Some(Wide::new(4, true)),
            [0xff, 0xfe, ..] => Some(Wide::new(2, false)),
            [0xfe, 0xff, ..] => Some(Wide::new(2, true)),
            _ => Wide::detect_unmarked(head),
        }
    }

    /// UTF-16 or UTF-32 without a mark: nearly all bytes but one of each unit are zero, and those between are text.
    fn detect_unmarked(head: &[u8]) -> Option<Wide> {
        const SAMPLE: usize = 1024;
        memchr::memchr(0, &head[..head.len().min(64)])?;
        let (pairs, _) = head[..head.len().min(SAMPLE)].as_chunks::<2>();
        if pairs.len() < 4 {
            return None;
        }
        let text = |byte: u8| matches!(byte, b'\t' | b'\n' | b'\r' | 0x20..=0x7e);
        let little = pairs.iter().filter(|pair| text(pair[0]) && pair[1] == 0).count();
        let big = pairs.iter().filter(|pair| pair[0] == 0 && text(pair[1])).count();
        let (quads, _) = head[..head.len().min(SAMPLE)].as_chunks::<4>();
        let wider = |at: usize| {
            let is_text = |quad: &[u8; 4]| text(quad[at]) && quad.iter().filter(|&&byte| byte == 0).count() == 3;
            quads.iter().filter(|quad| is_text(quad)).count()
        };
        let nearly_all = |count: usize, units: usize| units >= 4 && count * 10 >= units * 8;
        if nearly_all(little, pairs.len()) {
            Some(Wide::new(2, false))
        } else if nearly_all(big, pairs.len()) {
            Some(Wide::new(2, true))
        } else if nearly_all(wider(0), quads.len()) {
            Some(Wide::new(4, false))
        } else if nearly_all(wider(3), quads.len()) {
            Some(Wide::new(4, true))
        } else {
            None
        }
    }

    pub(crate) fn origin(self) -> Origin {
        if self.unit == 2 { Origin::Utf16 } else { Origin::Utf32 }
    }

    fn unit_at(self, bytes: &[u8]) -> u32 {
        let value = |bytes: &mut dyn Iterator<Item = &u8>| bytes.fold(0, |value, &byte| value << 8 | u32::from(byte));
        if self.big_endian { value(&mut bytes.iter()) } else { value(&mut bytes.iter().rev()) }
    }

    /// Appends `bytes` as UTF-8 and returns how many of them were used: all but an incomplete last character, and all
    /// if `at_end`.
    fn decode(self, bytes: &[u8], at_end: bool, text: &mut Vec<u8>) -> usize {
        let mut push = |c: char| text.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
        let mut at = 0;
        while let Some(unit) = bytes.get(at..at + self.unit) {
            let unit = self.unit_at(unit);
            if self.unit == 2 && (0xd800..0xdc00).contains(&unit) {
                match bytes.get(at + 2..at + 4).map(|low| self.unit_at(low)) {
                    Some(low) if (0xdc00..0xe000).contains(&low) => {
                        let scalar = 0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
                        push(char::from_u32(scalar).unwrap_or(char::REPLACEMENT_CHARACTER));
                        at += 4;
                        continue;
                    }
                    None if !at_end => return at,
                    _ => push(char::REPLACEMENT_CHARACTER),
                }
            } else {
                push(char::from_u32(unit).unwrap_or(char::REPLACEMENT_CHARACTER));
            }
            at += self.unit;
        }
        if at_end && at < bytes.len() {
            push(char::REPLACEMENT_CHARACTER);
            at = bytes.len();
        }
        at
    }
}

/// Reads a wide encoding as UTF-8.
pub(crate) struct WideReader<R> {
    inner: R,
    wide: Wide,
    raw: Vec<u8>,
    text: Vec<u8>,
    taken: usize,
    at_end: bool,
}

impl<R: Read> WideReader<R> {
    pub(crate) fn new(inner: R, wide: Wide) -> Self {
        WideReader { inner, wide, raw: Vec::new(), text: Vec::new(), taken: 0, at_end: false }
    }
}

impl<R: Read> Read for WideReader<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while self.taken == self.text.len() && !self.at_end {
            let read = (&mut self.inner).take(64 * 1024).read_to_end(&mut self.raw)?;
            self.at_end = read == 0;
            self.text.clear();
            self.taken = 0;
            let used = self.wide.decode(&self.raw, self.at_end, &mut self.text);
            self.raw.drain(..used);
        }
        let count = out.len().min(self.text.len() - self.taken);
        out[..count].copy_from_slice(&self.text[self.taken..self.taken + count]);
        self.taken += count;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn utf16(text: &str, big_endian: bool) -> Vec<u8> {
        text.encode_utf16().flat_map(|unit| if big_endian { unit.to_be_bytes() } else { unit.to_le_bytes() }).collect()
    }

    fn read(bytes: &[u8]) -> Option<String> {
        let wide = Wide::detect(bytes)?;
        let mut text = String::new();
        WideReader::new(bytes, wide).read_to_string(&mut text).expect("UTF-8");
        Some(text)
    }

    #[test]
    fn marked_and_unmarked_wide_text_is_recognised() {
        for big_endian in [false, true] {
            assert_eq!(read(&utf16("\u{feff}hä\u{1f600}", big_endian)).as_deref(), Some("\u{feff}hä\u{1f600}"));
            assert_eq!(read(&utf16("plain text", big_endian)).as_deref(), Some("plain text"));
        }
        let utf32: Vec<u8> = "\u{feff}hä".chars().flat_map(|c| (c as u32).to_le_bytes()).collect();
        assert_eq!(read(&utf32).as_deref(), Some("\u{feff}hä"));
        let unmarked: Vec<u8> = "plain text".chars().flat_map(|c| (c as u32).to_be_bytes()).collect();
        assert_eq!(read(&unmarked).as_deref(), Some("plain text"));
    }

    #[test]
    fn other_bytes_are_not_taken_for_wide_text() {
        for bytes in [&b"plain text"[..], b"", b"a\0", &[0; 64], b"\0\0\0\x01\0\0\0\x02\0\0\0\x03", "täxt".as_bytes()]
        {
            assert_eq!(Wide::detect(bytes), None, "{bytes:?}");
        }
    }

    #[test]
    fn damaged_utf16_is_read_to_its_end() {
        assert_eq!(read(&[0xff, 0xfe, 0x00, 0xd8, b'a', 0, b'b']).as_deref(), Some("\u{feff}\u{fffd}a\u{fffd}"));
        assert_eq!(read(&[0xff, 0xfe, 0x00, 0xd8]).as_deref(), Some("\u{feff}\u{fffd}"));
    }
}
