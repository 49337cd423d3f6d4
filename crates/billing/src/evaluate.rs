//! From problems to what is said of each clause.

use custody_contract::{Coverage, Diagnostic, Evaluation, Evidence, Finding};

use crate::check::{BillingCheck, DocumentKind, DocumentOutcome};
use crate::pack::Pack;
use crate::problem::Problem;

/// What the evaluations look at.
pub(crate) struct View<'v, 'c> {
    pub(crate) check: &'v BillingCheck<'c>,
    pub(crate) packs: &'v [Pack],
    pub(crate) documents: &'v [DocumentOutcome],
    pub(crate) coverage: &'v Coverage,
    pub(crate) findings: &'v [Finding],
}

/// CRED-1 to CRED-4, BILL-1 to BILL-3, VAL-1, in this order.
pub(crate) fn all(view: &View<'_, '_>) -> [Evaluation; 8] {
    [
        view.secrets(),
        view.requests(|p| has_clause(p, "CRED-2")),
        view.requests(|p| has_clause(p, "CRED-3") || is_auth_mode(p)),
        view.requests(|p| has_clause(p, "CRED-4")),
        view.requests(|p| has_clause(p, "BILL-1")),
        view.requests(|p| has_clause(p, "BILL-2")),
        view.requests(is_auth_mode),
        view.validation(),
    ]
}

fn has_clause(problem: &Problem, clause: &str) -> bool {
    problem.clause.as_ref().is_some_and(|c| c == clause)
}

fn is_auth_mode(problem: &Problem) -> bool {
    matches!(problem.reason, "unsupported_auth_mode" | "null_auth_mode" | "empty_auth_mode")
}

impl View<'_, '_> {
    /// Every document that counts.
    fn counted(&self) -> impl Iterator<Item = &DocumentOutcome> {
        self.documents.iter().chain(self.packs.iter().flat_map(|p| &p.documents))
    }

    fn invalid(&self) -> impl Iterator<Item = &DocumentOutcome> {
        self.packs.iter().flat_map(|p| &p.invalid)
    }

    fn is_empty(&self) -> bool {
        self.documents.is_empty() && self.packs.is_empty() && self.coverage.expected == 0
    }

    fn start(&self) -> Evaluation {
        let mut evaluation = Evaluation::default();
        if self.coverage.is_incomplete() {
            evaluation
                .incomplete
                .push(format!("{} billing documents could not be read", self.coverage.incomplete_total));
        }
        evaluation
    }

    fn secrets(&self) -> Evaluation {
        if self.is_empty() {
            return Evaluation::not_applicable(
                "the repository has no billing request, handoff or fixture pack that the contract names",
            );
        }
        let mut evaluation = self.start();
        let all = || self.counted().chain(self.invalid());
        let bytes: u64 = all().map(|d| d.bytes).sum();
        evaluation.evidence.push(Evidence {
            what: "billing requests and handoffs".into(),
            amount: format!("{} documents, {bytes} bytes", all().count()),
            with: Some(self.check.detector.describe()),
        });
        evaluation
            .problems
            .extend(all().flat_map(|d| &d.problems).filter(|p| has_clause(p, "CRED-1")).map(Diagnostic::from));
        evaluation.findings.extend(self.findings.iter().map(|f| f.fingerprint));
        evaluation
    }

    fn requests(&self, belongs: fn(&Problem) -> bool) -> Evaluation {
        let requests = || self.counted().filter(|d| d.kind == DocumentKind::Request);
        let count = requests().count();
        let mut evaluation = self.start();
        if count == 0 && evaluation.incomplete.is_empty() {
            return Evaluation::not_applicable("the repository has no billing request that the contract names");
        }
        let unread = requests().filter(|d| d.problems.iter().any(is_unread)).count();
        if unread > 0 {
            evaluation
                .incomplete
                .push(format!("{unread} billing requests are no JSON documents that could be read to their end"));
        }
        evaluation.saw("billing requests", format!("{count} requests in {}", self.check.environment));
        let refused = self.invalid().filter(|d| d.problems.iter().any(|p| p.is_error() && belongs(p))).count();
        if refused > 0 {
            evaluation.saw("requests that must be refused", format!("{refused} refused for this clause"));
        }
        evaluation.problems.extend(requests().flat_map(|d| &d.problems).filter(|p| belongs(p)).map(Diagnostic::from));
        evaluation
    }

    fn validation(&self) -> Evaluation {
        if self.is_empty() {
            return Evaluation::not_applicable(
                "the repository has no billing fixture pack, request or handoff that the contract names",
            );
        }
        let mut evaluation = self.start();
        evaluation.saw("billing fixture packs", format!("{} packs", self.packs.len()));
        if !self.documents.is_empty() {
            evaluation.saw("requests and handoffs outside packs", format!("{} documents", self.documents.len()));
        }
        let invalid = self.invalid().count();
        if invalid > 0 {
            evaluation.saw("requests that must be refused", format!("{invalid} requests"));
        }
        let packs = self.packs.iter().flat_map(Pack::all_problems);
        let documents = self.documents.iter().flat_map(|d| &d.problems);
        evaluation.problems.extend(packs.chain(documents).map(Diagnostic::from));
        evaluation
    }
}

/// Whether the problem kept the document's fields from being read.
fn is_unread(problem: &Problem) -> bool {
    matches!(
        problem.reason,
        "document_too_large"
            | "document_too_complex"
            | "nested_too_deeply"
            | "not_utf8"
            | "truncated_document"
            | "invalid_json"
            | "invalid_escape"
            | "lone_surrogate"
            | "empty_document"
            | "not_an_object"
            | "invalid_number"
    )
}
