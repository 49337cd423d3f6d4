//! The contract's second kind of leak: a credential reference together with what would help someone use it, where the
//! public or a third party sees it (clauses, "Two kinds of leak").
//!
//! A bare `cred://` reference is what the contract asks for. Within three lines of a resolver's URL, an account or tenant
//! id, a role or a lease, in a log, an evidence artifact or a screenshot's text, it is a finding of rule
//! `reference-context`. One finding is one reference with one kind of context, so that ids that differ from line to line
//! do not make a thousand.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use custody_contract::{
    Confidence, Contract, CredentialRef, FileTree, Finding, FindingStatus, Fingerprint, Occurrence, Reason, Redacted,
    SecretRecogniser, Severity, Surface,
};
use regex::bytes::{Regex, RegexSet};

/// The rule's id.
pub(crate) const RULE: &str = "reference-context";

/// How many lines away context counts.
const NEAR: usize = 3;
/// Longest piece of a line that is looked at.
const MAX_LINE: usize = 16 << 10;

const KINDS: [(&str, &str); 5] = [
    (
        "a resolver endpoint",
        r#"(?i)https?://[^\s"'<>]{0,200}(?:/resolve\b|resolver|vault)|SECRET_RESOLVER_ENDPOINT["']?\s*[:=]\s*["']?\w"#,
    ),
    ("an account id", r#"(?i)(?:\baccount|\bacct|\baws|"account)[^\n]{0,60}?\b[0-9]{12}\b|\b[0-9]{12}\.dkr\.ecr\."#),
    (
        "a tenant id",
        r"(?i)(?:tenant|subscription|directory)[^\n]{0,40}?\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b",
    ),
    (
        "a role",
        r"\barn:aws[a-z-]*:(?:iam|sts)::[0-9]{12}:(?:assumed-)?role/[\w+=,.@/-]+|\b[a-z][a-z0-9-]{4,28}@[a-z0-9-]+\.iam\.gserviceaccount\.com\b",
    ),
    ("a lease id", r#"(?i)\blease[_-]?id["']?\s*[:=]\s*["']?[\w./-]{6,}"#),
];

static CONTEXT: LazyLock<RegexSet> =
    LazyLock::new(|| RegexSet::new(KINDS.map(|(_, pattern)| pattern)).expect("the patterns are constant"));
static REFERENCE: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"(?i)cred://[a-z0-9._/-]+").expect("the pattern is constant"));

/// What the search gave.
#[derive(Debug, Default)]
pub(crate) struct ContextSearch {
    pub findings: Vec<Finding>,
    /// Files that could not be searched for context, by surface.
    pub unread: Vec<(Surface, String)>,
}

/// Searches all logs, evidence artifacts and screenshots, those that git ignores included.
pub(crate) fn search(
    root: &Path,
    tree: &dyn FileTree,
    contract: &Contract,
    recogniser: &dyn SecretRecogniser,
) -> ContextSearch {
    let mut outcome = ContextSearch::default();
    let mut paths: BTreeSet<String> = BTreeSet::new();
    paths.extend(tree.paths().iter().filter(|p| public_surface(contract, p).is_some()).cloned());
    walk(root, &mut |path, name| match (public_surface(contract, path), name) {
        (None, _) => {}
        (Some(_), Name::Exact) => {
            paths.insert(path.to_owned());
        }
        (Some(surface), Name::NotUnicode) => {
            outcome.unread.push((surface, format!("{}: its name is not UTF-8", path.escape_default())));
        }
    });
    for path in paths {
        let Some(surface) = public_surface(contract, &path) else { continue };
        if contract.exclusion(&path).is_some() {
            continue;
        }
        match tree.read(&path) {
            Ok(content) => search_bytes(&content, &path, surface, recogniser, &mut outcome.findings),
            Err(error) => outcome.unread.push((surface, format!("{}: {error}", path.escape_default()))),
        }
    }
    outcome
}

fn public_surface(contract: &Contract, path: &str) -> Option<Surface> {
    contract.surface_of(path).filter(|s| matches!(s, Surface::Logs | Surface::Evidence | Surface::Screenshots))
}

/// Whether a path is the file's own, or stands for one that cannot be written as text.
#[derive(Clone, Copy)]
enum Name {
    Exact,
    NotUnicode,
}

/// All regular files below `root` but `.git`; links are not followed. What cannot be listed is in the scan's account.
fn walk(root: &Path, visit: &mut dyn FnMut(&str, Name)) {
    let mut directories = vec![(root.to_owned(), String::new(), Name::Exact)];
    while let Some((directory, prefix, above)) = directories.pop() {
        let Ok(entries) = fs::read_dir(&directory) else { continue };
        for entry in entries.flatten() {
            let Ok(kind) = entry.file_type() else { continue };
            let name = entry.file_name();
            let exact = if name.to_str().is_some() { above } else { Name::NotUnicode };
            let name = name.to_string_lossy();
            let path = if prefix.is_empty() { name.to_string() } else { format!("{prefix}/{name}") };
            if kind.is_dir() && name != ".git" {
                directories.push((entry.path(), path, exact));
            } else if kind.is_file() {
                visit(&path, exact);
            }
        }
    }
}

/// Searches one file.
pub(crate) fn search_bytes(
    content: &[u8],
    path: &str,
    surface: Surface,
    recogniser: &dyn SecretRecogniser,
    findings: &mut Vec<Finding>,
) {
    if !REFERENCE.is_match(content) {
        return;
    }
    let mut lines = Vec::new();
    let mut offset = 0;
    for line in content.split_inclusive(|&b| b == b'\n') {
        lines.push((offset, &line[..line.len().min(MAX_LINE)]));
        offset += line.len();
    }
    let kinds: Vec<u8> =
        lines.iter().map(|(_, line)| CONTEXT.matches(line).iter().fold(0, |bits, kind| bits | 1 << kind)).collect();
    for (index, (offset, line)) in lines.iter().enumerate() {
        let near = index.saturating_sub(NEAR)..(index + NEAR + 1).min(lines.len());
        let bits = kinds[near].iter().fold(0, |all, bits| all | bits);
        if bits == 0 {
            continue;
        }
        for found in REFERENCE.find_iter(line) {
            let text = String::from_utf8_lossy(found.as_bytes());
            // A reference that carries a secret is the scan's to find, and must not be shown.
            let text = text.trim_end_matches(['.', '/', '-']);
            let Ok(reference) = CredentialRef::parse_with(text, recogniser) else { continue };
            let column = String::from_utf8_lossy(&line[..found.start()]).chars().count() + 1;
            let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
            let occurrence = Occurrence {
                surface,
                path: path.to_owned(),
                line: number(index + 1),
                column: number(column),
                end_column: number(column + reference.as_str().len()),
                offset: (offset + found.start()) as u64,
                object: None,
                commit: None,
                encoding: Vec::new(),
                allowed: None,
                authored: None,
                committed: None,
                reach: None,
            };
            for (kind, (what, _)) in KINDS.iter().enumerate().filter(|(kind, _)| bits & (1 << kind) != 0) {
                add(findings, &reference, kind, what, occurrence.clone());
            }
        }
    }
}

fn add(
    findings: &mut Vec<Finding>,
    reference: &CredentialRef,
    kind: usize,
    what: &'static str,
    occurrence: Occurrence,
) {
    let fingerprint = Fingerprint::of(format!("{RULE}\0{reference}\0{kind}").as_bytes());
    if let Some(known) = findings.iter_mut().find(|f| f.fingerprint == fingerprint) {
        known.occurrences.push(occurrence);
        return;
    }
    findings.push(Finding {
        rule: RULE.into(),
        title: format!("Credential reference {reference} together with {what}").into(),
        severity: Severity::High,
        confidence: Confidence {
            score: 80,
            reasons: vec![
                Reason { what: "a cred:// reference in a place that others see".into(), weight: 40 },
                Reason { what: format!("{what} within {NEAR} lines").into(), weight: 40 },
            ],
        },
        fingerprint,
        redacted: Redacted { prefix: "cred://".into(), length: reference.as_str().len() as u64 },
        occurrences: vec![occurrence],
        status: FindingStatus::Open,
        references: Vec::new(),
        remedy: "Stop writing the reference and its context to this place and delete what was published; check the audit log for use of the reference.".into(),
    });
}

/// The reference that a finding of [`RULE`] is about, among those known.
pub(crate) fn reference_of<'a>(
    finding: &Finding,
    known: impl Iterator<Item = &'a CredentialRef>,
) -> Option<&'a CredentialRef> {
    let matches = |reference: &CredentialRef, kind: usize| {
        Fingerprint::of(format!("{RULE}\0{reference}\0{kind}").as_bytes()) == finding.fingerprint
    };
    known.into_iter().find(|reference| (0..KINDS.len()).any(|kind| matches(reference, kind)))
}

#[cfg(test)]
mod tests {
    use custody_scan::engine::Engine;

    use super::*;

    fn found(text: &str) -> Vec<(String, u32)> {
        let mut findings = Vec::new();
        search_bytes(text.as_bytes(), "app.log", Surface::Logs, &Engine::builtin(), &mut findings);
        findings.iter().flat_map(|f| f.occurrences.iter().map(|o| (f.title.to_string(), o.line))).collect()
    }

    const ACCOUNT: &str = concat!("1234", "5678", "9012");

    #[test]
    fn a_bare_reference_is_no_leak() {
        assert_eq!(found("resolving cred://aws/prod/readonly at 2026-11-24T08:00:00Z took 12 ms\n"), []);
        assert_eq!(
            found("built 202611240830 cred://aws/prod/readonly request 0b8f1c9e-6d5a-4c3b-9f2e-1d0c3b5a7e9f\n"),
            []
        );
        assert_eq!(found("see https://docs.example.com/x cred://aws/prod/readonly"), []);
    }

    #[test]
    fn each_kind_of_context_is_one() {
        let uuid = "0b8f1c9e-6d5a-4c3b-9f2e-1d0c3b5a7e9f";
        for (context, what) in [
            ("POST https://secrets.internal:4100/resolve".to_owned(), "a resolver endpoint"),
            ("FICECAL_SECRET_RESOLVER_ENDPOINT=x".to_owned(), "a resolver endpoint"),
            (format!("account_id={ACCOUNT}"), "an account id"),
            (format!("tenantId: {uuid}"), "a tenant id"),
            (format!("arn:aws:iam::{ACCOUNT}:role/billing-reader"), "a role"),
            ("lease_id: billing/creds/reader/8fk2".to_owned(), "a lease id"),
        ] {
            let titles = found(&format!("{context}\nused cred://aws/prod/readonly.\n"));
            let title = format!("Credential reference cred://aws/prod/readonly together with {what}");
            assert!(titles.contains(&(title, 2)), "{context}: {titles:?}");
        }
    }

    #[test]
    fn context_counts_within_three_lines_and_no_further() {
        let text = |gap: usize| format!("cred://aws/prod/readonly\n{}account {ACCOUNT}\n", "x\n".repeat(gap));
        assert_eq!(found(&text(2)).len(), 1);
        assert_eq!(found(&text(3)), []);
    }

    #[test]
    fn many_lines_of_one_kind_are_one_finding() {
        let line = format!("{{\"ref\":\"cred://aws/prod/readonly\",\"accountId\":\"{ACCOUNT}\"}}\n");
        let mut findings = Vec::new();
        search_bytes(line.repeat(50).as_bytes(), "a.log", Surface::Logs, &Engine::builtin(), &mut findings);
        assert_eq!((findings.len(), findings[0].occurrences.len()), (1, 50));
        let known = CredentialRef::parse("cred://aws/prod/readonly").expect("valid");
        assert_eq!(reference_of(&findings[0], [&known].into_iter()), Some(&known));
    }

    #[test]
    fn garbage_is_no_trouble() {
        let mut bytes = b"cred://aws/x/y ".to_vec();
        bytes.extend((0..=255u8).cycle().take(200_000));
        let mut findings = Vec::new();
        search_bytes(&bytes, "a.log", Surface::Logs, &Engine::builtin(), &mut findings);
        assert_eq!(findings.len(), 0);
    }
}
