//! JSON of policy documents: every value with its place, duplicate keys refused, bad input bounded.
//!
//! The tokens come from `jiter`. Readers differ in which of two equal keys they take, so a document that has them says two
//! things and proves neither.

use std::collections::HashSet;

use custody_contract::Place;
use jiter::{Jiter, JiterError, JiterErrorType, JsonErrorType, Peek};

use super::ProveError;

/// Longest document, in bytes. A provider's limit for one policy is some kilobytes; an account's whole export is larger.
pub const MAX_BYTES: usize = 16 << 20;
/// Deepest nesting.
const MAX_DEPTH: usize = 64;
/// Most values in one document.
const MAX_NODES: usize = 2_000_000;

/// A value with the offset at which it starts.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub value: Value,
    pub start: usize,
}

#[derive(Debug, Clone)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    /// As written.
    Number(String),
    String(String),
    Array(Vec<Node>),
    /// In order; keys are unique.
    Object(Vec<(String, Node)>),
}

impl Node {
    /// A member of an object, by its exact name.
    pub(crate) fn get(&self, key: &str) -> Option<&Node> {
        self.members().iter().find(|(name, _)| name == key).map(|(_, node)| node)
    }

    /// A member of an object, whatever the case of its name.
    pub(crate) fn get_any_case(&self, key: &str) -> Option<&Node> {
        self.members().iter().find(|(name, _)| name.eq_ignore_ascii_case(key)).map(|(_, node)| node)
    }

    /// The members of an object; none of anything else.
    pub(crate) fn members(&self) -> &[(String, Node)] {
        if let Value::Object(members) = &self.value { members } else { &[] }
    }

    /// The items of an array; none of anything else.
    pub(crate) fn items(&self) -> &[Node] {
        if let Value::Array(items) = &self.value { items } else { &[] }
    }

    pub(crate) fn is_object(&self) -> bool {
        matches!(self.value, Value::Object(_))
    }

    pub(crate) fn is_array(&self) -> bool {
        matches!(self.value, Value::Array(_))
    }

    /// The text of a string.
    pub(crate) fn text(&self) -> Option<&str> {
        if let Value::String(text) = &self.value { Some(text) } else { None }
    }

    pub(crate) fn bool(&self) -> Option<bool> {
        if let Value::Bool(value) = self.value { Some(value) } else { None }
    }

    /// The strings of a string or of an array of strings; `None` if there is anything else.
    pub(crate) fn strings(&self) -> Option<Vec<(&str, &Node)>> {
        match &self.value {
            Value::String(text) => Some(vec![(text, self)]),
            Value::Array(items) => items.iter().map(|item| item.text().map(|text| (text, item))).collect(),
            _ => None,
        }
    }
}

/// The text of a document without its byte order mark.
///
/// # Errors
/// [`ProveError`] where it is too large, not UTF-8 or empty.
pub(crate) fn text<'a>(name: &str, bytes: &'a [u8]) -> Result<&'a str, ProveError> {
    let fault = |offset: usize, what: &str, fix: &str| {
        ProveError::input(Place::file(name), format!("{what}{}", at(offset)), fix)
    };
    if bytes.len() > MAX_BYTES {
        return Err(fault(0, "the document is larger than 16 MiB", "give one policy, or one account's export, a file"));
    }
    let text = std::str::from_utf8(bytes).map_err(|e| {
        let what = if bytes.starts_with(b"\xFF\xFE") || bytes.starts_with(b"\xFE\xFF") {
            "the document is UTF-16, not UTF-8"
        } else {
            "the document is not UTF-8"
        };
        fault(e.valid_up_to(), what, "save it as UTF-8")
    })?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if text.trim().is_empty() {
        return Err(fault(0, "the document is empty", "give a policy"));
    }
    Ok(text)
}

fn at(offset: usize) -> String {
    if offset == 0 { String::new() } else { format!(", from byte {offset} on") }
}

/// Parses a JSON document.
///
/// # Errors
/// [`ProveError`] with line and column.
pub(crate) fn parse(name: &str, text: &str) -> Result<Node, ProveError> {
    let mut reader = Reader { jiter: Jiter::new(text.as_bytes()), text, name, nodes: 0 };
    let peek = reader.step(Jiter::peek)?;
    let root = reader.value(peek, 0)?;
    reader.step(Jiter::finish)?;
    Ok(root)
}

struct Reader<'a> {
    jiter: Jiter<'a>,
    text: &'a str,
    name: &'a str,
    nodes: usize,
}

impl<'a> Reader<'a> {
    fn step<T>(&mut self, call: impl FnOnce(&mut Jiter<'a>) -> Result<T, JiterError>) -> Result<T, ProveError> {
        call(&mut self.jiter).map_err(|error| {
            let (what, fix) = describe(&error.error_type);
            self.fault(error.index, what, fix)
        })
    }

    fn fault(&self, offset: usize, what: &str, fix: &str) -> ProveError {
        ProveError::input(Place::of_offset(self.name, self.text, offset.min(self.text.len())), what, fix)
    }

    fn value(&mut self, peek: Peek, depth: usize) -> Result<Node, ProveError> {
        let start = self.jiter.current_index();
        self.nodes += 1;
        if self.nodes > MAX_NODES {
            return Err(self.fault(
                start,
                "the document has more than two million values",
                "give fewer policies a file",
            ));
        }
        if depth > MAX_DEPTH {
            return Err(self.fault(
                start,
                "the document is nested more than 64 deep",
                "no policy language nests like this",
            ));
        }
        let value = match peek {
            Peek::Null => self.step(Jiter::known_null).map(|()| Value::Null)?,
            Peek::True | Peek::False => Value::Bool(self.step(|j| j.known_bool(peek))?),
            Peek::String => Value::String(self.step(|j| j.known_str().map(str::to_owned))?),
            Peek::Array => Value::Array(self.array(depth)?),
            Peek::Object => Value::Object(self.object(depth)?),
            _ => Value::Number(
                self.step(|j| j.known_number_bytes(peek).map(|b| String::from_utf8_lossy(b).into_owned()))?,
            ),
        };
        Ok(Node { value, start })
    }

    fn array(&mut self, depth: usize) -> Result<Vec<Node>, ProveError> {
        let mut items = Vec::new();
        let mut next = self.step(Jiter::known_array)?;
        while let Some(peek) = next {
            items.push(self.value(peek, depth + 1)?);
            next = self.step(Jiter::array_step)?;
        }
        Ok(items)
    }

    fn object(&mut self, depth: usize) -> Result<Vec<(String, Node)>, ProveError> {
        let mut members: Vec<(String, Node)> = Vec::new();
        let mut seen: HashSet<String> = HashSet::new();
        let mut next = self.step(|j| j.known_object().map(|k| k.map(str::to_owned)))?;
        while let Some(key) = next {
            // Small objects, nearly all of them, need no set.
            let repeated = if members.len() < 16 {
                members.iter().any(|(name, _)| *name == key)
            } else {
                if seen.is_empty() {
                    seen.extend(members.iter().map(|(name, _)| name.clone()));
                }
                !seen.insert(key.clone())
            };
            if repeated {
                let offset = self.jiter.current_index();
                return Err(self.fault(
                    offset,
                    "a key occurs twice in its object",
                    "keep one: readers differ in which one they take, so the document proves nothing",
                ));
            }
            let peek = self.step(Jiter::peek)?;
            let node = self.value(peek, depth + 1)?;
            members.push((key, node));
            next = self.step(|j| j.next_key().map(|k| k.map(str::to_owned)))?;
        }
        Ok(members)
    }
}

/// Fixed words for what is wrong: `jiter`'s own may quote the document.
fn describe(error: &JiterErrorType) -> (&'static str, &'static str) {
    use JsonErrorType as E;
    match error {
        JiterErrorType::JsonError(
            E::EofWhileParsingList | E::EofWhileParsingObject | E::EofWhileParsingString | E::EofWhileParsingValue,
        ) => ("the document ends too early", "complete it; a bracket, brace or quote is still open"),
        JiterErrorType::JsonError(E::TrailingCharacters) => {
            ("something follows the JSON value", "keep one JSON value in the document")
        }
        JiterErrorType::JsonError(E::TrailingComma) => ("a comma before a closing bracket", "remove the comma"),
        _ => ("this is not valid JSON", "write JSON (RFC 8259)"),
    }
}

/// RFC 6901: a segment of a pointer.
pub(crate) fn escape(segment: &str) -> String {
    segment.replace('~', "~0").replace('/', "~1")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bad_json_is_an_error_with_its_place() {
        for (text, place) in [
            ("{\"a\":1,\n \"a\":2}", "p:2"),
            ("{\"a\":[1,]}", "p:1"),
            ("{\"a\":", "p:1"),
            ("{} {}", "p:1"),
            (&"[".repeat(100_000), "p:1"),
        ] {
            let error = parse("p", text).expect_err("bad").to_string();
            assert!(error.contains(place), "{error}");
        }
    }

    #[test]
    fn bytes_that_are_no_text_are_refused() {
        assert!(text("p", b"{\"a\":\"\xff\"}").is_err());
        assert!(text("p", b"\xff\xfe{\0}\0").expect_err("utf-16").to_string().contains("UTF-16"));
        assert!(text("p", b" \n").is_err());
        assert_eq!(text("p", b"\xef\xbb\xbf{}").expect("a mark is passed over"), "{}");
    }
}
