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
