//! One document: what it is, whose it is, and everything that is wrong with it.

use std::collections::BTreeMap;

use custody_contract::file::Adapter;
use custody_contract::{Contract, CredentialRef, Environment, Finding, Place};

use crate::adapter::{Registry, ToolHint};
use crate::detect::SecretDetector;
use crate::handoff::{self, BillingHandoff};
use crate::json::{Document, Node, Spot};
use crate::problem::{Fault, Faults, Problem};
use crate::request::{self, NormalisedRequest};
use crate::secrets;

/// Checks billing documents against a contract, for one environment.
#[derive(Clone, Copy)]
pub struct BillingCheck<'a> {
    /// The contract in force.
    pub contract: &'a Contract,
    /// The environment that a request would run in.
    pub environment: Environment,
    /// What recognises secret material; the scan engine.
    pub detector: &'a dyn SecretDetector,
    /// The variables that decide (`NODE_ENV`, `BILLING_*`, `FICECAL_*`), as the process would see them.
    pub variables: &'a BTreeMap<String, String>,
    /// Whether the first user's old verdict counts.
    pub mode: Mode,
}

/// How strictly the form of documents is held.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Mode {
    /// All rules.
    #[default]
    Strict,
    /// What the script that custody replaces lets pass is a warning. What a secret could hide behind stays an error.
    Compat,
}

/// What the old script does not look at, by reason.
const RELAXED: &[&str] = &[
    "boolean_number",
    "blank_field",
    "control_character",
    "credential_ref_of_other_provider",
    "empty_credential_ref",
    "field_too_long",
    "invalid_currency",
    "invalid_date",
    "invalid_request_passes",
    "malformed_credential_ref",
    "not_a_number",
    "not_an_integer",
    "not_finite",
    "null_auth_mode",
    "null_credential_ref",
    "number_out_of_range",
    "out_of_range",
    "period_reversed",
];

/// The fields of a request that the old script looks at.
const LOOKED_AT: [&str; 6] = ["integrationRunId", "startDate", "endDate", "currency", "authMode", "credentialRef"];

impl Mode {
    /// Whether the old script lets pass what has this reason.
    pub(crate) fn relaxes(self, reason: &str) -> bool {
        self == Mode::Compat && RELAXED.contains(&reason)
    }

    /// Whether the old script does not look at this field of a request.
    pub(crate) fn ignores(self, pointer: &str) -> bool {
        let field = pointer.strip_prefix("/input").unwrap_or(pointer).trim_start_matches('/').split('/').next();
        self == Mode::Compat && !field.is_some_and(|f| f.is_empty() || LOOKED_AT.contains(&f))
    }
}

/// What a document is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DocumentKind {
    /// A billing request, bare or in an envelope.
    Request,
    /// A canonical handoff.
    Handoff,
}

/// What is said of one document.
#[derive(Debug, Clone)]
pub struct DocumentOutcome {
    /// What it is called.
    pub name: String,
    /// What it is.
    pub kind: DocumentKind,
    /// The adapter it belongs to, where that could be told.
    pub adapter: Option<String>,
    /// Everything that is wrong, in the document's order.
    pub problems: Vec<Problem>,
    /// The request as an adapter gets it; only if nothing at error level is wrong.
    pub request: Option<NormalisedRequest>,
    /// The handoff; only if nothing at error level is wrong.
    pub handoff: Option<BillingHandoff>,
    /// Secret material in it, for incidents.
    pub findings: Vec<Finding>,
    /// The credential references that it names, with their places.
    pub references: Vec<(CredentialRef, Place)>,
    /// Its length in bytes.
    pub bytes: u64,
}

impl DocumentOutcome {
    /// Whether nothing at error level is wrong.
    pub fn is_valid(&self) -> bool {
        !self.problems.iter().any(Problem::is_error)
    }
}

impl<'a> BillingCheck<'a> {
    /// Checks a document; whether it is a request or a handoff is told by its fields, else by its name.
    pub fn validate_bytes(&self, name: &str, bytes: &[u8], hint: Option<&ToolHint>) -> DocumentOutcome {
        self.document(name, bytes, hint, None)
    }

    /// Checks a document that is known to be of one kind.
    pub fn validate_as(
        &self,
        kind: DocumentKind,
        name: &str,
        bytes: &[u8],
        hint: Option<&ToolHint>,
    ) -> DocumentOutcome {
        self.document(name, bytes, hint, Some(kind))
    }

    pub(crate) fn registry(&self) -> Registry<'a> {
        Registry::new(self.contract)
    }

    fn document(
        &self,
        name: &str,
        bytes: &[u8],
        hint: Option<&ToolHint>,
        kind: Option<DocumentKind>,
    ) -> DocumentOutcome {
        let document = Document::parse(bytes);
        let mut faults = Faults::default();
        for fault in &document.faults {
            let fault = Fault::validation(fault.spot, fault.reason, fault.what).fix(fault.fix);
            faults.push(fault.clause("VAL-1"));
        }
        let findings = secrets::search(name, &document, self.detector, &mut faults);
        let kind = kind.unwrap_or_else(|| kind_of(name, document.root.as_ref()));
        let mut outcome = DocumentOutcome {
            name: name.into(),
            kind,
            adapter: None,
            problems: Vec::new(),
            request: None,
            handoff: None,
            findings,
            references: Vec::new(),
            bytes: bytes.len() as u64,
        };
        if let Some(root) = &document.root {
            self.fields(root, hint, &mut outcome, &mut faults, &document);
        } else {
            outcome.adapter = self.adapter_by_name(name, hint).map(|a| a.id.to_string());
        }
        outcome.problems = faults.into_problems(name, &document, outcome.adapter.as_deref(), self.mode);
        if !outcome.is_valid() {
            outcome.request = None;
            outcome.handoff = None;
        }
        outcome
    }

    fn fields(
        &self,
        root: &Node,
        hint: Option<&ToolHint>,
        outcome: &mut DocumentOutcome,
        faults: &mut Faults,
        document: &Document<'_>,
    ) {
        if !root.is_object() {
            let what = format!("the document must be an object, not {}", root.kind());
            let fault = Fault::validation(Spot::of(root), "not_an_object", what).clause("VAL-1");
            faults.push(fault.fix("write one request or one handoff, in braces"));
            outcome.adapter = self.adapter_by_name(&outcome.name, hint).map(|a| a.id.to_string());
            return;
        }
        match outcome.kind {
            DocumentKind::Request => {
                let reading = request::read(self, root, &outcome.name, hint, faults);
                outcome.adapter = reading.adapter;
                outcome.request = reading.request;
                for (reference, spot) in reading.references {
                    let (line, column) = document.position(spot.offset());
                    let mut place = Place::at(outcome.name.clone(), line, column);
                    place.pointer = Some(document.pointer(spot));
                    outcome.references.push((reference, place));
                }
            }
            DocumentKind::Handoff => {
                let adapter = self.adapter_by_name(&outcome.name, hint);
                let reading = handoff::read(self.registry(), root, adapter, faults);
                outcome.adapter = reading.0;
                outcome.handoff = reading.1;
            }
        }
    }

    /// The adapter that hint or path name.
    pub(crate) fn adapter_by_name(&self, name: &str, hint: Option<&ToolHint>) -> Option<&'a Adapter> {
        match hint {
            Some(ToolHint::Tool(tool)) => self.registry().of_tool(tool),
            Some(ToolHint::Adapter(id)) => self.registry().get(id),
            None => self.registry().of_path(name),
        }
    }
}

fn kind_of(name: &str, root: Option<&Node>) -> DocumentKind {
    if let Some(root) = root {
        if ["canonical", "provenance"].iter().any(|field| root.get(field).is_some()) {
            return DocumentKind::Handoff;
        }
        if ["input", "mappingProfile", "startDate", "credentialRef", "authMode"]
            .iter()
            .any(|field| root.get(field).is_some())
        {
            return DocumentKind::Request;
        }
    }
    let file = name.rsplit(['/', '\\']).next().unwrap_or(name);
    if file.starts_with("response") || file.contains("handoff") { DocumentKind::Handoff } else { DocumentKind::Request }
}
