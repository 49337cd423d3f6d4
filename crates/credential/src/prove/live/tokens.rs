//! GitHub and GitLab: the scopes of the token, as the server names them.

use serde_json::{Value, json};

use super::Document;
use crate::backend::http::{Answer, Client, HttpSettings, Plaintext, Request};
use crate::backend::{ErrorKind, Fault, Variables};

/// GitHub names a classic token's scopes in a header of every answer, and a fine-grained token's permissions nowhere.
pub(super) fn github(token: &str, variables: &Variables) -> Result<Vec<Document>, Fault> {
    let base = variables.get("GITHUB_API_URL").unwrap_or_else(|| "https://api.github.com".to_owned());
    let request = Request::get(format!("{}/user", base.trim_end_matches('/')))
        .header("accept", "application/vnd.github+json")
        .secret_header("authorization", "Bearer ", token);
    let answer = send(&request, variables)?;
    // A token of an installation is no user; its answers have the header or not all the same.
    let is_answered = answer.is_success() || (answer.status == 403 && answer.header("x-oauth-scopes").is_some());
    if !is_answered {
        return Err(answer.fault(None));
    }
    let scopes = answer.header("x-oauth-scopes").ok_or_else(|| {
        Fault::new(
            ErrorKind::Unsupported,
            "the token is fine-grained, or of an app, and GitHub does not say what it is granted",
            "give its permissions: custody cred prove PERMISSIONS.json --as github --for REFERENCE",
        )
    })?;
    Ok(vec![Document::grant("github:token", format!("X-OAuth-Scopes: {scopes}\n"))])
}

/// GitLab describes personal, project and group access tokens to themselves.
pub(super) fn gitlab(token: &str, variables: &Variables) -> Result<Vec<Document>, Fault> {
    let base = variables.get("CI_API_V4_URL").unwrap_or_else(|| "https://gitlab.com/api/v4".to_owned());
    let request = Request::get(format!("{}/personal_access_tokens/self", base.trim_end_matches('/'))).secret_header(
        "private-token",
        "",
        token,
    );
    let answer = send(&request, variables)?;
    if !answer.is_success() {
        return Err(answer.fault(None));
    }
    let body: Value = serde_json::from_slice(answer.json()?).map_err(|_| Fault::malformed("the answer is no JSON"))?;
    let scopes = body["scopes"].as_array().ok_or_else(|| Fault::malformed("the answer names no scopes"))?;
    Ok(vec![Document::grant("gitlab:token", json!({ "scopes": scopes }).to_string())])
}

fn send(request: &Request, variables: &Variables) -> Result<Answer, Fault> {
    Client::new(HttpSettings::default(), Plaintext::Loopback, variables)?.send(request)
}
