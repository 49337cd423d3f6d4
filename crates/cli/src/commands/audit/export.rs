//! `custody audit export`.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::ops::ControlFlow;
use std::process::ExitCode;

use custody_audit::{export, query};

use super::settle;
use crate::arguments::{AuditExport, AuditExportFormat};
use crate::audit_log::failure;
use crate::failure::Failure;

pub fn run(arguments: &AuditExport) -> Result<ExitCode, Failure> {
    let layout = arguments.place.existing()?;
    let name =
        arguments.output.as_ref().map_or_else(|| "standard output".to_owned(), |path| path.display().to_string());
    let mut out: Box<dyn Write> = match &arguments.output {
        Some(path) => Box::new(BufWriter::new(File::create(path).map_err(|e| Failure::unwritable(&name, &e))?)),
        None => Box::new(BufWriter::new(io::stdout().lock())),
    };
    let mut failed = None;
    let log = custody_audit::log_id(&layout.log).map_err(|error| failure(&error))?;
    let summary = query(&layout.log, &arguments.filter.filter(), |hit| {
        let line = match arguments.format {
            AuditExportFormat::Jsonl => export::jsonl(hit),
            AuditExportFormat::Ocsf => export::ocsf(hit, log).to_string(),
        };
        match writeln!(out, "{line}") {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                failed = Some(error);
                ControlFlow::Break(())
            }
        }
    });
    let summary = summary.map_err(|error| failure(&error))?;
    match failed.map_or_else(|| out.flush(), Err) {
        Ok(()) => Ok(settle(&summary)),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(ExitCode::SUCCESS),
        Err(error) => Err(Failure::unwritable(&name, &error)),
    }
}
