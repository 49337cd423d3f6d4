//! Zip archives (PKWARE APPNOTE), and all that are such under another name: jar, war, apk, whl, docx, xlsx, odt, epub.

use std::io::{Read as _, SeekFrom};

use zip::ZipArchive;
use zip::result::ZipError;

use super::{Content, Random, Stop, Walk};

/// More entries than that are not taken into memory.
const MAX_ENTRIES: u64 = 400_000;
/// The end of a directory is at most so far from the end of the file.
const TAIL: u64 = 65_557;

pub(super) fn open(walk: &mut Walk<'_, '_, '_>, content: Content<'_>) -> Result<(), Stop> {
    content.random(|content| {
        if entries(content)? > MAX_ENTRIES {
            return stream(walk, content);
        }
        let mut archive = match ZipArchive::new(&mut *content) {
            Ok(archive) => archive,
            // Cut off, or damaged at its end: what stands before it can be read one by one.
            Err(error) => {
                content.rewind()?;
                stream(walk, content)?;
                return Err(failed(error));
            }
        };
        let comment = archive.comment().to_vec();
        walk.text(&comment);
        for at in 0..archive.len() {
            let (name, encrypted, comment) = match archive.by_index_raw(at) {
                Ok(file) => (file.name_raw().to_vec(), file.encrypted(), file.comment_raw().to_vec()),
                Err(error) => {
                    walk.unreadable(format!("member {}", at + 1).as_bytes(), failed(error))?;
                    continue;
                }
            };
            if !comment.is_empty() {
                walk.text(&comment);
            }
            if encrypted {
                walk.unreadable(&name, Stop::encrypted())?;
                continue;
            }
            match archive.by_index(at) {
                Ok(file) if file.is_dir() => walk.named(&name, b"")?,
                Ok(mut file) => walk.member(&name, &mut file)?,
                Err(error) => walk.unreadable(&name, failed(error))?,
            }
        }
        Ok(())
    })
}

/// Reads members from the first to the last, without the directory at the end.
fn stream(walk: &mut Walk<'_, '_, '_>, content: &mut dyn Random) -> Result<(), Stop> {
    let mut content = content;
    while let Some(mut file) = zip::read::read_zipfile_from_stream(&mut content).map_err(failed)? {
        let name = file.name_raw().to_vec();
        walk.member(&name, &mut file)?;
        walk.drain(&mut file)?;
    }
    Ok(())
}

/// How many entries the directory says that it has: what stands there is taken into memory.
fn entries(content: &mut dyn Random) -> Result<u64, Stop> {
    let length = content.seek(SeekFrom::End(0))?;
    content.seek(SeekFrom::Start(length.saturating_sub(TAIL)))?;
    let mut tail = Vec::new();
    content.take(TAIL).read_to_end(&mut tail)?;
    content.rewind()?;
    let Some(end) = memchr::memmem::rfind(&tail, b"PK\x05\x06") else { return Ok(0) };
    let number = tail.get(end + 10..end + 12).map_or(0, |bytes| u64::from(u16::from_le_bytes([bytes[0], bytes[1]])));
    // The number of a larger archive (zip64) stands in a record of its own before.
    let large =
        memchr::memmem::rfind(&tail[..end], b"PK\x06\x06").and_then(|at| tail.get(at + 32..at + 40)?.first_chunk());
    Ok(large.map_or(number, |bytes| number.max(u64::from_le_bytes(*bytes))))
}

fn failed(error: ZipError) -> Stop {
    match error {
        ZipError::Io(error) => Stop::from(error),
        ZipError::UnsupportedArchive(ZipError::PASSWORD_REQUIRED) => Stop::encrypted(),
        error => Stop::corrupt(error),
    }
}
