//! Kubeconfig files: clusters, users and contexts, and programs that give tokens.
//!
//! Source: the Kubernetes reference, `kubectl` configuration (`v1`) and client authentication (`client.authentication.k8s.io`).

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use data_encoding::BASE64;
use serde::Deserialize;
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use super::super::bearer::Bearer;
use super::super::http::{HttpSettings, Secret};
use super::super::{Fault, Variables, json, process};

/// Largest file.
const MAX_FILE_BYTES: u64 = 4 << 20;
/// How long a program may take.
const EXEC_LIMIT: Duration = Duration::from_secs(60);

/// One file, or several merged: what stands first wins.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
struct Config {
    current_context: Option<String>,
    contexts: Option<Vec<Named<ContextItem>>>,
    clusters: Option<Vec<Named<Cluster>>>,
    users: Option<Vec<Named<User>>>,
}

#[derive(Debug, Deserialize)]
struct Named<T> {
    name: String,
    #[serde(alias = "context", alias = "cluster", alias = "user")]
    item: Option<T>,
    /// The folder of its file: paths start there.
    #[serde(skip)]
    folder: PathBuf,
}

#[derive(Debug, Clone, Deserialize)]
struct ContextItem {
    cluster: String,
    user: String,
    namespace: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Cluster {
    server: String,
    certificate_authority: Option<PathBuf>,
    certificate_authority_data: Option<String>,
    #[serde(default)]
    insecure_skip_tls_verify: bool,
    tls_server_name: Option<String>,
    proxy_url: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
struct User {
    #[serde(deserialize_with = "secret")]
    token: Option<Zeroizing<String>>,
    #[serde(alias = "tokenFile")]
    token_file: Option<PathBuf>,
    client_certificate: Option<PathBuf>,
    client_certificate_data: Option<String>,
    client_key: Option<PathBuf>,
    #[serde(deserialize_with = "secret")]
    client_key_data: Option<Zeroizing<String>>,
    exec: Option<Exec>,
    username: Option<String>,
    auth_provider: Option<serde::de::IgnoredAny>,
}

fn secret<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Zeroizing<String>>, D::Error> {
    Ok(Option::<String>::deserialize(deserializer)?.map(Zeroizing::new))
}

impl std::fmt::Debug for User {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("User")
    }
}

/// A program that gives a token.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Exec {
    api_version: String,
    command: String,
    args: Option<Vec<String>>,
    env: Option<Vec<Variable>>,
    #[serde(skip)]
    folder: PathBuf,
}

#[derive(Debug, Clone, Deserialize)]
struct Variable {
    name: String,
    value: String,
}

/// How a user shows who it is.
pub(super) enum Who {
    /// By this token.
    Token(Zeroizing<String>),
    /// By the token in this file, which is read again for each request.
    File(PathBuf),
    /// By the token that a program gives.
    Exec(Exec),
    /// By the client certificate of the connection, or not at all.
    Certificate,
}

/// What a context stands for.
pub(super) struct Chosen {
    pub(super) address: String,
    pub(super) namespace: Option<String>,
    pub(super) who: Who,
}

fn wrong(what: impl Into<String>) -> Fault {
    Fault::configuration(what, "check the kubeconfig file: kubectl config view")
}

/// The files: as said, else those of `KUBECONFIG`, else the user's own if it is there.
pub(super) fn files(said: Option<&Path>, variables: &Variables) -> Vec<PathBuf> {
    match (said, variables.get("KUBECONFIG")) {
        (Some(file), _) => vec![file.to_owned()],
        (None, Some(list)) => std::env::split_paths(&list).filter(|path| !path.as_os_str().is_empty()).collect(),
        (None, None) => {
            variables.home().map(|home| home.join(".kube/config")).filter(|file| file.exists()).into_iter().collect()
        }
    }
}

/// Reads the files and takes a context; what it says of certificates goes into `http`.
pub(super) fn choose(files: &[PathBuf], context: Option<&str>, http: &mut HttpSettings) -> Result<Chosen, Fault> {
    let mut config = Config::default();
    for file in files {
        merge(&mut config, file)?;
    }
    let name = context.map(str::to_owned).or(config.current_context).filter(|name| !name.is_empty());
    let name = name.ok_or_else(|| wrong("the kubeconfig names no current context"))?;
    let (context, _) = find(config.contexts, &name, "context")?;
    let (cluster, folder) = find(config.clusters, &context.cluster, "cluster")?;
    if cluster.insecure_skip_tls_verify {
        return Err(wrong("the kubeconfig turns the check of the server's certificate off, which custody does not do"));
    }
    if cluster.tls_server_name.is_some() || cluster.proxy_url.is_some() {
        return Err(wrong("the kubeconfig names a TLS server name or a proxy, which custody does not follow"));
    }
    if let Some(data) = &cluster.certificate_authority_data {
        http.pem.authorities = Some(decoded(data, "certificate-authority-data")?);
    } else if let Some(file) = &cluster.certificate_authority {
        http.ca_file = Some(folder.join(file));
    }
    let who = match context.user.as_str() {
        "" => Who::Certificate,
        user => {
            let (user, folder) = find(config.users, user, "user")?;
            who(user, &folder, http)?
        }
    };
    let address = cluster.server.trim_end_matches('/').to_owned();
    Ok(Chosen { address, namespace: context.namespace.filter(|name| !name.is_empty()), who })
}

fn who(user: User, folder: &Path, http: &mut HttpSettings) -> Result<Who, Fault> {
    if user.username.is_some() || user.auth_provider.is_some() {
        return Err(wrong("the kubeconfig logs in by a password or by `auth-provider`, which Kubernetes has given up"));
    }
    if let (Some(certificate), Some(key)) = (&user.client_certificate_data, &user.client_key_data) {
        let certificate = decoded(certificate, "client-certificate-data")?;
        let key = decoded(key, "client-key-data")?;
        http.pem.client = Some(Secret::of(Zeroizing::new([certificate.expose(), b"\n", key.expose()].concat())));
    } else if let Some(certificate) = &user.client_certificate {
        http.client_certificate = Some(folder.join(certificate));
        http.client_key = user.client_key.as_ref().map(|key| folder.join(key));
    }
    Ok(match (user.token_file, user.token, user.exec) {
        (Some(file), _, _) => Who::File(folder.join(file)),
        (None, Some(token), _) if !token.is_empty() => Who::Token(token),
        (None, _, Some(exec)) => Who::Exec(Exec { folder: folder.to_owned(), ..exec }),
        _ => Who::Certificate,
    })
}

fn find<T>(list: Option<Vec<Named<T>>>, name: &str, what: &str) -> Result<(T, PathBuf), Fault> {
    let found = list.unwrap_or_default().into_iter().find(|item| item.name == name);
    let found = found.and_then(|named| Some((named.item?, named.folder)));
    found.ok_or_else(|| wrong(format!("the kubeconfig has no {what} `{}`", super::super::http::clean(name, 60))))
}

fn merge(config: &mut Config, file: &Path) -> Result<(), Fault> {
    let unreadable = |why: &str| wrong(format!("`{}` {why}", file.display()));
    let opened = match std::fs::File::open(file) {
        Ok(opened) => opened,
        // kubectl passes over files of the list that are not there.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(_) => return Err(unreadable("cannot be read")),
    };
    let size = opened.metadata().map_or(0, |metadata| metadata.len());
    let mut text = Zeroizing::new(String::with_capacity(usize::try_from(size.min(MAX_FILE_BYTES)).unwrap_or(0) + 1));
    let read = opened.take(MAX_FILE_BYTES + 1).read_to_string(&mut text);
    if read.is_err() || text.len() as u64 > MAX_FILE_BYTES {
        return Err(unreadable("is too large, or no text"));
    }
    // The parser's message may quote the file.
    let own: Config = serde_saphyr::from_str(&text).map_err(|_| unreadable("is no kubeconfig"))?;
    let folder = file.parent().unwrap_or(Path::new("."));
    fn add<T>(to: &mut Option<Vec<Named<T>>>, from: Option<Vec<Named<T>>>, folder: &Path) {
        let placed = from.unwrap_or_default().into_iter().map(|named| Named { folder: folder.to_owned(), ..named });
        to.get_or_insert_default().extend(placed);
    }
    config.current_context = config.current_context.take().filter(|name| !name.is_empty()).or(own.current_context);
    add(&mut config.contexts, own.contexts, folder);
    add(&mut config.clusters, own.clusters, folder);
    add(&mut config.users, own.users, folder);
    Ok(())
}

fn decoded(text: &str, what: &str) -> Result<Secret, Fault> {
    let text: Zeroizing<Vec<u8>> = Zeroizing::new(text.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect());
    let bytes = BASE64.decode(&text).map_err(|_| wrong(format!("`{what}` of the kubeconfig is no base64")))?;
    Ok(Secret::of(Zeroizing::new(bytes)))
}

impl Exec {
    /// Runs it.
    pub(super) fn token(&self) -> Result<Bearer, Fault> {
        #[derive(Deserialize)]
        struct Credential<'a> {
            #[serde(borrow)]
            status: Option<Status<'a>>,
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Status<'a> {
            #[serde(borrow)]
            token: Option<&'a RawValue>,
            expiration_timestamp: Option<jiff::Timestamp>,
        }
        if !["client.authentication.k8s.io/v1", "client.authentication.k8s.io/v1beta1"]
            .contains(&self.api_version.as_str())
        {
            return Err(wrong("the kubeconfig wants a program of an unknown version"));
        }
        // As kubectl does: a path with a slash starts at the file's folder, a name alone is looked for.
        let program = match self.command.contains('/') {
            true => self.folder.join(&self.command),
            false => PathBuf::from(&self.command),
        };
        let name = program.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let mut command = Command::new(&program);
        command.args(self.args.iter().flatten());
        command.envs(self.env.iter().flatten().map(|variable| (&variable.name, &variable.value)));
        let asked = serde_json::json!({
            "kind": "ExecCredential", "apiVersion": self.api_version, "spec": { "interactive": false },
        });
        command.env("KUBERNETES_EXEC_INFO", asked.to_string());
        let said = process::run(&mut command, &name, EXEC_LIMIT)?;
        if !said.is_success {
            return Err(Fault::unauthenticated(
                format!("`{name}` of the kubeconfig failed: {}", said.errors),
                "run `kubectl get secrets` by hand, or log in",
            ));
        }
        let credential: Credential<'_> = json::parse(&said.output, "the output of the program")?;
        let status = credential.status.ok_or_else(|| Fault::malformed(format!("`{name}` gave no credential")))?;
        let token = status.token.and_then(json::secret_text).filter(|text| !text.is_empty());
        let token = token.ok_or_else(|| {
            Fault::configuration(
                format!("`{name}` gives a certificate and no token"),
                "use a program that gives tokens, or name the certificate's files",
            )
        })?;
        let life = status
            .expiration_timestamp
            .map(|until| Duration::try_from(until.duration_since(jiff::Timestamp::now())).unwrap_or_default());
        Ok(Bearer::new(token, life))
    }
}
