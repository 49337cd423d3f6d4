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
    if check.contract.credentials.is_empty() && used.places.is_empty() {
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
        let here = place.filter(|u| u.binding);
        if listed || here.is_some() {
            reachable += 1;
            entry.documented();
            entry.rotated();
        }
        if let Some(usage) = here.filter(|_| !listed) {
            entry.reached_although_unlisted(usage.place);
        }
        if place.is_none() && !used.elsewhere.contains_key(&item.reference) {
            entry.unused();
        }
    }
    unregistered(&check, &used, &mut evaluation.problems);
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
    uses: usize,
}

impl<'a> Used<'a> {
    fn new(check: &RotationCheck<'a>) -> Self {
        let mut used = Used { places: BTreeMap::new(), elsewhere: BTreeMap::new(), uses: 0 };
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

    fn reached_although_unlisted(&mut self, place: &Place) {
        let environment = self.check.environment;
        let what = format!(
            "{} is used in {environment} and its entry leaves {environment} out",
            (self.check.shown)(&self.item.reference)
        );
        let why = format!("{place} names it");
        let fix = format!("add \"{environment}\" to environments, or use another credential there");
        self.say(Level::Warning, "environments", what, why, fix);
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
mod tests {
    use jiff::civil::date;

    use super::*;

    const FULL: &str = "[[credential]]\nreference = \"cred://aws/prod/readonly\"\nowner = \"finops\"\ncontact = \"#finops\"\nwindow = \"90d\"\ngrace = \"7d\"\nprocedure = \"docs/rotation.md#aws\"\nlast-rotation = 2026-10-01\n";

    fn run_on(toml: &str, environment: Environment, used: &[(&str, &str)], today: Date) -> Evaluation {
        let contract = Contract::load(toml, "custody.toml", today).expect("valid");
        let references: Vec<_> =
            used.iter().map(|(r, f)| (CredentialRef::parse(r).expect("valid"), Place::at(*f, 3, 1))).collect();
        evaluate(RotationCheck {
            contract: &contract,
            environment,
            today,
            references: &references,
            contract_file: "custody.toml",
            locate: &|index, field| {
                Some(Place { pointer: Some(format!("/{index}/{field}")), ..Place::at("custody.toml", 1, 1) })
            },
            procedure_exists: &|path| path == "docs/rotation.md",
            shown: &CredentialRef::to_string,
        })
    }

    fn run(toml: &str, environment: Environment, used: &[(&str, &str)]) -> Evaluation {
        run_on(toml, environment, used, date(2026, 11, 24))
    }

    fn levels(evaluation: &Evaluation) -> Vec<(Level, &str)> {
        evaluation.problems.iter().map(|p| (p.level, p.what.as_str())).collect()
    }

    const USED: &[(&str, &str)] = &[("cred://aws/prod/readonly", ".env.prod.example")];

    #[test]
    fn a_complete_entry_holds() {
        let evaluation = run(FULL, Environment::Prod, USED);
        assert_eq!(levels(&evaluation), []);
        assert!(!evaluation.fails() && evaluation.evidence.len() == 2);
    }

    #[test]
    fn each_missing_field_is_an_error_in_prod_and_a_warning_in_local() {
        for name in ["owner", "contact", "window", "procedure", "last-rotation"] {
            let text: String = FULL.lines().filter(|l| !l.starts_with(name)).map(|l| format!("{l}\n")).collect();
            let evaluation = run(&text, Environment::Prod, USED);
            let what = format!("cred://aws/prod/readonly has no {name}");
            assert_eq!(levels(&evaluation), [(Level::Error, what.as_str())]);
            let place = evaluation.problems[0].place.as_ref().expect("a place");
            assert_eq!(place.pointer.as_deref(), Some(format!("/0/{name}").as_str()));
            let evaluation = run(&text, Environment::Local, USED);
            assert!(evaluation.problems.iter().any(|p| p.what == what && p.level == Level::Warning));
            assert!(!evaluation.fails());
        }
    }

    #[test]
    fn a_placeholder_is_no_owner() {
        let evaluation = run(&FULL.replace("finops\"\nco", "TODO\"\nco"), Environment::Prod, USED);
        assert!(evaluation.fails(), "{:?}", evaluation.problems);
    }

    #[test]
    fn overdue_fails_and_grace_and_due_soon_warn() {
        for (today, expected) in [
            (date(2026, 12, 15), None),
            (date(2026, 12, 16), Some(Level::Warning)),
            (date(2026, 12, 31), Some(Level::Warning)),
            (date(2027, 1, 6), Some(Level::Warning)),
            (date(2027, 1, 7), Some(Level::Error)),
            (date(2026, 9, 30), Some(Level::Error)),
        ] {
            let evaluation = run_on(FULL, Environment::Prod, USED, today);
            assert_eq!(evaluation.problems.first().map(|p| p.level), expected, "{today}");
        }
    }

    #[test]
    fn a_procedure_that_is_not_there_fails_and_a_url_is_taken_as_given() {
        for (procedure, fails) in [
            ("docs/other.md", true),
            ("../docs/rotation.md", true),
            ("call Bob", true),
            ("https://wiki.example.com/rotate", false),
            ("./docs/rotation.md", false),
        ] {
            let evaluation = run(&FULL.replace("docs/rotation.md#aws", procedure), Environment::Prod, USED);
            assert_eq!(evaluation.fails(), fails, "{procedure}");
        }
    }

    #[test]
    fn a_reference_without_an_entry_is_an_error_in_stage_and_prod() {
        let other: &[(&str, &str)] = &[("cred://gcp/all/readonly", "tests/request.json")];
        assert!(run("", Environment::Prod, other).fails());
        assert!(run("", Environment::Stage, other).fails());
        let local = run("", Environment::Local, other);
        assert_eq!(levels(&local), [(Level::Warning, "cred://gcp/all/readonly is used and not registered")]);
    }

    #[test]
    fn a_reference_of_another_environments_template_counts_only_there() {
        let local: &[(&str, &str)] = &[("cred://gcp/local/readonly", ".env.example")];
        assert!(run("", Environment::Prod, local).not_applicable.is_some());
        assert!(run("", Environment::Local, local).not_applicable.is_none());
    }

    #[test]
    fn a_credential_out_of_reach_is_not_asked_for_documentation() {
        let entry = "[[credential]]\nreference = \"cred://aws/prod/readonly\"\nenvironments = [\"stage\"]\n";
        let evaluation = run(entry, Environment::Prod, &[("cred://aws/prod/readonly", "deploy/stage/app.yml")]);
        assert_eq!(levels(&evaluation), []);
        let evaluation = run(entry, Environment::Prod, USED);
        assert!(evaluation.fails(), "prod's own template uses it");
        assert!(evaluation.problems.iter().any(|p| p.level == Level::Warning && p.what.contains("leaves prod out")));
    }

    #[test]
    fn an_entry_that_nothing_uses_is_a_note() {
        let evaluation = run(FULL, Environment::Prod, &[]);
        assert_eq!(evaluation.problems.iter().map(|p| p.level).collect::<Vec<_>>(), [Level::Note]);
    }

    #[test]
    fn nothing_registered_and_nothing_used_does_not_apply() {
        assert!(run("", Environment::Prod, &[]).not_applicable.is_some());
    }
}
