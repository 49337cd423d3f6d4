//! Decoding every object of a pack once: each delta tree from its root, depth first.
//!
//! A base stays in memory while it has children to come. The child with the largest family comes last, and its base is
//! let go as soon as it is decoded; so a thread holds at most as many bases as the logarithm of the family's size, however
//! deep it is. A thread that has run out of work is given a subtree by one that has some.

use std::collections::VecDeque;
use std::io::Read;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use gix::objs::Kind;
use libdeflater::{DecompressionError, Decompressor};

use super::delta::{self, Segments};
use super::family::{Families, NONE, Node};
use super::objects::{ObjectIndex, Pack, Store};
use crate::engine::Segment;

/// Objects larger than this are never held in memory. Git itself stores files from this size on (`core.bigFileThreshold`)
/// as they are, never as deltas.
pub(super) const MAX_IN_MEMORY: u64 = 512 << 20;

/// Files that are larger, and that no delta is based on, are searched as a stream.
pub(super) const STREAM_FROM: u64 = 16 << 20;

/// Takes the objects that a walk decodes.
pub(super) trait Visitor: Send {
    /// What it keeps of an object for as long as versions of it are to come.
    type Kept: Send + Sync;
    /// Whether it is to be told which parts of a version are copies.
    const SEGMENTS: bool;
    /// A decoded object, and how it was made, if it is a version of another. What is known of it is asked for if it
    /// is the `base` of others.
    fn object(
        &mut self,
        object: ObjectIndex,
        kind: Kind,
        data: &[u8],
        from: Option<From<'_, Self::Kept>>,
        base: bool,
    ) -> Option<Self::Kept>;
    /// Takes back what it kept, once all versions have been visited.
    fn take_back(&mut self, kept: Self::Kept);
    /// A file too large to decode in memory, as a reader of the deflated stream of `size` bytes that it is stored as.
    fn stream(&mut self, object: ObjectIndex, deflated: &mut dyn Read, size: u64);
}

/// The object, of the same kind, that a pack stores another as a delta against.
pub(super) struct From<'b, K> {
    pub(super) object: ObjectIndex,
    pub(super) data: &'b [u8],
    pub(super) kept: Option<&'b K>,
    /// Which parts of the other are copies, if the visitor wants to know.
    pub(super) segments: &'b [Segment],
}

/// An object that versions of it are made from.
struct Base<K> {
    object: ObjectIndex,
    data: Vec<u8>,
    kept: Option<K>,
}

/// Decodes the objects of a pack, one visitor a thread.
pub(super) fn walk_pack<V: Visitor>(store: &Store, pack: &Pack, visitors: &mut [V]) {
    let roots = &pack.families.roots;
    let threads = if roots.len() < 32 && pack.families.len() < 512 { 1 } else { visitors.len() };
    let shared = Shared {
        store,
        pack,
        families: &pack.families,
        roots,
        next_root: AtomicUsize::new(0),
        hungry: AtomicUsize::new(0),
        queue: Mutex::new(Queue { jobs: VecDeque::new(), idle: 0, abandoned: false }),
        wake: Condvar::new(),
        threads,
    };
    let mut visitors = visitors.iter_mut().take(threads);
    let own = visitors.next();
    std::thread::scope(|scope| {
        for visitor in visitors {
            let shared = &shared;
            scope.spawn(move || Walk::new(shared, visitor).run());
        }
        if let Some(visitor) = own {
            Walk::new(&shared, visitor).run();
        }
    });
}

/// What the threads of one walk share.
struct Shared<'w, K> {
    store: &'w Store,
    pack: &'w Pack,
    families: &'w Families,
    roots: &'w [(Node, Kind)],
    next_root: AtomicUsize,
    /// Threads that wait for work and have none coming.
    hungry: AtomicUsize,
    queue: Mutex<Queue<K>>,
    wake: Condvar,
    threads: usize,
}

struct Queue<K> {
    jobs: VecDeque<Job<K>>,
    idle: usize,
    /// Set when a thread panics, so that the others do not wait for it.
    abandoned: bool,
}

/// A subtree to decode.
struct Job<K> {
    node: Node,
    kind: Kind,
    base: Option<Arc<Base<K>>>,
}

impl<K> Shared<'_, K> {
    fn next(&self) -> Option<Job<K>> {
        if let Some(&(node, kind)) = self.roots.get(self.next_root.fetch_add(1, Ordering::Relaxed)) {
            return Some(Job { node, kind, base: None });
        }
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        queue.idle += 1;
        loop {
            if let Some(job) = queue.jobs.pop_front() {
                queue.idle -= 1;
                return Some(job);
            }
            if queue.idle == self.threads || queue.abandoned {
                self.wake.notify_all();
                return None;
            }
            self.hungry.store(queue.idle, Ordering::Relaxed);
            queue = self.wake.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn give(&self, job: Job<K>) {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        queue.jobs.push_back(job);
        self.hungry.store(queue.idle.saturating_sub(queue.jobs.len()), Ordering::Relaxed);
        self.wake.notify_one();
    }
}

/// A decoded object whose children are being visited.
struct Frame<K> {
    kind: Kind,
    base: Arc<Base<K>>,
    light: Node,
    heavy: Node,
}

/// One thread of a walk.
struct Walk<'w, V: Visitor> {
    shared: &'w Shared<'w, V::Kept>,
    visitor: &'w mut V,
    inflate: Decompressor,
    instructions: Vec<u8>,
    segments: Segments,
    spare: Vec<Vec<u8>>,
    frames: Vec<Frame<V::Kept>>,
}

impl<'w, V: Visitor> Walk<'w, V> {
    fn new(shared: &'w Shared<'w, V::Kept>, visitor: &'w mut V) -> Self {
        Walk {
            shared,
            visitor,
            inflate: Decompressor::new(),
            instructions: Vec::new(),
            segments: Segments::default(),
            spare: Vec::new(),
            frames: Vec::new(),
        }
    }

    fn run(&mut self) {
        while let Some(job) = self.shared.next() {
            self.visit(job.node, job.kind, job.base);
            while let Some(frame) = self.frames.last_mut() {
                let (node, kind) = if frame.light != NONE {
                    let node = frame.light;
                    frame.light = self.shared.families.next_light(node);
                    (node, frame.kind)
                } else {
                    (std::mem::replace(&mut frame.heavy, NONE), frame.kind)
                };
                let base = if frame.light == NONE && frame.heavy == NONE {
                    self.frames.pop().map(|frame| frame.base)
                } else {
                    Some(Arc::clone(&frame.base))
                };
                if node != NONE {
                    self.visit(node, kind, base);
                }
                if self.shared.hungry.load(Ordering::Relaxed) > 0 {
                    self.share();
                }
            }
        }
    }

    /// Gives away the largest subtree at hand.
    fn share(&mut self) {
        for frame in &mut self.frames {
            let node = if frame.heavy != NONE {
                std::mem::replace(&mut frame.heavy, NONE)
            } else if frame.light != NONE {
                let node = frame.light;
                frame.light = self.shared.families.next_light(node);
                node
            } else {
                continue;
            };
            self.shared.give(Job { node, kind: frame.kind, base: Some(Arc::clone(&frame.base)) });
            return;
        }
    }

    /// Decodes an object, hands it to the visitor and makes a frame of it if it has children.
    fn visit(&mut self, node: Node, kind: Kind, base: Option<Arc<Base<V::Kept>>>) {
        let object = self.shared.families.object(node);
        let mut data = self.spare.pop().unwrap_or_default();
        let decoded = self.decode(node, kind, base.as_ref().map(|base| &base.data), &mut data);
        if let Err(error) = decoded {
            self.shared.store.note_corrupt(object, error);
            self.abandon_children(node);
            self.keep_spare(data);
            return;
        }
        let (light, heavy) = (self.shared.families.first_light(node), self.shared.families.heavy(node));
        let mut kept = None;
        if decoded == Ok(Decoded::InMemory) {
            let from = base.as_ref().map(|base| From {
                object: base.object,
                data: &base.data,
                kept: base.kept.as_ref(),
                segments: self.segments.as_slice(),
            });
            kept = self.visitor.object(object, kind, &data, from, heavy != NONE);
        }
        if let Some(base) = base.and_then(Arc::into_inner) {
            self.keep_spare(base.data);
            if let Some(kept) = base.kept {
                self.visitor.take_back(kept);
            }
        }
        if heavy == NONE {
            self.keep_spare(data);
        } else {
            self.frames.push(Frame { kind, base: Arc::new(Base { object, data, kept }), light, heavy });
        }
    }

    fn decode(
        &mut self,
        node: Node,
        kind: Kind,
        base: Option<&Vec<u8>>,
        data: &mut Vec<u8>,
    ) -> Result<Decoded, &'static str> {
        let (pack, families) = (&self.shared.pack.file, self.shared.families);
        let range = families.range(node, pack.end());
        if range.is_empty() {
            return Err("its pack is cut off before it");
        }
        let object = families.object(node);
        // A stream is not to be read into memory: its header tells.
        let head = range.start..range.end.min(range.start + 64);
        let long = range.end - range.start > STREAM_FROM / 1_032;
        let mut raw = pack.bytes(if long { head } else { range.clone() });
        let entry = pack.header(raw, range.start).ok_or("its header in the pack cannot be read")?;
        let size = entry.decompressed_size;
        if long {
            if base.is_none() && kind == Kind::Blob && size > STREAM_FROM && families.heavy(node) == NONE {
                self.visitor.stream(object, &mut pack.reader(entry.data_offset), size);
                return Ok(Decoded::Streamed);
            }
            if range.end - range.start > MAX_IN_MEMORY {
                return Err(TOO_LARGE);
            }
            raw = pack.bytes(range.clone());
        }
        let header_length = usize::try_from(entry.data_offset - range.start).unwrap_or(usize::MAX);
        let deflated = raw.get(header_length..).ok_or("its pack is cut off before it")?;
        let Some(base) = base else {
            inflate(&mut self.inflate, deflated, size, data)?;
            return Ok(Decoded::InMemory);
        };
        inflate(&mut self.inflate, deflated, size, &mut self.instructions)?;
        let sizes = delta::sizes(&self.instructions).map_err(|error| error.0)?;
        if sizes.result > MAX_IN_MEMORY {
            return Err(TOO_LARGE);
        }
        self.segments.clear();
        let segments = V::SEGMENTS.then_some(&mut self.segments);
        delta::apply(base, &self.instructions, sizes, data, segments).map_err(|error| error.0)?;
        Ok(Decoded::InMemory)
    }

    /// Notes everything that is stored as a delta against a damaged object.
    fn abandon_children(&self, node: Node) {
        let families = self.shared.families;
        let mut nodes = vec![node];
        while let Some(parent) = nodes.pop() {
            let mut light = families.first_light(parent);
            let lights = std::iter::from_fn(|| {
                let node = (light != NONE).then_some(light)?;
                light = families.next_light(node);
                Some(node)
            });
            let heavy = Some(families.heavy(parent)).filter(|&node| node != NONE);
            for child in lights.chain(heavy).collect::<Vec<_>>() {
                self.shared.store.note_corrupt(families.object(child), "its delta base is corrupt");
                nodes.push(child);
            }
        }
    }

    fn keep_spare(&mut self, buffer: Vec<u8>) {
        if self.spare.len() < 8 && buffer.capacity() <= 4 << 20 {
            self.spare.push(buffer);
        }
    }
}

impl<V: Visitor> Drop for Walk<'_, V> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.shared.queue.lock().unwrap_or_else(PoisonError::into_inner).abandoned = true;
            self.shared.wake.notify_all();
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Decoded {
    InMemory,
    Streamed,
}

/// Why an object is not decoded that is sound for all that is known.
pub(super) const TOO_LARGE: &str = "larger than 512 MiB once decoded";

/// Inflates exactly `size` bytes into `out`.
pub(super) fn inflate(
    inflate: &mut Decompressor,
    deflated: &[u8],
    size: u64,
    out: &mut Vec<u8>,
) -> Result<(), &'static str> {
    // Deflate shrinks by 1,032 at most: a header that promises more lies, and is not worth an allocation.
    if size > (deflated.len() as u64).saturating_mul(1_032) {
        return Err("its pack is cut off within it");
    }
    if size > MAX_IN_MEMORY {
        return Err(TOO_LARGE);
    }
    let size = usize::try_from(size).map_err(|_| TOO_LARGE)?;
    out.clear();
    out.resize(size, 0);
    match inflate.zlib_decompress(deflated, out) {
        Ok(written) if written == size => Ok(()),
        Ok(_) | Err(DecompressionError::InsufficientSpace) => {
            Err("its deflated data has another length than its header says")
        }
        Err(DecompressionError::BadData) => Err("its deflated data is damaged"),
    }
}
