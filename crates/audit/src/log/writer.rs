//! The end of the log, and how it grows: one batch at a time, under the lock.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::batch::{Batch, Draft, Written, checkpoint_draft, json};
use super::options::Options;
use crate::clock::Moment;
use crate::error::AuditError;
use crate::fingerprint::Fingerprinter;
use crate::format::entry::{Predecessor, Signed};
use crate::format::file::{FILE_HEADER_BYTES, FileHeader, file_name};
use crate::format::head::{HEAD_BYTES, HEAD_FILE, Head, SLOT_BYTES, read_head_file};
use crate::format::{Hash, Kind, LogId, PublicKey};
use crate::keys::{KeyRing, Signer, Witness, sync_directory};
use crate::lock::{LockFile, is_at};
use crate::read::list_files;

/// The end of the log, behind its lock.
pub(super) struct Writer {
    lock: LockFile,
    tail: Tail,
}

/// The end of the log, while it is locked.
pub(super) struct Tail {
    pub(super) directory: PathBuf,
    pub(super) keys: KeyRing,
    pub(super) options: Options,
    pub(super) predecessor: Option<Predecessor>,
    signer: Option<Signer>,
    is_pinned: bool,
    /// The newest head that this process has ever seen.
    newest: Option<Head>,
    /// The head file as it was seen or written last.
    head: Option<Head>,
    head_bytes: Vec<u8>,
    head_file: Option<File>,
    file: Option<(u64, Arc<File>)>,
}

impl Writer {
    pub(super) fn new(directory: &Path, keys: KeyRing, options: &Options) -> Self {
        let lock = LockFile::new(directory.join("lock"), options.patience);
        let tail = Tail {
            directory: directory.to_owned(),
            keys,
            options: options.clone(),
            predecessor: None,
            signer: None,
            is_pinned: false,
            newest: None,
            head: None,
            head_bytes: Vec::new(),
            head_file: None,
            file: None,
        };
        Writer { lock, tail }
    }

    /// Does something while no other process writes.
    pub(super) fn locked<T>(&mut self, work: impl FnOnce(&mut Tail) -> Result<T, AuditError>) -> Result<T, AuditError> {
        let _held = self.lock.take()?;
        let done = work(&mut self.tail);
        if done.is_err() {
            self.tail.forget();
        }
        done
    }

    /// Writes a batch: all of it, or nothing.
    pub(super) fn commit(&mut self, drafts: Vec<Draft>) -> Vec<Result<Written, AuditError>> {
        let count = drafts.len();
        self.locked(|tail| tail.append(drafts)).unwrap_or_else(|error| vec![Err(error); count])
    }

    pub(super) fn fingerprinter(&mut self) -> Result<Fingerprinter, AuditError> {
        if self.tail.keys.has_fingerprint_key()? {
            return self.tail.keys.fingerprinter();
        }
        self.locked(|tail| match tail.keys.pin()? {
            Some(_) => {
                let why = "it is gone, and fingerprints under another key could not be compared".to_owned();
                Err(AuditError::Key { path: "fingerprint-key".to_owned(), why })
            }
            None => tail.keys.fingerprinter(),
        })
    }
}

impl Tail {
    fn append(&mut self, drafts: Vec<Draft>) -> Result<Vec<Result<Written, AuditError>>, AuditError> {
        let mut head = self.refresh()?;
        let now = self.options.clock.now();
        if self.is_file_full(&head, now) {
            head = self.close_file(head, now)?;
        }
        let mut batch = Batch::new(head, now);
        batch.note_jump()?;
        let signer = self.signer()?.clone();
        let written = drafts.into_iter().map(|draft| batch.push(draft, &signer)).collect();
        if batch.head.sequence - batch.head.signed >= self.options.checkpoint_every {
            batch.push(Box::new(checkpoint_draft), &signer)?;
        }
        self.write(batch)?;
        Ok(written)
    }

    /// Writes a batch and the head that belongs to it.
    pub(super) fn write(&mut self, batch: Batch) -> Result<Head, AuditError> {
        let before = batch.before;
        let (path, file) = (self.path_of(before.file), self.file()?);
        if let Err(error) = self.options.medium.append(&file, &batch.bytes) {
            // Nobody has seen these bytes. If they cannot be taken back, the next writer finds them.
            let _ = file.set_len(before.offset);
            return Err(AuditError::io("write", &path, &error));
        }
        let head = self.write_head(batch.head, batch.next_key)?;
        if head.signed > before.signed {
            let (log, sequence, hash) = (head.log, head.signed, batch.signed_hash);
            self.keys.set_witness(&Witness { log, sequence, hash })?;
        }
        Ok(head)
    }

    /// Writes the head, under the key that signs from now on.
    pub(super) fn write_head(&mut self, head: Head, next: Option<PublicKey>) -> Result<Head, AuditError> {
        let path = self.directory.join(HEAD_FILE);
        let signer = match next {
            Some(key) => self.keys.candidate(key)?.ok_or_else(|| self.no_key(key))?,
            None => self.signer()?.clone(),
        };
        let head = Head { generation: head.generation + 1, key: signer.public_key(), ..head };
        let slot = head.to_bytes(&signer);
        let file = self.head_file.as_ref().ok_or_else(|| self.no_head())?;
        let mut writer = file;
        writer
            .seek(SeekFrom::Start(head.slot()))
            .and_then(|_| writer.write_all(&slot))
            .map_err(|error| AuditError::io("write", &path, &error))?;
        let at = usize::try_from(head.slot()).expect("a slot starts within the file");
        self.head_bytes.resize(HEAD_BYTES, 0);
        self.head_bytes[at..at + SLOT_BYTES].copy_from_slice(&slot);
        if let Some(key) = next {
            self.signer = self.keys.signer_for(key)?;
        }
        self.head = Some(head);
        self.newest = Some(head);
        Ok(head)
    }

    /// Where the log ends now: as the head says, and as the file bears out. Makes the log if there is none, and mends
    /// what a process that died has left.
    pub(super) fn refresh(&mut self) -> Result<Head, AuditError> {
        let Some(bytes) = self.read_head()? else { return self.without_head() };
        let is_new = self.head.is_none() || bytes != self.head_bytes;
        let head = match self.head {
            Some(head) if !is_new => head,
            _ => self.accept_head(&bytes)?,
        };
        self.head_bytes = bytes;
        self.head = Some(head);
        self.newest = Some(head);
        if head.has_failed {
            return Err(AuditError::SyncFailed { path: self.directory.display().to_string() });
        }
        let Some(file) = self.open_file(head.file)? else { return self.without_file(head) };
        let path = self.path_of(head.file);
        let length = file.metadata().map_err(|error| AuditError::io("read", &path, &error))?.len();
        let restarted = is_new && self.is_restart(&head);
        if length != head.offset || head.is_closed || restarted {
            return self.recover(head, restarted);
        }
        if is_new && !ends_with(&file, head.offset, head.hash).map_err(|error| AuditError::io("read", &path, &error))? {
            return self.recover(head, restarted);
        }
        Ok(head)
    }

    /// Whether both slots of the head were as a writer leaves them when it was read.
    pub(super) fn is_head_whole(&self) -> bool {
        read_head_file(&self.head_bytes).is_whole
    }

    fn is_restart(&self, head: &Head) -> bool {
        is_restart(head.moment, self.options.clock.now())
    }

    /// The head of a log that this process has not seen or that another process has moved.
    fn accept_head(&mut self, bytes: &[u8]) -> Result<Head, AuditError> {
        let read = read_head_file(bytes);
        let head = read.newest.ok_or_else(|| self.no_head())?;
        // A slot is torn only when the machine stops while it is written. Else somebody wants an older one to count.
        if !read.is_whole && !self.is_restart(&head) {
            return Err(self.no_head());
        }
        if let Some(newest) = self.newest.filter(|newest| newest.log == head.log && newest.generation > head.generation)
        {
            let path = self.directory.join(HEAD_FILE).display().to_string();
            return Err(AuditError::Truncated { path, found: head.sequence, expected: newest.sequence });
        }
        if self.signer.as_ref().is_none_or(|signer| signer.public_key() != head.key) {
            self.signer = Some(self.keys.signer_for(head.key)?.ok_or_else(|| self.no_key(head.key))?);
        }
        if !self.is_pinned {
            if let Some(pin) = self.keys.pin()?
                && pin.log != head.log
            {
                let (path, why) = (self.directory.display().to_string(), format!("it is log {}", head.log));
                return Err(AuditError::Foreign { path, why });
            }
            self.is_pinned = true;
        }
        Ok(head)
    }

    fn read_head(&mut self) -> Result<Option<Vec<u8>>, AuditError> {
        let path = self.directory.join(HEAD_FILE);
        let io = |error: io::Error| AuditError::io("read", &path, &error);
        if self.head_file.as_ref().is_none_or(|file| !is_at(file, &path)) {
            match OpenOptions::new().read(true).write(true).open(&path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
                opened => self.head_file = Some(opened.map_err(io)?),
            }
        }
        let mut bytes = Vec::with_capacity(HEAD_BYTES + 1);
        if let Some(mut file) = self.head_file.as_ref() {
            file.seek(SeekFrom::Start(0)).map_err(io)?;
            file.take(HEAD_BYTES as u64 + 1).read_to_end(&mut bytes).map_err(io)?;
        }
        Ok(Some(bytes))
    }

    fn without_head(&mut self) -> Result<Head, AuditError> {
        if !list_files(&self.directory)?.is_empty() {
            return Err(self.no_head());
        }
        match self.keys.pin()? {
            Some(pin) => Err(self.deleted(pin.log)),
            None => self.create(),
        }
    }

    fn without_file(&mut self, head: Head) -> Result<Head, AuditError> {
        let others = list_files(&self.directory)?;
        match (self.keys.pin()?, others.last()) {
            // A process died while it made the log.
            (None, None) if head.sequence == 1 => self.create(),
            (_, None) => Err(self.deleted(head.log)),
            (_, Some(_)) => {
                let (path, found) = (self.path_of(head.file).display().to_string(), head.file - 1);
                Err(AuditError::Truncated { path, found, expected: head.sequence })
            }
        }
    }

    /// Opens the file, unless it is open and still in its place; `None` if there is none.
    pub(super) fn open_file(&mut self, first: u64) -> Result<Option<Arc<File>>, AuditError> {
        let path = self.path_of(first);
        if let Some((open, file)) = &self.file
            && *open == first
            && is_at(file, &path)
        {
            return Ok(Some(Arc::clone(file)));
        }
        let file = match OpenOptions::new().read(true).append(true).open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            opened => Arc::new(opened.map_err(|error| AuditError::io("open", &path, &error))?),
        };
        self.file = Some((first, Arc::clone(&file)));
        Ok(Some(file))
    }

    /// The newest file, opened by [`Tail::refresh`].
    pub(super) fn file(&self) -> Result<Arc<File>, AuditError> {
        self.file.as_ref().map(|(_, file)| Arc::clone(file)).ok_or_else(|| self.no_head())
    }

    fn is_file_full(&self, head: &Head, now: Moment) -> bool {
        let age = u128::try_from(i128::from(now.wall_ns) - i128::from(head.file_since_ns)).unwrap_or(0);
        let is_empty = head.offset <= FILE_HEADER_BYTES as u64;
        !is_empty && (head.offset >= self.options.max_file_bytes || age > self.options.max_file_age.as_nanos())
    }

    /// Closes the newest file with a signed record and starts the next one.
    fn close_file(&mut self, head: Head, now: Moment) -> Result<Head, AuditError> {
        let mut batch = Batch::new(head, now);
        batch.note_jump()?;
        let signer = self.signer()?.clone();
        batch.push(
            Box::new(|position, signer| json(Kind::Closed, &Signed::new(Kind::Closed, position, signer))),
            &signer,
        )?;
        let head = self.write(batch)?;
        self.start_file(head)
    }

    /// Starts the file after a closed one. What stands in the closed one is put on the disk first, so that only the
    /// newest file can ever hold records that are not.
    pub(super) fn start_file(&mut self, head: Head) -> Result<Head, AuditError> {
        self.sync()?;
        let header = FileHeader { log: head.log, first: head.sequence + 1, previous: head.hash };
        self.make_file(header, &[])?;
        let file_since_ns = self.options.clock.now().wall_ns;
        let offset = FILE_HEADER_BYTES as u64;
        let synced = head.sequence;
        self.write_head(Head { file: header.first, offset, file_since_ns, synced, is_closed: false, ..head }, None)
    }

    /// Makes a file of the log, on the disk before anybody can see it.
    pub(super) fn make_file(&mut self, header: FileHeader, records: &[u8]) -> Result<(), AuditError> {
        let (path, temporary) = (self.path_of(header.first), self.directory.join("next.new"));
        let make = || -> io::Result<()> {
            if path.try_exists()? {
                return Err(io::ErrorKind::AlreadyExists.into());
            }
            let file = private_file(&temporary)?;
            self.options.medium.append(&file, &[header.to_bytes().as_slice(), records].concat())?;
            self.options.medium.sync(&file)?;
            std::fs::rename(&temporary, &path)?;
            sync_directory(&self.directory)
        };
        make().map_err(|error| AuditError::io("make", &path, &error))?;
        self.open_file(header.first)?;
        Ok(())
    }

    pub(super) fn sync(&self) -> Result<(), AuditError> {
        let file = self.file()?;
        self.options.medium.sync(&file).map_err(|error| AuditError::io("flush", &self.directory, &error))
    }

    /// Notes in the head that records up to `sequence` are on the disk.
    pub(super) fn note_synced(&mut self, sequence: u64) -> Result<(), AuditError> {
        let head = self.refresh()?;
        if head.synced < sequence {
            self.write_head(Head { synced: sequence, ..head }, None)?;
        }
        Ok(())
    }

    /// Notes in the head that nobody knows what the disk holds. From here on no process appends.
    pub(super) fn note_sync_failure(&mut self) -> Result<(), AuditError> {
        let head = self.refresh()?;
        self.write_head(Head { has_failed: true, ..head }, None).map(|_| ())
    }

    pub(super) fn signer(&self) -> Result<&Signer, AuditError> {
        self.signer.as_ref().ok_or_else(|| self.no_head())
    }

    /// The head as it was read last.
    pub(super) fn seen_head(&self) -> Result<Head, AuditError> {
        self.head.ok_or_else(|| self.no_head())
    }

    pub(super) fn use_signer(&mut self, signer: Signer) {
        self.signer = Some(signer);
    }

    /// Looks at everything anew next time.
    pub(super) fn forget(&mut self) {
        self.head = None;
        self.head_bytes.clear();
        self.is_pinned = false;
    }

    pub(super) fn path_of(&self, first: u64) -> PathBuf {
        self.directory.join(file_name(first))
    }

    pub(super) fn no_head(&self) -> AuditError {
        AuditError::NoHead { path: self.directory.display().to_string() }
    }

    fn deleted(&self, log: LogId) -> AuditError {
        AuditError::Deleted { path: self.directory.display().to_string(), log: log.to_string() }
    }

    fn no_key(&self, key: PublicKey) -> AuditError {
        let path = self.directory.display().to_string();
        AuditError::Key { path, why: format!("the log is signed with {key}, whose private half is not there") }
    }
}

/// A new file that only its owner can read, opened for appending; one of that name is replaced.
pub(super) fn private_file(path: &Path) -> io::Result<File> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut options = OpenOptions::new();
    options.read(true).append(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// Whether the machine was started anew between two moments.
pub(super) fn is_restart(earlier: Moment, now: Moment) -> bool {
    earlier.boot != 0 && now.boot != 0 && earlier.boot != now.boot
}

/// Whether the file has these bytes before `offset`.
fn ends_with(mut file: &File, offset: u64, hash: Hash) -> io::Result<bool> {
    if offset <= FILE_HEADER_BYTES as u64 {
        return Ok(true);
    }
    let mut found = [0; 32];
    file.seek(SeekFrom::Start(offset - 32))?;
    file.read_exact(&mut found)?;
    Ok(found == hash.0)
}
