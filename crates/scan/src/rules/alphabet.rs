//! The sets of characters that tokens are drawn from. Shared with the build script.

/// A set of characters, one within the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Alphabet {
    /// Hexadecimal digits.
    Hexadecimal,
    /// ASCII letters and digits.
    Alphanumeric,
    /// What tokens are mostly made of: letters, digits, `_-+/=.~`.
    Token,
}

impl Alphabet {
    /// All, the narrowest first.
    pub const ALL: [Alphabet; 3] = [Alphabet::Hexadecimal, Alphabet::Alphanumeric, Alphabet::Token];

    /// Whether the byte is one of the characters.
    #[inline(always)]
    pub fn has(self, byte: u8) -> bool {
        TABLE[usize::from(byte)] & (1 << self as u8) != 0
    }
}

const TABLE: [u8; 256] = {
    let mut table = [0; 256];
    let mut byte = 0u8;
    loop {
        let alphanumeric = byte.is_ascii_alphanumeric();
        let token = alphanumeric || matches!(byte, b'_' | b'-' | b'+' | b'/' | b'=' | b'.' | b'~');
        table[byte as usize] = byte.is_ascii_hexdigit() as u8 | (alphanumeric as u8) << 1 | (token as u8) << 2;
        if byte == u8::MAX {
            break table;
        }
        byte += 1;
    }
};
