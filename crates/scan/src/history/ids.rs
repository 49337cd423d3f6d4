//! Which objects were read whole, by their ids, and how much each of them is.
//!
//! Needed only where packs that were known are gone, as after `git gc`: the objects in what has taken their place are
//! mostly the same. Ids are kept whole: an object that is wrongly taken for known is one that is not searched.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};

use super::objects::{Marks, ObjectIndex, ObjectTable};
use super::state::Totals;

/// Size of an object, and whether its format hides text.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Weight {
    pub(super) bytes: u64,
    pub(super) opaque: bool,
}

/// Lists are written in pieces of this size, in bytes.
const PIECE: usize = 64 << 10;

/// Adds an object to a list, which is in order of the ids.
pub(super) fn push(list: &mut Vec<u8>, id: &[u8], weight: Weight) {
    list.extend_from_slice(id);
    let mut rest = weight.bytes << 1 | u64::from(weight.opaque);
    while rest >= 0x80 {
        list.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    list.push(rest as u8);
}

/// The objects of a list.
pub(super) struct Entries<'l> {
    rest: &'l [u8],
    id_length: usize,
}

impl<'l> Entries<'l> {
    pub(super) fn new(list: &'l [u8], kind: gix::hash::Kind) -> Self {
        Entries { rest: list, id_length: kind.len_in_bytes() }
    }
}

impl<'l> Iterator for Entries<'l> {
    type Item = (&'l [u8], Weight);

    fn next(&mut self) -> Option<Self::Item> {
        let (id, mut rest) = self.rest.split_at_checked(self.id_length)?;
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let (&byte, after) = rest.split_first()?;
            rest = after;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                break;
            }
        }
        self.rest = rest;
        Some((id, Weight { bytes: value >> 1, opaque: value & 1 != 0 }))
    }
}

/// Two lists as one, each object once.
pub(super) fn merge(one: &[u8], other: &[u8], kind: gix::hash::Kind) -> Vec<u8> {
    if one.is_empty() || other.is_empty() {
        return [one, other].concat();
    }
    let mut merged = Vec::with_capacity(one.len() + other.len());
    let (mut ones, mut others) = (Entries::new(one, kind).peekable(), Entries::new(other, kind).peekable());
    loop {
        let (id, weight) = match (ones.peek(), others.peek()) {
            (Some((a, _)), Some((b, _))) if a > b => others.next(),
            (Some((a, _)), Some((b, _))) if a == b => {
                others.next();
                ones.next()
            }
            (Some(_), _) => ones.next(),
            (None, _) => others.next(),
        }
        .unwrap_or_default();
        if id.is_empty() {
            return merged;
        }
        push(&mut merged, id, weight);
    }
}

/// How much each object of a table is, noted by many threads.
pub(super) struct Weights {
    weights: Vec<AtomicU32>,
    /// What does not fit there.
    large: Mutex<HashMap<ObjectIndex, Weight>>,
}

impl Weights {
    pub(super) fn new(objects: usize) -> Self {
        Weights { weights: (0..objects).map(|_| AtomicU32::new(0)).collect(), large: Mutex::default() }
    }

    pub(super) fn set(&self, object: ObjectIndex, weight: Weight) {
        let Some(place) = self.weights.get(object as usize) else { return };
        let short = u32::try_from(weight.bytes << 1 | u64::from(weight.opaque)).unwrap_or(u32::MAX);
        if short == u32::MAX {
            self.large.lock().unwrap_or_else(PoisonError::into_inner).insert(object, weight);
        }
        place.store(short, Ordering::Relaxed);
    }

    pub(super) fn get(&self, object: ObjectIndex) -> Weight {
        match self.weights.get(object as usize).map_or(0, |weight| weight.load(Ordering::Relaxed)) {
            u32::MAX => {
                let large = self.large.lock().unwrap_or_else(PoisonError::into_inner);
                large.get(&object).copied().unwrap_or_default()
            }
            short => Weight { bytes: u64::from(short >> 1), opaque: short & 1 != 0 },
        }
    }

    /// Gives to `sink`, piece by piece, the list of those objects of the table that are `wanted`.
    pub(super) fn list(&self, table: &ObjectTable, wanted: impl Fn(ObjectIndex) -> bool, sink: &mut dyn FnMut(&[u8])) {
        let mut piece = Vec::with_capacity(PIECE + 64);
        for object in (0..).take(table.len()).filter(|&object| wanted(object)) {
            push(&mut piece, table.id(object).as_bytes(), self.get(object));
            if piece.len() >= PIECE {
                sink(&piece);
                piece.clear();
            }
        }
        sink(&piece);
    }

    /// What those objects of the table come to that are `wanted`.
    pub(super) fn totals(&self, table: &ObjectTable, wanted: impl Fn(ObjectIndex) -> bool) -> Totals {
        let mut totals = Totals::default();
        for object in (0..).take(table.len()).filter(|&object| wanted(object)) {
            let weight = self.get(object);
            totals.read += 1;
            totals.bytes += weight.bytes;
            totals.opaque += u64::from(weight.opaque);
        }
        totals
    }
}

/// Marks the objects of the table that the list has, and takes over how much they are; whether the table has all of the
/// list.
pub(super) fn mark(list: &[u8], table: &ObjectTable, weights: &Weights, old: &Marks) -> bool {
    let mut all = true;
    let mut object = 0;
    for (id, weight) in Entries::new(list, table.kind()) {
        while (object as usize) < table.len() && table.id(object).as_bytes() < id {
            object += 1;
        }
        if (object as usize) < table.len() && table.id(object).as_bytes() == id {
            old.set(object);
            weights.set(object, weight);
        } else {
            all = false;
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use gix::ObjectId;
    use proptest::prelude::*;

    use super::*;

    const KIND: gix::hash::Kind = gix::hash::Kind::Sha1;

    fn list(entries: &BTreeMap<[u8; 20], (u64, bool)>) -> Vec<u8> {
        let mut list = Vec::new();
        entries.iter().for_each(|(id, &(bytes, opaque))| push(&mut list, id, Weight { bytes, opaque }));
        list
    }

    fn entries() -> impl Strategy<Value = BTreeMap<[u8; 20], (u64, bool)>> {
        let id = prop::array::uniform20(prop::sample::select(vec![0, 1, 0x7f, 0xff]));
        let size = prop_oneof![0..300u64, Just(u64::from(u32::MAX / 2)), Just(1 << 40), Just((1 << 62) - 1)];
        prop::collection::btree_map(id, (size, any::<bool>()), 0..12)
    }

    proptest! {
        #[test]
        fn what_is_pushed_is_read_and_merged(one in entries(), other in entries()) {
            let both = Entries::new(&merge(&list(&one), &list(&other), KIND), KIND)
                .map(|(id, weight)| (id.to_vec(), (weight.bytes, weight.opaque)))
                .collect::<Vec<_>>();
            let mut expected = other.clone();
            expected.extend(one.clone());
            let expected: Vec<_> = expected.into_iter().map(|(id, weight)| (id.to_vec(), weight)).collect();
            prop_assert_eq!(both, expected);
        }

        #[test]
        fn exactly_the_listed_objects_are_marked(listed in entries(), there in entries()) {
            let ids: Vec<_> = there.keys().map(|id| ObjectId::from_bytes_or_panic(id)).collect();
            let table = ObjectTable::new(KIND, ids);
            let (weights, old) = (Weights::new(table.len()), Marks::new(table.len()));
            let all = mark(&list(&listed), &table, &weights, &old);
            prop_assert_eq!(all, listed.keys().all(|id| there.contains_key(id)));
            for (object, id) in (0..).zip(there.keys()) {
                prop_assert_eq!(old.is_set(object), listed.contains_key(id));
                let weight = listed.get(id).map_or(Weight::default(), |&(bytes, opaque)| Weight { bytes, opaque });
                prop_assert_eq!(weights.get(object), weight);
            }
        }

        #[test]
        fn any_bytes_have_a_reading(bytes: Vec<u8>) {
            Entries::new(&bytes, KIND).count();
        }
    }
}
