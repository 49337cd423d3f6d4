//! The keywords of a rule set, and how far around each of them anything can matter.

use std::collections::BTreeMap;

use super::confidence;
use super::gate;
use crate::rules::follow::{ByteSet, WINDOW, has};
use crate::rules::{Rule, RuleIndex, RuleSet};

/// How much of a keyword the prefilter compares, with what must stand behind it; the rest is compared before its rules
/// are tried.
pub(super) const HEAD: usize = WINDOW;

/// What the prefilter looks for: the head of one or more keywords.
pub(super) struct Keyword {
    /// Lower case, at most [`HEAD`] bytes.
    pub(super) head: Box<[u8]>,
    /// The spellings of the head that count, if others do not.
    pub(super) spellings: Option<Box<[Box<[u8]>]>>,
    /// What must stand behind the head; with it at most [`HEAD`] bytes.
    pub(super) follow: Box<[ByteSet]>,
    pub(super) wanted: Box<[Wanted]>,
    pub(super) scope: Scope,
}

impl Keyword {
    /// How many bytes decide whether it is hit.
    pub(super) fn span(&self) -> usize {
        self.head.len() + self.follow.len()
    }

    /// Whether the text, which is as long as it needs, is a hit.
    pub(super) fn is(&self, text: &[u8]) -> bool {
        let (head, behind) = text.split_at(self.head.len());
        behind.iter().zip(&self.follow).all(|(&byte, set)| has(set, byte))
            && head.eq_ignore_ascii_case(&self.head)
            && self.spellings.as_ref().is_none_or(|all| all.iter().any(|spelling| **spelling == *head))
    }
}

/// A rule that has a keyword.
pub(super) struct Wanted {
    pub(super) rule: RuleIndex,
    /// The whole keyword.
    pub(super) text: Box<[u8]>,
    /// Only this spelling can match.
    pub(super) exact: bool,
}

/// Around the start of a keyword, the bytes that decide what its rules make of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Scope {
    pub(super) before: u32,
    pub(super) after: u32,
    /// So does the rest of the line beyond, as far as [`confidence::LINE`].
    pub(super) line: bool,
}

impl Scope {
    fn of(rule: &Rule, keyword: &str) -> Scope {
        let (lead, extent) = window(rule);
        let after = (keyword.len() + gate::REACH).max(extent);
        Scope {
            before: narrow(lead + confidence::AROUND),
            after: narrow(after + confidence::AROUND),
            line: rule.generic,
        }
    }

    fn union(self, other: Scope) -> Scope {
        Scope {
            before: self.before.max(other.before),
            after: self.after.max(other.after),
            line: self.line || other.line,
        }
    }
}

fn narrow(distance: usize) -> u32 {
    u32::try_from(distance).unwrap_or(u32::MAX)
}

/// How far before a keyword the rule's matches start, and how far from there they are followed.
pub(super) fn window(rule: &Rule) -> (usize, usize) {
    let reach = rule.reach as usize;
    let lead = rule.shape.lead.map_or(reach, |lead| (lead as usize).min(reach));
    let extent = match rule.shape.lead {
        Some(_) => rule.shape.extent.map_or(reach, |extent| (extent as usize).min(reach)),
        None => reach,
    };
    (lead, extent)
}

/// A rule's keyword, how far around it matters, and what must stand behind it.
type Placed = (Wanted, Scope, Vec<ByteSet>);

/// All keywords of the rules, in order of their heads.
pub(super) fn keywords(rules: &RuleSet) -> Vec<Keyword> {
    let mut heads: BTreeMap<Box<[u8]>, Vec<Placed>> = BTreeMap::new();
    for (index, rule) in (0..).map(RuleIndex).zip(rules.iter()) {
        for (keyword, follow) in rule.keywords.iter().zip(rule.follow.iter()) {
            let lower = keyword.to_ascii_lowercase().into_bytes();
            let head: Box<[u8]> = lower[..lower.len().min(HEAD)].into();
            let exact = rule.shape.exact;
            let follow = follow[..follow.len().min(HEAD - head.len())].to_vec();
            let text = if exact { keyword.as_bytes().into() } else { lower.into() };
            heads.entry(head).or_default().push((
                Wanted { rule: index, text, exact },
                Scope::of(rule, keyword),
                follow,
            ));
        }
    }
    heads.into_iter().map(|(head, wanted)| keyword(head, wanted)).collect()
}

fn keyword(head: Box<[u8]>, wanted: Vec<Placed>) -> Keyword {
    let none = Scope { before: 0, after: 0, line: false };
    let scope = wanted.iter().fold(none, |union, (_, scope, _)| union.union(*scope));
    let length = wanted.iter().map(|(_, _, follow)| follow.len()).min().unwrap_or(0);
    let mut follow = vec![[0; 4]; length];
    for (_, _, sets) in &wanted {
        follow.iter_mut().zip(sets).for_each(|(all, set)| (0..4).for_each(|word| all[word] |= set[word]));
    }
    let wanted: Box<[Wanted]> = wanted.into_iter().map(|(wanted, ..)| wanted).collect();
    let spellings = wanted.iter().all(|w| w.exact).then(|| {
        let mut spellings: Vec<Box<[u8]>> = wanted.iter().map(|w| w.text[..head.len()].into()).collect();
        spellings.sort_unstable();
        spellings.dedup();
        spellings.into()
    });
    Keyword { head, spellings, follow: follow.into(), wanted, scope }
}
