use super::super::*;
use super::*;
use crate::prove::Access;

fn judged(document: &str) -> Verdict {
    super::prove(&[Input::grant("p.json", document.as_bytes())], &AwsOptions::default()).expect("a policy")
}

fn statement(rest: &str) -> String {
    format!(r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Resource":"*",{rest}}}]}}"#)
}

#[test]
fn reading_is_proved_and_writing_is_not() {
    let verdict = judged(&statement(r#""Action":["ce:Get*","BUDGETS:viewbudget"]"#));
    assert_eq!((verdict.access, verdict.exposure), (Access::ProvedReadOnly, Exposure::BillingScoped));
    let verdict = judged(&statement(r#""Sid":"X","Action":["s3:GetObject","s3:PutObject"]"#));
    assert_eq!((verdict.access, verdict.exposure), (Access::NotReadOnly, Exposure::ReadsBusinessData));
    assert_eq!(verdict.offences[0].actions, ["s3:PutObject"]);
    assert_eq!(verdict.offences[0].at.to_string(), "Statement 1 (Sid X) at p.json:1:38#/Statement/0");
    assert!(verdict.minimal.is_some());
}

fn together(inputs: &[Input<'_>]) -> Verdict {
    super::prove(inputs, &AwsOptions::default()).expect("policies")
}

#[test]
fn denies_subtract_only_without_condition_and_where_they_cover() {
    let allow = r#"{"Effect":"Allow","Action":["s3:GetObject","s3:PutObject"],"Resource":"arn:aws:s3:::b/p/*"}"#;
    for (deny, access) in [
        (r#""Action":"s3:Put*","Resource":"*""#, Access::ProvedReadOnly),
        (r#""Action":"s3:Put*","Resource":"arn:aws:s3:::b/*""#, Access::ProvedReadOnly),
        (r#""Action":"s3:Put*","Resource":"arn:aws:s3:::b/p/x/*""#, Access::NotReadOnly),
        (r#""Action":"s3:Put*","Resource":"arn:aws:s3:::${aws:username}/*""#, Access::NotReadOnly),
        (r#""NotAction":"s3:Get*","Resource":"*""#, Access::ProvedReadOnly),
        (r#""Action":"s3:Put*","NotResource":"arn:aws:s3:::c/*""#, Access::ProvedReadOnly),
        (r#""Action":"s3:Put*","NotResource":"arn:aws:s3:::b/*""#, Access::NotReadOnly),
        (
            r#""Action":"s3:Put*","Resource":"*","Condition":{"Bool":{"aws:SecureTransport":"false"}}"#,
            Access::NotReadOnly,
        ),
    ] {
        let document = format!(r#"{{"Statement":[{allow},{{"Effect":"Deny",{deny}}}]}}"#);
        assert_eq!(judged(&document).access, access, "{deny}");
    }
}

#[test]
fn what_cannot_be_told_is_not_proven() {
    for rest in [
        r#""NotAction":"iam:*""#,
        r#""Action":"nosuch:Get*""#,
        r#""Action":"sts:AssumeRole""#,
        r#""Action":"iam:PassRole""#,
    ] {
        assert!(judged(&statement(rest)).access >= Access::NotProven, "{rest}");
    }
    assert_eq!(judged(&statement(r#""Action":"sts:AssumeRole""#)).access, Access::NotProven);
    assert_eq!(judged(&statement(r#""Action":"sts:GetSessionToken""#)).exposure, Exposure::ReadsCredentials);
}

#[test]
fn decrypting_passes_only_through_s3() {
    let decrypt =
        |condition: &str| judged(&statement(&format!(r#""Action":"kms:Decrypt","Condition":{condition}"#))).access;
    let named = Access::ReadOnlyWithNamedExceptions;
    assert_eq!(decrypt(r#"{"StringEquals":{"kms:ViaService":"s3.eu-west-1.amazonaws.com"}}"#), named);
    assert_eq!(decrypt(r#"{"StringLike":{"KMS:viaservice":["s3.*.amazonaws.com"]}}"#), named);
    assert_eq!(decrypt(r#"{"StringLike":{"kms:ViaService":"*.amazonaws.com"}}"#), Access::NotReadOnly);
    assert_eq!(
        decrypt(r#"{"StringEqualsIfExists":{"kms:ViaService":"s3.eu-west-1.amazonaws.com"}}"#),
        Access::NotReadOnly
    );
    assert_eq!(decrypt("{}"), Access::NotReadOnly);
}

#[test]
fn boundaries_and_session_policies_limit() {
    let (all, read) = (statement(r#""Action":"*""#), statement(r#""Action":["ce:Get*"]"#));
    for role in [Role::Boundary, Role::Session, Role::ServiceControl] {
        let inputs = [Input::grant("a", all.as_bytes()), Input { name: "b", bytes: read.as_bytes(), role }];
        assert_eq!(together(&inputs).access, Access::ProvedReadOnly);
    }
    let alone = [Input { name: "b", bytes: read.as_bytes(), role: Role::Session }];
    assert_eq!(together(&alone).access, Access::ProvedReadOnly);
}

#[test]
fn the_minimal_policy_is_what_it_says() {
    let options = AwsOptions { exports: vec!["s3://EXPORT-BUCKET/EXPORT-PREFIX".into()], ..AwsOptions::default() };
    let verdict = super::prove(&[Input::grant("m", minimal::POLICY.as_bytes())], &options).expect("a policy");
    assert_eq!(verdict.access, Access::ReadOnlyWithNamedExceptions, "{:?}", verdict.offences);
    assert_eq!(verdict.exposure, Exposure::BillingScoped, "{:?}", verdict.readings);
}

#[test]
fn policies_are_found_in_what_holds_them() {
    let document = statement(r#""Action":"s3:PutObject""#);
    let escaped = serde_json::Value::String(document.clone()).to_string();
    for holder in [
        format!(r#"{{"PolicyVersion":{{"Document":{document},"VersionId":"v1"}}}}"#),
        format!(
            r#"{{"Resources":{{"R":{{"Type":"AWS::IAM::Role","Properties":{{"Policies":[{{"PolicyDocument":{document}}}]}}}}}}}}"#
        ),
        format!(r#"{{"planned_values":{{"policy":{escaped}}}}}"#),
        r#"{"ManagedPolicyArns":["arn:aws:iam::aws:policy/AWSXrayWriteOnlyAccess"]}"#.to_owned(),
    ] {
        assert_eq!(judged(&holder).access, Access::NotReadOnly, "{holder}");
    }
    // A deny of one identity takes nothing from another.
    let deny = r#"{"Statement":{"Effect":"Deny","Action":"*","Resource":"*"}}"#;
    assert_eq!(judged(&format!(r#"{{"a":{document},"b":{deny}}}"#)).access, Access::NotReadOnly);
    assert_eq!(judged(r#"{"ManagedPolicyArns":[{"Ref":"X"}]}"#).access, Access::NotProven);
}

#[test]
fn hostile_policies_end_soon_and_prove_nothing() {
    let wild = judged(&statement(&format!(r#""Action":"s3:{}""#, "*?".repeat(500_000))));
    assert_eq!(wild.access, Access::NotProven);
    let many = format!(
        r#"{{"Statement":[{}]}}"#,
        vec![r#"{"Effect":"Allow","Action":"*","Resource":"*"}"#; 100_000].join(",")
    );
    assert_eq!(judged(&many).access, Access::NotReadOnly);
    let reads: Vec<String> =
        (0..100_000).map(|n| format!(r#"{{"Effect":"Allow","Action":"ce:Get*","Resource":"r{n}"}}"#)).collect();
    assert!(judged(&format!(r#"{{"Statement":[{}]}}"#, reads.join(","))).access <= Access::NotProven);
    for bad in [
        "{\"Statement\":[{\"Effect\":\"Allow\",\"Effect\":\"Deny\",\"Action\":\"*\",\"Resource\":\"*\"}]}",
        "{\"Statement\":[{\"Effect\":\"allow\",\"Action\":\"*\"}]}",
        "{}",
        "[]",
    ] {
        assert!(super::prove(&[Input::grant("p", bad.as_bytes())], &AwsOptions::default()).is_err(), "{bad}");
    }
    let shown = judged(&statement("\"Action\":\"a\\u001b[31m\\u202e:b\""));
    assert!(!format!("{:?}", shown.offences).contains('\u{1b}'));
}

mod properties {
    use proptest::prelude::*;

    use super::*;

    const ACTIONS: [&str; 10] = [
        "*",
        "s3:*",
        "s3:Get*",
        "s3:PutObject",
        "ce:Get*",
        "nosuch:X",
        "sts:AssumeRole",
        "kms:Decrypt",
        "S3:get?bject",
        "ec2:Describe*",
    ];
    const RESOURCES: [&str; 4] = ["*", "arn:aws:s3:::b/*", "arn:aws:s3:::b/p/*", "arn:aws:s3:::c"];

    fn any_statement(effect: &'static str) -> impl Strategy<Value = String> {
        (prop::sample::select(&ACTIONS[..]), prop::sample::select(&RESOURCES[..]), any::<bool>()).prop_map(
            move |(action, resource, not)| {
                let key = if not { "NotAction" } else { "Action" };
                format!(r#"{{"Effect":"{effect}","{key}":"{action}","Resource":"{resource}"}}"#)
            },
        )
    }

    fn axes(statements: &[String]) -> (Access, Exposure) {
        let verdict = judged(&format!(r#"{{"Version":"2012-10-17","Statement":[{}]}}"#, statements.join(",")));
        (verdict.access, verdict.exposure)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn an_allow_more_is_never_better_and_a_deny_more_never_worse(
            base in prop::collection::vec(prop_oneof![any_statement("Allow"), any_statement("Deny")], 0..4),
            allow in any_statement("Allow"),
            deny in any_statement("Deny"),
        ) {
            let before = axes(&base);
            let with = |more: &String| axes(&[base.clone(), vec![more.clone()]].concat());
            let (wider, narrower) = (with(&allow), with(&deny));
            prop_assert!(wider.0 >= before.0 && wider.1 >= before.1);
            prop_assert!(narrower.0 <= before.0 && narrower.1 <= before.1);
        }
    }
}
