//! What leads into a history: refs, what working trees have checked out, and where to look for logs and staged files.

use std::fs;
use std::path::{Path, PathBuf};

use bstr::ByteSlice as _;
use custody_contract::ReachedFrom;
use gix::ObjectId;

use super::super::tables::Set;

/// Larger files are not read.
const MAX_BYTES: u64 = 1 << 30;

/// The refs of a repository as they are stored, and a digest of all that reachability depends on besides objects.
pub(in crate::history) struct Refs {
    pub(super) digest: [u8; 32],
    packed_digest: [u8; 32],
    packed: Vec<u8>,
    /// Refs in files of their own, and heads, by name.
    loose: Vec<(Vec<u8>, Vec<u8>)>,
    shallow: Vec<u8>,
    /// Reflogs, by the name of their ref.
    pub(super) logs: Vec<(Vec<u8>, PathBuf)>,
    pub(super) indexes: Vec<PathBuf>,
    /// Whether refs are kept in a way that is not read here.
    pub(super) is_foreign: bool,
}

/// A ref that names an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ref<'r> {
    /// The whole name, such as `refs/heads/main`.
    pub(super) name: &'r [u8],
    pub(super) target: Target,
    pub(super) from: ReachedFrom,
    /// Among those from which something is reached in the same way.
    order: u8,
}

/// What a ref names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Target {
    Object(ObjectId),
    /// What a tag leads to, where that is known.
    Tag(ObjectId, ObjectId),
    /// What the line of this number of the packed refs does.
    Known(usize),
}

impl Refs {
    /// Reads them in the directories of a repository.
    pub(in crate::history) fn read(directories: &[PathBuf]) -> Refs {
        let mut refs = Refs {
            digest: [0; 32],
            packed_digest: [0; 32],
            packed: Vec::new(),
            loose: Vec::new(),
            shallow: Vec::new(),
            logs: Vec::new(),
            indexes: Vec::new(),
            is_foreign: false,
        };
        let mut hasher = blake3::Hasher::new();
        for (at, directory) in directories.iter().enumerate() {
            refs.is_foreign |= directory.join("reftable").is_dir();
            if at == 0 {
                refs.packed = content(&directory.join("packed-refs")).unwrap_or_default();
                refs.shallow = content(&directory.join("shallow")).unwrap_or_default();
            }
            refs.tree(directory, b"");
            let linked = fs::read_dir(directory.join("worktrees")).into_iter().flatten().flatten();
            let mut linked: Vec<PathBuf> = linked.map(|entry| entry.path()).collect();
            linked.sort();
            for path in linked {
                let name = path.file_name().unwrap_or_default().as_encoded_bytes();
                refs.tree(&path, &[b"worktrees/", name, b"/"].concat());
            }
        }
        refs.loose.sort();
        refs.loose.dedup();
        refs.packed_digest = *blake3::hash(&refs.packed).as_bytes();
        refs.digest_into(&mut hasher);
        refs.digest = *hasher.finalize().as_bytes();
        refs
    }

    /// Reads what one working tree has, the main one or a linked one.
    fn tree(&mut self, directory: &Path, prefix: &[u8]) {
        if let Some(head) = content(&directory.join("HEAD")) {
            self.loose.push(([prefix, b"HEAD"].concat(), head));
        }
        let mut found = Vec::new();
        files(&directory.join("refs"), &[prefix, b"refs"].concat(), &mut found);
        self.loose.extend(found.into_iter().filter_map(|(name, path)| Some((name, content(&path)?))));
        files(&directory.join("logs"), prefix.strip_suffix(b"/").unwrap_or(prefix), &mut self.logs);
        self.indexes.push(directory.join("index"));
    }

    fn digest_into(&self, hasher: &mut blake3::Hasher) {
        let mut add = |bytes: &[u8]| {
            hasher.update(&(bytes.len() as u64).to_le_bytes());
            hasher.update(bytes);
        };
        add(&self.packed_digest);
        add(&self.shallow);
        for (name, content) in &self.loose {
            add(name);
            add(content);
        }
        // What these hold matters to little of what is found: that they were written is enough to look again.
        for path in self.logs.iter().map(|(_, path)| path).chain(&self.indexes) {
            let Ok(metadata) = fs::metadata(path) else { continue };
            let modified = metadata.modified().ok().and_then(|at| at.duration_since(std::time::UNIX_EPOCH).ok());
            add(path.as_os_str().as_encoded_bytes());
            add(&metadata.len().to_le_bytes());
            add(&modified.map_or(0, |at| at.as_nanos()).to_le_bytes());
        }
    }

    /// The refs, those that make most public first: of a branch, what is checked out first.
    pub(super) fn list(&self) -> Vec<Ref<'_>> {
        let current = self.loose.iter().find(|(name, _)| name == b"HEAD");
        let current = current.and_then(|(_, content)| content.strip_prefix(b"ref:")).map(<[u8]>::trim);
        let mut list: Vec<Ref<'_>> = Vec::new();
        let mut own: Set<&[u8]> = Set::default();
        for (name, content) in &self.loose {
            own.insert(name);
            if let Some(target) = id(content) {
                list.extend(Ref::new(name, Target::Object(target), current));
            }
        }
        for (number, line) in self.packed.lines().enumerate() {
            let Some((_, name)) = entry(line).filter(|(_, name)| !own.contains(name)) else { continue };
            list.extend(Ref::new(name, Target::Known(number), current));
        }
        list.sort_by(|one, other| (one.from, one.order, one.name).cmp(&(other.from, other.order, other.name)));
        list
    }

    /// What packed refs name, by the number of the line.
    pub(super) fn packed_targets(&self) -> impl Iterator<Item = (usize, Target)> {
        let mut lines = self.packed.lines().enumerate().peekable();
        std::iter::from_fn(move || {
            loop {
                let (number, line) = lines.next()?;
                let Some(target) = entry(line).and_then(|(hex, _)| id(hex)) else { continue };
                let peeled = lines.next_if(|(_, line)| line.first() == Some(&b'^'));
                let peeled = peeled.and_then(|(_, line)| id(&line[1..]));
                return Some((number, peeled.map_or(Target::Object(target), |peeled| Target::Tag(target, peeled))));
            }
        })
    }

    /// How many lines the packed refs are.
    pub(super) fn packed_lines(&self) -> usize {
        self.packed.lines().count()
    }

    /// A digest of the packed refs.
    pub(super) fn packed_digest(&self) -> [u8; 32] {
        self.packed_digest
    }

    /// The name of the ref in a line, from 1, of the packed refs.
    pub(super) fn packed_name(&self, line: u32) -> Option<&[u8]> {
        let line = self.packed.lines().nth(usize::try_from(line).ok()?.checked_sub(1)?)?;
        line.split_once_str(b" ").map(|(_, name)| name)
    }

    /// Whether all that is missing is so because a clone is shallow: then whatever leads to what is there is there.
    pub(in crate::history) fn explains(
        &self,
        missing: impl Iterator<Item = ObjectId>,
        repository: &gix::Repository,
    ) -> bool {
        let mut missing = missing.peekable();
        if missing.peek().is_none() {
            return true;
        }
        let commits = self.shallow().filter_map(|id| repository.find_commit(id).ok());
        let cut: Set<ObjectId> =
            commits.flat_map(|commit| commit.parent_ids().map(gix::Id::detach).collect::<Vec<_>>()).collect();
        missing.all(|id| cut.contains(&id))
    }

    /// Commits behind which nothing is reached.
    pub(super) fn shallow(&self) -> impl Iterator<Item = ObjectId> {
        self.shallow.lines().filter_map(id)
    }
}

impl<'r> Ref<'r> {
    fn new(name: &'r [u8], target: Target, current: Option<&[u8]>) -> Option<Ref<'r>> {
        let (from, order) = match name {
            _ if current == Some(name) => (ReachedFrom::BranchTip, 0),
            b"HEAD" => (ReachedFrom::BranchTip, 2),
            _ if name.starts_with(b"worktrees/") && name.ends_with(b"/HEAD") => (ReachedFrom::BranchTip, 2),
            _ => kind(name)?,
        };
        Some(Ref { name, target, from, order })
    }
}

/// What being reached from a ref means.
pub(super) fn kind(name: &[u8]) -> Option<(ReachedFrom, u8)> {
    let Some(below) = name.strip_prefix(b"refs/") else {
        return name.starts_with(b"worktrees/").then_some((ReachedFrom::OtherRef, 0));
    };
    Some(match below {
        [b'p' | b'm' | b'c', ..] if is_request(below) => (ReachedFrom::PullRequest, 0),
        [b'h', ..] if below.starts_with(b"heads/") => (ReachedFrom::BranchTip, 1),
        [b'r', ..] if below.starts_with(b"remotes/") => (ReachedFrom::BranchTip, 3),
        [b't', ..] if below.starts_with(b"tags/") => (ReachedFrom::Tag, 0),
        b"stash" => (ReachedFrom::Stash, 0),
        _ => (ReachedFrom::OtherRef, 0),
    })
}

/// Whether the name, from behind `refs/`, is one that a server gives to a request to merge.
fn is_request(below: &[u8]) -> bool {
    let requests: [&[u8]; 4] = [b"pull/", b"merge-requests/", b"pull-requests/", b"changes/"];
    requests.iter().any(|request| below.starts_with(request))
}

/// A ref's name as git prints it.
pub(super) fn short(name: &[u8]) -> &[u8] {
    let Some(below) = name.strip_prefix(b"refs/") else { return name };
    let kinds: [&[u8]; 3] = [b"heads/", b"remotes/", b"tags/"];
    let known = match is_request(below) {
        true => Some(below),
        false => kinds.iter().find_map(|kind| below.strip_prefix(*kind)),
    };
    known.unwrap_or(name)
}

/// The id and the name in a line of the packed refs.
fn entry(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = memchr::memchr(b' ', line).filter(|_| line[0] != b'#' && line[0] != b'^')?;
    Some((&line[..at], &line[at + 1..]))
}

/// The ids of a reflog, the newest entry first: what the ref was set to, and what it was before, if anything.
pub(super) fn log_entries(content: &[u8]) -> Vec<(Option<ObjectId>, Option<ObjectId>)> {
    let entry = |line: &[u8]| {
        let mut words = line.splitn(3, |&byte| byte == b' ').map(id);
        let before = words.next().flatten();
        (words.next().flatten(), before)
    };
    content.lines().rev().map(entry).collect()
}

fn id(text: &[u8]) -> Option<ObjectId> {
    let hex = text.split(|byte| byte.is_ascii_whitespace()).next()?;
    ObjectId::from_hex(hex).ok().filter(|id| !id.is_null())
}

/// What a file holds; none if it is no regular file, or larger than any that git writes there.
pub(super) fn content(path: &Path) -> Option<Vec<u8>> {
    let metadata = fs::metadata(path).ok()?;
    (metadata.is_file() && metadata.len() <= MAX_BYTES).then(|| fs::read(path).ok()).flatten()
}

/// All files below a directory, by their name from `name` on, in order.
fn files(directory: &Path, name: &[u8], out: &mut Vec<(Vec<u8>, PathBuf)>) {
    let mut open = vec![(name.to_vec(), directory.to_owned())];
    let first = out.len();
    while let Some((name, directory)) = open.pop() {
        for entry in fs::read_dir(&directory).into_iter().flatten().flatten() {
            let separator: &[u8] = if name.is_empty() { b"" } else { b"/" };
            let below = [&name[..], separator, entry.file_name().as_encoded_bytes()].concat();
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => open.push((below, entry.path())),
                _ if below.ends_with(b".lock") => {}
                _ => out.push((below, entry.path())),
            }
        }
    }
    out[first..].sort();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refs_are_in_order_of_what_they_make_public() {
        let hex = |digit: char| digit.to_string().repeat(40);
        let refs = Refs {
            digest: [0; 32],
            packed_digest: [0; 32],
            packed: format!(
                "# pack-refs with: peeled fully-peeled sorted \n{} refs/heads/a\n{} refs/heads/main\n{} refs/pull/1/head\n{} refs/tags/v1\n^{}\n",
                hex('1'), hex('2'), hex('3'), hex('4'), hex('5')
            )
            .into_bytes(),
            loose: vec![
                (b"HEAD".to_vec(), b"ref: refs/heads/main\n".to_vec()),
                (b"refs/heads/a".to_vec(), hex('6').into_bytes()),
                (b"refs/notes/commits".to_vec(), hex('7').into_bytes()),
                (b"refs/stash".to_vec(), hex('8').into_bytes()),
                (b"worktrees/x/HEAD".to_vec(), hex('9').into_bytes()),
                (b"refs/remotes/origin/HEAD".to_vec(), b"ref: refs/remotes/origin/main\n".to_vec()),
            ],
            shallow: Vec::new(),
            logs: Vec::new(),
            indexes: Vec::new(),
            is_foreign: false,
        };
        let list = refs.list();
        let names: Vec<_> = list.iter().map(|found| short(found.name).to_str_lossy()).collect();
        assert_eq!(names, ["main", "a", "worktrees/x/HEAD", "v1", "pull/1/head", "refs/notes/commits", "refs/stash"]);
        let id = |digit| ObjectId::from_hex(hex(digit).as_bytes()).expect("an id");
        assert_eq!(list[1].target, Target::Object(id('6')));
        let packed: Vec<_> = refs.packed_targets().collect();
        assert_eq!(packed[3], (4, Target::Tag(id('4'), id('5'))));
        assert_eq!(list[3].target, Target::Known(4));
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_refs_and_logs_or_none(content in proptest::collection::vec(proptest::sample::select(b"\n ^a1#r/".to_vec()), 0..200)) {
            let loose = vec![(b"HEAD".to_vec(), content.clone())];
            let refs = Refs { digest: [0; 32], packed_digest: [0; 32], packed: content.clone(), loose, shallow: content.clone(), logs: Vec::new(), indexes: Vec::new(), is_foreign: false };
            refs.list();
            refs.packed_targets().count();
            refs.shallow().count();
            log_entries(&content);
        }
    }
}
