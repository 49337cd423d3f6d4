//! Requests: normalisation, credentials, auth modes, adapters, context (CRED-1 to CRED-4, BILL-1 to BILL-3).

mod support;

use std::collections::BTreeMap;

use custody_billing::{BillingCheck, DocumentOutcome, ErrorCode, IngestMode, Mode, ToolHint};
use custody_contract::{AuthMode, Diagnostic, Environment, Level};
use serde_json::{Value, json};
use support::*;

fn aws() -> Value {
    json(&files(), &path("aws", "request.valid.json"))
}

fn validate(check: &BillingCheck<'_>, value: &Value) -> DocumentOutcome {
    check.validate_bytes("request.json", serde_json::to_string_pretty(value).expect("serialises").as_bytes(), None)
}

fn with(field: &str, value: Value) -> Value {
    let mut request = aws();
    request[field] = value;
    request
}

fn without(field: &str) -> Value {
    let mut request = aws();
    request.as_object_mut().expect("object").remove(field);
    request
}

/// The one problem at error level.
fn only_error(outcome: &DocumentOutcome) -> (ErrorCode, &'static str, &str) {
    let errors: Vec<_> = outcome.problems.iter().filter(|p| p.is_error()).collect();
    assert_eq!(errors.len(), 1, "{:?}", outcome.problems);
    (errors[0].code, errors[0].reason, &errors[0].pointer)
}

#[test]
fn a_bare_request_is_normalised_with_defaults() {
    let outcome = validate(&local(), &without("authMode"));
    let request = outcome.request.expect("valid");
    assert_eq!(request.auth_mode, AuthMode::ReadOnly);
    assert_eq!(request.ingest_mode, IngestMode::Deterministic);
    assert_eq!((request.adapter_id.as_str(), request.adapter_resolution.used_fallback), ("aws-billing", false));
    assert_eq!(request.context.request_id, request.integration_run_id);
    assert_eq!(request.context.trace_id, request.integration_run_id);
    let json = serde_json::to_value(&request).expect("serialises");
    assert_eq!(json["accountScope"], json!(["123456789012"]));
    assert_eq!(json["authMode"], "read-only");
    assert_eq!(json["period"]["endDate"], "2026-01-31");
    assert_eq!(outcome.references[0].0.as_str(), "cred://aws/123456789012/readonly");
    assert_eq!(outcome.references[0].1.pointer.as_deref(), Some("/credentialRef"));
}

#[test]
fn an_envelope_gives_its_context_and_points_into_input() {
    let context = json!({"requestId": "req-1", "traceId": "trace-1", "workspaceId": "w", "mode": "operator"});
    let request = validate(&local(), &json!({"context": context, "input": aws()})).request.expect("valid");
    assert_eq!((request.context.request_id.as_str(), request.context.mode.as_deref()), ("req-1", Some("operator")));
    let outcome = validate(&local(), &json!({"context": context, "input": with("currency", json!("usd"))}));
    assert_eq!(only_error(&outcome), (ErrorCode::ValidationError, "invalid_currency", "/input/currency"));
}

#[test]
fn half_an_envelope_is_refused() {
    let mut half = aws();
    half["input"] = with("authMode", json!("write"));
    assert_eq!(only_error(&validate(&local(), &half)).1, "incomplete_envelope");
    let outcome = validate(&local(), &json!({"context": {}, "input": aws()}));
    let pointers: Vec<&str> = outcome.problems.iter().map(|p| p.pointer.as_str()).collect();
    assert_eq!(pointers, ["/context/requestId", "/context/traceId"]);
}

#[test]
fn a_missing_reference_depends_on_the_environment() {
    let request = without("credentialRef");
    let outcome = validate(&local(), &request);
    assert!(outcome.is_valid());
    assert_eq!(outcome.problems.iter().filter(|p| p.level == Level::Warning).count(), 1);
    let warning = "credentialRef not provided; using local development source profile.";
    assert_eq!(outcome.request.expect("valid").warnings, [warning]);
    for environment in [Environment::Stage, Environment::Prod] {
        let outcome = validate(&check(environment, Mode::Strict), &request);
        assert_eq!(only_error(&outcome), (ErrorCode::AuthError, "missing_credential_ref", "/credentialRef"));
        let normalised = outcome.problems.iter().find(|p| p.is_error()).expect("one").normalised();
        assert_eq!((normalised.adapter_id.as_str(), normalised.code), ("aws-billing", ErrorCode::AuthError));
        assert!(validate(&check(environment, Mode::Strict), &aws()).is_valid());
    }
    for value in [json!(null), json!(""), json!(7), json!("aws/readonly"), json!("cred://aws/readonly")] {
        assert_eq!(only_error(&validate(&local(), &with("credentialRef", value))).0, ErrorCode::AuthError);
    }
}

#[test]
fn a_reference_must_be_opaque_and_of_the_adapters_provider() {
    let outcome = validate(&local(), &with("credentialRef", json!("cred://gcp/project/readonly")));
    assert_eq!(only_error(&outcome).1, "credential_ref_of_other_provider");
    let key = fake_key();
    for text in [key.clone(), format!("cred://aws/{key}/readonly")] {
        let outcome = validate(&local(), &with("credentialRef", json!(text)));
        assert!(
            outcome.problems.iter().any(|p| p.reason == "secret_in_credential_ref" && p.code == ErrorCode::AuthError)
        );
        assert!(!outcome.findings.is_empty(), "a leak opens an incident");
        assert!(!format!("{outcome:?}").contains(&key));
    }
}

#[test]
fn other_auth_modes_are_refused_with_adapter_mode_and_support() {
    let outcome = validate(&local(), &with("authMode", json!("write")));
    assert_eq!(only_error(&outcome), (ErrorCode::AuthError, "unsupported_auth_mode", "/authMode"));
    assert_eq!(outcome.problems[0].what, "aws-billing does not support auth mode write; supported: read-only");
    let secret = ["hunter", "2-hunter2"].concat();
    let outcome = validate(&local(), &with("authMode", json!(secret)));
    assert!(outcome.problems[0].what.contains("does not support the given mode"), "{:?}", outcome.problems);
    for (value, reason) in [
        (json!(null), "null_auth_mode"),
        (json!(""), "empty_auth_mode"),
        (json!("Read-Only"), "unsupported_auth_mode"),
        (json!("read-only "), "unsupported_auth_mode"),
        (json!(true), "unsupported_auth_mode"),
        (json!(["read-only"]), "unsupported_auth_mode"),
    ] {
        assert_eq!(
            only_error(&validate(&local(), &with("authMode", value))),
            (ErrorCode::AuthError, reason, "/authMode")
        );
    }
}

#[test]
fn live_ingest_names_what_it_lacks_in_order() {
    let mut request = without("credentialRef");
    request["ingestMode"] = json!("live");
    let reasons = |outcome: &DocumentOutcome| -> Vec<&str> {
        outcome.problems.iter().filter(|p| p.is_error()).map(|p| p.reason).collect()
    };
    let all = ["missing_credential_ref", "missing_credentials_backend", "missing_secret_resolver_endpoint"];
    assert_eq!(reasons(&validate(&local(), &request)), all);
    let mut variables = BTreeMap::from([("BILLING_INGEST_MODE".to_owned(), "live".to_owned())]);
    let with_variables = BillingCheck { variables: &variables, ..local() };
    assert_eq!(reasons(&validate(&with_variables, &aws())), all[1..]);
    variables.insert("FICECAL_CREDENTIALS_BACKEND".into(), "local-dev".into());
    variables.insert("FICECAL_SECRET_RESOLVER_ENDPOINT".into(), "http://localhost:4100/resolve".into());
    let with_variables = BillingCheck { variables: &variables, ..local() };
    let outcome = validate(&with_variables, &aws());
    assert_eq!(outcome.request.expect("valid").ingest_mode, IngestMode::Live);
    // The request decides over the variable.
    let outcome = validate(&with_variables, &with("ingestMode", json!("deterministic")));
    assert_eq!(outcome.request.expect("valid").ingest_mode, IngestMode::Deterministic);
}

#[test]
fn an_unknown_adapter_falls_back_in_local_and_is_refused_in_stage_and_prod() {
    let hint = ToolHint::Adapter("snowflake-billing".into());
    let mut request = without("credentialRef");
    request["mappingProfile"] = json!("default-snowflake-billing-v1");
    let bytes = request.to_string();
    let outcome = local().validate_bytes("r", bytes.as_bytes(), Some(&hint));
    let resolution = outcome.request.expect("valid").adapter_resolution;
    assert_eq!((resolution.resolved_adapter_id.as_str(), resolution.used_fallback), ("openops-billing", true));
    assert_eq!(resolution.requested_adapter_id, "snowflake-billing");
    let strict = check(Environment::Stage, Mode::Strict).validate_bytes("r", bytes.as_bytes(), Some(&hint));
    assert!(strict.problems.iter().any(|p| p.reason == "unknown_adapter" && p.code == ErrorCode::ValidationError));
    let malformed = ToolHint::Adapter("Snowflake".into());
    let outcome = local().validate_bytes("r", bytes.as_bytes(), Some(&malformed));
    assert!(outcome.problems.iter().any(|p| p.reason == "invalid_adapter_id"));
}

#[test]
fn whose_request_it_is_is_told_by_hint_path_field_profile_or_scope() {
    let plain = json!({
        "integrationRunId": "r", "startDate": "2026-01-01", "endDate": "2026-01-31", "currency": "USD", "mappingProfile": "default-v1",
    });
    let adapter = |name: &str, value: &Value, hint: Option<&ToolHint>| {
        local().validate_bytes(name, value.to_string().as_bytes(), hint).adapter
    };
    assert_eq!(adapter("r.json", &plain, None), None);
    let unnamed = local().validate_bytes("r.json", plain.to_string().as_bytes(), None);
    assert_eq!(only_error(&unnamed).1, "adapter_not_named");
    assert_eq!(unnamed.problems.iter().find(|p| p.is_error()).expect("one").normalised().adapter_id, "unknown-billing");
    let expect = |found: Option<String>, id: &str| assert_eq!(found.as_deref(), Some(id));
    expect(adapter("r.json", &plain, Some(&ToolHint::Tool("billing.gcp.ingest".into()))), "gcp-billing");
    expect(adapter("x/billing.azure.ingest/2.0/r.json", &plain, None), "azure-billing");
    let mut by = plain.clone();
    by["adapterId"] = json!("oci-billing");
    expect(adapter("r.json", &by, None), "oci-billing");
    let mut by = plain.clone();
    by["mappingProfile"] = json!("default-ibm-billing-v2");
    expect(adapter("r.json", &by, None), "ibm-billing");
    let mut by = plain;
    by["workspaceScope"] = json!(["w"]);
    expect(adapter("r.json", &by, None), "openops-billing");
}

#[test]
fn wrong_values_are_named_all_in_one_run() {
    let request = json!({
        "integrationRunId": " ", "startDate": "2026-02-30", "endDate": "31.01.2026", "currency": "XXX",
        "mappingProfile": "Default AWS", "ingestMode": "LIVE", "accountScope": ["", 1], "tenantScope": "t", "providerScope": [],
        "authMode": "write", "credentialRef": "nope",
    });
    let outcome =
        local().validate_bytes("r", request.to_string().as_bytes(), Some(&ToolHint::Adapter("aws-billing".into())));
    let mut pointers: Vec<&str> =
        outcome.problems.iter().filter(|p| p.is_error()).map(|p| p.pointer.as_str()).collect();
    pointers.sort_unstable();
    assert_eq!(
        pointers,
        [
            "/accountScope/0",
            "/accountScope/1",
            "/authMode",
            "/credentialRef",
            "/currency",
            "/endDate",
            "/ingestMode",
            "/integrationRunId",
            "/mappingProfile",
            "/providerScope",
            "/startDate",
            "/tenantScope",
        ]
    );
    for reversed in [json!("2025-12-31"), json!("2026-01-00")] {
        assert_eq!(only_error(&validate(&local(), &with("endDate", reversed))).2, "/endDate");
    }
    assert!(validate(&local(), &with("endDate", json!("2026-01-01"))).is_valid(), "one day is a period");
}

#[test]
fn auth_bearing_fields_are_refused_at_any_depth_and_cursors_are_not() {
    let scope = json!({
        "datasetRegion": "us-central1", "nextPageToken": "abc", "tokenCount": 3, "author": "x", "http": {"headers": {"X": "y"}},
        "deep": [{"Client_Secret": "x"}], "url": "https://u:p@host/", "pair": {"name": "Authorization", "value": "x"},
    });
    let outcome = validate(&local(), &with("providerScope", scope));
    let mut pointers: Vec<&str> =
        outcome.problems.iter().filter(|p| p.is_error()).map(|p| p.pointer.as_str()).collect();
    pointers.sort_unstable();
    assert_eq!(
        pointers,
        [
            "/providerScope/deep/0/Client_Secret",
            "/providerScope/http/headers",
            "/providerScope/pair/value",
            "/providerScope/url",
        ]
    );
    assert!(outcome.problems.iter().filter(|p| p.is_error()).all(|p| p.clause.as_ref().is_some_and(|c| c == "CRED-2")));
    for (field, reason) in [
        ("auth_mode", "misspelt_auth_field"),
        ("CredentialRef", "misspelt_auth_field"),
        ("token", "auth_bearing_field"),
    ] {
        assert_eq!(only_error(&validate(&local(), &with(field, json!("x")))).1, reason);
    }
    assert!(validate(&local(), &with("note", json!("x"))).is_valid(), "an unknown field is a warning");
}

#[test]
fn secrets_are_found_in_keys_escapes_and_pieces() {
    let key = fake_key();
    let escaped: String = key.chars().map(|c| format!("\\u{:04x}", c as u32)).collect();
    let (head, tail) = key.split_at(9);
    let cases = [
        ("key", with("providerScope", json!({ key.clone(): 1 })).to_string()),
        ("escape", with("providerScope", json!({"x": "@"})).to_string().replace('@', &escaped)),
        ("array pieces", with("accountScope", json!([head, tail])).to_string()),
        ("key and value", with("providerScope", json!({ head: tail })).to_string()),
        ("fields of an object", with("providerScope", json!({"a": head, "b": tail})).to_string()),
        ("levels", with("providerScope", json!({"a": &key[..7], "b": {"c": &key[7..14], "d": [{"e": &key[14..]}]}})).to_string()),
        ("far apart", with("providerScope", json!([[head], {"n": 1, "t": tail}])).to_string()),
        ("bytes", with("providerScope", json!({"type": "Buffer", "data": key.bytes().collect::<Vec<_>>()})).to_string()),
        ("invisible characters", with("providerScope", json!({"x": key.chars().flat_map(|c| [c, '\u{200b}']).collect::<String>()})).to_string()),
        (
            "full width",
            with("providerScope", json!({"x": key.chars().map(|c| char::from_u32(c as u32 + 0xfee0).expect("a character")).collect::<String>()})).to_string(),
        ),
        ("truncated document", format!("{{\"accountScope\": [\"{key}\"")),
        (
            "repeated field",
            with("accountScope", json!(["@"])).to_string().replacen(
                '{',
                &format!("{{\"accountScope\": [\"{key}\"],"),
                1,
            ),
        ),
    ];
    for (case, text) in cases {
        let outcome = local().validate_bytes("r", text.as_bytes(), Some(&ToolHint::Adapter("aws-billing".into())));
        let found = outcome.problems.iter().find(|p| p.reason == "secret_material");
        let found = found.unwrap_or_else(|| panic!("{case} is not found: {:?}", outcome.problems));
        assert_eq!(found.clause.as_ref().map(|c| c.as_str()), Some("CRED-1"));
        assert!(found.line > 0, "{case}");
        assert_eq!(outcome.findings.len(), 1, "{case}");
        let diagnostics: Vec<Diagnostic> = outcome.problems.iter().map(Diagnostic::from).collect();
        let shown = format!("{outcome:?} {diagnostics:?}");
        assert!(!shown.contains(&key) && !shown.contains(&escaped), "{case} is shown");
    }
}

#[test]
fn a_generic_secret_is_told_by_its_name() {
    let secret = fake_secret();
    let outcome = validate(&local(), &with("providerScope", json!({"apiKey": secret.clone()})));
    let reasons: Vec<&str> = outcome.problems.iter().map(|p| p.reason).collect();
    assert!(reasons.contains(&"secret_material") && reasons.contains(&"auth_bearing_field"), "{reasons:?}");
    assert!(!format!("{outcome:?}").contains(&secret));
}

#[test]
fn duplicate_keys_are_refused_even_where_both_are_fine() {
    let text = aws().to_string().replacen('{', "{\"authMode\":\"write\",", 1);
    let outcome = local().validate_bytes("r", text.as_bytes(), None);
    assert_eq!(only_error(&outcome), (ErrorCode::ValidationError, "duplicate_key", "/authMode"));
}

#[test]
fn evaluations_say_which_clause_fails_and_which_does_not_apply() {
    let contract = custody_contract::Contract::load(
        "[billing]\nrequests = [\"requests\"]\n",
        "custody.toml",
        jiff::civil::date(2026, 1, 1),
    )
    .expect("valid");
    let check = BillingCheck { contract: &contract, ..check(Environment::Prod, Mode::Strict) };
    let mut files = files();
    let outcome = check.validate_tree(&tree(&files));
    for evaluation in [
        &outcome.cred1,
        &outcome.cred2,
        &outcome.cred3,
        &outcome.cred4,
        &outcome.bill1,
        &outcome.bill2,
        &outcome.bill3,
        &outcome.val1,
    ] {
        assert!(
            !evaluation.fails() && evaluation.not_applicable.is_none() && !evaluation.evidence.is_empty(),
            "{evaluation:?}"
        );
    }
    assert_eq!((outcome.references.len(), outcome.coverage.read), (8, 16));
    let mut bad = without("credentialRef");
    bad["authMode"] = json!("write");
    files.insert("requests/one.json".into(), bad.to_string().into_bytes());
    let outcome = check.validate_tree(&tree(&files));
    let fails = [
        &outcome.cred1,
        &outcome.cred2,
        &outcome.cred3,
        &outcome.cred4,
        &outcome.bill1,
        &outcome.bill2,
        &outcome.bill3,
    ]
    .map(|e| e.fails());
    assert_eq!(fails, [false, false, true, false, true, false, true]);
    // A leak in a request that must be refused is a leak.
    files.insert(path("aws", "request.invalid.json"), with("authMode", json!(fake_key())).to_string().into_bytes());
    let outcome = check.validate_tree(&tree(&files));
    assert!(outcome.cred1.fails() && outcome.findings.len() == 1);
    let empty = check.validate_tree(&tree(&BTreeMap::new()));
    assert!(
        empty.cred1.not_applicable.is_some()
            && empty.val1.not_applicable.is_some()
            && empty.bill3.not_applicable.is_some()
    );
}

#[test]
fn a_huge_or_hostile_document_is_answered_in_bounded_time() {
    let start = std::time::Instant::now();
    let key = fake_key();
    let many: Vec<String> = (0..9_000).map(|n| format!("{key}{n}")).collect();
    let fields: serde_json::Map<String, Value> =
        (0..20_000).map(|n| (format!("token{n}"), json!("x=://@;y"))).collect();
    for scope in [json!({"a": many}), Value::Object(fields), json!({"a": "x".repeat(3 << 20)})] {
        let outcome = validate(&local(), &with("providerScope", scope));
        assert!(outcome.problems.len() <= 201);
    }
    let wide = with("accountScope", json!((0..90_000).map(|n| n.to_string()).collect::<Vec<_>>()));
    assert!(validate(&local(), &wide).is_valid());
    assert!(start.elapsed().as_secs() < 60, "{:?}", start.elapsed());
}

#[test]
fn a_files_name_cannot_end_a_line() {
    let outcome = local().validate_bytes("a\n[x] OK", b"{}", None);
    assert!(outcome.problems.iter().all(|p| !p.file.contains('\n')));
}

#[test]
fn the_first_users_contract_file_is_valid() {
    let text = include_str!("../../../packaging/ficecal/custody.toml");
    let contract =
        custody_contract::Contract::load(text, "custody.toml", jiff::civil::date(2026, 1, 1)).expect("valid");
    let check = BillingCheck { contract: &contract, ..check(Environment::Prod, Mode::Strict) };
    assert_eq!(check.validate_tree(&tree(&files())).packs.len(), 4);
}

#[test]
fn ordinary_ids_are_no_secrets() {
    let subscription = "3f2504e0-4f89-11d3-9a0c-0305e82c3301";
    let request = json!({
        "integrationRunId": "7f9c24e8b1d04c6f9a3e5d2b8c1f0a47", "startDate": "2026-01-01", "endDate": "2026-01-31", "currency": "EUR",
        "mappingProfile": "default-azure-billing-v1", "credentialRef": format!("cred://azure/{subscription}/readonly"),
        "subscriptionScope": [subscription, "0e984725-c51c-4bf4-9960-e1c80e27aba0"], "tenantScope": ["72f988bf-86f1-41af-91ab-2d7cd011db47"],
        "providerScope": {
            "exportPath": "abfss://exports@finopsstore.dfs.core.windows.net/daily/2026-01",
            "resourceId": format!("/subscriptions/{subscription}/resourceGroups/rg-finops/providers/Microsoft.Storage/storageAccounts/x"),
            "arn": "arn:aws:s3:::finops-export-123456789012/cur2", "etag": "d41d8cd98f00b204e9800998ecf8427e",
        },
    });
    let outcome = validate(&check(Environment::Prod, Mode::Strict), &request);
    let named: Vec<_> = outcome.problems.iter().map(|p| (p.reason, p.pointer.as_str())).collect();
    assert_eq!(named, []);
}
