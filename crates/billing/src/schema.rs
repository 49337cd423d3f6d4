//! The published JSON Schemas of request and handoff.
//!
//! They say what a schema can say. Calendar, currencies, agreement and secrets are the validator's.

use std::collections::BTreeMap;

use custody_contract::{AuthMode, CredentialRef};
use schemars::{JsonSchema, Schema, generate::SchemaSettings};
use serde::{Deserialize, Serialize};

use crate::handoff::BillingHandoff;
use crate::request::IngestMode;

/// A billing request, bare or in an envelope.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(title = "Billing request")]
enum BillingRequest {
    /// With the context of the call.
    Envelope(Envelope),
    /// The request alone; its run's id stands for request and trace.
    Bare(Box<Request>),
}

/// A request with its context.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Envelope {
    /// The context of the call.
    context: Context,
    /// The request.
    input: Box<Request>,
}

/// The context of a call.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Context {
    /// The call.
    #[schemars(length(min = 1, max = 512))]
    request_id: String,
    /// The trace.
    #[schemars(length(min = 1, max = 512))]
    trace_id: String,
    /// The workspace.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(min = 1, max = 512))]
    workspace_id: String,
    /// The caller's mode.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(min = 1, max = 512))]
    mode: String,
}

/// A request to ingest one billing period.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Request {
    /// The run.
    #[schemars(length(min = 1, max = 512))]
    integration_run_id: String,
    /// First day.
    #[schemars(extend("format" = "date"), regex(pattern = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"))]
    start_date: String,
    /// Last day, inclusive.
    #[schemars(extend("format" = "date"), regex(pattern = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"))]
    end_date: String,
    /// ISO 4217 code.
    #[schemars(regex(pattern = r"^[A-Z]{3}$"))]
    currency: String,
    /// How provider data become canonical; immutable once released.
    #[schemars(regex(pattern = r"^[a-z0-9]+(?:-[a-z0-9]+)*-v[0-9]+$"), extend("examples" = ["default-aws-billing-v1"]))]
    mapping_profile: String,
    /// Whether the provider is called; BILLING_INGEST_MODE where it is left out, else deterministic.
    #[serde(default)]
    ingest_mode: IngestMode,
    /// Which credential; optional in local development, required for stage and prod (BILL-1).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "CredentialRef")]
    credential_ref: Option<CredentialRef>,
    /// What the credential may do (CRED-3); read-only where it is left out (BILL-2).
    #[serde(default)]
    auth_mode: AuthMode,
    /// OpenOps workspaces.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(inner(length(min = 1)))]
    workspace_scope: Vec<String>,
    /// AWS accounts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(inner(length(min = 1)))]
    account_scope: Vec<String>,
    /// Azure subscriptions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(inner(length(min = 1)))]
    subscription_scope: Vec<String>,
    /// GCP billing accounts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(inner(length(min = 1)))]
    billing_account_scope: Vec<String>,
    /// Tenants.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(inner(length(min = 1)))]
    tenant_scope: Vec<String>,
    /// Scoping of the provider's own.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    provider_scope: BTreeMap<String, serde_json::Value>,
}

/// The JSON Schema (2020-12) of a billing request.
pub fn request_schema() -> Schema {
    schema::<BillingRequest>("billing-request")
}

/// The JSON Schema (2020-12) of a canonical handoff.
pub fn handoff_schema() -> Schema {
    schema::<BillingHandoff>("billing-handoff")
}

fn schema<T: JsonSchema>(name: &str) -> Schema {
    let mut schema = SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<T>();
    schema.insert("$id".into(), format!("https://custody.dev/schemas/{name}.schema.json").into());
    schema
}
