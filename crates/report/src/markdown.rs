//! A Markdown summary (GitHub-flavoured), for `$GITHUB_STEP_SUMMARY` and comments on a change.
//!
//! The decision comes first, then clauses, findings, problems, incidents and what was not read. It stays below the
//! 1 MiB that GitHub takes of a job summary and says what it left out.
//!
//! # Security
//!
//! A comment is shown to others under the tool's name: text of the report cannot make links, images, HTML, headings or
//! table cells, and mentions nobody.

use std::io;

use custody_contract::{Decision, Diagnostic, Finding, FindingStatus, Report};

use crate::table::sentence;
use crate::wording::{self, Outcome};
use crate::{Explain, RenderError, RenderOptions, text, uri};

/// Bytes that the summary may have; GitHub refuses more than 1,048,576.
const LIMIT: usize = 1_000_000;
/// Characters of a cell, occurrences of a finding, items that were not read.
const CELL: usize = 600;
const PLACES: usize = 5;
const NOT_READ: usize = 20;

/// Writes the summary.
pub(crate) fn render(report: &Report, options: &RenderOptions, out: &mut dyn io::Write) -> Result<(), RenderError> {
    let mut summary = Summary::default();
    head(&mut summary, report);
    clauses(&mut summary, report);
    findings(&mut summary, report, options.explain);
    problems(&mut summary, report);
    incidents(&mut summary, report);
    not_read(&mut summary, report);
    out.write_all(summary.into_text().as_bytes())?;
    Ok(())
}

/// Blocks of Markdown up to the limit.
#[derive(Default)]
struct Summary {
    text: String,
    left_out: u64,
}

impl Summary {
    fn push(&mut self, block: &str) {
        if self.text.len() + block.len() > LIMIT {
            self.left_out += 1;
        } else {
            self.text.push_str(block);
        }
    }

    fn table(&mut self, heading: &str, columns: &[&str], rows: impl Iterator<Item = Vec<String>>) {
        let mut rows = rows.peekable();
        if rows.peek().is_none() {
            return;
        }
        let rule = vec!["---"; columns.len()].join(" | ");
        self.push(&format!("\n### {heading}\n\n| {} |\n| {rule} |\n", columns.join(" | ")));
        for row in rows {
            self.push(&format!("| {} |\n", row.join(" | ")));
        }
    }

    fn into_text(self) -> String {
        let mut text = self.text;
        if self.left_out > 0 {
            let lines = wording::count(self.left_out, "lines");
            text.push_str(&format!(
                "\n**{lines} left out**: a summary is limited to {LIMIT} bytes; the JSON report has all.\n"
            ));
        }
        text
    }
}

fn head(summary: &mut Summary, report: &Report) {
    let symbol = match report.decision {
        Decision::MayRelease => "✅",
        Decision::Incomplete => "❓",
        Decision::Blocked => "❌",
    };
    summary.push(&format!("## {symbol} {}\n\n", prose(&wording::decision(report))));
    let mut facts = vec![wording::looked_at(report), wording::rules(report)];
    facts.retain(|fact| !fact.is_empty());
    let facts = if facts.is_empty() { String::new() } else { format!(": {}", prose(&facts.join(", "))) };
    let command = report.kind.command();
    summary.push(&format!("<code>custody {command}</code> looked at {}{facts}.\n", code(&report.target)));
    let list = [("Environment", wording::environment(report)), ("Contract", wording::contract(report))];
    let mut lines = String::new();
    for (label, value) in list {
        if let Some(value) = value {
            lines.push_str(&format!("- {label}: {}\n", prose(&value)));
        }
    }
    if !report.clauses.is_empty() {
        lines.push_str(&format!("- Clauses: {}\n", wording::tally(report)));
    }
    for account in &report.coverage {
        lines.push_str(&format!("- Looked at {}: {}\n", account.surface, prose(&sentence(account))));
    }
    if !lines.is_empty() {
        summary.push(&format!("\n{lines}"));
    }
}

fn clauses(summary: &mut Summary, report: &Report) {
    let rows = report.clauses.iter().map(|clause| {
        let outcome = Outcome::of(clause, report);
        let symbol = match outcome {
            Outcome::Pass => "✅",
            Outcome::Fail => "❌",
            Outcome::Incomplete => "❓",
            Outcome::Warn => "⚠️",
            Outcome::NotApplicable => "➖",
        };
        let waivers = if clause.waivers.is_empty() {
            String::new()
        } else {
            format!(" (waived by {})", prose(&clause.waivers.join(", ")))
        };
        vec![
            clause.clause.to_string(),
            format!("{symbol} {}", outcome.word()),
            prose(&clause.title),
            format!("{}{waivers}", prose(&clause.summary)),
        ]
    });
    summary.table("Clauses", &["Clause", "Verdict", "What it says", "Why"], rows);
}

fn findings(summary: &mut Summary, report: &Report, explain: Explain) {
    let open_first = |f: &&Finding| f.status != FindingStatus::Open;
    let mut findings: Vec<_> = report.findings.iter().collect();
    findings.sort_by_key(open_first);
    let rows = findings.into_iter().map(|finding| {
        let symbol = match finding.status {
            FindingStatus::Open if finding.blocks(report.block_at) => "❌",
            FindingStatus::Open => "⚠️",
            _ => "➖",
        };
        let mut what = format!("{} {}", prose(&finding.title), code(&finding.rule));
        if let Some(url) = finding.references.iter().find_map(|r| uri::web(r)).filter(|url| url.len() < CELL) {
            what.push_str(&format!(" [about](<{url}>)"));
        }
        what.push_str(&format!("<br>{}", code(&finding.redacted.to_string())));
        let mut confidence = finding.confidence.score.to_string();
        if explain == Explain::Yes {
            for reason in &finding.confidence.reasons {
                confidence.push_str(&format!("<br>{:+} {}", reason.weight, prose(&reason.what)));
            }
        }
        let status = prose(&wording::status(finding));
        let remedy = wording::remedy(finding);
        let status = match (&finding.status, remedy.is_empty()) {
            (FindingStatus::Open, false) => format!("{status}<br>{}", prose(&remedy)),
            _ => status,
        };
        vec![format!("{symbol} {}", finding.severity), what, places(finding), confidence, status]
    });
    summary.table("Findings", &["Severity", "Finding", "Where", "Confidence", "Status and what to do"], rows);
}

fn places(finding: &Finding) -> String {
    let mut places: Vec<_> = finding
        .occurrences
        .iter()
        .take(PLACES)
        .map(|occurrence| {
            let remarks = wording::occurrence_remarks(occurrence);
            let remarks = if remarks.is_empty() { remarks } else { format!(" ({})", prose(&remarks)) };
            format!("{}{remarks}", code(&wording::place(occurrence)))
        })
        .collect();
    if finding.occurrences.len() > PLACES {
        places.push(format!("… and {} more", wording::grouped((finding.occurrences.len() - PLACES) as u64)));
    }
    places.join("<br>")
}

fn problems(summary: &mut Summary, report: &Report) {
    let mut problems: Vec<&Diagnostic> = Vec::new();
    for problem in report.clauses.iter().flat_map(|c| &c.problems).chain(&report.diagnostics) {
        // Looking back at all of them would take quadratic time; the same problem comes from neighbouring clauses.
        if !problems.iter().rev().take(50).any(|known| *known == problem) {
            problems.push(problem);
        }
    }
    let rows = problems.into_iter().map(|problem| {
        let mut what = prose(&problem.what);
        if !problem.why.is_empty() {
            what.push_str(&format!("<br>Why: {}", prose(&problem.why)));
        }
        if !problem.fix.is_empty() {
            what.push_str(&format!("<br>Fix: {}", prose(&problem.fix)));
        }
        let place = problem.place.as_ref().map(|p| code(&p.to_string())).unwrap_or_default();
        vec![format!("{} {}", problem.level, prose(&problem.code)), what, place]
    });
    summary.table("Problems", &["Problem", "What, why, how to fix", "Where"], rows);
}

fn incidents(summary: &mut Summary, report: &Report) {
    let rows = report.incidents.iter().map(|incident| {
        let state = match (incident.open, incident.opened_now) {
            (true, true) => "❌ opened by this run",
            (true, false) => "❌ open",
            (false, _) => "➖ closed",
        };
        let severity = incident.severity.to_string();
        vec![code(&incident.id), severity, state.to_owned(), prose(&incident.title), code(&incident.record)]
    });
    summary.table("Incidents", &["Incident", "Severity", "State", "What", "Record"], rows);
}

fn not_read(summary: &mut Summary, report: &Report) {
    let skipped = wording::skipped(report);
    let rows = skipped.iter().take(NOT_READ).map(|(account, item)| {
        let symbol = if item.reason.is_incomplete() { "❓" } else { "➖" };
        vec![format!("{symbol} {}", code(&item.what)), account.surface.to_string(), prose(&item.reason.to_string())]
    });
    let total = wording::skipped_total(report);
    summary.table(&format!("Not read ({})", wording::grouped(total)), &["What", "Surface", "Why"], rows);
    let more = total.saturating_sub(skipped.len().min(NOT_READ) as u64);
    if more > 0 {
        summary.push(&format!("\n… and {} more.\n", wording::grouped(more)));
    }
}

/// Text that reads as it is, in a cell or a line.
fn prose(text: &str) -> String {
    let text = text::safe_limited(text, CELL);
    let mut escaped = String::with_capacity(text.len() + 16);
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let next = chars.peek().copied();
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '|' => escaped.push_str("&#124;"),
            // As an entity the colon makes no link of an address.
            ':' if next == Some('/') => escaped.push_str("&#58;"),
            '\\' | '`' | '*' | '_' | '[' | ']' | '~' | '$' => escaped.extend(['\\', c]),
            // GitHub looks for mentions and issue numbers in the finished page; a comment between breaks the word.
            '@' | '#' => escaped.extend([c].into_iter().chain("<!-- -->".chars())),
            '.' if escaped.get(escaped.len().saturating_sub(3)..).is_some_and(|w| w.eq_ignore_ascii_case("www")) => {
                escaped.push_str("&#46;");
            }
            c => escaped.push(c),
        }
    }
    escaped
}

/// A name, a path, an id: as [`prose`], in a fixed-width face.
fn code(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!("<code>{}</code>", prose(text)) }
}

#[cfg(test)]
pub(crate) mod tests {
    use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

    use super::*;
    use crate::sample;

    fn shown(report: &Report) -> String {
        let mut out = Vec::new();
        render(report, &RenderOptions::default(), &mut out).expect("renders");
        String::from_utf8(out).expect("UTF-8")
    }

    /// Headings, table rows and cells, after checking that there is no HTML, link or image but the reporter's own.
    pub(crate) fn shape(markdown: &str) -> Vec<String> {
        let mut shape = Vec::new();
        let mut cells = 0;
        for event in Parser::new_ext(markdown, Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH) {
            match event {
                Event::Start(Tag::Heading { level, .. }) => shape.push(level.to_string()),
                Event::End(TagEnd::TableCell) => cells += 1,
                Event::End(TagEnd::TableRow | TagEnd::TableHead) => {
                    shape.push(format!("row of {cells}"));
                    cells = 0;
                }
                Event::Start(Tag::Item) => shape.push("item".to_owned()),
                Event::InlineHtml(html) => {
                    assert!(["<code>", "</code>", "<br>", "<!-- -->"].contains(&&*html), "{html} in {markdown}");
                }
                Event::Html(html) => panic!("{html} in {markdown}"),
                Event::Code(code) => panic!("{code} in {markdown}"),
                Event::Start(Tag::Link { dest_url, .. }) => assert!(dest_url.starts_with("http"), "{dest_url}"),
                Event::Start(tag @ (Tag::Image { .. } | Tag::CodeBlock(_) | Tag::Emphasis | Tag::Strikethrough)) => {
                    panic!("{tag:?} in {markdown}");
                }
                _ => {}
            }
        }
        shape
    }

    #[test]
    fn a_blocked_check_opens_with_the_decision() {
        insta::assert_snapshot!(shown(&sample::blocked()), @r#"
        ## ❌ Release blocked: CRED-3, ENV-5b, ROT-1 fail; ENV-5c is incomplete.

        <code>custody check</code> looked at <code>.</code>: 2 of 4 files, 542 of 543 objects, 8.5 MB, 211 rules (0123456789abcdef).

        - Environment: prod (from --env)
        - Contract: ficecal with custody.toml, as of base 1a2b3c4d5e6f
        - Clauses: 4 pass, 3 fail, 1 incomplete, 1 warn, 1 not-applicable
        - Looked at working-tree: 2 of 3 files, 3.1 MB; 1 not read; 1 searched as raw bytes only
        - Looked at history: 542 of 543 objects, 5.4 MB; 1 left out, none of which had to be read
        - Looked at screenshots: 0 of 1 file, 0 B; 1 not read

        ### Clauses

        | Clause | Verdict | What it says | Why |
        | --- | --- | --- | --- |
        | CRED-1 | ✅ pass | Runtime requests never embed raw provider secrets | 4 requests hold no secret material |
        | CRED-3 | ❌ fail | Tier-1 ingest: authMode is read-only | 1 of 4 requests asks for more than read-only |
        | ENV-1 | ✅ pass | Required baseline keys | 3 of 3 keys are set in 2 templates |
        | ENV-2 | ⚠️ warn | Optional secret-indirection keys | 1 unknown key, waived (waived by W-7) |
        | ENV-5b | ❌ fail | No secrets in fixtures | 1 finding of severity critical |
        | ENV-5c | ❓ incomplete | No secrets in screenshots | 1 of 1 files could not be read, so none is known to be clean |
        | ENV-5d | ➖ not-applicable | No secrets in logs | the contract names no logs and there are none |
        | ROT-1 | ❌ fail | Rotation windows and ownership are documented | 1 of 2 credentials is overdue |
        | BILL-2 | ✅ pass | authMode defaults to read-only when omitted | 2 requests leave it out and are given it |
        | VAL-1 | ✅ pass | python3 scripts/validate-billing-canonical-handoff.py | 4 fixture packs are valid |

        ### Findings

        | Severity | Finding | Where | Confidence | Status and what to do |
        | --- | --- | --- | --- | --- |
        | ❌ critical | AWS secret access key <code>aws-secret-access-key</code> [about](<https://docs.example.com/keys#rotate>)<br><code>AK\[redacted, 40 bytes\]</code> | <code>fixtures/aws.json:1:5</code> (fixtures)<br><code>old name.env:2:5@<!-- -->cdcdcdcdcdcd</code> (history, base64 in gzip, 2026-01-31, still in main, origin/x and 2 more)<br><code>fixtures/aws.json:3:5</code><br><code>fixtures/aws.json:4:5</code><br><code>fixtures/aws.json:5:5</code><br>… and 7 more | 92 | open<br>Revoke it at the provider, then remove it from every place below. It is still in main, origin/x and 2 more: take it out there, then rewrite the history, for earlier commits keep it. |
        | ⚠️ medium | Password in an assignment <code>generic-password</code><br><code>\[redacted, 40 bytes\]</code> | <code>src/config.ts:14:5</code> | 41 | open<br>Revoke it at the provider, then remove it from every place below. |
        | ➖ high | Slack token <code>slack-token</code> [about](<https://docs.example.com/keys#rotate>)<br><code>AK\[redacted, 40 bytes\]</code> | <code>src/config.ts:14:5</code> | 88 | in the baseline: revoked 2025-11-02 |
        | ➖ critical | GCP service account key <code>gcp-key</code> [about](<https://docs.example.com/keys#rotate>)<br><code>AK\[redacted, 40 bytes\]</code> | <code>src/config.ts:14:5</code> | 95 | waived by W-3 |
        | ➖ high | JSON Web Token <code>jwt</code> [about](<https://docs.example.com/keys#rotate>)<br><code>AK\[redacted, 40 bytes\]</code> | <code>src/config.ts:14:5</code> (allowed: a documented example) | 70 | allowed inline: a documented example |

        ### Problems

        | Problem | What, why, how to fix | Where |
        | --- | --- | --- |
        | error CRED-3 | unsupported auth mode<br>Why: the adapter aws-billing supports read-only and nothing else<br>Fix: set authMode to read-only, or leave it out | <code>billing/aws.json:4:15#<!-- -->/authMode</code> |
        | warning env-drift | unknown key FICECAL\_SECRET\_RESOLVER\_URL<br>Why: the contract does not name it<br>Fix: did you mean FICECAL\_SECRET\_RESOLVER\_ENDPOINT? | <code>.env.example:9:1</code> |
        | error ROT-1 | cred&#58;//aws/production/readonly was last rotated 120 days ago, its window is 90 days<br>Fix: rotate it and enter the day as last-rotation | <code>custody.toml:31:1</code> |
        | warning baseline-stale | 2 entries of the baseline match nothing any more<br>Fix: remove them: custody baseline prune | <code>.custody/baseline</code> |

        ### Incidents

        | Incident | Severity | State | What | Record |
        | --- | --- | --- | --- | --- |
        | <code>INC-2026-0001</code> | critical | ❌ opened by this run | AWS secret access key in fixtures/aws.json | <code>.custody/incidents/INC-2026-0001.toml</code> |

        ### Not read (3)

        | What | Surface | Why |
        | --- | --- | --- |
        | ❓ <code>data/huge.bin</code> | working-tree | larger than 1000000 bytes |
        | ❓ <code>docs/shot 1.png</code> | screenshots | png content cannot be read yet |
        | ➖ <code>vendor/lib</code> | history | submodule |
        "#);
    }

    #[test]
    fn a_clean_scan_is_short() {
        insta::assert_snapshot!(shown(&sample::clean_scan()), @r#"
        ## ✅ Clean: no findings.

        <code>custody scan</code> looked at <code>.</code>: 3 files, 3.1 MB, 211 rules (0123456789abcdef).

        - Looked at working-tree: 3 files, 3.1 MB
        "#);
    }

    #[test]
    fn markup_and_mentions_are_shown_and_not_acted_on() {
        assert_eq!(
            prose("@team see #1 | <b> `x` *y* [z](http://www.a.b) ~~s~~"),
            "@<!-- -->team see #<!-- -->1 &#124; &lt;b&gt; \\`x\\` \\*y\\* \\[z\\](http&#58;//www&#46;a.b) \\~\\~s\\~\\~"
        );
    }

    #[test]
    fn a_summary_stays_below_the_limit_and_says_what_it_left_out() {
        let mut report = sample::blocked_scan();
        let finding = report.findings[0].clone();
        report.findings = vec![finding; 5_000];
        let shown = shown(&report);
        assert!(shown.len() < 1 << 20, "{}", shown.len());
        assert!(shown.lines().last().is_some_and(|l| l.contains("lines left out")), "{:?}", shown.lines().last());
        assert!(shape(&shown).iter().skip(2).all(|s| s == "row of 5" || s == "h3"));
    }
}
