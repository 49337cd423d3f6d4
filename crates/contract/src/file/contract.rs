//! The contract in force: a repository's file over its profile.

use std::collections::BTreeSet;

use jiff::civil::Date;

use crate::file::items::EnvironmentTable;
use crate::file::layer::{CODE, locate, profile};
use crate::file::{
    Adapter, ClauseItem, ContractFile, CredentialItem, Enforcement, Exclusion, GlobSet, KeyItem, KeyType, Requirement,
    SurfaceSection, Waiver,
};
use crate::{ClauseId, Diagnostic, Environment, Severity, Surface};

/// The contract in force: a repository's `custody.toml` over a built-in profile, with nothing left open.
#[derive(Debug, Clone, PartialEq)]
pub struct Contract {
    /// Name of the profile.
    pub profile: String,
    /// The environment to evaluate where the command line names none.
    pub default_environment: Option<Environment>,
    /// Templates and deployment files per environment.
    pub environments: EnvironmentTable,
    /// Environment keys, the profile's first.
    pub keys: Vec<KeyItem>,
    /// Where the named surfaces lie, and what is excluded.
    pub surfaces: SurfaceSection,
    /// Path of the baseline.
    pub baseline: String,
    /// The repository's own rule files.
    pub rule_files: GlobSet,
    /// Rules that are not applied.
    pub disabled_rules: Vec<String>,
    /// From which severity an open finding blocks (ROT-3).
    pub block_at: Severity,
    /// Where a billing request must carry a `credentialRef` (BILL-1).
    pub credential_ref_required: Vec<Environment>,
    /// Directories of fixture packs.
    pub billing_packs: GlobSet,
    /// Files that are billing requests.
    pub billing_requests: GlobSet,
    /// Files that are canonical handoffs.
    pub billing_handoffs: GlobSet,
    /// All known adapters, the built-in ones first.
    pub adapters: Vec<Adapter>,
    /// Directory of incident records.
    pub incident_directory: String,
    /// The rotation registry.
    pub credentials: Vec<CredentialItem>,
    /// All waivers, expired ones included.
    pub waivers: Vec<Waiver>,
    /// All clauses, in the contract's order.
    pub clauses: Vec<Clause>,
    /// What is worth saying about the file although it can be used.
    pub notes: Vec<Diagnostic>,
}

/// One clause of the contract in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Clause {
    /// Its id.
    pub id: ClauseId,
    /// Section of the contract document.
    pub section: String,
    /// The clause, in a line.
    pub title: String,
    /// What evaluating it means.
    pub evaluation: String,
    /// What to do when it fails.
    pub remedy: String,
    /// Whether a failure blocks.
    pub enforcement: Enforcement,
}

impl Contract {
    /// Name of the contract file at a repository's root.
    pub const FILE_NAME: &'static str = "custody.toml";
    /// The profile of a file that names none.
    pub const DEFAULT_PROFILE: &'static str = "ficecal";
    /// Where the baseline lies unless the contract says otherwise.
    pub const DEFAULT_BASELINE: &'static str = ".custody/baseline";
    /// Where incident records lie unless the contract says otherwise.
    pub const DEFAULT_INCIDENTS: &'static str = ".custody/incidents";

    /// The default profile alone, for a repository without a contract file.
    pub fn builtin() -> Contract {
        Self::load("", "built-in profile", Date::ZERO).expect("the built-in profile is valid, see its test")
    }

    /// Reads a contract file and lays it over its profile; `name` is what errors call it, `today` decides which
    /// waivers still count.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with the file, each with its place: what [`ContractFile::parse`] reports, duplicates,
    /// contradictions, unknown ids, and what weakens a locked item without a waiver.
    pub fn load(text: &str, name: &str, today: Date) -> Result<Contract, Vec<Diagnostic>> {
        let file = ContractFile::parse(text, name).map_err(|d| vec![*d])?;
        Self::resolve(file, text, name, today)
    }

    fn resolve(file: ContractFile, text: &str, name: &str, today: Date) -> Result<Contract, Vec<Diagnostic>> {
        let profile_name = file.contract.clone().unwrap_or_else(|| Self::DEFAULT_PROFILE.into());
        let Some(profile_text) = profile(&profile_name) else {
            let known = crate::file::PROFILES.map(|(n, _)| n).join(", ");
            return Err(vec![
                Diagnostic::error(CODE, "unknown contract profile")
                    .at(locate(text, name, &["contract"]))
                    .why("no built-in profile has this name")
                    .fix(format!("use one of: {known}")),
            ]);
        };
        let base = ContractFile::parse(profile_text, &profile_name).map_err(|d| vec![*d])?;
        let mut merge = Merge { text, name, today, waivers: &file.waivers, problems: Vec::new(), notes: Vec::new() };
        merge.check_waivers(&base);
        merge.check_credentials(&file.credentials);
        merge.check_exclusions(&file.surfaces.exclusions);
        let clauses = merge.clauses(&base.clauses, &file.clauses);
        let keys = merge.keys(base.keys, &file.keys);
        let block_at = merge.block_at(base.release.block_at, file.release.block_at);
        let credential_ref_required = merge.credential_ref_required(
            base.billing.credential_ref_required.unwrap_or_default(),
            file.billing.credential_ref_required.clone(),
        );
        let adapters = merge.adapters(base.billing.adapters, &file.billing.adapters);
        let contract = Contract {
            profile: profile_name,
            default_environment: file.default_environment.or(base.default_environment),
            environments: merge.environments(base.environments, &file.environments),
            keys,
            surfaces: merge.surfaces(base.surfaces, &file.surfaces),
            baseline: merge.path(&["scan", "baseline"], file.scan.baseline.as_deref(), Self::DEFAULT_BASELINE),
            rule_files: merge.union(&base.scan.rules, &file.scan.rules),
            disabled_rules: file.scan.disabled_rules.clone(),
            block_at,
            credential_ref_required,
            billing_packs: merge.union(&base.billing.packs, &file.billing.packs),
            billing_requests: merge.union(&base.billing.requests, &file.billing.requests),
            billing_handoffs: merge.union(&base.billing.handoffs, &file.billing.handoffs),
            adapters,
            incident_directory: merge.path(
                &["incidents", "directory"],
                file.incidents.directory.as_deref(),
                Self::DEFAULT_INCIDENTS,
            ),
            credentials: file.credentials.clone(),
            waivers: file.waivers.clone(),
            clauses,
            notes: std::mem::take(&mut merge.notes),
        };
        if merge.problems.is_empty() { Ok(contract) } else { Err(merge.problems) }
    }

    /// A clause by id.
    pub fn clause(&self, id: &str) -> Option<&Clause> {
        self.clauses.iter().find(|c| c.id == *id)
    }

    /// The named surface that `path` belongs to, or `None` for the rest of the working tree.
    pub fn surface_of(&self, path: &str) -> Option<Surface> {
        let named = [
            (Surface::Screenshots, &self.surfaces.screenshots),
            (Surface::Logs, &self.surfaces.logs),
            (Surface::Evidence, &self.surfaces.evidence),
            (Surface::Fixtures, &self.surfaces.fixtures),
        ];
        named.into_iter().find(|(_, globs)| globs.is_match(path)).map(|(surface, _)| surface)
    }

    /// Why `path` is not looked at, if the contract excludes it.
    pub fn exclusion(&self, path: &str) -> Option<&str> {
        self.surfaces.exclusions.iter().find(|e| e.paths.is_match(path)).map(|e| e.reason.as_str())
    }

    /// The waivers that count on `today`.
    pub fn valid_waivers(&self, today: Date) -> impl Iterator<Item = &Waiver> {
        self.waivers.iter().filter(move |w| w.is_valid_on(today))
    }

    /// An adapter by id.
    pub fn adapter(&self, id: &str) -> Option<&Adapter> {
        self.adapters.iter().find(|a| a.id.as_str() == id)
    }
}

/// Laying a file over its profile, with all problems collected.
struct Merge<'a> {
    text: &'a str,
    name: &'a str,
    today: Date,
    waivers: &'a [Waiver],
    problems: Vec<Diagnostic>,
    notes: Vec<Diagnostic>,
}

impl Merge<'_> {
    fn problem(&mut self, path: &[&str], what: impl Into<String>, why: impl Into<String>, fix: impl Into<String>) {
        let place = locate(self.text, self.name, path);
        self.problems.push(Diagnostic::error(CODE, what).at(place).why(why).fix(fix));
    }

    /// Whether a locked item may be weakened; says so if not.
    fn may_weaken(&mut self, clause: &str, path: &[&str], what: &str) -> bool {
        let mut waivers = self.waivers.iter().filter(|w| w.clause.as_ref().is_some_and(|c| *c == *clause));
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

    fn check_waivers(&mut self, base: &ContractFile) {
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

    fn check_credentials(&mut self, credentials: &[CredentialItem]) {
        let mut seen = BTreeSet::new();
        for (i, credential) in credentials.iter().enumerate() {
            if !seen.insert(&credential.reference) {
                let what = format!("{} is registered twice", credential.reference);
                let path = ["credential", &i.to_string(), "reference"];
                self.problem(&path, what, "a credential has one entry", "merge the two entries");
            }
        }
    }

    fn check_exclusions(&mut self, exclusions: &[Exclusion]) {
        for (i, exclusion) in exclusions.iter().enumerate() {
            let at = i.to_string();
            if exclusion.reason.trim().is_empty() {
                let why = "every run lists what was not looked at and why";
                self.problem(&["surfaces", "exclude", &at], "an exclusion without a reason", why, "say why");
            }
        }
    }

    fn clauses(&mut self, base: &[ClauseItem], own: &[ClauseItem]) -> Vec<Clause> {
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

    fn keys(&mut self, base: Vec<KeyItem>, own: &[KeyItem]) -> Vec<KeyItem> {
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

    fn block_at(&mut self, base: Option<Severity>, own: Option<Severity>) -> Severity {
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

    fn credential_ref_required(&mut self, base: Vec<Environment>, own: Option<Vec<Environment>>) -> Vec<Environment> {
        let Some(own) = own else { return base };
        let weaker = base.iter().any(|e| !own.contains(e));
        let what = "credential-ref-required leaves out an environment";
        if weaker && !self.may_weaken("BILL-1", &["billing", "credential-ref-required"], what) { base } else { own }
    }

    fn adapters(&mut self, base: Vec<Adapter>, own: &[Adapter]) -> Vec<Adapter> {
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

    fn environments(&mut self, base: EnvironmentTable, own: &EnvironmentTable) -> EnvironmentTable {
        let mut merged = base;
        for environment in Environment::ALL {
            let Some(item) = own.get(environment) else { continue };
            let slot = merged.get_mut(environment);
            // Where a repository names its own files, they replace the profile's guesses.
            let current = slot.get_or_insert_default();
            if !item.templates.is_empty() {
                current.templates = item.templates.clone();
            }
            if !item.deployments.is_empty() {
                current.deployments = item.deployments.clone();
            }
        }
        merged
    }

    fn surfaces(&mut self, base: SurfaceSection, own: &SurfaceSection) -> SurfaceSection {
        SurfaceSection {
            fixtures: self.union(&base.fixtures, &own.fixtures),
            screenshots: self.union(&base.screenshots, &own.screenshots),
            logs: self.union(&base.logs, &own.logs),
            evidence: self.union(&base.evidence, &own.evidence),
            exclusions: base.exclusions.into_iter().chain(own.exclusions.iter().cloned()).collect(),
        }
    }

    fn union(&mut self, base: &GlobSet, own: &GlobSet) -> GlobSet {
        base.union(own).unwrap_or_else(|error| {
            self.problems.push(Diagnostic::error(CODE, error.to_string()));
            GlobSet::default()
        })
    }

    fn path(&mut self, place: &[&str], own: Option<&str>, default: &str) -> String {
        let Some(own) = own else { return default.into() };
        let path = own.strip_prefix("./").unwrap_or(own).trim_end_matches('/');
        if path.is_empty() || path.starts_with('/') || path.split('/').any(|p| p == ".." || p == ".git") {
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

impl Requirement {
    /// The environments in which the key is required.
    pub fn environments(&self) -> impl Iterator<Item = Environment> {
        Environment::ALL.into_iter().filter(|&e| self.applies_to(e))
    }
}
