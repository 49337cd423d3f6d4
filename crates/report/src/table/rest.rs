//! Problems, incidents and the account of what was read.

use custody_contract::{Coverage, Diagnostic, Report};

use super::page::{BAD, BOLD, CAUTION, Cell, DIM, PLAIN, Page};
use crate::{diagnostic, text, wording};

/// How much of what is listed by name.
const PROBLEMS: usize = 100;
const NOT_READ: usize = 20;

/// What is wrong, clause by clause and outside of them; the same problem once.
pub(super) fn problems(page: &mut Page, report: &Report) {
    let mut problems: Vec<&Diagnostic> = Vec::new();
    let all = report.clauses.iter().flat_map(|c| &c.problems).chain(&report.diagnostics);
    let mut more = 0_u64;
    for problem in all {
        if problems.len() == PROBLEMS {
            more += 1;
        } else if !problems.contains(&problem) {
            problems.push(problem);
        }
    }
    if problems.is_empty() {
        return;
    }
    page.heading("Problems");
    for problem in problems {
        page.blank();
        diagnostic::block(page, problem);
    }
    if more > 0 {
        page.blank();
        page.hang(&[], &format!("… and {} more", wording::grouped(more)), DIM);
    }
}

pub(super) fn incidents(page: &mut Page, report: &Report) {
    if report.incidents.is_empty() {
        return;
    }
    page.heading("Incidents");
    for incident in &report.incidents {
        let (symbol, style) = if incident.open { ("✘", BAD) } else { ("–", DIM) };
        let state = match (incident.open, incident.opened_now) {
            (true, true) => "opened by this run",
            (true, false) => "open",
            (false, _) => "closed",
        };
        let id = text::safe(&incident.id);
        let head = format!("{}, {state}: {}", incident.severity, text::safe(&incident.title));
        let cells =
            [Cell::new("  ", 2, PLAIN), Cell::new(symbol, 2, style), Cell::new(&id, 0, BOLD), Cell::new(" ", 1, PLAIN)];
        page.hang(&cells, &head, PLAIN);
        page.place("    ", &text::safe(&incident.record), Some(&incident.record), "");
    }
}

/// The accounts, where there is more to say than the header does, and what was not read.
pub(super) fn coverage(page: &mut Page, report: &Report) {
    let skipped_total = wording::skipped_total(report);
    let opaque = report.coverage.iter().any(|c| c.opaque > 0);
    if report.coverage.len() > 1 || skipped_total > 0 || opaque {
        page.heading("Looked at");
        let columns = report.coverage.iter().map(|c| c.surface.as_str().len()).max().unwrap_or(0) + 2;
        for account in &report.coverage {
            let cells = [Cell::new("  ", 2, PLAIN), Cell::new(account.surface.as_str(), columns, PLAIN)];
            page.hang(&cells, &sentence(account), PLAIN);
        }
    }
    let skipped = wording::skipped(report);
    if skipped_total == 0 && skipped.is_empty() {
        return;
    }
    page.heading(&format!("Not read ({})", wording::grouped(skipped_total)));
    for (_, item) in skipped.iter().take(NOT_READ) {
        let (symbol, style) = if item.reason.is_incomplete() { ("?", CAUTION) } else { ("–", DIM) };
        let what = text::safe(&item.what);
        let cells = [Cell::new("  ", 2, PLAIN), Cell::new(symbol, 2, style)];
        page.hang(&cells, &format!("{what}: {}", text::safe(&item.reason.to_string())), PLAIN);
    }
    let more = skipped_total.saturating_sub(skipped.len().min(NOT_READ) as u64);
    if more > 0 {
        page.hang(&[Cell::new("", 4, PLAIN)], &format!("… and {} more", wording::grouped(more)), DIM);
    }
}

/// `118 of 120 files, 3.1 MB; 2 not read, 1 of them should have been; 4 searched as raw bytes`.
pub(crate) fn sentence(account: &Coverage) -> String {
    let unit = text::safe(&account.unit);
    let mut sentence =
        format!("{}, {}", wording::share(account.read, account.expected, &unit), wording::bytes(account.bytes));
    match (account.skipped_total, account.incomplete_total) {
        (0, _) => {}
        (n, 0) => sentence.push_str(&format!("; {} left out, none of which had to be read", wording::grouped(n))),
        (n, k) if n == k => sentence.push_str(&format!("; {} not read", wording::grouped(n))),
        (n, k) => sentence.push_str(&format!(
            "; {} not read, {} of which had to be",
            wording::grouped(n),
            wording::grouped(k)
        )),
    }
    if account.opaque > 0 {
        sentence.push_str(&format!("; {} searched as raw bytes only", wording::grouped(account.opaque)));
    }
    sentence
}
