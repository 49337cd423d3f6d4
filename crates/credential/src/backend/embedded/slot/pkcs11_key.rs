//! Keys of a PKCS#11 token: finding and making one, and sealing with it.
//!
//! AES-256 in GCM where the token has it, else RSA with OAEP. A new key cannot be read or exported.

use cryptoki::error::{Error, RvError};
use cryptoki::mechanism::aead::GcmParams;
use cryptoki::mechanism::rsa::{PkcsMgfType, PkcsOaepParams, PkcsOaepSource};
use cryptoki::mechanism::{Mechanism, MechanismType};
use cryptoki::object::{Attribute, AttributeType, KeyType, ObjectClass, ObjectHandle};
use cryptoki::session::Session;
use serde::{Deserialize, Serialize};

use crate::SecretValue;
use crate::backend::embedded::crypt;
use crate::backend::embedded::format::Id;

use super::pkcs11::said;

const GCM_NONCE: usize = 12;
const RSA_BITS: usize = 3072;

/// How a key seals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(in crate::backend::embedded) enum Algorithm {
    /// AES-GCM, with the store's id as associated data; a nonce of 12 bytes stands in front.
    AesGcm,
    /// RSA with OAEP, SHA-256.
    RsaOaepSha256,
    /// RSA with OAEP, SHA-1: what most tokens know.
    RsaOaepSha1,
}

/// A key on a token.
pub(super) struct Key {
    pub(super) id: Vec<u8>,
    pub(super) is_own: bool,
    is_rsa: bool,
}

/// Makes a key that never leaves the token.
pub(super) fn generate(session: &Session, mechanisms: &[MechanismType], store: Id) -> Result<Key, String> {
    let id = Id::random().map_err(|e| format!("no randomness: {e}"))?.0.to_vec();
    let label = Attribute::Label(format!("custody store {store}").into_bytes());
    let has = |wanted: &[MechanismType]| wanted.iter().all(|m| mechanisms.contains(m));
    if has(&[MechanismType::AES_KEY_GEN, MechanismType::AES_GCM]) {
        let template = [
            Attribute::Class(ObjectClass::SECRET_KEY),
            Attribute::KeyType(KeyType::AES),
            Attribute::ValueLen(32.into()),
            Attribute::Encrypt(true),
            Attribute::Id(id.clone()),
            label,
        ];
        let template = [&template[..], &kept()].concat();
        session.generate_key(&Mechanism::AesKeyGen, &template).map_err(|e| said(&e))?;
        return Ok(Key { id, is_own: true, is_rsa: false });
    }
    if has(&[MechanismType::RSA_PKCS_KEY_PAIR_GEN, MechanismType::RSA_PKCS_OAEP]) {
        let bits = RSA_BITS.try_into().map_err(|_| "the module's numbers are too small".to_owned())?;
        let public = [
            Attribute::Token(true),
            Attribute::Private(false),
            Attribute::Encrypt(true),
            Attribute::ModulusBits(bits),
            Attribute::PublicExponent(vec![1, 0, 1]),
            Attribute::Id(id.clone()),
            label.clone(),
        ];
        let private = [&[Attribute::Id(id.clone()), label][..], &kept()].concat();
        session.generate_key_pair(&Mechanism::RsaPkcsKeyPairGen, &public, &private).map_err(|e| said(&e))?;
        return Ok(Key { id, is_own: true, is_rsa: true });
    }
    Err("the token can make neither keys for AES-GCM nor for RSA-OAEP: name one that it has as pkcs11.key".to_owned())
}

/// What every key of ours is: on the token, for its owner, and not to be had from it.
fn kept() -> Vec<Attribute> {
    vec![
        Attribute::Token(true),
        Attribute::Private(true),
        Attribute::Sensitive(true),
        Attribute::Extractable(false),
        Attribute::Decrypt(true),
    ]
}

/// A key of the token's owner, by its label.
pub(super) fn labelled(session: &Session, label: &str) -> Result<Key, String> {
    let mut found = Vec::new();
    for class in [ObjectClass::SECRET_KEY, ObjectClass::PRIVATE_KEY] {
        let template = [Attribute::Class(class), Attribute::Label(label.as_bytes().to_vec())];
        for object in session.find_objects(&template).map_err(|e| said(&e))? {
            found.push((class, object));
        }
    }
    let (class, object) = match found.as_slice() {
        [one] => *one,
        [] => return Err(format!("the token has no secret or private key `{label}`")),
        _ => return Err(format!("the token has several keys `{label}`: give one a label of its own")),
    };
    let attributes = session.get_attributes(object, &[AttributeType::Id]).map_err(|e| said(&e))?;
    let id = attributes.into_iter().find_map(|a| if let Attribute::Id(id) = a { Some(id) } else { None });
    let id = id.filter(|id| !id.is_empty()).ok_or_else(|| format!("the key `{label}` has no id"))?;
    Ok(Key { id, is_own: false, is_rsa: class == ObjectClass::PRIVATE_KEY })
}

/// A key of the token's owner, by its id.
pub(super) fn existing(session: &Session, id: &[u8]) -> Result<Key, String> {
    let is_rsa = object(session, ObjectClass::SECRET_KEY, id).is_err();
    if is_rsa {
        object(session, ObjectClass::PRIVATE_KEY, id)?;
    }
    Ok(Key { id: id.to_vec(), is_own: false, is_rsa })
}

/// Removes all objects of an id; one that stays opens nothing in force.
pub(super) fn destroy(session: &Session, id: &[u8]) {
    for object in session.find_objects(&[Attribute::Id(id.to_vec())]).unwrap_or_default() {
        let _ = session.destroy_object(object);
    }
}

fn object(session: &Session, class: ObjectClass, id: &[u8]) -> Result<ObjectHandle, String> {
    let found = session.find_objects(&[Attribute::Class(class), Attribute::Id(id.to_vec())]);
    found
        .map_err(|e| said(&e))?
        .into_iter()
        .next()
        .ok_or_else(|| "the token has not the store's key any more".to_owned())
}

fn oaep(algorithm: Algorithm) -> Mechanism<'static> {
    let (hash, mask) = match algorithm {
        Algorithm::RsaOaepSha1 => (MechanismType::SHA1, PkcsMgfType::MGF1_SHA1),
        _ => (MechanismType::SHA256, PkcsMgfType::MGF1_SHA256),
    };
    Mechanism::RsaPkcsOaep(PkcsOaepParams::new(hash, mask, PkcsOaepSource::empty()))
}

/// Seals a key with the token's.
pub(super) fn seal(
    session: &Session,
    key: &Key,
    store: Id,
    plain: &SecretValue,
) -> Result<(Algorithm, Vec<u8>), String> {
    if key.is_rsa {
        let public = object(session, ObjectClass::PUBLIC_KEY, &key.id)
            .map_err(|_| "the token has no public key beside the private one".to_owned())?;
        for algorithm in [Algorithm::RsaOaepSha256, Algorithm::RsaOaepSha1] {
            match session.encrypt(&oaep(algorithm), public, plain.expose()) {
                Ok(sealed) => return Ok((algorithm, sealed)),
                // Tokens that know one hash only say so in one of these ways.
                Err(Error::Pkcs11(
                    RvError::ArgumentsBad | RvError::MechanismParamInvalid | RvError::MechanismInvalid,
                    _,
                )) if algorithm == Algorithm::RsaOaepSha256 => {}
                Err(error) => return Err(said(&error)),
            }
        }
    }
    let secret = object(session, ObjectClass::SECRET_KEY, &key.id)?;
    let mut nonce: [u8; GCM_NONCE] = crypt::random().map_err(|e| format!("no randomness: {e}"))?;
    let (mechanism_nonce, associated) = (&mut nonce, store.0);
    let parameters = GcmParams::new(&mut mechanism_nonce[..], &associated, 128.into()).map_err(|e| said(&e))?;
    let mechanism = Mechanism::AesGcm(parameters);
    let sealed = session.encrypt(&mechanism, secret, plain.expose()).map_err(|e| said(&e))?;
    // A token may have chosen a nonce of its own.
    drop(mechanism);
    Ok((Algorithm::AesGcm, [&nonce[..], &sealed].concat()))
}

/// Opens what [`seal`] sealed.
pub(super) fn open(
    session: &Session,
    id: &[u8],
    algorithm: Algorithm,
    store: Id,
    sealed: &[u8],
) -> Result<SecretValue, String> {
    let opened = match algorithm {
        Algorithm::RsaOaepSha256 | Algorithm::RsaOaepSha1 => {
            let private = object(session, ObjectClass::PRIVATE_KEY, id)?;
            session.decrypt(&oaep(algorithm), private, sealed)
        }
        Algorithm::AesGcm => {
            let secret = object(session, ObjectClass::SECRET_KEY, id)?;
            let (nonce, rest) = sealed.split_first_chunk::<GCM_NONCE>().ok_or("the store was changed")?;
            let mut nonce = *nonce;
            let parameters = GcmParams::new(&mut nonce, &store.0, 128.into()).map_err(|e| said(&e))?;
            session.decrypt(&Mechanism::AesGcm(parameters), secret, rest)
        }
    };
    let opened = opened.map(SecretValue::new).map_err(|error| match error {
        Error::Pkcs11(RvError::EncryptedDataInvalid | RvError::EncryptedDataLenRange | RvError::GeneralError, _) => {
            "it is the key of another store, or the store was changed".to_owned()
        }
        other => said(&other),
    })?;
    if opened.len() == crypt::KEY { Ok(opened) } else { Err("the token opens no key".to_owned()) }
}
