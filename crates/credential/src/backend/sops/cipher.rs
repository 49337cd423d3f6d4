//! Values as sops encrypts them: `ENC[AES256_GCM,data:…,iv:…,tag:…,type:…]`, bound to their path.

use aes_gcm::AesGcm;
use aes_gcm::aead::array::ArraySize;
use aes_gcm::aead::consts::{U12, U32};
use aes_gcm::aead::{AeadInOut, KeyInit, Nonce, Tag};
use aes_gcm::aes::Aes256;
use data_encoding::BASE64;

use crate::SecretValue;

/// Type of an encrypted value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Int,
    Float,
    Bool,
    Bytes,
    Time,
    Comment,
}

/// An encrypted value, taken apart.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Encrypted {
    data: Vec<u8>,
    iv: Vec<u8>,
    tag: Vec<u8>,
    pub(super) kind: Kind,
}

impl Encrypted {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let body = text.trim().strip_prefix("ENC[AES256_GCM,")?.strip_suffix(']')?;
        let mut parts = body.split(',');
        let mut part = |name: &str| parts.next()?.strip_prefix(name)?.strip_prefix(':');
        let decode = |text: &str| BASE64.decode(text.as_bytes()).ok();
        let (data, iv, tag) = (decode(part("data")?)?, decode(part("iv")?)?, decode(part("tag")?)?);
        let kind = match part("type")? {
            "str" => Kind::Text,
            "int" => Kind::Int,
            "float" => Kind::Float,
            "bool" => Kind::Bool,
            "bytes" => Kind::Bytes,
            "time" => Kind::Time,
            "comment" => Kind::Comment,
            _ => return None,
        };
        parts.next().is_none().then_some(Self { data, iv, tag, kind })
    }

    /// The plain value, if key and path are right.
    pub(super) fn open(&self, key: &SecretValue, path: &str) -> Option<SecretValue> {
        match self.iv.len() {
            32 => self.open_with::<U32>(key, path),
            12 => self.open_with::<U12>(key, path),
            _ => None,
        }
    }

    fn open_with<N: ArraySize>(&self, key: &SecretValue, path: &str) -> Option<SecretValue>
    where
        AesGcm<Aes256, N>: AeadInOut<NonceSize = N> + KeyInit,
    {
        let cipher = AesGcm::<Aes256, N>::new_from_slice(key.expose()).ok()?;
        let nonce = Nonce::<AesGcm<Aes256, N>>::try_from(self.iv.as_slice()).ok()?;
        let tag = Tag::<AesGcm<Aes256, N>>::try_from(self.tag.as_slice()).ok()?;
        let opened = SecretValue::fill(self.data.len(), |out| {
            out.copy_from_slice(&self.data);
            cipher.decrypt_inout_detached(&nonce, path.as_bytes(), (&mut *out).into(), &tag).map_err(|_| ())?;
            Ok::<usize, ()>(self.data.len())
        });
        opened.ok()
    }
}

/// Encrypts as sops does, for tests.
#[cfg(test)]
pub(super) fn encrypt(key: &SecretValue, path: &str, plain: &[u8], kind: &str) -> String {
    if plain.is_empty() {
        return String::new();
    }
    let cipher = AesGcm::<Aes256, U32>::new_from_slice(key.expose()).expect("32 bytes");
    let mut iv = [0u8; 32];
    getrandom::fill(&mut iv).expect("random");
    let mut data = plain.to_vec();
    let nonce = Nonce::<AesGcm<Aes256, U32>>::from(iv);
    let tag = cipher.encrypt_inout_detached(&nonce, path.as_bytes(), data.as_mut_slice().into()).expect("short");
    let [data, iv, tag] = [&data[..], &iv[..], &tag[..]].map(|bytes| BASE64.encode(bytes));
    format!("ENC[AES256_GCM,data:{data},iv:{iv},tag:{tag},type:{kind}]")
}
