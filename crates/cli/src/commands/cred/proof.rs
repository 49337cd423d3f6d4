//! The read-only proof of a credential (CRED-3), as commands show it and hold to it.

use std::path::Path;

use custody_contract::{Contract, CredentialRef, Diagnostic, Environment};
use custody_credential::backend::{ErrorKind, Variables};
use custody_credential::prove::{Admission, ProofRule, ProofState, claims_read_only, how_to_prove, live, speaks};
use jiff::Timestamp;

use super::audit::{self, Action, Event, Step};
use super::session::{Session, resolve_failure};
use crate::arguments::CredPlace;
use crate::exit;
use crate::failure::Failure;

/// What is known of a credential's permissions, in words for tables.
pub fn of(session: &Session, reference: &CredentialRef) -> String {
    let rule = rule(&session.in_force.contract, session.environment, &session.root);
    match rule.state(reference) {
        ProofState::Valid(proof) => {
            let oldest = proof.made.checked_add(rule.max_age()).unwrap_or(proof.expires);
            format!("proven until {}", proof.expires.min(oldest).strftime("%F"))
        }
        ProofState::Missing if speaks(reference).is_none() => "-".to_owned(),
        ProofState::Missing if !claims_read_only(reference) => "not claimed".to_owned(),
        ProofState::Missing => "not proven".to_owned(),
        ProofState::Expired(when) => format!("expired on {}", when.strftime("%F")),
        ProofState::NotProven(proof) => proof.verdict.access.to_string(),
        ProofState::Unusable(_) => "unusable proof".to_owned(),
    }
}

/// What the contract asks here and now.
pub fn rule<'c>(contract: &'c Contract, environment: Environment, root: &Path) -> ProofRule<'c> {
    ProofRule::of(contract, environment, root, Timestamp::now())
}

/// Why a credential may not be used in this environment, if so. One that a waiver lets pass is said.
pub fn refusal(rule: &ProofRule<'_>, reference: &CredentialRef, is_billing: bool) -> Option<Diagnostic> {
    if !rule.is_required() {
        return None;
    }
    let admission = match is_billing && speaks(reference).is_some() {
        true => rule.settle(reference, rule.state(reference)),
        false => rule.admit(reference),
    };
    let diagnostic = |level: fn(&'static str, String) -> Diagnostic, what: String, why: String| {
        level("CRED-3", what).why(why).fix(how_to_prove(reference))
    };
    match admission {
        Admission::NotAsked | Admission::Proven(_) | Admission::Unproven(_) => None,
        Admission::Waived { waiver, why } => {
            let what = format!("`{reference}` is used by waiver {waiver}");
            crate::output::print_diagnostics(&[diagnostic(Diagnostic::warning, what, why)]);
            None
        }
        Admission::Refused(why) => {
            Some(diagnostic(Diagnostic::error, format!("`{reference}` is not proven read-only"), why))
        }
    }
}

/// Ends a command for credentials that are not proven.
pub fn refused(diagnostics: Vec<Diagnostic>) -> Failure {
    Failure { diagnostics, code: exit::DENIED }
}

/// Resolves a credential and asks its provider what it is granted. The value is used for nothing else.
pub fn ask(reference: &CredentialRef, environment: Option<Environment>) -> Result<Vec<live::Document>, Failure> {
    custody_credential::protect_process();
    let place = CredPlace {
        env: environment,
        backend: None,
        repository: ".".into(),
        contract: None,
        format: crate::arguments::DataFormat::Table,
    };
    let session = Session::open(&place)?;
    let answer = session.resolver.resolve(std::slice::from_ref(reference)).pop();
    let backend = session.resolver.place(reference).map(|p| p.backend).unwrap_or_default();
    audit::record(&Event {
        action: Action::Prove,
        reference: Some(reference),
        backend: &backend,
        version: match &answer {
            Some(Ok(resolved)) => resolved.metadata.version.as_deref(),
            _ => None,
        },
        reason: None,
        environment: Some(session.environment),
        step: match &answer {
            Some(Err(error)) => Step::Not(audit::outcome(error)),
            _ => Step::Done,
        },
    })?;
    let failed = |code, why: &str, fix: &str| {
        let what = format!("`{reference}` cannot be asked what it is granted");
        Failure { diagnostics: vec![Diagnostic::error("CRED-3", what).why(why).fix(fix)], code }
    };
    let resolved = match answer {
        Some(Ok(resolved)) => resolved,
        Some(Err(error)) => {
            let mut failure = resolve_failure(&error);
            let fix = how_to_prove(reference);
            failure.diagnostics.push(Diagnostic::note("CRED-3", "it can be proven without being resolved").fix(fix));
            return Err(failure);
        }
        None => return Err(failed(exit::INTERNAL, "the resolver gave no answer", "report this as a fault of custody")),
    };
    let Some(language) = speaks(reference) else {
        return Err(failed(exit::USAGE, "its provider's policies are not read", "waive CRED-3 for it"));
    };
    live::collect(language, &resolved.value, &Variables::of_process()).map_err(|fault| {
        let code = match fault.kind {
            ErrorKind::Denied | ErrorKind::Unauthenticated => exit::DENIED,
            ErrorKind::Unsupported | ErrorKind::Configuration => exit::USAGE,
            _ => exit::UNAVAILABLE,
        };
        failed(code, &fault.why, &fault.fix)
    })
}
