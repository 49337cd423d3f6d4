//! 1Password: a Connect server, or the command `op`.
//!
//! Source: the 1Password Connect API reference, version 1; `op read`.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use serde::Deserialize;
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use super::grouped::{self, Content, Whole, current_only};
use super::http::{Answer, Client, HttpSettings, Plaintext, Request};
use super::location::{Location, encode_segment};
use super::openbao::read_token;
use super::{
    Backend, BackendError, Capabilities, ErrorKind, Fault, Metadata, ReadRequest, Resolved, Variables, json, parallel,
    process,
};
use crate::SecretValue;

/// Its name.
const NAME: &str = "1password";
/// So many requests at the same time.
const PARALLEL: usize = 16;
/// `op` is slow, and each run of it takes memory.
const PARALLEL_COMMANDS: usize = 4;
/// How long `op` may take.
const COMMAND_LIMIT: Duration = Duration::from_secs(60);

/// Settings: the table of the backend in the contract file. None of them is secret.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct OnePasswordSettings {
    /// The Connect server; else `OP_CONNECT_HOST`. Without either the command is used.
    pub connect: Option<String>,
    /// The file with the Connect token; else `OP_CONNECT_TOKEN`.
    pub token_file: Option<PathBuf>,
    /// The command: `op` unless set.
    pub command: Option<PathBuf>,
    /// The account of the command.
    pub account: Option<String>,
    /// Connections.
    pub http: HttpSettings,
}

/// The backend.
pub struct OnePassword {
    connect: Option<(Client, String)>,
    settings: OnePasswordSettings,
    variables: Variables,
}

#[derive(Deserialize)]
struct Named {
    id: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Item<'a> {
    #[serde(default)]
    version: Option<u64>,
    updated_at: Option<jiff::Timestamp>,
    #[serde(borrow, default)]
    fields: Vec<Field<'a>>,
    #[serde(default)]
    sections: Vec<Section>,
}

#[derive(Deserialize)]
struct Field<'a> {
    id: String,
    #[serde(default)]
    label: String,
    #[serde(borrow)]
    value: Option<&'a RawValue>,
    section: Option<Named>,
}

#[derive(Deserialize)]
struct Section {
    id: String,
    #[serde(default)]
    label: String,
}

impl OnePassword {
    /// A backend for these settings. Nothing is asked yet.
    ///
    /// # Errors
    /// Configuration: a proxy that is no URL.
    pub fn new(settings: OnePasswordSettings, variables: &Variables) -> Result<Self, Fault> {
        let connect = settings.connect.clone().or_else(|| variables.get("OP_CONNECT_HOST"));
        let connect = match connect {
            Some(address) => {
                let http = Client::new(settings.http.clone(), Plaintext::Loopback, variables)?;
                Some((http, address.trim_end_matches('/').to_owned()))
            }
            None => None,
        };
        Ok(Self { connect, settings, variables: variables.clone() })
    }

    fn ask(&self, client: &Client, url: String) -> Result<Answer, Fault> {
        let token = match &self.settings.token_file {
            Some(file) => read_token(file)?,
            None => self.variables.get("OP_CONNECT_TOKEN").map(Zeroizing::new).ok_or_else(|| {
                Fault::unauthenticated(
                    "there is no token for the Connect server",
                    "set OP_CONNECT_TOKEN, or `token-file`",
                )
            })?,
        };
        let answer = client.send(&Request::get(url).secret_header("authorization", "Bearer ", &token))?;
        if answer.is_success() {
            return Ok(answer);
        }
        let body: serde_json::Value =
            answer.json().ok().and_then(|body| serde_json::from_slice(body).ok()).unwrap_or_default();
        Err(answer.fault(body["message"].as_str()))
    }

    /// The id of what has this name; ids (26 small letters and digits) are taken as they are.
    fn id(&self, client: &Client, url: &str, attribute: &str, name: &str, what: &str) -> Result<String, Fault> {
        if name.len() == 26 && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit()) {
            return Ok(name.to_owned());
        }
        let filter = format!("{attribute} eq \"{}\"", name.replace('\\', "\\\\").replace('"', "\\\""));
        let answer = self.ask(client, format!("{url}?filter={}", encode_segment(&filter)))?;
        // The answer is a list; its place in an object satisfies the check that it is JSON.
        let found: Vec<Named> = json::parse(&answer.body, &format!("the list of {what}s"))?;
        match found.as_slice() {
            [one] => Ok(one.id.clone()),
            [] => Err(Fault::new(
                ErrorKind::NotFound,
                format!("there is no {what} of this name"),
                "check the location, and what the token may see",
            )),
            _ => Err(Fault::configuration(
                format!("there are several {what}s of this name"),
                "use the id instead of the name",
            )),
        }
    }

    fn item(&self, client: &Client, base: &str, path: &str) -> Result<Whole, Fault> {
        let (vault, item) = path.split_once('/').ok_or_else(wrong_location)?;
        let vaults = format!("{base}/v1/vaults");
        let vault = self.id(client, &vaults, "name", vault, "vault")?;
        let items = format!("{vaults}/{}/items", encode_segment(&vault));
        let item = self.id(client, &items, "title", item, "item")?;
        let answer = self.ask(client, format!("{items}/{}", encode_segment(&item)))?;
        let item: Item<'_> = json::parse(answer.json()?, "the item")?;
        let mut fields = Vec::new();
        for field in &item.fields {
            let Some(value) = field.value.and_then(json::material) else { continue };
            let section =
                field.section.as_ref().and_then(|own| item.sections.iter().find(|section| section.id == own.id));
            if let Some(section) = section.filter(|section| !section.label.is_empty()) {
                fields.push((format!("{}/{}", section.label, field.label), value.clone()));
            }
            if field.id != field.label {
                fields.push((field.id.clone(), value.clone()));
            }
            fields.push((field.label.clone(), value));
        }
        let metadata = Metadata {
            version: item.version.map(|version| version.to_string()),
            created: item.updated_at,
            ..Metadata::default()
        };
        Ok(Whole { content: Content::Fields(fields), metadata })
    }

    fn command(&self, location: &str) -> Result<Resolved, Fault> {
        let location = normal(location);
        let location = Location::parse(&location)?;
        let field = location.field.ok_or_else(wrong_location)?;
        let program = self.settings.command.clone().unwrap_or_else(|| "op".into());
        let mut command = Command::new(program);
        command.arg("read").arg("--no-newline").arg(format!("op://{}/{field}", location.path));
        if let Some(account) = &self.settings.account {
            command.args(["--account", account]);
        }
        // A question on the terminal would hang whoever has none.
        command.env(
            "OP_BIOMETRIC_UNLOCK_ENABLED",
            self.variables.get("OP_BIOMETRIC_UNLOCK_ENABLED").unwrap_or_else(|| "false".into()),
        );
        let mut said = process::run(&mut command, "op", COMMAND_LIMIT)?;
        if said.is_success {
            return Ok(Resolved {
                value: SecretValue::new(std::mem::take(&mut *said.output)),
                metadata: Metadata::default(),
            });
        }
        let lower = said.errors.to_ascii_lowercase();
        let kind = match () {
            () if lower.contains("isn't a")
                || lower.contains("not found")
                || lower.contains("does not have a field") =>
            {
                ErrorKind::NotFound
            }
            () if lower.contains("sign in")
                || lower.contains("signed in")
                || lower.contains("token")
                || lower.contains("authoriz") =>
            {
                ErrorKind::Unauthenticated
            }
            () if lower.contains("too many requests") || lower.contains("rate limit") => ErrorKind::RateLimited,
            () if lower.contains("permission") || lower.contains("forbidden") => ErrorKind::Denied,
            () => ErrorKind::Unreachable,
        };
        Err(Fault::new(
            kind,
            format!("`op` says: {}", said.errors),
            "run `op read` by hand, or set OP_SERVICE_ACCOUNT_TOKEN",
        ))
    }
}

fn wrong_location() -> Fault {
    Fault::configuration(
        "the location is no field of an item",
        "write it as `vault/item#field`, or `op://vault/item/field`",
    )
}

/// `op://vault/item/section/field` → `vault/item#section/field`.
fn normal(location: &str) -> String {
    let Some(path) = location.strip_prefix("op://") else { return location.to_owned() };
    match path.match_indices('/').nth(1) {
        Some((at, _)) => format!("{}#{}", &path[..at], &path[at + 1..]),
        None => path.to_owned(),
    }
}

impl Backend for OnePassword {
    fn name(&self) -> &'static str {
        NAME
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::default()
    }

    fn read(&self, requests: &[ReadRequest]) -> Vec<Result<Resolved, BackendError>> {
        match &self.connect {
            Some((client, base)) => {
                let normal: Vec<_> =
                    requests.iter().map(|r| ReadRequest { location: normal(&r.location), ..r.clone() }).collect();
                grouped::read(NAME, &normal, PARALLEL, |path, version| {
                    current_only(version, "1Password Connect")?;
                    self.item(client, base, path)
                })
            }
            None => parallel::map(requests, PARALLEL_COMMANDS, |request| {
                current_only(&request.version, "`op read`")
                    .and_then(|()| self.command(&request.location))
                    .map_err(|fault| fault.of(NAME, &request.reference))
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_notations_mean_the_same() {
        assert_eq!(normal("op://v/i/s/f"), "v/i#s/f");
        assert_eq!(normal("op://v/i/f"), "v/i#f");
        assert_eq!(normal("v/i#f"), "v/i#f");
    }
}
