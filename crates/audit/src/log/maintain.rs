//! What is done to a log on purpose: another key, old files removed, a repair after the disk failed, a successor.

use std::io;
use std::path::{Path, PathBuf};

use super::AuditLog;
use super::batch::{Batch, Draft, json};
use super::options::Options;
use super::writer::{Tail, private_file};
use crate::error::AuditError;
use crate::event::Text;
use crate::format::entry::{KeyRotated, Predecessor, PruneStatement, Pruned};
use crate::format::head::{Head, HeadId};
use crate::format::record::MAX_PAYLOAD_BYTES;
use crate::format::{Kind, PublicKey};
use crate::keys::{KeyStore, sync_directory};
use crate::verify::{FileSummary, Trust, Verdict, VerifyReport, verify};

/// What to remove, and who says so.
#[derive(Debug, Clone)]
pub struct Pruning {
    /// Files whose last record is older than this are removed.
    pub before: jiff::Timestamp,
    /// Who removes them.
    pub by: Text,
    /// Why.
    pub reason: Text,
}

/// What was removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PruneReport {
    /// Names of the files.
    pub files: Vec<String>,
    /// The last record that was removed; 0 if none was.
    pub through: u64,
}

impl AuditLog {
    /// Has another key sign from here on. The old key signs the new one, and is then destroyed.
    ///
    /// # Errors
    /// Any [`AuditError`].
    pub fn rotate_key(&self, reason: Text) -> Result<PublicKey, AuditError> {
        let head = self.writer().locked(|tail| tail.rotate_key(reason))?;
        self.flush_through(head.sequence)?;
        Ok(head.key)
    }

    /// Removes old files, leaving a signed statement in the log with which the rest can be verified. The newest file
    /// stays. A log that does not verify is not touched: its files are evidence.
    ///
    /// # Errors
    /// [`AuditError::Refused`] if the log does not verify; else any [`AuditError`].
    pub fn prune(&self, pruning: &Pruning) -> Result<PruneReport, AuditError> {
        self.flush()?;
        let report = verify(&self.directory, &Trust::default())?;
        if report.verdict != Verdict::Intact {
            let first = report.problems.first().map(ToString::to_string).unwrap_or_default();
            return Err(AuditError::Refused {
                why: format!("the log does not verify, so nothing is removed: {first}"),
            });
        }
        let is_old = |file: &&FileSummary| file.until.is_some_and(|until| until < pruning.before);
        let closed = report.files.len().saturating_sub(1);
        let old: Vec<&FileSummary> = report.files.iter().take(closed).take_while(is_old).collect();
        let Some(last) = old.last() else { return Ok(PruneReport { files: Vec::new(), through: 0 }) };
        let statement = statement(&report, last, old.len(), pruning)?;
        let written = self.submit(prune_draft(statement))?;
        self.flush_through(written.sequence)?;
        // Oldest first: whatever is left when the machine stops is a chain with a beginning that the statement names, or
        // one that it may still be cut to.
        for file in &old {
            let path = self.directory.join(&file.name);
            match std::fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(AuditError::io("remove", &path, &error));
                }
                _ => {}
            }
        }
        sync_directory(&self.directory).map_err(|error| AuditError::io("flush", &self.directory, &error))?;
        Ok(PruneReport { files: old.iter().map(|file| file.name.clone()).collect(), through: last.last })
    }

    /// After the disk failed to flush: writes the newest file anew from what the system still has, and goes on if the disk
    /// takes it and the chain holds.
    ///
    /// # Errors
    /// Any [`AuditError`]; the log then stays as it is.
    pub fn repair(&self) -> Result<HeadId, AuditError> {
        let head = self.writer().locked(Tail::repair)?;
        Ok(head.id())
    }

    /// Sets aside a log that cannot go on and begins a new one in its place, which says so in its first record. The keys
    /// stay. Gives the directory that the old log was put into.
    ///
    /// # Errors
    /// Any [`AuditError`].
    pub fn succeed(
        directory: &Path,
        keys: impl KeyStore + 'static,
        options: Options,
        reason: &Text,
    ) -> Result<(AuditLog, PathBuf), AuditError> {
        let log = AuditLog::open(directory, keys, options)?;
        let aside = aside_of(directory, log.options.clock.now().timestamp());
        log.writer().locked(|tail| {
            let pin = tail.keys.pin()?;
            std::fs::rename(directory, &aside).map_err(|error| AuditError::io("set aside", directory, &error))?;
            tail.keys.set_pin(None)?;
            tail.predecessor = Some(Predecessor {
                log: pin.map(|pin| pin.log),
                directory: aside.display().to_string(),
                reason: reason.to_string(),
            });
            Ok(())
        })?;
        crate::keys::make_private_directory(directory).map_err(|error| AuditError::io("make", directory, &error))?;
        log.writer().locked(Tail::refresh)?;
        Ok((log, aside))
    }
}

fn aside_of(directory: &Path, now: jiff::Timestamp) -> PathBuf {
    let name = directory.file_name().map_or_else(|| "audit".into(), |name| name.to_string_lossy().into_owned());
    let at = now.strftime("%Y%m%dT%H%M%SZ");
    let candidates = (0..).map(|n| if n == 0 { String::new() } else { format!("-{n}") });
    let mut paths = candidates.map(|suffix| directory.with_file_name(format!("{name}-set-aside-{at}{suffix}")));
    paths.find(|path| !path.exists()).expect("there are more numbers than files")
}

fn statement(report: &VerifyReport, last: &FileSummary, files: usize, pruning: &Pruning) -> Result<String, AuditError> {
    let unknown = || AuditError::Refused { why: "the log's keys or hashes cannot be told".to_owned() };
    let statement = PruneStatement {
        through: last.last,
        hash: last.hash.ok_or_else(unknown)?,
        files: files as u64,
        first_key: report.first_key.ok_or_else(unknown)?,
        keys: report.key_certificates.iter().filter(|key| key.sequence <= last.last).cloned().collect(),
        by: pruning.by.to_string(),
        reason: pruning.reason.to_string(),
    };
    let text = serde_json::to_string(&statement).map_err(|_| unknown())?;
    // The statement is a text inside of JSON: quotes double.
    if text.len() * 2 > MAX_PAYLOAD_BYTES {
        return Err(AuditError::TooLarge { bytes: text.len() * 2, limit: MAX_PAYLOAD_BYTES });
    }
    Ok(text)
}

fn prune_draft(statement: String) -> Draft {
    Box::new(move |position, signer| json(Kind::Pruned, &Pruned::new(position, statement, signer)))
}

impl Tail {
    /// One lock over everything, and a batch of its own: no other key may be prepared meanwhile, and nothing in the batch
    /// be signed with the old one.
    fn rotate_key(&mut self, reason: Text) -> Result<Head, AuditError> {
        let head = self.refresh()?;
        let old = self.signer()?.clone();
        let new = self.keys.prepare_next()?;
        let mut batch = Batch::new(head, self.options.clock.now());
        batch.note_jump()?;
        let draft: Draft = Box::new(move |position, old| {
            json(Kind::KeyRotated, &KeyRotated::new(position, old, &new, reason.to_string()))
        });
        batch.push(draft, &old)?;
        self.write(batch)
    }

    fn repair(&mut self) -> Result<Head, AuditError> {
        let head = match self.refresh() {
            Ok(head) => return Ok(head),
            Err(AuditError::SyncFailed { .. }) => self.seen_head()?,
            Err(error) => return Err(error),
        };
        self.open_file(head.file)?.ok_or_else(|| self.no_head())?;
        let (path, temporary) = (self.path_of(head.file), self.directory.join("next.new"));
        let copy = || -> io::Result<()> {
            let file = private_file(&temporary)?;
            self.options.medium.append(&file, &std::fs::read(&path)?)?;
            self.options.medium.sync(&file)?;
            std::fs::rename(&temporary, &path)?;
            sync_directory(&self.directory)
        };
        copy().map_err(|error| AuditError::io("repair", &path, &error))?;
        self.open_file(head.file)?.ok_or_else(|| self.no_head())?;
        let head = Head { has_failed: false, synced: head.sequence, ..head };
        // The chain must hold before anybody goes on.
        self.recover(head, true).and_then(|head| self.write_head(head, None))
    }
}
