//! Where custody keeps what it need not read again.

use std::path::PathBuf;

use etcetera::BaseStrategy as _;

/// Names the directory, instead of the system's for caches; empty for none.
const VARIABLE: &str = "CUSTODY_CACHE_DIR";

/// The directory for caches, if there is a place for one. It is made when it is needed.
pub fn directory() -> Option<PathBuf> {
    match std::env::var_os(VARIABLE) {
        Some(directory) => Some(PathBuf::from(directory)).filter(|directory| directory.is_absolute()),
        None => Some(etcetera::choose_base_strategy().ok()?.cache_dir().join("custody")),
    }
}
