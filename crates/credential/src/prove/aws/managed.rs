//! AWS managed policies that are known by name: `managed.tsv`, from iann0036/iam-dataset (MIT, `iam-dataset.LICENSE`).
//!
//! AWS changes them without notice: a proof by name holds for the version that is bundled, and says which.

const TEXT: &str = include_str!("managed.tsv");

/// A managed policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Managed {
    /// Its name.
    pub name: &'static str,
    /// AWS's version of it, such as `v4`.
    pub version: &'static str,
    /// Its ARN, where it is known.
    pub arn: Option<&'static str>,
    /// Whether AWS has withdrawn it.
    pub is_deprecated: bool,
    /// The document.
    pub document: &'static str,
}

/// All that are bundled.
pub fn all() -> impl Iterator<Item = Managed> {
    TEXT.lines().filter(|line| !line.starts_with('#')).filter_map(|line| {
        let mut fields = line.splitn(5, '\t');
        let mut next = || fields.next();
        let (name, version, arn, deprecated, document) = (next()?, next()?, next()?, next()?, next()?);
        let arn = (arn != "-").then_some(arn);
        Some(Managed { name, version, arn, is_deprecated: deprecated == "deprecated", document })
    })
}

/// The policy with this name or ARN. An ARN counts only with AWS's own account: a customer's policy may have any name.
pub fn find(name: &str) -> Option<Managed> {
    if let Some(rest) = name.strip_prefix("arn:") {
        let own = rest.split_once(":iam::aws:policy/").filter(|(partition, _)| partition.starts_with("aws"));
        let last = own?.1.rsplit('/').next()?;
        return all().find(|policy| policy.name == last);
    }
    all().find(|policy| policy.name == name)
}

/// The list itself, for its digest.
#[cfg(test)]
pub(crate) fn text() -> &'static str {
    TEXT
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies_are_found_by_name_and_by_arn_of_aws_only() {
        assert_eq!(all().count(), 80);
        let policy = find("NeptuneReadOnlyAccess").expect("bundled");
        assert_eq!(find("arn:aws:iam::aws:policy/NeptuneReadOnlyAccess"), Some(policy));
        assert_eq!(find("arn:aws-cn:iam::aws:policy/service-role/NeptuneReadOnlyAccess"), Some(policy));
        assert_eq!(find("arn:aws:iam::000000000000:policy/NeptuneReadOnlyAccess"), None);
        assert!(policy.document.starts_with('{') && policy.version == "v3");
    }
}
