//! Stubs of services that cannot run here, made from their public API documentation. Each keeps what is planted.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use custody_testkit::servers::{Received, Reply, Stub};
use data_encoding::BASE64;
use serde_json::{Value, json};

/// Names and the versions of each, oldest first.
#[derive(Clone, Default)]
pub struct Kept(Arc<Mutex<BTreeMap<String, Vec<Vec<u8>>>>>);

impl Kept {
    /// Adds a version; its number.
    pub fn put(&self, name: &str, value: &[u8]) -> usize {
        let mut kept = self.0.lock().unwrap();
        let versions = kept.entry(name.to_owned()).or_default();
        versions.push(value.to_vec());
        versions.len()
    }

    /// Something of each.
    pub fn each<T>(&self, of: impl Fn(&str, &[Vec<u8>]) -> T) -> Vec<T> {
        self.0.lock().unwrap().iter().map(|(name, versions)| of(name, versions)).collect()
    }

    fn count(&self, name: &str) -> usize {
        self.0.lock().unwrap().get(name).map_or(0, Vec::len)
    }

    /// A version by its number, from 1.
    fn at(&self, name: &str, number: usize) -> Option<Vec<u8>> {
        let kept = self.0.lock().unwrap();
        kept.get(name)?.get(number.checked_sub(1)?).cloned()
    }

    fn newest(&self, name: &str) -> Option<Vec<u8>> {
        self.at(name, self.count(name))
    }
}

fn text(value: &[u8]) -> String {
    String::from_utf8(value.to_vec()).expect("text only is planted here")
}

fn query<'a>(path: &'a str, name: &str) -> Option<&'a str> {
    path.split(['?', '&']).skip(1).filter_map(|pair| pair.split_once('=')).find(|(own, _)| *own == name).map(|(_, v)| v)
}

/// Named parts: of a JSON object its members, of anything else one `value`.
fn parts(value: &[u8]) -> Vec<(String, Vec<u8>)> {
    match serde_json::from_slice::<Value>(value) {
        Ok(Value::Object(members)) => members
            .into_iter()
            .map(|(name, value)| (name, value.as_str().map_or_else(|| value.to_string(), str::to_owned).into_bytes()))
            .collect(),
        _ => vec![("value".to_owned(), value.to_vec())],
    }
}

/// Secret Manager with one project, and the metadata service's token.
pub fn google() -> Stub {
    let kept = Kept::default();
    Stub::start(move |request| {
        let not_found = || Reply::json(404, &json!({"error": {"code": 404, "status": "NOT_FOUND", "message": "none"}}));
        if request.path.ends_with("/service-accounts/default/token") {
            let token = json!({"access_token": "gcp", "expires_in": 3599, "token_type": "Bearer"});
            return Reply::json(200, &token).with("Metadata-Flavor", "Google");
        }
        let Some(rest) = request.path.strip_prefix("/v1/projects/p/secrets") else { return not_found() };
        let version = |name: &str, number: usize| json!({"name": format!("projects/1/secrets/{name}/versions/{number}"), "state": "ENABLED"});
        if rest.starts_with("?pageSize") {
            let names = kept.each(|name, _| json!({"name": format!("projects/1/secrets/{name}")}));
            return Reply::json(200, &json!({"secrets": names}));
        }
        if let Some(name) = query(&request.path, "secretId") {
            kept.0.lock().unwrap().entry(name.to_owned()).or_default();
            return Reply::json(200, &json!({}));
        }
        let rest = rest.trim_start_matches('/');
        if let Some(name) = rest.strip_suffix(":addVersion") {
            if !kept.0.lock().unwrap().contains_key(name) {
                return not_found();
            }
            let data = BASE64.decode(request.json()["payload"]["data"].as_str().unwrap().as_bytes()).unwrap();
            return Reply::json(200, &version(name, kept.put(name, &data)));
        }
        let Some((name, rest)) = rest.split_once("/versions") else { return not_found() };
        let count = kept.count(name);
        if rest.starts_with('?') {
            let newest: Vec<_> = (1..=count).rev().take(2).map(|number| version(name, number)).collect();
            return Reply::json(200, &json!({"versions": newest}));
        }
        let rest = rest.trim_start_matches('/');
        let number = rest.trim_end_matches(":access");
        let number = if number == "latest" { count } else { number.parse().unwrap_or(0) };
        match kept.at(name, number) {
            None => not_found(),
            Some(_) if !rest.ends_with(":access") => Reply::json(200, &version(name, number)),
            Some(value) => {
                let mut answer = version(name, number);
                answer["payload"] = json!({"data": BASE64.encode(&value)});
                Reply::json(200, &answer)
            }
        }
    })
}

/// Key Vault, and the managed identity's token.
pub fn azure() -> Stub {
    let kept = Kept::default();
    Stub::start(move |request| {
        let (path, _) = request.path.split_once('?').unwrap_or((&request.path, ""));
        if path == "/metadata/identity/oauth2/token" {
            return Reply::json(200, &json!({"access_token": "azure", "expires_in": "3599"}));
        }
        let host = format!("http://{}", request.header("host").unwrap());
        let item = |name: &str, number: usize| json!({"id": format!("{host}/secrets/{name}/v{number}"), "attributes": {"enabled": true, "created": number}});
        let not_found = || Reply::json(404, &json!({"error": {"code": "SecretNotFound", "message": "none"}}));
        let parts: Vec<&str> = path.trim_start_matches('/').split('/').collect();
        let given = |name: &str, number: usize| match kept.at(name, number) {
            None => not_found(),
            Some(value) => {
                let mut answer = item(name, number);
                answer["value"] = text(&value).into();
                Reply::json(200, &answer)
            }
        };
        match (request.method.as_str(), parts.as_slice()) {
            ("GET", ["secrets"]) => {
                let names = kept.each(|name, _| json!({"id": format!("{host}/secrets/{name}")}));
                Reply::json(200, &json!({"value": names}))
            }
            ("PUT", ["secrets", name]) => {
                let number = kept.put(name, request.json()["value"].as_str().unwrap().as_bytes());
                given(name, number)
            }
            ("GET", ["secrets", name]) => given(name, kept.count(name)),
            ("GET", ["secrets", name, "versions"]) => {
                let items: Vec<_> = (1..=kept.count(name)).map(|number| item(name, number)).collect();
                Reply::json(200, &json!({"value": items}))
            }
            ("GET", ["secrets", name, version]) => {
                given(name, version.strip_prefix('v').and_then(|n| n.parse().ok()).unwrap_or(0))
            }
            _ => not_found(),
        }
    })
}

/// The API server with one namespace.
pub fn kubernetes() -> (Stub, Kept) {
    let kept = Kept::default();
    let own = kept.clone();
    let stub = Stub::start(move |request| {
        let path = request.path.strip_prefix("/api/v1/namespaces/team/secrets").unwrap_or("/");
        let (name, query) = path.trim_start_matches('/').split_once('?').unwrap_or((path.trim_start_matches('/'), ""));
        let meta = |name: &str| json!({"name": name, "resourceVersion": own.count(name).to_string()});
        if name.is_empty() && query.starts_with("limit") {
            let items = own.each(|name, _| json!({"metadata": {"name": name}}));
            return Reply::json(200, &json!({"metadata": {}, "items": items}));
        }
        if request.method == "PATCH" && own.count(name) > 0 {
            let value = BASE64.decode(request.json()["data"]["value"].as_str().unwrap().as_bytes()).unwrap();
            own.put(name, &value);
            return Reply::json(200, &json!({"metadata": meta(name)}));
        }
        match own.newest(name) {
            None => Reply::json(404, &json!({"kind": "Status", "message": "not found"})),
            Some(value) => {
                let data: serde_json::Map<_, _> =
                    parts(&value).into_iter().map(|(key, value)| (key, BASE64.encode(&value).into())).collect();
                Reply::json(200, &json!({"metadata": meta(name), "data": data}))
            }
        }
    });
    (stub, kept)
}

/// Another custody, after `docs/resolver-protocol.md`.
pub fn resolver() -> (Stub, Kept) {
    let kept = Kept::default();
    let own = kept.clone();
    let stub = Stub::start(move |request| {
        let answer = |asked: &Value| {
            let reference = asked["reference"].as_str().unwrap();
            let name = reference.strip_prefix("cred://test/conformance/").unwrap_or("");
            let count = own.count(name);
            let number = match &asked["version"] {
                Value::String(version) if version == "current" => count,
                Value::String(_) => count.saturating_sub(1),
                exact => exact["exact"].as_str().and_then(|n| n.parse().ok()).unwrap_or(0),
            };
            match own.at(name, number) {
                None => {
                    json!({"reference": reference, "problem": {"code": "not-found", "detail": "none", "fix": "look"}})
                }
                Some(value) => {
                    json!({"reference": reference, "value-base64": BASE64.encode(&value), "version": number.to_string()})
                }
            }
        };
        let credentials: Vec<_> = request.json()["references"].as_array().unwrap().iter().map(answer).collect();
        Reply::json(200, &json!({ "credentials": credentials }))
    });
    (stub, kept)
}

/// 1Password Connect with one vault; an item's id is its title in hexadecimal, cut to 26 digits.
pub fn connect() -> (Stub, Kept) {
    let kept = Kept::default();
    let own = kept.clone();
    let decoded = |text: &str| percent_decoded(text);
    let stub = Stub::start(move |request| {
        let vault = "v".repeat(26);
        if request.path.starts_with("/v1/vaults?") {
            return Reply::json(200, &json!([{"id": vault}]));
        }
        let items = format!("/v1/vaults/{vault}/items");
        if let Some(filter) = query(&request.path, "filter") {
            let filter = decoded(filter);
            let title = filter.trim_start_matches("title eq \"").trim_end_matches('"').to_owned();
            let found = own.each(|name, _| (name == title).then(|| json!({"id": item_id(name)})));
            return Reply::json(200, &json!(found.into_iter().flatten().collect::<Vec<_>>()));
        }
        let id = request.path.strip_prefix(&format!("{items}/")).unwrap_or_default();
        let found = own.each(|name, versions| (item_id(name) == id).then(|| versions.last().cloned().unwrap()));
        match found.into_iter().flatten().next() {
            None => Reply::json(404, &json!({"status": 404, "message": "no such item"})),
            Some(value) => {
                let field =
                    |(name, value): (String, Vec<u8>)| json!({"id": name, "label": name, "value": text(&value)});
                let fields: Vec<_> = parts(&value).into_iter().map(field).collect();
                Reply::json(200, &json!({"id": id, "fields": fields}))
            }
        }
    });
    (stub, kept)
}

fn item_id(title: &str) -> String {
    let digest = ring::digest::digest(&ring::digest::SHA256, title.as_bytes());
    data_encoding::HEXLOWER.encode(digest.as_ref())[..26].to_owned()
}

fn percent_decoded(text: &str) -> String {
    percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned()
}

/// Infisical: one project, environment and folder.
pub fn infisical() -> (Stub, Kept) {
    let kept = Kept::default();
    let own = kept.clone();
    let stub = Stub::start(move |request: &Received| {
        let path = request.path.strip_prefix("/api/v3/secrets/raw/").unwrap_or_default();
        let name = path.split('?').next().unwrap_or_default();
        let number = query(path, "version").map_or(own.count(name), |n| n.parse().unwrap_or(0));
        match own.at(name, number) {
            None => Reply::json(404, &json!({"message": "Secret not found"})),
            Some(value) => Reply::json(200, &json!({"secret": {"secretValue": text(&value), "version": number}})),
        }
    });
    (stub, kept)
}

/// Doppler: one project and config.
pub fn doppler() -> (Stub, Kept) {
    let kept = Kept::default();
    let own = kept.clone();
    let stub = Stub::start(move |request| {
        let name = query(&request.path, "name").unwrap_or_default();
        match own.newest(name) {
            None => Reply::json(404, &json!({"messages": ["Could not find requested secret"], "success": false})),
            Some(value) => Reply::json(200, &json!({"name": name, "value": {"computed": text(&value)}})),
        }
    });
    (stub, kept)
}
