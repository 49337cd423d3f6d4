//! The table of all objects, under whatever name and however often a repository has them.

use std::cmp::Ordering;
use std::sync::atomic::{self, AtomicU64};

use gix::{ObjectId, oid};

/// A position in the table.
pub(super) type ObjectIndex = u32;

/// All ids, each once, in order. 20 bytes per object in a SHA-1 repository.
pub(super) struct ObjectTable {
    kind: gix::hash::Kind,
    ids: Vec<u8>,
    /// Where the ids start whose first two bytes are these.
    fan: Vec<u32>,
}

impl ObjectTable {
    /// The table of these ids, which may be in any order, and more than once there.
    ///
    /// # Panics
    ///
    /// If there are 4 billion or more: git's own pack index cannot hold so many.
    pub(super) fn new(kind: gix::hash::Kind, mut all: Vec<ObjectId>) -> Self {
        // Merges what is sorted already, as each pack's ids are.
        all.sort();
        all.dedup();
        assert!(u32::try_from(all.len()).is_ok_and(|count| count < u32::MAX), "fewer than 4 billion objects");
        let mut fan = vec![0u32; (1 << 16) + 1];
        let mut ids = Vec::with_capacity(all.len() * kind.len_in_bytes());
        for id in &all {
            fan[prefix(id.as_bytes()) + 1] += 1;
            ids.extend_from_slice(id.as_bytes());
        }
        for at in 1..fan.len() {
            fan[at] += fan[at - 1];
        }
        ObjectTable { kind, ids, fan }
    }

    pub(super) fn kind(&self) -> gix::hash::Kind {
        self.kind
    }

    pub(super) fn len(&self) -> usize {
        self.ids.len() / self.kind.len_in_bytes()
    }

    pub(super) fn id(&self, index: ObjectIndex) -> &oid {
        oid::from_bytes_unchecked(self.bytes(index as usize))
    }

    fn bytes(&self, at: usize) -> &[u8] {
        let length = self.kind.len_in_bytes();
        &self.ids[at * length..][..length]
    }

    /// The position of the id whose bytes these are, if it is known.
    pub(super) fn lookup(&self, id: &[u8]) -> Option<ObjectIndex> {
        debug_assert_eq!(id.len(), self.kind.len_in_bytes());
        let prefix = prefix(id);
        let (mut from, mut to) = (self.fan[prefix] as usize, self.fan[prefix + 1] as usize);
        // Ids are evenly spread: it stands near where its next bytes say. A few steps narrow the range to that place.
        let share = u64::from(u32::from_be_bytes([id[2], id[3], id[4], id[5]]));
        let mut at = from + (((to - from) as u64 * share) >> 32) as usize;
        for _ in 0..8 {
            if from >= to {
                return None;
            }
            match compare(id, self.bytes(at)) {
                Ordering::Equal => return Some(at as ObjectIndex),
                Ordering::Less => {
                    to = at;
                    at = at.saturating_sub(1).max(from);
                }
                Ordering::Greater => {
                    from = at + 1;
                    at = from.min(to.saturating_sub(1));
                }
            }
        }
        while from < to {
            let middle = from.midpoint(to);
            match compare(id, self.bytes(middle)) {
                Ordering::Equal => return Some(middle as ObjectIndex),
                Ordering::Less => to = middle,
                Ordering::Greater => from = middle + 1,
            }
        }
        None
    }
}

/// Nearly always told by their first bytes, without a call.
fn compare(one: &[u8], other: &[u8]) -> Ordering {
    match (one.first_chunk(), other.first_chunk()) {
        (Some(first), Some(second)) => u64::from_be_bytes(*first).cmp(&u64::from_be_bytes(*second)),
        _ => Ordering::Equal,
    }
    .then_with(|| one.cmp(other))
}

fn prefix(id: &[u8]) -> usize {
    usize::from(id[0]) << 8 | usize::from(id[1])
}

/// One bit per object, set by whichever thread is first.
pub(super) struct Marks(Vec<AtomicU64>);

impl Marks {
    pub(super) fn new(objects: usize) -> Self {
        Marks((0..objects.div_ceil(64)).map(|_| AtomicU64::new(0)).collect())
    }

    /// Sets the mark; whether it was not set before.
    pub(super) fn set(&self, index: ObjectIndex) -> bool {
        let bit = 1 << (index % 64);
        self.0[index as usize / 64].fetch_or(bit, atomic::Ordering::Relaxed) & bit == 0
    }

    /// Whether the marks of the first `count` objects are all set.
    pub(super) fn all(&self, count: usize) -> bool {
        (0..).take(count).all(|object| self.is_set(object))
    }

    pub(super) fn is_set(&self, index: ObjectIndex) -> bool {
        self.0[index as usize / 64].load(atomic::Ordering::Relaxed) & 1 << (index % 64) != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_id_is_entered_once_and_found() {
        let mut ids: Vec<_> = (0..5_000u32)
            .map(|number| {
                let mut bytes = [0; 20];
                bytes[..4].copy_from_slice(&number.wrapping_mul(0x9e37_79b1).to_be_bytes());
                bytes[10..14].copy_from_slice(&number.to_be_bytes());
                ObjectId::from_bytes_or_panic(&bytes)
            })
            // Such as no hash gives: many that start alike.
            .chain((0..200u8).map(|number| ObjectId::from_bytes_or_panic(&[&[7; 19][..], &[number]].concat())))
            .collect();
        ids.extend_from_within(..100);
        let table = ObjectTable::new(gix::hash::Kind::Sha1, ids.clone());
        assert_eq!(table.len(), 5_200);
        for id in &ids {
            assert_eq!(table.lookup(id.as_bytes()).map(|at| table.id(at)), Some(&**id));
        }
        for byte in [1, 8, 0xff] {
            assert_eq!(table.lookup(&[byte; 20]), None);
        }
        assert_eq!(ObjectTable::new(gix::hash::Kind::Sha1, Vec::new()).lookup(&[7; 20]), None);
    }

    #[test]
    fn a_mark_is_set_once() {
        let marks = Marks::new(65);
        assert!(marks.set(64));
        assert!(!marks.set(64));
        assert!(marks.is_set(64) && !marks.is_set(0));
    }
}
