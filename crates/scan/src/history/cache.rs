//! What a scan leaves behind for the next one of the same repository, so that it costs only what is new.
//!
//! Per repository and set of rules one file in the user's cache directory: the [`State`]. Beside it, in a file of its own,
//! the ids of all objects that were read, which is looked at only where packs have been replaced or rules have changed.
//! A file of another version, or one that is damaged, is as good as none.
//!
//! # Security
//!
//! Holds positions, paths and fingerprints, no text. It decides what is not read again, so it is as trusted as the
//! program's own files: it belongs to the user, and nobody else may write it.

use std::fs;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use gix::ObjectId;

use super::packed;
use super::state::{Kept, State};
use crate::rules::ENGINE_VERSION;

const MAGIC: &[u8; 16] = b"custody-history\n";
const IDS_MAGIC: &[u8; 16] = b"custody-objects\n";
/// Of what is written here; part of the files' names, too.
const VERSION: u32 = 3;
/// Larger files are not worth it.
const MOST: u64 = 256 << 20;
/// Files that no scan has written for so long are removed.
const KEEP: Duration = Duration::from_secs(60 * 60 * 24 * 60);
/// How many sets of rules are remembered of one repository.
const MAX_STATES: usize = 4;
/// Unfinished or unused files of another process are left alone for so long.
const GRACE: Duration = Duration::from_secs(60 * 60);

/// Name of a list of ids: the digest of what it holds.
pub(super) type IdsName = [u8; 32];

/// The place of what is known of one repository.
pub(super) struct Cache {
    directory: PathBuf,
    /// What the names of its files begin with.
    prefix: String,
    rules: String,
    kind: gix::hash::Kind,
}

/// Of what a state's file holds.
pub(super) type Checksum = [u8; 32];

impl Cache {
    /// The place in `directory` for the objects at `objects`, searched for by rules of this digest.
    pub(super) fn new(directory: &Path, objects: &Path, kind: gix::hash::Kind, rules: &str) -> Option<Cache> {
        let objects = objects.canonicalize().ok()?;
        let mut hasher = blake3::Hasher::new();
        hasher.update(&VERSION.to_le_bytes());
        hasher.update(env!("CARGO_PKG_VERSION").as_bytes());
        hasher.update(&ENGINE_VERSION.to_le_bytes());
        hasher.update(objects.as_os_str().as_encoded_bytes());
        let prefix = format!("history-{}-", &hasher.finalize().to_hex()[..32]);
        Some(Cache { directory: directory.to_owned(), prefix, rules: rules.to_owned(), kind })
    }

    /// Whether both are of the same repository.
    pub(super) fn is(&self, other: &Cache) -> bool {
        self.prefix == other.prefix
    }

    /// What is known by the same rules.
    pub(super) fn load(&self) -> Option<(State, Option<IdsName>)> {
        self.read(&self.file())
    }

    /// What is known by other rules, the latest first.
    pub(super) fn others(&self) -> impl Iterator<Item = (State, Option<IdsName>)> {
        let mut files = self.files(".state");
        files.retain(|(path, _)| *path != self.file());
        files.sort_by_key(|(_, modified)| std::cmp::Reverse(*modified));
        files.into_iter().filter_map(|(path, _)| self.read(&path))
    }

    /// The list of that name.
    pub(super) fn ids(&self, name: &IdsName) -> Option<Vec<u8>> {
        let mut bytes = bounded(&self.ids_file(name))?;
        (bytes.starts_with(IDS_MAGIC) && blake3::hash(&bytes[IDS_MAGIC.len()..]).as_bytes() == name).then(|| {
            bytes.drain(..IDS_MAGIC.len());
            bytes
        })
    }

    /// Keeps a list of ids and gives it a name.
    pub(super) fn store_ids(&self, list: &[u8]) -> Option<IdsName> {
        self.write_ids(|sink| sink(list))
    }

    /// The same for a list that is given piece by piece.
    pub(super) fn write_ids(&self, list: impl FnOnce(&mut dyn FnMut(&[u8]))) -> Option<IdsName> {
        let mut temporary = self.temporary()?;
        let mut hasher = blake3::Hasher::new();
        let mut written = temporary.write_all(IDS_MAGIC);
        let mut length = 0;
        list(&mut |piece| {
            hasher.update(piece);
            length += piece.len() as u64;
            if written.is_ok() && length < MOST {
                written = temporary.write_all(piece);
            }
        });
        let name = *hasher.finalize().as_bytes();
        written.ok().filter(|()| length < MOST)?;
        temporary.persist(self.ids_file(&name)).ok()?;
        Some(name)
    }

    /// Writes what is known, in one step: another process sees the old state or the new one. That it cannot be written is
    /// no error: the next scan costs more, and that is all. `recent` stands for the state's own. Gives the file's checksum.
    pub(super) fn store(&self, state: &State, recent: &[u8], ids: Option<IdsName>) -> Option<Checksum> {
        let body = packed::to_bytes(state, recent, self.kind).filter(|body| (body.len() as u64) < MOST)?;
        let ids = ids.unwrap_or_default();
        let mut hasher = blake3::Hasher::new();
        hasher.update(&ids);
        hasher.update(&body);
        let checksum = *hasher.finalize().as_bytes();
        write_atomically(&self.file(), &[MAGIC, &ids, &checksum, &body])?;
        self.prune();
        Some(checksum)
    }

    /// Where something is kept that goes with the state.
    pub(super) fn beside(&self, extension: &str) -> PathBuf {
        self.file().with_extension(extension)
    }

    fn file(&self) -> PathBuf {
        self.directory.join(format!("{}{}.state", self.prefix, self.rules))
    }

    fn ids_file(&self, name: &IdsName) -> PathBuf {
        let name = blake3::Hash::from_bytes(*name).to_hex();
        self.directory.join(format!("{}{}.ids", self.prefix, &name[..32]))
    }

    fn read(&self, path: &Path) -> Option<(State, Option<IdsName>)> {
        let bytes = bounded(path)?;
        let rest = bytes.strip_prefix(MAGIC)?;
        let (ids, rest) = rest.split_first_chunk::<32>()?;
        let (checksum, body) = rest.split_first_chunk::<32>()?;
        let mut hasher = blake3::Hasher::new();
        hasher.update(ids);
        hasher.update(body);
        if hasher.finalize().as_bytes() != checksum {
            return None;
        }
        let mut state = packed::from_bytes(body, self.kind)?;
        state.kept = Some(Kept { file: path.to_owned(), checksum: *checksum });
        Some((state, Some(*ids).filter(|ids| *ids != IdsName::default())))
    }

    /// A file in the making; what is written before it has its name is seen by nobody.
    fn temporary(&self) -> Option<tempfile::NamedTempFile> {
        create(&self.directory).ok()?;
        tempfile::Builder::new().prefix(".history-").tempfile_in(&self.directory).ok()
    }

    /// The repository's files that end so, with the time when they were written.
    fn files(&self, end: &str) -> Vec<(PathBuf, SystemTime)> {
        let entries = fs::read_dir(&self.directory).into_iter().flatten().flatten();
        let ours = entries.filter(|entry| {
            entry.file_name().to_str().is_some_and(|name| name.starts_with(&self.prefix) && name.ends_with(end))
        });
        ours.filter_map(|entry| Some((entry.path(), entry.metadata().ok()?.modified().ok()?))).collect()
    }

    /// Removes what has not been written for long, and lists of ids that nothing refers to.
    fn prune(&self) {
        let mut states = self.files(".state");
        states.sort_by_key(|(_, modified)| std::cmp::Reverse(*modified));
        for (path, _) in states.drain(MAX_STATES.min(states.len())..) {
            for extension in ["state", "reach", "commits"] {
                let _ = fs::remove_file(path.with_extension(extension));
            }
        }
        let used: Vec<PathBuf> =
            states.iter().filter_map(|(path, _)| ids_of(path)).map(|name| self.ids_file(&name)).collect();
        let is_old = |modified: SystemTime, age: Duration| modified.elapsed().is_ok_and(|elapsed| elapsed > age);
        for (path, modified) in self.files(".ids") {
            // One that is just being written will be referred to in a moment.
            if !used.contains(&path) && is_old(modified, GRACE) {
                let _ = fs::remove_file(path);
            }
        }
        for entry in fs::read_dir(&self.directory).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let name = name.to_str().unwrap_or_default();
            let age = if name.starts_with(".history-") { GRACE } else { KEEP };
            let modified = entry.metadata().and_then(|metadata| metadata.modified());
            if name.trim_start_matches('.').starts_with("history-") && modified.is_ok_and(|at| is_old(at, age)) {
                let _ = fs::remove_file(entry.path());
            }
        }
    }
}

/// The list of ids that a state refers to.
fn ids_of(path: &Path) -> Option<IdsName> {
    let mut head = [0; MAGIC.len() + 32];
    fs::File::open(path).ok()?.read_exact(&mut head).ok()?;
    head.strip_prefix(MAGIC)?.try_into().ok()
}

/// A file's content, unless it is larger than any that is written here.
fn bounded(path: &Path) -> Option<Vec<u8>> {
    let file = fs::File::open(path).ok()?;
    let length = file.metadata().ok().filter(|metadata| metadata.is_file() && metadata.len() <= MOST)?.len();
    let mut bytes = Vec::with_capacity(usize::try_from(length).ok()?);
    file.take(MOST).read_to_end(&mut bytes).ok()?;
    Some(bytes)
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

/// Ids that stand one after the other.
pub(super) fn ids(bytes: &[u8], kind: gix::hash::Kind) -> impl Iterator<Item = ObjectId> {
    bytes.chunks_exact(kind.len_in_bytes()).filter_map(|id| ObjectId::try_from(id).ok())
}
