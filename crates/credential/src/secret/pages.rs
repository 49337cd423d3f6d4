//! Pages of memory for secret material: locked into memory, left out of core files, overwritten before they are given
//! back. The one file of this crate with `unsafe` code.
//!
//! Each value has a mapping of its own, so that no allocator ever holds, moves or reuses its bytes. That costs four
//! system calls a value, some microseconds.
//!
//! # Safety argument
//! - `Pages` owns an anonymous private mapping of `capacity` bytes from `mmap`, which nobody else knows; it is unmapped
//!   once, in `drop`. So `pointer` is valid for reads and writes of `capacity` bytes as long as the value lives.
//! - The mapping is zero-filled, so every byte of it is initialised; `len <= capacity` always.
//! - Shared access needs `&self` and exclusive access `&mut self`, so the usual borrowing rules hold; nothing in it
//!   belongs to a thread, so it may be sent and shared.
//! - Without capacity there is no mapping; the pointer is dangling and only ever makes empty slices.

#![cfg_attr(unix, expect(unsafe_code, reason = "mapping and locking memory; see the safety argument above"))]

#[cfg(unix)]
pub(super) use mapped::Pages;
#[cfg(not(unix))]
pub(super) use plain::Pages;

#[cfg(unix)]
mod mapped {
    use std::ptr::NonNull;

    use rustix::mm::{MapFlags, ProtFlags, mlock, mmap_anonymous, munlock, munmap};
    use zeroize::Zeroize;

    /// Bytes in pages of their own.
    pub(in super::super) struct Pages {
        pointer: NonNull<u8>,
        len: usize,
        capacity: usize,
        is_locked: bool,
    }

    // SAFETY: see the module's safety argument; the mapping belongs to this value alone and to no thread.
    unsafe impl Send for Pages {}
    // SAFETY: as above; `&Pages` gives shared reads only.
    unsafe impl Sync for Pages {}

    impl Pages {
        /// Zeroed bytes.
        ///
        /// # Panics
        /// If the system has no memory left, as any allocation does.
        pub(in super::super) fn new(len: usize) -> Self {
            if len == 0 {
                return Self { pointer: NonNull::dangling(), len: 0, capacity: 0, is_locked: true };
            }
            // SAFETY: a new anonymous mapping at an address of the kernel's choice touches no memory of ours.
            let mapped = unsafe {
                mmap_anonymous(std::ptr::null_mut(), len, ProtFlags::READ | ProtFlags::WRITE, MapFlags::PRIVATE)
            };
            let pointer = mapped.ok().and_then(|p| NonNull::new(p.cast::<u8>())).expect("the system has memory left");
            // SAFETY: both calls take exactly the mapping that was just made and change no content. Where the limit
            // is used up or the call is not there, the value is still overwritten on drop.
            let is_locked = unsafe {
                #[cfg(any(target_os = "linux", target_os = "android"))]
                let _ = rustix::mm::madvise(pointer.as_ptr().cast(), len, rustix::mm::Advice::LinuxDontDump);
                mlock(pointer.as_ptr().cast(), len).is_ok()
            };
            Self { pointer, len, capacity: len, is_locked }
        }

        pub(in super::super) fn as_slice(&self) -> &[u8] {
            // SAFETY: `pointer` is valid for `len <= capacity` initialised bytes; `&self` excludes writers.
            unsafe { std::slice::from_raw_parts(self.pointer.as_ptr(), self.len) }
        }

        pub(in super::super) fn as_mut_slice(&mut self) -> &mut [u8] {
            // SAFETY: as above; `&mut self` makes the access exclusive.
            unsafe { std::slice::from_raw_parts_mut(self.pointer.as_ptr(), self.len) }
        }

        /// Keeps the first `len` bytes; the rest is overwritten.
        pub(in super::super) fn truncate(&mut self, len: usize) {
            if len < self.len {
                self.as_mut_slice()[len..].zeroize();
                self.len = len;
            }
        }

        pub(in super::super) fn is_locked(&self) -> bool {
            self.is_locked
        }
    }

    impl Drop for Pages {
        fn drop(&mut self) {
            if self.capacity == 0 {
                return;
            }
            self.as_mut_slice().zeroize();
            // SAFETY: the mapping is ours, is given back once, and nothing refers to it after this.
            unsafe {
                let _ = munlock(self.pointer.as_ptr().cast(), self.capacity);
                let _ = munmap(self.pointer.as_ptr().cast(), self.capacity);
            }
        }
    }
}

#[cfg(not(unix))]
mod plain {
    use zeroize::Zeroizing;

    /// Bytes that are overwritten when dropped.
    pub(in super::super) struct Pages {
        bytes: Zeroizing<Box<[u8]>>,
        len: usize,
    }

    impl Pages {
        pub(in super::super) fn new(len: usize) -> Self {
            Self { bytes: Zeroizing::new(vec![0; len].into_boxed_slice()), len }
        }

        pub(in super::super) fn as_slice(&self) -> &[u8] {
            &self.bytes[..self.len]
        }

        pub(in super::super) fn as_mut_slice(&mut self) -> &mut [u8] {
            &mut self.bytes[..self.len]
        }

        pub(in super::super) fn truncate(&mut self, len: usize) {
            self.len = self.len.min(len);
        }

        pub(in super::super) fn is_locked(&self) -> bool {
            false
        }
    }
}
