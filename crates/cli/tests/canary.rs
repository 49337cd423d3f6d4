//! No output of any command in any format shows a planted secret, whole or in part.

mod common;

use common::{clean, pack, run, run_with};
use custody_testkit::{Canary, Fake, Repository};

#[test]
fn no_output_shows_a_planted_secret() {
    let repository = clean();
    let mut fake = Fake::new(77);
    let mut canary = Canary::new();
    let planted = [
        ("aws id", fake.aws_access_key_id()),
        ("aws secret", fake.aws_secret_access_key()),
        ("gitlab", fake.gitlab_token()),
        ("stripe", fake.stripe_key()),
        ("slack", fake.slack_token()),
        ("password", fake.password()),
        ("private key", fake.private_key()),
    ];
    for (name, secret) in &planted {
        canary.plant(name, secret);
    }
    let secret = |name: &str| planted.iter().find(|p| p.0 == name).expect("planted").1.clone();
    let (id, key, gitlab, stripe) = (secret("aws id"), secret("aws secret"), secret("gitlab"), secret("stripe"));
    let (slack, password, pem) = (secret("slack"), secret("password"), secret("private key"));
    repository
        .write(".env", format!("AWS_ACCESS_KEY_ID={id}\nAWS_SECRET_ACCESS_KEY={key}\nDB_PASSWORD=\"{password}\"\n"));
    repository.write(".env.example", format!("NODE_ENV={stripe}\nFICECAL_API_BASE=https://user:{password}@api.test\nFICECAL_AWS_CREDENTIAL_REF={id}\nBROKEN LINE {slack}\n{gitlab}=x\n{stripe}=$y # z\n"));
    repository.write(
        "docker-compose.yml",
        format!("services:\n  api:\n    environment:\n      STRIPE_API_KEY: {stripe}\n      NODE_ENV: {gitlab}\n"),
    );
    repository.write(
        "k8s/prod/secret.yaml",
        format!("apiVersion: v1\nkind: Secret\nmetadata:\n  name: a\nstringData:\n  password: {password}\n"),
    );
    repository.write("tests/fixtures/key.pem", &pem);
    repository.write("logs/app.log", format!("login with {slack} and cred://aws/{id}/readonly\n"));
    repository.write(&format!("tests/evidence/{gitlab}.txt"), "a name that is a secret\n");
    repository.write(&pack("aws", "request.valid.json"), format!("{{\"authMode\": \"{gitlab}\", \"currency\": \"{id}\", \"credentialRef\": \"{slack}\", \"{stripe}\": 1, \"startDate\": \"{password}\", \"apiKey\": \"{key}\"}}"));
    repository.write(
        &pack("gcp", "response.expected.json"),
        format!(
            "{{\"provenance\": {{\"warnings\": [\"{slack}\"], \"mappingConfidence\": \"{gitlab}\"}}, \"x\": {stripe}"
        ),
    );
    repository.git(["add", "--all"]);
    repository.git(["commit", "--quiet", "-m", &format!("Use {gitlab}")]);

    every_format_is_silent(&repository, &canary);
    for arguments in [
        &["env", "example"][..],
        &["env", "doc"],
        &["init", "--print"],
        &["incident", "list"],
        &["billing", "validate", "--ficecal"],
    ] {
        let run = run(&repository, arguments);
        canary.assert_silent(&format!("{arguments:?}"), format!("{}{}", run.stdout, run.stderr).as_bytes());
    }
    let live = run_with(
        repository.root(),
        &["check", "--process", "--no-history"],
        &[("FICECAL_AWS_CREDENTIAL_REF", &id), ("NODE_ENV", &gitlab)],
        b"",
    );
    canary.assert_silent("live environment", format!("{}{}", live.stdout, live.stderr).as_bytes());
    let stdin = run_with(repository.root(), &["scan", "-"], &[], format!("{id} {pem}").as_bytes());
    stdin.expect_status(1);
    canary.assert_silent("stdin", format!("{}{}", stdin.stdout, stdin.stderr).as_bytes());
    for entry in std::fs::read_dir(repository.path(".custody/incidents")).expect("incidents") {
        let path = entry.expect("an entry").path();
        canary.assert_silent("an incident record", &std::fs::read(&path).expect("a record"));
    }
    repository.write("custody.toml", format!("contract = \"{stripe}\"\n[release]\nblock-at = \"{gitlab}\"\n"));
    let broken = run(&repository, &["check"]);
    broken.expect_status(2);
    canary.assert_silent("a broken contract file", broken.stderr.as_bytes());
}

fn every_format_is_silent(repository: &Repository, canary: &Canary) {
    for format in ["table", "json", "sarif", "junit", "github", "markdown"] {
        for command in [
            &["check", "--explain"][..],
            &["scan", ".", "--explain"],
            &["scan", "--history", "--explain"],
            &["scan", "--staged"],
            &["scan", ".env"],
            &["env", "check"],
            &["billing", "validate", "--packs", "tests/contracts/fixtures/mcp"],
        ] {
            let arguments: Vec<&str> = command.iter().copied().chain(["--format", format]).collect();
            let run = run(repository, &arguments);
            assert_ne!(run.status, 70, "{arguments:?}: {}", run.stderr);
            canary.assert_silent(&format!("stdout of {arguments:?}"), run.stdout.as_bytes());
            canary.assert_silent(&format!("stderr of {arguments:?}"), run.stderr.as_bytes());
        }
    }
}
