//! The keys of one log, by what they are for.

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::{KeyStore, Signer, random};
use crate::error::AuditError;
use crate::fingerprint::Fingerprinter;
use crate::format::{Hash, LogId, PublicKey};

const SIGNING: &str = "signing-key";
const NEXT: &str = "signing-key.next";
const FINGERPRINT: &str = "fingerprint-key";
const PIN: &str = "pin";
const WITNESS: &str = "witness";
/// All of them.
pub(super) const NAMES: [&str; 5] = [SIGNING, NEXT, FINGERPRINT, PIN, WITNESS];

/// Which log the keys belong to, and its first public key: what verification rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Pin {
    pub(crate) log: LogId,
    pub(crate) key: PublicKey,
}

/// The last signed record that a writer saw; kept beside the keys, apart from the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Witness {
    pub(crate) log: LogId,
    pub(crate) sequence: u64,
    pub(crate) hash: Hash,
}

/// A key store, seen as the keys of one log.
pub(crate) struct KeyRing(Box<dyn KeyStore>);

impl KeyRing {
    pub(crate) fn new(store: impl KeyStore + 'static) -> Self {
        Self(Box::new(store))
    }

    /// The key that signs now.
    pub(crate) fn signer(&self) -> Result<Option<Signer>, AuditError> {
        Ok(self.seed(SIGNING)?.map(|seed| Signer::from_seed(&seed)))
    }

    /// The key that signs now, made if there is none.
    pub(crate) fn signer_or_new(&self) -> Result<Signer, AuditError> {
        if let Some(signer) = self.signer()? {
            return Ok(signer);
        }
        let (signer, seed) = Signer::generate()?;
        self.0.write(SIGNING, hex(&seed).as_bytes())?;
        Ok(signer)
    }

    /// Makes the key that signs next and stores it beside the present one.
    pub(crate) fn prepare_next(&self) -> Result<Signer, AuditError> {
        let (signer, seed) = Signer::generate()?;
        self.0.write(NEXT, hex(&seed).as_bytes())?;
        Ok(signer)
    }

    /// The key with this public half, be it the present one or the next.
    pub(crate) fn candidate(&self, key: PublicKey) -> Result<Option<Signer>, AuditError> {
        let seeds = [self.seed(SIGNING)?, self.seed(NEXT)?];
        let signers = seeds.into_iter().flatten().map(|seed| Signer::from_seed(&seed));
        Ok(signers.into_iter().find(|signer| signer.public_key() == key))
    }

    /// The key with this public half: the present one, or the next one, which then becomes the present one (a process
    /// died between recording the rotation and finishing it).
    pub(crate) fn signer_for(&self, key: PublicKey) -> Result<Option<Signer>, AuditError> {
        if let Some(signer) = self.signer()?
            && signer.public_key() == key
        {
            return Ok(Some(signer));
        }
        let Some(seed) = self.seed(NEXT)? else { return Ok(None) };
        let signer = Signer::from_seed(&seed);
        if signer.public_key() != key {
            return Ok(None);
        }
        self.0.write(SIGNING, hex(&seed).as_bytes())?;
        self.0.remove(NEXT)?;
        Ok(Some(signer))
    }

    /// Makes fingerprints; the key is made if there is none.
    pub(crate) fn fingerprinter(&self) -> Result<Fingerprinter, AuditError> {
        if let Some(seed) = self.seed(FINGERPRINT)? {
            return Ok(Fingerprinter::new(&seed));
        }
        let seed = random::<32>()?;
        self.0.write(FINGERPRINT, hex(&seed).as_bytes())?;
        Ok(Fingerprinter::new(&seed))
    }

    pub(crate) fn has_fingerprint_key(&self) -> Result<bool, AuditError> {
        Ok(self.seed(FINGERPRINT)?.is_some())
    }

    pub(crate) fn pin(&self) -> Result<Option<Pin>, AuditError> {
        self.json(PIN)
    }

    pub(crate) fn set_pin(&self, pin: Option<&Pin>) -> Result<(), AuditError> {
        match pin {
            Some(pin) => self.set_json(PIN, pin),
            None => self.0.remove(PIN).and_then(|()| self.0.remove(WITNESS)),
        }
    }

    pub(crate) fn witness(&self) -> Result<Option<Witness>, AuditError> {
        self.json(WITNESS)
    }

    pub(crate) fn set_witness(&self, witness: &Witness) -> Result<(), AuditError> {
        self.set_json(WITNESS, witness)
    }

    fn seed(&self, name: &str) -> Result<Option<Zeroizing<[u8; 32]>>, AuditError> {
        let Some(text) = self.0.read(name)? else { return Ok(None) };
        let mut seed = Zeroizing::new([0; 32]);
        let text = text.trim_ascii();
        let is_seed = text.len() == 64 && data_encoding::HEXLOWER.decode_mut(text, seed.as_mut_slice()).is_ok();
        if is_seed { Ok(Some(seed)) } else { Err(unusable(name, "it is not 64 hexadecimal digits")) }
    }

    fn json<T: serde::de::DeserializeOwned>(&self, name: &str) -> Result<Option<T>, AuditError> {
        let Some(text) = self.0.read(name)? else { return Ok(None) };
        serde_json::from_slice(&text).map(Some).map_err(|error| unusable(name, &error.to_string()))
    }

    fn set_json<T: Serialize>(&self, name: &str, value: &T) -> Result<(), AuditError> {
        let text = serde_json::to_vec(value).map_err(|error| unusable(name, &error.to_string()))?;
        self.0.write(name, &text)
    }
}

fn hex(seed: &[u8; 32]) -> Zeroizing<String> {
    Zeroizing::new(data_encoding::HEXLOWER.encode(seed))
}

fn unusable(name: &str, why: &str) -> AuditError {
    AuditError::Key { path: name.to_owned(), why: why.to_owned() }
}
