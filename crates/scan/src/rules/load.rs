//! Rule files at run time.

use std::borrow::Cow;

use custody_contract::Severity;

use super::Rule;
use super::format::{self, Cases, ParsedRule};

/// What is wrong with a rule file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{origin}:{line}:{column}: {}{problem}", rule.as_ref().map_or(String::new(), |r| format!("rule `{r}`: ")))]
#[non_exhaustive]
pub struct RuleFileError {
    /// The file, as the caller named it.
    pub origin: String,
    /// Line, 1-based.
    pub line: u32,
    /// Column in characters, 1-based.
    pub column: u32,
    /// The rule, where it is known.
    pub rule: Option<String>,
    /// What is wrong.
    pub problem: String,
}

pub(super) fn load(text: &str, origin: &str) -> Result<Vec<Rule>, RuleFileError> {
    let parsed = format::parse(text, Cases::Optional).map_err(|fault| {
        let at = fault.span.map_or(0, |s| s.start).min(text.len());
        let before = text.get(..at).unwrap_or_default();
        let line_start = before.rfind('\n').map_or(0, |p| p + 1);
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        RuleFileError {
            origin: origin.to_owned(),
            line: count(before.matches('\n').count() + 1),
            column: count(before[line_start..].chars().count() + 1),
            rule: fault.rule,
            problem: fault.problem,
        }
    })?;
    for rule in &parsed {
        // What the build script leaves to a test of the built-in rules is done here at once.
        crate::engine::compile(&rule.pattern, rule.shape).map_err(|problem| {
            let at = text.find(&*rule.id).unwrap_or(0);
            RuleFileError {
                origin: origin.to_owned(),
                line: u32::try_from(text[..at].matches('\n').count() + 1).unwrap_or(u32::MAX),
                column: 1,
                rule: Some(rule.id.clone()),
                problem,
            }
        })?;
    }
    Ok(parsed.into_iter().map(own).collect())
}

fn own(rule: ParsedRule) -> Rule {
    let list = |items: Vec<String>| Cow::Owned(items.into_iter().map(Cow::Owned).collect::<Vec<_>>());
    Rule {
        provider: Cow::Owned(rule.provider),
        provider_name: Cow::Owned(rule.provider_name),
        id: Cow::Owned(rule.id),
        name: Cow::Owned(rule.name),
        severity: rule.severity.parse().unwrap_or(Severity::Critical),
        why: Cow::Owned(rule.why),
        pattern: Cow::Owned(rule.pattern),
        keywords: list(rule.keywords),
        prefix: Cow::Owned(rule.prefix),
        entropy: rule.entropy,
        checksum: rule.checksum,
        gate: rule.gate,
        reach: rule.reach,
        confidence: rule.confidence,
        generic: rule.generic,
        placeholders: rule.placeholders,
        references: list(rule.references),
        revoke: Cow::Owned(rule.revoke),
        remedy: Cow::Owned(rule.remedy),
        examples: list(rule.examples),
        negatives: list(rule.negatives),
        shape: rule.shape,
        follow: rule.follow.into_iter().map(Cow::Owned).collect(),
        digest: rule.digest,
    }
}
