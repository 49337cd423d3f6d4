//! All billing documents of a repository: packs, requests, handoffs, as the contract names them.

use std::collections::BTreeSet;

use custody_contract::file::GlobSet;
use custody_contract::{Coverage, CredentialRef, Evaluation, FileTree, Finding, Place, SkipReason, Surface};

use crate::check::{BillingCheck, DocumentKind, DocumentOutcome};
use crate::evaluate;
use crate::pack::Pack;

/// What is said of a repository's billing documents.
#[derive(Debug, Clone)]
pub struct BillingOutcome {
    /// Requests and handoffs outside packs.
    pub documents: Vec<DocumentOutcome>,
    /// Fixture packs.
    pub packs: Vec<Pack>,
    /// CRED-1: no secret material in any document.
    pub cred1: Evaluation,
    /// CRED-2: authentication by `credentialRef` only.
    pub cred2: Evaluation,
    /// CRED-3: `authMode` is `read-only`.
    pub cred3: Evaluation,
    /// CRED-4, as far as requests name references.
    pub cred4: Evaluation,
    /// BILL-1: `credentialRef` where the environment needs one.
    pub bill1: Evaluation,
    /// BILL-2: `authMode` defaults to `read-only`.
    pub bill2: Evaluation,
    /// BILL-3: other auth modes are refused.
    pub bill3: Evaluation,
    /// VAL-1: packs, requests and handoffs are valid and agree.
    pub val1: Evaluation,
    /// Secret material in them, one finding per secret.
    pub findings: Vec<Finding>,
    /// The credential references of requests that count, with their places.
    pub references: Vec<(CredentialRef, Place)>,
    /// What was read.
    pub coverage: Coverage,
}

impl BillingCheck<'_> {
    /// Checks all billing documents of `tree` that the contract names.
    pub fn validate_tree(&self, tree: &dyn FileTree) -> BillingOutcome {
        let packs = self.packs(tree, &|path| self.contract.billing_packs.is_match(path));
        let mut coverage = packs.coverage.clone();
        let in_packs: BTreeSet<&str> = packs.packs.iter().map(|p| p.directory.as_str()).collect();
        let in_pack = |path: &str| path.rsplit_once('/').is_some_and(|(directory, _)| in_packs.contains(directory));
        let mut documents = Vec::new();
        let mut read = |globs: &GlobSet, kind: DocumentKind| {
            for path in tree.paths().iter().filter(|p| globs.is_match(p) && !in_pack(p)) {
                match tree.read(path) {
                    Ok(bytes) => {
                        coverage.record_read(bytes.len() as u64);
                        documents.push(self.validate_as(kind, path, &bytes, None));
                    }
                    Err(error) => {
                        coverage
                            .record_skipped(path.clone(), SkipReason::Unreadable { error: error.kind().to_string() });
                    }
                }
            }
        };
        read(&self.contract.billing_requests, DocumentKind::Request);
        read(&self.contract.billing_handoffs, DocumentKind::Handoff);
        let findings = merge_findings(packs.findings().chain(documents.iter().flat_map(|d| &d.findings)));
        let references = packs.references().chain(documents.iter().flat_map(|d| &d.references)).cloned().collect();
        let view = evaluate::View {
            check: self,
            packs: &packs.packs,
            documents: &documents,
            coverage: &coverage,
            findings: &findings,
        };
        let [cred1, cred2, cred3, cred4, bill1, bill2, bill3, val1] = evaluate::all(&view);
        BillingOutcome {
            documents,
            cred1,
            cred2,
            cred3,
            cred4,
            bill1,
            bill2,
            bill3,
            val1,
            findings,
            references,
            coverage,
            packs: packs.packs,
        }
    }
}

/// One finding per secret, with every place.
pub fn merge_findings<'f>(all: impl Iterator<Item = &'f Finding>) -> Vec<Finding> {
    let mut merged: Vec<Finding> = Vec::new();
    for finding in all {
        match merged.iter_mut().find(|f| f.fingerprint == finding.fingerprint) {
            Some(known) => known.occurrences.extend(finding.occurrences.iter().cloned()),
            None => merged.push(finding.clone()),
        }
    }
    for finding in &mut merged {
        finding.occurrences.sort();
        finding.occurrences.dedup();
    }
    debug_assert!(merged.iter().flat_map(|f| &f.occurrences).all(|o| o.surface == Surface::Request));
    merged
}
