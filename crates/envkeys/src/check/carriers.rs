//! ENV-4: no committed file is a carrier of a real value.

use custody_contract::{Diagnostic, Environment, Evaluation, Place};

use super::survey::{DeploymentFile, DotenvFile};
use super::{Context, follow};
use crate::deploy::{DeployedKey, Format, Source, with_defaults};
use crate::files::FileKind;
use crate::key::is_secret_name;
use crate::template::{Class, Harmless, Unsafe, classify, repeats_a_name};

const CODE: &str = "ENV-4";

pub(super) fn evaluate(context: &Context<'_>) -> Evaluation {
    let mut evaluation = Evaluation::default();
    for file in &context.survey.carriers {
        dotenv(context, file, &mut evaluation);
    }
    let mut counts = [
        (Format::Compose, 0usize),
        (Format::Kubernetes, 0),
        (Format::Helm, 0),
        (Format::Workflow, 0),
        (Format::GitLab, 0),
        (Format::Dockerfile, 0),
    ];
    for file in context.survey.deployments.iter().filter(|f| f.tracked) {
        let Some(format) = file.format else { continue };
        counts.iter_mut().filter(|(f, _)| *f == format).for_each(|(_, n)| *n += 1);
        deployment(context, file, &mut evaluation);
        secret_files(context, file, &mut evaluation);
    }
    let dotenv = context.survey.carriers.len();
    evaluation.saw("tracked .env files", format!("{dotenv} files"));
    for (format, count) in counts.into_iter().filter(|(_, n)| *n > 0) {
        evaluation.saw(format!("{}s", format.name()), format!("{count} files"));
    }
    for unread in &context.survey.unread {
        // A manifest template that has to be rendered first is searched by the scan all the same; here it is said.
        if matches!(unread.kind, FileKind::Environment | FileKind::Deployment(_)) {
            evaluation.incomplete.push(format!(
                "{} was not read: {}",
                Place::at(&unread.path, unread.line, 0),
                unread.why
            ));
        } else if unread.kind == FileKind::Yaml {
            let note = Diagnostic::note(CODE, format!("the manifest was not evaluated: {}", unread.why));
            let note = note.at(Place::at(&unread.path, unread.line, 0));
            evaluation.problems.push(note.why("its values are searched as text by the secret scan only"));
        }
    }
    evaluation
}

fn dotenv(context: &Context<'_>, file: &DotenvFile, evaluation: &mut Evaluation) {
    let environment = file.environments.iter().copied().max().or_else(|| environment_of(&file.path));
    let mut harmless = 0usize;
    let mut unsafe_values = 0usize;
    for entry in file.document.entries() {
        let value = entry.value.as_deref().unwrap_or("");
        match classify(&context.setting(&entry.key, value, environment), context.input.recogniser) {
            Class::Unsafe(reason) => {
                unsafe_values += 1;
                let (line, column) = file.document.position(entry.value_span.start);
                evaluation.problems.push(carrier(&entry.key, Place::at(&file.path, line, column), &reason));
            }
            Class::Empty => {}
            Class::Placeholder | Class::Harmless(_) => harmless += 1,
        }
    }
    if unsafe_values == 0 && !makes_a_config_map(context, &file.path) {
        let what = format!("version control tracks {}", file.path);
        let why = format!("no value in it looks like a secret ({harmless} are harmless), but the next one may");
        let problem = Diagnostic::warning(CODE, what).at(Place::file(&file.path)).why(why);
        let fix = format!("git rm --cached {}, add it to .gitignore, and keep a template instead", file.path);
        evaluation.problems.push(problem.fix(fix));
    }
}

/// Whether a kustomization makes a ConfigMap of the file: then it is configuration, and belongs into version control.
fn makes_a_config_map(context: &Context<'_>, path: &str) -> bool {
    context.survey.deployments.iter().any(|file| {
        let sets = file.deployment.sets.iter().filter(|set| !set.secret);
        sets.flat_map(|set| &set.files).any(|env| follow::joined(&file.path, env).as_deref() == Some(path))
    })
}

fn carrier(name: &str, place: Place, reason: &dyn std::fmt::Display) -> Diagnostic {
    Diagnostic::error(CODE, format!("a committed file holds a real value for {name}"))
        .at(place)
        .why(reason.to_string())
        .fix("move the value into a secret manager, refer to it from here, remove it from version control, and rotate it")
}

fn deployment(context: &Context<'_>, file: &DeploymentFile, evaluation: &mut Evaluation) {
    let environment = file.environments.iter().copied().max().or_else(|| environment_of(&file.path));
    for (key, what) in
        file.deployment.keys.iter().map(|k| (k, true)).chain(file.deployment.values.iter().map(|k| (k, false)))
    {
        literal(context, file, key, environment, what, evaluation);
    }
    for set in &file.deployment.sets {
        for key in &set.keys {
            if set.secret {
                secret(context, file, key, environment, evaluation);
            } else {
                literal(context, file, key, environment, true, evaluation);
            }
        }
    }
}

/// A literal that a process gets; `named` says that its name is that of a variable and can be judged.
fn literal(
    context: &Context<'_>,
    file: &DeploymentFile,
    key: &DeployedKey,
    environment: Option<Environment>,
    named: bool,
    evaluation: &mut Evaluation,
) {
    let Some(text) = key.source.text() else { return };
    let filled = matches!(key.source, Source::Mixed(_)).then(|| with_defaults(text)).filter(|_| text.contains('-'));
    let text = filled.as_deref().unwrap_or(text);
    let name = if named || is_secret_name(&key.name) { key.name.as_str() } else { "" };
    // `with: token: …` of a workflow step names its inputs freely: only their values count, unless the name is clear.
    let mut class = classify(&context.setting(name, text, environment), context.input.recogniser);
    let place = Place::at(&file.path, key.line, 0);
    let local = !environment.is_some_and(Environment::is_release);
    let beside = file.deployment.keys.iter().filter(|k| k.owner == key.owner);
    let beside = beside.filter_map(|k| Some((k.name.as_str(), k.source.text()?)));
    if local && class == Class::Unsafe(Unsafe::SecretName) && repeats_a_name(text, beside) {
        class = Class::Harmless(Harmless::DevelopmentPassword);
    }
    match class {
        // What stands around references is no secret by its name or look alone.
        Class::Unsafe(Unsafe::UrlPassword) if password_is_a_reference(text) => {}
        Class::Unsafe(reason @ (Unsafe::Recognised { .. } | Unsafe::UrlPassword | Unsafe::UrlToken)) => {
            evaluation.problems.push(carrier(&key.name, place, &reason));
        }
        Class::Unsafe(_) if matches!(key.source, Source::Mixed(_)) => {}
        // A file's text or a command has words of all kinds in it.
        Class::Unsafe(Unsafe::LooksGenerated) if !named || text.contains(char::is_whitespace) => {}
        Class::Unsafe(reason) => evaluation.problems.push(carrier(&key.name, place, &reason)),
        Class::Harmless(Harmless::DevelopmentPassword) => {
            let problem = Diagnostic::warning(CODE, format!("{} has a development password", key.name)).at(place);
            let problem = problem.why("everyone knows it; it is taken for a default for local use");
            evaluation.problems.push(problem.fix("take it from the process environment in everything but local files"));
        }
        _ => {}
    }
}

/// `scheme://user:${PASSWORD}@host`: nothing but references between colon and at sign.
fn password_is_a_reference(text: &str) -> bool {
    let authority = text.split_once("://").map_or("", |(_, rest)| rest);
    let Some((userinfo, _)) = authority.rsplit_once('@') else { return false };
    let password = userinfo.split_once(':').map_or("", |(_, p)| p);
    let reference = |open: &str, close: char| {
        password
            .strip_prefix(open)
            .and_then(|p| p.strip_suffix(close))
            .is_some_and(|p| !p.contains(":-") && !p.contains(close))
    };
    reference("${", '}')
        || reference("$(", ')')
        || (password.starts_with("${{") && password.ends_with("}}"))
        || password
            .strip_prefix('$')
            .is_some_and(|p| !p.is_empty() && p.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_'))
}

/// A value in a Secret's manifest: a carrier, unless it is empty, stands for something else or is encrypted.
fn secret(
    context: &Context<'_>,
    file: &DeploymentFile,
    key: &DeployedKey,
    environment: Option<Environment>,
    evaluation: &mut Evaluation,
) {
    let text = key.source.text().unwrap_or("");
    let class = classify(&context.setting(&key.name, text, environment), context.input.recogniser);
    let place = Place::at(&file.path, key.line, 0);
    match class {
        Class::Empty | Class::Placeholder | Class::Harmless(Harmless::Encrypted | Harmless::Reference) => {}
        Class::Unsafe(reason) => evaluation.problems.push(carrier(&key.name, place, &reason)),
        Class::Harmless(kind)
            if kind != Harmless::DevelopmentPassword && !is_secret_name(&key.name) && kind != Harmless::Text =>
        {
            let problem = Diagnostic::warning(CODE, format!("{} carries {}", key.owner, key.name)).at(place);
            let problem = problem.why("the value looks harmless, but a Secret in version control invites real ones");
            evaluation.problems.push(problem.fix("move what is harmless into a ConfigMap"));
        }
        Class::Harmless(_) => {
            let problem = Diagnostic::error(CODE, format!("{} carries a value for {}", key.owner, key.name)).at(place);
            let problem =
                problem.why("a Secret's manifest in version control is readable by all; Base64 hides nothing");
            evaluation.problems.push(problem.fix("use an external or sealed secret, and rotate the value"));
        }
    }
}

/// Files that a Compose file's `secrets` take whole: tracked, they are carriers.
fn secret_files(context: &Context<'_>, file: &DeploymentFile, evaluation: &mut Evaluation) {
    for secret in &file.deployment.secret_files {
        let Some(path) = follow::joined(&file.path, &secret.path) else { continue };
        let tree = context.input.tree;
        if tree.paths().binary_search(&path).is_err()
            || !tree.is_tracked(&path)
            || context.input.contract.exclusion(&path).is_some()
        {
            continue;
        }
        let Ok(bytes) = tree.read(&path) else {
            evaluation.incomplete.push(format!("{path} was not read: it is the Compose secret {}", secret.name));
            continue;
        };
        let text = String::from_utf8_lossy(&bytes);
        let class =
            classify(&context.setting("SECRET", text.trim(), environment_of(&file.path)), context.input.recogniser);
        if matches!(
            class,
            Class::Empty | Class::Placeholder | Class::Harmless(Harmless::Encrypted | Harmless::Reference)
        ) {
            continue;
        }
        let reason = match class {
            Class::Unsafe(reason) => reason.to_string(),
            _ => format!("{} gives its whole content to a service as a secret", file.path),
        };
        evaluation.problems.push(carrier(&format!("the Compose secret {}", secret.name), Place::file(&path), &reason));
    }
}

/// The environment that a file's name speaks of.
fn environment_of(path: &str) -> Option<Environment> {
    path.split(['/', '.', '-', '_']).find_map(|part| part.parse().ok())
}
