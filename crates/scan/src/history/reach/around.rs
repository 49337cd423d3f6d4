//! What was found in the names of refs and in reflogs.

use std::sync::Arc;

use custody_contract::{Occurrence, Reach, ReachedFrom, Surface};

use super::refs::{Refs, kind, short};
use crate::source::Worker;

/// Says of what was found in the files around the objects from where it can be reached, where that is a ref or a reflog.
pub(in crate::history) fn name_refs(refs: &Refs, worker: &mut Worker<'_>) {
    let mut ways: Vec<(String, u32, Arc<Reach>)> = Vec::new();
    let found = worker.collector.occurrences_mut();
    let found = found.filter(|found| found.surface == Surface::History && found.object.is_none());
    let mut places: Vec<(String, u32)> = found.map(|found| (found.path.clone(), found.line)).collect();
    places.sort();
    places.dedup();
    for (path, line) in places {
        if let Some((from, name)) = way(refs, &path, line) {
            let name = worker.search_name(&name, Surface::History).0;
            ways.push((path, line, Arc::new(Reach { from, refs: vec![name], branches: 0 })));
        }
    }
    let say = |found: &mut Occurrence| {
        let way = ways.iter().find(|(path, line, _)| *path == found.path && *line == found.line);
        found.reach = way.map(|(.., reach)| Arc::clone(reach));
    };
    let found = worker.collector.occurrences_mut();
    found.filter(|found| found.surface == Surface::History && found.object.is_none()).for_each(say);
}

/// The ref that a line of a file, whose name may be shown without what was found in it, belongs to.
fn way(refs: &Refs, path: &str, line: u32) -> Option<(ReachedFrom, Vec<u8>)> {
    // What is found in a file's name stands at that name.
    let path = path.strip_prefix(".git/").unwrap_or(path);
    let (tree, path) = match path.strip_prefix("worktrees/").and_then(|path| path.split_once('/')) {
        Some((name, path)) => (format!("worktrees/{name}/"), path),
        None => (String::new(), path),
    };
    if let Some(name) = path.strip_prefix("logs/") {
        return Some((ReachedFrom::Reflog, short(format!("{tree}{name}").as_bytes()).to_vec()));
    }
    let name = match path {
        "packed-refs" => refs.packed_name(line)?.to_vec(),
        _ => format!("{tree}{}", path.strip_prefix("refs/").map(|_| path)?).into_bytes(),
    };
    let (from, _) = kind(&name)?;
    Some((from, short(&name).to_vec()))
}
