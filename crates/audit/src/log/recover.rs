//! What a writer that died has left: records that the head does not know yet, and at most one torn record, which is cut
//! off and kept beside the log. A record that is complete and is not what was written is never mended.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::sync::Arc;

use super::batch::{Batch, json};
use super::writer::{Tail, is_restart, private_file};
use crate::error::AuditError;
use crate::format::entry::{KeyRotated, Lost, Repaired};
use crate::format::file::{FILE_HEADER_BYTES, FileHeader};
use crate::format::head::Head;
use crate::format::statement::Position;
use crate::format::{Kind, PublicKey, digest};
use crate::keys::{Pin, sync_directory};
use crate::read::{DamageKind, Frame, Item, Scanner};

/// How far the file holds.
struct Walk {
    head: Head,
    next_key: Option<PublicKey>,
    /// The first place that does not hold, and why.
    stop: Option<Stop>,
    /// Whether the record that the head names was passed.
    has_passed_head: bool,
}

struct Stop {
    sequence: u64,
    offset: u64,
    is_torn: bool,
    why: String,
}

impl Tail {
    /// Brings head and file together.
    pub(super) fn recover(&mut self, head: Head, restarted: bool) -> Result<Head, AuditError> {
        let file = self.file()?;
        let path = self.path_of(head.file);
        let length = file.metadata().map_err(|error| AuditError::io("read", &path, &error))?.len();
        let from_start = restarted || length <= head.offset;
        let walk = self.walk(&file, head, from_start)?;
        let is_short = !walk.has_passed_head;
        // Only what was never on the disk can be lost without anybody's doing, and only when the machine stopped.
        let may_be_lost = restarted && walk.head.sequence >= head.synced;
        if let Some(stop) = walk.stop.as_ref().filter(|stop| !stop.is_torn && !may_be_lost) {
            let (path, offset, sequence) = (path.display().to_string(), stop.offset, stop.sequence);
            return Err(AuditError::Altered { path, offset, sequence, why: stop.why.clone() });
        }
        if is_short && !may_be_lost {
            let (path, found) = (path.display().to_string(), walk.head.sequence);
            return Err(AuditError::Truncated { path, found, expected: head.sequence });
        }
        let mut notes = Vec::new();
        if walk.head.sequence > head.sequence {
            notes.push(json(Kind::Repaired, &self.adopted(&file, &head, &walk.head)?)?);
        }
        if length > walk.head.offset {
            let why = if walk.stop.as_ref().is_some_and(|stop| stop.is_torn) { "torn" } else { "power-loss" };
            notes.push(json(Kind::Repaired, &self.cut(&file, &walk.head, length, why)?)?);
        }
        if !self.is_head_whole() {
            let (why, offset, sha256) = ("head".to_owned(), head.slot(), digest(&[]));
            notes.push(json(Kind::Repaired, &Repaired { why, offset, bytes: 0, sha256, kept_in: String::new() })?);
        }
        if is_short {
            let lost = Lost { after: walk.head.sequence, through: head.sequence, hash: head.hash };
            notes.push(json(Kind::Lost, &lost)?);
        }
        if self.keys.pin()?.is_none() {
            self.keys.set_pin(Some(&Pin { log: head.log, key: head.key }))?;
        }
        let mut reached = walk.head;
        if reached != head {
            reached = self.write_head(reached, walk.next_key)?;
        }
        if !notes.is_empty() {
            reached = self.note(reached, notes)?;
        }
        if reached.is_closed { self.next_file(reached) } else { Ok(reached) }
    }

    fn note(&mut self, head: Head, notes: Vec<(Kind, Vec<u8>)>) -> Result<Head, AuditError> {
        let mut batch = Batch::new(head, self.options.clock.now());
        batch.note_jump()?;
        let signer = self.signer()?.clone();
        for note in notes {
            batch.push(Box::new(move |_, _| Ok(note)), &signer)?;
        }
        let head = self.write(batch)?;
        self.sync()?;
        self.write_head(Head { synced: head.sequence, ..head }, None)
    }

    /// Goes on to the file after a closed one: a process died after it made it, or before.
    fn next_file(&mut self, head: Head) -> Result<Head, AuditError> {
        let first = head.sequence + 1;
        let path = self.path_of(first);
        if !path.try_exists().map_err(|error| AuditError::io("read", &path, &error))? {
            return self.start_file(head);
        }
        self.open_file(first)?;
        let file_since_ns = self.options.clock.now().wall_ns;
        let (offset, synced) = (FILE_HEADER_BYTES as u64, head.sequence);
        let head = Head { file: first, offset, file_since_ns, synced, is_closed: false, ..head };
        let file = self.file()?;
        let header = read_file_header(&file).map_err(|error| AuditError::io("read", &path, &error))?;
        if header != Some(FileHeader { log: head.log, first, previous: head.hash }) {
            let why = format!("its header does not follow record {}", head.sequence);
            return Err(AuditError::Foreign { path: path.display().to_string(), why });
        }
        let head = self.write_head(head, None)?;
        let restarted = is_restart(head.moment, self.options.clock.now());
        self.recover(head, restarted)
    }

    /// Follows the chain from the head's record, or from the start of the file.
    fn walk(&self, file: &Arc<File>, head: Head, from_start: bool) -> Result<Walk, AuditError> {
        let path = self.path_of(head.file);
        let io = |error: io::Error| AuditError::io("read", &path, &error);
        let mut walk = Walk { head, next_key: None, stop: None, has_passed_head: true };
        if from_start {
            let header = read_file_header(file).map_err(io)?.filter(|h| h.log == head.log && h.first == head.file);
            let Some(header) = header else {
                let why = "its header does not hold".to_owned();
                return Err(AuditError::Foreign { path: path.display().to_string(), why });
            };
            walk.head.sequence = header.first - 1;
            walk.head.hash = header.previous;
            walk.head.offset = FILE_HEADER_BYTES as u64;
            walk.head.is_closed = false;
            walk.has_passed_head = walk.head.sequence == head.sequence && walk.head.hash == head.hash;
        }
        let mut reader: &File = file;
        reader.seek(SeekFrom::Start(walk.head.offset)).map_err(io)?;
        let mut scanner = Scanner::new(reader, walk.head.offset);
        while walk.stop.is_none() {
            match scanner.next().map_err(io)? {
                None => break,
                Some(Item::Record(frame)) => walk.step(&frame, &head),
                Some(Item::Damage(damage)) => {
                    let why = match damage.kind {
                        DamageKind::Altered { .. } => "its content does not have its hash",
                        DamageKind::Header => "its header does not hold",
                        DamageKind::Torn => "it is torn",
                    };
                    walk.stop_at(damage.offset, damage.kind == DamageKind::Torn, why);
                }
            }
        }
        Ok(walk)
    }

    /// Says which records a writer left that died before it signed them.
    fn adopted(&self, mut file: &File, from: &Head, to: &Head) -> Result<Repaired, AuditError> {
        let bytes = to.offset - from.offset;
        let mut taken = Vec::new();
        file.seek(SeekFrom::Start(from.offset))
            .and_then(|_| file.take(bytes).read_to_end(&mut taken))
            .map_err(|error| AuditError::io("read", &self.path_of(from.file), &error))?;
        let (why, kept_in, sha256) = ("adopted".to_owned(), String::new(), digest(&[&taken]));
        Ok(Repaired { why, offset: from.offset, bytes, sha256, kept_in })
    }

    /// Cuts off what is behind the last whole record, after a copy of it is on the disk.
    fn cut(&self, mut file: &File, head: &Head, length: u64, why: &str) -> Result<Repaired, AuditError> {
        let kept_in = format!("torn-{:020}-{}.bin", head.sequence + 1, head.offset);
        let path = self.directory.join(&kept_in);
        let mut tail = Vec::new();
        let mut cut = |tail: &mut Vec<u8>| -> io::Result<()> {
            file.seek(SeekFrom::Start(head.offset))?;
            file.take(length - head.offset).read_to_end(tail)?;
            let mut copy = private_file(&path)?;
            copy.write_all(tail)?;
            copy.sync_all()?;
            sync_directory(&self.directory)?;
            file.set_len(head.offset)?;
            file.sync_all()
        };
        cut(&mut tail).map_err(|error| AuditError::io("repair", &path, &error))?;
        let (offset, bytes, sha256) = (head.offset, tail.len() as u64, digest(&[&tail]));
        Ok(Repaired { why: why.to_owned(), offset, bytes, sha256, kept_in })
    }
}

impl Walk {
    fn step(&mut self, frame: &Frame<'_>, head: &Head) {
        let expected = self.head.sequence + 1;
        if frame.header.sequence != expected || frame.header.previous != self.head.hash {
            return self.stop_at(frame.offset, false, "it is not the one that follows the record before");
        }
        if expected == head.sequence {
            if frame.hash != head.hash {
                return self.stop_at(frame.offset, false, "it is not the one that the head names");
            }
            self.has_passed_head = true;
        }
        if let Err(why) = self.take_key(frame, head) {
            return self.stop_at(frame.offset, false, why);
        }
        self.head.sequence = expected;
        self.head.hash = frame.hash;
        self.head.offset = frame.end();
        self.head.moment = frame.header.moment;
        self.head.is_closed = frame.header.kind == Kind::Closed;
        if matches!(frame.header.kind, Kind::Checkpoint | Kind::Closed) {
            self.head.signed = self.head.signed.max(expected);
        }
    }

    /// A change of key that the head does not know yet.
    fn take_key(&mut self, frame: &Frame<'_>, head: &Head) -> Result<(), &'static str> {
        if frame.header.kind != Kind::KeyRotated || frame.header.sequence <= head.sequence {
            return Ok(());
        }
        let Head { log, sequence, hash, .. } = self.head;
        let wall_ns = frame.header.moment.wall_ns;
        let position = Position { log, sequence: sequence + 1, previous: hash, wall_ns };
        let rotated: KeyRotated = serde_json::from_slice(frame.payload).map_err(|_| "it cannot be understood")?;
        if !rotated.holds(&position) || rotated.old != self.next_key.unwrap_or(head.key) {
            return Err("its signature does not hold");
        }
        self.next_key = Some(rotated.new);
        Ok(())
    }

    fn stop_at(&mut self, offset: u64, is_torn: bool, why: &str) {
        self.stop = Some(Stop { sequence: self.head.sequence + 1, offset, is_torn, why: why.to_owned() });
    }
}

fn read_file_header(mut file: &File) -> io::Result<Option<FileHeader>> {
    let mut bytes = Vec::with_capacity(FILE_HEADER_BYTES);
    file.seek(SeekFrom::Start(0))?;
    file.take(FILE_HEADER_BYTES as u64).read_to_end(&mut bytes)?;
    Ok(FileHeader::read(&bytes))
}
