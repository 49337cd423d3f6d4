//! One row a clause, in the contract's groups.

use custody_contract::{ClauseVerdict, Report};

use super::page::{BAD, BOLD, CAUTION, Cell, DIM, GOOD, PLAIN, Page};
use crate::wording::{self, Outcome};
use crate::{Explain, text};

/// From this many columns a row has the clause's title beside the summary.
const WIDE: usize = 110;

pub(super) fn section(page: &mut Page, report: &Report) {
    let outcomes = report.clauses.iter().map(|c| Outcome::of(c, report).word().len());
    let id_columns = report.clauses.iter().map(|c| c.clause.as_str().len()).max().unwrap_or(0) + 2;
    let columns = Columns { id: id_columns, word: outcomes.max().unwrap_or(0) + 2 };
    for (group, clauses) in wording::groups(report) {
        page.blank();
        let title = wording::group_title(group);
        let separator = if title.is_empty() { "" } else { "  " };
        page.hang(&[Cell::new(group, 0, BOLD), Cell::new(separator, 0, PLAIN)], title, DIM);
        for clause in clauses {
            row(page, report, clause, &columns);
        }
    }
}

struct Columns {
    id: usize,
    word: usize,
}

fn row(page: &mut Page, report: &Report, clause: &ClauseVerdict, columns: &Columns) {
    let outcome = Outcome::of(clause, report);
    let style = match outcome {
        Outcome::Pass => GOOD,
        Outcome::Fail => BAD,
        Outcome::Incomplete | Outcome::Warn => CAUTION,
        Outcome::NotApplicable => DIM,
    };
    let summary = summary(clause, outcome);
    let margin = || Cell::new("  ", 2, PLAIN);
    let symbol = || Cell::new(outcome.symbol(), 2, style);
    let id = || Cell::new(clause.clause.as_str(), columns.id, BOLD);
    let word = || Cell::new(outcome.word(), columns.word, style);
    let title = text::safe(&clause.title);
    let indent = 4 + columns.id + columns.word;
    let title_columns = (page.columns() * 2 / 5).min(56);
    if page.columns() >= WIDE {
        let short = text::truncated(&title, title_columns - 2);
        page.hang(&[margin(), symbol(), id(), word(), Cell::new(&short, title_columns, PLAIN)], &summary, PLAIN);
    } else if matches!(outcome, Outcome::Pass | Outcome::NotApplicable) {
        page.hang(&[margin(), symbol(), id(), word()], &summary, PLAIN);
    } else {
        // What does not hold is worth the lines that say what it is.
        page.hang(&[margin(), symbol(), id(), word()], &title, BOLD);
        page.hang(&[Cell::new("", indent, PLAIN)], &summary, PLAIN);
    }
    if page.explain == Explain::Yes || !matches!(outcome, Outcome::Pass | Outcome::NotApplicable) {
        for evidence in &clause.evidence {
            page.hang(&[Cell::new("", indent, PLAIN)], &format!("looked at {}", looked_at(evidence)), DIM);
        }
    }
}

/// The summary, with what it cannot know: that not all was read, that waivers apply, that a failure does not block.
fn summary(clause: &ClauseVerdict, outcome: Outcome) -> String {
    let mut summary = text::safe(&clause.summary).into_owned();
    let mut remarks = Vec::new();
    if clause.incomplete && outcome != Outcome::Incomplete {
        remarks.push("not all was read".to_owned());
    }
    if outcome == Outcome::Fail && !clause.blocking {
        remarks.push("does not block".to_owned());
    }
    if !clause.waivers.is_empty() {
        remarks.push(format!("waived by {}", text::safe(&clause.waivers.join(", "))));
    }
    if !remarks.is_empty() {
        summary.push_str(&format!(" ({})", remarks.join("; ")));
    }
    summary
}

/// One piece of evidence as a phrase: `git history: 542 objects, with 211 rules`.
pub(crate) fn looked_at(evidence: &custody_contract::Evidence) -> String {
    let with = evidence.with.as_ref().map(|with| format!(", with {}", text::safe(with))).unwrap_or_default();
    format!("{}: {}{with}", text::safe(&evidence.what), text::safe(&evidence.amount))
}
