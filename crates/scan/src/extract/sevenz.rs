//! Archives of 7-Zip.

use std::io;

use sevenz_rust2::{ArchiveReader, Error, Password};

use super::{Content, DECODER_KIB, Stop, Walk};

pub(super) fn open(walk: &mut Walk<'_, '_, '_>, content: Content<'_>) -> Result<(), Stop> {
    content.random(|content| {
        let mut archive =
            ArchiveReader::new_with_memory_limit(content, Password::empty(), DECODER_KIB as usize).map_err(failed)?;
        archive.set_thread_count(1);
        let mut stopped = Ok(());
        let read = archive.for_each_entries(|entry, content| {
            let name = entry.name().as_bytes();
            let outcome = match entry.has_stream() && !entry.is_directory() {
                true => walk.member(name, content).and_then(|()| walk.drain(content)),
                false => walk.named(name, b""),
            };
            outcome.map(|()| true).map_err(|stop| {
                stopped = Err(stop);
                Error::Io(io::Error::other("stopped"), "".into())
            })
        });
        stopped.and(read.map_err(failed))
    })
}

fn failed(error: Error) -> Stop {
    match error {
        Error::Io(error, _) => Stop::from(error),
        Error::PasswordRequired | Error::MaybeBadPassword(_) => Stop::encrypted(),
        Error::UnsupportedCompressionMethod(method) => Stop::unsupported(&format!("7z with {}", super::short(&method))),
        error => Stop::corrupt(error),
    }
}
