//! Application default credentials: service account, user, workload identity federation, metadata service.
//!
//! Source: AIP-4110 and following; of federation from AWS and by programs AIP-4117.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::value::RawValue;
use zeroize::Zeroizing;

use super::super::bearer::{self, Algorithm, Bearer, Bearers};
use super::super::http::{Answer, Client, HttpSettings, Plaintext, Request};
use super::super::openbao::read_token;
use super::super::{ErrorKind, Fault, Variables, aws, json};
use super::executable;

const SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";
const TOKEN_URL: &str = "https://oauth2.googleapis.com/token";
/// How long a token that is asked for lasts.
const LIFE_SECONDS: i64 = 3600;
/// Larger credential files are refused.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// Where tokens come from.
pub(super) struct Login {
    file: Option<PathBuf>,
    http: Client,
    metadata: Client,
    metadata_host: String,
    bearers: Bearers,
    variables: Variables,
    settings: HttpSettings,
}

/// The members of a credentials file.
pub(super) struct File<'a>(Vec<(String, &'a RawValue)>);

impl File<'_> {
    pub(super) fn raw(&self, name: &str) -> Option<&RawValue> {
        self.0.iter().find(|(own, _)| own == name).map(|(_, raw)| *raw)
    }

    pub(super) fn text(&self, name: &str) -> Result<Zeroizing<String>, Fault> {
        self.raw(name)
            .and_then(json::secret_text)
            .ok_or_else(|| Fault::configuration(format!("the credentials file lacks `{name}`"), "make a new one"))
    }

    pub(super) fn plain(&self, name: &str) -> Option<String> {
        self.raw(name).and_then(json::secret_text).map(|text| text.to_string())
    }
}

impl Login {
    pub(super) fn new(file: Option<PathBuf>, http: HttpSettings, variables: &Variables) -> Result<Self, Fault> {
        let well_known = || {
            let folder = variables.get("CLOUDSDK_CONFIG").map(PathBuf::from);
            let folder = folder.or_else(|| variables.home().map(|home| home.join(".config/gcloud")))?;
            Some(folder.join("application_default_credentials.json")).filter(|file| file.exists())
        };
        let file =
            file.or_else(|| variables.get("GOOGLE_APPLICATION_CREDENTIALS").map(PathBuf::from)).or_else(well_known);
        let near =
            HttpSettings { connect_timeout_seconds: Some(1), timeout_seconds: Some(5), no_proxy: true, ..http.clone() };
        Ok(Self {
            file,
            settings: http.clone(),
            variables: variables.clone(),
            http: Client::new(http, Plaintext::Loopback, variables)?,
            metadata: Client::new(near, Plaintext::Anywhere, variables)?,
            metadata_host: variables.get("GCE_METADATA_HOST").unwrap_or_else(|| "metadata.google.internal".into()),
            bearers: Bearers::default(),
        })
    }

    /// Asks with a token.
    pub(super) fn ask(&self, ask: impl Fn(&str) -> Result<Answer, Fault>) -> Result<Answer, Fault> {
        self.bearers.ask(|| self.fetch(), ask)
    }

    fn fetch(&self) -> Result<Bearer, Fault> {
        match &self.file {
            Some(file) => {
                let text = read_file(file)?;
                let raw: &RawValue = json::parse(&text, "the credentials file")?;
                self.of_file(raw)
            }
            None => self.of_metadata(),
        }
    }

    fn of_file(&self, raw: &RawValue) -> Result<Bearer, Fault> {
        let file = File(json::members(raw).unwrap_or_default());
        match file.plain("type").as_deref() {
            Some("service_account") => self.of_service_account(&file),
            Some("authorized_user") => self.of_user(&file),
            Some("external_account") => self.federated(&file),
            Some("impersonated_service_account") => {
                let source = file.raw("source_credentials").ok_or_else(|| unknown("impersonation without a source"))?;
                // One level: a source that impersonates again is refused below.
                let source_file = File(json::members(source).unwrap_or_default());
                if source_file.plain("type").as_deref() == Some("impersonated_service_account") {
                    return Err(unknown("impersonation of an impersonation"));
                }
                let bearer = self.of_file(source)?;
                self.impersonate(&file, &file.text("service_account_impersonation_url")?, &bearer.token)
            }
            _ => Err(unknown("a kind of credentials that is not known")),
        }
    }

    /// A token for a claim that the service account signed (RFC 7523).
    fn of_service_account(&self, file: &File<'_>) -> Result<Bearer, Fault> {
        let url = file.plain("token_uri").unwrap_or_else(|| TOKEN_URL.into());
        let now = jiff::Timestamp::now().as_second();
        let claims = serde_json::json!({
            "iss": file.text("client_email")?.as_str(), "scope": SCOPE, "aud": url, "iat": now, "exp": now + LIFE_SECONDS,
        });
        let head = match file.plain("private_key_id") {
            Some(id) => serde_json::json!({ "kid": id }),
            None => serde_json::json!({}),
        };
        let assertion = bearer::signed_claims(file.text("private_key")?.as_bytes(), Algorithm::Rs256, head, &claims)?;
        let fields = [("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"), ("assertion", assertion.as_str())];
        let answer = self.http.send(&Request::post(url).form(&fields, &["assertion"]))?;
        bearer::of_answer(&answer, "the token of the service account")
    }

    fn of_user(&self, file: &File<'_>) -> Result<Bearer, Fault> {
        let (id, secret, refresh) = (file.text("client_id")?, file.text("client_secret")?, file.text("refresh_token")?);
        let fields = [
            ("grant_type", "refresh_token"),
            ("client_id", id.as_str()),
            ("client_secret", secret.as_str()),
            ("refresh_token", refresh.as_str()),
        ];
        let url = file.plain("token_uri").unwrap_or_else(|| TOKEN_URL.into());
        let answer = self.http.send(&Request::post(url).form(&fields, &["client_secret", "refresh_token"]))?;
        bearer::of_answer(&answer, "the token of the user")
            .map_err(|fault| Fault { fix: "run `gcloud auth application-default login`".into(), ..fault })
    }

    /// Workload identity federation: the token of another issuer is exchanged (RFC 8693).
    fn federated(&self, file: &File<'_>) -> Result<Bearer, Fault> {
        let source = file.raw("credential_source").and_then(json::members).map(File);
        let source = source.ok_or_else(|| unknown("a federation without a source of tokens"))?;
        let subject = self.subject_token(file, &source)?;
        let (audience, kind) = (file.text("audience")?, file.text("subject_token_type")?);
        let fields = [
            ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
            ("requested_token_type", "urn:ietf:params:oauth:token-type:access_token"),
            ("audience", audience.as_str()),
            ("scope", SCOPE),
            ("subject_token_type", kind.as_str()),
            ("subject_token", subject.as_str()),
        ];
        let request = Request::post(file.text("token_url")?.as_str()).form(&fields, &["subject_token"]);
        let bearer = bearer::of_answer(&self.http.send(&request)?, "the exchanged token")?;
        match file.plain("service_account_impersonation_url") {
            Some(url) => self.impersonate(file, &url, &bearer.token),
            None => Ok(bearer),
        }
    }

    fn subject_token(&self, file: &File<'_>, source: &File<'_>) -> Result<Zeroizing<String>, Fault> {
        if source.plain("environment_id").is_some() {
            return aws_token(file, source, self.settings.clone(), &self.variables);
        }
        if let Some(executable) = source.raw("executable").and_then(json::members).map(File) {
            return executable::token(file, &executable, &self.variables);
        }
        let content = match (source.plain("file"), source.plain("url")) {
            (Some(file), None) => Zeroizing::new(read_token(Path::new(&file))?.as_bytes().to_vec()),
            (None, Some(url)) => {
                let mut request = Request::get(url);
                for (name, value) in source.raw("headers").and_then(json::members).unwrap_or_default() {
                    let value = json::secret_text(value).ok_or_else(|| unknown("headers that are no text"))?;
                    request = request.secret_header(&name, "", &value);
                }
                let answer = self.http.send(&request)?;
                if !answer.is_success() {
                    return Err(answer
                        .fault(None)
                        .with_kind(ErrorKind::Unauthenticated)
                        .during("the token of the other issuer"));
                }
                answer.body
            }
            _ => return Err(unknown("a federation with an unknown source of tokens")),
        };
        let format = source.raw("format").and_then(json::members).map(File);
        let text = match format {
            Some(format) if format.plain("type").as_deref() == Some("json") => {
                json::pick(&content, &format.text("subject_token_field_name")?)?
            }
            _ => content,
        };
        let text = std::str::from_utf8(&text).ok().map(str::trim).filter(|text| !text.is_empty());
        text.map(|text| Zeroizing::new(text.to_owned()))
            .ok_or_else(|| Fault::malformed("the token of the other issuer is no text"))
    }

    fn impersonate(&self, file: &File<'_>, url: &str, token: &str) -> Result<Bearer, Fault> {
        let options = file.raw("service_account_impersonation").and_then(json::members).map(File);
        let life = options.and_then(|options| options.raw("token_lifetime_seconds")?.get().parse().ok());
        let life: i64 = life.unwrap_or(LIFE_SECONDS).clamp(600, 12 * 3600);
        let mut body = serde_json::json!({ "scope": [SCOPE], "lifetime": format!("{life}s") });
        let delegates: Option<Vec<String>> =
            file.raw("delegates").and_then(|delegates| serde_json::from_str(delegates.get()).ok());
        if let Some(delegates) = delegates.filter(|delegates| !delegates.is_empty()) {
            body["delegates"] = delegates.into();
        }
        let body = body.to_string();
        let request =
            Request::post(url).json(Zeroizing::new(body.into_bytes())).secret_header("authorization", "Bearer ", token);
        let answer = self.http.send(&request)?;
        if !answer.is_success() {
            return Err(super::refusal(&answer)
                .with_kind(ErrorKind::Unauthenticated)
                .during("impersonating the service account"));
        }
        let raw: &RawValue = json::parse(answer.json()?, "the token of the service account")?;
        let given = File(json::members(raw).unwrap_or_default());
        let expires: Option<jiff::Timestamp> = given.plain("expireTime").and_then(|text| text.parse().ok());
        let life = expires.and_then(|expires| Duration::try_from(expires.duration_since(jiff::Timestamp::now())).ok());
        let token = given.text("accessToken").map_err(|_| Fault::malformed("the answer holds no token"))?;
        Ok(Bearer::new(token, Some(life.unwrap_or_default())))
    }

    fn of_metadata(&self) -> Result<Bearer, Fault> {
        let url = format!("http://{}/computeMetadata/v1/instance/service-accounts/default/token", self.metadata_host);
        let answer = self.metadata.send(&Request::get(url).header("metadata-flavor", "Google")).map_err(|fault| {
            Fault::unauthenticated(
                format!("there are no Google credentials: no file, and of the metadata service: {}", fault.why),
                "set GOOGLE_APPLICATION_CREDENTIALS, or run `gcloud auth application-default login`",
            )
        })?;
        // Whoever else answers at that name does not know this header.
        if answer.header("metadata-flavor") != Some("Google") {
            return Err(Fault::malformed(format!("{} is not the metadata service", answer.place)));
        }
        bearer::of_answer(&answer, "the token of the metadata service")
    }
}

/// An identity of AWS as a token: a signed request that tells who signs it, which the other side makes.
fn aws_token(
    file: &File<'_>,
    source: &File<'_>,
    http: HttpSettings,
    variables: &Variables,
) -> Result<Zeroizing<String>, Fault> {
    if source.plain("environment_id").as_deref() != Some("aws1") {
        return Err(unknown("a federation from an unknown version of AWS"));
    }
    let url = source.plain("regional_cred_verification_url");
    let url = url.ok_or_else(|| unknown("a federation from AWS without `regional_cred_verification_url`"))?;
    aws::caller_identity(http, variables, &url, &file.text("audience")?)
}

fn unknown(what: &str) -> Fault {
    Fault::configuration(
        format!("the credentials file holds {what}"),
        "use a service account, workload identity federation or a user",
    )
}

fn read_file(file: &Path) -> Result<Zeroizing<Vec<u8>>, Fault> {
    let failed =
        || Fault::configuration(format!("the credentials file `{}` cannot be read", file.display()), "check the file");
    let opened = std::fs::File::open(file).map_err(|_| failed())?;
    let size = opened.metadata().map_err(|_| failed())?.len();
    if size > MAX_FILE_BYTES {
        return Err(failed());
    }
    let mut text = Zeroizing::new(Vec::with_capacity(usize::try_from(size).unwrap_or(0) + 1));
    opened.take(MAX_FILE_BYTES).read_to_end(&mut text).map_err(|_| failed())?;
    Ok(text)
}
