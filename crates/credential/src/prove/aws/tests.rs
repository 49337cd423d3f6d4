use super::super::*;
use super::*;
use crate::prove::{Access, ProveOptions, prove as judge_any, sha256};

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

#[test]
fn the_digests_beside_the_tables_are_theirs() {
    let digests: Vec<String> = super::tables().into_iter().map(|t| t.sha256).collect();
    assert_eq!(digests, [sha256(table::text().as_bytes()), sha256(managed::text().as_bytes())]);
}

/// How a document is judged whose language is recognised.
fn access(name: &str, text: &str) -> Access {
    let inputs = [Input::grant(name, text.as_bytes())];
    match judge_any(&inputs, &ProveOptions::default()) {
        Ok(verdict) => {
            assert_eq!(verdict.language, Language::Aws);
            verdict.access
        }
        Err(error) => panic!("{error}\n{text}"),
    }
}

#[test]
fn documents_of_terraform_are_judged_and_what_a_file_does_not_say_is_not_proven() {
    let document = |inside: &str| format!("data \"aws_iam_policy_document\" \"d\" {{\n{inside}\n}}\n");
    let statement = |inside: &str| document(&format!("  statement {{\n{inside}\n  }}"));
    let read = "    actions = [\"ce:Get*\", \"cur:DescribeReportDefinitions\"]\n    resources = [\"*\"]";
    for (text, expected) in [
        (statement(read), Access::ProvedReadOnly),
        (statement("actions = [\"s3:PutObject\"]\nresources = [var.bucket]"), Access::NotReadOnly),
        (statement("actions = var.actions\nresources = [\"*\"]"), Access::NotProven),
        (statement("actions = [\"ce:Get*\", \"${var.service}:Put*\"]\nresources = [\"*\"]"), Access::NotProven),
        (statement("actions = [\"ce:Get*\"]\neffect = var.effect\nresources = [\"*\"]"), Access::NotProven),
        (statement("not_actions = [\"s3:*\"]\nresources = [\"*\"]"), Access::NotReadOnly),
        (statement("resources = [\"*\"]"), Access::NotProven),
        (document("  dynamic \"statement\" {\n for_each = []\n content {}\n }"), Access::NotProven),
        (document("source_policy_documents = [var.more]"), Access::NotProven),
        // A deny whose resources are not known takes nothing away.
        (
            document(
                "statement {\nactions = [\"s3:PutObject\"]\nresources = [\"*\"]\n}\nstatement {\neffect = \"Deny\"\nactions = [\"s3:*\"]\nresources = [local.all]\n}",
            ),
            Access::NotReadOnly,
        ),
        (
            statement(
                "actions = [\"kms:Decrypt\"]\nresources = [\"*\"]\ncondition {\ntest = \"StringEquals\"\nvariable = \"kms:ViaService\"\nvalues = [\"s3.eu-central-1.amazonaws.com\"]\n}",
            ),
            Access::ReadOnlyWithNamedExceptions,
        ),
        (
            statement(
                "actions = [\"kms:Decrypt\"]\nresources = [\"*\"]\ncondition {\ntest = \"StringEquals\"\nvariable = \"kms:ViaService\"\nvalues = [var.service]\n}",
            ),
            Access::NotReadOnly,
        ),
    ] {
        assert_eq!(access("main.tf", &text), expected, "{text}");
    }
}

#[test]
fn policies_in_resources_of_terraform() {
    let policy =
        |value: &str| format!("resource \"aws_iam_policy\" \"p\" {{\n  name = \"p\"\n  policy = {value}\n}}\n");
    let encoded = "jsonencode({\n  Version = \"2012-10-17\"\n  Statement = [{ Effect = \"Allow\", Action = [ACTION], Resource = \"*\" }]\n})";
    let heredoc = "<<-EOT\n    {\"Version\": \"2012-10-17\", \"Statement\": [{\"Effect\": \"Allow\", \"Action\": \"ACTION\", \"Resource\": \"*\"}]}\n  EOT";
    let of = |form: &str, action: &str| policy(&form.replace("ACTION", action));
    let trust = "data \"aws_iam_policy_document\" \"trust\" {\n statement {\n actions = [\"sts:AssumeRole\"]\n principals {\n type = \"Service\"\n identifiers = [\"ec2.amazonaws.com\"]\n }\n }\n}\nresource \"aws_iam_role\" \"r\" {\n assume_role_policy = data.aws_iam_policy_document.trust.json\n}\n";
    for (text, expected) in [
        (of(encoded, "\"ce:Get*\""), Access::ProvedReadOnly),
        (of(encoded, "\"s3:Put*\""), Access::NotReadOnly),
        (of(encoded, "var.action"), Access::NotProven),
        (of(heredoc, "ce:GetCostAndUsage"), Access::ProvedReadOnly),
        (of(heredoc, "s3:PutObject"), Access::NotReadOnly),
        (of(heredoc, "${var.action}"), Access::NotProven),
        (policy("file(\"policy.json\")"), Access::NotProven),
        (policy("data.aws_iam_policy_document.elsewhere.json"), Access::NotProven),
        (policy("jsonencode({ Statement = [for a in var.all : a] })"), Access::NotProven),
        (of(encoded, "\"ce:Get*\"") + trust, Access::ProvedReadOnly),
        (
            of(encoded, "\"ce:Get*\"") + "resource \"aws_iam_role_policy_attachment\" \"a\" {\n role = \"r\"\n policy_arn = \"arn:aws:iam::aws:policy/AdministratorAccess\"\n}",
            Access::NotProven,
        ),
        (
            of(encoded, "\"ce:Get*\"") + "resource \"aws_iam_role_policy_attachment\" \"a\" {\n role = \"r\"\n policy_arn = aws_iam_policy.p.arn\n}",
            Access::ProvedReadOnly,
        ),
        (
            "resource \"aws_iam_role\" \"r\" {\n inline_policy {\n name = \"x\"\n policy = jsonencode({Statement = {Effect = \"Allow\", Action = \"s3:Put*\", Resource = \"*\"}})\n }\n}\n".to_owned(),
            Access::NotReadOnly,
        ),
        (of(encoded, "\"ce:Get*\"") + "module \"m\" {\n source = \"./m\"\n policy_json = \"{}\"\n}\n", Access::NotProven),
    ] {
        assert_eq!(access("main.tf", &text), expected, "{text}");
    }
    let broken = [Input::grant("main.tf", b"resource \"aws_iam_policy\" \"p\" {\n  policy = \n}\n")];
    let error = super::prove(&broken, &AwsOptions::default()).expect_err("no HCL");
    assert_eq!((error.place.file.as_str(), error.place.line > 0), ("main.tf", true), "{error}");
}

#[test]
fn templates_of_cloudformation_in_yaml_with_functions() {
    let template = |statements: &str, more: &str| {
        format!(
            "AWSTemplateFormatVersion: '2010-09-09'\nResources:\n  Reader:\n    Type: AWS::IAM::Role\n    Properties:\n      AssumeRolePolicyDocument: {{Statement: [{{Effect: Allow, Action: 'sts:AssumeRole', Principal: {{Service: ec2.amazonaws.com}}}}]}}\n{more}      Policies:\n        - PolicyName: p\n          PolicyDocument:\n            Version: '2012-10-17'\n            Statement:\n{statements}"
        )
    };
    let read = "              - Effect: Allow\n                Action: ['ce:Get*', 's3:GetObject']\n                Resource: !Sub 'arn:${AWS::Partition}:s3:::${Bucket}/*'\n";
    let with = |more: &str| template(&format!("{read}{more}"), "");
    for (text, expected) in [
        (template(read, ""), Access::ProvedReadOnly),
        (with("              - {Effect: Allow, Action: 's3:PutObject', Resource: '*'}\n"), Access::NotReadOnly),
        (with("              - {Effect: Allow, Action: !Ref Action, Resource: '*'}\n"), Access::NotProven),
        (with("              - {Effect: Allow, Action: !Sub '${Service}:Get*', Resource: '*'}\n"), Access::NotProven),
        (with("              - {Effect: Allow, Action: !Join ['', ['ce:', 'Get*']], Resource: '*'}\n"), Access::ProvedReadOnly),
        (with("              - {Effect: !Ref Effect, Action: 'ce:Get*', Resource: '*'}\n"), Access::NotProven),
        (with("              - !If [C, {Effect: Allow, Action: 's3:PutObject', Resource: '*'}, !Ref 'AWS::NoValue']\n"), Access::NotReadOnly),
        (with("              - !If [C, {Effect: Allow, Action: 'ce:Get*', Resource: '*'}, !Ref 'AWS::NoValue']\n"), Access::ProvedReadOnly),
        (with("              - Fn::GetAtt: [Other, Statement]\n"), Access::NotProven),
        // A deny takes away only what it certainly denies.
        (
            with("              - {Effect: Allow, Action: 's3:PutObject', Resource: '*'}\n              - {Effect: Deny, Action: !If [C, 's3:*', 'ec2:*'], Resource: '*'}\n"),
            Access::NotReadOnly,
        ),
        (
            with("              - {Effect: Allow, Action: 's3:PutObject', Resource: '*'}\n              - !If [C, {Effect: Deny, Action: 's3:*', Resource: '*'}, !Ref 'AWS::NoValue']\n"),
            Access::NotReadOnly,
        ),
        (template(read, "      ManagedPolicyArns: [!Sub 'arn:${AWS::Partition}:iam::aws:policy/AdministratorAccess']\n"), Access::NotProven),
        (template(read, "      ManagedPolicyArns: [!Ref Other]\n"), Access::NotProven),
        (
            "AWSTemplateFormatVersion: '2010-09-09'\nResources:\n  P:\n    Type: AWS::IAM::ManagedPolicy\n    Properties:\n      PolicyDocument: !Ref Document\n".to_owned(),
            Access::NotProven,
        ),
        (
            "Transform: AWS::Serverless-2016-10-31\nResources:\n  F:\n    Type: AWS::Serverless::Function\n    Properties:\n      Policies:\n        - S3CrudPolicy: {BucketName: b}\n".to_owned(),
            Access::NotProven,
        ),
    ] {
        assert_eq!(access("template.yaml", &text), expected, "{text}");
    }
    let json = r#"{"Resources":{"P":{"Type":"AWS::IAM::Policy","Properties":{"PolicyDocument":{"Statement":[{"Effect":"Allow","Action":{"Fn::Join":["",["s3:","Put*"]]},"Resource":{"Fn::GetAtt":["B","Arn"]}}]}}}}}"#;
    assert_eq!(access("template.json", json), Access::NotReadOnly);
}

#[test]
fn yaml_that_repeats_itself_or_says_two_things_is_refused() {
    let deep = format!("Statement: {}{}", "[".repeat(2_000), "]".repeat(2_000));
    let bomb = "a: &a [x,x]\nb: &b [*a,*a]\nStatement: [*b,*b]\nEffect: x\n";
    let twice = "Statement:\n  - {Effect: Deny, Effect: Allow, Action: 'ce:Get*', Resource: '*'}\n";
    let merged = "Resources:\n  A: {<<: {PolicyDocument: x}}\n";
    for text in [deep.as_str(), bomb, twice, merged, "Statement: 'x\n", "a: b\n---\nc: d\n", "Statement: !!binary x\n"]
    {
        let inputs = [Input::grant("p.yaml", text.as_bytes())];
        assert!(super::prove(&inputs, &AwsOptions::default()).is_err(), "{}", &text[..text.len().min(80)]);
    }
}

#[test]
fn what_a_plan_does_not_know_yet_is_not_proven() {
    let plan = |after: &str| {
        format!(
            r#"{{"resource_changes":[{{"type":"aws_iam_policy","change":{{"after":{{"name":"p","policy":"{{\"Statement\":[{{\"Effect\":\"Allow\",\"Action\":\"ce:Get*\",\"Resource\":\"*\"}}]}}"}},"after_unknown":{after}}}}}]}}"#
        )
    };
    assert_eq!(access("plan.json", &plan(r#"{"id":true}"#)), Access::ProvedReadOnly);
    assert_eq!(access("plan.json", &plan(r#"{"id":true,"policy":true}"#)), Access::NotProven);
}
