//! A key file: 32 random bytes as base64 on a line with the store's id, readable by its owner only, outside the store's
//! directory.
//!
//! While a store gets new keys it has two lines, the newest first: whatever happens, one of them opens it. A file that
//! several stores share has the lines of each.

use std::fs::File;
use std::path::Path;

use data_encoding::BASE64;
use zeroize::Zeroizing;

use crate::SecretValue;
use crate::backend::embedded::crypt;
use crate::backend::embedded::error::StoreError;
use crate::backend::embedded::format::{Bytes, Id};

use super::{Keys, Slot, SlotKind, unwrap, wrap};

/// What each line starts with.
const PREFIX: &str = "custody-store-key-1";
/// Largest key file, in bytes.
const MAX_BYTES: usize = 1 << 20;

/// A slot for the key that the file has, or for a new one.
pub(super) fn make(store: Id, keys: &Keys, data_key: &SecretValue) -> Result<Slot, StoreError> {
    let path = keys.key_file_of(store);
    let _lock = lock(keys, &path)?;
    let mut lines = lines(&path)?;
    let key = match lines.iter().find(|line| line.store == store) {
        Some(line) => line.key.duplicate(),
        None => {
            let key = crypt::new_key().map_err(StoreError::io("make a key for", &path))?;
            lines.insert(0, Line { store, key: key.duplicate() });
            write(keys, &path, &lines)?;
            key
        }
    };
    Ok(Slot::KeyFile { wrapped: wrap(SlotKind::KeyFile, store, &key, data_key)? })
}

/// A slot for a new key; the one that opens `old` stays in the file until [`keep_opening`].
pub(super) fn renew(store: Id, keys: &Keys, data_key: &SecretValue, old: &Bytes) -> Result<Slot, StoreError> {
    let path = keys.key_file_of(store);
    let _lock = lock(keys, &path)?;
    let mut lines = lines(&path)?;
    lines.retain(|line| line.store != store || unwrap(SlotKind::KeyFile, store, &line.key, old).is_ok());
    let key = crypt::new_key().map_err(StoreError::io("make a key for", &path))?;
    lines.insert(0, Line { store, key: key.duplicate() });
    write(keys, &path, &lines)?;
    Ok(Slot::KeyFile { wrapped: wrap(SlotKind::KeyFile, store, &key, data_key)? })
}

pub(super) fn open(store: Id, keys: &Keys, wrapped: &Bytes) -> Result<SecretValue, String> {
    let path = keys.key_file_of(store);
    let lines = read(&path).map_err(|why| format!("{}: {why}", path.display()))?;
    let mut opened = lines
        .iter()
        .filter(|line| line.store == store)
        .map(|line| unwrap(SlotKind::KeyFile, store, &line.key, wrapped));
    let first = opened.next().unwrap_or_else(|| Err(format!("{} has no key of this store", path.display())));
    first.or_else(|why| opened.find_map(Result::ok).ok_or(why))
}

/// Leaves of the store's lines the newest. One that stays opens no store in force, so failures are no harm.
pub(super) fn keep_newest(store: Id, keys: &Keys) {
    let path = keys.key_file_of(store);
    let Ok(_lock) = lock(keys, &path) else { return };
    let Ok(mut lines) = lines(&path) else { return };
    let before = lines.len();
    let mut is_first = true;
    lines.retain(|line| line.store != store || std::mem::take(&mut is_first));
    if lines.len() < before {
        let _ = write(keys, &path, &lines);
    }
}

struct Line {
    store: Id,
    key: SecretValue,
}

fn lock(keys: &Keys, path: &Path) -> Result<File, StoreError> {
    let directory = path.parent().unwrap_or(Path::new("."));
    keys.disk.make_directory(directory).map_err(StoreError::io("make the directory", directory))?;
    let path = path.with_extension("lock");
    let file = File::options().create(true).truncate(false).write(true).open(&path);
    let file = file.map_err(StoreError::io("open", &path))?;
    file.lock().map_err(StoreError::io("lock", &path))?;
    Ok(file)
}

/// Writes the file anew, whole or not at all.
fn write(keys: &Keys, path: &Path, lines: &[Line]) -> Result<(), StoreError> {
    let mut text = Zeroizing::new(String::new());
    // Growing would leave copies behind.
    text.reserve_exact(lines.len() * (PREFIX.len() + 80));
    for line in lines {
        text.push_str(PREFIX);
        text.push(' ');
        text.push_str(&line.store.to_string());
        text.push(' ');
        BASE64.encode_append(line.key.expose(), &mut text);
        text.push('\n');
    }
    let new = path.with_extension("new");
    let _ = keys.disk.remove(&new);
    keys.disk.create(&new, text.as_bytes()).map_err(StoreError::io("write the key file", path))?;
    keys.disk.rename(&new, path).map_err(StoreError::io("write the key file", path))?;
    let directory = path.parent().unwrap_or(Path::new("."));
    keys.disk.sync_directory(directory).map_err(StoreError::io("write the directory", directory))
}

/// The lines of a file that may not exist yet.
fn lines(path: &Path) -> Result<Vec<Line>, StoreError> {
    match read(path) {
        Ok(lines) => Ok(lines),
        Err(_) if !path.exists() => Ok(Vec::new()),
        Err(why) => Err(StoreError::Key(format!("the key file {} cannot be used: {why}", path.display()))),
    }
}

fn read(path: &Path) -> Result<Vec<Line>, String> {
    let metadata = path.metadata().map_err(|e| e.to_string())?;
    #[cfg(unix)]
    {
        let mode = std::os::unix::fs::PermissionsExt::mode(&metadata.permissions());
        if mode & 0o077 != 0 {
            return Err(format!(
                "others may use it (mode {:o}): chmod 600 it, and think who has read it",
                mode & 0o777
            ));
        }
    }
    let _ = metadata;
    let text = SecretValue::read_file(path, MAX_BYTES).map_err(|e| e.to_string())?;
    let lines = text.expose().split(|&b| b == b'\n').filter(|line| !line.is_empty());
    lines.map(|line| parse(line).ok_or_else(|| "it is no key file".to_owned())).collect()
}

fn parse(line: &[u8]) -> Option<Line> {
    let mut words = line.split(|&b| b == b' ');
    if words.next()? != PREFIX.as_bytes() {
        return None;
    }
    let store = Id::parse(std::str::from_utf8(words.next()?).ok()?)?;
    let encoded = words.next()?;
    let length = BASE64.decode_len(encoded.len()).ok()?;
    let key = SecretValue::fill(length, |out| BASE64.decode_mut(encoded, out)).ok()?;
    (key.len() == crypt::KEY && words.next().is_none()).then_some(Line { store, key })
}
