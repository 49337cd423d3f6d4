//! A document's text with the places in it, for languages other than IAM.

use custody_contract::Place;

use super::document::{self, Node, Value, escape};
use super::verdict::GrantPlace;
use super::{Input, ProveError, shown};

/// Furthest column that is counted; policies without line breaks have places by their pointer.
const MAX_COLUMN: usize = 4_096;

/// Where a text's lines start, so that a place costs little however long the text.
pub(crate) struct Lines(Vec<usize>);

impl Lines {
    pub(crate) fn of(text: &str) -> Self {
        let ends = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
        Self(std::iter::once(0).chain(ends.map(|(at, _)| at + 1)).collect())
    }

    /// The place of an offset.
    pub(crate) fn place(&self, name: &str, text: &str, offset: usize) -> Place {
        let offset = text.floor_char_boundary(offset);
        let line = self.0.partition_point(|start| *start <= offset).max(1);
        let before = text.get(self.0[line - 1]..offset).unwrap_or_default();
        let column = if before.len() > MAX_COLUMN { 0 } else { before.chars().count() + 1 };
        Place::at(name, u32::try_from(line).unwrap_or(u32::MAX), u32::try_from(column).unwrap_or_default())
    }
}

/// A document that is being judged.
pub(crate) struct Source<'a> {
    pub name: &'a str,
    pub text: &'a str,
    lines: Lines,
}

impl<'a> Source<'a> {
    pub(crate) fn of(input: &Input<'a>) -> Result<Self, ProveError> {
        Ok(Self::new(input.name, document::text(input.name, input.bytes)?))
    }

    pub(crate) fn new(name: &'a str, text: &'a str) -> Self {
        Self { name, text, lines: Lines::of(text) }
    }

    /// Whether it looks like JSON.
    pub(crate) fn is_json(&self) -> bool {
        self.text.trim_start().starts_with(['{', '['])
    }

    pub(crate) fn json(&self) -> Result<Node, ProveError> {
        document::parse(self.name, self.text)
    }

    /// The place of a value.
    pub(crate) fn at(&self, offset: usize, pointer: &str, statement: impl Into<String>) -> GrantPlace {
        let mut place = self.lines.place(self.name, self.text, offset);
        place.pointer = Some(pointer.to_owned()).filter(|p| !p.is_empty());
        GrantPlace { place, statement: statement.into() }
    }

    /// The place of a line, counted from 1.
    pub(crate) fn line(&self, line: usize, statement: impl Into<String>) -> GrantPlace {
        let place = Place::at(self.name, u32::try_from(line).unwrap_or(u32::MAX), 1);
        GrantPlace { place, statement: statement.into() }
    }

    pub(crate) fn fault(&self, offset: usize, what: impl Into<String>, fix: &str) -> ProveError {
        ProveError::input(self.lines.place(self.name, self.text, offset), what, fix)
    }
}

/// Calls `visit` for each object in a document, with its pointer, outermost first. Nesting is bounded by the parser.
pub(crate) fn objects<'n>(node: &'n Node, pointer: &str, visit: &mut dyn FnMut(&'n Node, &str)) {
    match &node.value {
        Value::Object(members) => {
            visit(node, pointer);
            for (key, member) in members {
                objects(member, &format!("{pointer}/{}", escape(key)), visit);
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                objects(item, &format!("{pointer}/{index}"), visit);
            }
        }
        _ => {}
    }
}

/// A name for messages: the first member of these that is a string, else `otherwise`.
pub(crate) fn named(node: &Node, keys: &[&str], kind: &str) -> String {
    let name = keys.iter().find_map(|key| node.get_any_case(key).and_then(Node::text));
    name.map_or_else(|| kind.to_owned(), |name| format!("{kind} {}", shown(name)))
}
