//! ENV-1 to ENV-4, and CRED-4 as far as templates, deployment files and the process environment go.

mod carriers;
mod charts;
mod drift;
mod follow;
mod optional;
mod process;
mod references;
mod required;
mod survey;
mod templates;
mod unit;

use std::collections::BTreeMap;

use custody_contract::file::KeyItem;
use custody_contract::{
    Contract, Coverage, CredentialRef, Diagnostic, Environment, Evaluation, FileTree, Level, Place, SecretRecogniser,
};

use crate::dotenv::portability;
use crate::template::{Setting, may_show};

pub(crate) use survey::Survey;

/// What is to be checked.
pub struct EnvCheck<'a> {
    /// The contract in force.
    pub contract: &'a Contract,
    /// The environment whose requirements count.
    pub environment: Environment,
    /// The repository's files.
    pub tree: &'a dyn FileTree,
    /// Recognises secret material.
    pub recogniser: &'a dyn SecretRecogniser,
    /// The live process environment, where it is to be checked as well.
    pub process: Option<&'a BTreeMap<String, String>>,
}

/// What was found, clause by clause.
#[derive(Debug, Clone)]
pub struct EnvOutcome {
    /// ENV-1: required keys.
    pub env1: Evaluation,
    /// ENV-2: optional keys, and drift.
    pub env2: Evaluation,
    /// ENV-3: templates.
    pub env3: Evaluation,
    /// ENV-4: carriers of real values.
    pub env4: Evaluation,
    /// Every valid reference in templates, deployment files and the process environment, in order of place (ROT-1).
    pub references: Vec<(CredentialRef, Place)>,
    /// Malformed references (CRED-4), at error level.
    pub cred4: Vec<Diagnostic>,
    /// Portability of dotenv files, problems of their grammar, what was not followed.
    pub notices: Vec<Diagnostic>,
    /// The account of the files that had to be read.
    pub coverage: Coverage,
}

/// Evaluates the environment's keys.
///
/// # Security
///
/// No diagnostic holds a value, except in portability notices where the value's class says that it is no secret.
pub fn check(input: &EnvCheck<'_>) -> EnvOutcome {
    let survey = Survey::of(input.contract, input.tree);
    let context = Context { input, survey: &survey };
    let references = references::collect(&context);
    let mut outcome = EnvOutcome {
        env1: required::evaluate(&context),
        env2: optional::evaluate(&context),
        env3: templates::evaluate(&context),
        env4: carriers::evaluate(&context),
        references: references.valid,
        cred4: references.malformed,
        notices: notices(&context),
        coverage: survey.coverage.clone(),
    };
    drift::evaluate(&context, &mut outcome.env2);
    if let Some(process) = input.process {
        process::check(&context, process, &mut outcome);
    }
    outcome.mask(input.recogniser);
    outcome
}

impl EnvOutcome {
    /// A key's name or a path can itself be a secret that somebody pasted there; nothing of it is shown then.
    fn mask(&mut self, recogniser: &dyn SecretRecogniser) {
        const MASKED: &str = "a name that holds secret material (not shown)";
        let mut evaluations = [&mut self.env1, &mut self.env2, &mut self.env3, &mut self.env4];
        for text in evaluations.iter_mut().flat_map(|e| &mut e.incomplete) {
            if recogniser.recognise(text).is_some() {
                MASKED.clone_into(text);
            }
        }
        let problems = evaluations.into_iter().flat_map(|e| &mut e.problems);
        for diagnostic in problems.chain(&mut self.cred4).chain(&mut self.notices) {
            let file = diagnostic.place.as_mut().map(|place| &mut place.file);
            let texts = [Some(&mut diagnostic.what), Some(&mut diagnostic.why), Some(&mut diagnostic.fix), file];
            for text in texts.into_iter().flatten().filter(|text| recogniser.recognise(text).is_some()) {
                MASKED.clone_into(text);
            }
        }
    }
}

/// What all clauses look at.
pub(crate) struct Context<'a> {
    input: &'a EnvCheck<'a>,
    survey: &'a Survey,
}

impl<'a> Context<'a> {
    fn key(&self, name: &str) -> Option<&'a KeyItem> {
        self.input.contract.keys.iter().find(|k| k.name == name)
    }

    /// The keys that `environment` requires.
    fn required(&self, environment: Environment) -> Vec<&'a KeyItem> {
        self.input.contract.keys.iter().filter(|k| k.required.applies_to(environment)).collect()
    }

    fn setting<'v>(&self, name: &'v str, value: &'v str, environment: Option<Environment>) -> Setting<'v>
    where
        'a: 'v,
    {
        Setting { name, value, key: self.key(name), environment }
    }

    /// How much something matters in a file of these environments: an error in the one that is evaluated.
    fn level(&self, environments: &[Environment]) -> Level {
        if environments.contains(&self.input.environment) { Level::Error } else { Level::Warning }
    }
}

pub(crate) fn diagnostic(level: Level, code: &str, what: String) -> Diagnostic {
    match level {
        Level::Error => Diagnostic::error(code, what),
        Level::Warning => Diagnostic::warning(code, what),
        Level::Note => Diagnostic::note(code, what),
    }
}

/// `A, B and C`, at most twenty by name.
pub(crate) fn list<S: AsRef<str>>(names: &[S]) -> String {
    const MOST: usize = 20;
    let shown: Vec<&str> = names.iter().take(MOST).map(AsRef::as_ref).collect();
    match (shown.as_slice(), names.len().saturating_sub(MOST)) {
        ([], _) => String::new(),
        ([one], _) => (*one).into(),
        ([all @ .., last], 0) => format!("{} and {last}", all.join(", ")),
        (all, more) => format!("{} and {more} more", all.join(", ")),
    }
}

fn notices(context: &Context<'_>) -> Vec<Diagnostic> {
    let mut notices = Vec::new();
    for file in &context.survey.templates {
        for problem in &file.document.problems {
            let (line, column) = file.document.position(problem.offset);
            let notice = Diagnostic::warning("env-grammar", problem.kind.to_string());
            notices.push(notice.at(Place::at(&file.path, line, column)));
        }
        let show = |key: &str, value: &str| may_show(&context.setting(key, value, None), context.input.recogniser);
        notices.extend(portability(&file.path, &file.document, &show));
    }
    for file in &context.survey.deployments {
        for (line, why) in &file.deployment.not_evaluated {
            let notice = Diagnostic::note("env-not-followed", (*why).to_owned()).at(Place::at(&file.path, *line, 0));
            notices.push(notice.why("keys that are set there are not seen here"));
        }
    }
    notices.extend(follow::problems(context));
    for path in &context.survey.large_code {
        let notice = Diagnostic::note("env-not-followed", "the file is too large to be code that a person wrote");
        notices.push(notice.at(Place::file(path)).why("the keys that it reads are not seen here"));
    }
    if let Some(first) = context.survey.dynamic.first() {
        let count = context.survey.dynamic.len();
        let what = format!("code reads variables whose names only a run decides, in {count} places");
        notices.push(Diagnostic::note("env-dynamic-read", what).at(first.clone()).why("such keys are in no list here"));
    }
    notices
}

#[cfg(test)]
mod follow_tests;
#[cfg(test)]
mod tests;
