//! ROT-1 over a whole registry.

use std::collections::BTreeMap;

use custody_contract::file::CredentialItem;
use custody_contract::{Contract, CredentialRef, Diagnostic, Environment, Evaluation, Level, Place};
use jiff::civil::Date;

use crate::documented::{Field, field, is_url, path_of};
use crate::{Schedule, Standing};

const CLAUSE: &str = "ROT-1";

/// What ROT-1 is evaluated on.
#[derive(Clone, Copy)]
pub struct RotationCheck<'a> {
    /// The contract in force; its `credentials` are the registry.
    pub contract: &'a Contract,
    /// The environment that is evaluated.
    pub environment: Environment,
    /// The day that windows are measured on.
    pub today: Date,
    /// Every reference that templates, deployment files and requests use, with its place. One that stands only in
    /// another environment's templates or deployment files does not count here.
    pub references: &'a [(CredentialRef, Place)],
    /// Every reference that code names, with its place. Code may name what it never resolves, so one without an entry
    /// is a warning.
    pub code: &'a [(CredentialRef, Place)],
    /// What the contract file is called in messages.
    pub contract_file: &'a str,
    /// Where a field of the credential with this index stands in the contract file; the entry itself where the field
    /// is not there.
    pub locate: &'a dyn Fn(usize, &str) -> Option<Place>,
    /// Whether a path exists in the repository.
    pub procedure_exists: &'a dyn Fn(&str) -> bool,
    /// How a reference is shown: one that carries secret material (a violation of CRED-4) must not be.
    pub shown: &'a dyn Fn(&CredentialRef) -> String,
}

/// Evaluates ROT-1.
///
/// Missing documentation and overdue rotations are errors in `stage` and `prod` and warnings in `local`, where the
/// contract asks for them "before production cutover" only.
pub fn evaluate(check: RotationCheck<'_>) -> Evaluation {
    let used = Used::new(&check);
    if check.contract.credentials.is_empty() && used.places.is_empty() && check.code.is_empty() {
        return Evaluation::not_applicable(format!(
            "{} registers no credential and nothing that {} uses names a credential reference",
            check.contract_file, check.environment
        ));
    }
    let mut evaluation = Evaluation::default();
    let mut reachable = 0;
    for (index, item) in check.contract.credentials.iter().enumerate() {
        let mut entry = Entry { check: &check, index, item, problems: &mut evaluation.problems };
        let listed = item.environments.is_empty() || item.environments.contains(&check.environment);
        let place = used.places.get(&item.reference);
        let contradicting = place.filter(|usage| !listed && entry.contradicts(usage));
        if listed || contradicting.is_some() {
            reachable += 1;
            entry.documented();
            entry.rotated();
        }
        if let Some(usage) = contradicting {
            entry.left_out(usage.place);
        }
        if place.is_none() && !used.elsewhere.contains_key(&item.reference) && !used.code.contains_key(&item.reference)
        {
            entry.unused();
        }
    }
    unregistered(&check, &used, &mut evaluation.problems);
    unregistered_in_code(&check, &used, &mut evaluation.problems);
    evaluation.saw(
        format!("rotation registry of {}", check.contract_file),
        format!(
            "{}, {reachable} of them in reach of {}",
            count(check.contract.credentials.len(), "credential"),
            check.environment
        ),
    );
    evaluation.saw(
        "credential references in templates, deployment files and requests",
        format!("{} in {}", count(used.places.len(), "reference"), count(used.uses, "place")),
    );
    if !used.code.is_empty() {
        let amount = format!("{} in {}", count(used.code.len(), "reference"), count(check.code.len(), "place"));
        evaluation.saw("credential references in code", amount);
    }
    evaluation
}

/// A distinct reference that counts in the environment.
struct Usage<'a> {
    place: &'a Place,
    /// Whether it stands in a file of this very environment, so that the environment is known to reach it.
    binding: bool,
}

struct Used<'a> {
    places: BTreeMap<&'a CredentialRef, Usage<'a>>,
    elsewhere: BTreeMap<&'a CredentialRef, &'a Place>,
    code: BTreeMap<&'a CredentialRef, &'a Place>,
    uses: usize,
}

impl<'a> Used<'a> {
    fn new(check: &RotationCheck<'a>) -> Self {
        let mut used = Used { places: BTreeMap::new(), elsewhere: BTreeMap::new(), code: BTreeMap::new(), uses: 0 };
        for (reference, place) in check.code {
            used.code.entry(reference).or_insert(place);
        }
        for (reference, place) in check.references {
            let belongs = |environment| {
                let item = check.contract.environments.get(environment);
                item.is_some_and(|i| i.templates.is_match(&place.file) || i.deployments.is_match(&place.file))
            };
            let here = belongs(check.environment);
            if !here && Environment::ALL.into_iter().any(belongs) {
                used.elsewhere.entry(reference).or_insert(place);
                continue;
            }
            used.uses += 1;
            let usage = used.places.entry(reference).or_insert(Usage { place, binding: here });
            if here && !usage.binding {
                *usage = Usage { place, binding: true };
            }
        }
        used
    }
}

/// One entry of the registry, being judged.
struct Entry<'a, 'b> {
    check: &'b RotationCheck<'a>,
    index: usize,
    item: &'a CredentialItem,
    problems: &'b mut Vec<Diagnostic>,
}

impl Entry<'_, '_> {
    fn say(&mut self, level: Level, name: &str, what: String, why: impl Into<String>, fix: impl Into<String>) {
        let place = (self.check.locate)(self.index, name).unwrap_or_else(|| Place::file(self.check.contract_file));
        self.problems.push(with_level(level, what).at(place).why(why).fix(fix));
    }

    fn missing(&mut self, name: &str, found: Field, fix: &str) {
        let reference = (self.check.shown)(&self.item.reference);
        let (what, why) = match found {
            Field::Said => return,
            Field::Missing => (format!("{reference} has no {name}"), "it must be documented before production cutover"),
            Field::Placeholder => {
                (format!("{reference} has a placeholder as its {name}"), "a placeholder documents nothing")
            }
        };
        self.say(gravity(self.check.environment), name, what, why, fix);
    }

    fn documented(&mut self) {
        let item = self.item;
        self.missing("owner", field(item.owner.as_deref()), "add owner = \"the team or person who answers for it\"");
        let fix = "add contact = \"how the owner is reached: mail address, channel or URL\"";
        self.missing("contact", field(item.contact.as_deref()), fix);
        let window = if item.window.is_some() { Field::Said } else { Field::Missing };
        self.missing("window", window, "add window = \"90d\", or how long it may live");
        let fix = "add procedure = \"docs/rotation.md\", or the URL of the steps";
        let procedure = item.procedure.as_deref();
        self.missing("procedure", field(procedure), fix);
        if let Some(procedure) = procedure.map(str::trim).filter(|p| field(Some(p)) == Field::Said) {
            self.procedure(procedure);
        }
    }

    fn procedure(&mut self, procedure: &str) {
        if is_url(procedure) {
            return; // Only a person can follow it: the gate makes no network calls.
        }
        let reference = (self.check.shown)(&self.item.reference);
        let level = gravity(self.check.environment);
        let fix = "write the procedure down there, or name the file or URL that has it";
        match path_of(procedure) {
            None => {
                let what = format!("the procedure of {reference} is neither a path of the repository nor a URL");
                self.say(level, "procedure", what, "whoever rotates it must find the steps", fix);
            }
            Some(path) if !(self.check.procedure_exists)(path) => {
                let what = format!("the procedure of {reference} is not in the repository");
                self.say(level, "procedure", what, "the path names no file or directory", fix);
            }
            Some(_) => {}
        }
    }

    fn rotated(&mut self) {
        let level = gravity(self.check.environment);
        let reference = (self.check.shown)(&self.item.reference);
        if let (Some(window), Some(grace)) = (self.item.window, self.item.grace)
            && grace > window
        {
            let what = format!("the grace period of {reference} is longer than its window");
            let why = format!("grace {grace}, window {window}: what is always in grace is never overdue");
            self.say(level, "grace", what, why, "shorten the grace period to what a rotation takes");
        }
        let Some(last) = self.item.last_rotation else {
            return self.missing("last-rotation", Field::Missing, "rotate it, or add the date on which it was issued");
        };
        let window = self.item.window;
        let schedule = Schedule {
            last_rotation: last.0,
            window_days: window.map_or(i64::MAX, |w| w.days()),
            grace_days: self.item.grace.map_or(0, |g| g.days()),
        };
        let procedure = self.item.procedure.as_deref().filter(|p| field(Some(p)) == Field::Said);
        let rotate = match procedure {
            Some(procedure) => format!("rotate it as {procedure} says, then set last-rotation"),
            None => "rotate it, then set last-rotation".to_owned(),
        };
        match schedule.standing(self.check.today) {
            Standing::Current { .. } => {}
            Standing::DueSoon { days_left } => {
                let what = format!("{reference} must be rotated within {}", count_days(days_left));
                let why = format!("last rotated on {last}, window {}", shown(window));
                self.say(Level::Warning, "last-rotation", what, why, rotate);
            }
            Standing::InGrace { days_over, days_left } => {
                let what = format!("{reference} is {} past its window, in its grace period", count_days(days_over));
                let why = format!(
                    "last rotated on {last}, window {}; the grace period ends in {}",
                    shown(window),
                    count_days(days_left)
                );
                self.say(Level::Warning, "last-rotation", what, why, rotate);
            }
            Standing::Overdue { days_over } => {
                let what = format!("{reference} is {} past its window", count_days(days_over));
                let why = format!("last rotated on {last}, window {}", shown(window));
                self.say(level, "last-rotation", what, why, rotate);
            }
            Standing::NotYet => {
                let what = format!("the last rotation of {reference} lies in the future");
                let why = format!("it says {last}, and today is {}", self.check.today);
                self.say(level, "last-rotation", what, why, "write the day on which it was rotated");
            }
        }
    }

    /// Whether a use says that the environment reaches a credential whose entry leaves it out.
    ///
    /// A template or deployment file of the environment does. A request may be sent in any environment and is judged as
    /// one of this: an entry for `prod` covers it in `stage` as well, one for `stage` does not cover it in `prod`.
    fn contradicts(&self, usage: &Usage<'_>) -> bool {
        usage.binding
            || self.check.environment.is_release()
                && self.item.environments.iter().all(|listed| *listed < self.check.environment)
    }

    fn left_out(&mut self, place: &Place) {
        let environment = self.check.environment;
        let names: Vec<&str> = self.item.environments.iter().map(|e| e.as_str()).collect();
        let names = names.join(" and ");
        let reference = (self.check.shown)(&self.item.reference);
        let what = format!("{reference} is used in {environment} and its entry is for {names} only");
        let why = format!("{place} names it; for {environment} nobody has documented its owner and rotation");
        let fix = format!("add \"{environment}\" to its environments, or use a credential of {environment} there");
        self.say(Level::Error, "environments", what, why, fix);
    }

    fn unused(&mut self) {
        let what =
            format!("{} is registered and nothing in the repository uses it", (self.check.shown)(&self.item.reference));
        let fix = "remove the entry if the credential is gone; revoke it first";
        self.say(Level::Note, "reference", what, "a credential that nobody uses is one to revoke", fix);
    }
}

fn unregistered(check: &RotationCheck<'_>, used: &Used<'_>, problems: &mut Vec<Diagnostic>) {
    for (reference, usage) in &used.places {
        if check.contract.credentials.iter().any(|c| c.reference == **reference) {
            continue;
        }
        let fix = format!(
            "add a [[credential]] entry to {} with owner, contact, window, procedure and last-rotation",
            check.contract_file
        );
        problems.push(
            with_level(gravity(check.environment), format!("{} is used and not registered", (check.shown)(reference)))
                .at(usage.place.clone())
                .why("nobody is named who rotates it, and when")
                .fix(fix),
        );
    }
}

/// At most so many references of code are named one by one.
const SHOWN_IN_CODE: usize = 10;

fn unregistered_in_code(check: &RotationCheck<'_>, used: &Used<'_>, problems: &mut Vec<Diagnostic>) {
    let known = |reference: &CredentialRef| {
        used.places.contains_key(reference) || check.contract.credentials.iter().any(|c| c.reference == *reference)
    };
    let unknown: Vec<_> = used.code.iter().filter(|(reference, _)| !known(reference)).collect();
    for (reference, place) in unknown.iter().take(SHOWN_IN_CODE) {
        let what = format!("{} is named in code and not registered", (check.shown)(reference));
        let fix = format!("add a [[credential]] entry to {}, or remove it if nothing resolves it", check.contract_file);
        let why = "if the code resolves it, nobody is named who rotates it, and when";
        problems.push(Diagnostic::warning(CLAUSE, what).at((**place).clone()).why(why).fix(fix));
    }
    if unknown.len() > SHOWN_IN_CODE {
        let more = count(unknown.len() - SHOWN_IN_CODE, "more reference");
        let what = format!("{more} in code are not registered");
        problems.push(Diagnostic::warning(CLAUSE, what).at((*unknown[SHOWN_IN_CODE].1).clone()));
    }
}

fn gravity(environment: Environment) -> Level {
    if environment.is_release() { Level::Error } else { Level::Warning }
}

fn with_level(level: Level, what: String) -> Diagnostic {
    match level {
        Level::Note => Diagnostic::note(CLAUSE, what),
        Level::Warning => Diagnostic::warning(CLAUSE, what),
        Level::Error => Diagnostic::error(CLAUSE, what),
    }
}

fn count(n: usize, one: &str) -> String {
    if n == 1 { format!("1 {one}") } else { format!("{n} {one}s") }
}

fn count_days(n: i64) -> String {
    if n == 1 { "1 day".into() } else { format!("{n} days") }
}

fn shown(window: Option<custody_contract::file::Window>) -> String {
    window.map_or_else(|| "unknown".into(), |w| w.to_string())
}

#[cfg(test)]
mod tests;
