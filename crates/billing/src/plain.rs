//! Text without what hides it from a search and not from a reader: invisible characters, full-width forms, letters of
//! other scripts that look like Latin ones.

/// The plain form of a text; `None` where it is plain already.
pub(crate) fn plain(text: &str) -> Option<String> {
    if text.is_ascii() {
        return None;
    }
    let plain: String = text.chars().filter(|c| !is_invisible(*c)).map(look_alike).collect();
    (plain != text).then_some(plain)
}

/// Characters that show nothing: joiners, direction marks, variation selectors, tags, fillers.
pub(crate) fn is_invisible(c: char) -> bool {
    matches!(
        c,
        '\u{ad}'
            | '\u{34f}'
            | '\u{61c}'
            | '\u{115f}'..='\u{1160}'
            | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}'
            | '\u{feff}'
            | '\u{ffa0}'
            | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e0fff}'
    )
}

/// The ASCII character that `c` is taken for, else `c` itself.
fn look_alike(c: char) -> char {
    const LIKE: [(&str, &str); 2] =
        [("аеорсхуіјѕһԁԛԝАВЕКМНОРСТХІЈЅ", "aeopcxyijshdqwABEKMHOPCTXIJS"), ("ονΑΒΕΖΗΙΚΜΝΟΡΤΥΧ", "ovABEZHIKMNOPTYX")];
    if let '\u{ff01}'..='\u{ff5e}' = c {
        return char::from_u32(u32::from(c) - 0xfee0).unwrap_or(c);
    }
    LIKE.iter().find_map(|(from, to)| from.chars().zip(to.chars()).find(|(f, _)| *f == c)).map_or(c, |(_, to)| to)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn disguises_are_taken_off_and_plain_text_is_left_alone() {
        for (text, expected) in [
            ("ｐａｓｓ－１", "pass-1"),
            ("pa\u{200b}ss\u{ad}word\u{e0041}", "password"),
            ("раѕѕ", "pass"),
            ("ΑΒ", "AB"),
        ] {
            assert_eq!(plain(text).as_deref(), Some(expected), "{text}");
        }
        for text in ["", "plain", "größe", "日本"] {
            assert_eq!(plain(text), None, "{text}");
        }
    }
}
