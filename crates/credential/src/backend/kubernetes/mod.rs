//! Secrets of the Kubernetes API.
//!
//! Source: the API reference, `Secret` of `core/v1`.

mod config;

use std::path::PathBuf;

use data_encoding::BASE64;
use serde::Deserialize;
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use self::config::Who;
use super::bearer::Bearers;
use super::grouped::{self, Content, Whole, current_only};
use super::http::{Answer, Client, HttpSettings, Method, Plaintext, Request};
use super::location::{Location, encode_segment};
use super::openbao::read_token;
use super::{
    Backend, BackendError, Capabilities, ErrorKind, Fault, Metadata, ReadRequest, Resolved, Variables, VersionRequest,
    json,
};
use crate::SecretValue;

/// Its name.
const NAME: &str = "kubernetes";
/// What each pod finds.
const ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
/// So many requests at the same time.
const PARALLEL: usize = 16;

/// Settings: the table of the backend in the contract file. None of them is secret.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct KubernetesSettings {
    /// The API server; else that of the cluster that this pod is in.
    pub address: Option<String>,
    /// The namespace of locations that name none; else the pod's.
    pub namespace: Option<String>,
    /// The file with the token; else the pod's. It is read again for each request, because it is rotated.
    pub token_file: Option<PathBuf>,
    /// A kubeconfig file; else `KUBECONFIG`, else `~/.kube/config`, where neither `address` nor a pod says where to ask.
    pub kubeconfig: Option<PathBuf>,
    /// The context of the kubeconfig; else its current one.
    pub context: Option<String>,
    /// Connections; `http.ca-file` is the pod's unless set. A client certificate takes the token's place.
    pub http: HttpSettings,
}

/// The backend.
pub struct Kubernetes {
    http: Client,
    address: String,
    namespace: Option<String>,
    who: Who,
    bearers: Bearers,
}

#[derive(Deserialize)]
struct Secret<'a> {
    #[serde(borrow)]
    data: Option<&'a RawValue>,
    metadata: ObjectMeta,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct ObjectMeta {
    name: String,
    resource_version: Option<String>,
    creation_timestamp: Option<jiff::Timestamp>,
    #[serde(rename = "continue")]
    more: String,
}

impl Kubernetes {
    /// A backend for these settings. Nothing is asked yet.
    ///
    /// # Errors
    /// Configuration: no address, and not in a cluster.
    pub fn new(mut settings: KubernetesSettings, variables: &Variables) -> Result<Self, Fault> {
        let in_cluster = variables.get("KUBERNETES_SERVICE_HOST").map(|host| {
            let port = variables
                .first(&["KUBERNETES_SERVICE_PORT_HTTPS", "KUBERNETES_SERVICE_PORT"])
                .unwrap_or_else(|| "443".into());
            if host.contains(':') { format!("https://[{host}]:{port}") } else { format!("https://{host}:{port}") }
        });
        let own = |name: &str| Some(PathBuf::from(ACCOUNT).join(name)).filter(|file| file.exists());
        let is_named = settings.kubeconfig.is_some() || settings.context.is_some();
        if is_named || (settings.address.is_none() && in_cluster.is_none()) {
            let files = config::files(settings.kubeconfig.as_deref(), variables);
            if is_named || !files.is_empty() {
                return Self::of_config(settings, &files, variables);
            }
        }
        settings.http.ca_file = settings.http.ca_file.or_else(|| own("ca.crt"));
        let address = settings.address.or(in_cluster).ok_or_else(|| {
            Fault::configuration(
                "there is no API server: neither a kubeconfig, nor is this a pod",
                "set `kubeconfig`, or `address`, `token-file` and `http.ca-file`",
            )
        })?;
        let has_certificate = settings.http.client_certificate.is_some();
        let token_file =
            settings.token_file.or_else(|| Some(PathBuf::from(ACCOUNT).join("token")).filter(|_| !has_certificate));
        let namespace =
            settings.namespace.or_else(|| own("namespace").and_then(|file| Some(read_token(&file).ok()?.to_string())));
        let who = token_file.map_or(Who::Certificate, Who::File);
        Self::with(&address, namespace, who, settings.http, variables)
    }

    fn of_config(mut settings: KubernetesSettings, files: &[PathBuf], variables: &Variables) -> Result<Self, Fault> {
        let chosen = config::choose(files, settings.context.as_deref(), &mut settings.http)?;
        let address = settings.address.unwrap_or(chosen.address);
        let who = settings.token_file.map_or(chosen.who, Who::File);
        Self::with(&address, settings.namespace.or(chosen.namespace), who, settings.http, variables)
    }

    fn with(
        address: &str,
        namespace: Option<String>,
        who: Who,
        http: HttpSettings,
        variables: &Variables,
    ) -> Result<Self, Fault> {
        let http = Client::new(http, Plaintext::Loopback, variables)?;
        let address = address.trim_end_matches('/').to_owned();
        Ok(Self { http, address, namespace, who, bearers: Bearers::default() })
    }

    /// `namespace/name`, or `name` alone.
    fn place<'a>(&'a self, path: &'a str) -> Result<(&'a str, &'a str), Fault> {
        let (namespace, name) = match path.split_once('/') {
            Some(both) => both,
            None => (self.namespace.as_deref().unwrap_or_default(), path),
        };
        let is_name = |text: &str| {
            (1..=253).contains(&text.len())
                && text
                    .bytes()
                    .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'.'))
                && !text.starts_with('.')
        };
        if is_name(namespace) && is_name(name) {
            return Ok((namespace, name));
        }
        Err(Fault::configuration("the location is no name of a secret", "write it as `namespace/name#key`"))
    }

    fn ask(&self, request: Request) -> Result<Answer, Fault> {
        let send = |token: &str| self.http.send(&request.clone().secret_header("authorization", "Bearer ", token));
        match &self.who {
            Who::File(file) => send(&read_token(file)?),
            Who::Token(token) => send(token),
            Who::Exec(exec) => self.bearers.ask(|| exec.token(), send),
            Who::Certificate => self.http.send(&request),
        }
    }

    fn url(&self, namespace: &str, rest: &str) -> String {
        format!("{}/api/v1/namespaces/{namespace}/secrets{rest}", self.address)
    }

    fn get(&self, path: &str) -> Result<Whole, Fault> {
        let (namespace, name) = self.place(path)?;
        let answer = self.ask(Request::get(self.url(namespace, &format!("/{name}"))))?;
        if !answer.is_success() {
            return Err(refusal(&answer));
        }
        let secret: Secret<'_> = json::parse(answer.json()?, "the secret")?;
        let mut fields = Vec::new();
        for (key, raw) in secret.data.and_then(json::members).unwrap_or_default() {
            let bytes = json::material(raw).and_then(|text| BASE64.decode(&text).ok()).map(Zeroizing::new);
            fields.push((key, bytes.ok_or_else(|| Fault::malformed("a key of the secret is no base64"))?));
        }
        Ok(Whole { content: Content::Fields(fields), metadata: metadata(secret.metadata) })
    }

    fn write_key(&self, request: &ReadRequest, value: &SecretValue) -> Result<Metadata, Fault> {
        let location = Location::parse(&request.location)?;
        let (namespace, name) = self.place(location.path)?;
        let mut data = Zeroizing::new(b"\"data\":{".to_vec());
        json::quote(&mut data, location.field.unwrap_or("value"));
        let encoded = Zeroizing::new(BASE64.encode(value.expose()));
        json::reserve(&mut data, encoded.len() + 6);
        data.extend_from_slice(b":\"");
        data.extend_from_slice(encoded.as_bytes());
        data.extend_from_slice(b"\"}}");
        let with_head = |head: &str| {
            let mut body = Zeroizing::new(Vec::with_capacity(head.len() + data.len()));
            body.extend_from_slice(head.as_bytes());
            body.extend_from_slice(&data);
            body
        };
        let patch = Request::new(Method::Patch, self.url(namespace, &format!("/{name}?fieldManager=custody")));
        let mut answer = self.ask(patch.body("application/merge-patch+json", with_head("{")).sensitive(&encoded))?;
        if answer.status == 404 {
            let head = format!("{{\"apiVersion\":\"v1\",\"kind\":\"Secret\",\"metadata\":{{\"name\":\"{name}\"}},");
            answer = self.ask(
                Request::post(self.url(namespace, "?fieldManager=custody")).json(with_head(&head)).sensitive(&encoded),
            )?;
        }
        if !answer.is_success() {
            return Err(refusal(&answer));
        }
        let secret: Secret<'_> = json::parse(answer.json()?, "the answer to the write")?;
        Ok(metadata(secret.metadata))
    }

    fn list_below(&self, prefix: &str) -> Result<Vec<String>, Fault> {
        #[derive(Deserialize)]
        struct Items {
            #[serde(default)]
            metadata: ObjectMeta,
            #[serde(default)]
            items: Vec<Item>,
        }
        #[derive(Deserialize)]
        struct Item {
            metadata: ObjectMeta,
        }
        let path = match prefix.split_once('/') {
            Some((namespace, _)) => format!("{namespace}/x"),
            None => "x".to_owned(),
        };
        let (namespace, _) = self.place(&path)?;
        let mut names = Vec::new();
        let mut token = String::new();
        let patience = self.http.patience();
        loop {
            patience.check()?;
            let url = self.url(namespace, &format!("?limit=500&continue={}", encode_segment(&token)));
            // Names only: the values do not leave the server.
            let kind = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";
            let answer = self.ask(Request::get(url).header("accept", kind))?;
            if !answer.is_success() {
                return Err(refusal(&answer));
            }
            let page: Items = json::parse(answer.json()?, "the list of secrets")?;
            names.extend(page.items.into_iter().map(|item| format!("{namespace}/{}", item.metadata.name)));
            token = page.metadata.more;
            if token.is_empty() {
                let wanted = if prefix.contains('/') { prefix.to_owned() } else { format!("{namespace}/{prefix}") };
                names.retain(|name| name.starts_with(&wanted));
                return Ok(names);
            }
        }
    }
}

fn metadata(meta: ObjectMeta) -> Metadata {
    // The creation is that of the object; of a changed value it would be too old.
    Metadata { version: meta.resource_version, created: meta.creation_timestamp, ..Metadata::default() }
}

fn refusal(answer: &Answer) -> Fault {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Status {
        message: String,
    }
    let status: Status = answer.json().ok().and_then(|body| serde_json::from_slice(body).ok()).unwrap_or_default();
    answer.fault(Some(&status.message))
}

impl Backend for Kubernetes {
    fn name(&self) -> &'static str {
        NAME
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities { write: true, list: true, versions: false, batch: false }
    }

    fn read(&self, requests: &[ReadRequest]) -> Vec<Result<Resolved, BackendError>> {
        grouped::read(NAME, requests, PARALLEL, |path, version| {
            current_only(version, "the Kubernetes API")?;
            self.get(path)
        })
    }

    fn write(&self, request: &ReadRequest, value: &SecretValue) -> Result<Metadata, BackendError> {
        let written = match request.version {
            VersionRequest::Current => self.write_key(request, value),
            _ => Err(Fault::new(ErrorKind::Unsupported, "an old version cannot be written", "write the current one")),
        };
        written.map_err(|fault| fault.of(NAME, &request.reference))
    }

    fn list(&self, prefix: &str) -> Option<Result<Vec<String>, BackendError>> {
        Some(self.list_below(prefix).map_err(|fault| fault.named(NAME, prefix)))
    }
}
