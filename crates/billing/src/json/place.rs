use std::fmt::Write as _;

use super::{Document, Node, Value};

/// Something in a document: the value or key at an offset, or a member that is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Spot {
    offset: usize,
    at_key: bool,
    missing: Option<&'static str>,
}

impl Spot {
    pub(crate) fn at(offset: usize) -> Self {
        Spot { offset, at_key: false, missing: None }
    }

    /// The member whose key starts at `offset`.
    pub(crate) fn at_key(offset: usize) -> Self {
        Spot { offset, at_key: true, missing: None }
    }

    pub(crate) fn of(node: &Node) -> Self {
        Spot::at(node.start)
    }

    /// The member `field` that `object` does not have.
    pub(crate) fn missing(object: &Node, field: &'static str) -> Self {
        Spot { offset: object.start, at_key: false, missing: Some(field) }
    }

    pub(crate) fn offset(self) -> usize {
        self.offset
    }
}

impl Document<'_> {
    /// The RFC 6901 pointer of a spot; keys that hold secret material are masked.
    pub(crate) fn pointer(&self, spot: Spot) -> String {
        let mut pointer = String::new();
        let mut node = self.root.as_ref();
        while let Some(current) = node {
            node = self.child(current, spot, &mut pointer);
        }
        if let Some(field) = spot.missing {
            let _ = write!(pointer, "/{field}");
        }
        pointer
    }

    fn child<'n>(&self, node: &'n Node, spot: Spot, pointer: &mut String) -> Option<&'n Node> {
        if spot.missing.is_some() && spot.offset == node.start {
            return None;
        }
        match &node.value {
            Value::Array(items) => {
                let index = items.partition_point(|item| item.end <= spot.offset);
                let item = items.get(index).filter(|item| item.start <= spot.offset)?;
                let _ = write!(pointer, "/{index}");
                Some(item)
            }
            Value::Object(members) => {
                let index = members.partition_point(|member| member.node.end <= spot.offset);
                let member = members.get(index).filter(|member| member.key_start <= spot.offset)?;
                if self.is_masked(member.key_start) {
                    let _ = write!(pointer, "/[redacted key {}]", index + 1);
                } else {
                    let _ = write!(pointer, "/{}", escape(&member.key));
                }
                let here = spot.at_key && member.key_start == spot.offset;
                (!here && member.node.start <= spot.offset).then_some(&member.node)
            }
            _ => None,
        }
    }

    /// Line and column of an offset, 1-based; the column in characters.
    pub(crate) fn position(&self, offset: usize) -> (u32, u32) {
        let before = &self.bytes[..offset.min(self.bytes.len())];
        let line = before.iter().filter(|&&b| b == b'\n').count() + 1;
        let start = before.iter().rposition(|&b| b == b'\n').map_or(0, |p| p + 1);
        // A character has one byte that does not continue another.
        let column = before[start..].iter().filter(|&&b| b & 0xC0 != 0x80).count() + 1;
        (u32::try_from(line).unwrap_or(u32::MAX), u32::try_from(column).unwrap_or(u32::MAX))
    }
}

/// A key as part of a pointer: escaped as RFC 6901 has it, cut, and without characters that fool a terminal.
pub(crate) fn escape(key: &str) -> String {
    const LONGEST: usize = 64;
    let mut out = String::new();
    for (count, c) in key.chars().enumerate() {
        if count == LONGEST {
            out.push('…');
            break;
        }
        match c {
            '~' => out.push_str("~0"),
            '/' => out.push_str("~1"),
            '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' => {
                out.extend(c.escape_unicode());
            }
            c if c.is_control() => out.extend(c.escape_unicode()),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_told_by_pointer_line_and_column() {
        let text = b"{\n  \"a/b\": [1, {\"\xC3\xBC\": true}]\n}";
        let document = Document::parse(text);
        let root = document.root.as_ref().expect("valid");
        let array = root.get("a/b").expect("there");
        let inner = array.items()[1].members()[0].key_start;
        assert_eq!(document.pointer(Spot::of(root)), "");
        assert_eq!(document.pointer(Spot::of(array)), "/a~1b");
        assert_eq!(document.pointer(Spot::of(&array.items()[0])), "/a~1b/0");
        assert_eq!(document.pointer(Spot::at_key(inner)), "/a~1b/1/ü");
        assert_eq!(document.pointer(Spot::of(&array.items()[1].members()[0].node)), "/a~1b/1/ü");
        assert_eq!(document.pointer(Spot::missing(root, "currency")), "/currency");
        assert_eq!(document.position(inner), (2, 15));
        document.mask_key(inner);
        assert_eq!(document.pointer(Spot::at_key(inner)), "/a~1b/1/[redacted key 1]");
    }

    #[test]
    fn keys_cannot_fool_a_terminal() {
        assert_eq!(escape("a\u{1b}[31m\u{202e}~/"), "a\\u{1b}[31m\\u{202e}~0~1");
        assert_eq!(escape(&"k".repeat(99)).chars().count(), 65);
    }
}
