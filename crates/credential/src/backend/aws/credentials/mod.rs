//! Where keys come from: the credential chain of the AWS SDKs.
//!
//! In this order: a profile that the settings name; keys in the environment; the profile of `AWS_PROFILE`; web identity
//! from the environment; the profile `default`; the container's endpoint (ECS, EKS pod identity); the instance's metadata
//! service, version 2 only. After that a role that the settings name is taken on.
//!
//! Source: "Standardized credential providers" of the AWS SDKs and Tools Reference Guide.

mod metadata;
mod profiles;
mod sso;
mod sts;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_credential_types::Credentials;
use jiff::Timestamp;
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use super::super::{Fault, json};
use super::client::Context;

/// Keys are replaced so long before they end.
const EARLY: Duration = Duration::from_secs(300);

/// A set of keys.
#[derive(Clone)]
pub(crate) struct Keys {
    id: String,
    secret: Zeroizing<String>,
    session: Option<Zeroizing<String>>,
    expires: Option<Timestamp>,
}

impl Keys {
    /// Keys that do not end.
    pub(super) fn fixed(id: &str, secret: &str, session: Option<&str>) -> Self {
        let zeroizing = |text: &str| Zeroizing::new(text.to_owned());
        Self { id: id.to_owned(), secret: zeroizing(secret), session: session.map(zeroizing), expires: None }
    }

    /// As the signer wants them.
    pub(crate) fn credentials(&self) -> Credentials {
        let session = self.session.as_ref().map(|token| token.to_string());
        Credentials::new(self.id.as_str(), self.secret.as_str(), session, None, "custody")
    }

    /// Keys in a JSON object; `names` for id, secret, session and expiry.
    pub(super) fn of_json(body: &[u8], names: [&str; 4], what: &str) -> Result<Self, Fault> {
        let raw: &RawValue = json::parse(body, what)?;
        let members = json::members(raw).unwrap_or_default();
        let text = |name: &str| {
            let (_, raw) = members.iter().find(|(own, _)| own == name)?;
            json::secret_text(raw).filter(|text| !text.is_empty())
        };
        let missing = || Fault::malformed(format!("{what} holds no keys"));
        let id = text(names[0]).ok_or_else(missing)?.to_string();
        let secret = text(names[1]).ok_or_else(missing)?;
        let expires = members.iter().find(|(own, _)| own == names[3]).map(|(_, raw)| *raw);
        let expires = match expires {
            None => None,
            Some(raw) => Some(
                expiry(raw)
                    .ok_or_else(|| Fault::malformed(format!("{what} holds no time of expiry that can be read")))?,
            ),
        };
        Ok(Self { id, secret, session: text(names[2]), expires })
    }

    fn is_fresh(&self) -> bool {
        self.expires.is_none_or(|expires| Timestamp::now() + EARLY < expires)
    }

    fn is_valid(&self) -> bool {
        self.expires.is_none_or(|expires| Timestamp::now() < expires)
    }
}

/// A date, or milliseconds since 1970.
fn expiry(raw: &RawValue) -> Option<Timestamp> {
    let text = raw.get().trim_matches('"');
    text.parse().ok().or_else(|| Timestamp::from_millisecond(text.parse().ok()?).ok())
}

/// The keys in use and the way to new ones.
pub(crate) struct Chain {
    context: Arc<Context>,
    current: Mutex<Option<Keys>>,
}

impl Chain {
    pub(super) fn new(context: Arc<Context>) -> Self {
        Self { context, current: Mutex::default() }
    }

    /// Keys that are valid: one thread gets them, the others wait.
    pub(super) fn keys(&self) -> Result<Keys, Fault> {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(keys) = current.as_ref().filter(|keys| keys.is_fresh()) {
            return Ok(keys.clone());
        }
        match find(&self.context) {
            Ok(keys) => {
                *current = Some(keys.clone());
                Ok(keys)
            }
            // Keys that are about to end still work.
            Err(fault) => current.clone().filter(Keys::is_valid).ok_or(fault),
        }
    }

    /// Forgets keys that the service refused as expired. Whether others may be had.
    pub(super) fn forget(&self, keys: &Keys) -> bool {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if current.as_ref().is_some_and(|current| current.id == keys.id) {
            *current = None;
        }
        keys.session.is_some()
    }
}

fn find(context: &Context) -> Result<Keys, Fault> {
    let keys = base(context)?;
    match &context.settings.assume_role {
        Some(role) => sts::assume(context, &keys, role),
        None => Ok(keys),
    }
}

fn base(context: &Context) -> Result<Keys, Fault> {
    if let Some(profile) = &context.settings.profile {
        return profiles::keys(context, profile);
    }
    if let Some(keys) = from_environment(context) {
        return Ok(keys);
    }
    if context.variables.first(&["AWS_PROFILE", "AWS_DEFAULT_PROFILE"]).is_some() {
        return profiles::keys(context, &context.profile_name());
    }
    if let (Some(role), Some(file)) =
        (context.variables.get("AWS_ROLE_ARN"), context.variables.get("AWS_WEB_IDENTITY_TOKEN_FILE"))
    {
        let session = context.variables.get("AWS_ROLE_SESSION_NAME");
        return sts::with_web_identity(context, &role, file.as_ref(), session.as_deref());
    }
    if context.profiles()?.profile("default").is_some_and(profiles::has_keys) {
        return profiles::keys(context, "default");
    }
    if let Some(keys) = metadata::container(context) {
        return keys;
    }
    metadata::instance(context).map_err(|fault| {
        Fault::unauthenticated(
            format!(
                "there are no AWS credentials: none in environment, profiles and container, and of the instance: {}",
                fault.why
            ),
            "set AWS_PROFILE, or run where a role is attached",
        )
    })
}

fn from_environment(context: &Context) -> Option<Keys> {
    let variables = &context.variables;
    let id = variables.first(&["AWS_ACCESS_KEY_ID", "AWS_ACCESS_KEY"])?;
    let secret = Zeroizing::new(variables.first(&["AWS_SECRET_ACCESS_KEY", "AWS_SECRET_KEY"])?);
    let session = variables.get("AWS_SESSION_TOKEN").map(Zeroizing::new);
    Some(Keys::fixed(&id, &secret, session.as_ref().map(|token| token.as_str())))
}
