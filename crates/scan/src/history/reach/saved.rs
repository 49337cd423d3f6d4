//! What is known of reachability, in forms that outlast the scan.

use std::fmt;
use std::sync::Arc;

use custody_contract::{Reach, ReachedFrom};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::graph::Other;
use super::places::Place;
use super::routes::Packed;

/// From where the objects can be reached in which something was found.
#[derive(Debug, Default, Clone, PartialEq, Serialize, Deserialize)]
pub(in crate::history) struct Reached {
    /// The refs that this holds for.
    pub(super) refs: [u8; 32],
    /// Ids, one after the other, in order.
    ids: Bytes,
    /// For each, where its ways end.
    ends: Vec<u32>,
    /// For each, when it was authored and committed, where it is a commit or tag.
    times: Vec<Option<(i64, i64)>>,
    /// For each place of an object, in the order in which they are known, the number of the way, from 1; 0 if it is not
    /// known.
    ways: Vec<u32>,
    reaches: Vec<Way>,
}

/// A reach, in a form that keeps its fields.
#[derive(Debug, Clone, PartialEq)]
struct Way(Arc<Reach>);

/// What is known of one object.
#[derive(Clone, Copy, Default)]
pub(in crate::history) struct Object<'r> {
    pub(in crate::history) times: Option<(i64, i64)>,
    ways: &'r [u32],
    reaches: &'r [Way],
}

impl Object<'_> {
    /// From where it can be reached at its place of this number.
    pub(in crate::history) fn reach(&self, place: usize) -> Option<Arc<Reach>> {
        let way = self.ways.get(place)?.checked_sub(1)?;
        self.reaches.get(way as usize).map(|way| Arc::clone(&way.0))
    }
}

impl Reached {
    pub(super) fn new(refs: [u8; 32]) -> Self {
        Reached { refs, ..Reached::default() }
    }

    /// What is known of the object of this id.
    pub(in crate::history) fn of(&self, id: &[u8]) -> Object<'_> {
        let length = id.len();
        if length == 0 || self.ids.0.len() != self.ends.len() * length {
            return Object::default();
        }
        let ids: &[u8] = &self.ids.0;
        let (mut from, mut to) = (0, self.ends.len());
        while from < to {
            let middle = from.midpoint(to);
            match ids[middle * length..][..length].cmp(id) {
                std::cmp::Ordering::Equal => return self.nth(middle),
                std::cmp::Ordering::Less => from = middle + 1,
                std::cmp::Ordering::Greater => to = middle,
            }
        }
        Object::default()
    }

    fn nth(&self, at: usize) -> Object<'_> {
        let start = at.checked_sub(1).map_or(0, |before| self.ends[before]);
        let ways = self.ways.get(start as usize..self.ends[at] as usize).unwrap_or_default();
        Object { times: self.times.get(at).copied().flatten(), ways, reaches: &self.reaches }
    }

    /// Adds an object. They come in the order of their ids.
    pub(super) fn add(&mut self, id: &[u8], times: Option<(i64, i64)>, ways: impl Iterator<Item = u32>) {
        self.ids.0.extend_from_slice(id);
        self.ways.extend(ways);
        self.ends.push(u32::try_from(self.ways.len()).unwrap_or(u32::MAX));
        self.times.push(times);
    }

    /// Adds a reach, and gives its number.
    pub(super) fn way(&mut self, reach: Reach) -> u32 {
        self.reaches.push(Way(Arc::new(reach)));
        u32::try_from(self.reaches.len()).unwrap_or(0)
    }
}

/// What reachability follows from.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Saved {
    /// The file of commits.
    pub(super) graph: [u8; 32],
    /// Commits that are not in it.
    pub(super) others: Vec<Other>,
    pub(super) places: Vec<Place>,
    pub(super) packed: Packed,
    /// Tips by commit, with the places that they have.
    pub(super) tips: Vec<(Vec<u8>, Vec<u32>)>,
    /// Whether all was followed to its end.
    pub(super) is_whole: bool,
}

impl Saved {
    pub(super) fn read(bytes: &Bytes) -> Option<Saved> {
        postcard::from_bytes(&bytes.0).ok()
    }

    pub(super) fn bytes(&self) -> Bytes {
        Bytes(postcard::to_stdvec(self).unwrap_or_default())
    }
}

/// Bytes, which postcard otherwise takes for numbers, one by one.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(in crate::history) struct Bytes(pub(super) Vec<u8>);

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl serde::de::Visitor<'_> for Visitor {
            type Value = Bytes;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("bytes")
            }
            fn visit_bytes<E: serde::de::Error>(self, bytes: &[u8]) -> Result<Bytes, E> {
                Ok(Bytes(bytes.to_vec()))
            }
        }
        deserializer.deserialize_bytes(Visitor)
    }
}

/// An object's id as bytes.
pub(super) mod id {
    use super::{Bytes, Deserialize, Deserializer, Serializer};

    pub(in super::super) fn serialize<S: Serializer>(id: &gix::ObjectId, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(id.as_bytes())
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<gix::ObjectId, D::Error> {
        let bytes = Bytes::deserialize(deserializer)?;
        gix::ObjectId::try_from(&bytes.0[..]).map_err(|_| serde::de::Error::custom("not an id"))
    }
}

impl Serialize for Way {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (self.0.from as u8, &self.0.refs, self.0.branches).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Way {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        const ALL: [ReachedFrom; 9] = [
            ReachedFrom::BranchTip,
            ReachedFrom::BranchHistory,
            ReachedFrom::Tag,
            ReachedFrom::PullRequest,
            ReachedFrom::OtherRef,
            ReachedFrom::Stash,
            ReachedFrom::Staged,
            ReachedFrom::Reflog,
            ReachedFrom::Unreachable,
        ];
        let (from, refs, branches) = <(u8, Vec<String>, u32)>::deserialize(deserializer)?;
        let from = ALL.into_iter().find(|known| *known as u8 == from);
        let from = from.ok_or_else(|| serde::de::Error::custom("an unknown way"))?;
        Ok(Way(Arc::new(Reach { from, refs, branches })))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_saved_is_read_again() {
        let mut reached = Reached::new([7; 32]);
        let way = reached.way(Reach::by(ReachedFrom::Tag, "v1"));
        reached.add(&[1; 20], None, [way, 0].into_iter());
        reached.add(&[2; 20], Some((3, 4)), std::iter::once(way));
        let bytes = postcard::to_stdvec(&reached).expect("serialises");
        let read: Reached = postcard::from_bytes(&bytes).expect("reads");
        assert_eq!(read, reached);
        assert_eq!(read.of(&[1; 20]).reach(0).as_deref(), Some(&Reach::by(ReachedFrom::Tag, "v1")));
        assert_eq!(read.of(&[1; 20]).reach(1), None);
        assert_eq!(read.of(&[2; 20]).times, Some((3, 4)));
        assert_eq!(read.of(&[3; 20]).reach(0), None);
    }
}
