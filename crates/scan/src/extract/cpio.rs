//! Archives of `cpio` in the form of SVR4 ("newc"): initial ramdisks, and the content of RPM packages.

use super::metered::{MAX_HEADERS, Meter};
use super::{Content, Stop, Walk};

pub(super) fn open(walk: &mut Walk<'_, '_, '_>, content: Content<'_>) -> Result<(), Stop> {
    let headers = Meter::new(MAX_HEADERS);
    let mut stream = headers.read(content.stream());
    loop {
        // A name is kept in memory, however long it says that it is.
        headers.set(MAX_HEADERS);
        let mut reader = cpio::NewcReader::new(stream)?;
        headers.set(u64::MAX);
        let entry = reader.entry();
        if entry.is_trailer() {
            return Ok(());
        }
        let (name, size) = (entry.name().as_bytes().to_vec(), entry.file_size());
        if size > 0 {
            walk.member(&name, &mut reader)?;
            walk.drain(&mut reader)?;
        } else {
            walk.named(&name, b"")?;
        }
        stream = reader.finish()?;
    }
}
