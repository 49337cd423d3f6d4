//! Settings of the AWS backends.

use serde::Deserialize;

use super::super::http::HttpSettings;

/// Settings: the table of the backend in the contract file. None of them is secret.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct AwsSettings {
    /// The region; else `AWS_REGION`, `AWS_DEFAULT_REGION`, else the profile's.
    pub region: Option<String>,
    /// The profile; else `AWS_PROFILE`, else `default`. A profile named here wins over keys in the environment.
    pub profile: Option<String>,
    /// The endpoint; else `AWS_ENDPOINT_URL_<SERVICE>`, `AWS_ENDPOINT_URL`, else the profile's, else the region's.
    pub endpoint: Option<String>,
    /// A role that is taken on for reading.
    pub assume_role: Option<AssumeRole>,
    /// Connections.
    pub http: HttpSettings,
}

/// A role that is taken on.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct AssumeRole {
    /// Its ARN.
    pub role_arn: String,
    /// The id that its owner wants to see.
    #[serde(default)]
    pub external_id: Option<String>,
    /// The name of the session: `custody` unless set.
    #[serde(default)]
    pub session_name: Option<String>,
    /// How long the session lasts: an hour unless set.
    #[serde(default)]
    pub duration_seconds: Option<u32>,
    /// Whether the session may do whatever the role may. Otherwise a session policy leaves it reading secrets only.
    #[serde(default)]
    pub full_access: bool,
}

impl AssumeRole {
    /// This role with all that it may do.
    pub(crate) fn of(role_arn: &str) -> Self {
        Self {
            role_arn: role_arn.to_owned(),
            external_id: None,
            session_name: None,
            duration_seconds: None,
            full_access: true,
        }
    }
}
