//! Whether objects are what their names say: an object's id is the digest of its content, and an object that was altered
//! where it is stored can be sound in every other way.

use std::io::{self, Read};

use gix::objs::Kind;
use gix::oid;

/// What is wrong with an object that does not have the digest that it is named by.
pub(super) const ALTERED: &str = "its content is not what its id says";

/// Whether an object of that kind and content has this id.
pub(super) fn is_genuine(id: &oid, kind: Kind, data: &[u8]) -> bool {
    gix::objs::compute_hash(id.kind(), kind, data).is_ok_and(|found| *found == *id)
}

/// Takes the digest of a file's content while it is read.
pub(super) struct Hashing<R> {
    inner: R,
    hasher: gix::hash::Hasher,
}

impl<R: Read> Hashing<R> {
    pub(super) fn new(inner: R, id: &oid, size: u64) -> Self {
        let mut hasher = gix::hash::hasher(id.kind());
        hasher.update(&gix::objs::encode::loose_header(Kind::Blob, size));
        Hashing { inner, hasher }
    }

    /// Whether what was read has this id.
    pub(super) fn is_genuine(self, id: &oid) -> bool {
        self.hasher.try_finalize().is_ok_and(|found| *found == *id)
    }
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(out)?;
        self.hasher.update(&out[..count]);
        Ok(count)
    }
}
