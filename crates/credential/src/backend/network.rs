//! The backends in the network as kinds that the registry knows.

use std::sync::Arc;

use serde::de::DeserializeOwned;

use super::aws::{AwsParameterStore, AwsSecretsManager, AwsSettings};
use super::azure::{AzureKeyVault, AzureSettings};
use super::bitwarden::{Bitwarden, BitwardenSettings};
use super::doppler::{Doppler, DopplerSettings};
use super::gcp::{GcpSecretManager, GcpSettings};
use super::infisical::{Infisical, InfisicalSettings};
use super::kubernetes::{Kubernetes, KubernetesSettings};
use super::onepassword::{OnePassword, OnePasswordSettings};
use super::openbao::{OpenBao, OpenBaoSettings};
use super::resolver::{Resolver, ResolverSettings};
use super::{Backend, Fault, Variables};
use crate::registry::BackendKind;
use crate::setup::{ConfigError, Setup};

/// All of them.
pub(crate) static KINDS: [BackendKind; 11] = [
    BackendKind {
        name: "openbao",
        aliases: &["vault", "bao"],
        summary: "OpenBao or HashiCorp Vault: KV, database credentials as leases",
        make: |setup| make(setup, |settings: OpenBaoSettings, variables| OpenBao::new(settings, variables)),
    },
    BackendKind {
        name: "aws-secrets-manager",
        aliases: &["aws", "secretsmanager"],
        summary: "AWS Secrets Manager",
        make: |setup| make(setup, |settings: AwsSettings, variables| AwsSecretsManager::new(settings, variables)),
    },
    BackendKind {
        name: "aws-parameter-store",
        aliases: &["aws-ssm", "ssm"],
        summary: "AWS Systems Manager Parameter Store",
        make: |setup| make(setup, |settings: AwsSettings, variables| AwsParameterStore::new(settings, variables)),
    },
    BackendKind {
        name: "gcp-secret-manager",
        aliases: &["gcp", "google-secret-manager"],
        summary: "Google Cloud Secret Manager",
        make: |setup| make(setup, |settings: GcpSettings, variables| GcpSecretManager::new(settings, variables)),
    },
    BackendKind {
        name: "azure-key-vault",
        aliases: &["azure", "keyvault"],
        summary: "Azure Key Vault",
        make: |setup| make(setup, |settings: AzureSettings, variables| AzureKeyVault::new(settings, variables)),
    },
    BackendKind {
        name: "kubernetes",
        aliases: &["k8s"],
        summary: "Secrets of the Kubernetes API",
        make: |setup| make(setup, |settings: KubernetesSettings, variables| Kubernetes::new(settings, variables)),
    },
    BackendKind {
        name: "1password",
        aliases: &["onepassword", "op"],
        summary: "1Password by a Connect server or its command-line tool",
        make: |setup| make(setup, |settings: OnePasswordSettings, variables| OnePassword::new(settings, variables)),
    },
    BackendKind {
        name: "bitwarden",
        aliases: &["bws"],
        summary: "Bitwarden Secrets Manager by its command-line tool",
        make: |setup| make(setup, |settings: BitwardenSettings, variables| Ok(Bitwarden::new(settings, variables))),
    },
    BackendKind {
        name: "infisical",
        aliases: &[],
        summary: "Infisical",
        make: |setup| make(setup, |settings: InfisicalSettings, variables| Infisical::new(settings, variables)),
    },
    BackendKind {
        name: "doppler",
        aliases: &[],
        summary: "Doppler",
        make: |setup| make(setup, |settings: DopplerSettings, variables| Doppler::new(settings, variables)),
    },
    BackendKind {
        name: "secret-manager",
        aliases: &["resolver", "custody"],
        summary: "another custody resolver over HTTP (FICECAL_SECRET_RESOLVER_ENDPOINT)",
        make: |setup| make(setup, |settings: ResolverSettings, variables| Resolver::new(settings, variables)),
    },
];

fn make<S: DeserializeOwned, B: Backend + 'static>(
    setup: &mut Setup<'_>,
    new: fn(S, &Variables) -> Result<B, Fault>,
) -> Result<Box<dyn Backend>, ConfigError> {
    let settings = setup.parse()?;
    let process = Arc::clone(&setup.context.variables);
    let variables = Variables::by(move |name| process.text(name));
    match new(settings, &variables) {
        Ok(backend) => Ok(Box::new(backend)),
        Err(fault) => Err(setup.error(None, fault.why, fault.fix)),
    }
}
