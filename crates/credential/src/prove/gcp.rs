//! Google Cloud: roles (`gcloud iam roles describe`), lists of permissions, and bindings of roles.
//!
//! A permission is `service.resource.verb`; there are no wildcards, and no levels. Verbs that only read are listed here; a
//! verb that is not is not proven. A role's name says nothing: 245 of 711 predefined roles named viewer or reader have verbs
//! other than get and list.

mod roles;

use super::document::{Node, Value};
use super::source::{Source, named, objects};
use super::verdict::{Exposure, GrantPlace, Language, Minimal, OffenceKind, Verdict};
use super::{Input, ProveError, Table, shown};

/// Verbs that read and change nothing.
const READS: &[&str] = &[
    "get",
    "list",
    "getIamPolicy",
    "aggregatedList",
    "search",
    "searchAll",
    "query",
    "view",
    "read",
    "check",
    "validate",
    "lookup",
    "fetch",
    "count",
    "describe",
    "exists",
    "calculate",
    "estimate",
    "preview",
    "download",
    "export",
    "getData",
    "listEffectiveTags",
    "listTagBindings",
    "listShared",
    "searchAllResources",
    "searchAllIamPolicies",
    "queryAssets",
    "testIamPermissions",
    "getRedirect",
    "getStatus",
    "getSettings",
    "getConfig",
    "listPolicies",
    "compute",
    "analyze",
    "getShared",
    "select",
    "explain",
    "queryAuditLogs",
    "listVersions",
    "getMetadata",
    "getSpendingInformation",
    "getSpend",
    "getUsageExportSpec",
    "getPricing",
    "getPaymentInfo",
    "getCarbonInformation",
    "searchIamPolicies",
];
/// Words that open a verb of several words and make it read: `listMembers`, `getStats`.
const READING: &[&str] =
    &["get", "list", "search", "query", "fetch", "check", "count", "lookup", "analyze", "aggregate"];
/// Words in a verb that say that it gives something that opens more.
const GIVES: &[&str] =
    &["AccessToken", "IdToken", "Credential", "Secret", "Password", "KeyString", "signBlob", "signJwt", "SignedUrl"];
/// Verbs that write.
const WRITES: &[&str] = &[
    "create",
    "update",
    "delete",
    "undelete",
    "patch",
    "insert",
    "set",
    "add",
    "remove",
    "attach",
    "detach",
    "start",
    "stop",
    "reset",
    "resize",
    "move",
    "copy",
    "import",
    "write",
    "publish",
    "approve",
    "reject",
    "cancel",
    "enable",
    "disable",
    "restore",
    "rollback",
    "deploy",
    "run",
    "execute",
    "invoke",
    "send",
    "use",
    "modify",
    "replace",
    "edit",
    "manage",
    "purge",
    "promote",
    "failover",
    "suspend",
    "resume",
    "associate",
    "bind",
    "unbind",
    "sign",
    "encrypt",
    "ingest",
    "close",
];

/// Permissions that give material that opens something, whatever their verb says.
const CREDENTIALS: &[&str] = &[
    "secretmanager.versions.access",
    "container.secrets.get",
    "container.secrets.list",
    "container.clusters.getCredentials",
    "iam.serviceAccounts.getAccessToken",
    "iam.serviceAccounts.getOpenIdToken",
    "iam.serviceAccounts.signBlob",
    "iam.serviceAccounts.signJwt",
    "iam.serviceAccounts.implicitDelegation",
    "iam.serviceAccountKeys.create",
    "apikeys.keys.getKeyString",
    "storage.hmacKeys.create",
    "composer.environments.executeAirflowCommand",
    "cloudbuild.connections.fetchReadToken",
    "cloudbuild.repositories.accessReadToken",
    "parametermanager.parameterVersions.render",
    "oauthconfig.clientpolicy.get",
    "clientauthconfig.clients.getWithSecret",
    "clientauthconfig.clients.listWithSecrets",
    "cloudkms.cryptoKeyVersions.useToDecrypt",
    "container.serviceAccounts.createToken",
    "runtimeconfig.variables.get",
];
/// Permissions that lend another identity.
const DELEGATES: &[&str] = &["iam.serviceAccounts.actAs", "iam.serviceAccounts.implicitDelegation"];
/// Permissions that pass by name where nothing else writes.
const EXCEPTIONS: &[(&str, &str)] = &[
    (
        "bigquery.jobs.create",
        "it runs queries at the project's cost; without write permissions, which are judged here too, they change no table",
    ),
    ("bigquery.readsessions.create", "it opens a session that reads tables"),
    ("bigquery.readsessions.update", "it splits a session that reads tables"),
];
/// Permissions that give contents.
const DATA: &[&str] = &[
    "storage.objects.get",
    "bigquery.tables.getData",
    "bigquery.tables.export",
    "bigquery.models.getData",
    "bigquery.routines.get",
    "bigquery.readsessions.getData",
    "compute.instances.getSerialPortOutput",
    "compute.instances.getScreenshot",
    "compute.instances.getGuestAttributes",
    "logging.logEntries.list",
    "logging.logEntries.download",
    "logging.privateLogEntries.list",
    "logging.views.access",
    "container.configMaps.get",
    "container.configMaps.list",
    "container.pods.getLogs",
    "cloudfunctions.functions.sourceCodeGet",
    "compute.projects.get",
    "cloudsql.instances.export",
    "artifactregistry.repositories.downloadArtifacts",
];
/// Services of which a read gives contents.
const DATA_SERVICES: &[&str] = &[
    "datastore",
    "firebasedatabase",
    "spanner",
    "bigtable",
    "pubsub",
    "healthcare",
    "source",
    "dlp",
    "dialogflow",
    "documentai",
    "firebaserules",
    "redis",
    "memcache",
    "discoveryengine",
    "contactcenterinsights",
    "chat",
    "cloudtrace",
];
/// Services of costs, prices and projects.
const BILLING: &[&str] =
    &["billing", "recommender", "consumerprocurement", "commerceprice", "resourcemanager", "bigquery", "storage"];

/// The table of predefined roles.
pub(super) fn tables() -> Vec<Table> {
    vec![Table { name: "gcp-roles".into(), version: roles::version().into(), sha256: roles::digest().into() }]
}

pub(super) fn prove(inputs: &[Input<'_>], names: &[String]) -> Result<Verdict, ProveError> {
    let mut verdict = Verdict::new(Language::Gcp);
    for name in names {
        let place = custody_contract::Place::file(format!("role {}", shown(name)));
        predefined(name, &GrantPlace { place, statement: "named".to_owned() }, &mut verdict);
    }
    for input in inputs {
        let source = Source::of(input)?;
        let found = if source.is_json() { json(&source, &mut verdict)? } else { lines(&source, &mut verdict) };
        if !found {
            return Err(source.fault(
                0,
                "no role, permission or binding of Google Cloud is in it",
                "give `gcloud iam roles describe ROLE --format=json`",
            ));
        }
    }
    if !verdict.is_proven(Exposure::BillingScoped) {
        verdict.minimal = Some(Minimal {
            about: "A custom role to bind on the bucket that holds the exported billing files, and nowhere else.".into(),
            text: "title: Billing export reader\nstage: GA\nincludedPermissions:\n- storage.objects.get\n- storage.objects.list\n".into(),
        });
    }
    Ok(verdict)
}

fn json(source: &Source<'_>, verdict: &mut Verdict) -> Result<bool, ProveError> {
    let root = source.json()?;
    let mut found = false;
    if let (Value::Array(_), Some(permissions)) = (&root.value, root.strings()) {
        for (index, (permission, node)) in permissions.into_iter().enumerate() {
            judge(permission, &source.at(node.start, &format!("/{index}"), "list of permissions"), verdict);
            found = true;
        }
        return Ok(found);
    }
    let mut fault = None;
    objects(&root, "", &mut |node, pointer| {
        if let Some(included) = node.get("includedPermissions").or_else(|| node.get("permissions")) {
            let Some(permissions) = included.strings() else {
                fault = Some(source.fault(
                    included.start,
                    "permissions are not a list of strings",
                    "give the role as gcloud prints it",
                ));
                return;
            };
            let role = named(node, &["name", "title"], "role");
            for (index, (permission, at)) in permissions.into_iter().enumerate() {
                judge(
                    permission,
                    &source.at(at.start, &format!("{pointer}/includedPermissions/{index}"), &role),
                    verdict,
                );
            }
            found = true;
        } else if let Some(role) = node.get("role").and_then(Node::text)
            && node.get("members").is_some()
        {
            let at = source.at(node.start, pointer, "binding");
            predefined(role, &at, verdict);
            found = true;
        }
    });
    fault.map_or(Ok(found), Err)
}

/// Judges a role by what the table says that it includes.
fn predefined(role: &str, at: &GrantPlace, verdict: &mut Verdict) {
    match roles::permissions(role) {
        Some(permissions) => {
            permissions.for_each(|permission| judge(&permission, at, verdict));
            verdict.note(format!(
                "{} was judged as bundled, {}: Google changes roles without notice.",
                shown(role),
                roles::version()
            ));
        }
        None => {
            let why = "the role is not in the table, and its name does not say what it allows; give `gcloud iam roles describe ROLE --format=json`";
            verdict.offend(OffenceKind::Unknown, vec![shown(role)], at, why);
        }
    }
}

/// One permission a line, as text or as the YAML that gcloud prints.
fn lines(source: &Source<'_>, verdict: &mut Verdict) -> bool {
    let mut found = false;
    for (index, line) in source.text.lines().enumerate() {
        let word = line.trim().trim_start_matches("- ").trim_matches(['"', '\'']);
        if is_permission(word) {
            found = true;
            judge(word, &source.line(index + 1, "list of permissions"), verdict);
        } else if !(word.is_empty() || word.starts_with('#') || word.contains(':')) {
            let at = source.line(index + 1, "list of permissions");
            verdict.offend(OffenceKind::Unknown, vec![shown(word)], &at, "it is no permission");
        }
    }
    found
}

/// Whether a word has the form of a permission: `service.resource.verb`, or `service.domain/resource.verb`.
pub(super) fn is_permission(word: &str) -> bool {
    let (domain, rest) = word.split_once('/').unwrap_or(("a", word));
    let least = if domain == "a" { 3 } else { 2 };
    let is_name = |p: &str| !p.is_empty() && p.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
    domain.split('.').all(is_name) && rest.split('.').count() >= least && rest.split('.').all(is_name)
}

fn judge(permission: &str, at: &GrantPlace, verdict: &mut Verdict) {
    verdict.allowed += 1;
    let name = || vec![shown(permission)];
    let service = permission.split(['.', '/']).next().unwrap_or_default();
    let verb = permission.rsplit('.').next().unwrap_or_default();
    if !is_permission(permission) {
        verdict.offend(OffenceKind::Unknown, name(), at, "it has not the form service.resource.verb");
        return;
    }
    if CREDENTIALS.contains(&permission) {
        verdict.reads(Exposure::ReadsCredentials, name(), at, "it gives material that opens something else");
    }
    if DELEGATES.contains(&permission) {
        verdict.offend(
            OffenceKind::Delegates,
            name(),
            at,
            "it lends a service account's permissions, which are not known here",
        );
    } else if let Some((_, why)) = EXCEPTIONS.iter().find(|(known, _)| *known == permission) {
        verdict.except(permission, at, *why);
        verdict.reads(Exposure::ReadsBusinessData, name(), at, "queries give contents of tables");
    } else if GIVES.iter().any(|word| verb.contains(word)) && !verb.starts_with("list") {
        verdict.reads(Exposure::ReadsCredentials, name(), at, "its verb says that it gives a key or token");
        verdict.offend(OffenceKind::Delegates, name(), at, "what it gives has permissions that are not known here");
    } else if verb == "setIamPolicy" {
        verdict.offend(OffenceKind::ManagesPermissions, name(), at, "it changes who may do what");
    } else if READS.contains(&verb)
        || READING
            .iter()
            .any(|word| verb.strip_prefix(word).is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_uppercase())))
        || DATA.contains(&permission)
        || CREDENTIALS.contains(&permission) && verb == "access"
    {
        if DATA.contains(&permission) || DATA_SERVICES.contains(&service) {
            verdict.reads(Exposure::ReadsBusinessData, name(), at, "it gives contents of what is stored");
        } else if !BILLING.contains(&service) {
            verdict.beyond(service);
        }
    } else if WRITES
        .iter()
        .any(|w| verb.strip_prefix(w).is_some_and(|rest| !rest.starts_with(|c: char| c.is_ascii_lowercase())))
    {
        verdict.offend(OffenceKind::Writes, name(), at, "its verb writes");
    } else {
        verdict.offend(OffenceKind::Unknown, name(), at, "its verb is not among those that are known to read only");
    }
}

#[cfg(test)]
mod tests {
    use super::super::*;

    fn judged(text: &str) -> Verdict {
        super::prove(&[Input::grant("r", text.as_bytes())], &[]).expect("a role")
    }

    #[test]
    fn a_hundred_thousand_permissions_on_one_line_end_soon() {
        let permissions = vec![r#""storage.objects.get""#; 100_000].join(",");
        let verdict = judged(&format!(r#"{{"name":"r","includedPermissions":[{permissions}]}}"#));
        assert_eq!((verdict.access, verdict.allowed), (Access::ProvedReadOnly, 100_000));
    }

    #[test]
    fn roles_are_judged_by_their_permissions_not_their_names() {
        let viewer = judged(
            r#"{"name":"roles/storage.objectViewer","includedPermissions":["storage.objects.get","storage.objects.list","resourcemanager.projects.get"]}"#,
        );
        assert_eq!((viewer.access, viewer.exposure), (Access::ProvedReadOnly, Exposure::ReadsBusinessData));
        let liar =
            judged("includedPermissions:\n- storage.buckets.get\n- storage.objects.delete\nname: roles/x.viewer\n");
        assert_eq!(liar.access, Access::NotReadOnly);
        assert_eq!(liar.offences[0].at.place.line, 3);
        assert_eq!(
            judged(r#"["bigquery.jobs.create","bigquery.tables.getData"]"#).access,
            Access::ReadOnlyWithNamedExceptions
        );
        assert_eq!(judged(r#"["x.y.frobnicate"]"#).access, Access::NotProven);
        assert_eq!(judged(r#"["iam.serviceAccounts.getAccessToken"]"#).access, Access::NotProven);
        assert_eq!(judged(r#"["groups.memberships.listMembers"]"#).access, Access::ProvedReadOnly);
        assert_eq!(judged(r#"["iam.serviceAccounts.actAs"]"#).access, Access::NotProven);
        assert_eq!(judged(r#"["secretmanager.versions.access"]"#).exposure, Exposure::ReadsCredentials);
        assert_eq!(judged(r#"{"bindings":[{"role":"roles/viewer","members":["user:a"]}]}"#).access, Access::NotProven);
    }
    #[test]
    fn predefined_roles_are_known_by_name_and_others_are_not_proven() {
        let named = |names: &[&str]| {
            let aws = AwsOptions { managed: names.iter().map(|n| (*n).to_owned()).collect(), ..Default::default() };
            prove(&[], &ProveOptions { language: None, aws }).expect("roles")
        };
        let viewer = named(&["roles/storage.objectViewer"]);
        assert_eq!((viewer.language, viewer.access), (Language::Gcp, Access::ProvedReadOnly), "{viewer:#?}");
        assert_eq!(named(&["roles/storage.objectViewer", "roles/owner"]).access, Access::NotProven);
        assert_eq!(named(&["roles/storage.objectAdmin"]).access, Access::NotReadOnly);
        let binding = r#"{"bindings": [{"role": "roles/storage.objectViewer", "members": ["user:a@example.com"]}]}"#;
        let bound = prove(&[Input::grant("b.json", binding.as_bytes())], &ProveOptions::default()).expect("a binding");
        assert_eq!(bound.access, Access::ProvedReadOnly);
    }
}
