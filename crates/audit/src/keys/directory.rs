//! Keys as files of mode 0600 in a directory of mode 0700.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::KeyStore;
use crate::error::AuditError;

const LIMIT_BYTES: u64 = 4096;

/// A [`KeyStore`] in a directory of the user's own.
#[derive(Debug, Clone)]
pub struct DirectoryKeys {
    directory: PathBuf,
}

impl DirectoryKeys {
    /// Keys in this directory, which is made when the first key is.
    pub fn new(directory: &Path) -> Self {
        Self { directory: directory.to_owned() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    fn replace(&self, name: &str, value: &[u8]) -> io::Result<()> {
        let temporary = self.path(&format!("{name}.new"));
        make_private_directory(&self.directory)?;
        // Left over by a process that died; nobody else writes here while the log is locked.
        match fs::remove_file(&temporary) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(&temporary)?;
        file.write_all(value)?;
        file.sync_all()?;
        fs::rename(&temporary, self.path(name))?;
        sync_directory(&self.directory)
    }
}

impl KeyStore for DirectoryKeys {
    fn read(&self, name: &str) -> Result<Option<Zeroizing<Vec<u8>>>, AuditError> {
        let path = self.path(name);
        let file = match File::open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            opened => opened.map_err(|error| key_error(&path, &error))?,
        };
        check_private(&file, &path)?;
        let mut bytes = Zeroizing::new(Vec::with_capacity(128));
        file.take(LIMIT_BYTES + 1).read_to_end(&mut bytes).map_err(|error| key_error(&path, &error))?;
        if bytes.len() as u64 > LIMIT_BYTES {
            return Err(refused(&path, "it is larger than a key"));
        }
        Ok(Some(bytes))
    }

    fn write(&self, name: &str, value: &[u8]) -> Result<(), AuditError> {
        self.replace(name, value).map_err(|error| key_error(&self.path(name), &error))
    }

    fn remove(&self, name: &str) -> Result<(), AuditError> {
        let path = self.path(name);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(key_error(&path, &error)),
            _ => Ok(()),
        }
    }
}

fn key_error(path: &Path, error: &io::Error) -> AuditError {
    refused(path, error.to_string())
}

fn refused(path: &Path, why: impl Into<String>) -> AuditError {
    AuditError::Key { path: path.display().to_string(), why: why.into() }
}

/// A key that others can read or replace is no key.
#[cfg(unix)]
fn check_private(file: &File, path: &Path) -> Result<(), AuditError> {
    use std::os::unix::fs::MetadataExt as _;
    let metadata = file.metadata().map_err(|error| key_error(path, &error))?;
    if !metadata.is_file() {
        return Err(refused(path, "it is not a regular file"));
    }
    if metadata.mode() & 0o077 != 0 {
        return Err(refused(path, "others than its owner may use it; run chmod 600 on it"));
    }
    let me = rustix::process::geteuid().as_raw();
    if metadata.uid() != me && me != 0 {
        return Err(refused(path, "it belongs to another user"));
    }
    Ok(())
}

#[cfg(not(unix))]
fn check_private(_: &File, _: &Path) -> Result<(), AuditError> {
    Ok(())
}

/// Makes a directory that only its owner can look into.
pub(crate) fn make_private_directory(path: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

/// Puts names of files on the disk.
pub(crate) fn sync_directory(path: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(path)?.sync_all() } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_stored_is_read_back_and_removed() {
        let directory = tempfile::tempdir().expect("directory");
        let keys = DirectoryKeys::new(&directory.path().join("keys"));
        assert_eq!(keys.read("a").expect("nothing yet"), None);
        keys.write("a", b"one").expect("written");
        keys.write("a", b"two").expect("replaced");
        assert_eq!(keys.read("a").expect("read").expect("there").as_slice(), b"two");
        keys.remove("a").expect("removed");
        keys.remove("a").expect("nothing to remove");
        assert_eq!(keys.read("a").expect("nothing again"), None);
    }

    #[cfg(unix)]
    #[test]
    fn a_key_that_others_can_read_is_refused() {
        use std::os::unix::fs::PermissionsExt as _;
        let directory = tempfile::tempdir().expect("directory");
        let keys = DirectoryKeys::new(directory.path());
        keys.write("a", b"one").expect("written");
        let path = directory.path().join("a");
        assert_eq!(path.metadata().expect("there").permissions().mode() & 0o777, 0o600);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).expect("mode");
        let error = keys.read("a").expect_err("readable by the group");
        assert!(error.to_string().contains("chmod 600"), "{error}");
    }
}
