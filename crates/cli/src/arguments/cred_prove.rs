//! Arguments of `custody cred prove`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use custody_contract::{CredentialRef, Environment};
use custody_credential::prove::{Exposure, Language};

const AFTER_HELP: &str = "\
Exit codes:
  0   proven read-only
  1   not proven
  2   a document that cannot be judged, or wrong use

Each file is judged by itself; --together judges them as one credential's. With a reference alone, its stored proof is
shown. See docs/read-only-proof.md.";

#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub struct CredProve {
    /// Policies, roles, grants or token scopes: files, directories, `-` for standard input; or one cred:// reference.
    #[arg(required_unless_present_any = ["managed", "boundary", "session", "scp", "schema", "print_query"], value_name = "FILE|REFERENCE")]
    pub sources: Vec<String>,
    /// The policy language; recognised from the document where it can be: aws, azure, gcp, openbao, postgres, github,
    /// gitlab, openops.
    #[arg(long = "as", value_name = "LANGUAGE")]
    pub language: Option<Language>,
    /// Judge all files as one credential's.
    #[arg(long)]
    pub together: bool,
    /// AWS: a permissions boundary.
    #[arg(long, value_name = "FILE")]
    pub boundary: Vec<PathBuf>,
    /// AWS: a session policy.
    #[arg(long, value_name = "FILE")]
    pub session: Vec<PathBuf>,
    /// AWS: a service control policy.
    #[arg(long, value_name = "FILE")]
    pub scp: Vec<PathBuf>,
    /// AWS: a managed policy by name or ARN, as it is bundled; Google Cloud: a predefined role (`roles/…`).
    #[arg(long, value_name = "NAME")]
    pub managed: Vec<String>,
    /// AWS: where billing exports lie; reading them is billing, not business data.
    #[arg(long, value_name = "s3://BUCKET/PREFIX")]
    pub export: Vec<String>,
    /// How much reads may show: billing-scoped, reads-business-data (the default) or reads-credentials (the default for
    /// openbao).
    #[arg(long, value_name = "EXPOSURE")]
    pub limit: Option<Exposure>,
    /// Format of the verdict.
    #[arg(long, short, value_enum, default_value_t = ProveFormat::Table)]
    pub format: ProveFormat,
    /// Write the proof as JSON to a file.
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Keep the proof as that of this reference, in the repository's directory of proofs.
    #[arg(long = "for", value_name = "REFERENCE", value_parser = reference)]
    pub reference: Option<CredentialRef>,
    /// The directory of proofs, instead of the contract's.
    #[arg(long, value_name = "DIR")]
    pub proofs: Option<PathBuf>,
    /// How many days a proof counts.
    #[arg(long, value_name = "DAYS", default_value_t = 90, value_parser = clap::value_parser!(u16).range(1..=3650))]
    pub valid_days: u16,
    /// With one reference: look at its stored proof, and ask nobody.
    #[arg(long)]
    pub stored: bool,
    /// With one reference: the environment that it is resolved in.
    #[arg(long, short, value_name = "ENVIRONMENT", value_parser = super::parse_environment)]
    pub env: Option<Environment>,
    /// Print the query by which a PostgreSQL role reads what it is granted; its rows are what to give then.
    #[arg(long, value_name = "postgres", value_parser = ["postgres", "postgresql"])]
    pub print_query: Option<String>,
    /// Print the JSON Schema of proofs.
    #[arg(long, exclusive = true)]
    pub schema: bool,
}

/// How a verdict is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ProveFormat {
    Table,
    Json,
}

fn reference(text: &str) -> Result<CredentialRef, String> {
    CredentialRef::parse(text).map_err(|error| error.to_string())
}
