//! Putting a data key together from the parts of several groups.
//!
//! The format (that of Vault's `shamir`): each byte of the key is a polynomial's value at 0 in GF(2⁸) with
//! x⁸ + x⁴ + x³ + x + 1; a part holds the values at its point, and that point as its last byte.

use crate::SecretValue;

/// The key, or `None` where the parts do not belong together. What is wrong with their values shows only in the key.
pub(super) fn combine(parts: &[SecretValue]) -> Option<SecretValue> {
    let length = parts.first()?.len().checked_sub(1).filter(|length| *length > 0)?;
    let points: Vec<u8> = parts.iter().map(|part| part.expose().get(length).copied()).collect::<Option<_>>()?;
    let is_set = points.iter().enumerate().all(|(i, x)| *x != 0 && !points[..i].contains(x));
    if !is_set || parts.iter().any(|part| part.len() != length + 1) {
        return None;
    }
    // Lagrange's weights at 0; in this field subtraction is addition.
    let weight = |own: usize| {
        let others = points.iter().enumerate().filter(|(other, _)| *other != own);
        others.fold(1, |product, (_, x)| multiply(product, multiply(*x, inverse(*x ^ points[own]))))
    };
    let weights: Vec<u8> = (0..parts.len()).map(weight).collect();
    let combined: Result<_, std::convert::Infallible> = SecretValue::fill(length, |out| {
        for (at, byte) in out[..length].iter_mut().enumerate() {
            *byte = parts.iter().zip(&weights).fold(0, |sum, (part, w)| sum ^ multiply(part.expose()[at], *w));
        }
        Ok(length)
    });
    combined.ok()
}

/// Takes the same time for all values: neither branch nor table depends on them.
fn multiply(mut a: u8, b: u8) -> u8 {
    let mut product = 0;
    for bit in 0..8 {
        product ^= a & 0u8.wrapping_sub((b >> bit) & 1);
        a = (a << 1) ^ (0x1b & 0u8.wrapping_sub(a >> 7));
    }
    product
}

/// a²⁵⁴.
fn inverse(a: u8) -> u8 {
    (0..6).fold(multiply(a, a), |power, _| multiply(multiply(power, power), multiply(a, a)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_field_is_the_one_of_the_format() {
        // FIPS 197, section 4.2.
        assert_eq!(multiply(0x57, 0x83), 0xc1);
        for a in 1..=255 {
            assert_eq!(multiply(a, inverse(a)), 1, "{a}");
        }
    }

    proptest! {
        #[test]
        fn any_two_of_three_parts_give_the_key(secret: [u8; 32], slope: [u8; 32], points in proptest::sample::subsequence((1..=255u8).collect::<Vec<_>>(), 3)) {
            let part = |x: u8| {
                let values = secret.iter().zip(&slope).map(|(s, k)| s ^ multiply(*k, x));
                SecretValue::new(values.chain([x]).collect())
            };
            for pair in [[0, 1], [2, 0], [1, 2]] {
                let combined = combine(&pair.map(|i| part(points[i]))).expect("they belong together");
                prop_assert_eq!(combined.expose(), &secret[..]);
            }
            prop_assert!(combine(&[part(points[0]), part(points[0])]).is_none());
        }

        #[test]
        fn any_parts_are_answered(parts: Vec<Vec<u8>>) {
            let _ = combine(&parts.into_iter().map(SecretValue::new).collect::<Vec<_>>());
        }
    }
}
