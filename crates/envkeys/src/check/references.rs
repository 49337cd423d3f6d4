//! CRED-4: references in templates, deployment files and dotenv files.

use custody_contract::file::KeyType;
use custody_contract::{CredentialRef, Diagnostic, Place};

use super::Context;
use crate::template::{Class, classify};

const CODE: &str = "CRED-4";

/// Valid references with their places, and what is wrong with the others.
#[derive(Default)]
pub(super) struct References {
    pub(super) valid: Vec<(CredentialRef, Place)>,
    pub(super) malformed: Vec<Diagnostic>,
}

pub(super) fn collect(context: &Context<'_>) -> References {
    let mut references = References::default();
    for file in context.survey.templates.iter().chain(&context.survey.carriers) {
        for entry in file.document.entries() {
            let (line, column) = file.document.position(entry.value_span.start);
            let place = Place::at(&file.path, line, column);
            references.take(context, &entry.key, entry.value.as_deref().unwrap_or(""), &place);
        }
    }
    for file in &context.survey.deployments {
        let sets = file.deployment.sets.iter().flat_map(|s| &s.keys);
        for key in file.deployment.keys.iter().chain(sets).chain(&file.deployment.values) {
            if let Some(text) = key.source.text().filter(|_| file.format.is_some()) {
                references.take(context, &key.name, text, &Place::at(&file.path, key.line, 0));
            }
        }
    }
    references.valid.sort_by(|a, b| (&a.1, &a.0).cmp(&(&b.1, &b.0)));
    references
}

impl References {
    /// The references in one value; a key of type `credential-ref` has to be one.
    pub(super) fn take(&mut self, context: &Context<'_>, name: &str, value: &str, place: &Place) {
        let value = value.trim();
        let declared = context.key(name).is_some_and(|k| k.kind == KeyType::CredentialRef);
        let recogniser = context.input.recogniser;
        let mut found = false;
        for text in candidates(value) {
            found = true;
            match CredentialRef::parse_with(text, recogniser) {
                Ok(reference) => self.valid.push((reference, place.clone())),
                // A reference with a hole in it, such as cred://aws/${ENV}/readonly, is none yet.
                Err(_) if text.contains(['$', '<', '{', '…']) => {}
                Err(error) => self.malformed.push(malformed(name, place, &error.to_string())),
            }
        }
        if found || !declared {
            return;
        }
        let class = classify(&context.setting(name, value, None), recogniser);
        if matches!(class, Class::Empty | Class::Placeholder) || value.contains(['$', '{']) {
            return;
        }
        if let Err(error) = CredentialRef::parse_with(value, recogniser) {
            self.malformed.push(malformed(name, place, &error.to_string()));
        }
    }
}

fn malformed(name: &str, place: &Place, why: &str) -> Diagnostic {
    Diagnostic::error(CODE, format!("{name} holds a malformed credential reference"))
        .at(place.clone())
        .why(why)
        .fix("write it as cred://provider/scope/access; if a secret stood there, rotate it")
}

/// The parts of a value that start as a reference does.
fn candidates(value: &str) -> impl Iterator<Item = &str> {
    let lower = value.to_ascii_lowercase();
    let starts: Vec<usize> = lower.match_indices(CredentialRef::SCHEME).map(|(at, _)| at).collect();
    starts.into_iter().map(move |at| {
        let rest = &value[at..];
        let end = rest.find(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | ',' | ';' | ')' | ']' | '`'));
        &rest[..end.unwrap_or(rest.len())]
    })
}
