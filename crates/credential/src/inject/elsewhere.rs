//! Injection into a child process exists on Linux only: it needs `memfd_create`, `signalfd` and `prctl`, and what it promises
//! of memory and of children is tested there. Everything else of this crate works on other systems; what resolves has to
//! be handed to a process by other means there.

pub(crate) mod memory;
