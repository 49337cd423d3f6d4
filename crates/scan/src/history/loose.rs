//! Objects in files of their own.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::sync::atomic::{AtomicUsize, Ordering};

use gix::objs::Kind;
use gix::zlib::Decompress;

use super::objects::{Loose, ObjectIndex, Store};
use super::walk::{STREAM_FROM, TOO_LARGE};

/// Takes the objects that are decoded.
pub(super) trait LooseVisitor: Send {
    /// Whether the object is to be decoded at all.
    fn wants(&mut self, object: ObjectIndex) -> bool;
    /// Whether it is if it is a file.
    fn wants_blob(&mut self, object: ObjectIndex) -> bool;
    /// A decoded object.
    fn loose(&mut self, object: ObjectIndex, kind: Kind, data: &[u8]);
    /// A large file, as a reader of its content.
    fn loose_stream(&mut self, object: ObjectIndex, content: &mut dyn Read, size: u64);
}

/// Decodes all loose objects, one visitor a thread.
pub(super) fn walk_loose<V: LooseVisitor>(store: &Store, visitors: &mut [V]) {
    let next = AtomicUsize::new(0);
    let threads = visitors.len().min(store.loose.len().div_ceil(64));
    std::thread::scope(|scope| {
        for visitor in visitors.iter_mut().take(threads) {
            let next = &next;
            scope.spawn(move || {
                let mut data = Vec::new();
                while let Some(loose) = store.loose.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if visitor.wants(loose.object)
                        && let Err(error) = decode(store, loose, &mut data, visitor)
                    {
                        store.note_corrupt(loose.object, error);
                    }
                }
            });
        }
    });
}

fn decode<V: LooseVisitor>(
    store: &Store,
    loose: &Loose,
    data: &mut Vec<u8>,
    visitor: &mut V,
) -> Result<(), &'static str> {
    let hex = store.table.id(loose.object).to_hex().to_string();
    let path = store.directories[loose.directory as usize].join(&hex[..2]).join(&hex[2..]);
    let file = File::open(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => "its file has vanished",
        _ => "its file cannot be opened",
    })?;
    let length = file.metadata().map_or(0, |metadata| metadata.len());
    let mut content = Inflating::new(BufReader::new(file));
    let header = content.header()?;
    let (kind, size, header_length) = gix::objs::decode::loose_header(&header).map_err(|_| "its header is damaged")?;
    if header_length != header.len() {
        return Err("its header is damaged");
    }
    if kind == Kind::Blob && !visitor.wants_blob(loose.object) {
        return Ok(());
    }
    if size > length.saturating_mul(1_032) {
        return Err("its file is cut off");
    }
    if kind == Kind::Blob && size > STREAM_FROM {
        visitor.loose_stream(loose.object, &mut content, size);
        return Ok(());
    }
    if size > store.most() {
        return Err(TOO_LARGE);
    }
    data.clear();
    content.take(size + 1).read_to_end(data).map_err(|_| "its deflated data is damaged")?;
    if data.len() as u64 != size {
        return Err("its deflated data has another length than its header says");
    }
    visitor.loose(loose.object, kind, data);
    Ok(())
}

/// Reads what a zlib stream holds.
pub(super) struct Inflating<R> {
    inner: R,
    state: Decompress,
}

impl<R: BufRead> Inflating<R> {
    pub(super) fn new(inner: R) -> Self {
        Inflating { inner, state: Decompress::new() }
    }

    /// Reads up to and with the first NUL, as a loose object's header ends.
    fn header(&mut self) -> Result<Vec<u8>, &'static str> {
        let mut header = Vec::with_capacity(32);
        while header.last() != Some(&0) {
            let mut byte = [0];
            match self.read(&mut byte) {
                Ok(1) if header.len() < 64 => header.push(byte[0]),
                _ => return Err("its header is damaged"),
            }
        }
        Ok(header)
    }
}

impl<R: BufRead> Read for Inflating<R> {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        gix::zlib::stream::inflate::read(&mut self.inner, &mut self.state, out)
    }
}
