//! OpenBao: the policies that the token has, by `auth/token/lookup-self` and `sys/policies/acl`.
//!
//! `sys/internal/ui/resultant-acl` leaves out paths with `+`, so it proves nothing by itself. Policies are read with the
//! token; where it may not, with the one that is in use here (`BAO_TOKEN`). What `sys/capabilities-self` says of the paths
//! in them is judged besides.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::super::shown;
use super::Document;
use crate::backend::openbao::{OpenBao, OpenBaoSettings};
use crate::backend::{ErrorKind, Fault, Variables};

/// Most policies that a token may have here.
const MAX_POLICIES: usize = 500;
/// Most paths that are asked about, so many at a time.
const MAX_PATHS: usize = 2_000;

pub(super) fn collect(token: &str, variables: &Variables) -> Result<Vec<Document>, Fault> {
    let own = client(Some(token), variables)?;
    let looked_up = value(&own.answer_at("auth/token/lookup-self")?)?;
    let data = &looked_up["data"];
    let mut names = BTreeSet::new();
    for list in ["policies", "identity_policies"] {
        names.extend(data[list].as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned));
    }
    if data["external_namespace_policies"].as_object().is_some_and(|other| !other.is_empty()) {
        return Err(untold("the token has policies in other namespaces, which are not read"));
    }
    if names.is_empty() || names.len() > MAX_POLICIES {
        return Err(untold("the server does not say which policies the token has"));
    }
    if names.contains("root") {
        return Ok(vec![Document::grant("openbao:token", r#"{"data":{"root":true}}"#)]);
    }
    let other =
        variables.first(&["BAO_TOKEN", "VAULT_TOKEN"]).map(Zeroizing::new).filter(|known| known.as_str() != token);
    let other = other.map(|other| client(Some(&other), variables)).transpose()?;
    let mut documents = Vec::new();
    for name in &names {
        documents.push(Document::grant(format!("openbao:policy/{}", shown(name)), policy(name, &own, other.as_ref())?));
    }
    documents.extend(capabilities(&own, &documents)?);
    Ok(documents)
}

/// The text of a policy, in the form in which the API gives it.
fn policy(name: &str, own: &OpenBao, other: Option<&OpenBao>) -> Result<Vec<u8>, Fault> {
    let path = format!("sys/policies/acl/{}", crate::backend::location::encode_path(name));
    let answer = match (own.answer_at(&path), other) {
        (Err(fault), Some(other)) if fault.kind == ErrorKind::Denied => other.answer_at(&path),
        (answer, _) => answer,
    };
    let body = value(&answer.map_err(|fault| match fault.kind {
        ErrorKind::Denied => Fault::new(
            ErrorKind::Denied,
            format!("the token may not read its own policy {}", shown(name)),
            "set BAO_TOKEN to a token that may read sys/policies/acl, or give the policies: custody cred prove POLICY… --together --for REFERENCE",
        ),
        _ => fault,
    })?)?;
    match body["data"]["policy"].as_str() {
        // An empty policy grants nothing.
        Some(text) if text.trim().is_empty() => Ok(br#"{"path":{}}"#.to_vec()),
        Some(text) => Ok(text.as_bytes().to_vec()),
        None => Err(Fault::malformed("the answer holds no policy")),
    }
}

/// What the server says of the paths in the policies, as one more policy: what it allows there cannot be less.
fn capabilities(own: &OpenBao, policies: &[Document]) -> Result<Option<Document>, Fault> {
    let paths = super::super::openbao::paths_in(policies.iter().map(Document::as_input));
    // Each path with one that it stands for: the server is asked about paths, not about patterns.
    let probe = |path: String| (path.trim_end_matches('*').replace('+', "x"), path);
    let paths: Vec<(String, String)> =
        paths.into_iter().filter(|path| !path.contains("{{")).map(probe).filter(|(p, _)| !p.is_empty()).collect();
    let mut rules = serde_json::Map::new();
    for some in paths[..paths.len().min(MAX_PATHS)].chunks(200) {
        let asked: Vec<&str> = some.iter().map(|(probe, _)| probe.as_str()).collect();
        let answers = own.capabilities_self(&asked)?;
        for (probe, path) in some {
            let granted = answers.get(probe).into_iter().flatten().filter(|capability| *capability != "deny");
            let granted: Vec<&String> = granted.collect();
            if !granted.is_empty() {
                rules.insert(path.clone(), json!({ "capabilities": granted }));
            }
        }
    }
    let document = json!({ "path": rules }).to_string();
    Ok((!rules.is_empty()).then(|| Document::grant("openbao:sys/capabilities-self", document)))
}

fn client(token: Option<&str>, variables: &Variables) -> Result<OpenBao, Fault> {
    let token = token.map(|token| Zeroizing::new(token.to_owned()));
    let others = variables.clone();
    let with_token = Variables::by(move |name| match name {
        "BAO_TOKEN" => token.as_ref().map(|token| token.to_string()),
        "VAULT_TOKEN" => None,
        name => others.get(name),
    });
    OpenBao::new(OpenBaoSettings::default(), &with_token)
}

fn value(body: &[u8]) -> Result<Value, Fault> {
    serde_json::from_slice(body).map_err(|_| Fault::malformed("the answer is no JSON"))
}

fn untold(why: &str) -> Fault {
    Fault::new(ErrorKind::Unsupported, why, "give its policies: custody cred prove POLICY… --together --for REFERENCE")
}
