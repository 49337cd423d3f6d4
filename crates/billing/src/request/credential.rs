//! Auth mode and credential reference (CRED-3, CRED-4, BILL-1 to BILL-3): every problem with them is an `auth_error`.

use custody_contract::{AuthMode, CredentialRef};

use super::{IngestMode, reference_problem};
use crate::check::{BillingCheck, Mode};
use crate::json::{Node, Spot, Value};
use crate::problem::{Fault, Faults};

/// Words that say a mode and nothing else, so that a message may repeat them.
const HARMLESS: &[&str] = &[
    "admin",
    "administrator",
    "contributor",
    "full",
    "full-access",
    "manage",
    "none",
    "owner",
    "read",
    "read-write",
    "read_only",
    "read_write",
    "readonly",
    "readwrite",
    "ro",
    "rw",
    "write",
    "write-only",
    "writeonly",
];

/// The auth mode: `read-only` where the request leaves it out (BILL-2), and nothing else (CRED-3, BILL-3).
pub(super) fn auth_mode(input: &Node, adapter: &str, faults: &mut Faults) -> Option<AuthMode> {
    let supported = AuthMode::ALL.map(AuthMode::as_str).join(", ");
    let fix = format!("set authMode to {supported}, or leave it out");
    let Some(node) = input.get("authMode") else { return Some(AuthMode::default()) };
    let spot = Spot::of(node);
    let fault = match &node.value {
        Value::Null => Fault::auth(
            spot,
            "null_auth_mode",
            format!("authMode of a request for {adapter} is null; supported: {supported}"),
        )
        .clause("BILL-2")
        .why("null is not an omission, and no mode"),
        Value::String(text) if text.is_empty() => {
            let what = format!("authMode of a request for {adapter} is empty; supported: {supported}");
            Fault::auth(spot, "empty_auth_mode", what)
                .clause("BILL-2")
                .why("an empty string is not an omission, and no mode")
        }
        Value::String(text) => match text.parse::<AuthMode>() {
            Ok(mode) => return Some(mode),
            Err(_) => {
                let lower = text.to_ascii_lowercase();
                let shown = HARMLESS
                    .iter()
                    .find(|w| **w == lower)
                    .map_or("the given mode".to_owned(), |w| format!("auth mode {w}"));
                let what = format!("{adapter} does not support {shown}; supported: {supported}");
                Fault::auth(spot, "unsupported_auth_mode", what)
                    .clause("CRED-3")
                    .why("tier-1 ingest reads and changes nothing")
            }
        },
        _ => {
            let what = format!(
                "authMode of a request for {adapter} must be a string, not {}; supported: {supported}",
                node.kind()
            );
            Fault::auth(spot, "unsupported_auth_mode", what).clause("CRED-3")
        }
    };
    faults.push(fault.fix(fix));
    None
}

/// The credential reference, and whether one is needed (BILL-1).
pub(super) fn reference(
    check: &BillingCheck<'_>,
    input: &Node,
    ingest_mode: IngestMode,
    provider: Option<&str>,
    faults: &mut Faults,
) -> Option<CredentialRef> {
    let node = input.get("credentialRef");
    let reference = node.and_then(|node| parse(check, node, provider, faults));
    if node.is_none() {
        missing(check, input, ingest_mode, faults);
    }
    if ingest_mode == IngestMode::Live {
        for (variable, reason) in [
            ("FICECAL_CREDENTIALS_BACKEND", "missing_credentials_backend"),
            ("FICECAL_SECRET_RESOLVER_ENDPOINT", "missing_secret_resolver_endpoint"),
        ] {
            if check.variables.get(variable).is_none_or(|value| value.trim().is_empty()) {
                let fault = Fault::auth(Spot::of(input), reason, format!("{variable} is not set"));
                faults.push(fault.why("live ingest resolves its credential through it").fix(format!("set {variable}")));
            }
        }
    }
    reference
}

fn missing(check: &BillingCheck<'_>, input: &Node, ingest_mode: IngestMode, faults: &mut Faults) {
    let spot = Spot::missing(input, "credentialRef");
    let fix = "add credentialRef, such as cred://aws/production/readonly";
    let required = check.contract.credential_ref_required.contains(&check.environment);
    // The script that is replaced does not know environments.
    if ingest_mode == IngestMode::Live || (required && check.mode == Mode::Strict) {
        let why = if required {
            format!("it is required in {}", check.environment)
        } else {
            "live ingest needs a credential".to_owned()
        };
        let fault = Fault::auth(spot, "missing_credential_ref", "credentialRef is missing").clause("BILL-1");
        faults.push(fault.why(why).fix(fix));
    } else {
        let fault =
            Fault::auth(spot, "local_source_profile", super::LOCAL_WARNING.trim_end_matches('.')).clause("BILL-1");
        faults.push(fault.why("a reference is optional in local development").fix(fix).warning());
    }
}

fn parse(check: &BillingCheck<'_>, node: &Node, provider: Option<&str>, faults: &mut Faults) -> Option<CredentialRef> {
    const FIX: &str = "write cred://provider/scope/access, such as cred://aws/production/readonly, or leave credentialRef out in local runs";
    let spot = Spot::of(node);
    let Some(text) = node.as_str() else {
        let what = format!("credentialRef must be a string, not {}", node.kind());
        let null = matches!(node.value, Value::Null);
        let reason = if null { "null_credential_ref" } else { "invalid_credential_ref" };
        faults.push(Fault::auth(spot, reason, what).clause("CRED-4").fix(FIX));
        return None;
    };
    if text.is_empty() {
        let fault = Fault::auth(spot, "empty_credential_ref", "credentialRef is empty").clause("CRED-4");
        faults.push(fault.why("an empty string is not an omission").fix(FIX));
        return None;
    }
    let reference = match CredentialRef::parse_with(text, check.detector) {
        Ok(reference) => reference,
        Err(error) => {
            let fault =
                Fault::auth(spot, reference_problem(&error.problem), "credentialRef is not an opaque reference")
                    .clause("CRED-4");
            faults.push(fault.why(error.to_string()).fix(FIX));
            return None;
        }
    };
    if let Some(provider) = provider
        && reference.provider() != provider
    {
        let what = format!("credentialRef is not one of provider {provider}");
        let fault = Fault::auth(spot, "credential_ref_of_other_provider", what).clause("CRED-4");
        faults.push(
            fault
                .why("a credential opens its own provider only")
                .fix(format!("name a reference that starts with cred://{provider}/")),
        );
        return None;
    }
    Some(reference)
}
