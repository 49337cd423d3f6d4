//! What a change tries in order to pass, one attempt a test. Each is measured against the base, and blocked.

use custody_contract::{Diagnostic, FindingStatus};

use super::*;
use crate::changes::CODE;

const AGAINST_MAIN: Check<'_> = Check { base: Some("main"), incidents: IncidentMode::DryRun, ..PLAIN };
const UNGUARDED: Check<'_> = Check { base: None, incidents: IncidentMode::DryRun, ..PLAIN };

/// A repository whose branch `change` adds a secret; and the secret's fingerprint and rule.
fn change(contract: &str) -> (Repository, String, String) {
    let repository = repository(contract);
    repository.git(["checkout", "--quiet", "-b", "change"]);
    repository.write("app/settings.toml", secret_line(1));
    repository.commit("add settings");
    let (fingerprint, rule) = the_finding(&UNGUARDED.run(repository.root()));
    (repository, fingerprint, rule)
}

/// The attempt works on a check without a base, so that the test proves something, and not on one with.
#[track_caller]
fn assert_disarmed_only_without_a_base(repository: &Repository, words: &str) {
    repository.commit("disarm");
    assert_may_release(&UNGUARDED.run(repository.root()));
    let report = AGAINST_MAIN.run(repository.root());
    assert_blocked(&report);
    let changes: Vec<&Diagnostic> = report.diagnostics.iter().filter(|d| d.code == CODE).collect();
    assert!(changes.iter().any(|d| d.what.contains(words)), "{changes:#?}");
}

#[test]
fn by_a_waiver() {
    let (repository, fingerprint, _) = change("");
    repository.write(
        "custody.toml",
        format!("[[waiver]]\nid = \"mine\"\nfingerprint = \"{fingerprint}\"\nowner = \"me\"\nreason = \"trust me\"\nexpires = 2027-01-01\n"),
    );
    assert_disarmed_only_without_a_base(&repository, "adds waiver mine");
}

#[test]
fn by_a_longer_waiver() {
    let waiver = |expires| {
        format!(
            "[[waiver]]\nid = \"old\"\nrule = \"stripe-secret-key\"\nowner = \"me\"\nreason = \"r\"\nexpires = {expires}\n"
        )
    };
    let (repository, _, rule) = change(&waiver("2026-11-23"));
    repository.write("custody.toml", waiver("2027-11-23").replace("stripe-secret-key", &rule));
    assert_disarmed_only_without_a_base(&repository, "extends waiver old from 2026-11-23 to 2027-11-23");
}

#[test]
fn by_a_baseline_entry() {
    let (repository, fingerprint, rule) = change("");
    repository.write(".custody/baseline", format!("{fingerprint} {rule} 2026-11-24 fine\n"));
    assert_disarmed_only_without_a_base(&repository, "adds baseline entry");
}

#[test]
fn by_another_baseline() {
    let (repository, fingerprint, rule) = change("");
    repository.write("custody.toml", "[scan]\nbaseline = \"elsewhere\"\n");
    repository.write("elsewhere", format!("{fingerprint} {rule} 2026-11-24 fine\n"));
    assert_disarmed_only_without_a_base(&repository, "where the baseline lies");
}

#[test]
fn by_an_inline_allowance() {
    let repository = repository("");
    repository.git(["checkout", "--quiet", "-b", "change"]);
    repository.write("app/settings.toml", secret_line(1));
    let (_, rule) = the_finding(&UNGUARDED.run(repository.root()));
    repository.write("app/settings.toml", format!("{} # custody:allow {rule} trust me\n", secret_line(1)));
    assert_disarmed_only_without_a_base(&repository, "inline");
}

/// The waiver was in force where the change began and has been withdrawn since.
#[test]
fn by_starting_from_an_old_commit() {
    let waiver = |rule: &str| {
        format!("[[waiver]]\nid = \"old\"\nrule = \"{rule}\"\nowner = \"o\"\nreason = \"r\"\nexpires = 2027-01-01\n")
    };
    let (probe, _, rule) = change("");
    drop(probe);
    let (repository, _, _) = change(&waiver(&rule));
    assert_may_release(&AGAINST_MAIN.run(repository.root()));
    repository.git(["checkout", "--quiet", "main"]);
    repository.write("custody.toml", "");
    repository.commit("withdraw the waiver");
    repository.git(["checkout", "--quiet", "change"]);
    let report = AGAINST_MAIN.run(repository.root());
    assert_blocked(&report);
    let changes: Vec<&Diagnostic> = report.diagnostics.iter().filter(|d| d.code == CODE).collect();
    assert!(changes.is_empty(), "the change did nothing to the contract: {changes:#?}");
}

/// A waiver that was merged after the change began counts for it.
#[test]
fn a_waiver_of_the_target_counts_although_the_change_began_before() {
    let (repository, fingerprint, _) = change("");
    assert_blocked(&AGAINST_MAIN.run(repository.root()));
    repository.git(["checkout", "--quiet", "main"]);
    let waiver = format!(
        "[[waiver]]\nid = \"w\"\nfingerprint = \"{fingerprint}\"\nowner = \"o\"\nreason = \"r\"\nexpires = 2027-01-01\n"
    );
    repository.write("custody.toml", waiver);
    repository.commit("waive it");
    repository.git(["checkout", "--quiet", "change"]);
    let report = AGAINST_MAIN.run(repository.root());
    assert_may_release(&report);
    assert!(!report.diagnostics.iter().any(|d| d.code == CODE), "{:#?}", report.diagnostics);
}

#[test]
fn by_an_allowance_that_another_file_has() {
    let repository = repository("");
    repository.write("a.toml", secret_line(1));
    let (_, rule) = the_finding(&UNGUARDED.run(repository.root()));
    let allowed = format!("{} # custody:allow {rule} test key\n", secret_line(1));
    repository.write("a.toml", &allowed);
    repository.commit("allowed at the base");
    let report = AGAINST_MAIN.run(repository.root());
    assert!(matches!(report.findings[0].status, FindingStatus::Allowed { .. }));
    assert_may_release(&report);
    repository.git(["checkout", "--quiet", "-b", "change"]);
    repository.write("b.toml", &allowed);
    assert_disarmed_only_without_a_base(&repository, "inline");
}

#[test]
fn by_an_allowance_of_another_secret_in_the_same_file() {
    let repository = repository("");
    repository.write("a.toml", secret_line(1));
    let (_, rule) = the_finding(&UNGUARDED.run(repository.root()));
    let allowed = |seed| format!("{} # custody:allow {rule} test key\n", secret_line(seed));
    repository.write("a.toml", allowed(1));
    repository.commit("allowed at the base");
    repository.git(["checkout", "--quiet", "-b", "change"]);
    repository.write("a.toml", format!("{}{}", allowed(1), allowed(2)));
    assert_disarmed_only_without_a_base(&repository, "inline");
}

#[test]
fn by_an_allowance_in_history_only() {
    let repository = repository("");
    repository.write("a.toml", secret_line(1));
    let (_, rule) = the_finding(&UNGUARDED.run(repository.root()));
    fs::remove_file(repository.path("a.toml")).expect("removed");
    repository.git(["checkout", "--quiet", "-b", "change"]);
    repository.write("a.toml", format!("{} # custody:allow {rule} trust me\n", secret_line(1)));
    repository.commit("add");
    fs::remove_file(repository.path("a.toml")).expect("removed");
    repository.commit("remove");
    assert_may_release(&UNGUARDED.run(repository.root()));
    assert_verdicts(&AGAINST_MAIN.run(repository.root()), &[("ENV-5a", Verdict::Fail)]);
}

#[test]
fn a_later_allowance_covers_the_same_files_old_versions() {
    let repository = repository("");
    repository.write("a.toml", secret_line(1));
    repository.commit("not yet allowed");
    let (_, rule) = the_finding(&UNGUARDED.run(repository.root()));
    repository.write("a.toml", format!("{} # custody:allow {rule} test key\n", secret_line(1)));
    repository.commit("allowed");
    assert_may_release(&UNGUARDED.run(repository.root()));
    assert_may_release(&AGAINST_MAIN.run(repository.root()));
}

#[test]
fn by_disabling_the_rule() {
    let (repository, _, rule) = change("");
    let waiver =
        format!("[[waiver]]\nid = \"r\"\nrule = \"{rule}\"\nowner = \"me\"\nreason = \"r\"\nexpires = 2027-01-01\n");
    repository.write("custody.toml", format!("[scan]\ndisabled-rules = [\"{rule}\"]\n{waiver}"));
    assert_disarmed_only_without_a_base(&repository, &format!("disables rule {rule}"));
}

#[test]
fn by_a_rule_file_that_replaces_the_rule() {
    let own = |id: &str| {
        format!(
            "provider = \"own\"\nname = \"Own\"\n[[rule]]\nid = \"{id}\"\nname = \"n\"\nseverity = \"low\"\nwhy = \"w\"\npattern = '''never_[a-z]{{8}}'''\nkeywords = [\"never_\"]\nreferences = []\nremedy = \"r\"\nexamples = []\nnegatives = []\n"
        )
    };
    let (repository, _, rule) = change("[scan]\nrules = [\"own-rules\"]\n");
    repository.write("own-rules/a.toml", own(&rule));
    repository.commit("disarm");
    // Even without a base, a severe rule is not replaced in silence.
    assert_verdicts(&UNGUARDED.run(repository.root()), &[("ROT-3", Verdict::Fail)]);
    let report = AGAINST_MAIN.run(repository.root());
    assert_verdicts(&report, &[("ENV-4", Verdict::Fail)]);
    assert!(said(&report, CODE, "adds a rule file"));
}

#[test]
fn by_excluding_the_path() {
    let repository = repository("");
    repository.git(["checkout", "--quiet", "-b", "change"]);
    repository.write("app/settings.toml", secret_line(1));
    repository.write("custody.toml", "[[surfaces.exclude]]\npaths = [\"app\"]\nreason = \"nothing to see\"\n");
    let without_history = HistoryMode::Skip("this test is about the tree");
    let report = Check { history: without_history, ..UNGUARDED }.run(repository.root());
    assert_verdicts(&report, &[("ENV-4", Verdict::Pass)]);
    let report = Check { history: without_history, ..AGAINST_MAIN }.run(repository.root());
    assert_verdicts(&report, &[("ENV-4", Verdict::Fail)]);
    assert!(said(&report, CODE, "excludes app"));
}

#[test]
fn by_lowering_what_blocks() {
    let (repository, _, _) = change("");
    let waive = |clause: &str| {
        format!(
            "[[waiver]]\nid = \"{clause}\"\nclause = \"{clause}\"\nowner = \"me\"\nreason = \"r\"\nexpires = 2027-01-01\n"
        )
    };
    let clauses = ["ENV-4", "ENV-5a", "ROT-2", "ROT-3"].map(waive).concat();
    repository.write("custody.toml", format!("{clauses}[[clause]]\nid = \"ROT-3\"\nenforcement = \"warn\"\n"));
    assert_disarmed_only_without_a_base(&repository, "sets ROT-3 to warn");
}

#[test]
fn by_deleting_or_breaking_the_contract_file() {
    let (repository, _, _) = change("default-environment = \"prod\"\n");
    fs::remove_file(repository.path("custody.toml")).expect("removed");
    let report = AGAINST_MAIN.run(repository.root());
    assert_blocked(&report);
    assert!(said(&report, CODE, "deletes the contract file"));
    repository.write("custody.toml", "waivers = nonsense");
    fs::remove_file(repository.path("app/settings.toml")).expect("removed");
    let report = Check { history: HistoryMode::Skip("the secret is in it"), ..AGAINST_MAIN }.run(repository.root());
    assert_verdicts(&report, &[("ROT-3", Verdict::Fail)]);
}

#[test]
fn by_closing_or_deleting_an_incident() {
    let repository = repository("");
    repository.write("app/settings.toml", secret_line(1));
    let report = PLAIN.run(repository.root());
    fs::remove_file(repository.path("app/settings.toml")).expect("removed");
    let record = report.incidents[0].record.clone();
    repository.commit("the record");
    repository.git(["checkout", "--quiet", "-b", "change"]);
    let store = custody_incident::DirectoryStore::new(repository.root(), ".custody/incidents");
    custody_incident::close(&store, &report.incidents[0].id, "me", "trust me", report.started).expect("closed");
    assert_disarmed_only_without_a_base(&repository, "closes incident");
    fs::remove_file(repository.path(&record)).expect("removed");
    assert_disarmed_only_without_a_base(&repository, "deletes the record of incident");
    let report = AGAINST_MAIN.run(repository.root());
    assert_eq!(report.incidents.len(), 1, "the report shows it as open");
}

#[test]
fn by_deleting_a_record_that_cannot_be_read() {
    let repository = repository("");
    repository.write(".custody/incidents/INC-20260101-00000000.toml", "state = ");
    repository.commit("a broken record");
    repository.git(["checkout", "--quiet", "-b", "change"]);
    fs::remove_file(repository.path(".custody/incidents/INC-20260101-00000000.toml")).expect("removed");
    repository.commit("disarm");
    assert_may_release(&UNGUARDED.run(repository.root()));
    assert_verdicts(&AGAINST_MAIN.run(repository.root()), &[("ROT-2", Verdict::Fail)]);
}

#[test]
fn a_change_that_touches_nothing_of_this_is_not_reported() {
    let repository = repository("");
    repository.git(["checkout", "--quiet", "-b", "change"]);
    repository.write("src/main.rs", "fn main() { }\n");
    repository.commit("honest");
    let report = AGAINST_MAIN.run(repository.root());
    assert_may_release(&report);
    assert_eq!(report.diagnostics, []);
    assert!(report.contract.and_then(|c| c.base).is_some());
}

const CREDENTIAL: &str = "[[credential]]\nreference = \"cred://openops/prod/readonly\"\nowner = \"o\"\ncontact = \"c@example.com\"\nwindow = \"90d\"\nprocedure = \"src/main.rs\"\nlast-rotation = 2026-11-20\n";

/// Writes a proof of the credential by a document, and the document too if it is to be at hand.
fn prove(repository: &Repository, permissions: &str, here: bool) {
    use custody_credential::prove::{
        DEFAULT_DIRECTORY, DEFAULT_VALIDITY, Input, Proof, ProveOptions, proof_path, prove,
    };
    let reference = custody_contract::CredentialRef::parse("cred://openops/prod/readonly").expect("valid");
    let text =
        format!(r#"{{"permissions": {{"create": false, "read": {permissions}, "update": false, "delete": false}}}}"#);
    let inputs = [Input::grant("ops/token.json", text.as_bytes())];
    let verdict = prove(&inputs, &ProveOptions::default()).expect("a token");
    let limit = verdict.language.usual_exposure();
    let made = "2026-11-23T08:00:00Z".parse().expect("a time");
    let proof = Proof::new(verdict, &inputs, Some(&reference), limit, made, DEFAULT_VALIDITY);
    let path = proof_path(Path::new(DEFAULT_DIRECTORY), &reference);
    repository.write(path.to_str().expect("text"), serde_json::to_vec(&proof).expect("JSON"));
    if here {
        repository.write("ops/token.json", text);
    }
}

fn cred_3(repository: &Repository, check: Check<'_>) -> Verdict {
    repository.commit("a proof");
    clause(&check.run(repository.root()), "CRED-3").verdict
}

#[test]
fn by_a_proof_of_documents_that_nobody_sees() {
    let repository = repository(CREDENTIAL);
    repository.git(["checkout", "--quiet", "-b", "change"]);
    assert_eq!(cred_3(&repository, AGAINST_MAIN), Verdict::Fail);
    prove(&repository, "[[\"table\", 7]]", false);
    assert_eq!(cred_3(&repository, UNGUARDED), Verdict::Pass);
    assert_eq!(cred_3(&repository, AGAINST_MAIN), Verdict::Fail);
    // What can be judged again here is no claim.
    prove(&repository, "[[\"table\", 7]]", true);
    assert_eq!(cred_3(&repository, AGAINST_MAIN), Verdict::Pass);
}

#[test]
fn by_a_looser_demand_for_proofs() {
    let waiver = "[[waiver]]\nid = \"w\"\nclause = \"CRED-3\"\nreferences = []\nowner = \"me\"\nreason = \"trust me\"\nexpires = 2027-01-01\n";
    let repository = repository(CREDENTIAL);
    repository.git(["checkout", "--quiet", "-b", "change"]);
    repository
        .write("custody.toml", format!("[proof]\nrequired-in = []\ndirectory = \"elsewhere\"\n{CREDENTIAL}{waiver}"));
    assert_disarmed_only_without_a_base(&repository, "where a credential needs a read-only proof");
    let report = AGAINST_MAIN.run(repository.root());
    assert!(said(&report, CODE, "where read-only proofs lie"));
}
