//! The contract in force: a repository's file over its profile.

use std::collections::BTreeMap;

use jiff::civil::Date;

use crate::file::items::EnvironmentTable;
use crate::file::layer::{CODE, locate};
use crate::file::merge::Merge;
use crate::file::profile::{PROFILES, whole_profile};
use crate::file::{
    Adapter, BackendItem, ContractFile, CredentialItem, Enforcement, GlobSet, KeyItem, RunSection, SurfaceSection,
    Waiver, Window,
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
    /// Where secret material lives, by the repository's names.
    pub backends: BTreeMap<String, BackendItem>,
    /// What `custody run` does.
    pub run: RunSection,
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
    /// Where a credential that claims to be read-only needs a proof (CRED-3).
    pub proof_required: Vec<Environment>,
    /// Directory of proofs.
    pub proof_directory: String,
    /// How old a proof may be.
    pub proof_max_age: Window,
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
    /// Where proofs lie unless the contract says otherwise.
    pub const DEFAULT_PROOFS: &'static str = ".custody/proofs";

    /// The default profile alone, for a repository without a contract file.
    pub fn builtin() -> Contract {
        Self::load("", "built-in profile", Date::ZERO).expect("the built-in profile is valid, see its test")
    }

    /// A built-in profile alone; `None` if there is none of that name.
    pub fn of_profile(name: &str) -> Option<Contract> {
        let known = PROFILES.iter().any(|(known, _)| *known == name);
        known.then(|| {
            Self::load(&format!("contract = \"{name}\""), name, Date::ZERO).expect("the profile is valid, see its test")
        })
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
        let Some(base) = whole_profile(&profile_name) else {
            return Err(vec![unknown_profile(&profile_name).at(locate(text, name, &["contract"]))]);
        };
        let mut merge = Merge { text, name, today, waivers: &file.waivers, problems: Vec::new(), notes: Vec::new() };
        merge.check_waivers(&base);
        merge.check_credentials(&file.credentials);
        merge.check_exclusions(&file.surfaces.exclusions);
        merge.check_backends(&file.backends);
        let clauses = merge.clauses(&base.clauses, &file.clauses);
        let mut keys = merge.keys(base.keys, &file.keys);
        keys.iter_mut().for_each(|key| key.secret |= key.from.is_some());
        merge.check_feeds(&keys, &file.keys);
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
            backends: base.backends.into_iter().chain(file.backends.clone()).collect(),
            run: file.run.clone(),
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
            proof_required: merge
                .proof_required(base.proof.required_in.unwrap_or_default(), file.proof.required_in.clone()),
            proof_directory: merge.path(&["proof", "directory"], file.proof.directory.as_deref(), Self::DEFAULT_PROOFS),
            proof_max_age: merge.proof_max_age(base.proof.max_age, file.proof.max_age),
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

    /// The registry's entry of a credential.
    pub fn credential(&self, reference: &crate::CredentialRef) -> Option<&CredentialItem> {
        self.credentials.iter().find(|c| c.reference == *reference)
    }

    /// An adapter by id.
    pub fn adapter(&self, id: &str) -> Option<&Adapter> {
        self.adapters.iter().find(|a| a.id.as_str() == id)
    }
}

fn unknown_profile(name: &str) -> Diagnostic {
    let distance = |known: &&str| strsim::damerau_levenshtein(known, name);
    let closest = PROFILES.iter().map(|(known, _)| *known).min_by_key(distance).filter(|known| distance(known) <= 3);
    let known = PROFILES.map(|(known, _)| known).join(", ");
    Diagnostic::error(CODE, "unknown contract profile").why("no built-in profile has this name").fix(match closest {
        Some(closest) => format!("did you mean {closest}? There are: {known}"),
        None => format!("use one of: {known}"),
    })
}
