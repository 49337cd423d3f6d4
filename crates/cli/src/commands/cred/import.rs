//! `custody cred import`: secrets of a dotenv file go into a backend, references stay in their place.
//!
//! Nothing is taken out of the file before it has been read back from the backend. The file is replaced whole, keeps
//! comments and layout, and no copy of it is made.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use custody_contract::file::Source;
use custody_contract::{CredentialRef, Diagnostic, FileTree as _, Place, SecretRecogniser};
use custody_credential::backend::ErrorKind;
use custody_credential::{ResolveError, Resolver, SecretValue};
use custody_envkeys::dotenv::{Dialect, Document, ProblemKind};
use custody_envkeys::{Class, Setting, classify};

use super::audit::{Action, Event, Recorder, Step};
use super::session::{Session, resolve_failure, usage};
use crate::arguments::{CredImport, DataFormat};
use crate::failure::Failure;
use crate::files::working_tree;
use crate::{exit, output};

/// Largest file, in bytes.
const MAX_BYTES: usize = 4 << 20;

/// One key that moves.
struct Move {
    key: String,
    line: u32,
    reference: CredentialRef,
    value: SecretValue,
    /// What became of it.
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Planned,
    Stored,
    AlreadyThere,
}

impl State {
    fn as_str(self) -> &'static str {
        match self {
            State::Planned => "planned",
            State::Stored => "stored",
            State::AlreadyThere => "already-there",
        }
    }
}

pub fn run(arguments: &CredImport) -> Result<ExitCode, Failure> {
    let session = Session::open(&arguments.place)?;
    let engine = session.in_force.engine(&session.root, None)?;
    let path = real_path(&arguments.file)?;
    let shown = arguments.file.display().to_string();
    let content = SecretValue::read_file(&path, MAX_BYTES).map_err(|e| Failure::unreadable(&shown, &e))?;
    let document = Document::parse(content.expose());
    if let Some(problem) =
        document.problems.iter().find(|p| matches!(p.kind, ProblemKind::NotUtf8 | ProblemKind::Utf16))
    {
        return Err(usage(format!("cannot change {shown}"), problem.kind.to_string(), "store it as UTF-8"));
    }
    let mut moves = plan(arguments, &session, &document, &shown, &engine)?;
    if arguments.dry_run || moves.is_empty() {
        return report(arguments, &session, &shown, &moves, &[], &engine);
    }
    store(arguments, &session, &mut moves)?;
    verify(&session, &moves)?;
    let text = rewritten(&document, &moves);
    let now = SecretValue::read_file(&path, MAX_BYTES).map_err(|e| Failure::unreadable(&shown, &e))?;
    if now != content {
        let why = "it was changed while its secrets were being stored";
        return Err(usage(format!("{shown} is left as it is"), why, "run the command again"));
    }
    // The byte order mark belongs to the text that the document decoded, or was not there.
    replace(&path, text.as_bytes()).map_err(|e| Failure::unwritable(&shown, &e))?;
    let left = left(&text, &session, &engine);
    report(arguments, &session, &shown, &moves, &left, &engine)
}

/// The file itself: a link stays a link.
fn real_path(file: &Path) -> Result<PathBuf, Failure> {
    file.canonicalize().map_err(|e| Failure::unreadable(&file.display().to_string(), &e))
}

fn plan(
    arguments: &CredImport,
    session: &Session,
    document: &Document,
    shown: &str,
    engine: &dyn SecretRecogniser,
) -> Result<Vec<Move>, Failure> {
    let named = mapping(arguments)?;
    for key in named.keys().chain(&arguments.also).chain(&arguments.except) {
        if document.entry(key).is_none() {
            let known = document.entries().map(|e| e.key.as_str());
            let near = known.min_by_key(|k| strsim::damerau_levenshtein(k, key)).unwrap_or("");
            let fix =
                if near.is_empty() { "name a key of the file".to_owned() } else { format!("did you mean {near}?") };
            return Err(usage(format!("{shown} has no key {key}"), "a key that is named must be there", fix));
        }
    }
    let readings = Dialect::ALL.map(|dialect| document.evaluate(dialect));
    let mut moves: Vec<Move> = Vec::new();
    let mut problems = Vec::new();
    for entry in document.entries() {
        let key = entry.key.as_str();
        // Of several entries the last one counts; the others get the same reference.
        if !document.entry(key).is_some_and(|last| last.key_span == entry.key_span)
            || arguments.except.iter().any(|k| k == key)
        {
            continue;
        }
        let value = entry.value.as_deref().unwrap_or_default();
        let declared = session.in_force.contract.keys.iter().find(|k| k.name == key);
        let setting = Setting { name: key, value, key: declared, environment: Some(session.environment) };
        let is_wanted = arguments.also.iter().any(|k| k == key) || named.contains_key(key);
        let is_secret = matches!(classify(&setting, engine), Class::Unsafe(_));
        if value.is_empty() || !(is_secret || is_wanted) {
            continue;
        }
        let (line, column) = document.position(entry.key_span.start);
        if readings.iter().any(|reading| reading.text(key) != Some(value)) {
            let diagnostic = Diagnostic::error("env-portability", format!("{key} is left where it is"));
            let why = "programs read this line in different ways, so it is not clear what the secret is";
            let fix = format!("put it by hand: custody cred put {}", reference_of(key, session));
            problems.push(diagnostic.at(Place::at(shown, line, column)).why(why).fix(fix));
            continue;
        }
        let reference = match named.get(key) {
            Some(reference) => reference.clone(),
            None => CredentialRef::parse(&reference_of(key, session)).map_err(|e| {
                usage(
                    format!("no reference can be made from {key}"),
                    e.to_string(),
                    format!("give --as {key}=cred://…"),
                )
            })?,
        };
        if let Some(other) = moves.iter().find(|m| m.reference == reference) {
            let fix = format!("give --as {key}=cred://…");
            return Err(usage(format!("{key} and {} would get one reference", other.key), "they are two secrets", fix));
        }
        let value = SecretValue::copy_of(value.as_bytes());
        moves.push(Move { key: key.to_owned(), line, reference, value, state: State::Planned });
    }
    output::print_diagnostics(&problems);
    Ok(moves)
}

fn mapping(arguments: &CredImport) -> Result<BTreeMap<String, CredentialRef>, Failure> {
    let parse = |text: &String| {
        let (key, reference) = text.split_once('=').ok_or_else(|| {
            usage("--as takes KEY=REFERENCE", "there is no =", "write --as KEY=cred://provider/scope/access")
        })?;
        let reference = CredentialRef::parse(reference).map_err(|e| {
            usage(format!("--as {key}: this is no credential reference"), e.to_string(), "see `custody explain CRED-4`")
        })?;
        Ok((key.to_owned(), reference))
    };
    arguments.mapping.iter().map(parse).collect()
}

/// The reference of a key: what the contract feeds it from, else one made from its name:
/// `STRIPE_API_KEY` → `cred://stripe/local/api-key`.
fn reference_of(key: &str, session: &Session) -> String {
    let declared = session.in_force.contract.keys.iter().find(|k| k.name == key);
    if let Some(Source::Reference(reference)) = declared.and_then(|k| k.from.as_ref()?.source(session.environment)) {
        return reference.to_string();
    }
    let words: Vec<String> = key.split('_').filter(|w| !w.is_empty()).map(str::to_ascii_lowercase).collect();
    let (provider, access) = match words.as_slice() {
        [] => ("app".to_owned(), "value".to_owned()),
        [only] => ("app".to_owned(), only.clone()),
        [first, rest @ ..] => (first.clone(), rest.join("-")),
    };
    format!("cred://{provider}/{}/{access}", session.environment)
}

/// Stores what is not there yet. What was stored before a failure stays; the file is not touched.
fn store(arguments: &CredImport, session: &Session, moves: &mut [Move]) -> Result<(), Failure> {
    let checker = unrestricted(session)?;
    let references: Vec<CredentialRef> = moves.iter().map(|m| m.reference.clone()).collect();
    for (one, answer) in moves.iter_mut().zip(checker.resolve(&references)) {
        let is_there = match answer {
            Ok(resolved) if resolved.value == one.value => {
                one.state = State::AlreadyThere;
                continue;
            }
            Ok(_) => true,
            Err(ResolveError::Backend(error)) if error.kind == ErrorKind::NotFound => false,
            Err(error) => return Err(resolve_failure(&error)),
        };
        if is_there && !arguments.replace {
            let why = format!("the backend has another value for it, and {} of the file would replace it", one.key);
            let fix = format!("give --replace to make it a new version, or --as {}=cred://…", one.key);
            return Err(usage(format!("{} is taken", one.reference), why, fix));
        }
    }
    let log = Recorder::open()?;
    for one in moves.iter_mut().filter(|m| m.state == State::Planned) {
        let backend = session.resolver.place(&one.reference).map(|p| p.backend).unwrap_or_default();
        let event = |version, step| Event {
            action: Action::Import,
            reference: Some(&one.reference),
            backend: &backend,
            version,
            reason: Some("custody cred import"),
            environment: Some(session.environment),
            step,
        };
        log.record(&event(None, Step::Begun))?;
        let written = session.resolver.put(&one.reference, &one.value).map_err(|e| resolve_failure(&e))?;
        log.record(&event(written.version.as_deref(), Step::Done))?;
        one.state = State::Stored;
    }
    Ok(())
}

/// Reads everything back, with a resolver that has seen nothing yet.
fn verify(session: &Session, moves: &[Move]) -> Result<(), Failure> {
    let references: Vec<CredentialRef> = moves.iter().map(|m| m.reference.clone()).collect();
    for (one, answer) in moves.iter().zip(unrestricted(session)?.resolve(&references)) {
        let resolved = answer.map_err(|e| resolve_failure(&e))?;
        if resolved.value != one.value {
            let diagnostic =
                Diagnostic::error("ENV-4", format!("{} does not come back as it was stored", one.reference));
            let diagnostic = diagnostic.why("the file is left as it is").fix("check the backend: custody cred doctor");
            return Err(Failure { diagnostics: vec![diagnostic], code: exit::UNAVAILABLE });
        }
    }
    Ok(())
}

/// A resolver that also reads what the contract does not register yet: that comes after the move.
fn unrestricted(session: &Session) -> Result<Resolver, Failure> {
    session.resolver.unrestricted().map_err(|e| super::session::config_failure(&e))
}

/// The text with references in place of the values that moved; all else is kept to the byte.
fn rewritten(document: &Document, moves: &[Move]) -> String {
    let text = document.text();
    let mut new = String::with_capacity(text.len());
    let mut from = 0;
    for entry in document.entries() {
        let Some(one) = moves.iter().find(|m| m.key == entry.key) else { continue };
        if entry.value.is_none() {
            continue;
        }
        new.push_str(&text[from..entry.value_span.start]);
        new.push_str(one.reference.as_str());
        from = entry.value_span.end;
    }
    new.push_str(&text[from..]);
    new
}

/// Replaces a file whole, with its permissions.
fn replace(path: &Path, content: &[u8]) -> std::io::Result<()> {
    use std::io::Write as _;
    let directory = path.parent().unwrap_or(Path::new("."));
    let mut file = tempfile::Builder::new().prefix(".custody-").tempfile_in(directory)?;
    file.write_all(content)?;
    file.as_file().set_permissions(path.metadata()?.permissions())?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|e| e.error)?;
    std::fs::File::open(directory)?.sync_all()
}

/// Lines that still look like secrets: comments, and what was left where it is.
fn left(text: &str, session: &Session, engine: &custody_scan::engine::Engine) -> Vec<u32> {
    let document = Document::parse(text.as_bytes());
    let mut lines: Vec<u32> = document
        .comments()
        .filter(|(_, comment)| engine.recognise(comment).is_some())
        .map(|(offset, _)| document.position(offset).0)
        .collect();
    for entry in document.entries() {
        let key = session.in_force.contract.keys.iter().find(|k| k.name == entry.key);
        let value = entry.value.as_deref().unwrap_or_default();
        let setting = Setting { name: &entry.key, value, key, environment: Some(session.environment) };
        if matches!(classify(&setting, engine), Class::Unsafe(_)) {
            lines.push(document.position(entry.key_span.start).0);
        }
    }
    lines.sort_unstable();
    lines.dedup();
    lines
}

fn report(
    arguments: &CredImport,
    session: &Session,
    shown: &str,
    moves: &[Move],
    left: &[u32],
    engine: &custody_scan::engine::Engine,
) -> Result<ExitCode, Failure> {
    let relative =
        arguments.file.canonicalize().ok().and_then(|p| Some(p.strip_prefix(&session.root).ok()?.to_owned()));
    let is_tracked = relative.as_ref().is_some_and(|path| {
        let path = path.to_string_lossy().replace('\\', "/");
        session.root.join(".git").exists() && working_tree(&session.root).is_ok_and(|tree| tree.is_tracked(&path))
    });
    let _ = engine;
    let backend = |m: &Move| session.resolver.place(&m.reference).map(|p| p.backend).unwrap_or_default();
    if arguments.place.format == DataFormat::Json {
        let rows: Vec<_> = moves
            .iter()
            .map(|m| {
                let (reference, backend, state) = (m.reference.as_str(), backend(m), m.state.as_str());
                serde_json::json!({ "key": m.key, "line": m.line, "reference": reference, "backend": backend, "state": state })
            })
            .collect();
        let json = serde_json::json!({
            "file": shown, "environment": session.environment.as_str(), "dryRun": arguments.dry_run, "moved": rows,
            "linesThatStillLookLikeSecrets": left, "tracked": is_tracked,
        });
        output::print(&format!("{json:#}\n"))?;
    } else {
        output::print(&report_text(arguments, session, shown, moves, is_tracked, &backend))?;
    }
    let still = left.iter().map(|line| {
        let diagnostic = Diagnostic::warning("ENV-4", "this line still looks like a secret");
        diagnostic.at(Place::at(shown, *line, 0)).why("it was not moved").fix("remove it, or move it with --also KEY")
    });
    output::print_diagnostics(&still.collect::<Vec<_>>());
    Ok(ExitCode::SUCCESS)
}

fn report_text(
    arguments: &CredImport,
    session: &Session,
    shown: &str,
    moves: &[Move],
    is_tracked: bool,
    backend: &dyn Fn(&Move) -> String,
) -> String {
    if moves.is_empty() {
        return format!("{shown} has no secrets to move.\n");
    }
    let verb = if arguments.dry_run { "Would move" } else { "Moved" };
    let mut text = format!("{verb} {} secret(s) of {shown}:\n", moves.len());
    for one in moves {
        let known = if one.state == State::AlreadyThere { " (was there already)" } else { "" };
        text.push_str(&format!("  {} → {} in {}{known}\n", one.key, one.reference, backend(one)));
    }
    if arguments.dry_run {
        return text;
    }
    text.push_str("Each was read back from the backend before the file was changed.\n\nNext:\n");
    text.push_str("  - Rotate them: they stood in a plain file, and copies of it may exist.\n");
    if is_tracked {
        text.push_str(&format!(
            "  - {shown} is tracked by git: its history still holds them, and so does each clone.\n"
        ));
        text.push_str("    See them: custody scan --history\n");
    } else {
        text.push_str("  - If the file was ever committed, the history holds them: custody scan --history\n");
    }
    let undeclared: Vec<&Move> =
        moves.iter().filter(|m| !session.in_force.contract.keys.iter().any(|k| k.name == m.key && k.secret)).collect();
    let unregistered: Vec<&Move> =
        moves.iter().filter(|m| session.resolver.registered(&m.reference).is_none()).collect();
    if !undeclared.is_empty() || !unregistered.is_empty() {
        text.push_str("  - Add to custody.toml:\n\n");
        for one in undeclared {
            text.push_str(&format!(
                "    [[key]]\n    name = \"{}\"\n    secret = true\n    from = {{ {} = \"{}\" }}\n\n",
                one.key, session.environment, one.reference
            ));
        }
        for one in unregistered {
            text.push_str(&format!(
                "    [[credential]]\n    reference = \"{}\"\n    owner = \"\"      # who answers for it\n    contact = \"\"\n    window = \"90d\"\n    procedure = \"\"  # how it is rotated\n\n",
                one.reference
            ));
        }
    }
    text.push_str(&format!(
        "  - Run with them: custody run --env {} -- PROGRAM\n    A program that is started without custody finds references in {shown}.\n",
        session.environment
    ));
    text
}
