//! What is signed inside the chain.
//!
//! A signature covers `custody-audit/KIND/1\n`, the log's id (16 bytes), the record's sequence number (8), the hash of the
//! record before (32), the record's wall clock (8), and what the kind adds. As the hash of the record before stands for
//! all records before, a signature does too.

use super::{Hash, Kind, LogId, PublicKey, Signature};
use crate::keys::{Signer, verify_signature};

/// Where in the chain something is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Position {
    pub(crate) log: LogId,
    pub(crate) sequence: u64,
    pub(crate) previous: Hash,
    pub(crate) wall_ns: i64,
}

impl Position {
    fn message(&self, kind: Kind, extra: &[&[u8]]) -> Vec<u8> {
        let mut message = format!("custody-audit/{}/1\n", kind.as_str()).into_bytes();
        message.extend_from_slice(&self.log.0);
        message.extend_from_slice(&self.sequence.to_le_bytes());
        message.extend_from_slice(&self.previous.0);
        message.extend_from_slice(&self.wall_ns.to_le_bytes());
        for part in extra {
            message.extend_from_slice(part);
        }
        message
    }

    pub(crate) fn sign(&self, kind: Kind, extra: &[&[u8]], signer: &Signer) -> Signature {
        signer.sign(&[&self.message(kind, extra)])
    }

    pub(crate) fn holds(&self, kind: Kind, extra: &[&[u8]], key: PublicKey, signature: Signature) -> bool {
        verify_signature(key, &[&self.message(kind, extra)], signature)
    }
}
