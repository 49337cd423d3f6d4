//! Keys from where the process runs: a container's endpoint, or the instance's metadata service (version 2).

use ureq::http::Uri;

use super::super::super::http::{Answer, Method, Request, is_loopback};
use super::super::super::openbao::read_token;
use super::super::super::{ErrorKind, Fault};
use super::super::client::Context;
use super::Keys;

/// The names in both answers.
const NAMES: [&str; 4] = ["AccessKeyId", "SecretAccessKey", "Token", "Expiration"];
/// Addresses of container endpoints that may be asked over plain http.
const CONTAINER_HOSTS: [&str; 3] = ["169.254.170.2", "169.254.170.23", "fd00:ec2::23"];

/// The keys of the container; nothing if this is none.
pub(super) fn container(context: &Context) -> Option<Result<Keys, Fault>> {
    let variables = &context.variables;
    let url = match variables.get("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI") {
        Some(path) => format!("http://169.254.170.2/{}", path.trim_start_matches('/')),
        None => variables.get("AWS_CONTAINER_CREDENTIALS_FULL_URI")?,
    };
    Some(ask_container(context, &url).map_err(|fault| fault.during("the container's credentials")))
}

fn ask_container(context: &Context, url: &str) -> Result<Keys, Fault> {
    let parsed: Option<Uri> = url.parse().ok();
    let host = parsed.as_ref().and_then(Uri::host).unwrap_or_default().trim_matches(['[', ']']).to_owned();
    let is_https = parsed.as_ref().and_then(Uri::scheme_str) == Some("https");
    if !is_https && !is_loopback(&host) && !CONTAINER_HOSTS.contains(&host.as_str()) {
        return Err(Fault::configuration(
            "AWS_CONTAINER_CREDENTIALS_FULL_URI names a host that may not be asked",
            "use https, this machine, or the address that the platform sets",
        ));
    }
    let mut request = Request::get(url);
    let token = match context.variables.get("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE") {
        Some(file) => Some(read_token(file.as_ref())?),
        None => context.variables.get("AWS_CONTAINER_AUTHORIZATION_TOKEN").map(zeroize::Zeroizing::new),
    };
    if let Some(token) = token {
        request = request.secret_header("authorization", "", &token);
    }
    let answer = context.metadata.send(&request)?;
    Keys::of_json(worked(&answer)?, NAMES, "the answer of the container's endpoint")
}

/// The keys of the instance's role.
pub(super) fn instance(context: &Context) -> Result<Keys, Fault> {
    let variables = &context.variables;
    if variables.is_set("AWS_EC2_METADATA_DISABLED") {
        return Err(Fault::unauthenticated("the metadata service is disabled", "unset AWS_EC2_METADATA_DISABLED"));
    }
    let base = variables.get("AWS_EC2_METADATA_SERVICE_ENDPOINT").unwrap_or_else(|| {
        let is_v6 = variables
            .get("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE")
            .is_some_and(|mode| mode.eq_ignore_ascii_case("ipv6"));
        if is_v6 { "http://[fd00:ec2::254]".into() } else { "http://169.254.169.254".into() }
    });
    let base = base.trim_end_matches('/');
    // Version 1 would answer without the token; it is not asked, because it answers a tricked proxy too.
    let token_request = Request::new(Method::Put, format!("{base}/latest/api/token"));
    let token_answer = context.metadata.send(&token_request.header("x-aws-ec2-metadata-token-ttl-seconds", "21600"))?;
    let token = text(&token_answer)?;
    let get = |path: &str| {
        let url = format!("{base}/latest/meta-data/iam/security-credentials/{path}");
        context.metadata.send(&Request::get(url).secret_header("x-aws-ec2-metadata-token", "", &token))
    };
    let roles = get("")?;
    if roles.status == 404 {
        return Err(Fault::unauthenticated("the instance has no role", "attach a role to the instance"));
    }
    let role = text(&roles)?;
    let role = role.lines().next().unwrap_or_default().trim();
    let answer = get(&super::super::super::location::encode_segment(role))?;
    Keys::of_json(worked(&answer)?, NAMES, "the answer of the metadata service")
}

fn worked(answer: &Answer) -> Result<&[u8], Fault> {
    match answer.status {
        200..=299 => Ok(&answer.body),
        401 | 403 | 404 => Err(answer.fault(None).with_kind(ErrorKind::Unauthenticated)),
        _ => Err(answer.fault(None)),
    }
}

fn text(answer: &Answer) -> Result<zeroize::Zeroizing<String>, Fault> {
    let body = worked(answer)?;
    let text = std::str::from_utf8(body).ok().map(str::trim).filter(|text| !text.is_empty() && text.len() <= 4096);
    let text = text.ok_or_else(|| Fault::malformed(format!("{} answered no text", answer.place)))?;
    Ok(zeroize::Zeroizing::new(text.to_owned()))
}
