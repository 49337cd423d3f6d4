//! Arguments of `custody audit`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use custody_audit::{Action, Class, HeadId, Outcome, PublicKey, ReferencePattern};
use custody_contract::Environment;
use custody_contract::file::Window;
use jiff::Timestamp;

#[derive(Debug, Subcommand)]
pub enum AuditCommand {
    /// Verify that the log is what was written, all of it and nothing else.
    Verify(AuditVerify),
    /// Show events that match.
    Query(AuditQuery),
    /// Write events for other programs: JSON Lines or OCSF.
    Export(AuditExport),
    /// Sign what is recorded so far and print the head, to be kept elsewhere for `verify --expect-head`.
    Checkpoint(AuditPlace),
    /// Sign with a new key from here on.
    RotateKey(AuditReason),
    /// Remove old files, leaving a signed statement with which the rest can be verified.
    Prune(AuditPrune),
    /// Go on after the disk failed to flush.
    Repair(AuditPlace),
    /// Set a log aside that cannot go on, and begin a new one that says so.
    Succeed(AuditReason),
    /// Move the log's keys to another directory, or into an embedded store.
    MoveKeys(AuditMoveKeys),
}

/// Which log.
#[derive(Debug, Args)]
pub struct AuditPlace {
    /// The log's directory, instead of the user's own (CUSTODY_AUDIT_DIR, else custody/audit in the user's data
    /// directory).
    #[arg(long, value_name = "DIR")]
    pub log: Option<PathBuf>,
    /// The directory of its keys, or store:DIR for an embedded store that holds them (CUSTODY_AUDIT_KEYS); beside the log,
    /// with -keys at the end of its name, by default.
    #[arg(long, value_name = "DIR")]
    pub keys: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct AuditMoveKeys {
    #[command(flatten)]
    pub place: AuditPlace,
    /// Where they go: a directory, or store:DIR.
    #[arg(long, value_name = "DIR")]
    pub to: PathBuf,
}

#[derive(Debug, Args)]
pub struct AuditVerify {
    #[command(flatten)]
    pub place: AuditPlace,
    /// The log's first public key, as it is known from elsewhere.
    #[arg(long, value_name = "HEX")]
    pub key: Option<PublicKey>,
    /// A head that was kept elsewhere and must still stand in the log; may be given several times.
    #[arg(long, value_name = "HEAD")]
    pub expect_head: Vec<HeadId>,
    /// Format of the report.
    #[arg(long, short, value_enum, default_value_t = AuditReportFormat::Table, value_name = "FORMAT")]
    pub format: AuditReportFormat,
    /// Also write the report as signed evidence: an in-toto statement in a DSSE envelope.
    #[arg(long, value_name = "FILE")]
    pub evidence: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum AuditReportFormat {
    Table,
    Json,
}

/// Which events.
#[derive(Debug, Args)]
pub struct AuditFilter {
    /// References, such as cred://aws/**: * stays within a segment, ** crosses segments. May be given several times.
    #[arg(long = "ref", value_name = "PATTERN")]
    pub references: Vec<ReferencePattern>,
    /// From then on: 24h, 7d, 2026-11-24, or 2026-11-24T09:00:00Z.
    #[arg(long, value_name = "WHEN", value_parser = parse_moment)]
    pub since: Option<Timestamp>,
    /// Before then, as for --since.
    #[arg(long, value_name = "WHEN", value_parser = parse_moment)]
    pub until: Option<Timestamp>,
    /// What was done, such as reveal. May be given several times.
    #[arg(long, value_name = "ACTION")]
    pub action: Vec<Action>,
    /// What came of it. May be given several times.
    #[arg(long, value_name = "OUTCOME", value_parser = Outcome::NAMES)]
    pub outcome: Vec<String>,
    /// Why it was denied or failed, such as not-found. May be given several times.
    #[arg(long, value_name = "CLASS")]
    pub class: Vec<Class>,
    /// The backend that answered.
    #[arg(long, value_name = "NAME")]
    pub backend: Option<String>,
    /// The environment.
    #[arg(long, short, value_name = "ENVIRONMENT", value_parser = super::parse_environment)]
    pub env: Option<Environment>,
    /// Who: a user's name or number, or the repository, actor or run of a CI job.
    #[arg(long, value_name = "WHO")]
    pub principal: Option<String>,
    /// Id of a request.
    #[arg(long, value_name = "ID")]
    pub request: Option<String>,
    /// Keyed fingerprint of the material, as another record shows it.
    #[arg(long, value_name = "HEX")]
    pub fingerprint: Option<String>,
}

#[derive(Debug, Args)]
pub struct AuditQuery {
    #[command(flatten)]
    pub place: AuditPlace,
    #[command(flatten)]
    pub filter: AuditFilter,
    /// Only the newest N of them.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub last: Option<u32>,
    /// Format of the events.
    #[arg(long, short, value_enum, default_value_t = AuditQueryFormat::Table, value_name = "FORMAT")]
    pub format: AuditQueryFormat,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum AuditQueryFormat {
    Table,
    Json,
    Jsonl,
}

#[derive(Debug, Args)]
pub struct AuditExport {
    #[command(flatten)]
    pub place: AuditPlace,
    #[command(flatten)]
    pub filter: AuditFilter,
    /// Format of the events.
    #[arg(long, short, value_enum, default_value_t = AuditExportFormat::Jsonl, value_name = "FORMAT")]
    pub format: AuditExportFormat,
    /// Write to a file instead of standard output.
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum AuditExportFormat {
    /// Everything that is recorded, one JSON object a line.
    Jsonl,
    /// OCSF API Activity, one JSON object a line.
    Ocsf,
}

#[derive(Debug, Args)]
pub struct AuditReason {
    #[command(flatten)]
    pub place: AuditPlace,
    /// Why; it is recorded.
    #[arg(long, short)]
    pub reason: String,
}

#[derive(Debug, Args)]
pub struct AuditPrune {
    #[command(flatten)]
    pub why: AuditReason,
    /// Remove files whose last record is older than this, such as 365d; or before a day or moment.
    #[arg(long, value_name = "WHEN", value_parser = parse_moment)]
    pub before: Timestamp,
}

/// A length of time before now, a day, or a moment.
fn parse_moment(text: &str) -> Result<Timestamp, String> {
    if let Ok(window) = text.parse::<Window>() {
        return Timestamp::now().checked_sub(window.duration()).map_err(|error| error.to_string());
    }
    if let Ok(day) = text.parse::<jiff::civil::Date>()
        && !text.contains('T')
    {
        let start = day.to_zoned(jiff::tz::TimeZone::UTC).map_err(|error| error.to_string())?;
        return Ok(start.timestamp());
    }
    text.parse()
        .map_err(|_| "expected a length of time such as 24h, a day, or a moment such as 2026-11-24T09:00:00Z".into())
}

#[cfg(test)]
mod tests {
    use super::parse_moment;

    #[test]
    fn moments_are_lengths_of_time_days_or_timestamps() {
        assert_eq!(parse_moment("2026-11-24").expect("a day").to_string(), "2026-11-24T00:00:00Z");
        assert_eq!(parse_moment("2026-11-24T09:00:00+01:00").expect("a moment").to_string(), "2026-11-24T08:00:00Z");
        assert!(parse_moment("24h").expect("a length") < jiff::Timestamp::now());
        assert!(parse_moment("yesterday").is_err());
    }
}
