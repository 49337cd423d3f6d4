//! Logging in at Microsoft Entra: client secret, client certificate, workload identity, managed identity.

use std::path::{Path, PathBuf};

use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use ring::rand::SecureRandom;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use serde::Deserialize;
use zeroize::Zeroizing;

use super::super::bearer::{self, Algorithm, Bearer, Bearers};
use super::super::http::{Answer, Client, HttpSettings, Plaintext, Request};
use super::super::location::encode_segment;
use super::super::openbao::read_token;
use super::super::{Fault, Variables};

const AUTHORITY: &str = "https://login.microsoftonline.com";
const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// How to log in.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(tag = "method", deny_unknown_fields, rename_all = "kebab-case", rename_all_fields = "kebab-case")]
pub enum AzureLogin {
    /// The identity that the platform gives: App Service, or the instance's metadata service.
    ManagedIdentity {
        /// The client id of a user-assigned identity.
        #[serde(default)]
        client_id: Option<String>,
    },
    /// An application with a secret.
    ClientSecret {
        /// The tenant.
        tenant_id: String,
        /// The application.
        client_id: String,
        /// The file that holds the secret.
        #[serde(default)]
        secret_file: Option<PathBuf>,
        /// The variable that holds it: `AZURE_CLIENT_SECRET` unless set.
        #[serde(default)]
        secret_variable: Option<String>,
    },
    /// An application with a certificate.
    ClientCertificate {
        /// The tenant.
        tenant_id: String,
        /// The application.
        client_id: String,
        /// PEM file with the certificate and its RSA key.
        certificate_file: PathBuf,
    },
    /// An application that trusts another issuer, such as a Kubernetes cluster.
    WorkloadIdentity {
        /// The tenant.
        tenant_id: String,
        /// The application.
        client_id: String,
        /// The file that holds the issuer's token.
        token_file: PathBuf,
    },
}

/// The login and its token.
pub(super) struct Session {
    login: AzureLogin,
    authority: String,
    resource: String,
    variables: Variables,
    http: Client,
    metadata: Client,
    bearers: Bearers,
}

impl Session {
    pub(super) fn new(
        login: Option<AzureLogin>,
        resource: String,
        http: HttpSettings,
        variables: &Variables,
    ) -> Result<Self, Fault> {
        let near = HttpSettings {
            connect_timeout_seconds: Some(1),
            timeout_seconds: Some(10),
            no_proxy: true,
            ..http.clone()
        };
        let authority = variables.get("AZURE_AUTHORITY_HOST").unwrap_or_else(|| AUTHORITY.into());
        Ok(Self {
            login: login.unwrap_or_else(|| of_variables(variables)),
            authority: authority.trim_end_matches('/').to_owned(),
            resource,
            variables: variables.clone(),
            http: Client::new(http, Plaintext::Loopback, variables)?,
            metadata: Client::new(near, Plaintext::Anywhere, variables)?,
            bearers: Bearers::default(),
        })
    }

    /// Asks with a token.
    pub(super) fn ask(&self, ask: impl Fn(&str) -> Result<Answer, Fault>) -> Result<Answer, Fault> {
        self.bearers.ask(|| self.fetch(), ask)
    }

    fn fetch(&self) -> Result<Bearer, Fault> {
        match &self.login {
            AzureLogin::ManagedIdentity { client_id } => self.managed(client_id.as_deref()),
            AzureLogin::ClientSecret { tenant_id, client_id, secret_file, secret_variable } => {
                let secret = match secret_file {
                    Some(file) => read_token(file)?,
                    None => {
                        let name = secret_variable.as_deref().unwrap_or("AZURE_CLIENT_SECRET");
                        let secret = self.variables.get(name).map(Zeroizing::new);
                        secret.ok_or_else(|| {
                            Fault::unauthenticated(
                                format!("the variable {name} is not set"),
                                "set it, or name `secret-file`",
                            )
                        })?
                    }
                };
                self.exchange(tenant_id, client_id, &[("client_secret", secret.as_str())])
            }
            AzureLogin::ClientCertificate { tenant_id, client_id, certificate_file } => {
                let assertion = self.assertion(tenant_id, client_id, certificate_file)?;
                self.exchange(
                    tenant_id,
                    client_id,
                    &[("client_assertion_type", ASSERTION_TYPE), ("client_assertion", assertion.as_str())],
                )
            }
            AzureLogin::WorkloadIdentity { tenant_id, client_id, token_file } => {
                let token = read_token(token_file)?;
                self.exchange(
                    tenant_id,
                    client_id,
                    &[("client_assertion_type", ASSERTION_TYPE), ("client_assertion", token.as_str())],
                )
            }
        }
    }

    fn token_url(&self, tenant: &str) -> String {
        format!("{}/{}/oauth2/v2.0/token", self.authority, encode_segment(tenant))
    }

    fn exchange(&self, tenant: &str, client: &str, proof: &[(&str, &str)]) -> Result<Bearer, Fault> {
        let scope = format!("{}/.default", self.resource);
        let mut fields = vec![("grant_type", "client_credentials"), ("client_id", client), ("scope", scope.as_str())];
        fields.extend_from_slice(proof);
        let request = Request::post(self.token_url(tenant)).form(&fields, &["client_secret", "client_assertion"]);
        bearer::of_answer(&self.http.send(&request)?, "the token of the application")
    }

    /// A claim that the application's certificate signed (RFC 7523).
    fn assertion(&self, tenant: &str, client: &str, file: &Path) -> Result<Zeroizing<String>, Fault> {
        let unreadable =
            || Fault::configuration(format!("`{}` holds no certificate in PEM", file.display()), "check the file");
        let pem = std::fs::read(file).map(Zeroizing::new).map_err(|_| unreadable())?;
        let certificate = CertificateDer::from_pem_slice(&pem).map_err(|_| unreadable())?;
        let thumbprint = ring::digest::digest(&ring::digest::SHA256, &certificate);
        let head = serde_json::json!({ "x5t#S256": BASE64URL_NOPAD.encode(thumbprint.as_ref()) });
        let mut id = [0_u8; 16];
        let filled = ring::rand::SystemRandom::new().fill(&mut id);
        filled.map_err(|_| Fault::configuration("this system gives no random numbers", "try again"))?;
        let now = jiff::Timestamp::now().as_second();
        let claims = serde_json::json!({
            "aud": self.token_url(tenant), "iss": client, "sub": client, "jti": HEXLOWER.encode(&id), "nbf": now, "exp": now + 600,
        });
        bearer::signed_claims(&pem, Algorithm::Ps256, head, &claims)
    }

    fn managed(&self, client: Option<&str>) -> Result<Bearer, Fault> {
        let client = client.map(|id| format!("&client_id={}", encode_segment(id))).unwrap_or_default();
        let resource = encode_segment(&self.resource);
        let request =
            match (self.variables.get("IDENTITY_ENDPOINT"), self.variables.get("IDENTITY_HEADER")) {
                (Some(endpoint), Some(header)) => {
                    let header = Zeroizing::new(header);
                    Request::get(format!("{endpoint}?api-version=2019-08-01&resource={resource}{client}"))
                        .secret_header("x-identity-header", "", &header)
                }
                _ => {
                    let base = self
                        .variables
                        .get("AZURE_POD_IDENTITY_AUTHORITY_HOST")
                        .unwrap_or_else(|| "http://169.254.169.254".into());
                    let base = base.trim_end_matches('/');
                    Request::get(format!(
                        "{base}/metadata/identity/oauth2/token?api-version=2018-02-01&resource={resource}{client}"
                    ))
                    .header("metadata", "true")
                }
            };
        let answer = self.metadata.send(&request).map_err(|fault| {
            Fault::unauthenticated(
                format!("there are no Azure credentials: no variables, and of the managed identity: {}", fault.why),
                "set AZURE_TENANT_ID, AZURE_CLIENT_ID and AZURE_CLIENT_SECRET, or run where an identity is attached",
            )
        })?;
        bearer::of_answer(&answer, "the token of the managed identity")
    }
}

/// What the variables of the Azure SDKs say.
fn of_variables(variables: &Variables) -> AzureLogin {
    let client = variables.get("AZURE_CLIENT_ID");
    let Some((tenant_id, client_id)) = variables.get("AZURE_TENANT_ID").zip(client.clone()) else {
        return AzureLogin::ManagedIdentity { client_id: client };
    };
    if variables.get("AZURE_CLIENT_SECRET").is_some() {
        return AzureLogin::ClientSecret { tenant_id, client_id, secret_file: None, secret_variable: None };
    }
    if let Some(file) = variables.get("AZURE_CLIENT_CERTIFICATE_PATH") {
        return AzureLogin::ClientCertificate { tenant_id, client_id, certificate_file: file.into() };
    }
    if let Some(file) = variables.get("AZURE_FEDERATED_TOKEN_FILE") {
        return AzureLogin::WorkloadIdentity { tenant_id, client_id, token_file: file.into() };
    }
    AzureLogin::ManagedIdentity { client_id: Some(client_id) }
}
