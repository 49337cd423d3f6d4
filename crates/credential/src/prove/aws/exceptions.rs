//! Actions that AWS classes as writing, reviewed one by one: what they change is nothing, or nothing as they are limited.

use super::super::glob::{Case, Glob};
use super::statement::Statement;

/// What a statement must say for the exception to hold.
enum Required {
    /// Nothing: the action itself changes nothing of the account's.
    Nothing,
    /// `kms:ViaService` names S3 only.
    ViaS3,
}

const EXCEPTIONS: [(&str, Required, &str); 5] = [
    (
        "kms:Decrypt",
        Required::ViaS3,
        "classed as Write; limited by kms:ViaService to reads through S3, it decrypts and changes nothing",
    ),
    ("sts:DecodeAuthorizationMessage", Required::Nothing, "it decodes a message that the caller already has"),
    ("iam:GenerateCredentialReport", Required::Nothing, "it makes a report of the account's users and changes none"),
    ("iam:GenerateServiceLastAccessedDetails", Required::Nothing, "it makes a report of last uses and changes nothing"),
    ("iam:GenerateOrganizationsAccessReport", Required::Nothing, "it makes a report of last uses and changes nothing"),
];

/// Why an action may pass although it is classed as writing; `None` if it may not.
pub(super) fn allowed(service: &str, name: &str, statement: &Statement) -> Option<&'static str> {
    let (_, required, why) = EXCEPTIONS.iter().find(|(known, ..)| is(known, service, name))?;
    match required {
        Required::Nothing => Some(why),
        Required::ViaS3 => is_via_s3(statement).then_some(why),
    }
}

/// Whether every use must come through S3: an operator that fails where the key is missing, and only S3's names.
fn is_via_s3(statement: &Statement) -> bool {
    const OPERATORS: [&str; 3] = ["StringEquals", "StringEqualsIgnoreCase", "StringLike"];
    let s3 = ["s3.*.amazonaws.com", "s3.*.amazonaws.com.cn"].map(|name| Glob::new(name, Case::Ignore));
    statement.conditions.iter().any(|condition| {
        OPERATORS.iter().any(|known| known.eq_ignore_ascii_case(&condition.operator))
            && condition.key.eq_ignore_ascii_case("kms:ViaService")
            && !condition.values.is_empty()
            && condition.values.iter().all(|value| {
                let value = Glob::new(value, Case::Ignore);
                s3.iter().any(|name| name.covers(&value))
            })
    })
}

/// What is needed for an action that has an exception with a condition.
pub(super) fn needed(service: &str, name: &str) -> Option<&'static str> {
    is("kms:Decrypt", service, name).then_some(
        "with a condition StringEquals kms:ViaService = s3.<region>.amazonaws.com it would pass as a named exception",
    )
}

/// Whether `known` is the action `name` of `service`.
fn is(known: &str, service: &str, name: &str) -> bool {
    known.split_once(':').is_some_and(|(s, n)| s == service && n.eq_ignore_ascii_case(name))
}
