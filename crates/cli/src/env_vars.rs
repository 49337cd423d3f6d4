//! Every environment variable that custody itself reads. Those that the contract speaks of (`FICECAL_*`,
//! `BILLING_*`) are data of the contract, not settings of the tool.

/// Names the environment to evaluate where neither `--env` nor the contract file does.
pub const NODE_ENV: &str = "NODE_ENV";
/// Set to anything but the empty string: no colour (<https://no-color.org>).
pub const NO_COLOR: &str = "NO_COLOR";
/// Set to anything but `0`: colour even without a terminal.
pub const CLICOLOR_FORCE: &str = "CLICOLOR_FORCE";
/// Set by CI systems: no progress bars.
pub const CI: &str = "CI";
/// Width of the output in columns, where it is not a terminal.
pub const COLUMNS: &str = "COLUMNS";
