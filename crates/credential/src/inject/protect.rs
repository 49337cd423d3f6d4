//! The process of custody itself: not dumpable, no core file.

use nix::sys::prctl::set_dumpable;
use nix::sys::resource::{Resource, getrlimit, rlim_t, setrlimit};

/// That this process is protected, and what has to be undone for its child.
///
/// Not dumpable means: no core file, no `ptrace` and no `/proc/PID/mem` for other processes of the same user (prctl(2),
/// `PR_SET_DUMPABLE`). The kernel makes the child dumpable again when it executes its program.
#[derive(Debug)]
pub struct Protection {
    core: Option<(rlim_t, rlim_t)>,
}

impl Protection {
    /// Protects this process. To be called before anything is resolved. What the system refuses is left.
    pub fn start() -> Protection {
        let _ = set_dumpable(false);
        let core = getrlimit(Resource::RLIMIT_CORE).ok();
        if let Some((_, hard)) = core {
            let _ = setrlimit(Resource::RLIMIT_CORE, 0, hard);
        }
        Protection { core }
    }

    /// Gives the child the limit that custody was started with. Only a system call: safe after a fork.
    pub(super) fn restore_core_limit(&self) {
        if let Some((soft, hard)) = self.core {
            let _ = setrlimit(Resource::RLIMIT_CORE, soft, hard);
        }
    }
}
