//! Which packs and loose objects there are.

use std::collections::HashSet;
use std::io::{Read as _, Seek as _};
use std::path::{Path, PathBuf};

use custody_contract::SkipReason;
use gix::odb::pack;
use gix::{ObjectId, oid};

use super::cache;
use super::state::{PackId, State};

/// What an object directory and its alternates hold.
pub(super) struct Listing {
    pub(super) kind: gix::hash::Kind,
    pub(super) directories: Vec<PathBuf>,
    /// Packs by the path of their index, and what tells them from others, if they can be read.
    pub(super) packs: Vec<(PathBuf, Option<PackId>)>,
    /// Loose objects, by their directory.
    pub(super) loose: Vec<(u32, ObjectId)>,
    /// Containers that cannot be used.
    pub(super) broken: Vec<(String, SkipReason)>,
}

impl Listing {
    /// Lists the packs and loose objects of an object directory and its alternates.
    pub(super) fn of(objects: &Path, kind: gix::hash::Kind) -> Listing {
        let mut listing = Listing {
            kind,
            packs: Vec::new(),
            loose: Vec::new(),
            directories: vec![objects.to_owned()],
            broken: Vec::new(),
        };
        let current = std::env::current_dir().unwrap_or_default();
        match gix::odb::alternate::resolve(objects.to_owned(), &current) {
            Ok(alternates) => listing.directories.extend(alternates),
            Err(_) => listing.breaks(&objects.join("info/alternates"), "the list of alternates cannot be followed"),
        }
        for (number, directory) in (0..).zip(listing.directories.clone()) {
            if directory.is_dir() {
                listing.packs_in(&directory);
                listing.loose_in(&directory, number);
            } else {
                listing.broken.push((shown(&directory), SkipReason::Missing));
            }
        }
        listing
    }

    /// Whether all containers that are known of are still there, and nothing has come of what was missing.
    pub(super) fn holds(&self, state: &State) -> bool {
        let here: HashSet<&PackId> = self.packs.iter().filter_map(|(_, pack)| pack.as_ref()).collect();
        if !self.broken.is_empty() || state.packs.iter().any(|pack| !here.contains(pack)) {
            return false;
        }
        let loose: HashSet<&[u8]> = self.loose.iter().map(|(_, id)| id.as_bytes()).collect();
        let new: Vec<_> = self.new_packs(Some(state)).filter_map(|(path, _)| self.index(path).ok()).collect();
        let come = |id: &oid| new.iter().any(|index| index.lookup(id).is_some());
        let mut gone = cache::ids(&state.loose, self.kind).filter(|id| !loose.contains(id.as_bytes()) && !come(id));
        if let Some(first) = gone.next() {
            let known = self.packs.iter().filter_map(|(path, _)| self.index(path).ok()).collect::<Vec<_>>();
            let packed = |id: &oid| known.iter().any(|index| index.lookup(id).is_some());
            if !packed(&first) || !gone.all(|id| packed(&id)) {
                return false;
            }
        }
        cache::ids(&state.missing, self.kind).all(|id| !loose.contains(id.as_bytes()) && !come(&id))
    }

    /// The packs that are not known.
    pub(super) fn new_packs<'l>(
        &'l self,
        state: Option<&'l State>,
    ) -> impl Iterator<Item = &'l (PathBuf, Option<PackId>)> {
        let known = move |pack: &PackId| state.is_some_and(|state| state.packs.contains(pack));
        self.packs.iter().filter(move |(_, pack)| !pack.as_ref().is_some_and(known))
    }

    pub(super) fn index(&self, path: &Path) -> Result<pack::index::File, ()> {
        pack::index::File::at(path, self.kind).map_err(|_| ())
    }

    /// Writes down which packs and loose objects there are; whether that is anything new.
    pub(super) fn note(&self, state: &mut State) -> bool {
        let mut packs: Vec<PackId> = self.packs.iter().filter_map(|(_, pack)| pack.clone()).collect();
        packs.sort();
        packs.dedup();
        let mut loose: Vec<&ObjectId> = self.loose.iter().map(|(_, id)| id).collect();
        loose.sort();
        loose.dedup();
        let loose: Vec<u8> = loose.iter().flat_map(|id| id.as_bytes().iter().copied()).collect();
        let is_new = state.packs != packs || state.loose != loose;
        (state.packs, state.loose) = (packs, loose);
        is_new
    }

    fn packs_in(&mut self, directory: &Path) {
        let directory = directory.join("pack");
        let mut names: Vec<String> = match names_in(&directory) {
            Ok(names) => names.into_iter().collect(),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return,
            Err(error) => return self.broken.push((shown(&directory), crate::source::unreadable(&error))),
        };
        names.sort_unstable();
        for name in names.iter().filter(|name| name.ends_with(".idx")) {
            let path = directory.join(name);
            let pack = PackId::of(&path.with_extension("pack"), self.kind);
            self.packs.push((path, pack));
        }
        for name in names.iter().filter(|name| name.ends_with(".pack")) {
            if names.binary_search(&name.replace(".pack", ".idx")).is_err() {
                self.breaks(&directory.join(name), "the pack has no index");
            }
        }
    }

    fn loose_in(&mut self, path: &Path, directory: u32) {
        let Ok(fans) = names_in(path) else { return };
        let mut hex = String::new();
        for fan in fans.iter().filter(|fan| fan.len() == 2 && is_hex(fan)) {
            let names = match names_in(&path.join(fan)) {
                Ok(names) => names,
                Err(error) => {
                    self.broken.push((shown(&path.join(fan)), crate::source::unreadable(&error)));
                    continue;
                }
            };
            for name in names {
                hex.clear();
                hex.push_str(fan);
                hex.push_str(&name);
                if hex.len() == self.kind.len_in_hex()
                    && let Ok(id) = ObjectId::from_hex(hex.as_bytes())
                {
                    self.loose.push((directory, id));
                }
            }
        }
    }

    fn breaks(&mut self, path: &Path, error: &str) {
        self.broken.push((shown(path), SkipReason::Corrupt { error: error.to_owned() }));
    }
}

impl PackId {
    fn of(path: &Path, kind: gix::hash::Kind) -> Option<PackId> {
        let mut file = std::fs::File::open(path).ok()?;
        let length = file.metadata().ok()?.len();
        let start = length.checked_sub(kind.len_in_bytes() as u64)?;
        file.seek(std::io::SeekFrom::Start(start)).ok()?;
        let mut trailer = Vec::new();
        file.read_to_end(&mut trailer).ok()?;
        Some(PackId { length, trailer })
    }
}

/// The names in a directory that are UTF-8, as all of git's own are.
fn names_in(directory: &Path) -> std::io::Result<HashSet<String>> {
    std::fs::read_dir(directory)?
        .filter_map(|entry| entry.map(|entry| entry.file_name().into_string().ok()).transpose())
        .collect()
}

fn is_hex(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// A path within the repository, by its last three parts.
pub(super) fn shown(path: &Path) -> String {
    let parts: Vec<_> = path.components().rev().take(3).collect();
    let path: PathBuf = parts.into_iter().rev().collect();
    crate::source::escape(path.as_os_str().as_encoded_bytes())
}
