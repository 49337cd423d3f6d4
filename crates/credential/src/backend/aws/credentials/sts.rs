//! The security token service: taking on roles.

use std::path::Path;

use jiff::Timestamp;
use zeroize::Zeroizing;

use super::super::super::http::{Answer, Request};
use super::super::super::openbao::read_token;
use super::super::super::{ErrorKind, Fault};
use super::super::client::{Context, meaning, signed};
use super::super::settings::AssumeRole;
use super::Keys;

/// What a session may do at most when it is only meant to read: the intersection with what the role may do counts.
const READ_ONLY_POLICY: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["secretsmanager:GetSecretValue","secretsmanager:BatchGetSecretValue","secretsmanager:DescribeSecret","secretsmanager:ListSecrets","secretsmanager:ListSecretVersionIds","ssm:GetParameter","ssm:GetParameters","ssm:GetParametersByPath","ssm:GetParameterHistory","ssm:DescribeParameters","kms:Decrypt"],"Resource":"*"}]}"#;
/// The name of sessions.
const SESSION: &str = "custody";
/// How long a session lasts unless it is said.
const DURATION_SECONDS: u32 = 3600;

/// Takes on a role with the keys of another identity.
pub(super) fn assume(context: &Context, keys: &Keys, role: &AssumeRole) -> Result<Keys, Fault> {
    let duration = role.duration_seconds.unwrap_or(DURATION_SECONDS).to_string();
    let mut fields = vec![
        ("Action", "AssumeRole"),
        ("Version", "2011-06-15"),
        ("RoleArn", role.role_arn.as_str()),
        ("RoleSessionName", role.session_name.as_deref().unwrap_or(SESSION)),
        ("DurationSeconds", duration.as_str()),
    ];
    fields.extend(role.external_id.as_deref().map(|id| ("ExternalId", id)));
    if !role.full_access {
        fields.push(("Policy", READ_ONLY_POLICY));
    }
    let region = context.region()?;
    let url = format!("{}/", context.endpoint("sts", "sts", &region)?);
    let request = Request::post(&url).form(&fields, &[]);
    let body = request.body_bytes().to_vec();
    let headers = [("content-type", "application/x-www-form-urlencoded")];
    let answer = context.http.send(&signed(request, &url, &headers, &body, keys, "sts", &region)?)?;
    keys_of(&answer).map_err(|fault| fault.during("taking on the role"))
}

/// Takes on a role with the token of another issuer.
pub(super) fn with_web_identity(
    context: &Context,
    role: &str,
    file: &Path,
    session: Option<&str>,
) -> Result<Keys, Fault> {
    let token = read_token(file)?;
    let fields = [
        ("Action", "AssumeRoleWithWebIdentity"),
        ("Version", "2011-06-15"),
        ("RoleArn", role),
        ("RoleSessionName", session.unwrap_or(SESSION)),
        ("WebIdentityToken", token.as_str()),
    ];
    let url = format!("{}/", context.endpoint("sts", "sts", &context.region()?)?);
    let answer = context.http.send(&Request::post(url).form(&fields, &["WebIdentityToken"]))?;
    keys_of(&answer).map_err(|fault| fault.during("taking on the role by web identity"))
}

/// The keys in an answer, which is XML.
fn keys_of(answer: &Answer) -> Result<Keys, Fault> {
    let text = std::str::from_utf8(&answer.body)
        .map_err(|_| Fault::malformed(format!("{} answered no text", answer.place)))?;
    let options = roxmltree::ParsingOptions { nodes_limit: 1000, ..Default::default() };
    let parsed = roxmltree::Document::parse_with_options(text, options);
    let find = |name: &str| {
        let document = parsed.as_ref().ok()?;
        document.descendants().find(|node| node.tag_name().name() == name)?.text().map(str::trim)
    };
    if !answer.is_success() {
        let code = find("Code").unwrap_or_default().to_owned();
        let said = format!("{code}: {}", find("Message").unwrap_or_default());
        let fault = meaning(&code, answer.fault(Some(&said)));
        // Denied here means that this identity may not take on the role, not that a secret is denied.
        return Err(if fault.kind == ErrorKind::Denied { fault.with_kind(ErrorKind::Unauthenticated) } else { fault });
    }
    let missing = || Fault::malformed(format!("{} answered without keys", answer.place));
    let expires: Timestamp = find("Expiration").and_then(|text| text.parse().ok()).ok_or_else(missing)?;
    Ok(Keys {
        id: find("AccessKeyId").ok_or_else(missing)?.to_owned(),
        secret: Zeroizing::new(find("SecretAccessKey").ok_or_else(missing)?.to_owned()),
        session: Some(Zeroizing::new(find("SessionToken").ok_or_else(missing)?.to_owned())),
        expires: Some(expires),
    })
}
