//! What the process itself does so that material stays in it.

/// Makes the process's memory unreadable for other processes of the same user and leaves no core file (Linux:
/// `PR_SET_DUMPABLE`). A child that is started gets back to normal when it executes its program.
///
/// Call it first in every command that resolves. `false` where the system has no such thing.
pub fn protect_process() -> bool {
    #[cfg(target_os = "linux")]
    {
        rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable).is_ok()
    }
    #[cfg(not(target_os = "linux"))]
    {
        false
    }
}
