//! The canonical handoff: what an ingest hands on (VAL-1).

use custody_contract::file::Adapter;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::adapter::Registry;
use crate::fields::{self, Range};
use crate::json::{Node, Spot, Value};
use crate::problem::{Fault, Faults};

const CLAUSE: &str = "VAL-1";

/// The canonical handoff of one ingest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(title = "Canonical billing handoff")]
pub struct BillingHandoff {
    /// The run; equal to the request's.
    #[schemars(length(min = 1, max = 512))]
    pub integration_run_id: String,
    /// The adapter that made it.
    #[schemars(regex(pattern = r"^[a-z0-9]+(?:-[a-z0-9]+)*-billing$"))]
    pub provider_adapter_id: String,
    /// What it covers; equal to the request's.
    pub scope: Scope,
    /// The figures.
    pub canonical: Canonical,
    /// What the figures rest on.
    pub provenance: Provenance,
}

/// The period and currency of a handoff.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Scope {
    /// First day.
    #[schemars(extend("format" = "date"), regex(pattern = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"))]
    pub start_date: String,
    /// Last day, inclusive.
    #[schemars(extend("format" = "date"), regex(pattern = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"))]
    pub end_date: String,
    /// ISO 4217 code.
    #[schemars(regex(pattern = r"^[A-Z]{3}$"))]
    pub currency: String,
}

/// The figures of a handoff.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Canonical {
    /// The period's total cost.
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub infra_total: f64,
    /// The percentage of it that is commitment-eligible.
    #[schemars(range(min = 0, max = 100))]
    pub cud_pct: f64,
    /// The budget.
    #[schemars(range(min = 0))]
    pub budget_cap: f64,
    /// How many cost rows stand behind it.
    pub n_ref: u64,
}

/// What the figures rest on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Provenance {
    /// What made it, such as `aws-readonly-v1.0.0`.
    #[schemars(length(min = 1, max = 512))]
    pub source_version: String,
    /// How much of the cost was mapped.
    #[schemars(range(min = 0, max = 100))]
    pub coverage_pct: f64,
    /// How sure the mapping is.
    pub mapping_confidence: MappingConfidence,
    /// What a reader should know.
    pub warnings: Vec<String>,
}

/// How sure a mapping is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum MappingConfidence {
    /// Guessed in parts.
    Low,
    /// Mostly exact.
    Medium,
    /// Exact.
    High,
}

/// Reads a handoff. `expected` is the adapter that its place names.
pub(crate) fn read(
    registry: Registry<'_>,
    root: &Node,
    expected: Option<&Adapter>,
    faults: &mut Faults,
) -> (Option<String>, Option<BillingHandoff>) {
    known_fields(root, &["integrationRunId", "providerAdapterId", "scope", "canonical", "provenance"], faults);
    let run_id = fields::text(root, "integrationRunId", CLAUSE, faults);
    let id = fields::text(root, "providerAdapterId", CLAUSE, faults);
    let adapter = match (id, expected) {
        (Some(id), Some(expected)) if id != expected.id.as_str() => {
            let what = format!("providerAdapterId is not {}, whose tool it is in", expected.id);
            refuse(root, "providerAdapterId", "adapter_mismatch", what, faults);
            Some(expected)
        }
        (Some(id), None) if registry.get(id).is_none() => {
            let what = "no adapter has this providerAdapterId".to_owned();
            refuse(root, "providerAdapterId", "unknown_adapter", what, faults);
            None
        }
        (Some(id), None) => registry.get(id),
        (_, expected) => expected,
    };
    let scope = object(root, "scope", faults).and_then(|node| scope(node, faults));
    let canonical = object(root, "canonical", faults).and_then(|node| canonical(node, faults));
    let provenance = object(root, "provenance", faults).and_then(|node| provenance(node, adapter, faults));
    let handoff = (|| {
        Some(BillingHandoff {
            integration_run_id: run_id?.to_owned(),
            provider_adapter_id: id?.to_owned(),
            scope: scope?,
            canonical: canonical?,
            provenance: provenance?,
        })
    })();
    (adapter.map(|a| a.id.to_string()), handoff)
}

fn refuse(object: &Node, field: &'static str, reason: &'static str, what: String, faults: &mut Faults) {
    let spot = object.get(field).map_or_else(|| Spot::missing(object, field), Spot::of);
    faults.push(Fault::validation(spot, reason, what).clause(CLAUSE).fix("write the id of the adapter that made it"));
}

fn known_fields(object: &Node, known: &[&str], faults: &mut Faults) {
    for member in object.members().iter().filter(|m| !known.contains(&m.key.as_str())) {
        let spot = Spot::at_key(member.key_start);
        let fault = Fault::validation(spot, "unknown_field", "a field that the handoff does not have").clause(CLAUSE);
        faults.push(fault.warning().fix("remove it"));
    }
}

fn object<'n>(root: &'n Node, field: &'static str, faults: &mut Faults) -> Option<&'n Node> {
    let Some(node) = root.get(field) else {
        let fault = Fault::validation(Spot::missing(root, field), "missing_field", format!("{field} is missing"));
        faults.push(fault.clause(CLAUSE).fix(format!("add {field}, an object")));
        return None;
    };
    if node.is_object() {
        return Some(node);
    }
    let what = format!("{field} must be an object, not {}", node.kind());
    faults.push(Fault::validation(Spot::of(node), "wrong_type", what).clause(CLAUSE).fix("write an object"));
    None
}

fn scope(node: &Node, faults: &mut Faults) -> Option<Scope> {
    known_fields(node, &["startDate", "endDate", "currency"], faults);
    let dates = fields::period(node, CLAUSE, faults);
    let currency = fields::currency(node, CLAUSE, faults)?;
    let (start, end) = dates?;
    Some(Scope { start_date: start.to_string(), end_date: end.to_string(), currency: currency.to_owned() })
}

fn canonical(node: &Node, faults: &mut Faults) -> Option<Canonical> {
    known_fields(node, &["infraTotal", "cudPct", "budgetCap", "nRef"], faults);
    let infra_total = fields::number(node, "infraTotal", Range::Positive, faults);
    let cud_pct = fields::number(node, "cudPct", Range::Percent, faults);
    let budget_cap = fields::number(node, "budgetCap", Range::NotNegative, faults);
    let n_ref = fields::number(node, "nRef", Range::Count, faults);
    Some(Canonical { infra_total: infra_total?, cud_pct: cud_pct?, budget_cap: budget_cap?, n_ref: n_ref? as u64 })
}

fn provenance(node: &Node, adapter: Option<&Adapter>, faults: &mut Faults) -> Option<Provenance> {
    known_fields(node, &["sourceVersion", "coveragePct", "mappingConfidence", "warnings"], faults);
    let source_version = fields::text(node, "sourceVersion", CLAUSE, faults);
    if let (Some(version), Some(prefix)) = (source_version, adapter.and_then(|a| a.source_version_prefix.as_deref()))
        && !version.starts_with(prefix)
    {
        let spot = node.get("sourceVersion").map_or(Spot::of(node), Spot::of);
        let fault =
            Fault::validation(spot, "wrong_source_version", format!("sourceVersion does not start with {prefix}"));
        faults.push(
            fault.clause(CLAUSE).fix(format!("write the version of the source that made it, such as {prefix}v1.0.0")),
        );
    }
    let coverage_pct = fields::number(node, "coveragePct", Range::Percent, faults);
    let mapping_confidence = confidence(node, faults);
    let warnings = warnings(node, adapter, faults);
    Some(Provenance {
        source_version: source_version?.to_owned(),
        coverage_pct: coverage_pct?,
        mapping_confidence: mapping_confidence?,
        warnings: warnings?,
    })
}

fn confidence(node: &Node, faults: &mut Faults) -> Option<MappingConfidence> {
    let field = node.get("mappingConfidence");
    match field.and_then(Node::as_str) {
        Some("low") => return Some(MappingConfidence::Low),
        Some("medium") => return Some(MappingConfidence::Medium),
        Some("high") => return Some(MappingConfidence::High),
        _ => {}
    }
    let spot = field.map_or_else(|| Spot::missing(node, "mappingConfidence"), Spot::of);
    let reason = if field.is_some() { "invalid_mapping_confidence" } else { "missing_field" };
    let fault = Fault::validation(spot, reason, "mappingConfidence must be low, medium or high").clause(CLAUSE);
    faults.push(fault.fix("write low, medium or high"));
    None
}

fn warnings(node: &Node, adapter: Option<&Adapter>, faults: &mut Faults) -> Option<Vec<String>> {
    let Some(field) = node.get("warnings") else {
        let fault = Fault::validation(Spot::missing(node, "warnings"), "missing_field", "warnings is missing");
        faults.push(fault.clause(CLAUSE).fix("add warnings, an array of strings"));
        return None;
    };
    let Value::Array(items) = &field.value else {
        let what = format!("warnings must be an array of strings, not {}", field.kind());
        faults.push(
            Fault::validation(Spot::of(field), "wrong_type", what).clause(CLAUSE).fix("put the warnings in brackets"),
        );
        return None;
    };
    let mut texts = Some(Vec::with_capacity(items.len()));
    for (index, item) in items.iter().enumerate() {
        match (item.as_str(), &mut texts) {
            (Some(text), Some(list)) => list.push(text.to_owned()),
            (Some(_), None) => {}
            (None, _) => {
                let what = format!("warning {index} must be a string, not {}", item.kind());
                faults.push(Fault::validation(Spot::of(item), "wrong_type", what).clause(CLAUSE).fix("write a string"));
                texts = None;
            }
        }
    }
    let given: Vec<&str> = items.iter().filter_map(Node::as_str).collect();
    let mut require = |wanted: &str, how: &str| {
        let fault = Fault::validation(Spot::of(field), "missing_warning", format!("no warning {how} `{wanted}`"));
        faults.push(
            fault
                .clause(CLAUSE)
                .why("the adapter's handoffs must say so")
                .fix("run the adapter again, or restore the warning"),
        );
    };
    let Some(adapter) = adapter else { return texts };
    for prefix in adapter.required_warning_prefixes.iter().filter(|p| !given.iter().any(|w| w.starts_with(p.as_str())))
    {
        require(prefix, "starts with");
    }
    for exact in adapter.required_warnings.iter().filter(|e| !given.contains(&e.as_str())) {
        require(exact, "reads");
    }
    texts
}
