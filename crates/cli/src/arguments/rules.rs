//! `custody rules`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

#[derive(Debug, Subcommand)]
pub enum RulesCommand {
    /// List all rules with severity and provider.
    List,
    /// Run every rule's cases; with files, those of a repository's own rules.
    Test(RuleFiles),
    /// Say what is allowed in rule files and yet unwise: missing cases, common keywords, secrets in examples.
    Lint(RuleFiles),
    /// Write a rule file to start from, with every field explained.
    New(RulesNew),
    /// Say what a rule finds, how, and what to do about it.
    Explain(RulesExplain),
    /// Print the JSON Schema of rule files.
    Schema,
    /// Turn another scanner's configuration into a rule file; what cannot be carried over is named.
    Import(RulesImport),
}

#[derive(Debug, Args)]
pub struct RuleFiles {
    /// Rule files; the built-in rules without any.
    pub files: Vec<PathBuf>,
}

#[derive(Debug, Args)]
pub struct RulesNew {
    /// The provider's short name: a-z, 0-9 and hyphens.
    pub provider: String,
    /// The provider's name for people; the short name by default.
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// Write to a file, which must not exist yet, instead of standard output.
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct RulesExplain {
    /// The rule's id.
    pub id: String,
    /// Rule files to look in besides the built-in rules.
    pub files: Vec<PathBuf>,
}

#[derive(Debug, Args)]
pub struct RulesImport {
    /// A gitleaks configuration, a detect-secrets baseline, or a detect-secrets plugin.
    pub file: PathBuf,
    /// Whose file it is; told by its name by default.
    #[arg(long, value_enum, value_name = "TOOL")]
    pub from: Option<ImportFrom>,
    /// The provider under which the rules go.
    #[arg(long, value_name = "NAME", default_value = "imported")]
    pub provider: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ImportFrom {
    /// gitleaks configuration (TOML).
    Gitleaks,
    /// detect-secrets baseline (JSON) or plugin (Python).
    DetectSecrets,
}
