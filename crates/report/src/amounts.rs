//! Amounts as people write them.

/// `118 of 120 files`, or `120 files` where all were read.
pub(crate) fn share(read: u64, expected: u64, unit: &str) -> String {
    if read == expected { count(read, unit) } else { format!("{} of {}", grouped(read), count(expected, unit)) }
}

/// `n` of a unit that is given in the plural: `1 file`, `1,204 entries`.
pub(crate) fn count(n: u64, units: &str) -> String {
    if n != 1 {
        return format!("{} {units}", grouped(n));
    }
    match (units.strip_suffix("ies"), units.strip_suffix('s')) {
        (Some(stem), _) => format!("1 {stem}y"),
        (None, Some(stem)) => format!("1 {stem}"),
        (None, None) => format!("1 {units}"),
    }
}

/// As [`count`], for lengths.
pub(crate) fn amount(n: usize, units: &str) -> String {
    count(u64::try_from(n).unwrap_or(u64::MAX), units)
}

/// Digits in threes: `12,345`.
pub(crate) fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.char_indices() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// An amount of bytes in decimal units: `3.1 MB`.
pub(crate) fn bytes(n: u64) -> String {
    const UNITS: [&str; 5] = ["kB", "MB", "GB", "TB", "PB"];
    if n < 1_000 {
        return format!("{n} B");
    }
    let mut tenths = u128::from(n) * 10 / 1_000;
    let mut unit = 0;
    while tenths >= 10_000 && unit + 1 < UNITS.len() {
        tenths /= 1_000;
        unit += 1;
    }
    format!("{}.{} {}", tenths / 10, tenths % 10, UNITS[unit])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_read_as_people_write_them() {
        assert_eq!(count(1, "files"), "1 file");
        assert_eq!(count(1, "entries"), "1 entry");
        assert_eq!(count(12_345, "objects"), "12,345 objects");
        assert_eq!(count(0, "files"), "0 files");
        assert_eq!(bytes(999), "999 B");
        assert_eq!(bytes(1_000), "1.0 kB");
        assert_eq!(bytes(999_999), "999.9 kB");
        assert_eq!(bytes(3_141_592), "3.1 MB");
        assert_eq!(bytes(u64::MAX), "18446.7 PB");
    }
}
