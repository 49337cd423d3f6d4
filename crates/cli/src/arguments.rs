//! The command line: one definition, from which parsing and help follow.

mod audit;
mod cred;
mod cred_prove;
mod hook;
mod rules;
mod run;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use custody_contract::{Environment, Severity};

pub use audit::{
    AuditCommand, AuditExport, AuditExportFormat, AuditFilter, AuditMoveKeys, AuditPlace, AuditPrune, AuditQuery,
    AuditQueryFormat, AuditReason, AuditReportFormat, AuditVerify,
};
pub use cred::{
    CredBackup, CredCommand, CredDoctor, CredGet, CredImport, CredList, CredPlace, CredPut, CredRestore, CredUnlock,
    CredVersion, DataFormat, UnlockBy,
};
pub use cred_prove::{CredProve, ProveFormat};
pub use hook::{HookCommand, HookInstall, HookKind, HookPlace, HookRun, HookUninstall, HookWhich};
pub use rules::{ImportFrom, RulesCommand, RulesExplain, RulesImport, RulesNew};
pub use run::{Mapping, RotateAction, Run, signal_number};

const AFTER_HELP: &str = "\
Exit codes:
  0   kept: nothing stands in the way
  1   blocked: the contract is violated
  2   wrong use, or a contract file that cannot be used
  3   incomplete: something that should have been looked at was not
  4   denied by policy
  5   a backend is unavailable, or does not have what was asked for
  70  internal error

Start with `custody init`, then `custody check`.";

const MAX_MEMORY: &str = "memory that a search of git history may take, such as 256MB (at least 128MB); 512MB by default, \
or what CUSTODY_MAX_MEMORY says. Histories of millions of objects need more and say how much";

/// Holds a repository to its contract about secrets.
#[derive(Debug, Parser)]
#[command(name = "custody", version, propagate_version = true, after_help = AFTER_HELP, max_term_width = 100)]
pub struct Arguments {
    #[command(subcommand)]
    pub command: Command,
    /// Colour: only on a terminal, always, or never.
    #[arg(long, global = true, value_enum, default_value_t = ColourChoice::Auto, value_name = "WHEN", alias = "colour")]
    pub color: ColourChoice,
}

/// The same with nothing but `run`: describing all the other commands takes longer than all else that parsing does.
#[derive(Debug, Parser)]
#[command(name = "custody", version, propagate_version = true, max_term_width = 100)]
struct RunArguments {
    #[command(subcommand)]
    command: RunCommand,
    #[arg(long, global = true, value_enum, default_value_t = ColourChoice::Auto, value_name = "WHEN", alias = "colour")]
    color: ColourChoice,
}

#[derive(Debug, Subcommand)]
enum RunCommand {
    Run(Box<Run>),
}

impl Arguments {
    /// What the process was started with. Ends the process with help or an error, as clap does.
    pub fn of_process() -> Arguments {
        let words: Vec<OsString> = std::env::args_os().collect();
        if words.get(1).is_some_and(|word| word == "run")
            // Help and errors are the whole definition's business.
            && let Ok(parsed) = RunArguments::try_parse_from(&words)
        {
            let RunCommand::Run(run) = parsed.command;
            return Arguments { command: Command::Run(run), color: parsed.color };
        }
        Arguments::parse_from(words)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ColourChoice {
    Auto,
    Always,
    Never,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Look at the repository and write a commented custody.toml.
    Init(Init),
    /// Evaluate every clause of the contract and decide whether a release may go on.
    Check(Check),
    /// Look for secrets in a tree, a file, the git index, the whole history, a range of commits, or standard input.
    Scan(Box<Scan>),
    /// Git hooks: install, remove and show them; what they run.
    #[command(subcommand)]
    Hook(HookCommand),
    /// Credentials: put, show and check what references stand for; move secrets out of .env files.
    #[command(subcommand)]
    Cred(CredCommand),
    /// Environment keys: check templates, deployments and code; write a template or documentation.
    #[command(subcommand)]
    Env(EnvCommand),
    /// Billing requests, canonical handoffs and fixture packs.
    #[command(subcommand)]
    Billing(BillingCommand),
    /// Say what a clause or a detection rule means and what to do about a failure.
    Explain(Explain),
    /// The baseline: findings known and accepted.
    #[command(subcommand)]
    Baseline(BaselineCommand),
    /// Run a command with real values where its environment has references; mask what it prints of them.
    Run(Box<Run>),
    /// Incident records.
    #[command(subcommand)]
    Incident(IncidentCommand),
    /// The audit log: who asked for which credential, and what the answer was.
    #[command(subcommand)]
    Audit(AuditCommand),
    /// Detection rules.
    #[command(subcommand)]
    Rules(RulesCommand),
    /// The contract file: its schema, and what is in force.
    #[command(subcommand)]
    Contract(ContractCommand),
}

#[derive(Debug, Args)]
pub struct Init {
    /// The repository; the current directory by default.
    #[arg(default_value = ".")]
    pub path: PathBuf,
    /// Print the file instead of writing it.
    #[arg(long)]
    pub print: bool,
    /// Replace a custody.toml that is already there.
    #[arg(long)]
    pub force: bool,
}

/// Where and how a report goes out.
#[derive(Debug, Clone, Args)]
pub struct OutputArguments {
    /// Format of the report.
    #[arg(long, short, value_name = "FORMAT", default_value = "table", value_parser = crate::output::parse_format,
        help = "Format of the report: table, json, sarif, junit, github, markdown")]
    pub format: custody_report::Format,
    /// Write the report to a file instead of standard output.
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Show for each finding why it matched and what raises or lowers its confidence.
    #[arg(long)]
    pub explain: bool,
    /// Width of tables in columns; the terminal's by default.
    #[arg(long, value_name = "COLUMNS", value_parser = clap::value_parser!(u16).range(40..=1000))]
    pub width: Option<u16>,
}

/// Which contract is in force.
#[derive(Debug, Clone, Args)]
pub struct ContractArguments {
    /// The environment: local, stage or prod; by default the contract file's, else NODE_ENV's, else prod.
    #[arg(long, short, value_name = "ENVIRONMENT", value_parser = parse_environment)]
    pub env: Option<Environment>,
    /// A contract file instead of the repository's custody.toml. Where there is a base, one of the repository is read there.
    #[arg(long, value_name = "FILE")]
    pub contract: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct Check {
    /// The repository; the current directory by default.
    #[arg(default_value = ".")]
    pub path: PathBuf,
    #[command(flatten)]
    pub contract: ContractArguments,
    #[command(flatten)]
    pub output: OutputArguments,
    /// Take contract, waivers, baseline and inline allowances from this revision (found by itself in CI); `none`
    /// takes the working tree's.
    #[arg(long, value_name = "REVISION")]
    pub base: Option<String>,
    /// Do not search git history; ENV-5a is then incomplete.
    #[arg(long)]
    pub no_history: bool,
    /// Search all of git history, also what an earlier run has read, and keep nothing for the next one.
    #[arg(long)]
    pub no_cache: bool,
    #[arg(long, value_name = "SIZE", value_parser = crate::memory::parse, help = MAX_MEMORY)]
    pub max_memory: Option<u64>,
    /// Also check the live process environment against the contract's keys.
    #[arg(long)]
    pub process: bool,
    /// Open no incident records (dry run).
    #[arg(long)]
    pub no_incident: bool,
    /// Threads; as many as there are processors by default.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub threads: Option<u16>,
}

#[derive(Debug, Args)]
pub struct Scan {
    /// A directory, a file, or `-` for standard input; the current directory by default.
    #[arg(default_value = ".")]
    pub path: PathBuf,
    /// Search all objects of the repository, unreachable ones included, instead of the working tree.
    #[arg(long, conflicts_with = "staged")]
    pub history: bool,
    /// Search what is staged for the next commit instead of the working tree.
    #[arg(long)]
    pub staged: bool,
    /// With --history: search all of it, also what an earlier run has read, and keep nothing for the next one.
    #[arg(long)]
    pub no_cache: bool,
    #[arg(long, value_name = "SIZE", value_parser = crate::memory::parse, requires = "history", help = format!("With --history: {}", MAX_MEMORY))]
    pub max_memory: Option<u64>,
    /// With --history: also search every version of every file whole, and compare. Exit status 3 if anything differs.
    #[arg(long, requires = "history")]
    pub verify_delta: bool,
    /// With --history: also hold every object to its id, as git fsck does, and take nothing over from an earlier run. Exit
    /// status 3 if one was altered. About doubles the time.
    #[arg(long, requires = "history")]
    pub verify_objects: bool,
    /// Search what the commits since REV bring: those that HEAD reaches and REV does not. Changes that are not committed
    /// are not searched.
    #[arg(long, value_name = "REV", conflicts_with_all = ["history", "staged", "range", "no_ignore"])]
    pub since: Option<String>,
    /// Search what a range of commits brings: A..B, A...B, B, ^A, or "^A B", as for git rev-list; may be given several
    /// times. Files that A has, under any name, are not searched again.
    #[arg(long, value_name = "REVS", conflicts_with_all = ["history", "staged", "no_ignore"])]
    pub range: Vec<String>,
    /// Take contract, waivers, baseline, own rules and inline allowances from this revision.
    #[arg(long, value_name = "REV")]
    pub base: Option<String>,
    /// Search files that git ignores too.
    #[arg(long)]
    pub no_ignore: bool,
    /// From which severity an open finding gives exit status 1.
    #[arg(long, value_name = "SEVERITY", value_parser = parse_severity)]
    pub block_at: Option<Severity>,
    /// Report findings from this severity on.
    #[arg(long, value_name = "SEVERITY", value_parser = parse_severity, default_value = "low")]
    pub min_severity: Severity,
    /// A baseline instead of the contract's.
    #[arg(long, value_name = "FILE", conflicts_with = "no_baseline")]
    pub baseline: Option<PathBuf>,
    /// Report findings that the baseline accepts as open.
    #[arg(long)]
    pub no_baseline: bool,
    #[arg(long, value_name = "FILE", help = "A contract file instead of the repository's custody.toml")]
    pub contract: Option<PathBuf>,
    #[command(flatten)]
    pub output: OutputArguments,
    /// Threads; as many as there are processors by default.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub threads: Option<u16>,
}

#[derive(Debug, Subcommand)]
pub enum EnvCommand {
    /// Check templates, deployment files, code and, on request, the live process environment.
    Check(EnvCheck),
    /// Write a safe template with every key that the contract or the code knows.
    Example(EnvWrite),
    /// Write a Markdown table of all keys.
    Doc(EnvWrite),
}

#[derive(Debug, Args)]
pub struct EnvCheck {
    /// The repository; the current directory by default.
    #[arg(default_value = ".")]
    pub path: PathBuf,
    #[command(flatten)]
    pub contract: ContractArguments,
    #[command(flatten)]
    pub output: OutputArguments,
    /// Also check the live process environment.
    #[arg(long)]
    pub process: bool,
}

#[derive(Debug, Args)]
pub struct EnvWrite {
    /// The repository; the current directory by default.
    #[arg(default_value = ".")]
    pub path: PathBuf,
    #[command(flatten)]
    pub contract: ContractArguments,
    /// Write to a file instead of standard output. A file that exists is not replaced.
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Replace the file if it exists.
    #[arg(long)]
    pub force: bool,
}

#[derive(Debug, Subcommand)]
pub enum BillingCommand {
    /// Validate requests, canonical handoffs or fixture packs.
    Validate(BillingValidate),
}

#[derive(Debug, Args)]
pub struct BillingValidate {
    /// A request or handoff, a directory of them, or `-` for standard input.
    #[arg(required_unless_present_any = ["packs", "ficecal"])]
    pub path: Option<PathBuf>,
    /// A directory of fixture packs: <tool>/<version>/request*.json and response*.json.
    #[arg(long, value_name = "DIR", conflicts_with = "path")]
    pub packs: Option<PathBuf>,
    /// The tool or adapter that a document belongs to, such as billing.aws.ingest or aws-billing.
    #[arg(long, value_name = "NAME", alias = "adapter")]
    pub tool: Option<String>,
    /// Answer as FiceCal's validate-billing-canonical-handoff.py does: its packs, messages and exit status.
    #[arg(long)]
    pub ficecal: bool,
    /// Print the normalised form of a valid request instead of a report.
    #[arg(long, conflicts_with_all = ["packs", "ficecal"])]
    pub normalise: bool,
    /// Accept what FiceCal's own script accepts (docs/billing.md lists it).
    #[arg(long)]
    pub compat: bool,
    #[command(flatten)]
    pub contract: ContractArguments,
    #[command(flatten)]
    pub output: OutputArguments,
}

#[derive(Debug, Args)]
pub struct Explain {
    /// A clause such as ROT-1, or a rule such as aws-access-key-id; without one, all clauses are listed.
    pub id: Option<String>,
}

#[derive(Debug, Subcommand)]
pub enum BaselineCommand {
    /// Accept the open findings of a scan, with a reason.
    Add(BaselineAdd),
    /// Remove entries that no longer match anything.
    Prune(BaselinePrune),
}

#[derive(Debug, Args)]
pub struct BaselineAdd {
    /// Why the findings are accepted.
    #[arg(long, short)]
    pub reason: String,
    /// Only the findings with these fingerprints; all open ones without any.
    pub fingerprints: Vec<custody_contract::Fingerprint>,
    /// Search git history too.
    #[arg(long)]
    pub history: bool,
    /// The repository.
    #[arg(long, default_value = ".", value_name = "PATH")]
    pub repository: PathBuf,
}

#[derive(Debug, Args)]
pub struct BaselinePrune {
    /// The repository.
    #[arg(default_value = ".")]
    pub path: PathBuf,
}

#[derive(Debug, Subcommand)]
pub enum IncidentCommand {
    /// List incident records, open ones first.
    List(IncidentPath),
    /// Show one record.
    Show(IncidentId),
    /// Close an incident, with what was done.
    Close(IncidentClose),
}

#[derive(Debug, Args)]
pub struct IncidentPath {
    /// The repository.
    #[arg(default_value = ".")]
    pub path: PathBuf,
}

#[derive(Debug, Args)]
pub struct IncidentId {
    /// The incident's id, such as INC-20261124-0f3a9c1d.
    pub id: String,
    /// The repository.
    #[arg(long, default_value = ".", value_name = "PATH")]
    pub repository: PathBuf,
}

#[derive(Debug, Args)]
pub struct IncidentClose {
    #[command(flatten)]
    pub incident: IncidentId,
    /// Who closes it.
    #[arg(long)]
    pub by: String,
    /// What was done: rotated, purged, …
    #[arg(long, short)]
    pub reason: String,
}

#[derive(Debug, Subcommand)]
pub enum ContractCommand {
    /// Print the JSON Schema of custody.toml.
    Schema,
    /// Print the JSON Schema of the JSON report.
    ReportSchema,
    /// Say whether the contract file can be used, and what it changes of its profile.
    Check(IncidentPath),
}

fn parse_environment(name: &str) -> Result<Environment, String> {
    name.parse().map_err(|error: custody_contract::UnknownEnvironment| error.to_string())
}

fn parse_severity(name: &str) -> Result<Severity, String> {
    name.parse().map_err(|error: custody_contract::UnknownSeverity| error.to_string())
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory as _, Parser as _};

    use super::{Arguments, RunArguments};

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
        RunArguments::command().debug_assert();
    }

    #[test]
    fn the_short_definition_of_run_reads_what_the_whole_one_reads() {
        let lines = [
            "run true",
            "run -- true",
            "run --color never --env local -e",
            "run -e local --color=always -- sh -c x --color",
            "run --colour never --no-mask true --no-mask",
            "run --inject A=cred://a/b/c --inject B=x --replace -- a",
            "run --replace --file A=b c",
            "run",
            "run --help",
            "run --version",
            "run --env nowhere true",
            "run --on-rotate signal:HUP --watch-interval 3s --stop-timeout 1m true",
        ];
        for line in lines {
            let words = ["custody"].into_iter().chain(line.split(' '));
            let whole = Arguments::try_parse_from(words.clone());
            let short = RunArguments::try_parse_from(words);
            assert_eq!(whole.is_ok(), short.is_ok(), "{line}");
            if let (Ok(whole), Ok(short)) = (whole, short) {
                assert_eq!(format!("{:?}", whole.command), format!("{:?}", short.command), "{line}");
                assert_eq!(whole.color, short.color, "{line}");
            }
        }
    }
}
