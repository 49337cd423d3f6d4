//! The read-only proof (CRED-3): what a policy, role, grant or token scope allows, judged on two axes.
//!
//! [`prove`] takes documents and says whether what they grant only reads ([`Access`]) and what those reads show
//! ([`Exposure`]), with each offending action, the statement it comes from, why, and the least policy to use instead. It
//! does no I/O. What cannot be told counts as not proven. [`Proof`] is the verdict as evidence: digests of the inputs,
//! versions of the tables, time and expiry.

pub mod aws;
mod azure;
mod document;
mod evidence;
mod gcp;
mod glob;
pub mod live;
mod openbao;
mod postgres;
mod recognise;
mod requirement;
mod source;
mod tokens;
mod verdict;
mod yaml;

use custody_contract::{Diagnostic, Place};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

pub use aws::AwsOptions;
pub use document::MAX_BYTES;
pub use evidence::{
    DEFAULT_DIRECTORY, DEFAULT_VALIDITY, InputDigest, Proof, ProofState, Recheck, proof_path, proof_schema, read_proof,
    state_of,
};
pub use requirement::{Admission, ProofRule, claims_read_only, how_to_prove, speaks};
pub use verdict::{
    Access, Exposure, GrantPlace, Language, MAX_LISTED, Minimal, NamedException, Offence, OffenceKind, Reading, Verdict,
};

/// What a document is to the credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// It grants.
    #[default]
    Grant,
    /// A permissions boundary: it limits (AWS).
    Boundary,
    /// A session policy: it limits (AWS).
    Session,
    /// A service control policy: it limits (AWS).
    ServiceControl,
}

/// A document to judge.
#[derive(Debug, Clone, Copy)]
pub struct Input<'a> {
    /// What messages call it: the path as the user gave it.
    pub name: &'a str,
    /// Its content.
    pub bytes: &'a [u8],
    /// What it is to the credential.
    pub role: Role,
}

impl<'a> Input<'a> {
    /// A document that grants.
    pub fn grant(name: &'a str, bytes: &'a [u8]) -> Self {
        Self { name, bytes, role: Role::Grant }
    }
}

/// How documents are judged.
#[derive(Debug, Clone, Default)]
pub struct ProveOptions {
    /// The language; recognised from the documents where it is not given.
    pub language: Option<Language>,
    /// For AWS.
    pub aws: AwsOptions,
}

/// Documents that cannot be judged: not a policy of the language, or not readable at all.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {what}; {fix}")]
pub struct ProveError {
    /// Where.
    pub place: Place,
    /// What is wrong: a lowercase fragment that never quotes values.
    pub what: String,
    /// What to do: a fragment in the imperative.
    pub fix: String,
}

impl ProveError {
    pub(crate) fn input(place: Place, what: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { place, what: what.into(), fix: fix.into() }
    }
}

impl From<ProveError> for Diagnostic {
    fn from(error: ProveError) -> Self {
        Diagnostic::error("CRED-3", "cannot judge the policy").at(error.place).why(error.what).fix(error.fix)
    }
}

/// A table that verdicts rest on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Table {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// SHA-256 of its content, in hexadecimal.
    pub sha256: String,
}

/// The tables that verdicts in a language rest on.
pub(crate) fn tables(language: Language) -> Vec<Table> {
    match language {
        Language::Aws => aws::tables(),
        Language::Gcp => gcp::tables(),
        _ => Vec::new(),
    }
}

/// SHA-256 in hexadecimal.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::with_capacity(64), |mut out, byte| {
        use std::fmt::Write as _;
        let _ = write!(out, "{byte:02x}");
        out
    })
}

/// Judges documents that act together, all of one language.
///
/// # Errors
/// [`ProveError`] where a document cannot be read, or is of no known language, or of another one than the rest.
pub fn prove(inputs: &[Input<'_>], options: &ProveOptions) -> Result<Verdict, ProveError> {
    let language = match options.language {
        Some(language) => language,
        None if inputs.is_empty() && options.aws.managed.iter().all(|name| name.starts_with("roles/")) => Language::Gcp,
        None => recognise::language(inputs)?,
    };
    match language {
        Language::Aws => aws::prove(inputs, &options.aws),
        Language::Azure => azure::prove(inputs),
        Language::Gcp => gcp::prove(inputs, &options.aws.managed),
        Language::OpenBao => openbao::prove(inputs),
        Language::Postgres => postgres::prove(inputs),
        Language::GitHub => tokens::github(inputs),
        Language::GitLab => tokens::gitlab(inputs),
        Language::OpenOps => tokens::openops(inputs),
    }
}

/// Text of a document as messages show it: short, and without anything that a terminal would act on.
pub(crate) fn shown(text: &str) -> String {
    const LONGEST: usize = 120;
    let mut out: String = text
        .chars()
        .take(LONGEST)
        .map(|c| {
            if c.is_control() || ('\u{200b}'..='\u{202e}').contains(&c) || ('\u{2066}'..='\u{2069}').contains(&c) {
                '\u{fffd}'
            } else {
                c
            }
        })
        .collect();
    if text.chars().nth(LONGEST).is_some() {
        out.push('…');
    }
    out
}
