//! Expands the case templates of rule files, so that no token stands in a file.
//!
//! | template | gives |
//! | --- | --- |
//! | `{{alnum:N}}` `{{hex:N}}` `{{HEX:N}}` `{{digits:N}}` `{{upper:N}}` `{{lower:N}}` `{{upnum:N}}` `{{lownum:N}}` `{{base32:N}}` `{{base64:N}}` `{{base64url:N}}` `{{printable:N}}` | N characters of the class |
//! | `{{uuid}}` `{{jwt}}` `{{pem:LABEL}}` | a whole UUID, JWT or PEM block |
//! | `{{github:PREFIX:N}}` | PREFIX and N characters of which the last six are the checksum |
//! | `{{bech32:PREFIX:N}}` | upper-case Bech32 of N data characters besides the checksum |
//! | `{{wif}}` `{{xprv}}` `{{bip39:N}}` | a wallet's key in base58 (WIF, BIP 32), or N words with their checksum |
//! | `{{repeat:c:N}}` | `c`, N times |
//! | `{{split:text}}` | `text` |
//!
//! What is random is drawn from BLAKE3 over rule, case and position: the same in each run, and nobody's secret.

use data_encoding::{BASE64, BASE64URL_NOPAD};
use sha2::{Digest, Sha256};

use super::checksum;

/// Which list of a rule a case stands in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CaseKind {
    /// Must yield a finding of the rule.
    Example,
    /// Must not.
    Negative,
}

/// A template that cannot be expanded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown case template `{{{{{template}}}}}`")]
pub struct CaseError {
    /// The text between the braces.
    pub template: String,
}

/// Expands the case `index` of the rule `rule`. Braces that hold none of the names above are left as they are.
///
/// # Errors
///
/// [`CaseError`] if a template has a known name and cannot be expanded.
pub fn expand(rule: &str, kind: CaseKind, index: usize, case: &str) -> Result<String, CaseError> {
    let mut out = String::with_capacity(case.len() * 2);
    let mut rest = case;
    while let Some(open) = rest.find("{{") {
        let Some(length) = rest[open + 2..].find("}}") else { break };
        let template = &rest[open + 2..open + 2 + length];
        out.push_str(&rest[..open]);
        let position = case.len() - rest.len() + open;
        let mut random = Random::new(rule, kind, index, position);
        match expand_one(template, &mut random) {
            Expansion::Text(text) => out.push_str(&text),
            Expansion::NotOurs => {
                out.push_str("{{");
                rest = &rest[open + 2..];
                continue;
            }
            Expansion::Wrong => return Err(CaseError { template: template.to_owned() }),
        }
        rest = &rest[open + 4 + length..];
    }
    out.push_str(rest);
    Ok(out)
}

enum Expansion {
    Text(String),
    NotOurs,
    Wrong,
}

/// Longest random text that a template may ask for.
const MAX: usize = 65_536;

fn expand_one(template: &str, random: &mut Random) -> Expansion {
    let (name, argument) = template.split_once(':').unwrap_or((template, ""));
    let number = || argument.parse::<usize>().ok().filter(|&n| n <= MAX);
    let text = match name {
        "uuid" => Some(random.uuid()),
        "jwt" => Some(random.jwt()),
        "pem" => Some(random.pem(argument)),
        "wif" => Some(random.base58(&[0x80], 32, &[1])),
        "xprv" => Some(random.base58(&[0x04, 0x88, 0xad, 0xe4, 0, 0, 0, 0, 0, 0, 0, 0, 0], 32, &[])),
        "bip39" => number().and_then(|words| random.phrase(words)),
        "split" => Some(argument.to_owned()),
        "repeat" => argument
            .rsplit_once(':')
            .and_then(|(c, n)| Some(c.repeat(n.parse::<usize>().ok().filter(|n| n * c.len() <= MAX)?))),
        "github" => argument.rsplit_once(':').and_then(|(prefix, n)| {
            let body = random.text(ALNUM, n.parse::<usize>().ok()?.checked_sub(6)?.min(MAX));
            let digits = checksum::github_digits(body.as_bytes());
            Some(format!("{prefix}{body}{}", String::from_utf8_lossy(&digits)))
        }),
        "bech32" => argument.rsplit_once(':').and_then(|(prefix, n)| {
            let data: Vec<u8> = (0..n.parse::<usize>().ok()?.min(1_000)).map(|_| random.byte() & 31).collect();
            Some(checksum::bech32_encode(prefix, &data).to_ascii_uppercase())
        }),
        _ => match class(name) {
            Some(alphabet) => number().map(|n| random.text(alphabet, n)),
            None => return Expansion::NotOurs,
        },
    };
    text.map_or(Expansion::Wrong, Expansion::Text)
}

const ALNUM: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

fn class(name: &str) -> Option<&'static [u8]> {
    Some(match name {
        "alnum" => ALNUM,
        "hex" => b"0123456789abcdef",
        "HEX" => b"0123456789ABCDEF",
        "digits" => b"0123456789",
        "upper" => b"ABCDEFGHIJKLMNOPQRSTUVWXYZ",
        "lower" => b"abcdefghijklmnopqrstuvwxyz",
        "upnum" => b"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789",
        "lownum" => b"abcdefghijklmnopqrstuvwxyz0123456789",
        "base32" => b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567",
        "base64" => b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/",
        "base64url" => b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_",
        "printable" => b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789!#%&*+-./:;?@^_~",
        _ => return None,
    })
}

/// A reproducible stream of bytes.
struct Random(blake3::OutputReader);

impl Random {
    fn new(rule: &str, kind: CaseKind, index: usize, position: usize) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key("custody 2026 rule case templates v1");
        hasher.update(rule.as_bytes());
        hasher.update(&[0, u8::from(kind == CaseKind::Negative)]);
        hasher.update(&(index as u64).to_le_bytes());
        hasher.update(&(position as u64).to_le_bytes());
        Random(hasher.finalize_xof())
    }

    fn byte(&mut self) -> u8 {
        let mut byte = [0];
        self.0.fill(&mut byte);
        byte[0]
    }

    /// Characters drawn evenly; drawn anew while the outcome is less mixed than such text typically is.
    fn text(&mut self, alphabet: &[u8], count: usize) -> String {
        let typical = (alphabet.len().min(count).max(1) as f32).log2() * 0.8;
        let mut best = (f32::MIN, String::new());
        for _ in 0..16 {
            let text: Vec<u8> = (0..count).map(|_| self.pick(alphabet)).collect();
            let entropy = crate::engine::shannon(&text);
            let varied = text.iter().any(u8::is_ascii_digit) || !alphabet.contains(&b'0') || count < 8;
            let entropy = if varied { entropy } else { 0.0 };
            if entropy > best.0 {
                best = (entropy, String::from_utf8_lossy(&text).into_owned());
            }
            if best.0 >= typical {
                break;
            }
        }
        best.1
    }

    fn pick(&mut self, alphabet: &[u8]) -> u8 {
        let fair = 256 / alphabet.len() * alphabet.len();
        loop {
            let byte = usize::from(self.byte());
            if byte < fair {
                return alphabet[byte % alphabet.len()];
            }
        }
    }

    fn uuid(&mut self) -> String {
        const HEX: &[u8] = b"0123456789abcdef";
        let mut text: Vec<u8> = self.text(HEX, 32).into_bytes();
        text[12] = b'4';
        text[16] = b"89ab"[usize::from(self.byte() & 3)];
        let text = String::from_utf8_lossy(&text).into_owned();
        format!("{}-{}-{}-{}-{}", &text[..8], &text[8..12], &text[12..16], &text[16..20], &text[20..])
    }

    fn jwt(&mut self) -> String {
        let header = BASE64URL_NOPAD.encode(br#"{"alg":"HS256","typ":"JWT"}"#);
        let payload = format!(r#"{{"sub":"{}","iat":{}}}"#, self.text(b"0123456789", 12), self.text(b"123456789", 10));
        let signature: Vec<u8> = (0..32).map(|_| self.byte()).collect();
        format!("{header}.{}.{}", BASE64URL_NOPAD.encode(payload.as_bytes()), BASE64URL_NOPAD.encode(&signature))
    }

    /// Base58Check of `before`, random bytes and `after`. An extended key has a chain code and a zero in between.
    fn base58(&mut self, before: &[u8], count: usize, after: &[u8]) -> String {
        let mut bytes = before.to_vec();
        if before.len() > 1 {
            bytes.extend((0..count).map(|_| self.byte()));
            bytes.push(0);
        }
        bytes.extend((0..count).map(|_| self.byte()));
        bytes.extend(after);
        let check = Sha256::digest(Sha256::digest(&bytes));
        bytes.extend(&check[..4]);
        bs58::encode(bytes).into_string()
    }

    /// A BIP 39 phrase.
    fn phrase(&mut self, words: usize) -> Option<String> {
        let entropy: Vec<u8> = (0..words * 4 / 3).map(|_| self.byte()).collect();
        Some(bip39::Mnemonic::from_entropy(&entropy).ok()?.to_string())
    }

    fn pem(&mut self, label: &str) -> String {
        let mut body: Vec<u8> = (0..288).map(|_| self.byte()).collect();
        body[..4].copy_from_slice(&[0x30, 0x82, 0x01, 0x1c]);
        let body = BASE64.encode(&body);
        let lines: Vec<&str> = (0..body.len()).step_by(64).map(|at| &body[at..body.len().min(at + 64)]).collect();
        let dashes = "-".repeat(5);
        format!("{dashes}BEGIN {label}{dashes}\n{}\n{dashes}END {label}{dashes}", lines.join("\n"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::{Checksum, checksum::Verdict};

    fn one(case: &str) -> String {
        expand("rule", CaseKind::Example, 0, case).expect("expands")
    }

    #[test]
    fn templates_expand_alike_each_time_and_differ_by_place() {
        assert_eq!(one("a {{alnum:20}}"), one("a {{alnum:20}}"));
        let both = one("{{hex:16}}{{hex:16}}");
        assert_ne!(both[..16], both[16..]);
        assert_eq!(
            one("{{repeat:x:3}}-{{split:AK}}{{split:IA}} ${{ secrets.X }} {{ name }}"),
            "xxx-AKIA ${{ secrets.X }} {{ name }}"
        );
        assert!(expand("r", CaseKind::Example, 0, "{{alnum:many}}").is_err());
    }

    #[test]
    fn checksummed_templates_have_the_right_checksum() {
        let github = one("{{github:ghp_:36}}");
        assert_eq!(github.len(), 40);
        assert_eq!(checksum::verify(Checksum::GithubCrc32, "ghp_", github.as_bytes()), Verdict::Confirmed);
        let age = one("{{bech32:AGE-SECRET-KEY-:52}}");
        assert_eq!(checksum::verify(Checksum::Bech32, "", age.as_bytes()), Verdict::Confirmed);
        assert_eq!(checksum::verify(Checksum::Jwt, "", one("{{jwt}}").as_bytes()), Verdict::Confirmed);
        assert_eq!(checksum::verify(Checksum::Pem, "", one("{{pem:PRIVATE KEY}}").as_bytes()), Verdict::Confirmed);
    }
}
