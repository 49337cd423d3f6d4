//! ENV-3: templates hold key names and safe placeholders only.

use std::collections::BTreeMap;

use custody_contract::{Diagnostic, Environment, Evaluation, Evidence, Place};

use super::Context;
use super::survey::DotenvFile;
use crate::dotenv::SegmentKind;
use crate::files::FileKind;
use crate::template::{Class, Harmless, Unsafe, classify, repeats_a_name};

const CODE: &str = "ENV-3";

pub(super) fn evaluate(context: &Context<'_>) -> Evaluation {
    let mut evaluation = Evaluation::default();
    for file in &context.survey.templates {
        template(context, file, &mut evaluation);
    }
    for unread in context.survey.unread.iter().filter(|u| u.kind == FileKind::Template) {
        evaluation.incomplete.push(format!("{} was not read: {}", unread.path, unread.why));
    }
    if evaluation.evidence.is_empty() && evaluation.incomplete.is_empty() {
        return Evaluation::not_applicable("the tree has no dotenv template");
    }
    evaluation
}

fn template(context: &Context<'_>, file: &DotenvFile, evaluation: &mut Evaluation) {
    let document = &file.document;
    // The strictest reading counts where a template serves several environments.
    let environment = file.environments.iter().copied().max();
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for entry in document.entries() {
        let value = entry.value.as_deref().unwrap_or("");
        let mut class = classify(&context.setting(&entry.key, value, environment), context.input.recogniser);
        // What the plain reading undid or cut off is looked at as it stands.
        let raw = &document.text()[entry.value_span.clone()];
        if !matches!(class, Class::Unsafe(_))
            && raw != value
            && let Some(rule) = context.input.recogniser.recognise(raw)
        {
            class = Class::Unsafe(Unsafe::Recognised { rule });
        }
        let local = !environment.is_some_and(Environment::is_release);
        let beside = document.entries().filter_map(|e| Some((e.key.as_str(), e.value.as_deref()?)));
        if local && class == Class::Unsafe(Unsafe::SecretName) && repeats_a_name(value, beside) {
            class = Class::Harmless(Harmless::DevelopmentPassword);
        }
        let (line, column) = document.position(entry.value_span.start);
        let place = Place::at(&file.path, line, column);
        *counts.entry(word(&class)).or_default() += 1;
        match class {
            Class::Unsafe(reason) => evaluation.problems.push(
                Diagnostic::error(CODE, format!("the template has a value for {} that may be a secret", entry.key))
                    .at(place)
                    .why(reason.to_string())
                    .fix("empty it or write a placeholder such as <api-key>; if it was real, rotate it: it has leaked"),
            ),
            Class::Harmless(Harmless::DevelopmentPassword) => evaluation.problems.push(
                Diagnostic::warning(CODE, format!("{} has a development password", entry.key))
                    .at(place)
                    .why("everyone knows it; it is taken for a default for local use")
                    .fix("make sure that it opens nothing beyond the developer's machine, or leave the value empty"),
            ),
            _ => {}
        }
    }
    hidden(context, file, evaluation);
    let amount = counts.iter().map(|(word, n)| format!("{n} {word}")).collect::<Vec<_>>().join(", ");
    let amount = if amount.is_empty() { "no keys".into() } else { amount };
    let with = Some("value classification".to_owned());
    evaluation.evidence.push(Evidence { what: file.path.clone(), amount, with });
}

fn word(class: &Class) -> &'static str {
    match class {
        Class::Empty => "empty",
        Class::Placeholder => "placeholder",
        Class::Harmless(_) => "harmless",
        Class::Unsafe(_) => "unsafe",
    }
}

/// Secret material outside values: in comments, and in lines that are no entries.
fn hidden(context: &Context<'_>, file: &DotenvFile, evaluation: &mut Evaluation) {
    let document = &file.document;
    let invalid = document.segments().iter().filter(|s| s.kind == SegmentKind::Invalid);
    let invalid = invalid.map(|s| (s.span.start, &document.text()[s.span.clone()]));
    for (offset, text) in document.comments().chain(invalid) {
        let bare = text.trim_start_matches(['#', ' ', '\t']).trim();
        if bare.is_empty() {
            continue;
        }
        // In a commented-out entry the value stands behind the separator.
        let value = bare.split_once('=').map_or(bare, |(_, v)| v.trim_matches([' ', '"', '\'']));
        let recogniser = context.input.recogniser;
        if let Some(rule) = recogniser.recognise(bare).or_else(|| recogniser.recognise(value)) {
            let (line, column) = document.position(offset);
            evaluation.problems.push(
                Diagnostic::error(CODE, "a comment or stray line holds what may be a secret")
                    .at(Place::at(&file.path, line, column))
                    .why(format!("rule {rule} recognises secret material in it"))
                    .fix("remove it; if it was real, rotate it: it has leaked"),
            );
        }
    }
}
