//! The rule file format: what a file may say, and everything that is checked about it. Shared with the build script,
//! so that the built-in rules and a repository's own are held to the same.

use std::collections::BTreeSet;
use std::ops::Range;

use serde::Deserialize;
use toml::Spanned;

use super::follow::{self, ByteSet};
use super::kinds::{Checksum, Gate};
use super::shape::Shape;

/// Part of every digest: raised when the engine finds other things with the same rules.
pub const ENGINE_VERSION: u32 = 2;

const DEFAULT_REACH: u32 = 512;
/// Longest reach that a rule may have, in bytes.
pub const MAX_REACH: u32 = 16_384;
const DEFAULT_CONFIDENCE: u8 = 80;
const MIN_CASES: usize = 3;
const SEVERITIES: [&str; 4] = ["low", "medium", "high", "critical"];

/// A rule file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct FileDocument {
    provider: Spanned<String>,
    name: String,
    #[serde(default)]
    rule: Vec<Spanned<RuleDocument>>,
}

/// A `[[rule]]`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct RuleDocument {
    id: Spanned<String>,
    name: String,
    severity: Spanned<String>,
    why: Spanned<String>,
    pattern: Spanned<String>,
    keywords: Spanned<Vec<String>>,
    #[serde(default)]
    prefix: String,
    entropy: Option<Spanned<f32>>,
    checksum: Option<Spanned<String>>,
    gate: Option<Spanned<String>>,
    reach: Option<Spanned<u32>>,
    confidence: Option<Spanned<u8>>,
    #[serde(default)]
    generic: bool,
    #[serde(default = "yes")]
    placeholders: bool,
    references: Spanned<Vec<String>>,
    #[serde(default)]
    revoke: String,
    remedy: String,
    examples: Spanned<Vec<String>>,
    negatives: Spanned<Vec<String>>,
}

fn yes() -> bool {
    true
}

/// A checked rule, in plain owned data.
pub struct ParsedRule {
    pub provider: String,
    pub provider_name: String,
    pub id: String,
    pub name: String,
    pub severity: String,
    pub why: String,
    pub pattern: String,
    pub keywords: Vec<String>,
    pub prefix: String,
    pub entropy: f32,
    pub checksum: Option<Checksum>,
    pub gate: Option<Gate>,
    pub reach: u32,
    pub confidence: u8,
    pub generic: bool,
    pub placeholders: bool,
    pub references: Vec<String>,
    pub revoke: String,
    pub remedy: String,
    pub examples: Vec<String>,
    pub negatives: Vec<String>,
    pub shape: Shape,
    pub follow: Vec<Vec<ByteSet>>,
    pub digest: u64,
}

/// What is wrong with a rule file, and at which bytes.
#[derive(Debug)]
pub struct Fault {
    pub span: Option<Range<usize>>,
    pub rule: Option<String>,
    pub problem: String,
}

/// How many cases a rule must bring.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Cases {
    /// At least three examples and three negatives: the built-in rules.
    Required,
    /// Any number: a repository's own rules.
    Optional,
}

/// Parses and checks a rule file.
pub fn parse(text: &str, cases: Cases) -> Result<Vec<ParsedRule>, Fault> {
    let document: FileDocument =
        toml::from_str(text).map_err(|e| Fault { span: e.span(), rule: None, problem: e.message().to_owned() })?;
    if !is_kebab(document.provider.get_ref()) {
        return Err(Fault {
            span: Some(document.provider.span()),
            rule: None,
            problem: "`provider` is kebab-case: a-z, 0-9 and hyphens".into(),
        });
    }
    let mut seen = BTreeSet::new();
    let mut rules = Vec::with_capacity(document.rule.len());
    for rule in document.rule {
        let span = rule.get_ref().id.span();
        let parsed = check(rule.into_inner(), document.provider.get_ref(), &document.name, cases)?;
        if !seen.insert(parsed.id.clone()) {
            let problem = "another rule of this file has the same id".into();
            return Err(Fault { span: Some(span), rule: Some(parsed.id), problem });
        }
        rules.push(parsed);
    }
    Ok(rules)
}

fn check(doc: RuleDocument, provider: &str, provider_name: &str, cases: Cases) -> Result<ParsedRule, Fault> {
    let id = doc.id.get_ref().clone();
    let fault = |span: Range<usize>, problem: String| Err(Fault { span: Some(span), rule: Some(id.clone()), problem });
    if !is_kebab(&id) {
        return fault(doc.id.span(), "`id` is kebab-case: a-z, 0-9 and hyphens, at most 64".into());
    }
    if !SEVERITIES.contains(&doc.severity.get_ref().as_str()) {
        return fault(doc.severity.span(), "`severity` is low, medium, high or critical".into());
    }
    if doc.why.get_ref().trim().is_empty() {
        return fault(doc.why.span(), "`why` gives the reason for the severity".into());
    }
    if doc.keywords.get_ref().is_empty() {
        return fault(doc.keywords.span(), "`keywords` has at least one literal".into());
    }
    if let Some(short) = doc.keywords.get_ref().iter().find(|k| k.len() < 2 || k.len() > 64 || !k.is_ascii()) {
        return fault(doc.keywords.span(), format!("keyword {short:?} is not ASCII of 2 to 64 bytes"));
    }
    let shape = Shape::of(doc.pattern.get_ref(), doc.keywords.get_ref())
        .and_then(|shape| Ok((shape, follow::of(doc.pattern.get_ref(), doc.keywords.get_ref(), &shape)?)));
    let (shape, follow) = match shape {
        Ok(known) => known,
        Err(problem) => return fault(doc.pattern.span(), problem),
    };
    let reach = doc.reach.as_ref().map_or(DEFAULT_REACH, |r| *r.get_ref());
    if !(16..=MAX_REACH).contains(&reach) {
        return fault(doc.reach.map_or(0..0, |r| r.span()), format!("`reach` is 16 to {MAX_REACH} bytes"));
    }
    let confidence = doc.confidence.as_ref().map_or(DEFAULT_CONFIDENCE, |c| *c.get_ref());
    if confidence > 100 {
        return fault(doc.confidence.map_or(0..0, |c| c.span()), "`confidence` is 0 to 100".into());
    }
    let entropy = doc.entropy.as_ref().map_or(0.0, |e| *e.get_ref());
    if !(0.0..=8.0).contains(&entropy) {
        return fault(doc.entropy.map_or(0..0, |e| e.span()), "`entropy` is 0 to 8 bits per byte".into());
    }
    let checksum = named(&id, &doc.checksum, Checksum::from_name, &Checksum::ALL.map(Checksum::as_str))?;
    let gate = named(&id, &doc.gate, Gate::from_name, &Gate::ALL.map(Gate::as_str))?;
    if cases == Cases::Required {
        for (what, list) in [("examples", &doc.examples), ("negatives", &doc.negatives)] {
            if list.get_ref().len() < MIN_CASES {
                return fault(list.span(), format!("`{what}` has at least {MIN_CASES} cases"));
            }
        }
        if doc.references.get_ref().is_empty() {
            return fault(doc.references.span(), "`references` has at least one link".into());
        }
    }
    let mut rule = ParsedRule {
        provider: provider.to_owned(),
        provider_name: provider_name.to_owned(),
        id: doc.id.into_inner(),
        name: doc.name,
        severity: doc.severity.into_inner(),
        why: doc.why.into_inner(),
        pattern: doc.pattern.into_inner(),
        keywords: doc.keywords.into_inner(),
        prefix: doc.prefix,
        entropy,
        checksum,
        gate,
        reach,
        confidence,
        generic: doc.generic,
        placeholders: doc.placeholders,
        references: doc.references.into_inner(),
        revoke: doc.revoke,
        remedy: doc.remedy,
        examples: doc.examples.into_inner(),
        negatives: doc.negatives.into_inner(),
        shape,
        follow,
        digest: 0,
    };
    rule.digest = digest(&rule);
    Ok(rule)
}

/// Looks up the check that a field names.
fn named<T>(
    rule: &str,
    field: &Option<Spanned<String>>,
    from_name: fn(&str) -> Option<T>,
    known: &[&str],
) -> Result<Option<T>, Fault> {
    let Some(name) = field else { return Ok(None) };
    let unknown = || Fault {
        span: Some(name.span()),
        rule: Some(rule.to_owned()),
        problem: format!("no check has this name; known: {}", known.join(", ")),
    };
    from_name(name.get_ref()).map(Some).ok_or_else(unknown)
}

fn is_kebab(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 64
        && !text.starts_with('-')
        && !text.ends_with('-')
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

/// Over what decides which findings a rule makes and how they are reported; cases are left out.
fn digest(rule: &ParsedRule) -> u64 {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&ENGINE_VERSION.to_le_bytes());
    let mut field = |bytes: &[u8]| {
        hasher.update(&(bytes.len() as u64).to_le_bytes());
        hasher.update(bytes);
    };
    for text in [&rule.provider, &rule.id, &rule.name, &rule.severity, &rule.pattern, &rule.prefix, &rule.remedy] {
        field(text.as_bytes());
    }
    for list in [&rule.keywords, &rule.references] {
        field(list.join("\0").as_bytes());
    }
    field(&rule.entropy.to_le_bytes());
    field(rule.checksum.map_or("", Checksum::as_str).as_bytes());
    field(rule.gate.map_or("", Gate::as_str).as_bytes());
    field(&rule.reach.to_le_bytes());
    field(&[rule.confidence, u8::from(rule.generic), u8::from(rule.placeholders)]);
    let mut first = [0; 8];
    first.copy_from_slice(&hasher.finalize().as_bytes()[..8]);
    u64::from_le_bytes(first)
}
