//! Text that is safe to show, and how wide it is.
//!
//! The one place in which text from a report is made harmless: control characters (C0, DEL, C1), characters that
//! change the direction of writing, invisible ones, separators that some readers take for line ends, and code points
//! that XML does not allow become visible escapes such as `\n` or `\u{202e}`. A backslash stays what it is, since
//! paths reach us with their control characters already escaped.

use std::borrow::Cow;
use std::fmt::Write as _;

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// `text` on one line, with nothing in it that a terminal, a log or a page would act on.
pub(crate) fn safe(text: &str) -> Cow<'_, str> {
    escape(text, is_unsafe)
}

/// As [`safe`], and line feeds stay, for the places that lay out several lines themselves.
pub(crate) fn safe_lines(text: &str) -> Cow<'_, str> {
    escape(text, |c| c != '\n' && is_unsafe(c))
}

/// As [`safe`], cut to `limit` characters with a `…` in place of the rest.
pub(crate) fn safe_limited(text: &str, limit: usize) -> String {
    match text.char_indices().nth(limit) {
        Some((end, _)) => format!("{}…", safe(&text[..end])),
        None => safe(text).into_owned(),
    }
}

fn escape(text: &str, is_unsafe: impl Fn(char) -> bool) -> Cow<'_, str> {
    let is_plain = |&byte: &u8| matches!(byte, b' '..=b'~');
    if text.as_bytes().iter().all(is_plain) || !text.chars().any(&is_unsafe) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            c if !is_unsafe(c) => safe.push(c),
            '\n' => safe.push_str("\\n"),
            '\r' => safe.push_str("\\r"),
            '\t' => safe.push_str("\\t"),
            c => write!(safe, "\\u{{{:x}}}", u32::from(c)).expect("writing to a String does not fail"),
        }
    }
    Cow::Owned(safe)
}

/// Whether a reader could act on `c`, or would not see it.
pub(crate) fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
        || u32::from(c) & 0xfffe == 0xfffe
        || ('\u{fdd0}'..='\u{fdef}').contains(&c)
}

/// Columns that `text` takes on a terminal.
pub(crate) fn width(text: &str) -> usize {
    UnicodeWidthStr::width(text)
}

/// `text` in at most `columns`, with a `…` in place of what did not fit.
pub(crate) fn truncated(text: &str, columns: usize) -> Cow<'_, str> {
    if width(text) <= columns {
        return Cow::Borrowed(text);
    }
    let mut used = 1;
    let fits = |(_, c): &(usize, char)| {
        used += c.width().unwrap_or(0);
        used <= columns
    };
    let end = text.char_indices().take_while(fits).last().map_or(0, |(at, c)| at + c.len_utf8());
    Cow::Owned(format!("{}…", text[..end].trim_end()))
}

/// `text` in lines of at most `columns`, broken at spaces, and inside a word only where it is wider than a line.
/// At least one line; runs of spaces at a break are dropped.
pub(crate) fn wrap(text: &str, columns: usize) -> Vec<String> {
    let columns = columns.max(8);
    let mut lines = Vec::new();
    for paragraph in text.split('\n') {
        let mut line = String::new();
        let mut used = 0;
        for word in paragraph.split(' ') {
            let needed = width(word);
            if used > 0 && used + 1 + needed <= columns {
                line.push(' ');
                used += 1;
            } else if used > 0 {
                lines.push(std::mem::take(&mut line));
                used = 0;
            }
            if needed <= columns {
                line.push_str(word);
                used += needed;
            } else {
                used = push_broken(word, columns, &mut line, &mut lines);
            }
        }
        lines.push(line);
    }
    lines
}

/// Puts a word that is wider than a line into as many lines as it needs; returns the columns used in the last.
fn push_broken(word: &str, columns: usize, line: &mut String, lines: &mut Vec<String>) -> usize {
    let mut used = 0;
    for c in word.chars() {
        let needed = c.width().unwrap_or(0);
        if used + needed > columns {
            lines.push(std::mem::take(line));
            used = 0;
        }
        line.push(c);
        used += needed;
    }
    used
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_a_terminal_would_act_on_becomes_visible() {
        assert_eq!(safe("a\u{1b}[2Jb\r\n\t\u{9b}1m"), "a\\u{1b}[2Jb\\r\\n\\t\\u{9b}1m");
        assert_eq!(safe("user\u{202e}gnp.exe\u{2066}"), "user\\u{202e}gnp.exe\\u{2066}");
        assert_eq!(safe("\u{feff}\u{ffff}\u{e0041}"), "\\u{feff}\\u{ffff}\\u{e0041}");
        assert!(matches!(safe("Müller/日本語.env"), Cow::Borrowed(_)));
        assert_eq!(safe_lines("a\n\u{7}"), "a\n\\u{7}");
        assert_eq!(safe_limited("日本語", 2), "日本…");
        assert_eq!(safe_limited("日本", 2), "日本");
    }

    #[test]
    fn lines_break_at_spaces_and_count_wide_characters_as_two() {
        assert_eq!(wrap("one two three", 8), ["one two", "three"]);
        assert_eq!(wrap("日本語日本語", 8), ["日本語日", "本語"]);
        assert_eq!(truncated("日本語日本", 8), "日本語…");
        assert_eq!(truncated("日本語日", 8), "日本語日");
        assert_eq!(wrap("", 8), [""]);
        assert_eq!(wrap("a\nb", 8), ["a", "b"]);
    }

    proptest! {
        #[test]
        fn no_line_is_wider_than_asked_and_nothing_but_spaces_is_lost(text in any::<String>(), columns in 8usize..100) {
            let text = safe(&text).into_owned();
            let lines = wrap(&text, columns);
            for line in &lines {
                let by_char: usize = line.chars().map(|c| c.width().unwrap_or(0)).sum();
                prop_assert!(width(line) <= columns || by_char <= columns, "{line:?}");
            }
            let kept: String = lines.concat().chars().filter(|c| *c != ' ').collect();
            let given: String = text.chars().filter(|c| *c != ' ').collect();
            prop_assert_eq!(kept, given);
        }
    }
}
