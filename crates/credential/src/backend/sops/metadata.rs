//! What a file says of itself: for whom its data key is, what is encrypted, and its authentication code.

use std::io::BufReader;

use regex::Regex;
use serde::Deserialize;

use crate::SecretValue;

use super::SopsError;

/// The `sops` key of a file. What is not needed for reading is passed over.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct SopsMetadata {
    pub(super) age: Option<Vec<AgeKey>>,
    pub(super) lastmodified: String,
    pub(super) mac: String,
    pub(super) unencrypted_suffix: Option<String>,
    pub(super) encrypted_suffix: Option<String>,
    pub(super) unencrypted_regex: Option<String>,
    pub(super) encrypted_regex: Option<String>,
    unencrypted_comment_regex: Option<String>,
    encrypted_comment_regex: Option<String>,
    pub(super) mac_only_encrypted: bool,
    shamir_threshold: Option<u32>,
}

/// The data key for one age recipient.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct AgeKey {
    pub(super) enc: String,
}

impl SopsMetadata {
    /// The data key, by the first identity that fits.
    pub(super) fn data_key(&self, identities: &[Box<dyn age::Identity>]) -> Result<SecretValue, SopsError> {
        if self.shamir_threshold.is_some_and(|n| n > 1) {
            return Err(SopsError::Unsupported("its data key is split among groups".into()));
        }
        let keys = self.age.as_deref().unwrap_or_default();
        if keys.is_empty() {
            return Err(SopsError::Unsupported("its data key is for no age recipient".into()));
        }
        for key in keys {
            let armored = age::armor::ArmoredReader::new(BufReader::new(key.enc.trim_start().as_bytes()));
            let Ok(decryptor) = age::Decryptor::new_buffered(armored) else {
                return Err(SopsError::Malformed("the data key of an age recipient cannot be read".into()));
            };
            if let Ok(reader) = decryptor.decrypt(identities.iter().map(|i| &**i)) {
                let key = SecretValue::read_from(reader, 64);
                let key = key.map_err(|_| SopsError::Malformed("the data key was changed or cut off".into()))?;
                return match key.len() {
                    32 => Ok(key),
                    _ => Err(SopsError::Malformed("the data key has not 32 bytes".into())),
                };
            }
        }
        Err(SopsError::Locked("no identity belongs to one of its recipients".into()))
    }

    /// What is encrypted.
    pub(super) fn selection(&self) -> Result<Selection, SopsError> {
        if [&self.unencrypted_comment_regex, &self.encrypted_comment_regex].iter().any(|r| has(r).is_some()) {
            return Err(SopsError::Unsupported("comments say which of its values are encrypted".into()));
        }
        let regex = |text: &Option<String>| {
            let compiled = has(text).map(Regex::new).transpose();
            compiled.map_err(|_| SopsError::Unsupported("a pattern of its metadata cannot be used".into()))
        };
        Ok(Selection {
            unencrypted_suffix: has(&self.unencrypted_suffix).map(str::to_owned),
            encrypted_suffix: has(&self.encrypted_suffix).map(str::to_owned),
            unencrypted_regex: regex(&self.unencrypted_regex)?,
            encrypted_regex: regex(&self.encrypted_regex)?,
        })
    }
}

fn has(text: &Option<String>) -> Option<&str> {
    text.as_deref().filter(|t| !t.is_empty())
}

/// Which values are encrypted, by the keys above them.
pub(super) struct Selection {
    unencrypted_suffix: Option<String>,
    encrypted_suffix: Option<String>,
    unencrypted_regex: Option<Regex>,
    encrypted_regex: Option<Regex>,
}

impl Selection {
    pub(super) fn is_encrypted(&self, path: &[String]) -> bool {
        let ends = |suffix: &String| path.iter().any(|key| key.ends_with(suffix.as_str()));
        let matches = |regex: &Regex| path.iter().any(|key| regex.is_match(key));
        let mut is_encrypted = !self.unencrypted_suffix.as_ref().is_some_and(ends);
        if let Some(suffix) = &self.encrypted_suffix {
            is_encrypted = ends(suffix);
        }
        if self.unencrypted_regex.as_ref().is_some_and(matches) {
            is_encrypted = false;
        }
        if let Some(regex) = &self.encrypted_regex {
            is_encrypted = matches(regex);
        }
        is_encrypted
    }
}
