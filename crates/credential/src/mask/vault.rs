//! Where the masker keeps what it looks for.
//!
//! It needs the values for as long as the command runs. They lie in pages that are locked into memory and left out of
//! core files, each value split into two shares, a random one and its exclusive or with the value, so that no page,
//! dump or scan of memory shows a value; single bytes are put together where they are compared.

use std::ops::Range;

use zeroize::Zeroize as _;

use crate::inject::memory::LockedBytes;

/// The bytes of all values, split.
#[derive(Debug, Default)]
pub struct Vault {
    random: LockedBytes,
    mixed: LockedBytes,
}

/// The random source failed; without it nothing is kept.
#[derive(Debug, thiserror::Error)]
#[error("the system gives no random bytes to protect values with in memory")]
pub struct NoRandom;

impl Vault {
    /// Splits and keeps `values`; gives where each one lies. The caller's copy is overwritten.
    pub fn keep(values: &mut [Vec<u8>]) -> Result<(Vault, Vec<Range<u32>>), NoRandom> {
        let total = values.iter().map(Vec::len).sum();
        let (mut random, mut mixed) = (LockedBytes::new(total), LockedBytes::new(total));
        getrandom::fill(random.as_mut_slice()).map_err(|_| NoRandom)?;
        let mut places = Vec::with_capacity(values.len());
        let mut at = 0;
        for value in values {
            let end = at + value.len();
            let shares = mixed.as_mut_slice()[at..end].iter_mut().zip(&random.as_slice()[at..end]);
            for ((mixed, random), byte) in shares.zip(value.iter()) {
                *mixed = random ^ byte;
            }
            value.zeroize();
            places.push(u32::try_from(at).unwrap_or(u32::MAX)..u32::try_from(end).unwrap_or(u32::MAX));
            at = end;
        }
        Ok((Vault { random, mixed }, places))
    }

    /// One byte.
    #[inline]
    pub fn byte(&self, at: u32) -> u8 {
        self.random.as_slice()[at as usize] ^ self.mixed.as_slice()[at as usize]
    }
}
