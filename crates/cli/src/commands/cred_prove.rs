//! `custody cred prove`: whether a policy, role, grant or token only reads (CRED-3).

use std::fmt::Write as _;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use custody_contract::{CredentialRef, Diagnostic};
use custody_credential::prove::{
    AwsOptions, Input, Language, Proof, ProofState, ProveError, ProveOptions, Role, how_to_prove, live, proof_path,
    proof_schema, prove, read_proof, speaks,
};
use jiff::{SignedDuration, Timestamp};

use crate::arguments::{CredProve, ProveFormat};
use crate::context::InForce;
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
        let reference = parsed(source)?;
        return match arguments.stored || !speaks(&reference).is_some_and(live::is_live) {
            true => stored(&reference, arguments),
            false => ask(&reference, arguments),
        };
    }
    if arguments.print_query.is_some() {
        output::print(live::GRANTS_QUERY)?;
        return Ok(ExitCode::SUCCESS);
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
        keep(proof, &proof_path(&place(arguments)?.0, reference))?;
    }
    Ok(ExitCode::from(match () {
        () if !problems.is_empty() => exit::USAGE,
        () if proofs.iter().all(|p| p.proven) => exit::OK,
        () => exit::BLOCKED,
    }))
}

fn parsed(text: &str) -> Result<CredentialRef, Failure> {
    CredentialRef::parse(text).map_err(|error| {
        let what = Diagnostic::error("CRED-4", "this is no credential reference").why(error.to_string());
        Failure::usage(what.fix("write cred://provider/scope/access"))
    })
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
    const ENDINGS: [&str; 10] = ["json", "hcl", "tf", "tofu", "template", "sql", "yaml", "yml", "txt", "policy"];
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
    let options = ProveOptions { language: arguments.language.or(of_reference(arguments)), aws };
    let verdict = prove(&inputs, &options)?;
    let limit = arguments.limit.unwrap_or_else(|| verdict.language.usual_exposure());
    let validity = SignedDuration::from_hours(24 * i64::from(arguments.valid_days));
    let proof = Proof::new(verdict, &inputs, arguments.reference.as_ref(), limit, Timestamp::now(), validity);
    Ok(proof.with_options(&options.aws))
}

/// Proves a credential by what its provider says of it, asked with the credential itself.
fn ask(reference: &CredentialRef, arguments: &CredProve) -> Result<ExitCode, Failure> {
    let documents = super::cred::proof::ask(reference, arguments.env)?;
    let inputs: Vec<Input<'_>> = documents.iter().map(live::Document::as_input).collect();
    let aws = AwsOptions { exports: arguments.export.clone(), managed: Vec::new() };
    let options = ProveOptions { language: speaks(reference), aws };
    let verdict = prove(&inputs, &options).map_err(|problem| Failure::usage(Diagnostic::from(problem)))?;
    let limit = arguments.limit.unwrap_or_else(|| verdict.language.usual_exposure());
    let validity = SignedDuration::from_hours(24 * i64::from(arguments.valid_days));
    let proof = Proof::new(verdict, &inputs, Some(reference), limit, Timestamp::now(), validity);
    let proof = proof.with_options(&options.aws);
    let path = proof_path(&place(arguments)?.0, reference);
    keep(&proof, &path)?;
    let code = if proof.proven { exit::OK } else { exit::BLOCKED };
    show(&[proof], arguments)?;
    output::print_diagnostics(&[Diagnostic::note("CRED-3", format!("the proof is kept in {}", path.display()))]);
    Ok(ExitCode::from(code))
}

/// The language of the provider that `--for` names.
fn of_reference(arguments: &CredProve) -> Option<Language> {
    arguments.reference.as_ref().and_then(speaks)
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

/// The directory of proofs, and how old they may be.
fn place(arguments: &CredProve) -> Result<(PathBuf, SignedDuration), Failure> {
    let root = Path::new(".");
    let contract = InForce::load(root, None, None)?.contract;
    let directory = arguments.proofs.clone().unwrap_or_else(|| root.join(&contract.proof_directory));
    Ok((directory, contract.proof_max_age.duration()))
}

/// What is known of a reference's proof.
fn stored(reference: &CredentialRef, arguments: &CredProve) -> Result<ExitCode, Failure> {
    let (directory, max_age) = place(arguments)?;
    let state = match read_proof(&directory, reference, max_age, Timestamp::now()) {
        ProofState::Valid(proof) => match proof.recheck(&|name| std::fs::read(name).ok()) {
            Ok(_) => ProofState::Valid(proof),
            Err(why) => ProofState::Unusable(why),
        },
        other => other,
    };
    let how = how_to_prove(reference);
    let (code, said) = match state {
        ProofState::Valid(proof) => {
            (exit::OK, format!("valid until {}.\n{}", proof.expires.strftime("%F"), table(&proof)))
        }
        ProofState::NotProven(proof) => (exit::BLOCKED, format!("says no.\n{}", table(&proof))),
        ProofState::Expired(when) => (exit::BLOCKED, format!("ran out on {}: {how}\n", when.strftime("%F"))),
        ProofState::Missing => (exit::BLOCKED, format!("is missing: {how}\n")),
        ProofState::Unusable(why) => (exit::BLOCKED, format!("cannot be used, for {why}: {how}\n")),
    };
    output::print(&format!("The proof of {reference} {said}"))?;
    Ok(ExitCode::from(code))
}
