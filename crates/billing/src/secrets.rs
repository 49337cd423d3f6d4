//! CRED-1: no secret material anywhere in a document, in a key or a value, plain or encoded, whole or in pieces.

use std::collections::BTreeSet;

use custody_contract::{Finding, FindingStatus, Occurrence, Surface};

use crate::detect::{Detection, SecretDetector};
use crate::json::{Document, Member, Node, Spot, Value};
use crate::problem::{Fault, Faults, safe_name};

/// Searches a document three ways: as it stands, with every string unescaped beside its key, and with neighbours
/// joined, since a secret may be split over two strings.
pub(crate) fn search(
    name: &str,
    document: &Document<'_>,
    detector: &dyn SecretDetector,
    faults: &mut Faults,
) -> Vec<Finding> {
    let mut search = Search { name, document, faults, seen: BTreeSet::new(), findings: Vec::new() };
    if let Some(root) = &document.root {
        let mut flat = Flat::default();
        flat.node(root, None);
        for detection in detector.detect(flat.text.as_bytes()) {
            if let Some(piece) = flat.piece(detection.start, detection.end) {
                search.report(piece, detection);
            }
        }
        for detection in detector.detect(flat.joined_text.as_bytes()) {
            // What lies in one piece alone was found there, or was weighed there and dropped.
            if let Some(spot) = flat.across_a_seam(detection.start, detection.end) {
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

/// Where a match belongs.
#[derive(Clone, Copy)]
struct Piece {
    spot: Spot,
    /// The key that holds the match, if a key does.
    key: Option<usize>,
}

impl Piece {
    fn of_spot(spot: Spot) -> Self {
        Piece { spot, key: None }
    }
}

/// The document with every string unescaped, one `"key": "value"` a line.
#[derive(Default)]
struct Flat {
    text: String,
    /// Start and end of pieces in `text`, in order, and what they are.
    pieces: Vec<(usize, usize, Piece)>,
    /// Neighbouring strings in one, a line each.
    joined_text: String,
    joined: Vec<Joined>,
}

/// One line of joined strings.
struct Joined {
    start: usize,
    /// Where the pieces after the first start, in the whole text.
    seams: Vec<usize>,
    end: usize,
    spot: Spot,
}

impl Flat {
    /// Longest line that is made by joining, in bytes.
    const JOIN: usize = 64 << 10;

    fn node(&mut self, node: &Node, member: Option<&Member>) {
        match &node.value {
            Value::String(text) => self.line(member, node, text),
            Value::Array(items) => {
                self.join(Spot::of(node), items.iter().filter_map(Node::as_str));
                items.iter().for_each(|item| self.node(item, member));
            }
            Value::Object(members) => {
                for member in members {
                    let pair = [Some(member.key.as_str()), member.node.as_str()];
                    self.join(Spot::of(&member.node), pair.into_iter().flatten());
                    self.node(&member.node, Some(member));
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => self.line(member, node, ""),
        }
        // An object or array under a key still has the key itself looked at.
        if let (Some(member), Value::Array(_) | Value::Object(_)) = (member, &node.value) {
            self.line(Some(member), node, "");
        }
    }

    fn line(&mut self, member: Option<&Member>, node: &Node, text: &str) {
        if let Some(member) = member {
            self.text.push('"');
            let spot = Spot::at_key(member.key_start);
            self.piece_of(&member.key, Piece { spot, key: Some(member.key_start) });
            self.text.push_str("\": ");
        }
        self.text.push('"');
        self.piece_of(text, Piece::of_spot(Spot::of(node)));
        self.text.push_str("\"\n");
    }

    fn piece_of(&mut self, text: &str, piece: Piece) {
        let start = self.text.len();
        self.text.push_str(text);
        if !text.is_empty() {
            self.pieces.push((start, self.text.len(), piece));
        }
    }

    fn join<'t>(&mut self, spot: Spot, texts: impl Iterator<Item = &'t str>) {
        let start = self.joined_text.len();
        let mut seams = Vec::new();
        for text in texts.filter(|t| !t.is_empty()) {
            let at = self.joined_text.len();
            if at - start + text.len() > Self::JOIN {
                break;
            }
            if at > start {
                seams.push(at);
            }
            self.joined_text.push_str(text);
        }
        if seams.is_empty() {
            self.joined_text.truncate(start);
            return;
        }
        let end = self.joined_text.len();
        self.joined.push(Joined { start, seams, end, spot });
        self.joined_text.push('\n');
    }

    /// The spot of the joined line that a match lies in, if it reaches over a seam.
    fn across_a_seam(&self, start: usize, end: usize) -> Option<Spot> {
        let line = self.joined.get(self.joined.partition_point(|j| j.end <= start))?;
        let inside = line.start <= start && end <= line.end;
        let across = line.seams.iter().any(|&seam| start < seam && seam < end);
        (inside && across).then_some(line.spot)
    }

    /// The piece that a match lies in: the one it ends in, since what comes before is its name.
    fn piece(&self, start: usize, end: usize) -> Option<Piece> {
        let index = self.pieces.partition_point(|&(_, piece_end, _)| piece_end <= start);
        let touched = self.pieces[index..].iter().take_while(|&&(piece_start, ..)| piece_start < end);
        touched.last().map(|&(.., piece)| piece)
    }
}
