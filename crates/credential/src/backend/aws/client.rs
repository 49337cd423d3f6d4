//! Requests to a service: signed with Signature Version 4, in JSON 1.1 or as a form.

use std::sync::{Arc, OnceLock};
use std::time::SystemTime;

use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use serde::Deserialize;
use zeroize::Zeroizing;

use super::super::http::{Answer, Client, HttpSettings, Plaintext, Request};
use super::super::{ErrorKind, Fault, Variables};
use super::credentials::{Chain, Keys};
use super::profile::Profiles;
use super::settings::AwsSettings;

/// What the parts of the AWS backends share: settings, variables, profiles, a client.
pub(crate) struct Context {
    pub(crate) settings: AwsSettings,
    pub(crate) variables: Variables,
    pub(crate) http: Client,
    /// For metadata services, which speak plain HTTP and are near or not there.
    pub(crate) metadata: Client,
    profiles: OnceLock<Result<Profiles, Fault>>,
}

impl Context {
    pub(crate) fn new(settings: AwsSettings, variables: &Variables) -> Result<Self, Fault> {
        let http = Client::new(settings.http.clone(), Plaintext::Loopback, variables)?;
        let near = HttpSettings {
            connect_timeout_seconds: Some(1),
            timeout_seconds: Some(5),
            no_proxy: true,
            ..settings.http.clone()
        };
        let metadata = Client::new(near, Plaintext::Anywhere, variables)?;
        Ok(Self { settings, variables: variables.clone(), http, metadata, profiles: OnceLock::new() })
    }

    /// The shared files, read once.
    pub(crate) fn profiles(&self) -> Result<&Profiles, Fault> {
        self.profiles.get_or_init(|| Profiles::load(&self.variables)).as_ref().map_err(Clone::clone)
    }

    /// The profile that is meant.
    pub(crate) fn profile_name(&self) -> String {
        let named =
            self.settings.profile.clone().or_else(|| self.variables.first(&["AWS_PROFILE", "AWS_DEFAULT_PROFILE"]));
        named.unwrap_or_else(|| "default".into())
    }

    /// The region.
    pub(crate) fn region(&self) -> Result<String, Fault> {
        let named =
            self.settings.region.clone().or_else(|| self.variables.first(&["AWS_REGION", "AWS_DEFAULT_REGION"]));
        let region = match named {
            Some(region) => region,
            None => {
                let profiles = self.profiles()?;
                let of_profile = profiles.profile(&self.profile_name()).and_then(|profile| profile.get("region"));
                of_profile.map(|region| region.to_string()).ok_or_else(|| {
                    Fault::configuration("there is no region", "set `region` for this backend, or AWS_REGION")
                })?
            }
        };
        // It becomes part of a host name.
        if region.is_empty()
            || !region.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
        {
            return Err(Fault::configuration("the region is no name of a region", "set it as `eu-central-1`"));
        }
        Ok(region)
    }

    /// The address of a service: `id` as in variables and profiles (`secrets_manager`), `host` as in host names.
    pub(crate) fn endpoint(&self, id: &str, host: &str, region: &str) -> Result<String, Fault> {
        let own = self.settings.endpoint.clone().filter(|_| matches!(id, "secrets_manager" | "ssm" | "kms"));
        let configured = || {
            if self.variables.is_set("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS") {
                return Ok(None);
            }
            let variable = format!("AWS_ENDPOINT_URL_{}", id.to_ascii_uppercase());
            match self.variables.first(&[&variable, "AWS_ENDPOINT_URL"]) {
                Some(url) => Ok(Some(url)),
                None => Ok(self.profiles()?.endpoint(&self.profile_name(), id)),
            }
        };
        let url = match own {
            Some(url) => Some(url),
            None => configured()?,
        };
        Ok(url.map_or_else(|| self.public_endpoint(host, region), |url| url.trim_end_matches('/').to_owned()))
    }

    fn public_endpoint(&self, host: &str, region: &str) -> String {
        let fips = if self.variables.is_set("AWS_USE_FIPS_ENDPOINT") { "-fips" } else { "" };
        let is_dual = self.variables.is_set("AWS_USE_DUALSTACK_ENDPOINT");
        let suffix = match (region, is_dual) {
            (r, false) if r.starts_with("cn-") => "amazonaws.com.cn",
            (r, true) if r.starts_with("cn-") => "api.amazonwebservices.com.cn",
            (r, _) if r.starts_with("us-iso-") => "c2s.ic.gov",
            (r, _) if r.starts_with("us-isob-") => "sc2s.sgov.gov",
            (r, _) if r.starts_with("us-isof-") => "csp.hci.ic.gov",
            (r, _) if r.starts_with("eu-isoe-") => "cloud.adc-e.uk",
            (r, _) if r.starts_with("eusc-") => "amazonaws.eu",
            (_, false) => "amazonaws.com",
            (_, true) => "api.aws",
        };
        format!("https://{host}{fips}.{region}.{suffix}")
    }
}

/// A service that is asked in JSON 1.1.
pub(crate) struct Service {
    pub(crate) context: Arc<Context>,
    chain: Chain,
    /// The name that is signed.
    name: &'static str,
    id: &'static str,
    target: &'static str,
    place: OnceLock<Result<(String, String), Fault>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Refusal {
    #[serde(rename = "__type")]
    kind: String,
    #[serde(alias = "Message")]
    message: String,
}

impl Service {
    /// `name` as it is signed and in host names, `id` as in variables, `target` the prefix of its operations.
    pub(crate) fn new(context: Arc<Context>, name: &'static str, id: &'static str, target: &'static str) -> Self {
        Self { chain: Chain::new(Arc::clone(&context)), context, name, id, target, place: OnceLock::new() }
    }

    /// Calls an operation; any status is an answer. Expired keys are replaced once.
    pub(crate) fn call(
        &self,
        operation: &str,
        body: &Zeroizing<Vec<u8>>,
        secret: Option<&str>,
    ) -> Result<Answer, Fault> {
        let keys = self.chain.keys()?;
        let answer = self.call_with(&keys, operation, body, secret)?;
        let is_expired = matches!(code(&answer).as_str(), "ExpiredTokenException" | "ExpiredToken");
        if is_expired && self.chain.forget(&keys) {
            return self.call_with(&self.chain.keys()?, operation, body, secret);
        }
        Ok(answer)
    }

    /// The keys in use.
    pub(crate) fn keys(&self) -> Result<Keys, Fault> {
        self.chain.keys()
    }

    /// Makes sure that keys are there, so that threads need not all wait for them.
    pub(crate) fn log_in(&self) -> Result<(), Fault> {
        self.chain.keys().map(drop)
    }

    fn call_with(
        &self,
        keys: &Keys,
        operation: &str,
        body: &Zeroizing<Vec<u8>>,
        secret: Option<&str>,
    ) -> Result<Answer, Fault> {
        let place = self.place.get_or_init(|| {
            let region = self.context.region()?;
            Ok((self.context.endpoint(self.id, self.name, &region)?, region))
        });
        let (endpoint, region) = place.as_ref().map_err(Clone::clone)?;
        let target = format!("{}.{operation}", self.target);
        let headers = [("x-amz-target", target.as_str()), ("content-type", "application/x-amz-json-1.1")];
        let url = format!("{endpoint}/");
        let mut request = Request::post(&url).body(headers[1].1, body.clone()).header(headers[0].0, headers[0].1);
        if let Some(secret) = secret {
            request = request.sensitive(secret);
        }
        self.context.http.send(&signed(request, &url, &headers, body, keys, self.name, region)?)
    }
}

/// Adds the signature to a request that has these headers and this body.
pub(crate) fn signed(
    mut request: Request,
    url: &str,
    headers: &[(&str, &str)],
    body: &[u8],
    keys: &Keys,
    service: &str,
    region: &str,
) -> Result<Request, Fault> {
    let unsignable = |_| Fault::configuration("the request cannot be signed", "check region and endpoint");
    let identity = keys.credentials().into();
    let params = v4::SigningParams::builder()
        .identity(&identity)
        .region(region)
        .name(service)
        .time(SystemTime::now())
        .settings(SigningSettings::default())
        .build()
        .map_err(|_| Fault::configuration("the request cannot be signed", "check the credentials"))?
        .into();
    let signable =
        SignableRequest::new("POST", url, headers.iter().copied(), SignableBody::Bytes(body)).map_err(unsignable)?;
    let (instructions, _) = sign(signable, &params).map_err(unsignable)?.into_parts();
    for (name, value) in instructions.headers() {
        request = request.secret_header(name, "", value);
    }
    Ok(request)
}

/// The name of the error in an answer: without namespace and address.
pub(crate) fn code(answer: &Answer) -> String {
    if answer.is_success() {
        return String::new();
    }
    let of_body = refusal_of(answer).kind;
    let text =
        if of_body.is_empty() { answer.header("x-amzn-errortype").unwrap_or_default().to_owned() } else { of_body };
    let text = text.rsplit('#').next().unwrap_or_default();
    text.split(':').next().unwrap_or_default().to_owned()
}

/// The error in an answer: JSON from the services, XML from some gateways in front of them.
fn refusal_of(answer: &Answer) -> Refusal {
    let of_json = answer.json().ok().and_then(|body| serde_json::from_slice(body).ok());
    of_json.or_else(|| refusal_in_xml(&answer.body)).unwrap_or_default()
}

fn refusal_in_xml(body: &[u8]) -> Option<Refusal> {
    let options = roxmltree::ParsingOptions { nodes_limit: 1000, ..Default::default() };
    let document = roxmltree::Document::parse_with_options(std::str::from_utf8(body).ok()?, options).ok()?;
    let text = |name: &str| {
        let node = document.descendants().find(|node| node.tag_name().name() == name);
        node.and_then(|node| node.text()).unwrap_or_default().trim().to_owned()
    };
    Some(Refusal { kind: text("Code"), message: text("Message") })
}

/// What an answer that did not work means.
pub(crate) fn refusal(answer: &Answer) -> Fault {
    let code = code(answer);
    let fault = answer.fault(Some(&format!("{code}: {}", refusal_of(answer).message)));
    meaning(&code, fault)
}

/// Gives a fault the class that its error code stands for.
pub(crate) fn meaning(code: &str, mut fault: Fault) -> Fault {
    let known = match code {
        "ResourceNotFoundException" | "ParameterNotFound" | "ParameterVersionNotFound" => {
            Some((ErrorKind::NotFound, "check the location, the region and the account"))
        }
        "AccessDeniedException" | "AccessDenied" | "UnauthorizedOperation" | "DecryptionFailure" | "InvalidKeyId" => {
            Some((ErrorKind::Denied, "allow this identity to read it, and to use its KMS key (kms:Decrypt)"))
        }
        "UnrecognizedClientException"
        | "InvalidClientTokenId"
        | "InvalidAccessKeyId"
        | "MissingAuthenticationToken"
        | "MissingAuthenticationTokenException"
        | "AuthFailure"
        | "ExpiredTokenException"
        | "ExpiredToken"
        | "IncompleteSignature"
        | "InvalidIdentityToken"
        | "IDPRejectedClaim"
        | "UnauthorizedException" => {
            Some((ErrorKind::Unauthenticated, "check the AWS credentials of this process, and that they are current"))
        }
        "InvalidSignatureException" | "SignatureDoesNotMatch" | "RequestExpired" | "RequestTimeTooSkewed" => {
            Some((ErrorKind::Unauthenticated, "check the secret access key, and this machine's clock"))
        }
        "ThrottlingException"
        | "Throttling"
        | "TooManyRequestsException"
        | "RequestLimitExceeded"
        | "ThrottledException" => Some((ErrorKind::RateLimited, "wait, or ask for fewer secrets at once")),
        "InternalServiceError"
        | "InternalServerError"
        | "InternalFailure"
        | "ServiceUnavailable"
        | "ServiceUnavailableException"
        | "IDPCommunicationError" => Some((ErrorKind::Unreachable, "try again")),
        "InvalidRequestException"
            if fault.why.contains("marked for deletion") || fault.why.contains("marked deleted") =>
        {
            Some((ErrorKind::NotFound, "restore the secret, or point the reference to another"))
        }
        _ => None,
    };
    if let Some((kind, fix)) = known {
        fault.kind = kind;
        fault.fix = fix.into();
    }
    fault
}
