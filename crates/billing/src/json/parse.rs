use std::cell::RefCell;
use std::collections::{BTreeSet, HashSet};

use jiter::{Jiter, JiterError, JiterErrorType, JsonErrorType, Peek};

use super::{Member, Node, Number, Spot, Value};

/// A parsed document with everything that is wrong with its syntax.
pub(crate) struct Document<'a> {
    pub(crate) bytes: &'a [u8],
    /// The whole value, if it could be read to the end.
    pub(crate) root: Option<Node>,
    pub(crate) faults: Vec<SyntaxFault>,
    /// Starts of keys that may not be shown, since they hold secret material.
    masked: RefCell<BTreeSet<usize>>,
}

/// Something that is wrong with the JSON itself.
pub(crate) struct SyntaxFault {
    pub(crate) reason: &'static str,
    pub(crate) what: &'static str,
    pub(crate) fix: &'static str,
    pub(crate) spot: Spot,
}

impl<'a> Document<'a> {
    /// Longest document, in bytes. Real requests have a few hundred.
    pub(crate) const MAX_BYTES: usize = 4 << 20;
    /// Deepest nesting.
    pub(crate) const MAX_DEPTH: usize = 64;
    /// Most values in one document.
    pub(crate) const MAX_NODES: usize = 100_000;

    pub(crate) fn parse(bytes: &'a [u8]) -> Self {
        let mut document = Document { bytes, root: None, faults: Vec::new(), masked: RefCell::default() };
        if bytes.len() > Self::MAX_BYTES {
            document.fault("document_too_large", "the document is larger than 4 MiB", "send one request", 0);
            return document;
        }
        let mark = if bytes.starts_with(b"\xEF\xBB\xBF") { 3 } else { 0 };
        if mark > 0 {
            let what = "the document starts with a byte order mark";
            document.fault("byte_order_mark", what, "save it as UTF-8 without a byte order mark (RFC 8259, 8.1)", 0);
        }
        if let Err(error) = std::str::from_utf8(bytes) {
            let what = "the document is not UTF-8";
            document.fault("not_utf8", what, "save it as UTF-8 (RFC 8259, 8.1)", error.valid_up_to());
            return document;
        }
        if bytes[mark..].iter().all(u8::is_ascii_whitespace) {
            document.fault("empty_document", "the document is empty", "write a JSON object", 0);
            return document;
        }
        let mut reader = Reader {
            jiter: Jiter::new(&bytes[mark..]).with_allow_inf_nan(),
            bytes,
            base: mark,
            nodes: 0,
            faults: Vec::new(),
        };
        let root = reader.document();
        document.faults.append(&mut reader.faults);
        document.root = root;
        document
    }

    fn fault(&mut self, reason: &'static str, what: &'static str, fix: &'static str, offset: usize) {
        self.faults.push(SyntaxFault { reason, what, fix, spot: Spot::at(offset) });
    }

    /// Keeps a key out of every pointer.
    pub(crate) fn mask_key(&self, key_start: usize) {
        self.masked.borrow_mut().insert(key_start);
    }

    pub(crate) fn is_masked(&self, key_start: usize) -> bool {
        self.masked.borrow().contains(&key_start)
    }
}

/// Why reading stopped.
struct Stop;

struct Reader<'a> {
    jiter: Jiter<'a>,
    bytes: &'a [u8],
    base: usize,
    nodes: usize,
    faults: Vec<SyntaxFault>,
}

impl<'a> Reader<'a> {
    fn document(&mut self) -> Option<Node> {
        let peek = self.step(Jiter::peek).ok()?;
        let root = self.value(peek, 0).ok()?;
        // What follows the value is a fault, and the value is still worth checking.
        let _ = self.step(Jiter::finish);
        Some(root)
    }

    fn offset(&self) -> usize {
        self.base + self.jiter.current_index()
    }

    fn step<T>(&mut self, call: impl FnOnce(&mut Jiter<'a>) -> Result<T, JiterError>) -> Result<T, Stop> {
        let result = call(&mut self.jiter);
        result.map_err(|error| {
            let (reason, what, fix) = describe(&error.error_type);
            let offset = (self.base + error.index).min(self.bytes.len());
            self.faults.push(SyntaxFault { reason, what, fix, spot: Spot::at(offset) });
            Stop
        })
    }

    fn stop<T>(&mut self, reason: &'static str, what: &'static str, fix: &'static str) -> Result<T, Stop> {
        let spot = Spot::at(self.offset());
        self.faults.push(SyntaxFault { reason, what, fix, spot });
        Err(Stop)
    }

    fn value(&mut self, peek: Peek, depth: usize) -> Result<Node, Stop> {
        let start = self.offset();
        self.nodes += 1;
        if self.nodes > Document::MAX_NODES {
            return self.stop("document_too_complex", "the document has more than 100,000 values", "send one request");
        }
        if depth > Document::MAX_DEPTH {
            return self.stop("nested_too_deeply", "the document is nested more than 64 deep", "flatten it");
        }
        let value = match peek {
            Peek::Null => self.step(Jiter::known_null).map(|()| Value::Null)?,
            Peek::True | Peek::False => Value::Bool(self.step(|j| j.known_bool(peek))?),
            Peek::String => Value::String(self.step(|j| j.known_str().map(str::to_owned))?),
            Peek::Array => Value::Array(self.array(depth)?),
            Peek::Object => Value::Object(self.object(depth)?),
            _ => Value::Number(self.number(peek)?),
        };
        Ok(Node { value, start, end: self.offset() })
    }

    fn number(&mut self, peek: Peek) -> Result<Number, Stop> {
        let start = self.offset();
        let text = self.step(|j| j.known_number_bytes(peek).map(|b| String::from_utf8_lossy(b).into_owned()))?;
        if text.contains(['N', 'I']) {
            let (what, fix) = ("NaN and Infinity are no JSON numbers", "write a finite number");
            self.faults.push(SyntaxFault { reason: "not_a_number", what, fix, spot: Spot::at(start) });
            return Ok(Number::NotFinite { value: text.parse().unwrap_or(f64::NAN) });
        }
        let value: f64 = text.parse().unwrap_or(f64::INFINITY);
        if !value.is_finite() {
            let (what, fix) = ("the number is too large for a double", "write a finite number");
            self.faults.push(SyntaxFault { reason: "number_out_of_range", what, fix, spot: Spot::at(start) });
            return Ok(Number::OutOfRange);
        }
        Ok(Number::Finite { value, integer: value.fract() == 0.0 })
    }

    fn array(&mut self, depth: usize) -> Result<Vec<Node>, Stop> {
        let mut items = Vec::new();
        let mut next = self.step(Jiter::known_array)?;
        while let Some(peek) = next {
            items.push(self.value(peek, depth + 1)?);
            next = self.step(Jiter::array_step)?;
        }
        Ok(items)
    }

    fn object(&mut self, depth: usize) -> Result<Vec<Member>, Stop> {
        let mut members: Vec<Member> = Vec::new();
        let mut seen = HashSet::new();
        let mut key_start = self.next_quote();
        let mut next = self.step(|j| j.known_object().map(|k| k.map(str::to_owned)))?;
        while let Some(key) = next {
            let repeated = !seen.insert(key.clone());
            if repeated {
                let what = "the key occurs twice in its object";
                let fix = "keep one; readers differ in which one they take";
                self.faults.push(SyntaxFault { reason: "duplicate_key", what, fix, spot: Spot::at_key(key_start) });
            }
            let peek = self.step(Jiter::peek)?;
            let node = self.value(peek, depth + 1)?;
            members.push(Member { key, key_start, node });
            key_start = self.next_quote();
            next = self.step(|j| j.next_key().map(|k| k.map(str::to_owned)))?;
        }
        Ok(members)
    }

    /// Where the next key starts: between a value and the next key stand only blanks and a comma.
    fn next_quote(&self) -> usize {
        let from = self.offset();
        let ahead = self.bytes[from..].iter().position(|&b| b == b'"').unwrap_or(0);
        from + ahead
    }
}

/// Fixed words for what is wrong: `jiter`'s own may quote the document.
fn describe(error: &JiterErrorType) -> (&'static str, &'static str, &'static str) {
    use JsonErrorType as E;
    let JiterErrorType::JsonError(error) = error else {
        return ("invalid_json", "this is not valid JSON", "write JSON (RFC 8259)");
    };
    match error {
        E::EofWhileParsingList | E::EofWhileParsingObject | E::EofWhileParsingString | E::EofWhileParsingValue => (
            "truncated_document",
            "the document ends too early",
            "complete it; a bracket, brace or quote is still open",
        ),
        E::TrailingCharacters => {
            ("trailing_characters", "something follows the JSON value", "keep one JSON value in the document")
        }
        E::TrailingComma => ("invalid_json", "a comma before a closing bracket", "remove the comma"),
        E::ExpectedColon => ("invalid_json", "a colon is missing after a key", "write \"key\": value"),
        E::ExpectedListCommaOrEnd => {
            ("invalid_json", "a comma or ] is missing in an array", "separate items by commas")
        }
        E::ExpectedObjectCommaOrEnd => {
            ("invalid_json", "a comma or } is missing in an object", "separate members by commas")
        }
        E::KeyMustBeAString => ("invalid_json", "a key is not a string", "put keys in double quotes"),
        E::InvalidEscape => {
            ("invalid_escape", "an escape that JSON does not have", "use \\\" \\\\ \\/ \\b \\f \\n \\r \\t or \\uXXXX")
        }
        E::InvalidUnicodeCodePoint | E::LoneLeadingSurrogateInHexEscape | E::UnexpectedEndOfHexEscape => (
            "lone_surrogate",
            "half of a surrogate pair, or an unfinished escape",
            "write the character itself, or both halves",
        ),
        E::ControlCharacterWhileParsingString => {
            ("control_character", "a control character inside a string", "escape it, such as \\n")
        }
        E::InvalidNumber => {
            ("invalid_number", "a malformed number", "write a number such as 12.5, without leading zeros or +")
        }
        E::NumberOutOfRange => ("number_out_of_range", "a number with too many digits", "write a finite number"),
        _ => ("invalid_json", "a JSON value is expected here", "write JSON (RFC 8259)"),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn reasons(text: impl AsRef<[u8]>) -> Vec<&'static str> {
        Document::parse(text.as_ref()).faults.iter().map(|f| f.reason).collect()
    }

    #[test]
    fn each_kind_of_bad_syntax_is_named() {
        let deep = "[".repeat(100_000);
        let surrogate = ["\"\\ud8", "00\""].concat();
        let cases: [(&[u8], &[&str]); 17] = [
            (b"", &["empty_document"]),
            (b" \n", &["empty_document"]),
            (b"\xEF\xBB\xBF{}", &["byte_order_mark"]),
            (b"\xEF\xBB\xBF", &["byte_order_mark", "empty_document"]),
            (b"\xFF\xFE{\0}\0", &["not_utf8"]),
            (b"{\"a\": \"\xC3\"}", &["not_utf8"]),
            (b"{} x", &["trailing_characters"]),
            (b"{\"a\": NaN, \"b\": -Infinity}", &["not_a_number", "not_a_number"]),
            (b"{\"a\": 1e999}", &["number_out_of_range"]),
            (b"{\"a\": 01}", &["invalid_number"]),
            (b"{\"a\": 1, \"a\": 2}", &["duplicate_key"]),
            (b"{\"a\": {\"b\": 1, \"\\u0062\": 2}}", &["duplicate_key"]),
            (b"{\"a\"", &["truncated_document"]),
            (b"{\"a\": 1,}", &["invalid_json"]),
            (b"{'a': 1}", &["invalid_json"]),
            (deep.as_bytes(), &["nested_too_deeply"]),
            (surrogate.as_bytes(), &["lone_surrogate"]),
        ];
        for (text, expected) in cases {
            let shown = String::from_utf8_lossy(&text[..text.len().min(40)]).into_owned();
            assert_eq!(reasons(text), expected, "{shown}");
        }
    }

    #[test]
    fn huge_documents_are_refused_unread() {
        assert_eq!(reasons(vec![b'1'; Document::MAX_BYTES + 1]), ["document_too_large"]);
        let wide = format!("[{}0]", "0,".repeat(Document::MAX_NODES));
        assert_eq!(reasons(wide), ["document_too_complex"]);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let document = Document::parse(&bytes);
            prop_assert!(document.root.is_some() || !document.faults.is_empty());
        }

        #[test]
        fn what_serde_reads_is_read_alike(value in json()) {
            let text = serde_json::to_string_pretty(&value).expect("serialises");
            let document = Document::parse(text.as_bytes());
            prop_assert!(document.faults.is_empty());
            prop_assert_eq!(document.root.expect("read").to_json(), value);
        }
    }

    fn json() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<bool>().prop_map(Into::into),
            any::<i32>().prop_map(Into::into),
            ".*".prop_map(serde_json::Value::from),
        ];
        leaf.prop_recursive(4, 32, 6, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..6).prop_map(serde_json::Value::from),
                proptest::collection::btree_map(".*", inner, 0..6)
                    .prop_map(|m| serde_json::Value::Object(m.into_iter().collect())),
            ]
        })
    }
}
