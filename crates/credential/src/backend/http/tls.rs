//! TLS by rustls: the system's authorities, own ones, client certificates.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{CertificateError, ClientConfig, ClientConnection, RootCertStore};

use super::super::{ErrorKind, Fault};
use super::{HttpSettings, Pem};

/// How certificates are judged and shown. Files are read when the first connection wants TLS.
pub(super) struct Tls {
    ca_file: Option<PathBuf>,
    only_ca_file: bool,
    client: Option<(PathBuf, Option<PathBuf>)>,
    pem: Pem,
    config: OnceLock<Result<Arc<ClientConfig>, Fault>>,
}

impl Tls {
    /// As the settings say.
    pub(super) fn new(settings: &HttpSettings) -> Self {
        Self {
            ca_file: settings.ca_file.clone(),
            only_ca_file: settings.only_ca_file,
            client: settings.client_certificate.clone().map(|file| (file, settings.client_key.clone())),
            pem: settings.pem.clone(),
            config: OnceLock::new(),
        }
    }

    /// A connection to this host that has not yet begun.
    pub(super) fn connection(&self, host: &str) -> Result<ClientConnection, Fault> {
        let config = self.config.get_or_init(|| self.load()).clone()?;
        let bare = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let name = ServerName::try_from(bare).map_err(|_| {
            Fault::configuration("the host is no name that a certificate can hold", "check the address")
        })?;
        ClientConnection::new(config, name).map_err(|error| fault(&error, host))
    }

    fn load(&self) -> Result<Arc<ClientConfig>, Fault> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|_| Fault::configuration("this build has no TLS version", "report this"))?
            .with_root_certificates(self.roots()?);
        let misfit = || Fault::configuration("the client certificate and its key do not fit", "check both files");
        let config = match &self.client {
            None => match &self.pem.client {
                None => builder.with_no_client_auth(),
                Some(pem) => {
                    let chain = certificates_in(pem.expose()).ok_or_else(misfit)?;
                    let key = PrivateKeyDer::from_pem_slice(pem.expose()).map_err(|_| misfit())?;
                    builder.with_client_auth_cert(chain, key).map_err(|_| misfit())?
                }
            },
            Some((certificate, key)) => {
                let chain = certificates(certificate)?;
                let key_file = key.as_ref().unwrap_or(certificate);
                let key = PrivateKeyDer::from_pem_file(key_file).map_err(|_| unreadable(key_file, "private key"))?;
                builder.with_client_auth_cert(chain, key).map_err(|_| misfit())?
            }
        };
        Ok(Arc::new(config))
    }

    fn roots(&self) -> Result<RootCertStore, Fault> {
        let mut roots = RootCertStore::empty();
        if let Some(file) = &self.ca_file {
            let (added, _) = roots.add_parsable_certificates(certificates(file)?);
            if added == 0 {
                return Err(unreadable(file, "certificate"));
            }
        }
        if let Some(pem) = &self.pem.authorities {
            let list = certificates_in(pem.expose()).unwrap_or_default();
            let (added, _) = roots.add_parsable_certificates(list);
            if added == 0 {
                return Err(Fault::configuration("the authority's certificate cannot be read", "check the settings"));
            }
        }
        if !self.only_ca_file || (self.ca_file.is_none() && self.pem.authorities.is_none()) {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
        if roots.is_empty() {
            return Err(Fault::configuration(
                "this system has no certificates of authorities",
                "install them (package ca-certificates), or set `http.ca-file`",
            ));
        }
        Ok(roots)
    }
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, Fault> {
    let certificates: Result<Vec<_>, _> =
        CertificateDer::pem_file_iter(file).and_then(Iterator::collect::<Result<Vec<_>, _>>).map_err(|_| ());
    certificates.ok().filter(|list| !list.is_empty()).ok_or_else(|| unreadable(file, "certificate"))
}

fn certificates_in(pem: &[u8]) -> Option<Vec<CertificateDer<'static>>> {
    let list: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    list.ok().filter(|list: &Vec<CertificateDer<'static>>| !list.is_empty())
}

fn unreadable(file: &Path, what: &str) -> Fault {
    Fault::configuration(format!("`{}` holds no {what} in PEM that can be read", file.display()), "check the file")
}

/// What a failed handshake means. A certificate that is not trusted is a matter of settings, not of trying again.
pub(super) fn fault(error: &rustls::Error, place: &str) -> Fault {
    let trust = "check the address, or set `http.ca-file` to the authority that signed the server's certificate";
    let (kind, why, fix) = match error {
        rustls::Error::InvalidCertificate(CertificateError::Expired | CertificateError::ExpiredContext { .. }) => {
            (ErrorKind::Configuration, "its certificate has expired", "renew the server's certificate")
        }
        rustls::Error::InvalidCertificate(
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. },
        ) => (ErrorKind::Configuration, "its certificate is not valid yet", "check the clocks"),
        rustls::Error::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        ) => (ErrorKind::Configuration, "its certificate is for another name", "check the address"),
        rustls::Error::InvalidCertificate(_) => (ErrorKind::Configuration, "its certificate is not trusted", trust),
        rustls::Error::AlertReceived(_) => (
            ErrorKind::Unauthenticated,
            "it refuses the TLS handshake",
            "check the client certificate, where the server wants one",
        ),
        rustls::Error::InvalidMessage(_) => (ErrorKind::Malformed, "it does not speak TLS", "check scheme and port"),
        _ => (ErrorKind::Unreachable, "the TLS handshake failed", "check that the server speaks TLS 1.2 or 1.3"),
    };
    Fault::new(kind, format!("{place} cannot be reached: {why}"), fix)
}
