use std::fmt::Write as _;

use bstr::ByteSlice as _;

/// The name as text that is safe to print: control characters, bidirectional overrides and bytes that are no UTF-8
/// become `\xNN`, the backslash `\\`, so that different names stay different.
pub fn escape(name: &[u8]) -> String {
    let mut text = String::with_capacity(name.len());
    for (start, end, c) in name.char_indices() {
        let bytes = &name[start..end];
        let invalid = c == char::REPLACEMENT_CHARACTER && bytes != "\u{fffd}".as_bytes();
        if c == '\\' {
            text.push_str("\\\\");
        } else if invalid || is_unsafe(c) {
            for byte in bytes {
                let _ = write!(text, "\\x{byte:02x}");
            }
        } else {
            text.push(c);
        }
    }
    text
}

/// Characters that change how the text around them is shown.
fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// The name with the given byte ranges, which hold secrets, replaced; the ranges need not be sorted.
pub(crate) fn redact(name: &[u8], secrets: &[(usize, usize)]) -> String {
    let mut secrets = secrets.to_vec();
    secrets.sort_unstable();
    let mut text = String::new();
    let mut at = 0;
    for (start, end) in secrets {
        let (start, end) = (start.min(name.len()), end.min(name.len()));
        if end <= at {
            continue;
        }
        text.push_str(&escape(&name[at..start.max(at)]));
        if start >= at {
            text.push_str("[redacted]");
        }
        at = end;
    }
    text.push_str(&escape(&name[at..]));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_names_stay_as_they_are() {
        assert_eq!(escape("src/Über uns.txt".as_bytes()), "src/Über uns.txt");
    }

    #[test]
    fn dangerous_names_are_escaped_and_stay_different() {
        assert_eq!(escape(b"a\x1b[31m\n"), "a\\x1b[31m\\x0a");
        assert_eq!(escape(b"a\xff"), "a\\xff");
        assert_eq!(escape(b"a\\xff"), "a\\\\xff");
        assert_eq!(escape("\u{202e}".as_bytes()), "\\xe2\\x80\\xae");
        assert_eq!(escape("\u{fffd}".as_bytes()), "\u{fffd}");
    }

    #[test]
    fn redacting_leaves_nothing_of_the_secret() {
        assert_eq!(redact(b"dir/SECRET.txt", &[(4, 10)]), "dir/[redacted].txt");
        assert_eq!(redact(b"SECRET", &[(2, 6), (0, 4)]), "[redacted]");
        assert_eq!(redact(b"aSECRETb", &[(1, 99)]), "a[redacted]");
    }

    proptest::proptest! {
        #[test]
        fn escaping_is_injective_and_printable(one: Vec<u8>, other: Vec<u8>) {
            let text = escape(&one);
            proptest::prop_assert!(!text.chars().any(char::is_control));
            proptest::prop_assert_eq!(one == other, text == escape(&other));
        }
    }
}
