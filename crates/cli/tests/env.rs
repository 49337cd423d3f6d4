//! `custody env`: what a user sees of keys, through the binary.

#[allow(dead_code, reason = "each test file uses a part of this module")]
mod common;

use common::run;
use custody_testkit::{Fake, Repository};

const KEYS: &str =
    "NODE_ENV=development\nFICECAL_API_BASE=http://localhost:3000\nFICECAL_MCP_BASE=http://localhost:4000\n";

#[test]
fn a_deployment_file_that_cannot_be_read_is_named_and_never_clean() {
    let repository = Repository::new();
    repository.write(".env.example", KEYS).write("compose.yml", "services: [\n");
    repository.commit("Keys");
    let said = run(&repository, &["env", "check", "--env", "local"]);
    said.expect_status(3);
    assert!(said.stdout.contains("compose.yml:1 was not read"), "{}", said.stdout);
}

#[test]
fn links_between_deployment_files_are_followed_and_broken_ones_are_said() {
    let repository = Repository::new();
    repository
        .write(".env.example", KEYS)
        .write("docker-compose.yml", "include: [api.inc.yml, gone.yml]\nservices: {web: {environment: {NODE_ENV: development}}}\n")
        .write(
            "api.inc.yml",
            "services:\n  api:\n    environment:\n      FICECAL_API_BASE: http://localhost:3000\n      FICECAL_MCP_BASE: ${MCP}\n",
        );
    repository.commit("Keys");
    let said = run(&repository, &["env", "check", "--env", "local"]);
    said.expect_status(0);
    for expected in ["include: gone.yml is not in the tree", "takes MCP from the process"] {
        assert!(said.stdout.contains(expected), "{expected}: {}", said.stdout);
    }
    assert!(!said.stdout.contains("is missing"), "{}", said.stdout);
    let example = run(&repository, &["env", "example", "--env", "local"]);
    assert!(example.expect_status(0).stdout.contains("# api.inc.yml:5\nMCP=\n"), "{}", example.stdout);
}

#[test]
fn names_that_are_secrets_are_in_no_example_and_no_table() {
    let token = Fake::new(9).stripe_key();
    let repository = Repository::new();
    repository.write(".env.example", format!("{KEYS}{token}=1\n"));
    repository.write("a.js", format!("process.env.{token}; process.env.PLAIN\n"));
    repository.commit("Keys");
    for command in ["example", "doc", "check"] {
        let said = run(&repository, &["env", command, "--env", "local"]);
        assert!(!said.stdout.contains(&token) && !said.stderr.contains(&token), "env {command} shows it");
        assert!(said.stdout.contains("PLAIN"), "{}", said.stdout);
    }
}
