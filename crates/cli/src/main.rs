//! `custody`: holds a repository to its contract about secrets.

#[cfg(not(target_os = "linux"))]
compile_error!(
    "the program runs on Linux only, since `custody run` needs memfd_create, signalfd and prctl; its libraries build on \
     other systems too"
);

mod arguments;
mod audit_log;
mod cache;
mod commands;
mod context;
mod env_vars;
mod exit;
mod failure;
mod files;
mod memory;
mod output;
mod progress;
mod scope;

use std::process::ExitCode;

/// Commands that resolve start it, so that nothing of a secret stays in memory that was freed.
#[global_allocator]
static ALLOCATOR: custody_credential::WipingAllocator = custody_credential::WipingAllocator::new();

fn main() -> ExitCode {
    // A panic must not show what was being looked at: its message may quote input.
    std::panic::set_hook(Box::new(|info| {
        let place = info.location().map(|l| format!(" at {}:{}", l.file(), l.line())).unwrap_or_default();
        eprintln!("custody: internal error{place}. This is a fault of custody; please report it with this line.");
    }));
    let arguments = arguments::Arguments::of_process();
    match std::panic::catch_unwind(|| commands::run(arguments)) {
        Ok(Ok(code)) => code,
        Ok(Err(failure)) => {
            output::print_failure(&failure);
            failure.exit_code()
        }
        Err(_) => ExitCode::from(exit::INTERNAL),
    }
}
