//! The log's keys: the Ed25519 key that signs, and the seed of the fingerprints. Where they lie is a port.

mod directory;
mod memory;
mod ring;

use ed25519_dalek::{Signature as DalekSignature, Signer as _, SigningKey, VerifyingKey};
use zeroize::Zeroizing;

pub use directory::DirectoryKeys;
pub(crate) use directory::{make_private_directory, sync_directory};
pub use memory::MemoryKeys;
pub(crate) use ring::{KeyRing, Pin, Witness};

use crate::error::AuditError;
use crate::format::{PublicKey, Signature};

/// A small store of named byte strings: the key files of a directory, or entries of the credential store. Values of up
/// to 4 KiB; one store belongs to one log.
///
/// # Security
/// Whoever can read `signing-key` can forge the log, up to what is kept elsewhere (`--expect-head`).
pub trait KeyStore: Send + Sync {
    /// What is stored under a name; `None` if nothing is.
    ///
    /// # Errors
    /// [`AuditError::Key`] if it cannot be read or is readable by others.
    fn read(&self, name: &str) -> Result<Option<Zeroizing<Vec<u8>>>, AuditError>;

    /// Stores under a name, whole or not at all, and on the disk when it returns.
    ///
    /// # Errors
    /// [`AuditError::Key`] if it cannot be stored.
    fn write(&self, name: &str, value: &[u8]) -> Result<(), AuditError>;

    /// Removes what is stored under a name; nothing if nothing is.
    ///
    /// # Errors
    /// [`AuditError::Key`] if it cannot be removed.
    fn remove(&self, name: &str) -> Result<(), AuditError>;
}

impl KeyStore for Box<dyn KeyStore> {
    fn read(&self, name: &str) -> Result<Option<Zeroizing<Vec<u8>>>, AuditError> {
        (**self).read(name)
    }

    fn write(&self, name: &str, value: &[u8]) -> Result<(), AuditError> {
        (**self).write(name, value)
    }

    fn remove(&self, name: &str) -> Result<(), AuditError> {
        (**self).remove(name)
    }
}

/// Moves all that a log keeps in one store to another, where nothing may be yet. Nothing else may write to the log
/// meanwhile; writers that have it open then find no key, and record nothing.
///
/// # Errors
/// [`AuditError`] if the other store has keys, or something cannot be read, written or read back. What was there is then
/// still there.
pub fn move_keys(from: &dyn KeyStore, to: &dyn KeyStore) -> Result<usize, AuditError> {
    let refused = |why: &str| AuditError::Refused { why: why.to_owned() };
    let mut entries = Vec::new();
    for name in ring::NAMES {
        if to.read(name)?.is_some() {
            return Err(refused("there are keys of a log at the new place already"));
        }
        entries.extend(from.read(name)?.map(|value| (name, value)));
    }
    if entries.is_empty() {
        return Err(refused("there are no keys to move"));
    }
    for (name, value) in &entries {
        to.write(name, value)?;
        if to.read(name)?.as_ref() != Some(value) {
            return Err(refused("a key does not come back from the new place as it was"));
        }
    }
    for (name, _) in &entries {
        from.remove(name)?;
    }
    Ok(entries.len())
}

/// A key that signs.
#[derive(Clone)]
pub(crate) struct Signer(SigningKey);

impl Signer {
    pub(crate) fn from_seed(seed: &[u8; 32]) -> Self {
        Self(SigningKey::from_bytes(seed))
    }

    pub(crate) fn generate() -> Result<(Self, Zeroizing<[u8; 32]>), AuditError> {
        let seed = random::<32>()?;
        Ok((Self::from_seed(&seed), seed))
    }

    pub(crate) fn public_key(&self) -> PublicKey {
        PublicKey(self.0.verifying_key().to_bytes())
    }

    pub(crate) fn sign(&self, parts: &[&[u8]]) -> Signature {
        Signature(self.0.sign(&parts.concat()).to_bytes())
    }
}

/// Whether a signature holds, by the strict rules (no malleable signatures, no weak keys).
pub(crate) fn verify_signature(key: PublicKey, parts: &[&[u8]], signature: Signature) -> bool {
    VerifyingKey::from_bytes(&key.0)
        .is_ok_and(|key| key.verify_strict(&parts.concat(), &DalekSignature::from_bytes(&signature.0)).is_ok())
}

/// Random bytes from the system.
pub(crate) fn random<const N: usize>() -> Result<Zeroizing<[u8; N]>, AuditError> {
    let mut bytes = Zeroizing::new([0; N]);
    getrandom::fill(bytes.as_mut_slice())
        .map_err(|error| AuditError::Refused { why: format!("the system has no random bytes: {error}") })?;
    Ok(bytes)
}
