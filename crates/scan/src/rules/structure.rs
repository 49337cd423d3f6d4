//! Validators that take a format apart: wallets' keys and phrases, macaroons, DER.

use bip39::{Language, Mnemonic};
use data_encoding::{BASE64, BASE64_NOPAD, BASE64URL_NOPAD};
use der::{Decode, Header, Reader, SliceReader, Tag};
use sha2::{Digest, Sha256};
use zeroize::Zeroize;

/// Base58Check of a private key: 33 or 34 bytes in WIF (version, key, and a mark if the public key is compressed), or the
/// 78 of an extended private key (BIP 32, SLIP 132).
pub(super) fn base58check(secret: &[u8]) -> bool {
    let Ok(mut bytes) = bs58::decode(secret).into_vec() else { return false };
    let holds = bytes.len().checked_sub(4).is_some_and(|at| {
        let (body, check) = bytes.split_at(at);
        Sha256::digest(Sha256::digest(body))[..4] == *check && is_private(body)
    });
    bytes.zeroize();
    holds
}

fn is_private(body: &[u8]) -> bool {
    match body.len() {
        // Bitcoin and its test network, Litecoin, Dogecoin, Dash.
        33 | 34 => matches!(body[0], 0x80 | 0xef | 0xb0 | 0x9e | 0xcc) && (body.len() == 33 || body[33] == 1),
        // An extended key's own bytes start with zero if they are private.
        78 => body[45] == 0,
        _ => false,
    }
}

/// BIP 39: 12 to 24 English words of which the last holds a checksum.
pub(super) fn bip39(secret: &[u8]) -> bool {
    std::str::from_utf8(secret).is_ok_and(|words| Mnemonic::parse_in_normalized(Language::English, words).is_ok())
}

/// A macaroon in its binary format 2, as PyPI issues it: a version byte, then fields of type, length and data; location
/// and identifier, caveats, and a signature of 32 bytes at the end.
pub(super) fn macaroon(secret: &[u8]) -> bool {
    let start = secret.iter().position(|&b| b == b'-').map_or(0, |at| at + 1);
    let Ok(mut bytes) = BASE64URL_NOPAD.decode(&secret[start..]) else { return false };
    let holds = fields(&bytes).is_some_and(|signature| signature == 32);
    bytes.zeroize();
    holds
}

/// The length of the signature, if everything before it is well formed.
fn fields(bytes: &[u8]) -> Option<usize> {
    const END: u8 = 0;
    const IDENTIFIER: u8 = 2;
    const SIGNATURE: u8 = 6;
    let (&2, mut rest) = bytes.split_first()? else { return None };
    let mut identifiers = 0;
    loop {
        let (&kind, after) = rest.split_first()?;
        rest = after;
        if kind == END {
            continue;
        }
        let (length, after) = varint(rest)?;
        let data = after.get(..length)?;
        rest = &after[length..];
        match kind {
            IDENTIFIER => identifiers += 1,
            SIGNATURE => return (rest.is_empty() && identifiers > 0).then_some(data.len()),
            1..=5 => {}
            _ => return None,
        }
    }
}

fn varint(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let mut value = 0_usize;
    for (at, &byte) in bytes.iter().enumerate().take(3) {
        value |= usize::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            return Some((value, &bytes[at + 1..]));
        }
    }
    None
}

/// A Discord token: its first part is the decimal number of the account.
pub(super) fn discord(secret: &[u8]) -> bool {
    let first = secret.split(|&b| b == b'.').next().unwrap_or_default();
    let id = BASE64URL_NOPAD.decode(first).or_else(|_| BASE64_NOPAD.decode(first));
    id.is_ok_and(|id| (17..=20).contains(&id.len()) && id.iter().all(u8::is_ascii_digit))
}

/// PKCS#1, PKCS#8, PKCS#12, SEC 1: a sequence that fills the text and begins with an integer of one byte.
pub(super) fn der(secret: &[u8]) -> bool {
    let end = secret.iter().rposition(|&b| b != b'=').map_or(0, |p| p + 1);
    let Ok(mut bytes) = BASE64.decode(secret).or_else(|_| BASE64_NOPAD.decode(&secret[..end])) else { return false };
    let holds = is_versioned_sequence(&bytes);
    bytes.zeroize();
    holds
}

fn is_versioned_sequence(bytes: &[u8]) -> bool {
    let read = || -> der::Result<bool> {
        let mut reader = SliceReader::new(bytes)?;
        let outer = Header::decode(&mut reader)?;
        let fills = u32::from(reader.remaining_len()) == u32::from(outer.length());
        let version = Header::decode(&mut reader)?;
        Ok(outer.tag() == Tag::Sequence && fills && version.tag() == Tag::Integer && u32::from(version.length()) == 1)
    };
    read().unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_wallets_are_verified() {
        // The vectors of BIP 32 and of the description of WIF, put together here so that no scanner reports them.
        let wif = ["5HueCGU8rMjxEXxiPuD5BDku4MkF", "qeZyd4dZ1jvhTVqvbTLvyTJ"].concat();
        assert!(base58check(wif.as_bytes()));
        assert!(!base58check(wif.replace('J', "K").as_bytes()));
        let seed = [
            "xprv9s21ZrQH143K3QTDL4LXw2F7HEK3wJUD2nW2nRk4stbPy6cq3jPP",
            "qjiChkVvvNKmPGJxWUtg6LnF5kejMRNNU3TGtRBeJgk33yuGBxrMPHi",
        ];
        assert!(base58check(seed.concat().as_bytes()));
        assert!(!base58check(b"1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN2"), "an address is public");
    }

    #[test]
    fn phrases_are_verified() {
        let phrase = format!("{}about", "abandon ".repeat(11));
        assert!(bip39(phrase.as_bytes()));
        assert!(!bip39("abandon ".repeat(12).trim().as_bytes()));
        assert!(!bip39(b"the quick brown fox jumps over the lazy dog and runs away"));
    }

    #[test]
    fn a_macaroon_is_taken_apart() {
        let mut bytes = vec![2, 1, 8];
        bytes.extend(b"pypi.org\x02\x03abc\0\x02\x02{}\0\0\x06\x20");
        bytes.extend([7; 32]);
        let token = format!("pypi-{}", BASE64URL_NOPAD.encode(&bytes));
        assert!(macaroon(token.as_bytes()));
        for end in 6..token.len() {
            assert!(!macaroon(&token.as_bytes()[..end]), "{end}");
        }
    }

    #[test]
    fn a_discord_token_begins_with_a_number() {
        let token = |id: &str| format!("{}.Gabcde.{}", BASE64URL_NOPAD.encode(id.as_bytes()), "a".repeat(38));
        assert!(discord(token("123456789012345678").as_bytes()));
        assert!(!discord(token("no-number-at-all!!").as_bytes()));
    }

    #[test]
    fn a_whole_sequence_is_told_from_a_part() {
        let mut bytes = vec![0x30, 0x82, 0x01, 0x00, 2, 1, 0];
        bytes.resize(4 + 256, 5);
        assert!(der(BASE64.encode(&bytes).as_bytes()));
        assert!(der(BASE64_NOPAD.encode(&bytes).as_bytes()));
        assert!(!der(BASE64.encode(&bytes[..200]).as_bytes()));
        assert!(!der(b"MII=") && !der(b"") && !der(b"===="));
    }
}
