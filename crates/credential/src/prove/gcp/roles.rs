//! Predefined roles that are known by name: `roles.txt`, written by `scripts/make-gcp-roles` from iann0036/iam-dataset (MIT,
//! `iam-dataset.LICENSE`). Google changes roles without notice: a proof by name holds for the table, and says which.

const TEXT: &str = include_str!("roles.txt");
const DIGEST: &str = include_str!("roles.sha256");

/// The permissions of `roles/NAME`; `None` of a role that is not in the table.
pub(super) fn permissions(role: &str) -> Option<impl Iterator<Item = String>> {
    let name = role.strip_prefix("roles/")?;
    let line = TEXT.lines().filter(|line| !line.starts_with('#')).find_map(|line| {
        let (known, permissions) = line.split_once('\t')?;
        (known == name).then_some(permissions)
    })?;
    let groups = line.split(';').filter_map(|group| group.split_once('='));
    Some(groups.flat_map(|(resource, verbs)| verbs.split(',').map(move |verb| format!("{resource}.{verb}"))))
}

/// Where the table comes from.
pub(super) fn version() -> &'static str {
    let line = TEXT.lines().find_map(|line| line.strip_prefix("# from: ")).unwrap_or_default();
    line.split(" (").next().unwrap_or_default()
}

/// SHA-256 of the table, as it stands beside it.
pub(super) fn digest() -> &'static str {
    DIGEST.split_whitespace().next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_read_and_its_digest_is_its_own() {
        assert_eq!(digest(), super::super::super::sha256(TEXT.as_bytes()));
        assert!(version().contains("iam-dataset at "), "{}", version());
        let viewer: Vec<String> = permissions("roles/storage.objectViewer").expect("known").collect();
        assert!(viewer.contains(&"storage.objects.get".to_owned()) && viewer.len() > 4, "{viewer:?}");
        for unknown in ["roles/owner", "roles/none.viewer", "storage.objectViewer", "roles/", "roles/#"] {
            assert!(permissions(unknown).is_none(), "{unknown}");
        }
    }
}
