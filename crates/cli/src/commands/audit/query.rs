//! `custody audit query`.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::ops::ControlFlow;
use std::process::ExitCode;

use custody_audit::{Hit, export, query};

use super::{settle, shown};
use crate::arguments::{AuditQuery, AuditQueryFormat};
use crate::audit_log::failure;
use crate::failure::Failure;

pub fn run(arguments: &AuditQuery) -> Result<ExitCode, Failure> {
    let layout = arguments.place.existing()?;
    let mut lines = Lines::new(io::BufWriter::new(io::stdout().lock()), arguments.format, arguments.last);
    let summary =
        query(&layout.log, &arguments.filter.filter(), |hit| lines.add(hit)).map_err(|error| failure(&error))?;
    if lines.finish()? { Ok(settle(&summary)) } else { Ok(ExitCode::SUCCESS) }
}

/// Events on their way out: at once, or the newest of them at the end.
struct Lines<W: Write> {
    out: W,
    format: AuditQueryFormat,
    last: Option<usize>,
    kept: VecDeque<String>,
    written: u64,
    error: Option<io::Error>,
}

impl<W: Write> Lines<W> {
    fn new(out: W, format: AuditQueryFormat, last: Option<u32>) -> Self {
        let last = last.map(|last| last as usize);
        Lines { out, format, last, kept: VecDeque::new(), written: 0, error: None }
    }

    fn add(&mut self, hit: &Hit<'_>) -> ControlFlow<()> {
        let line = match self.format {
            AuditQueryFormat::Table => row(hit),
            AuditQueryFormat::Json | AuditQueryFormat::Jsonl => export::jsonl(hit),
        };
        if let Some(last) = self.last {
            if self.kept.len() == last {
                self.kept.pop_front();
            }
            self.kept.push_back(line);
            return ControlFlow::Continue(());
        }
        self.write(&line)
    }

    fn write(&mut self, line: &str) -> ControlFlow<()> {
        let before = match (self.format, self.written) {
            (AuditQueryFormat::Json, 0) => "[\n",
            (AuditQueryFormat::Json, _) => ",\n",
            _ => "",
        };
        let end = if self.format == AuditQueryFormat::Json { "" } else { "\n" };
        self.written += 1;
        match write!(self.out, "{before}{line}{end}") {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                self.error = Some(error);
                ControlFlow::Break(())
            }
        }
    }

    /// Whether everything was written; a reader that has seen enough is no fault.
    fn finish(mut self) -> Result<bool, Failure> {
        for line in std::mem::take(&mut self.kept) {
            if self.write(&line).is_break() {
                break;
            }
        }
        if self.format == AuditQueryFormat::Json && self.error.is_none() {
            let end = if self.written == 0 { "[]\n" } else { "\n]\n" };
            self.error = self.out.write_all(end.as_bytes()).err();
        }
        if self.error.is_none() {
            self.error = self.out.flush().err();
        }
        match self.error {
            None => Ok(true),
            Some(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
            Some(error) => Err(Failure::unwritable("standard output", &error)),
        }
    }
}

fn row(hit: &Hit<'_>) -> String {
    let event = &hit.event;
    let outcome = match &event.class {
        Some(class) => format!("{}:{class}", event.outcome),
        None => event.outcome.to_string(),
    };
    let time = format!("{:.0}", hit.time);
    let reference = event.reference.as_deref().unwrap_or("-");
    let why = [event.reason.as_deref(), event.purpose.as_deref()].into_iter().flatten().next().unwrap_or_default();
    let cells = [event.action.as_ref(), &outcome, reference, &event.principal.label(), why].map(shown);
    let [action, outcome, reference, who, why] = &cells;
    let row = format!("{time}  {:>6}  {action:8}  {outcome:18}  {reference:40}  {who:12}  {why}", hit.sequence);
    row.trim_end().to_owned()
}
