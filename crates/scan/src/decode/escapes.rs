//! Escapes within text: percent-encoding, backslashes, HTML character references, quoted-printable.

use zeroize::Zeroizing;

use super::{Layer, OriginMap};

/// RFC 3986, section 2.1.
pub(super) fn percent(bytes: &[u8]) -> Option<Layer> {
    rewrite(bytes, b'%', "percent", |rest| Some((Decoded::Byte(hex(rest.get(1..3)?)? as u8), 3)))
}

/// Escapes of string literals: `\u0041`, `\u{41}`, `\x41`, `\101`, `\n`, `\"`, `\/`, `\\`.
pub(super) fn backslash(bytes: &[u8]) -> Option<Layer> {
    rewrite(bytes, b'\\', "escape", |rest| {
        Some(match rest.get(1)? {
            b'u' if rest.get(2) == Some(&b'{') => {
                let end = rest.iter().take(10).position(|&b| b == b'}')?;
                (Decoded::Char(hex(&rest[3..end])?), end + 1)
            }
            b'u' => surrogates(rest)?,
            b'U' => (Decoded::Char(hex(rest.get(2..10)?)?), 10),
            b'x' => (Decoded::Byte(hex(rest.get(2..4)?)? as u8), 4),
            b'0'..=b'3' => {
                let digits = rest.get(1..4).filter(|d| d.iter().all(|b| matches!(b, b'0'..=b'7')))?;
                (Decoded::Byte(digits.iter().fold(0, |n, d| n << 3 | (d - b'0'))), 4)
            }
            b'n' => (Decoded::Byte(b'\n'), 2),
            b'r' => (Decoded::Byte(b'\r'), 2),
            b't' => (Decoded::Byte(b'\t'), 2),
            &quoted @ (b'"' | b'\'' | b'/' | b'\\') => (Decoded::Byte(quoted), 2),
            _ => return None,
        })
    })
}

/// `\ud83d\ude00` is one character.
fn surrogates(rest: &[u8]) -> Option<(Decoded, usize)> {
    let high = hex(rest.get(2..6)?)?;
    if (0xd800..0xdc00).contains(&high)
        && rest.get(6..8) == Some(b"\\u")
        && let Some(low) = rest.get(8..12).and_then(hex)
        && (0xdc00..0xe000).contains(&low)
    {
        return Some((Decoded::Char(0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00)), 12));
    }
    Some((Decoded::Char(high), 6))
}

/// Character references of HTML and XML: numeric ones, and the five names that XML has.
pub(super) fn html(bytes: &[u8]) -> Option<Layer> {
    rewrite(bytes, b'&', "html", |rest| {
        let end = rest.iter().take(12).position(|&b| b == b';')?;
        let decoded = match &rest[1..end] {
            [b'#', b'x' | b'X', digits @ ..] => Decoded::Char(hex(digits)?),
            [b'#', digits @ ..] if !digits.is_empty() && digits.iter().all(u8::is_ascii_digit) => {
                Decoded::Char(digits.iter().try_fold(0u32, |n, d| n.checked_mul(10)?.checked_add(u32::from(d - b'0')))?)
            }
            b"amp" => Decoded::Byte(b'&'),
            b"lt" => Decoded::Byte(b'<'),
            b"gt" => Decoded::Byte(b'>'),
            b"quot" => Decoded::Byte(b'"'),
            b"apos" => Decoded::Byte(b'\''),
            _ => return None,
        };
        Some((decoded, end + 1))
    })
}

/// RFC 2045, section 6.7. Only where something tells it from assignments: a soft line break, or `=3D`.
pub(super) fn quoted_printable(bytes: &[u8]) -> Option<Layer> {
    let speaks = [&b"=\n"[..], b"=\r\n", b"=3D"].iter().any(|mark| memchr::memmem::find(bytes, mark).is_some());
    if !speaks {
        return None;
    }
    rewrite(bytes, b'=', "quoted-printable", |rest| match rest.get(1)? {
        b'\n' => Some((Decoded::Nothing, 2)),
        b'\r' if rest.get(2) == Some(&b'\n') => Some((Decoded::Nothing, 3)),
        _ => {
            let pair = rest.get(1..3).filter(|p| p.iter().all(|b| b.is_ascii_digit() || (b'A'..=b'F').contains(b)))?;
            Some((Decoded::Byte(hex(pair)? as u8), 3))
        }
    })
}

enum Decoded {
    Byte(u8),
    Char(u32),
    Nothing,
}

/// Replaces each escape that starts with `mark` and that `decode` knows; `None` if there is none.
fn rewrite(
    bytes: &[u8],
    mark: u8,
    encoding: &'static str,
    decode: impl Fn(&[u8]) -> Option<(Decoded, usize)>,
) -> Option<Layer> {
    let mut text: Zeroizing<Vec<u8>> = Zeroizing::new(Vec::new());
    let mut points = Vec::new();
    let (mut copied, mut from) = (0, 0);
    while let Some(at) = memchr::memchr(mark, &bytes[from..]).map(|p| from + p) {
        let Some((decoded, length)) = decode(&bytes[at..]) else {
            from = at + 1;
            continue;
        };
        if points.is_empty() {
            // Reserved once, so that no half-filled buffer is left behind unwiped.
            text.reserve_exact(bytes.len());
        }
        text.extend_from_slice(&bytes[copied..at]);
        points.push((text.len(), at));
        match decoded {
            Decoded::Byte(byte) => text.push(byte),
            Decoded::Char(code) => {
                let char = char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER);
                text.extend_from_slice(char.encode_utf8(&mut [0; 4]).as_bytes());
            }
            Decoded::Nothing => {}
        }
        from = at + length;
        copied = from;
        points.push((text.len(), from));
    }
    if points.is_empty() {
        return None;
    }
    text.extend_from_slice(&bytes[copied..]);
    Some(Layer { text, lead: 0, encoding, origin: OriginMap::Points(points) })
}

fn hex(digits: &[u8]) -> Option<u32> {
    if digits.is_empty() || digits.len() > 8 {
        return None;
    }
    digits.iter().try_fold(0u32, |n, &d| Some(n << 4 | char::from(d).to_digit(16)?))
}
