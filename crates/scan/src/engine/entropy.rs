//! Shannon entropy.

/// Bits per byte of `bytes`; 0 for none.
pub(crate) fn shannon(bytes: &[u8]) -> f32 {
    if bytes.is_empty() {
        return 0.0;
    }
    let mut counts = [0u32; 256];
    bytes.iter().for_each(|&b| counts[usize::from(b)] += 1);
    let total = bytes.len() as f32;
    counts
        .iter()
        .filter(|&&count| count > 0)
        .map(|&count| {
            let share = count as f32 / total;
            -share * share.log2()
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uniform_and_constant_text_have_the_extremes() {
        assert!((shannon(b"abcdefgh") - 3.0).abs() < 1e-6);
        assert!(shannon(b"aaaa").abs() < 1e-6);
        assert!(shannon(b"").abs() < 1e-6);
    }
}
