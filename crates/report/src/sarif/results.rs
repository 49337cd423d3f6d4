//! Findings, and what is wrong with clauses, as SARIF results.

use std::path::Path;

use custody_contract::{ClauseVerdict, Diagnostic, Finding, FindingStatus, Report};
use serde_json::{Value, json};

use super::places::{self, of_occurrence, of_place};
use super::rules::{self, Rules};
use crate::text;
use crate::wording::{self, Outcome};

/// What code scanning accepts of a run and of a result.
const RESULTS: usize = 25_000;
const LOCATIONS: usize = 1_000;

/// All results, the most severe findings first as the report has them, and how many were left out.
pub(super) fn of(report: &Report, root: Option<&Path>, rules: &mut Rules) -> (Vec<Value>, usize) {
    let mut results = Results { report, root, list: Vec::new(), left_out: 0 };
    for clause in &report.clauses {
        results.clause(clause, rules);
    }
    for problem in &report.diagnostics {
        let index = rules.index_of_code(problem);
        results.push(|at| at.problem(problem, &problem.code, index));
    }
    for finding in &report.findings {
        let index = rules.known(&finding.rule);
        results.push(|at| at.finding(finding, index));
    }
    (results.list, results.left_out)
}

struct Results<'a> {
    report: &'a Report,
    root: Option<&'a Path>,
    list: Vec<Value>,
    left_out: usize,
}

impl Results<'_> {
    fn push(&mut self, result: impl FnOnce(&Self) -> Value) {
        if self.list.len() < RESULTS {
            self.list.push(result(self));
        } else {
            self.left_out += 1;
        }
    }

    /// A clause's problems; its summary if it does not hold and neither problem nor finding says why.
    fn clause(&mut self, clause: &ClauseVerdict, rules: &Rules) {
        let id = clause.clause.as_str();
        let index = rules.known(id);
        for problem in &clause.problems {
            self.push(|at| at.problem(problem, id, index));
        }
        let outcome = Outcome::of(clause, self.report);
        let says_why = !clause.problems.is_empty() || !clause.findings.is_empty();
        if says_why || matches!(outcome, Outcome::Pass | Outcome::NotApplicable) {
            return;
        }
        let level = if clause.blocking && outcome != Outcome::Warn { "error" } else { "warning" };
        self.push(|at| {
            json!({
                "ruleId": id,
                "ruleIndex": index,
                "level": level,
                "message": { "text": format!("{}: {}", outcome.word(), text::safe(&clause.summary)) },
                "locations": [at.somewhere()],
                "partialFingerprints": { "custody/clause/v1": id },
                "suppressions": waivers(clause),
                "properties": { "outcome": outcome.word() },
            })
        });
    }

    fn problem(&self, problem: &Diagnostic, rule: &str, index: usize) -> Value {
        let mut message = format!("{}.", text::safe(&problem.what));
        for (label, body) in [("Why", &problem.why), ("Fix", &problem.fix)] {
            if !body.is_empty() {
                message.push_str(&format!("\n{label}: {}", text::safe_lines(body)));
            }
        }
        let location = problem.place.as_ref().map_or_else(|| self.somewhere(), |place| of_place(place, self.root));
        // Without the line, so that it stays the same problem when lines move.
        let file = problem.place.as_ref().map_or("", |p| p.file.as_str());
        let pointer = problem.place.as_ref().and_then(|p| p.pointer.as_deref()).unwrap_or("");
        let identity = format!("{rule} {} {file}#{pointer} {}", problem.code, problem.what);
        json!({
            "ruleId": rules::id(rule),
            "ruleIndex": index,
            "level": rules::level_of_problem(problem.level),
            "message": { "text": message },
            "locations": [location],
            "partialFingerprints": { "custody/problem/v1": text::safe(&identity) },
            "suppressions": [],
            "properties": { "code": text::safe(&problem.code) },
        })
    }

    fn finding(&self, finding: &Finding, index: usize) -> Value {
        let mut locations: Vec<_> =
            finding.occurrences.iter().take(LOCATIONS).map(|o| of_occurrence(o, self.root)).collect();
        if locations.is_empty() {
            locations.push(self.somewhere());
        }
        let places = wording::amount(finding.occurrences.len(), "places");
        let mut message = format!(
            "{}: {} in {places}, confidence {}.",
            text::safe(&finding.title),
            text::safe(&finding.redacted.to_string()),
            finding.confidence.score
        );
        if finding.occurrences.len() > LOCATIONS {
            message.push_str(&format!(" The first {LOCATIONS} places are listed."));
        }
        let remedy = wording::remedy(finding);
        if !remedy.is_empty() {
            message.push_str(&format!(" {}", text::safe(&remedy)));
        }
        let reasons: Vec<_> = finding
            .confidence
            .reasons
            .iter()
            .map(|r| json!({ "what": text::safe(&r.what), "weight": r.weight }))
            .collect();
        let first_commit = finding.occurrences.iter().find_map(|o| o.commit.as_deref());
        let mut result = json!({
            "ruleId": rules::id(&finding.rule),
            "ruleIndex": index,
            "level": rules::level(finding.severity),
            "message": { "text": message },
            "locations": locations,
            "occurrenceCount": finding.occurrences.len().max(1),
            "partialFingerprints": { "custody/v1": finding.fingerprint },
            "suppressions": suppressions(finding),
            "properties": {
                "severity": finding.severity,
                "security-severity": rules::security_severity(finding.severity),
                "confidence": finding.confidence.score,
                "confidenceReasons": reasons,
                "redacted": text::safe(&finding.redacted.to_string()),
                "blocks": finding.blocks(self.report.block_at),
            },
        });
        if let Some(commit) = first_commit {
            result["properties"]["commit"] = json!(text::safe(commit));
        }
        if let Some(reach) = finding.reach() {
            result["properties"]["reach"] = json!(reach.from);
        }
        result
    }

    /// Where to put what has no place of its own: the contract file, since that is where it is set right or waived.
    fn somewhere(&self) -> Value {
        let contract = self.report.contract.as_ref().and_then(|c| c.file.as_deref()).unwrap_or("custody.toml");
        places::file(contract, self.root).unwrap_or_else(|| json!({}))
    }
}

fn suppressions(finding: &Finding) -> Value {
    let (kind, justification) = match &finding.status {
        FindingStatus::Open => return json!([]),
        FindingStatus::Baselined { reason } => ("external", reason.clone()),
        FindingStatus::Waived { waiver } => ("external", format!("waiver {waiver}")),
        FindingStatus::Allowed { reason } => ("inSource", reason.clone()),
    };
    json!([{ "kind": kind, "status": "accepted", "justification": text::safe(&justification) }])
}

fn waivers(clause: &ClauseVerdict) -> Value {
    let suppression = |waiver: &String| json!({ "kind": "external", "status": "accepted", "justification": format!("waiver {}", text::safe(waiver)) });
    clause.waivers.iter().map(suppression).collect()
}
