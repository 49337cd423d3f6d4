//! The rules of the run: those that findings name, the clauses, and the codes of other problems.

use std::collections::HashMap;

use custody_contract::{ClauseVerdict, Diagnostic, Finding, Level, Report, Severity};
use serde_json::{Value, json};

use crate::{text, uri};

/// Rule descriptors, each id once, in the order in which they were first named.
pub(super) struct Rules {
    descriptors: Vec<Value>,
    index: HashMap<String, usize>,
}

impl Rules {
    /// The rules of all findings and clauses of a report. A rule that found secrets of several severities has that of
    /// the most severe: code scanning reads severity from the rule.
    pub(super) fn of(report: &Report) -> Self {
        let mut worst: HashMap<&str, Severity> = HashMap::new();
        for finding in &report.findings {
            let severity = worst.entry(&finding.rule).or_insert(finding.severity);
            *severity = finding.severity.max(*severity);
        }
        let mut rules = Rules { descriptors: Vec::new(), index: HashMap::new() };
        for finding in &report.findings {
            let severity = worst[&*finding.rule];
            rules.index_of(&finding.rule, || of_finding(finding, severity));
        }
        for clause in &report.clauses {
            rules.index_of(clause.clause.as_str(), || of_clause(clause));
        }
        rules
    }

    /// The index of a rule that [`Rules::of`] added: one that a finding or a clause of the report names.
    pub(super) fn known(&self, id: &str) -> usize {
        self.index[id]
    }

    /// The index of rule `id`, which is added if it is new.
    fn index_of(&mut self, id: &str, descriptor: impl FnOnce() -> Value) -> usize {
        if let Some(index) = self.index.get(id) {
            return *index;
        }
        let index = self.descriptors.len();
        self.descriptors.push(descriptor());
        self.index.insert(id.to_owned(), index);
        index
    }

    /// The rule of a problem that belongs to no clause.
    pub(super) fn index_of_code(&mut self, problem: &Diagnostic) -> usize {
        self.index_of(&problem.code, || {
            json!({
                "id": id(&problem.code),
                "shortDescription": { "text": text_of(&problem.what, &problem.code) },
                "defaultConfiguration": { "level": level_of_problem(problem.level) },
                "properties": { "tags": ["security", "contract"] },
            })
        })
    }

    pub(super) fn into_descriptors(self) -> Vec<Value> {
        self.descriptors
    }
}

fn of_finding(finding: &Finding, severity: Severity) -> Value {
    let mut descriptor = json!({
        "id": id(&finding.rule),
        "name": text_of(&finding.title, &finding.rule),
        "shortDescription": { "text": text_of(&finding.title, &finding.rule) },
        "fullDescription": { "text": format!("Secret material: {}.", text_of(&finding.title, &finding.rule)) },
        "defaultConfiguration": { "level": level(severity) },
        "properties": { "tags": ["security", "secret"], "security-severity": security_severity(severity) },
    });
    if !finding.remedy.is_empty() {
        descriptor["help"] = json!({ "text": text::safe_lines(&finding.remedy) });
    }
    if let Some(url) = finding.references.iter().find_map(|r| uri::web(r)) {
        descriptor["helpUri"] = json!(url);
    }
    descriptor
}

fn of_clause(clause: &ClauseVerdict) -> Value {
    let level = if clause.blocking { "error" } else { "warning" };
    let security_severity = security_severity(if clause.blocking { Severity::High } else { Severity::Medium });
    let help = format!("What the clause says and what to do about a failure: custody explain {}", clause.clause);
    json!({
        "id": clause.clause,
        "shortDescription": { "text": text_of(&clause.title, clause.clause.as_str()) },
        "help": { "text": help },
        "defaultConfiguration": { "level": level },
        "properties": { "tags": ["security", "contract"], "security-severity": security_severity },
    })
}

pub(super) fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical | Severity::High => "error",
        Severity::Medium => "warning",
        Severity::Low => "note",
    }
}

pub(super) fn level_of_problem(level: Level) -> &'static str {
    match level {
        Level::Error => "error",
        Level::Warning => "warning",
        Level::Note => "note",
    }
}

/// The number in which code scanning states severity: over 9 is critical, from 7 high, from 4 medium.
pub(super) fn security_severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical => "9.5",
        Severity::High => "8.0",
        Severity::Medium => "5.5",
        Severity::Low => "2.0",
    }
}

/// A rule id; SARIF has no empty ones.
pub(super) fn id(id: &str) -> String {
    text_of(id, "unnamed")
}

/// A text that must not be empty.
fn text_of(text: &str, otherwise: &str) -> String {
    text::safe(if text.is_empty() { otherwise } else { text }).into_owned()
}
