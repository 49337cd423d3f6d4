//! Which object of a pack is stored as a delta against which.

use gix::objs::Kind;
use gix::odb::pack;
use gix::odb::pack::data::entry::Header;

use super::objects::ObjectIndex;
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
    /// Objects that are stored whole, in the order of the pack.
    pub(super) roots: Vec<(Node, Kind)>,
}

impl Families {
    /// Reads the headers of all of a pack's objects, which are `objects` in the order of its index. Objects with a
    /// damaged header, or whose base is not in the pack, are given to `corrupt`, and belong to no family.
    pub(super) fn read(
        pack: &PackFile,
        index: &pack::index::File,
        objects: &[ObjectIndex],
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
            roots: Vec::new(),
            offsets,
            objects,
        };
        let parents = families.parents(pack, index, &mut corrupt);
        families.link(&parents);
        families
    }

    fn parents(
        &mut self,
        pack: &PackFile,
        index: &pack::index::File,
        corrupt: &mut dyn FnMut(ObjectIndex, &'static str),
    ) -> Vec<Node> {
        let mut parents = vec![NONE; self.offsets.len()];
        let mut headers = Headers { pack, window: Vec::new(), start: 0 };
        for (node, &offset) in self.offsets.iter().enumerate() {
            let base = match headers.at(offset) {
                Some(Header::OfsDelta { base_distance }) => offset.checked_sub(base_distance),
                Some(Header::RefDelta { base_id }) => index.lookup(base_id).map(|at| index.pack_offset_at_index(at)),
                Some(header) => {
                    if let Some(kind) = header.as_kind() {
                        self.roots.push((node as Node, kind));
                    }
                    continue;
                }
                None => {
                    corrupt(self.objects[node], "its header in the pack cannot be read");
                    continue;
                }
            };
            match base.and_then(|base| self.offsets.binary_search(&base).ok()) {
                Some(parent) if parent != node => parents[node] = parent as Node,
                _ => corrupt(self.objects[node], "its delta base is not in the pack"),
            }
        }
        parents
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
}

impl Headers<'_> {
    /// A size, a distance or an id: no header is longer.
    const LONGEST: u64 = 64;
    const WINDOW: u64 = 256 << 10;

    fn at(&mut self, offset: u64) -> Option<Header> {
        let covered = self.start..self.start + self.window.len() as u64;
        let whole = offset + Self::LONGEST <= covered.end || covered.end == self.pack.end();
        if !(whole && covered.contains(&offset)) {
            self.start = offset;
            self.pack.read(offset..offset.checked_add(Self::WINDOW)?, &mut self.window).ok()?;
        }
        let bytes = self.window.get(usize::try_from(offset - self.start).ok()?..)?;
        Some(self.pack.header(bytes, offset)?.header)
    }
}
