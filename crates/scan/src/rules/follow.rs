//! What must stand behind a keyword for a rule to match there. Shared with the build script.
//!
//! A short keyword is hit far more often than its rule matches: `pat` stands in every `path`. The pattern tells which
//! bytes can come next; what has others there is no hit.

use regex_syntax::hir::{Class, Hir, HirKind};

use super::shape;

/// A set of bytes, one bit each.
pub type ByteSet = [u64; 4];

/// How many bytes of the text decide whether a keyword is hit: its own, and some of those behind it.
pub const WINDOW: usize = 8;

/// More repetitions are taken for any number.
const MAX_COPIES: u32 = 64;

/// A larger pattern is not looked into.
const MAX_STATES: usize = 20_000;

/// For each keyword, the sets of bytes that stand behind it in every match, up to [`WINDOW`] bytes in all. `lead` and
/// `exact` are those of the [`shape::Shape`].
pub fn sets(hir: &Hir, keywords: &[String], lead: Option<u32>, exact: bool) -> Vec<Vec<ByteSet>> {
    let none = || keywords.iter().map(|_| Vec::new()).collect();
    // Where the keyword need not be part of the match, nothing is known.
    let Some(lead) = lead else { return none() };
    let mut automaton = Automaton { states: vec![State::Match] };
    let Some(start) = automaton.add(hir, 0) else { return none() };
    let first: Vec<usize> = if lead == 0 { vec![start] } else { (0..automaton.states.len()).collect() };
    keywords.iter().map(|keyword| automaton.behind(&first, keyword.as_bytes(), exact)).collect()
}

/// Whether the set has the byte.
#[inline(always)]
pub fn has(set: &ByteSet, byte: u8) -> bool {
    set[usize::from(byte >> 6)] >> (byte & 63) & 1 != 0
}

/// Adds the byte to the set.
pub fn insert(set: &mut ByteSet, byte: u8) {
    set[usize::from(byte >> 6)] |= 1 << (byte & 63);
}

/// The set of one byte, or of both cases of a letter.
pub fn spelled(byte: u8, exact: bool) -> ByteSet {
    let mut set = [0; 4];
    insert(&mut set, byte);
    if !exact {
        insert(&mut set, byte.to_ascii_lowercase());
        insert(&mut set, byte.to_ascii_uppercase());
    }
    set
}

enum State {
    Match,
    Byte(ByteSet, usize),
    Either(Vec<usize>),
}

/// A pattern's states; it matches more than the pattern does, never less: assertions hold anywhere.
struct Automaton {
    states: Vec<State>,
}

impl Automaton {
    fn push(&mut self, state: State) -> Option<usize> {
        (self.states.len() < MAX_STATES).then(|| {
            self.states.push(state);
            self.states.len() - 1
        })
    }

    /// Adds the states that match `hir` and go on at `next`; gives the first.
    fn add(&mut self, hir: &Hir, next: usize) -> Option<usize> {
        match hir.kind() {
            HirKind::Empty | HirKind::Look(_) => Some(next),
            HirKind::Literal(literal) => {
                literal.0.iter().rev().try_fold(next, |next, &byte| self.push(State::Byte(spelled(byte, true), next)))
            }
            HirKind::Class(class) => {
                // Alternatives of one letter each become a class of characters, also without Unicode mode.
                let class = match class {
                    Class::Bytes(class) => class.clone(),
                    Class::Unicode(class) => class.to_byte_class()?,
                };
                let mut set = [0; 4];
                class.iter().flat_map(|range| range.start()..=range.end()).for_each(|byte| insert(&mut set, byte));
                self.push(State::Byte(set, next))
            }
            HirKind::Capture(capture) => self.add(&capture.sub, next),
            HirKind::Concat(parts) => parts.iter().rev().try_fold(next, |next, part| self.add(part, next)),
            HirKind::Alternation(branches) => {
                let firsts = branches.iter().map(|branch| self.add(branch, next)).collect::<Option<Vec<_>>>()?;
                self.push(State::Either(firsts))
            }
            HirKind::Repetition(repetition) => {
                let min = repetition.min.min(MAX_COPIES);
                let mut next = match repetition.max.filter(|&max| max <= MAX_COPIES && repetition.min <= max) {
                    Some(max) => (min..max).try_fold(next, |after, _| {
                        let first = self.add(&repetition.sub, after)?;
                        self.push(State::Either(vec![first, next]))
                    })?,
                    None => {
                        let again = self.push(State::Either(vec![next]))?;
                        let first = self.add(&repetition.sub, again)?;
                        self.states[again] = State::Either(vec![first, next]);
                        again
                    }
                };
                for _ in 0..min {
                    next = self.add(&repetition.sub, next)?;
                }
                Some(next)
            }
        }
    }

    /// The sets of bytes that must come once `keyword` was read from one of the `first` states on.
    fn behind(&self, first: &[usize], keyword: &[u8], exact: bool) -> Vec<ByteSet> {
        let mut reached = self.closure(first);
        for &byte in keyword {
            reached = self.step(&reached, &spelled(byte, exact)).0;
        }
        let mut sets = Vec::new();
        while keyword.len() + sets.len() < WINDOW && !reached.iter().any(|&at| matches!(self.states[at], State::Match))
        {
            let (next, set) = self.step(&reached, &[u64::MAX; 4]);
            sets.push(set);
            reached = next;
        }
        sets
    }

    /// The states after any byte of `wanted`, and which of these bytes lead to them.
    fn step(&self, from: &[usize], wanted: &ByteSet) -> (Vec<usize>, ByteSet) {
        let mut next = Vec::new();
        let mut all = [0; 4];
        for &at in from {
            if let State::Byte(set, after) = &self.states[at] {
                let both: ByteSet = std::array::from_fn(|word| set[word] & wanted[word]);
                if both != [0; 4] {
                    next.push(*after);
                    (0..4).for_each(|word| all[word] |= both[word]);
                }
            }
        }
        (self.closure(&next), all)
    }

    /// These states and all that are reached from them without a byte.
    fn closure(&self, from: &[usize]) -> Vec<usize> {
        let mut seen = vec![false; self.states.len()];
        let mut reached = Vec::new();
        let mut due = from.to_vec();
        while let Some(at) = due.pop() {
            if !std::mem::replace(&mut seen[at], true) {
                reached.push(at);
                if let State::Either(all) = &self.states[at] {
                    due.extend_from_slice(all);
                }
            }
        }
        reached
    }
}

/// For each keyword, what stands behind it in every match of the pattern; see [`sets`].
///
/// # Errors
///
/// What is wrong with the pattern, in `regex-syntax`'s words.
pub fn of(pattern: &str, keywords: &[String], shape: &shape::Shape) -> Result<Vec<Vec<ByteSet>>, String> {
    Ok(sets(&shape::parse(pattern)?, keywords, shape.lead, shape.exact))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::Shape;

    fn behind(pattern: &str, keyword: &str) -> Vec<String> {
        let keywords = [keyword.to_owned()];
        let shape = Shape::of(pattern, &keywords).expect("sound");
        let sets = of(pattern, &keywords, &shape).expect("sound").remove(0);
        let shown = |set: &ByteSet| (0..=u8::MAX).filter(|&byte| has(set, byte)).map(char::from).collect();
        sets.iter().map(shown).collect()
    }

    #[test]
    fn what_must_follow_is_known() {
        assert_eq!(behind("ab[0-3]{2}x", "ab"), ["0123", "0123", "x"]);
        assert_eq!(behind("(?i)abc(?:d|e1)[x-z]", "abc"), ["DEde", "1XYZxyz"]);
        assert_eq!(behind(r"\bab(?P<secret>[01]{20})\b", "ab").len(), 6);
        assert_eq!(behind("[0-9]{3}-ab[0-3]{2}", "-ab"), ["0123", "0123"]);
        assert!(behind("abc[0-9]*", "abc").is_empty());
        assert_eq!(behind("(?:a|b)b_[01]", "b_"), ["01"]);
    }

    #[test]
    fn where_it_could_be_anything_nothing_is_said() {
        assert!(behind("[a-z]{1,300}[0-9]", "abc").is_empty());
        assert_eq!(behind("abcdefgh[0-9]", "abcdefgh"), Vec::<String>::new());
    }
}
