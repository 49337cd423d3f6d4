//! Which language a document is written in, by what it holds.

use custody_contract::Place;

use super::document::{Node, Value};
use super::source::{Source, objects};
use super::{Input, Language, ProveError, aws, gcp};

/// The language of documents that act together.
pub(super) fn language(inputs: &[Input<'_>]) -> Result<Language, ProveError> {
    let mut found: Option<Language> = None;
    for input in inputs {
        let source = Source::of(input)?;
        let language = if source.is_json() { of_json(&source.json()?) } else { of_text(source.text) };
        let Some(language) = language else {
            let fix = "say with --as which one it is";
            return Err(ProveError::input(Place::file(input.name), "the policy language is not recognised", fix));
        };
        if found.is_some_and(|known| known != language) {
            return Err(ProveError::input(
                Place::file(input.name),
                "it is of another language than the rest",
                "judge it by itself",
            ));
        }
        found = Some(language);
    }
    // Nothing but managed policies by name.
    Ok(found.unwrap_or(Language::Aws))
}

fn of_text(text: &str) -> Option<Language> {
    let mut lines = text.lines().map(str::trim);
    let has = |word: &str| text.lines().any(|line| line.trim_start().to_ascii_lowercase().starts_with(word));
    if has("x-oauth-scopes") {
        return Some(Language::GitHub);
    }
    if has("grant ") || has("create role") || has("alter role") {
        return Some(Language::Postgres);
    }
    if aws::is_terraform(text) && text.contains("aws_") {
        return Some(Language::Aws);
    }
    let is_template = has("awstemplateformatversion") || (has("resources:") && text.contains("AWS::"));
    if is_template || (has("statement:") && text.to_ascii_lowercase().contains("effect:")) {
        return Some(Language::Aws);
    }
    if has("path ") || has("path\t") || has("\"path\"") {
        return Some(Language::OpenBao);
    }
    let permission = lines.any(|line| gcp::is_permission(line.trim_start_matches("- ")));
    permission.then_some(Language::Gcp)
}

fn of_json(root: &Node) -> Option<Language> {
    if root.is_array() && root.items().first().and_then(Node::text).is_some_and(gcp::is_permission) {
        return Some(Language::Gcp);
    }
    let mut found = None;
    let mut aws_string = false;
    objects(root, "", &mut |node, _| {
        let has = |key: &str| node.get_any_case(key).is_some();
        aws_string |= node.members().iter().any(|(key, value)| {
            let key = key.to_ascii_lowercase();
            key.contains("policyarn")
                || value.text().is_some_and(|t| t.contains("\"Statement\"") || t.starts_with("%7B"))
        });
        let language = if aws::is_policy(node) {
            Some(Language::Aws)
        } else if has("notActions") || has("dataActions") || has("assignableScopes") {
            Some(Language::Azure)
        } else if has("includedPermissions") || (has("role") && has("members")) {
            Some(Language::Gcp)
        } else if node.get("path").is_some_and(|p| p.is_object() || p.is_array())
            || has("exact_paths")
            || has("glob_paths")
        {
            Some(Language::OpenBao)
        } else if node.get("scopes").is_some_and(Node::is_array) {
            Some(Language::GitLab)
        } else {
            node.get("permissions").and_then(of_permissions)
        };
        found = found.or(language);
    });
    found.or(aws_string.then_some(Language::Aws))
}

fn of_permissions(node: &Node) -> Option<Language> {
    let Value::Object(members) = &node.value else { return None };
    if ["create", "read", "update", "delete"].iter().all(|key| node.get(key).is_some()) {
        return Some(Language::OpenOps);
    }
    members.iter().all(|(_, level)| level.text().is_some()).then_some(Language::GitHub)
}
