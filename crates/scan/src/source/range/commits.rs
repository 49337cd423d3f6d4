//! Which commits a range holds: those that its tips reach and its known side does not.
//!
//! Commits are visited from the youngest on, by generation where a commit-graph tells it, else by date. The known side
//! is followed only as far as it can still meet the other: with a commit-graph exactly, without one until only older
//! commits remain, and some more for clocks that were wrong. If it is followed too little, commits are searched that
//! others have already; never the other way round.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

use gix::ObjectId;
use gix::objs::Kind;

use super::objects::{Objects, Unread};
use super::texts::headers;

/// How many commits of the known side are looked at beyond the range's oldest, where only dates tell the order.
const SLOP: u32 = 128;

/// Generation of a commit that no commit-graph knows: younger than all that one knows.
const YOUNG: u32 = u32::MAX;

/// A commit of the range.
#[derive(Debug, Clone)]
pub(super) struct Commit {
    pub(super) id: ObjectId,
    pub(super) tree: Option<ObjectId>,
    pub(super) parents: Vec<ObjectId>,
}

/// Which side of the range reaches a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    /// Reached by what comes.
    New,
    /// Reached by what is there already.
    Known,
}

type Age = (u32, i64);

struct Node {
    side: Side,
    visited: bool,
    tree: Option<ObjectId>,
    parents: Vec<ObjectId>,
    age: Age,
}

/// The walk over commits from both sides.
pub(super) struct Commits<'w> {
    objects: &'w Objects,
    graph: Option<&'w gix::commitgraph::Graph>,
    nodes: HashMap<ObjectId, Node>,
    queue: BinaryHeap<(Age, ObjectId)>,
    /// Commits of the new side in the queue.
    open: usize,
    oldest: Age,
    absent: HashMap<ObjectId, (Side, Unread)>,
    buffer: Vec<u8>,
}

impl<'w> Commits<'w> {
    pub(super) fn new(objects: &'w Objects, graph: Option<&'w gix::commitgraph::Graph>) -> Self {
        Commits {
            objects,
            graph,
            nodes: HashMap::new(),
            queue: BinaryHeap::new(),
            open: 0,
            oldest: (YOUNG, i64::MAX),
            absent: HashMap::new(),
            buffer: Vec::new(),
        }
    }

    /// Adds a commit to a side, before the walk or during it.
    pub(super) fn add(&mut self, id: ObjectId, side: Side) {
        match self.nodes.get(&id).map(|node| node.side) {
            Some(Side::New) if side == Side::Known => return self.hide(id),
            Some(_) => return,
            None => {}
        }
        if let Some((known, _)) = self.absent.get_mut(&id) {
            if side == Side::Known {
                *known = side;
            }
            return;
        }
        match self.load(id, side) {
            Ok(node) => {
                self.queue.push((node.age, id));
                self.open += usize::from(side == Side::New);
                self.nodes.insert(id, node);
            }
            Err(unread) => {
                self.absent.insert(id, (side, unread));
            }
        }
    }

    fn load(&mut self, id: ObjectId, side: Side) -> Result<Node, Unread> {
        let listed = self.graph.and_then(|graph| Some((graph, graph.commit_by_id(id)?)));
        let generation = |generation: u32| if generation == 0 { YOUNG } else { generation };
        if let (Side::Known, Some((graph, commit))) = (side, &listed) {
            let positions: Result<Vec<_>, _> = commit.iter_parents().collect();
            if let Ok(positions) = positions {
                let parents = positions.into_iter().map(|at| graph.id_at(at).to_owned()).collect();
                let time = i64::try_from(commit.committer_timestamp()).unwrap_or(i64::MAX);
                let tree = Some(commit.root_tree_id().to_owned());
                return Ok(Node { side, visited: false, tree, parents, age: (generation(commit.generation()), time) });
            }
        }
        let data = self.objects.read_as(id, Kind::Commit, &mut self.buffer)?;
        let headers = headers(data, Kind::Commit);
        let age = (listed.map_or(YOUNG, |(_, commit)| generation(commit.generation())), headers.time);
        Ok(Node { side, visited: false, tree: headers.target, parents: headers.parents, age })
    }

    /// Moves a commit, and all that is known to lie below it, to the known side.
    fn hide(&mut self, id: ObjectId) {
        let mut below = vec![id];
        while let Some(id) = below.pop() {
            if let Some((side, _)) = self.absent.get_mut(&id) {
                *side = Side::Known;
            }
            let Some(node) = self.nodes.get_mut(&id) else { continue };
            if node.side == Side::Known {
                continue;
            }
            node.side = Side::Known;
            if node.visited {
                below.extend_from_slice(&node.parents);
            } else {
                self.open -= 1;
            }
        }
    }

    /// Visits commits until the sides are told apart.
    pub(super) fn walk(&mut self) {
        let mut slop = SLOP;
        while let Some(&(age, id)) = self.queue.peek() {
            if self.open == 0 && age < self.oldest {
                slop = if age.0 == YOUNG && self.oldest.0 == YOUNG { slop - 1 } else { 0 };
            }
            if slop == 0 || (self.open == 0 && self.oldest == (YOUNG, i64::MAX)) {
                break;
            }
            self.queue.pop();
            let Some(node) = self.nodes.get_mut(&id) else { continue };
            node.visited = true;
            let (side, parents) = (node.side, node.parents.clone());
            if side == Side::New {
                self.open -= 1;
                self.oldest = self.oldest.min(age);
            }
            for parent in parents {
                self.add(parent, side);
            }
        }
    }

    /// Whether the range holds a commit.
    pub(super) fn is_new(&self, id: ObjectId) -> bool {
        self.nodes.get(&id).is_some_and(|node| node.side == Side::New)
    }

    /// Commits that belong to the range and cannot be read: history that this clone does not have.
    pub(super) fn unread(&self) -> Vec<(ObjectId, Unread)> {
        let new = self.absent.iter().filter(|(_, (side, _))| *side == Side::New);
        let mut unread: Vec<_> = new.map(|(id, (_, unread))| (*id, *unread)).collect();
        unread.sort_unstable_by_key(|(id, _)| *id);
        unread
    }

    /// The tree of a commit that the walk has met.
    pub(super) fn tree(&self, id: ObjectId) -> Option<ObjectId> {
        self.nodes.get(&id).and_then(|node| node.tree)
    }

    /// Commits of the known side that commits of the range come from.
    pub(super) fn boundary(&self) -> Vec<ObjectId> {
        let new = self.nodes.values().filter(|node| node.side == Side::New);
        let mut boundary: Vec<_> = new.flat_map(|node| &node.parents).copied().filter(|id| !self.is_new(*id)).collect();
        boundary.sort_unstable();
        boundary.dedup();
        boundary
    }

    /// The range's commits: parents before children, and among those that could come next the oldest first.
    pub(super) fn in_order(&self) -> Vec<Commit> {
        let new = || self.nodes.iter().filter(|(_, node)| node.side == Side::New);
        let mut children: HashMap<ObjectId, Vec<ObjectId>> = HashMap::new();
        let mut waiting: HashMap<ObjectId, usize> = HashMap::new();
        let mut ready = BinaryHeap::new();
        for (&id, node) in new() {
            let parents: Vec<_> = node.parents.iter().filter(|parent| self.is_new(**parent)).collect();
            for parent in &parents {
                children.entry(**parent).or_default().push(id);
            }
            if parents.is_empty() {
                ready.push(Reverse((node.age.1, id)));
            } else {
                waiting.insert(id, parents.len());
            }
        }
        let mut ordered = Vec::new();
        while let Some(Reverse((_, id))) = ready.pop() {
            let Some(node) = self.nodes.get(&id) else { continue };
            ordered.push(Commit { id, tree: node.tree, parents: node.parents.clone() });
            for child in children.remove(&id).unwrap_or_default() {
                let Some(count) = waiting.get_mut(&child) else { continue };
                *count -= 1;
                if *count == 0
                    && let Some(node) = self.nodes.get(&child)
                {
                    ready.push(Reverse((node.age.1, child)));
                }
            }
        }
        ordered
    }
}
