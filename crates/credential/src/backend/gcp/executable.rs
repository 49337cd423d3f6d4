//! Tokens of another issuer that a program gives (AIP-4117). It is run only where the user's environment allows it.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde::Deserialize;
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use super::super::openbao::read_token;
use super::super::{Fault, Variables, http, json, process};
use super::login::File;

/// Where the user says that credential files may name programs.
const ALLOW: &str = "GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES";

#[derive(Deserialize)]
struct Response<'a> {
    version: Option<u32>,
    success: Option<bool>,
    expiration_time: Option<i64>,
    #[serde(borrow)]
    id_token: Option<&'a RawValue>,
    #[serde(borrow)]
    saml_response: Option<&'a RawValue>,
    #[serde(default)]
    code: String,
    #[serde(default)]
    message: String,
}

pub(super) fn token(file: &File<'_>, source: &File<'_>, variables: &Variables) -> Result<Zeroizing<String>, Fault> {
    if variables.get(ALLOW).as_deref() != Some("1") {
        return Err(Fault::configuration(
            "the credentials file names a program, which is not run unless you allow it",
            format!("look at the program, then set {ALLOW}=1"),
        ));
    }
    let kept = source.plain("output_file");
    if let Some(kept) = kept.as_deref().and_then(|kept| read_token(Path::new(kept)).ok())
        && let Ok(token) = of_response(kept.as_bytes())
    {
        return Ok(token);
    }
    let line = source.text("command")?;
    let words = process::words(&line).filter(|words| !words.is_empty());
    let words = words.ok_or_else(|| {
        Fault::configuration("the program of the credentials file has an open quote", "check the file")
    })?;
    let limit = source.raw("timeout_millis").and_then(|raw| raw.get().parse().ok()).unwrap_or(30_000_u64);
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]);
    command.env("GOOGLE_EXTERNAL_ACCOUNT_AUDIENCE", file.text("audience")?.as_str());
    command.env("GOOGLE_EXTERNAL_ACCOUNT_TOKEN_TYPE", file.text("subject_token_type")?.as_str());
    command.env("GOOGLE_EXTERNAL_ACCOUNT_INTERACTIVE", "0");
    if let Some(kept) = &kept {
        command.env("GOOGLE_EXTERNAL_ACCOUNT_OUTPUT_FILE", kept);
    }
    if let Some(url) = file.plain("service_account_impersonation_url") {
        let email = url.rsplit('/').next().and_then(|last| last.split(':').next()).unwrap_or_default();
        command.env("GOOGLE_EXTERNAL_ACCOUNT_IMPERSONATED_EMAIL", email);
    }
    let said = process::run(
        &mut command,
        "the program of the credentials file",
        Duration::from_millis(limit.clamp(5_000, 120_000)),
    )?;
    if !said.is_success {
        return Err(Fault::unauthenticated(
            format!("the program of the credentials file failed: {}", said.errors),
            "run it by hand",
        ));
    }
    of_response(&said.output)
}

fn of_response(text: &[u8]) -> Result<Zeroizing<String>, Fault> {
    let response: Response<'_> = json::parse(text, "the output of the program")?;
    if response.version != Some(1) || response.success.is_none() {
        return Err(Fault::malformed("the output of the program is not of version 1"));
    }
    if response.success != Some(true) {
        let said = http::clean(&format!("{} {}", response.code, response.message), 200);
        return Err(Fault::unauthenticated(
            format!("the program of the credentials file says: {said}"),
            "run it by hand",
        ));
    }
    if response.expiration_time.is_some_and(|time| time <= jiff::Timestamp::now().as_second()) {
        return Err(Fault::unauthenticated(
            "the program of the credentials file gave an expired token",
            "run it by hand",
        ));
    }
    let token =
        response.id_token.or(response.saml_response).and_then(json::secret_text).filter(|text| !text.is_empty());
    token.ok_or_else(|| Fault::malformed("the output of the program holds no token"))
}
