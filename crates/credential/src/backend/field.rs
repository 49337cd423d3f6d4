//! Secrets with several fields: a location's `#field`, and taking one field out of a JSON object.

use std::collections::BTreeMap;

use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::SecretValue;

/// A location and its field: `kv/finops/aws#access_key` → (`kv/finops/aws`, `access_key`).
pub fn split_location(location: &str) -> (&str, Option<&str>) {
    match location.rsplit_once('#') {
        Some((path, field)) if !field.is_empty() => (path, Some(field)),
        Some((path, _)) => (path, None),
        None => (location, None),
    }
}

/// Why a field cannot be taken. Holds nothing of the secret but the field's name, which was asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FieldError {
    /// The secret is no JSON object.
    #[error("the secret has no fields: it is not a JSON object")]
    NotAnObject,
    /// There is no such field.
    #[error("the secret has no field `{0}`")]
    Missing(String),
    /// The field is there twice.
    #[error("the secret has the field `{0}` twice")]
    Twice(String),
}

/// Takes a field out of a secret that is a JSON object: a string's text, anything else as JSON.
///
/// # Errors
/// Not an object, no such field, or the field twice.
///
/// # Security
/// No other field is copied, and this one only into the answer.
pub fn select_field(secret: &SecretValue, field: &str) -> Result<SecretValue, FieldError> {
    let text = secret.expose_str().ok_or(FieldError::NotAnObject)?;
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let fields = deserializer.deserialize_map(Fields).map_err(|_| FieldError::NotAnObject)?;
    deserializer.end().map_err(|_| FieldError::NotAnObject)?;
    match fields.get(field).map(Vec::as_slice) {
        None | Some([]) => Err(FieldError::Missing(field.to_owned())),
        Some([raw]) => Ok(unquoted(raw.get().trim())),
        Some(_) => Err(FieldError::Twice(field.to_owned())),
    }
}

/// Collects an object's fields without copying their values.
struct Fields;

impl<'de> Visitor<'de> for Fields {
    type Value = BTreeMap<String, Vec<&'de RawValue>>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut fields: Self::Value = BTreeMap::new();
        while let Some((name, value)) = map.next_entry::<String, &RawValue>()? {
            fields.entry(name).or_default().push(value);
        }
        Ok(fields)
    }
}

/// A JSON string's text; other JSON as it is. The parser has checked it, so malformed escapes do not occur.
pub(super) fn unquoted(json: &str) -> SecretValue {
    let Some(body) = json.strip_prefix('"').and_then(|j| j.strip_suffix('"')) else {
        return SecretValue::copy_of(json.as_bytes());
    };
    // The text of a string is never longer than what it is written as.
    let filled: Result<_, std::convert::Infallible> = SecretValue::fill(body.len(), |out| Ok(unescape(body, out)));
    match filled {
        Ok(value) => value,
        Err(never) => match never {},
    }
}

/// RFC 8259, section 7. Returns how many bytes were written.
fn unescape(body: &str, out: &mut [u8]) -> usize {
    let mut written = 0;
    let mut characters = body.chars();
    let mut put = |character: char| {
        written += character.encode_utf8(&mut out[written..]).len();
    };
    while let Some(character) = characters.next() {
        if character != '\\' {
            put(character);
            continue;
        }
        match characters.next().unwrap_or('\\') {
            'b' => put('\u{8}'),
            'f' => put('\u{c}'),
            'n' => put('\n'),
            'r' => put('\r'),
            't' => put('\t'),
            'u' => {
                let first = hex4(&mut characters);
                if !(0xd800..0xdc00).contains(&first) {
                    put(char::from_u32(first).unwrap_or(char::REPLACEMENT_CHARACTER));
                    continue;
                }
                let mut rest = characters.clone();
                let second = (rest.next() == Some('\\') && rest.next() == Some('u')).then(|| hex4(&mut rest));
                match second {
                    Some(second) if (0xdc00..0xe000).contains(&second) => {
                        characters = rest;
                        let joined = 0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00);
                        put(char::from_u32(joined).unwrap_or(char::REPLACEMENT_CHARACTER));
                    }
                    _ => put(char::REPLACEMENT_CHARACTER),
                }
            }
            other => put(other),
        }
    }
    written
}

fn hex4(characters: &mut std::str::Chars<'_>) -> u32 {
    characters.by_ref().take(4).fold(0, |value, c| value * 16 + c.to_digit(16).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn field(json: &str, name: &str) -> Result<String, FieldError> {
        let value = select_field(&SecretValue::copy_of(json.as_bytes()), name)?;
        Ok(value.expose_str().expect("UTF-8").to_owned())
    }

    #[test]
    fn a_location_has_at_most_one_field() {
        assert_eq!(split_location("kv/a/b#c"), ("kv/a/b", Some("c")));
        assert_eq!(split_location("kv/a/b"), ("kv/a/b", None));
        assert_eq!(split_location("kv/a/b#"), ("kv/a/b", None));
    }

    #[test]
    fn strings_lose_their_quotes_and_other_values_stay_json() {
        let json = r#"{"a": "x\n\"\u00e9\ud83d\ude00\/", "n": 12.50, "o": {"k": [1, 2]}, "t": true, "": "empty"}"#;
        assert_eq!(field(json, "a").as_deref(), Ok("x\n\"é😀/"));
        assert_eq!(field(json, "n").as_deref(), Ok("12.50"));
        assert_eq!(field(json, "o").as_deref(), Ok(r#"{"k": [1, 2]}"#));
        assert_eq!(field(json, "t").as_deref(), Ok("true"));
        assert_eq!(field(json, "x"), Err(FieldError::Missing("x".into())));
        assert_eq!(field(r#"{"a": 1, "a": 2}"#, "a"), Err(FieldError::Twice("a".into())));
        for text in ["", "[]", "x", "{\"a\": 1", "{\"a\": 1} trailing", "\u{0}"] {
            assert_eq!(field(text, "a"), Err(FieldError::NotAnObject), "{text}");
        }
        assert_eq!(field(r#"{"a": "\ud800x"}"#, "a").map(|v| v.ends_with('x')), Ok(true));
    }

    proptest! {
        #[test]
        fn every_string_comes_back(text: String) {
            let json = serde_json::json!({ "other": 1, "a": text }).to_string();
            prop_assert_eq!(field(&json, "a"), Ok(text));
        }

        #[test]
        fn any_bytes_are_answered(bytes: Vec<u8>) {
            let _ = select_field(&SecretValue::new(bytes), "a");
        }
    }
}
