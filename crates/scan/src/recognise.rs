//! The engine as a [`SecretRecogniser`]: tells secret material where a reference, a name or an id belongs.

use custody_contract::{RuleName, SecretRecogniser, Surface};

use crate::engine::{Decoding, Engine, Examples, Input, Scratch, looks_random, shannon};

/// Names what no rule knows and what looks like nothing but a key.
pub const HIGH_ENTROPY: &str = "high-entropy-text";

impl SecretRecogniser for Engine {
    /// Rules that know a format come first, documentation examples included; then long random text. Account,
    /// subscription and billing ids, UUIDs, regions and ordinary names pass.
    fn recognise(&self, text: &str) -> Option<RuleName> {
        let mut matches = Vec::new();
        let input =
            Input::new(text.as_bytes(), None, Surface::Request).decoding(Decoding::Full).examples(Examples::Keep);
        self.scan(&mut Scratch::default(), &input, &mut matches);
        let rules = self.rules();
        let known = matches.iter().map(|m| rules.rule(m.rule)).find(|rule| !rule.generic);
        match known {
            Some(rule) => Some(RuleName::from(&*rule.id)),
            None => text.split(|c: char| !is_key_char(c)).any(is_key).then(|| RuleName::from(HIGH_ENTROPY)),
        }
    }
}

/// Hyphens and underscores are left in: keys in base64url have them. Dots and slashes part names.
fn is_key_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '+' | '=')
}

/// Random text of more than 100 bits that is not made of short groups, as ids are.
fn is_key(text: &str) -> bool {
    let bytes = text.as_bytes();
    let count = |f: fn(&u8) -> bool| bytes.iter().filter(|b| f(b)).count();
    let hexadecimal = bytes.iter().all(u8::is_ascii_hexdigit);
    let longest = text.split(['-', '_']).map(str::len).max().unwrap_or(0);
    if bytes.len() < 20 || !looks_random(bytes) {
        return false;
    }
    if hexadecimal {
        // 32 digits identify accounts and tenants, too.
        return bytes.len() >= 40 && shannon(bytes) >= 3.0;
    }
    let kinds = [count(u8::is_ascii_lowercase), count(u8::is_ascii_uppercase), count(u8::is_ascii_digit)];
    let mixed = kinds.iter().filter(|&&n| n > 0).count() == 3;
    longest >= 16 && shannon(bytes) >= if mixed { 3.7 } else { 4.0 }
}
