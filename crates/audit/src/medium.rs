//! The disk, as far as the log can be refused by it. A port, so that tests can play a disk that is full or broken.

use std::fs::File;
use std::io::{self, Write as _};

/// What the log asks of the disk.
pub trait Medium: Send + Sync {
    /// Writes all bytes at the end of the file, which is opened for appending.
    ///
    /// # Errors
    /// Whatever the system says; a part of the bytes may have been written.
    fn append(&self, file: &File, bytes: &[u8]) -> io::Result<()>;

    /// Returns once everything written to the file is on the disk.
    ///
    /// # Errors
    /// Whatever the system says. What was written before is then lost or not, nobody knows.
    fn sync(&self, file: &File) -> io::Result<()>;
}

/// The disk itself.
#[derive(Debug, Clone, Copy, Default)]
pub struct Disk;

impl Medium for Disk {
    fn append(&self, mut file: &File, bytes: &[u8]) -> io::Result<()> {
        file.write_all(bytes)
    }

    fn sync(&self, file: &File) -> io::Result<()> {
        file.sync_data()
    }
}
