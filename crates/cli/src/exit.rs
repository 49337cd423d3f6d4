//! Exit codes: stable, documented in `docs/output.md` and in `custody --help`.

use std::process::ExitCode;

use custody_contract::Decision;

/// Nothing stands in the way.
pub const OK: u8 = 0;
/// The contract is violated; a release is blocked.
pub const BLOCKED: u8 = 1;
/// Wrong use of the command, or a contract file that cannot be used.
pub const USAGE: u8 = 2;
/// Something that should have been looked at was not, so "clean" cannot be claimed.
pub const INCOMPLETE: u8 = 3;
/// Denied by the contract or by a backend.
pub const DENIED: u8 = 4;
/// A backend is unavailable, or does not have what was asked for.
pub const UNAVAILABLE: u8 = 5;
/// A fault of custody itself.
pub const INTERNAL: u8 = 70;

/// The exit code of a decision.
pub fn of(decision: Decision) -> ExitCode {
    ExitCode::from(match decision {
        Decision::MayRelease => OK,
        Decision::Blocked => BLOCKED,
        Decision::Incomplete => INCOMPLETE,
    })
}
