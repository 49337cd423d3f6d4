//! What a credential is granted, asked with the credential itself: the documents that a live proof rests on.
//!
//! [`collect`] asks the provider only what reads: the token's own policies (OpenBao), the caller's policies (AWS), the
//! role's attributes and grants (PostgreSQL), the token's scopes (GitHub, GitLab). What it answers is judged like any other
//! document; a provider that does not tell all is an error, never a proof of less.

mod aws;
mod openbao;
mod postgres;
mod tokens;

use super::{Input, Language, Role};
use crate::SecretValue;
use crate::backend::{ErrorKind, Fault, Variables};

pub use postgres::GRANTS_QUERY;

/// A document that a provider gave. Its name holds a colon, so that it is no path in a repository.
#[derive(Clone)]
pub struct Document {
    /// What it is: `openbao:policy/finops`.
    pub name: String,
    /// Its content.
    pub bytes: Vec<u8>,
    /// What it is to the credential.
    pub role: Role,
}

impl Document {
    fn grant(name: impl Into<String>, bytes: impl Into<Vec<u8>>) -> Self {
        Self { name: name.into(), bytes: bytes.into(), role: Role::Grant }
    }

    /// The same, to be judged.
    pub fn as_input(&self) -> Input<'_> {
        Input { name: &self.name, bytes: &self.bytes, role: self.role }
    }
}

/// Whether a provider of this language can be asked.
pub fn is_live(language: Language) -> bool {
    matches!(language, Language::Aws | Language::OpenBao | Language::Postgres | Language::GitHub | Language::GitLab)
}

/// Asks the provider what this credential is granted. Where it is, the provider's own variables say (`BAO_ADDR`,
/// `AWS_REGION`, `AWS_ENDPOINT_URL`, `GITHUB_API_URL`, `CI_API_V4_URL`); PostgreSQL's server stands in the credential.
///
/// # Errors
/// The provider cannot be reached, does not know the credential, or does not tell it all that it is granted.
pub fn collect(language: Language, secret: &SecretValue, variables: &Variables) -> Result<Vec<Document>, Fault> {
    match language {
        Language::OpenBao => openbao::collect(text(secret)?, variables),
        Language::Aws => aws::collect(secret, variables),
        Language::Postgres => postgres::collect(text(secret)?),
        Language::GitHub => tokens::github(text(secret)?, variables),
        Language::GitLab => tokens::gitlab(text(secret)?, variables),
        Language::Azure | Language::Gcp | Language::OpenOps => Err(Fault::new(
            ErrorKind::Unsupported,
            format!("{language} tells a credential not what it is granted"),
            "give its role or permissions: custody cred prove POLICY --for REFERENCE",
        )),
    }
}

fn text(secret: &SecretValue) -> Result<&str, Fault> {
    let is_plain = |text: &&str| !text.trim().is_empty();
    secret
        .expose_str()
        .map(str::trim)
        .filter(is_plain)
        .ok_or_else(|| Fault::configuration("the credential is no text", "check what is stored under the reference"))
}
