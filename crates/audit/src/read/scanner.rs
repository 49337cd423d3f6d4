//! Records out of a stream of bytes. Past a damaged place, reading goes on with the next header whose checksum holds.

use std::io::{self, Read};

use memchr::memmem;

use crate::format::record::{HASH_BYTES, HEADER_BYTES, Header, MAGIC, MAX_RECORD_BYTES, hash, stored_hash};
use crate::format::{Hash, Kind};

const READ_BYTES: usize = 256 << 10;

/// A whole record whose own hash holds. Whether it belongs there, only the chain can tell.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Frame<'a> {
    pub(crate) offset: u64,
    pub(crate) header: Header,
    pub(crate) payload: &'a [u8],
    pub(crate) hash: Hash,
}

impl Frame<'_> {
    /// Where the next record starts.
    pub(crate) fn end(&self) -> u64 {
        self.offset + self.header.record_bytes() as u64
    }
}

/// A place that is not a whole record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Damage {
    pub(crate) offset: u64,
    /// How many bytes, up to the next record or the end.
    pub(crate) bytes: u64,
    pub(crate) kind: DamageKind,
}

/// What is wrong with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DamageKind {
    /// There is no header here whose checksum holds.
    Header,
    /// The record is complete, but not what its hash was made of.
    Altered { sequence: u64, stored: Hash, computed: Hash, kind: Kind },
    /// The stream ends inside a record, or in zeros.
    Torn,
}

/// What stands next.
#[derive(Debug)]
pub(crate) enum Item<'a> {
    Record(Frame<'a>),
    Damage(Damage),
}

/// Reads records one after another.
pub(crate) struct Scanner<R> {
    reader: R,
    buffer: Vec<u8>,
    at: usize,
    offset: u64,
    is_at_end: bool,
}

impl<R: Read> Scanner<R> {
    /// Reads from `reader`, whose next byte stands at `offset` of its file.
    pub(crate) fn new(reader: R, offset: u64) -> Self {
        Self { reader, buffer: Vec::new(), at: 0, offset, is_at_end: false }
    }

    /// The next record or damaged place; `None` at the end.
    pub(crate) fn next(&mut self) -> io::Result<Option<Item<'_>>> {
        self.fill(MAX_RECORD_BYTES + HEADER_BYTES)?;
        let rest = &self.buffer[self.at..];
        if rest.is_empty() {
            return Ok(None);
        }
        let Some(header) = Header::read(rest) else { return self.damage().map(Some) };
        let length = header.record_bytes();
        if rest.len() < length {
            return self.damage().map(Some);
        }
        let record = &rest[..length];
        let (stored, computed) = (stored_hash(record, &header), hash(record, &header));
        if stored != computed {
            let written = stored.0.iter().zip(&computed.0).take_while(|(stored, computed)| stored == computed).count();
            if self.is_zero_to_the_end(length - HASH_BYTES + written)? {
                return self.damage().map(Some);
            }
            // Where no record follows, bytes are missing or too many, and the next record may begin before this one's end.
            let next = self.buffer.get(self.at + length..).unwrap_or_default();
            if !next.is_empty() && Header::read(next).is_none() {
                return self.damage().map(Some);
            }
            let (sequence, kind) = (header.sequence, header.kind);
            let kind = DamageKind::Altered { sequence, stored, computed, kind };
            let damage = Damage { offset: self.offset, bytes: length as u64, kind };
            self.advance(length);
            return Ok(Some(Item::Damage(damage)));
        }
        let offset = self.offset;
        self.advance(length);
        let record = &self.buffer[self.at - length..self.at];
        let payload = &record[HEADER_BYTES..length - HASH_BYTES];
        Ok(Some(Item::Record(Frame { offset, header, payload, hash: stored })))
    }

    /// Whether everything from `from` bytes on is zero, and not long: what a disk shows where a file was made longer and
    /// the machine stopped before the bytes came.
    fn is_zero_to_the_end(&mut self, from: usize) -> io::Result<bool> {
        self.fill(from + MAX_RECORD_BYTES)?;
        let rest = &self.buffer[self.at..];
        Ok(self.is_at_end && rest[from..].iter().all(|byte| *byte == 0))
    }

    /// Goes on to the next header that holds; tells what lies between.
    fn damage(&mut self) -> io::Result<Item<'_>> {
        let start = self.offset;
        let mut is_plausible_tail = true;
        let rest = &self.buffer[self.at..];
        let does_not_fit = Header::read(rest).is_some_and(|header| header.record_bytes() > rest.len());
        let is_zero = rest[0] == 0;
        self.advance(1);
        loop {
            self.fill(MAX_RECORD_BYTES)?;
            let rest = &self.buffer[self.at..];
            let found = memmem::find_iter(rest, &MAGIC).find(|at| Header::read(&rest[*at..]).is_some());
            if let Some(at) = found {
                self.advance(at);
                let damage = Damage { offset: start, bytes: self.offset - start, kind: DamageKind::Header };
                return Ok(Item::Damage(damage));
            }
            let seen = self.offset - start;
            is_plausible_tail &= seen + rest.len() as u64 <= MAX_RECORD_BYTES as u64;
            if self.is_at_end {
                break;
            }
            // A header may begin in what was read and end in what was not.
            let length = rest.len();
            self.advance(length.saturating_sub(HEADER_BYTES - 1));
        }
        let tail = &self.buffer[self.at..];
        let length = tail.len();
        // A header that holds and a record that does not fit; too few bytes for a header that begin like one; or zeros.
        let zeros = tail.iter().rev().take_while(|byte| **byte == 0).count();
        let is_short = self.offset - start + (length as u64) < HEADER_BYTES as u64 && self.starts_like_a_header(start);
        let ends_in_zeros = zeros >= HASH_BYTES || is_zero && zeros == length;
        let is_torn = is_plausible_tail && (does_not_fit || is_short || ends_in_zeros);
        self.advance(length);
        let kind = if is_torn { DamageKind::Torn } else { DamageKind::Header };
        Ok(Item::Damage(Damage { offset: start, bytes: self.offset - start, kind }))
    }

    /// Whether the bytes from `start` on, which are still in the buffer, begin like a header.
    fn starts_like_a_header(&self, start: u64) -> bool {
        let back = usize::try_from(self.offset - start).unwrap_or(usize::MAX);
        let Some(from) = self.at.checked_sub(back) else { return false };
        let bytes = &self.buffer[from..];
        let length = bytes.len().min(MAGIC.len());
        bytes[..length] == MAGIC[..length]
    }

    fn advance(&mut self, bytes: usize) {
        self.at += bytes;
        self.offset += bytes as u64;
    }

    /// Has at least `wanted` bytes at hand, or all there are. Keeps a byte of the past, for [`Self::damage`].
    fn fill(&mut self, wanted: usize) -> io::Result<()> {
        if self.is_at_end || self.buffer.len() - self.at >= wanted {
            return Ok(());
        }
        let keep_from = self.at.saturating_sub(1);
        self.buffer.drain(..keep_from);
        self.at -= keep_from;
        while self.buffer.len() - self.at < wanted {
            let filled = self.buffer.len();
            let read = (&mut self.reader).take(READ_BYTES as u64).read_to_end(&mut self.buffer)?;
            if read < READ_BYTES {
                self.is_at_end = true;
                debug_assert_eq!(self.buffer.len(), filled + read);
                break;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Moment;
    use crate::format::record::write;

    fn records(count: u64) -> (Vec<u8>, Vec<usize>) {
        let (mut bytes, mut starts, mut previous) = (Vec::new(), Vec::new(), Hash([0; 32]));
        for sequence in 1..=count {
            starts.push(bytes.len());
            let payload = format!("{{\"n\":{sequence}}}");
            let payload_bytes = u32::try_from(payload.len()).expect("short");
            let moment = Moment::default();
            let header = Header { payload_bytes, sequence, moment, kind: Kind::Event, previous };
            previous = write(&header, payload.as_bytes(), &mut bytes);
        }
        (bytes, starts)
    }

    /// Sequence numbers of whole records, and damaged places.
    fn scan(bytes: &[u8]) -> (Vec<u64>, Vec<Damage>) {
        let mut scanner = Scanner::new(bytes, 0);
        let (mut whole, mut damaged) = (Vec::new(), Vec::new());
        while let Some(item) = scanner.next().expect("memory can be read") {
            match item {
                Item::Record(frame) => whole.push(frame.header.sequence),
                Item::Damage(damage) => damaged.push(damage),
            }
        }
        (whole, damaged)
    }

    #[test]
    fn a_file_that_ends_anywhere_inside_its_last_record_is_torn_there() {
        let (bytes, starts) = records(3);
        assert_eq!(scan(&bytes), (vec![1, 2, 3], vec![]));
        for end in starts[2] + 1..bytes.len() {
            let (whole, damaged) = scan(&bytes[..end]);
            assert_eq!(whole, [1, 2], "cut at {end}");
            let expected = Damage { offset: starts[2] as u64, bytes: (end - starts[2]) as u64, kind: DamageKind::Torn };
            assert_eq!(damaged, [expected], "cut at {end}");
            // The same, with the file made longer and the bytes not there.
            let mut padded = bytes[..end].to_vec();
            padded.resize(bytes.len() + 40, 0);
            let (whole, damaged) = scan(&padded);
            assert!(damaged.iter().all(|d| d.kind == DamageKind::Torn), "cut at {end}: {damaged:?}");
            assert!(whole.starts_with(&[1, 2]) && damaged.len() == 1, "cut at {end}");
        }
    }

    #[test]
    fn a_changed_byte_damages_one_record_and_the_rest_is_read() {
        let (bytes, _) = records(3);
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 0xff;
            let (whole, damaged) = scan(&changed);
            assert_eq!((whole.len(), damaged.len()), (2, 1), "byte {at}");
            assert_ne!(damaged[0].kind, DamageKind::Torn, "byte {at}");
        }
    }

    #[test]
    fn bytes_cut_out_of_the_middle_are_no_torn_tail() {
        let (bytes, starts) = records(3);
        let mut cut = bytes.clone();
        cut.drain(starts[1] + 85..starts[1] + 87);
        let (whole, damaged) = scan(&cut);
        assert_eq!(whole, [1, 3]);
        assert!(matches!(damaged[..], [Damage { kind: DamageKind::Header, .. }]), "{damaged:?}");
    }

    #[test]
    fn long_rubbish_is_passed_over_in_bounded_memory() {
        let (bytes, _) = records(1);
        let mut rubbish = vec![0xCA; 3 << 20];
        rubbish.extend_from_slice(&bytes);
        let mut scanner = Scanner::new(rubbish.as_slice(), 0);
        assert!(matches!(scanner.next(), Ok(Some(Item::Damage(Damage { bytes, .. }))) if bytes == 3 << 20));
        assert!(matches!(scanner.next(), Ok(Some(Item::Record(_)))));
        assert!(matches!(scanner.next(), Ok(None)));
        assert!(scanner.buffer.capacity() < 2 << 20, "{}", scanner.buffer.capacity());
    }

    proptest::proptest! {
        #[test]
        fn every_byte_is_accounted_for(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..2000), cut in 0..900usize) {
            let (mut all, _) = records(4);
            all.truncate(cut);
            all.extend_from_slice(&bytes);
            let mut scanner = Scanner::new(all.as_slice(), 0);
            let mut end = 0;
            while let Some(item) = scanner.next().expect("memory can be read") {
                let (start, next) = match item {
                    Item::Record(frame) => (frame.offset, frame.end()),
                    Item::Damage(damage) => (damage.offset, damage.offset + damage.bytes),
                };
                proptest::prop_assert_eq!(start, end);
                end = next;
            }
            proptest::prop_assert_eq!(end, all.len() as u64);
        }
    }
}
