//! Links between deployment files: Compose `include` and `extends`, reusable workflows and local actions, kustomizations,
//! charts. What is missing, goes in circles or leaves the tree is said.

use std::collections::{HashMap, HashSet};

use custody_contract::{Diagnostic, FileTree, Place};

use super::survey::DeploymentFile;
use super::{Context, list};
use crate::deploy::{Deployment, Format, Link, Linked};

const CODE: &str = "env-not-followed";
/// How far `extends` is followed.
const MAX_DEPTH: usize = 32;
/// How many circles are named one by one.
const MAX_CIRCLES: usize = 50;

/// What a file of a chart is.
pub(crate) struct Chart {
    /// The chart's directory, with a slash at its end; empty at the tree's root.
    pub(crate) directory: String,
    /// Whether the file holds values; a template otherwise.
    pub(crate) values: bool,
}

/// The chart that a file belongs to, if it is a template or a values file of one.
pub(crate) fn chart_of(path: &str, tree: &dyn FileTree) -> Option<Chart> {
    let is_chart = |directory: &str| exists(tree, &format!("{directory}Chart.yaml"));
    if let Some(at) = path.rfind("templates/").filter(|&at| at == 0 || path.as_bytes()[at - 1] == b'/') {
        let directory = &path[..at];
        return is_chart(directory).then(|| Chart { directory: directory.into(), values: false });
    }
    let (directory, name) = path.rsplit_once('/').map_or(("", path), |(d, n)| (&path[..=d.len()], n));
    if is_chart(directory) && name.contains("values") {
        return Some(Chart { directory: directory.into(), values: true });
    }
    let parent = directory.strip_suffix("values/")?;
    is_chart(parent).then(|| Chart { directory: parent.into(), values: true })
}

fn exists(tree: &dyn FileTree, path: &str) -> bool {
    tree.paths().binary_search_by(|p| p.as_str().cmp(path)).is_ok()
}

/// The file in the tree that a link of `file` leads to.
pub(crate) fn target(file: &str, to: &Linked, tree: &dyn FileTree) -> Option<String> {
    let first = |candidates: &[String]| candidates.iter().find(|p| exists(tree, p)).cloned();
    match to {
        Linked::Include(path) | Linked::Extends { file: Some(path), .. } => first(&[joined(file, path)?]),
        Linked::Extends { file: None, .. } => Some(file.to_owned()),
        Linked::Called(path) => {
            let path = joined("", path)?;
            let inside = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}/{name}") };
            first(&[path.clone(), inside("action.yml"), inside("action.yaml")])
        }
        Linked::Resource(path) => {
            let path = joined(file, path)?;
            let inside = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}/{name}") };
            first(&[path.clone(), inside("kustomization.yaml"), inside("kustomization.yml"), inside("Kustomization")])
        }
        Linked::Values { .. } => None,
    }
}

/// `path` as seen from the directory of `file`; `None` where it leaves the tree or is computed.
pub(crate) fn joined(file: &str, path: &str) -> Option<String> {
    if path.starts_with('/') || path.contains('$') {
        return None;
    }
    let mut parts: Vec<&str> = file.split('/').collect();
    parts.pop();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()?),
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

/// All links of a deployment.
pub(crate) fn links(deployment: &Deployment) -> impl Iterator<Item = &Link> {
    deployment.links.iter().chain(deployment.extends.values())
}

/// The files that belong to `files`, what they are linked to before what links to it; `extends` is not in them.
pub(super) fn closure<'a>(context: &Context<'a>, files: &[&'a DeploymentFile]) -> Vec<&'a DeploymentFile> {
    let mut seen: HashSet<&str> = HashSet::new();
    let mut all: Vec<&DeploymentFile> = Vec::new();
    for file in files {
        walk(context, file, &mut seen, &mut all, &mut |_| {});
    }
    all
}

/// A file on the way of a walk, with how many of its links were followed.
type Step<'a> = (&'a DeploymentFile, usize);

/// Walks from a file over all links that were not followed yet; `back` gets the files of each circle. Linear in the number
/// of links, and without recursion: hostile trees have chains of any length.
fn walk<'a>(
    context: &Context<'a>,
    start: &'a DeploymentFile,
    seen: &mut HashSet<&'a str>,
    done: &mut Vec<&'a DeploymentFile>,
    back: &mut dyn FnMut(&[Step<'a>]),
) {
    if !seen.insert(&start.path) {
        return;
    }
    let mut path: Vec<Step<'a>> = vec![(start, 0)];
    let mut on_path: HashMap<&str, usize> = HashMap::from([(start.path.as_str(), 0)]);
    while let Some((file, next)) = path.last_mut() {
        let file = *file;
        let Some(link) = file.deployment.links.get(*next) else {
            on_path.remove(file.path.as_str());
            path.pop();
            done.push(file);
            continue;
        };
        *next += 1;
        let Some(linked) = linked(context, file, link) else { continue };
        if let Some(&at) = on_path.get(linked.path.as_str()) {
            back(&path[at..]);
        } else if seen.insert(&linked.path) {
            on_path.insert(&linked.path, path.len());
            path.push((linked, 0));
        }
    }
}

fn linked<'a>(context: &Context<'a>, file: &DeploymentFile, link: &Link) -> Option<&'a DeploymentFile> {
    let path = target(&file.path, &link.to, context.input.tree)?;
    context.survey.deployment(&path)
}

/// What `service` of a file extends.
fn extends<'a>(file: &'a DeploymentFile, service: &str) -> Option<(&'a Link, &'a str)> {
    let link = file.deployment.extends.get(service)?;
    match &link.to {
        Linked::Extends { base, .. } => Some((link, base)),
        _ => None,
    }
}

/// The services that `service` of `file` takes over from, the farthest first.
pub(super) fn bases<'a>(
    context: &Context<'a>,
    file: &'a DeploymentFile,
    service: &str,
) -> Vec<(&'a DeploymentFile, &'a str)> {
    let mut found: Vec<(&DeploymentFile, &str)> = Vec::new();
    let mut at = (file, service.to_owned());
    while found.len() <= MAX_DEPTH {
        let Some((link, base)) = extends(at.0, &at.1) else { break };
        let Some(next) = linked(context, at.0, link) else { break };
        let circle =
            (next.path == file.path && base == service) || found.iter().any(|(f, b)| f.path == next.path && *b == base);
        if circle {
            break;
        }
        found.push((next, base));
        at = (next, base.to_owned());
    }
    found.reverse();
    found
}

/// What of a file's links leads nowhere.
pub(super) fn outside(context: &Context<'_>, file: &DeploymentFile) -> Vec<String> {
    let links = links(&file.deployment).filter(|l| linked(context, file, l).is_none());
    let name = |link: &Link| match &link.to {
        Linked::Include(path) | Linked::Called(path) => Some(path.clone()),
        Linked::Resource(path) => is_manifest(path).then(|| path.clone()),
        Linked::Extends { file: Some(path), .. } => Some(path.clone()),
        Linked::Extends { file: None, .. } | Linked::Values { .. } => None,
    };
    links.filter_map(name).collect()
}

/// A directory, or YAML: a resource that is neither sets no key.
fn is_manifest(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    !name.contains('.') || name.ends_with(".yaml") || name.ends_with(".yml") || name.starts_with("..")
}

/// Links that lead nowhere, and circles.
pub(super) fn problems(context: &Context<'_>) -> Vec<Diagnostic> {
    let mut problems = Vec::new();
    for file in &context.survey.deployments {
        for link in links(&file.deployment) {
            if let Some(problem) = problem(context, file, link) {
                let seen = "keys that are set there are not seen here";
                problems.push(problem.at(Place::at(&file.path, link.line, 0)).why(seen));
            }
        }
    }
    let mut seen = HashSet::new();
    let mut circles = Vec::new();
    let mut more = 0usize;
    for file in &context.survey.deployments {
        walk(context, file, &mut seen, &mut Vec::new(), &mut |path| {
            if circles.len() >= MAX_CIRCLES {
                more += 1;
                return;
            }
            let names: Vec<&str> = path.iter().map(|(file, _)| file.path.as_str()).collect();
            // The link that closes the circle is the one that was just followed.
            let closing = path.last().and_then(|(file, next)| Some((file, file.deployment.links.get(next - 1)?)));
            if let Some((file, link)) = closing {
                circles.push(circle(verb(&link.to), &names).at(Place::at(&file.path, link.line, 0)));
            }
        });
    }
    problems.extend(circles);
    if more > 0 {
        problems.push(Diagnostic::warning(CODE, format!("{more} more links go in circles")));
    }
    extends_circles(context, &mut problems);
    problems
}

fn circle(verb: &str, names: &[&str]) -> Diagnostic {
    let problem = Diagnostic::warning(CODE, format!("{verb} goes in a circle: {}", list(names)));
    problem.why("whatever reads the file refuses it").fix("break the circle")
}

fn verb(to: &Linked) -> &'static str {
    match to {
        Linked::Include(_) => "include",
        Linked::Extends { .. } => "extends",
        Linked::Called(_) => "uses",
        Linked::Resource(_) => "the kustomization",
        Linked::Values { .. } => "the chart",
    }
}

fn problem(context: &Context<'_>, file: &DeploymentFile, link: &Link) -> Option<Diagnostic> {
    let verb = verb(&link.to);
    let path = match &link.to {
        Linked::Values { .. } => return None,
        Linked::Extends { file: None, .. } => &file.path,
        Linked::Include(path)
        | Linked::Called(path)
        | Linked::Resource(path)
        | Linked::Extends { file: Some(path), .. } => path,
    };
    let Some(found) = linked(context, file, link) else {
        let remote = path.contains("://")
            || path.starts_with("git@")
            || path.contains("?ref=")
            || path.starts_with("github.com/");
        if remote || path.contains('$') {
            let why = if remote { "is not in the repository" } else { "is named by a variable" };
            return Some(Diagnostic::note(CODE, format!("{verb}: {path} {why}, and is not followed")));
        }
        if matches!(link.to, Linked::Resource(_)) && !is_manifest(path) {
            return None;
        }
        let target = target(&file.path, &link.to, context.input.tree);
        let Some(target) = target else {
            let problem = Diagnostic::warning(CODE, format!("{verb}: {path} is not in the tree"));
            return Some(problem.fix("correct the path, or add the file to version control"));
        };
        if context.input.contract.exclusion(&target).is_some() {
            return Some(Diagnostic::note(
                CODE,
                format!("{verb}: the contract excludes {path}, so it is not followed"),
            ));
        }
        // Manifests of kinds that set nothing, and scripts, are no deployment files; what could not be read is reported.
        let unread = context.survey.unread.iter().any(|u| u.path == target);
        return (unread && !matches!(link.to, Linked::Called(_)))
            .then(|| Diagnostic::warning(CODE, format!("{verb}: {path} could not be read")));
    };
    let Linked::Extends { base, .. } = &link.to else { return None };
    (!found.deployment.services.contains(base)).then(|| {
        let problem = Diagnostic::warning(CODE, format!("{verb}: {} has no service {base}", found.path));
        problem.fix("correct the service's name")
    })
}

/// Services that extend each other. Each service is followed once: a chain ends where an earlier one went.
fn extends_circles<'a>(context: &Context<'a>, problems: &mut Vec<Diagnostic>) {
    let mut seen: HashSet<(&'a str, &'a str)> = HashSet::new();
    for file in &context.survey.deployments {
        for (service, link) in &file.deployment.extends {
            let mut chain: Vec<(&'a DeploymentFile, &'a str)> = Vec::new();
            let mut at: (&'a DeploymentFile, &'a str) = (file, service);
            while seen.insert((&at.0.path, at.1)) {
                chain.push(at);
                let next = extends(at.0, at.1).and_then(|(link, base)| Some((linked(context, at.0, link)?, base)));
                let Some(next) = next else { break };
                at = next;
            }
            let start = chain.iter().position(|(f, s)| f.path == at.0.path && *s == at.1);
            // The last of a chain that ends by itself is no circle.
            if let Some(start) =
                start.filter(|_| extends(at.0, at.1).is_some_and(|(l, _)| linked(context, at.0, l).is_some()))
            {
                let names: Vec<String> = chain[start..].iter().map(|(f, s)| format!("{s} of {}", f.path)).collect();
                let names: Vec<&str> = names.iter().map(String::as_str).collect();
                problems.push(circle("extends", &names).at(Place::at(&file.path, link.line, 0)));
            }
        }
    }
}

/// Whether a file is an override that is laid over another Compose file of the same directory, and over which.
pub(super) fn overridden<'a>(context: &Context<'a>, file: &DeploymentFile) -> Option<&'a DeploymentFile> {
    let is_compose = file.format == Some(Format::Compose);
    let (directory, name) =
        file.path.rsplit_once('/').map_or(("", file.path.as_str()), |(d, n)| (&file.path[..=d.len()], n));
    let stem = name.strip_suffix(".yml").or_else(|| name.strip_suffix(".yaml")).filter(|_| is_compose)?;
    let (base, _) = stem.split_once('.')?;
    let found =
        ["yml", "yaml"].iter().find_map(|end| context.survey.deployment(&format!("{directory}{base}.{end}")))?;
    shares_service(&file.deployment, &found.deployment).then_some(found)
}

fn shares_service(one: &Deployment, other: &Deployment) -> bool {
    one.services.iter().any(|s| other.services.contains(s))
}
