//! YAML of policy documents and templates: every value with its place, tags of CloudFormation as the functions that they
//! stand for, duplicate keys refused, bad input bounded. The events come from `granit-parser`.
//!
//! Anchors, aliases and merge keys are refused: CloudFormation has none, and an alias repeats a value without bound.

use std::collections::HashSet;

use granit_parser::{Event, Parser, ScalarStyle, Span, Tag};

use super::ProveError;
use super::document::{Node, Value};
use super::source::Source;

/// Deepest nesting.
const MAX_DEPTH: usize = 64;
/// Most values in one document.
const MAX_NODES: usize = 500_000;

/// Parses the one document of a YAML text.
///
/// # Errors
/// [`ProveError`] with line and column.
pub(crate) fn parse(source: &Source<'_>) -> Result<Node, ProveError> {
    let mut reader = Reader { events: Parser::new_from_str(source.text), source, nodes: 0 };
    let mut root = None;
    loop {
        let (event, span) = reader.next()?;
        match event {
            Event::StreamEnd => break,
            Event::StreamStart | Event::DocumentStart(..) | Event::DocumentEnd => {}
            _ if root.is_some() => {
                return Err(reader.fault(&span, "there is more than one document in it", "give one a file"));
            }
            event => root = Some(reader.node(event, &span, 0)?),
        }
    }
    root.ok_or_else(|| source.fault(0, "the document is empty", "give a policy"))
}

struct Reader<'s> {
    events: Parser<'s, granit_parser::StrInput<'s>>,
    source: &'s Source<'s>,
    nodes: usize,
}

impl<'s> Reader<'s> {
    /// The next event that is no comment.
    fn next(&mut self) -> Result<(Event<'s>, Span), ProveError> {
        loop {
            match self.events.next() {
                Some(Ok((Event::Comment(..), _))) => {}
                Some(Ok(event)) => return Ok(event),
                Some(Err(error)) => {
                    let offset = offset(self.source.text, error.marker().line(), error.marker().col());
                    return Err(self.source.fault(offset, "it is no YAML", "correct the file at this place"));
                }
                None => {
                    return Err(self.source.fault(self.source.text.len(), "it ends too early", "give the whole file"));
                }
            }
        }
    }

    fn start(&self, span: &Span) -> usize {
        span.start.byte_offset().unwrap_or_else(|| offset(self.source.text, span.start.line(), span.start.col()))
    }

    fn fault(&self, span: &Span, what: &str, fix: &str) -> ProveError {
        self.source.fault(self.start(span), what, fix)
    }

    fn node(&mut self, event: Event<'s>, span: &Span, depth: usize) -> Result<Node, ProveError> {
        self.nodes += 1;
        if self.nodes > MAX_NODES || depth > MAX_DEPTH {
            return Err(self.fault(span, "it has too many values, or is nested too deep", "give one policy a file"));
        }
        if event.anchor_id().is_some() {
            return Err(self.fault(span, "it has an anchor", "write the value out where it is used"));
        }
        let start = self.start(span);
        let (value, tag) = match event {
            Event::Scalar(text, style, _, tag) => (scalar(text.into_owned(), style, tag.as_deref()), tag),
            Event::SequenceStart(_, _, tag) => (Value::Array(self.sequence(depth)?), tag),
            Event::MappingStart(_, _, tag) => (Value::Object(self.mapping(depth)?), tag),
            _ => return Err(self.fault(span, "it has an alias, or ends inside a value", "write the value out")),
        };
        let node = Node { value, start };
        Ok(match tag.as_deref().and_then(function) {
            Some(name) => Node { value: Value::Object(vec![(name, node)]), start },
            None => node,
        })
    }

    fn sequence(&mut self, depth: usize) -> Result<Vec<Node>, ProveError> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, _) => return Ok(items),
                (event, span) => items.push(self.node(event, &span, depth + 1)?),
            }
        }
    }

    fn mapping(&mut self, depth: usize) -> Result<Vec<(String, Node)>, ProveError> {
        let (mut members, mut seen) = (Vec::new(), HashSet::new());
        loop {
            let (event, span) = self.next()?;
            if matches!(event, Event::MappingEnd) {
                return Ok(members);
            }
            let Event::Scalar(key, ..) = event else {
                return Err(self.fault(&span, "a key is no text", "write keys as words"));
            };
            if key == "<<" || !seen.insert(key.to_string()) {
                return Err(self.fault(&span, "a key stands twice, or merges another mapping", "write each key once"));
            }
            let (event, span) = self.next()?;
            members.push((key.into_owned(), self.node(event, &span, depth + 1)?));
        }
    }
}

/// The function that a tag of CloudFormation stands for.
fn function(tag: &Tag) -> Option<String> {
    if tag.is_yaml_core_schema() || tag.handle() != "!" || tag.suffix().is_empty() {
        return None;
    }
    Some(match tag.suffix() {
        plain @ ("Ref" | "Condition") => plain.to_owned(),
        other => format!("Fn::{other}"),
    })
}

fn scalar(text: String, style: ScalarStyle, tag: Option<&Tag>) -> Value {
    if style != ScalarStyle::Plain || tag.is_some() {
        return Value::String(text);
    }
    match text.as_str() {
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        "true" | "True" | "TRUE" => Value::Bool(true),
        "false" | "False" | "FALSE" => Value::Bool(false),
        // A number stays as written: account ids are numbers with leading zeros.
        _ => Value::String(text),
    }
}

/// The offset of a line, counted from 1, and a column, counted from 0 in characters.
fn offset(text: &str, line: usize, column: usize) -> usize {
    let start: usize = text.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
    let rest = text.get(start..).unwrap_or_default();
    start + rest.char_indices().nth(column).map_or(rest.len(), |(at, _)| at)
}
