//! SARIF 2.1.0 (OASIS Standard, <https://docs.oasis-open.org/sarif/sarif/v2.1.0/>): one run.
//!
//! Findings and what is wrong with clauses are results; what was not read is a notification of the invocation, which
//! then counts as unsuccessful, so that no consumer takes it for clean. Suppressed findings (baseline, waivers, inline
//! allowances) are there with their justification. Kept within what GitHub's code scanning accepts: 25,000 results a
//! run, 1,000 locations a result, 10 tags a rule
//! (<https://docs.github.com/code-security/reference/code-scanning/sarif-files/sarif-support-for-code-scanning>).

mod places;
mod results;
mod rules;

use std::io;
use std::path::Path;

use custody_contract::{Decision, Report, Surface};
use serde_json::{Map, Value, json};

use self::places::BASE;
use self::rules::Rules;
use crate::wording::{self, Outcome};
use crate::{RenderError, RenderOptions, json as json_format, text, uri};

const SCHEMA: &str = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json";
const HOME: &str = "https://github.com/custody-dev/custody";
const NOT_READ: &str = "not-read";
const LEFT_OUT: &str = "results-left-out";

/// Writes the log.
pub(crate) fn render(report: &Report, options: &RenderOptions, out: &mut dyn io::Write) -> Result<(), RenderError> {
    json_format::write(&log(report, options.root.as_deref()), out)
}

fn log(report: &Report, root: Option<&Path>) -> Value {
    let mut rules = Rules::of(report);
    let (results, left_out) = results::of(report, root, &mut rules);
    let mut run = json!({
        "tool": { "driver": driver(report, rules.into_descriptors()) },
        "automationDetails": { "id": automation_id(report) },
        "columnKind": "unicodeCodePoints",
        "originalUriBaseIds": { BASE: base(root) },
        "invocations": [invocation(report, root, left_out)],
        "results": results,
        "properties": properties(report),
    });
    if let Some(provenance) = provenance(report, root) {
        run["versionControlProvenance"] = provenance;
    }
    json!({ "$schema": SCHEMA, "version": "2.1.0", "runs": [run] })
}

fn driver(report: &Report, rules: Vec<Value>) -> Value {
    let version = text::safe(&report.tool.version);
    json!({
        "name": text::safe(&report.tool.name),
        "version": version,
        "semanticVersion": version,
        "informationUri": HOME,
        "rules": rules,
        "notifications": [
            {
                "id": NOT_READ,
                "shortDescription": { "text": "Something that was to be looked at was not read." },
                "defaultConfiguration": { "level": "error" },
            },
            {
                "id": LEFT_OUT,
                "shortDescription": { "text": "The run has more results than consumers accept." },
                "defaultConfiguration": { "level": "error" },
            },
        ],
    })
}

/// What keeps runs apart that look at the same code in another way: command and environment.
fn automation_id(report: &Report) -> String {
    let environment = report.environment.map(|e| format!("{e}/")).unwrap_or_default();
    format!("custody/{}/{environment}", report.kind.command().replace(' ', "-"))
}

fn base(root: Option<&Path>) -> Value {
    match root.and_then(uri::directory) {
        Some(uri) => json!({ "uri": uri }),
        None => json!({ "description": { "text": "The directory that was looked at." } }),
    }
}

/// The repository, for reports that look at its history; its remote is not known here.
fn provenance(report: &Report, root: Option<&Path>) -> Option<Value> {
    let uri = root.and_then(uri::directory)?;
    let looks_at_history = report.coverage.iter().any(|c| c.surface == Surface::History);
    looks_at_history.then(|| json!([{ "repositoryUri": uri, "mappedTo": { "uriBaseId": BASE } }]))
}

fn invocation(report: &Report, root: Option<&Path>, left_out: usize) -> Value {
    let duration = jiff::SignedDuration::from_millis(i64::try_from(report.duration_ms).unwrap_or(i64::MAX));
    let incomplete = report.decision == Decision::Incomplete || report.coverage.iter().any(|c| c.is_incomplete());
    let exit_code = match report.decision {
        Decision::MayRelease => 0,
        Decision::Blocked => 1,
        Decision::Incomplete => 3,
    };
    let mut notifications = not_read(report, root);
    if left_out > 0 {
        notifications.push(notification(
            LEFT_OUT,
            "error",
            format!("{left_out} more results are left out; see the JSON report."),
        ));
    }
    let mut invocation = json!({
        "executionSuccessful": !incomplete && left_out == 0,
        "exitCode": exit_code,
        "exitCodeDescription": wording::decision(report),
        "startTimeUtc": report.started.to_string(),
        "toolExecutionNotifications": notifications,
    });
    if let Ok(end) = report.started.checked_add(duration) {
        invocation["endTimeUtc"] = json!(end.to_string());
    }
    invocation
}

fn not_read(report: &Report, root: Option<&Path>) -> Vec<Value> {
    let mut notifications: Vec<_> = wording::skipped(report)
        .into_iter()
        .map(|(account, item)| {
            let level = if item.reason.is_incomplete() { "error" } else { "note" };
            let message = format!(
                "Not read: {} ({}): {}.",
                text::safe(&item.what),
                account.surface,
                text::safe(&item.reason.to_string())
            );
            let mut notification = notification(NOT_READ, level, message);
            if account.surface != Surface::History
                && let Some(location) = places::file(&item.what, root)
            {
                notification["locations"] = json!([location]);
            }
            notification
        })
        .collect();
    for account in &report.coverage {
        let more = account.skipped_total.saturating_sub(account.skipped.len() as u64);
        if more > 0 {
            let level = if account.is_incomplete() { "error" } else { "note" };
            let message = format!("Not read: {} more in {}.", wording::grouped(more), account.surface);
            notifications.push(notification(NOT_READ, level, message));
        }
    }
    notifications
}

fn notification(id: &str, level: &str, message: String) -> Value {
    json!({ "descriptor": { "id": id }, "level": level, "message": { "text": message } })
}

fn properties(report: &Report) -> Value {
    let verdicts: Map<_, _> =
        report.clauses.iter().map(|c| (c.clause.to_string(), json!(Outcome::of(c, report).word()))).collect();
    let mut properties = json!({
        "decision": report.decision,
        "blockAt": report.block_at,
        "target": text::safe(&report.target),
        "lookedAt": wording::looked_at(report),
        "rules": report.tool.rules,
        "rulesDigest": text::safe(&report.tool.rules_digest),
        "verdicts": verdicts,
    });
    for (name, value) in [("environment", wording::environment(report)), ("contract", wording::contract(report))] {
        if let Some(value) = value {
            properties[name] = json!(value);
        }
    }
    properties
}

#[cfg(test)]
pub(crate) mod tests;
