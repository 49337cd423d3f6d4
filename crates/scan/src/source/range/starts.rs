//! Following what a range is named by, through tags, to commits, trees and files.

use std::collections::HashSet;

use gix::ObjectId;
use gix::objs::Kind;

use super::commits::{Commits, Side};
use super::objects::{Objects, Unread};
use super::spec::{Tip, tags};
use super::texts::headers;

/// What the tips lead to besides commits.
#[derive(Default)]
pub(super) struct Starts {
    pub(super) tags: Vec<ObjectId>,
    pub(super) trees: Vec<ObjectId>,
    pub(super) blobs: Vec<ObjectId>,
    pub(super) known: HashSet<ObjectId>,
    /// Commits that the known side begins with.
    pub(super) ends: Vec<ObjectId>,
    pub(super) unread: Vec<(ObjectId, Unread)>,
}

impl Starts {
    /// Follows a tip through tags to what it leads to.
    pub(super) fn add(&mut self, tip: Tip, objects: &Objects, commits: &mut Commits<'_>) {
        let mut id = tip.id;
        let mut buffer = Vec::new();
        loop {
            if self.known.contains(&id) || self.tags.contains(&id) {
                return;
            }
            let (kind, data) = match objects.read(id, &mut buffer) {
                Ok(object) => object,
                Err(unread) if tip.side == Side::New => return self.unread.push((id, unread)),
                Err(_) => return,
            };
            match (kind, tip.side) {
                (Kind::Commit, side) => {
                    if side == Side::Known {
                        self.ends.push(id);
                    }
                    return commits.add(id, side);
                }
                (Kind::Tree, Side::New) => return self.trees.push(id),
                (Kind::Blob, Side::New) => return self.blobs.push(id),
                (Kind::Tree | Kind::Blob, Side::Known) => {
                    self.known.insert(id);
                    return;
                }
                (Kind::Tag, Side::New) => self.tags.push(id),
                (Kind::Tag, Side::Known) => {
                    self.known.insert(id);
                }
            }
            let Some(target) = headers(data, Kind::Tag).target else {
                self.unread.push((id, Unread::Corrupt("the tag names no object")));
                return;
            };
            id = target;
        }
    }

    /// Adds the repository's tags that lead to commits of the range.
    pub(super) fn tags_into(&mut self, repository: &gix::Repository, objects: &Objects, commits: &Commits<'_>) {
        let mut buffer = Vec::new();
        for (tag, leads_to) in tags(repository) {
            if leads_to.is_some_and(|commit| !commits.is_new(commit)) || self.known.contains(&tag) {
                continue;
            }
            let mut id = tag;
            let mut chain = Vec::new();
            while let Ok((Kind::Tag, data)) = objects.read(id, &mut buffer) {
                chain.push(id);
                match headers(data, Kind::Tag).target {
                    Some(target) => id = target,
                    None => break,
                }
            }
            if commits.is_new(id) {
                chain.retain(|tag| !self.tags.contains(tag));
                self.tags.append(&mut chain);
            }
        }
    }
}
