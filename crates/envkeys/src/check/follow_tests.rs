use custody_contract::MemoryTree;

use super::tests::{Real, at_level, errors, extended, run, run_with};
use super::*;

const KEYS: &str = "      NODE_ENV: development\n      FICECAL_API_BASE: http://a\n      FICECAL_MCP_BASE: http://a\n";

fn followed(outcome: &EnvOutcome) -> Vec<String> {
    let notices = outcome.notices.iter().filter(|n| n.code == "env-not-followed");
    notices.map(|n| format!("{}: {}", n.place.as_ref().map(ToString::to_string).unwrap_or_default(), n.what)).collect()
}

#[test]
fn included_and_extended_services_count() {
    let compose = "include: [services/api.inc.yml]\nservices:\n  web:\n    environment: {NODE_ENV: development}\n";
    let api = format!("services:\n  api:\n    environment:\n{KEYS}");
    let outcome = run(
        Environment::Local,
        &[("docker-compose.yml", compose), ("services/api.inc.yml", &api), (".env.example", "")],
    );
    assert_eq!(followed(&outcome), Vec::<String>::new());
    assert!(!errors(&outcome.env1).iter().any(|e| e.starts_with("docker-compose")), "{:?}", errors(&outcome.env1));
    let base = format!(
        "services:\n  web:\n    env_file: web.env\n    environment:\n{KEYS}      DB_PASSWORD: {}\n",
        "swordfish"
    );
    let compose = "services:\n  app:\n    extends: {file: base/common.yaml, service: web}\n    environment: {FICECAL_API_BASE: ''}\n  last:\n    extends: app\n";
    let files = [("docker-compose.yml", compose), ("base/common.yaml", &base), ("base/web.env", "EXTRA=1\n")];
    let outcome = run(Environment::Local, &files);
    assert_eq!(followed(&outcome), Vec::<String>::new());
    // Both services get the base's keys and the empty one that stands over them.
    assert_eq!(
        errors(&outcome.env1),
        ["docker-compose.yml:4: FICECAL_API_BASE is empty", "docker-compose.yml:4: FICECAL_API_BASE is empty"]
    );
    assert_eq!(errors(&outcome.env4), ["base/common.yaml:8: a committed file holds a real value for DB_PASSWORD"]);
}

#[test]
fn circles_and_missing_files_are_said_once() {
    let a = "include: [b.yml]\nservices: {a: {environment: {NODE_ENV: x}}}\n";
    let b = "include: [docker-compose.yml]\nservices: {b: {}}\n";
    let outcome = run(Environment::Local, &[("docker-compose.yml", a), ("b.yml", b)]);
    assert_eq!(followed(&outcome), ["b.yml:1: include goes in a circle: docker-compose.yml and b.yml"]);
    let own = "include: docker-compose.yml\nservices: {a: {extends: b}, b: {extends: {service: a}}, c: {extends: c}}\n";
    let found = followed(&run(Environment::Local, &[("docker-compose.yml", own)]));
    assert_eq!(found.len(), 3, "{found:?}");
    assert!(found.iter().all(|f| f.contains("goes in a circle")));
    let gone = "include:\n  - gone.yml\n  - ../outside.yml\n  - oci://registry/x\n  - ${DIR}/x.yml\nservices:\n  a: {extends: {file: no.yml, service: x}, environment: {NODE_ENV: development}}\n  b: {extends: nobody}\n";
    let outcome = run(Environment::Local, &[("docker-compose.yml", gone)]);
    assert_eq!(
        followed(&outcome),
        [
            "docker-compose.yml:2: include: gone.yml is not in the tree",
            "docker-compose.yml:3: include: ../outside.yml is not in the tree",
            "docker-compose.yml:4: include: oci://registry/x is not in the repository, and is not followed",
            "docker-compose.yml:5: include: ${DIR}/x.yml is named by a variable, and is not followed",
            "docker-compose.yml:7: extends: no.yml is not in the tree",
            "docker-compose.yml:8: extends: docker-compose.yml has no service nobody",
        ]
    );
    let why = &outcome.env1.problems.iter().find(|p| p.what.contains("API_BASE is missing")).expect("missing").why;
    assert!(why.contains("gone.yml"), "{why}");
    let broken =
        run(Environment::Local, &[("docker-compose.yml", "include: [x.yml]\nservices: {}\n"), ("x.yml", "a: [")]);
    assert!(followed(&broken)[0].contains("x.yml could not be read"), "{:?}", followed(&broken));
    assert!(!broken.env1.incomplete.is_empty() && !broken.env4.incomplete.is_empty());
}

#[test]
fn an_override_is_judged_over_its_base() {
    let contract = extended("[environments.prod]\ndeployments = [\"docker-compose.prod.yml\"]\n");
    let base = format!("services:\n  app:\n    environment:\n{KEYS}");
    let over = "services:\n  app:\n    environment:\n      NODE_ENV: production\n      FICECAL_API_BASE: http://b\n";
    let files = [("docker-compose.yml", base.as_str()), ("docker-compose.prod.yml", over)];
    let outcome = run_with(&contract, Environment::Prod, &files, None);
    assert_eq!(errors(&outcome.env1), Vec::<String>::new());
    assert!(outcome.env1.evidence.iter().any(|e| e.what == "docker-compose.prod.yml over docker-compose.yml"));
}

#[test]
fn kustomizations_take_their_bases() {
    let contract = extended("[environments.prod]\ndeployments = [\"k8s/overlays/prod/**\"]\n");
    let base = "kind: Deployment\napiVersion: apps/v1\nmetadata: {name: app}\nspec: {template: {spec: {containers: [{name: c, env: [{name: NODE_ENV, value: production}], envFrom: [{configMapRef: {name: cfg}}]}]}}}\n";
    let overlay = "resources: [../../base]\nconfigMapGenerator:\n  - name: cfg\n    behavior: merge\n    literals: [FICECAL_API_BASE=https://a.internal]\n    envs: [cfg.env]\n";
    let files = [
        ("k8s/base/app.yaml", base),
        (
            "k8s/base/kustomization.yaml",
            "resources: [app.yaml, gone.yaml]\nconfigMapGenerator: [{name: cfg, literals: [EXTRA=1]}]\n",
        ),
        ("k8s/overlays/prod/kustomization.yaml", overlay),
        ("k8s/overlays/prod/cfg.env", "FICECAL_MCP_BASE=https://m.internal\n"),
    ];
    let outcome = run_with(&contract, Environment::Prod, &files, None);
    assert_eq!(errors(&outcome.env1), Vec::<String>::new());
    assert_eq!(followed(&outcome), ["k8s/base/kustomization.yaml:1: the kustomization: gone.yaml is not in the tree"]);
}

#[test]
fn what_a_template_leaves_open_is_no_placeholder_of_the_deployment() {
    let compose = "services: {app: {env_file: [.env], environment: {NODE_ENV: development}}}\n";
    let template = "FICECAL_API_BASE=<url>\nFICECAL_MCP_BASE=\n";
    let outcome = run(Environment::Local, &[("docker-compose.yml", compose), (".env.sample", template)]);
    assert!(!errors(&outcome.env1).iter().any(|e| e.starts_with("docker-compose")), "{:?}", errors(&outcome.env1));
}

#[test]
fn a_generated_secret_whose_file_is_not_in_the_tree_proves_nothing() {
    let contract = extended("[environments.prod]\ndeployments = [\"k8s/**\"]\n");
    let app = "kind: Pod\napiVersion: v1\nspec: {containers: [{name: c, env: [{name: NODE_ENV, value: production}], envFrom: [{secretRef: {name: s}}]}]}\n";
    let kustomization =
        "resources: [app.yaml]\nsecretGenerator: [{name: s, envs: [secret.env], literals: [FICECAL_API_BASE=]}]\n";
    let files = [("k8s/app.yaml", app), ("k8s/kustomization.yaml", kustomization)];
    let outcome = run_with(&contract, Environment::Prod, &files, None);
    let missing = outcome.env1.problems.iter().find(|p| p.what == "FICECAL_MCP_BASE is missing").expect("missing");
    assert!(missing.why.contains("secret.env"), "{}", missing.why);
    assert_eq!(errors(&outcome.env1).len(), 1);
}

#[test]
fn charts_are_judged_with_the_values_of_the_environment() {
    let contract = extended("[environments.prod]\ndeployments = [\"charts/app/values-prod.yaml\"]\n");
    let template = "kind: Deployment\napiVersion: apps/v1\nmetadata:\n  name: {{ .Release.Name }}\nspec:\n  template:\n    spec:\n      containers:\n        - name: c\n          env:\n            - name: NODE_ENV\n              value: {{ .Values.nodeEnv }}\n            {{- toYaml .Values.env | nindent 12 }}\n            - name: FICECAL_API_BASE\n              value: {{ .Values.api.base | quote }}\n";
    let values =
        "nodeEnv: development\nenv:\n  - {name: FICECAL_MCP_BASE, value: 'https://m.internal'}\napi: {base: ''}\n";
    let prod = format!(
        "nodeEnv: production\nenv:\n  - {{name: FICECAL_MCP_BASE, value: 'https://m.internal'}}\n  - {{name: DB_PASSWORD, value: {}}}\n",
        "swordfish"
    );
    let files = [
        ("charts/app/Chart.yaml", "apiVersion: v2\nname: app\n"),
        ("charts/app/templates/app.yaml", template),
        ("charts/app/values.yaml", values),
        ("charts/app/values-prod.yaml", &prod),
    ];
    let outcome = run_with(&contract, Environment::Prod, &files, None);
    assert_eq!(errors(&outcome.env1), ["charts/app/values.yaml:4: FICECAL_API_BASE is empty"]);
    assert_eq!(
        errors(&outcome.env4),
        ["charts/app/values-prod.yaml:4: a committed file holds a real value for DB_PASSWORD"]
    );
    assert!(outcome.env1.incomplete.is_empty());
    let helper = template.replace("toYaml .Values.env", "include \"app.env\" .");
    let files = [files[0], ("charts/app/templates/app.yaml", helper.as_str()), files[2], files[3]];
    let outcome = run_with(&contract, Environment::Prod, &files, None);
    assert!(followed(&outcome)[0].contains("a template puts keys in here"), "{:?}", followed(&outcome));
    let missing = outcome.env1.problems.iter().find(|p| p.what == "FICECAL_MCP_BASE is missing").expect("missing");
    assert!(missing.why.contains("charts/app/templates/app.yaml puts in"), "{}", missing.why);
}

#[test]
fn what_compose_takes_is_compared_with_the_templates() {
    let compose = "services:\n  app:\n    environment:\n      NODE_ENV: ${NODE_ENV}\n      A: ${UNDECLARED}\n      B: ${WITH_DEFAULT:-x}\n";
    let files = [
        ("docker-compose.yml", compose),
        (".env.example", "NODE_ENV=development\nWITH_DEFAULT=\nUNREAD=1\n"),
        ("a.py", "import os\nos.environ['NODE_ENV']"),
    ];
    let outcome = run(Environment::Local, &files);
    let warnings = at_level(&outcome.env2, Level::Warning);
    assert!(warnings.iter().any(|w| w == "docker-compose.yml:5: the Compose file takes UNDECLARED from the process environment, and no template declares it"), "{warnings:#?}");
    let notes = at_level(&outcome.env2, Level::Note);
    assert!(notes.iter().any(|n| n.contains("no code reads UNREAD by name")), "{notes:?}");
}

#[test]
fn a_tracked_file_of_a_compose_secret_is_a_carrier() {
    let compose = "services: {a: {}}\nsecrets:\n  db: {file: secrets/db.txt}\n  empty: {file: secrets/empty.txt}\n";
    let secret = ["sword", "fish\n"].concat();
    let files = [("docker-compose.yml", compose), ("secrets/db.txt", &secret), ("secrets/empty.txt", "changeme\n")];
    let outcome = run(Environment::Local, &files);
    assert_eq!(
        errors(&outcome.env4),
        ["secrets/db.txt: a committed file holds a real value for the Compose secret db"]
    );
}

#[test]
fn called_workflows_belong_to_their_caller() {
    let contract = extended("[environments.prod]\ndeployments = [\".github/workflows/release.yml\"]\n");
    let caller = "on: push\nenv: {NODE_ENV: production}\njobs:\n  d:\n    uses: ./.github/workflows/deploy.yml\n    secrets: inherit\n";
    let called = "on: workflow_call\njobs:\n  d:\n    env: {FICECAL_API_BASE: 'https://a.internal', FICECAL_MCP_BASE: '${{ secrets.MCP }}'}\n    steps: [{uses: ./gone}]\n";
    let files = [(".github/workflows/release.yml", caller), (".github/workflows/deploy.yml", called)];
    let outcome = run_with(&contract, Environment::Prod, &files, None);
    assert_eq!(errors(&outcome.env1), Vec::<String>::new());
    assert_eq!(followed(&outcome), [".github/workflows/deploy.yml:5: uses: ./gone is not in the tree"]);
}

#[test]
fn defaults_and_names_that_repeat_are_development_passwords_in_local_files_only() {
    let pair = |user: &str| format!("      POSTGRES_USER: {user}\n      POSTGRES_PASSWORD: {user}\n");
    let url = |password: &str| format!("      DATABASE_URL: postgres://app:{password}@db:5432/app\n");
    let compose = |body: &str| format!("services:\n  db:\n    environment:\n{body}");
    let judged = |name: &str, body: &str| {
        let outcome = run(Environment::Local, &[(name, compose(body).as_str())]);
        (errors(&outcome.env4).len(), at_level(&outcome.env4, Level::Warning).len())
    };
    for body in [pair("django"), url("${DB_PASSWORD:-password}"), url("app"), url("${DB_PASSWORD:-${OTHER:-app}}")] {
        assert_eq!(judged("docker-compose.yml", &body), (0, 1), "{body}");
        assert_eq!(judged("docker-compose.prod.yml", &body), (1, 0), "{body}");
    }
    assert_eq!(judged("docker-compose.yml", &url("${DB_PASSWORD}")), (0, 0));
    assert_eq!(judged("docker-compose.yml", &url(&format!("${{DB_PASSWORD:-{}}}", "swordfish"))), (1, 0));
    let template = "DB_USER=django\nDB_PASSWORD=django\n";
    let outcome = run(Environment::Local, &[(".env.example", template)]);
    assert_eq!((errors(&outcome.env3).len(), at_level(&outcome.env3, Level::Warning).len()), (0, 1));
    assert_eq!(errors(&run(Environment::Local, &[(".env.prod.example", template)]).env3).len(), 1);
}

#[test]
fn the_example_and_the_table_lose_no_key() {
    let compose = "services: {a: {image: 'x:${TAG}', environment: [\"P=${PORT:-1}\", 'odd name']}}\n";
    let tree = MemoryTree::new([
        (".env.example", "SMTP_HOST=smtp.internal\nREAD=1\nrealsecret=1\n"),
        ("docker-compose.yml", compose),
        ("a.js", "process.env.READ"),
    ]);
    let text = crate::example(&Contract::builtin(), Environment::Local, &tree, &Real);
    for line in ["# docker-compose.yml:1\nTAG=\n", "# .env.example\nSMTP_HOST=\n", "# a.js:1:13\nREAD=\n"] {
        assert!(text.contains(line), "{line}: {text}");
    }
    assert!(!text.contains("PORT=") && !text.contains("smtp.internal"), "{text}");
    let table = crate::markdown(&Contract::builtin(), &tree, &Real);
    assert!(!table.contains("realsecret") && !text.contains("realsecret"), "a name that is a secret is shown");
    for row in ["| `SMTP_HOST` | not declared", "| `TAG` | not declared", "| `PORT` | not declared"] {
        assert!(table.contains(row), "{row}: {table}");
    }
}

#[test]
fn a_template_for_overrides_is_laid_over_the_base() {
    let base = "NODE_ENV=development\nFICECAL_API_BASE=http://a\nFICECAL_MCP_BASE=http://a\n";
    let outcome = run(Environment::Local, &[(".env.example", base), (".env.local.example", "FICECAL_API_BASE=\n")]);
    assert_eq!(errors(&outcome.env1), [".env.local.example:1:1: FICECAL_API_BASE is empty"]);
    assert!(!at_level(&outcome.env2, Level::Warning).iter().any(|w| w.contains("the template lacks")));
    assert_eq!(errors(&run(Environment::Local, &[(".env.local.example", "X=1\n")]).env1).len(), 3);
}

#[test]
fn what_a_dockerfile_reads_and_a_deployment_takes_in_is_said_in_the_right_words() {
    let docker = "FROM x\nRUN <<EOF\nnpm ci --token $BUILD_TOKEN\nEOF\n";
    let compose = "services: {a: {env_file: .env, environment: {NODE_ENV: development}}}\n";
    let files =
        [("Dockerfile", docker), (".env.example", "NODE_ENV=development\nEXTRA=1\n"), ("docker-compose.yml", compose)];
    let warnings = at_level(&run(Environment::Local, &files).env2, Level::Warning);
    let expected = "Dockerfile:3:17: the Dockerfile reads BUILD_TOKEN, and neither it nor a template declares it";
    assert!(warnings.iter().any(|w| w == expected), "{warnings:#?}");
    assert_eq!(warnings.iter().filter(|w| w.contains("does not declare EXTRA")).count(), 1, "{warnings:#?}");
}

proptest::proptest! {
    #[test]
    fn no_links_make_the_check_panic_or_hang(
        texts in proptest::collection::vec("(include: \\[[abc]\\.yml(, [abc]\\.yml)?\\]\n)?services:\n  x: \\{extends: \\{(file: [abc]\\.yml, )?service: [xyz]\\}\\}\n  y: \\{extends: [xyz]\\}\n", 3)
    ) {
        let files: Vec<(String, String)> =
            ["a.yml", "b.yml", "docker-compose.yml"].iter().map(|n| (*n).to_owned()).zip(texts).collect();
        let tree = MemoryTree::new(files);
        let contract = Contract::builtin();
        struct Nothing;
        impl SecretRecogniser for Nothing {
            fn recognise(&self, _: &str) -> Option<custody_contract::RuleName> {
                None
            }
        }
        check(&EnvCheck { contract: &contract, environment: Environment::Local, tree: &tree, recogniser: &Nothing, process: None });
    }
}
