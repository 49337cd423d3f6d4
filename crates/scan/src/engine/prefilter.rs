//! One pass over the input that finds the keywords of all rules, in any case of ASCII letters.
//!
//! At each position four bytes are looked up in a bitmap that stays in the first-level cache. For each keyword the
//! rarest four of its first eight bytes are entered; for one of two or three bytes, itself with all that may follow.
//! What passes is looked up in a second bitmap, by another hash, and only what passes that is compared.

use std::ops::Range;

use super::keywords::{HEAD, Keyword, keywords};
use crate::rules::RuleSet;

const FIRST_BITS: u32 = 18;
const SECOND_BITS: u32 = 17;
/// Drops the bit that tells upper from lower case; merges a few other pairs, which costs only a comparison.
const FOLD: u32 = 0x5f5f_5f5f;
const SPACES: u64 = u64::from_le_bytes(*b"        ");
/// A gram stands at most so far into a keyword.
const MAX_OFFSET: usize = HEAD - 4;

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
}

/// The keywords of a rule set, ready to be searched for.
pub(super) struct Prefilter {
    pub(super) keywords: Vec<Keyword>,
    first: Box<[u64; 1 << (FIRST_BITS - 6)]>,
    second: Box<[u64; 1 << (SECOND_BITS - 6)]>,
    /// No gram starts with a space, or with what folding makes the same.
    passes_spaces: bool,
    /// By length of the gram: 2, 3 and 4.
    grams: [Grams; 3],
}

impl Prefilter {
    pub(super) fn new(rules: &RuleSet) -> Self {
        let keywords = keywords(rules);
        let mut first = Box::new([0; _]);
        let mut second = Box::new([0; _]);
        let mut entries = [Vec::new(), Vec::new(), Vec::new()];
        for (number, keyword) in (0u32..).zip(&keywords) {
            let head = &keyword.head;
            let length = head.len().min(4);
            let offset =
                (0..=head.len() - length).min_by_key(|&offset| commonness(&head[offset..offset + length])).unwrap_or(0);
            let gram = gram(&head[offset..offset + length]);
            each_completion(gram, length, &mut |gram| {
                set(&mut *first, first_slot(gram));
                set(&mut *second, second_slot(gram));
            });
            entries[length - 2].push(Entry { gram, keyword: number, offset: offset as u8 });
        }
        let passes_spaces = entries.iter().flatten().all(|entry| entry.gram & 0xff != 0);
        Prefilter { keywords, first, second, passes_spaces, grams: entries.map(Grams::new) }
    }

    /// Adds to `hits` each keyword's head that starts within `starts`, nearly in order: at most [`MAX_OFFSET`] back.
    ///
    /// # Panics
    ///
    /// If the text is of 4 GiB or more.
    pub(super) fn search(&self, bytes: &[u8], starts: Range<usize>, hits: &mut Vec<Hit>) {
        assert!(u32::try_from(bytes.len()).is_ok(), "texts of 4 GiB and more are searched in windows");
        let end = bytes.len().min(starts.end + MAX_OFFSET);
        let mut at = starts.start;
        while at < end {
            let Some(ahead) = bytes.get(at..at + 12) else { break };
            let (near, far) = (word(&ahead[..8]), word(&ahead[4..]));
            if near == SPACES && self.passes_spaces {
                at += 8;
                continue;
            }
            let found = self.eight(near, far);
            if found != 0 {
                self.compare(bytes, at, found, near, far, &starts, hits);
            }
            at += 8;
        }
        while at < end {
            let mut ahead = [0; 12];
            let left = bytes.len().min(at + 12) - at;
            ahead[..left].copy_from_slice(&bytes[at..at + left]);
            let (near, far) = (word(&ahead[..8]), word(&ahead[4..]));
            self.compare(bytes, at, self.eight(near, far), near, far, &starts, hits);
            at += 8;
        }
    }

    /// Which of the eight grams that start in `near` pass the first bitmap, one bit each. `far` is four bytes on.
    #[inline(always)]
    fn eight(&self, near: u64, far: u64) -> u64 {
        let has = |gram: u64| {
            let slot = first_slot(gram as u32);
            self.first[(slot as usize >> 6) & (self.first.len() - 1)] >> (slot & 63) & 1
        };
        has(near)
            | has(near >> 8) << 1
            | has(near >> 16) << 2
            | has(near >> 24) << 3
            | has(far) << 4
            | has(far >> 8) << 5
            | has(far >> 16) << 6
            | has(far >> 24) << 7
    }

    #[expect(clippy::too_many_arguments, reason = "the state of one loop, kept in registers")]
    fn compare(
        &self,
        bytes: &[u8],
        at: usize,
        mut found: u64,
        near: u64,
        far: u64,
        starts: &Range<usize>,
        hits: &mut Vec<Hit>,
    ) {
        while found != 0 {
            let step = found.trailing_zeros() as usize;
            found &= found - 1;
            let gram = (if step < 4 { near >> (8 * step) } else { far >> (8 * (step - 4)) }) as u32;
            let slot = second_slot(gram);
            if self.second[(slot as usize >> 6) & (self.second.len() - 1)] >> (slot & 63) & 1 != 0 {
                self.confirm(bytes, at + step, gram, starts, hits);
            }
        }
    }

    fn confirm(&self, bytes: &[u8], at: usize, gram: u32, starts: &Range<usize>, hits: &mut Vec<Hit>) {
        for (grams, mask) in self.grams.iter().zip([0xffff, 0x00ff_ffff, u32::MAX]) {
            for entry in grams.get(gram & FOLD & mask) {
                let keyword = &self.keywords[entry.keyword as usize];
                let Some(start) = at.checked_sub(usize::from(entry.offset)) else { continue };
                if let Some(text) = bytes.get(start..start + keyword.head.len())
                    && starts.contains(&start)
                    && text.eq_ignore_ascii_case(&keyword.head)
                    && keyword.spellings.as_ref().is_none_or(|all| all.iter().any(|spelling| **spelling == *text))
                {
                    hits.push(Hit { at: start as u32, keyword: entry.keyword });
                }
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

    fn new(mut entries: Vec<Entry>) -> Self {
        entries.sort_unstable();
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
    fn get(&self, gram: u32) -> &[Entry] {
        if self.entries.is_empty() {
            return &[];
        }
        let mask = self.slots.len() - 1;
        let mut slot = Self::slot(gram) & mask;
        while self.slots[slot] != Self::NONE {
            let rest = &self.entries[self.slots[slot] as usize..];
            if rest[0].gram == gram {
                let count = rest.iter().take_while(|entry| entry.gram == gram).count();
                return &rest[..count];
            }
            slot = (slot + 1) & mask;
        }
        &[]
    }
}

fn word(bytes: &[u8]) -> u64 {
    u64::from_le_bytes(bytes.try_into().expect("eight bytes"))
}

#[inline(always)]
fn first_slot(gram: u32) -> u32 {
    (gram & FOLD).wrapping_mul(0x9e37_79b1) >> (32 - FIRST_BITS)
}

#[inline(always)]
fn second_slot(gram: u32) -> u32 {
    (gram & FOLD).wrapping_mul(0x85eb_ca77) >> (32 - SECOND_BITS)
}

fn set(bits: &mut [u64], slot: u32) {
    bits[slot as usize >> 6] |= 1 << (slot & 63);
}

fn gram(bytes: &[u8]) -> u32 {
    bytes.iter().rev().fold(0, |gram, &b| gram << 8 | u32::from(b)) & FOLD
}

/// All grams of four bytes that start with this one.
fn each_completion(gram: u32, length: usize, each: &mut dyn FnMut(u32)) {
    if length == 4 {
        return each(gram);
    }
    // The bits that folding leaves.
    (0..128u32)
        .filter(|byte| byte & 0x20 == 0)
        .for_each(|byte| each_completion(gram | byte << (8 * length), length + 1, each));
}

/// How common a gram is in source text, roughly: the product of its letters' frequencies.
fn commonness(gram: &[u8]) -> u64 {
    gram.iter()
        .map(|b| match b.to_ascii_lowercase() {
            b'e' | b't' => 100,
            b'a' | b'i' | b'n' | b'o' | b'r' | b's' | b' ' => 80,
            b'c' | b'd' | b'l' | b'u' | b'm' | b'p' => 45,
            b'_' | b'f' | b'g' | b'h' | b'b' | b'/' | b'-' | b'=' | b'.' => 25,
            b'y' | b'v' | b'w' | b'k' | b':' => 15,
            b'x' | b'0'..=b'9' => 8,
            _ => 3,
        })
        .product()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn naive(prefilter: &Prefilter, bytes: &[u8]) -> Vec<Hit> {
        let keywords = (0u32..).zip(&prefilter.keywords);
        let mut hits: Vec<_> = keywords
            .flat_map(|(number, keyword)| {
                let windows = (0u32..).zip(bytes.windows(keyword.head.len()));
                let same = windows.filter(|(_, window)| match &keyword.spellings {
                    Some(spellings) => spellings.iter().any(|spelling| **spelling == **window),
                    None => window.eq_ignore_ascii_case(&keyword.head),
                });
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
