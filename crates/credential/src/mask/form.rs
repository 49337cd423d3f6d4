//! One form in which one value may stand in output, and how far output matches it.

use std::collections::BTreeSet;
use std::fmt;

use super::step::{Moves, control_sequence, escapes, gap, may_escape};
use super::vault::Vault;

/// How a value was written where it was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Writing {
    /// As it is, or escaped for a URL, JSON, a shell, a programming language or HTML.
    Text,
    /// Base64 or base64url, alone or as a part of something larger.
    Base64,
    /// Hexadecimal.
    Hexadecimal,
}

impl fmt::Display for Writing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Writing::Text => "text",
            Writing::Base64 => "base64",
            Writing::Hexadecimal => "hexadecimal",
        })
    }
}

/// The shape of a form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// Byte for byte.
    Text,
    /// Base64; the first bit of the value that starts a symbol, when 0, 1 or 2 bytes stand before it in its group of
    /// three: 0, 4, 2.
    Base64 {
        /// That bit.
        first_bit: u8,
    },
    /// Two digits a byte.
    Hexadecimal,
}

/// One form of one value.
#[derive(Debug, Clone, Copy)]
pub struct Form {
    /// Which pattern it belongs to.
    pub pattern: u32,
    /// Where the value lies in the vault.
    start: u32,
    /// Its length in bytes.
    length: u32,
    /// How it is written.
    pub shape: Shape,
    /// Symbols that are left out at the front.
    pub first: u32,
    /// Line breaks may stand between symbols.
    wraps: bool,
    /// The value is UTF-8.
    is_utf8: bool,
}

/// A place in a form and the place in the output that it has come to.
pub type Point = (u32, u64);

/// How far output matches a form.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It does not.
    Dead,
    /// It does, to this place in the output.
    Matched(u64),
    /// So far: it is to be continued from these points.
    Live(Vec<Point>),
}

/// A part of the output; `base` is the place of its first byte.
#[derive(Clone, Copy)]
pub struct Output<'a> {
    pub bytes: &'a [u8],
    pub base: u64,
}

impl Output<'_> {
    fn from(&self, place: u64) -> &[u8] {
        let at = usize::try_from(place.saturating_sub(self.base)).unwrap_or(usize::MAX);
        self.bytes.get(at..).unwrap_or(&[])
    }
}

/// So many symbols must match before a line break between symbols is accepted: else a line that ends in a form's first
/// symbol would have to wait for the next one.
const BEFORE_GAP: u32 = 4;

impl Form {
    /// A form of the value at `start` in the vault.
    pub fn new(pattern: u32, place: std::ops::Range<u32>, shape: Shape, wraps: bool, is_utf8: bool) -> Form {
        Form { pattern, start: place.start, length: place.end - place.start, shape, first: 0, wraps, is_utf8 }
    }

    /// The same form from a few symbols on, for a line break before that; `None` where line breaks are not accepted or
    /// too little would be left.
    pub fn late(self) -> Option<Form> {
        let is_long = self.symbols() >= 4 * BEFORE_GAP;
        (self.wraps && is_long).then_some(Form { first: BEFORE_GAP, ..self })
    }

    /// How it is written, for reports.
    pub fn writing(&self) -> Writing {
        match self.shape {
            Shape::Text => Writing::Text,
            Shape::Base64 { .. } => Writing::Base64,
            Shape::Hexadecimal => Writing::Hexadecimal,
        }
    }

    /// The number of symbols, left-out ones included.
    pub fn symbols(&self) -> u32 {
        match self.shape {
            Shape::Text => self.length,
            Shape::Base64 { first_bit } => (self.length * 8).saturating_sub(u32::from(first_bit)) / 6,
            Shape::Hexadecimal => self.length * 2,
        }
    }

    /// How many bytes of the value `symbols` symbols show.
    pub fn shown(&self, symbols: u32) -> u32 {
        let symbols = symbols.saturating_sub(self.first);
        match self.shape {
            Shape::Text => symbols,
            Shape::Base64 { .. } => symbols * 6 / 8,
            Shape::Hexadecimal => symbols / 2,
        }
    }

    /// From how many bytes of the value on a beginning of it is treated as the value: at most 6 bytes (and the first of
    /// an escape) are ever let through, of values below 14 bytes less than half, and never fewer than 3, which may stand
    /// anywhere.
    pub fn telling(&self) -> u32 {
        (self.length / 2).clamp(4, 7)
    }

    /// The pairs of bytes with which output that matches may begin.
    pub fn heads(&self, vault: &Vault) -> Vec<[u8; 2]> {
        let mut heads = Vec::new();
        for first in (0..=u8::MAX).filter(|&b| self.may_begin(vault, &[b])) {
            // The second byte is the next symbol, or the beginning of its escape or of what may stand before it; or
            // it goes on with the escape that the first one began.
            let next = self.first + 1;
            let may_follow = |b: u8| {
                matches!(b, 0x1b | b'\n' | b' ' | b'\t' | b':' | b'-' | b',')
                    || may_escape(b)
                    || (may_escape(first) && (b.is_ascii_graphic() || b == b' '))
                    || next >= self.symbols()
                    || self.is_literal(vault, next, b)
            };
            let seconds = (0..=u8::MAX).filter(|&b| may_follow(b) && self.may_begin(vault, &[first, b]));
            heads.extend(seconds.map(|second| [first, second]));
        }
        heads
    }

    /// Whether output that begins with these bytes, one or two, may match.
    fn may_begin(&self, vault: &Vault, bytes: &[u8]) -> bool {
        let moves = self.moves(vault, self.first, bytes);
        let goes_on = |&(symbols, length): &(u32, u32)| {
            let rest = bytes.get(length as usize..).unwrap_or(&[]);
            let next = self.first + symbols;
            rest.is_empty() || next >= self.symbols() || {
                let moves = self.moves(vault, next, rest);
                moves.is_short || !moves.as_slice().is_empty()
            }
        };
        moves.is_short || moves.as_slice().iter().any(goes_on)
    }

    /// Follows the form through output from `points` on.
    pub fn follow(&self, vault: &Vault, points: &[Point], output: Output<'_>) -> Outcome {
        let symbols = self.symbols();
        let [(mut symbol, mut place)] = *points else { return self.follow_all(vault, points, output) };
        loop {
            if symbol >= symbols {
                return Outcome::Matched(place);
            }
            let rest = output.from(place);
            // The common case, without the tolerance: the symbol itself.
            if let Some(&next) = rest.first()
                && next.is_ascii_alphanumeric()
            {
                if !self.is_literal(vault, symbol, next) {
                    return Outcome::Dead;
                }
                (symbol, place) = (symbol + 1, place + 1);
                continue;
            }
            let moves = self.moves(vault, symbol, rest);
            match (moves.as_slice(), moves.is_short) {
                ([], false) => return Outcome::Dead,
                ([(s, o)], false) => (symbol, place) = (symbol + s, place + u64::from(*o)),
                _ => return self.follow_all(vault, &[(symbol, place)], output),
            }
        }
    }

    fn follow_all(&self, vault: &Vault, points: &[Point], output: Output<'_>) -> Outcome {
        let symbols = self.symbols();
        let mut open: BTreeSet<(u64, u32)> = points.iter().map(|&(symbol, place)| (place, symbol)).collect();
        let mut live = Vec::new();
        while let Some((place, symbol)) = open.pop_first() {
            if symbol >= symbols {
                return Outcome::Matched(place);
            }
            let moves = self.moves(vault, symbol, output.from(place));
            if moves.is_short {
                live.push((symbol, place));
            }
            open.extend(moves.as_slice().iter().map(|&(s, o)| (place + u64::from(o), symbol + s)));
        }
        if live.is_empty() { Outcome::Dead } else { Outcome::Live(live) }
    }

    /// The ways on from one symbol.
    fn moves(&self, vault: &Vault, symbol: u32, rest: &[u8]) -> Moves {
        let mut moves = Moves::default();
        let Some(&next) = rest.first() else {
            moves.is_short = true;
            return moves;
        };
        if self.is_literal(vault, symbol, next) {
            moves.add(1, 1);
        }
        if symbol > self.first {
            self.between(vault, symbol, rest, &mut moves);
        }
        if may_escape(next) {
            match self.shape {
                Shape::Text => {
                    let byte = self.byte(vault, symbol);
                    escapes(byte, self.wide(vault, symbol), rest, &mut moves);
                    // A terminal or an editor has made \r\n into \n.
                    let next_is_feed = symbol + 1 < self.length && self.byte(vault, symbol + 1) == b'\n';
                    if byte == b'\r' && next_is_feed && next == b'\\' {
                        let mut inner = Moves::default();
                        escapes(b'\n', None, rest, &mut inner);
                        moves.is_short |= inner.is_short;
                        inner.as_slice().iter().for_each(|&(_, o)| moves.add(2, o as usize));
                    }
                }
                // Only + and / (- and _) are ever escaped.
                Shape::Base64 { .. } => match self.sextet(vault, symbol) {
                    62 => escapes(b'+', None, rest, &mut moves),
                    63 => escapes(b'/', None, rest, &mut moves),
                    _ => {}
                },
                Shape::Hexadecimal => {}
            }
        }
        if next == b'\n'
            && self.shape == Shape::Text
            && self.byte(vault, symbol) == b'\r'
            && symbol + 1 < self.length
            && self.byte(vault, symbol + 1) == b'\n'
        {
            moves.add(2, 1);
        }
        moves
    }

    /// What may stand between this symbol and the one before.
    fn between(&self, vault: &Vault, symbol: u32, rest: &[u8], moves: &mut Moves) {
        let mut add = |(length, goes_on): (usize, bool)| {
            if length > 0 {
                moves.add(0, length);
            }
            moves.is_short |= goes_on;
        };
        if rest[0] == 0x1b {
            add(control_sequence(rest));
        }
        let done = symbol - self.first;
        if self.shape == Shape::Hexadecimal && done.is_multiple_of(2) {
            // de:ad:be:ef, de ad be ef, de-ad; over lines only after a few bytes.
            match rest {
                [b':' | b' ' | b'-', ..] => add((1, false)),
                [b',', b' ', ..] => add((2, false)),
                _ => {}
            }
        }
        if self.wraps && done >= BEFORE_GAP {
            add(gap(rest, self.shape != Shape::Hexadecimal));
        } else if self.shape == Shape::Text && matches!(rest[0], b' ' | b'\t') && self.byte(vault, symbol - 1) == b'\n'
        {
            // Several lines, indented by who prints them.
            let blanks = rest.iter().take(256).take_while(|b| matches!(b, b' ' | b'\t')).count();
            add((blanks, blanks == rest.len()));
        }
    }

    #[inline]
    fn is_literal(&self, vault: &Vault, symbol: u32, next: u8) -> bool {
        match self.shape {
            Shape::Text => self.byte(vault, symbol) == next,
            Shape::Base64 { .. } => {
                let value = match next {
                    b'A'..=b'Z' => next - b'A',
                    b'a'..=b'z' => next - b'a' + 26,
                    b'0'..=b'9' => next - b'0' + 52,
                    b'+' | b'-' => 62,
                    b'/' | b'_' => 63,
                    _ => return false,
                };
                self.sextet(vault, symbol) == value
            }
            Shape::Hexadecimal => {
                let byte = self.byte(vault, symbol / 2);
                let nibble = if symbol.is_multiple_of(2) { byte >> 4 } else { byte & 15 };
                char::from(next).to_digit(16) == Some(u32::from(nibble))
            }
        }
    }

    fn sextet(&self, vault: &Vault, symbol: u32) -> u8 {
        let Shape::Base64 { first_bit } = self.shape else { return 0 };
        let bit = u32::from(first_bit) + 6 * symbol;
        let (byte, within) = (bit / 8, bit % 8);
        let high = u16::from(self.byte(vault, byte)) << 8;
        let low = if byte + 1 < self.length { u16::from(self.byte(vault, byte + 1)) } else { 0 };
        (((high | low) >> (10 - within)) & 63) as u8
    }

    #[inline]
    fn byte(&self, vault: &Vault, index: u32) -> u8 {
        vault.byte(self.start + index)
    }

    /// The character that begins at a byte, if it is not ASCII.
    fn wide(&self, vault: &Vault, symbol: u32) -> Option<(char, usize)> {
        let lead = self.byte(vault, symbol);
        if !self.is_utf8 || lead < 0xc0 {
            return None;
        }
        let mut bytes = [0; 4];
        let length = (self.length - symbol).min(4);
        (0..length).for_each(|i| bytes[i as usize] = self.byte(vault, symbol + i));
        let width = match lead {
            0xc0..=0xdf => 2,
            0xe0..=0xef => 3,
            _ => 4,
        };
        let character = std::str::from_utf8(bytes.get(..width)?).ok()?.chars().next()?;
        Some((character, width))
    }
}
