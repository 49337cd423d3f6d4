//! Where in a text something stands: line, column in characters, offset in the original bytes.

use bstr::ByteSlice as _;

use super::Place;

/// How the text that is searched relates to the bytes it came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// It is the bytes.
    Same,
    /// It is UTF-8, made from UTF-16.
    Utf16,
    /// It is UTF-8, made from UTF-32.
    Utf32,
}

/// A position that moves forward through a text, in one pass over it whatever the length of its lines.
#[derive(Debug, Clone)]
pub(crate) struct Cursor {
    origin: Origin,
    /// Bytes of text passed.
    text: u64,
    /// Bytes of the original passed.
    source: u64,
    line: u32,
    /// Characters of this line passed.
    column: u64,
}

impl Cursor {
    pub(crate) fn new(origin: Origin) -> Self {
        Cursor { origin, text: 0, source: 0, line: 1, column: 0 }
    }

    /// Moves past `text`, which should end at a character's boundary.
    pub(crate) fn advance(&mut self, text: &[u8]) {
        let after_newline = match memchr::memrchr(b'\n', text) {
            Some(last) => {
                let lines = memchr::memchr_iter(b'\n', text).count();
                self.line = self.line.saturating_add(u32::try_from(lines).unwrap_or(u32::MAX));
                self.column = 0;
                &text[last + 1..]
            }
            None => text,
        };
        self.column += characters(after_newline);
        if self.text == 0 && self.line == 1 && text.starts_with(b"\xef\xbb\xbf") {
            self.column -= 1; // a byte order mark is no character of the line
        }
        self.source += match self.origin {
            Origin::Same => text.len() as u64,
            Origin::Utf16 => 2 * (characters(text) + text.iter().filter(|&&byte| byte >= 0xf0).count() as u64),
            Origin::Utf32 => 4 * characters(text),
        };
        self.text += text.len() as u64;
    }

    /// The place of a match that starts here and whose text is `matched`.
    pub(crate) fn place(&self, matched: &[u8]) -> Place {
        let column = narrow(self.column + 1);
        let end_column = if memchr::memchr(b'\n', matched).is_some() {
            column
        } else {
            narrow(self.column + 1 + characters(matched))
        };
        Place { offset: self.source, line: self.line, column, end_column }
    }
}

fn narrow(column: u64) -> u32 {
    u32::try_from(column).unwrap_or(u32::MAX)
}

/// Number of characters, where each maximal invalid sequence counts as one.
fn characters(bytes: &[u8]) -> u64 {
    let mut count = 0;
    let mut rest = bytes;
    while !rest.is_empty() {
        let ascii = rest.chunks(64).take_while(|chunk| chunk.is_ascii()).map(<[u8]>::len).sum::<usize>();
        count += ascii as u64;
        rest = &rest[ascii..];
        // Leave the ASCII path for as long as a chunk, and end on a character's boundary.
        let mut passed = 0;
        while passed < 64 && passed < rest.len() {
            let (_, size) = bstr::decode_utf8(&rest[passed..]);
            passed += size;
            count += 1;
        }
        rest = &rest[passed..];
    }
    debug_assert_eq!(count, bytes.chars().count() as u64);
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place_of(text: &[u8], at: usize, length: usize) -> (u32, u32, u32) {
        let mut cursor = Cursor::new(Origin::Same);
        cursor.advance(&text[..at]);
        let place = cursor.place(&text[at..at + length]);
        (place.line, place.column, place.end_column)
    }

    #[test]
    fn columns_count_characters() {
        let text = "ä\r\nöü secret\n".as_bytes();
        assert_eq!(place_of(text, 9, 6), (2, 4, 10));
        assert_eq!(place_of(b"\xff\xfe secret", 3, 6), (1, 4, 10));
        assert_eq!(place_of(b"\xef\xbb\xbfsecret", 3, 6), (1, 1, 7));
    }

    #[test]
    fn utf16_offsets_are_those_of_the_original() {
        let mut cursor = Cursor::new(Origin::Utf16);
        cursor.advance("\u{feff}a\u{1f600}".as_bytes());
        assert_eq!(cursor.place(b"x").offset, 2 + 2 + 4);
    }

    proptest::proptest! {
        #[test]
        fn moving_in_steps_is_moving_at_once(text in "(.|\n){0,200}", cut in 0usize..200) {
            let cut = (0..=cut.min(text.len())).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0);
            let mut once = Cursor::new(Origin::Same);
            once.advance(text.as_bytes());
            let mut steps = Cursor::new(Origin::Same);
            steps.advance(&text.as_bytes()[..cut]);
            steps.advance(&text.as_bytes()[cut..]);
            proptest::prop_assert_eq!(once.place(b""), steps.place(b""));
        }
    }
}
