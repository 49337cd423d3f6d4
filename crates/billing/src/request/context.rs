//! The context of a call: from the envelope, else from the run's id.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::fields;
use crate::json::{Node, Spot};
use crate::problem::{Fault, Faults};

/// What tells one call from another in telemetry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RequestContext {
    /// The call; the run's id where the request is bare.
    pub request_id: String,
    /// The trace; the run's id where the request is bare.
    pub trace_id: String,
    /// The workspace, if the envelope names one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workspace_id: Option<String>,
    /// The caller's mode, if the envelope names one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<String>,
}

pub(super) fn read(context: Option<&Node>, run_id: Option<&str>, faults: &mut Faults) -> Option<RequestContext> {
    let bare = || {
        let id = run_id?.to_owned();
        Some(RequestContext { request_id: id.clone(), trace_id: id, workspace_id: None, mode: None })
    };
    let Some(context) = context else { return bare() };
    if !context.is_object() {
        let what = format!("context must be an object, not {}", context.kind());
        faults.push(
            Fault::validation(Spot::of(context), "invalid_context", what)
                .fix("write an object with requestId and traceId"),
        );
        return bare();
    }
    let request_id = fields::text(context, "requestId", "", faults);
    let trace_id = fields::text(context, "traceId", "", faults);
    let mut optional = |field: &'static str| {
        context.get(field).and_then(|node| fields::string(node, field, "", faults)).map(str::to_owned)
    };
    let (workspace_id, mode) = (optional("workspaceId"), optional("mode"));
    Some(RequestContext { request_id: request_id?.to_owned(), trace_id: trace_id?.to_owned(), workspace_id, mode })
}
