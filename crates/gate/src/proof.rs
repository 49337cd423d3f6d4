//! CRED-3, as far as the credential itself goes: each that claims to be read-only has a proof that it is.
//!
//! Asked of the credentials of the rotation registry, of templates and deployment files, and of billing requests; not of
//! those that only fixture packs name, for nothing resolves them. A proof whose documents are in the repository is judged
//! again. One whose documents are elsewhere is a claim, and a change cannot bring its own: see [`in_change`].

use std::collections::BTreeMap;
use std::path::Path;

use custody_billing::BillingOutcome;
use custody_contract::file::locate;
use custody_contract::{CredentialRef, Diagnostic, Environment, Evaluation, Evidence, Fingerprint, Place};
use custody_credential::prove::{
    Admission, Proof, ProofRule, ProofState, Recheck, claims_read_only, how_to_prove, proof_path, speaks,
};

use crate::decision::count;
use crate::input::GateInput;
use crate::parts::EnvPart;

/// What is said of proofs.
#[derive(Debug, Default)]
pub(crate) struct Proofs {
    pub evaluation: Evaluation,
    /// Waivers that let a credential pass.
    pub waivers: Vec<String>,
}

/// A credential's proof as it stands.
struct Stored {
    state: ProofState,
    recheck: Recheck,
    digest: String,
    note: Option<&'static str>,
}

/// Evaluates the proofs of all credentials that need one.
pub(crate) fn evaluate(input: &GateInput<'_>, env: &EnvPart, billing: &BillingOutcome) -> Proofs {
    let rule = ProofRule::of(input.contract, input.environment, input.root, input.now);
    let asked = asked(input, env, billing);
    if asked.is_empty() {
        let why = "no credential here claims to be read-only at a provider whose policies are read";
        return Proofs { evaluation: Evaluation::not_applicable(why), waivers: Vec::new() };
    }
    let mut proofs = Proofs::default();
    let mut proven = 0;
    for (reference, place) in &asked {
        let path = path(input, reference);
        let stored = stored(input, &rule, reference, &path);
        let problem = |diagnostic: Diagnostic, why: String| {
            let diagnostic = diagnostic.at(place.clone()).why(match stored.note {
                Some(note) => format!("{why}; {note}"),
                None => why,
            });
            diagnostic.fix(how_to_prove(reference))
        };
        let said = match rule.settle(reference, stored.state.clone()) {
            Admission::Proven(proof) => {
                proven += 1;
                proofs.evaluation.evidence.push(evidence(&path, reference, &proof, &stored));
                continue;
            }
            Admission::NotAsked => continue,
            Admission::Refused(why) => {
                problem(Diagnostic::error("CRED-3", format!("{reference} is not proven read-only")), why)
            }
            Admission::Unproven(why) => {
                problem(Diagnostic::warning("CRED-3", format!("{reference} is not proven read-only")), why)
            }
            Admission::Waived { waiver, why } => {
                let what = format!("{reference} is not proven read-only, by waiver {waiver}");
                proofs.waivers.push(waiver);
                problem(Diagnostic::warning("CRED-3", what), why)
            }
        };
        proofs.evaluation.problems.push(said);
    }
    let what = format!("credentials that claim to be read-only, proofs in {}", input.contract.proof_directory);
    proofs.evaluation.saw(what, format!("{}, {proven} proven", count(asked.len(), "credential")));
    proofs
}

/// The credentials that need a proof, each with the place that names it first.
fn asked(input: &GateInput<'_>, env: &EnvPart, billing: &BillingOutcome) -> BTreeMap<CredentialRef, Place> {
    let mut asked = BTreeMap::new();
    let mut ask = |reference: &CredentialRef, place: &dyn Fn() -> Place, is_billing: bool| {
        // One that carries secret material is CRED-4's, and is not named.
        let is_opaque = CredentialRef::parse_with(reference.as_str(), input.engine).is_ok();
        if is_opaque && speaks(reference).is_some() && (is_billing || claims_read_only(reference)) {
            asked.entry(reference.clone()).or_insert_with(place);
        }
    };
    for (index, item) in input.contract.credentials.iter().enumerate() {
        if item.applies_to(input.environment) {
            let index = index.to_string();
            let place = || locate(input.contract_text, input.contract_file(), &["credential", &index, "reference"]);
            ask(&item.reference, &place, false);
        }
    }
    for (reference, place) in &env.references {
        if is_used(input, reference, &place.file) {
            ask(reference, &|| place.clone(), false);
        }
    }
    for (reference, place) in billing.documents.iter().flat_map(|document| &document.references) {
        ask(reference, &|| place.clone(), true);
    }
    asked
}

/// Whether a reference in a template or deployment file is one of this environment: not where the registry leaves the
/// environment out, and not in a file that the contract names for other environments only.
fn is_used(input: &GateInput<'_>, reference: &CredentialRef, file: &str) -> bool {
    let contract = input.contract;
    let names = |environment| {
        let item = contract.environments.get(environment);
        item.is_some_and(|item| item.templates.is_match(file) || item.deployments.is_match(file))
    };
    let elsewhere = Environment::ALL.into_iter().any(names) && !names(input.environment);
    !elsewhere && contract.credential(reference).is_none_or(|item| item.applies_to(input.environment))
}

/// Where the proof lies, relative to the root.
fn path(input: &GateInput<'_>, reference: &CredentialRef) -> String {
    proof_path(Path::new(&input.contract.proof_directory), reference).to_string_lossy().into_owned()
}

fn stored(input: &GateInput<'_>, rule: &ProofRule<'_>, reference: &CredentialRef, path: &str) -> Stored {
    let bytes = match input.tree.read(path) {
        Ok(bytes) => Some(bytes),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => {
            let state = ProofState::Unusable(error.kind().to_string());
            return Stored { state, recheck: Recheck::Elsewhere, digest: String::new(), note: None };
        }
    };
    let Some(bytes) = bytes else {
        return Stored { state: ProofState::Missing, recheck: Recheck::Elsewhere, digest: String::new(), note: None };
    };
    let (state, recheck) = rule.state_from(reference, &bytes, &|name| input.tree.read(name).ok());
    let now = Stored { state, recheck, digest: Fingerprint::of(&bytes).to_string(), note: None };
    in_change(input, rule, reference, path, &bytes, now)
}

/// With a base: a proof that the change brings or alters counts if its documents are here and were judged again, or are
/// those of the base's proof, judged later. Else the base's counts, for a change could write what it likes.
fn in_change(
    input: &GateInput<'_>,
    rule: &ProofRule<'_>,
    reference: &CredentialRef,
    path: &str,
    bytes: &[u8],
    now: Stored,
) -> Stored {
    let (Some(base), ProofState::Valid(proof)) = (input.base, &now.state) else { return now };
    let before = base.in_force().read(path).ok().flatten();
    if now.recheck == Recheck::JudgedAgain || before.as_deref() == Some(bytes) {
        return now;
    }
    const NOTE: &str = "the change brings another proof, of documents that are not here; it counts once it is merged";
    let Some(before) = before else {
        return Stored { state: ProofState::Missing, note: Some(NOTE), ..now };
    };
    let earlier = serde_json::from_slice::<Proof>(&before).ok();
    if earlier.is_some_and(|e| e.inputs == proof.inputs && e.managed == proof.managed && e.exports == proof.exports) {
        return now;
    }
    let read = |name: &str| base.in_force().read(name).ok().flatten();
    let (state, recheck) = rule.state_from(reference, &before, &read);
    Stored { state, recheck, digest: Fingerprint::of(&before).to_string(), note: Some(NOTE) }
}

fn evidence(path: &str, reference: &CredentialRef, proof: &Proof, stored: &Stored) -> Evidence {
    let documents = count(proof.inputs.len() + proof.managed.len(), "document");
    let again = if stored.recheck == Recheck::JudgedAgain { "judged again" } else { "not in the repository" };
    let inputs: Vec<String> = proof.inputs.iter().map(|i| format!("sha256:{}", i.sha256)).collect();
    let tables: Vec<String> =
        proof.tables.iter().map(|t| format!("{} {} sha256:{}", t.name, t.version, t.sha256)).collect();
    let verdict = &proof.verdict;
    Evidence {
        what: path.to_owned(),
        amount: format!("{reference}: {}, {}, of {documents} ({again})", verdict.access, verdict.exposure),
        with: Some([vec![format!("proof {}", stored.digest)], inputs, tables].concat().join(", ")),
    }
}
