//! Who this identity is, as a signed request that somebody else may make: how Google Cloud learns it (AIP-4117).

use std::sync::Arc;
use std::time::SystemTime;

use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use zeroize::Zeroizing;

use super::super::http::HttpSettings;
use super::super::location::encode_segment;
use super::super::{Fault, Variables};
use super::client::{Context, Service};
use super::settings::AwsSettings;

/// The request `GetCallerIdentity` to `url` (in which `{region}` stands for the region), signed for `audience`, in the
/// form of a token.
///
/// # Errors
/// As for finding the keys; configuration, if the address is not one of the security token service.
pub(crate) fn caller_identity(
    http: HttpSettings,
    variables: &Variables,
    url: &str,
    audience: &str,
) -> Result<Zeroizing<String>, Fault> {
    let context = Arc::new(Context::new(AwsSettings { http, ..AwsSettings::default() }, variables)?);
    let region = context.region()?;
    let url = url.replace("{region}", &region);
    let host = url.strip_prefix("https://").and_then(|rest| rest.split(['/', '?']).next()).unwrap_or_default();
    // The signed request proves who we are: only the service itself may see it besides Google.
    let is_service = ["amazonaws.com", "amazonaws.com.cn", "api.aws"]
        .iter()
        .any(|domain| host == format!("sts.{region}.{domain}") || host == format!("sts.{domain}"));
    if !is_service {
        return Err(Fault::configuration(
            "the credentials file names another place than AWS's token service",
            "take the file from Google's console anew",
        ));
    }
    let keys = Service::new(Arc::clone(&context), "sts", "sts", "").keys()?;
    let unsignable = |_| Fault::configuration("the request cannot be signed", "check the region");
    let identity = keys.credentials().into();
    let params = v4::SigningParams::builder()
        .identity(&identity)
        .region(&region)
        .name("sts")
        .time(SystemTime::now())
        .settings(SigningSettings::default())
        .build()
        .map_err(|_| Fault::configuration("the request cannot be signed", "check the credentials"))?
        .into();
    let own = [("host", host), ("x-goog-cloud-target-resource", audience)];
    let request = SignableRequest::new("POST", url.as_str(), own.into_iter(), SignableBody::Bytes(&[]));
    let (instructions, _) = sign(request.map_err(unsignable)?, &params).map_err(unsignable)?.into_parts();
    let headers: Vec<_> = own
        .into_iter()
        .chain(instructions.headers())
        .map(|(key, value)| serde_json::json!({ "key": key, "value": value }))
        .collect();
    let token = serde_json::json!({ "url": url, "method": "POST", "headers": headers });
    let text = Zeroizing::new(token.to_string());
    Ok(Zeroizing::new(encode_segment(&text)))
}
