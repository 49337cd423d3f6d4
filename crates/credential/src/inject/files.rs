//! Values as files: in a private directory in memory, and as sealed files in memory without a name.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::fcntl::{FcntlArg, Flock, FlockArg, SealFlag, fcntl};
use nix::libc;
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::statfs::{TMPFS_MAGIC, statfs};
use nix::unistd::geteuid;

use super::InjectError;
use crate::SecretValue;

/// A directory on a file system in memory that only this user can enter, with the files of one run.
///
/// It is removed when this is dropped. What a killed custody leaves behind is removed by the next one: each directory
/// has a lock file that its owner holds, and that the system lets go of when the owner dies.
#[derive(Debug)]
pub struct PrivateDirectory {
    path: PathBuf,
    _lock: Flock<File>,
}

const PREFIX: &str = "custody-run-";
/// No key has this name: a dot in a key is written in another way.
const LOCK: &str = ".lock";
/// A directory that was swept while it was being made is made again.
const ATTEMPTS: usize = 3;
/// A directory without a lock file is being made; so much later it is left over.
const MAKING: Duration = Duration::from_secs(60);

impl PrivateDirectory {
    /// Makes one in `$XDG_RUNTIME_DIR` or `/dev/shm`, whichever is in memory, and removes those of dead processes there.
    ///
    /// # Errors
    /// [`InjectError::NoMemoryDirectory`]: values are never written to a disk instead.
    pub fn make(runtime_directory: Option<&Path>) -> Result<PrivateDirectory, InjectError> {
        let mut last = io::Error::from(io::ErrorKind::NotFound);
        for base in runtime_directory.into_iter().chain([Path::new("/dev/shm")]) {
            match statfs(base) {
                Ok(found) if found.filesystem_type() == TMPFS_MAGIC => {}
                Ok(_) => continue,
                Err(errno) => {
                    last = errno.into();
                    continue;
                }
            }
            sweep(base);
            for _ in 0..ATTEMPTS {
                match Self::make_in(base) {
                    Ok(made) => return Ok(made),
                    Err(error) => last = error,
                }
            }
        }
        Err(InjectError::NoMemoryDirectory { source: last })
    }

    fn make_in(base: &Path) -> io::Result<PrivateDirectory> {
        let mut random = [0; 8];
        getrandom::fill(&mut random).map_err(|_| io::Error::from(io::ErrorKind::Unsupported))?;
        let path = base.join(format!("{PREFIX}{:016x}", u64::from_ne_bytes(random)));
        DirBuilder::new().mode(0o700).create(&path)?;
        let lock = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path.join(LOCK))?;
        let lock = Flock::lock(lock, FlockArg::LockExclusiveNonblock).map_err(|(_, errno)| errno)?;
        // Another custody may have taken it for left over before it was locked, and removed it.
        if !path.join(LOCK).exists() {
            return Err(io::ErrorKind::NotFound.into());
        }
        Ok(PrivateDirectory { path, _lock: lock })
    }

    /// Writes a value, whole or not at all, over one of the same key; gives the file's path.
    ///
    /// # Errors
    /// Where the file system is full, mostly.
    pub fn put(&self, key: &str, value: &SecretValue) -> io::Result<PathBuf> {
        let is_plain = |b: u8| b.is_ascii_alphanumeric() || b"_-".contains(&b);
        // No key has an equals sign: two keys never give the same name.
        let encoded = |b: u8| if is_plain(b) { char::from(b).to_string() } else { format!("={b:02x}") };
        let name: String = key.bytes().map(encoded).collect();
        let (path, temporary) = (self.path.join(&name), self.path.join(format!(".{name}.new")));
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o400).open(&temporary)?;
        let written = file.write_all(value.expose()).and_then(|()| std::fs::rename(&temporary, &path));
        if written.is_err() {
            let _ = std::fs::remove_file(&temporary);
        }
        written.map(|()| path)
    }
}

impl Drop for PrivateDirectory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.path);
    }
}

/// Removes the directories of dead processes of this user.
fn sweep(base: &Path) {
    for entry in std::fs::read_dir(base).into_iter().flatten().flatten() {
        if !entry.file_name().to_string_lossy().starts_with(PREFIX) {
            continue;
        }
        let path = entry.path();
        let Ok(metadata) = path.symlink_metadata() else { continue };
        if !metadata.is_dir() || metadata.uid() != geteuid().as_raw() {
            continue;
        }
        let lock = OpenOptions::new().write(true).custom_flags(libc::O_NOFOLLOW).open(path.join(LOCK));
        // The lock is held until all is removed, so that nobody takes the directory for his own in between.
        let (is_left_over, _lock) = match lock.map(|lock| Flock::lock(lock, FlockArg::LockExclusiveNonblock)) {
            Ok(Ok(lock)) => (true, Some(lock)),
            Ok(Err(_)) => (false, None),
            Err(_) => {
                let age = metadata.modified().ok().and_then(|made| made.elapsed().ok());
                (age.is_some_and(|age| age > MAKING), None)
            }
        };
        if is_left_over {
            let _ = std::fs::remove_dir_all(&path);
        }
    }
}

/// A file in memory without a name, that holds the value and that nobody can change any more.
///
/// # Errors
/// Where the system has no memory or no descriptors left.
pub fn sealed(value: &SecretValue) -> Result<OwnedFd, InjectError> {
    let system = InjectError::system;
    let flags = MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING;
    let mut file = File::from(memfd_create("custody", flags).map_err(system("make a file in memory for a value"))?);
    let written = file.write_all(value.expose()).and_then(|()| io::Seek::rewind(&mut file));
    written.map_err(|source| InjectError::System { what: "write a value into memory", source })?;
    let seals = SealFlag::F_SEAL_SEAL | SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_GROW | SealFlag::F_SEAL_WRITE;
    fcntl(&file, FcntlArg::F_ADD_SEALS(seals)).map_err(system("seal a file in memory"))?;
    Ok(file.into())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn value(text: &str) -> SecretValue {
        SecretValue::new(text.as_bytes().to_vec())
    }

    #[test]
    fn files_are_private_whole_and_removed_with_their_directory() {
        let directory = PrivateDirectory::make(None).expect("/dev/shm");
        let path = directory.put("KEY", &value("one")).expect("written");
        assert_eq!(std::fs::read(&path).expect("read"), b"one");
        let mode = |p: &Path| p.metadata().expect("there").permissions().mode() & 0o777;
        assert_eq!((mode(&path), mode(&directory.path)), (0o400, 0o700));
        assert_eq!(directory.put("KEY", &value("two")).expect("replaced"), path);
        assert_eq!(std::fs::read(&path).expect("read"), b"two");
        for odd in ["../A/B", "lock", ".lock", "KEY.new"] {
            let path = directory.put(odd, &value(odd)).expect("written");
            assert_eq!(path.parent(), Some(directory.path.as_path()));
            assert_eq!(std::fs::read(&path).expect("read"), odd.as_bytes());
        }
        assert_eq!(std::fs::read(&path).expect("read"), b"two");
        assert!(directory.path.join(LOCK).metadata().expect("there").len() == 0);
        let root = directory.path.clone();
        drop(directory);
        assert!(!root.exists());
    }

    #[test]
    fn what_a_dead_process_left_is_swept_and_what_lives_is_kept() {
        let base = tempfile::tempdir_in("/dev/shm").expect("a directory");
        let living = PrivateDirectory::make_in(base.path()).expect("made");
        let dead = base.path().join(format!("{PREFIX}dead"));
        std::fs::create_dir(&dead).expect("made");
        std::fs::write(dead.join(LOCK), "").expect("written");
        let making = base.path().join(format!("{PREFIX}making"));
        std::fs::create_dir(&making).expect("made");
        std::os::unix::fs::symlink("/", base.path().join(format!("{PREFIX}link"))).expect("made");
        sweep(base.path());
        assert!(living.path.exists() && !dead.exists() && making.exists());
        assert!(Path::new("/dev").exists());
    }

    #[test]
    fn values_are_not_written_to_a_disk() {
        let disk = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).expect("a directory");
        let made = PrivateDirectory::make(Some(disk.path())).expect("/dev/shm instead");
        assert!(made.path.starts_with("/dev/shm"));
    }

    #[test]
    fn a_sealed_file_can_be_read_and_not_written() {
        let mut file = File::from(sealed(&value("sealed value")).expect("made"));
        let mut text = String::new();
        io::Read::read_to_string(&mut file, &mut text).expect("read");
        assert_eq!(text, "sealed value");
        assert!(file.write_all(b"x").is_err() && file.set_len(0).is_err());
    }
}
