//! How much memory a scan of a history may take, and for what.
//!
//! Some of it depends on the number of objects alone and is not to be had cheaper; the rest is divided. Links between trees
//! that do not fit are written to a file; bases that do not fit are let go and decoded again; of families whose objects are
//! large, one is walked at a time; what is larger still is reported as not read.

use crate::source::SourceError;

const MEGABYTE: u64 = 1 << 20;

/// If nobody says how much.
const DEFAULT: u64 = 512 * MEGABYTE;

/// Less than this is refused.
pub const LEAST_MEMORY: u64 = 128 * MEGABYTE;

/// The program, its rules and what they are compiled to, buffers.
const FIXED: u64 = 88 * MEGABYTE;

/// For each object: its place in families, its size, marks; the id comes on top.
const EACH: u64 = 40;

/// With less than this besides, nothing is begun.
const LEAST_REST: u64 = 24 * MEGABYTE;

/// If nobody says how much and objects take it all, what there is besides.
const DEFAULT_REST: u64 = 128 * MEGABYTE;

/// Shares of the memory, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Budget {
    /// For links between trees, all threads together.
    pub(super) links: usize,
    /// For bases that one thread holds while it walks their versions.
    pub(super) bases: usize,
    /// For the one family whose objects are larger: a base, its version and what is between them.
    pub(super) large: usize,
    /// Buffers up to this size are kept for the next object.
    pub(super) spare: usize,
}

impl Budget {
    /// Divides the `most` bytes that may be taken to scan so many objects.
    ///
    /// # Errors
    ///
    /// If they do not suffice.
    pub(super) fn new(
        most: Option<u64>,
        objects: usize,
        kind: gix::hash::Kind,
        threads: usize,
    ) -> Result<Budget, SourceError> {
        let objects = objects as u64;
        let fixed = FIXED + objects.saturating_mul(EACH + kind.len_in_bytes() as u64);
        let rest = match most {
            Some(most) if most < LEAST_MEMORY.max(fixed + LEAST_REST) => {
                let least = LEAST_MEMORY.max(fixed + LEAST_REST).div_ceil(MEGABYTE);
                return Err(SourceError::Memory { objects, least });
            }
            Some(most) => most - fixed,
            None => DEFAULT.saturating_sub(fixed).max(DEFAULT_REST),
        };
        let part = |share: u64| usize::try_from(rest / share).unwrap_or(usize::MAX);
        Ok(Budget::of(part(4), part(4), part(2), threads))
    }

    /// These shares, that of bases for all threads together.
    pub(super) fn of(links: usize, bases: usize, large: usize, threads: usize) -> Budget {
        let bases = bases / threads.max(1);
        // Some seventy buffers a thread are kept.
        Budget { links, bases, large, spare: (bases / 128).min(1 << 20) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KIND: gix::hash::Kind = gix::hash::Kind::Sha1;

    #[test]
    fn what_is_given_is_divided() {
        let budget = Budget::new(Some(256 * MEGABYTE), 1_700_000, KIND, 2).expect("enough");
        let all = (budget.links + 2 * budget.bases + budget.large) as u64;
        assert!(all + FIXED + 1_700_000 * (EACH + 20) <= 256 * MEGABYTE && all > 60 * MEGABYTE, "{budget:?}");
        let more = Budget::new(None, 1_700_000, KIND, 2).expect("enough");
        assert!(more.links > budget.links && more.large > budget.large);
    }

    #[test]
    fn too_little_is_refused_with_what_is_needed() {
        for (most, objects, needed) in [(127, 10, 128), (128, 1_700_000, 210)] {
            match Budget::new(Some(most * MEGABYTE), objects, KIND, 2) {
                Err(SourceError::Memory { least, .. }) => assert_eq!(least, needed),
                other => panic!("{other:?}"),
            }
        }
        assert!(Budget::new(None, 20_000_000, KIND, 2).is_ok());
    }
}
