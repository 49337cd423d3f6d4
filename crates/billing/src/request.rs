//! The request of an ingest: read, checked and normalised (CRED-2 to CRED-4, BILL-1 to BILL-3).

use std::collections::BTreeMap;

use custody_contract::{AuthMode, CredentialRef, RefProblem};
use jiff::civil::Date;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::adapter::{AdapterResolution, ToolHint};
use crate::auth_fields;
use crate::check::BillingCheck;
use crate::fields;
use crate::json::{Node, Spot, Value};
use crate::problem::{Fault, Faults};

mod context;
mod credential;
mod owner;

pub use context::RequestContext;

/// Scope fields that every adapter's request may have.
const SCOPE_FIELDS: [&str; 5] =
    ["workspaceScope", "accountScope", "subscriptionScope", "billingAccountScope", "tenantScope"];

/// The other fields of a request.
const FIELDS: [&str; 11] = [
    "integrationRunId",
    "startDate",
    "endDate",
    "currency",
    "mappingProfile",
    "ingestMode",
    "credentialRef",
    "authMode",
    "providerScope",
    "adapterId",
    "providerAdapterId",
];

/// What is added to the warnings of a local run without a credential reference (BILL-1).
pub(crate) const LOCAL_WARNING: &str = "credentialRef not provided; using local development source profile.";

/// A request as an adapter gets it: nothing left open, nothing unchecked.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NormalisedRequest {
    /// The adapter that takes it: the resolved one.
    pub adapter_id: String,
    /// How the adapter was resolved.
    pub adapter_resolution: AdapterResolution,
    /// The run.
    pub integration_run_id: String,
    /// What period, in what currency.
    pub period: Period,
    /// Whether the provider is called.
    pub ingest_mode: IngestMode,
    /// Which credential; absent in local runs only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub credential_ref: Option<CredentialRef>,
    /// What the credential may do; `read-only` where the request leaves it out (BILL-2).
    pub auth_mode: AuthMode,
    /// How provider data become canonical.
    pub mapping_profile: String,
    /// The scopes, by field.
    #[serde(flatten)]
    pub scopes: BTreeMap<String, Vec<String>>,
    /// Scoping of the provider's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider_scope: Option<serde_json::Value>,
    /// The context of the call.
    pub context: RequestContext,
    /// Provenance warnings that the handoff must carry.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// A billing period; both days belong to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Period {
    /// First day.
    #[schemars(with = "String", extend("format" = "date"))]
    pub start_date: Date,
    /// Last day, inclusive.
    #[schemars(with = "String", extend("format" = "date"))]
    pub end_date: Date,
    /// ISO 4217 code.
    pub currency: String,
}

/// Whether an ingest calls the provider.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum IngestMode {
    /// It computes the same figures for the same request, and calls nobody.
    #[default]
    Deterministic,
    /// It calls the provider.
    Live,
}

impl IngestMode {
    fn parse(text: &str) -> Option<Self> {
        match text {
            "deterministic" => Some(IngestMode::Deterministic),
            "live" => Some(IngestMode::Live),
            _ => None,
        }
    }
}

/// What was read of a request.
pub(crate) struct Reading {
    pub(crate) adapter: Option<String>,
    pub(crate) request: Option<NormalisedRequest>,
    pub(crate) references: Vec<(CredentialRef, Spot)>,
}

/// Reads a request, bare or in a `{context, input}` envelope.
pub(crate) fn read(
    check: &BillingCheck<'_>,
    root: &Node,
    name: &str,
    hint: Option<&ToolHint>,
    faults: &mut Faults,
) -> Reading {
    auth_fields::check(root, faults);
    let input = match input_of(root) {
        Some(input) if !input.is_object() => {
            let what = format!("input must be an object, not {}", input.kind());
            faults.push(Fault::validation(Spot::of(input), "wrong_type", what).fix("put the request there"));
            let adapter = check.adapter_by_name(name, hint).map(|a| a.id.to_string());
            return Reading { adapter, request: None, references: Vec::new() };
        }
        Some(input) => input,
        None => root,
    };
    let envelope = !std::ptr::eq(input, root);
    unknown_fields(check, root, input, envelope, faults);
    let owner = owner::resolve(check, input, name, hint, faults);
    let provider = owner.as_ref().map(|o| o.provider.as_str());
    let adapter_name = owner.as_ref().map_or("the request's adapter", |o| o.resolution.resolved_adapter_id.as_str());

    let run_id = fields::text(input, "integrationRunId", "", faults);
    let dates = fields::period(input, "", faults);
    let currency = fields::currency(input, "", faults);
    let profile =
        mapping_profile(check, input, owner.as_ref().map(|o| o.resolution.requested_adapter_id.as_str()), faults);
    let auth_mode = credential::auth_mode(input, adapter_name, faults);
    let ingest_mode = ingest_mode(check, input, faults);
    let reference = credential::reference(check, input, ingest_mode, provider, faults);
    let scopes = scopes(check, input, owner.as_ref().map(|o| o.resolution.resolved_adapter_id.as_str()), faults);
    let provider_scope = provider_scope(input, faults);
    let context = context::read(root.get("context").filter(|_| envelope), run_id, faults);

    let references =
        reference.iter().filter_map(|r| Some((r.clone(), Spot::of(input.get("credentialRef")?)))).collect();
    let adapter = owner.as_ref().map(|o| o.resolution.resolved_adapter_id.clone());
    let warnings = match reference {
        None if input.get("credentialRef").is_none() => vec![LOCAL_WARNING.to_owned()],
        _ => Vec::new(),
    };
    let request = (|| {
        let owner = owner?;
        let (start_date, end_date) = dates?;
        Some(NormalisedRequest {
            adapter_id: owner.resolution.resolved_adapter_id.clone(),
            adapter_resolution: owner.resolution,
            integration_run_id: run_id?.to_owned(),
            period: Period { start_date, end_date, currency: currency?.to_owned() },
            ingest_mode,
            credential_ref: reference,
            auth_mode: auth_mode?,
            mapping_profile: profile?,
            scopes,
            provider_scope,
            context: context?,
            warnings,
        })
    })();
    Reading { adapter, request, references }
}

/// The request inside an envelope: where both `context` and `input` are there, as the first user's server decides it.
pub(crate) fn input_of(root: &Node) -> Option<&Node> {
    root.get("context").and(root.get("input"))
}

fn unknown_fields(check: &BillingCheck<'_>, root: &Node, input: &Node, envelope: bool, faults: &mut Faults) {
    let unknown = |spot: Spot, what: &str| {
        let fault = Fault::validation(spot, "unknown_field", what).why("no adapter reads it").warning();
        fault.fix("remove it, or put provider-specific scoping into providerScope")
    };
    if envelope {
        for member in root.members().iter().filter(|m| m.key != "context" && m.key != "input") {
            faults.push(unknown(
                Spot::at_key(member.key_start),
                "a field beside context and input that no adapter knows",
            ));
        }
    } else if let Some(half) = ["context", "input"].into_iter().find_map(|field| root.get(field)) {
        let what = "one of context and input without the other";
        let fault = Fault::validation(Spot::of(half), "incomplete_envelope", what);
        let fault = fault.why("an envelope has both, a bare request neither");
        faults.push(fault.fix("add the other, or write the request bare"));
    }
    for member in input.members() {
        let key = member.key.as_str();
        let known = FIELDS.contains(&key)
            || SCOPE_FIELDS.contains(&key)
            || check.registry().of_scope_field(key).is_some()
            || (!envelope && matches!(key, "context" | "input"));
        if !known && !auth_fields::is_auth_bearing(key) {
            faults.push(unknown(Spot::at_key(member.key_start), "a field that no adapter knows"));
        }
    }
}

/// `default-aws-billing-v1`: lower-case words and a version.
fn mapping_profile(
    check: &BillingCheck<'_>,
    input: &Node,
    adapter: Option<&str>,
    faults: &mut Faults,
) -> Option<String> {
    if input.get("mappingProfile").is_none() {
        let spot = Spot::missing(input, "mappingProfile");
        let fault = Fault::validation(spot, "missing_mapping_profile", "mappingProfile is missing");
        faults.push(fault.fix("add mappingProfile, such as default-aws-billing-v1"));
        return None;
    }
    let text = fields::text(input, "mappingProfile", "", faults)?;
    let spot = Spot::of(input.get("mappingProfile")?);
    let version = |w: &str| w.strip_prefix('v').is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()));
    let word = |w: &str| !w.is_empty() && w.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    let (words, last) = text.rsplit_once('-').unwrap_or(("", text));
    if !version(last) || !words.split('-').all(word) {
        let fault = Fault::validation(spot, "invalid_mapping_profile", "mappingProfile is not a profile's name");
        faults.push(
            fault
                .why("a name is lower-case words and a version, joined by hyphens")
                .fix("write a name such as default-aws-billing-v1"),
        );
        return None;
    }
    let named = check.registry().of_profile(text).map(|a| a.id.as_str());
    if let (Some(named), Some(adapter)) = (named, adapter)
        && named != adapter
        && check.registry().get(adapter).is_some()
    {
        let what = format!("mappingProfile is one of {named}, the request is for {adapter}");
        let fault = Fault::validation(spot, "mapping_profile_of_other_adapter", what);
        faults.push(fault.fix(format!("use a profile of {adapter}")));
        return None;
    }
    Some(text.to_owned())
}

fn ingest_mode(check: &BillingCheck<'_>, input: &Node, faults: &mut Faults) -> IngestMode {
    const FIX: &str = "write deterministic or live";
    if let Some(node) = input.get("ingestMode") {
        if let Some(mode) = node.as_str().and_then(IngestMode::parse) {
            return mode;
        }
        let fault =
            Fault::validation(Spot::of(node), "invalid_ingest_mode", "ingestMode is neither deterministic nor live");
        faults.push(fault.fix(FIX));
    }
    match check.variables.get("BILLING_INGEST_MODE").map(String::as_str) {
        None | Some("") => IngestMode::Deterministic,
        Some(value) => IngestMode::parse(value).unwrap_or_else(|| {
            let what = "BILLING_INGEST_MODE is neither deterministic nor live";
            faults.push(Fault::validation(Spot::of(input), "invalid_variable", what).fix(FIX));
            IngestMode::Deterministic
        }),
    }
}

fn scopes(
    check: &BillingCheck<'_>,
    input: &Node,
    adapter: Option<&str>,
    faults: &mut Faults,
) -> BTreeMap<String, Vec<String>> {
    let own = check.registry().iter().filter_map(|a| a.scope_field.as_deref());
    let names: std::collections::BTreeSet<&str> = SCOPE_FIELDS.into_iter().chain(own).collect();
    let mut scopes = BTreeMap::new();
    for name in names {
        let Some(node) = input.get(name) else { continue };
        if let (Some(owner), Some(adapter)) = (check.registry().of_scope_field(name), adapter)
            && owner.id.as_str() != adapter
        {
            let what = format!("{name} belongs to {}, the request is for {adapter}", owner.id);
            let fault = Fault::validation(Spot::of(node), "scope_of_other_adapter", what).warning();
            faults.push(fault.fix("remove it, or send the request to the other adapter"));
        }
        if let Some(list) = fields::strings(node, name, "", faults) {
            scopes.insert(name.to_owned(), list);
        }
    }
    scopes
}

fn provider_scope(input: &Node, faults: &mut Faults) -> Option<serde_json::Value> {
    let node = input.get("providerScope")?;
    if matches!(node.value, Value::Object(_)) {
        return Some(node.to_json());
    }
    let what = format!("providerScope must be an object, not {}", node.kind());
    let fault = Fault::validation(Spot::of(node), "wrong_type", what);
    faults.push(fault.fix("write an object, such as {\"datasetRegion\": \"us-central1\"}"));
    None
}

/// What is wrong with a reference, without its text.
fn reference_problem(problem: &RefProblem) -> &'static str {
    match problem {
        RefProblem::SecretMaterial { .. } => "secret_in_credential_ref",
        _ => "malformed_credential_ref",
    }
}
