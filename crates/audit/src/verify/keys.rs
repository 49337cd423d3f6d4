//! Which key signs where in the chain, and whether it goes back to the first one.

use crate::format::entry::{KeyCertificate, PruneStatement};
use crate::format::{LogId, PublicKey};

/// Keys in the order in which they sign. Where old files were pruned, the first one is known only once the statement
/// about it is found, later in the chain; until then the key that signs first is taken as it comes.
#[derive(Default)]
pub(super) struct Timeline {
    /// The key that signs at the first record that is there.
    pub(super) start: Option<PublicKey>,
    /// The key that signs now.
    pub(super) current: Option<PublicKey>,
    /// The log's first key, from its first record or from a statement.
    pub(super) first: Option<PublicKey>,
    pub(super) certificates: Vec<KeyCertificate>,
}

impl Timeline {
    /// Whether `key` may sign here.
    pub(super) fn signs(&mut self, key: PublicKey) -> bool {
        if self.current.is_none() {
            self.start = Some(key);
            self.current = Some(key);
        }
        self.current == Some(key)
    }

    /// The key of the log's first record.
    pub(super) fn begin(&mut self, key: PublicKey) {
        self.first = Some(key);
        self.start = Some(key);
        self.current = Some(key);
    }

    /// Whether the old key may hand over to the new one.
    pub(super) fn rotate(&mut self, certificate: KeyCertificate) -> bool {
        let may = self.signs(certificate.rotation.old);
        self.current = Some(certificate.rotation.new);
        self.certificates.push(certificate);
        may
    }

    /// Takes over what a statement says of the keys before `first`, the first record that is there. Whether every change
    /// holds and leads to the key that signs there.
    pub(super) fn connect(&mut self, log: LogId, statement: &PruneStatement, first: u64) -> bool {
        let mut key = statement.first_key;
        let gone = statement.keys.iter().filter(|certificate| certificate.sequence < first);
        for certificate in gone.clone() {
            if !certificate.holds(log) || certificate.rotation.old != key || certificate.sequence > statement.through {
                return false;
            }
            key = certificate.rotation.new;
        }
        self.first = Some(statement.first_key);
        let mut certificates: Vec<KeyCertificate> = gone.cloned().collect();
        certificates.append(&mut self.certificates);
        self.certificates = certificates;
        self.start.is_none_or(|start| start == key)
    }
}
