//! The table for people: what was looked at, verdicts, findings, problems, incidents, what was not read, and the
//! decision as the last line. A clean scan is two lines.

mod clauses;
mod findings;
pub(crate) mod page;
mod rest;

pub(crate) use clauses::looked_at;
pub(crate) use rest::sentence;

use std::io;

use custody_contract::{Decision, Report, ReportKind};

use self::page::{BAD, BOLD, CAUTION, Cell, DIM, GOOD, PLAIN, Page};
use crate::{Explain, RenderError, RenderOptions, text, wording};

/// Writes the table.
pub(crate) fn render(report: &Report, options: &RenderOptions, out: &mut dyn io::Write) -> Result<(), RenderError> {
    let mut page = Page::new(options);
    header(&mut page, report);
    clauses::section(&mut page, report);
    findings::section(&mut page, report);
    rest::problems(&mut page, report);
    rest::incidents(&mut page, report);
    rest::coverage(&mut page, report);
    decision(&mut page, report);
    out.write_all(page.into_text().as_bytes())?;
    Ok(())
}

fn header(page: &mut Page, report: &Report) {
    let command = format!("custody {}", report.kind.command());
    let rules = if page.explain == Explain::Yes { wording::rules(report) } else { wording::rule_count(report) };
    let mut facts = vec![wording::looked_at(report), rules];
    facts.retain(|fact| !fact.is_empty());
    let mut subject = text::safe(&report.target).into_owned();
    if !facts.is_empty() {
        subject.push_str(&format!(": {}", facts.join(", ")));
    }
    page.hang(&[Cell::new(&command, 0, BOLD), Cell::new(" ", 1, PLAIN)], &subject, PLAIN);
    let environment = wording::environment(report).map(|e| ("environment", e));
    let contract = wording::contract(report).map(|c| ("contract", c));
    for (label, value) in [environment, contract].into_iter().flatten() {
        page.hang(&[Cell::new("  ", 2, PLAIN), Cell::new(label, 13, DIM)], &value, PLAIN);
    }
}

fn decision(page: &mut Page, report: &Report) {
    let is_short = report.kind != ReportKind::Check && report.findings.is_empty() && report.diagnostics.is_empty();
    if !is_short || report.decision != Decision::MayRelease {
        page.blank();
    }
    if !report.clauses.is_empty() {
        page.hang(&[], &wording::tally(report), PLAIN);
    }
    let style = match report.decision {
        Decision::MayRelease => GOOD,
        Decision::Incomplete => CAUTION,
        Decision::Blocked => BAD,
    };
    page.line(&wording::decision(report), style);
}

#[cfg(test)]
pub(crate) mod tests;
