//! Events in the forms of other programs: JSON Lines, and OCSF (<https://schema.ocsf.io>), class API Activity.
//!
//! The mapping is documented in `docs/audit.md`. OCSF has no class for the use of a secret; API Activity (6003) is what
//! secret managers' own events (CloudTrail's `GetSecretValue`) are mapped to, so that queries find both.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::event::{Action, Activity, RecordedEvent};
use crate::format::LogId;
use crate::query::Hit;

/// The version of OCSF that [`ocsf`] writes.
pub const OCSF_VERSION: &str = "1.5.0";

const CATEGORY_APPLICATION: u32 = 6;
const CLASS_API_ACTIVITY: u32 = 6003;

/// The event as one JSON object on one line, with all that is recorded.
pub fn jsonl(hit: &Hit<'_>) -> String {
    serde_json::to_string(hit).unwrap_or_default()
}

/// The event as an OCSF API Activity.
pub fn ocsf(hit: &Hit<'_>, log: Option<LogId>) -> Value {
    let event = &hit.event;
    let activity = event.action.parse::<Action>().map_or(Activity::Other, Action::activity);
    let activity_name = match activity {
        Activity::Create => "Create",
        Activity::Read => "Read",
        Activity::Update => "Update",
        Activity::Delete => "Delete",
        Activity::Other => "Other",
    };
    let is_done = event.outcome == "allowed";
    let (severity_id, severity) = match &*event.outcome {
        "allowed" => (1, "Informational"),
        "denied" => (3, "Medium"),
        _ => (2, "Low"),
    };
    let mut record = Map::new();
    let mut set = |name: &str, value: Value| record.insert(name.to_owned(), value);
    set("activity_id", json!(activity as u32));
    set("activity_name", json!(activity_name));
    set("category_uid", json!(CATEGORY_APPLICATION));
    set("category_name", json!("Application Activity"));
    set("class_uid", json!(CLASS_API_ACTIVITY));
    set("class_name", json!("API Activity"));
    set("type_uid", json!(CLASS_API_ACTIVITY * 100 + activity as u32));
    set("type_name", json!(format!("API Activity: {activity_name}")));
    set("severity_id", json!(severity_id));
    set("severity", json!(severity));
    set("status_id", json!(if is_done { 1 } else { 2 }));
    set("status", json!(if is_done { "Success" } else { "Failure" }));
    if let Some(class) = &event.class {
        set("status_code", json!(class));
    }
    if let Some(reason) = &event.reason {
        set("status_detail", json!(reason));
    }
    set("time", json!(hit.time.as_millisecond()));
    set("message", json!(message(event)));
    set("metadata", metadata(hit, log));
    set("actor", actor(event));
    set("api", api(event));
    set("src_endpoint", source(event));
    if let Some(reference) = &event.reference {
        let mut resource = json!({ "uid": reference, "name": reference, "type": "credential" });
        if let Some(version) = &event.version {
            resource["version"] = json!(version);
        }
        set("resources", json!([resource]));
    }
    set("unmapped", unmapped(hit));
    Value::Object(record)
}

fn message(event: &RecordedEvent<'_>) -> String {
    let reference = event.reference.as_deref().unwrap_or("-");
    format!("{} {reference}: {} ({})", event.action, event.outcome, event.principal.label())
}

fn metadata(hit: &Hit<'_>, log: Option<LogId>) -> Value {
    let log = log.map_or_else(|| "custody-audit".to_owned(), |log| log.to_string());
    let mut metadata = json!({
        "version": OCSF_VERSION,
        "product": { "name": "custody", "vendor_name": "custody", "version": env!("CARGO_PKG_VERSION") },
        "log_name": "custody-audit",
        "log_provider": "custody",
        "uid": format!("{log}:{}", hit.sequence),
        "sequence": hit.sequence,
        "original_time": nanosecond_text(hit.time),
    });
    if let Some(request) = &hit.event.request_id {
        metadata["correlation_uid"] = json!(request);
    }
    metadata
}

fn nanosecond_text(time: Timestamp) -> String {
    format!("{time:.9}")
}

fn actor(event: &RecordedEvent<'_>) -> Value {
    let principal = &event.principal;
    let mut user = Map::new();
    if let Some(name) = &principal.name {
        user.insert("name".to_owned(), json!(name));
    }
    if let Some(uid) = principal.uid {
        user.insert("uid".to_owned(), json!(uid.to_string()));
    }
    let mut actor = json!({ "app_name": "custody" });
    if !user.is_empty() {
        actor["user"] = Value::Object(user);
    }
    if let Some(pid) = principal.pid {
        actor["process"] = json!({ "pid": pid });
    }
    if let Some(ci) = &principal.ci {
        actor["invoked_by"] = json!(ci.system);
    }
    actor
}

fn api(event: &RecordedEvent<'_>) -> Value {
    let mut api = json!({ "operation": event.action });
    if let Some(backend) = &event.backend {
        api["service"] = json!({ "name": backend });
    }
    if let Some(request) = &event.request_id {
        api["request"] = json!({ "uid": request });
    }
    api
}

/// Where it was asked. The class requires an endpoint: where no host is recorded, it is this machine.
fn source(event: &RecordedEvent<'_>) -> Value {
    match &event.principal.host {
        Some(host) => json!({ "hostname": host }),
        None => json!({ "name": "local" }),
    }
}

fn unmapped(hit: &Hit<'_>) -> Value {
    let event = &hit.event;
    let mut unmapped = json!({ "record_hash": hit.hash, "principal_kind": event.principal.kind });
    if let Some(environment) = &event.environment {
        unmapped["environment"] = json!(environment);
    }
    if let Some(purpose) = &event.purpose {
        unmapped["purpose"] = json!(purpose);
    }
    if let Some(fingerprint) = &event.fingerprint {
        unmapped["keyed_fingerprint"] = json!(fingerprint);
    }
    if let Some(ci) = &event.principal.ci {
        unmapped["ci"] = json!(ci);
    }
    unmapped
}
