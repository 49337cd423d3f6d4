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
/// How much memory a scan of a history may take, such as `256MB`, where `--max-memory` does not say.
pub const CUSTODY_MAX_MEMORY: &str = "CUSTODY_MAX_MEMORY";
/// Width of the output in columns, where it is not a terminal.
pub const COLUMNS: &str = "COLUMNS";
/// Where settings of programs lie, for `hook install --global`; `~/.config` where it is not set.
pub const XDG_CONFIG_HOME: &str = "XDG_CONFIG_HOME";
/// The home directory.
pub const HOME: &str = "HOME";
/// Directory of the audit log, instead of `custody/audit` in the user's data directory; its keys lie beside it, with
/// `-keys` at the end of the name.
pub const CUSTODY_AUDIT_DIR: &str = "CUSTODY_AUDIT_DIR";
/// Where the audit log's keys lie: a directory, or `store:DIR`, an embedded store.
pub const CUSTODY_AUDIT_KEYS: &str = "CUSTODY_AUDIT_KEYS";
/// Set by the pre-commit framework (<https://pre-commit.com>) for a push: the newest commit that is pushed.
pub const PRE_COMMIT_TO_REF: &str = "PRE_COMMIT_TO_REF";
/// Likewise: what the remote has of it, where the framework knows.
pub const PRE_COMMIT_FROM_REF: &str = "PRE_COMMIT_FROM_REF";
/// Likewise: the remote's name.
pub const PRE_COMMIT_REMOTE_NAME: &str = "PRE_COMMIT_REMOTE_NAME";
/// Likewise: the ref that is pushed to.
pub const PRE_COMMIT_REMOTE_BRANCH: &str = "PRE_COMMIT_REMOTE_BRANCH";
/// Likewise: the ref that is pushed.
pub const PRE_COMMIT_LOCAL_BRANCH: &str = "PRE_COMMIT_LOCAL_BRANCH";
/// Set by git for its hooks: which repository is meant.
pub const GIT_DIR: &str = "GIT_DIR";
/// Where files in memory lie, the first choice for `custody run`; `/dev/shm` where it is not set.
pub const XDG_RUNTIME_DIR: &str = "XDG_RUNTIME_DIR";
