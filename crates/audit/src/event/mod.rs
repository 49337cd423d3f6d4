//! What happened: who did what to which credential, why, and what came of it. Never a value.

mod action;
mod outcome;
mod principal;
mod text;

use custody_contract::{CredentialRef, Environment};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

pub(crate) use action::Activity;
pub use action::{Action, UnknownAction};
pub use outcome::{Class, Outcome, UnknownClass, UnknownOutcome};
pub use principal::{CiIdentity, Principal, PrincipalKind};
pub use text::{RequestId, Text};

use crate::fingerprint::Fingerprint;

/// An event to be recorded. Every text in it is bounded; none can hold secret material unless a person typed it into
/// purpose or reason (see [`Text::checked`]).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Event {
    action: Action,
    outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    class: Option<Class>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reference: Option<CredentialRef>,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<Text>,
    #[serde(skip_serializing_if = "Option::is_none")]
    backend: Option<Text>,
    #[serde(skip_serializing_if = "Option::is_none")]
    environment: Option<Environment>,
    #[serde(skip_serializing_if = "Option::is_none")]
    purpose: Option<Text>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<Text>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fingerprint: Option<Fingerprint>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<RequestId>,
    principal: Principal,
}

impl Event {
    /// What was done, what came of it, and by whom; everything else is added.
    pub fn new(action: Action, outcome: Outcome, principal: Principal) -> Self {
        Event {
            action,
            outcome: outcome.as_str(),
            class: outcome.class(),
            reference: None,
            version: None,
            backend: None,
            environment: None,
            purpose: None,
            reason: None,
            fingerprint: None,
            request_id: None,
            principal,
        }
    }

    /// Which credential.
    #[must_use]
    pub fn reference(mut self, reference: &CredentialRef) -> Self {
        self.reference = Some(reference.clone());
        self
    }

    /// Which version of it, as the backend writes it.
    #[must_use]
    pub fn version(mut self, version: &str) -> Self {
        self.version = Some(Text::new(version));
        self
    }

    /// Which backend answered, by its name.
    #[must_use]
    pub fn backend(mut self, backend: &str) -> Self {
        self.backend = Some(Text::new(backend));
        self
    }

    /// For which environment.
    #[must_use]
    pub fn environment(mut self, environment: Environment) -> Self {
        self.environment = Some(environment);
        self
    }

    /// What the credential is used for: the command's name, the job.
    #[must_use]
    pub fn purpose(mut self, purpose: Text) -> Self {
        self.purpose = Some(purpose);
        self
    }

    /// Why, in the words of whoever asked, or why not.
    #[must_use]
    pub fn reason(mut self, reason: Text) -> Self {
        self.reason = Some(reason);
        self
    }

    /// The keyed fingerprint of the material.
    #[must_use]
    pub fn fingerprint(mut self, fingerprint: &Fingerprint) -> Self {
        self.fingerprint = Some(*fingerprint);
        self
    }

    /// The request that this event belongs to.
    #[must_use]
    pub fn request(mut self, id: &RequestId) -> Self {
        self.request_id = Some(id.clone());
        self
    }

    /// What was done.
    pub fn action(&self) -> Action {
        self.action
    }

    /// The environment, where there is one.
    pub fn in_environment(&self) -> Option<Environment> {
        self.environment
    }
}

/// An event as it is read back: texts as they stand in the record. Fields that a later version adds are ignored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the fields are those of Event")]
pub struct RecordedEvent<'a> {
    #[serde(borrow)]
    pub action: Cow<'a, str>,
    #[serde(borrow)]
    pub outcome: Cow<'a, str>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub class: Option<Cow<'a, str>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<Cow<'a, str>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub version: Option<Cow<'a, str>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub backend: Option<Cow<'a, str>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<Cow<'a, str>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub purpose: Option<Cow<'a, str>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Cow<'a, str>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<Cow<'a, str>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<Cow<'a, str>>,
    pub principal: Principal,
}

impl RecordedEvent<'_> {
    /// Whether it was done by a user of this name or number, or by a CI job of this repository, actor or run.
    pub fn is_by(&self, wanted: &str) -> bool {
        let Principal { name, uid, ci, .. } = &self.principal;
        let is = |text: &Option<String>| text.as_deref() == Some(wanted);
        let is_job = |ci: &CiIdentity| is(&ci.repository) || is(&ci.actor) || is(&ci.run);
        is(name) || uid.is_some_and(|uid| uid.to_string() == wanted) || ci.as_ref().is_some_and(is_job)
    }
}
