//! What only the embedded store does: history, versions, keys, backups.

use std::io::{BufRead as _, Write as _};
use std::process::ExitCode;

use custody_contract::CredentialRef;
use custody_credential::SecretValue;
use custody_credential::backend::embedded::{Keys, Replace, SlotKind, Store};

use super::audit::{self, Action, Event, Step};
use super::session::{Session, may_ask, prompt, resolve_failure, secret_file, shown, store_failure, table, usage};
use crate::arguments::{CredBackup, CredPlace, CredRestore, CredUnlock, CredVersion, DataFormat, UnlockBy};
use crate::failure::Failure;
use crate::output;

fn open(credential: &CredVersion) -> Result<(Session, String, Store, String), Failure> {
    let session = Session::open(&credential.place)?;
    let (name, store) = session.store(Some(&credential.reference))?;
    let place = session.resolver.place(&credential.reference).map_err(|e| resolve_failure(&e))?;
    Ok((session, name, store, place.location))
}

fn record(
    action: Action,
    reference: Option<&CredentialRef>,
    backend: &str,
    version: Option<&str>,
    step: Step,
) -> Result<(), Failure> {
    audit::record(&Event { action, reference, backend, version, environment: None, reason: None, step })
}

pub fn history(credential: &CredVersion) -> Result<ExitCode, Failure> {
    let (_, _, store, location) = open(credential)?;
    let versions = store.history(&location).map_err(|e| store_failure(&e))?;
    if credential.place.format == DataFormat::Json {
        let rows: Vec<_> = versions
            .iter()
            .map(|v| {
                let created = v.created.to_string();
                serde_json::json!({ "version": v.number.to_string(), "created": created, "note": v.note, "current": v.is_current })
            })
            .collect();
        let json = serde_json::json!({ "reference": credential.reference.as_str(), "versions": rows });
        output::print(&format!("{json:#}\n"))?;
        return Ok(ExitCode::SUCCESS);
    }
    let head = ["", "VERSION", "CREATED", "NOTE"].map(str::to_owned).to_vec();
    let rows = versions.iter().map(|v| {
        let mark = if v.is_current { "*" } else { " " };
        let note = v.note.as_deref().map(shown).unwrap_or_default();
        vec![mark.to_owned(), v.number.to_string(), format!("{:.0}", v.created), note]
    });
    output::print(&table(&[head].into_iter().chain(rows).collect::<Vec<_>>()))?;
    Ok(ExitCode::SUCCESS)
}

pub fn activate(credential: &CredVersion, number: u64) -> Result<ExitCode, Failure> {
    let (_, name, store, location) = open(credential)?;
    let version = number.to_string();
    record(Action::Rotate, Some(&credential.reference), &name, Some(&version), Step::Begun)?;
    store.activate(&location, number).map_err(|e| store_failure(&e))?;
    record(Action::Rotate, Some(&credential.reference), &name, Some(&version), Step::Done)?;
    output::print(&format!("Version {number} of {} is in force.\n", credential.reference))?;
    Ok(ExitCode::SUCCESS)
}

pub fn delete(credential: &CredVersion, yes: bool) -> Result<ExitCode, Failure> {
    let (_, name, store, location) = open(credential)?;
    let versions = store.history(&location).map_err(|e| store_failure(&e))?.len();
    if !yes {
        if !may_ask() {
            return Err(usage("nobody can be asked whether to delete", "this is CI, or not a terminal", "give --yes"));
        }
        let mut err = std::io::stderr();
        let _ = write!(err, "Delete {} with {versions} version(s)? [y/N] ", credential.reference);
        let _ = err.flush();
        let mut answer = String::new();
        std::io::stdin().lock().read_line(&mut answer).map_err(|e| Failure::unreadable("standard input", &e))?;
        if !matches!(answer.trim(), "y" | "Y" | "yes") {
            output::print("Nothing was deleted.\n")?;
            return Ok(ExitCode::SUCCESS);
        }
    }
    record(Action::Delete, Some(&credential.reference), &name, None, Step::Begun)?;
    store.delete(&location).map_err(|e| store_failure(&e))?;
    record(Action::Delete, Some(&credential.reference), &name, None, Step::Done)?;
    output::print(&format!("Deleted {} with {versions} version(s).\n", credential.reference))?;
    Ok(ExitCode::SUCCESS)
}

pub fn rekey(place: &CredPlace) -> Result<ExitCode, Failure> {
    let session = Session::open(place)?;
    let (name, store) = session.store(None)?;
    record(Action::Rekey, None, &name, None, Step::Begun)?;
    store.rekey().map_err(|e| store_failure(&e))?;
    record(Action::Rekey, None, &name, None, Step::Done)?;
    output::print("The store has new keys. Backups open with their own passphrase or identity as before.\n")?;
    Ok(ExitCode::SUCCESS)
}

fn slot(by: UnlockBy) -> SlotKind {
    match by {
        UnlockBy::KeyFile => SlotKind::KeyFile,
        UnlockBy::Passphrase => SlotKind::Passphrase,
        UnlockBy::Age => SlotKind::Age,
        UnlockBy::SystemdCreds => SlotKind::SystemdCreds,
        UnlockBy::Keyring => SlotKind::Keyring,
        UnlockBy::Tpm => SlotKind::Tpm,
        UnlockBy::Pkcs11 => SlotKind::Pkcs11,
    }
}

/// What the command line says of a new way, over what the contract says.
fn name_ways(keys: &mut Keys, by: UnlockBy, arguments: &CredUnlock) -> Result<(), Failure> {
    keys.recipients.extend(arguments.recipient.iter().cloned());
    if let Some(file) = arguments.pin_file.as_deref() {
        keys.pin = Some(secret_file(file)?);
        keys.tpm.pin |= by == UnlockBy::Tpm;
    }
    if let Some(pcrs) = &arguments.pcrs {
        keys.tpm.pcrs = Some(pcrs.clone());
    }
    for (given, place) in [(&arguments.token, &mut keys.token.token), (&arguments.key, &mut keys.token.key)] {
        if given.is_some() {
            place.clone_from(given);
        }
    }
    if arguments.module.is_some() {
        keys.token.module.clone_from(&arguments.module);
    }
    Ok(())
}

pub fn unlock(arguments: &CredUnlock) -> Result<ExitCode, Failure> {
    let session = Session::open(&arguments.place)?;
    let (name, mut store) = session.store(None)?;
    record(Action::Rekey, None, &name, None, Step::Begun)?;
    if let Some(by) = arguments.add {
        name_ways(store.keys_mut(), by, arguments)?;
        if by == UnlockBy::Passphrase {
            store.keys_mut().new_passphrase = match arguments.passphrase_file.as_deref() {
                Some(file) => Some(secret_file(file)?),
                None => Some(new_passphrase("New passphrase of the store (not shown): ")?),
            };
        }
        store.add_slot(slot(by)).map_err(|e| store_failure(&e))?;
    }
    if let Some(by) = arguments.remove {
        store.remove_slot(slot(by)).map_err(|e| store_failure(&e))?;
    }
    record(Action::Rekey, None, &name, None, Step::Done)?;
    let ways = store.record().map_err(|e| store_failure(&e))?.slots;
    let ways: Vec<&str> = ways.iter().map(|s| s.as_str()).collect();
    output::print(&format!("The store is unlocked by: {}.\n", ways.join(", ")))?;
    if arguments.remove.is_some() {
        output::print("Copies of the store that were made before still open in the old way: custody cred rekey.\n")?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Asks for a new passphrase, twice.
fn new_passphrase(question: &str) -> Result<SecretValue, Failure> {
    let asked = prompt().secret(question);
    let again = asked.as_ref().and_then(|_| prompt().secret("Once more: "));
    match (asked, again) {
        (Some(one), Some(two)) if one == two && !one.is_empty() => Ok(one),
        (None, _) => {
            Err(usage("there is no passphrase", "nobody can be asked", "see the command's --help for other ways"))
        }
        _ => Err(usage("the passphrases differ or are empty", "a slip cannot be undone later", "try again")),
    }
}

/// The keys of a backup: its own passphrase or recipients, never those of the store.
fn backup_keys(session: &Session, passphrase_file: Option<&std::path::Path>) -> Result<Keys, Failure> {
    let mut keys = Keys::new(session.root.clone(), session.resolver.context());
    keys.passphrase = passphrase_file.map(secret_file).transpose()?;
    Ok(keys)
}

pub fn backup(arguments: &CredBackup) -> Result<ExitCode, Failure> {
    let session = Session::open(&arguments.place)?;
    let (name, store) = session.store(None)?;
    let mut keys = backup_keys(&session, arguments.passphrase_file.as_deref())?;
    let kind = match arguments.recipient.is_empty() {
        false => SlotKind::Age,
        true => SlotKind::Passphrase,
    };
    keys.recipients = arguments.recipient.clone();
    if kind == SlotKind::Passphrase && keys.passphrase.is_none() {
        keys.passphrase = Some(new_passphrase("Passphrase of the backup (not shown): ")?);
    }
    record(Action::Backup, None, &name, None, Step::Begun)?;
    let secrets = store.back_up(&arguments.file, kind, &keys).map_err(|e| store_failure(&e))?;
    record(Action::Backup, None, &name, None, Step::Done)?;
    output::print(&format!("Wrote {secrets} secret(s) to {}, encrypted.\n", arguments.file.display()))?;
    Ok(ExitCode::SUCCESS)
}

pub fn restore(arguments: &CredRestore) -> Result<ExitCode, Failure> {
    let session = Session::open(&arguments.place)?;
    let (name, store) = session.store(None)?;
    let mut keys = backup_keys(&session, arguments.passphrase_file.as_deref())?;
    keys.identity_file = arguments.identity_file.clone();
    let replace = if arguments.replace { Replace::Yes } else { Replace::No };
    record(Action::Restore, None, &name, None, Step::Begun)?;
    let restored = store.restore(&arguments.file, &keys, replace).map_err(|e| store_failure(&e))?;
    record(Action::Restore, None, &name, None, Step::Done)?;
    output::print(&format!("Restored {} secret(s) with {} version(s).\n", restored.secrets, restored.versions))?;
    Ok(ExitCode::SUCCESS)
}
