//! ROT-1 on registries of one entry.

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
        code: &[],
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

const LEFT_OUT: &str = "[[credential]]\nreference = \"cred://aws/prod/readonly\"\nenvironments = [\"stage\"]\n";

#[test]
fn a_credential_out_of_reach_is_not_asked_for_documentation() {
    let evaluation = run(LEFT_OUT, Environment::Prod, &[("cred://aws/prod/readonly", "deploy/stage/app.yml")]);
    assert_eq!(levels(&evaluation), []);
}

#[test]
fn a_use_in_an_environment_that_the_entry_leaves_out_is_an_error_in_every_environment() {
    for (environment, file) in [
        (Environment::Prod, ".env.prod.example"),
        (Environment::Prod, "deploy/prod/app.yml"),
        (Environment::Local, ".env.example"),
    ] {
        let evaluation = run(LEFT_OUT, environment, &[("cred://aws/prod/readonly", file)]);
        let what = format!("cred://aws/prod/readonly is used in {environment} and its entry is for stage only");
        let found = evaluation.problems.iter().find(|p| p.what == what).expect(&what);
        assert_eq!(found.level, Level::Error);
        assert!(found.why.contains(file), "{found:?}");
        assert_eq!(found.place.as_ref().and_then(|p| p.pointer.as_deref()), Some("/0/environments"));
        assert!(evaluation.problems.iter().any(|p| p.what.ends_with("has no owner")), "documentation is asked for");
    }
}

#[test]
fn a_request_is_covered_by_an_entry_for_its_environment_or_a_stricter_one() {
    let request: &[(&str, &str)] = &[("cred://aws/prod/readonly", "tests/request.json")];
    let entry = |names: &str| format!("{FULL}environments = {names}\n");
    for (names, environment, fails) in [
        (r#"["stage"]"#, Environment::Prod, true),
        (r#"["local"]"#, Environment::Prod, true),
        (r#"["local", "stage"]"#, Environment::Prod, true),
        (r#"["local"]"#, Environment::Stage, true),
        (r#"["prod"]"#, Environment::Stage, false),
        (r#"["prod"]"#, Environment::Local, false),
        (r#"["production"]"#, Environment::Prod, false),
        ("[]", Environment::Prod, false),
    ] {
        let evaluation = run(&entry(names), environment, request);
        assert_eq!(evaluation.fails(), fails, "{names} in {environment}: {:?}", evaluation.problems);
    }
}

#[test]
fn a_grace_period_longer_than_the_window_would_hide_that_a_rotation_is_overdue() {
    let evaluation = run(&FULL.replace("\"7d\"", "\"91d\""), Environment::Prod, USED);
    assert_eq!(
        levels(&evaluation),
        [(Level::Error, "the grace period of cred://aws/prod/readonly is longer than its window")]
    );
    assert!(!run(&FULL.replace("\"7d\"", "\"90d\""), Environment::Prod, USED).fails());
}

#[test]
fn a_reference_in_code_needs_an_entry_and_makes_one_used() {
    let check = |toml: &str| {
        let contract = Contract::load(toml, "custody.toml", date(2026, 11, 24)).expect("valid");
        let code: Vec<_> = (0..13)
            .map(|n| {
                let reference = CredentialRef::parse(&format!("cred://aws/prod{n}/readonly")).expect("valid");
                (reference, Place::at("src/a.ts", n + 1, 1))
            })
            .chain([(CredentialRef::parse("cred://aws/prod/readonly").expect("valid"), Place::at("b.ts", 1, 1))])
            .collect();
        evaluate(RotationCheck {
            contract: &contract,
            environment: Environment::Prod,
            today: date(2026, 11, 24),
            references: &[],
            code: &code,
            contract_file: "custody.toml",
            locate: &|_, _| None,
            procedure_exists: &|_| true,
            shown: &CredentialRef::to_string,
        })
    };
    let evaluation = check(FULL);
    assert_eq!(evaluation.problems.len(), SHOWN_IN_CODE + 1);
    assert!(evaluation.problems.iter().all(|p| p.level == Level::Warning), "{:?}", evaluation.problems);
    assert_eq!(evaluation.problems[SHOWN_IN_CODE].what, "3 more references in code are not registered");
    assert!(!check("").fails());
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
