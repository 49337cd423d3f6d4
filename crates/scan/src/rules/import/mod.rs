//! Other scanners' configuration as rule files.
//!
//! Read from the formats' public documentation only. What cannot be carried over is named, never dropped in silence.

use regex_syntax::hir::HirKind;
use serde::Serialize;

use super::{RuleSet, shape};

mod detect_secrets;
mod gitleaks;

pub use detect_secrets::{baseline as detect_secrets_baseline, plugin as detect_secrets_plugin};
pub use gitleaks::config as gitleaks;

/// What came of an import.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Imported {
    /// A rule file, or a piece of `custody.toml`; empty if nothing came of it.
    pub text: String,
    /// How many rules it has.
    pub rules: usize,
    /// What was carried over otherwise than it was meant, and what to do about it.
    pub notes: Vec<String>,
    /// What was not carried over, with the reason.
    pub left_out: Vec<String>,
}

/// A file that cannot be imported.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a file of {tool}: {problem}")]
pub struct ImportError {
    /// Whose format was expected.
    pub tool: &'static str,
    /// What is wrong.
    pub problem: String,
}

/// Longest configuration that is read, in bytes.
pub const MAX_BYTES: usize = 4 << 20;

#[derive(Serialize)]
struct RuleFile<'a> {
    provider: &'a str,
    name: String,
    rule: Vec<Draft>,
}

/// A rule as an import writes it.
#[derive(Serialize, Clone)]
struct Draft {
    id: String,
    name: String,
    severity: &'static str,
    why: String,
    pattern: String,
    keywords: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    entropy: Option<f64>,
    confidence: u8,
    references: Vec<String>,
    remedy: &'static str,
    examples: Vec<String>,
    negatives: Vec<String>,
}

impl Draft {
    fn new(id: String, name: String, tool: &str, pattern: String) -> Self {
        Draft {
            id,
            name,
            severity: "high",
            why: format!("Imported from {tool}; say here what someone who holds it can do."),
            pattern,
            keywords: Vec::new(),
            entropy: None,
            confidence: 70,
            references: Vec::new(),
            remedy: "Revoke it where it was issued, and give a new one to the systems that use it through the secret backend.",
            examples: Vec::new(),
            negatives: Vec::new(),
        }
    }
}

/// Collects rules and renders those that custody can use.
struct Collector<'a> {
    provider: &'a str,
    name: String,
    kept: Vec<Draft>,
    imported: Imported,
}

impl<'a> Collector<'a> {
    fn new(provider: &'a str, name: String) -> Self {
        Collector { provider, name, kept: Vec::new(), imported: Imported::default() }
    }

    /// Keeps a rule if it works here.
    fn add(&mut self, mut draft: Draft) {
        let id = draft.id.clone();
        if draft.keywords.is_empty() {
            match required_literal(&draft.pattern) {
                Some(literal) => draft.keywords.push(literal),
                None => {
                    let why = "no keyword, and its pattern has no fixed text of four characters that could be one";
                    self.imported.left_out.push(format!("rule `{id}`: {why}"));
                    return;
                }
            }
        }
        if self.kept.iter().any(|kept| kept.id == id) {
            self.imported.left_out.push(format!("rule `{id}`: another has the same id"));
            return;
        }
        let text = self.render(vec![draft.clone()]);
        match RuleSet::from_toml(&text, "import") {
            Ok(_) => self.kept.push(draft),
            Err(error) => {
                let problem = error.problem.lines().last().unwrap_or_default().trim().to_owned();
                self.imported.left_out.push(format!("rule `{id}`: {problem}"));
            }
        }
    }

    fn render(&self, rule: Vec<Draft>) -> String {
        let file = RuleFile { provider: self.provider, name: self.name.clone(), rule };
        toml::to_string(&file).unwrap_or_default()
    }

    fn finish(mut self) -> Imported {
        self.imported.rules = self.kept.len();
        if !self.kept.is_empty() {
            let kept = std::mem::take(&mut self.kept);
            self.imported.text = self.render(kept);
            self.imported.notes.push(
                "imported rules have no cases and a severity that was not chosen: complete them, then run `custody rules \
                 lint` and `custody rules test` on the file"
                    .into(),
            );
        }
        self.imported
    }
}

/// The longest text that every match contains one after the other, lower case; at least four characters.
fn required_literal(pattern: &str) -> Option<String> {
    let hir = shape::folded(&shape::parse(pattern).ok()?);
    let mut parts = Vec::new();
    shape::flatten(&hir, &mut parts);
    let mut best: Vec<u8> = Vec::new();
    let mut run: Vec<u8> = Vec::new();
    for part in &parts {
        match part.kind() {
            HirKind::Literal(literal) => run.extend(&*literal.0),
            _ => run.clear(),
        }
        if run.len() > best.len() {
            best.clone_from(&run);
        }
    }
    best.truncate(64);
    (best.len() >= 4 && best.is_ascii()).then(|| String::from_utf8_lossy(&best).into_owned())
}

/// Gives the capture group of that number, from one on, the name `secret`. `None` if there are fewer.
fn name_group(pattern: &str, number: usize) -> Option<String> {
    let bytes = pattern.as_bytes();
    let (mut at, mut class, mut count) = (0, 0_usize, 0);
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 1,
            b'[' if class == 0 || bytes.get(at + 1) == Some(&b':') => {
                class += 1;
                // A bracket that comes first is itself one of the class.
                at += usize::from(bytes.get(at + 1) == Some(&b'^'));
                at += usize::from(bytes.get(at + 1) == Some(&b']'));
            }
            b']' if class > 0 => class -= 1,
            b'(' if class == 0 => {
                let rest = &pattern[at + 1..];
                let named = rest.starts_with("?P<")
                    || rest.starts_with("?<") && !rest.starts_with("?<=") && !rest.starts_with("?<!");
                if !rest.starts_with('?') || named {
                    count += 1;
                    if count == number {
                        let end = if named { at + 2 + rest.find('>')? } else { at + 1 };
                        return Some(format!("{}(?P<secret>{}", &pattern[..at], &pattern[end..]));
                    }
                }
            }
            _ => {}
        }
        at += 1;
    }
    None
}

/// An id of custody's: lower case, digits and single hyphens.
fn kebab(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        if c.is_ascii_alphanumeric() {
            out.push(c.to_ascii_lowercase());
        } else if !out.ends_with('-') && !out.is_empty() {
            out.push('-');
        }
    }
    out.truncate(64);
    out.trim_end_matches('-').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_is_found_behind_classes_and_escapes() {
        for (pattern, number, expected) in [
            ("a(b)c", 1, Some("a(?P<secret>b)c")),
            (r"\((?:x)[(](y)(z)", 2, Some(r"\((?:x)[(](y)(?P<secret>z)")),
            ("(?i)[^]()](?P<token>k)", 1, Some("(?i)[^]()](?P<secret>k)")),
            ("[[:alpha:](]+(v)", 1, Some("[[:alpha:](]+(?P<secret>v)")),
            ("(?:a)", 1, None),
            ("(", 2, None),
        ] {
            assert_eq!(name_group(pattern, number).as_deref(), expected, "{pattern}");
        }
    }

    #[test]
    fn the_text_that_every_match_has_is_found() {
        for (pattern, expected) in [
            ("acme_[0-9]{8}", Some("acme_")),
            ("(?i)token[:=]acme-live-([a-z]{20})", Some("acme-live-")),
            ("[a-z]{32}", None),
            ("a|bcdefg", None),
        ] {
            assert_eq!(required_literal(pattern).as_deref(), expected, "{pattern}");
        }
    }

    #[test]
    fn ids_become_kebab() {
        assert_eq!(kebab("AWS  Access_Key (v2)!"), "aws-access-key-v2");
        assert_eq!(kebab("--"), "");
    }
}
