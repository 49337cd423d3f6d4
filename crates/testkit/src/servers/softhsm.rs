//! Tokens of SoftHSM 2, a PKCS#11 module in software, in a folder of their own.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::tool;

/// A folder with tokens. A process sees them if [`SoftHsm::CONFIGURATION`] is set to [`SoftHsm::configuration`].
#[derive(Debug)]
pub struct SoftHsm {
    folder: tempfile::TempDir,
}

impl SoftHsm {
    /// The variable that names the configuration.
    pub const CONFIGURATION: &str = "SOFTHSM2_CONF";

    /// Makes a folder with tokens of these labels and this PIN.
    ///
    /// # Panics
    /// If it is not installed (Debian `softhsm2`).
    pub fn start(labels: &[&str], pin: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let tokens = folder.path().join("tokens");
        std::fs::create_dir(&tokens).expect("a folder");
        let text = format!("directories.tokendir = {}\nobjectstore.backend = file\n", tokens.display());
        std::fs::write(folder.path().join("softhsm2.conf"), text).expect("a file");
        let own = Self { folder };
        for label in labels {
            let made = Command::new(tool("softhsm2-util"))
                .args(["--init-token", "--free", "--label", label, "--pin", pin, "--so-pin", pin])
                .env(Self::CONFIGURATION, own.configuration())
                .output()
                .expect("softhsm2-util runs");
            assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        }
        own
    }

    /// The configuration's file.
    pub fn configuration(&self) -> PathBuf {
        self.folder.path().join("softhsm2.conf")
    }

    /// Makes an RSA key pair with this label on a token, by OpenSC's `pkcs11-tool`.
    ///
    /// # Panics
    /// If it is not installed (Debian `opensc`) or fails.
    pub fn make_rsa_key(&self, token: &str, pin: &str, label: &str) {
        let made = Command::new(tool("pkcs11-tool"))
            .arg("--module")
            .arg(Self::module())
            .args(["--token-label", token, "--login", "--pin", pin, "--keypairgen", "--key-type", "rsa:2048"])
            .args(["--id", "a1", "--label", label, "--usage-decrypt"])
            .env(Self::CONFIGURATION, self.configuration())
            .output()
            .expect("pkcs11-tool runs");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    }

    /// The module.
    ///
    /// # Panics
    /// If it is not installed.
    pub fn module() -> PathBuf {
        let places = ["/usr/lib/softhsm", "/usr/lib64/pkcs11", "/opt/homebrew/lib/softhsm", "/usr/local/lib/softhsm"];
        let files = places.iter().flat_map(|place| ["libsofthsm2.so"].map(|name| Path::new(place).join(name)));
        files.into_iter().find(|file| file.exists()).expect("`softhsm2` is not installed: run scripts/setup")
    }
}
