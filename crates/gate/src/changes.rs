//! What a change does to what guards it.
//!
//! None of it takes effect in the check of that change: contract, waivers, baseline and own rules are the base's. Each is
//! said, so that a reviewer sees it.

use std::collections::BTreeMap;

use custody_contract::file::{GlobSet, locate};
use custody_contract::{Contract, Diagnostic, Level, Place, Surface};
use custody_incident::{Incident, Records, State, Unreadable};
use custody_scan::baseline::Baseline;
use custody_scan::source::{BaseTree, SourceError};

use crate::base::Base;
use crate::input::GateInput;

pub(crate) const CODE: &str = "custody-contract-changed";

/// What the change does, and what of it makes ROT-3 fail.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    pub diagnostics: Vec<Diagnostic>,
    /// The change would leave a contract that cannot be used.
    pub broken: Vec<Diagnostic>,
}

fn changed(what: impl Into<String>, place: Place) -> Diagnostic {
    Diagnostic::warning(CODE, what)
        .at(place)
        .why("a change cannot approve itself: the base revision's is in force for this check")
        .fix("have it reviewed for itself; it takes effect once it is merged")
}

/// Compares base and working tree.
pub(crate) fn find(input: &GateInput<'_>, base: &Base) -> Result<Changes, SourceError> {
    let mut changes = Changes::default();
    let file = input.contract_file();
    let began = base.began();
    let before = began.read(file)?;
    // Where the change began is another commit than what it goes into, its contract may be another too.
    let text = before.as_deref().map(String::from_utf8_lossy).filter(|_| base.has_moved_on());
    let began_with = text.and_then(|text| Contract::load(&text, file, input.today).ok());
    let contract_before = began_with.as_ref().unwrap_or(input.contract);
    let after = input.tree.read(file).ok();
    if before != after {
        match after.map(String::from_utf8) {
            None => changes.diagnostics.push(changed("the change deletes the contract file", Place::file(file))),
            Some(Err(_)) => changes.broken.push(unusable(file, "it is not UTF-8".into(), None)),
            Some(Ok(text)) => match Contract::load(&text, file, input.today) {
                Ok(after) => {
                    contract(contract_before, &after, &text, file, &mut changes.diagnostics);
                    credentials(input, contract_before, &after, &text, file, &mut changes.diagnostics);
                }
                Err(problems) => changes
                    .broken
                    .extend(problems.into_iter().map(|p| unusable(file, format!("{}: {}", p.what, p.why), p.place))),
            },
        }
    }
    baseline(input, began, &mut changes.diagnostics)?;
    rule_files(input, began, &mut changes.diagnostics)?;
    Ok(changes)
}

fn unusable(file: &str, why: String, place: Option<Place>) -> Diagnostic {
    Diagnostic::error("ROT-3", "the change leaves a contract file that cannot be used")
        .at(place.unwrap_or_else(|| Place::file(file)))
        .why(why)
        .fix("correct the file")
}

fn contract(before: &Contract, after: &Contract, text: &str, file: &str, out: &mut Vec<Diagnostic>) {
    let count = out.len();
    waivers(before, after, text, file, out);
    clauses(before, after, text, file, out);
    surfaces(before, after, text, file, out);
    for rule in after.disabled_rules.iter().filter(|r| !before.disabled_rules.contains(r)) {
        out.push(changed(format!("the change disables rule {rule}"), locate(text, file, &["scan", "disabled-rules"])));
    }
    for rule in before.disabled_rules.iter().filter(|r| !after.disabled_rules.contains(r)) {
        out.push(changed(format!("the change enables rule {rule}"), Place::file(file)));
    }
    for (differs, what, path) in [
        (before.profile != after.profile, "another profile", &["contract"][..]),
        (before.block_at != after.block_at, "from which severity a finding blocks", &["release", "block-at"]),
        (before.baseline != after.baseline, "where the baseline lies", &["scan", "baseline"]),
        (before.rule_files != after.rule_files, "which rule files are read", &["scan", "rules"]),
        (before.incident_directory != after.incident_directory, "where incident records lie", &["incidents"]),
        (before.default_environment != after.default_environment, "the default environment", &["default-environment"]),
        (
            before.environments != after.environments,
            "the environments' templates and deployment files",
            &["environments"],
        ),
        (before.keys != after.keys, "the environment keys", &["key"]),
        (
            before.credential_ref_required != after.credential_ref_required,
            "where a credentialRef is required",
            &["billing", "credential-ref-required"],
        ),
        (
            before.proof_required != after.proof_required,
            "where a credential needs a read-only proof",
            &["proof", "required-in"],
        ),
        (before.proof_directory != after.proof_directory, "where read-only proofs lie", &["proof", "directory"]),
        (before.proof_max_age != after.proof_max_age, "how old a read-only proof may be", &["proof", "max-age"]),
        (before.adapters != after.adapters, "the billing adapters", &["billing", "adapter"]),
        (
            (&before.billing_packs, &before.billing_requests, &before.billing_handoffs)
                != (&after.billing_packs, &after.billing_requests, &after.billing_handoffs),
            "which billing requests, handoffs and packs are read",
            &["billing"],
        ),
    ] {
        if differs {
            out.push(changed(format!("the change sets {what}"), locate(text, file, path)));
        }
    }
    // Comments and order alone say nothing.
    if out.len() == count && before != after && before.credentials == after.credentials {
        out.push(changed("the change edits the contract file", Place::file(file)));
    }
}

fn waivers(before: &Contract, after: &Contract, text: &str, file: &str, out: &mut Vec<Diagnostic>) {
    for (index, waiver) in after.waivers.iter().enumerate() {
        let what = match before.waivers.iter().find(|w| w.id == waiver.id) {
            None => format!("the change adds waiver {}", waiver.id),
            Some(known) if known == waiver => continue,
            Some(known) if known.expires < waiver.expires => {
                format!("the change extends waiver {} from {} to {}", waiver.id, known.expires, waiver.expires)
            }
            Some(_) => format!("the change alters waiver {}", waiver.id),
        };
        out.push(changed(what, locate(text, file, &["waiver", &index.to_string()])));
    }
    for waiver in before.waivers.iter().filter(|w| !after.waivers.iter().any(|a| a.id == w.id)) {
        out.push(changed(format!("the change removes waiver {}", waiver.id), Place::file(file)));
    }
}

fn clauses(before: &Contract, after: &Contract, text: &str, file: &str, out: &mut Vec<Diagnostic>) {
    for clause in &after.clauses {
        let known = before.clauses.iter().find(|c| c.id == clause.id);
        if known.is_some_and(|known| known.enforcement != clause.enforcement) {
            let how = match clause.enforcement {
                custody_contract::file::Enforcement::Warn => "warn",
                custody_contract::file::Enforcement::Block => "block",
            };
            out.push(changed(format!("the change sets {} to {how}", clause.id), locate(text, file, &["clause"])));
        }
    }
}

fn surfaces(before: &Contract, after: &Contract, text: &str, file: &str, out: &mut Vec<Diagnostic>) {
    for (index, exclusion) in after.surfaces.exclusions.iter().enumerate() {
        if !before.surfaces.exclusions.contains(exclusion) {
            let paths = exclusion.paths.patterns().join(", ").escape_debug().to_string();
            let place = locate(text, file, &["surfaces", "exclude", &index.to_string()]);
            out.push(changed(format!("the change excludes {paths} from what is looked at"), place));
        }
    }
    let removed = |one: &GlobSet, other: &GlobSet| one.patterns().iter().any(|p| !other.patterns().contains(p));
    for (surface, was, is) in [
        (Surface::Fixtures, &before.surfaces.fixtures, &after.surfaces.fixtures),
        (Surface::Screenshots, &before.surfaces.screenshots, &after.surfaces.screenshots),
        (Surface::Logs, &before.surfaces.logs, &after.surfaces.logs),
        (Surface::Evidence, &before.surfaces.evidence, &after.surfaces.evidence),
    ] {
        if removed(was, is) || removed(is, was) {
            let place = locate(text, file, &["surfaces", surface.as_str()]);
            out.push(changed(format!("the change sets where {surface} lie"), place));
        }
    }
}

fn credentials(
    input: &GateInput<'_>,
    before: &Contract,
    after: &Contract,
    text: &str,
    file: &str,
    out: &mut Vec<Diagnostic>,
) {
    let shown = |reference| crate::rotation::shown(reference, input.engine);
    for (index, item) in after.credentials.iter().enumerate() {
        let verb = match before.credentials.iter().find(|c| c.reference == item.reference) {
            None => "registers",
            Some(known) if known != item => "alters the entry of",
            Some(_) => continue,
        };
        let place = locate(text, file, &["credential", &index.to_string()]);
        out.push(changed(format!("the change {verb} {}", shown(&item.reference)), place));
    }
    for item in before.credentials.iter().filter(|c| !after.credentials.iter().any(|a| a.reference == c.reference)) {
        out.push(changed(format!("the change removes the entry of {}", shown(&item.reference)), Place::file(file)));
    }
}

fn baseline(input: &GateInput<'_>, base: &BaseTree, out: &mut Vec<Diagnostic>) -> Result<(), SourceError> {
    let path = &input.contract.baseline;
    let entries = |content: Option<Vec<u8>>| {
        let text = content.and_then(|c| String::from_utf8(c).ok()).unwrap_or_default();
        Baseline::parse(&text)
    };
    let (before, after) = (base.read(path)?, input.tree.read(path).ok());
    if before == after {
        return Ok(());
    }
    let before = entries(before).unwrap_or_default();
    match entries(after) {
        Err(errors) => {
            let line = errors.first().map_or(0, |e| e.line);
            out.push(changed("the change leaves a baseline that cannot be read", Place::at(path, line, 0)));
        }
        Ok(after) => {
            for entry in after.entries().filter(|e| before.get(&e.fingerprint) != Some(e)) {
                let verb = if before.get(&entry.fingerprint).is_some() { "alters" } else { "adds" };
                let what = format!("the change {verb} baseline entry {} ({})", entry.fingerprint, entry.rule);
                out.push(changed(what, Place::file(path)));
            }
        }
    }
    Ok(())
}

fn rule_files(input: &GateInput<'_>, base: &BaseTree, out: &mut Vec<Diagnostic>) -> Result<(), SourceError> {
    let globs = &input.contract.rule_files;
    if globs.is_empty() {
        return Ok(());
    }
    let mut files: BTreeMap<String, ()> = base.paths()?.into_iter().map(|p| (p, ())).collect();
    files.extend(input.tree.paths().iter().map(|p| (p.clone(), ())));
    for path in files.into_keys().filter(|p| globs.is_match(p)) {
        let (before, after) = (base.read(&path)?, input.tree.read(&path).ok());
        let verb = match (before, after) {
            (before, after) if before == after => continue,
            (None, _) => "adds",
            (_, None) => "deletes",
            _ => "alters",
        };
        out.push(changed(format!("the change {verb} a rule file"), Place::file(path)));
    }
    Ok(())
}

/// Records as they count: an incident that is not closed in what the change goes into stays so, whatever the change did
/// to its record.
pub(crate) fn incidents(base: &Base, directory: &str, records: &mut Records) -> Result<Vec<Diagnostic>, SourceError> {
    let mut out = Vec::new();
    let prefix = format!("{directory}/");
    let target = base.in_force();
    for path in target.paths()?.into_iter().filter(|p| p.starts_with(&prefix) && p.ends_with(".toml")) {
        let Some(content) = target.read(&path)? else { continue };
        let Some(before) = String::from_utf8(content).ok().and_then(|t| custody_incident::parse(&t).ok()) else {
            // Unreadable is open. One that the tree can read was put right; one that is gone was not.
            let named = |i: &Incident| path.ends_with(&format!("/{}", i.id.file_name()));
            if !records.incidents.iter().any(named) && !records.unreadable.iter().any(|u| u.place.file == path) {
                let why = "the base's record cannot be read, and the change deletes it".to_owned();
                records.unreadable.push(Unreadable { place: Place::file(path), why });
            }
            continue;
        };
        if before.state == State::Closed || records.unreadable.iter().any(|u| u.place.file == path) {
            continue;
        }
        let now: Option<&mut Incident> = records.incidents.iter_mut().find(|i| i.id == before.id);
        let verb = match now {
            Some(now) if now.state == State::Closed => {
                *now = before.clone();
                "closes"
            }
            Some(now) if now.severity < before.severity => {
                now.severity = before.severity;
                "lowers the severity of"
            }
            Some(_) => continue,
            None => {
                records.incidents.push(before.clone());
                // Opened after the change began: it is open here too, and the change did nothing to it.
                if base.began().read(&path)?.is_none() {
                    continue;
                }
                "deletes the record of"
            }
        };
        out.push(changed(format!("the change {verb} incident {}", before.id), Place::file(path)));
    }
    records.incidents.sort_by(|a, b| a.id.cmp(&b.id));
    debug_assert!(out.iter().all(|d| d.level == Level::Warning));
    Ok(out)
}
