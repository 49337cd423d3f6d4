//! `custody billing validate`: requests, handoffs, fixture packs.

use std::path::Path;
use std::process::ExitCode;

use custody_billing::{BillingCheck, DocumentOutcome, Mode, Problem, ToolHint, ficecal_validate, merge_findings};
use custody_contract::{
    Contract, Coverage, Decision, Diagnostic, FileTree, Finding, MemoryTree, ReportKind, SkipReason, Surface,
};

use crate::arguments::{BillingCommand, BillingValidate, ColourChoice};
use crate::context::{InForce, elapsed_ms, empty_report, process_environment, tool};
use crate::failure::Failure;
use crate::files::{read_stdin, working_tree};
use crate::output;

/// Largest document, in bytes.
const MAX_BYTES: u64 = 32 << 20;

pub fn run(command: &BillingCommand, colour: ColourChoice) -> Result<ExitCode, Failure> {
    let BillingCommand::Validate(arguments) = command;
    let started = jiff::Timestamp::now();
    let here = Path::new(".");
    let in_force = InForce::load(here, arguments.contract.contract.as_deref(), None)?;
    let (environment, source) = in_force.environment(arguments.contract.env)?;
    let engine = in_force.engine(here, None)?;
    let variables = process_environment();
    let check = BillingCheck {
        contract: &in_force.contract,
        environment,
        detector: &engine,
        variables: &variables,
        mode: if arguments.compat { Mode::Compat } else { Mode::Strict },
    };
    if arguments.ficecal {
        // FiceCal's validator asks for what FiceCal's tools say, whatever else the repository is held to.
        let contract = with_ficecal(&in_force.contract);
        return ficecal(arguments, &BillingCheck { contract: &contract, ..check });
    }
    let mut report = empty_report(ReportKind::BillingValidate, arguments.path.as_deref().unwrap_or(here), started);
    report.tool = tool(Some(&engine));
    report.environment = Some(environment);
    report.environment_source = Some(source);
    let seen = match &arguments.packs {
        Some(packs) => validate_packs(packs, &check)?,
        None => validate_documents(arguments, &check)?,
    };
    if arguments.normalise
        && let Some(code) = print_normalised(&seen.documents)?
    {
        return Ok(code);
    }
    if let Some(packs) = &arguments.packs {
        report.target = packs.display().to_string();
    }
    report.decision =
        if seen.problems.iter().any(Problem::is_error) || seen.findings.iter().any(|f| f.blocks(report.block_at)) {
            Decision::Blocked
        } else if seen.coverage.is_incomplete() {
            Decision::Incomplete
        } else {
            Decision::MayRelease
        };
    report.diagnostics = seen.problems.iter().map(Diagnostic::from).collect();
    report.findings = seen.findings;
    report.coverage = vec![seen.coverage];
    report.duration_ms = elapsed_ms(started);
    output::emit(&report, &arguments.output, colour, Some(here))
}

/// What was validated.
struct Seen {
    documents: Vec<DocumentOutcome>,
    problems: Vec<Problem>,
    findings: Vec<Finding>,
    coverage: Coverage,
}

fn validate_packs(directory: &Path, check: &BillingCheck<'_>) -> Result<Seen, Failure> {
    let (tree, inside) = tree_of(directory)?;
    let outcome = check.validate_packs(&*tree, &inside);
    if outcome.packs.is_empty() {
        let shown = directory.display().to_string();
        let diagnostic = Diagnostic::error("usage", format!("{shown} holds no fixture pack"));
        return Err(Failure::usage(
            diagnostic
                .why("a pack is a directory <tool>/<version> with request and response files")
                .fix("name the directory above billing.<provider>.ingest"),
        ));
    }
    Ok(Seen {
        problems: outcome.problems().cloned().collect(),
        findings: merge_findings(outcome.findings()),
        coverage: outcome.coverage.clone(),
        documents: outcome.packs.into_iter().flat_map(|p| p.documents).collect(),
    })
}

/// A tree that holds the directory, and the directory's path inside it: the working directory where it holds it, so
/// that messages name files as the user does.
fn tree_of(directory: &Path) -> Result<(Box<dyn FileTree>, String), Failure> {
    let shown = directory.display().to_string();
    let full = directory.canonicalize().map_err(|e| Failure::unreadable(&shown, &e))?;
    let here = std::env::current_dir().and_then(|d| d.canonicalize()).map_err(|e| Failure::unreadable(".", &e))?;
    let root =
        if full != here && full.starts_with(&here) { here } else { full.parent().unwrap_or(&full).to_path_buf() };
    let inside = full.strip_prefix(&root).unwrap_or(&full).to_string_lossy().replace('\\', "/");
    // Only what lies below is listed: the rest of the parent is none of this command's business.
    let listed = working_tree(&full)?;
    Ok((Box::new(Below { tree: listed, paths: Vec::new(), inside: inside.clone() }.listed()), inside))
}

/// A directory's files under the path that the user gave it.
struct Below {
    tree: custody_scan::source::WorkingTree,
    paths: Vec<String>,
    inside: String,
}

impl Below {
    fn listed(mut self) -> Self {
        self.paths = self.tree.paths().iter().map(|p| format!("{}/{p}", self.inside)).collect();
        self
    }

    fn relative<'p>(&self, path: &'p str) -> &'p str {
        path.strip_prefix(&self.inside).map_or(path, |p| p.trim_start_matches('/'))
    }
}

impl FileTree for Below {
    fn paths(&self) -> &[String] {
        &self.paths
    }

    fn is_tracked(&self, path: &str) -> bool {
        self.tree.is_tracked(self.relative(path))
    }

    fn read(&self, path: &str) -> std::io::Result<Vec<u8>> {
        self.tree.read(self.relative(path))
    }
}

fn validate_documents(arguments: &BillingValidate, check: &BillingCheck<'_>) -> Result<Seen, Failure> {
    let hint = arguments.tool.as_ref().map(|name| {
        if name.ends_with("-billing") { ToolHint::Adapter(name.clone()) } else { ToolHint::Tool(name.clone()) }
    });
    let path = arguments.path.as_deref().unwrap_or(Path::new("-"));
    let mut coverage = Coverage::new(Surface::Request, "documents");
    let mut documents = Vec::new();
    if path == Path::new("-") {
        let bytes = read_stdin(MAX_BYTES)?;
        coverage.record_read(bytes.len() as u64);
        documents.push(check.validate_bytes("-", &bytes, hint.as_ref()));
    } else if path.is_dir() {
        let (tree, _) = tree_of(path)?;
        let json: Vec<&String> = tree.paths().iter().filter(|p| p.ends_with(".json")).collect();
        if json.is_empty() {
            let diagnostic = Diagnostic::error("usage", format!("{} holds no JSON document", path.display()));
            return Err(Failure::usage(diagnostic.fix("name a file, or the directory that holds the documents")));
        }
        for name in json {
            match tree.read(name) {
                Ok(bytes) => {
                    coverage.record_read(bytes.len() as u64);
                    documents.push(check.validate_bytes(name, &bytes, hint.as_ref()));
                }
                Err(error) => {
                    coverage.record_skipped(name.clone(), SkipReason::Unreadable { error: error.to_string() })
                }
            }
        }
    } else {
        let name = path.display().to_string();
        let parent = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let file = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        let tree =
            working_tree(parent).map_err(|_| Failure::unreadable(&name, &std::io::ErrorKind::NotFound.into()))?;
        let bytes = tree.read(&file).map_err(|e| Failure::unreadable(&name, &e))?;
        coverage.record_read(bytes.len() as u64);
        documents.push(check.validate_bytes(&name, &bytes, hint.as_ref()));
    }
    let problems = documents.iter().flat_map(|d| d.problems.iter().cloned()).collect();
    let findings = merge_findings(documents.iter().flat_map(|d| &d.findings));
    Ok(Seen { documents, problems, findings, coverage })
}

/// Prints the normalised form of valid requests; `None` if something is wrong, which the report then says.
fn print_normalised(documents: &[DocumentOutcome]) -> Result<Option<ExitCode>, Failure> {
    let requests: Option<Vec<_>> = documents.iter().map(|d| d.request.as_ref()).collect();
    let Some(requests) = requests else { return Ok(None) };
    for request in requests {
        output::print(&format!("{:#}\n", serde_json::to_value(request).unwrap_or_default()))?;
    }
    Ok(Some(ExitCode::SUCCESS))
}

/// The contract with FiceCal's packs, and with its adapters in place of those of the same id.
fn with_ficecal(contract: &Contract) -> Contract {
    let ficecal = Contract::builtin();
    let mut contract = contract.clone();
    if contract.profile != ficecal.profile {
        contract.adapters.retain(|own| ficecal.adapter(own.id.as_str()).is_none());
        contract.adapters.splice(0..0, ficecal.adapters);
        if contract.billing_packs.is_empty() {
            contract.billing_packs = ficecal.billing_packs;
        }
    }
    contract
}

fn ficecal(arguments: &BillingValidate, check: &BillingCheck<'_>) -> Result<ExitCode, Failure> {
    let default = check.contract.billing_packs.patterns().first().cloned().unwrap_or_default();
    let directory = arguments.packs.clone().unwrap_or_else(|| default.into());
    let (tree, inside): (Box<dyn FileTree>, String) = if directory.is_dir() {
        tree_of(&directory)?
    } else {
        (Box::new(MemoryTree::default()), directory.display().to_string())
    };
    let outcome = ficecal_validate(&*tree, &inside, check);
    output::print_diagnostics(&outcome.problems.iter().map(Diagnostic::from).collect::<Vec<_>>());
    output::print(&format!("{}\n", outcome.last_line))?;
    Ok(ExitCode::from(outcome.exit))
}
