//! Where reports and errors go: stdout is data, stderr is talk.

use std::error::Error as _;
use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::process::ExitCode;

use custody_contract::{Diagnostic, Report};
use custody_report::{Colour, Explain, Format, Links, RenderOptions, render, render_diagnostic};

use crate::arguments::{ColourChoice, OutputArguments};
use crate::failure::Failure;
use crate::{env_vars, exit};

/// Parses a format's name for clap.
pub fn parse_format(name: &str) -> Result<Format, String> {
    name.parse().map_err(|error: custody_report::UnknownFormat| error.to_string())
}

/// Renders `report` as asked for and gives the exit code of its decision.
pub fn emit(
    report: &Report,
    output: &OutputArguments,
    colour: ColourChoice,
    root: Option<&Path>,
) -> Result<ExitCode, Failure> {
    let mut options = match &output.output {
        Some(_) => RenderOptions::default(),
        None => terminal_options(colour, io::stdout().is_terminal()),
    };
    options.width = output.width.unwrap_or(options.width);
    options.explain = if output.explain { Explain::Yes } else { Explain::No };
    options.root = root.and_then(|r| r.canonicalize().ok());
    match &output.output {
        None => {
            let mut out = io::stdout().lock();
            let rendered = render(report, output.format, &options, &mut out)
                .and_then(|()| out.flush().map_err(custody_report::RenderError::Write));
            // A reader that has seen enough is no fault of ours.
            if let Err(error) = rendered
                && !error.is_broken_pipe()
            {
                let why = error.source().map_or_else(|| error.to_string(), ToString::to_string);
                return Err(Failure::incomplete("cannot write the report", why, "check standard output"));
            }
        }
        Some(path) => {
            let mut bytes = Vec::new();
            render(report, output.format, &options, &mut bytes).map_err(|e| {
                Failure::incomplete("cannot render the report", e.to_string(), "report this as a fault")
            })?;
            write_file(path, &bytes)?;
            let _ = writeln!(io::stderr(), "Report written to {}: {}.", path.display(), report.decision);
        }
    }
    Ok(exit::of(report.decision))
}

/// Writes a file whole or not at all.
pub fn write_file(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let shown = path.display().to_string();
    let directory = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // A device such as /dev/stdout cannot be replaced by renaming.
    if path.exists() && !path.is_file() {
        return std::fs::write(path, bytes).map_err(|e| Failure::unwritable(&shown, &e));
    }
    let write = || -> io::Result<()> {
        let mut file = tempfile::Builder::new().prefix(".custody-").tempfile_in(directory)?;
        file.write_all(bytes)?;
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = path.metadata().map_or(0o644, |m| m.permissions().mode() & 0o777);
            file.as_file().set_permissions(std::fs::Permissions::from_mode(mode))?;
        }
        file.persist(path).map_err(|e| e.error)?;
        Ok(())
    };
    write().map_err(|e| Failure::unwritable(&shown, &e))
}

/// Prints what ended a command.
pub fn print_failure(failure: &Failure) {
    print_diagnostics(&failure.diagnostics);
}

/// Prints diagnostics to stderr.
pub fn print_diagnostics(diagnostics: &[Diagnostic]) {
    let options = terminal_options(ColourChoice::Auto, io::stderr().is_terminal());
    let mut err = io::stderr().lock();
    for diagnostic in diagnostics {
        let _ = render_diagnostic(diagnostic, &options, &mut err);
    }
}

/// Prints text to stdout; a closed pipe is no fault, a full disk is.
pub fn print(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Failure::unwritable("standard output", &error)),
        _ => Ok(()),
    }
}

fn terminal_options(colour: ColourChoice, terminal: bool) -> RenderOptions {
    let set = |name: &str| std::env::var_os(name).is_some_and(|v| !v.is_empty());
    let forced = set(env_vars::CLICOLOR_FORCE) && std::env::var_os(env_vars::CLICOLOR_FORCE).is_some_and(|v| v != "0");
    let coloured = match colour {
        ColourChoice::Always => true,
        ColourChoice::Never => false,
        ColourChoice::Auto => !set(env_vars::NO_COLOR) && (terminal || forced),
    };
    let columns = || std::env::var(env_vars::COLUMNS).ok()?.parse().ok();
    let width = if terminal { terminal_size::terminal_size().map(|(w, _)| w.0) } else { columns() };
    RenderOptions {
        colour: if coloured { Colour::Always } else { Colour::Never },
        width: width.unwrap_or(100),
        links: if coloured && terminal { Links::Always } else { Links::Never },
        ..RenderOptions::default()
    }
}
