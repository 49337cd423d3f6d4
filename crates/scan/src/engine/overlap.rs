//! One secret is one match: settles candidates that overlap.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use super::matcher::Candidate;
use crate::rules::RuleSet;

/// Keeps of overlapping candidates the best, in order of position. A rule that is not generic beats a generic one;
/// then the more confident, the longer, the first by rule id.
pub(super) fn settle(rules: &RuleSet, candidates: &mut Vec<Candidate>) {
    candidates.sort_by_key(|c| (c.start, c.end));
    if candidates.windows(2).all(|pair| pair[0].end <= pair[1].start) {
        return;
    }
    candidates.sort_by_key(|c| {
        (rules.rule(c.rule).generic, Reverse(c.assessment.score), Reverse(c.end - c.start), c.start, c.rule, c.hit)
    });
    let mut taken: BTreeMap<usize, usize> = BTreeMap::new();
    candidates.retain(|candidate| {
        let free = taken.range(..candidate.end).next_back().is_none_or(|(_, &end)| end <= candidate.start);
        if free {
            taken.insert(candidate.start, candidate.end);
        }
        free
    });
    candidates.sort_by_key(|c| c.start);
}
