//! What trees hold, noted while they are read: each as what it adds to the tree that it is stored as a version of, and
//! what it takes away.
//!
//! Of a long history this is more than all else that is kept. It is packed tightly, and what goes beyond its share of the
//! memory is written to a file that has no name and is gone with the process: numbers only, no names.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Write as _};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use foldhash::fast::RandomState;

use super::objects::{Marks, ObjectIndex};
use super::pack::read_exact_at;

const NONE: ObjectIndex = ObjectIndex::MAX;

/// What is written or read at once, in bytes.
const CHUNK: usize = 256 << 10;

/// An entry of a tree: the object, and the number of its name.
pub(super) type Entry = (ObjectIndex, u32);

/// Where links go that there is no memory for.
pub(super) struct Spill {
    /// How much all threads may keep in memory, in bytes.
    share: usize,
    kept: AtomicUsize,
    /// The file, once there is one, and how long it is.
    file: Mutex<Option<(Arc<File>, u64)>>,
}

impl Spill {
    pub(super) fn new(share: usize) -> Spill {
        Spill { share, kept: AtomicUsize::new(0), file: Mutex::default() }
    }

    /// Keeps a chunk in memory, or in the file if there is no room and a file can be written.
    fn keep(&self, bytes: &[u8]) -> Chunk {
        if self.kept.fetch_add(bytes.len(), Ordering::Relaxed) + bytes.len() > self.share
            && let Ok(chunk) = self.write(bytes)
        {
            self.kept.fetch_sub(bytes.len(), Ordering::Relaxed);
            return chunk;
        }
        Chunk::Memory(bytes.into())
    }

    fn write(&self, bytes: &[u8]) -> io::Result<Chunk> {
        let mut place = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let (file, length) = match place.as_mut() {
            Some(place) => place,
            None => place.insert((Arc::new(tempfile::tempfile()?), 0)),
        };
        (&**file).write_all(bytes)?;
        let start = *length;
        *length += bytes.len() as u64;
        Ok(Chunk::File { file: Arc::clone(file), start, length: bytes.len() })
    }
}

enum Chunk {
    Memory(Box<[u8]>),
    File { file: Arc<File>, start: u64, length: usize },
}

impl Chunk {
    fn bytes<'c>(&'c self, buffer: &'c mut Vec<u8>) -> io::Result<&'c [u8]> {
        match self {
            Chunk::Memory(bytes) => Ok(bytes),
            Chunk::File { file, start, length } => {
                buffer.resize(*length, 0);
                read_exact_at(file, buffer, *start)?;
                Ok(buffer)
            }
        }
    }
}

/// What one thread has noted of trees. Names are numbered as they come.
pub(super) struct Links {
    pub(super) names: HashMap<Box<[u8]>, u32, RandomState>,
    spill: Arc<Spill>,
    chunks: Vec<Chunk>,
    /// The chunk at hand.
    open: Vec<u8>,
    /// The tree at hand.
    at_hand: Tree,
    last: (Vec<u8>, u32),
}

/// A tree.
#[derive(Default)]
struct Tree {
    tree: ObjectIndex,
    base: ObjectIndex,
    added: Vec<Entry>,
    removed: Vec<u32>,
}

impl Links {
    pub(super) fn new(spill: Arc<Spill>) -> Links {
        Links {
            names: HashMap::default(),
            spill,
            chunks: Vec::new(),
            open: Vec::new(),
            at_hand: Tree::default(),
            last: (Vec::new(), 0),
        }
    }

    /// The number of a name.
    pub(super) fn name(&mut self, name: &[u8]) -> u32 {
        // What a tree has anew, it mostly loses, too.
        if self.last.0 == name && !self.names.is_empty() {
            return self.last.1;
        }
        let number = self.look_up(name);
        self.last.0.clear();
        self.last.0.extend_from_slice(name);
        self.last.1 = number;
        number
    }

    fn look_up(&mut self, name: &[u8]) -> u32 {
        if let Some(&number) = self.names.get(name) {
            return number;
        }
        let number = u32::try_from(self.names.len()).unwrap_or(u32::MAX);
        self.names.insert(name.into(), number);
        number
    }

    /// Notes an entry of the tree at hand.
    pub(super) fn add(&mut self, child: ObjectIndex, name: u32) {
        self.at_hand.added.push((child, name));
    }

    /// Notes that the tree at hand lacks an entry of its base, or has another of that name.
    pub(super) fn remove(&mut self, name: u32) {
        // An entry of that name stands in its place.
        if self.at_hand.added.last().is_none_or(|&(_, added)| added != name) {
            self.at_hand.removed.push(name);
        }
    }

    /// Ends the tree at hand.
    pub(super) fn end(&mut self, tree: ObjectIndex, base: Option<ObjectIndex>) {
        let at_hand = &mut self.at_hand;
        (at_hand.tree, at_hand.base) = (tree, base.unwrap_or(NONE));
        at_hand.pack(&mut self.open);
        at_hand.added.clear();
        at_hand.removed.clear();
        if self.open.len() >= CHUNK {
            self.chunks.push(self.spill.keep(&self.open));
            self.open.clear();
        }
    }

    /// Gives each tree to `each`, in the order in which they were noted.
    fn for_each(&self, each: &mut dyn FnMut(&Tree)) -> io::Result<()> {
        let (mut buffer, mut tree) = (Vec::new(), Tree::default());
        for chunk in &self.chunks {
            unpack_all(chunk.bytes(&mut buffer)?, &mut tree, each);
        }
        unpack_all(&self.open, &mut tree, each);
        Ok(())
    }
}

fn unpack_all(mut bytes: &[u8], tree: &mut Tree, each: &mut dyn FnMut(&Tree)) {
    while tree.unpack(&mut bytes).is_some() {
        each(tree);
    }
}

impl Tree {
    fn pack(&self, out: &mut Vec<u8>) {
        put(out, self.tree);
        put(out, self.base.wrapping_add(1));
        put(out, u32::try_from(self.added.len()).unwrap_or(u32::MAX));
        put(out, u32::try_from(self.removed.len()).unwrap_or(u32::MAX));
        for &(child, name) in &self.added {
            put(out, child);
            put(out, name);
        }
        self.removed.iter().for_each(|&name| put(out, name));
    }

    fn unpack(&mut self, bytes: &mut &[u8]) -> Option<()> {
        self.tree = get(bytes)?;
        self.base = get(bytes)?.wrapping_sub(1);
        let (added, removed) = (get(bytes)?, get(bytes)?);
        self.added.clear();
        for _ in 0..added {
            self.added.push((get(bytes)?, get(bytes)?));
        }
        self.removed.clear();
        for _ in 0..removed {
            self.removed.push(get(bytes)?);
        }
        Some(())
    }
}

fn put(out: &mut Vec<u8>, mut value: u32) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn get(bytes: &mut &[u8]) -> Option<u32> {
    let mut value = 0;
    for shift in (0..35).step_by(7) {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u32::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

/// The entries through which marked objects can be reached, by tree.
pub(super) struct Reaching {
    /// For each object, the number of the tree that it is, if it is one.
    numbers: Vec<u32>,
    /// By number, where a tree's entries are; more than there can be if they are not known yet.
    ranges: Vec<(u32, u32)>,
    entries: Vec<Entry>,
}

/// Where entries are that are not known yet.
const UNKNOWN: (u32, u32) = (u32::MAX, u32::MAX);

impl Reaching {
    /// A tree's entries, by name, if any marked object can be reached from it.
    pub(super) fn entries(&self, tree: ObjectIndex) -> Option<&[Entry]> {
        let (start, end) = *self.ranges.get(self.number(tree)?)?;
        self.entries.get(start as usize..end as usize)
    }

    fn number(&self, tree: ObjectIndex) -> Option<usize> {
        self.numbers.get(tree as usize).filter(|&&number| number != NONE).map(|&number| number as usize)
    }

    /// Notes a tree's entries: what it has of those of its base, and what it adds.
    fn complete(&mut self, at: usize, base: ObjectIndex, added: &[Entry], gone: &[u32]) {
        let start = self.entries.len();
        let (from, to) = self.number(base).and_then(|at| self.ranges.get(at).copied()).unwrap_or_default();
        let (mut added, mut gone) = (added, gone);
        // Entries of the base are copied one by one, as what they are copied to may move.
        for from in from as usize..(to as usize).min(start) {
            let entry = self.entries[from];
            let before = added.partition_point(|added| by_name(added) < by_name(&entry));
            self.entries.extend_from_slice(&added[..before]);
            added = &added[before..];
            gone = &gone[gone.iter().take_while(|&&gone| gone < entry.1).count()..];
            if gone.first() != Some(&entry.1) {
                self.entries.push(entry);
            }
        }
        self.entries.extend_from_slice(added);
        self.ranges[at] = (narrow(start), narrow(self.entries.len()));
    }
}

/// The order of entries.
fn by_name(&(child, name): &Entry) -> (u32, ObjectIndex) {
    (name, child)
}

/// Finds the entries through which marked objects can be reached. Marks the trees that have any. `numbers` gives for each
/// of `links` the numbers by which its names are known to all.
///
/// # Errors
///
/// When links that were written to a file cannot be read.
pub(super) fn reaching(links: Vec<Links>, numbers: &[Vec<u32>], marked: &Marks) -> io::Result<Reaching> {
    spread(&links, marked)?;
    let known = Known::gather(&links, numbers, marked)?;
    drop(links);
    let mut trees = vec![NONE; known.trees.iter().map(|known| known.tree as usize + 1).max().unwrap_or_default()];
    for (at, known) in (0..).zip(&known.trees) {
        let number = &mut trees[known.tree as usize];
        *number = at.min(*number);
    }
    let mut reaching = Reaching { numbers: trees, ranges: vec![UNKNOWN; known.trees.len()], entries: Vec::new() };
    let mut chain = Vec::new();
    for at in 0..known.trees.len() {
        // From the tree to the first base of which all is known, and back.
        let mut next = Some(at);
        while let Some(at) = next.filter(|&at| reaching.ranges[at] == UNKNOWN) {
            chain.push(at);
            next = reaching.number(known.trees[at].base);
            if chain.len() > known.trees.len() {
                break; // bases in a circle: a repository made to deceive
            }
        }
        while let Some(at) = chain.pop() {
            let (base, added, gone) = known.nth(at);
            reaching.complete(at, base, added, gone);
        }
    }
    Ok(reaching)
}

fn narrow(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

/// Of marked trees, what matters.
#[derive(Default)]
struct Known {
    trees: Vec<KnownTree>,
    /// Marked objects, of each tree by their names.
    added: Vec<Entry>,
    /// Names that the base's entries do not stand under any more, in order, as far as any marked object has them.
    gone: Vec<u32>,
}

/// A tree, with the ends of what is known of it.
struct KnownTree {
    tree: ObjectIndex,
    base: ObjectIndex,
    added: u32,
    gone: u32,
}

impl Known {
    fn gather(links: &[Links], numbers: &[Vec<u32>], marked: &Marks) -> io::Result<Known> {
        let names = numbers.iter().flatten().max().map_or(0, |&most| most as usize + 1);
        let wanted = Marks::new(names);
        for (links, numbers) in links.iter().zip(numbers) {
            links.for_each(&mut |tree| {
                if marked.is_set(tree.tree) {
                    for &(_, name) in tree.added.iter().filter(|(child, _)| marked.is_set(*child)) {
                        wanted.set(numbers[name as usize]);
                    }
                }
            })?;
        }
        let mut known = Known::default();
        for (links, numbers) in links.iter().zip(numbers) {
            links.for_each(&mut |tree| {
                if marked.is_set(tree.tree) {
                    known.add(tree, numbers, marked, &wanted);
                }
            })?;
        }
        Ok(known)
    }

    fn add(&mut self, tree: &Tree, numbers: &[u32], marked: &Marks, wanted: &Marks) {
        let number = |name: u32| numbers[name as usize];
        let first = self.added.len();
        let children = tree.added.iter().filter(|(child, _)| marked.is_set(*child));
        self.added.extend(children.map(|&(child, name)| (child, number(name))));
        self.added[first..].sort_unstable_by_key(by_name);
        if tree.base != NONE && marked.is_set(tree.base) {
            let first = self.gone.len();
            let names = tree.removed.iter().copied().chain(tree.added.iter().map(|&(_, name)| name)).map(number);
            self.gone.extend(names.filter(|&name| wanted.is_set(name)));
            self.gone[first..].sort_unstable();
        }
        self.trees.push(KnownTree {
            tree: tree.tree,
            base: tree.base,
            added: narrow(self.added.len()),
            gone: narrow(self.gone.len()),
        });
    }

    fn nth(&self, at: usize) -> (ObjectIndex, &[Entry], &[u32]) {
        let tree = &self.trees[at];
        let (added, gone) = at.checked_sub(1).map_or((0, 0), |at| (self.trees[at].added, self.trees[at].gone));
        let gone = &self.gone[gone as usize..tree.gone as usize];
        (tree.base, &self.added[added as usize..tree.added as usize], gone)
    }
}

/// Marks every tree from which a marked object can be reached, and some more: what a tree takes away from its base is
/// not looked at.
fn spread(links: &[Links], marked: &Marks) -> io::Result<()> {
    let share = links.first().map_or(usize::MAX, |links| links.spill.share);
    loop {
        let mut open = Open { trees: Vec::new(), share, is_full: false };
        let mut changed = false;
        for links in links {
            links.for_each(&mut |tree| {
                if marked.is_set(tree.tree) {
                    return;
                }
                let refers = tree.base != NONE && marked.is_set(tree.base)
                    || tree.added.iter().any(|&(child, _)| marked.is_set(child));
                match refers {
                    true => changed |= marked.set(tree.tree),
                    false => open.push(tree),
                }
            })?;
        }
        changed |= open.settle(marked);
        if !changed || !open.is_full {
            return Ok(());
        }
    }
}

/// Trees that are not marked, as far as there is memory: each as how many it refers to, itself, and these.
struct Open {
    trees: Vec<u32>,
    /// How much memory they may take, in bytes.
    share: usize,
    is_full: bool,
}

impl Open {
    fn push(&mut self, tree: &Tree) {
        let refers = tree.added.len() + 1;
        if (self.trees.len() + refers + 2) * size_of::<u32>() > self.share {
            self.is_full = true;
            return;
        }
        self.trees.extend([narrow(refers), tree.tree, tree.base]);
        self.trees.extend(tree.added.iter().map(|&(child, _)| child));
    }

    /// Marks those that refer to any marked one, until there is no more of them. Whether there was any.
    fn settle(&mut self, marked: &Marks) -> bool {
        let mut settled = false;
        loop {
            let (mut at, mut kept) = (0, 0);
            let mut changed = false;
            while let Some(&refers) = self.trees.get(at) {
                let next = at + 2 + refers as usize;
                let is_marked = |&object: &ObjectIndex| object != NONE && marked.is_set(object);
                if self.trees[at + 2..next].iter().any(is_marked) {
                    changed |= marked.set(self.trees[at + 1]);
                } else {
                    self.trees.copy_within(at..next, kept);
                    kept += next - at;
                }
                at = next;
            }
            self.trees.truncate(kept);
            if !changed {
                return settled;
            }
            settled = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    type Noted = (u32, Option<u32>, Vec<Entry>, Vec<u32>);

    fn noted() -> impl Strategy<Value = Vec<Noted>> {
        let index = prop_oneof![0u32..300, Just(u32::MAX - 1)];
        let tree = (
            index.clone(),
            prop::option::of(index.clone()),
            prop::collection::vec((index, 0u32..1000), 0..5),
            prop::collection::vec(1000u32..100_000, 0..5),
        );
        prop::collection::vec(tree, 0..12)
    }

    /// Trees in some order, each with the one it is stored as a version of; what they hold has lower numbers.
    fn forest() -> impl Strategy<Value = Vec<(u32, Option<u32>, Vec<Entry>)>> {
        let tree = |tree: u32| {
            let entries = prop::collection::btree_map(0u32..20, 0..tree, 0..6);
            (Just(tree), prop::option::of(20u32..100), entries).prop_map(|(tree, base, entries)| {
                (tree, base, entries.into_iter().map(|(name, child)| (child, name)).collect())
            })
        };
        prop::collection::vec(20u32..100, 0..30).prop_flat_map(move |mut trees| {
            trees.sort_unstable();
            trees.dedup();
            trees.into_iter().map(tree).collect::<Vec<_>>().prop_shuffle()
        })
    }

    proptest! {
        #[test]
        fn what_is_noted_is_given_from_memory_or_file(trees in noted(), in_memory: bool) {
            let share = if in_memory { usize::MAX } else { 0 };
            let mut links = Links::new(Arc::new(Spill::new(share)));
            for (tree, base, added, removed) in &trees {
                removed.iter().for_each(|&name| links.remove(name));
                added.iter().for_each(|&(child, name)| links.add(child, name));
                links.end(*tree, *base);
                links.chunks.push(links.spill.keep(&links.open));
                links.open.clear();
            }
            let in_file = links.chunks.iter().all(|chunk| matches!(chunk, Chunk::File { .. }));
            prop_assert!(in_memory || in_file);
            let mut given = Vec::new();
            let mut each = |tree: &Tree| {
                let base = Some(tree.base).filter(|&base| base != NONE);
                given.push((tree.tree, base, tree.added.clone(), tree.removed.clone()));
            };
            links.for_each(&mut each).expect("readable");
            prop_assert_eq!(&given, &trees);
        }

        #[test]
        fn what_leads_to_marked_objects_is_found_with_any_memory(trees in forest(), wanted in 0u32..20, share in 0usize..400) {
            let names = 20;
            let mut links = Links::new(Arc::new(Spill::new(share)));
            for name in 0..names {
                links.name(&[name]);
            }
            let mut whole: HashMap<u32, Vec<Entry>> = HashMap::new();
            for (tree, base, entries) in &trees {
                let known = base.and_then(|base| Some((base, whole.get(&base)?.clone())));
                let known = known.unwrap_or_default();
                let has = |name| entries.iter().any(|&(_, known)| known == name);
                let lost: Vec<u32> = known.1.iter().map(|&(_, name)| name).filter(|&name| !has(name)).collect();
                entries.iter().filter(|entry| !known.1.contains(entry)).for_each(|&(child, name)| links.add(child, name));
                lost.into_iter().for_each(|name| links.remove(name));
                links.end(*tree, base.filter(|base| whole.contains_key(base)));
                whole.insert(*tree, entries.clone());
            }
            let marked = Marks::new(200);
            marked.set(wanted);
            let numbers = vec![(0..u32::from(names)).collect()];
            let found = reaching(vec![links], &numbers, &marked).expect("readable");
            let mut leads = vec![wanted];
            loop {
                let more = whole.iter().filter(|(_, entries)| entries.iter().any(|(child, _)| leads.contains(child)));
                let more: Vec<u32> = more.map(|(&tree, _)| tree).filter(|tree| !leads.contains(tree)).collect();
                if more.is_empty() {
                    break;
                }
                leads.extend(more);
            }
            for (tree, entries) in &whole {
                let mut expected: Vec<Entry> =
                    entries.iter().copied().filter(|(child, _)| leads.contains(child)).collect();
                expected.sort_unstable_by_key(by_name);
                let mut given = found.entries(*tree).unwrap_or_default().to_vec();
                given.retain(|(child, _)| leads.contains(child));
                prop_assert_eq!(given, expected);
            }
        }
    }
}
