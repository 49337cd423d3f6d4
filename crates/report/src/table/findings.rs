//! Findings: those that count in full, the others in two lines each.

use custody_contract::{Finding, FindingStatus, Report, Severity};

use super::page::{BAD, BOLD, CALM, CAUTION, Cell, DIM, PLAIN, Page};
use crate::{Explain, text, wording};

/// Occurrences shown of a finding that counts, and of one that does not.
const SHOWN: usize = 10;
const SHOWN_SETTLED: usize = 1;

pub(super) fn section(page: &mut Page, report: &Report) {
    if report.findings.is_empty() {
        return;
    }
    page.heading(&heading(report));
    let mut after_short = false;
    for finding in &report.findings {
        let short = finding.status != FindingStatus::Open && page.explain == Explain::No;
        if !(short && after_short) {
            page.blank();
        }
        after_short = short;
        head(page, report, finding);
        details(page, finding);
    }
}

fn heading(report: &Report) -> String {
    let by_severity = wording::open_by_severity(report);
    let open: Vec<_> = by_severity.iter().map(|(severity, n)| format!("{n} {}", severity.0)).collect();
    let settled = report.findings.iter().filter(|f| f.status != FindingStatus::Open).count();
    let mut parts = Vec::new();
    if !open.is_empty() {
        parts.push(format!("{} open", open.join(", ")));
    }
    if settled > 0 {
        parts.push(format!("{settled} settled"));
    }
    format!("Findings ({})", parts.join("; "))
}

fn head(page: &mut Page, report: &Report, finding: &Finding) {
    let settled = finding.status != FindingStatus::Open;
    let (symbol, style) = match finding.severity {
        _ if settled => ("–", DIM),
        _ if finding.blocks(report.block_at) => ("✘", BAD),
        Severity::Low => ("!", CALM),
        _ => ("!", CAUTION),
    };
    let severity = finding.severity.as_str();
    let cells = [Cell::new("  ", 2, PLAIN), Cell::new(symbol, 2, style), Cell::new(severity, 10, style)];
    let title = format!(
        "{} [{}], confidence {}",
        text::safe(&finding.title),
        text::safe(&finding.rule),
        finding.confidence.score
    );
    page.hang(&cells, &title, if settled { PLAIN } else { BOLD });
}

fn details(page: &mut Page, finding: &Finding) {
    let settled = finding.status != FindingStatus::Open;
    let line = |label| [Cell::new("", 4, PLAIN), Cell::new(label, 13, DIM)];
    let shown = if settled && page.explain == Explain::No { SHOWN_SETTLED } else { SHOWN };
    if !settled || page.explain == Explain::Yes {
        let redacted = text::safe(&finding.redacted.to_string()).into_owned();
        page.hang(&line("secret"), &redacted, PLAIN);
        page.hang(&line("fingerprint"), &finding.fingerprint.to_string(), PLAIN);
    }
    for (index, occurrence) in finding.occurrences.iter().take(shown).enumerate() {
        let label = if index == 0 { "    at           " } else { "                 " };
        let path = wording::is_in_checkout(occurrence).then_some(occurrence.path.as_str());
        page.place(label, &wording::place(occurrence), path, &wording::occurrence_remarks(occurrence));
    }
    if finding.occurrences.len() > shown {
        let more = format!("… and {} more", wording::grouped((finding.occurrences.len() - shown) as u64));
        page.hang(&line(""), &more, DIM);
    }
    page.hang(&line("status"), &wording::status(finding), PLAIN);
    if settled && page.explain == Explain::No {
        return;
    }
    let remedy = wording::remedy(finding);
    if !remedy.is_empty() {
        page.hang(&line("fix"), text::safe_lines(&remedy).trim_end_matches('\n'), PLAIN);
    }
    for reference in &finding.references {
        page.reference(&line("see"), reference);
    }
    if page.explain == Explain::Yes {
        for (index, reason) in finding.confidence.reasons.iter().enumerate() {
            let weight = format!("{:+}", reason.weight);
            let label = line(if index == 0 { "why" } else { "" });
            let [indent, label] = label;
            page.hang(&[indent, label, Cell::new(&weight, 5, PLAIN)], &text::safe(&reason.what), PLAIN);
        }
    }
}
