//! What a scan leaves behind for the next one of the same repository, so that it costs only what is new.
//!
//! One file per repository and set of rules, in the user's cache directory. It lists the packs and loose objects that were
//! read whole, what they refer to and lack, and what was found in them. It holds for a scan if all of these are still
//! there; what is there besides is new. A file of another version, or one that is damaged, is as good as none.
//!
//! # Security
//!
//! Holds positions, paths and fingerprints, no text. It decides what is not read again, so it is as trusted as the
//! program's own files: it belongs to the user, and nobody else may write it.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use gix::ObjectId;
use serde::{Deserialize, Serialize};

use super::facts::Fact;

const MAGIC: &[u8; 16] = b"custody-history\n";
/// Of what is written here; part of the file's name, too.
const VERSION: u32 = 2;
/// Larger files are not worth it.
const MOST: u64 = 256 << 20;
/// Files that no scan has used for so long are removed.
const KEEP: std::time::Duration = std::time::Duration::from_secs(60 * 60 * 24 * 60);

/// What is known of a repository.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct State {
    pub(super) packs: Vec<PackId>,
    /// Ids of loose objects, one after the other, in order.
    pub(super) loose: Vec<u8>,
    pub(super) read: u64,
    pub(super) bytes: u64,
    pub(super) opaque: u64,
    /// Ids that something refers to and that were not there.
    pub(super) missing: Vec<u8>,
    pub(super) submodules: Vec<String>,
    pub(super) facts: Vec<Fact>,
}

/// Tells a pack from any other.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct PackId {
    pub(super) name: String,
    pub(super) length: u64,
    /// The checksum at its end.
    pub(super) trailer: Vec<u8>,
}

/// The place of a repository's state.
pub(super) struct Cache {
    file: PathBuf,
}

/// Of what a state's file holds.
pub(super) type Checksum = [u8; 32];

impl Cache {
    /// The place in `directory` for the objects at `objects`, searched for by rules of this digest.
    pub(super) fn new(directory: &Path, objects: &Path, rules: &str) -> Option<Cache> {
        let objects = objects.canonicalize().ok()?;
        let mut hasher = blake3::Hasher::new();
        hasher.update(&VERSION.to_le_bytes());
        hasher.update(env!("CARGO_PKG_VERSION").as_bytes());
        hasher.update(rules.as_bytes());
        hasher.update(objects.as_os_str().as_encoded_bytes());
        Some(Cache { file: directory.join(format!("history-{}", hasher.finalize().to_hex())) })
    }

    /// What is known, and the checksum of its file.
    pub(super) fn load(&self) -> Option<(State, Checksum)> {
        if fs::metadata(&self.file).ok()?.len() > MOST {
            return None;
        }
        let bytes = fs::read(&self.file).ok()?;
        let (checksum, body) = bytes.strip_prefix(MAGIC)?.split_at_checked(32)?;
        if *blake3::hash(body).as_bytes() != *checksum {
            return None;
        }
        Some((postcard::from_bytes(body).ok()?, checksum.try_into().ok()?))
    }

    /// Writes what is known, in one step: another process sees the old state or the new one. That it cannot be written is
    /// no error: the next scan costs more, and that is all. Gives the file's checksum.
    pub(super) fn store(&self, state: &State) -> Option<Checksum> {
        let body = postcard::to_stdvec(state).ok().filter(|body| (body.len() as u64) < MOST)?;
        let checksum = *blake3::hash(&body).as_bytes();
        write_atomically(&self.file, &[MAGIC, &checksum, &body])?;
        prune(self.file.parent()?);
        Some(checksum)
    }

    /// Where something is kept that goes with the state.
    pub(super) fn beside(&self, extension: &str) -> PathBuf {
        self.file.with_extension(extension)
    }
}

/// Writes a file of these parts in one step, in a directory that is the user's alone.
pub(super) fn write_atomically(file: &Path, parts: &[&[u8]]) -> Option<()> {
    let directory = file.parent()?;
    create(directory).ok()?;
    let mut temporary = tempfile::Builder::new().prefix(".history-").tempfile_in(directory).ok()?;
    parts.iter().try_for_each(|part| temporary.write_all(part)).ok()?;
    temporary.persist(file).ok()?;
    Some(())
}

/// Makes a directory that is the user's alone.
fn create(directory: &Path) -> std::io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(directory)
}

/// Removes what has not been written for long.
fn prune(directory: &Path) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let old = entry.metadata().and_then(|metadata| metadata.modified()).ok().and_then(|at| at.elapsed().ok());
        let ours = entry.file_name().to_str().is_some_and(|name| name.trim_start_matches('.').starts_with("history-"));
        if ours && old.is_some_and(|age| age > KEEP) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// Ids that stand one after the other.
pub(super) fn ids(bytes: &[u8], kind: gix::hash::Kind) -> impl Iterator<Item = ObjectId> {
    bytes.chunks_exact(kind.len_in_bytes()).filter_map(|id| ObjectId::try_from(id).ok())
}
