//! What a contract file says, item by item, as written.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::file::{AdapterId, BackendItem, Day, Delivery, Feed, GlobSet, Placement, RunSection, Window};
use crate::{ClauseId, CredentialRef, Environment, Fingerprint, Severity};

/// A contract file: a repository's `custody.toml`, or a built-in profile.
///
/// Every item is optional: what a repository's file leaves out, its profile says.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[schemars(title = "custody.toml")]
pub struct ContractFile {
    /// Name of the built-in profile that this file adds to: `custody`, or `ficecal`, which is the default.
    #[schemars(extend("examples" = ["custody", "ficecal"]))]
    pub contract: Option<String>,
    /// The environment that `custody check` evaluates where `--env` names none: local, stage or prod.
    pub default_environment: Option<Environment>,
    /// Per environment: templates and deployment files that must carry its keys.
    #[serde(default)]
    pub environments: EnvironmentTable,
    /// Environment keys (ENV-1, ENV-2).
    #[serde(default, rename = "key")]
    pub keys: Vec<KeyItem>,
    /// Where secret material lives, under names of the repository's own.
    #[serde(default)]
    pub backends: BTreeMap<String, BackendItem>,
    /// What `custody run` does.
    #[serde(default)]
    pub run: RunSection,
    /// What is looked at, and where it lies.
    #[serde(default)]
    pub surfaces: SurfaceSection,
    /// How secrets are looked for.
    #[serde(default)]
    pub scan: ScanSection,
    /// What blocks a release.
    #[serde(default)]
    pub release: ReleaseSection,
    /// Billing requests and handoffs.
    #[serde(default)]
    pub billing: BillingSection,
    /// The read-only proof of credentials (CRED-3).
    #[serde(default)]
    pub proof: ProofSection,
    /// Where incident records lie.
    #[serde(default)]
    pub incidents: IncidentSection,
    /// The rotation registry (ROT-1): one entry per credential.
    #[serde(default, rename = "credential")]
    pub credentials: Vec<CredentialItem>,
    /// Time-limited decisions that something does not block (ROT-3).
    #[serde(default, rename = "waiver")]
    pub waivers: Vec<Waiver>,
    /// Clauses: in a profile their text, in a repository's file a changed enforcement.
    #[serde(default, rename = "clause")]
    pub clauses: Vec<ClauseItem>,
}

/// The three environments.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct EnvironmentTable {
    /// A developer's machine or a test run.
    pub local: Option<EnvironmentItem>,
    /// Before production, with production's rules.
    pub stage: Option<EnvironmentItem>,
    /// Production.
    pub prod: Option<EnvironmentItem>,
}

impl EnvironmentTable {
    /// The item of one environment.
    pub fn get(&self, environment: Environment) -> Option<&EnvironmentItem> {
        match environment {
            Environment::Local => self.local.as_ref(),
            Environment::Stage => self.stage.as_ref(),
            Environment::Prod => self.prod.as_ref(),
        }
    }

    pub(super) fn get_mut(&mut self, environment: Environment) -> &mut Option<EnvironmentItem> {
        match environment {
            Environment::Local => &mut self.local,
            Environment::Stage => &mut self.stage,
            Environment::Prod => &mut self.prod,
        }
    }
}

/// Where one environment's keys are set.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct EnvironmentItem {
    /// Dotenv templates of this environment, such as `.env.example`.
    #[serde(default)]
    pub templates: GlobSet,
    /// Compose files, Kubernetes manifests and workflows that set this environment's keys.
    #[serde(default)]
    pub deployments: GlobSet,
    /// Where credentials resolve that name no backend; the embedded store by default.
    pub backend: Option<String>,
}

/// One environment key.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct KeyItem {
    /// The variable's name.
    pub name: String,
    /// Where it must be present and non-empty: `true`, `false`, or a list of environments.
    #[serde(default)]
    pub required: Requirement,
    /// What its value looks like; `string` by default.
    #[serde(default, rename = "type")]
    pub kind: KeyType,
    /// The allowed values of a key of type `enum`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<String>,
    /// A regular expression that the whole value must match.
    pub pattern: Option<String>,
    /// Whether the value is secret material: then templates leave it empty and it is injected at run time.
    #[serde(default)]
    pub secret: bool,
    /// Where its value comes from when `custody run` starts a process: a `cred://` reference, or a key that holds one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<Feed>,
    /// Which field of the secret it is, where the secret has several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// How the value reaches the process: as variable (`env`), as file or as file descriptor (`fd`).
    #[serde(default, rename = "as")]
    pub delivery: Delivery,
    /// Names of other keys that must be set where this one is.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub requires: Vec<String>,
    /// What it is for; goes into generated templates and documentation.
    pub description: Option<String>,
    /// A harmless value for templates.
    pub example: Option<String>,
    /// In a profile: a repository may not relax this key without a waiver of ENV-1.
    #[serde(default)]
    pub locked: bool,
}

/// Where a key is required.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum Requirement {
    /// In every environment, or in none.
    Everywhere(bool),
    /// In these.
    In(Vec<Environment>),
}

impl Default for Requirement {
    fn default() -> Self {
        Requirement::Everywhere(false)
    }
}

impl Requirement {
    /// Whether the key is required in `environment`.
    pub fn applies_to(&self, environment: Environment) -> bool {
        match self {
            Requirement::Everywhere(required) => *required,
            Requirement::In(environments) => environments.contains(&environment),
        }
    }

    /// The environments in which the key is required.
    pub fn environments(&self) -> impl Iterator<Item = Environment> {
        Environment::ALL.into_iter().filter(|&e| self.applies_to(e))
    }
}

/// What a key's value looks like.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum KeyType {
    /// Any text.
    #[default]
    String,
    /// An absolute http or https URL.
    Url,
    /// A whole number.
    Integer,
    /// A decimal number.
    Number,
    /// `true`, `false`, `1`, `0`, `yes`, `no`, `on`, `off`.
    Boolean,
    /// A port, 1 to 65535.
    Port,
    /// One of `values`.
    Enum,
    /// A length of time such as `30s`.
    Duration,
    /// A `cred://` reference (CRED-4).
    CredentialRef,
    /// An e-mail address.
    Email,
    /// A host name or address, with or without a port.
    Host,
    /// A command line.
    Command,
    /// A JSON document.
    Json,
    /// A file path.
    Path,
}

/// What is looked at.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct SurfaceSection {
    /// Test data, recorded requests and responses, snapshots, seeds (ENV-5b).
    #[serde(default)]
    pub fixtures: GlobSet,
    /// Images of screens (ENV-5c).
    #[serde(default)]
    pub screenshots: GlobSet,
    /// Logs (ENV-5d). Looked at even where git ignores them.
    #[serde(default)]
    pub logs: GlobSet,
    /// Evidence artifacts (ENV-5e).
    #[serde(default)]
    pub evidence: GlobSet,
    /// What is not looked at, each with a reason. Listed in the coverage account of every run.
    #[serde(default, rename = "exclude")]
    pub exclusions: Vec<Exclusion>,
}

/// Paths that are not looked at.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Exclusion {
    /// The paths.
    pub paths: GlobSet,
    /// Why they need not be looked at.
    pub reason: String,
}

/// How secrets are looked for.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ScanSection {
    /// Path of the baseline; `.custody/baseline` by default.
    pub baseline: Option<String>,
    /// Rule files of the repository's own.
    #[serde(default)]
    pub rules: GlobSet,
    /// Rules that are not applied, by id. One of High or Critical severity needs a waiver for the rule.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub disabled_rules: Vec<String>,
}

/// What blocks a release.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ReleaseSection {
    /// From which severity an open finding blocks (ROT-3); `high` by the contract.
    pub block_at: Option<Severity>,
}

/// Billing requests and handoffs.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct BillingSection {
    /// Where `credentialRef` is required (BILL-1).
    pub credential_ref_required: Option<Vec<Environment>>,
    /// Directories of fixture packs: `<tool>/<version>/request*.json` and `response*.json`.
    #[serde(default)]
    pub packs: GlobSet,
    /// Files that are billing requests, outside packs.
    #[serde(default)]
    pub requests: GlobSet,
    /// Files that are canonical handoffs, outside packs.
    #[serde(default)]
    pub handoffs: GlobSet,
    /// Adapters beside the built-in ones.
    #[serde(default, rename = "adapter")]
    pub adapters: Vec<Adapter>,
}

/// A billing adapter.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Adapter {
    /// Its id, such as `aws-billing`.
    pub id: AdapterId,
    /// The tool whose requests it takes, such as `billing.aws.ingest`; derived from the id where absent.
    pub tool: Option<String>,
    /// The request field that names its scopes, such as `accountScope`.
    pub scope_field: Option<String>,
    /// What `provenance.sourceVersion` of its handoffs starts with.
    pub source_version_prefix: Option<String>,
    /// Starts of warnings that its handoffs must carry.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub required_warning_prefixes: Vec<String>,
    /// Warnings that its handoffs must carry to the letter.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub required_warnings: Vec<String>,
}

/// The read-only proof of credentials (CRED-3).
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ProofSection {
    /// Where a credential that claims to be read-only is refused without a proof that it is; `stage` and `prod` by the
    /// contract.
    pub required_in: Option<Vec<Environment>>,
    /// Directory of the proofs; `.custody/proofs` by default.
    pub directory: Option<String>,
    /// How old a proof may be, whatever it says of itself; 90 days by the contract.
    pub max_age: Option<Window>,
}

/// Where incident records lie.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct IncidentSection {
    /// Directory of the records; `.custody/incidents` by default.
    pub directory: Option<String>,
}

/// One credential of the rotation registry (ROT-1).
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct CredentialItem {
    /// Which credential.
    pub reference: CredentialRef,
    /// Who answers for it: a team or a person.
    pub owner: Option<String>,
    /// How the owner is reached: mail address, channel or URL.
    pub contact: Option<String>,
    /// How long it may live before it must be replaced.
    pub window: Option<Window>,
    /// How long old and new are both valid during a rotation.
    pub grace: Option<Window>,
    /// How it is rotated: a path in the repository or a URL.
    pub procedure: Option<String>,
    /// When it was last rotated.
    pub last_rotation: Option<Day>,
    /// The environments that can reach it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub environments: Vec<Environment>,
    /// Where its secret material lives: a name of `[backends]`, or a kind that needs no settings.
    pub backend: Option<String>,
    /// Where it lies there, in the backend's own notation, with an optional `#field`; by default the reference's path.
    pub location: Option<String>,
    /// Where it lies in `local` instead.
    pub local: Option<Placement>,
    /// Where it lies in `stage` instead.
    pub stage: Option<Placement>,
    /// Where it lies in `prod` instead.
    pub prod: Option<Placement>,
}

/// A time-limited decision that a finding or clause does not block.
///
/// It covers a clause, or findings by fingerprint or by rule, optionally only below some paths. Without owner,
/// reason and expiry it does not count (ROT-3).
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Waiver {
    /// A unique name for it.
    pub id: String,
    /// The clause that need not hold.
    pub clause: Option<ClauseId>,
    /// The finding that does not count.
    pub fingerprint: Option<Fingerprint>,
    /// The rule whose findings do not count.
    pub rule: Option<String>,
    /// Only for occurrences at these paths.
    #[serde(default)]
    pub paths: GlobSet,
    /// Of a waiver of CRED-3: the credentials that need no proof. Without it the waiver is of the whole clause.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub references: Vec<CredentialRef>,
    /// Who decided.
    pub owner: String,
    /// Why.
    pub reason: String,
    /// The last day on which it counts.
    pub expires: Day,
}

impl Waiver {
    /// Whether the waiver still counts on `today`.
    pub fn is_valid_on(&self, today: jiff::civil::Date) -> bool {
        today <= self.expires.0
    }

    /// Whether it is of a clause as a whole, not of some credentials.
    pub fn waives(&self, clause: &str) -> bool {
        self.references.is_empty() && self.clause.as_ref().is_some_and(|c| *c == *clause)
    }
}

/// A clause: in a profile with its text, in a repository's file with a changed enforcement.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ClauseItem {
    /// The clause's id.
    pub id: ClauseId,
    /// Section of the contract.
    pub section: Option<String>,
    /// The clause, in a line.
    pub title: Option<String>,
    /// What evaluating it means.
    pub evaluation: Option<String>,
    /// What to do when it fails.
    pub remedy: Option<String>,
    /// Whether a failure blocks.
    pub enforcement: Option<Enforcement>,
    /// In a profile: a repository may not lower the enforcement without a waiver of the clause.
    #[serde(default)]
    pub locked: bool,
}

/// What a failing clause does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Enforcement {
    /// It is evaluated and reported as a warning.
    Warn,
    /// It blocks the release.
    Block,
}
