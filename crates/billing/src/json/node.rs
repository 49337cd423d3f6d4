/// A value with the bytes that it was read from.
pub(crate) struct Node {
    pub(crate) value: Value,
    pub(crate) start: usize,
    pub(crate) end: usize,
}

/// A JSON value.
pub(crate) enum Value {
    Null,
    Bool(bool),
    Number(Number),
    String(String),
    Array(Vec<Node>),
    Object(Vec<Member>),
}

/// A number; JSON has no NaN and no infinity, but documents in the field do.
#[derive(Clone, Copy)]
pub(crate) enum Number {
    /// Within the range of a double.
    Finite { value: f64, integer: bool },
    /// `NaN`, `Infinity` or `-Infinity`.
    NotFinite { value: f64 },
    /// Too large for a double.
    OutOfRange,
}

/// One `"key": value` of an object, in document order; a key may occur twice.
pub(crate) struct Member {
    pub(crate) key: String,
    pub(crate) key_start: usize,
    pub(crate) node: Node,
}

impl Node {
    /// The object's members; none for anything else.
    pub(crate) fn members(&self) -> &[Member] {
        match &self.value {
            Value::Object(members) => members,
            _ => &[],
        }
    }

    /// The array's items; none for anything else.
    pub(crate) fn items(&self) -> &[Node] {
        match &self.value {
            Value::Array(items) => items,
            _ => &[],
        }
    }

    /// The member of this name; the last one where it is repeated, as `JSON.parse` has it.
    pub(crate) fn get(&self, key: &str) -> Option<&Node> {
        self.members().iter().rev().find(|m| m.key == key).map(|m| &m.node)
    }

    pub(crate) fn as_str(&self) -> Option<&str> {
        match &self.value {
            Value::String(text) => Some(text),
            _ => None,
        }
    }

    pub(crate) fn is_object(&self) -> bool {
        matches!(self.value, Value::Object(_))
    }

    /// What the value is, for messages.
    pub(crate) fn kind(&self) -> &'static str {
        match &self.value {
            Value::Null => "null",
            Value::Bool(_) => "a boolean",
            Value::Number(_) => "a number",
            Value::String(_) => "a string",
            Value::Array(_) => "an array",
            Value::Object(_) => "an object",
        }
    }

    /// The value without places. Numbers that JSON cannot hold become null.
    pub(crate) fn to_json(&self) -> serde_json::Value {
        match &self.value {
            Value::Null | Value::Number(Number::NotFinite { .. } | Number::OutOfRange) => serde_json::Value::Null,
            Value::Bool(value) => (*value).into(),
            Value::Number(Number::Finite { value, integer }) => number(*value, *integer),
            Value::String(text) => text.clone().into(),
            Value::Array(items) => items.iter().map(Node::to_json).collect(),
            Value::Object(members) => members.iter().map(|m| (m.key.clone(), m.node.to_json())).collect(),
        }
    }
}

fn number(value: f64, integer: bool) -> serde_json::Value {
    const EXACT: f64 = 9_007_199_254_740_992.0; // 2^53
    if integer && value.abs() <= EXACT { (value as i64).into() } else { value.into() }
}
