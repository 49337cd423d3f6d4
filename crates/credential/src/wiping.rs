//! An allocator that overwrites what is freed, for processes that resolve.
//!
//! Custody's own types overwrite what they hold. Libraries between the network and them do not: rustls decrypts into
//! buffers of its own, parsers of HTTP copy headers. Whoever installs this allocator and starts it leaves nothing of that
//! behind either:
//!
//! ```
//! #[global_allocator]
//! static ALLOCATOR: custody_credential::WipingAllocator = custody_credential::WipingAllocator::new();
//!
//! // Before anything is resolved.
//! ALLOCATOR.start();
//! ```
//!
//! Until it is started it costs one read of a flag for each block; then the time of overwriting each block once.
//!
//! # Safety argument
//! Every block comes from the system's allocator and is given back to it with the layout that it was asked for with; in
//! between nothing is done to it but writing zeros into its own bytes, when its owner has given it up.
#![expect(unsafe_code, reason = "an allocator is; see the safety argument above")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicBool, Ordering};

/// The system's allocator, and overwriting of what is freed once it is started.
#[derive(Debug)]
pub struct WipingAllocator {
    is_started: AtomicBool,
}

impl WipingAllocator {
    /// One that is not started.
    pub const fn new() -> Self {
        Self { is_started: AtomicBool::new(false) }
    }

    /// From now on, what is freed is overwritten first, in all threads; it cannot be stopped.
    pub fn start(&self) {
        self.is_started.store(true, Ordering::Relaxed);
    }

    fn wipes(&self) -> bool {
        self.is_started.load(Ordering::Relaxed)
    }
}

impl Default for WipingAllocator {
    fn default() -> Self {
        Self::new()
    }
}

// Safety: see the module's argument.
unsafe impl GlobalAlloc for WipingAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // Safety: passed on as it came.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // Safety: passed on as it came.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        if self.wipes() {
            // Safety: the block has `layout.size()` bytes, and its owner has given it up.
            unsafe { wipe(block, layout.size()) };
        }
        // Safety: passed on as it came.
        unsafe { System.dealloc(block, layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if !self.wipes() {
            // Safety: passed on as it came.
            return unsafe { System.realloc(block, layout, size) };
        }
        // The system's would leave a copy behind where the block moves.
        // Safety: the caller has seen to it that `size` with this alignment is a layout (GlobalAlloc::realloc); both
        // blocks have at least as many bytes as are copied, and are two; the old one is given up.
        unsafe {
            let moved = System.alloc(Layout::from_size_align_unchecked(size, layout.align()));
            if !moved.is_null() {
                std::ptr::copy_nonoverlapping(block, moved, size.min(layout.size()));
                self.dealloc(block, layout);
            }
            moved
        }
    }
}

/// Overwrites a block so that the compiler cannot leave it out.
///
/// # Safety
/// The block has so many bytes, and nobody else uses them.
unsafe fn wipe(block: *mut u8, size: usize) {
    // Safety: the caller's promise.
    unsafe { std::ptr::write_bytes(block, 0, size) };
    // What is written might be read there, for all that the compiler knows.
    std::hint::black_box(block);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_freed_or_moved_is_overwritten_once_it_is_started() {
        let allocator = WipingAllocator::new();
        allocator.start();
        let layout = Layout::from_size_align(1 << 10, 8).expect("a layout");
        // Safety: each block is used within its size and given back once; `wipe` alone is looked at through a block that
        // still is ours.
        unsafe {
            let block = allocator.alloc(layout);
            block.write_bytes(7, layout.size());
            let larger = allocator.realloc(block, layout, 1 << 12);
            assert_eq!(std::slice::from_raw_parts(larger, layout.size()), [7; 1 << 10]);
            wipe(larger, 1 << 12);
            assert!(std::slice::from_raw_parts(larger, 1 << 12).iter().all(|&byte| byte == 0));
            allocator.dealloc(larger, Layout::from_size_align(1 << 12, 8).expect("a layout"));
        }
    }
}
