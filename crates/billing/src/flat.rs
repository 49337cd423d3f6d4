//! A document as text that can be searched: strings unescaped, disguises taken off, neighbours joined.

use crate::json::{Member, Node, Number, Spot, Value};
use crate::plain::plain;

/// Where a match belongs.
#[derive(Clone, Copy)]
pub(crate) struct Piece {
    pub(crate) spot: Spot,
    /// The key that holds the match, if a key does.
    pub(crate) key: Option<usize>,
}

impl Piece {
    pub(crate) fn of_spot(spot: Spot) -> Self {
        Piece { spot, key: None }
    }
}

/// The document with every string unescaped, one `"key": "value"` a line.
#[derive(Default)]
pub(crate) struct Flat {
    pub(crate) text: String,
    /// Start and end of pieces in `text`, in order, and what they are.
    pieces: Vec<(usize, usize, Piece)>,
    /// Neighbouring strings in one, a line each.
    pub(crate) joined_text: String,
    joined: Vec<Joined>,
}

/// One line of joined strings.
struct Joined {
    /// Where each piece starts in the whole text, and where it stands in the document.
    pieces: Vec<(usize, Spot)>,
    end: usize,
}

impl Flat {
    /// Longest line that is made by joining, in bytes.
    const JOIN: usize = 64 << 10;

    pub(crate) fn of(root: &Node) -> Flat {
        let mut flat = Flat::default();
        flat.node(root, None);
        // Over any number of levels: all strings in the order of the document.
        let mut leaves = Vec::new();
        strings(root, &mut leaves);
        let mut rest = leaves.as_slice();
        while rest.len() > 1 {
            let taken = flat.join(rest.iter().filter_map(|node| Some((node.as_str()?, Spot::of(node)))));
            // What did not fit goes on from the last that did, so that no seam is left out.
            rest = &rest[taken.saturating_sub(1).max(1)..];
        }
        flat
    }

    fn node(&mut self, node: &Node, member: Option<&Member>) {
        match &node.value {
            Value::String(text) => {
                self.line(member, node, text);
                for text in [plain(text), unfolded(text)].into_iter().flatten() {
                    self.line(member, node, &text);
                }
            }
            Value::Array(items) => {
                if let Some(text) = bytes(items) {
                    self.line(member, node, &text);
                }
                self.join(items.iter().filter_map(|item| Some((item.as_str()?, Spot::of(node)))));
                items.iter().for_each(|item| self.node(item, member));
            }
            Value::Object(members) => {
                for member in members {
                    let spot = Spot::of(&member.node);
                    let pair = [Some(member.key.as_str()), member.node.as_str()];
                    self.join(pair.into_iter().flatten().map(|text| (text, spot)));
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

    /// Joins texts to one line, as many as fit; says how many it took.
    fn join<'t>(&mut self, texts: impl Iterator<Item = (&'t str, Spot)>) -> usize {
        let start = self.joined_text.len();
        let mut pieces = Vec::new();
        let mut taken = 0;
        for (text, spot) in texts {
            let at = self.joined_text.len();
            if at - start + text.len() > Self::JOIN {
                break;
            }
            taken += 1;
            if text.is_empty() {
                continue;
            }
            pieces.push((at, spot));
            self.joined_text.push_str(text);
        }
        if pieces.len() < 2 {
            self.joined_text.truncate(start);
            return taken;
        }
        let end = self.joined_text.len();
        self.joined.push(Joined { pieces, end });
        self.joined_text.push('\n');
        taken
    }

    /// The spot of the piece that a match starts in, if it reaches over into another of its line.
    pub(crate) fn across_a_seam(&self, start: usize, end: usize) -> Option<Spot> {
        let line = self.joined.get(self.joined.partition_point(|j| j.end <= start))?;
        let first = line.pieces.partition_point(|&(at, _)| at <= start).checked_sub(1)?;
        let next = line.pieces.get(first + 1)?;
        (next.0 < end && end <= line.end).then_some(line.pieces[first].1)
    }

    /// The piece that a match lies in: the one it ends in, since what comes before is its name.
    pub(crate) fn piece(&self, start: usize, end: usize) -> Option<Piece> {
        let index = self.pieces.partition_point(|&(_, piece_end, _)| piece_end <= start);
        let touched = self.pieces[index..].iter().take_while(|&&(piece_start, ..)| piece_start < end);
        touched.last().map(|&(.., piece)| piece)
    }
}

fn strings<'n>(node: &'n Node, leaves: &mut Vec<&'n Node>) {
    match &node.value {
        Value::String(_) => leaves.push(node),
        Value::Array(items) => items.iter().for_each(|item| strings(item, leaves)),
        Value::Object(members) => members.iter().for_each(|member| strings(&member.node, leaves)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// A text that is written as an array of byte values, as JavaScript writes a `Buffer`.
fn bytes(items: &[Node]) -> Option<String> {
    const SHORTEST: usize = 8;
    let byte = |node: &Node| match node.value {
        Value::Number(Number::Finite { value, integer: true }) if (0.0..256.0).contains(&value) => Some(value as u8),
        _ => None,
    };
    let bytes: Vec<u8> = items.iter().map(byte).collect::<Option<_>>().filter(|b: &Vec<u8>| b.len() >= SHORTEST)?;
    String::from_utf8(bytes).ok()
}

/// Base64 that is folded into lines, as MIME and PEM fold it, in one line.
fn unfolded(text: &str) -> Option<String> {
    let in_base64 = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '-' | '_' | '=');
    let folded = text.contains(['\n', '\r']) && text.chars().all(|c| in_base64(c) || c.is_ascii_whitespace());
    folded.then(|| text.split_ascii_whitespace().collect())
}
