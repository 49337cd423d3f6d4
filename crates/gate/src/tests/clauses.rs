use custody_contract::{FindingStatus, Surface};

use super::*;

const DRY: Check<'_> = Check { incidents: IncidentMode::DryRun, ..PLAIN };

#[test]
fn a_clean_repository_may_release() {
    let repository = repository("");
    let report = PLAIN.run(repository.root());
    assert_may_release(&report);
    assert_verdicts(&report, &[("ENV-4", Verdict::Pass), ("ENV-5a", Verdict::Pass), ("ROT-2", Verdict::Pass)]);
    assert_verdicts(&report, &[("ENV-5b", Verdict::NotApplicable), ("VAL-2", Verdict::NotApplicable)]);
    assert_eq!(report.clauses.len(), 21);
    assert!(!repository.path(".custody").exists(), "nothing is written without an incident");
}

#[test]
fn a_secret_blocks_and_opens_an_incident_and_a_dry_run_writes_nothing() {
    let repository = repository("");
    repository.write("app/settings.toml", secret_line(1));
    let dry = DRY.run(repository.root());
    assert_blocked(&dry);
    assert_verdicts(&dry, &[("ENV-4", Verdict::Fail), ("ROT-2", Verdict::Fail), ("ROT-3", Verdict::Fail)]);
    assert_verdicts(&dry, &[("ENV-5a", Verdict::Pass)]);
    assert!(!repository.path(".custody").exists());
    let report = PLAIN.run(repository.root());
    assert_eq!(report.incidents.len(), 1);
    assert!(report.incidents[0].opened_now && repository.path(&report.incidents[0].record).is_file());
    let again = PLAIN.run(repository.root());
    assert!(!again.incidents[0].opened_now && again.incidents.len() == 1);
    fs::remove_file(repository.path("app/settings.toml")).expect("removed");
    let gone = PLAIN.run(repository.root());
    assert_verdicts(&gone, &[("ENV-4", Verdict::Pass), ("ROT-2", Verdict::Fail), ("ROT-3", Verdict::Pass)]);
    assert_blocked(&gone);
}

#[test]
fn a_secret_in_tree_and_history_is_one_finding() {
    let repository = repository("");
    repository.write("app/settings.toml", secret_line(1));
    repository.commit("oops");
    let report = DRY.run(repository.root());
    let surfaces: Vec<Surface> = report.findings[0].occurrences.iter().map(|o| o.surface).collect();
    assert_eq!((report.findings.len(), surfaces), (1, vec![Surface::WorkingTree, Surface::History]));
    assert_verdicts(&report, &[("ENV-4", Verdict::Fail), ("ENV-5a", Verdict::Fail)]);
    repository.git(["rm", "--quiet", "app/settings.toml"]);
    repository.commit("removed");
    assert_verdicts(&DRY.run(repository.root()), &[("ENV-4", Verdict::Pass), ("ENV-5a", Verdict::Fail)]);
}

#[test]
fn each_surface_answers_for_its_own_findings() {
    let repository = repository("");
    repository
        .write("tests/fixtures/a.json", format!("{{\"k\": \"{}\"}}", secret_line(1).replace('"', "'")))
        .write("logs/app.log", secret_line(2))
        .write("docs/evidence/run.txt", secret_line(3))
        .write(".gitignore", "logs/\n");
    let report = Check { history: HistoryMode::Skip("not now"), ..DRY }.run(repository.root());
    for id in ["ENV-5b", "ENV-5d", "ENV-5e"] {
        assert_eq!(clause(&report, id).findings.len(), 1, "{id}");
        assert_verdicts(&report, &[(id, Verdict::Fail)]);
    }
    assert_verdicts(&report, &[("ENV-4", Verdict::Pass)]);
    assert!(clause(&report, "ENV-5a").incomplete);
}

#[test]
fn what_was_not_read_is_incomplete_and_never_clean() {
    let repository = repository("");
    repository.write("docs/screenshots/a.png", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\x06\0\0\0");
    let report = DRY.run(repository.root());
    assert!(clause(&report, "ENV-5c").incomplete);
    assert_eq!(report.decision, Decision::Incomplete);
    let skipped = Check { history: HistoryMode::Skip("--no-history"), ..DRY }.run(repository.root());
    assert!(clause(&skipped, "ENV-5a").incomplete && clause(&skipped, "ENV-5a").summary.contains("--no-history"));
}

#[test]
fn a_waiver_of_an_incomplete_clause_lets_it_pass_as_a_warning() {
    let waiver = "[[waiver]]\nid = \"shots\"\nclause = \"ENV-5c\"\nowner = \"ana\"\nreason = \"read by hand\"\nexpires = 2027-06-01\n";
    let repository = repository(waiver);
    repository.write("docs/screenshots/a.png", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR");
    let report = DRY.run(repository.root());
    assert_verdicts(&report, &[("ENV-5c", Verdict::Warn)]);
    assert_eq!(clause(&report, "ENV-5c").waivers, ["shots"]);
    assert_may_release(&report);
}

#[test]
fn without_git_history_does_not_apply_and_a_shallow_clone_is_incomplete() {
    let bare = Repository::without_git();
    bare.write("a.txt", "hello");
    let report = DRY.run(bare.root());
    assert_verdicts(&report, &[("ENV-5a", Verdict::NotApplicable)]);
    assert_may_release(&report);
    let origin = repository("");
    origin.write("b", "2");
    origin.commit("second");
    let url = format!("file://{}", origin.root().display());
    bare.git(["clone", "--quiet", "--depth", "1", url.as_str(), "shallow"]);
    let report = DRY.run(&bare.path("shallow"));
    assert!(clause(&report, "ENV-5a").incomplete, "{}", clause(&report, "ENV-5a").summary);
    assert_eq!(report.decision, Decision::Incomplete);
}

fn waiver(target: &str, expires: &str) -> String {
    format!("[[waiver]]\nid = \"w\"\n{target}\nowner = \"ana\"\nreason = \"test key\"\nexpires = {expires}\n")
}

#[test]
fn a_waiver_counts_through_its_last_day() {
    let repository = repository("");
    repository.write("app/settings.toml", secret_line(1));
    let (fingerprint, _) = the_finding(&DRY.run(repository.root()));
    repository.write("custody.toml", waiver(&format!("fingerprint = \"{fingerprint}\""), "2026-11-24"));
    let on = |today| Check { today, ..DRY }.run(repository.root());
    let last = on(TODAY);
    assert_may_release(&last);
    assert_eq!(last.findings[0].status, FindingStatus::Waived { waiver: "w".into() });
    assert!(said(&last, "waiver-expiring", "expires today"));
    let after = on(date(2026, 11, 25));
    assert_blocked(&after);
    assert!(said(&after, "waiver-expired", "2026-11-24"));
    assert!(said(&on(date(2026, 11, 10)), "waiver-expiring", "14 days"));
    assert!(!said(&on(date(2026, 11, 9)), "waiver-expiring", ""));
}

#[test]
fn a_waiver_with_paths_covers_only_what_stands_there_alone() {
    let repository = repository("");
    repository.write("app/settings.toml", secret_line(1));
    let (_, rule) = the_finding(&DRY.run(repository.root()));
    repository.write("custody.toml", waiver(&format!("rule = \"{rule}\"\npaths = [\"app\"]"), "2027-06-01"));
    assert_may_release(&DRY.run(repository.root()));
    repository.write("other/settings.toml", secret_line(1));
    assert_blocked(&DRY.run(repository.root()));
}

#[test]
fn waivers_and_baseline_entries_that_match_nothing_are_stale() {
    let repository = repository(&waiver("rule = \"stripe-secret-key\"", "2027-06-01"));
    let entry = format!("{} some-rule 2026-01-01 old\n", custody_contract::Fingerprint::of(b"gone"));
    repository.write(".custody/baseline", entry);
    let report = DRY.run(repository.root());
    assert!(said(&report, "waiver-stale", "w matches nothing") && said(&report, "baseline-stale", ""));
    assert_may_release(&report);
}

#[test]
fn a_baselined_finding_does_not_count() {
    let repository = repository("");
    repository.write("app/settings.toml", secret_line(1));
    let (fingerprint, rule) = the_finding(&DRY.run(repository.root()));
    repository.write(".custody/baseline", format!("{fingerprint} {rule} 2026-11-01 rotated\n"));
    let report = PLAIN.run(repository.root());
    assert_may_release(&report);
    assert!(report.incidents.is_empty());
}

#[test]
fn a_severe_rule_may_be_out_of_force_only_by_a_waiver_that_names_it() {
    let repository = repository("[scan]\ndisabled-rules = [\"aws-access-key-id\"]\n");
    let severe =
        RuleSet::builtin().iter().find(|r| r.severity >= custody_contract::Severity::High).map(|r| r.id.to_string());
    let rule = severe.expect("there are severe rules");
    let disabled = format!("[scan]\ndisabled-rules = [\"{rule}\"]\n");
    repository.write("custody.toml", &disabled);
    let report = DRY.run(repository.root());
    assert_verdicts(&report, &[("ROT-3", Verdict::Fail)]);
    repository.write("custody.toml", format!("{disabled}{}", waiver(&format!("rule = \"{rule}\""), "2027-06-01")));
    let report = DRY.run(repository.root());
    assert_verdicts(&report, &[("ROT-3", Verdict::Pass)]);
    assert!(!said(&report, "waiver-stale", ""));
}

#[test]
fn an_incident_record_that_cannot_be_read_blocks() {
    let repository = repository("");
    repository.write(".custody/incidents/INC-20260101-00000000.toml", "state = \"closed\"\n");
    let report = DRY.run(repository.root());
    assert_verdicts(&report, &[("ROT-2", Verdict::Fail)]);
    assert_blocked(&report);
}

#[test]
fn a_reference_with_its_context_in_a_log_is_a_leak() {
    let entry = "[[credential]]\nreference = \"cred://aws/prod/readonly\"\nowner = \"finops\"\ncontact = \"#f\"\nwindow = \"90d\"\nprocedure = \"https://wiki.example.com/r\"\nlast-rotation = 2026-11-01\n";
    let repository = repository(entry);
    repository.write("logs/app.log", "resolve cred://aws/prod/readonly via https://secrets.example.com/resolve\n");
    repository.write("docs/how.md", "resolve cred://aws/prod/readonly via https://secrets.example.com/resolve\n");
    let report = PLAIN.run(repository.root());
    assert_eq!(the_finding(&report).1, "reference-context");
    assert_verdicts(&report, &[("ENV-5d", Verdict::Fail), ("ENV-4", Verdict::Pass), ("ROT-1", Verdict::Pass)]);
    let record = fs::read_to_string(repository.path(&report.incidents[0].record)).expect("written");
    assert!(record.contains("owner = \"finops\""), "{record}");
}

#[test]
fn a_reference_that_carries_a_secret_fails_and_is_not_shown() {
    let mut fake = custody_testkit::Fake::new(7);
    let key = fake.aws_access_key_id();
    let repository = repository(&format!("[[credential]]\nreference = \"cred://aws/{key}/readonly\"\n"));
    let report = PLAIN.run(repository.root());
    assert_verdicts(&report, &[("CRED-4", Verdict::Fail), ("ROT-1", Verdict::Fail)]);
    let mut canary = custody_testkit::Canary::new();
    canary.plant("key", &key);
    canary.assert_silent("the report", serde_json::to_string(&report).expect("JSON").as_bytes());
    for incident in &report.incidents {
        canary.assert_silent("a record", &fs::read(repository.path(&incident.record)).expect("written"));
    }
}

#[test]
fn a_waiver_that_weakens_a_locked_item_is_not_stale() {
    let repository =
        repository(&format!("[release]\nblock-at = \"critical\"\n{}", waiver("clause = \"ROT-3\"", "2027-06-01")));
    let report = DRY.run(repository.root());
    assert_eq!(report.block_at, custody_contract::Severity::Critical);
    assert!(!said(&report, "waiver-stale", ""));
    repository.write("custody.toml", waiver("clause = \"ROT-3\"", "2027-06-01"));
    assert!(said(&DRY.run(repository.root()), "waiver-stale", "w matches nothing"));
}

#[test]
fn a_finding_below_the_threshold_warns() {
    let own = "provider = \"own\"\nname = \"Own\"\n[[rule]]\nid = \"own-key\"\nname = \"Own key\"\nseverity = \"medium\"\nwhy = \"w\"\npattern = '''ownkey_[a-z0-9]{12}'''\nkeywords = [\"ownkey_\"]\nreferences = []\nremedy = \"r\"\nexamples = []\nnegatives = []\n";
    let repository = repository("[scan]\nrules = [\"own-rules\"]\n");
    repository.write("own-rules/own.toml", own).write("app.txt", format!("key: ownkey_{}\n", "x7k2m9q4w1z8"));
    let report = DRY.run(repository.root());
    assert_verdicts(&report, &[("ENV-4", Verdict::Warn), ("ROT-3", Verdict::Warn), ("ROT-2", Verdict::Pass)]);
    assert_may_release(&report);
}
