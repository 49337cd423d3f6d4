//! Keys of a profile: its own, of a role over another profile, of single sign-on, of a program.

use std::process::Command;
use std::time::Duration;

use super::super::super::{Fault, process};
use super::super::client::Context;
use super::super::profile::Section;
use super::super::settings::AssumeRole;
use super::{Keys, metadata, sso, sts};

/// A profile may be based on another, and that on another, so far.
const MAX_CHAIN: usize = 8;
/// How long `credential_process` may take.
const PROCESS_LIMIT: Duration = Duration::from_secs(60);

/// Whether a profile says anything about credentials.
pub(super) fn has_keys(profile: &Section) -> bool {
    ["aws_access_key_id", "role_arn", "sso_session", "sso_start_url", "credential_process"]
        .iter()
        .any(|key| profile.contains_key(*key))
}

/// The keys of a profile.
pub(super) fn keys(context: &Context, name: &str) -> Result<Keys, Fault> {
    based(context, name, &mut Vec::new())
}

pub(super) fn wrong(name: &str, why: &str) -> Fault {
    Fault::configuration(format!("the AWS profile `{name}` {why}"), "check ~/.aws/config and ~/.aws/credentials")
}

fn based(context: &Context, name: &str, seen: &mut Vec<String>) -> Result<Keys, Fault> {
    let profile = context.profiles()?.profile(name).ok_or_else(|| wrong(name, "does not exist"))?;
    let is_circle = seen.iter().any(|earlier| earlier == name);
    seen.push(name.to_owned());
    let own = || static_keys(profile);
    // A profile that names itself as its source means its own keys.
    if is_circle {
        return own().filter(|_| seen[seen.len() - 2] == name).ok_or_else(|| wrong(name, "is based on itself"));
    }
    if seen.len() > MAX_CHAIN {
        return Err(wrong(name, "is based on too many others"));
    }
    if profile.contains_key("role_arn") {
        return of_role(context, name, profile, seen);
    }
    if let Some(keys) = own() {
        return Ok(keys);
    }
    if profile.contains_key("sso_session") || profile.contains_key("sso_start_url") {
        return sso::keys(context, name, profile);
    }
    match profile.get("credential_process") {
        Some(line) => of_process(name, line),
        None => Err(wrong(name, "holds no credentials")),
    }
}

fn static_keys(profile: &Section) -> Option<Keys> {
    let text = |key: &str| profile.get(key).map(|value| value.as_str()).filter(|value| !value.is_empty());
    Some(Keys::fixed(text("aws_access_key_id")?, text("aws_secret_access_key")?, text("aws_session_token")))
}

fn of_role(context: &Context, name: &str, profile: &Section, seen: &mut Vec<String>) -> Result<Keys, Fault> {
    let text = |key: &str| profile.get(key).map(|value| value.to_string());
    let role_arn = text("role_arn").unwrap_or_default();
    if let Some(file) = text("web_identity_token_file") {
        return sts::with_web_identity(context, &role_arn, file.as_ref(), text("role_session_name").as_deref());
    }
    if profile.contains_key("mfa_serial") {
        return Err(wrong(name, "wants a second factor, which custody does not ask for"));
    }
    let source = match (text("source_profile"), text("credential_source").as_deref()) {
        (Some(source), None) => based(context, &source, seen)?,
        (None, Some("Environment")) => super::from_environment(context)
            .ok_or_else(|| wrong(name, "takes keys from the environment, which has none"))?,
        (None, Some("EcsContainer")) => metadata::container(context)
            .ok_or_else(|| wrong(name, "takes keys from a container, and this is none"))??,
        (None, Some("Ec2InstanceMetadata")) => metadata::instance(context)?,
        _ => return Err(wrong(name, "has a role but not exactly one known source")),
    };
    let role = AssumeRole {
        role_arn,
        external_id: text("external_id"),
        session_name: text("role_session_name"),
        duration_seconds: text("duration_seconds").and_then(|seconds| seconds.parse().ok()),
        full_access: true,
    };
    sts::assume(context, &source, &role)
}

fn of_process(name: &str, line: &str) -> Result<Keys, Fault> {
    let words = process::words(line).filter(|words| !words.is_empty());
    let words = words.ok_or_else(|| wrong(name, "has a `credential_process` with an open quote"))?;
    let said = process::run(Command::new(&words[0]).args(&words[1..]), "credential_process", PROCESS_LIMIT)?;
    if !said.is_success {
        return Err(Fault::unauthenticated(
            format!("the `credential_process` of the AWS profile `{name}` failed: {}", said.errors),
            "run it by hand",
        ));
    }
    let names = ["AccessKeyId", "SecretAccessKey", "SessionToken", "Expiration"];
    Keys::of_json(&said.output, names, "the output of credential_process")
}
