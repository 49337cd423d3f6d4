//! `custody cred prove`: whether a policy, role, grant or token only reads (CRED-3).

use std::fmt::Write as _;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use custody_contract::{CredentialRef, Diagnostic};
use custody_credential::prove::{
    AwsOptions, Input, Proof, ProofState, ProveError, ProveOptions, Role, proof_path, proof_schema, prove, read_proof,
};
use jiff::{SignedDuration, Timestamp};

use crate::arguments::{CredProve, ProveFormat};
use crate::failure::Failure;
use crate::files::read_stdin;
use crate::{exit, output};

/// Most files of one directory.
const MAX_FILES: usize = 100_000;

pub fn run(arguments: &CredProve) -> Result<ExitCode, Failure> {
    if arguments.schema {
        output::print(&format!("{:#}\n", proof_schema()))?;
        return Ok(ExitCode::SUCCESS);
    }
    if let [source] = arguments.sources.as_slice()
        && source.to_ascii_lowercase().starts_with(CredentialRef::SCHEME)
    {
        return stored(source, &arguments.proofs);
    }
    let documents = documents(arguments)?;
    let (grants, limits): (Vec<Document>, Vec<Document>) = documents.into_iter().partition(|d| d.role == Role::Grant);
    let sets: Vec<Vec<&Document>> = if arguments.together || grants.len() < 2 {
        vec![grants.iter().chain(&limits).collect()]
    } else {
        grants.iter().map(|grant| std::iter::once(grant).chain(&limits).collect()).collect()
    };
    if sets.len() > 1 && arguments.reference.is_some() {
        let what = Diagnostic::error("usage", "several documents and one reference");
        return Err(Failure::usage(
            what.why("a proof speaks of one credential").fix("add --together, or give one document"),
        ));
    }
    let (mut proofs, mut problems) = (Vec::new(), Vec::new());
    for set in &sets {
        match judge(set, arguments) {
            Ok(proof) => proofs.push(proof),
            Err(problem) => problems.push(Diagnostic::from(problem)),
        }
    }
    show(&proofs, arguments)?;
    output::print_diagnostics(&problems);
    if let (Some(reference), Some(proof)) = (&arguments.reference, proofs.first()) {
        keep(proof, &proof_path(&arguments.proofs, reference))?;
    }
    Ok(ExitCode::from(match () {
        () if !problems.is_empty() => exit::USAGE,
        () if proofs.iter().all(|p| p.proven) => exit::OK,
        () => exit::BLOCKED,
    }))
}

struct Document {
    name: String,
    bytes: Vec<u8>,
    role: Role,
}

fn documents(arguments: &CredProve) -> Result<Vec<Document>, Failure> {
    let mut documents = Vec::new();
    for source in &arguments.sources {
        if source == "-" {
            let bytes = read_stdin(custody_credential::prove::MAX_BYTES as u64)?;
            documents.push(Document { name: "-".into(), bytes, role: Role::Grant });
            continue;
        }
        for path in files(Path::new(source))? {
            documents.push(read(&path, Role::Grant)?);
        }
    }
    let limits = [
        (&arguments.boundary, Role::Boundary),
        (&arguments.session, Role::Session),
        (&arguments.scp, Role::ServiceControl),
    ];
    for (paths, role) in limits {
        for path in paths {
            documents.push(read(path, role)?);
        }
    }
    Ok(documents)
}

fn read(path: &Path, role: Role) -> Result<Document, Failure> {
    let name = path.display().to_string();
    let limit = custody_credential::prove::MAX_BYTES as u64 + 1;
    let mut bytes = Vec::new();
    let outcome = std::fs::File::open(path).and_then(|file| file.take(limit).read_to_end(&mut bytes));
    outcome.map_err(|error| Failure::unreadable(&name, &error))?;
    Ok(Document { name, bytes, role })
}

/// The file itself, or all regular files of a directory that may be policies, by name.
fn files(path: &Path) -> Result<Vec<PathBuf>, Failure> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    const ENDINGS: [&str; 7] = ["json", "hcl", "sql", "yaml", "yml", "txt", "policy"];
    let fail = |error: std::io::Error| Failure::unreadable(&path.display().to_string(), &error);
    let mut found = Vec::new();
    for entry in std::fs::read_dir(path).map_err(fail)?.take(MAX_FILES) {
        let entry = entry.map_err(fail)?;
        let is_file = entry.file_type().map_err(fail)?.is_file();
        let ending = entry.path().extension().and_then(|e| e.to_str()).map(str::to_ascii_lowercase);
        if is_file && ending.is_some_and(|e| ENDINGS.contains(&e.as_str())) {
            found.push(entry.path());
        }
    }
    found.sort();
    if found.is_empty() {
        return Err(fail(std::io::Error::new(std::io::ErrorKind::NotFound, "no policy is in the directory")));
    }
    Ok(found)
}

fn judge(set: &[&Document], arguments: &CredProve) -> Result<Proof, ProveError> {
    let inputs: Vec<Input<'_>> = set.iter().map(|d| Input { name: &d.name, bytes: &d.bytes, role: d.role }).collect();
    let aws = AwsOptions { exports: arguments.export.clone(), managed: arguments.managed.clone() };
    let verdict = prove(&inputs, &ProveOptions { language: arguments.language, aws })?;
    let limit = arguments.limit.unwrap_or_else(|| verdict.language.usual_exposure());
    let validity = SignedDuration::from_hours(24 * i64::from(arguments.valid_days));
    Ok(Proof::new(verdict, &inputs, arguments.reference.as_ref(), limit, Timestamp::now(), validity))
}

fn show(proofs: &[Proof], arguments: &CredProve) -> Result<(), Failure> {
    let json = |proof: &Proof| serde_json::to_string_pretty(proof).map(|text| text + "\n");
    let all: Result<String, serde_json::Error> = match proofs {
        [one] => json(one),
        many => serde_json::to_string_pretty(many).map(|text| text + "\n"),
    };
    let all =
        all.map_err(|e| Failure::incomplete("cannot write the proof", e.to_string(), "report this as a fault"))?;
    if let Some(path) = &arguments.output {
        output::write_file(path, all.as_bytes())?;
    }
    match arguments.format {
        ProveFormat::Json if proofs.is_empty() => Ok(()),
        ProveFormat::Json => output::print(&all),
        ProveFormat::Table => output::print(&proofs.iter().map(table).collect::<String>()),
    }
}

fn table(proof: &Proof) -> String {
    let verdict = &proof.verdict;
    let names: Vec<&str> = proof.inputs.iter().map(|i| i.name.as_str()).collect();
    let mut text = format!(
        "{}: {}, {} ({}, {} allowed). {}\n",
        if names.is_empty() { "managed policies".to_owned() } else { names.join(" + ") },
        verdict.access,
        verdict.exposure,
        verdict.language,
        verdict.allowed,
        if proof.proven { "Proven read-only." } else { "Not proven read-only." }
    );
    let listed = |actions: &[String], count: u64| {
        let shown = actions.iter().take(8).map(String::as_str).collect::<Vec<_>>().join(", ");
        if count > 8 { format!("{shown} and {} more", count - 8) } else { shown }
    };
    for offence in &verdict.offences {
        let _ = writeln!(
            text,
            "  against  {}\n           why: {}\n           in: {}",
            listed(&offence.actions, offence.count),
            offence.why,
            offence.at
        );
    }
    for exception in &verdict.exceptions {
        let _ = writeln!(
            text,
            "  passes   {}\n           why: {}\n           in: {}",
            exception.action, exception.why, exception.at
        );
    }
    for reading in &verdict.readings {
        let actions = listed(&reading.actions, reading.count);
        let _ = writeln!(
            text,
            "  reads    {actions} ({})\n           why: {}\n           in: {}",
            reading.exposure, reading.why, reading.at
        );
    }
    if !verdict.beyond_billing.is_empty() {
        let _ = writeln!(text, "  beyond billing, names and settings of: {}", verdict.beyond_billing.join(", "));
    }
    for note in &verdict.notes {
        let _ = writeln!(text, "  note     {note}");
    }
    if let Some(minimal) = verdict.minimal.as_ref().filter(|_| !proof.proven) {
        let _ = writeln!(text, "\n  Use instead: {}\n{}", minimal.about, minimal.text);
    }
    text
}

fn keep(proof: &Proof, path: &Path) -> Result<(), Failure> {
    let shown = path.display().to_string();
    let folder = path.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder).map_err(|e| Failure::unwritable(&shown, &e))?;
    let text = serde_json::to_string_pretty(proof)
        .map_err(|e| Failure::incomplete("cannot write the proof", e.to_string(), "report this as a fault"))?;
    output::write_file(path, (text + "\n").as_bytes())
}

/// What is known of a reference's proof.
fn stored(text: &str, proofs: &Path) -> Result<ExitCode, Failure> {
    let reference = CredentialRef::parse(text).map_err(|error| {
        let what = Diagnostic::error("CRED-4", "this is no credential reference").why(error.to_string());
        Failure::usage(what.fix("write cred://provider/scope/access"))
    })?;
    let (code, said) = match read_proof(proofs, &reference, Timestamp::now()) {
        ProofState::Valid(proof) => {
            (exit::OK, format!("valid until {}.\n{}", proof.expires.strftime("%F"), table(&proof)))
        }
        ProofState::NotProven(proof) => (exit::BLOCKED, format!("says no.\n{}", table(&proof))),
        ProofState::Expired(when) => (exit::BLOCKED, format!("ran out on {}.\n", when.strftime("%F"))),
        ProofState::Missing => (exit::BLOCKED, format!("is missing: custody cred prove POLICY --for {reference}\n")),
        ProofState::Unusable(why) => (exit::BLOCKED, format!("cannot be used: {why}.\n")),
    };
    output::print(&format!("The proof of {reference} {said}"))?;
    Ok(ExitCode::from(code))
}
