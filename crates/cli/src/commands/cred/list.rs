//! `custody cred list`.

use std::collections::BTreeMap;
use std::process::ExitCode;

use custody_contract::CredentialRef;
use custody_contract::file::CredentialItem;
use custody_credential::backend::Metadata;
use jiff::Timestamp;

use super::session::{Session, age, shown, store_failure, table};
use super::{doctor, proof};
use crate::arguments::{CredList, DataFormat};
use crate::failure::Failure;
use crate::output;

/// One credential that is listed.
struct Listed<'s> {
    reference: CredentialRef,
    backend: String,
    metadata: Option<Metadata>,
    item: Option<&'s CredentialItem>,
}

pub fn run(arguments: &CredList) -> Result<ExitCode, Failure> {
    let session = Session::open(&arguments.place)?;
    let listed = collect(&session)?;
    let now = Timestamp::now();
    if arguments.place.format == DataFormat::Json {
        let rows: Vec<_> = listed.iter().map(|l| json(&session, l, now)).collect();
        let json = serde_json::json!({ "environment": session.environment.as_str(), "credentials": rows });
        output::print(&format!("{json:#}\n"))?;
        return Ok(ExitCode::SUCCESS);
    }
    if listed.is_empty() {
        output::print("No credentials. Put one: custody cred put cred://provider/scope/access\n")?;
        return Ok(ExitCode::SUCCESS);
    }
    let head = ["REFERENCE", "BACKEND", "VERSION", "AGE", "OWNER", "ROTATION", "READ-ONLY"].map(str::to_owned).to_vec();
    let rows = listed.iter().map(|l| {
        let known = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
        let metadata = l.metadata.as_ref();
        vec![
            l.reference.to_string(),
            l.backend.clone(),
            known(metadata.and_then(|m| m.version.clone())),
            known(metadata.and_then(|m| m.created).map(|t| age(t, now))),
            known(l.item.and_then(|i| i.owner.as_deref()).map(shown)),
            l.item.map_or_else(|| "not registered".to_owned(), |item| doctor::window(item, now)),
            proof::of(&session, &l.reference),
        ]
    });
    output::print(&table(&[head].into_iter().chain(rows).collect::<Vec<_>>()))?;
    Ok(ExitCode::SUCCESS)
}

/// The references of all credentials that are listed for this environment.
pub fn references(session: &Session) -> Result<Vec<CredentialRef>, Failure> {
    let environment = session.environment;
    let listed = collect(session)?;
    let here = |l: &Listed<'_>| l.item.is_none_or(|item| item.applies_to(environment));
    Ok(listed.into_iter().filter(here).map(|l| l.reference).collect())
}

/// What the contract registers, and what the store of the default backend holds besides. No other backend is asked.
fn collect(session: &Session) -> Result<Vec<Listed<'_>>, Failure> {
    let mut listed = BTreeMap::new();
    let resolver = &session.resolver;
    for item in resolver.registry() {
        let place = resolver.place(&item.reference).ok();
        let is_store = place.as_ref().is_some_and(|p| resolver.store(&p.backend).is_ok_and(|s| s.is_some()));
        let metadata = if is_store { resolver.describe(&item.reference).ok() } else { None };
        let backend = place.map_or_else(|| "?".to_owned(), |p| p.backend);
        listed.insert(
            item.reference.clone(),
            Listed { reference: item.reference.clone(), backend, metadata, item: Some(item) },
        );
    }
    let name = resolver.default_backend();
    if let Ok(Some(store)) = resolver.store(name) {
        for location in store.names().map_err(|e| store_failure(&e))? {
            let Ok(reference) = CredentialRef::parse(&format!("{}{location}", CredentialRef::SCHEME)) else { continue };
            let is_there = resolver.place(&reference).is_ok_and(|p| p.location == location && p.backend == name);
            if is_there && !listed.contains_key(&reference) {
                let metadata = resolver.describe(&reference).ok();
                let one = Listed { reference: reference.clone(), backend: name.to_owned(), metadata, item: None };
                listed.insert(reference, one);
            }
        }
    }
    Ok(listed.into_values().collect())
}

fn json(session: &Session, listed: &Listed<'_>, now: Timestamp) -> serde_json::Value {
    let metadata = listed.metadata.as_ref();
    serde_json::json!({
        "reference": listed.reference.as_str(),
        "backend": listed.backend,
        "version": metadata.and_then(|m| m.version.clone()),
        "created": metadata.and_then(|m| m.created).map(|t| t.to_string()),
        "registered": listed.item.is_some(),
        "owner": listed.item.and_then(|i| i.owner.clone()),
        "environments": listed.item.map(|i| i.environments.iter().map(|e| e.as_str()).collect::<Vec<_>>()),
        "rotation": listed.item.map(|i| doctor::window(i, now)),
        "readOnly": proof::of(session, &listed.reference),
    })
}
