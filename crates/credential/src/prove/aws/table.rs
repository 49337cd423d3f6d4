//! Every AWS action with its access level and what was reviewed of it: `actions.txt`, written by
//! `scripts/make-aws-actions` from pinned packages. A service's line is parsed when a policy first names the service.

use std::sync::{LazyLock, OnceLock};

use super::super::glob::{Case, Glob};

const TEXT: &str = include_str!("actions.txt");

/// AWS's own class of an action, the stricter one where sources differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// Names what there is.
    List,
    /// Reads.
    Read,
    /// Changes tags.
    Tagging,
    /// Changes things.
    Write,
    /// Changes who may do what.
    PermissionsManagement,
}

impl Level {
    /// AWS's word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::List => "List",
            Self::Read => "Read",
            Self::Tagging => "Tagging",
            Self::Write => "Write",
            Self::PermissionsManagement => "Permissions management",
        }
    }
}

/// One action.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Action {
    pub name: &'static str,
    pub level: Level,
    /// It gives material that opens something.
    pub credentials: bool,
    /// It gives contents.
    pub data: bool,
    /// It acts, or lends another identity, whatever its level says.
    pub acts: bool,
    /// It is known as a way to more permissions.
    pub escalates: bool,
}

impl Action {
    /// Whether the level alone says that it only reads.
    pub(crate) fn only_reads(&self) -> bool {
        self.level <= Level::Read && !self.acts
    }
}

/// A service with its actions.
pub(crate) struct Service {
    pub name: &'static str,
    line: &'static str,
    actions: OnceLock<Vec<Action>>,
}

/// An action in the table.
pub(crate) type ActionId = (u16, u16);

static SERVICES: LazyLock<Vec<Service>> = LazyLock::new(|| {
    let lines = TEXT.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once('\t'));
    lines.map(|(name, line)| Service { name, line, actions: OnceLock::new() }).collect()
});

impl Service {
    pub(crate) fn actions(&self) -> &[Action] {
        self.actions.get_or_init(|| {
            let groups = self.line.split(';').filter_map(|group| group.split_once('='));
            groups.flat_map(|(class, names)| names.split(',').map(move |name| action(class, name))).collect()
        })
    }
}

fn action(class: &str, name: &'static str) -> Action {
    let level = match class.as_bytes().first() {
        Some(b'L') => Level::List,
        Some(b'R') => Level::Read,
        Some(b'T') => Level::Tagging,
        Some(b'P') => Level::PermissionsManagement,
        _ => Level::Write,
    };
    let has = |flag: char| class[1..].contains(flag);
    Action { name, level, credentials: has('c'), data: has('d'), acts: has('a'), escalates: has('e') }
}

/// The table's version: that of its first source.
pub fn version() -> &'static str {
    TEXT.lines().find_map(|line| line.strip_prefix("# version: ")).unwrap_or_default()
}

/// The table itself, for its digest.
#[cfg(test)]
pub(crate) fn text() -> &'static str {
    TEXT
}

pub(crate) fn service(index: u16) -> &'static Service {
    &SERVICES[usize::from(index)]
}

/// An action by its place in the table.
pub(crate) fn get((service_index, index): ActionId) -> (&'static str, &'static Action) {
    let service = service(service_index);
    (service.name, &service.actions()[usize::from(index)])
}

/// `service:Action`.
pub(crate) fn full_name(id: ActionId) -> String {
    let (service, action) = get(id);
    format!("{service}:{}", action.name)
}

/// The actions that a pattern such as `s3:Get*` names, in the table's order; none if it is unknown.
pub(crate) fn expand(pattern: &str, steps: &mut usize) -> Vec<ActionId> {
    let mut found = Vec::new();
    let collect = |index: usize, glob: &Glob, whole: bool, found: &mut Vec<ActionId>, steps: &mut usize| {
        let service = &SERVICES[index];
        for (at, action) in service.actions().iter().enumerate() {
            *steps += 1 + glob.cost() / 16;
            let hit = if whole {
                glob.matches(&format!("{}:{}", service.name, action.name))
            } else {
                glob.matches(action.name)
            };
            if hit {
                found.push((narrow(index), narrow(at)));
            }
        }
    };
    match pattern.split_once(':') {
        Some((prefix, name)) if !prefix.contains(['*', '?']) => {
            let prefix = prefix.to_ascii_lowercase();
            if let Ok(index) = SERVICES.binary_search_by(|s| s.name.cmp(&prefix)) {
                collect(index, &Glob::new(name, Case::Ignore), false, &mut found, steps);
            }
        }
        _ => {
            let glob = Glob::new(pattern, Case::Ignore);
            if glob.is_everything() || pattern == "*:*" {
                for index in 0..SERVICES.len() {
                    let count = SERVICES[index].actions().len();
                    *steps += count / 16;
                    found.extend((0..count).map(|at| (narrow(index), narrow(at))));
                }
            } else {
                for index in 0..SERVICES.len() {
                    collect(index, &glob, true, &mut found, steps);
                }
            }
        }
    }
    found
}

/// An exact action such as `kms:Decrypt`.
#[cfg(test)]
pub(crate) fn find(name: &str) -> Option<ActionId> {
    let (prefix, name) = name.split_once(':')?;
    let prefix = prefix.to_ascii_lowercase();
    let index = SERVICES.binary_search_by(|s| s.name.cmp(&prefix)).ok()?;
    let at = SERVICES[index].actions().iter().position(|a| a.name.eq_ignore_ascii_case(name))?;
    Some((narrow(index), narrow(at)))
}

fn narrow(index: usize) -> u16 {
    u16::try_from(index).expect("a service has fewer than 65,536 actions, see the test")
}

/// How many actions the table has.
pub fn len() -> usize {
    SERVICES.iter().map(|s| s.actions().len()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_whole_and_sorted() {
        assert!(len() > 22_000, "{}", len());
        assert!(SERVICES.windows(2).all(|pair| pair[0].name < pair[1].name));
        assert!(SERVICES.iter().all(|s| s.actions().len() < 10_000 && !s.actions().is_empty()));
        assert!(version().starts_with("0.1."));
    }

    #[test]
    fn actions_are_found_in_any_case_and_by_wildcard() {
        let id = find("S3:getobject").expect("known");
        assert_eq!(full_name(id), "s3:GetObject");
        assert!(get(id).1.only_reads() && get(id).1.data);
        let mut steps = 0;
        assert_eq!(expand("sts:GetCallerIdentit?", &mut steps).len(), 1);
        assert!(expand("nosuch:*", &mut steps).is_empty() && expand("s3", &mut steps).is_empty());
        assert_eq!(expand("*", &mut steps).len(), len());
        assert!(expand("*:GetObject", &mut steps).len() > 1);
    }

    #[test]
    fn a_level_alone_is_no_proof() {
        for (name, credentials, acts) in [
            ("secretsmanager:GetSecretValue", true, false),
            ("ssm:GetParameter", true, false),
            ("ec2:GetPasswordData", true, false),
            ("sts:GetSessionToken", true, false),
            ("sts:AssumeRole", true, true),
            ("iam:PassRole", false, true),
            ("eks:AccessKubernetesApi", false, true),
            ("ce:GetCostAndUsage", false, false),
        ] {
            let (_, action) = get(find(name).expect(name));
            assert_eq!((action.credentials, action.acts), (credentials, acts), "{name}");
        }
    }
}
