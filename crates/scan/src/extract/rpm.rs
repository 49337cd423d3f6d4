//! RPM packages: a lead, a header of signatures, a header, and compressed content (RPM file format, version 4).

use std::io::Read;

use super::{Content, Stop, Walk};

/// Bytes of the lead.
const LEAD: usize = 96;
/// What begins a header.
const MAGIC: [u8; 3] = [0x8e, 0xad, 0xe8];
/// A header's store may be so long; `rpm` itself allows 256 MiB of it.
const MAX_STORE: u32 = 32 << 20;

pub(super) fn open(walk: &mut Walk<'_, '_, '_>, content: Content<'_>) -> Result<(), Stop> {
    let content = content.stream();
    let mut lead = [0; LEAD];
    content.read_exact(&mut lead)?;
    // The header of signatures is filled up to eight bytes.
    let signatures = header(walk, content)?;
    content.read_exact(&mut [0; 8][..(8 - signatures % 8) % 8])?;
    header(walk, content)?;
    walk.member(b"content", content)
}

/// Searches a header, which holds descriptions, scripts and change logs as text, and gives its length.
fn header(walk: &mut Walk<'_, '_, '_>, content: &mut dyn Read) -> Result<usize, Stop> {
    let mut intro = [0; 16];
    content.read_exact(&mut intro)?;
    let number = |at: usize| u32::from_be_bytes([intro[at], intro[at + 1], intro[at + 2], intro[at + 3]]);
    let (entries, store) = (number(8), number(12));
    if intro[..3] != MAGIC || entries > MAX_STORE / 16 || store > MAX_STORE {
        return Err(Stop::corrupt("a header is not well-formed"));
    }
    let length = entries as usize * 16 + store as usize;
    let mut header = Vec::new();
    content.take(length as u64).read_to_end(&mut header)?;
    if header.len() < length {
        return Err(Stop::corrupt("it ends within a header"));
    }
    walk.text(&header[entries as usize * 16..]);
    Ok(16 + length)
}
