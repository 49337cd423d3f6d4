//! A document's text with the places in it, for languages other than IAM.

use custody_contract::Place;

use super::document::{self, Node, Value, escape};
use super::verdict::GrantPlace;
use super::{Input, ProveError, shown};

/// A document that is being judged.
pub(crate) struct Source<'a> {
    pub name: &'a str,
    pub text: &'a str,
}

impl<'a> Source<'a> {
    pub(crate) fn of(input: &Input<'a>) -> Result<Self, ProveError> {
        Ok(Self { name: input.name, text: document::text(input.name, input.bytes)? })
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
        let mut place = Place::of_offset(self.name, self.text, offset);
        place.pointer = Some(pointer.to_owned()).filter(|p| !p.is_empty());
        GrantPlace { place, statement: statement.into() }
    }

    /// The place of a line, counted from 1.
    pub(crate) fn line(&self, line: usize, statement: impl Into<String>) -> GrantPlace {
        let place = Place::at(self.name, u32::try_from(line).unwrap_or(u32::MAX), 1);
        GrantPlace { place, statement: statement.into() }
    }

    pub(crate) fn fault(&self, offset: usize, what: impl Into<String>, fix: &str) -> ProveError {
        ProveError::input(Place::of_offset(self.name, self.text, offset), what, fix)
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
