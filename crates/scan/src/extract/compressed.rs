//! One stream of compressed content: gzip (RFC 1952), bzip2, xz, lzma, lzip, Zstandard (RFC 8878), LZ4 frames.
//!
//! Several streams one behind the other, as the formats allow, are read as one.

use std::io::{BufReader, Read};

use custody_contract::SkipReason;

use super::{Content, DECODER_KIB, Stop, Walk};

pub(super) fn gzip(walk: &mut Walk<'_, '_, '_>, content: Content<'_>) -> Result<(), Stop> {
    let mut decoder = flate2::bufread::MultiGzDecoder::new(BufReader::new(content.stream()));
    // The header names the file, and may hold a comment.
    let header = decoder.header();
    let name = header.and_then(|header| header.filename()).map(<[u8]>::to_vec);
    if let Some(comment) = header.and_then(|header| header.comment()).map(<[u8]>::to_vec) {
        walk.text(&comment);
    }
    single(walk, name, &[".gz", ".tgz", ".svgz"], &mut decoder)
}

pub(super) fn bzip2(walk: &mut Walk<'_, '_, '_>, content: Content<'_>) -> Result<(), Stop> {
    single(walk, None, &[".bz2", ".tbz2", ".tbz"], &mut bzip2::read::MultiBzDecoder::new(content.stream()))
}

pub(super) fn xz(walk: &mut Walk<'_, '_, '_>, content: Content<'_>) -> Result<(), Stop> {
    let mut decoder = lzma_rust2::XzReader::new_mem_limit(BufReader::new(content.stream()), true, DECODER_KIB);
    single(walk, None, &[".xz", ".txz"], &mut decoder)
}

pub(super) fn lzma(walk: &mut Walk<'_, '_, '_>, content: Content<'_>) -> Result<(), Stop> {
    let mut decoder =
        lzma_rust2::LzmaReader::new_mem_limit(BufReader::new(content.stream()), DECODER_KIB, None).map_err(failed)?;
    single(walk, None, &[".lzma", ".tlz"], &mut decoder)
}

pub(super) fn lzip(walk: &mut Walk<'_, '_, '_>, content: Content<'_>) -> Result<(), Stop> {
    let content = content.stream();
    let mut head = [0; 6];
    content.read_exact(&mut head)?;
    // A power of two, less some sixteenths of it.
    let dictionary = 1u64 << (head[5] & 0x1f);
    if dictionary > u64::from(DECODER_KIB) << 10 {
        return Err(Stop::Here(SkipReason::TooLarge { limit: u64::from(DECODER_KIB) << 10 }));
    }
    let mut decoder = lzma_rust2::LzipReader::new(BufReader::new((&head[..]).chain(content)));
    single(walk, None, &[".lz", ".tlz"], &mut decoder)
}

pub(super) fn zstd(walk: &mut Walk<'_, '_, '_>, content: Content<'_>) -> Result<(), Stop> {
    let mut decoder = zstd::stream::read::Decoder::new(content.stream())?;
    // What `zstd --long=27` makes, and no more: the window is in memory.
    decoder.window_log_max(27)?;
    single(walk, None, &[".zst", ".tzst"], &mut decoder)
}

pub(super) fn lz4(walk: &mut Walk<'_, '_, '_>, content: Content<'_>) -> Result<(), Stop> {
    single(walk, None, &[".lz4", ".tlz4"], &mut Frames(lz4_flex::frame::FrameDecoder::new(content.stream())))
}

fn failed(error: std::io::Error) -> Stop {
    Stop::from(error)
}

/// All frames of an LZ4 stream: the decoder ends each with an empty read.
struct Frames<R: Read>(lz4_flex::frame::FrameDecoder<R>);

impl<R: Read> Read for Frames<R> {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        match self.0.read(out)? {
            0 => self.0.read(out),
            read => Ok(read),
        }
    }
}

/// The one member of a compressed file: the name that it has, or that of the file without what tells of the
/// compression.
fn single(
    walk: &mut Walk<'_, '_, '_>,
    name: Option<Vec<u8>>,
    endings: &[&str],
    content: &mut dyn Read,
) -> Result<(), Stop> {
    let own = walk.inside.last().map(String::as_str).or(walk.outer).unwrap_or_default();
    let own = own.rsplit('/').next().unwrap_or_default();
    let short = endings.iter().find_map(|ending| own.strip_suffix(ending).map(|short| (short, *ending)));
    let name = name.unwrap_or_else(|| match short {
        Some((short, ending)) if ending.starts_with(".t") => format!("{short}.tar").into_bytes(),
        Some((short, _)) if !short.is_empty() => short.as_bytes().to_vec(),
        _ => b"content".to_vec(),
    });
    walk.member(&name, content)
}
