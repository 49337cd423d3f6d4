//! One pass over the input that finds the keywords of all rules, in any case of ASCII letters.
//!
//! Looks at four bytes at every second position and asks two bitmaps that stay in the first-level cache. One is of
//! 4-byte grams, for keywords of five bytes and more: each is entered with two neighbouring grams, so that one of them
//! falls on an even position wherever the keyword stands, and the pair of rarest letters is chosen. The other is of
//! 3-byte grams, for shorter keywords, and is asked twice, for even and odd positions. Only where a bit is set are
//! keywords compared.

use std::collections::BTreeMap;

use crate::rules::{RuleIndex, RuleSet};

const LONG_BITS: u32 = 17;
const SHORT_BITS: u32 = 16;
/// Drops the bit that tells upper from lower case; merges a few other pairs, which costs only a comparison.
const FOLD: u32 = 0x5f5f_5f5f;
const SHORT_MASK: u32 = 0x00ff_ffff;

/// A keyword and the rules that have it.
pub(super) struct Keyword {
    folded: Box<[u8]>,
    pub(super) rules: Box<[Wanted]>,
}

/// A rule that has a keyword.
pub(super) struct Wanted {
    pub(super) rule: RuleIndex,
    /// Set where only this spelling can match.
    pub(super) spelled: Option<Box<[u8]>>,
}

impl Keyword {
    pub(super) fn len(&self) -> usize {
        self.folded.len()
    }
}

/// A place in a keyword at which a gram was entered: the keyword starts `offset` bytes before the gram.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Entry {
    slot: u32,
    gram: u32,
    keyword: u32,
    offset: u8,
}

struct Table<const WORDS: usize> {
    bits: Box<[u64; WORDS]>,
    heads: Box<[u32]>,
    entries: Box<[Entry]>,
}

/// The keywords of a rule set, ready to be searched for.
pub(super) struct Prefilter {
    keywords: Vec<Keyword>,
    long: Table<{ 1 << (LONG_BITS - 6) }>,
    short: Table<{ 1 << (SHORT_BITS - 6) }>,
}

impl Prefilter {
    pub(super) fn new(rules: &RuleSet) -> Self {
        let mut wanted: BTreeMap<Vec<u8>, Vec<Wanted>> = BTreeMap::new();
        for (index, rule) in (0..).map(RuleIndex).zip(rules.iter()) {
            for keyword in rule.keywords.iter() {
                let spelled = rule.shape.exact.then(|| keyword.as_bytes().into());
                wanted
                    .entry(keyword.to_ascii_lowercase().into_bytes())
                    .or_default()
                    .push(Wanted { rule: index, spelled });
            }
        }
        let keywords: Vec<Keyword> =
            wanted.into_iter().map(|(folded, rules)| Keyword { folded: folded.into(), rules: rules.into() }).collect();
        let (mut long, mut short) = (Vec::new(), Vec::new());
        for (number, keyword) in (0u32..).zip(&keywords) {
            enter(number, &keyword.folded, &mut long, &mut short);
        }
        Prefilter { keywords, long: Table::new(long, LONG_BITS), short: Table::new(short, SHORT_BITS) }
    }

    /// Calls `hit` with each keyword and its position, nearly in order: at most a keyword's length back.
    pub(super) fn search(&self, bytes: &[u8], mut hit: impl FnMut(&Keyword, usize)) {
        let mut words = bytes.chunks_exact(8);
        let mut tail = [0; 8];
        let rest = words.remainder();
        tail[..rest.len()].copy_from_slice(rest);
        let Some(first) = words.next() else {
            return self.step(bytes, 0, u64::from_le_bytes(tail), 0, &mut hit);
        };
        let mut current = word(first);
        let mut at = 0;
        for next in words {
            let next = word(next);
            self.step(bytes, at, current, next, &mut hit);
            current = next;
            at += 8;
        }
        self.step(bytes, at, current, u64::from_le_bytes(tail), &mut hit);
        self.step(bytes, at + 8, u64::from_le_bytes(tail), 0, &mut hit);
    }

    /// Looks at the four grams that start in `current`.
    #[inline(always)]
    fn step(&self, bytes: &[u8], at: usize, current: u64, next: u64, hit: &mut impl FnMut(&Keyword, usize)) {
        let grams = [
            current as u32,
            (current >> 16) as u32,
            (current >> 32) as u32,
            (current >> 48) as u32 | (next as u32) << 16,
        ];
        let found = [self.has(grams[0]), self.has(grams[1]), self.has(grams[2]), self.has(grams[3])];
        if found[0] | found[1] | found[2] | found[3] == 0 {
            return;
        }
        for step in 0..4 {
            if found[step] != 0 {
                self.compare(bytes, at + 2 * step, grams[step], hit);
            }
        }
    }

    #[inline(always)]
    fn has(&self, gram: u32) -> u64 {
        self.long.has(long_slot(gram)) | self.short.has(short_slot(gram)) | self.short.has(short_slot(gram >> 8))
    }

    fn compare(&self, bytes: &[u8], at: usize, gram: u32, hit: &mut impl FnMut(&Keyword, usize)) {
        let folded = gram & FOLD;
        self.compare_at(bytes, at, folded, self.long.at(long_slot(gram)), hit);
        self.compare_at(bytes, at, folded & SHORT_MASK, self.short.at(short_slot(gram)), hit);
        self.compare_at(bytes, at + 1, folded >> 8, self.short.at(short_slot(gram >> 8)), hit);
    }

    #[inline]
    fn compare_at(&self, bytes: &[u8], at: usize, gram: u32, entries: &[Entry], hit: &mut impl FnMut(&Keyword, usize)) {
        // Two grams can share a slot: the gram itself is compared before anything is fetched.
        for entry in entries.iter().filter(|e| e.gram == gram) {
            let keyword = &self.keywords[entry.keyword as usize];
            let Some(start) = at.checked_sub(usize::from(entry.offset)) else { continue };
            if let Some(text) = bytes.get(start..start + keyword.folded.len())
                && text.eq_ignore_ascii_case(&keyword.folded)
            {
                hit(keyword, start);
            }
        }
    }
}

impl<const WORDS: usize> Table<WORDS> {
    fn new(mut entries: Vec<Entry>, bits: u32) -> Self {
        entries.sort_unstable();
        entries.dedup();
        let mut map = Box::new([0u64; WORDS]);
        let mut heads = vec![0u32; (1 << bits) + 1];
        for entry in &entries {
            map[entry.slot as usize >> 6] |= 1 << (entry.slot & 63);
            heads[entry.slot as usize + 1] += 1;
        }
        for slot in 1..heads.len() {
            heads[slot] += heads[slot - 1];
        }
        Table { bits: map, heads: heads.into(), entries: entries.into() }
    }

    #[inline(always)]
    fn has(&self, slot: u32) -> u64 {
        self.bits[(slot as usize >> 6) & (WORDS - 1)] >> (slot & 63) & 1
    }

    fn at(&self, slot: u32) -> &[Entry] {
        let slot = slot as usize;
        &self.entries[self.heads[slot] as usize..self.heads[slot + 1] as usize]
    }
}

fn word(bytes: &[u8]) -> u64 {
    u64::from_le_bytes(bytes.try_into().expect("chunks_exact gives eight bytes"))
}

#[inline(always)]
fn long_slot(gram: u32) -> u32 {
    (gram & FOLD).wrapping_mul(0x9e37_79b1) >> (32 - LONG_BITS)
}

#[inline(always)]
fn short_slot(gram: u32) -> u32 {
    (gram & FOLD & SHORT_MASK).wrapping_mul(0x85eb_ca77) >> (32 - SHORT_BITS)
}

fn enter(keyword: u32, text: &[u8], long: &mut Vec<Entry>, short: &mut Vec<Entry>) {
    if text.len() >= 5 {
        let offset = (0..=text.len() - 5)
            .min_by_key(|&o| commonness(&text[o..o + 4]).max(commonness(&text[o + 1..o + 5])))
            .unwrap_or(0);
        for o in [offset, offset + 1] {
            let gram = gram(&text[o..o + 4]) & FOLD;
            long.push(Entry { slot: long_slot(gram), gram, keyword, offset: o as u8 });
        }
        return;
    }
    let mut add = |bytes: &[u8], offset| {
        let gram = gram(bytes) & FOLD;
        short.push(Entry { slot: short_slot(gram), gram, keyword, offset });
    };
    match *text {
        [a, b, c, d] if commonness(&[b, c, d]) < commonness(&[a, b, c]) => add(&[b, c, d], 1),
        [a, b, c, ..] => add(&[a, b, c], 0),
        [a, b] => (0..=u8::MAX).for_each(|any| add(&[a, b, any], 0)),
        _ => {}
    }
}

fn gram(bytes: &[u8]) -> u32 {
    bytes.iter().rev().fold(0, |gram, &b| gram << 8 | u32::from(b))
}

/// How common a gram is in source text, roughly: the sum of its letters' frequencies.
fn commonness(gram: &[u8]) -> u32 {
    gram.iter()
        .map(|b| match b.to_ascii_lowercase() {
            b'e' | b't' => 10,
            b'a' | b'i' | b'n' | b'o' | b'r' | b's' | b' ' => 8,
            b'c' | b'd' | b'l' | b'u' | b'm' | b'p' => 5,
            b'_' | b'f' | b'g' | b'h' | b'b' | b'/' | b'-' | b'=' => 4,
            b'y' | b'v' | b'w' | b'k' | b'.' | b':' => 3,
            b'x' | b'0'..=b'9' => 2,
            _ => 1,
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn naive(prefilter: &Prefilter, bytes: &[u8]) -> Vec<(usize, usize)> {
        let keywords = prefilter.keywords.iter().enumerate();
        let mut hits: Vec<_> = keywords
            .flat_map(|(number, keyword)| {
                let windows = bytes.windows(keyword.len()).enumerate();
                windows.filter(|(_, w)| w.eq_ignore_ascii_case(&keyword.folded)).map(move |(at, _)| (at, number))
            })
            .collect();
        hits.sort_unstable();
        hits
    }

    proptest! {
        #[test]
        fn every_keyword_is_hit_once_wherever_it_stands(pieces in prop::collection::vec(("[ -~]{0,9}", any::<prop::sample::Index>(), any::<bool>()), 0..12)) {
            let prefilter = Prefilter::new(&RuleSet::builtin());
            let mut text = Vec::new();
            for (filler, keyword, upper) in pieces {
                text.extend(filler.into_bytes());
                let folded = keyword.get(&prefilter.keywords).folded.to_vec();
                text.extend(if upper { folded.to_ascii_uppercase() } else { folded });
            }
            let mut hits = Vec::new();
            prefilter.search(&text, |keyword, at| {
                let number = prefilter.keywords.iter().position(|k| std::ptr::eq(k, keyword)).expect("one of them");
                hits.push((at, number));
            });
            hits.sort_unstable();
            prop_assert_eq!(hits, naive(&prefilter, &text));
        }
    }
}
