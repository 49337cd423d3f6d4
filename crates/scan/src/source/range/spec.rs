//! What a range is made from: revisions as git writes them, object ids, and the refs of one side.

use std::path::Path;

use bstr::ByteSlice as _;
use gix::ObjectId;
use gix::refs::Target;
use gix::revision::plumbing::Spec;

use super::commits::Side;
use super::objects::Objects;
use crate::source::SourceError;
use crate::source::repository::failed;

/// Refs whose commits a range leaves out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RefsOf {
    /// Every ref of the repository: what a push brings is what none of them has.
    Repository,
    /// Those that say what a remote has, by the remote's name.
    Remote(String),
}

/// An object that a range starts or ends with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Tip {
    pub(super) id: ObjectId,
    pub(super) side: Side,
}

/// The tips that `text` stands for, in the words of `git rev-list`: `A..B`, `A...B`, `B`, `^A`, `B^!`, or several with
/// spaces between.
pub(super) fn resolve(
    repository: &gix::Repository,
    objects: &Objects,
    text: &str,
    path: &Path,
) -> Result<Vec<Tip>, SourceError> {
    // A search for a message may hold spaces; nothing else may.
    let several = !text.contains(":/") && !text.contains('{');
    let words: Vec<&str> = if several { text.split_ascii_whitespace().collect() } else { vec![text] };
    if words.is_empty() {
        return Err(SourceError::UnknownRevision { revision: text.to_owned() });
    }
    let mut tips = Vec::new();
    for word in words {
        tips.extend(resolve_one(repository, word, path)?);
    }
    match tips.iter().find(|tip| !objects.has(tip.id)) {
        Some(tip) => Err(not_fetched(repository, &tip.id.to_hex().to_string())),
        None => Ok(tips),
    }
}

fn resolve_one(repository: &gix::Repository, text: &str, path: &Path) -> Result<Vec<Tip>, SourceError> {
    // git allows options where revisions may stand; a revision is never one.
    if text.starts_with('-') || text.is_empty() {
        return Err(SourceError::UnknownRevision { revision: text.to_owned() });
    }
    let spec = match repository.rev_parse(text.as_bytes().as_bstr()) {
        Ok(spec) => spec.detach(),
        Err(_) => return Err(culprit(repository, text)),
    };
    let (new, known) = (|id| Tip { id, side: Side::New }, |id| Tip { id, side: Side::Known });
    let parents = |id: ObjectId| {
        let commit =
            repository.find_object(id).ok().and_then(|object| object.peel_to_kind(gix::objs::Kind::Commit).ok());
        let commit = commit.map(gix::Object::into_commit).ok_or_else(|| not_fetched(repository, text))?;
        Ok(commit.parent_ids().map(gix::Id::detach).collect::<Vec<_>>())
    };
    Ok(match spec {
        Spec::Include(id) => vec![new(id)],
        Spec::Exclude(id) => vec![known(id)],
        Spec::Range { from, to } => vec![known(from), new(to)],
        Spec::Merge { theirs, ours } => {
            let bases = repository.merge_bases_many(theirs, &[ours]);
            let bases = bases.map_err(|error| failed("find the merge base", path, &error))?;
            let bases = bases.into_iter().map(|base| known(base.detach()));
            bases.chain([new(theirs), new(ours)]).collect()
        }
        Spec::IncludeOnlyParents(id) => parents(id)?.into_iter().map(new).collect(),
        Spec::ExcludeParents(id) => parents(id)?.into_iter().map(known).chain([new(id)]).collect(),
    })
}

/// The error of the revision within `text` that is to blame.
fn culprit(repository: &gix::Repository, text: &str) -> SourceError {
    let bare = text.trim_start_matches('^');
    let (one, other) = bare.split_once("...").or_else(|| bare.split_once("..")).unwrap_or((bare, bare));
    for part in [one, other].map(|part| if part.is_empty() { "HEAD" } else { part }) {
        if part.starts_with('-') || repository.rev_parse_single(part.as_bytes().as_bstr()).is_err() {
            return match ObjectId::from_hex(part.as_bytes()) {
                Ok(_) => not_fetched(repository, part),
                Err(_) => SourceError::UnknownRevision { revision: part.to_owned() },
            };
        }
    }
    SourceError::UnknownRevision { revision: text.to_owned() }
}

/// The error of a revision whose objects are not there.
pub(super) fn not_fetched(repository: &gix::Repository, revision: &str) -> SourceError {
    let clone = if repository.is_shallow().unwrap_or(false) {
        "shallow"
    } else if repository.config_snapshot().string("extensions.partialClone").is_some() {
        "partial"
    } else {
        "damaged or incomplete"
    };
    SourceError::RevisionNotFetched { revision: revision.to_owned(), clone }
}

/// What the refs point to. A ref that cannot be read leaves nothing out, so that more is searched.
pub(super) fn refs_of(repository: &gix::Repository, refs: &RefsOf) -> Vec<ObjectId> {
    match refs {
        RefsOf::Repository => pointed_to(repository, None),
        RefsOf::Remote(name) => {
            tracking(repository, name).iter().flat_map(|prefix| pointed_to(repository, Some(prefix))).collect()
        }
    }
}

/// The places below which refs say what `remote` has. Only `refs/remotes` is believed: where a mirror fetches over its
/// own branches, those say what is here.
fn tracking(repository: &gix::Repository, remote: &str) -> Vec<String> {
    let mut prefixes = vec![format!("refs/remotes/{remote}/")];
    let config = repository.config_snapshot();
    let key = format!("remote.{remote}.fetch");
    for refspec in config.plumbing().strings(key.as_str()).unwrap_or_default() {
        let refspec = refspec.to_str_lossy();
        let Some((_, to)) = refspec.rsplit_once(':') else { continue };
        let prefix = to.split('*').next().unwrap_or_default();
        if prefix.starts_with("refs/remotes/") && prefix.len() > "refs/remotes/".len() {
            prefixes.push(prefix.to_owned());
        }
    }
    prefixes.sort_unstable();
    prefixes.dedup();
    prefixes
}

fn pointed_to(repository: &gix::Repository, prefix: Option<&str>) -> Vec<ObjectId> {
    let Ok(platform) = repository.references() else { return Vec::new() };
    let refs = match prefix {
        None => platform.all(),
        Some(prefix) => platform.prefixed(prefix.as_bytes().as_bstr()),
    };
    let Ok(refs) = refs else { return Vec::new() };
    // A symbolic ref points to one that is listed as well.
    let targets = refs.filter_map(Result::ok).filter_map(|found| match found.inner.target {
        Target::Object(id) => Some(id),
        Target::Symbolic(_) => None,
    });
    targets.collect()
}

/// Tags: the name's object, and the commit that packed refs say it leads to.
pub(super) fn tags(repository: &gix::Repository) -> Vec<(ObjectId, Option<ObjectId>)> {
    let Ok(platform) = repository.references() else { return Vec::new() };
    let Ok(refs) = platform.tags() else { return Vec::new() };
    let tags = refs.filter_map(Result::ok).filter_map(|found| match found.inner.target {
        Target::Object(id) => Some((id, found.inner.peeled)),
        Target::Symbolic(_) => None,
    });
    tags.collect()
}
