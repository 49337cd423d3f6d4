use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// An opaque, non-secret name of a credential: `cred://provider/scope…/access` (CRED-4).
///
/// ```text
/// reference = "cred://" provider 1*( "/" scope ) "/" access
/// provider, scope, access = 1*128( ALPHA / DIGIT / "." / "_" / "-" ), not "." and not ".."
/// ```
///
/// At most 512 bytes. No userinfo, port, query, fragment, percent-encoding, empty or dot segment.
/// Canonical form: scheme and provider are case-insensitive (as scheme and host of RFC 3986, section 6.2.2.1)
/// and kept in lower case; scope and access keep theirs. Comparison, hash and order follow the canonical form.
///
/// # Security
///
/// The alphabet has no control, quote, markup or shell character, so `Display` is safe in a terminal, a log,
/// HTML, JSON and a shell word. Parse with [`CredentialRef::parse_with`] wherever a detector is at hand: it
/// refuses a reference that carries secret material.
#[derive(Clone)]
pub struct CredentialRef {
    text: Arc<str>,
    provider_end: u16,
    access_start: u16,
}

/// A name of a detection rule, as a [`SecretRecogniser`] gives it.
pub type RuleName = Arc<str>;

/// Something that can tell secret material by its looks; the scan engine is one.
pub trait SecretRecogniser {
    /// The rule that recognises `text` as secret material, or `None`.
    fn recognise(&self, text: &str) -> Option<RuleName>;
}

impl CredentialRef {
    /// Longest reference, in bytes.
    pub const MAX_BYTES: usize = 512;
    /// Longest segment, in bytes.
    pub const MAX_SEGMENT_BYTES: usize = 128;
    /// What every reference starts with.
    pub const SCHEME: &'static str = "cred://";

    /// Parses a reference by the grammar alone.
    ///
    /// # Errors
    ///
    /// [`RefError`] says what is wrong and at which byte, never with the text itself.
    pub fn parse(text: &str) -> Result<Self, RefError> {
        if text.len() > Self::MAX_BYTES {
            return Err(RefError::new(RefProblem::TooLong, Self::MAX_BYTES));
        }
        let start = Self::SCHEME.len();
        match text.get(..start) {
            Some(scheme) if scheme.eq_ignore_ascii_case(Self::SCHEME) => {}
            _ => return Err(RefError::new(RefProblem::Scheme, 0)),
        }
        let mut ends = Vec::with_capacity(4);
        let mut offset = start;
        for segment in text[start..].split('/') {
            check_segment(segment, offset)?;
            offset += segment.len();
            ends.push(offset);
            offset += 1;
        }
        if ends.len() < 3 {
            return Err(RefError::new(RefProblem::TooFewSegments, text.len()));
        }
        let position = |at: usize| u16::try_from(at).expect("at most MAX_BYTES, checked above");
        let (provider_end, access_start) = (ends[0], ends[ends.len() - 2] + 1);
        let mut canonical = text.to_owned();
        canonical[..provider_end].make_ascii_lowercase();
        Ok(CredentialRef {
            text: canonical.into(),
            provider_end: position(provider_end),
            access_start: position(access_start),
        })
    }

    /// Parses a reference and refuses one in which `recogniser` finds secret material: in a segment, or across
    /// segments.
    ///
    /// # Errors
    ///
    /// As [`CredentialRef::parse`], and [`RefProblem::SecretMaterial`] with the rule that recognised it.
    pub fn parse_with(text: &str, recogniser: &dyn SecretRecogniser) -> Result<Self, RefError> {
        // Also for text that is no reference: a raw key where a reference is wanted is named as what it is.
        let parsed = Self::parse(text);
        let body = text.get(Self::SCHEME.len()..).filter(|_| parsed.is_ok()).unwrap_or(text);
        let base = text.len() - body.len();
        let mut offset = base;
        for segment in body.split('/') {
            if let Some(rule) = recogniser.recognise(segment) {
                return Err(RefError::new(RefProblem::SecretMaterial { rule }, offset));
            }
            offset += segment.len() + 1;
        }
        if let Some(rule) = recogniser.recognise(text) {
            return Err(RefError::new(RefProblem::SecretMaterial { rule }, 0));
        }
        parsed
    }

    /// Whose API the credential opens: `aws`, `azure`, `gcp`, `openops`, …; lower case.
    pub fn provider(&self) -> &str {
        &self.text[Self::SCHEME.len()..usize::from(self.provider_end)]
    }

    /// The scope segments, at least one.
    pub fn scope(&self) -> impl Iterator<Item = &str> {
        self.text[usize::from(self.provider_end) + 1..usize::from(self.access_start) - 1].split('/')
    }

    /// What the credential is for at the provider, such as `readonly`.
    pub fn access(&self) -> &str {
        &self.text[usize::from(self.access_start)..]
    }

    /// The canonical text.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

fn check_segment(segment: &str, offset: usize) -> Result<(), RefError> {
    let fault = |problem, at| Err(RefError::new(problem, at));
    if let Some(at) = segment.bytes().position(|b| !is_segment_byte(b)) {
        let problem = match segment.as_bytes()[at] {
            b'@' => RefProblem::Userinfo,
            b':' => RefProblem::Port,
            b'?' => RefProblem::Query,
            b'#' => RefProblem::Fragment,
            b'%' => RefProblem::PercentEncoding,
            _ => RefProblem::Character,
        };
        return fault(problem, offset + at);
    }
    match segment {
        "" => fault(RefProblem::EmptySegment, offset),
        "." | ".." => fault(RefProblem::DotSegment, offset),
        _ if segment.len() > CredentialRef::MAX_SEGMENT_BYTES => fault(RefProblem::SegmentTooLong, offset),
        _ => Ok(()),
    }
}

fn is_segment_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-')
}

impl fmt::Display for CredentialRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

impl fmt::Debug for CredentialRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl PartialEq for CredentialRef {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for CredentialRef {}

impl PartialOrd for CredentialRef {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for CredentialRef {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.text.cmp(&other.text)
    }
}

impl std::hash::Hash for CredentialRef {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.text.hash(state);
    }
}

impl FromStr for CredentialRef {
    type Err = RefError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

impl Serialize for CredentialRef {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for CredentialRef {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&Cow::<'de, str>::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for CredentialRef {
    fn schema_name() -> Cow<'static, str> {
        "CredentialRef".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "An opaque, non-secret credential reference: cred://provider/scope…/access (CRED-4).",
            "maxLength": Self::MAX_BYTES,
            "pattern": "^[Cc][Rr][Ee][Dd]://(?:(?!\\.{1,2}/)[A-Za-z0-9._-]{1,128}/){2,}(?!\\.{1,2}$)[A-Za-z0-9._-]{1,128}$",
            "examples": ["cred://aws/production/readonly"]
        })
    }
}

/// Why a text is not a credential reference; holds no part of the text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{problem} (byte {offset})")]
pub struct RefError {
    /// What is wrong.
    pub problem: RefProblem,
    /// At which byte of the text.
    pub offset: usize,
}

impl RefError {
    fn new(problem: RefProblem, offset: usize) -> Self {
        RefError { problem, offset }
    }
}

/// The ways in which a text fails to be a credential reference.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RefProblem {
    /// Does not start with `cred://`.
    #[error("a credential reference starts with cred://")]
    Scheme,
    /// Longer than [`CredentialRef::MAX_BYTES`].
    #[error("a credential reference has at most 512 bytes")]
    TooLong,
    /// A segment is longer than [`CredentialRef::MAX_SEGMENT_BYTES`].
    #[error("a segment has at most 128 bytes")]
    SegmentTooLong,
    /// Fewer than provider, one scope and access.
    #[error("a credential reference has a provider, at least one scope and an access: cred://provider/scope/access")]
    TooFewSegments,
    /// Two slashes in a row, or one at the end.
    #[error("a segment is empty")]
    EmptySegment,
    /// `.` or `..`.
    #[error("a segment may not be . or ..")]
    DotSegment,
    /// `user@`.
    #[error("userinfo (@) is not allowed in a credential reference")]
    Userinfo,
    /// `:port`.
    #[error("a port or other colon is not allowed in a credential reference")]
    Port,
    /// `?query`.
    #[error("a query (?) is not allowed in a credential reference")]
    Query,
    /// `#fragment`.
    #[error("a fragment (#) is not allowed in a credential reference")]
    Fragment,
    /// `%41`.
    #[error("percent-encoding is not allowed in a credential reference")]
    PercentEncoding,
    /// Anything outside `A-Z a-z 0-9 . _ -`.
    #[error("a segment has only the characters A-Z a-z 0-9 . _ -")]
    Character,
    /// A rule recognises secret material.
    #[error("secret material where an opaque reference belongs, recognised by rule {rule}")]
    SecretMaterial {
        /// The rule that recognised it.
        rule: RuleName,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(text: &str) -> RefProblem {
        CredentialRef::parse(text).expect_err(text).problem
    }

    #[test]
    fn the_contracts_examples_parse_into_their_parts() {
        let reference = CredentialRef::parse("cred://openops/workspace-alpha/readonly").expect("valid");
        assert_eq!(reference.provider(), "openops");
        assert_eq!(reference.scope().collect::<Vec<_>>(), ["workspace-alpha"]);
        assert_eq!(reference.access(), "readonly");
        let deep = CredentialRef::parse("cred://gcp/org.1/01A2B3-4C5D6E-7F8A9B/billing_export/ro").expect("valid");
        assert_eq!(deep.scope().collect::<Vec<_>>(), ["org.1", "01A2B3-4C5D6E-7F8A9B", "billing_export"]);
    }

    #[test]
    fn scheme_and_provider_are_canonicalised_and_scope_is_kept() {
        let reference = CredentialRef::parse("CRED://AWS/Prod/ReadOnly").expect("valid");
        assert_eq!(reference.to_string(), "cred://aws/Prod/ReadOnly");
        assert_eq!(reference, CredentialRef::parse(reference.as_str()).expect("canonical form parses"));
    }

    #[test]
    fn what_the_grammar_forbids_is_named() {
        use RefProblem::*;
        for (text, expected) in [
            ("", Scheme),
            ("aws/production/readonly", Scheme),
            ("cred:/aws/production/readonly", Scheme),
            (" cred://aws/production/readonly", Scheme),
            ("cred://aws/readonly", TooFewSegments),
            ("cred://", EmptySegment),
            ("cred:///production/readonly", EmptySegment),
            ("cred://aws//readonly", EmptySegment),
            ("cred://aws/production/readonly/", EmptySegment),
            ("cred://aws/./readonly", DotSegment),
            ("cred://aws/../readonly", DotSegment),
            ("cred://user@aws/production/readonly", Userinfo),
            ("cred://aws:443/production/readonly", Port),
            ("cred://aws/production/readonly?v=1", Query),
            ("cred://aws/production/readonly#v1", Fragment),
            ("cred://aws/pro%64uction/readonly", PercentEncoding),
            ("cred://aws/pro duction/readonly", Character),
            ("cred://aws/prod\u{fc}ction/readonly", Character),
            ("cred://aws/production/readonly\n", Character),
            ("cred://aws/\u{202e}/readonly", Character),
        ] {
            assert_eq!(problem(text), expected, "{text:?}");
        }
    }

    #[test]
    fn limits_hold_at_the_byte() {
        let segment = "s".repeat(128);
        assert!(CredentialRef::parse(&format!("cred://aws/{segment}/ro")).is_ok());
        assert_eq!(problem(&format!("cred://aws/{segment}s/ro")), RefProblem::SegmentTooLong);
        let tail = "/abc".repeat(125); // 7 + 3 + 500 = 510
        assert!(CredentialRef::parse(&format!("cred://aws{tail}d")).is_ok()); // 511
        assert!(CredentialRef::parse(&format!("cred://aws{tail}de")).is_ok()); // 512
        assert_eq!(problem(&format!("cred://aws{tail}def")), RefProblem::TooLong);
    }

    #[test]
    fn secret_material_is_refused_with_the_rule_and_never_shown() {
        struct Fake;
        impl SecretRecogniser for Fake {
            fn recognise(&self, text: &str) -> Option<RuleName> {
                (text == "hunter2hunter2").then(|| "fake-rule".into())
            }
        }
        let error = CredentialRef::parse_with("cred://aws/hunter2hunter2/ro", &Fake).expect_err("secret");
        assert_eq!(error.problem, RefProblem::SecretMaterial { rule: "fake-rule".into() });
        assert!(!format!("{error} {error:?}").contains("hunter2"));
        assert!(CredentialRef::parse_with("cred://aws/production/ro", &Fake).is_ok());
        let raw = CredentialRef::parse_with("hunter2hunter2", &Fake).expect_err("secret");
        assert_eq!(raw.problem, RefProblem::SecretMaterial { rule: "fake-rule".into() });
    }

    #[test]
    fn errors_never_quote_the_text() {
        let userinfo = format!("cred://sword:{}@aws/x/y", "fish");
        for text in ["swordfish", &userinfo, "cred://aws/sword fish/x"] {
            let error = CredentialRef::parse(text).expect_err("invalid");
            assert!(!format!("{error} {error:?}").contains("sword"));
        }
    }
}
