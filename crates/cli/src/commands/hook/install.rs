//! Installing, removing and showing hooks. A hook of somebody else's is never lost: it is kept beside custody's, and put
//! back when custody's goes.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use custody_contract::{Diagnostic, Place};
use custody_scan::source::escape;

use super::git;
use super::script::{self, Before, PASSED_ON, Whose};
use crate::arguments::{HookInstall, HookKind, HookPlace, HookUninstall, HookWhich};
use crate::failure::Failure;
use crate::output;

/// Longest hook that is looked into, in bytes; the mark stands at the start.
const HEAD: u64 = 64 << 10;

pub fn install(arguments: &HookInstall) -> Result<ExitCode, Failure> {
    let directory = Directory::open(&arguments.place)?;
    let custody = std::env::current_exe().map_err(|error| Failure::unreadable("custody's own path", &error))?;
    let kinds = kinds(&arguments.kinds, || match !arguments.place.global && git::is_bare(&arguments.place.path)? {
        true => Ok(vec![HookKind::Receive]),
        false => Ok(vec![HookKind::Commit, HookKind::Push]),
    })?;
    let plans: Vec<Plan> = kinds.iter().map(|kind| plan(&directory, *kind, arguments)).collect::<Result<_, _>>()?;
    std::fs::create_dir_all(&directory.path).map_err(|error| unwritable(&directory.path, &error))?;
    for plan in &plans {
        plan.carry_out(&custody)?;
        output::print(&plan.said())?;
    }
    if directory.is_own {
        for name in PASSED_ON.iter().filter(|name| !directory.hook(name).exists()) {
            write_script(&directory.hook(name), &script::pass(name))?;
        }
        git::set_global_hooks(Some(&directory.path))?;
        output::print("Git now looks for the hooks of all repositories there; each repository's own run first.\n")?;
    }
    Ok(ExitCode::SUCCESS)
}

pub fn uninstall(arguments: &HookUninstall) -> Result<ExitCode, Failure> {
    let directory = Directory::open(&arguments.place)?;
    let kinds = kinds(&arguments.kinds, || Ok(HookKind::ALL.to_vec()))?;
    let mut removed = 0;
    for kind in &kinds {
        let path = directory.hook(kind.name());
        let Some(Whose::Ours) = state(&path)?.map(|script| script::whose(&script)) else { continue };
        let kept = [kept(&path), replaced(&path)].into_iter().find(|path| path.symlink_metadata().is_ok());
        let (done, said) = match &kept {
            Some(kept) => (std::fs::rename(kept, &path), "what was there before is back"),
            None if directory.is_own => (Ok(()), "repositories' own hooks go on"),
            None => (std::fs::remove_file(&path), "nothing was there before"),
        };
        done.map_err(|error| unwritable(&path, &error))?;
        if kept.is_none() && directory.is_own {
            write_script(&path, &script::pass(kind.name()))?;
        }
        output::print(&format!("Removed {}; {said}.\n", shown(&path)))?;
        removed += 1;
    }
    if directory.is_own && HookKind::ALL.iter().all(|kind| kinds.contains(kind)) {
        directory.give_up()?;
    }
    if removed == 0 {
        output::print(&format!("There was no hook of custody in {}.\n", shown(&directory.path)))?;
    }
    Ok(ExitCode::SUCCESS)
}

pub fn status(place: &HookPlace) -> Result<ExitCode, Failure> {
    let directory = Directory::open(place)?;
    let mut text = format!("Hooks in {}:\n", shown(&directory.path));
    for kind in HookKind::ALL {
        let path = directory.hook(kind.name());
        let said = match state(&path)? {
            None => "absent".to_owned(),
            Some(script) => match script::whose(&script) {
                Whose::Ours => installed(&path, &script),
                Whose::Pass => "absent; the repository's own runs".to_owned(),
                Whose::Foreign => "somebody else's".to_owned(),
            },
        };
        text.push_str(&format!("  {:12} {said}\n", kind.name()));
    }
    output::print(&text)?;
    Ok(ExitCode::SUCCESS)
}

/// What is to be said of one of our hooks.
fn installed(path: &Path, script: &[u8]) -> String {
    let mut said = String::from("installed");
    if script::runs_kept(script) {
        let there = kept(path).symlink_metadata().is_ok();
        said.push_str(if there {
            ", after the hook that was there"
        } else {
            ", but the hook that it runs first is gone"
        });
    }
    if !is_executable(path) {
        said.push_str("; git does not run it: it is not executable");
    }
    let program = script::custody_in(script).unwrap_or_default();
    if !Path::new(&*String::from_utf8_lossy(&program)).exists() {
        said.push_str(&format!("; {} is gone, so custody is looked for on the PATH", escape(&program)));
    }
    said
}

/// Where hooks lie.
struct Directory {
    path: PathBuf,
    /// Whether it is custody's own for all repositories.
    is_own: bool,
}

impl Directory {
    fn open(place: &HookPlace) -> Result<Directory, Failure> {
        if !place.global {
            return Ok(Directory { path: git::hooks_directory(&place.path)?, is_own: false });
        }
        let own = git::own_global_hooks()?;
        let path = git::global_hooks()?.unwrap_or_else(|| own.clone());
        Ok(Directory { is_own: path == own, path })
    }

    fn hook(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Removes what passes on to repositories' own hooks, and lets git look there itself again.
    fn give_up(&self) -> Result<(), Failure> {
        if git::global_hooks()?.is_some_and(|path| path == self.path) {
            git::set_global_hooks(None)?;
        }
        for name in PASSED_ON {
            let path = self.hook(name);
            if state(&path)?.is_some_and(|script| script::whose(&script) == Whose::Pass) {
                std::fs::remove_file(&path).map_err(|error| unwritable(&path, &error))?;
            }
        }
        // What else lies there is not ours to remove.
        let _ = std::fs::remove_dir(&self.path);
        Ok(())
    }
}

/// What is to be done for one hook.
struct Plan {
    kind: HookKind,
    path: PathBuf,
    /// Where the hook that is there goes.
    aside: Option<PathBuf>,
    before: Before,
}

fn plan(directory: &Directory, kind: HookKind, arguments: &HookInstall) -> Result<Plan, Failure> {
    let path = directory.hook(kind.name());
    let whose = state(&path)?.map(|script| script::whose(&script));
    let alone = if directory.is_own { Before::Own } else { Before::Nothing };
    let (aside, before) = match whose {
        None | Some(Whose::Pass) => (None, alone),
        Some(Whose::Ours) if kept(&path).symlink_metadata().is_ok() => (None, Before::Kept),
        Some(Whose::Ours) => (None, alone),
        Some(Whose::Foreign) if arguments.chain => (Some(kept(&path)), Before::Kept),
        Some(Whose::Foreign) if arguments.force => (Some(replaced(&path)), alone),
        Some(Whose::Foreign) => {
            let diagnostic = Diagnostic::error("exists", format!("there is a {} hook already", kind.name()));
            let diagnostic =
                diagnostic.at(Place::file(shown(&path))).why("it is not custody's, and not overwritten unasked");
            return Err(Failure::usage(
                diagnostic.fix("--chain runs it first; --force puts it aside until custody's goes"),
            ));
        }
    };
    if let Some(aside) = aside.as_ref().filter(|aside| aside.symlink_metadata().is_ok()) {
        let diagnostic = Diagnostic::error("exists", "another hook is kept already").at(Place::file(shown(aside)));
        let diagnostic = diagnostic.why("one of the two would be lost");
        return Err(Failure::usage(diagnostic.fix("move it away, or make one hook of both")));
    }
    Ok(Plan { kind, path, aside, before })
}

impl Plan {
    fn carry_out(&self, custody: &Path) -> Result<(), Failure> {
        if let Some(aside) = &self.aside {
            std::fs::rename(&self.path, aside).map_err(|error| unwritable(&self.path, &error))?;
        }
        let written = write_script(&self.path, &script::hook(self.kind, custody, self.before));
        if let (Err(_), Some(aside)) = (&written, &self.aside) {
            let _ = std::fs::rename(aside, &self.path);
        }
        written
    }

    fn said(&self) -> String {
        let path = shown(&self.path);
        match (&self.aside, self.before) {
            (Some(_), Before::Kept) => format!("Installed {path}; the hook that was there runs first.\n"),
            (Some(aside), _) => format!("Installed {path}; the hook that was there lies in {}.\n", shown(aside)),
            (None, _) => format!("Installed {path}.\n"),
        }
    }
}

fn kinds(
    chosen: &[HookWhich],
    default: impl FnOnce() -> Result<Vec<HookKind>, Failure>,
) -> Result<Vec<HookKind>, Failure> {
    if chosen.is_empty() {
        return default();
    }
    let mut kinds: Vec<HookKind> = chosen.iter().flat_map(|which| which.kinds()).copied().collect();
    kinds.sort_unstable();
    kinds.dedup();
    Ok(kinds)
}

/// The start of the hook at `path`; `None` without one. A link is somebody else's, wherever it leads.
fn state(path: &Path) -> Result<Option<Vec<u8>>, Failure> {
    let read = || -> std::io::Result<Option<Vec<u8>>> {
        use std::io::Read as _;
        match path.symlink_metadata() {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
            Ok(metadata) if metadata.is_symlink() => Ok(Some(Vec::new())),
            Ok(metadata) if !metadata.is_file() => {
                Err(std::io::Error::new(std::io::ErrorKind::InvalidInput, "not a regular file"))
            }
            Ok(_) => {
                let mut script = Vec::new();
                std::fs::File::open(path)?.take(HEAD).read_to_end(&mut script)?;
                Ok(Some(script))
            }
        }
    };
    read().map_err(|error| Failure::unreadable(&shown(path), &error))
}

/// Where a hook goes that runs before custody's.
fn kept(path: &Path) -> PathBuf {
    beside(path, ".custody-before")
}

/// Where a hook goes that custody's replaces.
fn replaced(path: &Path) -> PathBuf {
    beside(path, ".custody-replaced")
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

/// Writes an executable script whole or not at all.
fn write_script(path: &Path, script: &[u8]) -> Result<(), Failure> {
    let directory = path.parent().unwrap_or(Path::new("."));
    let write = || -> std::io::Result<()> {
        let mut file = tempfile::Builder::new().prefix(".custody-").tempfile_in(directory)?;
        file.write_all(script)?;
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            file.as_file().set_permissions(std::fs::Permissions::from_mode(0o755))?;
        }
        file.persist(path).map_err(|error| error.error)?;
        Ok(())
    };
    write().map_err(|error| unwritable(path, &error))
}

#[cfg(unix)]
fn is_executable(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    path.metadata().is_ok_and(|metadata| metadata.permissions().mode() & 0o111 != 0)
}

#[cfg(not(unix))]
fn is_executable(_: &Path) -> bool {
    true
}

fn unwritable(path: &Path, error: &std::io::Error) -> Failure {
    Failure::unwritable(&shown(path), error)
}

fn shown(path: &Path) -> String {
    escape(path.as_os_str().as_encoded_bytes())
}
