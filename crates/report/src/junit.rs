//! JUnit XML: clauses, findings, problems and accounts as test cases.
//!
//! A clause is a test case in the suite of its group: `fail` is a failure, what could not be looked at an error, `warn`
//! passes with its text as output, `not-applicable` is skipped. Commands without clauses have a case for each finding
//! and each problem. Every account of what was read is a case too, an error where something was not read, so that a
//! run is never green because there was nothing to see.

use std::io;
use std::time::Duration;

use custody_contract::{ClauseVerdict, Coverage, Decision, Diagnostic, Finding, FindingStatus, Level, Report};
use quick_junit::{NonSuccessKind, TestCase, TestCaseStatus, TestSuite};

use crate::table::sentence;
use crate::wording::{self, Outcome};
use crate::{RenderError, text};

/// Occurrences listed of a finding; JSON and SARIF have them all.
const OCCURRENCES: usize = 100;

/// Writes the XML.
pub(crate) fn render(report: &Report, out: &mut dyn io::Write) -> Result<(), RenderError> {
    let mut junit = quick_junit::Report::new(format!("custody {}", report.kind.command()));
    // The type of the field has a parser; naming it would need the crate that it comes from.
    junit.timestamp = report.started.to_string().parse().ok();
    junit.set_time(Duration::from_millis(report.duration_ms));
    for (group, clauses) in wording::groups(report) {
        let suite = format!("custody.{group}");
        add(&mut junit, &suite, report, clauses.into_iter().map(|clause| of_clause(clause, report)));
    }
    if report.clauses.is_empty() {
        add(&mut junit, "custody.findings", report, report.findings.iter().map(|f| of_finding(f, report)));
    }
    add(&mut junit, "custody.problems", report, report.diagnostics.iter().map(of_problem));
    add(&mut junit, "custody.coverage", report, report.coverage.iter().map(|c| of_account(c, report)));
    if junit.test_suites.is_empty() {
        let decision = TestCase::new(wording::decision(report), TestCaseStatus::success());
        add(&mut junit, "custody.decision", report, std::iter::once(decision));
    }
    let mut xml = junit.to_string().map_err(RenderError::Junit)?;
    if !xml.ends_with('\n') {
        xml.push('\n');
    }
    out.write_all(xml.as_bytes())?;
    Ok(())
}

fn add(junit: &mut quick_junit::Report, name: &str, report: &Report, cases: impl Iterator<Item = TestCase>) {
    let mut suite = TestSuite::new(attribute(name));
    suite.timestamp = report.started.to_string().parse().ok();
    for mut case in cases {
        case.set_classname(attribute(name));
        suite.add_test_case(case);
    }
    if suite.tests > 0 {
        properties(&mut suite, report);
        junit.add_test_suite(suite);
    }
}

fn properties(suite: &mut TestSuite, report: &Report) {
    let facts = [
        ("tool", Some(format!("{} {}", report.tool.name, report.tool.version))),
        ("target", Some(report.target.clone())),
        ("decision", Some(wording::decision(report))),
        ("looked-at", Some(wording::looked_at(report)).filter(|l| !l.is_empty())),
        ("rules", Some(wording::rules(report)).filter(|r| !r.is_empty())),
        ("environment", wording::environment(report)),
        ("contract", wording::contract(report)),
    ];
    for (name, value) in facts {
        if let Some(value) = value {
            suite.add_property((name, attribute(&value).as_str()));
        }
    }
}

fn of_clause(clause: &ClauseVerdict, report: &Report) -> TestCase {
    let outcome = Outcome::of(clause, report);
    let name = attribute(&format!("{} {}", clause.clause, clause.title));
    let mut body = format!("{}\n", clause.summary);
    for evidence in &clause.evidence {
        body.push_str(&format!("looked at {}\n", crate::table::looked_at(evidence)));
    }
    for waiver in &clause.waivers {
        body.push_str(&format!("waived by {waiver}\n"));
    }
    for problem in &clause.problems {
        body.push_str(&format!("\n{}", problem_text(problem)));
    }
    for finding in report.findings.iter().filter(|f| clause.findings.contains(&f.fingerprint)) {
        body.push_str(&format!("\n{}", finding_text(finding)));
    }
    match outcome {
        Outcome::Fail if clause.blocking => failed(&name, NonSuccessKind::Failure, "fail", &clause.summary, &body),
        Outcome::Incomplete if clause.blocking => {
            failed(&name, NonSuccessKind::Error, "incomplete", &clause.summary, &body)
        }
        Outcome::NotApplicable => skipped(&name, &clause.summary),
        Outcome::Pass | Outcome::Warn | Outcome::Fail | Outcome::Incomplete => {
            passed(&name, &format!("{}: {body}", outcome.word()))
        }
    }
}

fn of_finding(finding: &Finding, report: &Report) -> TestCase {
    let place = finding.occurrences.first().map(|o| format!(" at {o}")).unwrap_or_default();
    let name = attribute(&format!("{}{place} ({})", finding.rule, finding.fingerprint));
    let message = format!("{}: {} {}", finding.severity, finding.title, finding.redacted);
    if finding.blocks(report.block_at) {
        failed(&name, NonSuccessKind::Failure, finding.severity.as_str(), &message, &finding_text(finding))
    } else if finding.status == FindingStatus::Open {
        passed(&name, &finding_text(finding))
    } else {
        skipped(&name, &wording::status(finding))
    }
}

fn of_problem(problem: &Diagnostic) -> TestCase {
    let place = problem.place.as_ref().map(|p| format!(" at {p}")).unwrap_or_default();
    let name = attribute(&format!("{}{place}: {}", problem.code, problem.what));
    match problem.level {
        Level::Error => failed(&name, NonSuccessKind::Failure, &problem.code, &problem.what, &problem_text(problem)),
        Level::Warning | Level::Note => passed(&name, &problem_text(problem)),
    }
}

/// Not read is an error, but where only clauses that do not block look, the release may go on.
fn of_account(account: &Coverage, report: &Report) -> TestCase {
    let name = attribute(&format!("{}: {} read", account.surface, account.unit));
    let mut body = format!("{}\n", sentence(account));
    for item in &account.skipped {
        body.push_str(&format!("not read: {}: {}\n", text::safe(&item.what), text::safe(&item.reason.to_string())));
    }
    let listed = account.skipped.len() as u64;
    if account.skipped_total > listed {
        body.push_str(&format!("… and {} more\n", account.skipped_total - listed));
    }
    if account.is_incomplete() && report.decision != Decision::MayRelease {
        failed(&name, NonSuccessKind::Error, "incomplete", &sentence(account), &body)
    } else {
        passed(&name, &body)
    }
}

fn failed(name: &str, kind: NonSuccessKind, ty: &str, message: &str, body: &str) -> TestCase {
    let mut status = TestCaseStatus::non_success(kind);
    status.set_message(attribute(message)).set_type(attribute(ty)).set_description(content(body));
    TestCase::new(name, status)
}

fn passed(name: &str, output: &str) -> TestCase {
    let mut case = TestCase::new(name, TestCaseStatus::success());
    case.set_system_out(content(output));
    case
}

fn skipped(name: &str, message: &str) -> TestCase {
    let mut status = TestCaseStatus::skipped();
    status.set_message(attribute(message));
    TestCase::new(name, status)
}

fn problem_text(problem: &Diagnostic) -> String {
    let mut body = format!("{}[{}]: {}\n", problem.level, problem.code, problem.what);
    if let Some(place) = &problem.place {
        body.push_str(&format!("  --> {place}\n"));
    }
    for (label, text) in [("why", &problem.why), ("fix", &problem.fix)] {
        if !text.is_empty() {
            body.push_str(&format!("  {label}: {text}\n"));
        }
    }
    body
}

fn finding_text(finding: &Finding) -> String {
    let mut body = format!(
        "{} {} [{}] {}\nconfidence {}, fingerprint {}, {}\n",
        finding.severity,
        finding.title,
        finding.rule,
        finding.redacted,
        finding.confidence.score,
        finding.fingerprint,
        wording::status(finding)
    );
    for reason in &finding.confidence.reasons {
        body.push_str(&format!("  {:+} {}\n", reason.weight, reason.what));
    }
    for occurrence in finding.occurrences.iter().take(OCCURRENCES) {
        let remarks = wording::occurrence_remarks(occurrence);
        let remarks = if remarks.is_empty() { remarks } else { format!(" ({remarks})") };
        body.push_str(&format!("  at {}{remarks}\n", wording::place(occurrence)));
    }
    if finding.occurrences.len() > OCCURRENCES {
        body.push_str(&format!("  … and {} more\n", finding.occurrences.len() - OCCURRENCES));
    }
    let remedy = wording::remedy(finding);
    if !remedy.is_empty() {
        body.push_str(&format!("  fix: {remedy}\n"));
    }
    body
}

/// For attributes, which a parser reads as one line.
fn attribute(text: &str) -> String {
    text::safe(text).into_owned()
}

/// For text between tags. What XML 1.0 has no way to write is escaped before the writer would drop it.
fn content(text: &str) -> String {
    text::safe_lines(text).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    fn shown(report: &Report) -> String {
        let mut out = Vec::new();
        render(report, &mut out).expect("renders");
        String::from_utf8(out).expect("UTF-8")
    }

    #[test]
    #[expect(clippy::too_many_lines, reason = "a snapshot is as long as what it shows")]
    fn a_blocked_check_has_a_case_for_each_clause_in_the_suite_of_its_group() {
        insta::assert_snapshot!(shown(&sample::blocked()), @r#"
        <?xml version="1.0" encoding="UTF-8"?>
        <testsuites name="custody check" tests="14" skipped="1" failures="3" errors="3" timestamp="2026-03-01T12:00:00.000+00:00" time="0.187">
            <testsuite name="custody.CRED" tests="2" skipped="0" errors="0" failures="1" timestamp="2026-03-01T12:00:00.000+00:00">
                <properties>
                    <property name="tool" value="custody 0.1.0"/>
                    <property name="target" value="."/>
                    <property name="decision" value="Release blocked: CRED-3, ENV-5b, ROT-1 fail; ENV-5c is incomplete."/>
                    <property name="looked-at" value="2 of 4 files, 542 of 543 objects, 8.5 MB"/>
                    <property name="rules" value="211 rules (0123456789abcdef)"/>
                    <property name="environment" value="prod (from --env)"/>
                    <property name="contract" value="ficecal with custody.toml, as of base 1a2b3c4d5e6f"/>
                </properties>
                <testcase name="CRED-1 Runtime requests never embed raw provider secrets" classname="custody.CRED">
                    <system-out>pass: 4 requests hold no secret material
        looked at the repository: 4 files, with 211 rules
        </system-out>
                </testcase>
                <testcase name="CRED-3 Tier-1 ingest: authMode is read-only" classname="custody.CRED">
                    <failure message="1 of 4 requests asks for more than read-only" type="fail">1 of 4 requests asks for more than read-only
        looked at the repository: 4 files, with 211 rules

        error[CRED-3]: unsupported auth mode
          --&gt; billing/aws.json:4:15#/authMode
          why: the adapter aws-billing supports read-only and nothing else
          fix: set authMode to read-only, or leave it out
        </failure>
                </testcase>
            </testsuite>
            <testsuite name="custody.ENV" tests="5" skipped="1" errors="1" failures="1" timestamp="2026-03-01T12:00:00.000+00:00">
                <properties>
                    <property name="tool" value="custody 0.1.0"/>
                    <property name="target" value="."/>
                    <property name="decision" value="Release blocked: CRED-3, ENV-5b, ROT-1 fail; ENV-5c is incomplete."/>
                    <property name="looked-at" value="2 of 4 files, 542 of 543 objects, 8.5 MB"/>
                    <property name="rules" value="211 rules (0123456789abcdef)"/>
                    <property name="environment" value="prod (from --env)"/>
                    <property name="contract" value="ficecal with custody.toml, as of base 1a2b3c4d5e6f"/>
                </properties>
                <testcase name="ENV-1 Required baseline keys" classname="custody.ENV">
                    <system-out>pass: 3 of 3 keys are set in 2 templates
        looked at the repository: 4 files, with 211 rules
        </system-out>
                </testcase>
                <testcase name="ENV-2 Optional secret-indirection keys" classname="custody.ENV">
                    <system-out>warn: 1 unknown key, waived
        looked at the repository: 4 files, with 211 rules
        waived by W-7

        warning[env-drift]: unknown key FICECAL_SECRET_RESOLVER_URL
          --&gt; .env.example:9:1
          why: the contract does not name it
          fix: did you mean FICECAL_SECRET_RESOLVER_ENDPOINT?
        </system-out>
                </testcase>
                <testcase name="ENV-5b No secrets in fixtures" classname="custody.ENV">
                    <failure message="1 finding of severity critical" type="fail">1 finding of severity critical
        looked at the repository: 4 files, with 211 rules

        critical AWS secret access key [aws-secret-access-key] AK[redacted, 40 bytes]
        confidence 92, fingerprint fc57b9e8d1fbe83445143e06bddb89f7, open
          +50 matches the format
          -8 stands in a test
          at fixtures/aws.json:1:5 (fixtures)
          at old name.env:2:5@cdcdcdcdcdcd (history, base64 in gzip, 2026-01-31, still in main, origin/x and 2 more)
          at fixtures/aws.json:3:5
          at fixtures/aws.json:4:5
          at fixtures/aws.json:5:5
          at fixtures/aws.json:6:5
          at fixtures/aws.json:7:5
          at fixtures/aws.json:8:5
          at fixtures/aws.json:9:5
          at fixtures/aws.json:10:5
          at fixtures/aws.json:11:5
          at fixtures/aws.json:12:5
          fix: Revoke it at the provider, then remove it from every place below. It is still in main, origin/x and 2 more: take it out there, then rewrite the history, for earlier commits keep it.
        </failure>
                </testcase>
                <testcase name="ENV-5c No secrets in screenshots" classname="custody.ENV">
                    <error message="1 of 1 files could not be read, so none is known to be clean" type="incomplete">1 of 1 files could not be read, so none is known to be clean
        looked at the repository: 4 files, with 211 rules
        </error>
                </testcase>
                <testcase name="ENV-5d No secrets in logs" classname="custody.ENV">
                    <skipped message="the contract names no logs and there are none"/>
                </testcase>
            </testsuite>
            <testsuite name="custody.ROT" tests="1" skipped="0" errors="0" failures="1" timestamp="2026-03-01T12:00:00.000+00:00">
                <properties>
                    <property name="tool" value="custody 0.1.0"/>
                    <property name="target" value="."/>
                    <property name="decision" value="Release blocked: CRED-3, ENV-5b, ROT-1 fail; ENV-5c is incomplete."/>
                    <property name="looked-at" value="2 of 4 files, 542 of 543 objects, 8.5 MB"/>
                    <property name="rules" value="211 rules (0123456789abcdef)"/>
                    <property name="environment" value="prod (from --env)"/>
                    <property name="contract" value="ficecal with custody.toml, as of base 1a2b3c4d5e6f"/>
                </properties>
                <testcase name="ROT-1 Rotation windows and ownership are documented" classname="custody.ROT">
                    <failure message="1 of 2 credentials is overdue" type="fail">1 of 2 credentials is overdue
        looked at the repository: 4 files, with 211 rules

        error[ROT-1]: cred://aws/production/readonly was last rotated 120 days ago, its window is 90 days
          --&gt; custody.toml:31:1
          fix: rotate it and enter the day as last-rotation
        </failure>
                </testcase>
            </testsuite>
            <testsuite name="custody.BILL" tests="1" skipped="0" errors="0" failures="0" timestamp="2026-03-01T12:00:00.000+00:00">
                <properties>
                    <property name="tool" value="custody 0.1.0"/>
                    <property name="target" value="."/>
                    <property name="decision" value="Release blocked: CRED-3, ENV-5b, ROT-1 fail; ENV-5c is incomplete."/>
                    <property name="looked-at" value="2 of 4 files, 542 of 543 objects, 8.5 MB"/>
                    <property name="rules" value="211 rules (0123456789abcdef)"/>
                    <property name="environment" value="prod (from --env)"/>
                    <property name="contract" value="ficecal with custody.toml, as of base 1a2b3c4d5e6f"/>
                </properties>
                <testcase name="BILL-2 authMode defaults to read-only when omitted" classname="custody.BILL">
                    <system-out>pass: 2 requests leave it out and are given it
        looked at the repository: 4 files, with 211 rules
        </system-out>
                </testcase>
            </testsuite>
            <testsuite name="custody.VAL" tests="1" skipped="0" errors="0" failures="0" timestamp="2026-03-01T12:00:00.000+00:00">
                <properties>
                    <property name="tool" value="custody 0.1.0"/>
                    <property name="target" value="."/>
                    <property name="decision" value="Release blocked: CRED-3, ENV-5b, ROT-1 fail; ENV-5c is incomplete."/>
                    <property name="looked-at" value="2 of 4 files, 542 of 543 objects, 8.5 MB"/>
                    <property name="rules" value="211 rules (0123456789abcdef)"/>
                    <property name="environment" value="prod (from --env)"/>
                    <property name="contract" value="ficecal with custody.toml, as of base 1a2b3c4d5e6f"/>
                </properties>
                <testcase name="VAL-1 python3 scripts/validate-billing-canonical-handoff.py" classname="custody.VAL">
                    <system-out>pass: 4 fixture packs are valid
        looked at the repository: 4 files, with 211 rules
        </system-out>
                </testcase>
            </testsuite>
            <testsuite name="custody.problems" tests="1" skipped="0" errors="0" failures="0" timestamp="2026-03-01T12:00:00.000+00:00">
                <properties>
                    <property name="tool" value="custody 0.1.0"/>
                    <property name="target" value="."/>
                    <property name="decision" value="Release blocked: CRED-3, ENV-5b, ROT-1 fail; ENV-5c is incomplete."/>
                    <property name="looked-at" value="2 of 4 files, 542 of 543 objects, 8.5 MB"/>
                    <property name="rules" value="211 rules (0123456789abcdef)"/>
                    <property name="environment" value="prod (from --env)"/>
                    <property name="contract" value="ficecal with custody.toml, as of base 1a2b3c4d5e6f"/>
                </properties>
                <testcase name="baseline-stale at .custody/baseline: 2 entries of the baseline match nothing any more" classname="custody.problems">
                    <system-out>warning[baseline-stale]: 2 entries of the baseline match nothing any more
          --&gt; .custody/baseline
          fix: remove them: custody baseline prune
        </system-out>
                </testcase>
            </testsuite>
            <testsuite name="custody.coverage" tests="3" skipped="0" errors="2" failures="0" timestamp="2026-03-01T12:00:00.000+00:00">
                <properties>
                    <property name="tool" value="custody 0.1.0"/>
                    <property name="target" value="."/>
                    <property name="decision" value="Release blocked: CRED-3, ENV-5b, ROT-1 fail; ENV-5c is incomplete."/>
                    <property name="looked-at" value="2 of 4 files, 542 of 543 objects, 8.5 MB"/>
                    <property name="rules" value="211 rules (0123456789abcdef)"/>
                    <property name="environment" value="prod (from --env)"/>
                    <property name="contract" value="ficecal with custody.toml, as of base 1a2b3c4d5e6f"/>
                </properties>
                <testcase name="working-tree: files read" classname="custody.coverage">
                    <error message="2 of 3 files, 3.1 MB; 1 not read; 1 searched as raw bytes only" type="incomplete">2 of 3 files, 3.1 MB; 1 not read; 1 searched as raw bytes only
        not read: data/huge.bin: larger than 1000000 bytes
        </error>
                </testcase>
                <testcase name="history: objects read" classname="custody.coverage">
                    <system-out>542 of 543 objects, 5.4 MB; 1 left out, none of which had to be read
        not read: vendor/lib: submodule
        </system-out>
                </testcase>
                <testcase name="screenshots: files read" classname="custody.coverage">
                    <error message="0 of 1 file, 0 B; 1 not read" type="incomplete">0 of 1 file, 0 B; 1 not read
        not read: docs/shot 1.png: png content cannot be read yet
        </error>
                </testcase>
            </testsuite>
        </testsuites>
        "#);
    }

    #[test]
    fn a_scan_has_a_case_for_each_finding() {
        let xml = shown(&sample::blocked_scan());
        let xml = roxmltree::Document::parse(&xml).expect("is XML");
        let suite = |name| xml.descendants().find(|n| n.attribute("name") == Some(name)).expect("is there");
        let findings = suite("custody.findings");
        assert_eq!(findings.attribute("tests"), Some("5"));
        assert_eq!(findings.attribute("failures"), Some("1"));
        assert_eq!(findings.descendants().filter(|n| n.has_tag_name("skipped")).count(), 3);
        assert_eq!(suite("custody.coverage").attribute("errors"), Some("0"));
    }

    #[test]
    fn what_was_not_read_is_an_error_and_never_a_pass() {
        let xml = shown(&sample::incomplete_scan());
        let xml = roxmltree::Document::parse(&xml).expect("is XML");
        assert_eq!(xml.root_element().attribute("errors"), Some("1"));
        assert!(xml.descendants().any(|n| n.text().is_some_and(|t| t.contains("data/huge.bin: larger than"))));
    }
}
