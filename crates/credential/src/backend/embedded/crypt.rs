//! Sealing and opening: XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha-03) with random 192-bit nonces, and keys for each
//! purpose derived from the store's data key with BLAKE3 in its key-derivation mode.

use chacha20poly1305::aead::{AeadInOut, KeyInit};
use chacha20poly1305::{Tag, XChaCha20Poly1305, XNonce};

use crate::SecretValue;

/// Bytes of a key.
pub(super) const KEY: usize = 32;
/// Bytes of a nonce.
pub(super) const NONCE: usize = 24;
/// Bytes of a tag.
pub(super) const TAG: usize = 16;

/// What was sealed cannot be opened: another key, other associated data, or changed bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct CannotOpen;

/// Random bytes from the system; keys and nonces come from here only.
pub(super) fn random<const N: usize>() -> std::io::Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|e| std::io::Error::other(e.to_string()))?;
    Ok(bytes)
}

/// A new random key.
pub(super) fn new_key() -> std::io::Result<SecretValue> {
    SecretValue::fill(KEY, |out| {
        getrandom::fill(out).map_err(|e| std::io::Error::other(e.to_string()))?;
        Ok(KEY)
    })
}

/// The key for one purpose.
pub(super) fn derive(key: &SecretValue, purpose: &str) -> SecretValue {
    let context = format!("custody 2026 embedded store v1 {purpose}");
    let mut derived = blake3::derive_key(&context, key.expose());
    let secret = SecretValue::copy_of(&derived);
    zeroize::Zeroize::zeroize(&mut derived);
    secret
}

/// Nonce, ciphertext and tag.
pub(super) fn seal(key: &SecretValue, associated: &[u8], plain: &[u8]) -> std::io::Result<Vec<u8>> {
    let cipher = XChaCha20Poly1305::new_from_slice(key.expose()).map_err(std::io::Error::other)?;
    let nonce: [u8; NONCE] = random()?;
    // Encrypted where it already is to be secret; only ciphertext leaves these pages.
    let mut secret = SecretValue::copy_of(plain);
    let tag = cipher
        .encrypt_inout_detached(&XNonce::from(nonce), associated, secret.expose_mut().into())
        .map_err(|_| std::io::Error::other("too long to encrypt"))?;
    let mut sealed = Vec::with_capacity(NONCE + plain.len() + TAG);
    sealed.extend_from_slice(&nonce);
    sealed.extend_from_slice(secret.expose());
    sealed.extend_from_slice(&tag);
    Ok(sealed)
}

/// What was sealed, in pages of its own.
pub(super) fn open(key: &SecretValue, associated: &[u8], sealed: &[u8]) -> Result<SecretValue, CannotOpen> {
    let cipher = XChaCha20Poly1305::new_from_slice(key.expose()).map_err(|_| CannotOpen)?;
    let (nonce, rest) = sealed.split_at_checked(NONCE).ok_or(CannotOpen)?;
    let (ciphertext, tag) = rest.split_at_checked(rest.len().checked_sub(TAG).ok_or(CannotOpen)?).ok_or(CannotOpen)?;
    let nonce = XNonce::try_from(nonce).map_err(|_| CannotOpen)?;
    let tag = Tag::try_from(tag).map_err(|_| CannotOpen)?;
    SecretValue::fill(ciphertext.len(), |out| {
        out.copy_from_slice(ciphertext);
        cipher.decrypt_inout_detached(&nonce, associated, (&mut *out).into(), &tag).map_err(|_| CannotOpen)?;
        Ok(ciphertext.len())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_sealed_opens_with_its_key_and_associated_data_only() {
        let key = new_key().expect("random");
        let sealed = seal(&key, b"place", b"swordfish").expect("sealed");
        assert_eq!(open(&key, b"place", &sealed).expect("opens").expose(), b"swordfish");
        assert_eq!(open(&key, b"other", &sealed), Err(CannotOpen));
        assert_eq!(open(&derive(&key, "x"), b"place", &sealed), Err(CannotOpen));
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert_eq!(open(&key, b"place", &changed), Err(CannotOpen), "byte {at}");
            assert_eq!(open(&key, b"place", &sealed[..at]), Err(CannotOpen), "cut at {at}");
        }
        assert!(!sealed.windows(5).any(|w| w == b"sword"));
    }
}
