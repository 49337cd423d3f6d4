//! The ways in which one byte or character of a secret may stand in output: literally, or escaped for a URL, JSON,
//! a shell, a programming language, HTML or mail.
//!
//! Matching is tolerant: every byte may be escaped in its own way, and backslashes may be doubled by a second encoder
//! (JSON in JSON). So no list of encoders has to be complete: `encodeURI` and `encodeURIComponent`, `printf %q` and
//! `${var@Q}`, Python's `repr` and `json.dumps` are all the same to it.

/// One way on: how many bytes of the secret are passed, and how many of the output.
pub type Move = (u32, u32);

/// The ways on from one place.
#[derive(Debug, Default)]
pub struct Moves {
    list: [Move; Self::MAX],
    len: usize,
    /// With more output there might be another way.
    pub is_short: bool,
}

impl Moves {
    const MAX: usize = 12;

    /// Adds a way, once.
    pub fn add(&mut self, secret: usize, output: usize) {
        let new = (narrow(secret), narrow(output));
        if self.len < Self::MAX && !self.as_slice().contains(&new) {
            self.list[self.len] = new;
            self.len += 1;
        }
    }

    /// The ways found.
    pub fn as_slice(&self) -> &[Move] {
        &self.list[..self.len]
    }

    fn try_text(&mut self, output: &[u8], skip: usize, expected: &[u8], secret: usize) {
        let rest = &output[skip..];
        let common = rest.len().min(expected.len());
        if !rest[..common].eq_ignore_ascii_case(&expected[..common]) {
            return;
        }
        if common == expected.len() {
            self.add(secret, skip + common);
        } else {
            self.is_short = true;
        }
    }
}

fn narrow(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

/// A character of the secret that is not ASCII, where one begins: its code and its length in UTF-8.
pub type Wide = Option<(char, usize)>;

/// Whether output that begins with `byte` could be an escape of something.
pub fn may_escape(byte: u8) -> bool {
    matches!(byte, b'%' | b'\\' | b'\'' | b'"' | b'&' | b'$' | b'+' | b'=' | b'\r')
}

/// Adds every escaped form of `byte` (or of the character that begins with it) with which `output` begins. The literal
/// form is the caller's.
pub fn escapes(byte: u8, wide: Wide, output: &[u8], moves: &mut Moves) {
    match output.first() {
        Some(b'%') => moves.try_text(output, 0, &[b'%', hex(byte >> 4), hex(byte & 15)], 1),
        Some(b'=') => moves.try_text(output, 0, &[b'=', hex(byte >> 4), hex(byte & 15)], 1),
        Some(b'+') if byte == b' ' => moves.add(1, 1),
        Some(b'\r') if byte == b'\n' => moves.try_text(output, 0, b"\r\n", 1),
        Some(b'\\') => backslash(byte, wide, output, 0, moves),
        Some(b'\'') if byte == b'\'' => {
            for form in [&b"'\\''"[..], b"'\"'\"'", b"''"] {
                moves.try_text(output, 0, form, 1);
            }
        }
        Some(b'"') if byte == b'"' => moves.try_text(output, 0, b"\"\"", 1),
        Some(b'$') if byte < b' ' || byte == 0x7f => dollar_quote(byte, output, moves),
        Some(b'&') => entity(byte, wide, output, moves),
        _ => {}
    }
}

/// A run of backslashes and what it escapes; `skip` bytes of output come before the run.
fn backslash(byte: u8, wide: Wide, output: &[u8], skip: usize, moves: &mut Moves) {
    const LONGEST: usize = 16;
    let run = output[skip..].iter().take(LONGEST).take_while(|&&b| b == b'\\').count();
    let after = skip + run;
    if byte == b'\\' {
        for doubled in [2, 4, 8, 16] {
            if doubled <= run {
                moves.add(1, skip + doubled);
            }
        }
    }
    let Some(&next) = output.get(after) else {
        // Only punctuation, controls and what is written in hexadecimal follow a backslash.
        moves.is_short |= run < LONGEST;
        return;
    };
    if next == byte && !byte.is_ascii_alphanumeric() && byte != b'\\' && byte >= b' ' {
        moves.add(1, after + 1);
    }
    let named: &[u8] = match byte {
        b'\n' => b"n",
        b'\r' => b"r",
        b'\t' => b"t",
        0x08 => b"b",
        0x0c => b"f",
        0x0b => b"v",
        0x07 => b"a",
        0x1b => b"e",
        _ => b"",
    };
    if named.first() == Some(&next) {
        moves.add(1, after + 1);
    }
    let (high, low) = (hex(byte >> 4), hex(byte & 15));
    match next {
        b'x' => moves.try_text(output, after, &[b'x', high, low], 1),
        b'u' | b'U' => {
            moves.try_text(output, after, &[b'u', b'0', b'0', high, low], 1);
            moves.try_text(output, after, &[b'u', b'{', high, low, b'}'], 1);
            moves.try_text(output, after, &[b'U', b'0', b'0', b'0', b'0', b'0', b'0', high, low], 1);
        }
        b'0'..=b'7' => {
            let octal = [b'0' + (byte >> 6), b'0' + ((byte >> 3) & 7), b'0' + (byte & 7)];
            moves.try_text(output, after, &octal, 1);
        }
        _ => {}
    }
    if let Some((character, length)) = wide {
        wide_escape(character, length, output, (after, run), moves);
    }
}

/// `\u00e9`, `\u{e9}`, `\U000000e9`, `\xe9`, and surrogate pairs.
fn wide_escape(character: char, length: usize, output: &[u8], (after, run): (usize, usize), moves: &mut Moves) {
    let code = u32::from(character);
    let digits = |count: u32| (0..count).rev().map(move |i| hex(((code >> (4 * i)) & 15) as u8));
    let mut expected = Vec::with_capacity(24);
    let mut attempt = |text: &mut dyn Iterator<Item = u8>| {
        expected.clear();
        expected.extend(text);
        moves.try_text(output, after, &expected, length);
    };
    attempt(&mut b"U".iter().copied().chain(digits(8)));
    let width = (32 - code.leading_zeros()).div_ceil(4).max(1);
    attempt(&mut b"u{".iter().copied().chain(digits(width)).chain([b'}']));
    if code < 0x100 {
        attempt(&mut b"x".iter().copied().chain(digits(2)));
    }
    if code < 0x1_0000 {
        attempt(&mut b"u".iter().copied().chain(digits(4)));
    } else {
        let mut units = [0u16; 2];
        character.encode_utf16(&mut units);
        let unit = |u: u16| (0..4u32).rev().map(move |i| hex(((u >> (4 * i)) & 15) as u8));
        let slashes = std::iter::repeat_n(b'\\', run);
        attempt(&mut [b'u'].into_iter().chain(unit(units[0])).chain(slashes).chain([b'u']).chain(unit(units[1])));
    }
}

/// zsh's `$'\n'` inside of other quoting.
fn dollar_quote(byte: u8, output: &[u8], moves: &mut Moves) {
    match output.get(1) {
        None => moves.is_short = true,
        Some(b'\'') if output.len() == 2 => moves.is_short = true,
        Some(b'\'') if output[2] == b'\\' => {
            let mut inner = Moves::default();
            backslash(byte, None, output, 2, &mut inner);
            moves.is_short |= inner.is_short;
            for &(secret, end) in inner.as_slice() {
                match output.get(end as usize) {
                    Some(b'\'') => moves.add(secret as usize, end as usize + 1),
                    Some(_) => {}
                    None => moves.is_short = true,
                }
            }
        }
        Some(_) => {}
    }
}

/// `&amp;`, `&#39;`, `&#x27;`.
fn entity(byte: u8, wide: Wide, output: &[u8], moves: &mut Moves) {
    let named: &[u8] = match byte {
        b'&' => b"&amp;",
        b'<' => b"&lt;",
        b'>' => b"&gt;",
        b'"' => b"&quot;",
        b'\'' => b"&apos;",
        _ => b"",
    };
    if !named.is_empty() {
        moves.try_text(output, 0, named, 1);
    }
    let (code, length) = wide.map_or((u32::from(byte), 1), |(c, length)| (u32::from(c), length));
    if wide.is_none() && !byte.is_ascii() || output.get(1).is_some_and(|&b| b != b'#') {
        return;
    }
    for text in [format!("&#{code};"), format!("&#x{code:x};"), format!("&#0{code};"), format!("&#x0{code:x};")] {
        moves.try_text(output, 0, text.as_bytes(), length);
    }
}

fn hex(nibble: u8) -> u8 {
    b"0123456789abcdef"[usize::from(nibble & 15)]
}

/// How a gap between two symbols looks: line breaks with what people and programs put around them (indentation, quote
/// and comment marks, string quotes and commas), spelled out or escaped.
///
/// Gives the gap's length, 0 if there is none, and whether it might go on.
pub fn gap(output: &[u8], needs_break: bool) -> (usize, bool) {
    const LONGEST: usize = 256;
    let mut at = 0;
    let mut breaks = !needs_break;
    while at < output.len().min(LONGEST) {
        match output[at] {
            b'\n' | b'\r' => breaks = true,
            b' ' | b'\t' | b'>' | b'#' | b'|' | b'*' | b'"' | b'\'' | b',' => {}
            b':' | b'-' if !needs_break => {}
            b'\\' => match output.get(at + 1) {
                None => return (if breaks { at } else { 0 }, true),
                Some(b'n' | b'r') => {
                    breaks = true;
                    at += 1;
                }
                Some(b't' | b'\\' | b'\n' | b'\r') => {}
                Some(_) => break,
            },
            _ => break,
        }
        at += 1;
    }
    (if breaks { at } else { 0 }, at == output.len() && at < LONGEST)
}

/// The length of a terminal's control sequence (ECMA-48 CSI: colours, erase to end of line) at the start of `output`,
/// 0 if there is none, and whether it is cut off.
pub fn control_sequence(output: &[u8]) -> (usize, bool) {
    const LONGEST: usize = 32;
    if output.first() != Some(&0x1b) {
        return (0, false);
    }
    match output.get(1) {
        None => return (0, true),
        Some(b'[') => {}
        Some(_) => return (0, false),
    }
    for (at, byte) in output.iter().enumerate().take(LONGEST).skip(2) {
        match byte {
            0x20..=0x3f => {}
            0x40..=0x7e => return (at + 1, false),
            _ => return (0, false),
        }
    }
    (0, output.len() < LONGEST)
}
