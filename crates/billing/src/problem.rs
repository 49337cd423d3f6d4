//! What is wrong with a document: what, where, why, how to fix it, and the normalised error of each.

use custody_contract::{ClauseId, Diagnostic, Level, Place};

use crate::check::Mode;
use crate::error::{ErrorCode, NormalisedError};
use crate::json::{Document, Spot};

/// One thing that is wrong with a request, a handoff or a pack.
///
/// # Security
///
/// Holds names of fields and pointers, never a field's value; a key that holds secret material is masked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Whether it rejects the document.
    pub level: Level,
    /// Its kind.
    pub code: ErrorCode,
    /// The clause that it breaks, if it breaks one.
    pub clause: Option<ClauseId>,
    /// Whose request it is, where that could be told.
    pub adapter: Option<String>,
    /// What is wrong, for programs: stable, snake_case.
    pub reason: &'static str,
    /// The document.
    pub file: String,
    /// Where in the document (RFC 6901).
    pub pointer: String,
    /// Line, 1-based; 0 for the document as a whole.
    pub line: u32,
    /// Column in characters, 1-based; 0 for the document as a whole.
    pub column: u32,
    /// What is wrong, as a sentence fragment without a full stop.
    pub what: String,
    /// Why it is wrong.
    pub why: String,
    /// What to do about it.
    pub fix: String,
}

impl Problem {
    /// A problem with a file as a whole, such as one that is not there.
    pub(crate) fn of_file(file: &str, adapter: Option<&str>, reason: &'static str, what: String, fix: &str) -> Self {
        Problem {
            level: Level::Error,
            code: ErrorCode::ValidationError,
            clause: clause("VAL-1"),
            adapter: adapter.map(Into::into),
            reason,
            file: safe_name(file),
            pointer: String::new(),
            line: 0,
            column: 0,
            what,
            why: String::new(),
            fix: fix.into(),
        }
    }

    /// Whether it rejects the document.
    pub fn is_error(&self) -> bool {
        self.level == Level::Error
    }

    /// Where it is.
    pub fn place(&self) -> Place {
        let mut place = Place::at(self.file.clone(), self.line, self.column);
        place.pointer = (!self.pointer.is_empty()).then(|| self.pointer.clone());
        place
    }

    /// The normalised error: what an ingest that refuses the document answers.
    pub fn normalised(&self) -> NormalisedError {
        NormalisedError {
            code: self.code,
            adapter_id: self.adapter.clone().unwrap_or_else(|| NormalisedError::UNKNOWN_ADAPTER.into()),
            message: self.what.clone(),
            pointer: self.pointer.clone(),
            reason: self.reason.into(),
        }
    }
}

impl From<&Problem> for Diagnostic {
    fn from(problem: &Problem) -> Self {
        let code = problem.clause.as_ref().map_or(problem.code.as_str(), ClauseId::as_str);
        let diagnostic = match problem.level {
            Level::Error => Diagnostic::error(code, problem.what.clone()),
            Level::Warning => Diagnostic::warning(code, problem.what.clone()),
            Level::Note => Diagnostic::note(code, problem.what.clone()),
        };
        let why = match (problem.level, problem.adapter.as_deref()) {
            (Level::Error, Some(adapter)) => join(&problem.why, &format!("{} of {adapter}", problem.code)),
            (Level::Error, None) => join(&problem.why, problem.code.as_str()),
            _ => problem.why.clone(),
        };
        diagnostic.at(problem.place()).why(why).fix(problem.fix.clone())
    }
}

fn join(why: &str, code: &str) -> String {
    if why.is_empty() { code.to_owned() } else { format!("{why} ({code})") }
}

/// A file's name that cannot fool a terminal or end a line.
pub(crate) fn safe_name(name: &str) -> String {
    name.chars().map(|c| if c.is_control() { c.escape_unicode().to_string() } else { c.to_string() }).collect()
}

/// A clause id that is known to be one.
pub(crate) fn clause(id: &str) -> Option<ClauseId> {
    id.parse().ok()
}

/// A problem before its place is worked out.
pub(crate) struct Fault {
    spot: Spot,
    level: Level,
    code: ErrorCode,
    clause: &'static str,
    reason: &'static str,
    what: String,
    why: String,
    fix: String,
}

impl Fault {
    /// A `validation_error` at a spot.
    pub(crate) fn validation(spot: Spot, reason: &'static str, what: impl Into<String>) -> Self {
        Fault {
            spot,
            level: Level::Error,
            code: ErrorCode::ValidationError,
            clause: "",
            reason,
            what: what.into(),
            why: String::new(),
            fix: String::new(),
        }
    }

    /// An `auth_error` at a spot.
    pub(crate) fn auth(spot: Spot, reason: &'static str, what: impl Into<String>) -> Self {
        Fault { code: ErrorCode::AuthError, ..Fault::validation(spot, reason, what) }
    }

    pub(crate) fn clause(self, clause: &'static str) -> Self {
        Fault { clause, ..self }
    }

    pub(crate) fn why(self, why: impl Into<String>) -> Self {
        Fault { why: why.into(), ..self }
    }

    pub(crate) fn fix(self, fix: impl Into<String>) -> Self {
        Fault { fix: fix.into(), ..self }
    }

    pub(crate) fn warning(self) -> Self {
        Fault { level: Level::Warning, ..self }
    }
}

/// What is wrong with one document, as it is collected.
#[derive(Default)]
pub(crate) struct Faults(Vec<Fault>);

impl Faults {
    /// Most problems that are reported of one document; the rest are counted.
    const MAX: usize = 200;

    pub(crate) fn push(&mut self, fault: Fault) {
        self.0.push(fault);
    }

    /// The problems with their places, in the document's order.
    pub(crate) fn into_problems(
        mut self,
        name: &str,
        document: &Document<'_>,
        adapter: Option<&str>,
        mode: Mode,
    ) -> Vec<Problem> {
        self.0.sort_by_key(|f| (f.spot.offset(), f.level != Level::Error));
        let total = self.0.len();
        // Never drop an error for the sake of a warning.
        if total > Self::MAX {
            self.0.sort_by_key(|f| f.level != Level::Error);
            self.0.truncate(Self::MAX);
        }
        let mut problems: Vec<Problem> = self.0.into_iter().map(|f| locate(f, name, document, adapter, mode)).collect();
        if total > Self::MAX {
            let what = format!("{} more problems", total - Self::MAX);
            problems.push(Problem::of_file(
                name,
                adapter,
                "too_many_problems",
                what,
                "correct those that are listed first",
            ));
        }
        problems
    }
}

fn locate(fault: Fault, name: &str, document: &Document<'_>, adapter: Option<&str>, mode: Mode) -> Problem {
    let (line, column) = document.position(fault.spot.offset());
    let pointer = document.pointer(fault.spot);
    // A request's own faults have no clause; those that have one are never a matter of form.
    let form = fault.clause.is_empty() && fault.code == ErrorCode::ValidationError;
    let relaxed = mode.relaxes(fault.reason) || (form && mode.ignores(&pointer));
    let level = if relaxed { fault.level.min(Level::Warning) } else { fault.level };
    Problem {
        level,
        code: fault.code,
        clause: clause(fault.clause),
        adapter: adapter.map(Into::into),
        reason: fault.reason,
        file: safe_name(name),
        pointer,
        line,
        column,
        what: fault.what,
        why: fault.why,
        fix: fault.fix,
    }
}
