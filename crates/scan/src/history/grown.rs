//! Where objects stand in commits that are new in a history of which the rest is known: only what a commit has and none
//! of its parents is looked at.

use bstr::BString;
use gix::objs::tree::EntryKind;
use gix::{ObjectId, Repository};

use super::facts::Standing;
use super::reach::{Introduced, ROOT, below};
use super::tables::{Map, Set};
use super::visit::CommitRecord;

/// How many directories are read. A repository made to multiply them without end leaves some objects without a path.
const MAX_STEPS: usize = 1_000_000;

/// Finds what commits bring.
pub(super) struct Grown<'g> {
    pub(super) repository: &'g Repository,
    /// The objects whose places are sought.
    pub(super) wanted: &'g Set<ObjectId>,
    /// How a name may be shown.
    pub(super) shown: &'g mut dyn FnMut(&[u8]) -> String,
    pub(super) standings: Map<ObjectId, Vec<Standing>>,
    pub(super) introduced: Vec<Introduced>,
    pub(super) steps: usize,
}

/// A directory, by name: whether an entry is a directory, and its id.
type Directory = Map<BString, (bool, ObjectId)>;

impl Grown<'_> {
    /// Adds the places that the commit brings. Commits come parents first.
    pub(super) fn commit(&mut self, id: ObjectId, commit: &CommitRecord) {
        let Some((tree, parents)) = self.trees(id) else { return };
        let CommitRecord { time, authored, age, .. } = *commit;
        let standing = Standing { path: "".into(), time, authored, age, commit: id };
        self.tree(tree, &parents, ("", ROOT), &standing);
    }

    /// The commit's tree, and those of its parents, as far as they are there.
    fn trees(&self, id: ObjectId) -> Option<(ObjectId, Vec<ObjectId>)> {
        let commit = self.repository.find_commit(id).ok()?;
        let parents = commit.parent_ids().filter_map(|parent| {
            let parent = self.repository.find_commit(parent.detach()).ok()?;
            Some(parent.tree_id().ok()?.detach())
        });
        Some((commit.tree_id().ok()?.detach(), parents.collect()))
    }

    fn tree(&mut self, tree: ObjectId, parents: &[ObjectId], (path, digest): (&str, u64), standing: &Standing) {
        self.steps += 1;
        if self.steps > MAX_STEPS || parents.contains(&tree) {
            return;
        }
        let Some(entries) = self.directory(tree) else { return };
        let parents: Vec<Directory> = parents.iter().filter_map(|&parent| self.directory(parent)).collect();
        for (name, (is_tree, id)) in entries {
            if parents.iter().any(|parent| parent.get(&name) == Some(&(is_tree, id))) {
                continue;
            }
            if !is_tree && !self.wanted.contains(&id) {
                continue;
            }
            let name_shown = (self.shown)(&name);
            let path = if path.is_empty() { name_shown } else { format!("{path}/{name_shown}") };
            let digest = below(digest, &name);
            if is_tree {
                let before = parents.iter().filter_map(|parent| parent.get(&name));
                let before: Vec<ObjectId> = before.filter(|(is_tree, _)| *is_tree).map(|&(_, id)| id).collect();
                self.tree(id, &before, (&path, digest), standing);
            } else {
                let standings = self.standings.entry(id).or_default();
                standings.push(Standing { path: path.as_str().into(), ..standing.clone() });
                self.introduced.push(Introduced { object: id, path: digest, shown: path, commit: standing.commit });
            }
        }
    }

    fn directory(&self, tree: ObjectId) -> Option<Directory> {
        let tree = self.repository.find_tree(tree).ok()?;
        let entries = tree.iter().map_while(Result::ok).filter(|entry| entry.kind() != EntryKind::Commit);
        Some(entries.map(|entry| (entry.filename().to_owned(), (entry.mode().is_tree(), entry.object_id()))).collect())
    }
}
