//! The conformance suite on every backend in the network: OpenBao and AWS against real servers, the others against stubs
//! made from their public API documentation that keep what is planted.
#![allow(clippy::unwrap_used, reason = "a test may panic, in its helpers too")]

mod stubs;

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use custody_credential::SecretValue;
use custody_credential::backend::aws::{AwsParameterStore, AwsSecretsManager, AwsSettings};
use custody_credential::backend::azure::{AzureKeyVault, AzureSettings};
use custody_credential::backend::bitwarden::{Bitwarden, BitwardenSettings};
use custody_credential::backend::conformance::{self, Fixture, Limits, request};
use custody_credential::backend::doppler::{Doppler, DopplerSettings};
use custody_credential::backend::gcp::{GcpSecretManager, GcpSettings};
use custody_credential::backend::infisical::{Infisical, InfisicalSettings};
use custody_credential::backend::kubernetes::{Kubernetes, KubernetesSettings};
use custody_credential::backend::onepassword::{OnePassword, OnePasswordSettings};
use custody_credential::backend::openbao::{OpenBao, OpenBaoSettings};
use custody_credential::backend::resolver::{Resolver, ResolverSettings};
use custody_credential::backend::{Backend, ReadRequest, Variables};
use custody_testkit::servers::{self, Moto};
use serde_json::json;
use stubs::Kept;

/// Puts a secret under a name; its location.
type Planter<B> = dyn Fn(&B, &str, &[u8]) -> String + Sync;

/// A backend and how a secret comes into what it reads.
struct Planted<B> {
    backend: B,
    limits: Limits,
    plant: Box<Planter<B>>,
}

impl<B: Backend> Fixture for Planted<B> {
    fn backend(&self) -> &dyn Backend {
        &self.backend
    }

    fn limits(&self) -> Limits {
        self.limits
    }

    fn plant(&self, name: &str, value: &[u8]) -> ReadRequest {
        request(name, &(self.plant)(&self.backend, name, value))
    }
}

#[track_caller]
fn conforms<B: Backend>(backend: B, limits: Limits, plant: impl Fn(&B, &str, &[u8]) -> String + Sync + 'static) {
    conformance::check(&Planted { backend, limits, plant: Box::new(plant) });
}

const TEXT: Limits = Limits { binary: false, empty: true, fields: true, final_newline: true, max_bytes: 64 << 10 };

fn text(value: &[u8]) -> &str {
    std::str::from_utf8(value).expect("text only is planted here")
}

/// Plants by the backend's own writing.
fn by_writing<B: Backend>(prefix: &'static str) -> impl Fn(&B, &str, &[u8]) -> String + Sync + 'static {
    move |backend, name, value| {
        let location = format!("{prefix}{name}");
        backend.write(&request(name, &location), &SecretValue::copy_of(value)).expect("written");
        location
    }
}

#[test]
fn a_real_openbao_conforms() {
    let server = servers::OpenBao::start();
    let settings = OpenBaoSettings { address: Some(server.address()), ..Default::default() };
    let backend = OpenBao::new(settings, &Variables::of([("BAO_TOKEN", server.root_token())])).unwrap();
    conforms(backend, TEXT, move |_, name, value| {
        let object = serde_json::from_slice(value).ok().filter(serde_json::Value::is_object);
        let data = object.unwrap_or_else(|| json!({ "value": text(value) }));
        server.api("POST", &format!("secret/data/conformance/{name}"), json!({ "data": data }));
        format!("secret/conformance/{name}")
    });
}

fn at_moto(server: &Moto) -> Variables {
    let keys = [("AWS_ACCESS_KEY_ID", "mock"), ("AWS_SECRET_ACCESS_KEY", "mock"), ("AWS_REGION", "us-east-1")];
    let own = keys.map(|(name, value)| (name, value.to_owned()));
    Variables::of(own.into_iter().chain([("AWS_ENDPOINT_URL", server.address())]))
}

#[test]
fn aws_secrets_manager_conforms_on_a_real_moto() {
    let server = Moto::start();
    let backend = AwsSecretsManager::new(AwsSettings::default(), &at_moto(&server)).unwrap();
    // The service takes no empty secret.
    conforms(backend, Limits { empty: false, ..Limits::default() }, by_writing("conformance/"));
}

#[test]
fn aws_parameter_store_conforms_on_a_real_moto() {
    let server = Moto::start();
    let backend = AwsParameterStore::new(AwsSettings::default(), &at_moto(&server)).unwrap();
    // A parameter is text of 1 to 4096 characters.
    conforms(backend, Limits { empty: false, max_bytes: 4096, ..TEXT }, by_writing("/conformance/"));
}

#[test]
fn google_secret_manager_conforms_on_a_stub() {
    let stub = stubs::google();
    let settings = GcpSettings { project: Some("p".into()), endpoint: Some(stub.address()), ..Default::default() };
    let host = stub.address();
    let variables = Variables::of([("GCE_METADATA_HOST", host.trim_start_matches("http://"))]);
    let backend = GcpSecretManager::new(settings, &variables).unwrap();
    conforms(backend, Limits::default(), by_writing(""));
}

#[test]
fn azure_key_vault_conforms_on_a_stub() {
    let stub = stubs::azure();
    let settings = AzureSettings { vault: Some(stub.address()), ..Default::default() };
    let variables = Variables::of([("AZURE_POD_IDENTITY_AUTHORITY_HOST", stub.address())]);
    let backend = AzureKeyVault::new(settings, &variables).unwrap();
    conforms(backend, Limits { max_bytes: 25_000, ..TEXT }, by_writing(""));
}

#[test]
fn the_kubernetes_api_conforms_on_a_stub() {
    let (stub, kept) = stubs::kubernetes();
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("token"), "pod-token").unwrap();
    let settings = KubernetesSettings {
        address: Some(stub.address()),
        namespace: Some("team".into()),
        token_file: Some(folder.path().join("token")),
        ..Default::default()
    };
    let backend = Kubernetes::new(settings, &Variables::none()).unwrap();
    conforms(backend, Limits::default(), move |_, name, value| {
        let _kept_while_used = &folder;
        kept.put(name, value);
        format!("team/{name}")
    });
}

#[test]
fn another_resolver_conforms_on_a_stub() {
    let (stub, kept) = stubs::resolver();
    let settings = ResolverSettings { endpoint: Some(stub.address()), ..Default::default() };
    let backend = Resolver::new(settings, &Variables::none()).unwrap();
    conforms(backend, Limits::default(), move |_, name, value| {
        kept.put(name, value);
        format!("test/conformance/{name}")
    });
}

#[test]
fn one_password_connect_conforms_on_a_stub() {
    let (stub, kept) = stubs::connect();
    let variables = Variables::of([("OP_CONNECT_HOST", stub.address()), ("OP_CONNECT_TOKEN", "connect".into())]);
    let backend = OnePassword::new(OnePasswordSettings::default(), &variables).unwrap();
    conforms(backend, TEXT, move |_, name, value| {
        kept.put(name, value);
        format!("Ops/{name}")
    });
}

#[test]
fn infisical_conforms_on_a_stub() {
    let (stub, kept) = stubs::infisical();
    let variables = Variables::of([("INFISICAL_API_URL", stub.address()), ("INFISICAL_TOKEN", "infisical".into())]);
    let settings =
        InfisicalSettings { project: Some("p".into()), environment: Some("prod".into()), ..Default::default() };
    let backend = Infisical::new(settings, &variables).unwrap();
    conforms(backend, TEXT, move |_, name, value| {
        kept.put(name, value);
        format!("conformance/{name}")
    });
}

#[test]
fn doppler_conforms_on_a_stub() {
    let (stub, kept) = stubs::doppler();
    let variables = Variables::of([("DOPPLER_API_HOST", stub.address()), ("DOPPLER_TOKEN", "doppler".into())]);
    let backend = Doppler::new(DopplerSettings::default(), &variables).unwrap();
    conforms(backend, TEXT, move |_, name, value| {
        kept.put(name, value);
        format!("p/prd/{name}")
    });
}

/// A command that a test writes in place of the real one.
fn command(folder: &Path, script: &str) -> std::path::PathBuf {
    let file = folder.join("command");
    std::fs::write(&file, format!("#!/bin/sh\n{script}\n")).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
    file
}

#[test]
fn the_command_of_one_password_conforms_as_a_stub() {
    let folder = tempfile::tempdir().unwrap();
    let items = folder.path().join("items");
    std::fs::create_dir(&items).unwrap();
    let script = format!(
        "file={}/${{3##*/Ops/}}; file=${{file%/password}}\n\
         [ -f \"$file\" ] || {{ echo '[ERROR] could not read secret: isn'\\''t an item' >&2; exit 1; }}\ncat \"$file\"",
        items.display()
    );
    let settings = OnePasswordSettings { command: Some(command(folder.path(), &script)), ..Default::default() };
    let backend = OnePassword::new(settings, &Variables::none()).unwrap();
    conforms(backend, Limits { fields: false, ..TEXT }, move |_, name, value| {
        let _kept_while_used = &folder;
        std::fs::write(items.join(name), value).unwrap();
        format!("Ops/{name}#password")
    });
}

#[test]
fn the_command_of_bitwarden_conforms_as_a_stub() {
    let folder = tempfile::tempdir().unwrap();
    let list = folder.path().join("list");
    std::fs::write(&list, "[]").unwrap();
    let settings = BitwardenSettings {
        command: Some(command(folder.path(), &format!("cat '{}'", list.display()))),
        ..Default::default()
    };
    let backend = Bitwarden::new(settings, &Variables::of([("BWS_ACCESS_TOKEN", "bws")]));
    let kept = Kept::default();
    conforms(backend, TEXT, move |_, name, value| {
        kept.put(name, value);
        let secrets =
            kept.each(|name, versions| json!({"id": "x", "key": name, "value": text(versions.last().unwrap())}));
        let new = folder.path().join("new");
        std::fs::write(&new, json!(secrets).to_string()).unwrap();
        std::fs::rename(new, &list).unwrap();
        name.to_owned()
    });
}
