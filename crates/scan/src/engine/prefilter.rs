//! One pass over the input that finds the keywords of all rules, in any case of ASCII letters.
//!
//! At each position three bytes, six bits of each, are looked up in a bitmap that stays in the first-level cache. For
//! each keyword the rarest three of its first eight bytes are entered; for one of two bytes, itself with all that may
//! follow. What passes is compared.

#![expect(unsafe_code, reason = "one function is compiled for processors that not all have; see `Prefilter::search`")]

use std::collections::HashMap;
use std::ops::Range;

use super::keywords::{HEAD, Keyword, keywords};
use crate::rules::RuleSet;
use crate::rules::follow::has;

/// Drops the bits that tell upper from lower case and ASCII from the rest; merges a few other pairs, which costs only a
/// comparison.
const FOLD: u64 = 0x5f5f_5f5f_5f5f_5f5f;
const SPACES: u64 = u64::from_le_bytes(*b"        ");
/// Length of a gram.
const GRAM: usize = 3;
/// A gram stands at most so far into a keyword.
const MAX_OFFSET: usize = HEAD - GRAM + 1;
/// A pair of bytes has so many values, once folded.
const PAIRS: usize = 1 << 12;

/// A keyword's head in the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Hit {
    /// Where it starts.
    pub(super) at: u32,
    /// Which it is.
    pub(super) keyword: u32,
}

/// A gram of a keyword, which starts `offset` bytes before it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Entry {
    gram: u32,
    keyword: u32,
    offset: u8,
    /// The keyword's head, folded, and which bytes of eight it is.
    head: u64,
    mask: u64,
}

/// The keywords of a rule set, ready to be searched for.
pub(super) struct Prefilter {
    pub(super) keywords: Vec<Keyword>,
    /// For two bytes, which ones as the third make a gram.
    thirds: Box<[u64; PAIRS]>,
    /// No gram starts with two spaces, or with what folding makes the same.
    passes_spaces: bool,
    grams: Grams,
}

impl Prefilter {
    pub(super) fn new(rules: &RuleSet) -> Self {
        let keywords = keywords(rules);
        let common = Common::new();
        let mut thirds = Box::new([0; PAIRS]);
        let mut entries = Vec::new();
        for (number, keyword) in (0u32..).zip(&keywords) {
            let head = &keyword.head;
            let last = head.len().saturating_sub(GRAM);
            let share = |offset: usize| common.share(&head[offset..head.len().min(offset + GRAM)]);
            let offset = (0..=last).min_by(|&one, &other| share(one).total_cmp(&share(other))).unwrap_or(0);
            let mut bytes = [0; 8];
            let mut mask = [0; 8];
            bytes[..head.len()].copy_from_slice(head);
            mask[..head.len()].fill(u8::MAX);
            let entry = |gram| Entry {
                gram,
                keyword: number,
                offset: offset as u8,
                head: u64::from_le_bytes(bytes) & FOLD,
                mask: u64::from_le_bytes(mask) & FOLD,
            };
            match head.get(offset..offset + GRAM) {
                Some(text) => entries.push(entry(gram(text))),
                None => {
                    let behind = keyword.follow.first();
                    let fits = |&byte: &u8| behind.is_none_or(|set| has(set, byte));
                    entries.extend((0..=u8::MAX).filter(fits).map(|byte| entry(gram(&[&head[..], &[byte]].concat()))));
                }
            }
        }
        entries.sort_unstable();
        entries.dedup();
        for entry in &entries {
            thirds[entry.gram as usize & (PAIRS - 1)] |= 1 << (entry.gram >> 12);
        }
        Prefilter { keywords, passes_spaces: thirds[0] == 0, thirds, grams: Grams::new(entries) }
    }

    /// Adds to `hits` each keyword's head that starts within `starts`, nearly in order: at most [`MAX_OFFSET`] back.
    ///
    /// # Panics
    ///
    /// If the text is of 4 GiB or more.
    pub(super) fn search(&self, bytes: &[u8], starts: Range<usize>, hits: &mut Vec<Hit>) {
        assert!(u32::try_from(bytes.len()).is_ok(), "texts of 4 GiB and more are searched in windows");
        #[cfg(target_arch = "x86_64")]
        if std::arch::is_x86_feature_detected!("bmi2") {
            // SAFETY: the processor has what the function needs.
            return unsafe { self.search_bmi2(bytes, starts, hits) };
        }
        self.search_with(bytes, starts, hits);
    }

    /// The same for processors that shift by any register.
    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "bmi2")]
    fn search_bmi2(&self, bytes: &[u8], starts: Range<usize>, hits: &mut Vec<Hit>) {
        self.search_with(bytes, starts, hits);
    }

    #[inline(always)]
    fn search_with(&self, bytes: &[u8], starts: Range<usize>, hits: &mut Vec<Hit>) {
        let end = bytes.len().min(starts.end + MAX_OFFSET);
        let mut at = starts.start;
        while at < end {
            let Some(ahead) = bytes.get(at..at + 10) else { break };
            let (near, far) = (word(&ahead[..8]), word(&ahead[2..]));
            if (near != SPACES || !self.passes_spaces) && self.eight(near, far) {
                self.compare(bytes, at, near, far, &starts, hits);
            }
            at += 8;
        }
        while at < end {
            let mut ahead = [0; 10];
            let left = bytes.len().min(at + 10) - at;
            ahead[..left].copy_from_slice(&bytes[at..at + left]);
            self.compare(bytes, at, word(&ahead[..8]), word(&ahead[2..]), &starts, hits);
            at += 8;
        }
    }

    /// Whether one of the eight grams that start in `near` is one of a keyword. `far` is two bytes on.
    #[inline(always)]
    fn eight(&self, near: u64, far: u64) -> bool {
        let (near, far) = (six(near), six(far));
        let (even, odd) = (pairs(near), pairs(near >> 8));
        // The last odd pair needs a byte more than `near` has: it is the third of `far`.
        let last = pairs(far >> 8) >> 32;
        // Bit 0 tells: a shift by what is not masked is one by its lowest six bits.
        let third = |pair: u64, third: u64| self.thirds[pair as usize & (PAIRS - 1)].wrapping_shr(third as u32);
        let any = third(even, far)
            | third(odd, far >> 8)
            | third(even >> 16, far >> 16)
            | third(odd >> 16, far >> 24)
            | third(even >> 32, far >> 32)
            | third(odd >> 32, far >> 40)
            | third(even >> 48, far >> 48)
            | third(last, far >> 56);
        any & 1 != 0
    }

    #[cold]
    #[inline(never)]
    fn compare(&self, bytes: &[u8], at: usize, near: u64, far: u64, starts: &Range<usize>, hits: &mut Vec<Hit>) {
        let both = u128::from(six(near)) | u128::from(six(far)) << 16;
        for step in 0..8 {
            let six = (both >> (8 * step)) as u32;
            let gram = six & 0x3f | (six >> 2) & 0xfc0 | (six >> 4) & 0x3f000;
            if self.thirds[gram as usize & (PAIRS - 1)] >> (gram >> 12) & 1 != 0 {
                self.confirm(bytes, at + step, gram, starts, hits);
            }
        }
    }

    fn confirm(&self, bytes: &[u8], at: usize, gram: u32, starts: &Range<usize>, hits: &mut Vec<Hit>) {
        for entry in self.grams.get(gram) {
            let Some(start) = at.checked_sub(usize::from(entry.offset)) else { continue };
            if let Some(text) = bytes.get(start..).and_then(|rest| rest.first_chunk())
                && u64::from_le_bytes(*text) & entry.mask != entry.head
            {
                continue;
            }
            let keyword = &self.keywords[entry.keyword as usize];
            if let Some(text) = bytes.get(start..start + keyword.span())
                && starts.contains(&start)
                && keyword.is(text)
            {
                hits.push(Hit { at: start as u32, keyword: entry.keyword });
            }
        }
    }
}

/// Entries by their gram.
struct Grams {
    slots: Box<[u32]>,
    entries: Box<[Entry]>,
}

impl Grams {
    const NONE: u32 = u32::MAX;

    /// Of entries in order.
    fn new(entries: Vec<Entry>) -> Self {
        let mut slots = vec![Self::NONE; (entries.len() * 4).next_power_of_two()];
        let mask = slots.len() - 1;
        for (at, entry) in entries.iter().enumerate() {
            if at > 0 && entries[at - 1].gram == entry.gram {
                continue;
            }
            let mut slot = Self::slot(entry.gram) & mask;
            while slots[slot] != Self::NONE {
                slot = (slot + 1) & mask;
            }
            slots[slot] = u32::try_from(at).unwrap_or(Self::NONE);
        }
        Grams { slots: slots.into(), entries: entries.into() }
    }

    fn slot(gram: u32) -> usize {
        (gram.wrapping_mul(0xc2b2_ae35) >> 12) as usize
    }

    /// The entries of that gram.
    fn get(&self, gram: u32) -> impl Iterator<Item = &Entry> {
        let mask = self.slots.len() - 1;
        let mut slot = Self::slot(gram) & mask;
        let found = loop {
            match self.slots[slot] {
                Self::NONE => break &[][..],
                at if self.entries[at as usize].gram == gram => break &self.entries[at as usize..],
                _ => slot = (slot + 1) & mask,
            }
        };
        found.iter().take_while(move |entry| entry.gram == gram)
    }
}

fn word(bytes: &[u8]) -> u64 {
    u64::from_le_bytes(bytes.try_into().expect("eight bytes"))
}

/// Six bits of each byte.
#[inline(always)]
fn six(word: u64) -> u64 {
    word & 0x1f1f_1f1f_1f1f_1f1f | (word & 0x4040_4040_4040_4040) >> 1
}

/// Of bytes of six bits, each two as twelve.
#[inline(always)]
fn pairs(six: u64) -> u64 {
    six & 0x003f_003f_003f_003f | (six & 0x3f00_3f00_3f00_3f00) >> 2
}

/// Three bytes as 18 bits.
fn gram(bytes: &[u8]) -> u32 {
    bytes.iter().rev().fold(0, |gram, &byte| gram << 6 | u32::from(byte & 0x1f | (byte & 0x40) >> 1))
}

/// How common grams are in source text.
struct Common(HashMap<u32, u32, foldhash::fast::RandomState>);

impl Common {
    /// What is not counted is at most so common.
    const UNCOUNTED: f64 = 64e-6;

    /// Of the repositories that the engine is measured on; made by `scripts/count-grams`.
    fn new() -> Self {
        let lines = include_str!("common_grams.txt").lines().filter_map(|line| line.split_once(' '));
        let shares = lines.filter_map(|(share, grams)| Some((share.parse::<u32>().ok()?, grams)));
        let mut common = HashMap::default();
        for (share, grams) in shares {
            grams.split(' ').for_each(|text| *common.entry(gram(text.as_bytes())).or_default() += share);
        }
        Common(common)
    }

    /// How much of all text is this gram, roughly. Those that are not counted are told apart by their letters.
    fn share(&self, text: &[u8]) -> f64 {
        match self.0.get(&gram(text)) {
            Some(&share) => f64::from(share) / 1e6,
            None => text.iter().map(|&byte| share_of_byte(byte)).product::<f64>().min(Self::UNCOUNTED),
        }
    }
}

/// How much of all text is this byte, roughly.
fn share_of_byte(byte: u8) -> f64 {
    match byte.to_ascii_lowercase() {
        b' ' => 0.15,
        b'e' | b't' => 0.07,
        b'a' | b'i' | b'n' | b'o' | b'r' | b's' => 0.05,
        b'c' | b'd' | b'l' | b'u' | b'm' | b'p' => 0.03,
        b'_' | b'f' | b'g' | b'h' | b'b' | b'/' | b'-' | b'=' | b'.' => 0.015,
        b'y' | b'v' | b'w' | b'k' | b':' => 0.008,
        _ => 0.004,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn naive(prefilter: &Prefilter, bytes: &[u8]) -> Vec<Hit> {
        let keywords = (0u32..).zip(&prefilter.keywords);
        let mut hits: Vec<_> = keywords
            .flat_map(|(number, keyword)| {
                let windows = (0u32..).zip(bytes.windows(keyword.span()));
                let same = windows.filter(|(_, window)| keyword.is(window));
                same.map(move |(at, _)| Hit { at, keyword: number })
            })
            .collect();
        hits.sort_unstable();
        hits
    }

    #[test]
    fn a_hundred_thousand_keywords_are_no_harm() {
        let words: Vec<String> = (0..100_000).map(|number| format!("'w{number:05}x'")).collect();
        let rules = format!(
            "provider = 'p'\nname = 'P'\n[[rule]]\nid = 'many'\nname = 'n'\nseverity = 'low'\nwhy = 'w'\n\
             pattern = 'w[0-9]{{5}}x'\nkeywords = [{}]\nreferences = []\nremedy = 'r'\nexamples = []\nnegatives = []\n",
            words.join(",")
        );
        let prefilter = Prefilter::new(&RuleSet::from_toml(&rules, "many.toml").expect("sound"));
        let mut hits = Vec::new();
        prefilter.search(b"a w77777x b", 0..11, &mut hits);
        assert_eq!(hits.iter().map(|hit| hit.at).collect::<Vec<_>>(), [2]);
    }

    proptest! {
        #[test]
        fn every_keyword_is_hit_once_wherever_it_stands(
            pieces in prop::collection::vec(("[ -~]{0,9}", any::<prop::sample::Index>(), 0..3), 0..12),
            from in 0usize..20,
        ) {
            let prefilter = Prefilter::new(&RuleSet::builtin());
            let mut text = Vec::new();
            for (filler, keyword, case) in pieces {
                text.extend(filler.into_bytes());
                let wanted = &keyword.get(&prefilter.keywords).wanted[0].text;
                text.extend(match case {
                    0 => wanted.to_vec(),
                    1 => wanted.to_ascii_lowercase(),
                    _ => wanted.to_ascii_uppercase(),
                });
            }
            let mut hits = Vec::new();
            prefilter.search(&text, 0..text.len(), &mut hits);
            hits.sort_unstable();
            let all = naive(&prefilter, &text);
            prop_assert_eq!(&hits, &all);
            let range = from.min(text.len())..text.len().saturating_sub(from).max(from.min(text.len()));
            hits.clear();
            prefilter.search(&text, range.clone(), &mut hits);
            hits.sort_unstable();
            let within: Vec<Hit> = all.into_iter().filter(|hit| range.contains(&(hit.at as usize))).collect();
            prop_assert_eq!(hits, within);
        }
    }
}
