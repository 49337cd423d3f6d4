//! What a proof says: two axes, and what stands against it with its place.

use std::fmt;

use custody_contract::Place;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The languages that grants are written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Language {
    /// AWS IAM policies.
    Aws,
    /// Azure role definitions.
    Azure,
    /// Google Cloud roles and permissions.
    Gcp,
    /// OpenBao and Vault policies.
    OpenBao,
    /// PostgreSQL grants.
    Postgres,
    /// GitHub token scopes and permissions.
    GitHub,
    /// GitLab token scopes.
    GitLab,
    /// Database tokens of OpenOps (Baserow).
    OpenOps,
}

impl Language {
    /// All of them.
    pub const ALL: [Self; 8] =
        [Self::Aws, Self::Azure, Self::Gcp, Self::OpenBao, Self::Postgres, Self::GitHub, Self::GitLab, Self::OpenOps];

    /// Its name on the command line and in proofs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Aws => "aws",
            Self::Azure => "azure",
            Self::Gcp => "gcp",
            Self::OpenBao => "openbao",
            Self::Postgres => "postgres",
            Self::GitHub => "github",
            Self::GitLab => "gitlab",
            Self::OpenOps => "openops",
        }
    }

    /// How much a credential of this kind may see and still count as proven. A token of a secret manager is there to read
    /// credentials; of any other kind, one that reads credentials may become one that writes.
    pub fn usual_exposure(self) -> Exposure {
        if self == Self::OpenBao { Exposure::ReadsCredentials } else { Exposure::ReadsBusinessData }
    }
}

impl fmt::Display for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl std::str::FromStr for Language {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let name = if name == "vault" { "openbao" } else { name };
        Self::ALL
            .into_iter()
            .find(|l| l.as_str() == name)
            .ok_or_else(|| format!("unknown policy language; there are {}", Self::ALL.map(Self::as_str).join(", ")))
    }
}

/// The first axis: whether the grant only reads. Ordered from best to worst.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Access {
    /// Everything that it allows lists or reads.
    ProvedReadOnly,
    /// Besides, it allows reviewed actions that a provider calls writing and that change nothing as they are limited here.
    ReadOnlyWithNamedExceptions,
    /// It allows something of which it cannot be told what it does. Counts as not read-only.
    NotProven,
    /// It allows writing.
    NotReadOnly,
}

impl Access {
    /// The name in proofs and messages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ProvedReadOnly => "proved-read-only",
            Self::ReadOnlyWithNamedExceptions => "read-only-with-named-exceptions",
            Self::NotProven => "not-proven",
            Self::NotReadOnly => "not-read-only",
        }
    }
}

impl fmt::Display for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The second axis: what its reads show. Ordered from least to most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Exposure {
    /// Costs, usage, and names and settings of resources; no contents.
    BillingScoped,
    /// Contents of what the organisation stores.
    ReadsBusinessData,
    /// Material that opens something else.
    ReadsCredentials,
}

impl Exposure {
    /// The name in proofs and messages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BillingScoped => "billing-scoped",
            Self::ReadsBusinessData => "reads-business-data",
            Self::ReadsCredentials => "reads-credentials",
        }
    }
}

impl fmt::Display for Exposure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl std::str::FromStr for Exposure {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        [Self::BillingScoped, Self::ReadsBusinessData, Self::ReadsCredentials]
            .into_iter()
            .find(|e| e.as_str() == name)
            .ok_or_else(|| "expected billing-scoped, reads-business-data or reads-credentials".to_owned())
    }
}

/// What is wrong with an allowed action.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OffenceKind {
    /// It writes.
    Writes,
    /// It changes tags or labels, which other rules may rest on.
    Tags,
    /// It changes who may do what.
    ManagesPermissions,
    /// It lends another identity's permissions, which are not known here.
    Delegates,
    /// Its provider calls it a read, and it does more than reading.
    Acts,
    /// It is not known.
    Unknown,
    /// All but some actions are allowed: those of tomorrow too.
    Unbounded,
}

impl OffenceKind {
    /// What it makes of the first axis.
    pub fn access(self) -> Access {
        match self {
            Self::Writes | Self::Tags | Self::ManagesPermissions => Access::NotReadOnly,
            Self::Delegates | Self::Acts | Self::Unknown | Self::Unbounded => Access::NotProven,
        }
    }
}

/// Where in the documents a grant stands.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub struct GrantPlace {
    /// File, line and JSON pointer.
    pub place: Place,
    /// The statement as its language names it: `Statement 2 (Sid Export)`, `path "kv/*"`.
    pub statement: String,
}

impl fmt::Display for GrantPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {}", self.statement, self.place)
    }
}

/// Actions that stand against the proof, all of one statement and of one kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Offence {
    /// What is wrong with them.
    pub kind: OffenceKind,
    /// The actions, at most [`MAX_LISTED`] of them.
    pub actions: Vec<String>,
    /// How many there are.
    pub count: u64,
    /// The statement that allows them.
    pub at: GrantPlace,
    /// Why they stand against it: a sentence fragment.
    pub why: String,
}

/// An action that a provider calls writing, let pass by a reviewed rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NamedException {
    /// The action.
    pub action: String,
    /// The statement that allows it.
    pub at: GrantPlace,
    /// Why it may pass, and what limits it.
    pub why: String,
}

/// Reads that show more than billing, all of one statement and of one kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Reading {
    /// What they show.
    pub exposure: Exposure,
    /// The actions, at most [`MAX_LISTED`] of them.
    pub actions: Vec<String>,
    /// How many there are.
    pub count: u64,
    /// The statement that allows them.
    pub at: GrantPlace,
    /// Why they count as that: a sentence fragment.
    pub why: String,
}

/// What to use instead.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Minimal {
    /// What it is and what must be filled in: a sentence.
    pub about: String,
    /// The policy itself, in the language of the one that was judged.
    pub text: String,
}

/// Most actions that are listed one by one.
pub const MAX_LISTED: usize = 100;
/// Most offences, exceptions and readings that are kept one by one.
const MAX_ENTRIES: usize = 1_000;

/// What is said of a grant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Verdict {
    /// The language it is written in.
    pub language: Language,
    /// The first axis.
    pub access: Access,
    /// The second axis.
    pub exposure: Exposure,
    /// How many actions, permissions or paths it allows in all, as far as they can be counted.
    pub allowed: u64,
    /// What stands against it.
    pub offences: Vec<Offence>,
    /// What was let pass by name.
    pub exceptions: Vec<NamedException>,
    /// Reads beyond billing.
    pub readings: Vec<Reading>,
    /// Services outside billing of which names and settings can be read, at most 100.
    pub beyond_billing: Vec<String>,
    /// What is worth knowing besides, a sentence each.
    pub notes: Vec<String>,
    /// What to use instead, where something is wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minimal: Option<Minimal>,
}

impl Verdict {
    /// A verdict with nothing in it yet.
    pub(crate) fn new(language: Language) -> Self {
        Self {
            language,
            access: Access::ProvedReadOnly,
            exposure: Exposure::BillingScoped,
            allowed: 0,
            offences: Vec::new(),
            exceptions: Vec::new(),
            readings: Vec::new(),
            beyond_billing: Vec::new(),
            notes: Vec::new(),
            minimal: None,
        }
    }

    /// Whether it counts as a proof of read-only access, with reads of at most `limit`.
    pub fn is_proven(&self, limit: Exposure) -> bool {
        self.access <= Access::ReadOnlyWithNamedExceptions && self.exposure <= limit
    }

    /// Adds actions that stand against it.
    pub(crate) fn offend(&mut self, kind: OffenceKind, actions: Vec<String>, at: &GrantPlace, why: impl Into<String>) {
        self.access = self.access.max(kind.access());
        if self.offences.len() < MAX_ENTRIES {
            let (actions, count) = listed(actions);
            self.offences.push(Offence { kind, actions, count, at: at.clone(), why: why.into() });
        }
    }

    /// The same for actions that were counted and not all named.
    pub(crate) fn offend_counted(
        &mut self,
        kind: OffenceKind,
        (actions, count): Counted,
        at: &GrantPlace,
        why: String,
    ) {
        self.offend(kind, actions, at, why);
        if let Some(last) = self.offences.last_mut().filter(|o| o.at == *at && o.kind == kind) {
            last.count = last.count.max(count);
        }
    }

    /// The same for reads.
    pub(crate) fn reads_counted(&mut self, exposure: Exposure, (actions, count): Counted, at: &GrantPlace, why: &str) {
        self.reads(exposure, actions, at, why);
        if let Some(last) = self.readings.last_mut().filter(|r| r.at == *at && r.exposure == exposure) {
            last.count = last.count.max(count);
        }
    }

    /// Lets an action pass by name.
    pub(crate) fn except(&mut self, action: impl Into<String>, at: &GrantPlace, why: impl Into<String>) {
        self.access = self.access.max(Access::ReadOnlyWithNamedExceptions);
        if self.exceptions.len() < MAX_ENTRIES {
            self.exceptions.push(NamedException { action: action.into(), at: at.clone(), why: why.into() });
        }
    }

    /// Adds reads beyond billing.
    pub(crate) fn reads(&mut self, exposure: Exposure, actions: Vec<String>, at: &GrantPlace, why: impl Into<String>) {
        self.exposure = self.exposure.max(exposure);
        if self.readings.len() < MAX_ENTRIES {
            let (actions, count) = listed(actions);
            self.readings.push(Reading { exposure, actions, count, at: at.clone(), why: why.into() });
        }
    }

    /// Adds a service outside billing.
    pub(crate) fn beyond(&mut self, service: &str) {
        if self.beyond_billing.len() < MAX_LISTED && !self.beyond_billing.iter().any(|known| known == service) {
            self.beyond_billing.push(service.to_owned());
        }
    }

    /// Adds a sentence that is worth knowing, once.
    pub(crate) fn note(&mut self, sentence: impl Into<String>) {
        let sentence = sentence.into();
        if self.notes.len() < MAX_LISTED && !self.notes.contains(&sentence) {
            self.notes.push(sentence);
        }
    }
}

/// Actions, at most [`MAX_LISTED`] of them named, and how many there are.
pub(crate) type Counted = (Vec<String>, u64);

fn listed(mut actions: Vec<String>) -> (Vec<String>, u64) {
    let count = actions.len() as u64;
    actions.truncate(MAX_LISTED);
    (actions, count)
}
