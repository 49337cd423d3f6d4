//! Reading objects by id: from the repository, and from where a push that is not yet accepted keeps them.

use std::path::{Path, PathBuf};

use custody_contract::SkipReason;
use gix::ObjectId;
use gix::objs::{Exists as _, Find as _, Kind};
use gix::odb::Header as _;

/// Objects larger than this are not read.
const MAX_BYTES: u64 = 512 << 20;

/// Memory for trees and commits that are read again and again, in bytes.
const CACHE: usize = 16 << 20;

/// One thread's access to objects. Replacements (`git replace`) are not followed: what is pushed is the original.
pub(super) struct Objects {
    own: gix::OdbHandle,
    others: Vec<gix::odb::Handle>,
    kind: gix::hash::Kind,
}

/// Why an object was not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unread {
    Missing,
    Corrupt(&'static str),
    TooLarge,
}

impl Unread {
    pub(super) fn reason(self) -> SkipReason {
        match self {
            Unread::Missing => SkipReason::Missing,
            Unread::Corrupt(error) => SkipReason::Corrupt { error: error.to_owned() },
            Unread::TooLarge => SkipReason::TooLarge { limit: MAX_BYTES },
        }
    }
}

impl Objects {
    /// The objects of `repository` and of further object `directories`; those that are not there hold nothing.
    pub(super) fn open(repository: &gix::Repository, directories: &[PathBuf]) -> Self {
        let mut repository = repository.clone();
        repository.object_cache_size_if_unset(CACHE);
        repository.objects.ignore_replacements = true;
        let kind = repository.object_hash();
        // git lists the repository's own directory as well.
        let same = |directory: &PathBuf| {
            let real = |path: &Path| path.canonicalize().ok();
            real(directory).is_some_and(|path| real(repository.objects.store_ref().path()) == Some(path))
        };
        let others = directories.iter().filter(|directory| !same(directory)).filter_map(|directory| {
            let mut store = gix::odb::at(directory, kind).ok()?;
            // A push does not grow while its hook runs.
            store.refresh_never();
            Some(store)
        });
        let others = others.collect();
        Objects { own: repository.objects, others, kind }
    }

    pub(super) fn hash(&self) -> gix::hash::Kind {
        self.kind
    }

    pub(super) fn has(&self, id: ObjectId) -> bool {
        id.is_empty_tree() || self.others.iter().any(|store| store.exists(&id)) || self.own.exists(&id)
    }

    /// Decodes an object into `buffer`.
    pub(super) fn read<'b>(&self, id: ObjectId, buffer: &'b mut Vec<u8>) -> Result<(Kind, &'b [u8]), Unread> {
        if id.is_empty_tree() {
            return Ok((Kind::Tree, &[]));
        }
        let other = self.others.iter().find(|store| store.exists(&id));
        let header = match other {
            Some(store) => store.try_header(&id),
            None => self.own.try_header(&id),
        };
        match header {
            Ok(Some(header)) if header.size() > MAX_BYTES => return Err(Unread::TooLarge),
            Ok(Some(_)) => {}
            Ok(None) => return Err(Unread::Missing),
            Err(_) => return Err(Unread::Corrupt(UNDECODABLE)),
        }
        let found = match other {
            Some(store) => store.try_find(&id, buffer),
            None => self.own.try_find(&id, buffer),
        };
        match found {
            Ok(Some(object)) => Ok((object.kind, object.data)),
            Ok(None) => Err(Unread::Missing),
            Err(_) => Err(Unread::Corrupt(UNDECODABLE)),
        }
    }

    /// Decodes an object of a kind that another object says it is.
    pub(super) fn read_as<'b>(&self, id: ObjectId, kind: Kind, buffer: &'b mut Vec<u8>) -> Result<&'b [u8], Unread> {
        match self.read(id, buffer)? {
            (found, data) if found == kind => Ok(data),
            _ => Err(Unread::Corrupt("it is of another kind than what refers to it says")),
        }
    }
}

const UNDECODABLE: &str = "the object cannot be decoded";

/// Object directories that git sets up for its hooks: a push that is not yet accepted lies in one of its own.
pub(super) fn quarantine() -> Vec<PathBuf> {
    let own = std::env::var_os("GIT_OBJECT_DIRECTORY").filter(|value| !value.is_empty()).map(PathBuf::from);
    let others = std::env::var_os("GIT_ALTERNATE_OBJECT_DIRECTORIES").unwrap_or_default();
    let mut directories: Vec<PathBuf> = own.into_iter().collect();
    directories.extend(alternates(others.as_encoded_bytes()).into_iter().filter_map(|path| {
        let path = gix::path::from_byte_slice(&path).ok()?.to_owned();
        (!path.as_os_str().is_empty()).then_some(path)
    }));
    directories
}

/// The paths of a list as git writes it: separated as in `PATH`, and in C's quotes where they hold a separator.
fn alternates(list: &[u8]) -> Vec<Vec<u8>> {
    let separator = if cfg!(windows) { b';' } else { b':' };
    let mut paths = Vec::new();
    let mut rest = list;
    while !rest.is_empty() {
        if rest[0] == b'"'
            && let Ok((path, length)) = gix::quote::ansi_c::undo(rest.into())
        {
            paths.push(path.to_vec());
            rest = rest[length..].strip_prefix(&[separator]).unwrap_or(&rest[length..]);
            continue;
        }
        let end = memchr::memchr(separator, rest).unwrap_or(rest.len());
        paths.push(rest[..end].to_vec());
        rest = rest.get(end + 1..).unwrap_or_default();
    }
    paths.retain(|path| !path.is_empty());
    paths
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn lists_of_object_directories_are_taken_apart() {
        let list = |text: &str| alternates(text.as_bytes());
        assert_eq!(list("/a:/b c"), [b"/a".to_vec(), b"/b c".to_vec()]);
        assert_eq!(list("\"/a:b\\n\":/c"), [b"/a:b\n".to_vec(), b"/c".to_vec()]);
        assert!(list("").is_empty());
        assert_eq!(list("::/c:"), [b"/c".to_vec()]);
        assert_eq!(list("\"unended").len(), 1);
    }

    proptest::proptest! {
        #[test]
        fn any_list_has_a_reading(list in proptest::collection::vec(proptest::sample::select(b"\"\\:an/0".to_vec()), 0..40)) {
            alternates(&list);
        }
    }
}
