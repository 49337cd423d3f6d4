//! A TPM 2.0, through the programs of tpm2-tools: a random key that only this TPM unseals wraps the data key.
//!
//! What lies in the temporary directory in between is encrypted by the TPM; secrets pass through pipes, and between the
//! program and the TPM they are encrypted by a session that is salted with the TPM's own key. A PIN is counted by the
//! TPM's own protection against guessing; with PCRs the key is bound to how the machine was started.

use std::path::Path;
use std::time::Duration;

use serde::Deserialize;
use tempfile::TempDir;

use crate::SecretValue;
use crate::backend::embedded::crypt;
use crate::backend::embedded::error::StoreError;
use crate::backend::embedded::format::{Bytes, Id};
use crate::program::{Program, ProgramError, Ran};

use super::{Keys, Slot, SlotKind, unwrap, wrap};

/// Hardware that makes a primary key takes seconds.
const LIMIT: Duration = Duration::from_secs(60);
/// Largest part of a sealed key, in bytes.
const MAX_PART: usize = 4096;

/// Which TPM, and what a new slot is bound to.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct TpmChoice {
    /// How the TPM is reached, as tpm2-tools write it (`device:/dev/tpmrm0`); else `TPM2TOOLS_TCTI`, else what they find.
    pub tcti: Option<String>,
    /// PCRs that a new slot is bound to: `sha256:7`.
    pub pcrs: Option<String>,
    /// Whether a new slot wants a PIN.
    pub pin: bool,
}

pub(super) fn make(store: Id, keys: &Keys, data_key: &SecretValue) -> Result<Slot, StoreError> {
    remake(store, keys, data_key, keys.tpm.pcrs.as_deref(), keys.tpm.pin)
}

/// A slot that is bound to the same as another one.
pub(super) fn remake(
    store: Id,
    keys: &Keys,
    data_key: &SecretValue,
    pcrs: Option<&str>,
    has_pin: bool,
) -> Result<Slot, StoreError> {
    let key = crypt::new_key().map_err(|e| StoreError::Key(format!("no randomness: {e}")))?;
    if has_pin && pcrs.is_some() {
        return Err(StoreError::Key("a key in the TPM is bound to PCRs or to a PIN, not to both".to_owned()));
    }
    if let Some(pcrs) = pcrs {
        check_pcrs(pcrs).map_err(StoreError::Key)?;
    }
    let pin = match has_pin {
        false => None,
        true => Some(keys.pin("New PIN of the store: ").filter(|pin| !pin.is_empty()).ok_or_else(|| {
            StoreError::Key("there is no PIN, and nobody to ask: set pin-file, or CUSTODY_STORE_PIN".to_owned())
        })?),
    };
    let sealed = Tpm::start(keys).and_then(|tpm| tpm.seal(&key, pcrs, pin.as_ref()));
    let (public, private) = sealed.map_err(StoreError::Key)?;
    let wrapped = wrap(SlotKind::Tpm, store, &key, data_key)?;
    Ok(Slot::Tpm { public, private, pcrs: pcrs.map(str::to_owned), pin: has_pin, wrapped })
}

pub(super) fn open(store: Id, keys: &Keys, slot: &Slot) -> Result<SecretValue, String> {
    let Slot::Tpm { public, private, pcrs, pin, wrapped } = slot else {
        return Err("it is no key in a TPM".to_owned());
    };
    if public.0.len() > MAX_PART || private.0.len() > MAX_PART {
        return Err("the store was changed".to_owned());
    }
    if let Some(pcrs) = pcrs {
        check_pcrs(pcrs)?;
    }
    let pin = match pin {
        false => None,
        true => Some(keys.pin("PIN of the store: ").ok_or_else(|| {
            "the TPM wants a PIN, and there is nobody to ask: set pin-file, or CUSTODY_STORE_PIN".to_owned()
        })?),
    };
    let key = Tpm::start(keys)?.unseal(public, private, pcrs.as_deref(), pin.as_ref())?;
    unwrap(SlotKind::Tpm, store, &key, wrapped)
}

/// Banks and numbers, as in `sha256:0,7`: it becomes an argument.
fn check_pcrs(text: &str) -> Result<(), String> {
    let bank = |bank: &str| {
        let (hash, numbers) = bank.split_once(':')?;
        let is_hash = ["sha1", "sha256", "sha384", "sha512"].contains(&hash);
        let fits = |n: &str| n.parse::<u8>().is_ok_and(|n| n < 24);
        (is_hash && numbers.split(',').all(fits)).then_some(())
    };
    let is_right = text.len() < 200 && text.split('+').all(|b| bank(b).is_some());
    if is_right { Ok(()) } else { Err("PCRs are written as sha256:7 or sha256:0,7".to_owned()) }
}

/// A conversation with the TPM: a storage key of the owner's, and a session that encrypts what passes.
struct Tpm {
    directory: TempDir,
    tcti: Option<String>,
}

const STORAGE: &str = "storage.ctx";
const SESSION: &str = "session.ctx";

impl Tpm {
    fn start(keys: &Keys) -> Result<Self, String> {
        let directory = tempfile::Builder::new().prefix("custody-tpm-").tempdir();
        let directory = directory.map_err(|e| format!("cannot make a temporary directory: {e}"))?;
        let tpm = Self { directory, tcti: keys.tpm.tcti.clone() };
        tpm.run("tpm2_createprimary", &["-Q", "-C", "o", "-g", "sha256", "-G", "ecc256", "-c", STORAGE])?;
        tpm.run("tpm2_startauthsession", &["--hmac-session", "-c", STORAGE, "-S", SESSION])?;
        tpm.run("tpm2_sessionconfig", &[SESSION, "--enable-encrypt", "--enable-decrypt"])?;
        Ok(tpm)
    }

    fn seal(&self, key: &SecretValue, pcrs: Option<&str>, pin: Option<&SecretValue>) -> Result<(Bytes, Bytes), String> {
        let create = ["-Q", "-C", STORAGE, "-i", "-", "-u", "key.pub", "-r", "key.priv", "-P"];
        let session = format!("session:{SESSION}");
        let mut arguments = [&create[..], &[&session, "-a"]].concat();
        match (pcrs, pin) {
            (Some(pcrs), _) => {
                self.run("tpm2_createpolicy", &["-Q", "--policy-pcr", "-l", pcrs, "-L", "policy.dat"])?;
                arguments.extend(["fixedtpm|fixedparent|adminwithpolicy|noda", "-L", "policy.dat"]);
            }
            (None, Some(_)) => arguments.push("fixedtpm|fixedparent|userwithauth"),
            (None, None) => arguments.push("fixedtpm|fixedparent|userwithauth|noda"),
        }
        self.run_with("tpm2_create", &arguments, key.expose())?;
        let mut private = "key.priv";
        if let Some(pin) = pin {
            private = "pin.priv";
            self.load("key.priv")?;
            let change = ["-Q", "-c", "key.ctx", "-C", STORAGE, "-r", private, "-S", SESSION, "file:-"];
            self.run_with("tpm2_changeauth", &change, pin.expose())?;
        }
        let part = |name: &str| {
            let bytes = std::fs::read(self.directory.path().join(name));
            bytes.map(Bytes).map_err(|e| format!("the TPM's answer cannot be read: {e}"))
        };
        Ok((part("key.pub")?, part(private)?))
    }

    fn unseal(
        &self,
        public: &Bytes,
        private: &Bytes,
        pcrs: Option<&str>,
        pin: Option<&SecretValue>,
    ) -> Result<SecretValue, String> {
        for (name, bytes) in [("key.pub", public), ("key.priv", private)] {
            let written = std::fs::write(self.directory.path().join(name), &bytes.0);
            written.map_err(|e| format!("cannot write to the temporary directory: {e}"))?;
        }
        self.load("key.priv").map_err(|why| format!("this TPM does not take the key; it is another's ({why})"))?;
        let authorisation = match (pcrs, pin) {
            (Some(pcrs), _) => format!("pcr:{pcrs}"),
            (None, Some(_)) => "file:-".to_owned(),
            (None, None) => format!("session:{SESSION}"),
        };
        let mut arguments = vec!["-c", "key.ctx", "-p", &authorisation];
        if pcrs.is_some() || pin.is_some() {
            arguments.extend(["-S", SESSION]);
        }
        let unsealed = self.run_with("tpm2_unseal", &arguments, pin.map(SecretValue::expose).unwrap_or_default());
        unsealed.map(|ran| ran.output).map_err(|why| match (pcrs, pin) {
            (Some(pcrs), _) if is_refused(&why) => {
                format!("the machine was started otherwise than when the key was bound to PCRs {pcrs}")
            }
            (_, Some(_)) if is_refused(&why) => "the PIN is wrong, or the TPM is locked after wrong ones".to_owned(),
            _ => why,
        })
    }

    fn load(&self, private: &str) -> Result<(), String> {
        self.run("tpm2_load", &["-Q", "-C", STORAGE, "-u", "key.pub", "-r", private, "-c", "key.ctx"])
    }

    fn run(&self, program: &str, arguments: &[&str]) -> Result<(), String> {
        self.run_with(program, arguments, b"").map(drop)
    }

    fn run_with(&self, program: &str, arguments: &[&str], input: &[u8]) -> Result<Ran, String> {
        let ran = self.program(program).args(arguments).run(input, LIMIT).map_err(|error| match error {
            ProgramError::Missing(name) => format!("there is no program {name}: install tpm2-tools"),
            other => other.to_string(),
        })?;
        self.tidy();
        match ran.status.success() {
            true => Ok(ran),
            false => Err(explained(program, &ran)),
        }
    }

    fn program(&self, name: &str) -> Program {
        let program = Program::new(name).directory(self.directory.path()).env("TSS2_LOG", "all+NONE");
        match &self.tcti {
            Some(tcti) => program.env("TPM2TOOLS_TCTI", tcti),
            None => program,
        }
    }

    /// Without a resource manager what a program loaded stays and fills the TPM; there is nobody else then.
    fn tidy(&self) {
        let is_bare = |tcti: &String| ["swtpm", "mssim", "device:/dev/tpm0"].iter().any(|t| tcti.starts_with(t));
        if self.tcti.as_ref().is_some_and(is_bare) {
            let _ = self.program("tpm2_flushcontext").args(["-t"]).run(b"", LIMIT);
        }
    }
}

impl Drop for Tpm {
    fn drop(&mut self) {
        if Path::new(&self.directory.path().join(SESSION)).exists() {
            let _ = self.program("tpm2_flushcontext").args([SESSION]).run(b"", LIMIT);
        }
    }
}

fn is_refused(why: &str) -> bool {
    ["policy check failed", "authorization HMAC check failed", "lockout mode", "PCR have changed"]
        .iter()
        .any(|part| why.contains(part))
}

/// The first line is the TPM's own message; the last one only says that the program failed.
fn explained(program: &str, ran: &Ran) -> String {
    let why = ran.first.trim_start_matches("ERROR:").trim();
    if why.contains("Could not load tcti") {
        return "there is no TPM that can be reached".to_owned();
    }
    if why.is_empty() { format!("{program} fails ({})", ran.status) } else { format!("{program}: {why}") }
}
