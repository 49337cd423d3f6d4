//! Which object of a pack is stored as a delta against which.

use gix::objs::Kind;
use gix::odb::pack;
use gix::odb::pack::data::entry::Header;

use super::objects::{ObjectIndex, Wanted};
use super::pack::PackFile;

/// A position in [`Families`].
pub(super) type Node = u32;

pub(super) const NONE: Node = u32::MAX;

/// The delta trees of one pack: 28 bytes per object.
pub(super) struct Families {
    offsets: Vec<u64>,
    objects: Vec<ObjectIndex>,
    /// The child with the largest family; it is visited last, so that its base can be let go first.
    heavy: Vec<Node>,
    first_light: Vec<Node>,
    next_light: Vec<Node>,
    /// What each is based on.
    parents: Vec<Node>,
    /// Objects that are stored whole, in the order of the pack.
    pub(super) roots: Vec<(Node, Kind)>,
}

impl Families {
    /// Reads the headers of all of a pack's objects, which are `objects` in the order of its index. Objects with a
    /// damaged header, or whose base is not in the pack, are given to `corrupt`, and belong to no family; nor do those that
    /// are not wanted, unless a wanted one is based on them.
    pub(super) fn read(
        pack: &PackFile,
        index: &pack::index::File,
        objects: &[ObjectIndex],
        wanted: Wanted<'_>,
        mut corrupt: impl FnMut(ObjectIndex, &'static str),
    ) -> Families {
        let mut order: Vec<(u64, u32)> =
            (0..index.num_objects()).map(|at| (index.pack_offset_at_index(at), at)).collect();
        order.sort_unstable();
        let offsets: Vec<u64> = order.iter().map(|&(offset, _)| offset).collect();
        let objects: Vec<_> = order.iter().map(|&(_, at)| objects[at as usize]).collect();
        drop(order);
        let mut families = Families {
            heavy: vec![NONE; offsets.len()],
            first_light: vec![NONE; offsets.len()],
            next_light: vec![NONE; offsets.len()],
            parents: Vec::new(),
            roots: Vec::new(),
            offsets,
            objects,
        };
        let mut parents = families.parents_in(pack, index, wanted, &mut corrupt);
        families.leave_out(&mut parents, wanted);
        families.link(&parents);
        families.parents = parents;
        families
    }

    /// The parents of all objects, or of the wanted ones and all that they are based on, if those are few.
    fn parents_in(
        &mut self,
        pack: &PackFile,
        index: &pack::index::File,
        wanted: Wanted<'_>,
        corrupt: &mut dyn FnMut(ObjectIndex, &'static str),
    ) -> Vec<Node> {
        let mut parents = vec![NONE; self.offsets.len()];
        let mut due: Vec<Node> = match wanted {
            Wanted::New(_) => (0..self.len() as Node).filter(|&node| wanted.takes(self.object(node), true)).collect(),
            _ => Vec::new(),
        };
        let all = !matches!(wanted, Wanted::New(_)) || due.len() > self.len() / 16;
        let mut headers = Headers { pack, window: Vec::new(), start: 0, ahead: if all { 256 << 10 } else { 512 } };
        if all {
            (0..parents.len()).for_each(|node| {
                self.find_parent(node, index, &mut headers, &mut parents, corrupt);
            });
            return parents;
        }
        let mut seen = vec![false; parents.len()];
        while let Some(node) = due.pop() {
            if !std::mem::replace(&mut seen[node as usize], true) {
                self.find_parent(node as usize, index, &mut headers, &mut parents, corrupt);
                due.extend(Some(parents[node as usize]).filter(|&parent| parent != NONE));
            }
        }
        self.roots.sort_unstable_by_key(|&(node, _)| node);
        parents
    }

    fn find_parent(
        &mut self,
        node: usize,
        index: &pack::index::File,
        headers: &mut Headers<'_>,
        parents: &mut [Node],
        corrupt: &mut dyn FnMut(ObjectIndex, &'static str),
    ) {
        let offset = self.offsets[node];
        let base = match headers.at(offset) {
            Some(Header::OfsDelta { base_distance }) => offset.checked_sub(base_distance),
            Some(Header::RefDelta { base_id }) => index.lookup(base_id).map(|at| index.pack_offset_at_index(at)),
            Some(header) => {
                if let Some(kind) = header.as_kind() {
                    self.roots.push((node as Node, kind));
                }
                return;
            }
            None => return corrupt(self.objects[node], "its header in the pack cannot be read"),
        };
        match base.and_then(|base| self.offsets.binary_search(&base).ok()) {
            Some(parent) if parent != node => parents[node] = parent as Node,
            _ => corrupt(self.objects[node], "its delta base is not in the pack"),
        }
    }

    /// Takes what is not wanted, and what nothing wanted is based on, out of its family.
    fn leave_out(&mut self, parents: &mut [Node], wanted: Wanted<'_>) {
        if matches!(wanted, Wanted::All) {
            return;
        }
        // Of each object, whether it is a file, once that is known; only what has a root is anything.
        let mut is_blob: Vec<Option<bool>> = vec![None; parents.len()];
        self.roots.iter().for_each(|&(root, kind)| is_blob[root as usize] = Some(kind == Kind::Blob));
        let mut chain = Vec::new();
        for node in 0..parents.len() {
            let mut at = node;
            while is_blob[at].is_none() && parents[at] != NONE && chain.len() <= parents.len() {
                chain.push(at);
                at = parents[at] as usize;
            }
            // Nothing is known of what has no root, as in a circle; it is not visited either.
            let known = is_blob[at].unwrap_or(false);
            chain.drain(..).for_each(|at| is_blob[at] = Some(known));
        }
        let mut kept = vec![false; parents.len()];
        for (node, is_blob) in is_blob.iter().enumerate() {
            let mut at = node;
            if wanted.takes(self.objects[node], is_blob.unwrap_or(false)) {
                while !kept[at] {
                    kept[at] = true;
                    at = if parents[at] == NONE { at } else { parents[at] as usize };
                }
            }
        }
        parents.iter_mut().zip(&kept).filter(|(_, kept)| !**kept).for_each(|(parent, _)| *parent = NONE);
        self.roots.retain(|&(root, _)| kept[root as usize]);
    }

    /// Turns parents into children. Bases mostly stand before their deltas, so going backwards a node's weight is final
    /// when it is added to its parent's; where it is not, only the order of visits suffers.
    fn link(&mut self, parents: &[Node]) {
        let mut weights = vec![1u32; parents.len()];
        for node in (0..parents.len()).rev() {
            let parent = parents[node] as usize;
            if parents[node] == NONE {
                continue;
            }
            weights[parent] = weights[parent].saturating_add(weights[node]);
            let light = match self.heavy[parent] {
                NONE => {
                    self.heavy[parent] = node as Node;
                    continue;
                }
                heavy if weights[node] > weights[heavy as usize] => {
                    self.heavy[parent] = node as Node;
                    heavy
                }
                _ => node as Node,
            };
            self.next_light[light as usize] = self.first_light[parent];
            self.first_light[parent] = light;
        }
    }

    /// Where the object's entry is in the pack, whose entries end at `end`.
    pub(super) fn range(&self, node: Node, end: u64) -> std::ops::Range<u64> {
        let node = node as usize;
        self.offsets[node]..self.offsets.get(node + 1).copied().unwrap_or(end).min(end)
    }

    pub(super) fn len(&self) -> usize {
        self.offsets.len()
    }

    pub(super) fn object(&self, node: Node) -> ObjectIndex {
        self.objects[node as usize]
    }

    /// What the object is based on.
    pub(super) fn parent(&self, node: Node) -> Node {
        self.parents[node as usize]
    }

    /// The child that is visited last.
    pub(super) fn heavy(&self, node: Node) -> Node {
        self.heavy[node as usize]
    }

    /// The first of the other children.
    pub(super) fn first_light(&self, node: Node) -> Node {
        self.first_light[node as usize]
    }

    /// The next of the other children of the same parent.
    pub(super) fn next_light(&self, node: Node) -> Node {
        self.next_light[node as usize]
    }
}

/// Reads headers in the order of the pack, a large piece of it at a time.
struct Headers<'p> {
    pack: &'p PackFile,
    window: Vec<u8>,
    /// Where the window starts.
    start: u64,
    /// How much is read at a time.
    ahead: u64,
}

impl Headers<'_> {
    /// A size, a distance or an id: no header is longer.
    const LONGEST: u64 = 64;

    fn at(&mut self, offset: u64) -> Option<Header> {
        let covered = self.start..self.start + self.window.len() as u64;
        let whole = offset + Self::LONGEST <= covered.end || covered.end == self.pack.end();
        if !(whole && covered.contains(&offset)) {
            self.start = offset;
            self.pack.read(offset..offset.checked_add(self.ahead)?, &mut self.window).ok()?;
        }
        let bytes = self.window.get(usize::try_from(offset - self.start).ok()?..)?;
        Some(self.pack.header(bytes, offset)?.header)
    }
}
