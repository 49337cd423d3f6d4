//! Tape archives: ustar, GNU, PAX.

use super::metered::{MAX_HEADERS, Meter};
use super::{Content, Stop, Walk};

pub(super) fn open(walk: &mut Walk<'_, '_, '_>, content: Content<'_>) -> Result<(), Stop> {
    let headers = Meter::new(MAX_HEADERS);
    let mut archive = tar::Archive::new(headers.read(content.stream()));
    // Archives are joined by writing one behind the other.
    archive.set_ignore_zeros(true);
    let mut entries = archive.entries()?;
    loop {
        // Long names and attributes are kept in memory, however long they say that they are.
        headers.set(MAX_HEADERS);
        let Some(entry) = entries.next() else { return Ok(()) };
        headers.set(u64::MAX);
        let mut entry = entry.map_err(|error| match super::metered::is_limit(&error) {
            true => Stop::corrupt("a name or an attribute has no end"),
            false => Stop::from(error),
        })?;
        let name = entry.path_bytes().into_owned();
        let link = entry.link_name_bytes().map(std::borrow::Cow::into_owned).unwrap_or_default();
        if entry.header().entry_type().is_file() || entry.header().entry_type().is_contiguous() || entry.size() > 0 {
            walk.member(&name, &mut entry)?;
            walk.drain(&mut entry)?;
        } else {
            walk.named(&name, &link)?;
        }
    }
}

/// Whether a file begins as a tape archive does: by its magic number, or for those that are older than that by the sum
/// of its header (POSIX.1-1988; the sum is counted with blanks in its own place).
pub(crate) fn begins(head: &[u8]) -> bool {
    let Some(block) = head.first_chunk::<512>() else { return false };
    if block[0] == 0 {
        return false;
    }
    let field = &block[148..156];
    if !field.iter().all(|byte| matches!(byte, b'0'..=b'7' | b' ' | 0)) {
        return false;
    }
    let digits = field.iter().skip_while(|&&byte| byte == b' ').take_while(|byte| (b'0'..=b'7').contains(byte));
    let said = digits.fold(0u32, |sum, digit| sum << 3 | u32::from(digit - b'0'));
    let sum: u32 =
        block.iter().enumerate().map(|(at, &byte)| if (148..156).contains(&at) { 32 } else { u32::from(byte) }).sum();
    said > 0 && said == sum
}
