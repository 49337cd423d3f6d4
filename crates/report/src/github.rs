//! GitHub Actions annotations: workflow commands on standard output, one a line.
//!
//! GitHub shows at most ten annotations of each level for a step, so the most severe come first, no more than ten of a
//! level are written, and the last line is a notice with the decision and how many there are in all. Nothing but
//! commands is written: a line of plain text could itself be taken for a command.
//! Format: <https://docs.github.com/actions/reference/workflow-commands-for-github-actions>.

use std::io;

use custody_contract::{Decision, Diagnostic, Finding, FindingStatus, Level, Occurrence, Place, Report, Severity};

use crate::wording::{self, Outcome};
use crate::{Explain, RenderError, RenderOptions, text};

/// GitHub shows so many of a level; one notice is the summary's.
const PER_LEVEL: usize = 10;
/// Characters of a title and of a message; GitHub cuts longer ones.
const TITLE: usize = 200;
const MESSAGE: usize = 3_000;

/// Writes the annotations and the summary.
pub(crate) fn render(report: &Report, options: &RenderOptions, out: &mut dyn io::Write) -> Result<(), RenderError> {
    let annotations = annotations(report, options);
    let mut lines = String::new();
    let mut left_out = 0;
    for level in [Level::Error, Level::Warning, Level::Note] {
        let mut of_level: Vec<_> = annotations.iter().filter(|a| a.level == level).collect();
        of_level.sort_by_key(|a| std::cmp::Reverse(a.severity));
        let shown = if level == Level::Note { PER_LEVEL - 1 } else { PER_LEVEL };
        left_out += of_level.len().saturating_sub(shown);
        of_level.iter().take(shown).for_each(|a| a.write(&mut lines));
    }
    summary(report, &annotations, left_out).write(&mut lines);
    out.write_all(lines.as_bytes())?;
    Ok(())
}

/// One workflow command.
struct Annotation {
    level: Level,
    /// Orders annotations of one level; problems that have none stand between high and medium findings.
    severity: Option<Severity>,
    at: Option<Position>,
    title: String,
    message: String,
}

struct Position {
    file: String,
    line: u32,
    column: u32,
    end_column: u32,
}

impl Annotation {
    fn write(&self, lines: &mut String) {
        lines.push_str(match self.level {
            Level::Error => "::error ",
            Level::Warning => "::warning ",
            Level::Note => "::notice ",
        });
        if let Some(at) = &self.at {
            lines.push_str(&format!("file={},", property(&at.file)));
            for (name, value) in [("line", at.line), ("col", at.column), ("endColumn", at.end_column)] {
                if value > 0 {
                    lines.push_str(&format!("{name}={value},"));
                }
            }
        }
        lines.push_str(&format!(
            "title={}::{}\n",
            property(&text::safe_limited(&self.title, TITLE)),
            data(&self.message)
        ));
    }
}

fn annotations(report: &Report, options: &RenderOptions) -> Vec<Annotation> {
    let open = report.findings.iter().filter(|f| f.status == FindingStatus::Open);
    let mut annotations: Vec<_> = open.map(|f| of_finding(f, report, options)).collect();
    for clause in &report.clauses {
        let id = clause.clause.as_str();
        let outcome = Outcome::of(clause, report);
        annotations.extend(clause.problems.iter().map(|p| of_problem(p, Some(id))));
        let level = match outcome {
            Outcome::Fail | Outcome::Incomplete if clause.blocking => Level::Error,
            Outcome::Fail | Outcome::Incomplete | Outcome::Warn => Level::Warning,
            Outcome::Pass | Outcome::NotApplicable => continue,
        };
        if clause.problems.is_empty() && clause.findings.is_empty() {
            annotations.push(Annotation {
                level,
                severity: Some(Severity::High),
                at: None,
                title: format!("{id} {}: {}", outcome.word(), clause.title),
                message: clause.summary.clone(),
            });
        }
    }
    annotations.extend(report.diagnostics.iter().map(|d| of_problem(d, None)));
    annotations.extend(report.coverage.iter().filter(|c| c.is_incomplete()).map(|account| {
        let items = account.skipped.iter().filter(|s| s.reason.is_incomplete()).take(10);
        let listed: Vec<_> = items.map(|s| format!("{}: {}", s.what, s.reason)).collect();
        // Where only clauses that do not block look, the release may go on.
        let level = if report.decision == Decision::MayRelease { Level::Warning } else { Level::Error };
        Annotation {
            level,
            severity: Some(Severity::High),
            at: None,
            title: format!(
                "not read: {} of {}",
                account.incomplete_total,
                wording::count(account.expected, &account.unit)
            ),
            message: format!(
                "In {}, what was not read cannot be called clean.\n{}",
                account.surface,
                listed.join("\n")
            ),
        }
    }));
    annotations
}

fn of_finding(finding: &Finding, report: &Report, options: &RenderOptions) -> Annotation {
    let shown = finding.occurrences.iter().find(|o| wording::is_in_checkout(o)).or(finding.occurrences.first());
    let mut message =
        format!("{}, confidence {}, in {}", finding.redacted, finding.confidence.score, amount_of_places(finding));
    if let Some(first) = shown {
        message.push_str(&format!(", here {}", wording::place(first)));
    }
    message.push('.');
    let remedy = wording::remedy(finding);
    if !remedy.is_empty() {
        message.push_str(&format!("\n{remedy}"));
    }
    if options.explain == Explain::Yes {
        for reason in &finding.confidence.reasons {
            message.push_str(&format!("\n{:+} {}", reason.weight, reason.what));
        }
    }
    message.push_str(&format!("\nfingerprint {}", finding.fingerprint));
    let level = match finding.severity {
        _ if finding.blocks(report.block_at) => Level::Error,
        Severity::Low => Level::Note,
        _ => Level::Warning,
    };
    Annotation {
        level,
        severity: Some(finding.severity),
        at: shown.and_then(position),
        title: format!("{}: {} [{}]", finding.severity, finding.title, finding.rule),
        message,
    }
}

fn amount_of_places(finding: &Finding) -> String {
    wording::amount(finding.occurrences.len(), "places")
}

/// Where in the checkout an occurrence stands; a line of an old commit is no line of today's file.
fn position(occurrence: &Occurrence) -> Option<Position> {
    let spans_lines = occurrence.end_column <= occurrence.column;
    wording::is_in_checkout(occurrence).then(|| Position {
        file: file(&occurrence.path),
        line: occurrence.line,
        column: occurrence.column,
        end_column: if spans_lines { 0 } else { occurrence.end_column },
    })
}

fn of_problem(problem: &Diagnostic, clause: Option<&str>) -> Annotation {
    let code = match clause {
        Some(clause) if clause != problem.code => format!("{clause} {}", problem.code),
        _ => problem.code.clone(),
    };
    // The title says what; the message must not be empty, so it says so too where there is nothing to add.
    let pointer = problem.place.as_ref().and_then(|p| p.pointer.as_ref());
    let mut message: Vec<_> = pointer.map(|pointer| format!("at {pointer}")).into_iter().collect();
    for (label, body) in [("why", &problem.why), ("fix", &problem.fix)] {
        if !body.is_empty() {
            message.push(format!("{label}: {body}"));
        }
    }
    if message.is_empty() || problem.what.chars().count() > TITLE / 2 {
        message.insert(0, problem.what.clone());
    }
    let at = |place: &Place| {
        let column = if place.line > 0 { place.column } else { 0 };
        Position { file: file(&place.file), line: place.line, column, end_column: 0 }
    };
    Annotation {
        level: problem.level,
        severity: Some(if problem.level == Level::Error { Severity::High } else { Severity::Medium }),
        at: problem.place.as_ref().filter(|p| p.file != "-").map(at),
        title: format!("{code}: {}", problem.what),
        message: message.join("\n"),
    }
}

fn summary(report: &Report, annotations: &[Annotation], left_out: usize) -> Annotation {
    let mut message = wording::decision(report);
    if !report.clauses.is_empty() {
        message.push_str(&format!(" {}.", wording::tally(report)));
    }
    let count = |level| annotations.iter().filter(|a| a.level == level).count();
    message.push_str(&format!(
        " {}, {}, {}",
        wording::amount(count(Level::Error), "errors"),
        wording::amount(count(Level::Warning), "warnings"),
        wording::amount(count(Level::Note), "notices")
    ));
    if left_out > 0 {
        message.push_str(&format!(", {left_out} of which are not shown here"));
    }
    message.push('.');
    let word = match report.decision {
        Decision::MayRelease => "may release",
        Decision::Incomplete => "incomplete",
        Decision::Blocked => "blocked",
    };
    let title = format!("custody {}: {word}", report.kind.command());
    Annotation { level: Level::Note, severity: None, at: None, title, message }
}

fn file(path: &str) -> String {
    path.strip_prefix("./").unwrap_or(path).to_owned()
}

/// A command's data: line ends and `%` as GitHub reads them back, everything else that could be acted on escaped.
fn data(message: &str) -> String {
    let (message, cut) = match message.char_indices().nth(MESSAGE) {
        Some((end, _)) => (&message[..end], "…"),
        None => (message, ""),
    };
    let safe = text::safe_lines(message);
    format!("{}{cut}", safe.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A"))
}

/// A command's property: as data, on one line, without the characters that end a property.
fn property(value: &str) -> String {
    text::safe(value).replace('%', "%25").replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    fn shown(report: &Report) -> String {
        let mut out = Vec::new();
        render(report, &RenderOptions::default(), &mut out).expect("renders");
        String::from_utf8(out).expect("UTF-8")
    }

    #[test]
    fn a_blocked_check_annotates_the_most_severe_first() {
        insta::assert_snapshot!(shown(&sample::blocked()), @r#"
        ::error file=fixtures/aws.json,line=1,col=5,endColumn=45,title=critical%3A AWS secret access key [aws-secret-access-key]::AK[redacted, 40 bytes], confidence 92, in 12 places, here fixtures/aws.json:1:5.%0ARevoke it at the provider, then remove it from every place below. It is still in main, origin/x and 2 more: take it out there, then rewrite the history, for earlier commits keep it.%0Afingerprint fc57b9e8d1fbe83445143e06bddb89f7
        ::error file=billing/aws.json,line=4,col=15,title=CRED-3%3A unsupported auth mode::at /authMode%0Awhy: the adapter aws-billing supports read-only and nothing else%0Afix: set authMode to read-only, or leave it out
        ::error title=ENV-5c incomplete%3A No secrets in screenshots::1 of 1 files could not be read, so none is known to be clean
        ::error file=custody.toml,line=31,col=1,title=ROT-1%3A cred%3A//aws/production/readonly was last rotated 120 days ago%2C its window is 90 days::fix: rotate it and enter the day as last-rotation
        ::error title=not read%3A 1 of 3 files::In working-tree, what was not read cannot be called clean.%0Adata/huge.bin: larger than 1000000 bytes
        ::error title=not read%3A 1 of 1 file::In screenshots, what was not read cannot be called clean.%0Adocs/shot 1.png: png content cannot be read yet
        ::warning file=src/config.ts,line=14,col=5,endColumn=45,title=medium%3A Password in an assignment [generic-password]::[redacted, 40 bytes], confidence 41, in 1 place, here src/config.ts:14:5.%0ARevoke it at the provider, then remove it from every place below.%0Afingerprint 4b333d2df87bbd4a8f443e41abfe0b0c
        ::warning file=.env.example,line=9,col=1,title=ENV-2 env-drift%3A unknown key FICECAL_SECRET_RESOLVER_URL::why: the contract does not name it%0Afix: did you mean FICECAL_SECRET_RESOLVER_ENDPOINT?
        ::warning file=.custody/baseline,title=baseline-stale%3A 2 entries of the baseline match nothing any more::fix: remove them: custody baseline prune
        ::notice title=custody check%3A blocked::Release blocked: CRED-3, ENV-5b, ROT-1 fail; ENV-5c is incomplete. 4 pass, 3 fail, 1 incomplete, 1 warn, 1 not-applicable. 6 errors, 3 warnings, 0 notices.
        "#);
    }

    #[test]
    fn a_clean_scan_is_one_notice() {
        insta::assert_snapshot!(shown(&sample::clean_scan()), @r#"
        ::notice title=custody scan%3A may release::Clean: no findings. 0 errors, 0 warnings, 0 notices.
        "#);
    }

    #[test]
    fn properties_and_data_are_escaped_as_github_reads_them() {
        assert_eq!(property("a:b,c%\r\nd"), "a%3Ab%2Cc%25\\r\\nd");
        assert_eq!(data("100%\nnext: a,b"), "100%25%0Anext: a,b");
    }

    #[test]
    fn no_more_than_ten_of_a_level_are_written_and_the_rest_is_counted() {
        let mut report = sample::blocked_scan();
        let mut mild = report.findings[1].clone();
        mild.severity = Severity::Medium;
        report.findings = vec![report.findings[0].clone(); 14];
        report.findings.extend(vec![mild; 12]);
        let shown = shown(&report);
        assert_eq!(shown.lines().filter(|l| l.starts_with("::error ")).count(), 10);
        assert_eq!(shown.lines().filter(|l| l.starts_with("::warning ")).count(), 10);
        let last = shown.lines().last().expect("has lines");
        assert!(
            last.starts_with("::notice ") && last.contains("14 errors, 12 warnings, 0 notices, 6 of which"),
            "{last}"
        );
    }
}
