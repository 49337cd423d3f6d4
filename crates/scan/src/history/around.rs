//! What a repository holds besides objects: refs, reflogs, configuration, hooks, messages being written.

use std::fs;
use std::path::{Path, PathBuf};

use bstr::ByteSlice as _;
use custody_contract::{Coverage, SkipReason, Surface};
use gix::ObjectId;

use crate::source::{Worker, escape, scan_file, unreadable};

const SURFACE: Surface = Surface::History;

/// Searches all files around the objects, in each of `directories` (the repository's own and, in a linked working tree,
/// the shared one). Gives the ids that refs name.
pub(super) fn scan(worker: &mut Worker<'_>, directories: &[PathBuf]) -> (Coverage, Vec<ObjectId>) {
    let mut around = Around {
        worker,
        account: Coverage::new(SURFACE, "repository files"),
        targets: Vec::new(),
        root: Path::new(""),
    };
    for directory in directories {
        around.root = directory;
        around.directory(directory);
    }
    (around.account, around.targets)
}

struct Around<'a, 'e> {
    worker: &'a mut Worker<'e>,
    account: Coverage,
    /// What refs point to.
    targets: Vec<ObjectId>,
    root: &'a Path,
}

impl Around<'_, '_> {
    fn directory(&mut self, top: &Path) {
        let mut open = vec![top.to_owned()];
        while let Some(directory) = open.pop() {
            let entries = match fs::read_dir(&directory) {
                Ok(entries) => entries,
                Err(error) => {
                    self.account.record_skipped(self.shown(&directory), unreadable(&error));
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
                self.account.record_skipped(".git/modules", SkipReason::Submodule);
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
            return self.account.record_skipped(name, SkipReason::UnsupportedFormat { format });
        }
        let is_ref = relative.starts_with(b"refs/") || relative == b"packed-refs" || relative.ends_with(b"HEAD");
        if is_ref && let Ok(content) = fs::read(path) {
            self.targets.extend(targets(&content));
        }
        scan_file(self.worker, path, &name, &mut self.account);
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
