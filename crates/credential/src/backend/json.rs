//! JSON with secret material in it: nothing of it is copied into memory that is not overwritten.
//!
//! `serde_json` finds where values begin and end ([`RawValue`] borrows from the answer, whatever the depth); a string
//! that holds material is decoded here, because the library's scratch space is not zeroized.

use serde::Deserialize;
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use super::Fault;

/// Reads an answer into its type.
///
/// # Errors
/// Malformed, with the place but without the content.
pub(crate) fn parse<'a, T: Deserialize<'a>>(bytes: &'a [u8], what: &str) -> Result<T, Fault> {
    serde_json::from_slice(bytes).map_err(|error| {
        // serde_json quotes values of the wrong type in its messages; only the place is passed on.
        Fault::malformed(format!(
            "{what} is not the JSON that is expected (line {}, column {})",
            error.line(),
            error.column()
        ))
    })
}

/// The members of a JSON object, in its order; `None` if it is no object.
pub(crate) fn members(raw: &RawValue) -> Option<Vec<(String, &RawValue)>> {
    struct Members<'a>(Vec<(String, &'a RawValue)>);
    impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
        fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            struct Visitor<'a>(std::marker::PhantomData<&'a ()>);
            impl<'de: 'a, 'a> serde::de::Visitor<'de> for Visitor<'a> {
                type Value = Members<'a>;
                fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                    f.write_str("an object")
                }
                fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                    let mut members = Vec::new();
                    while let Some(name) = map.next_key::<String>()? {
                        members.push((name, map.next_value::<&'de RawValue>()?));
                    }
                    Ok(Members(members))
                }
            }
            deserializer.deserialize_map(Visitor(std::marker::PhantomData))
        }
    }
    serde_json::from_str::<Members<'_>>(raw.get()).ok().map(|members| members.0)
}

/// What a value is as material: a string's text, anything else as the JSON it is written as; `null` is nothing.
pub(crate) fn material(raw: &RawValue) -> Option<Zeroizing<Vec<u8>>> {
    match raw.get() {
        "null" => None,
        text if text.starts_with('"') => decode_string(text),
        text => Some(Zeroizing::new(text.as_bytes().to_vec())),
    }
}

/// The text of a JSON string, decoded into memory that is overwritten.
pub(crate) fn secret_text(raw: &RawValue) -> Option<Zeroizing<String>> {
    let mut bytes = decode_string(raw.get())?;
    String::from_utf8(std::mem::take(&mut *bytes)).ok().map(Zeroizing::new)
}

/// Picks a member of a JSON object that is itself a secret's text: `#field`.
///
/// # Errors
/// Not found, if the text is no object or has no such member.
pub(crate) fn pick(text: &[u8], field: &str) -> Result<Zeroizing<Vec<u8>>, Fault> {
    let not_found = |why: String| Fault::new(super::ErrorKind::NotFound, why, "check the part after `#`");
    let raw: &RawValue = serde_json::from_slice(text)
        .map_err(|_| not_found(format!("the secret is no JSON object, so it has no field `{field}`")))?;
    let members =
        members(raw).ok_or_else(|| not_found(format!("the secret is no JSON object, so it has no field `{field}`")))?;
    field_of(&members, field)
}

/// Picks a member by its name.
///
/// # Errors
/// Not found, with the names that are there (names of fields are no material).
pub(crate) fn field_of(members: &[(String, &RawValue)], field: &str) -> Result<Zeroizing<Vec<u8>>, Fault> {
    let mut found = members.iter().filter(|(name, _)| name == field);
    let first = found.next();
    if found.next().is_some() {
        return Err(Fault::malformed(format!("the secret has the field `{field}` twice")));
    }
    first.and_then(|(_, raw)| material(raw)).ok_or_else(|| {
        let names: Vec<_> = members.iter().take(8).map(|(name, _)| super::http::clean(name, 40)).collect();
        let names = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
        Fault::new(
            super::ErrorKind::NotFound,
            format!("the secret has no field `{field}`"),
            format!("use one of its fields: {names}"),
        )
    })
}

/// Decodes a JSON string (RFC 8259, section 7) that `serde_json` has accepted.
fn decode_string(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    let inner = text.strip_prefix('"')?.strip_suffix('"')?.as_bytes();
    // Decoding never lengthens: the buffer is not moved while it fills.
    let mut out = Zeroizing::new(Vec::with_capacity(inner.len()));
    let mut at = 0;
    while at < inner.len() {
        let byte = inner[at];
        at += 1;
        if byte != b'\\' {
            out.push(byte);
            continue;
        }
        let escape = *inner.get(at)?;
        at += 1;
        match escape {
            b'"' | b'\\' | b'/' => out.push(escape),
            b'b' => out.push(8),
            b'f' => out.push(12),
            b'n' => out.push(b'\n'),
            b'r' => out.push(b'\r'),
            b't' => out.push(b'\t'),
            b'u' => {
                let character = decode_unicode(inner, &mut at)?;
                let mut utf8 = [0; 4];
                out.extend_from_slice(character.encode_utf8(&mut utf8).as_bytes());
                zeroize::Zeroize::zeroize(&mut utf8);
            }
            _ => return None,
        }
    }
    Some(out)
}

fn decode_unicode(inner: &[u8], at: &mut usize) -> Option<char> {
    let first = decode_unit(inner, at)?;
    if !(0xd800..0xdc00).contains(&first) {
        return char::from_u32(first);
    }
    if inner.get(*at..*at + 2)? != b"\\u" {
        return None;
    }
    *at += 2;
    let second = decode_unit(inner, at)?;
    if !(0xdc00..0xe000).contains(&second) {
        return None;
    }
    char::from_u32(0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00))
}

fn decode_unit(inner: &[u8], at: &mut usize) -> Option<u32> {
    let digits = std::str::from_utf8(inner.get(*at..*at + 4)?).ok()?;
    *at += 4;
    u32::from_str_radix(digits, 16).ok()
}

/// Writes a string as JSON into memory that is overwritten.
pub(crate) fn quote(out: &mut Zeroizing<Vec<u8>>, text: &str) {
    // Worst case: six bytes a character. Reserved at once, so that no copy stays behind.
    reserve(out, text.len() * 6 + 2);
    out.push(b'"');
    for byte in text.bytes() {
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            0..0x20 => {
                const HEX: &[u8; 16] = b"0123456789abcdef";
                out.extend_from_slice(b"\\u00");
                out.push(HEX[usize::from(byte >> 4)]);
                out.push(HEX[usize::from(byte & 15)]);
            }
            _ => out.push(byte),
        }
    }
    out.push(b'"');
}

/// Room for `more` bytes: where the buffer has to move, the old one is overwritten.
pub(crate) fn reserve(buffer: &mut Zeroizing<Vec<u8>>, more: usize) {
    if buffer.capacity() - buffer.len() >= more {
        return;
    }
    let mut grown = Zeroizing::new(Vec::with_capacity((buffer.len() + more).max(buffer.capacity() * 2)));
    grown.extend_from_slice(buffer);
    std::mem::swap(buffer, &mut grown);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn strings_decode_as_serde_json_decodes_them(text in "\\PC*|[\\x00-\\x7f]*") {
            let json = serde_json::to_string(&text).unwrap();
            prop_assert!(decode_string(&json).unwrap().as_slice() == text.as_bytes());
            let ascii: String = json.chars().map(|c| if c.is_ascii() { c.to_string() } else {
                let mut units = [0; 2];
                c.encode_utf16(&mut units).iter().map(|u| format!("\\u{u:04x}")).collect()
            }).collect();
            prop_assert!(decode_string(&ascii).unwrap().as_slice() == text.as_bytes());
        }

        #[test]
        fn a_quoted_string_reads_back(text in "\\PC*|[\\x00-\\x7f]*") {
            let mut out = Zeroizing::new(Vec::new());
            quote(&mut out, &text);
            prop_assert_eq!(serde_json::from_slice::<String>(&out).unwrap(), text);
        }

        #[test]
        fn what_is_no_string_never_panics(text in "\"[\\\\u0-9a-fD ]{0,16}\"?") {
            drop(decode_string(&text));
        }
    }

    #[test]
    fn nesting_of_any_depth_is_passed_over() {
        let deep = format!("{{\"a\":{}{},\"b\":\"x\"}}", "[".repeat(100_000), "]".repeat(100_000));
        let raw: &RawValue = serde_json::from_str(&deep).unwrap();
        let members = members(raw).unwrap();
        assert_eq!(field_of(&members, "b").unwrap().as_slice(), b"x");
    }

    #[test]
    fn an_error_never_quotes_the_content() {
        #[derive(Debug, Deserialize)]
        struct Wanted {
            #[expect(dead_code, reason = "only its type matters")]
            count: u32,
        }
        let fault = parse::<Wanted>(br#"{"count":"hunter2"}"#, "the answer").unwrap_err();
        assert!(!format!("{fault:?}").contains("hunter2"));
    }
}
