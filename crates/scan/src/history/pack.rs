//! A pack's file, read piece by piece.
//!
//! Not mapped into memory: the pages of a large pack would count as the process's own, and a file that is cut off while it
//! is mapped ends the process.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use gix::odb::pack::data::Entry;

/// An open pack.
pub(super) struct PackFile {
    file: File,
    kind: gix::hash::Kind,
    /// Where its last entry ends: what follows is the checksum.
    end: u64,
}

impl PackFile {
    /// Opens a pack and checks its head.
    pub(super) fn open(path: &Path, kind: gix::hash::Kind) -> io::Result<PackFile> {
        let file = File::open(path)?;
        let length = file.metadata()?.len();
        let mut head = [0; 12];
        (&file).read_exact(&mut head)?;
        let version = u32::from_be_bytes([head[4], head[5], head[6], head[7]]);
        if &head[..4] != b"PACK" || !(2..=3).contains(&version) {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "not a pack of a known version"));
        }
        Ok(PackFile { file, kind, end: length.saturating_sub(kind.len_in_bytes() as u64) })
    }

    pub(super) fn end(&self) -> u64 {
        self.end
    }

    /// Reads a range of the pack into `buffer`, which is cleared first; less if the pack ends before.
    pub(super) fn read(&self, range: std::ops::Range<u64>, buffer: &mut Vec<u8>) -> io::Result<()> {
        buffer.clear();
        let length = range.end.min(self.end).saturating_sub(range.start);
        buffer.resize(usize::try_from(length).map_err(io::Error::other)?, 0);
        read_exact_at(&self.file, buffer, range.start)
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
        let left = self.pack.end.saturating_sub(self.offset);
        let count = out.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        read_exact_at(&self.pack.file, &mut out[..count], self.offset)?;
        self.offset += count as u64;
        Ok(count)
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
