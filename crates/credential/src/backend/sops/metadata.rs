//! What a file says of itself: for whom its data key is, what is encrypted, and its authentication code.

use regex::Regex;
use serde::Deserialize;

use crate::SecretValue;

use super::SopsError;
use super::recipients::{KeyGroup, Openers};
use super::shamir;

/// Most groups that a file may have.
const MAX_GROUPS: usize = 64;

/// The `sops` key of a file. What is not needed for reading is passed over.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct SopsMetadata {
    #[serde(flatten)]
    only_group: KeyGroup,
    key_groups: Option<Vec<KeyGroup>>,
    shamir_threshold: Option<usize>,
    pub(super) lastmodified: String,
    pub(super) mac: String,
    unencrypted_suffix: Option<String>,
    encrypted_suffix: Option<String>,
    unencrypted_regex: Option<String>,
    encrypted_regex: Option<String>,
    unencrypted_comment_regex: Option<String>,
    encrypted_comment_regex: Option<String>,
    pub(super) mac_only_encrypted: bool,
}

impl SopsMetadata {
    /// The data key: of the first recipient that is ours, or put together from so many groups as are needed.
    pub(super) fn data_key(&self, openers: &Openers) -> Result<SecretValue, SopsError> {
        let groups = self.key_groups.as_deref().filter(|groups| !groups.is_empty());
        let key = match groups {
            None => openers.open(&self.only_group)?,
            Some([only]) => openers.open(only)?,
            Some(groups) if groups.len() > MAX_GROUPS => {
                return Err(SopsError::Malformed("its data key is split among too many groups".into()));
            }
            Some(groups) => {
                let needed = self.shamir_threshold.filter(|needed| *needed > 0).unwrap_or(groups.len());
                self.shares(groups, needed, openers)?
            }
        };
        match key.len() {
            32 => Ok(key),
            _ => Err(SopsError::Malformed("the data key has not 32 bytes".into())),
        }
    }

    fn shares(&self, groups: &[KeyGroup], needed: usize, openers: &Openers) -> Result<SecretValue, SopsError> {
        let (mut shares, mut closed) = (Vec::new(), Vec::new());
        for (number, group) in groups.iter().enumerate() {
            match openers.open(group) {
                Ok(share) => shares.push(share),
                Err(SopsError::Locked(why)) => closed.push(format!("group {number}: {why}")),
                Err(other) => return Err(other),
            }
            if shares.len() == needed {
                return shamir::combine(&shares)
                    .ok_or_else(|| SopsError::Malformed("the parts of its data key do not belong together".into()));
            }
        }
        let why = format!("{needed} groups of recipients are needed, {} opened: {}", shares.len(), closed.join("; "));
        Err(SopsError::Locked(why))
    }

    /// What is encrypted.
    pub(super) fn selection(&self) -> Result<Selection, SopsError> {
        let regex = |text: &Option<String>| {
            let compiled = has(text).map(Regex::new).transpose();
            compiled.map_err(|_| SopsError::Unsupported("a pattern of its metadata cannot be used".into()))
        };
        Ok(Selection {
            by_comments: [&self.unencrypted_comment_regex, &self.encrypted_comment_regex]
                .iter()
                .any(|r| has(r).is_some()),
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
    by_comments: bool,
    unencrypted_suffix: Option<String>,
    encrypted_suffix: Option<String>,
    unencrypted_regex: Option<Regex>,
    encrypted_regex: Option<Regex>,
}

impl Selection {
    /// `looks_encrypted` decides where comments chose: the authentication code covers each value with what it is in the
    /// clear, so that one that was put in a value's place is noticed all the same.
    pub(super) fn is_encrypted(&self, path: &[String], looks_encrypted: bool) -> bool {
        if self.by_comments {
            return looks_encrypted;
        }
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
