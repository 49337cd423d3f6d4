//! Git's delta format: copy and insert instructions against a base object.
//! (<https://git-scm.com/docs/gitformat-pack#_deltified_representation>)

use crate::engine::Segment;

/// What is wrong with a delta.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BadDelta(pub(super) &'static str);

/// Sizes that a delta declares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sizes {
    pub(super) base: u64,
    pub(super) result: u64,
    /// Where the instructions start.
    instructions: usize,
}

/// Reads the head of a delta.
pub(super) fn sizes(delta: &[u8]) -> Result<Sizes, BadDelta> {
    let (base, first) = size(delta)?;
    let (result, second) = size(&delta[first..])?;
    Ok(Sizes { base, result, instructions: first + second })
}

fn size(bytes: &[u8]) -> Result<(u64, usize), BadDelta> {
    let mut value = 0u64;
    for (at, &byte) in bytes.iter().enumerate().take(9) {
        value |= u64::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            return Ok((value, at + 1));
        }
    }
    Err(BadDelta("the delta's size is cut off"))
}

/// Shorter copies are taken for inserted bytes.
const LEAST_COPY: usize = 48;

/// Which parts of a version are copies from its base, gathered from a delta's instructions.
#[derive(Default)]
pub(crate) struct Segments {
    segments: Vec<Segment>,
}

impl Segments {
    pub(crate) fn clear(&mut self) {
        self.segments.clear();
    }

    /// The next bytes are a copy.
    pub(crate) fn copy(&mut self, source: usize, length: usize) {
        let start = self.end();
        match self.segments.last_mut() {
            _ if length == 0 => {}
            Some(last) if last.source.is_some_and(|from| from + (last.end - last.start) == source) => {
                last.end += length;
            }
            // Two seams cost more than to search so little.
            _ if length < LEAST_COPY => self.insert(length),
            _ => self.segments.push(Segment { start, end: start + length, source: Some(source) }),
        }
    }

    /// The next bytes are inserted.
    pub(crate) fn insert(&mut self, length: usize) {
        let start = self.end();
        match self.segments.last_mut() {
            _ if length == 0 => {}
            Some(last) if last.source.is_none() => last.end += length,
            _ => self.segments.push(Segment { start, end: start + length, source: None }),
        }
    }

    fn end(&self) -> usize {
        self.segments.last().map_or(0, |last| last.end)
    }

    pub(crate) fn as_slice(&self) -> &[Segment] {
        &self.segments
    }
}

/// Makes the object that `delta` describes out of `base`, into `out`, which is cleared first, and tells `segments`, if
/// that is wanted, where its parts come from. The caller has checked that the declared result is of a size that may be
/// allocated.
pub(super) fn apply(
    base: &[u8],
    delta: &[u8],
    sizes: Sizes,
    out: &mut Vec<u8>,
    mut segments: Option<&mut Segments>,
) -> Result<(), BadDelta> {
    if sizes.base != base.len() as u64 {
        return Err(BadDelta("the delta is against another base"));
    }
    let result = usize::try_from(sizes.result).map_err(|_| BadDelta("the delta's result does not fit in memory"))?;
    out.clear();
    out.reserve(result);
    let mut rest = &delta[sizes.instructions..];
    while let Some((&instruction, after)) = rest.split_first() {
        rest = after;
        let bytes = if instruction & 0x80 != 0 {
            let (offset, length) = copy(instruction, &mut rest)?;
            if let Some(segments) = &mut segments {
                segments.copy(offset, length);
            }
            base.get(offset..offset + length).ok_or(BadDelta("the delta copies from beyond its base"))?
        } else if instruction != 0 {
            let (inserted, after) = rest
                .split_at_checked(usize::from(instruction))
                .ok_or(BadDelta("the delta's inserted bytes are cut off"))?;
            rest = after;
            if let Some(segments) = &mut segments {
                segments.insert(inserted.len());
            }
            inserted
        } else {
            return Err(BadDelta("the delta holds a reserved instruction"));
        };
        if bytes.len() > result - out.len() {
            return Err(BadDelta("the delta makes more than it declares"));
        }
        out.extend_from_slice(bytes);
    }
    if out.len() == result { Ok(()) } else { Err(BadDelta("the delta makes less than it declares")) }
}

/// Offset and length of a copy instruction: up to four and three bytes, those present marked in the instruction.
fn copy(instruction: u8, rest: &mut &[u8]) -> Result<(usize, usize), BadDelta> {
    let mut field = |bits: std::ops::Range<u32>| {
        let mut value = 0;
        for (shift, bit) in bits.enumerate() {
            if instruction & 1 << bit != 0 {
                let (&byte, after) = rest.split_first().ok_or(BadDelta("the delta's copy instruction is cut off"))?;
                *rest = after;
                value |= usize::from(byte) << (8 * shift);
            }
        }
        Ok(value)
    };
    let offset = field(0..4)?;
    let length = field(4..7)?;
    Ok((offset, if length == 0 { 0x1_0000 } else { length }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn applied(base: &[u8], delta: &[u8]) -> Result<Vec<u8>, BadDelta> {
        let mut out = Vec::new();
        apply(base, delta, sizes(delta)?, &mut out, None).map(|()| out)
    }

    #[test]
    fn copies_and_inserts_make_the_object() {
        let delta = [6, 7, 0x91, 2, 4, 3, b'x', b'y', b'z'];
        assert_eq!(applied(b"abcdef", &delta).as_deref(), Ok(&b"cdefxyz"[..]));
    }

    #[test]
    fn a_copy_of_length_zero_is_one_of_64_kib() {
        let base = vec![7; 0x1_0000];
        let delta = [0x80, 0x80, 4, 0x80, 0x80, 4, 0x80];
        assert_eq!(applied(&base, &delta).expect("sound"), base);
    }

    #[test]
    fn damaged_deltas_are_refused() {
        for delta in [
            &b""[..],
            &[0x80],
            &[1, 1],
            &[1, 1, 0],
            &[1, 1, 2, b'a', b'b'],
            &[1, 1, 2, b'a'],
            &[1, 1, 0x91, 1],
            &[1, 1, 0x91, 1, 1],
            &[2, 1, 1, b'a'],
            &[1, 2, 1, b'a'],
        ] {
            assert!(applied(b"a", delta).is_err(), "{delta:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_applied_or_refused(base: Vec<u8>, delta: Vec<u8>) {
            if let Ok(found) = sizes(&delta)
                && found.result < 1 << 20
            {
                let mut segments = Segments::default();
                let mut out = Vec::new();
                if apply(&base, &delta, found, &mut out, Some(&mut segments)).is_ok() {
                    let made = segments.as_slice().iter().flat_map(|segment| match segment.source {
                        Some(from) => base[from..from + (segment.end - segment.start)].to_vec(),
                        None => out[segment.start..segment.end].to_vec(),
                    });
                    proptest::prop_assert_eq!(made.collect::<Vec<u8>>(), out);
                }
            }
        }
    }
}
