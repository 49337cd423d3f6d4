//! Making a log: keys, first record, head, and last of all the file, so that a process that dies on the way leaves
//! nothing that looks like a log.

use super::batch::json;
use super::writer::{Tail, private_file};
use crate::error::AuditError;
use crate::format::entry::Created;
use crate::format::file::{FILE_HEADER_BYTES, FileHeader};
use crate::format::head::{HEAD_BYTES, HEAD_FILE, Head, SECOND_SLOT, SLOT_BYTES};
use crate::format::record::{Header, write};
use crate::format::{Kind, LogId, PublicKey, root_of};
use crate::keys::{Pin, random, sync_directory};

/// Version of the format that this crate writes.
const FORMAT: u32 = 1;

impl Tail {
    /// Makes a log; there is none, and no trace of one.
    pub(super) fn create(&mut self) -> Result<Head, AuditError> {
        let signer = self.keys.signer_or_new()?;
        self.keys.fingerprinter()?;
        let log = LogId(*random()?);
        let now = self.options.clock.now();
        let created = Created {
            format: FORMAT,
            log,
            key: signer.public_key(),
            by: concat!("custody ", env!("CARGO_PKG_VERSION")).to_owned(),
            predecessor: self.predecessor.take(),
        };
        let (kind, payload) = json(Kind::Created, &created)?;
        let previous = root_of(log);
        let payload_bytes = u32::try_from(payload.len()).expect("payloads are bounded");
        let mut record = Vec::new();
        let header = Header { payload_bytes, sequence: 1, moment: now, kind, previous };
        let hash = write(&header, &payload, &mut record);
        let head = Head {
            log,
            generation: 1,
            sequence: 1,
            hash,
            file: 1,
            offset: (FILE_HEADER_BYTES + record.len()) as u64,
            synced: 1,
            moment: now,
            signed: 0,
            file_since_ns: now.wall_ns,
            is_closed: false,
            has_failed: false,
            key: PublicKey(signer.public_key().0),
        };
        let slot = head.to_bytes(&signer);
        self.use_signer(signer);
        self.make_head_file(&slot)?;
        self.make_file(FileHeader { log, first: 1, previous }, &record)?;
        self.keys.set_pin(Some(&Pin { log, key: head.key }))?;
        self.forget();
        self.refresh()
    }

    /// The head's whole length is written at once: later writes need no space.
    fn make_head_file(&mut self, slot: &[u8; SLOT_BYTES]) -> Result<(), AuditError> {
        let (path, temporary) = (self.directory.join(HEAD_FILE), self.directory.join("head.new"));
        let mut bytes = vec![0; HEAD_BYTES];
        bytes[SECOND_SLOT..].copy_from_slice(slot);
        let make = || -> std::io::Result<()> {
            let file = private_file(&temporary)?;
            self.options.medium.append(&file, &bytes)?;
            self.options.medium.sync(&file)?;
            std::fs::rename(&temporary, &path)?;
            sync_directory(&self.directory)
        };
        make().map_err(|error| AuditError::io("make", &path, &error))
    }
}
