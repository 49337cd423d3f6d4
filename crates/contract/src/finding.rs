use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{Reach, Severity};

/// A candidate that survived validation and filtering: one secret, wherever it stands.
///
/// # Security
///
/// Holds no secret material: the value is represented by its fingerprint and by [`Redacted`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Finding {
    /// The rule that recognised it, such as `aws-access-key-id`.
    pub rule: Arc<str>,
    /// The rule's name for people, such as `AWS access key id`.
    pub title: Arc<str>,
    /// How bad it is if it is real.
    pub severity: Severity,
    /// How sure it is that it is real, and why.
    pub confidence: Confidence,
    /// Identifies the secret.
    pub fingerprint: Fingerprint,
    /// What may be shown of the secret.
    pub redacted: Redacted,
    /// Every place in which it stands, in order of surface, place, position. Never empty.
    pub occurrences: Vec<Occurrence>,
    /// Whether it counts.
    pub status: FindingStatus,
    /// Where to read about this kind of secret.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub references: Vec<Cow<'static, str>>,
    /// What to do about it, in a sentence or two; from the rule.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub remedy: String,
}

impl Finding {
    /// The strongest way in which any of its places can be reached, where that is known.
    pub fn reach(&self) -> Option<&Reach> {
        self.occurrences.iter().filter_map(|occurrence| occurrence.reach.as_deref()).min_by_key(|reach| reach.from)
    }

    /// Whether the finding blocks: open, and at least as severe as `threshold` (ROT-3).
    pub fn blocks(&self, threshold: Severity) -> bool {
        self.status == FindingStatus::Open && self.severity >= threshold
    }
}

/// Whether a finding counts, and if not, by whose decision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum FindingStatus {
    /// It counts.
    Open,
    /// Known and accepted: the baseline holds its fingerprint.
    Baselined {
        /// The baseline's reason.
        reason: String,
    },
    /// A waiver of the contract covers it until its expiry.
    Waived {
        /// The waiver's id.
        waiver: String,
    },
    /// Every occurrence carries an inline `custody:allow RULE reason`.
    Allowed {
        /// The reason given at the first occurrence.
        reason: String,
    },
}

/// One place in which a finding's secret stands.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub struct Occurrence {
    /// The surface that was scanned.
    pub surface: Surface,
    /// Path in the tree or repository (`/` between parts, control characters escaped), `-` for stdin, or a name
    /// such as `commit message` for text without a path.
    pub path: String,
    /// Line, 1-based.
    pub line: u32,
    /// Column in characters, 1-based.
    pub column: u32,
    /// Column after the last character, 1-based, on the same line or `column` where the secret spans lines.
    pub end_column: u32,
    /// Byte offset of the secret in the file or object.
    pub offset: u64,
    /// Object id of the blob, commit or tag, in history scans.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object: Option<String>,
    /// In history scans, the first commit that holds it there: none of its ancestors does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// How it was encoded where it stands, outermost first, such as `base64`; empty if plain.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub encoding: Vec<String>,
    /// The reason of an inline allowance at this place, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allowed: Option<String>,
    /// When that commit was authored, as its author's clock had it; the commit names the author. RFC 3339 in UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub authored: Option<jiff::Timestamp>,
    /// When that commit, or the tag that holds it, was made. RFC 3339 in UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub committed: Option<jiff::Timestamp>,
    /// From where it can be reached, in scans of a whole history; absent where that is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reach: Option<Arc<Reach>>,
}

impl fmt::Display for Occurrence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.path, self.line, self.column)?;
        if let Some(commit) = self.commit.as_ref().or(self.object.as_ref()) {
            write!(f, "@{}", commit.get(..12).unwrap_or(commit))?;
        }
        Ok(())
    }
}

/// What was scanned (vocabulary: surface).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Surface {
    /// Files of the working tree.
    WorkingTree,
    /// The git index: what the next commit would hold.
    Staged,
    /// All objects of a repository and what else a clone carries (ENV-5a).
    History,
    /// Test data, recorded requests, snapshots, seeds (ENV-5b).
    Fixtures,
    /// Images of screens (ENV-5c).
    Screenshots,
    /// Logs (ENV-5d).
    Logs,
    /// Evidence artifacts (ENV-5e).
    Evidence,
    /// Standard input.
    Stdin,
    /// A billing request or handoff (CRED-1).
    Request,
}

impl Surface {
    /// The name in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Surface::WorkingTree => "working-tree",
            Surface::Staged => "staged",
            Surface::History => "history",
            Surface::Fixtures => "fixtures",
            Surface::Screenshots => "screenshots",
            Surface::Logs => "logs",
            Surface::Evidence => "evidence",
            Surface::Stdin => "stdin",
            Surface::Request => "request",
        }
    }
}

impl fmt::Display for Surface {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What may be shown of a secret: the literal prefix that its rule declares public, and its length.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Redacted {
    /// The public prefix, such as `AKIA` or `ghp_`; empty where the format has none.
    #[serde(default, skip_serializing_if = "str::is_empty")]
    pub prefix: Cow<'static, str>,
    /// Length of the whole secret, in bytes.
    pub length: u64,
}

impl fmt::Display for Redacted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}[redacted, {} bytes]", self.prefix, self.length)
    }
}

/// How sure it is that a finding is real, with each reason and its weight.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Confidence {
    /// 0 (certainly not) to 100 (verified, as by a checksum).
    pub score: u8,
    /// Why, strongest first.
    pub reasons: Vec<Reason>,
}

/// One thing that raises or lowers the confidence in a finding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Reason {
    /// What was seen, as a sentence fragment; holds no secret material.
    pub what: Cow<'static, str>,
    /// Points that it adds (or takes away, if negative).
    pub weight: i8,
}

/// Identifies a finding's secret without revealing it; the same secret has the same fingerprint everywhere.
///
/// The first 128 bits of BLAKE3 in its key-derivation mode (context `custody 2026 finding fingerprint v1`) over
/// the secret's bytes, in hexadecimal. It is not keyed with a secret, so a fingerprint of a guessable password can
/// be guessed: that a baseline accepts a secret is no reason to keep the secret in use.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint([u8; 16]);

impl Fingerprint {
    const CONTEXT: &'static str = "custody 2026 finding fingerprint v1";

    /// The fingerprint of `secret`.
    pub fn of(secret: &[u8]) -> Self {
        let digest = blake3::derive_key(Self::CONTEXT, secret);
        let mut short = [0; 16];
        short.copy_from_slice(&digest[..16]);
        Fingerprint(short)
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Text that is not 32 lower-case hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a fingerprint; expected 32 lower-case hexadecimal digits")]
pub struct InvalidFingerprint;

impl FromStr for Fingerprint {
    type Err = InvalidFingerprint;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits = text.as_bytes();
        let lower_hex = |b: &u8| b.is_ascii_digit() || (b'a'..=b'f').contains(b);
        if digits.len() != 32 || !digits.iter().all(lower_hex) {
            return Err(InvalidFingerprint);
        }
        let mut bytes = [0; 16];
        for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
            let pair = std::str::from_utf8(pair).map_err(|_| InvalidFingerprint)?;
            *byte = u8::from_str_radix(pair, 16).map_err(|_| InvalidFingerprint)?;
        }
        Ok(Fingerprint(bytes))
    }
}

impl Serialize for Fingerprint {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Fingerprint {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Cow::<'de, str>::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for Fingerprint {
    fn schema_name() -> Cow<'static, str> {
        "Fingerprint".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^[0-9a-f]{32}$" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fingerprints_round_trip_and_differ() {
        let one = Fingerprint::of(b"one");
        assert_eq!(one.to_string().parse(), Ok(one));
        assert_ne!(one, Fingerprint::of(b"two"));
        assert!("ABCDEF".repeat(6)[..32].parse::<Fingerprint>().is_err());
        assert!("é".repeat(16).parse::<Fingerprint>().is_err());
    }
}
