//! Which adapter a request is for.

use std::str::FromStr;

use custody_contract::file::AdapterId;

use super::SCOPE_FIELDS;
use crate::adapter::{AdapterResolution, FALLBACK, ResolutionMode, ToolHint, id_of_tool};
use crate::check::BillingCheck;
use crate::json::{Node, Spot};
use crate::problem::{Fault, Faults};

/// Whose request it is.
pub(super) struct Owner {
    pub(super) resolution: AdapterResolution,
    /// Whose credential it may name.
    pub(super) provider: String,
}

/// An id that is asked for, and where.
struct Asked {
    id: String,
    spot: Spot,
}

pub(super) fn resolve(
    check: &BillingCheck<'_>,
    input: &Node,
    name: &str,
    hint: Option<&ToolHint>,
    faults: &mut Faults,
) -> Option<Owner> {
    let mode = resolution_mode(check, input, faults);
    let asked = asked_for(check, input, name, hint, faults)?;
    let registry = check.registry();
    let Ok(id) = AdapterId::from_str(&asked.id) else {
        let fault = Fault::validation(asked.spot, "invalid_adapter_id", "the adapter id is malformed");
        faults.push(
            fault
                .why("an id is lower-case words joined by hyphens that end in -billing")
                .fix(format!("use one of {}", registry.ids())),
        );
        return None;
    };
    let owner = |resolved: &str| Owner {
        resolution: AdapterResolution {
            requested_adapter_id: id.to_string(),
            resolved_adapter_id: resolved.to_owned(),
            used_fallback: resolved != id.as_str(),
        },
        provider: id.provider().to_owned(),
    };
    if registry.get(id.as_str()).is_some() {
        return Some(owner(id.as_str()));
    }
    if mode == ResolutionMode::Fallback && registry.get(FALLBACK).is_some() {
        let fault = Fault::validation(
            asked.spot,
            "adapter_fallback",
            format!("no adapter has this id; {FALLBACK} takes the request"),
        );
        faults.push(
            fault
                .why("adapter resolution is in fallback mode")
                .fix("register the adapter in custody.toml under [[billing.adapter]]")
                .warning(),
        );
        return Some(owner(FALLBACK));
    }
    let fault = Fault::validation(asked.spot, "unknown_adapter", "no adapter has this id");
    faults.push(
        fault
            .why("adapter resolution is strict")
            .fix(format!("use one of {}, or register it in custody.toml under [[billing.adapter]]", registry.ids())),
    );
    None
}

fn resolution_mode(check: &BillingCheck<'_>, input: &Node, faults: &mut Faults) -> ResolutionMode {
    let Ok(mode) = ResolutionMode::in_force(check.variables, check.environment) else {
        let what = "BILLING_ADAPTER_RESOLUTION_MODE is neither strict nor fallback";
        faults.push(Fault::validation(Spot::of(input), "invalid_variable", what).fix("set it to strict or fallback"));
        return ResolutionMode::Strict;
    };
    if mode == ResolutionMode::Fallback && check.environment.is_release() {
        let fault = Fault::validation(Spot::of(input), "fallback_in_release", "adapter resolution is in fallback mode");
        faults.push(
            fault
                .why("stage and prod should refuse unknown adapters")
                .fix("set BILLING_ADAPTER_RESOLUTION_MODE to strict")
                .warning(),
        );
    }
    mode
}

fn asked_for(
    check: &BillingCheck<'_>,
    input: &Node,
    name: &str,
    hint: Option<&ToolHint>,
    faults: &mut Faults,
) -> Option<Asked> {
    let registry = check.registry();
    let whole = Spot::of(input);
    let by_caller = match hint {
        Some(ToolHint::Adapter(id)) => Some(id.clone()),
        Some(ToolHint::Tool(tool)) => registry
            .of_tool(tool)
            .map(|a| a.id.to_string())
            .or_else(|| id_of_tool(tool).map(|id| id.to_string()))
            .or_else(|| Some(tool.clone())),
        None => registry.of_path(name).map(|a| a.id.to_string()),
    };
    let mut by_field = None;
    for field in ["adapterId", "providerAdapterId"] {
        let Some(node) = input.get(field) else { continue };
        let Some(id) = crate::fields::string(node, field, "", faults) else { continue };
        let expected = by_caller.as_deref().or_else(|| by_field.as_ref().map(|a: &Asked| a.id.as_str()));
        if expected.is_some_and(|expected| expected != id) {
            let fault = Fault::validation(
                Spot::of(node),
                "adapter_mismatch",
                format!("{field} names another adapter than the request is for"),
            );
            faults.push(fault.fix("send the request to the adapter that it names"));
        }
        by_field.get_or_insert(Asked { id: id.to_owned(), spot: Spot::of(node) });
    }
    let by_content = || {
        let profile = input.get("mappingProfile").and_then(|n| registry.of_profile(n.as_str()?));
        let scope = || {
            let mut owners =
                SCOPE_FIELDS.into_iter().filter(|f| input.get(f).is_some()).filter_map(|f| registry.of_scope_field(f));
            let first = owners.next();
            first.filter(|_| owners.next().is_none())
        };
        profile.or_else(scope).map(|a| Asked { id: a.id.to_string(), spot: whole })
    };
    let asked = by_caller.map(|id| Asked { id, spot: whole }).or(by_field).or_else(by_content);
    if asked.is_none() {
        let fault = Fault::validation(whole, "adapter_not_named", "the request does not say which adapter it is for");
        faults.push(fault.why("neither its path, adapterId, mappingProfile nor scope names one").fix(
            "name it: --adapter aws-billing, a directory such as billing.aws.ingest, or a mappingProfile such as default-aws-billing-v1",
        ));
    }
    asked
}
