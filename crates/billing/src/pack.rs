//! Fixture packs: `<tool>/<version>/request.valid.json` and its kin, alone and in agreement (VAL-1).

use std::collections::{BTreeMap, BTreeSet};

use custody_contract::{Coverage, CredentialRef, Environment, FileTree, Finding, Level, Place, SkipReason, Surface};

use crate::adapter::ToolHint;
use crate::check::{BillingCheck, DocumentKind, DocumentOutcome, Mode};
use crate::json::{Document, Spot};
use crate::problem::{Fault, Faults, Problem};
use crate::{request, stubs};

/// One tool's fixtures of one version.
#[derive(Debug, Clone)]
pub struct Pack {
    /// Its directory.
    pub directory: String,
    /// The tool, such as `billing.aws.ingest`.
    pub tool: String,
    /// The version, such as `1.0`.
    pub version: String,
    /// The tool's adapter; `None` where nobody registered one.
    pub adapter: Option<String>,
    /// What counts: the valid request, edge cases, responses.
    pub documents: Vec<DocumentOutcome>,
    /// Requests that must be refused. What is wrong with them is as it should be; their findings are leaks all the same.
    pub invalid: Vec<DocumentOutcome>,
    /// What is wrong with the pack itself, and between its documents.
    pub problems: Vec<Problem>,
}

impl Pack {
    /// Everything that counts against the pack.
    pub fn all_problems(&self) -> impl Iterator<Item = &Problem> {
        let leaks = self.invalid.iter().flat_map(|d| &d.problems).filter(|p| p.reason == "secret_material");
        self.problems.iter().chain(self.documents.iter().flat_map(|d| &d.problems)).chain(leaks)
    }
}

/// What is said of all packs of a directory.
#[derive(Debug, Clone)]
pub struct PackOutcome {
    /// The packs, by directory.
    pub packs: Vec<Pack>,
    /// Directories of other tools, which billing does not look at.
    pub ignored: Vec<String>,
    /// What was read.
    pub coverage: Coverage,
}

impl PackOutcome {
    /// Everything that is wrong.
    pub fn problems(&self) -> impl Iterator<Item = &Problem> {
        self.packs.iter().flat_map(Pack::all_problems)
    }

    /// Whether nothing at error level is wrong and everything was read.
    pub fn is_valid(&self) -> bool {
        !self.problems().any(Problem::is_error) && !self.coverage.is_incomplete()
    }

    /// Secret material in any of them, invalid requests included.
    pub fn findings(&self) -> impl Iterator<Item = &Finding> {
        self.packs.iter().flat_map(|p| p.documents.iter().chain(&p.invalid)).flat_map(|d| &d.findings)
    }

    /// The credential references of requests that count.
    pub fn references(&self) -> impl Iterator<Item = &(CredentialRef, Place)> {
        self.packs.iter().flat_map(|p| &p.documents).flat_map(|d| &d.references)
    }
}

/// Where a file of a pack lies.
struct Located<'p> {
    directory: &'p str,
    tool: &'p str,
    version: &'p str,
    file: &'p str,
}

fn locate(path: &str) -> Option<Located<'_>> {
    let (directory, file) = path.rsplit_once('/')?;
    let (parent, version) = directory.rsplit_once('/')?;
    let tool = parent.rsplit('/').next()?;
    Some(Located { directory, tool, version, file })
}

impl BillingCheck<'_> {
    /// Checks the packs in `directory` of `tree`: `<directory>/<tool>/<version>/…`.
    pub fn validate_packs(&self, tree: &dyn FileTree, directory: &str) -> PackOutcome {
        let prefix = match directory.trim_start_matches("./").trim_end_matches('/') {
            "" | "." => String::new(),
            directory => format!("{directory}/"),
        };
        let in_directory = |path: &str| path.strip_prefix(&prefix).is_some_and(|rest| rest.matches('/').count() == 2);
        self.packs(tree, &in_directory)
    }

    /// Checks the packs among the paths that `accept` takes.
    pub(crate) fn packs(&self, tree: &dyn FileTree, accept: &dyn Fn(&str) -> bool) -> PackOutcome {
        let mut by_directory: BTreeMap<&str, (Located<'_>, Vec<&str>)> = BTreeMap::new();
        let mut ignored = BTreeSet::new();
        for path in tree.paths().iter().filter(|p| accept(p)) {
            let Some(located) = locate(path) else { continue };
            if self.registry().of_tool(located.tool).is_some() || is_ingest(located.tool) {
                let entry =
                    by_directory.entry(located.directory).or_insert_with(|| (Located { ..located }, Vec::new()));
                entry.1.push(located.file);
            } else {
                ignored.insert(located.tool.to_owned());
            }
        }
        let mut coverage = Coverage::new(Surface::Request, "files");
        let packs = by_directory.into_values().map(|(at, files)| self.pack(tree, &at, &files, &mut coverage)).collect();
        PackOutcome { packs, ignored: ignored.into_iter().collect(), coverage }
    }

    fn pack(&self, tree: &dyn FileTree, at: &Located<'_>, files: &[&str], coverage: &mut Coverage) -> Pack {
        let adapter = self.registry().of_tool(at.tool).map(|a| a.id.to_string());
        let mut pack = Pack {
            directory: at.directory.into(),
            tool: at.tool.into(),
            version: at.version.into(),
            adapter,
            documents: Vec::new(),
            invalid: Vec::new(),
            problems: Vec::new(),
        };
        if pack.adapter.is_none() {
            let what = format!("no adapter belongs to the tool {}", crate::json::escape(at.tool));
            let fix = "register it in custody.toml under [[billing.adapter]], or remove the pack";
            pack.problems.push(Problem::of_file(at.directory, None, "unknown_tool", what, fix));
        }
        let (mut request, mut response) = (None, None);
        for file in files {
            let Some(role) = Role::of(file) else { continue };
            let path = format!("{}/{file}", at.directory);
            let bytes = match tree.read(&path) {
                Ok(bytes) => bytes,
                Err(error) => {
                    let what = format!("cannot read the fixture: {}", error.kind());
                    pack.problems.push(Problem::of_file(
                        &path,
                        pack.adapter.as_deref(),
                        "unreadable_fixture",
                        what,
                        "restore the file",
                    ));
                    coverage.record_skipped(path, SkipReason::Unreadable { error: error.kind().to_string() });
                    match role {
                        Role::Valid => request = Some(None),
                        Role::Response => response = Some(None),
                        _ => {}
                    }
                    continue;
                }
            };
            coverage.record_read(bytes.len() as u64);
            self.document_of_pack(&mut pack, role, &path, &bytes);
            match role {
                Role::Valid => request = Some(Some(bytes)),
                Role::Response if *file == "response.expected.json" => response = Some(Some(bytes)),
                _ => {}
            }
        }
        self.missing(
            &mut pack,
            request.is_some(),
            response.is_some(),
            files.iter().any(|f| Role::of(f) == Some(Role::Invalid)),
        );
        if let (Some(Some(request)), Some(Some(response))) = (request, response) {
            self.agreement(&mut pack, &request, &response);
            stubs::compare(&mut pack);
        }
        pack
    }

    fn document_of_pack(&self, pack: &mut Pack, role: Role, path: &str, bytes: &[u8]) {
        let hint = ToolHint::Tool(pack.tool.clone());
        match role {
            Role::Valid => pack.documents.push(self.validate_as(DocumentKind::Request, path, bytes, Some(&hint))),
            Role::EdgeCase => {
                let mut outcome = self.validate_as(DocumentKind::Request, path, bytes, Some(&hint));
                if self.mode == Mode::Compat {
                    // The script that is replaced reads the valid request only; a secret counts all the same.
                    for problem in outcome.problems.iter_mut().filter(|p| p.is_error() && p.reason != "secret_material")
                    {
                        problem.level = Level::Warning;
                    }
                }
                pack.documents.push(outcome);
            }
            Role::Response => pack.documents.push(self.validate_as(DocumentKind::Handoff, path, bytes, Some(&hint))),
            Role::Invalid => {
                // It must be refused for what it says, not for where it would run.
                let variables = BTreeMap::new();
                let anywhere = BillingCheck {
                    environment: Environment::Local,
                    variables: &variables,
                    mode: Mode::Strict,
                    ..*self
                };
                let outcome = anywhere.validate_as(DocumentKind::Request, path, bytes, Some(&hint));
                if outcome.is_valid() {
                    let what = "a request that must be refused is valid".to_owned();
                    let fix = "make it invalid, or name it request.edge-case.*.json";
                    let problem = Problem::of_file(path, pack.adapter.as_deref(), "invalid_request_passes", what, fix);
                    pack.problems.push(self.relaxed(problem));
                }
                pack.invalid.push(outcome);
            }
        }
    }

    fn missing(&self, pack: &mut Pack, request: bool, response: bool, invalid: bool) {
        for (there, file, reason) in [
            (request, "request.valid.json", "missing_request"),
            (response, "response.expected.json", "missing_response"),
            (invalid, "request.invalid.json", "missing_invalid_request"),
        ] {
            if !there {
                let path = format!("{}/{file}", pack.directory);
                let what = format!("the pack of {} has no {file}", crate::json::escape(&pack.tool));
                let problem = Problem::of_file(&path, pack.adapter.as_deref(), reason, what, "add the file");
                // The script that custody replaces does not ask for it, and a pack can do without.
                let level = if reason == "missing_invalid_request" { Level::Note } else { problem.level };
                pack.problems.push(self.relaxed(Problem { level, ..problem }));
            }
        }
    }

    fn relaxed(&self, mut problem: Problem) -> Problem {
        if self.mode.relaxes(problem.reason) {
            problem.level = Level::Warning;
        }
        problem
    }

    /// Run id, period and currency of request and response must be the same.
    fn agreement(&self, pack: &mut Pack, request: &[u8], response: &[u8]) {
        let (request, response) = (Document::parse(request), Document::parse(response));
        let (Some(asked), Some(answered)) = (&request.root, &response.root) else { return };
        let asked = request::input_of(asked).unwrap_or(asked);
        let mut faults = Faults::default();
        let mut compare = |field: &'static str, within: Option<&crate::json::Node>| {
            let wanted = asked.get(field).and_then(crate::json::Node::as_str);
            let given = within.and_then(|n| n.get(field));
            if let (Some(wanted), Some(node)) = (wanted, given)
                && node.as_str().is_some_and(|text| text != wanted)
            {
                let fault = Fault::validation(Spot::of(node), "disagreement", format!("{field} is not the request's"));
                faults.push(
                    fault
                        .clause("VAL-1")
                        .why("a handoff answers its request")
                        .fix(format!("write the {field} of request.valid.json")),
                );
            }
        };
        compare("integrationRunId", Some(answered));
        for field in ["startDate", "endDate", "currency"] {
            compare(field, answered.get("scope"));
        }
        let path = format!("{}/response.expected.json", pack.directory);
        pack.problems.extend(faults.into_problems(&path, &response, pack.adapter.as_deref(), self.mode));
    }
}

fn is_ingest(tool: &str) -> bool {
    tool.starts_with("billing.") && tool.ends_with(".ingest")
}

/// What a file of a pack is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Valid,
    Invalid,
    EdgeCase,
    Response,
}

impl Role {
    fn of(file: &str) -> Option<Role> {
        let stem = file.strip_suffix(".json")?;
        match stem.strip_prefix("request") {
            Some(".valid") => Some(Role::Valid),
            Some(rest) if rest.starts_with(".invalid") => Some(Role::Invalid),
            Some(rest) if rest.is_empty() || rest.starts_with('.') => Some(Role::EdgeCase),
            _ => (stem == "response" || stem.starts_with("response.")).then_some(Role::Response),
        }
    }
}
