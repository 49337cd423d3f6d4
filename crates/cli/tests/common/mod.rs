//! A repository that keeps the whole contract, for tests that break one thing in it.

use std::path::Path;

use custody_contract::CredentialRef;
use custody_credential::prove::{DEFAULT_DIRECTORY, DEFAULT_VALIDITY, Input, Proof, ProveOptions, proof_path, speaks};
use custody_testkit::{Repository, Run, custody};

/// Runs the binary in a repository, with no variables set.
pub fn run(repository: &Repository, arguments: &[&str]) -> Run {
    run_with(repository.root(), arguments, &[], b"")
}

/// Runs the binary anywhere.
pub fn run_with(directory: &Path, arguments: &[&str], variables: &[(&str, &str)], stdin: &[u8]) -> Run {
    custody(Path::new(env!("CARGO_BIN_EXE_custody")), directory, arguments, variables, stdin)
}

/// The verdict of one clause in a JSON report, with its `incomplete`.
#[allow(dead_code, reason = "each test file uses a part of this module")]
pub fn verdict(report: &serde_json::Value, clause: &str) -> (String, bool) {
    let clauses = report["clauses"].as_array().expect("clauses");
    let found = clauses.iter().find(|c| c["clause"] == clause).expect("the clause is there");
    (found["verdict"].as_str().expect("text").to_owned(), found["incomplete"].as_bool().expect("bool"))
}

/// Packs of the four tools that agree with their requests.
const PACKS: [(&str, &str, &str, f64, f64, &str); 4] = [
    ("openops", "workspaceScope", "workspace-alpha", 1194.0, 1373.1, r#"[]"#),
    (
        "aws",
        "accountScope",
        "123456789012",
        1251.0,
        1401.12,
        r#"["Retry policy configured: maxAttempts=3, baseBackoffMs=250."]"#,
    ),
    (
        "azure",
        "subscriptionScope",
        "sub-1234",
        1736.0,
        1926.96,
        r#"["Pagination policy: pageSize=5, pages=1, totalRows=4.", "Incremental sync baseline anchored to requested billing window."]"#,
    ),
    (
        "gcp",
        "billingAccountScope",
        "01A2B3-4C5D6E-7F8A9B",
        1325.0,
        1444.25,
        r#"["Telemetry baseline: billing.run and billing.mapping.summary emitted.", "Recommender-ready provenance baseline enabled."]"#,
    ),
];

/// Path of a pack's file.
pub fn pack(provider: &str, file: &str) -> String {
    format!("tests/contracts/fixtures/mcp/billing.{provider}.ingest/1.0/{file}")
}

/// A repository on which every clause passes or does not apply, committed.
pub fn clean() -> Repository {
    let repository = Repository::new();
    let today = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).date();
    let rotated = today.checked_sub(jiff::Span::new().days(10)).expect("a day");
    let mut contract = String::from("contract = \"ficecal\"\ndefault-environment = \"prod\"\n");
    for (provider, scope) in PACKS.map(|p| (p.0, p.2)) {
        contract.push_str(&format!(
            "[[credential]]\nreference = \"cred://{provider}/{scope}/readonly\"\nowner = \"finops\"\ncontact = \"finops@example.com\"\nwindow = \"90d\"\nprocedure = \"docs/rotation.md\"\nlast-rotation = {rotated}\nenvironments = [\"prod\"]\n"
        ));
    }
    repository.write("custody.toml", contract);
    repository.write("docs/rotation.md", "# Rotation\n\nAsk the platform team.\n");
    repository.write(".env.example", TEMPLATE.replace("{env}", "development").replace("{mode}", "fallback"));
    repository.write(".env.production.example", TEMPLATE.replace("{env}", "production").replace("{mode}", "strict"));
    repository.write("src/config.ts", "export const api = process.env.FICECAL_API_BASE;\n");
    repository.write("tests/fixtures/row.json", "{\"cost\": 12.5}\n");
    repository.write("tests/evidence/p01/run.md", "## Proof Artifacts\n\nAll rows matched.\n");
    repository.write("logs/app.log", "2026-11-01T10:00:00Z INFO started\n");
    repository.write(
        "package.json",
        "{\"name\": \"finops\", \"scripts\": {\"validate\": \"custody check --no-incident\"}}\n",
    );
    for (provider, field, scope, total, budget, warnings) in PACKS {
        let run = "00000000-0000-4000-8000-000000000101";
        let request = format!(
            "{{\"integrationRunId\": \"{run}\", \"startDate\": \"2026-01-01\", \"endDate\": \"2026-01-31\", \"currency\": \"USD\", \"mappingProfile\": \"default-{provider}-billing-v1\", \"credentialRef\": \"cred://{provider}/{scope}/readonly\", \"authMode\": \"read-only\", \"{field}\": [\"{scope}\"]}}\n"
        );
        let response = format!(
            "{{\"integrationRunId\": \"{run}\", \"providerAdapterId\": \"{provider}-billing\", \"scope\": {{\"startDate\": \"2026-01-01\", \"endDate\": \"2026-01-31\", \"currency\": \"USD\"}}, \"canonical\": {{\"infraTotal\": {total}, \"cudPct\": 66, \"budgetCap\": {budget}, \"nRef\": 4}}, \"provenance\": {{\"sourceVersion\": \"{provider}-readonly-v1.0.0\", \"coveragePct\": 88, \"mappingConfidence\": \"medium\", \"warnings\": {warnings}}}}}\n"
        );
        repository.write(&pack(provider, "request.valid.json"), request);
        repository.write(&pack(provider, "response.expected.json"), response);
    }
    for (provider, scope) in PACKS.map(|p| (p.0, p.2)) {
        prove(&repository, provider, &format!("cred://{provider}/{scope}/readonly"));
    }
    repository.commit("A repository that keeps the contract");
    repository
}

/// A policy that only reads, of each provider.
const POLICIES: [(&str, &str); 4] = [
    ("openops", r#"{"permissions": {"create": false, "read": [["table", 7]], "update": false, "delete": false}}"#),
    ("aws", r#"{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "ce:Get*", "Resource": "*"}]}"#),
    ("azure", r#"{"permissions": [{"actions": ["Microsoft.CostManagement/*/read"], "notActions": []}]}"#),
    ("gcp", r#"{"includedPermissions": ["storage.objects.get", "storage.objects.list"]}"#),
];

/// Writes a policy that only reads, and the proof of a credential by it.
pub fn prove(repository: &Repository, provider: &str, reference: &str) {
    let policy = POLICIES.iter().find(|(known, _)| *known == provider).expect("a policy").1;
    let path = format!("ops/policies/{provider}.json");
    repository.write(&path, format!("{policy}\n"));
    prove_by(repository, &path, reference);
}

/// Writes the proof of a credential by a file of the repository, whatever it says.
pub fn prove_by(repository: &Repository, path: &str, reference: &str) {
    let reference = CredentialRef::parse(reference).expect("a reference");
    let policy = std::fs::read(repository.path(path)).expect("the policy is there");
    let inputs = [Input::grant(path, &policy)];
    let options = ProveOptions { language: speaks(&reference), ..ProveOptions::default() };
    let verdict = custody_credential::prove::prove(&inputs, &options).expect("a policy");
    let limit = verdict.language.usual_exposure();
    let proof = Proof::new(verdict, &inputs, Some(&reference), limit, jiff::Timestamp::now(), DEFAULT_VALIDITY);
    let place = proof_path(Path::new(DEFAULT_DIRECTORY), &reference);
    repository.write(place.to_str().expect("text"), serde_json::to_string_pretty(&proof).expect("JSON"));
}

const TEMPLATE: &str = "\
NODE_ENV={env}
FICECAL_API_BASE=http://localhost:3000
FICECAL_MCP_BASE=http://localhost:4000
FICECAL_CREDENTIALS_BACKEND=local-dev
BILLING_ADAPTER_RESOLUTION_MODE={mode}
";
