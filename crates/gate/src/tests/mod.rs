//! The gate on real repositories.

mod clauses;
mod disarm;

use std::fs;
use std::path::{Path, PathBuf};

use custody_contract::{
    ClauseVerdict, Contract, ContractOrigin, Decision, Environment, EnvironmentSource, Evaluation, FileTree,
    MemoryTree, Report, Verdict,
};
use custody_incident::IncidentMode;
use custody_scan::engine::Engine;
use custody_scan::rules::RuleSet;
use custody_testkit::Repository;
use jiff::civil::{Date, date};

use crate::base::{BaseSpec, open_base};
use crate::billing;
use crate::evaluate::evaluate_parts;
use crate::input::{GateInput, HistoryMode};
use crate::parts::EnvPart;

const TODAY: Date = date(2026, 11, 24);

/// A directory as the command line shows it to the gate.
struct Disk {
    root: PathBuf,
    paths: Vec<String>,
}

impl Disk {
    fn new(root: &Path) -> Self {
        let mut paths = Vec::new();
        let mut directories = vec![root.to_owned()];
        while let Some(directory) = directories.pop() {
            for entry in fs::read_dir(directory).expect("readable").map(|e| e.expect("entry").path()) {
                if entry.is_dir() && !entry.ends_with(".git") {
                    directories.push(entry);
                } else if entry.is_file() {
                    let path = entry.strip_prefix(root).expect("below");
                    paths.push(path.to_str().expect("UTF-8").to_owned());
                }
            }
        }
        paths.sort();
        Disk { root: root.to_owned(), paths }
    }
}

impl FileTree for Disk {
    fn paths(&self) -> &[String] {
        &self.paths
    }

    fn is_tracked(&self, _: &str) -> bool {
        true
    }

    fn read(&self, path: &str) -> std::io::Result<Vec<u8>> {
        fs::read(self.root.join(path))
    }
}

/// How to check a repository.
#[derive(Clone, Copy)]
struct Check<'a> {
    base: Option<&'a str>,
    incidents: IncidentMode,
    history: HistoryMode<'a>,
    today: Date,
}

const PLAIN: Check<'_> =
    Check { base: None, incidents: IncidentMode::Record, history: HistoryMode::Scan, today: TODAY };

impl Check<'_> {
    /// Checks as `custody check` does, with nothing to say about environment keys and billing.
    fn run(self, root: &Path) -> Report {
        let base = self.base.map(|r| open_base(root, &BaseSpec::named(r)).expect("the base opens"));
        let read = |path: &str| match &base {
            Some(base) => base.in_force().read(path).expect("readable"),
            None => fs::read(root.join(path)).ok(),
        };
        let text = String::from_utf8(read(Contract::FILE_NAME).unwrap_or_default()).expect("UTF-8");
        let contract = Contract::load(&text, Contract::FILE_NAME, self.today).expect("a valid contract");
        let tree = Disk::new(root);
        let mut rules = RuleSet::builtin();
        for path in tree.paths().iter().filter(|p| contract.rule_files.is_match(p)) {
            let Some(content) = read(path) else { continue };
            rules.extend(RuleSet::from_toml(&String::from_utf8(content).expect("UTF-8"), path).expect("valid rules"));
        }
        let engine = Engine::new(rules.without(&contract.disabled_rules));
        let origin = ContractOrigin {
            profile: contract.profile.clone(),
            file: Some(Contract::FILE_NAME.into()),
            base: base.as_ref().map(|b| b.in_force().commit()),
        };
        let input = GateInput {
            root,
            target: ".",
            contract: &contract,
            contract_text: &text,
            contract_origin: &origin,
            environment: Environment::Prod,
            environment_source: EnvironmentSource::Flag,
            engine: &engine,
            tree: &tree,
            today: self.today,
            now: "2026-11-24T08:00:00Z".parse().expect("valid"),
            base: base.as_ref(),
            process: None,
            incidents: self.incidents,
            history: self.history,
            max_memory: None,
            threads: 1,
            progress: None,
        };
        let absent = || Evaluation::not_applicable("not part of this test");
        let env = EnvPart {
            env1: absent(),
            env2: absent(),
            env3: absent(),
            env4: absent(),
            cred4: absent(),
            ..EnvPart::default()
        };
        let nothing = MemoryTree::default();
        let billing = billing::ask(&GateInput { tree: &nothing, ..input });
        evaluate_parts(&input, env, billing).expect("evaluated")
    }
}

#[track_caller]
fn clause<'a>(report: &'a Report, id: &str) -> &'a ClauseVerdict {
    report.clauses.iter().find(|c| c.clause == *id).expect("every clause has a verdict")
}

#[track_caller]
fn assert_verdicts(report: &Report, expected: &[(&str, Verdict)]) {
    for (id, verdict) in expected {
        let found = clause(report, id);
        assert_eq!(found.verdict, *verdict, "{id}: {} {:?}", found.summary, found.problems);
        assert!(!found.evidence.is_empty() && !found.summary.is_empty());
    }
}

/// A secret of Critical or High severity, other for each seed, as a line of a settings file.
fn secret_line(seed: u64) -> String {
    let mut fake = custody_testkit::Fake::new(seed);
    format!("stripe = \"{}\"", fake.stripe_key())
}

fn said(report: &Report, code: &str, words: &str) -> bool {
    report.diagnostics.iter().any(|d| d.code == code && d.what.contains(words))
}

/// A repository with a contract file and a source file, committed.
fn repository(contract: &str) -> Repository {
    let repository = Repository::new();
    repository.write("custody.toml", contract).write("src/main.rs", "fn main() {}\n");
    repository.commit("first");
    repository
}

/// The fingerprint and rule that the gate gives the one finding of the repository.
fn the_finding(report: &Report) -> (String, String) {
    assert_eq!(report.findings.len(), 1, "{:?}", report.findings);
    (report.findings[0].fingerprint.to_string(), report.findings[0].rule.to_string())
}

#[track_caller]
fn assert_blocked(report: &Report) {
    assert_eq!(report.decision, Decision::Blocked, "{:#?}", report.clauses);
}

#[track_caller]
fn assert_may_release(report: &Report) {
    let against: Vec<_> = report.clauses.iter().filter(|c| c.verdict == Verdict::Fail).map(|c| &c.summary).collect();
    assert_eq!(report.decision, Decision::MayRelease, "{against:#?}");
}
