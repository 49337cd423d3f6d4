//! Structural validators: what a format's own redundancy says about a candidate.

use data_encoding::{BASE64, BASE64_NOPAD, BASE64URL_NOPAD};
use serde_json::Value;

use super::{Checksum, structure};

/// What a validator says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It can hardly be anything else.
    Confirmed,
    /// It cannot be real.
    Refuted,
    /// It says nothing.
    Unknown,
}

/// Validates `secret`; `prefix` is the rule's.
pub fn verify(checksum: Checksum, prefix: &str, secret: &[u8]) -> Verdict {
    let holds = match checksum {
        Checksum::GithubCrc32 => github(prefix.as_bytes(), secret),
        Checksum::Jwt => jwt(secret),
        Checksum::Pem => return pem(secret),
        Checksum::Bech32 => bech32(secret),
        Checksum::Base64Json => base64_json(secret),
        Checksum::Userinfo => return userinfo(secret),
        Checksum::BasicCredentials => basic_credentials(secret),
        Checksum::Random => return random(secret),
        Checksum::Base58Check => structure::base58check(secret),
        Checksum::Bip39 => structure::bip39(secret),
        Checksum::Macaroon => return or_unknown(structure::macaroon(secret)),
        Checksum::GitlabRoutable => return or_unknown(gitlab_routable(secret)),
        Checksum::Discord => return or_unknown(structure::discord(secret)),
        Checksum::Der => return or_unknown(structure::der(secret)),
    };
    if holds { Verdict::Confirmed } else { Verdict::Refuted }
}

/// For formats whose redundancy is known from what was issued, not from a promise: it confirms and never refutes.
fn or_unknown(holds: bool) -> Verdict {
    if holds { Verdict::Confirmed } else { Verdict::Unknown }
}

const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// The six base-62 digits of the CRC-32 of `body`, as GitHub and npm append them to their tokens.
pub(super) fn github_digits(body: &[u8]) -> [u8; 6] {
    let mut rest = crc32(body);
    let mut digits = [b'0'; 6];
    for digit in digits.iter_mut().rev() {
        *digit = BASE62[(rest % 62) as usize];
        rest /= 62;
    }
    digits
}

fn github(prefix: &[u8], secret: &[u8]) -> bool {
    let body = match secret.strip_prefix(prefix) {
        Some(body) if !prefix.is_empty() => body,
        _ => match secret.iter().position(|&b| b == b'_') {
            Some(at) => &secret[at + 1..],
            None => return false,
        },
    };
    body.len() > 6 && {
        let (body, digits) = body.split_at(body.len() - 6);
        github_digits(body) == digits
    }
}

/// GitLab's routable tokens: payload, version, length and checksum; the CRC-32 covers all that stands before it.
fn gitlab_routable(secret: &[u8]) -> bool {
    let Some(at) = secret.len().checked_sub(7) else { return false };
    let (body, digits) = secret.split_at(at);
    let mut rest = crc32(body);
    let right = digits.iter().rev().all(|&digit| {
        let wanted = char::from_digit(rest % 36, 36).map_or(0, |c| c as u8);
        rest /= 36;
        digit == wanted
    });
    right && rest == 0 && body.contains(&b'.')
}

/// CRC-32 as in zlib (reflected, polynomial 0xedb88320).
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 })
    })
}

/// RFC 7519: header and payload are JSON objects, the header names an algorithm.
fn jwt(secret: &[u8]) -> bool {
    let mut parts = secret.split(|&b| b == b'.');
    let mut object = || -> Option<Value> {
        let part = parts.next()?;
        let end = part.iter().rposition(|&b| b != b'=').map_or(0, |p| p + 1);
        let mut text = BASE64URL_NOPAD.decode(&part[..end]).ok()?;
        let value = serde_json::from_slice(&text).ok().filter(Value::is_object);
        zeroize::Zeroize::zeroize(&mut text);
        value
    };
    let Some(header) = object() else { return false };
    // An encrypted token (five parts) has a key where a signed one has its payload.
    let encrypted = header.get("enc").is_some();
    header.get("alg").is_some_and(Value::is_string) && (encrypted || object().is_some())
}

/// RFC 7468 and its older and other relatives. What is too short for a key is refuted; DER, an OpenSSH key and the
/// headers of an encrypted key confirm.
fn pem(secret: &[u8]) -> Verdict {
    let Some(marker) = find(secret, b"-----", 5) else { return Verdict::Unknown };
    let body_end = find(secret, b"-----END", marker).unwrap_or(secret.len());
    let body = &secret[(marker + 5).min(body_end)..body_end];
    // In string literals the lines end with `\n`, spelled out.
    let mut text = Vec::with_capacity(body.len());
    let mut headers = false;
    for line in body.split(|&b| b == b'\n' || b == b'\r') {
        if line.contains(&b':') || line.starts_with(b"=") {
            headers = true;
            continue;
        }
        let mut escape = false;
        for &byte in line {
            match byte {
                b'\\' => escape = true,
                b'n' | b'r' if escape => escape = false,
                _ => {
                    escape = false;
                    if byte.is_ascii_alphanumeric() || byte == b'+' || byte == b'/' {
                        text.push(byte);
                    }
                }
            }
        }
    }
    if text.len() < 40 {
        return Verdict::Refuted;
    }
    text.truncate(text.len() / 4 * 4);
    let known = BASE64.decode(&text[..40]).is_ok_and(|start| {
        start.starts_with(b"openssh-key-v1\0")
            || (start[0] == 0x30 && start[1] & 0x80 != 0 || start[..2] == [0x30, 0x2e])
    });
    zeroize::Zeroize::zeroize(&mut text);
    if known || headers { Verdict::Confirmed } else { Verdict::Unknown }
}

fn find(bytes: &[u8], needle: &[u8], from: usize) -> Option<usize> {
    memchr::memmem::find(bytes.get(from..)?, needle).map(|p| p + from)
}

const BECH32: &[u8; 32] = b"qpzry9x8gf2tvdw0s3jn54khce6mua7l";

/// BIP 173.
fn bech32(secret: &[u8]) -> bool {
    let lower = secret.to_ascii_lowercase();
    let Some(separator) = lower.iter().rposition(|&b| b == b'1') else { return false };
    let (human, data) = (&lower[..separator], &lower[separator + 1..]);
    let values: Option<Vec<u8>> =
        data.iter().map(|byte| BECH32.iter().position(|a| a == byte).and_then(|v| u8::try_from(v).ok())).collect();
    values.is_some_and(|values| values.len() >= 6 && bech32_polymod(human, &values) == 1)
}

fn bech32_polymod(human: &[u8], values: &[u8]) -> u32 {
    const GENERATOR: [u32; 5] = [0x3b6a_57b2, 0x2650_8e6d, 0x1ea1_19fa, 0x3d42_33dd, 0x2a14_62b3];
    let high = human.iter().map(|b| b >> 5);
    let low = human.iter().map(|b| b & 31);
    high.chain([0]).chain(low).chain(values.iter().copied()).fold(1, |check, value| {
        let top = check >> 25;
        let next = (check & 0x01ff_ffff) << 5 ^ u32::from(value);
        GENERATOR.iter().enumerate().fold(next, |c, (bit, g)| if top >> bit & 1 == 1 { c ^ g } else { c })
    })
}

/// Lower-case Bech32 of five-bit values.
pub(super) fn bech32_encode(human: &str, data: &[u8]) -> String {
    let human = human.to_ascii_lowercase();
    let mut values = data.to_vec();
    values.extend([0; 6]);
    let check = bech32_polymod(human.as_bytes(), &values) ^ 1;
    let tail = (0..6u32).map(|i| (check >> (5 * (5 - i)) & 31) as u8);
    let text = data.iter().copied().chain(tail).map(|v| char::from(BECH32[usize::from(v & 31)]));
    format!("{human}1{}", text.collect::<String>())
}

fn base64_json(secret: &[u8]) -> bool {
    let starts = secret.iter().enumerate().filter(|(_, b)| b"_.:".contains(b)).map(|(at, _)| at + 1);
    std::iter::once(0).chain(starts).any(|start| {
        let text = &secret[start..];
        let end = text.iter().rposition(|&b| b != b'=').map_or(0, |p| p + 1);
        let text = &text[..end];
        let decoded = BASE64_NOPAD.decode(text).or_else(|_| BASE64URL_NOPAD.decode(text));
        decoded.is_ok_and(|mut json| {
            let object = serde_json::from_slice::<Value>(&json).is_ok_and(|v| v.is_object());
            zeroize::Zeroize::zeroize(&mut json);
            object
        })
    })
}

/// The password part of a URL: defaults that everyone knows and variables are none.
fn userinfo(secret: &[u8]) -> Verdict {
    const KNOWN: [&[u8]; 24] = [
        b"password",
        b"passwd",
        b"pass",
        b"pwd",
        b"secret",
        b"token",
        b"pw",
        b"user",
        b"username",
        b"p",
        b"pass1",
        b"admin",
        b"root",
        b"test",
        b"guest",
        b"postgres",
        b"mysql",
        b"redis",
        b"foo",
        b"bar",
        b"x-oauth-basic",
        b"example",
        b"changeme",
        b"port",
    ];
    let lower = secret.to_ascii_lowercase();
    let variable = secret.starts_with(b"$")
        || secret.starts_with(b":")
        || secret.iter().any(|b| b"{}<>()*%".contains(b)) && !is_percent_encoded(secret)
        || secret.iter().all(|b| b.is_ascii_uppercase() || *b == b'_') && !secret.is_empty();
    if secret.len() < 3 || variable || KNOWN.contains(&lower.as_slice()) { Verdict::Refuted } else { Verdict::Unknown }
}

/// RFC 7617: `name:password` in base64, printable, and no default that everyone knows.
fn basic_credentials(secret: &[u8]) -> bool {
    let Ok(mut text) = BASE64.decode(secret).or_else(|_| BASE64_NOPAD.decode(secret)) else { return false };
    let holds = text.iter().position(|&b| b == b':').is_some_and(|at| {
        let (name, password) = (&text[..at], &text[at + 1..]);
        let printable = text.iter().all(|b| (b' '..=b'~').contains(b));
        printable && name != password && password.len() >= 4 && userinfo(password) != Verdict::Refuted
    });
    zeroize::Zeroize::zeroize(&mut text);
    holds
}

/// Words, names and paths are refuted; that text is random confirms nothing. Of random text of twenty characters, two
/// in a hundred are refuted.
fn random(secret: &[u8]) -> Verdict {
    let count = |f: fn(&u8) -> bool| secret.iter().filter(|b| f(b)).count();
    let (lower, upper) = (count(u8::is_ascii_lowercase), count(u8::is_ascii_uppercase));
    let kind = |b: u8| (b.is_ascii_digit(), b.is_ascii_uppercase(), !b.is_ascii_alphanumeric());
    let changes = secret.windows(2).filter(|w| kind(w[0]) != kind(w[1]) && !kind(w[0]).2 && !kind(w[1]).2).count();
    let drawn = if lower == 0 || upper == 0 {
        count(u8::is_ascii_digit) * 14 >= secret.len() && changes * 10 >= secret.len()
    } else {
        // Runs that a name in camel case is made of.
        let words = secret.chunk_by(|a, b| a.is_ascii_alphabetic() && b.is_ascii_lowercase());
        let in_words: usize = words.map(<[u8]>::len).filter(|length| *length >= 4).sum();
        in_words * 10 < (lower + upper) * 7 && changes * 4 >= secret.len()
    };
    if drawn { Verdict::Unknown } else { Verdict::Refuted }
}

fn is_percent_encoded(text: &[u8]) -> bool {
    let mut at = 0;
    while at < text.len() {
        if text[at] == b'%' {
            if !text.get(at + 1..at + 3).is_some_and(|h| h.iter().all(u8::is_ascii_hexdigit)) {
                return false;
            }
            at += 2;
        } else if b"{}<>()*".contains(&text[at]) {
            return false;
        }
        at += 1;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn githubs_own_published_example_has_the_right_checksum() {
        // From GitHub's announcement of the format; long revoked.
        assert_eq!(&github_digits(b"zQWBuTSOoRi4A9spHcVY5ncnsDkxkJ"), b"0mLq17");
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
    }

    #[test]
    fn a_routable_tokens_checksum_confirms_and_never_refutes() {
        let body = format!("glpat-{}.01.0z", "ab3".repeat(9));
        let mut rest = crc32(body.as_bytes());
        let mut digits: Vec<char> = Vec::new();
        for _ in 0..7 {
            digits.push(char::from_digit(rest % 36, 36).expect("a digit"));
            rest /= 36;
        }
        let token: String = body.chars().chain(digits.iter().rev().copied()).collect();
        assert_eq!(verify(Checksum::GitlabRoutable, "", token.as_bytes()), Verdict::Confirmed);
        let other = token.replace("ab3ab3", "ab3ab4");
        assert_eq!(verify(Checksum::GitlabRoutable, "", other.as_bytes()), Verdict::Unknown);
    }

    #[test]
    fn a_bech32_checksum_is_verified() {
        // BIP 173's own test vectors.
        assert!(bech32(b"A12UEL5L"));
        assert!(bech32(b"abcdef1qpzry9x8gf2tvdw0s3jn54khce6mua7lmqqqxw"));
        assert!(!bech32(b"A12UEL5M"));
    }

    #[test]
    fn names_are_told_from_random_text() {
        for name in [
            "next_page_token_identifier_v2",
            "acmeTokenForProduction01",
            "AbstractSingletonProxyFactoryBean",
            "kubernetes-dashboard-2-internal",
            "us-east-1-prod-2-database-1",
            "CONFIGURATION_KEY_NUMBER_ONE_2",
        ] {
            assert_eq!(random(name.as_bytes()), Verdict::Refuted, "{name}");
        }
        let alphabets: [&[u8]; 3] = [
            b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789",
            b"abcdefghijklmnopqrstuvwxyz0123456789",
            b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_",
        ];
        for alphabet in alphabets {
            let mut bytes = blake3::Hasher::new().update(alphabet).finalize_xof();
            let refuted = (0..10_000).filter(|_| {
                let mut text = [0; 20];
                bytes.fill(&mut text);
                random(&text.map(|byte| alphabet[usize::from(byte) % alphabet.len()])) == Verdict::Refuted
            });
            let refuted = refuted.count();
            assert!(refuted < 250, "{refuted} of 10,000 of {} letters", alphabet.len());
        }
    }

    #[test]
    fn a_token_with_a_foreign_header_is_no_jwt() {
        let part = |json: &str| BASE64URL_NOPAD.encode(json.as_bytes());
        let good = format!("{}.{}.c2ln", part(r#"{"alg":"HS256"}"#), part(r#"{"sub":"1"}"#));
        let bad = format!("{}.{}.c2ln", part(r#"{"kid":"1"}"#), part(r#"{"sub":"1"}"#));
        assert_eq!(verify(Checksum::Jwt, "", good.as_bytes()), Verdict::Confirmed);
        assert_eq!(verify(Checksum::Jwt, "", bad.as_bytes()), Verdict::Refuted);
    }
}
