//! The one type that holds secret material.

mod pages;

use std::fmt;
use std::io::{self, Read};
use std::path::Path;

use subtle::ConstantTimeEq;
use zeroize::Zeroize;

use pages::Pages;

/// Secret material: bytes that cannot be printed, serialised, cloned or compared in variable time, and that are
/// overwritten when dropped.
///
/// The bytes lie in pages of their own that are kept out of swap and core files where the system allows it
/// ([`SecretValue::is_locked`]).
///
/// # Security
/// The bytes are seen only through [`SecretValue::expose`]; keep what it gives as short as possible, and never copy
/// it into a `String` or `Vec` that is not zeroized.
pub struct SecretValue(Pages);

impl SecretValue {
    /// Takes the bytes over; the vector is overwritten, with what it held beyond them.
    pub fn new(mut bytes: Vec<u8>) -> Self {
        let value = Self::copy_of(&bytes);
        bytes.zeroize();
        value
    }

    /// A copy of bytes that belong to somebody else.
    pub fn copy_of(bytes: &[u8]) -> Self {
        let mut pages = Pages::new(bytes.len());
        pages.as_mut_slice().copy_from_slice(bytes);
        Self(pages)
    }

    /// Fills `capacity` bytes in place; what `fill` returns is how many of them count.
    ///
    /// # Errors
    /// What `fill` returns; whatever it wrote is overwritten.
    pub fn fill<E>(capacity: usize, fill: impl FnOnce(&mut [u8]) -> Result<usize, E>) -> Result<Self, E> {
        let mut pages = Pages::new(capacity);
        let len = fill(pages.as_mut_slice())?;
        pages.truncate(len);
        Ok(Self(pages))
    }

    /// Reads to the end of `reader`, at most `limit` bytes, into pages of its own: no buffer in between keeps a copy.
    ///
    /// # Errors
    /// As reading; `FileTooLarge` above the limit.
    pub fn read_from(mut reader: impl Read, limit: usize) -> io::Result<Self> {
        let mut pages = Pages::new(limit.min(4096));
        let mut len = 0;
        loop {
            if len == pages.as_mut_slice().len() {
                if len >= limit {
                    let mut probe = [0u8; 1];
                    let more = reader.read(&mut probe)?;
                    probe.zeroize();
                    if more != 0 {
                        return Err(io::ErrorKind::FileTooLarge.into());
                    }
                    break;
                }
                let mut larger = Pages::new((len * 4).clamp(4096, limit));
                larger.as_mut_slice()[..len].copy_from_slice(&pages.as_mut_slice()[..len]);
                pages = larger;
            }
            match reader.read(&mut pages.as_mut_slice()[len..]) {
                Ok(0) => break,
                Ok(read) => len += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        pages.truncate(len);
        Ok(Self(pages))
    }

    /// Reads a file whole, at most `limit` bytes.
    ///
    /// # Errors
    /// As reading; `FileTooLarge` above the limit; `InvalidInput` for what is no regular file.
    pub fn read_file(path: &Path, limit: usize) -> io::Result<Self> {
        // Opening a pipe that nobody writes to would wait for ever.
        if !path.metadata()?.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
        }
        Self::read_from(std::fs::File::open(path)?, limit)
    }

    /// The bytes themselves.
    pub fn expose(&self) -> &[u8] {
        self.0.as_slice()
    }

    /// The bytes themselves, to be changed in place.
    pub(crate) fn expose_mut(&mut self) -> &mut [u8] {
        self.0.as_mut_slice()
    }

    /// The bytes as text, where they are UTF-8.
    pub fn expose_str(&self) -> Option<&str> {
        std::str::from_utf8(self.expose()).ok()
    }

    /// A second value with the same bytes, where one is really needed.
    #[must_use]
    pub fn duplicate(&self) -> Self {
        Self::copy_of(self.expose())
    }

    /// Without one newline (`\n` or `\r\n`) at its end, as editors and `echo` leave it.
    #[must_use]
    pub fn without_final_newline(mut self) -> Self {
        let bytes = self.expose();
        let kept = bytes.strip_suffix(b"\n").map_or(bytes, |b| b.strip_suffix(b"\r").unwrap_or(b)).len();
        self.0.truncate(kept);
        self
    }

    /// How many bytes it has.
    pub fn len(&self) -> usize {
        self.expose().len()
    }

    /// Whether it has no bytes.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether the pages are kept out of swap. They are not where the limit for locked memory is used up.
    pub fn is_locked(&self) -> bool {
        self.0.is_locked()
    }
}

impl PartialEq for SecretValue {
    /// Takes the same time wherever the two differ; their lengths are not secret.
    fn eq(&self, other: &Self) -> bool {
        self.expose().ct_eq(other.expose()).into()
    }
}

impl Eq for SecretValue {}

impl fmt::Debug for SecretValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretValue(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_back_whatever_their_number() {
        for len in [0, 1, 4095, 4096, 4097, 65_536] {
            let bytes: Vec<u8> = (0..len).map(|i| (i % 251) as u8).collect();
            let value = SecretValue::new(bytes.clone());
            assert_eq!(value.expose(), bytes);
            assert_eq!(value, value.duplicate());
            assert_eq!(SecretValue::read_from(&bytes[..], 65_536).expect("fits").expose(), bytes);
        }
    }

    #[test]
    fn what_is_above_the_limit_is_refused() {
        assert!(SecretValue::read_from(&[1u8; 17][..], 16).is_err());
        assert_eq!(SecretValue::read_from(&[1u8; 16][..], 16).expect("fits").len(), 16);
        assert_eq!(SecretValue::read_from(&[][..], 0).expect("fits").len(), 0);
    }

    #[test]
    fn one_newline_at_the_end_can_be_left_out() {
        for (text, kept) in [("a\n", "a"), ("a\r\n", "a"), ("a\n\n", "a\n"), ("a", "a"), ("\n", ""), ("", "")] {
            assert_eq!(SecretValue::copy_of(text.as_bytes()).without_final_newline().expose(), kept.as_bytes());
        }
    }

    #[test]
    fn it_shows_nothing() {
        let value = SecretValue::copy_of(b"swordfish");
        assert!(!format!("{value:?}").contains("sword"));
    }
}
