//! `custody rules`: a rule is begun, checked, tested and explained; other scanners' configuration is imported.

use std::path::Path;

use custody_testkit::{Repository, Run, custody};

fn run(directory: &Repository, arguments: &[&str]) -> Run {
    custody(Path::new(env!("CARGO_BIN_EXE_custody")), directory.root(), arguments, &[], b"")
}

#[test]
fn a_new_rule_file_passes_lint_and_its_own_cases() {
    let directory = Repository::without_git();
    run(&directory, &["rules", "new", "acme-corp", "--name", "Acme", "--output", "acme.toml"]).expect_status(0);
    let again = run(&directory, &["rules", "new", "acme-corp", "--output", "acme.toml"]);
    assert!(again.expect_status(2).stderr.contains("acme.toml"));
    let lint = run(&directory, &["rules", "lint", "acme.toml"]);
    assert!(lint.expect_status(0).stdout.contains("1 rules, 0 remarks"));
    let test = run(&directory, &["rules", "test", "acme.toml"]);
    assert!(test.expect_status(0).stdout.contains("1 rules, 6 cases, 0 failed"));
    let text = run(&directory, &["rules", "explain", "acme-corp-api-key", "acme.toml"]);
    assert!(text.expect_status(0).stdout.contains("ACME_CORP_API_KEY=acme_corp_live_{{alnum:32}}"));
    run(&directory, &["scan", "acme.toml"]).expect_status(0);
    for name in ["Acme", "a b", "-a", "a\"b"] {
        run(&directory, &["rules", "new", "--", name]).expect_status(2);
    }
}

#[test]
fn lint_tells_what_is_unwise_and_faults_are_placed() {
    let directory = Repository::without_git();
    let rule = "provider = \"acme\"\nname = \"Acme\"\n[[rule]]\nid = \"acme-key\"\nname = \"n\"\nseverity = \"high\"\nwhy = \"w\"\n\
                pattern = '''acme_[a-z]{8}'''\nkeywords = [\"acme_\"]\nreferences = []\nremedy = \"r\"\nexamples = []\nnegatives = []\n";
    directory.write("acme.toml", rule);
    let lint = run(&directory, &["rules", "lint", "acme.toml"]);
    let remarks = &lint.expect_status(1).stderr;
    assert!(remarks.contains("examples") && remarks.contains("references"), "{remarks}");
    directory.write("acme.toml", rule.replace("[a-z]{8}", "[a-z{8}"));
    let broken = run(&directory, &["rules", "lint", "acme.toml"]);
    assert!(broken.expect_status(2).stderr.contains("acme.toml:8"), "{}", broken.stderr);
}

#[test]
fn the_schema_and_the_explanations_are_printed() {
    let directory = Repository::without_git();
    let schema = run(&directory, &["rules", "schema"]);
    assert_eq!(schema.expect_status(0).json()["title"], "custody rule file");
    let text = run(&directory, &["rules", "explain", "pypi-api-token"]);
    assert!(text.expect_status(0).stdout.contains("Checksum     macaroon"));
    let unknown = run(&directory, &["rules", "explain", "pypi-api-tokn"]);
    assert!(unknown.expect_status(2).stderr.contains("pypi-api-token"));
}

#[test]
fn other_scanners_configuration_is_imported_and_what_is_left_out_is_named() {
    let directory = Repository::without_git();
    let config = "[[rules]]\nid = \"corp\"\ndescription = \"Corp\"\nregex = '''corp_(k[0-9a-f]{24})'''\nkeywords = [\"corp_\"]\n";
    directory.write("config.toml", config);
    let imported = run(&directory, &["rules", "import", "config.toml", "--provider", "corp"]);
    directory.write("corp.toml", imported.expect_status(0).stdout.clone());
    run(&directory, &["rules", "test", "corp.toml"]).expect_status(0);
    directory.write("config.toml", format!("{config}path = '''x'''\n[[rules]]\nid = \"p\"\npath = '''id_rsa'''\n"));
    let partly = run(&directory, &["rules", "import", "config.toml"]);
    assert!(partly.expect_status(3).stderr.contains("rule `p`"));
    directory.write(".secrets.baseline", "{\"plugins_used\": [{\"name\": \"AWSKeyDetector\"}], \"results\": {}}");
    let baseline = run(&directory, &["rules", "import", ".secrets.baseline"]);
    assert!(baseline.expect_status(0).stdout.contains("disabled-rules"));
    directory.write("own.py", "class D:\n    secret_type = 'Own'\n    denylist = [re.compile(r'own_[0-9a-f]{32}')]\n");
    let plugin = run(&directory, &["rules", "import", "own.py", "--provider", "own"]);
    assert!(plugin.expect_status(0).stdout.contains("own_[0-9a-f]{32}"));
    run(&directory, &["rules", "import", "own.py", "--from", "gitleaks"]).expect_status(2);
}
