//! Records as files, one an incident.

use std::fs;
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use custody_contract::Place;

use super::lock::Lock;
use super::{Change, Records, Store, Unreadable};
use crate::{Incident, IncidentError, IncidentId, parse, render};

/// Records in a directory below a repository's root: `INC-….toml` each.
///
/// A record is written to a temporary file, synced and renamed, so that a reader sees the old one or the new one, and a
/// crash leaves one of them. Nothing is created before there is a record to write. Symbolic links, as parts of the
/// directory or as records, are refused: the repository's content must not choose where custody writes.
#[derive(Debug, Clone)]
pub struct DirectoryStore {
    root: PathBuf,
    directory: String,
}

/// A record that is larger is none of ours.
const MAX_RECORD_BYTES: u64 = 1 << 20;
const LOCK: &str = ".lock";

impl DirectoryStore {
    /// The records below `root` in `directory`, which is relative and `/`-separated (the contract sees to that).
    pub fn new(root: impl Into<PathBuf>, directory: impl Into<String>) -> Self {
        DirectoryStore { root: root.into(), directory: directory.into() }
    }

    fn path(&self) -> PathBuf {
        self.directory.split('/').filter(|p| !p.is_empty() && *p != ".").fold(self.root.clone(), |path, p| path.join(p))
    }

    /// Refuses a directory that leads elsewhere. Whether it exists at all.
    fn check(&self) -> Result<bool, IncidentError> {
        let mut path = self.root.clone();
        for part in self.directory.split('/').filter(|p| !p.is_empty() && *p != ".") {
            path.push(part);
            match fs::symlink_metadata(&path) {
                Ok(metadata) if metadata.is_symlink() => {
                    return Err(IncidentError::Symlink { path: self.directory.clone() });
                }
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
                Err(error) => return Err(self.io("read", error)),
            }
        }
        Ok(true)
    }

    fn io(&self, action: &'static str, error: io::Error) -> IncidentError {
        IncidentError::Io { action, path: self.directory.clone(), error }
    }

    fn write(&self, incident: &Incident) -> Result<(), IncidentError> {
        let directory = self.path();
        let name = incident.id.file_name();
        let temporary = directory.join(format!(".{name}.tmp"));
        let write = || -> io::Result<()> {
            // Left over from a crash: the lock is held, so nobody else is writing it.
            match fs::remove_file(&temporary) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            let mut file = fs::OpenOptions::new().write(true).create_new(true).open(&temporary)?;
            file.write_all(render(incident).as_bytes())?;
            file.sync_all()?;
            drop(file);
            fs::rename(&temporary, directory.join(&name))?;
            sync_directory(&directory)
        };
        write().map_err(|error| {
            let _ = fs::remove_file(&temporary);
            IncidentError::Io { action: "write", path: self.place_of(&incident.id), error }
        })
    }

    /// Reads one file; `None` if it is no record and need not be one.
    fn read(&self, name: &str, path: &Path) -> Option<Result<Incident, Unreadable>> {
        let is_record = name.ends_with(".toml") || name.starts_with(IncidentId::PREFIX);
        if !is_record || name.starts_with('.') {
            return None;
        }
        let shown = format!("{}/{}", self.directory, name.escape_default());
        let unreadable = |place, why: String| Some(Err(Unreadable { place, why }));
        let text = match read_text(path) {
            Ok(text) => text,
            Err(why) => return unreadable(Place::file(shown), why),
        };
        match parse(&text) {
            Ok(incident) if incident.id.file_name() != name => {
                unreadable(Place::file(shown), "the file's name is not that of the incident in it".into())
            }
            Ok(incident) => Some(Ok(incident)),
            Err(fault) => {
                let place = match fault.offset {
                    Some(offset) => Place::of_offset(&*shown, &text, offset),
                    None => Place::file(shown),
                };
                unreadable(place, fault.why)
            }
        }
    }
}

impl Store for DirectoryStore {
    fn load(&self) -> Result<Records, IncidentError> {
        let mut records = Records::default();
        if !self.check()? {
            return Ok(records);
        }
        for entry in fs::read_dir(self.path()).map_err(|error| self.io("read", error))? {
            let entry = entry.map_err(|error| self.io("read", error))?;
            let name = entry.file_name();
            match self.read(&name.to_string_lossy(), &entry.path()) {
                Some(Ok(incident)) => records.incidents.push(incident),
                Some(Err(unreadable)) => records.unreadable.push(unreadable),
                None => {}
            }
        }
        records.incidents.sort_by(|a, b| a.id.cmp(&b.id));
        records.unreadable.sort_by(|a, b| a.place.cmp(&b.place));
        Ok(records)
    }

    fn update(&self, change: &mut Change<'_>) -> Result<(), IncidentError> {
        // Without records and with nothing to write, nothing is created.
        if !self.check()? && change(&Records::default())?.is_empty() {
            return Ok(());
        }
        fs::create_dir_all(self.path()).map_err(|error| self.io("create", error))?;
        let _lock = Lock::take(self.path().join(LOCK), &format!("{}/{LOCK}", self.directory))?;
        for incident in change(&self.load()?)? {
            self.write(&incident)?;
        }
        Ok(())
    }

    fn place_of(&self, id: &IncidentId) -> String {
        format!("{}/{}", self.directory, id.file_name())
    }
}

fn read_text(path: &Path) -> Result<String, String> {
    let metadata = fs::symlink_metadata(path).map_err(|e| e.to_string())?;
    if !metadata.is_file() {
        return Err("it is not a regular file".into());
    }
    let mut bytes = Vec::new();
    let file = fs::File::open(path).map_err(|e| e.to_string())?;
    file.take(MAX_RECORD_BYTES + 1).read_to_end(&mut bytes).map_err(|e| e.to_string())?;
    if bytes.len() as u64 > MAX_RECORD_BYTES {
        return Err(format!("it is larger than {MAX_RECORD_BYTES} bytes"));
    }
    String::from_utf8(bytes).map_err(|_| "it is not UTF-8".into())
}

#[cfg(unix)]
fn sync_directory(directory: &Path) -> io::Result<()> {
    fs::File::open(directory)?.sync_all()
}

#[cfg(not(unix))]
fn sync_directory(_: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::tests::sample;

    fn store() -> (tempfile::TempDir, DirectoryStore) {
        let root = tempfile::tempdir().expect("a directory");
        let store = DirectoryStore::new(root.path(), ".custody/incidents");
        (root, store)
    }

    fn names(store: &DirectoryStore) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(store.path())
            .expect("readable")
            .map(|e| e.expect("entry").file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_record_is_written_whole_and_nothing_else_is_left() {
        let (_root, store) = store();
        store.update(&mut |_| Ok(vec![sample("a")])).expect("written");
        assert_eq!(store.load().expect("loaded").incidents, [sample("a")]);
        assert_eq!(names(&store), [sample("a").id.file_name()]);
    }

    #[test]
    fn without_a_record_nothing_is_created() {
        let (root, store) = store();
        store.update(&mut |_| Ok(vec![])).expect("nothing to do");
        assert_eq!(store.load().expect("loaded"), Records::default());
        assert!(!root.path().join(".custody").exists());
    }

    #[test]
    fn what_cannot_be_read_is_reported_and_never_ignored() {
        let (_root, store) = store();
        fs::create_dir_all(store.path()).expect("created");
        let good = sample("a");
        for (name, content) in [
            (good.id.file_name(), render(&good).into_bytes()),
            ("INC-20260101-00000000.toml".into(), render(&good).into_bytes()),
            ("INC-20260102-00000000.toml".into(), vec![0xff, 0xfe]),
            ("INC-20260103-00000000.toml".into(), Vec::new()),
            ("INC-20260104-00000000.toml.orig".into(), b"x".to_vec()),
            ("notes.toml".into(), b"a = 1".to_vec()),
            ("README.md".into(), b"fine".to_vec()),
            (".x.toml.tmp".into(), b"fine".to_vec()),
        ] {
            fs::write(store.path().join(name), content).expect("written");
        }
        fs::create_dir(store.path().join("INC-20260105-00000000.toml")).expect("created");
        let records = store.load().expect("loaded");
        assert_eq!(records.incidents, [good]);
        assert_eq!(records.unreadable.len(), 6, "{:?}", records.unreadable);
    }

    #[cfg(unix)]
    #[test]
    fn links_are_not_followed() {
        let (root, store) = store();
        let elsewhere = tempfile::tempdir().expect("a directory");
        fs::create_dir(root.path().join(".custody")).expect("created");
        std::os::unix::fs::symlink(elsewhere.path(), store.path()).expect("linked");
        assert!(matches!(store.load(), Err(IncidentError::Symlink { .. })));
        assert!(matches!(store.update(&mut |_| Ok(vec![sample("a")])), Err(IncidentError::Symlink { .. })));
        assert_eq!(fs::read_dir(elsewhere.path()).expect("readable").count(), 0);
    }

    #[test]
    fn an_interrupted_write_leaves_the_old_record() {
        let (_root, store) = store();
        store.update(&mut |_| Ok(vec![sample("a")])).expect("written");
        // A crash between writing and renaming leaves this behind.
        fs::write(store.path().join(format!(".{}.tmp", sample("a").id.file_name())), "half a rec").expect("written");
        assert_eq!(store.load().expect("loaded").incidents, [sample("a")]);
        let mut changed = sample("a");
        changed.owner = Some("finops".into());
        store.update(&mut |_| Ok(vec![changed.clone()])).expect("written");
        assert_eq!(store.load().expect("loaded").incidents, [changed]);
        assert_eq!(names(&store).len(), 1);
    }

    #[test]
    fn concurrent_updates_lose_nothing() {
        let (_root, store) = store();
        let (threads, rounds) = (6, 12);
        std::thread::scope(|scope| {
            for thread in 0..threads {
                let store = &store;
                scope.spawn(move || {
                    for round in 0..rounds {
                        store
                            .update(&mut |records| {
                                let mut incident = records.incidents.first().cloned().unwrap_or_else(|| sample("a"));
                                incident.happened(incident.opened, format!("{thread}/{round}"));
                                Ok(vec![incident])
                            })
                            .expect("updated");
                        assert_eq!(store.load().expect("loaded").unreadable, []);
                    }
                });
            }
        });
        assert_eq!(store.load().expect("loaded").incidents[0].timeline.len(), 1 + threads * rounds);
    }
}
