//! Which commit has which parents: all commits of a repository, reachable or not.
//!
//! Kept in a file of its own beside the cache, since it is not needed while nothing changes, and costs to write: commits
//! that come are noted with what is known of reachability, and join the file when they are many. The file is used as it
//! is read. Commits are numbered by age, so that those that follow each other stand near each other.

use std::fs;
use std::ops::Range;
use std::path::Path;

use gix::{ObjectId, oid};

use super::super::attribution::age;
use super::super::cache::write_atomically;
use super::super::objects::Store;
use super::super::tables::{Map, Set};
use super::super::visit::CommitRecord;

/// A commit's number.
pub(super) type Commit = u32;

/// A commit that is not in the file: its id, parents and age.
pub(super) type Other = (Vec<u8>, Vec<Commit>, u32);

/// What nothing has claimed.
pub(super) const UNCLAIMED: u32 = u32::MAX;

const MAGIC: &[u8; 16] = b"custody-commits\n";
/// What stands before the body: the magic, the digest by which the file is known, and a checksum.
const HEAD: usize = 16 + 32 + 4;
/// Commits beside the file join it from so many on, and if they are as many as a sixteenth of it.
const JOIN_FROM: usize = 1_024;
/// Ids are found by their first two bytes.
const FAN: usize = (1 << 16) + 1;

/// All commits with their parents, as far as these are there.
pub(super) struct Graph {
    id_length: usize,
    body: Vec<u8>,
    parts: Parts,
    others: Vec<Other>,
    other_numbers: Map<ObjectId, Commit>,
}

/// Where the parts of the file's body stand.
#[derive(Default)]
struct Parts {
    count: usize,
    ids: Range<usize>,
    /// The commits in the order of their ids.
    by_id: Range<usize>,
    /// Where ids start, in that order, whose first two bytes are these.
    fan: Range<usize>,
    parents: Range<usize>,
    ages: Range<usize>,
    /// Where each commit's parents end.
    ends: Vec<u32>,
}

impl Graph {
    /// The graph of all commits, in order, of a repository that was read as a whole.
    pub(super) fn of(store: &Store, commits: &[CommitRecord]) -> Graph {
        let numbers: Map<_, Commit> = (0..).zip(commits).map(|(number, commit)| (commit.commit, number)).collect();
        let rows = commits.iter().map(|commit| {
            let parents = commit.parents.iter().filter_map(|parent| numbers.get(parent).copied());
            (store.table.id(commit.commit).as_bytes(), parents, commit.age)
        });
        Graph::build(store.table.kind().len_in_bytes(), rows)
    }

    fn build<'r>(id_length: usize, rows: impl Iterator<Item = (&'r [u8], impl Iterator<Item = Commit>, u32)>) -> Graph {
        let (mut ids, mut counts, mut parents, mut ages) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for (id, own, age) in rows {
            let before = parents.len();
            // A commit with more parents than that does not exist.
            parents.extend(own.take(usize::from(u8::MAX)));
            counts.push(u8::try_from(parents.len() - before).unwrap_or(u8::MAX));
            ids.extend_from_slice(id);
            ages.push(age);
        }
        let id = |commit: Commit| &ids[commit as usize * id_length..][..id_length];
        let mut by_id: Vec<Commit> = (0..).take(counts.len()).collect();
        by_id.sort_unstable_by(|&one, &other| id(one).cmp(id(other)));
        let mut fan = vec![0u32; FAN];
        ids.chunks_exact(id_length).for_each(|id| fan[prefix(id) + 1] += 1);
        for at in 1..FAN {
            fan[at] += fan[at - 1];
        }
        let mut body = Vec::with_capacity(ids.len() + counts.len() + 4 * (2 * counts.len() + FAN + parents.len()) + 8);
        let add = |body: &mut Vec<u8>, numbers: &[u32]| {
            numbers.iter().for_each(|number| body.extend_from_slice(&number.to_le_bytes()));
        };
        add(&mut body, &[narrow(counts.len()), narrow(parents.len())]);
        body.extend_from_slice(&ids);
        add(&mut body, &by_id);
        add(&mut body, &fan);
        body.extend_from_slice(&counts);
        add(&mut body, &parents);
        add(&mut body, &ages);
        let parts = Parts::of(&body, id_length).unwrap_or_default();
        Graph { id_length, body, parts, others: Vec::new(), other_numbers: Map::default() }
    }

    pub(super) fn len(&self) -> usize {
        self.parts.count + self.others.len()
    }

    pub(super) fn id(&self, commit: Commit) -> &oid {
        oid::from_bytes_unchecked(match self.other(commit) {
            Some((id, ..)) => id,
            None => &self.body[self.parts.ids.start + commit as usize * self.id_length..][..self.id_length],
        })
    }

    fn other(&self, commit: Commit) -> Option<&Other> {
        self.others.get((commit as usize).checked_sub(self.parts.count)?)
    }

    fn number(&self, part: &Range<usize>, at: usize) -> u32 {
        let at = part.start + 4 * at;
        self.body[at..].first_chunk().map_or(0, |bytes| u32::from_le_bytes(*bytes))
    }

    /// The number of the commit of this id, if it is there.
    pub(super) fn find(&self, id: &oid) -> Option<Commit> {
        if id.as_bytes().len() != self.id_length || self.body.is_empty() {
            return None;
        }
        let prefix = prefix(id.as_bytes());
        let mut from = self.number(&self.parts.fan, prefix) as usize;
        let mut to = self.number(&self.parts.fan, prefix + 1) as usize;
        while from < to {
            let middle = from.midpoint(to);
            let commit = self.number(&self.parts.by_id, middle);
            match id.cmp(self.id(commit)) {
                std::cmp::Ordering::Equal => return Some(commit),
                std::cmp::Ordering::Less => to = middle,
                std::cmp::Ordering::Greater => from = middle + 1,
            }
        }
        self.other_numbers.get(id).copied()
    }

    pub(super) fn parents(&self, commit: Commit) -> impl Iterator<Item = Commit> {
        let other = self.other(commit).map_or(&[][..], |(_, parents, _)| parents);
        let at = commit as usize;
        let end = self.parts.ends.get(at).map_or(0, |&end| end as usize);
        let start = at.checked_sub(1).and_then(|before| self.parts.ends.get(before)).map_or(0, |&end| end as usize);
        let own = start.min(end)..end;
        own.map(|at| self.number(&self.parts.parents, at)).chain(other.iter().copied())
    }

    fn age(&self, commit: Commit) -> u32 {
        self.other(commit).map_or_else(|| self.number(&self.parts.ages, commit as usize), |&(.., age)| age)
    }

    /// Adds a commit whose parents are there already, and gives its age.
    pub(super) fn add(&mut self, id: ObjectId, time: i64, parents: impl Iterator<Item = ObjectId>) -> u32 {
        if let Some(known) = self.find(&id) {
            return self.age(known);
        }
        let parents: Vec<Commit> = parents.filter_map(|parent| self.find(&parent)).collect();
        let age = age(time, parents.iter().map(|&parent| self.age(parent)).max());
        self.other_numbers.insert(id, narrow(self.len()));
        self.others.push((id.as_bytes().to_vec(), parents, age));
        age
    }

    /// Gives a claim to each commit that can be reached from this one and has none. Behind those in `cut` nothing is
    /// reached.
    pub(super) fn claim(&self, claims: &mut [u32], from: Commit, claim: u32, cut: &Set<Commit>) {
        if claims[from as usize] != UNCLAIMED {
            return;
        }
        claims[from as usize] = claim;
        let mut open = vec![from];
        while let Some(commit) = open.pop() {
            if !cut.is_empty() && cut.contains(&commit) {
                continue;
            }
            for parent in self.parents(commit) {
                if claims[parent as usize] == UNCLAIMED {
                    claims[parent as usize] = claim;
                    open.push(parent);
                }
            }
        }
    }

    /// What is not in the file.
    pub(super) fn others(&self) -> &[Other] {
        &self.others
    }

    /// Whether the commits beside the file should join it.
    pub(super) fn is_loose(&self) -> bool {
        self.others.len() >= JOIN_FROM && self.others.len() >= self.parts.count / 16
    }

    /// Takes in the commits beside the file, and gives for each former number the new one.
    pub(super) fn join(&mut self) -> Vec<Commit> {
        let mut order: Vec<Commit> = (0..narrow(self.len())).collect();
        order.sort_unstable_by(|&one, &other| (self.age(one), self.id(one)).cmp(&(self.age(other), self.id(other))));
        let mut numbers = vec![0; order.len()];
        (0..).zip(&order).for_each(|(new, &old)| numbers[old as usize] = new);
        let rows = order.iter().map(|&old| {
            let parents: Vec<Commit> = self.parents(old).map(|parent| numbers[parent as usize]).collect();
            (self.id(old).as_bytes(), parents.into_iter(), self.age(old))
        });
        *self = Graph::build(self.id_length, rows);
        numbers
    }

    /// Writes what is in order, and gives the digest by which it is known; `None` if it cannot be written.
    pub(super) fn write(&self, file: &Path) -> Option<[u8; 32]> {
        let digest = *blake3::hash(&self.body).as_bytes();
        let checksum = crc32fast::hash(&self.body).to_le_bytes();
        write_atomically(file, &[MAGIC, &digest, &checksum, &self.body])?;
        Some(digest)
    }

    /// Reads the file of this digest, and adds what is not in it.
    pub(super) fn read(file: &Path, digest: &[u8; 32], kind: gix::hash::Kind, others: Vec<Other>) -> Option<Graph> {
        use std::io::Read as _;
        let mut file = fs::File::open(file).ok()?;
        let mut head = [0; HEAD];
        file.read_exact(&mut head).ok()?;
        if head[..16] != *MAGIC || head[16..48] != *digest {
            return None;
        }
        let mut body = Vec::new();
        file.read_to_end(&mut body).ok()?;
        if crc32fast::hash(&body).to_le_bytes() != head[48..] {
            return None;
        }
        let id_length = kind.len_in_bytes();
        let parts = Parts::of(&body, id_length)?;
        if !parts.is_sound(&body) {
            return None;
        }
        let mut graph = Graph { id_length, body, parts, others: Vec::new(), other_numbers: Map::default() };
        for other in others {
            let id = ObjectId::try_from(&other.0[..]).ok().filter(|id| id.kind() == kind)?;
            graph.other_numbers.insert(id, narrow(graph.len()));
            graph.others.push(other);
        }
        let count = narrow(graph.len());
        let is_sound = graph.others.iter().flat_map(|(_, parents, _)| parents).all(|&parent| parent < count);
        is_sound.then_some(graph)
    }

    /// Whether the file is there and of this digest, as far as its head tells.
    pub(super) fn is_there(file: &Path, digest: &[u8; 32]) -> bool {
        use std::io::Read as _;
        let mut head = [0; 48];
        let read = fs::File::open(file).and_then(|mut file| file.read_exact(&mut head));
        read.is_ok() && head[..16] == *MAGIC && head[16..] == *digest
    }
}

impl Parts {
    fn of(body: &[u8], id_length: usize) -> Option<Parts> {
        let number = |at: usize| body.get(at..)?.first_chunk().map(|bytes| u32::from_le_bytes(*bytes) as usize);
        let (count, links) = (number(0)?, number(4)?);
        let mut at: usize = 8;
        let mut part = |length: usize| {
            let start = at;
            at = start.checked_add(length)?;
            Some(start..at)
        };
        let ids = part(count.checked_mul(id_length)?)?;
        let by_id = part(count.checked_mul(4)?)?;
        let fan = part(4 * FAN)?;
        let counts = part(count)?;
        let parents = part(links.checked_mul(4)?)?;
        let ages = part(count.checked_mul(4)?)?;
        if ages.end != body.len() {
            return None;
        }
        let mut end = 0;
        let ends: Vec<u32> = body[counts]
            .iter()
            .map(|&count| {
                end += u32::from(count);
                end
            })
            .collect();
        (end as usize == links).then_some(Parts { count, ids, by_id, fan, parents, ages, ends })
    }

    /// Whether every number is that of a commit.
    fn is_sound(&self, body: &[u8]) -> bool {
        let below = |part: &Range<usize>, end: usize| {
            body[part.clone()].as_chunks::<4>().0.iter().all(|bytes| (u32::from_le_bytes(*bytes) as usize) < end)
        };
        below(&self.by_id, self.count) && below(&self.parents, self.count) && below(&self.fan, self.count + 1)
    }
}

fn prefix(id: &[u8]) -> usize {
    usize::from(id[0]) << 8 | usize::from(id[1])
}

fn narrow(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u8) -> ObjectId {
        ObjectId::from_bytes_or_panic(blake3::hash(&[number]).as_bytes().first_chunk::<20>().expect("20 bytes"))
    }

    /// A line of ten commits, and one beside it.
    fn graph() -> Graph {
        let ids: Vec<ObjectId> = (0..10).map(id).collect();
        let rows = (0..10u8).map(|at| {
            (ids[usize::from(at)].as_bytes(), at.checked_sub(1).map(u32::from).into_iter(), 100 + u32::from(at))
        });
        let mut graph = Graph::build(20, rows);
        assert_eq!(graph.add(id(10), 5, std::iter::once(id(9))), 110);
        assert_eq!(graph.add(id(11), 50, [id(0), id(77)].into_iter()), 101);
        assert_eq!(graph.add(id(3), 0, std::iter::empty()), 103);
        graph
    }

    fn parents(graph: &Graph, of: u8) -> Vec<ObjectId> {
        let commit = graph.find(&id(of)).expect("is there");
        graph.parents(commit).map(|parent| graph.id(parent).to_owned()).collect()
    }

    #[test]
    fn commits_are_found_with_their_parents_before_and_after_they_join() {
        let mut graph = graph();
        let before: Vec<Commit> = (0..12).map(|at| graph.find(&id(at)).expect("is there")).collect();
        for joined in [false, true] {
            assert_eq!(graph.len(), 12);
            assert_eq!((parents(&graph, 0), parents(&graph, 5)), (vec![], vec![id(4)]), "{joined}");
            assert_eq!((parents(&graph, 10), parents(&graph, 11)), (vec![id(9)], vec![id(0)]), "{joined}");
            assert_eq!(graph.find(&id(99)), None);
            if !joined {
                let numbers = graph.join();
                for (at, &old) in (0..12).zip(&before) {
                    assert_eq!(graph.find(&id(at)), Some(numbers[old as usize]));
                }
                assert!(graph.others().is_empty());
            }
        }
    }

    #[test]
    fn the_first_claim_counts_and_nothing_lies_behind_a_cut() {
        let graph = graph();
        let at = |number| graph.find(&id(number)).expect("is there");
        let mut claims = vec![UNCLAIMED; graph.len()];
        graph.claim(&mut claims, at(4), 1, &Set::default());
        graph.claim(&mut claims, at(10), 2, &Set::from_iter([at(8)]));
        let told: Vec<u32> = (0..12).map(|number| claims[at(number) as usize]).collect();
        let none = UNCLAIMED;
        assert_eq!(told, [1, 1, 1, 1, 1, none, none, none, 2, 2, 2, none]);
    }

    #[test]
    fn a_file_that_is_damaged_or_another_is_none() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("commits");
        let graph = graph();
        let digest = graph.write(&path).expect("written");
        let read = |digest: &[u8; 32]| Graph::read(&path, digest, gix::hash::Kind::Sha1, graph.others().to_vec());
        let again = read(&digest).expect("sound");
        assert_eq!((again.len(), parents(&again, 11)), (12, vec![id(0)]));
        assert!(read(&[0; 32]).is_none() && Graph::is_there(&path, &digest) && !Graph::is_there(&path, &[0; 32]));
        let sound = fs::read(&path).expect("read");
        for at in (0..sound.len()).step_by(sound.len() / 40 + 1).chain([sound.len() - 1]) {
            let mut damaged = sound.clone();
            damaged[at] ^= 1;
            fs::write(&path, damaged).expect("written");
            assert!(read(&digest).is_none(), "byte {at}");
        }
        fs::write(&path, &sound[..sound.len() / 2]).expect("written");
        assert!(read(&digest).is_none());
    }
}
