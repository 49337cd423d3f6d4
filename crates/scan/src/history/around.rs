//! What a repository holds besides objects: refs, reflogs, configuration, hooks, messages being written.

use std::fs;
use std::path::{Path, PathBuf};

use bstr::ByteSlice as _;
use custody_contract::{Coverage, SkipReason, Surface};
use gix::ObjectId;

use super::state::CleanFile;
use crate::source::{Target, Worker, escape, scan_file, scan_reader, unreadable};

const SURFACE: Surface = Surface::History;

/// Files of this size and more are remembered if nothing was found in them.
const LARGE: u64 = 16 << 10;

/// Larger ones are not held in memory to find out whether they are known.
const MOST: u64 = 32 << 20;

/// What there is around the objects.
pub(super) struct Found {
    pub(super) account: Coverage,
    /// Ids that refs name and that are not there.
    pub(super) lacking: Vec<ObjectId>,
    /// Large files in which nothing was found.
    pub(super) files: Vec<CleanFile>,
}

/// Searches all files around the objects, in each of `directories` (the repository's own and, in a linked working tree,
/// the shared one), but those `known` to be clean with the content that they have.
pub(super) fn scan(
    worker: &mut Worker<'_>,
    directories: &[PathBuf],
    known: &[CleanFile],
    lacks: &dyn Fn(&ObjectId) -> bool,
) -> Found {
    let found = Found { account: Coverage::new(SURFACE, "repository files"), lacking: Vec::new(), files: Vec::new() };
    let mut around = Around { worker, known, lacks, found, root: Path::new("") };
    for directory in directories {
        around.root = directory;
        around.directory(directory);
    }
    around.found.files.sort();
    around.found
}

struct Around<'a, 'e> {
    worker: &'a mut Worker<'e>,
    known: &'a [CleanFile],
    lacks: &'a dyn Fn(&ObjectId) -> bool,
    found: Found,
    root: &'a Path,
}

impl Around<'_, '_> {
    fn directory(&mut self, top: &Path) {
        let mut open = vec![top.to_owned()];
        while let Some(directory) = open.pop() {
            let entries = match fs::read_dir(&directory) {
                Ok(entries) => entries,
                Err(error) => {
                    self.found.account.record_skipped(self.shown(&directory), unreadable(&error));
                    continue;
                }
            };
            for entry in entries.flatten() {
                let path = entry.path();
                if self.is_left_out(&path) {
                    continue;
                }
                match entry.file_type() {
                    Ok(kind) if kind.is_dir() => open.push(path),
                    _ => self.file(&path),
                }
            }
        }
    }

    /// Objects are read as such; the index holds names and ids, as trees do; a module is another repository; sample hooks
    /// are git's own.
    fn is_left_out(&mut self, path: &Path) -> bool {
        let relative = path.strip_prefix(self.root).unwrap_or(path);
        let parts: Vec<_> = relative.iter().map(|part| part.as_encoded_bytes()).collect();
        let is_index = |name: &[u8]| name == b"index" || name.starts_with(b"sharedindex.");
        match parts[..] {
            [b"modules"] => {
                self.found.account.record_skipped(".git/modules", SkipReason::Submodule);
                true
            }
            [b"objects"] => true,
            [name] | [b"worktrees", _, name] => is_index(name),
            [b"hooks", name] => name.ends_with(b".sample"),
            _ => false,
        }
    }

    fn file(&mut self, path: &Path) {
        let relative = path.strip_prefix(self.root).unwrap_or(path).as_os_str().as_encoded_bytes();
        let name = format!(".git/{}", self.worker.name(relative, SURFACE));
        if relative.starts_with(b"reftable/") && !relative.ends_with(b"tables.list") {
            let format = "reftable".to_owned();
            return self.found.account.record_skipped(name, SkipReason::UnsupportedFormat { format });
        }
        let is_ref = relative.starts_with(b"refs/") || relative == b"packed-refs" || relative.ends_with(b"HEAD");
        let large = fs::symlink_metadata(path).is_ok_and(|it| it.is_file() && (LARGE..=MOST).contains(&it.len()));
        if large && let Ok(content) = fs::read(path) {
            return self.large(&content, name, is_ref);
        }
        if is_ref && let Ok(content) = fs::read(path) {
            self.lacking(&content);
        }
        scan_file(self.worker, path, &name, &mut self.found.account);
    }

    fn lacking(&mut self, content: &[u8]) {
        let lacks = self.lacks;
        self.found.lacking.extend(targets(content).filter(lacks));
    }

    /// A file whose content is at hand: searched, unless it is known.
    fn large(&mut self, content: &[u8], name: String, is_ref: bool) {
        let digest = *blake3::hash(content).as_bytes();
        let (bytes, lacks) = (content.len() as u64, self.lacks);
        let known = self.known.iter().find(|known| known.content == digest && known.name == name);
        if let Some(known) = known {
            self.found.account.record_read(bytes);
            // What it names and was there still is.
            self.found.lacking.extend(known.lacking.iter().filter(|id| lacks(id)));
            self.found.files.push(known.clone());
            return;
        }
        let lacking: Vec<ObjectId> = if is_ref { targets(content).filter(lacks).collect() } else { Vec::new() };
        let mut hits = Vec::new();
        let target = Target { path: Some(&name), surface: SURFACE };
        let (scanned, _) = scan_reader(self.worker, content, target, &mut |hit| hits.push(hit));
        self.found.account.opaque += u64::from(scanned.format.is_some());
        self.found.account.record_read(scanned.bytes);
        self.found.lacking.extend(&lacking);
        if hits.is_empty() && scanned.format.is_none() {
            self.found.files.push(CleanFile { name: name.clone(), content: digest, lacking });
        }
        hits.into_iter().for_each(|hit| self.worker.add(hit, SURFACE, &name));
    }

    fn shown(&self, path: &Path) -> String {
        let relative = path.strip_prefix(self.root).unwrap_or(path);
        format!(".git/{}", escape(relative.as_os_str().as_encoded_bytes()))
    }
}

/// The ids that begin the lines of a ref or of `packed-refs`.
fn targets(content: &[u8]) -> impl Iterator<Item = ObjectId> {
    content.lines().filter_map(|line| {
        let hex = line.split(|byte| byte.is_ascii_whitespace()).next()?;
        ObjectId::from_hex(hex.trim_start_with(|c| c == '^')).ok()
    })
}
