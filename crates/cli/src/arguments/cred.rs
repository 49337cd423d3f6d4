//! Arguments of `custody cred`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use custody_contract::{CredentialRef, Environment};

use super::parse_environment;

#[derive(Debug, Subcommand)]
pub enum CredCommand {
    /// Store a new version of a credential; asks without echo, or reads standard input.
    Put(CredPut),
    /// Show what is known of a credential; with --reveal also the secret itself.
    Get(CredGet),
    /// List the credentials that the contract registers and those that the store holds.
    List(CredList),
    /// Check each credential: backend reachable, resolves, age, owner, window.
    Doctor(CredDoctor),
    /// Move the secrets of a .env file into a backend and leave references in their place.
    Import(CredImport),
    /// List the versions of a credential that the embedded store keeps.
    History(CredVersion),
    /// Put another version of a credential in force.
    Activate {
        #[command(flatten)]
        credential: CredVersion,
        /// The version's number, as `history` lists it.
        #[arg(long = "version-number", short = 'n', value_name = "N")]
        number: u64,
    },
    /// Remove all versions of a credential from the embedded store.
    Delete {
        #[command(flatten)]
        credential: CredVersion,
        /// Do not ask.
        #[arg(long)]
        yes: bool,
    },
    /// Give the embedded store new keys; every value is encrypted anew.
    Rekey(CredPlace),
    /// Ways to the embedded store's key: add one, or remove one.
    Unlock(CredUnlock),
    /// Write an encrypted backup of the embedded store that opens without this machine's keys.
    Backup(CredBackup),
    /// Put a backup in place of the embedded store, or make one from it.
    Restore(CredRestore),
    /// Say whether a policy, role, grant or token only reads, and what it shows (CRED-3).
    Prove(Box<super::CredProve>),
}

/// Which contract, environment and backend.
#[derive(Debug, Clone, Args)]
pub struct CredPlace {
    /// The environment: local, stage or prod; by default the contract file's, else NODE_ENV's, else prod.
    #[arg(long, short, value_name = "ENVIRONMENT", value_parser = parse_environment)]
    pub env: Option<Environment>,
    /// The backend to use instead of the contract's: a name of [backends], or a kind.
    #[arg(long, value_name = "NAME")]
    pub backend: Option<String>,
    /// The repository.
    #[arg(long, default_value = ".", value_name = "PATH")]
    pub repository: PathBuf,
    /// A contract file instead of the repository's custody.toml.
    #[arg(long, value_name = "FILE")]
    pub contract: Option<PathBuf>,
    /// Format of what is printed.
    #[arg(long, short, value_enum, default_value_t = DataFormat::Table, value_name = "FORMAT")]
    pub format: DataFormat,
}

/// How data is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum DataFormat {
    Table,
    Json,
}

#[derive(Debug, Args)]
pub struct CredPut {
    /// The reference: cred://provider/scope/access.
    pub reference: String,
    /// Something to remember with this version; it is no secret. Embedded store only.
    #[arg(long, value_name = "TEXT")]
    pub note: Option<String>,
    /// Keep a newline at the end of standard input.
    #[arg(long)]
    pub keep_newline: bool,
    /// Accept an empty secret.
    #[arg(long)]
    pub allow_empty: bool,
    #[command(flatten)]
    pub place: CredPlace,
}

#[derive(Debug, Args)]
pub struct CredGet {
    /// The reference.
    #[arg(value_parser = parse_reference)]
    pub reference: CredentialRef,
    /// Show the secret itself: at a terminal only, with a reason, and recorded.
    #[arg(long, requires = "reason")]
    pub reveal: bool,
    /// Why the secret is shown.
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
    /// One field of a secret that has several.
    #[arg(long, value_name = "NAME")]
    pub field: Option<String>,
    /// A version: `current`, `previous`, or its name.
    #[arg(long = "version-name", value_name = "NAME", default_value = "current")]
    pub version_name: String,
    #[command(flatten)]
    pub place: CredPlace,
}

#[derive(Debug, Args)]
pub struct CredList {
    #[command(flatten)]
    pub place: CredPlace,
}

#[derive(Debug, Args)]
pub struct CredDoctor {
    /// Only these credentials; all that the contract registers by default.
    #[arg(value_parser = parse_reference)]
    pub references: Vec<CredentialRef>,
    /// Take the embedded store as it is for the newest state, after it was restored on purpose.
    #[arg(long)]
    pub accept_rollback: bool,
    #[command(flatten)]
    pub place: CredPlace,
}

#[derive(Debug, Args)]
pub struct CredImport {
    /// The file.
    #[arg(default_value = ".env")]
    pub file: PathBuf,
    /// The reference for a key, instead of one made from its name; may be given several times.
    #[arg(long = "as", value_name = "KEY=REFERENCE")]
    pub mapping: Vec<String>,
    /// Also move this key, which does not look like a secret; may be given several times.
    #[arg(long, value_name = "KEY")]
    pub also: Vec<String>,
    /// Leave this key where it is; may be given several times.
    #[arg(long, value_name = "KEY")]
    pub except: Vec<String>,
    /// Write a new version where the backend has another value already.
    #[arg(long)]
    pub replace: bool,
    /// Say what would be moved, and change nothing.
    #[arg(long)]
    pub dry_run: bool,
    #[command(flatten)]
    pub place: CredPlace,
}

#[derive(Debug, Args)]
pub struct CredVersion {
    /// The reference.
    #[arg(value_parser = parse_reference)]
    pub reference: CredentialRef,
    #[command(flatten)]
    pub place: CredPlace,
}

/// A way to the store's key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum UnlockBy {
    KeyFile,
    Passphrase,
    Age,
    SystemdCreds,
    Keyring,
    /// A TPM 2.0, through the programs of tpm2-tools.
    Tpm,
    /// A token that speaks PKCS#11: smart card, HSM, SoftHSM.
    Pkcs11,
}

#[derive(Debug, Args)]
pub struct CredUnlock {
    /// The way to add.
    #[arg(long, value_enum, required_unless_present = "remove")]
    pub add: Option<UnlockBy>,
    /// The way to remove; the last one stays.
    #[arg(long, value_enum)]
    pub remove: Option<UnlockBy>,
    /// For --add age: the recipient (age1…); may be given several times.
    #[arg(long, value_name = "RECIPIENT")]
    pub recipient: Vec<String>,
    /// For --add passphrase: read it from a file instead of asking.
    #[arg(long, value_name = "FILE")]
    pub passphrase_file: Option<PathBuf>,
    /// For --add tpm and pkcs11: read the PIN from a file instead of asking; with tpm, it is the new way's PIN.
    #[arg(long, value_name = "FILE")]
    pub pin_file: Option<PathBuf>,
    /// For --add tpm: bind the key to how the machine was started, by these PCRs (sha256:7).
    #[arg(long, value_name = "PCRS", conflicts_with = "pin_file")]
    pub pcrs: Option<String>,
    /// For --add pkcs11: the module, where the contract does not name it.
    #[arg(long, value_name = "FILE")]
    pub module: Option<PathBuf>,
    /// For --add pkcs11: the token's label, where there are several.
    #[arg(long, value_name = "LABEL")]
    pub token: Option<String>,
    /// For --add pkcs11: the label of a key that the token has already, instead of making one.
    #[arg(long, value_name = "LABEL")]
    pub key: Option<String>,
    #[command(flatten)]
    pub place: CredPlace,
}

#[derive(Debug, Args)]
pub struct CredBackup {
    /// The file to write; it must not exist.
    pub file: PathBuf,
    /// Encrypt it for an age recipient (age1…) instead of with a passphrase; may be given several times.
    #[arg(long, value_name = "RECIPIENT")]
    pub recipient: Vec<String>,
    /// Read the passphrase from a file instead of asking.
    #[arg(long, value_name = "FILE", conflicts_with = "recipient")]
    pub passphrase_file: Option<PathBuf>,
    #[command(flatten)]
    pub place: CredPlace,
}

#[derive(Debug, Args)]
pub struct CredRestore {
    /// The backup.
    pub file: PathBuf,
    /// Put it in place of a store that is there.
    #[arg(long)]
    pub replace: bool,
    /// A file with an age identity that the backup was encrypted for.
    #[arg(long, value_name = "FILE")]
    pub identity_file: Option<PathBuf>,
    /// Read the passphrase from a file instead of asking.
    #[arg(long, value_name = "FILE", conflicts_with = "identity_file")]
    pub passphrase_file: Option<PathBuf>,
    #[command(flatten)]
    pub place: CredPlace,
}

fn parse_reference(text: &str) -> Result<CredentialRef, String> {
    CredentialRef::parse(text).map_err(|error| error.to_string())
}
