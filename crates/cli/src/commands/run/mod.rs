//! `custody run`: a command with real values where its environment has references.

mod leaks;
mod record;
mod resolve;

use std::process::ExitCode;
use std::time::Duration;

use custody_contract::file::{OnRotation, RunMode};
use custody_contract::{Contract, Diagnostic};
use custody_credential::inject::{
    self, Command, Event, InjectError, Leftover, Masking, Mode, OnRotate, Protection, Rotation, Settings, Status,
    TerminalMode,
};

use crate::arguments::{Run, signal_number};
use crate::context::{InForce, root_of};
use crate::failure::Failure;
use crate::{env_vars, exit, output};

use record::Recorder;
use resolve::Material;

/// Variables with which custody logs in to backends, as their own tools name them.
const BACKEND_VARIABLES: [&str; 20] = [
    "VAULT_TOKEN",
    "VAULT_SECRET_ID",
    "VAULT_ROLE_ID",
    "BAO_TOKEN",
    "BAO_SECRET_ID",
    "BAO_ROLE_ID",
    "OP_SERVICE_ACCOUNT_TOKEN",
    "OP_CONNECT_TOKEN",
    "OP_SESSION*",
    "DOPPLER_TOKEN",
    "INFISICAL_TOKEN",
    "INFISICAL_UNIVERSAL_AUTH_CLIENT_SECRET",
    "BWS_ACCESS_TOKEN",
    "SOPS_AGE_KEY",
    "SOPS_AGE_KEY_FILE",
    "AZURE_CLIENT_SECRET",
    "AZURE_CLIENT_CERTIFICATE_PASSWORD",
    "PASSWORD_STORE_GPG_OPTS",
    "CUSTODY_PASSPHRASE*",
    "CREDENTIALS_DIRECTORY",
];

pub fn run(arguments: &Run) -> Result<ExitCode, Failure> {
    // Before anything is resolved.
    let protection = Protection::start();
    crate::ALLOCATOR.start();
    let root = root_of(&arguments.repository)?;
    let in_force = InForce::load(&root, arguments.contract.contract.as_deref(), None)?;
    let (environment, source) = in_force.environment(arguments.contract.env)?;
    let refused = |mut failure: Failure| {
        failure.diagnostics.extend(InForce::assumed(source));
        failure
    };
    let mut material = Material::plan(arguments, &in_force.contract, environment, &root).map_err(refused)?;
    let command = command(arguments);
    let recorder = Recorder::new(environment, &command.program, !material.is_empty())?;
    let injections = material.resolve(&recorder).map_err(refused)?;
    let rotation = rotation(arguments, &in_force.contract)?;
    let mode = match (arguments.replace, in_force.contract.run.mode) {
        (true, _) => Mode::Replace,
        (false, Some(RunMode::Replace)) if rotation.is_none() && arguments.file.is_empty() => Mode::Replace,
        _ => Mode::Auto,
    };
    let is_masked = !arguments.no_mask && in_force.contract.run.mask != Some(false);
    let settings = Settings {
        mode,
        masking: if is_masked { Masking::On } else { Masking::Off },
        terminal: if arguments.no_pty { TerminalMode::Never } else { TerminalMode::Auto },
        leftover: Leftover::GoOnBehind,
        runtime_directory: std::env::var_os(env_vars::XDG_RUNTIME_DIR).map(Into::into),
        rotation: rotation.map(|(action, interval, grace)| Rotation {
            interval,
            action,
            grace,
            poll: material.into_poll(recorder.clone()),
        }),
        report: Box::new(tell),
        ..Settings::default()
    };
    let ended = inject::run(&command, injections, settings, &protection).map_err(|error| failure(&error))?;
    // A copy of this process must not write through the same open log.
    let recorder = if ended.is_behind { recorder.reopened()? } else { recorder };
    leaks::report(&ended, arguments, &root, &in_force.contract, &recorder);
    if ended.is_behind {
        return Ok(ExitCode::SUCCESS);
    }
    Ok(match ended.status {
        Status::Exited(code) => ExitCode::from(code),
        Status::Signalled(number) => {
            inject::die_by(number);
            ExitCode::from(u8::try_from(128 + number).unwrap_or(u8::MAX))
        }
    })
}

/// The command with the environment that it gets besides the injections.
fn command(arguments: &Run) -> Command {
    let mut words = arguments.command.iter().cloned();
    let mut command = Command::new(words.next().unwrap_or_default()).arguments(words);
    let own = if arguments.no_backend_env { &BACKEND_VARIABLES[..] } else { &[] };
    let unset: Vec<&str> = own.iter().copied().chain(arguments.unset.iter().map(String::as_str)).collect();
    if !unset.is_empty() {
        command.environment.retain(|(key, _)| {
            let key = key.as_encoded_bytes();
            !unset.iter().any(|name| match name.strip_suffix('*') {
                Some(start) => key.starts_with(start.as_bytes()),
                None => key == name.as_bytes(),
            })
        });
    }
    command
}

/// What a rotation does, how often it is looked for, and how long the command may take to end.
fn rotation(arguments: &Run, contract: &Contract) -> Result<Option<(OnRotate, Duration, Duration)>, Failure> {
    let section = &contract.run;
    let action = match (arguments.on_rotate, section.on_rotation.unwrap_or_default()) {
        (Some(crate::arguments::RotateAction::Do(action)), _) => action,
        (Some(crate::arguments::RotateAction::Ignore), _) | (None, OnRotation::Ignore) => return Ok(None),
        (None, OnRotation::Restart) => OnRotate::Restart,
        (None, OnRotation::Signal) => {
            let name = section.rotation_signal.as_deref().unwrap_or("HUP");
            OnRotate::Signal(signal_number(name).map_err(|why| {
                let diagnostic = Diagnostic::error("contract-file", "run.rotation-signal cannot be used");
                Failure::usage(diagnostic.why(why).fix("use a signal's name, such as HUP or USR1"))
            })?)
        }
    };
    if arguments.replace {
        return Ok(None);
    }
    let interval = arguments.watch_interval.or(section.rotation_interval.map(|t| t.0));
    let grace = arguments.stop_timeout.or(section.stop_timeout.map(|t| t.0));
    let or = |time: Option<Duration>, seconds| time.unwrap_or(Duration::from_secs(seconds));
    Ok(Some((action, or(interval, 60), or(grace, 10))))
}

fn tell(event: &Event) {
    let diagnostic = match event {
        Event::Rotated { keys } => Diagnostic::note("rotation", format!("new values for {}", keys.join(", "))),
        Event::Unknown { why } => {
            Diagnostic::warning("rotation", "cannot tell whether there are new values").why(why.clone())
        }
        Event::Unusable { why } => {
            Diagnostic::warning("rotation", "new values cannot be used; the command goes on with the old ones")
                .why(why.clone())
        }
        _ => return,
    };
    output::print_diagnostics(&[diagnostic]);
}

fn failure(error: &InjectError) -> Failure {
    let code = match error {
        InjectError::NotFound { .. } | InjectError::NotExecutable { .. } => error.exit_code(),
        InjectError::System { .. } => exit::INTERNAL,
        _ => exit::USAGE,
    };
    let mut why = String::new();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        why = cause.to_string();
        source = cause.source();
    }
    Failure { diagnostics: vec![Diagnostic::error("run", error.to_string()).why(why).fix(error.fix())], code }
}
