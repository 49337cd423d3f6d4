//! Archives of `ar`: static libraries, and Debian packages, whose members are tape archives.

use super::{Content, Stop, Walk};

pub(super) fn open(walk: &mut Walk<'_, '_, '_>, content: Content<'_>) -> Result<(), Stop> {
    let mut archive = ar::Archive::new(content.stream());
    while let Some(entry) = archive.next_entry() {
        let mut entry = entry?;
        let name = entry.header().identifier().to_vec();
        walk.member(&name, &mut entry)?;
        walk.drain(&mut entry)?;
    }
    Ok(())
}
