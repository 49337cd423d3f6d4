//! `custody init`: what it writes can be used at once, fits the repository, and harms nothing.

#[allow(dead_code, reason = "each test file uses a part of this module")]
mod common;

use common::{clean, run, verdict};
use custody_testkit::{Fake, Repository};

fn contract(repository: &Repository) -> String {
    std::fs::read_to_string(repository.path("custody.toml")).expect("a contract file")
}

#[test]
fn it_writes_a_contract_that_can_be_used_and_replaces_nothing() {
    let repository = clean();
    let before = contract(&repository);
    let refused = run(&repository, &["init"]);
    refused.expect_status(2);
    assert!(refused.stderr.contains("--force"), "{}", refused.stderr);
    run(&repository, &["init", "--print"]).expect_status(0);
    assert_eq!(contract(&repository), before);
    run(&repository, &["init", "--force"]).expect_status(0);
    run(&repository, &["contract", "check"]).expect_status(0);
    let text = contract(&repository);
    assert!(text.contains("contract = \"ficecal\""), "{text}");
    assert!(text.contains("reference = \"cred://aws/123456789012/readonly\"\n# environments = "), "{text}");
    // Owners are for people to fill in: until then ROT-1 fails.
    assert_eq!(verdict(&run(&repository, &["check", "--format", "json"]).json(), "ROT-1").0, "fail");
}

#[test]
fn an_empty_directory_and_one_with_a_readme_may_release_right_away() {
    let (empty, plain, readme) = (Repository::without_git(), Repository::without_git(), Repository::new());
    plain.write("src/main.py", "print('hello')\n");
    readme.write("README.md", "# Hello\n");
    readme.commit("Hello");
    for repository in [empty, plain, readme] {
        let said = run(&repository, &["init"]);
        assert!(
            said.expect_status(0).stdout.contains("profile custody, with 0 keys and 0 credentials"),
            "{}",
            said.stdout
        );
        let check = run(&repository, &["check", "--format", "json"]);
        check.expect_status(0);
        assert_eq!(verdict(&check.json(), "ENV-1").0, "pass");
    }
}

#[test]
fn a_team_without_ficecal_is_held_to_its_own_keys_only() {
    let repository = Repository::new();
    repository.write(".env.example", "PORT=8080\nSESSION_SECRET=\n");
    repository.write(".env.production.example", "PORT=8080\n");
    repository.write("package.json", "{\"scripts\": {\"test\": \"node --test\"}}\n");
    repository.write("src/server.js", "listen(process.env.PORT, process.env.SESSION_SECRET);\n");
    run(&repository, &["init"]).expect_status(0);
    let text = contract(&repository);
    assert!(text.contains("name = \"SESSION_SECRET\"\nsecret = true"), "{text}");
    repository.commit("all");
    let check = run(&repository, &["check", "--format", "json"]);
    check.expect_status(0);
    assert_eq!(verdict(&check.json(), "VAL-2").0, "warn");
    assert!(!check.stdout.contains("FICECAL"), "{}", check.stdout);
    // A key that the team requires is required.
    repository.write(
        "custody.toml",
        text.replace(
            "secret = true\n# required = [\"stage\", \"prod\"]",
            "secret = true\nrequired = [\"stage\", \"prod\"]",
        ),
    );
    let check = run(&repository, &["check", "--format", "json"]);
    check.expect_status(1);
    assert_eq!(verdict(&check.json(), "ENV-1").0, "fail");
}

#[test]
fn what_it_writes_shows_no_secret() {
    let repository = Repository::new();
    let token = Fake::new(41).gitlab_token();
    repository.write(&format!("{token}/golden/a.json"), "{}");
    repository.write(".env.example", format!("A_TOKEN={token}\n{token}=x\nB={token} # {token}\n"));
    repository.write("src/a.ts", format!("a('cred://aws/{token}/readonly'); b('{token}')\n"));
    let print = run(&repository, &["init", "--print"]);
    assert!(!print.expect_status(0).stdout.contains(&token[6..]), "{}", print.stdout);
    assert!(print.stdout.contains("A_TOKEN"));
}

#[cfg(unix)]
#[test]
fn a_link_is_replaced_and_not_followed() {
    let repository = Repository::without_git();
    repository.write("elsewhere", "kept");
    std::os::unix::fs::symlink(repository.path("elsewhere"), repository.path("custody.toml")).expect("a link");
    run(&repository, &["init"]).expect_status(2);
    run(&repository, &["init", "--force"]).expect_status(0);
    assert_eq!(std::fs::read_to_string(repository.path("elsewhere")).expect("there"), "kept");
    assert!(!repository.path("custody.toml").is_symlink());
    std::fs::remove_file(repository.path("custody.toml")).expect("there");
    std::os::unix::fs::symlink("nowhere", repository.path("custody.toml")).expect("a link");
    run(&repository, &["init"]).expect_status(2);
}
