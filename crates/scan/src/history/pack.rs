//! A pack's file, mapped into memory.
//!
//! Pages that were looked at stay the process's own until it gives them back, which it does every so often: a pack may
//! be larger than the memory that a scan may take.

#![expect(unsafe_code, reason = "maps a file; see `PackFile::open` and `PackFile::forget`")]

use std::fs::File;
use std::io::{self, Read};
use std::ops::Range;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use gix::odb::pack::data::Entry;
use memmap2::Mmap;

/// After so many bytes were looked at, the pages are given back. The system maps 64 KiB around each page that is looked
/// at, so up to 16 times as many may have come.
const FORGET_AFTER: u64 = 1 << 20;

/// An open pack.
pub(super) struct PackFile {
    map: Mmap,
    kind: gix::hash::Kind,
    /// Where its last entry ends: what follows is the checksum.
    end: usize,
    /// How many bytes were looked at.
    looked_at: AtomicU64,
}

impl PackFile {
    /// Opens a pack and checks its head.
    pub(super) fn open(path: &Path, kind: gix::hash::Kind) -> io::Result<PackFile> {
        let file = File::open(path)?;
        // SAFETY: packs are never written to once they have their name: git makes new ones and removes the old, which
        // leaves the map as it is. Whoever writes into one or cuts it off all the same, with the rights of its owner,
        // ends the process, as they end git, which maps packs too; what was found is not affected, as each byte is
        // read once and nothing is kept of it that relies on its staying the same.
        let map = unsafe { Mmap::map(&file)? };
        let version = map.get(4..12).map(|head| u32::from_be_bytes([head[0], head[1], head[2], head[3]]));
        if !map.starts_with(b"PACK") || !version.is_some_and(|version| (2..=3).contains(&version)) {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "not a pack of a known version"));
        }
        let end = map.len().saturating_sub(kind.len_in_bytes());
        Ok(PackFile { map, kind, end, looked_at: AtomicU64::new(0) })
    }

    pub(super) fn end(&self) -> u64 {
        self.end as u64
    }

    /// A range of the pack; less if it ends before.
    pub(super) fn bytes(&self, range: Range<u64>) -> &[u8] {
        let clipped = |at: u64| usize::try_from(at).map_or(self.end, |at| at.min(self.end));
        let bytes = &self.map[clipped(range.start)..clipped(range.end).max(clipped(range.start))];
        let length = bytes.len() as u64;
        let before = self.looked_at.fetch_add(length, Ordering::Relaxed);
        if before / FORGET_AFTER != (before + length) / FORGET_AFTER {
            self.forget();
        }
        bytes
    }

    /// Gives the pages back; those that are needed again come from the system's own cache.
    fn forget(&self) {
        #[cfg(unix)]
        // SAFETY: of a map of a file that is only read, pages that are given back are read again from the file: no
        // reference into the map sees another content than it saw before.
        let _ = unsafe { self.map.unchecked_advise(memmap2::UncheckedAdvice::DontNeed) };
    }

    /// Copies a range of the pack into `buffer`, which is cleared first; less if the pack ends before.
    pub(super) fn read(&self, range: Range<u64>, buffer: &mut Vec<u8>) -> io::Result<()> {
        buffer.clear();
        buffer.extend_from_slice(self.bytes(range));
        Ok(())
    }

    /// Reads the header of an entry that starts at `offset` with the bytes given.
    pub(super) fn header(&self, bytes: &[u8], offset: u64) -> Option<Entry> {
        Entry::from_bytes(bytes, offset, self.kind).ok()
    }

    /// A reader of the pack from `offset` on.
    pub(super) fn reader(&self, offset: u64) -> impl Read {
        PackReader { pack: self, offset }
    }
}

struct PackReader<'p> {
    pack: &'p PackFile,
    offset: u64,
}

impl Read for PackReader<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let bytes = self.pack.bytes(self.offset..self.offset.saturating_add(out.len() as u64));
        out[..bytes.len()].copy_from_slice(bytes);
        self.offset += bytes.len() as u64;
        Ok(bytes.len())
    }
}

#[cfg(unix)]
pub(super) fn read_exact_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, buffer, offset)
}

#[cfg(windows)]
pub(super) fn read_exact_at(file: &File, mut buffer: &mut [u8], mut offset: u64) -> io::Result<()> {
    while !buffer.is_empty() {
        match std::os::windows::fs::FileExt::seek_read(file, buffer, offset)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            count => {
                buffer = &mut buffer[count..];
                offset += count as u64;
            }
        }
    }
    Ok(())
}
