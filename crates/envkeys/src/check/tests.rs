use custody_contract::{MemoryTree, RuleName};
use jiff::civil::date;

use super::*;

/// Recognises what starts with `real`; the value must appear nowhere.
pub(super) struct Real;
impl SecretRecogniser for Real {
    fn recognise(&self, text: &str) -> Option<RuleName> {
        text.starts_with("real").then(|| "real-token".into())
    }
}

const LOCAL: &str = "\
NODE_ENV=development
BILLING_ADAPTER_RESOLUTION_MODE=fallback
BILLING_INGEST_MODE=deterministic
FICECAL_API_BASE=http://localhost:3000
FICECAL_MCP_BASE=http://localhost:4000
FICECAL_CREDENTIALS_BACKEND=local-dev
FICECAL_SECRET_RESOLVER_ENDPOINT=http://localhost:4100/resolve
FICECAL_OPENOPS_CREDENTIAL_REF=cred://openops/local/readonly
FICECAL_AWS_CREDENTIAL_REF=cred://aws/local/readonly
";

const LIVE: &str = "\
NODE_ENV=production
BILLING_ADAPTER_RESOLUTION_MODE=strict
BILLING_INGEST_MODE=live
FICECAL_CREDENTIALS_BACKEND=secret-manager
FICECAL_SECRET_RESOLVER_ENDPOINT=https://secret-resolver.internal/resolve
FICECAL_OPENOPS_CREDENTIAL_REF=cred://openops/sandbox/readonly
FICECAL_AWS_LIVE_SMOKE_CMD=\"python3 scripts/examples/aws-live-smoke.py\"
";

pub(super) fn run_with(
    contract: &Contract,
    environment: Environment,
    files: &[(&str, &str)],
    process: Option<&BTreeMap<String, String>>,
) -> EnvOutcome {
    let tree = MemoryTree::new(files.iter().map(|(p, c)| (*p, *c)));
    let outcome = check(&EnvCheck { contract, environment, tree: &tree, recogniser: &Real, process });
    for text in ["realsecret", "swordfish"] {
        assert!(!format!("{outcome:?}").contains(text), "a value is shown");
    }
    outcome
}

pub(super) fn run(environment: Environment, files: &[(&str, &str)]) -> EnvOutcome {
    run_with(&Contract::builtin(), environment, files, None)
}

pub(super) fn errors(evaluation: &Evaluation) -> Vec<String> {
    at_level(evaluation, Level::Error)
}

pub(super) fn at_level(evaluation: &Evaluation, level: Level) -> Vec<String> {
    let place = |d: &Diagnostic| d.place.as_ref().map(|p| format!("{p}: ")).unwrap_or_default();
    evaluation.problems.iter().filter(|d| d.level == level).map(|d| format!("{}{}", place(d), d.what)).collect()
}

pub(super) fn extended(text: &str) -> Contract {
    Contract::load(text, "custody.toml", date(2026, 11, 24)).expect("a valid contract")
}

#[test]
fn ficecals_templates_pass_for_local_and_fail_for_prod_with_both_keys() {
    let files = [(".env.example", LOCAL), (".env.live.example", LIVE)];
    let local = run(Environment::Local, &files);
    assert_eq!(errors(&local.env1), Vec::<String>::new());
    assert_eq!(errors(&local.env2), Vec::<String>::new());
    assert_eq!(errors(&local.env3), Vec::<String>::new());
    assert_eq!(errors(&local.env4), Vec::<String>::new());
    assert!(local.cred4.is_empty() && local.notices.is_empty(), "{:?}", local.notices);
    assert_eq!(local.references.len(), 3);
    let prod = run(Environment::Prod, &files);
    assert_eq!(
        errors(&prod.env1),
        [".env.live.example: FICECAL_API_BASE is missing", ".env.live.example: FICECAL_MCP_BASE is missing"]
    );
    assert_eq!(errors(&prod.env2), Vec::<String>::new());
    assert!(
        prod.env1.evidence.iter().any(|e| e.what == ".env.live.example" && e.amount == "1 of 3 required keys of prod")
    );
    let stage = run(Environment::Stage, &files);
    assert_eq!(errors(&stage.env1), Vec::<String>::new());
    assert!(
        at_level(&stage.env1, Level::Warning)[0].contains("FICECAL_API_BASE is missing")
            || at_level(&stage.env1, Level::Warning).iter().any(|w| w.contains("no template"))
    );
}

#[test]
fn an_environment_without_any_file_fails() {
    for environment in Environment::ALL {
        let outcome = run(environment, &[("README.md", "")]);
        assert!(errors(&outcome.env1)[0].contains("no file declares the keys"), "{environment}");
        assert!(outcome.env3.not_applicable.is_some());
    }
    let outcome = run(Environment::Stage, &[(".env.example", "NODE_ENV=development\nFICECAL_API_BASE=http://a\n")]);
    assert_eq!(errors(&outcome.env1), [".env.example: FICECAL_MCP_BASE is missing"]);
}

#[test]
fn values_are_present_non_empty_and_well_formed() {
    let text = "NODE_ENV=prod\nFICECAL_API_BASE=\nFICECAL_MCP_BASE=http://user@host/\n";
    let outcome = run(Environment::Local, &[(".env.example", text)]);
    assert_eq!(
        errors(&outcome.env1),
        [
            ".env.example:1:1: NODE_ENV is not well-formed",
            ".env.example:2:1: FICECAL_API_BASE is empty",
            ".env.example:3:1: FICECAL_MCP_BASE is not well-formed"
        ]
    );
    let text = "NODE_ENV=\"<environment>\"\nHOST=h\nFICECAL_API_BASE=http://${HOST}:3000\nFICECAL_MCP_BASE={{ mcp }}\n";
    assert_eq!(errors(&run(Environment::Local, &[(".env.example", text)]).env1), Vec::<String>::new());
}

#[test]
fn a_secret_key_may_be_empty_in_a_template_and_not_in_a_deployment() {
    let contract = extended("[[key]]\nname = \"API_PEPPER\"\nrequired = true\nsecret = true\n");
    let base = "NODE_ENV=development\nFICECAL_API_BASE=http://a\nFICECAL_MCP_BASE=http://a\nAPI_PEPPER=\n";
    let compose = "services:\n  app:\n    environment:\n      NODE_ENV: development\n      FICECAL_API_BASE: http://a\n      FICECAL_MCP_BASE: ${MCP}\n      API_PEPPER: ''\n";
    let outcome = run_with(&contract, Environment::Local, &[(".env.example", base), ("compose.yaml", compose)], None);
    assert_eq!(errors(&outcome.env1), ["compose.yaml:7: API_PEPPER is empty"]);
    let filled = base.replace("PEPPER=", "PEPPER=swordfish");
    let outcome = run_with(&contract, Environment::Local, &[(".env.example", &filled)], None);
    assert_eq!(
        errors(&outcome.env3),
        [".env.example:4:12: the template has a value for API_PEPPER that may be a secret"]
    );
}

#[test]
fn deployments_take_keys_from_env_files_and_config_maps() {
    let compose = "services:\n  db: {image: postgres, environment: {POSTGRES_DB: x}}\n  app:\n    env_file: [./app.env]\n    environment: [NODE_ENV=development]\n";
    let files =
        [(".env.example", LOCAL), ("docker-compose.yml", compose), ("app.env.example", "FICECAL_API_BASE=http://a\n")];
    let outcome = run(Environment::Local, &files);
    assert_eq!(errors(&outcome.env1), ["docker-compose.yml: FICECAL_MCP_BASE is missing"]);
    assert!(!at_level(&outcome.env2, Level::Warning).iter().any(|w| w.contains("POSTGRES_DB")));
    let app = "kind: Deployment\napiVersion: apps/v1\nmetadata: {name: app}\nspec: {template: {spec: {containers: [{name: c, env: [{name: NODE_ENV, value: production}], envFrom: [{configMapRef: {name: cfg}}, {secretRef: {name: outside}}]}]}}}\n";
    let map =
        "kind: ConfigMap\napiVersion: v1\nmetadata: {name: cfg}\ndata:\n  FICECAL_API_BASE: https://api.internal\n";
    let outcome = run(
        Environment::Prod,
        &[
            ("k8s/prod/app.yaml", app),
            ("k8s/prod/map.yaml", map),
            ("k8s/prod/service.yaml", "kind: Service\napiVersion: v1\n"),
        ],
    );
    assert_eq!(errors(&outcome.env1), ["k8s/prod/app.yaml: FICECAL_MCP_BASE is missing"]);
    let why = &outcome.env1.problems.iter().find(|p| p.level == Level::Error).expect("an error").why;
    assert!(why.contains("Secret outside"), "{why}");
    let outcome =
        run(Environment::Prod, &[("k8s/prod/app.yaml", "kind: X\napiVersion: v1\na: {{ .Values.x }}\nb: [{{ x\n")]);
    assert_eq!(outcome.env1.incomplete.len(), 1);
    assert!(errors(&outcome.env1).is_empty());
}

#[test]
fn a_compose_file_of_something_else_is_not_held_to_the_keys() {
    let compose = "services:\n  db: {image: postgres, environment: {POSTGRES_DB: x}}\n";
    let outcome = run(Environment::Local, &[(".env.example", LOCAL), ("docker-compose.yml", compose)]);
    assert_eq!(errors(&outcome.env1), Vec::<String>::new());
}

#[test]
fn optional_keys_are_valid_and_consistent() {
    let base = "NODE_ENV=production\nFICECAL_API_BASE=https://a.internal\nFICECAL_MCP_BASE=https://a.internal\n";
    let of = |more: &str| run(Environment::Prod, &[(".env.prod.example", &format!("{base}{more}"))]).env2;
    let file = ".env.prod.example";
    assert_eq!(
        errors(&of("BILLING_INGEST_MODE=sometimes\n")),
        [format!("{file}:4: BILLING_INGEST_MODE is not well-formed")]
    );
    assert_eq!(
        errors(&of("FICECAL_SECRET_RESOLVER_ENDPOINT=https://r.internal/resolve\n")),
        [format!("{file}:4: FICECAL_SECRET_RESOLVER_ENDPOINT is set without FICECAL_CREDENTIALS_BACKEND")]
    );
    assert_eq!(
        errors(&of("FICECAL_CREDENTIALS_BACKEND=secret-manager\n")),
        [format!("{file}:4: FICECAL_CREDENTIALS_BACKEND is set without FICECAL_SECRET_RESOLVER_ENDPOINT")]
    );
    assert_eq!(errors(&of("FICECAL_CREDENTIALS_BACKEND=local-dev\n")), Vec::<String>::new());
    let warnings = at_level(&of("BILLING_ADAPTER_RESOLUTION_MODE=fallback\n"), Level::Warning);
    assert!(warnings.iter().any(|w| w.contains("is not strict")), "{warnings:?}");
    let dev = run(Environment::Prod, &[(file, &base.replace("=production", "=development"))]);
    assert!(at_level(&dev.env2, Level::Warning).iter().any(|w| w.contains("NODE_ENV names environment local")));
}

#[test]
fn without_a_template_the_contract_declares_keys() {
    let code = "const a = process.env.FICECAL_API_BASE, b = process.env.UNKNOWN;\n";
    let warnings = at_level(&run(Environment::Local, &[("src/a.ts", code)]).env2, Level::Warning);
    assert!(warnings.iter().any(|w| w.contains("code reads UNKNOWN")), "{warnings:?}");
    assert!(!warnings.iter().any(|w| w.contains("code reads FICECAL_API_BASE")), "{warnings:?}");
}

#[test]
fn drift_is_reported_in_both_directions() {
    let local = format!("{LOCAL}EXTRA=1\n");
    let code = "const a = process.env.FICECAL_API_BASE, b = process.env.UNKNOWN, c = process.env.PATH;\n";
    let files = [
        (".env.example", local.as_str()),
        (".env.live.example", LIVE),
        ("src/a.ts", code),
        ("node_modules/x.js", "process.env.NOT"),
    ];
    let warnings = at_level(&run(Environment::Local, &files).env2, Level::Warning);
    for expected in [
        ".env.example:10:1: the contract does not declare EXTRA",
        ".env.example: the template lacks FICECAL_AWS_LIVE_SMOKE_CMD",
        "src/a.ts:1:57: code reads UNKNOWN, and no template declares it",
    ] {
        assert!(warnings.iter().any(|w| w == expected), "{expected}: {warnings:#?}");
    }
    assert!(!warnings.iter().any(|w| w.contains("NOT") || w.contains("PATH")));
    assert!(at_level(&run(Environment::Local, &files).env2, Level::Note).iter().any(|n| n.contains("no code reads")));
}

#[test]
fn unsafe_template_values_block_wherever_the_template_is() {
    let token = ["real", "secret"].concat();
    let text = format!("A={token}\nB=<token>\n# {token}\n# C={token}\nD=\"x\" # {token}\n");
    let outcome = run(Environment::Local, &[("services/api/.env.sample", &text)]);
    assert_eq!(errors(&outcome.env3).len(), 4, "{:?}", errors(&outcome.env3));
    let url = format!("DATABASE_URL=postgres://app:{}@localhost/app\n", "postgres");
    let outcome = run(Environment::Local, &[(".env.example", &url)]);
    assert!(errors(&outcome.env3).is_empty());
    assert_eq!(at_level(&outcome.env3, Level::Warning).len(), 1);
    let outcome = run(Environment::Local, &[(".env.prod.example", &url)]);
    assert_eq!(errors(&outcome.env3).len(), 1);
}

#[test]
fn committed_carriers_of_real_values_fail() {
    let token = ["real", "secret"].concat();
    let outcome = run(Environment::Local, &[(".env", "PORT=3000\n")]);
    assert!(errors(&outcome.env4).is_empty());
    assert!(at_level(&outcome.env4, Level::Warning)[0].contains("tracks .env"));
    let env = format!("PORT=3000\nDB_PASSWORD={}\n", "swordfish");
    assert_eq!(errors(&run(Environment::Local, &[(".env.production", &env)]).env4).len(), 1);
    let compose = format!(
        "services:\n  a:\n    environment:\n      DB_PASSWORD: {}\n      OK_PASSWORD: ${{DB_PASSWORD}}\n      DEF_TOKEN: ${{T:-{token}}}\n      U: postgres://u:${{P}}@h/d\n",
        "swordfish"
    );
    let found = errors(&run(Environment::Local, &[("docker-compose.yml", &compose)]).env4);
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found[0].starts_with("docker-compose.yml:4"));
    let password = ["c3dv", "cmRmaXNo"].concat();
    let secret = format!(
        "apiVersion: v1\nkind: Secret\nmetadata: {{name: s}}\ndata:\n  password: {password}\n  empty: ''\n  later: JHtYfQ==\nstringData:\n  host: db.internal\n"
    );
    let outcome = run(Environment::Local, &[("k8s/secret.yaml", &secret)]);
    assert_eq!(errors(&outcome.env4), ["k8s/secret.yaml:5: a committed file holds a real value for password"]);
    assert_eq!(at_level(&outcome.env4, Level::Warning).len(), 1);
    let sealed = "apiVersion: bitnami.com/v1alpha1\nkind: SealedSecret\nspec: {encryptedData: {a: AgBy3i4OJSWK}}\n";
    assert!(errors(&run(Environment::Local, &[("k8s/sealed.yaml", sealed)]).env4).is_empty());
    let workflow = format!(
        "on: push\njobs:\n  a:\n    steps:\n      - uses: x\n        with: {{token: '${{{{ secrets.T }}}}', key: {token}}}\n"
    );
    assert_eq!(errors(&run(Environment::Local, &[(".github/workflows/a.yml", &workflow)]).env4).len(), 1);
}

#[test]
fn references_are_collected_and_malformed_ones_are_errors() {
    let text = "FICECAL_AWS_CREDENTIAL_REF=cred://aws/readonly\nFICECAL_GCP_CREDENTIAL_REF=aws-key\nFICECAL_OPENOPS_CREDENTIAL_REF=<ref>\nMANY=\"cred://a/b/c, cred://d/e/f\"\nFICECAL_AZURE_CREDENTIAL_REF=cred://azure/${ENV}/readonly\n";
    let outcome = run(Environment::Local, &[(".env.example", text)]);
    let references: Vec<&str> = outcome.references.iter().map(|(r, _)| r.as_str()).collect();
    assert_eq!(references, ["cred://a/b/c", "cred://d/e/f"]);
    assert_eq!(outcome.cred4.len(), 2, "{:?}", outcome.cred4);
}

#[test]
fn the_process_environment_is_checked_without_showing_it() {
    let token = ["real", "secret"].concat();
    let process: BTreeMap<String, String> = [
        ("NODE_ENV", "production"),
        ("FICECAL_API_BASE", "https://api.internal"),
        ("FICECAL_AWS_CREDENTIAL_REF", token.as_str()),
        ("FICECAL_GCP_CREDENTIAL_REF", "cred://gcp/prod/readonly"),
        ("FICECAL_SECRET_RESOLVER_ENDPOINT", "https://r.internal/resolve"),
    ]
    .map(|(k, v)| (k.to_owned(), v.to_owned()))
    .into();
    let files = [(
        ".env.prod.example",
        "NODE_ENV=production\nFICECAL_API_BASE=https://a.internal\nFICECAL_MCP_BASE=https://a.internal\n",
    )];
    let outcome = run_with(&Contract::builtin(), Environment::Prod, &files, Some(&process));
    assert_eq!(errors(&outcome.env1), ["FICECAL_MCP_BASE is missing or empty in the process environment"]);
    assert_eq!(outcome.cred4.len(), 1);
    assert_eq!(errors(&outcome.env4), ["FICECAL_AWS_CREDENTIAL_REF holds a raw secret in the process environment"]);
    assert!(errors(&outcome.env2).iter().any(|e| e.contains("without FICECAL_CREDENTIALS_BACKEND")));
    assert_eq!(outcome.references.len(), 1);
}

#[test]
fn what_the_example_writes_passes_itself() {
    let contract = extended(
        "[[key]]\nname = \"API_PEPPER\"\nrequired = true\nsecret = true\n[[key]]\nname = \"ODD\"\nrequired = true\n[[key]]\nname = \"TTL\"\ntype = \"duration\"\nrequired = [\"prod\"]\n",
    );
    let tree = MemoryTree::new([("src/a.ts", "process.env.NEW_TOKEN; process.env.HOME")]);
    for (environment, name) in [
        (Environment::Local, ".env.example"),
        (Environment::Stage, ".env.stage.example"),
        (Environment::Prod, ".env.prod.example"),
    ] {
        let text = crate::example(&contract, environment, &tree, &Real);
        assert!(text.contains("\nNEW_TOKEN=\n") && !text.contains("HOME"), "{text}");
        let outcome = run_with(&contract, environment, &[(name, &text), ("src/a.ts", "process.env.NEW_TOKEN")], None);
        for evaluation in [&outcome.env1, &outcome.env2, &outcome.env3, &outcome.env4] {
            assert_eq!(errors(evaluation), Vec::<String>::new(), "{text}");
        }
        assert!(outcome.cred4.is_empty());
    }
}

#[test]
fn the_table_names_every_key_with_its_places() {
    let tree = MemoryTree::new([
        (".env.example", LOCAL),
        ("src/a.py", "import os\nos.environ['FICECAL_API_BASE']\nos.getenv('OTHER_TOKEN')\n"),
    ]);
    let table = crate::markdown(&Contract::builtin(), &tree, &Real);
    let rows: Vec<&str> = table.lines().collect();
    assert!(
        rows.iter().any(|r| r.starts_with("| `FICECAL_API_BASE` | url | local, stage, prod | no |")
            && r.ends_with("| `.env.example` | `src/a.py:2` |")),
        "{table}"
    );
    assert!(rows.iter().any(|r| r.starts_with("| `OTHER_TOKEN` | not declared | | by its name |")), "{table}");
    let columns = rows[0].matches('|').count();
    assert!(rows.iter().all(|r| r.replace("\\|", "").matches('|').count() == columns), "{table}");
}

#[test]
fn excluded_and_unreadable_files_are_accounted_for() {
    let contract = extended("[[surfaces.exclude]]\npaths = [\"old\"]\nreason = \"kept for reference\"\n");
    let outcome =
        run_with(&contract, Environment::Local, &[(".env.example", LOCAL), ("old/.env.example", "X=y\n")], None);
    assert_eq!((outcome.coverage.expected, outcome.coverage.read, outcome.coverage.skipped_total), (2, 1, 1));
    struct Broken(Vec<String>);
    impl FileTree for Broken {
        fn paths(&self) -> &[String] {
            &self.0
        }
        fn is_tracked(&self, _: &str) -> bool {
            true
        }
        fn read(&self, _: &str) -> std::io::Result<Vec<u8>> {
            Err(std::io::ErrorKind::PermissionDenied.into())
        }
    }
    let tree = Broken(vec![".env".into(), ".env.example".into()]);
    let contract = Contract::builtin();
    let outcome = check(&EnvCheck {
        contract: &contract,
        environment: Environment::Local,
        tree: &tree,
        recogniser: &Real,
        process: None,
    });
    assert!(outcome.coverage.is_incomplete());
    assert_eq!(
        (outcome.env1.incomplete.len(), outcome.env3.incomplete.len(), outcome.env4.incomplete.len()),
        (1, 1, 1)
    );
}
