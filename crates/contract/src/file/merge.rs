//! Laying a repository's contract file over its profile: what adds up, what replaces, what may not be weakened.

use std::collections::BTreeSet;

use jiff::civil::Date;

use crate::file::contract::Clause;
use crate::file::items::EnvironmentTable;
use crate::file::layer::{CODE, locate};
use crate::file::{
    Adapter, ClauseItem, ContractFile, CredentialItem, Enforcement, Exclusion, GlobSet, KeyItem, KeyType,
    SurfaceSection, Waiver, Window,
};
use crate::{ClauseId, Diagnostic, Environment, Severity};

/// Laying a file over its profile, with all problems collected.
pub(super) struct Merge<'a> {
    pub(super) text: &'a str,
    pub(super) name: &'a str,
    pub(super) today: Date,
    pub(super) waivers: &'a [Waiver],
    pub(super) problems: Vec<Diagnostic>,
    pub(super) notes: Vec<Diagnostic>,
}

impl Merge<'_> {
    pub(super) fn problem(
        &mut self,
        path: &[&str],
        what: impl Into<String>,
        why: impl Into<String>,
        fix: impl Into<String>,
    ) {
        let place = locate(self.text, self.name, path);
        self.problems.push(Diagnostic::error(CODE, what).at(place).why(why).fix(fix));
    }

    /// Whether a locked item may be weakened; says so if not.
    fn may_weaken(&mut self, clause: &str, path: &[&str], what: &str) -> bool {
        let mut waivers = self.waivers.iter().filter(|w| w.waives(clause));
        let (valid, any) = match waivers.next() {
            None => (false, false),
            Some(first) => (first.is_valid_on(self.today) || waivers.any(|w| w.is_valid_on(self.today)), true),
        };
        let place = locate(self.text, self.name, path);
        if valid {
            let note = Diagnostic::note(CODE, format!("{what}, by waiver of {clause}")).at(place);
            self.notes.push(note.why("the profile locks this item"));
        } else if any {
            let note = Diagnostic::warning(CODE, format!("{what} is ignored: the waiver of {clause} has expired"));
            let note = note.at(place).why("the profile locks this item, so the profile's value is in force");
            self.notes.push(note.fix("remove the override, or renew the waiver with a new reason and date"));
        } else {
            let fix = format!("remove it, or add a [[waiver]] with clause = \"{clause}\", owner, reason and expires");
            self.problem(path, what, format!("the profile locks this item; it belongs to {clause}"), fix);
        }
        valid
    }

    pub(super) fn check_waivers(&mut self, base: &ContractFile) {
        let mut seen = BTreeSet::new();
        for (i, waiver) in self.waivers.iter().enumerate() {
            let at = i.to_string();
            let at = at.as_str();
            if !seen.insert(waiver.id.as_str()) {
                self.problem(&["waiver", at, "id"], "two waivers have the same id", "ids are unique", "rename one");
            }
            let targets = [waiver.clause.is_some(), waiver.fingerprint.is_some(), waiver.rule.is_some()];
            if targets.iter().filter(|t| **t).count() != 1 {
                let why = "a waiver covers a clause, or a finding, or a rule";
                let fix = "give exactly one of clause, fingerprint and rule";
                self.problem(&["waiver", at], "a waiver without a single target", why, fix);
            }
            if let Some(clause) = &waiver.clause {
                self.check_clause_id(&["waiver", at, "clause"], clause, base);
                if !waiver.paths.is_empty() {
                    let fix = "remove paths, or waive findings by fingerprint or rule";
                    self.problem(&["waiver", at, "paths"], "a waiver of a clause has paths", "it covers it whole", fix);
                }
            }
            if !waiver.references.is_empty() && waiver.clause.as_ref().is_none_or(|c| *c != *"CRED-3") {
                let why = "the read-only proof (CRED-3) is what is asked of single credentials";
                let fix = "remove references, or give clause = \"CRED-3\"";
                let what = "a waiver names credentials, and not clause CRED-3";
                self.problem(&["waiver", at, "references"], what, why, fix);
            }
            for (field, value) in [("id", &waiver.id), ("owner", &waiver.owner), ("reason", &waiver.reason)] {
                if value.trim().is_empty() {
                    let what = format!("a waiver's {field} is empty");
                    self.problem(
                        &["waiver", at, field],
                        what,
                        "a waiver needs owner, reason and expiry (ROT-3)",
                        "say it",
                    );
                }
            }
        }
    }

    fn check_clause_id(&mut self, path: &[&str], clause: &ClauseId, base: &ContractFile) {
        if base.clauses.iter().any(|c| c.id == *clause) {
            return;
        }
        let closest = base.clauses.iter().map(|c| c.id.as_str());
        let closest = closest.min_by_key(|id| strsim::damerau_levenshtein(id, clause.as_str())).unwrap_or_default();
        let fix = format!("did you mean {closest}? `custody explain` lists all clauses");
        self.problem(path, format!("unknown clause {clause}"), "the profile has no such clause", fix);
    }

    pub(super) fn check_credentials(&mut self, credentials: &[CredentialItem]) {
        let mut seen = BTreeSet::new();
        for (i, credential) in credentials.iter().enumerate() {
            if !seen.insert(&credential.reference) {
                let what = format!("{} is registered twice", credential.reference);
                let path = ["credential", &i.to_string(), "reference"];
                self.problem(&path, what, "a credential has one entry", "merge the two entries");
            }
        }
    }

    pub(super) fn check_exclusions(&mut self, exclusions: &[Exclusion]) {
        for (i, exclusion) in exclusions.iter().enumerate() {
            let at = i.to_string();
            if exclusion.reason.trim().is_empty() {
                let why = "every run lists what was not looked at and why";
                self.problem(&["surfaces", "exclude", &at], "an exclusion without a reason", why, "say why");
            }
        }
    }

    pub(super) fn clauses(&mut self, base: &[ClauseItem], own: &[ClauseItem]) -> Vec<Clause> {
        let mut clauses: Vec<Clause> = base.iter().map(clause_of).collect();
        for (i, item) in own.iter().enumerate() {
            let at = i.to_string();
            let path = ["clause", at.as_str(), "id"];
            let Some(position) = clauses.iter().position(|c| c.id == item.id) else {
                let known = ContractFile { clauses: base.to_vec(), ..ContractFile::default() };
                self.check_clause_id(&path, &item.id, &known);
                continue;
            };
            let texts = [&item.section, &item.title, &item.evaluation, &item.remedy];
            if item.locked || texts.iter().any(|t| t.is_some()) {
                let what = format!("the text of {} is restated", item.id);
                let why = "the profile states what a clause means; a repository may change its enforcement only";
                self.problem(&path, what, why, "keep id and enforcement");
            }
            let current = clauses[position].enforcement;
            let Some(wanted) = item.enforcement else { continue };
            let weaker = wanted < current && base[position].locked;
            let what = format!("{} is set to {}", item.id, "warn");
            let path = ["clause", at.as_str(), "enforcement"];
            if !weaker || self.may_weaken(item.id.as_str(), &path, &what) {
                clauses[position].enforcement = wanted;
            }
        }
        clauses
    }

    pub(super) fn keys(&mut self, base: Vec<KeyItem>, own: &[KeyItem]) -> Vec<KeyItem> {
        let mut keys = base;
        let mut seen = BTreeSet::new();
        for (i, key) in own.iter().enumerate() {
            let at = i.to_string();
            self.check_key(&at, key);
            if !seen.insert(key.name.as_str()) {
                let what = format!("key {} is declared twice", key.name);
                self.problem(&["key", &at, "name"], what, "a key has one entry", "merge the two entries");
            }
            let Some(position) = keys.iter().position(|k| k.name == key.name) else {
                keys.push(key.clone());
                continue;
            };
            let what = format!("key {} is relaxed", key.name);
            let relaxed = keys[position].locked && relaxes(&keys[position], key);
            if !relaxed || self.may_weaken("ENV-1", &["key", &at, "name"], &what) {
                let locked = keys[position].locked;
                let inherited = keys[position].description.clone();
                keys[position] = KeyItem { locked, ..key.clone() };
                keys[position].description = keys[position].description.take().or(inherited);
            }
        }
        keys
    }

    fn check_key(&mut self, at: &str, key: &KeyItem) {
        let mut bytes = key.name.bytes();
        let first = bytes.next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_');
        if !first || !bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_') {
            let why = "a key starts with a letter or underscore and has letters, digits and underscores only";
            self.problem(&["key", at, "name"], "not an environment variable's name", why, "rename it");
        }
        if (key.kind == KeyType::Enum) == key.values.is_empty() {
            let what = format!("key {}: type and values do not fit", key.name);
            let why = "a key of type enum lists its values, and no other type does";
            self.problem(&["key", at], what, why, "give type = \"enum\" together with values");
        }
        if key.secret && key.example.as_ref().is_some_and(|e| !e.is_empty()) {
            let what = format!("key {} is secret and has an example", key.name);
            let why = "a template leaves a secret's value empty (ENV-3)";
            self.problem(&["key", at, "example"], what, why, "remove the example");
        }
    }

    pub(super) fn block_at(&mut self, base: Option<Severity>, own: Option<Severity>) -> Severity {
        let base = base.unwrap_or(Severity::High);
        match own {
            Some(own) if own > base => {
                let what = format!("block-at is raised from {base} to {own}");
                if self.may_weaken("ROT-3", &["release", "block-at"], &what) { own } else { base }
            }
            Some(own) => own,
            None => base,
        }
    }

    pub(super) fn credential_ref_required(
        &mut self,
        base: Vec<Environment>,
        own: Option<Vec<Environment>>,
    ) -> Vec<Environment> {
        let Some(own) = own else { return base };
        let weaker = base.iter().any(|e| !own.contains(e));
        let what = "credential-ref-required leaves out an environment";
        if weaker && !self.may_weaken("BILL-1", &["billing", "credential-ref-required"], what) { base } else { own }
    }

    pub(super) fn proof_required(&mut self, base: Vec<Environment>, own: Option<Vec<Environment>>) -> Vec<Environment> {
        let Some(own) = own else { return base };
        let weaker = base.iter().any(|e| !own.contains(e));
        let what = "proof.required-in leaves out an environment";
        if weaker && !self.may_weaken("CRED-3", &["proof", "required-in"], what) { base } else { own }
    }

    pub(super) fn proof_max_age(&mut self, base: Option<Window>, own: Option<Window>) -> Window {
        let base = base.unwrap_or(Window::from_days(90));
        let Some(own) = own else { return base };
        let what = format!("proof.max-age is raised from {base} to {own}");
        let is_longer = own.duration() > base.duration();
        if is_longer && !self.may_weaken("CRED-3", &["proof", "max-age"], &what) { base } else { own }
    }

    pub(super) fn adapters(&mut self, base: Vec<Adapter>, own: &[Adapter]) -> Vec<Adapter> {
        let mut adapters = base;
        for (i, adapter) in own.iter().enumerate() {
            if adapters.iter().any(|a| a.id == adapter.id) {
                let path = ["billing", "adapter", &i.to_string(), "id"];
                let what = format!("adapter {} is registered twice", adapter.id);
                self.problem(
                    &path,
                    what,
                    "an id belongs to one adapter; the built-in ones are fixed",
                    "choose another id",
                );
            } else {
                adapters.push(adapter.clone());
            }
        }
        adapters
    }

    pub(super) fn environments(&mut self, base: EnvironmentTable, own: &EnvironmentTable) -> EnvironmentTable {
        let mut merged = base;
        for environment in Environment::ALL {
            let Some(item) = own.get(environment) else { continue };
            let slot = merged.get_mut(environment);
            // Where a repository names its own files, they replace the profile's guesses.
            let current = slot.get_or_insert_default();
            if !item.templates.is_empty() {
                current.templates = item.templates.clone();
            }
            current.backend = item.backend.clone().or(current.backend.take());
            if !item.deployments.is_empty() {
                current.deployments = item.deployments.clone();
            }
        }
        merged
    }

    pub(super) fn surfaces(&mut self, base: SurfaceSection, own: &SurfaceSection) -> SurfaceSection {
        SurfaceSection {
            fixtures: self.union(&base.fixtures, &own.fixtures),
            screenshots: self.union(&base.screenshots, &own.screenshots),
            logs: self.union(&base.logs, &own.logs),
            evidence: self.union(&base.evidence, &own.evidence),
            exclusions: base.exclusions.into_iter().chain(own.exclusions.iter().cloned()).collect(),
        }
    }

    pub(super) fn union(&mut self, base: &GlobSet, own: &GlobSet) -> GlobSet {
        base.union(own).unwrap_or_else(|error| {
            self.problems.push(Diagnostic::error(CODE, error.to_string()));
            GlobSet::default()
        })
    }

    pub(super) fn path(&mut self, place: &[&str], own: Option<&str>, default: &str) -> String {
        let Some(own) = own else { return default.into() };
        let path = own.strip_prefix("./").unwrap_or(own).trim_end_matches('/');
        if path.is_empty()
            || path.starts_with('/')
            || path.split('/').any(|p| p == ".." || p.eq_ignore_ascii_case(".git"))
        {
            let why = "it must be a path below the repository's root";
            self.problem(place, "a path that leaves the repository", why, "give a relative path without ..");
        }
        path.into()
    }
}

fn clause_of(item: &ClauseItem) -> Clause {
    Clause {
        id: item.id.clone(),
        section: item.section.clone().unwrap_or_default(),
        title: item.title.clone().unwrap_or_default(),
        evaluation: item.evaluation.clone().unwrap_or_default(),
        remedy: item.remedy.clone().unwrap_or_default(),
        enforcement: item.enforcement.unwrap_or(Enforcement::Block),
    }
}

/// Whether `own` asks less of a key than the profile does.
fn relaxes(base: &KeyItem, own: &KeyItem) -> bool {
    let requirement = Environment::ALL.iter().any(|&e| base.required.applies_to(e) && !own.required.applies_to(e));
    let kind = base.kind != KeyType::String && base.kind != own.kind;
    let values = base.kind == KeyType::Enum && own.values.iter().any(|v| !base.values.contains(v));
    let pattern = base.pattern.is_some() && base.pattern != own.pattern;
    let requires = base.requires.iter().any(|r| !own.requires.contains(r));
    requirement || kind || values || pattern || requires || (base.secret && !own.secret)
}
