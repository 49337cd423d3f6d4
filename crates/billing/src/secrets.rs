//! CRED-1: no secret material anywhere in a document, in a key or a value, plain or encoded, whole or in pieces.

use std::collections::BTreeSet;

use custody_contract::{Finding, FindingStatus, Occurrence, Surface};

use crate::detect::{Detection, SecretDetector};
use crate::flat::{Flat, Piece};
use crate::json::{Document, Node, Spot};
use crate::problem::{Fault, Faults, safe_name};

/// Searches a document three ways: as it stands, with every string unescaped beside its key, and with neighbours
/// joined, since a secret may be split over several strings, wherever they stand.
pub(crate) fn search(
    name: &str,
    document: &Document<'_>,
    detector: &dyn SecretDetector,
    faults: &mut Faults,
) -> Vec<Finding> {
    let mut search = Search { name, document, faults, seen: BTreeSet::new(), findings: Vec::new() };
    if let Some(root) = &document.root {
        let flat = Flat::of(root);
        for detection in detector.detect(flat.text.as_bytes()) {
            if let Some(piece) = flat.piece(detection.start, detection.end) {
                search.report(piece, detection);
            }
        }
        let mut known = BTreeSet::new();
        for detection in detector.detect(flat.joined_text.as_bytes()) {
            // What lies in one piece alone was found there, or was weighed there and dropped.
            if let Some(spot) = flat.across_a_seam(detection.start, detection.end)
                && known.insert((detection.finding.rule.clone(), detection.finding.fingerprint))
            {
                search.report(Piece::of_spot(spot), detection);
            }
        }
    }
    for detection in detector.detect(document.bytes) {
        search.report(Piece::of_spot(Spot::at(detection.start)), detection);
    }
    search.findings
}

struct Search<'s, 'd> {
    name: &'s str,
    document: &'s Document<'d>,
    faults: &'s mut Faults,
    /// Where what was already reported.
    seen: BTreeSet<(String, String)>,
    findings: Vec<Finding>,
}

impl Search<'_, '_> {
    /// Most that is reported of one document. It is refused by the first.
    const MAX: usize = 200;

    fn report(&mut self, piece: Piece, detection: Detection) {
        if self.seen.len() >= Self::MAX {
            return;
        }
        if let Some(key) = piece.key {
            self.document.mask_key(key);
        } else if self.document.root.is_some() {
            self.mask_key_at(piece.spot.offset());
        }
        let Detection { mut finding, encoding, example, .. } = detection;
        let pointer = self.document.pointer(piece.spot);
        if !self.seen.insert((pointer, finding.rule.to_string())) {
            return;
        }
        let form = if encoding.is_empty() { String::new() } else { format!(", encoded as {}", encoding.join(" in ")) };
        let fault = Fault::validation(
            piece.spot,
            "secret_material",
            format!("secret material{form}, recognised by rule {}", finding.rule),
        )
        .clause("CRED-1")
        .why("a request never embeds a secret, in any form")
        .fix("remove it, name the credential by credentialRef, and rotate the secret: it has leaked");
        self.faults.push(fault);
        if example {
            return;
        }
        let (line, column) = self.document.position(piece.spot.offset());
        let occurrence = Occurrence {
            surface: Surface::Request,
            path: safe_name(self.name),
            line,
            column,
            end_column: column,
            offset: piece.spot.offset() as u64,
            object: None,
            commit: None,
            encoding,
            allowed: None,
            authored: None,
            committed: None,
            reach: None,
        };
        // No inline allowance: a request has no comments, and nothing in it may excuse a secret.
        finding.status = FindingStatus::Open;
        match self.findings.iter_mut().find(|f| f.fingerprint == finding.fingerprint && f.rule == finding.rule) {
            Some(known) if known.occurrences.contains(&occurrence) => {}
            Some(known) => known.occurrences.push(occurrence),
            None => {
                finding.occurrences = vec![occurrence];
                self.findings.push(finding);
            }
        }
    }

    /// Masks the key that a match in the raw text lies in, if it lies in one.
    fn mask_key_at(&self, offset: usize) {
        fn find(node: &Node, offset: usize) -> Option<usize> {
            if let Some(member) = node.members().iter().find(|m| m.key_start <= offset && offset < m.node.end) {
                return if offset < member.node.start { Some(member.key_start) } else { find(&member.node, offset) };
            }
            node.items().iter().find(|i| i.start <= offset && offset < i.end).and_then(|i| find(i, offset))
        }
        if let Some(key) = self.document.root.as_ref().and_then(|root| find(root, offset)) {
            self.document.mask_key(key);
        }
    }
}
