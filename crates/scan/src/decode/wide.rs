//! UTF-16, with or without a byte order mark.

use std::ops::Range;

use zeroize::Zeroizing;

use super::{Layer, OriginMap};

/// Whether a byte order mark must be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Marks {
    Required,
    Optional,
}

/// How UTF-16 stands in the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Units {
    order: Order,
    /// Where the first unit starts.
    start: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    Little,
    Big,
}

/// Tells whether `bytes` are UTF-16.
pub(super) fn detect(bytes: &[u8], marks: Marks) -> Option<Units> {
    match bytes {
        // FF FE 00 00 is UTF-32.
        [0xff, 0xfe, 0, 0, ..] => return None,
        [0xff, 0xfe, ..] => return Some(Units { order: Order::Little, start: 2 }),
        [0xfe, 0xff, ..] => return Some(Units { order: Order::Big, start: 2 }),
        _ if marks == Marks::Required || bytes.len() < 8 => return None,
        _ => {}
    }
    let head = &bytes[..bytes.len().min(512) & !1];
    let zeros = |parity: usize| head.iter().skip(parity).step_by(2).filter(|&&b| b == 0).count();
    let (even, odd, units) = (zeros(0), zeros(1), head.len() / 2);
    // Western text has a zero in nearly every unit, and never one in the other half.
    if odd * 10 >= units * 6 && even * 20 <= units {
        Some(Units { order: Order::Little, start: 0 })
    } else if even * 10 >= units * 6 && odd * 20 <= units {
        Some(Units { order: Order::Big, start: 0 })
    } else {
        None
    }
}

/// Decodes; what is no character becomes the replacement character.
pub(super) fn decode(bytes: &[u8], units: Units) -> Layer {
    let mut text = Zeroizing::new(Vec::with_capacity(bytes.len() * 3 / 2));
    let pairs = bytes[units.start..].chunks_exact(2).map(|pair| match units.order {
        Order::Little => u16::from_le_bytes([pair[0], pair[1]]),
        Order::Big => u16::from_be_bytes([pair[0], pair[1]]),
    });
    for char in char::decode_utf16(pairs) {
        let char = char.unwrap_or(char::REPLACEMENT_CHARACTER);
        text.extend_from_slice(char.encode_utf8(&mut [0; 4]).as_bytes());
    }
    let encoding = match units.order {
        Order::Little => "utf-16le",
        Order::Big => "utf-16be",
    };
    Layer { text, lead: 0, encoding, origin: OriginMap::Units(units) }
}

impl Units {
    /// Where a span of the decoded `text` comes from: counted, since matches are rare.
    pub(super) fn to_source(self, text: &[u8], span: Range<usize>) -> Range<usize> {
        // A leading byte starts a character; one of four bytes is two units.
        let count =
            |range: &[u8]| range.iter().map(|b| usize::from(b & 0xc0 != 0x80) + usize::from(*b >= 0xf0)).sum::<usize>();
        let before = count(&text[..span.start]);
        let within = count(&text[span]);
        let start = self.start + 2 * before;
        start..start + 2 * within
    }
}
