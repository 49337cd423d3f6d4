//! The words that several formats share: outcomes, the decision's sentence, amounts, where things came from.
//! All of it is plain text; what comes from the report is made safe here or by the format, as each function says.

use std::collections::BTreeMap;

use custody_contract::{
    ClauseVerdict, Coverage, Decision, EnvironmentSource, Finding, FindingStatus, Level, Occurrence, Report,
    ReportKind, Severity, Surface, Verdict,
};

pub(crate) use crate::amounts::{amount, bytes, count, grouped, share};
use crate::text;

/// What a verdict comes to for a reader: the verdict, and apart from `fail` what only could not be looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Pass,
    Fail,
    Incomplete,
    Warn,
    NotApplicable,
}

impl Outcome {
    pub(crate) const ALL: [Outcome; 5] =
        [Outcome::Pass, Outcome::Fail, Outcome::Incomplete, Outcome::Warn, Outcome::NotApplicable];

    /// A failing clause is `Incomplete` if it says so and no finding of its own blocks: then nothing that was looked
    /// at is known to be wrong.
    pub(crate) fn of(clause: &ClauseVerdict, report: &Report) -> Self {
        match clause.verdict {
            Verdict::Pass => Outcome::Pass,
            Verdict::Warn => Outcome::Warn,
            Verdict::NotApplicable => Outcome::NotApplicable,
            Verdict::Fail if clause.incomplete && !has_blocking_finding(clause, report) => Outcome::Incomplete,
            Verdict::Fail => Outcome::Fail,
        }
    }

    pub(crate) fn word(self) -> &'static str {
        match self {
            Outcome::Pass => "pass",
            Outcome::Fail => "fail",
            Outcome::Incomplete => "incomplete",
            Outcome::Warn => "warn",
            Outcome::NotApplicable => "not-applicable",
        }
    }

    /// One column wide, and each of another shape, so that meaning is not by colour alone.
    pub(crate) fn symbol(self) -> &'static str {
        match self {
            Outcome::Pass => "✔",
            Outcome::Fail => "✘",
            Outcome::Incomplete => "?",
            Outcome::Warn => "!",
            Outcome::NotApplicable => "–",
        }
    }
}

fn has_blocking_finding(clause: &ClauseVerdict, report: &Report) -> bool {
    let blocking = |f: &Finding| f.blocks(report.block_at) && clause.findings.contains(&f.fingerprint);
    !clause.findings.is_empty() && report.findings.iter().any(blocking)
}

/// The clauses in groups of the letters before the hyphen, in the contract's order.
pub(crate) fn groups(report: &Report) -> Vec<(&str, Vec<&ClauseVerdict>)> {
    let mut groups: Vec<(&str, Vec<&ClauseVerdict>)> = Vec::new();
    for clause in &report.clauses {
        let id = clause.clause.as_str();
        let name = id.split_once('-').map_or(id, |(group, _)| group);
        match groups.iter_mut().find(|(known, _)| *known == name) {
            Some((_, members)) => members.push(clause),
            None => groups.push((name, vec![clause])),
        }
    }
    groups
}

/// What a group of clauses is about; empty for a group that the built-in contract does not have.
pub(crate) fn group_title(group: &str) -> &'static str {
    match group {
        "CRED" => "credentials by reference",
        "ENV" => "environment keys and surfaces",
        "ROT" => "rotation, incidents, scans",
        "BILL" => "billing requests",
        "VAL" => "validation commands",
        _ => "",
    }
}

/// How many clauses have which outcome: `17 pass, 2 fail, 1 incomplete`.
pub(crate) fn tally(report: &Report) -> String {
    let count = |outcome| report.clauses.iter().filter(|c| Outcome::of(c, report) == outcome).count();
    let parts: Vec<_> = Outcome::ALL
        .into_iter()
        .filter_map(|outcome| Some(count(outcome)).filter(|n| *n > 0).map(|n| format!("{n} {}", outcome.word())))
        .collect();
    parts.join(", ")
}

/// The decision with its reason, as one sentence: `Release blocked: ENV-5b, ROT-1 fail.`
pub(crate) fn decision(report: &Report) -> String {
    if report.kind == ReportKind::Check { release_decision(report) } else { plain_decision(report) }
}

fn release_decision(report: &Report) -> String {
    let blocking = |outcome| -> Vec<&str> {
        let stands = |c: &&ClauseVerdict| c.blocking && Outcome::of(c, report) == outcome;
        report.clauses.iter().filter(stands).map(|c| c.clause.as_str()).collect()
    };
    let (failing, incomplete) = (blocking(Outcome::Fail), blocking(Outcome::Incomplete));
    let is_incomplete =
        |ids: &[&str]| format!("{} {} incomplete", ids.join(", "), if ids.len() == 1 { "is" } else { "are" });
    let fails = |ids: &[&str]| format!("{} {}", ids.join(", "), if ids.len() == 1 { "fails" } else { "fail" });
    match (report.decision, failing.is_empty(), incomplete.is_empty()) {
        (Decision::MayRelease, ..) => "May release.".to_owned(),
        (Decision::Blocked, false, true) => format!("Release blocked: {}.", fails(&failing)),
        (Decision::Blocked, false, false) => {
            format!("Release blocked: {}; {}.", fails(&failing), is_incomplete(&incomplete))
        }
        (Decision::Blocked, true, false) => format!("Release blocked: {}.", fails(&incomplete)),
        (Decision::Blocked, true, true) => format!("Release blocked{}.", after_colon(&causes(report))),
        (Decision::Incomplete, _, false) => format!("Incomplete: {}.", is_incomplete(&incomplete)),
        (Decision::Incomplete, _, true) => format!("Incomplete: {}.", not_read(report)),
    }
}

fn plain_decision(report: &Report) -> String {
    let causes = causes(report);
    match report.decision {
        Decision::Blocked => format!("Blocked{}.", after_colon(&causes)),
        Decision::Incomplete => format!("Incomplete: {}.", not_read(report)),
        Decision::MayRelease if !causes.is_empty() => format!("Nothing blocks: {}.", causes.join(", ")),
        Decision::MayRelease if report.kind == ReportKind::Scan => "Clean: no findings.".to_owned(),
        Decision::MayRelease => "Valid: no problems.".to_owned(),
    }
}

fn after_colon(causes: &[String]) -> String {
    if causes.is_empty() { String::new() } else { format!(": {}", causes.join(", ")) }
}

/// What stands in the way or is worth a look, in numbers.
fn causes(report: &Report) -> Vec<String> {
    let open = report.findings.iter().filter(|f| f.status == FindingStatus::Open);
    let (blocking, mild): (Vec<_>, Vec<_>) = open.partition(|f| f.severity >= report.block_at);
    let level = |level| report.diagnostics.iter().filter(|d| d.level == level).count();
    let mut causes = Vec::new();
    if !blocking.is_empty() {
        let or_above = if report.block_at == Severity::Critical { "" } else { " or above" };
        causes.push(format!("{} {}{or_above}", amount(blocking.len(), "open findings"), report.block_at));
    }
    if !mild.is_empty() {
        causes.push(format!("{} below {}", amount(mild.len(), "open findings"), report.block_at));
    }
    for (count, unit) in [(level(Level::Error), "errors"), (level(Level::Warning), "warnings")] {
        if count > 0 {
            causes.push(amount(count, unit));
        }
    }
    causes
}

/// How much was not read that should have been.
fn not_read(report: &Report) -> String {
    let parts: Vec<_> = report
        .coverage
        .iter()
        .filter(|c| c.is_incomplete())
        .map(|c| {
            format!(
                "{} of {} not read ({})",
                grouped(c.incomplete_total),
                count(c.expected, &text::safe(&c.unit)),
                c.surface
            )
        })
        .collect();
    if parts.is_empty() { "something that should have been looked at was not".to_owned() } else { parts.join(", ") }
}

/// What all accounts together looked at: `118 of 120 files, 542 objects, 3.1 MB`; empty if there are none.
pub(crate) fn looked_at(report: &Report) -> String {
    let mut by_unit: Vec<(String, u64, u64)> = Vec::new();
    for account in &report.coverage {
        let unit = text::safe(&account.unit);
        match by_unit.iter_mut().find(|(known, ..)| *known == unit) {
            Some((_, read, expected)) => {
                *read = read.saturating_add(account.read);
                *expected = expected.saturating_add(account.expected);
            }
            None => by_unit.push((unit.into_owned(), account.read, account.expected)),
        }
    }
    let mut parts: Vec<_> = by_unit.iter().map(|(unit, read, expected)| share(*read, *expected, unit)).collect();
    if !parts.is_empty() {
        parts.push(bytes(report.coverage.iter().fold(0, |sum: u64, c| sum.saturating_add(c.bytes))));
    }
    parts.join(", ")
}

/// The rules in force: `211 rules (0123456789abcdef)`; empty where none were needed.
pub(crate) fn rules(report: &Report) -> String {
    let count = rule_count(report);
    let digest = &report.tool.rules_digest;
    if count.is_empty() || digest.is_empty() { count } else { format!("{count} ({})", text::safe(digest)) }
}

/// As [`rules`], without their digest.
pub(crate) fn rule_count(report: &Report) -> String {
    if report.tool.rules == 0 { String::new() } else { count(u64::from(report.tool.rules), "rules") }
}

/// The environment and where it came from: `prod (from --env)`.
pub(crate) fn environment(report: &Report) -> Option<String> {
    let source = report.environment_source.map(|source| match source {
        EnvironmentSource::Flag => "from --env",
        EnvironmentSource::Contract => "the contract's default",
        EnvironmentSource::NodeEnv => "from NODE_ENV",
        EnvironmentSource::Strictest => "the strictest, since nothing names one",
    });
    let environment = report.environment?;
    Some(source.map_or_else(|| environment.to_string(), |source| format!("{environment} ({source})")))
}

/// The contract in force: `ficecal with custody.toml, as of base 1a2b3c4d5e6f`.
pub(crate) fn contract(report: &Report) -> Option<String> {
    let origin = report.contract.as_ref()?;
    let mut contract = text::safe(&origin.profile).into_owned();
    if let Some(file) = &origin.file {
        contract.push_str(&format!(" with {}", text::safe(file)));
    }
    match &origin.base {
        Some(base) => contract.push_str(&format!(", as of base {}", text::safe(short_id(base)))),
        None => contract.push_str(", as of the working tree"),
    }
    Some(contract)
}

/// Why a finding counts or does not.
pub(crate) fn status(finding: &Finding) -> String {
    match &finding.status {
        FindingStatus::Open => "open".to_owned(),
        FindingStatus::Baselined { reason } => format!("in the baseline: {}", text::safe(reason)),
        FindingStatus::Waived { waiver } => format!("waived by {}", text::safe(waiver)),
        FindingStatus::Allowed { reason } => format!("allowed inline: {}", text::safe(reason)),
    }
}

/// What is to be said of an occurrence besides its place: `history, base64, 2026-03-01, still in main`; empty for plain
/// text of a working tree.
pub(crate) fn occurrence_remarks(occurrence: &Occurrence) -> String {
    let mut remarks = Vec::new();
    if !matches!(occurrence.surface, Surface::WorkingTree | Surface::Stdin) {
        remarks.push(occurrence.surface.to_string());
    }
    if !occurrence.encoding.is_empty() {
        remarks.push(text::safe(&occurrence.encoding.join(" in ")).into_owned());
    }
    // The day is enough for a line; the JSON has the second.
    if let Some(committed) = occurrence.authored.or(occurrence.committed) {
        remarks.push(committed.strftime("%Y-%m-%d").to_string());
    }
    if let Some(reach) = &occurrence.reach {
        remarks.push(text::safe(&reach.to_string()).into_owned());
    }
    if let Some(reason) = &occurrence.allowed {
        remarks.push(format!("allowed: {}", text::safe(reason)));
    }
    remarks.join(", ")
}

/// What to do about a finding: what its rule says, and what follows from where its history is reached from. As the report
/// has it: made safe by the format.
pub(crate) fn remedy(finding: &Finding) -> String {
    let reach = finding.reach().map(custody_contract::Reach::remedy).unwrap_or_default();
    let separator = if finding.remedy.is_empty() || reach.is_empty() { "" } else { " " };
    format!("{}{separator}{reach}", finding.remedy)
}

/// The place of an occurrence, safe to show: `src/a.env:3:12@1a2b3c4d5e6f`.
pub(crate) fn place(occurrence: &Occurrence) -> String {
    text::safe(&occurrence.to_string()).into_owned()
}

/// Whether an occurrence stands in a file of the checkout, so that its line can be pointed at.
pub(crate) fn is_in_checkout(occurrence: &Occurrence) -> bool {
    !matches!(occurrence.surface, Surface::History | Surface::Stdin) && occurrence.commit.is_none()
}

/// The skipped items of all accounts, those that make the run incomplete first, each with its account.
pub(crate) fn skipped(report: &Report) -> Vec<(&Coverage, &custody_contract::Skipped)> {
    let mut skipped: Vec<_> = report.coverage.iter().flat_map(|c| c.skipped.iter().map(move |s| (c, s))).collect();
    skipped.sort_by_key(|(_, s)| !s.reason.is_incomplete());
    skipped
}

/// How many items were skipped in all, listed or not.
pub(crate) fn skipped_total(report: &Report) -> u64 {
    report.coverage.iter().fold(0, |sum: u64, c| sum.saturating_add(c.skipped_total))
}

/// The findings of each severity that count, most severe first.
pub(crate) fn open_by_severity(report: &Report) -> BTreeMap<std::cmp::Reverse<Severity>, usize> {
    let mut counts = BTreeMap::new();
    for finding in report.findings.iter().filter(|f| f.status == FindingStatus::Open) {
        *counts.entry(std::cmp::Reverse(finding.severity)).or_insert(0) += 1;
    }
    counts
}

/// The first 12 characters of a commit id, all of anything else.
fn short_id(id: &str) -> &str {
    if id.len() >= 40 && id.bytes().all(|b| b.is_ascii_hexdigit()) { &id[..12] } else { id }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    #[test]
    fn the_decision_names_what_stands_in_the_way() {
        assert_eq!(decision(&sample::blocked()), "Release blocked: CRED-3, ENV-5b, ROT-1 fail; ENV-5c is incomplete.");
        assert_eq!(decision(&sample::may_release()), "May release.");
        assert_eq!(decision(&sample::incomplete()), "Incomplete: ENV-5c is incomplete.");
        assert_eq!(decision(&sample::clean_scan()), "Clean: no findings.");
        assert_eq!(
            decision(&sample::blocked_scan()),
            "Blocked: 1 open finding high or above, 1 open finding below high."
        );
        assert_eq!(decision(&sample::incomplete_scan()), "Incomplete: 1 of 3 files not read (working-tree).");
        assert_eq!(decision(&sample::billing()), "Blocked: 1 error, 1 warning.");
    }

    #[test]
    fn a_blocked_report_without_clauses_still_says_something() {
        let mut report = sample::blocked();
        report.clauses.clear();
        assert!(decision(&report).starts_with("Release blocked"));
    }

    #[test]
    fn an_incomplete_clause_with_a_blocking_finding_fails() {
        let mut report = sample::blocked();
        let fingerprint = report.findings[0].fingerprint;
        let clause = report.clauses.iter_mut().find(|c| c.clause == "ENV-5c").expect("is there");
        clause.findings.push(fingerprint);
        let clause = report.clauses.iter().find(|c| c.clause == "ENV-5c").expect("is there");
        assert_eq!(Outcome::of(clause, &report), Outcome::Fail);
    }
}
