use jiff::civil::date;

use super::*;
use crate::{Diagnostic, Environment, Level, Severity, Surface};

const TODAY: jiff::civil::Date = date(2026, 11, 24);

fn load(text: &str) -> Result<Contract, Vec<Diagnostic>> {
    Contract::load(text, "custody.toml", TODAY)
}

fn problem(text: &str) -> Diagnostic {
    let mut problems = load(text).expect_err("the file is invalid");
    assert_eq!(problems.len(), 1, "{problems:?}");
    problems.remove(0)
}

fn line_column(diagnostic: &Diagnostic) -> (u32, u32) {
    let place = diagnostic.place.as_ref().expect("a place");
    (place.line, place.column)
}

#[test]
fn the_built_in_profile_states_every_clause_of_the_contract() {
    let contract = Contract::builtin();
    let ids: Vec<&str> = contract.clauses.iter().map(|c| c.id.as_str()).collect();
    assert_eq!(
        ids.join(" "),
        "CRED-1 CRED-2 CRED-3 CRED-4 ENV-1 ENV-2 ENV-3 ENV-4 ENV-5a ENV-5b ENV-5c ENV-5d ENV-5e ROT-1 ROT-2 ROT-3 BILL-1 BILL-2 BILL-3 VAL-1 VAL-2"
    );
    for clause in &contract.clauses {
        assert!(!clause.title.is_empty() && !clause.evaluation.is_empty() && !clause.remedy.is_empty());
        assert_eq!(clause.enforcement, Enforcement::Block);
    }
    for key in ["NODE_ENV", "FICECAL_API_BASE", "FICECAL_MCP_BASE"] {
        let key = contract.keys.iter().find(|k| k.name == key).expect("a baseline key");
        assert!(Environment::ALL.into_iter().all(|e| key.required.applies_to(e)));
    }
    assert_eq!(contract.block_at, Severity::High);
    assert_eq!(contract.credential_ref_required, [Environment::Stage, Environment::Prod]);
}

#[test]
fn an_unknown_field_is_named_with_its_place_and_the_closest_known_one() {
    let problem = problem("contract = \"ficecal\"\n\n[surfaces]\nfixtures = []\nlogz = []\n");
    assert_eq!(line_column(&problem), (5, 1));
    assert!(problem.why.contains("logz"), "{problem:?}");
    assert_eq!(problem.fix, "did you mean `logs`?");
}

#[test]
fn a_wrong_value_is_placed_and_never_quoted() {
    let problem = problem("[release]\nblock-at = \"swordfish\"\n");
    assert_eq!(line_column(&problem), (2, 12));
    assert!(!format!("{problem:?}").contains("swordfish"));
    let problem =
        load("[[key]]\nname = \"A\"\nsecret = \"swordfish, expected nothing\"\n").expect_err("wrong type").remove(0);
    assert_eq!(line_column(&problem), (3, 10));
    assert!(!format!("{problem:?}").contains("swordfish"));
}

#[test]
fn malformed_scalars_point_at_themselves() {
    for (text, place, needle) in [
        ("[[credential]]\nreference = \"cred://aws/readonly\"\n", (2, 13), "at least one scope"),
        ("[[credential]]\nreference = \"cred://aws/p/ro\"\nwindow = \"3 months\"\n", (3, 10), "length of time"),
        ("[[credential]]\nreference = \"cred://aws/p/ro\"\nlast-rotation = \"yesterday\"\n", (3, 17), "calendar day"),
        ("default-environment = \"qa\"\n", (1, 23), "unknown environment"),
        ("[surfaces]\nlogs = [\"../logs\"]\n", (2, 8), "below the repository's root"),
        ("[surfaces]\nlogs = [\"a[\"]\n", (2, 8), "invalid path pattern"),
        ("[[billing.adapter]]\nid = \"AWS\"\n", (2, 6), "adapter id"),
    ] {
        let problem = problem(text);
        assert_eq!(line_column(&problem), place, "{text}");
        assert!(problem.why.contains(needle), "{problem:?}");
    }
}

#[test]
fn dates_may_be_toml_dates_or_strings() {
    let text = "[[credential]]\nreference = \"cred://aws/p/ro\"\nlast-rotation = 2026-11-01\n[[credential]]\nreference = \"cred://gcp/p/ro\"\nlast-rotation = \"2026-11-01\"\n";
    let contract = load(text).expect("valid");
    assert_eq!(contract.credentials[0].last_rotation, Some(Day(date(2026, 11, 1))));
    assert_eq!(contract.credentials[0].last_rotation, contract.credentials[1].last_rotation);
    assert!(load("[[credential]]\nreference = \"cred://aws/p/ro\"\nlast-rotation = 2026-11-01T10:00:00Z\n").is_err());
}

#[test]
fn a_locked_clause_is_weakened_by_waiver_only() {
    let weaker = "[[clause]]\nid = \"ENV-5c\"\nenforcement = \"warn\"\n";
    let refused = problem(weaker);
    assert_eq!(line_column(&refused), (3, 15));
    assert!(refused.fix.contains("[[waiver]]"));
    let waiver = |day: &str| {
        format!(
            "{weaker}[[waiver]]\nid = \"w1\"\nclause = \"ENV-5c\"\nowner = \"platform\"\nreason = \"no reader yet\"\nexpires = {day}\n"
        )
    };
    let contract = load(&waiver("2026-11-24")).expect("the waiver counts on its last day");
    assert_eq!(contract.clause("ENV-5c").expect("known").enforcement, Enforcement::Warn);
    let contract = load(&waiver("2026-11-23")).expect("an expired waiver is no error");
    assert_eq!(contract.clause("ENV-5c").expect("known").enforcement, Enforcement::Block);
    assert!(contract.notes.iter().any(|n| n.level == Level::Warning && n.what.contains("expired")));
}

#[test]
fn block_at_and_required_environments_may_be_tightened_freely() {
    assert_eq!(load("[release]\nblock-at = \"medium\"\n").expect("stricter").block_at, Severity::Medium);
    assert!(load("[release]\nblock-at = \"critical\"\n").is_err());
    assert!(load("[billing]\ncredential-ref-required = [\"local\", \"stage\", \"prod\"]\n").is_ok());
    assert!(load("[billing]\ncredential-ref-required = [\"prod\"]\n").is_err());
}

#[test]
fn a_locked_key_may_not_be_relaxed_and_a_new_one_is_added() {
    assert!(load("[[key]]\nname = \"FICECAL_API_BASE\"\nrequired = [\"prod\"]\ntype = \"url\"\n").is_err());
    assert!(load("[[key]]\nname = \"FICECAL_API_BASE\"\nrequired = true\n").is_err());
    let contract = load("[[key]]\nname = \"STRIPE_KEY\"\nrequired = [\"prod\"]\nsecret = true\n").expect("valid");
    assert!(contract.keys.iter().any(|k| k.name == "STRIPE_KEY" && k.secret));
    for bad in ["name = \"A-B\"", "name = \"A\"\ntype = \"enum\"", "name = \"A\"\nsecret = true\nexample = \"x\""] {
        assert!(load(&format!("[[key]]\n{bad}\n")).is_err(), "{bad}");
    }
}

#[test]
fn all_problems_are_reported_in_one_run() {
    let problems = load("[release]\nblock-at = \"critical\"\n[[waiver]]\nid = \"\"\nowner = \"\"\nreason = \"\"\nexpires = 2027-01-01\n[[clause]]\nid = \"ENV-9\"\nenforcement = \"warn\"\n").expect_err("invalid");
    assert!(problems.len() >= 5, "{problems:?}");
}

#[test]
fn surfaces_add_to_the_profiles_and_classify_paths() {
    let contract = load("[surfaces]\nlogs = [\"var/trace\"]\n[[surfaces.exclude]]\npaths = [\"third_party\"]\nreason = \"vendored, scanned upstream\"\n").expect("valid");
    for (path, surface) in [
        ("tests/fixtures/a/b.json", Some(Surface::Fixtures)),
        ("fixtures/x", Some(Surface::Fixtures)),
        ("var/trace/today.txt", Some(Surface::Logs)),
        ("app/server.log", Some(Surface::Logs)),
        ("docs/screenshots/a.png", Some(Surface::Screenshots)),
        ("tests/evidence/p01/x.md", Some(Surface::Evidence)),
        ("src/main.rs", None),
        ("src/catalog/main.rs", None),
    ] {
        assert_eq!(contract.surface_of(path), surface, "{path}");
    }
    assert_eq!(contract.exclusion("third_party/a/b.c"), Some("vendored, scanned upstream"));
    assert_eq!(contract.exclusion("third_party_x/a"), None);
}

#[test]
fn paths_that_leave_the_repository_are_refused() {
    for path in ["/etc/x", "../x", "a/../../x", ".git/incidents", ""] {
        assert!(load(&format!("[incidents]\ndirectory = \"{path}\"\n")).is_err(), "{path}");
    }
}

#[test]
fn the_schema_accepts_what_the_types_accept() {
    let schema = contract_schema();
    assert_eq!(schema["title"], "custody.toml");
    assert!(schema["properties"]["credential"].is_object());
}

#[test]
fn absurd_files_are_errors_and_not_panics() {
    for text in [
        "\0",
        "a",
        "[",
        "[[[[",
        "= 1",
        "contract = ",
        "contract = 1",
        &"[a.".repeat(10_000),
        &format!("x = {}", "[".repeat(100_000)),
    ] {
        assert!(load(text).is_err());
    }
}

#[test]
fn the_shipped_schema_is_current() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../schemas/custody.schema.json");
    let current = format!("{:#}\n", contract_schema());
    if std::env::var_os("CUSTODY_UPDATE_SCHEMAS").is_some() {
        std::fs::write(path, &current).expect("the schema can be written");
    }
    let shipped = std::fs::read_to_string(path).expect("the schema is shipped");
    assert!(shipped == current, "schemas/custody.schema.json is stale: CUSTODY_UPDATE_SCHEMAS=1 cargo test schema");
}

#[test]
fn backends_and_placements_are_read_per_environment() {
    let text = r#"
        [backends.vault]
        kind = "openbao"
        timeout = "5s"
        attempts = 4
        address = "https://bao.example.com:8200"
        token = "cred://openbao/login/token"
        [environments.prod]
        backend = "vault"
        [[credential]]
        reference = "cred://aws/p/ro"
        backend = "vault"
        location = "kv/aws#key"
        local = { backend = "embedded" }
        stage = { location = "kv/stage#key" }
    "#;
    let contract = load(text).expect("valid");
    let vault = &contract.backends["vault"];
    assert_eq!((vault.kind.as_str(), vault.attempts, vault.settings.len()), ("openbao", Some(4), 2));
    assert_eq!(vault.timeout, Some(TimeLimit(std::time::Duration::from_secs(5))));
    assert_eq!(contract.environments.prod.as_ref().and_then(|e| e.backend.as_deref()), Some("vault"));
    let placed = |environment| {
        let placement = contract.credentials[0].placement(environment);
        (placement.backend.unwrap_or_default(), placement.location)
    };
    assert_eq!(placed(Environment::Prod), ("vault".into(), Some("kv/aws#key".into())));
    assert_eq!(placed(Environment::Stage), ("vault".into(), Some("kv/stage#key".into())));
    assert_eq!(placed(Environment::Local), ("embedded".into(), None), "a location goes with its backend");
}

#[test]
fn a_backends_login_is_never_a_raw_value() {
    for setting in ["token", "client_secret", "Password", "passphrase"] {
        let text = format!("[backends.vault]\nkind = \"openbao\"\n{setting} = \"swordfish\"\n");
        let problem = problem(&text);
        assert_eq!(problem.place.as_ref().map(|p| p.line), Some(3), "{setting}");
        assert!(!format!("{problem:?}").contains("swordfish"));
    }
    assert!(load("[backends.Vault]\nkind = \"openbao\"\n").is_err());
    assert!(load("[backends.vault]\nkind = \"openbao\"\nattempts = 0\n").is_err());
    assert!(load("[backends.vault]\nkind = \"openbao\"\ntimeout = \"2h\"\n").is_err());
}

#[test]
fn a_key_is_fed_by_a_reference_or_by_a_key_that_holds_one() {
    let text = "[[key]]\nname = \"AWS_SECRET_ACCESS_KEY\"\nfrom = \"FICECAL_AWS_CREDENTIAL_REF\"\nfield = \"secret\"\nas = \"file\"\n";
    let contract = load(text).expect("valid");
    let key = contract.keys.iter().find(|k| k.name == "AWS_SECRET_ACCESS_KEY").expect("declared");
    assert!(key.secret, "what is fed is secret");
    assert_eq!((key.delivery, key.field.as_deref()), (Delivery::File, Some("secret")));
    assert_eq!(
        key.from.as_ref().and_then(|f| f.source(Environment::Prod)),
        Some(&Source::Key("FICECAL_AWS_CREDENTIAL_REF".into()))
    );
    for (line, needle) in [
        ("from = \"FICECAL_AWS_CREDENTAL_REF\"", "did you mean FICECAL_AWS_CREDENTIAL_REF?"),
        ("from = \"NODE_ENV\"", "give key NODE_ENV type"),
        ("from = \"swordfish fish\"", "see docs"),
        ("from = \"cred://aws/ro\"", "see docs"),
        ("from = { qa = \"cred://aws/p/ro\" }", "see docs"),
        ("field = \"x\"", "add from"),
        ("type = \"credential-ref\"\nfrom = \"cred://aws/p/ro\"", "declare the key that gets"),
        ("example = \"x\"\nfrom = \"cred://aws/p/ro\"", "remove the example"),
    ] {
        let problem = problem(&format!("[[key]]\nname = \"A\"\n{line}\n"));
        assert!(problem.fix.contains(needle), "{line}: {problem:?}");
        assert!(!format!("{problem:?}").contains("swordfish"));
    }
}
