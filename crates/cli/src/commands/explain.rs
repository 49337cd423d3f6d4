//! `custody explain`: a clause or a rule, in words.

use std::fmt::Write as _;
use std::path::Path;
use std::process::ExitCode;

use custody_contract::{Contract, Diagnostic};
use custody_gate::{Explanation, explain};
use custody_scan::rules::{Rule, RuleSet};

use crate::arguments::Explain;
use crate::context::{InForce, closest_rule};
use crate::failure::Failure;
use crate::output;

pub fn run(arguments: &Explain) -> Result<ExitCode, Failure> {
    let contract = InForce::load(Path::new("."), None, None).map_or_else(|_| Contract::builtin(), |f| f.contract);
    let Some(id) = &arguments.id else {
        let mut text = String::new();
        for clause in &contract.clauses {
            let _ = writeln!(text, "{:8} §{:4} {}", clause.id, clause.section, clause.title);
        }
        output::print(&text)?;
        return Ok(ExitCode::SUCCESS);
    };
    if let Some(explanation) = explain(&contract, id) {
        output::print(&clause_text(&explanation))?;
        return Ok(ExitCode::SUCCESS);
    }
    let rules = RuleSet::builtin();
    if let Some(rule) = rules.get(id) {
        output::print(&rule_text(rule))?;
        return Ok(ExitCode::SUCCESS);
    }
    if let Some(text) = built_in_detection(id) {
        output::print(text)?;
        return Ok(ExitCode::SUCCESS);
    }
    let upper = id.to_uppercase();
    let clause = contract.clauses.iter().map(|c| c.id.as_str());
    let clause = clause.min_by_key(|c| strsim::damerau_levenshtein(c, &upper)).unwrap_or("CRED-1");
    let closest = if upper.len() <= 8 { clause } else { closest_rule(&rules, id).unwrap_or(clause) };
    let diagnostic = Diagnostic::error("usage", "neither a clause nor a rule has this id");
    Err(Failure::usage(
        diagnostic.fix(format!("did you mean {closest}? `custody explain` and `custody rules list` list all")),
    ))
}

/// Findings that come from code instead of a rule file.
fn built_in_detection(id: &str) -> Option<&'static str> {
    match id {
        "reference-context" => Some(
            "reference-context: a credential reference beside what would help someone use it\n\n\
             A cred:// reference within three lines of a resolver endpoint, an account or tenant id, a role or a lease id,\n\
             in a log, an evidence artifact or a screenshot (ROT-2). A bare reference is no leak.\n\n\
             To do: redact the artifact, and stop the program from writing both into one place.\n",
        ),
        "high-entropy-text" => Some(
            "high-entropy-text: text that looks like nothing but a key\n\n\
             Long random text where a credential reference, a name or an id belongs (CRED-4). Account, subscription and\n\
             billing ids, UUIDs and ordinary names pass.\n\n\
             To do: use an opaque name, and rotate the secret if it was one.\n",
        ),
        _ => None,
    }
}

fn clause_text(explanation: &Explanation) -> String {
    let clause = &explanation.clause;
    let mut text = String::new();
    let _ = writeln!(text, "{}  {} (contract section {})\n", clause.id, clause.title, clause.section);
    let _ = writeln!(text, "Evaluation   {}", clause.evaluation);
    let _ = writeln!(text, "Looks at     {}", explanation.looks_at);
    let _ = writeln!(text, "Incomplete   {}", explanation.incomplete_when);
    let _ = writeln!(text, "On failure   {}", clause.remedy);
    let _ = writeln!(
        text,
        "Enforcement  {}",
        match clause.enforcement {
            custody_contract::file::Enforcement::Block => "a failure blocks the release",
            custody_contract::file::Enforcement::Warn => "a failure is a warning",
        }
    );
    for (name, items) in
        [("Settings", explanation.settings), ("Commands", explanation.commands), ("Tasks", explanation.tasks)]
    {
        if !items.is_empty() {
            let _ = writeln!(text, "{name:12} {}", items.join("\n             "));
        }
    }
    text
}

pub(super) fn rule_text(rule: &Rule) -> String {
    let mut text = String::new();
    let _ = writeln!(text, "{}  {} ({})\n", rule.id, rule.name, rule.provider_name);
    let _ = writeln!(text, "Severity     {}: {}", rule.severity, rule.why);
    let _ = writeln!(
        text,
        "Confidence   {} of 100 before context{}",
        rule.confidence,
        if rule.generic { "; yields to any specific rule" } else { "" }
    );
    let _ = writeln!(text, "Pattern      {}", rule.pattern);
    let _ = writeln!(text, "Keywords     {}", rule.keywords.join(", "));
    if rule.entropy > 0.0 {
        let _ = writeln!(text, "Entropy      at least {} bits per byte", rule.entropy);
    }
    if let Some(checksum) = rule.checksum {
        let _ = writeln!(text, "Checksum     {}", checksum.as_str());
    }
    if !rule.remedy.is_empty() {
        let _ = writeln!(text, "To do        {}", rule.remedy);
    }
    for reference in rule.references.iter() {
        let _ = writeln!(text, "See          {reference}");
    }
    text
}
