//! `custody audit verify`.

use std::fmt::Write as _;
use std::process::ExitCode;

use custody_audit::verify::{Pinned, Trust, Verdict, VerifyReport, verify};

use super::shown;
use crate::arguments::{AuditReportFormat, AuditVerify};
use crate::audit_log::failure;
use crate::failure::Failure;
use crate::{exit, output};

pub fn run(arguments: &AuditVerify) -> Result<ExitCode, Failure> {
    let layout = arguments.place.existing()?;
    let mut trust = Trust::default().with_keys(layout.key_store()?);
    if let Some(key) = arguments.key {
        trust = trust.with_key(key);
    }
    for head in &arguments.expect_head {
        trust = trust.expecting(*head);
    }
    let report = verify(&layout.log, &trust).map_err(|error| failure(&error))?;
    match arguments.format {
        AuditReportFormat::Table => output::print(&table(&report))?,
        AuditReportFormat::Json => {
            let text = serde_json::to_string_pretty(&report).map_err(|error| {
                Failure::incomplete("cannot write the report", error.to_string(), "report this as a fault")
            })?;
            output::print(&(text + "\n"))?;
        }
    }
    if let Some(path) = &arguments.evidence {
        let evidence = custody_audit::attest(&report, layout.key_store()?).map_err(|error| failure(&error))?;
        output::write_file(path, evidence.as_bytes())?;
    }
    Ok(ExitCode::from(match report.verdict {
        Verdict::Intact => exit::OK,
        Verdict::Violated => exit::BLOCKED,
        Verdict::Incomplete => exit::INCOMPLETE,
    }))
}

fn table(report: &VerifyReport) -> String {
    let mut text = String::new();
    let verdict = match report.verdict {
        Verdict::Intact => "intact",
        Verdict::Violated => "NOT what was written",
        Verdict::Incomplete => "could not be read as a whole",
    };
    let _ = writeln!(text, "audit log {}: {verdict}", shown(&report.directory));
    if let Some(head) = report.head {
        let _ = writeln!(text, "  records     {} to {}, {} of them events", report.first, head.sequence, report.events);
        let _ = writeln!(text, "  files       {}", report.files.len());
        let _ = writeln!(text, "  signatures  {} verified", report.signatures);
        let _ = writeln!(text, "  head        {head}");
    }
    if let Some(key) = report.first_key {
        let pinned = match report.pinned {
            Pinned::Given => "as given",
            Pinned::KeyStore => "as kept beside the keys",
            Pinned::Nowhere => "as the log itself says",
        };
        let _ = writeln!(text, "  first key   {key}, {pinned}");
    }
    if report.expected_heads > 0 {
        let _ = writeln!(text, "  expected    {} heads that were kept elsewhere stand in it", report.expected_heads);
    }
    let section = |text: &mut String, title: &str, lines: &mut dyn Iterator<Item = String>, all: u64| {
        let mut count = 0;
        for line in lines {
            if count == 0 {
                let _ = writeln!(text, "\n{title}");
            }
            count += 1;
            let _ = writeln!(text, "  {}", shown(&line));
        }
        if all > count {
            let _ = writeln!(text, "  and {} more", all - count);
        }
    };
    let mut problems = report.problems.iter().take(50).map(ToString::to_string);
    section(&mut text, "What is wrong", &mut problems, report.problem_count);
    let mut notes = report.notes.iter().take(50).map(ToString::to_string);
    section(&mut text, "What should be known", &mut notes, report.notes.len() as u64);
    text
}
