//! What can be set about the connections of a backend.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use zeroize::Zeroizing;

/// Connections: certificates, time-outs and limits. In the contract file the table `http` of a backend.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct HttpSettings {
    /// PEM file with certificates of authorities that are trusted besides the system's.
    pub ca_file: Option<PathBuf>,
    /// Trust only `ca-file`, not the system's authorities.
    pub only_ca_file: bool,
    /// PEM file with this client's certificate and its chain, for mutual TLS.
    pub client_certificate: Option<PathBuf>,
    /// PEM file with the key of `client-certificate`.
    pub client_key: Option<PathBuf>,
    /// Seconds until a connection must stand: 5 unless set, at most 120.
    pub connect_timeout_seconds: Option<u64>,
    /// Seconds until an exchange must be over: 30 unless set, at most 600.
    pub timeout_seconds: Option<u64>,
    /// Largest answer in bytes: 8 MiB unless set, at most 64 MiB.
    pub max_body_bytes: Option<usize>,
    /// Connections at the same time: 128 unless set, at most 512.
    pub max_connections: Option<usize>,
    /// Allow plain http to other machines.
    pub allow_plaintext: bool,
    /// Ignore the proxies that the environment names.
    pub no_proxy: bool,
    /// PEM texts instead of files; never set by the contract file.
    #[serde(skip)]
    pub pem: Pem,
}

/// Certificates and keys that are in memory.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pem {
    /// Certificates of authorities, instead of `ca-file`.
    pub authorities: Option<Secret>,
    /// This client's certificate with its chain, and its key.
    pub client: Option<Secret>,
}

/// Bytes that are not shown, and are overwritten when the last copy goes.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Arc<Zeroizing<Vec<u8>>>);

impl Secret {
    /// These bytes.
    pub fn of(bytes: Zeroizing<Vec<u8>>) -> Self {
        Self(Arc::new(bytes))
    }

    /// The bytes.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl HttpSettings {
    /// How long connecting may take.
    pub(crate) fn connect_timeout(&self) -> Duration {
        Duration::from_secs(self.connect_timeout_seconds.unwrap_or(5).clamp(1, 120))
    }

    /// How long an exchange may take.
    pub(crate) fn timeout(&self) -> Duration {
        Duration::from_secs(self.timeout_seconds.unwrap_or(30).clamp(1, 600))
    }

    /// How large an answer may be.
    pub(crate) fn max_body_bytes(&self) -> usize {
        self.max_body_bytes.unwrap_or(8 << 20).clamp(1024, 64 << 20)
    }

    /// How many connections at the same time.
    pub(crate) fn max_connections(&self) -> usize {
        self.max_connections.unwrap_or(128).clamp(1, 512)
    }
}
