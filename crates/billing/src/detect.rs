//! The port to secret detection: what billing asks of the scan engine (CRED-1, CRED-4).

use custody_contract::{Finding, SecretRecogniser};

/// Finds secret material in text; the scan engine is one.
pub trait SecretDetector: SecretRecogniser {
    /// Everything in `text` that a rule recognises, plain or in any encoding that is known, documentation examples
    /// included: where a reference belongs, even an example key is wrong.
    fn detect(&self, text: &[u8]) -> Vec<Detection>;

    /// What recognises it, such as `211 rules`; goes into evidence.
    fn describe(&self) -> String;
}

/// Secret material that was found.
#[derive(Debug, Clone)]
pub struct Detection {
    /// Where it, or its encoded form, starts in the text.
    pub start: usize,
    /// Where it ends.
    pub end: usize,
    /// How it is encoded, outermost first.
    pub encoding: Vec<String>,
    /// What it is; its occurrences are filled in by the caller.
    pub finding: Finding,
    /// Whether it is a well-known documentation example: wrong here, and no leak.
    pub example: bool,
}
