//! AWS IAM: identity, resource and session policies, boundaries, service control policies, managed policies by name.
//!
//! Every action that a set of policies leaves allowed must be classed List or Read, or be an exception that was reviewed;
//! and what it reads decides the second axis. Sources: the IAM policy grammar and evaluation logic in the IAM User Guide,
//! the Service Authorization Reference by way of the packages that `actions.txt` names.

mod effective;
mod exceptions;
mod find;
mod managed;
mod minimal;
mod statement;
mod table;
mod template;
mod terraform;

use custody_contract::Place;

use super::document;
use super::glob::{Case, Glob};
use super::verdict::{Counted, Exposure, GrantPlace, Language, MAX_LISTED, OffenceKind, Verdict};
use super::{Input, ProveError, Role, Table, shown};

pub use managed::{Managed, all as managed_policies, find as managed_policy};
pub use table::{Level, len as action_count, version as table_version};

pub(crate) use find::is_policy;
pub(crate) use terraform::is_terraform;

use effective::{Allowed, Effective, Set, UnknownPattern};
use statement::{Principal, Resources, Statement};

/// How AWS documents are judged.
#[derive(Debug, Clone, Default)]
pub struct AwsOptions {
    /// Where billing exports lie, as `s3://bucket/prefix`: reading these objects is billing, not business data.
    pub exports: Vec<String>,
    /// Managed policies that are attached by name or ARN.
    pub managed: Vec<String>,
}

/// The tables that verdicts rest on.
pub(crate) fn tables() -> Vec<Table> {
    vec![
        table("aws-actions", table::version(), "actions.txt"),
        table("aws-managed-policies", "iam-dataset, 80 policies", "managed.tsv"),
    ]
}

/// A table with the digest that stands beside it: half a megabyte is not digested at each start.
fn table(name: &str, version: &str, file: &str) -> Table {
    let sha256 = DIGESTS.lines().find_map(|line| line.strip_suffix(file)).unwrap_or_default().trim();
    Table { name: name.into(), version: version.into(), sha256: sha256.into() }
}

/// As `sha256sum` writes it; a test holds it to the tables.
const DIGESTS: &str = include_str!("tables.sha256");

/// An action that remains allowed, as labelled data speak of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EffectiveAction {
    /// `service:Action`.
    pub action: String,
    /// The access level.
    pub level: Level,
    /// Whether it gives contents of what is stored.
    pub data: bool,
    /// Whether it gives credentials.
    pub credentials: bool,
    /// Whether it is known as a way to more permissions.
    pub escalates: bool,
    /// Whether it acts, or lends another identity, whatever its level says.
    pub acts: bool,
}

/// What documents allow, action by action, and the patterns that name no known action.
///
/// # Errors
/// As [`prove`](super::prove).
pub fn effective_actions(inputs: &[Input<'_>]) -> Result<(Vec<EffectiveAction>, Vec<String>), ProveError> {
    let (sets, ..) = read(inputs, &AwsOptions::default())?;
    let (mut ids, mut unknown) = (Vec::new(), Vec::new());
    for set in &sets {
        let effective = effective::effective(set);
        ids.extend(effective.actions.iter().map(|a| a.action));
        unknown.extend(effective.unknown.iter().map(|u| u.pattern.text.clone()));
    }
    ids.sort_unstable();
    ids.dedup();
    let action = |id| {
        let (_, action) = table::get(id);
        EffectiveAction {
            action: table::full_name(id),
            level: action.level,
            data: action.data,
            credentials: action.credentials,
            escalates: action.escalates,
            acts: action.acts,
        }
    };
    Ok((ids.into_iter().map(action).collect(), unknown))
}

/// Judges documents that act together.
pub(crate) fn prove(inputs: &[Input<'_>], options: &AwsOptions) -> Result<Verdict, ProveError> {
    let (sets, unresolved, notes) = read(inputs, options)?;
    let mut verdict = Verdict::new(Language::Aws);
    notes.into_iter().for_each(|note| verdict.note(note));
    for (name, place) in unresolved {
        let at = GrantPlace { place, statement: "attached by name".to_owned() };
        let why = "it is no bundled managed policy; give its document: aws iam get-policy-version --policy-arn … --version-id …";
        verdict.offend(OffenceKind::Unknown, vec![shown(&name)], &at, why);
    }
    let exports: Vec<Glob> = options.exports.iter().filter_map(|location| export(location)).collect();
    let (mut names, mut public) = (0, false);
    for set in &sets {
        let effective = effective::effective(set);
        names += effective.actions.len() as u64;
        public |= set.resource.iter().flatten().any(|s| s.principal == Principal::Everybody);
        judge(&effective, &exports, &mut verdict);
    }
    verdict.allowed = names;
    if names == 0 && verdict.offences.is_empty() {
        verdict.note("It allows nothing.");
    }
    if public {
        verdict.note("A resource policy speaks of everybody: whoever asks is granted what it allows.");
    }
    if !verdict.is_proven(Exposure::BillingScoped) {
        verdict.minimal = Some(minimal::policy(&verdict));
    }
    Ok(verdict)
}

/// Where objects of an export lie, as ARNs.
fn export(location: &str) -> Option<Glob> {
    let rest = location.strip_prefix("s3://")?;
    let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    (!bucket.is_empty() && !rest.contains(['*', '?']))
        .then(|| Glob::new(&format!("arn:*:s3:::{bucket}/{prefix}*"), Case::Keep))
}

type Read = (Vec<Set>, Vec<(String, Place)>, Vec<String>);

/// Reads documents into sets of policies that act together.
fn read(inputs: &[Input<'_>], options: &AwsOptions) -> Result<Read, ProveError> {
    let (mut together, mut apart, mut limits) = (Set::default(), Vec::new(), [const { Vec::new() }; 3]);
    let (mut unresolved, mut notes) = (Vec::new(), Vec::new());
    for input in inputs {
        let found = find::find(input.name, document::text(input.name, input.bytes)?)?;
        notes.extend(found.notes);
        let documents = found.documents;
        match input.role {
            Role::Grant if found.is_bare => documents.into_iter().for_each(|d| {
                let side = if is_of_resource(&d) { &mut together.resource } else { &mut together.identity };
                side.push(d);
            }),
            Role::Grant => apart.extend(documents),
            Role::Boundary => limits[0].extend(documents),
            Role::Session => limits[1].extend(documents),
            Role::ServiceControl => limits[2].extend(documents),
        }
        for (name, place) in found.managed {
            resolve(&name, place, &mut apart, &mut unresolved, &mut notes)?;
        }
    }
    for name in &options.managed {
        let (mut documents, place) = (Vec::new(), Place::file(format!("managed policy {}", shown(name))));
        resolve(name, place, &mut documents, &mut unresolved, &mut notes)?;
        together.identity.extend(documents);
    }
    let nothing =
        together.identity.is_empty() && together.resource.is_empty() && apart.is_empty() && unresolved.is_empty();
    if nothing && let Some(upper) = limits.iter_mut().find(|l| !l.is_empty()) {
        notes.push(
            "Only limits were given: nothing more than what they allow can be granted, and that was judged.".into(),
        );
        together.identity.append(upper);
    }
    let limits: Vec<Vec<Vec<Statement>>> = limits.into_iter().filter(|l| !l.is_empty()).collect();
    let alone = |d: Vec<Statement>| {
        let mut set = Set { limits: limits.clone(), ..Set::default() };
        if is_of_resource(&d) {
            set.resource.push(d)
        } else {
            set.identity.push(d)
        }
        set
    };
    let mut sets: Vec<Set> = apart.into_iter().map(alone).collect();
    together.limits = limits.clone();
    sets.insert(0, together);
    Ok((sets, unresolved, notes))
}

fn is_of_resource(statements: &[Statement]) -> bool {
    statements.iter().any(|s| s.principal != Principal::Attached)
}

fn resolve(
    name: &str,
    place: Place,
    documents: &mut Vec<Vec<Statement>>,
    unresolved: &mut Vec<(String, Place)>,
    notes: &mut Vec<String>,
) -> Result<(), ProveError> {
    match managed::find(name) {
        Some(policy) => {
            let source = format!("managed policy {} {}", policy.name, policy.version);
            documents.extend(find::find(&source, policy.document)?.documents);
            notes.push(format!(
                "{} was judged as bundled, version {}: AWS changes managed policies without notice.",
                policy.name, policy.version
            ));
        }
        None => unresolved.push((name.to_owned(), place)),
    }
    Ok(())
}

/// Actions of one statement, by what is to be said of them. Texts are made once a group, for a statement may allow
/// everything that there is, and a policy may have very many such statements.
#[derive(Default)]
struct Groups {
    offences: Vec<(Offending, Counted)>,
    readings: Vec<((Exposure, &'static str), Counted)>,
    exceptions: Vec<(String, &'static str)>,
}

/// What offences of one group have in common.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Offending {
    kind: OffenceKind,
    level: Level,
    escalates: bool,
    needed: Option<&'static str>,
}

fn count<K: PartialEq>(groups: &mut Vec<(K, Counted)>, key: K, id: table::ActionId) {
    let at = groups.iter().position(|(known, _)| *known == key).unwrap_or_else(|| {
        groups.push((key, Counted::default()));
        groups.len() - 1
    });
    let (names, number) = &mut groups[at].1;
    *number += 1;
    if names.len() < MAX_LISTED {
        names.push(table::full_name(id));
    }
}

fn judge(effective: &Effective<'_>, exports: &[Glob], verdict: &mut Verdict) {
    let mut rest: &[Allowed<'_>] = &effective.actions;
    while let Some(first) = rest.first() {
        let length = rest.iter().take_while(|a| std::ptr::eq(a.statement, first.statement)).count();
        let (of_statement, after) = rest.split_at(length);
        rest = after;
        let mut groups = Groups::default();
        let is_export = is_of_exports(first.statement, exports);
        for allowed in of_statement {
            classify(allowed, is_export, &mut groups, verdict);
        }
        let at = &first.statement.at;
        groups
            .offences
            .into_iter()
            .for_each(|(what, actions)| verdict.offend_counted(what.kind, actions, at, what.why()));
        groups
            .readings
            .into_iter()
            .for_each(|((exposure, why), actions)| verdict.reads_counted(exposure, actions, at, why));
        groups.exceptions.into_iter().for_each(|(action, why)| verdict.except(action, at, why));
    }
    for UnknownPattern { pattern, statement } in &effective.unknown {
        let why = "no known action has this name: what it allows cannot be told";
        verdict.offend(OffenceKind::Unknown, vec![shown(&pattern.text)], &statement.at, why);
    }
    for statement in &effective.unbounded {
        let why = "NotAction with Allow grants every action but those named, those of tomorrow too";
        verdict.offend(OffenceKind::Unbounded, vec!["NotAction".to_owned()], &statement.at, why);
    }
    if effective.is_cut {
        let place = effective
            .actions
            .first()
            .map_or_else(|| Place::file("all documents"), |a| Place::file(a.statement.at.place.file.clone()));
        let at = GrantPlace { place, statement: "all statements".to_owned() };
        verdict.offend(
            OffenceKind::Unknown,
            Vec::new(),
            &at,
            "the policies are too large to be judged in full; split them",
        );
    }
}

/// Whether a statement's resources are objects of billing exports only.
fn is_of_exports(statement: &Statement, exports: &[Glob]) -> bool {
    match &statement.resources {
        Resources::Only(resources) if !exports.is_empty() => {
            !resources.is_empty() && resources.iter().all(|r| exports.iter().any(|export| export.covers(r)))
        }
        _ => false,
    }
}

fn classify(allowed: &Allowed<'_>, is_export: bool, groups: &mut Groups, verdict: &mut Verdict) {
    let (service, action) = table::get(allowed.action);
    if !action.only_reads() {
        if let Some(why) = exceptions::allowed(service, action.name, allowed.statement) {
            groups.exceptions.push((table::full_name(allowed.action), why));
            return;
        }
        count(&mut groups.offences, offending(service, action), allowed.action);
    }
    if action.credentials {
        let why = "it gives material that opens something else";
        count(&mut groups.readings, (Exposure::ReadsCredentials, why), allowed.action);
    } else if action.data && !(is_export && service == "s3") {
        count(&mut groups.readings, (Exposure::ReadsBusinessData, data_reason(service)), allowed.action);
    } else if action.only_reads() && !minimal::is_billing(service) {
        verdict.beyond(service);
    }
}

fn data_reason(service: &str) -> &'static str {
    match service {
        "s3" => "it gives objects; where they are a billing export, name it with --export s3://bucket/prefix",
        _ => "it gives contents of what is stored",
    }
}

fn offending(service: &str, action: &table::Action) -> Offending {
    let kind = match action.level {
        _ if action.acts && (service == "sts" || action.name.starts_with("Pass")) => OffenceKind::Delegates,
        Level::List | Level::Read => OffenceKind::Acts,
        Level::Tagging => OffenceKind::Tags,
        Level::Write => OffenceKind::Writes,
        Level::PermissionsManagement => OffenceKind::ManagesPermissions,
    };
    let needed = exceptions::needed(service, action.name);
    Offending { kind, level: action.level, escalates: action.escalates, needed }
}

impl Offending {
    fn why(self) -> String {
        let level = self.level.as_str();
        let escalation = if self.escalates { ", and is a known way to more permissions" } else { "" };
        let needed = self.needed.map(|needed| format!("; {needed}")).unwrap_or_default();
        match self.kind {
            OffenceKind::Delegates => {
                format!("it lends another identity's permissions, which are not known here{escalation}")
            }
            OffenceKind::Acts => format!("AWS classes it as {level}, and it does more than reading"),
            _ => format!("access level {level}{escalation}{needed}"),
        }
    }
}

#[cfg(test)]
mod tests;
