//! Which commit has which parents: all commits of a repository, reachable or not.
//!
//! Kept in a file of its own beside the cache, since it is not needed while nothing changes, and costs to write: commits
//! that come are noted in the cache, and join the file when they are many.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::Path;

use foldhash::fast::RandomState;
use gix::{ObjectId, oid};

use super::super::attribution::age;
use super::super::cache::write_atomically;
use super::super::objects::Store;
use super::super::visit::CommitRecord;

/// A commit's number.
pub(super) type Commit = u32;

/// A commit that is not in the file: its id, parents and age.
pub(super) type Other = (Vec<u8>, Vec<Commit>, u32);

/// What nothing has claimed.
pub(super) const UNCLAIMED: u32 = u32::MAX;

const MAGIC: &[u8; 16] = b"custody-commits\n";
/// Commits beside the file join it from so many on, and if they are as many as a sixteenth of it.
const JOIN_FROM: usize = 1_024;

/// All commits with their parents, as far as these are there.
#[derive(Default)]
pub(super) struct Graph {
    id_length: usize,
    /// The ids, one after the other: those of the file in order, then others as they came.
    ids: Vec<u8>,
    /// How many are in order.
    ordered: usize,
    /// Where ids start whose first two bytes are these.
    fan: Vec<u32>,
    others: HashMap<ObjectId, Commit, RandomState>,
    /// Where a commit's parents end.
    ends: Vec<u32>,
    parents: Vec<Commit>,
    ages: Vec<u32>,
}

impl Graph {
    /// The graph of all commits of a repository that was read as a whole.
    pub(super) fn of(store: &Store, commits: &[CommitRecord]) -> Graph {
        let mut order: Vec<u32> = (0..).take(commits.len()).collect();
        order.sort_unstable_by_key(|&at| commits[at as usize].commit);
        let numbers: HashMap<_, Commit, RandomState> =
            (0..).zip(&order).map(|(number, &at)| (commits[at as usize].commit, number)).collect();
        let id_length = store.table.kind().len_in_bytes();
        let mut graph = Graph { id_length, ids: Vec::with_capacity(commits.len() * id_length), ..Graph::default() };
        for &at in &order {
            let commit = &commits[at as usize];
            graph.ids.extend_from_slice(store.table.id(commit.commit).as_bytes());
            graph.parents.extend(commit.parents.iter().filter_map(|parent| numbers.get(parent)));
            graph.ends.push(narrow(graph.parents.len()));
            graph.ages.push(commit.age);
        }
        graph.ordered = order.len();
        graph.fan = fan(&graph.ids, id_length);
        graph
    }

    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    pub(super) fn id(&self, commit: Commit) -> &oid {
        oid::from_bytes_unchecked(self.bytes(commit as usize))
    }

    fn bytes(&self, at: usize) -> &[u8] {
        &self.ids[at * self.id_length..][..self.id_length]
    }

    /// The number of the commit of this id, if it is there.
    pub(super) fn find(&self, id: &oid) -> Option<Commit> {
        if id.as_bytes().len() != self.id_length {
            return None;
        }
        let prefix = prefix(id.as_bytes());
        let (mut from, mut to) = match self.fan.get(prefix..prefix + 2) {
            Some(&[from, to]) => (from as usize, to as usize),
            _ => (0, 0),
        };
        while from < to {
            let middle = from.midpoint(to);
            match id.as_bytes().cmp(self.bytes(middle)) {
                std::cmp::Ordering::Equal => return Some(narrow(middle)),
                std::cmp::Ordering::Less => to = middle,
                std::cmp::Ordering::Greater => from = middle + 1,
            }
        }
        self.others.get(id).copied()
    }

    pub(super) fn parents(&self, commit: Commit) -> &[Commit] {
        let at = commit as usize;
        let start = at.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.parents[start as usize..self.ends[at] as usize]
    }

    /// Adds a commit whose parents are there already, and gives its age.
    pub(super) fn add(&mut self, id: ObjectId, time: i64, parents: impl Iterator<Item = ObjectId>) -> u32 {
        if let Some(known) = self.find(&id) {
            return self.ages[known as usize];
        }
        let number = narrow(self.len());
        let parents: Vec<Commit> = parents.filter_map(|parent| self.find(&parent)).collect();
        let age = age(time, parents.iter().map(|&parent| self.ages[parent as usize]).max());
        self.push(id, number, &parents, age);
        age
    }

    fn push(&mut self, id: ObjectId, number: Commit, parents: &[Commit], age: u32) {
        self.ids.extend_from_slice(id.as_bytes());
        self.parents.extend_from_slice(parents);
        self.ends.push(narrow(self.parents.len()));
        self.ages.push(age);
        self.others.insert(id, number);
    }

    /// Gives a claim to each commit that can be reached from this one and has none. Behind those in `cut` nothing is
    /// reached.
    pub(super) fn claim(&self, claims: &mut [u32], from: Commit, claim: u32, cut: &HashSet<Commit>) {
        if claims[from as usize] != UNCLAIMED {
            return;
        }
        claims[from as usize] = claim;
        let mut open = vec![from];
        while let Some(commit) = open.pop() {
            if !cut.is_empty() && cut.contains(&commit) {
                continue;
            }
            for &parent in self.parents(commit) {
                if claims[parent as usize] == UNCLAIMED {
                    claims[parent as usize] = claim;
                    open.push(parent);
                }
            }
        }
    }

    /// What is not in the file, as ids and parents.
    pub(super) fn others(&self) -> Vec<Other> {
        let numbers = narrow(self.ordered)..narrow(self.len());
        let other =
            |commit| (self.id(commit).as_bytes().to_vec(), self.parents(commit).to_vec(), self.ages[commit as usize]);
        numbers.map(other).collect()
    }

    /// Whether the commits beside the file should join it.
    pub(super) fn is_loose(&self) -> bool {
        let others = self.len() - self.ordered;
        self.ordered == 0 || others >= JOIN_FROM && others >= self.ordered / 16
    }

    /// Puts all ids in order, and gives for each former number the new one.
    pub(super) fn order(&mut self) -> Vec<Commit> {
        let mut order: Vec<Commit> = (0..narrow(self.len())).collect();
        order.sort_unstable_by(|&one, &other| self.id(one).cmp(self.id(other)));
        let mut numbers = vec![0; order.len()];
        (0..).zip(&order).for_each(|(new, &old)| numbers[old as usize] = new);
        let mut ordered = Graph { id_length: self.id_length, ordered: order.len(), ..Graph::default() };
        for old in order {
            ordered.ids.extend_from_slice(self.id(old).as_bytes());
            ordered.parents.extend(self.parents(old).iter().map(|&parent| numbers[parent as usize]));
            ordered.ends.push(narrow(ordered.parents.len()));
            ordered.ages.push(self.ages[old as usize]);
        }
        ordered.fan = fan(&ordered.ids, ordered.id_length);
        *self = ordered;
        numbers
    }

    /// Writes what is in order, and gives the digest by which it is known; `None` if it cannot be written.
    pub(super) fn write(&self, file: &Path) -> Option<[u8; 32]> {
        let ends = &self.ends[..self.ordered];
        let parents = &self.parents[..ends.last().map_or(0, |&end| end as usize)];
        let mut body = Vec::with_capacity(self.ordered * (self.id_length + 12) + 16);
        body.extend_from_slice(&narrow(self.ordered).to_le_bytes());
        body.extend_from_slice(&narrow(parents.len()).to_le_bytes());
        body.extend_from_slice(&self.ids[..self.ordered * self.id_length]);
        let mut start = 0;
        for &end in ends {
            body.push(u8::try_from(end - start).ok()?);
            start = end;
        }
        let ages = &self.ages[..self.ordered];
        parents.iter().chain(ages).for_each(|number| body.extend_from_slice(&number.to_le_bytes()));
        let digest = *blake3::hash(&body).as_bytes();
        write_atomically(file, &[MAGIC, &digest, &body])?;
        Some(digest)
    }

    /// Reads the file of this digest, and adds what is not in it.
    pub(super) fn read(file: &Path, digest: &[u8; 32], kind: gix::hash::Kind, others: &[Other]) -> Option<Graph> {
        let bytes = fs::read(file).ok()?;
        let (checksum, body) = bytes.strip_prefix(MAGIC)?.split_at_checked(32)?;
        if checksum != digest || *blake3::hash(body).as_bytes() != *digest {
            return None;
        }
        let id_length = kind.len_in_bytes();
        let (head, rest) = body.split_at_checked(8)?;
        let number = |at: usize| u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
        let (ordered, links) = (number(0) as usize, number(4) as usize);
        let (ids, rest) = rest.split_at_checked(ordered.checked_mul(id_length)?)?;
        let (counts, numbers) = rest.split_at_checked(ordered)?;
        let mut parents: Vec<Commit> =
            numbers.as_chunks::<4>().0.iter().map(|bytes| u32::from_le_bytes(*bytes)).collect();
        if parents.len() != links.checked_add(ordered)? {
            return None;
        }
        let ages = parents.split_off(links);
        let mut end = 0;
        let ends: Vec<u32> = counts
            .iter()
            .map(|&count| {
                end += u32::from(count);
                end
            })
            .collect();
        if end as usize != links {
            return None;
        }
        let fan = fan(ids, id_length);
        let mut graph =
            Graph { id_length, ids: ids.to_vec(), ordered, fan, others: HashMap::default(), ends, parents, ages };
        for (id, parents, age) in others {
            let id = ObjectId::try_from(&id[..]).ok().filter(|id| id.kind() == kind)?;
            graph.push(id, narrow(graph.len()), parents, *age);
        }
        let count = narrow(graph.len());
        graph.parents.iter().all(|&parent| parent < count).then_some(graph)
    }

    /// Whether the file is there and of this digest, as far as its head tells.
    pub(super) fn is_there(file: &Path, digest: &[u8; 32]) -> bool {
        use std::io::Read as _;
        let mut head = [0; 48];
        let read = fs::File::open(file).and_then(|mut file| file.read_exact(&mut head));
        read.is_ok() && head[..16] == *MAGIC && head[16..] == *digest
    }
}

fn fan(ids: &[u8], id_length: usize) -> Vec<u32> {
    let mut fan = vec![0u32; (1 << 16) + 1];
    ids.chunks_exact(id_length).for_each(|id| fan[prefix(id) + 1] += 1);
    for at in 1..fan.len() {
        fan[at] += fan[at - 1];
    }
    fan
}

fn prefix(id: &[u8]) -> usize {
    usize::from(id[0]) << 8 | usize::from(id[1])
}

fn narrow(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}
