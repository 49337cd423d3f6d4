//! The entries of a tree object, and those of them that its delta base does not have.

/// One entry of a tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TreeEntry<'a> {
    pub(super) mode: Mode,
    pub(super) name: &'a [u8],
    pub(super) id: &'a [u8],
}

/// What an entry names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// A file or link.
    Blob,
    /// A directory.
    Tree,
    /// A commit of a submodule.
    Gitlink,
}

/// Reads the entry at `at` and gives where the next one starts.
fn entry_at(tree: &[u8], at: usize, id_length: usize) -> Option<(TreeEntry<'_>, usize)> {
    let rest = tree.get(at..)?;
    let space = rest.iter().take(8).position(|&byte| byte == b' ')?;
    let mode = match &rest[..space] {
        b"40000" | b"040000" => Mode::Tree,
        b"160000" => Mode::Gitlink,
        _ => Mode::Blob,
    };
    let name_end = space + 1 + memchr::memchr(0, &rest[space + 1..])?;
    let end = name_end + 1 + id_length;
    let id = rest.get(name_end + 1..end)?;
    Some((TreeEntry { mode, name: &rest[space + 1..name_end], id }, at + end))
}

/// Gives each entry of `tree` to `each`; whether the tree is well-formed.
pub(super) fn for_each<'a>(tree: &'a [u8], id_length: usize, mut each: impl FnMut(TreeEntry<'a>)) -> bool {
    let mut at = 0;
    while at < tree.len() {
        let Some((entry, next)) = entry_at(tree, at, id_length) else { return false };
        each(entry);
        at = next;
    }
    true
}

/// How a tree differs from the one that it is a version of.
pub(super) enum Change<'a> {
    /// It has this entry. The other may have it, too.
    Has(TreeEntry<'a>),
    /// Of what the other has, an entry of this name is not known to be the same.
    Lost(&'a [u8]),
}

/// Gives to `each` how `tree` differs from `base`; whether both are well-formed as far as they were looked at.
///
/// Two versions of a directory differ in an entry or two: what both begin and end with is passed over, at the speed of
/// a comparison, so that a history costs what is new in it.
pub(super) fn for_each_change<'a>(
    base: &'a [u8],
    tree: &'a [u8],
    id_length: usize,
    mut each: impl FnMut(Change<'a>),
) -> bool {
    let prefix = common_start(base, tree);
    let suffix = common_end(&base[prefix..], &tree[prefix..]);
    let mut at = 0;
    // Entries that lie in the common start stand in both.
    while at < tree.len() {
        let Some((_, next)) = entry_at(tree, at, id_length) else { return false };
        if next > prefix {
            break;
        }
        at = next;
    }
    let mut base_at = at;
    while at < tree.len() {
        if at >= tree.len() - suffix {
            // The common end: an entry's start here is one in the base too, unless the base is read differently.
            let same = base.len() - (tree.len() - at);
            while base_at < same {
                match entry_at(base, base_at, id_length) {
                    Some((entry, next)) => {
                        each(Change::Lost(entry.name));
                        base_at = next;
                    }
                    None => base_at = usize::MAX,
                }
            }
            if base_at == same {
                return true;
            }
        }
        let Some((entry, next)) = entry_at(tree, at, id_length) else { return false };
        each(Change::Has(entry));
        at = next;
    }
    while base_at < base.len() {
        let Some((entry, next)) = entry_at(base, base_at, id_length) else { break };
        each(Change::Lost(entry.name));
        base_at = next;
    }
    true
}

/// Number of bytes that both begin with.
fn common_start(one: &[u8], other: &[u8]) -> usize {
    let blocks = one.as_chunks::<64>().0.iter().zip(other.as_chunks::<64>().0);
    let whole = 64 * blocks.take_while(|(one, other)| one == other).count();
    whole + one[whole..].iter().zip(&other[whole..]).take_while(|(one, other)| one == other).count()
}

/// Number of bytes that both end with.
fn common_end(one: &[u8], other: &[u8]) -> usize {
    let blocks = one.as_rchunks::<64>().1.iter().rev().zip(other.as_rchunks::<64>().1.iter().rev());
    let whole = 64 * blocks.take_while(|(one, other)| one == other).count();
    let (one, other) = (&one[..one.len() - whole], &other[..other.len() - whole]);
    whole + one.iter().rev().zip(other.iter().rev()).take_while(|(one, other)| one == other).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(entries: &[(u8, &str)]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for &(id, name) in entries {
            bytes.extend_from_slice(b"100644 ");
            bytes.extend_from_slice(name.as_bytes());
            bytes.push(0);
            bytes.extend_from_slice(&[id; 20]);
        }
        bytes
    }

    #[test]
    fn only_what_the_base_lacks_is_given() {
        let base = tree(&[(1, "a"), (2, "b"), (3, "c"), (4, "d")]);
        for (entries, new) in [
            (&[(1, "a"), (9, "b"), (3, "c"), (4, "d")][..], &["b"][..]),
            (&[(1, "a"), (2, "b"), (3, "c"), (4, "d")], &[]),
            (&[(2, "b"), (3, "c"), (4, "d")], &[]),
            (&[(1, "a"), (2, "b"), (3, "c"), (4, "d"), (5, "e")], &["e"]),
            (&[(0, "A"), (1, "a"), (2, "b"), (3, "c"), (4, "d")], &["A"]),
        ] {
            let tree = tree(entries);
            let mut given = Vec::new();
            assert!(for_each_change(&base, &tree, 20, |change| {
                if let Change::Has(entry) = change {
                    given.push(entry.name);
                }
            }));
            let new: Vec<_> = new.iter().map(|name| name.as_bytes()).collect();
            assert!(new.iter().all(|name| given.contains(name)), "{entries:?}: {given:?}");
            assert!(given.len() <= new.len() + 1);
        }
    }

    #[test]
    fn cut_off_trees_are_not_well_formed() {
        let tree = tree(&[(1, "a"), (2, "b")]);
        assert!(for_each(&tree, 20, |_| {}));
        assert!(!for_each(&tree[..tree.len() - 1], 20, |_| {}));
        assert!(!for_each(b"100644", 20, |_| {}));
    }

    proptest::proptest! {
        #[test]
        fn the_base_and_the_changes_make_up_the_tree(
            base in proptest::collection::btree_map("[a-c]{1,2}", 0u8..3, 0..8),
            child in proptest::collection::btree_map("[a-c]{1,2}", 0u8..3, 0..8),
        ) {
            let bytes = |entries: &std::collections::BTreeMap<String, u8>| {
                tree(&entries.iter().map(|(name, id)| (*id, name.as_str())).collect::<Vec<_>>())
            };
            let (base, child) = (bytes(&base), bytes(&child));
            let mut known = std::collections::BTreeMap::new();
            for_each(&base, 20, |entry| {
                known.insert(entry.name, entry.id);
            });
            let (mut lost, mut has) = (Vec::new(), Vec::new());
            for_each_change(&base, &child, 20, |change| match change {
                Change::Has(entry) => has.push((entry.name, entry.id)),
                Change::Lost(name) => lost.push(name),
            });
            lost.iter().for_each(|name| {
                known.remove(name);
            });
            known.extend(has);
            let mut all = std::collections::BTreeMap::new();
            for_each(&child, 20, |entry| {
                all.insert(entry.name, entry.id);
            });
            proptest::prop_assert_eq!(known, all);
        }
    }
}
