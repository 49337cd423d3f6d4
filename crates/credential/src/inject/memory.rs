//! Bytes in pages of their own: locked into memory, left out of core files, overwritten before they are given back.
#![expect(unsafe_code, reason = "maps and locks pages; the argument stands at each block")]

use std::fmt;
use std::num::NonZeroUsize;
use std::ptr::NonNull;

use nix::sys::mman::{MapFlags, ProtFlags, mlock, mmap_anonymous, munmap};
use zeroize::Zeroize as _;

/// A fixed number of bytes in pages of their own.
///
/// Where the limit on locked memory (`RLIMIT_MEMLOCK`) does not allow the locking, or no pages can be had, the bytes are
/// kept without it: they are overwritten all the same.
pub struct LockedBytes {
    place: Place,
}

enum Place {
    /// Start, length that was asked for, length that is mapped.
    Pages(NonNull<u8>, usize, NonZeroUsize),
    Heap(Vec<u8>),
}

// Safety: the pages belong to this value alone, as a `Box<[u8]>` would, and are written only through `&mut`.
unsafe impl Send for LockedBytes {}
// Safety: as above; `&self` only reads.
unsafe impl Sync for LockedBytes {}

impl LockedBytes {
    /// `length` zero bytes.
    pub fn new(length: usize) -> Self {
        const PAGE: usize = 4096;
        let Some(mapped) = NonZeroUsize::new(length.div_ceil(PAGE) * PAGE) else {
            return LockedBytes { place: Place::Heap(Vec::new()) };
        };
        // Safety: a new private anonymous mapping at an address that the kernel chooses aliases nothing.
        let pages = unsafe {
            mmap_anonymous(None, mapped, ProtFlags::PROT_READ | ProtFlags::PROT_WRITE, MapFlags::MAP_PRIVATE)
        };
        let Ok(start) = pages else {
            return LockedBytes { place: Place::Heap(vec![0; length]) };
        };
        // Safety: the range is exactly the mapping made above; neither call changes what it holds.
        unsafe {
            #[cfg(target_os = "linux")]
            let _ = nix::sys::mman::madvise(start, mapped.get(), nix::sys::mman::MmapAdvise::MADV_DONTDUMP);
            let _ = mlock(start, mapped.get());
        }
        LockedBytes { place: Place::Pages(start.cast(), length, mapped) }
    }

    /// The bytes.
    #[inline]
    pub fn as_slice(&self) -> &[u8] {
        match &self.place {
            // Safety: the mapping has at least `length` bytes, all of them initialised to zero by the kernel, and lives
            // as long as `self`.
            Place::Pages(start, length, _) => unsafe { std::slice::from_raw_parts(start.as_ptr(), *length) },
            Place::Heap(bytes) => bytes,
        }
    }

    /// The bytes, to write.
    pub fn as_mut_slice(&mut self) -> &mut [u8] {
        match &mut self.place {
            // Safety: as for reading, and `&mut self` makes it the only view.
            Place::Pages(start, length, _) => unsafe { std::slice::from_raw_parts_mut(start.as_ptr(), *length) },
            Place::Heap(bytes) => bytes,
        }
    }
}

impl Default for LockedBytes {
    fn default() -> Self {
        LockedBytes::new(0)
    }
}

impl Drop for LockedBytes {
    fn drop(&mut self) {
        self.as_mut_slice().zeroize();
        if let Place::Pages(start, _, mapped) = self.place {
            // Safety: the mapping was made in `new`, nothing borrows from it any more, and it is not used again.
            let _ = unsafe { munmap(start.cast(), mapped.get()) };
        }
    }
}

impl fmt::Debug for LockedBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LockedBytes({})", self.as_slice().len())
    }
}

/// Overwrites the part of the stack that functions called before have left behind: hashing, for one, copies its input
/// into blocks there.
#[cfg(target_os = "linux")]
#[inline(never)]
pub fn scrub_stack() {
    let mut left_behind = [0u8; 64 * 1024];
    std::hint::black_box(&mut left_behind).zeroize();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_kept_apart_and_can_be_written() {
        for length in [0, 1, 4095, 4096, 4097, 100_000] {
            let mut bytes = LockedBytes::new(length);
            assert!(bytes.as_slice().iter().all(|&b| b == 0));
            bytes.as_mut_slice().fill(7);
            assert_eq!(bytes.as_slice(), vec![7; length]);
            assert!(!format!("{bytes:?}").contains('7') || length == 4097);
        }
    }
}
