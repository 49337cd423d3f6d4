//! Buffers of a connection whose bytes are overwritten as soon as they are used.

use ureq::unversioned::transport::Buffers;
use zeroize::{Zeroize, Zeroizing};

/// Smallest scratch space that is offered for sending a body.
const MIN_SCRATCH: usize = 8 * 1024;

/// Input and output of one connection. Nothing is allocated until it is used.
#[derive(Default)]
pub(super) struct WipedBuffers {
    size: usize,
    input: Zeroizing<Vec<u8>>,
    start: usize,
    end: usize,
    output: Zeroizing<Vec<u8>>,
    has_progress: bool,
}

impl WipedBuffers {
    /// Buffers of `size` bytes each.
    pub(super) fn new(size: usize) -> Self {
        Self { size: size.max(2 * MIN_SCRATCH), ..Self::default() }
    }

    /// Overwrites what was sent.
    pub(super) fn wipe_output(&mut self, amount: usize) {
        self.output[..amount].zeroize();
    }

    fn make_room(&mut self) {
        if self.output.is_empty() {
            self.output = Zeroizing::new(vec![0; self.size]);
            self.input = Zeroizing::new(vec![0; self.size]);
        }
        if self.start > 0 {
            self.input.copy_within(self.start..self.end, 0);
            let left = self.end - self.start;
            self.input[left..self.end].zeroize();
            (self.start, self.end) = (0, left);
        }
    }
}

impl Buffers for WipedBuffers {
    fn output(&mut self) -> &mut [u8] {
        self.make_room();
        &mut self.output
    }

    fn input(&self) -> &[u8] {
        &self.input[self.start..self.end]
    }

    fn input_append_buf(&mut self) -> &mut [u8] {
        self.make_room();
        &mut self.input[self.end..]
    }

    fn input_appended(&mut self, amount: usize) {
        self.end += amount;
        assert!(self.end <= self.input.len(), "a transport cannot read more than there is room for");
    }

    fn input_consume(&mut self, amount: usize) {
        self.has_progress = amount > 0;
        let from = self.start;
        self.start += amount;
        assert!(self.start <= self.end, "not more can be consumed than was read");
        self.input[from..self.start].zeroize();
    }

    fn tmp_and_output(&mut self) -> (&mut [u8], &mut [u8]) {
        self.make_room();
        if self.input.len() - self.end < MIN_SCRATCH {
            let mut larger = Zeroizing::new(vec![0; self.end + MIN_SCRATCH]);
            larger[..self.end].copy_from_slice(&self.input[..self.end]);
            self.input = larger;
        }
        let end = self.end;
        (&mut self.input[end..], &mut self.output)
    }

    fn can_use_input(&self) -> bool {
        self.start < self.end && self.has_progress
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_consumed_and_sent_is_overwritten() {
        let mut buffers = WipedBuffers::new(64);
        buffers.input_append_buf()[..6].copy_from_slice(b"secret");
        buffers.input_appended(6);
        assert_eq!(buffers.input(), b"secret");
        buffers.input_consume(3);
        assert_eq!(buffers.input(), b"ret");
        assert_eq!(&buffers.input[..6], b"\0\0\0ret");
        buffers.output()[..5].copy_from_slice(b"token");
        assert_eq!(&buffers.input[..6], b"ret\0\0\0", "moved to the front, nothing left behind");
        buffers.wipe_output(5);
        assert!(buffers.output.iter().all(|byte| *byte == 0));
        buffers.input_consume(3);
        assert!(buffers.input.iter().all(|byte| *byte == 0));
        assert!(!buffers.can_use_input());
    }
}
