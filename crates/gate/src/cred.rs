//! CRED-1 to CRED-4: requests carry references only, and references carry no secret.

use custody_billing::BillingOutcome;
use custody_contract::{CredentialRef, Diagnostic, Evaluation, SecretRecogniser, Surface};

use crate::decision::count;
use crate::input::GateInput;
use crate::parts::{EnvPart, both};
use crate::surfaces::Seen;

/// CRED-1: what the billing crate says, and the findings in requests that it handed over.
pub(crate) fn no_raw_secrets(billing: &BillingOutcome, seen: &Seen<'_>) -> Evaluation {
    let mut evaluation = billing.cred1.clone();
    // A finding that the contract lets pass makes the clause hold; one that blocks makes it fail, once.
    evaluation.findings.retain(|f| seen.findings.iter().all(|known| known.fingerprint != *f));
    if evaluation.not_applicable.is_none() {
        seen.findings_on(Some(Surface::Request), "CRED-1", &mut evaluation);
    }
    evaluation
}

/// CRED-4: references in requests, in templates and in the rotation registry.
pub(crate) fn opaque_references(input: &GateInput<'_>, env: &EnvPart, billing: &BillingOutcome) -> Evaluation {
    both(both(billing.cred4.clone(), env.cred4.clone()), registry(input))
}

fn registry(input: &GateInput<'_>) -> Evaluation {
    let credentials = &input.contract.credentials;
    if credentials.is_empty() {
        return Evaluation::not_applicable("the rotation registry is empty");
    }
    let recogniser: &dyn SecretRecogniser = input.engine;
    let mut evaluation = Evaluation::default();
    for (index, item) in credentials.iter().enumerate() {
        if let Err(error) = CredentialRef::parse_with(item.reference.as_str(), recogniser) {
            let path = ["credential", &index.to_string(), "reference"];
            let place = custody_contract::file::locate(input.contract_text, input.contract_file(), &path);
            evaluation.problems.push(
                Diagnostic::error("CRED-4", "a registered reference carries secret material")
                    .at(place)
                    .why(error.to_string())
                    .fix("name the credential by words, and rotate the secret: it has leaked"),
            );
        }
    }
    evaluation.saw(format!("rotation registry of {}", input.contract_file()), count(credentials.len(), "reference"));
    evaluation
}
