//! Token scopes: GitHub (classic scopes, fine-grained permissions), GitLab, database tokens of OpenOps (Baserow).

use super::document::{Node, Value};
use super::source::{Source, objects};
use super::verdict::{Exposure, GrantPlace, Language, Minimal, OffenceKind, Verdict};
use super::{Input, ProveError, shown};

/// Classic scopes that only read, and whether they give contents.
const GITHUB_READS: &[(&str, bool)] = &[
    ("read:org", false),
    ("read:user", false),
    ("user:email", false),
    ("read:packages", true),
    ("read:public_key", false),
    ("read:gpg_key", false),
    ("read:ssh_signing_key", false),
    ("read:repo_hook", false),
    ("read:enterprise", false),
    ("read:audit_log", true),
    ("read:discussion", true),
    ("read:project", true),
    ("read:network_configurations", false),
];
const GITHUB_WRITES: &[&str] = &[
    "repo",
    "public_repo",
    "repo:status",
    "repo_deployment",
    "repo:invite",
    "security_events",
    "workflow",
    "write:packages",
    "delete:packages",
    "admin:org",
    "write:org",
    "admin:public_key",
    "write:public_key",
    "admin:repo_hook",
    "write:repo_hook",
    "admin:org_hook",
    "gist",
    "notifications",
    "user",
    "user:follow",
    "delete_repo",
    "write:discussion",
    "admin:enterprise",
    "manage_runners:org",
    "manage_runners:enterprise",
    "manage_billing:copilot",
    "manage_billing:enterprise",
    "audit_log",
    "codespace",
    "codespace:secrets",
    "copilot",
    "project",
    "admin:gpg_key",
    "write:gpg_key",
    "admin:ssh_signing_key",
    "write:ssh_signing_key",
    "site_admin",
    "scim:enterprise",
    "write:network_configurations",
];
const GITLAB_READS: &[(&str, Exposure)] = &[
    ("read_api", Exposure::ReadsCredentials),
    ("read_user", Exposure::BillingScoped),
    ("read_repository", Exposure::ReadsBusinessData),
    ("read_registry", Exposure::ReadsBusinessData),
    ("read_virtual_registry", Exposure::ReadsBusinessData),
    ("read_observability", Exposure::ReadsBusinessData),
    ("read_service_ping", Exposure::BillingScoped),
    ("openid", Exposure::BillingScoped),
    ("profile", Exposure::BillingScoped),
    ("email", Exposure::BillingScoped),
];
const GITLAB_WRITES: &[&str] = &[
    "api",
    "write_repository",
    "write_registry",
    "write_virtual_registry",
    "write_observability",
    "create_runner",
    "manage_runner",
    "admin_mode",
    "self_rotate",
];

pub(super) fn github(inputs: &[Input<'_>]) -> Result<Verdict, ProveError> {
    let mut verdict = Verdict::new(Language::GitHub);
    for input in inputs {
        let source = Source::of(input)?;
        let mut found = false;
        if source.is_json() {
            let root = source.json()?;
            objects(&root, "", &mut |node, pointer| {
                if let Some(permissions) = node.get("permissions").filter(|p| p.is_object()) {
                    found = true;
                    for (name, level) in permissions.members() {
                        let at = source.at(
                            level.start,
                            &format!("{pointer}/permissions/{}", super::document::escape(name)),
                            "permissions",
                        );
                        fine_grained(name, level.text().unwrap_or_default(), &at, &mut verdict);
                    }
                }
            });
        }
        for (index, line) in source.text.lines().enumerate() {
            let Some((header, scopes)) = line.split_once(':') else { continue };
            if header.trim().eq_ignore_ascii_case("x-oauth-scopes") {
                found = true;
                let at = source.line(index + 1, "X-OAuth-Scopes");
                scopes
                    .split(',')
                    .map(str::trim)
                    .filter(|s| !s.is_empty())
                    .for_each(|scope| classic(scope, &at, &mut verdict));
            }
        }
        if !found {
            return Err(source.fault(
                0,
                "neither permissions nor an X-OAuth-Scopes header is in it",
                "give the headers of `curl -sI` on api.github.com, or the permissions of the token as JSON",
            ));
        }
    }
    if !verdict.is_proven(Exposure::BillingScoped) {
        let text = "{\"permissions\": {\"metadata\": \"read\", \"plan\": \"read\"}}\n";
        verdict.minimal =
            Some(Minimal { about: "A fine-grained token with these permissions only.".into(), text: text.into() });
    }
    Ok(verdict)
}

fn fine_grained(name: &str, level: &str, at: &GrantPlace, verdict: &mut Verdict) {
    const METADATA: [&str; 14] = [
        "metadata",
        "plan",
        "organization_plan",
        "members",
        "administration",
        "organization_administration",
        "checks",
        "statuses",
        "deployments",
        "environments",
        "pages",
        "secrets",
        "organization_secrets",
        "dependabot_secrets",
    ];
    verdict.allowed += 1;
    let shown_name = vec![format!("{}: {}", shown(name), shown(level))];
    match level {
        "read" if METADATA.contains(&name) => {}
        "read" => verdict.reads(
            Exposure::ReadsBusinessData,
            shown_name,
            at,
            "it gives contents: code, issues, logs or the like",
        ),
        "none" => verdict.allowed -= 1,
        "write" | "admin" => verdict.offend(OffenceKind::Writes, shown_name, at, "the permission is more than read"),
        _ => verdict.offend(OffenceKind::Unknown, shown_name, at, "the permission is neither read, write nor none"),
    }
}

fn classic(scope: &str, at: &GrantPlace, verdict: &mut Verdict) {
    verdict.allowed += 1;
    let name = vec![shown(scope)];
    if let Some((_, gives_contents)) = GITHUB_READS.iter().find(|(known, _)| *known == scope) {
        if *gives_contents {
            verdict.reads(Exposure::ReadsBusinessData, name, at, "it gives contents");
        }
    } else if GITHUB_WRITES.contains(&scope) {
        verdict.offend(
            OffenceKind::Writes,
            name,
            at,
            "a classic scope that writes; GitHub has no reading form of repo: use a fine-grained token",
        );
    } else {
        verdict.offend(OffenceKind::Unknown, name, at, "the scope is not known");
    }
}

pub(super) fn gitlab(inputs: &[Input<'_>]) -> Result<Verdict, ProveError> {
    let mut verdict = Verdict::new(Language::GitLab);
    for input in inputs {
        let source = Source::of(input)?;
        let root = source.json()?;
        let mut found = false;
        objects(&root, "", &mut |node, pointer| {
            let Some(scopes) = node.get("scopes").and_then(Node::strings) else { return };
            found = true;
            // Below Maintainer (40), CI/CD variables cannot be read; the level stands in answers for project and group tokens.
            let level = node
                .get("access_level")
                .and_then(|n| if let Value::Number(n) = &n.value { n.parse::<u32>().ok() } else { None });
            for (scope, at) in scopes {
                gitlab_scope(scope, level, &source.at(at.start, &format!("{pointer}/scopes"), "scopes"), &mut verdict);
            }
        });
        if !found {
            return Err(source.fault(
                0,
                "no scopes are in it",
                "give the answer of GET /api/v4/personal_access_tokens/self",
            ));
        }
    }
    if !verdict.is_proven(Exposure::BillingScoped) {
        verdict.minimal = Some(Minimal {
            about: "A project access token with role Reporter and these scopes.".into(),
            text: "{\"scopes\": [\"read_api\"], \"access_level\": 20}\n".into(),
        });
    }
    Ok(verdict)
}

fn gitlab_scope(scope: &str, level: Option<u32>, at: &GrantPlace, verdict: &mut Verdict) {
    verdict.allowed += 1;
    let name = vec![shown(scope)];
    if let Some((_, exposure)) = GITLAB_READS.iter().find(|(known, _)| *known == scope) {
        match exposure {
            Exposure::ReadsCredentials if level.is_some_and(|level| level < 40) => {
                verdict.reads(
                    Exposure::ReadsBusinessData,
                    name,
                    at,
                    "it gives contents; CI/CD variables need role Maintainer",
                );
            }
            Exposure::ReadsCredentials => {
                verdict.reads(
                    Exposure::ReadsCredentials,
                    name,
                    at,
                    "from role Maintainer on it gives CI/CD variables, and the document shows no lower role",
                );
            }
            Exposure::ReadsBusinessData => verdict.reads(Exposure::ReadsBusinessData, name, at, "it gives contents"),
            Exposure::BillingScoped => {}
        }
    } else if GITLAB_WRITES.contains(&scope) {
        verdict.offend(OffenceKind::Writes, name, at, "the scope writes");
    } else if scope == "sudo" {
        verdict.offend(OffenceKind::Delegates, name, at, "it acts as any user");
    } else {
        verdict.offend(OffenceKind::Unknown, name, at, "the scope is not known to read only");
    }
}

/// The answer of `GET /api/database/tokens/`. Its `key` is the token itself and is never looked at.
pub(super) fn openops(inputs: &[Input<'_>]) -> Result<Verdict, ProveError> {
    let mut verdict = Verdict::new(Language::OpenOps);
    for input in inputs {
        let source = Source::of(input)?;
        let root = source.json()?;
        let mut found = false;
        objects(&root, "", &mut |node, pointer| {
            let Some(permissions) = node.get("permissions").filter(|p| p.get("read").is_some()) else { return };
            found = true;
            for (verb, granted) in permissions.members() {
                let at = source.at(
                    granted.start,
                    &format!("{pointer}/permissions/{}", super::document::escape(verb)),
                    "permissions",
                );
                table_permission(verb, granted, &at, &mut verdict);
            }
        });
        if !found {
            return Err(source.fault(
                0,
                "no permissions of a database token are in it",
                "give the answer of GET /api/database/tokens/ without the key",
            ));
        }
    }
    if !verdict.is_proven(Exposure::BillingScoped) {
        verdict.minimal = Some(Minimal {
            about: "A token that reads one table; replace 0 by the id of Aggregated Costs.".into(),
            text: "{\"permissions\": {\"create\": false, \"read\": [[\"table\", 0]], \"update\": false, \"delete\": false}}\n".into(),
        });
    }
    Ok(verdict)
}

fn table_permission(verb: &str, granted: &Node, at: &GrantPlace, verdict: &mut Verdict) {
    let what = match &granted.value {
        Value::Bool(false) => return,
        Value::Array(items) if items.is_empty() => return,
        Value::Bool(true) => "all tables".to_owned(),
        Value::Array(items) => format!("{} tables or databases", items.len()),
        _ => {
            verdict.offend(OffenceKind::Unknown, vec![shown(verb)], at, "neither true, false nor a list");
            return;
        }
    };
    verdict.allowed += 1;
    let name = vec![format!("{}: {what}", shown(verb))];
    let only_tables =
        granted.is_array() && granted.items().iter().all(|i| i.items().first().and_then(Node::text) == Some("table"));
    match verb {
        "read" if only_tables => {
            verdict.note("It reads the tables that it names; whether they hold costs only cannot be seen here.")
        }
        "read" => verdict.reads(Exposure::ReadsBusinessData, name, at, "it reads whole databases, not named tables"),
        "create" | "update" | "delete" => verdict.offend(OffenceKind::Writes, name, at, "the permission writes rows"),
        _ => verdict.offend(OffenceKind::Unknown, name, at, "the permission is not known"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::*;

    fn judged(text: &str) -> Verdict {
        prove(&[Input::grant("t", text.as_bytes())], &ProveOptions::default()).expect("recognised")
    }

    #[test]
    fn github_scopes_and_permissions() {
        assert_eq!(judged("HTTP/2 200\nX-OAuth-Scopes: read:org, read:user\n").access, Access::ProvedReadOnly);
        assert_eq!(judged("x-oauth-scopes: repo\n").access, Access::NotReadOnly);
        assert_eq!(judged("x-oauth-scopes: brand:new\n").access, Access::NotProven);
        let fine = judged(r#"{"permissions":{"metadata":"read","contents":"read"}}"#);
        assert_eq!(
            (fine.language, fine.access, fine.exposure),
            (Language::GitHub, Access::ProvedReadOnly, Exposure::ReadsBusinessData)
        );
        assert_eq!(judged(r#"{"permissions":{"contents":"write"}}"#).access, Access::NotReadOnly);
    }

    #[test]
    fn gitlab_scopes() {
        assert_eq!(judged(r#"{"scopes":["read_user"]}"#).access, Access::ProvedReadOnly);
        assert_eq!(judged(r#"{"scopes":["read_api"]}"#).exposure, Exposure::ReadsCredentials);
        assert_eq!(judged(r#"{"scopes":["read_api"],"access_level":20}"#).exposure, Exposure::ReadsBusinessData);
        assert_eq!(judged(r#"{"scopes":["api"]}"#).access, Access::NotReadOnly);
        assert_eq!(judged(r#"{"scopes":["k8s_proxy"]}"#).access, Access::NotProven);
    }

    #[test]
    fn openops_tokens_and_their_key_is_not_shown() {
        let token = judged(
            r#"[{"key":"fake-key","permissions":{"create":false,"read":[["table",7]],"update":[],"delete":false}}]"#,
        );
        assert_eq!(
            (token.language, token.access, token.exposure),
            (Language::OpenOps, Access::ProvedReadOnly, Exposure::BillingScoped)
        );
        assert!(!format!("{token:?}").contains("fake-key"));
        assert_eq!(
            judged(r#"{"permissions":{"create":true,"read":true,"update":false,"delete":false}}"#).access,
            Access::NotReadOnly
        );
    }
}
