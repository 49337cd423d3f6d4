//! Injection: resolved material goes into a child process at its start, and nowhere else (ENV-4).
//!
//! [`run`] takes a [`Command`], its [`Injection`]s and [`Settings`], and gives what became of it. Either custody replaces
//! itself by the command, or it stays beside it: passes signals on, masks what the command prints ([`crate::mask`]),
//! removes files, follows rotation.
//!
//! ```no_run
//! use custody_credential::SecretValue;
//! use custody_credential::inject::{Command, Injection, Protection, Settings, Target, run};
//!
//! let protection = Protection::start();
//! let token = Injection {
//!     key: "API_TOKEN".into(),
//!     target: Target::Environment,
//!     value: SecretValue::new(b"from a secret manager".to_vec()),
//!     label: "cred://aws/production/readonly".into(),
//! };
//! let command = Command::new("node").arguments(["ingest.js"]);
//! let ended = run(&command, vec![token], Settings::default(), &protection)?;
//! println!("{:?}, {} values were masked", ended.status, ended.leaks.len());
//! # Ok::<(), custody_credential::inject::InjectError>(())
//! ```
//!
//! # Security
//! Values are in no argument, no file on a disk and no variable of custody's own environment. The strings that `execve`
//! takes lie in locked pages and are overwritten once the child runs; what the masker needs is kept split. The child's
//! environment can be read by root and by its user in `/proc/PID/environ`, and its own children inherit it: files and
//! descriptors are not inherited by accident.

mod channel;
mod error;
mod exec;
mod files;
mod image;
mod ioctl;
mod leak;
pub(crate) mod memory;
mod outlets;
mod plan;
mod protect;
mod rotation;
mod settings;
mod supervise;
mod terminal;

use std::os::fd::OwnedFd;
use std::sync::Arc;

pub use channel::Stream;
pub use error::InjectError;
pub use exec::die_by;
pub use leak::{Leaked, Secret};
pub use plan::{Command, Injection, Target};
pub use protect::Protection;
pub use rotation::{OnRotate, Poll, Rotation};
pub use settings::{Ended, Event, Leftover, Masking, Mode, Settings, Status, TerminalMode};

use channel::Mask;
use exec::Start;
use files::PrivateDirectory;
use image::Image;

use crate::mask::Masker;

/// Runs a command with injections.
///
/// Where nothing has to be masked, removed or followed, custody is replaced by the command and this does not return,
/// unless [`Mode::Supervise`] asks for it.
///
/// # Errors
/// Everything that keeps the command from starting; [`InjectError::exit_code`] is what shells would answer.
pub fn run(
    command: &Command,
    injections: Vec<Injection>,
    settings: Settings,
    protection: &Protection,
) -> Result<Ended, InjectError> {
    plan::check(&injections)?;
    let needs = [
        (settings.rotation.is_some(), "following rotation"),
        (injections.iter().any(|i| i.target == Target::File), "removing files"),
    ];
    if settings.mode == Mode::Replace
        && let Some((_, what)) = needs.into_iter().find(|(is_needed, _)| *is_needed)
    {
        return Err(InjectError::NeedsSupervision { what });
    }
    let is_masked = settings.mode != Mode::Replace && settings.masking == Masking::On;
    let (mask, unmasked) = if is_masked { mask(&injections)? } else { (None, Vec::new()) };
    let supervised =
        settings.mode == Mode::Supervise || mask.is_some() || needs.iter().any(|(is_needed, _)| *is_needed);
    let prepared = Prepared::new(command, &injections, &settings)?;
    drop(injections);
    memory::scrub_stack();
    if settings.mode == Mode::Replace || !supervised {
        let start = Start {
            image: &prepared.image,
            standard: [None; 3],
            kept: &prepared.kept(),
            terminal: None,
            blocked: nix::sys::signal::SigSet::thread_get_mask().unwrap_or_else(|_| nix::sys::signal::SigSet::empty()),
            protection,
        };
        let errno = exec::replace(&start);
        return Err(exec::explain(errno, command, &prepared.image));
    }
    supervise::Supervisor::start(command, prepared, mask, settings, protection)?.finish(unmasked)
}

/// A command with all that its start needs.
#[derive(Debug)]
struct Prepared {
    image: Image,
    directory: Option<PrivateDirectory>,
    descriptors: Vec<OwnedFd>,
}

impl Prepared {
    fn new(command: &Command, injections: &[Injection], settings: &Settings) -> Result<Prepared, InjectError> {
        let has_files = injections.iter().any(|i| i.target == Target::File);
        let directory = has_files.then(|| PrivateDirectory::make(settings.runtime_directory.as_deref())).transpose()?;
        let mut descriptors = Vec::new();
        let mut paths = Vec::with_capacity(injections.len());
        for injection in injections {
            paths.push(match (injection.target, &directory) {
                (Target::File, Some(directory)) => {
                    let path = directory.put(&injection.key, &injection.value);
                    let path = path.map_err(|source| InjectError::System { what: "write a value's file", source })?;
                    Some(path.display().to_string())
                }
                (Target::Descriptor, _) => {
                    let fd = files::sealed(&injection.value)?;
                    let path = format!("/dev/fd/{}", exec::raw(&fd));
                    descriptors.push(fd);
                    Some(path)
                }
                _ => None,
            });
        }
        Ok(Prepared { image: Image::new(command, injections, &paths)?, directory, descriptors })
    }

    fn kept(&self) -> Vec<std::os::fd::RawFd> {
        self.descriptors.iter().map(exec::raw).collect()
    }
}

/// The masker of these values, if there is anything to mask, and those that are too short for it.
fn mask(injections: &[Injection]) -> Result<(Option<Mask>, Vec<Secret>), InjectError> {
    let values: Vec<_> = injections.iter().map(|i| &i.value).collect();
    let masker = Masker::new(&values).map_err(|_| InjectError::System {
        what: "protect values in memory",
        source: std::io::ErrorKind::Unsupported.into(),
    })?;
    let secret = |i: &Injection| Secret {
        key: i.key.clone(),
        label: i.label.clone(),
        fingerprint: custody_contract::Fingerprint::of(i.value.expose()),
        length: i.value.len(),
    };
    let secrets: Arc<[Secret]> = injections.iter().map(secret).collect();
    let unmasked = masker.unmasked().iter().filter_map(|&i| secrets.get(i).cloned()).collect();
    Ok(((!masker.is_empty()).then_some(Mask { masker, secrets }), unmasked))
}
