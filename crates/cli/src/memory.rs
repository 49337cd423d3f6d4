//! How much memory a scan of a history may take.

use custody_contract::Diagnostic;
use custody_scan::history::LEAST_MEMORY;

use crate::env_vars;
use crate::failure::Failure;

/// Reads a size such as `256MB` or `1GB`; a unit is 1,024 of the one before. Less than [`LEAST_MEMORY`] is refused.
pub fn parse(text: &str) -> Result<u64, String> {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    let factor = match unit.trim().to_ascii_lowercase().as_str() {
        "k" | "kb" | "kib" => 1 << 10,
        "m" | "mb" | "mib" => 1 << 20,
        "g" | "gb" | "gib" => 1 << 30,
        "b" | "" => 1,
        _ => return Err("not a size; give a number with a unit, such as 256MB or 1GB".to_owned()),
    };
    let size = number.parse::<u64>().ok().and_then(|number| number.checked_mul(factor));
    let size = size.ok_or("not a size; give a number with a unit, such as 256MB or 1GB")?;
    if size < LEAST_MEMORY {
        return Err(format!("too little: {} MB are the least", LEAST_MEMORY >> 20));
    }
    Ok(size)
}

/// What is given on the command line, else in the environment, if anything is.
pub fn most(given: Option<u64>) -> Result<Option<u64>, Failure> {
    let from_environment = || {
        let value = std::env::var_os(env_vars::CUSTODY_MAX_MEMORY).filter(|value| !value.is_empty())?;
        let size = value.to_str().ok_or_else(|| "not a size".to_owned()).and_then(parse);
        let diagnostic = |why| {
            let what = format!("cannot use the environment variable {}", env_vars::CUSTODY_MAX_MEMORY);
            Failure::usage(Diagnostic::error("usage", what).why(why).fix("set it to a size such as 512MB, or unset it"))
        };
        Some(size.map_err(diagnostic))
    };
    let most = given.map(Ok).or_else(from_environment).transpose()?;
    if most.is_some() {
        give_back_early();
    }
    Ok(most)
}

/// Has large blocks given back to the system as soon as they are freed. By itself, the C library of GNU keeps more and more
/// of them for later: on a long history a third of what the process takes.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[expect(unsafe_code, reason = "the C library's allocator has no other switch that a program can set")]
fn give_back_early() {
    const LARGE: libc::c_int = 256 << 10;
    // SAFETY: sets a number in the allocator, which checks it; to be called before other threads allocate, as it is: scans
    // start theirs later.
    let _ = unsafe { libc::mallopt(libc::M_MMAP_THRESHOLD, LARGE) };
}

#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
fn give_back_early() {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units() {
        for (text, size) in
            [("256MB", 256 << 20), ("1GB", 1 << 30), ("128 MiB", 128 << 20), ("2g", 2 << 30), ("268435456", 256 << 20)]
        {
            assert_eq!(parse(text), Ok(size), "{text}");
        }
        for text in
            ["", "MB", "-1MB", "256XB", "1.5GB", "99999999999999999999GB", "18446744073709551615GB", "95MB", "0"]
        {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
