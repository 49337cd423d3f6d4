//! Bitwarden Secrets Manager by its command `bws`: what its API gives is encrypted for the client.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use serde::Deserialize;
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use super::grouped::{self, Content, Whole, current_only};
use super::openbao::read_token;
use super::{
    Backend, BackendError, Capabilities, ErrorKind, Fault, Metadata, ReadRequest, Resolved, Variables, http, json,
    process,
};

/// Its name.
const NAME: &str = "bitwarden";
/// Each run of the command derives keys and logs in.
const PARALLEL: usize = 4;
/// How long the command may take.
const COMMAND_LIMIT: Duration = Duration::from_secs(60);

/// Settings: the table of the backend in the contract file. None of them is secret.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct BitwardenSettings {
    /// The command: `bws` unless set.
    pub command: Option<PathBuf>,
    /// The server, where it is not that of Bitwarden; else `BWS_SERVER_URL`.
    pub server: Option<String>,
    /// The file with the access token; else `BWS_ACCESS_TOKEN`. It reaches the command by its environment.
    pub token_file: Option<PathBuf>,
}

/// The backend.
pub struct Bitwarden {
    settings: BitwardenSettings,
    variables: Variables,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Secret<'a> {
    id: String,
    #[serde(default)]
    key: String,
    #[serde(borrow)]
    value: Option<&'a RawValue>,
    revision_date: Option<jiff::Timestamp>,
}

impl Bitwarden {
    /// A backend for these settings. Nothing is asked yet.
    pub fn new(settings: BitwardenSettings, variables: &Variables) -> Self {
        Self { settings, variables: variables.clone() }
    }

    fn command(&self, arguments: &[&str]) -> Result<Zeroizing<Vec<u8>>, Fault> {
        let program = self.settings.command.clone().unwrap_or_else(|| "bws".into());
        let mut command = Command::new(program);
        command.args(arguments).args(["--output", "json", "--color", "no"]);
        let token = match &self.settings.token_file {
            Some(file) => Some(read_token(file)?),
            None => self.variables.get("BWS_ACCESS_TOKEN").map(Zeroizing::new),
        };
        let token = token.ok_or_else(|| {
            Fault::unauthenticated("there is no access token", "set BWS_ACCESS_TOKEN, or `token-file`")
        })?;
        command.env("BWS_ACCESS_TOKEN", token.as_str());
        if let Some(server) = self.settings.server.clone().or_else(|| self.variables.get("BWS_SERVER_URL")) {
            command.env("BWS_SERVER_URL", server);
        }
        let said = process::run(&mut command, "bws", COMMAND_LIMIT)?;
        if said.is_success {
            return Ok(said.output);
        }
        let text = said.errors.replace(token.as_str(), "…");
        let lower = text.to_ascii_lowercase();
        let kind = match () {
            () if lower.contains("404") || lower.contains("not found") => ErrorKind::NotFound,
            () if lower.contains("429") || lower.contains("too many") => ErrorKind::RateLimited,
            () if lower.contains("401") || lower.contains("400") || lower.contains("access token") => {
                ErrorKind::Unauthenticated
            }
            () if lower.contains("403") => ErrorKind::Denied,
            () => ErrorKind::Unreachable,
        };
        Err(Fault::new(kind, format!("`bws` says: {text}"), "run `bws secret list` by hand"))
    }

    /// By id, or by name where it is the only one.
    fn get(&self, path: &str) -> Result<Whole, Fault> {
        if path.starts_with('-') {
            return Err(Fault::configuration(
                "the location starts with `-`",
                "write it as the secret's id or its name",
            ));
        }
        if is_uuid(path) {
            let output = self.command(&["secret", "get", path])?;
            let secret: Secret<'_> = json::parse(&output, "the secret")?;
            if !secret.id.eq_ignore_ascii_case(path) {
                return Err(Fault::malformed("`bws` gave another secret than the one that was asked for"));
            }
            return whole(&secret);
        }
        let output = self.command(&["secret", "list"])?;
        let secrets: Vec<Secret<'_>> = json::parse(&output, "the list of secrets")?;
        let mut named = secrets.iter().filter(|secret| secret.key == path);
        match (named.next(), named.next()) {
            (Some(secret), None) => whole(secret),
            (Some(_), Some(_)) => {
                Err(Fault::configuration("there are several secrets of this name", "use the id instead"))
            }
            (None, _) => Err(Fault::new(
                ErrorKind::NotFound,
                "there is no secret of this name",
                "check the location, and what the token may see",
            )),
        }
    }
}

fn whole(secret: &Secret<'_>) -> Result<Whole, Fault> {
    let bytes = secret.value.and_then(json::material).ok_or_else(|| Fault::malformed("the secret has no value"))?;
    Ok(Whole {
        content: Content::Bytes(bytes),
        metadata: Metadata { created: secret.revision_date, ..Metadata::default() },
    })
}

fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text
            .bytes()
            .enumerate()
            .all(|(at, byte)| if matches!(at, 8 | 13 | 18 | 23) { byte == b'-' } else { byte.is_ascii_hexdigit() })
}

impl Backend for Bitwarden {
    fn name(&self) -> &'static str {
        NAME
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities { list: true, ..Capabilities::default() }
    }

    fn read(&self, requests: &[ReadRequest]) -> Vec<Result<Resolved, BackendError>> {
        grouped::read(NAME, requests, PARALLEL, |path, version| {
            current_only(version, "Bitwarden Secrets Manager")?;
            self.get(path)
        })
    }

    fn list(&self, prefix: &str) -> Option<Result<Vec<String>, BackendError>> {
        let listed = self.command(&["secret", "list"]).and_then(|output| {
            let secrets: Vec<Secret<'_>> = json::parse(&output, "the list of secrets")?;
            let mut names: Vec<_> = secrets
                .into_iter()
                .map(|secret| http::clean(&secret.key, 500))
                .filter(|name| name.starts_with(prefix))
                .collect();
            names.sort();
            Ok(names)
        });
        Some(listed.map_err(|fault| fault.named(NAME, prefix)))
    }
}
