//! What the command gets: planned from the contract and the command line, resolved all at once.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use custody_contract::file::{Delivery, KeyType};
use custody_contract::{Contract, CredentialRef, Diagnostic, Environment, Fingerprint};
use custody_credential::backend::{Resolved, VersionRequest};
use custody_credential::inject::{Injection, Poll, Target};
use custody_credential::{
    Context, FailureKind, PlanProblem, ProcessVariables, Query, ResolveError, Resolver, Variables as _, plan,
};

use super::record::Recorder;
use crate::arguments::{Mapping, Run};
use crate::commands::cred::proof;
use crate::exit;
use crate::failure::Failure;

/// The keys that get secret material, and how to get it.
pub struct Material {
    resolver: Option<Arc<Resolver>>,
    wanted: Vec<Wanted>,
    /// What may not be used (CRED-3), each with the reason.
    refused: Vec<(CredentialRef, Diagnostic)>,
    /// What was resolved last, by key: its version, or else its fingerprint.
    seen: BTreeMap<String, String>,
}

/// One key.
#[derive(Clone)]
struct Wanted {
    key: String,
    query: Query,
    target: Target,
}

impl Material {
    /// Plans what the contract and the command line say.
    pub fn plan(
        arguments: &Run,
        contract: &Contract,
        environment: Environment,
        root: &Path,
    ) -> Result<Material, Failure> {
        let planned = plan(contract, environment, &ProcessVariables);
        let said = [
            (&arguments.inject, Target::Environment),
            (&arguments.file, Target::File),
            (&arguments.fd, Target::Descriptor),
        ];
        let said = said.into_iter().flat_map(|(texts, target)| texts.iter().map(move |text| (text, target)));
        let said: Vec<Wanted> = said
            .map(|(text, target)| Mapping::parse(text).map(|mapping| wanted(&mapping, target)))
            .collect::<Result<_, _>>()
            .map_err(|why| {
                let diagnostic = Diagnostic::error("usage", "what is to be injected is not KEY=REFERENCE").why(why);
                Failure::usage(diagnostic.fix("name a reference; a value given here would be seen by everybody"))
            })?;
        let is_said = |key: &str| said.iter().any(|w| w.key == key);
        let problems: Vec<&PlanProblem> = planned.problems.iter().filter(|p| !is_said(&p.key)).collect();
        if problems.iter().any(|p| p.is_error) {
            let diagnostics = problems.into_iter().map(|p| diagnostic(p, environment)).collect();
            return Err(Failure { diagnostics, code: exit::USAGE });
        }
        crate::output::print_diagnostics(&problems.into_iter().map(|p| diagnostic(p, environment)).collect::<Vec<_>>());
        let mut all: Vec<Wanted> = planned
            .injections
            .into_iter()
            .filter(|i| !is_said(&i.key))
            .map(|i| Wanted { key: i.key, query: i.query, target: target(i.delivery) })
            .collect();
        all.extend(said);
        if all.is_empty() {
            return Ok(Material { resolver: None, wanted: all, refused: Vec::new(), seen: BTreeMap::new() });
        }
        let resolver = Resolver::new(contract, environment, Context::process(root)).map_err(|error| {
            let diagnostic = Diagnostic::error("ENV-2", error.to_string()).why(error.why.clone());
            Failure::usage(diagnostic.fix(error.fix.clone()))
        })?;
        // One that may not be resolved at all is refused for that reason.
        let mut refused = unproven(contract, environment, root, &all);
        refused.retain(|(reference, _)| resolver.permitted(reference).is_ok());
        Ok(Material { resolver: Some(Arc::new(resolver)), wanted: all, refused, seen: BTreeMap::new() })
    }

    /// Whether the command gets nothing.
    pub fn is_empty(&self) -> bool {
        self.wanted.is_empty()
    }

    /// Resolves everything, and records each answer before it is used.
    pub fn resolve(&mut self, recorder: &Recorder) -> Result<Vec<Injection>, Failure> {
        let Some(resolver) = &self.resolver else { return Ok(Vec::new()) };
        if !self.refused.is_empty() {
            for (reference, _) in &self.refused {
                let backend = resolver.place(reference).map(|p| p.backend).unwrap_or_default();
                recorder.refused(reference, &backend)?;
            }
            return Err(proof::refused(self.refused.iter().map(|(_, diagnostic)| diagnostic.clone()).collect()));
        }
        let answers = answer(resolver, &self.wanted);
        let mut faults = Vec::new();
        let mut injections = Vec::new();
        for (wanted, answer) in self.wanted.iter().zip(answers) {
            let backend = resolver.place(&wanted.query.reference).map(|p| p.backend).unwrap_or_default();
            recorder.injected(&wanted.query.reference, &backend, answer.as_ref())?;
            match answer {
                Ok(resolved) => {
                    self.seen.insert(wanted.key.clone(), mark(&resolved));
                    injections.push(injection(wanted, resolved));
                }
                Err(error) => faults.push((wanted, error)),
            }
        }
        if faults.is_empty() { Ok(injections) } else { Err(refusal(&faults)) }
    }

    /// Asks again, for rotation.
    pub fn into_poll(mut self, recorder: Recorder) -> Poll {
        Box::new(move || {
            let Some(resolver) = &self.resolver else { return Ok(None) };
            let mut changed = false;
            let mut resolved = Vec::new();
            for (wanted, answer) in self.wanted.iter().zip(answer(resolver, &self.wanted)) {
                let answer = answer.map_err(|error| error.to_string())?;
                let now = mark(&answer);
                changed |= self.seen.insert(wanted.key.clone(), now.clone()) != Some(now);
                resolved.push(answer);
            }
            if !changed {
                return Ok(None);
            }
            for (wanted, answer) in self.wanted.iter().zip(&resolved) {
                let backend = resolver.place(&wanted.query.reference).map(|p| p.backend).unwrap_or_default();
                let recorded = recorder.injected(&wanted.query.reference, &backend, Ok(answer));
                recorded.map_err(|failure| failure.diagnostics[0].why.clone())?;
            }
            Ok(Some(self.wanted.iter().zip(resolved).map(|(w, r)| injection(w, r)).collect()))
        })
    }
}

/// What is not proven read-only and would have to be (CRED-3): by what the reference claims, or because a key that holds
/// a billing provider's reference names it.
fn unproven(
    contract: &Contract,
    environment: Environment,
    root: &Path,
    wanted: &[Wanted],
) -> Vec<(CredentialRef, Diagnostic)> {
    let rule = proof::rule(contract, environment, root);
    if !rule.is_required() {
        return Vec::new();
    }
    let held = contract.keys.iter().filter(|key| key.kind == KeyType::CredentialRef);
    let held = held.filter_map(|key| CredentialRef::parse(&ProcessVariables.text(&key.name)?).ok());
    let of_billing = |r: &CredentialRef| contract.adapter(&format!("{}-billing", r.provider())).is_some();
    let billed: BTreeSet<CredentialRef> = held.filter(of_billing).collect();
    let references: BTreeSet<&CredentialRef> = wanted.iter().map(|w| &w.query.reference).collect();
    let refusal = |reference: &CredentialRef| proof::refusal(&rule, reference, billed.contains(reference));
    references.into_iter().filter_map(|r| Some((r.clone(), refusal(r)?))).collect()
}

fn answer(resolver: &Resolver, wanted: &[Wanted]) -> Vec<Result<Resolved, ResolveError>> {
    resolver.answer(&wanted.iter().map(|w| w.query.clone()).collect::<Vec<_>>())
}

/// What tells one version of a credential from the next.
fn mark(resolved: &Resolved) -> String {
    let fingerprint = Fingerprint::of(resolved.value.expose());
    format!("{:?} {fingerprint}", resolved.metadata.version)
}

fn wanted(mapping: &Mapping, target: Target) -> Wanted {
    let query =
        Query { reference: mapping.reference.clone(), field: mapping.field.clone(), version: VersionRequest::Current };
    Wanted { key: mapping.key.clone(), query, target }
}

fn target(delivery: Delivery) -> Target {
    match delivery {
        Delivery::Env => Target::Environment,
        Delivery::File => Target::File,
        Delivery::Fd => Target::Descriptor,
    }
}

fn injection(wanted: &Wanted, resolved: Resolved) -> Injection {
    let label = match &wanted.query.field {
        Some(field) => format!("{}#{field}", wanted.query.reference),
        None => wanted.query.reference.to_string(),
    };
    Injection { key: wanted.key.clone(), target: wanted.target, value: resolved.value, label }
}

fn diagnostic(problem: &PlanProblem, environment: Environment) -> Diagnostic {
    let what = format!("{} cannot be injected", problem.key);
    let diagnostic =
        if problem.is_error { Diagnostic::error("ENV-4", what) } else { Diagnostic::warning("ENV-4", what) };
    let fix = format!("let it hold a cred:// reference in {environment}, or name one: --inject KEY=cred://…");
    diagnostic.why(problem.fault.to_string()).fix(fix)
}

/// Everything that does not resolve, at once.
fn refusal(faults: &[(&Wanted, ResolveError)]) -> Failure {
    let has = |kind| faults.iter().any(|(_, error)| error.kind() == kind);
    let code = if has(FailureKind::Usage) {
        exit::USAGE
    } else if has(FailureKind::Denied) {
        exit::DENIED
    } else {
        exit::UNAVAILABLE
    };
    let diagnostic = |(wanted, error): &(&Wanted, ResolveError)| {
        let what = format!("cannot resolve `{}` for {}", error.reference(), wanted.key);
        Diagnostic::error(error.code(), what).why(error.why()).fix(error.fix())
    };
    Failure { diagnostics: faults.iter().map(diagnostic).collect(), code }
}
