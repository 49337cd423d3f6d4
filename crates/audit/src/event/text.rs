//! Short texts that are safe to keep and to show.

use std::fmt;

use custody_contract::SecretRecogniser;
use serde::{Serialize, Serializer};

use crate::error::AuditError;
use crate::keys::random;

/// A text of at most 512 bytes without control characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text(String);

impl Text {
    /// Longest text, in bytes.
    pub const MAX_BYTES: usize = 512;

    /// Takes a text: control characters and those that turn the direction of writing are escaped, what is too long is
    /// cut and ends in `…`.
    pub fn new(text: &str) -> Self {
        let mut kept = String::with_capacity(text.len().min(Self::MAX_BYTES));
        for character in text.chars() {
            let escaped =
                if needs_escape(character) { character.escape_unicode().to_string() } else { character.to_string() };
            if kept.len() + escaped.len() > Self::MAX_BYTES - '…'.len_utf8() {
                kept.push('…');
                break;
            }
            kept.push_str(&escaped);
        }
        Text(kept)
    }

    /// Takes what a person typed: if it holds secret material, the name of the rule that says so is kept instead.
    pub fn checked(text: &str, recogniser: &dyn SecretRecogniser) -> Self {
        match recogniser.recognise(text) {
            Some(rule) => Text::new(&format!("[withheld: {rule}]")),
            None => Text::new(text),
        }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn needs_escape(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl Serialize for Text {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

/// What ties together the records of one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestId(Text);

impl RequestId {
    /// Sixteen random bytes in hexadecimal.
    ///
    /// # Errors
    /// [`AuditError::Refused`] if the system has no random bytes.
    pub fn random() -> Result<Self, AuditError> {
        let bytes = random::<16>()?;
        Ok(RequestId(Text(data_encoding::HEXLOWER.encode(bytes.as_slice()))))
    }

    /// The id that a request came with.
    pub fn given(id: &str) -> Self {
        RequestId(Text::new(id))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl Serialize for RequestId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_bounded_and_free_of_control_characters() {
        let text = Text::new(&"a\u{1b}[31m\n\u{202e}ü".repeat(100));
        assert!(text.as_str().len() <= Text::MAX_BYTES);
        assert!(!text.as_str().chars().any(needs_escape));
        assert!(text.as_str().ends_with('…'));
        assert_eq!(Text::new("deploy 7").as_str(), "deploy 7");
    }

    #[test]
    fn what_a_rule_recognises_is_not_kept() {
        struct Recogniser;
        impl SecretRecogniser for Recogniser {
            fn recognise(&self, text: &str) -> Option<custody_contract::RuleName> {
                text.contains("hunter").then(|| "password".into())
            }
        }
        assert_eq!(Text::checked("it is hunter2", &Recogniser).as_str(), "[withheld: password]");
        assert_eq!(Text::checked("rotation", &Recogniser).as_str(), "rotation");
    }
}
