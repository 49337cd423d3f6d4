//! Runs a command with values from a file: `inject FILE OPTION… -- COMMAND ARGUMENT…`, each line of FILE being
//! `env|file|fd KEY VALUE`. Shows how the library is used, and is what its mechanics are tried with.

use std::process::ExitCode;

use custody_credential::SecretValue;
use custody_credential::inject::{
    Command, Injection, Leftover, Masking, Mode, Protection, Settings, Status, Target, TerminalMode, die_by, run,
};

fn main() -> ExitCode {
    let protection = Protection::start();
    let mut arguments = std::env::args_os().skip(1);
    let file = arguments.next().expect("a file");
    let mut settings = Settings { leftover: Leftover::GoOnBehind, ..Settings::default() };
    for option in arguments.by_ref() {
        match option.to_str() {
            Some("--") => break,
            Some("--replace") => settings.mode = Mode::Replace,
            Some("--supervise") => settings.mode = Mode::Supervise,
            Some("--no-mask") => settings.masking = Masking::Off,
            Some("--no-pty") => settings.terminal = TerminalMode::Never,
            _ => panic!("an unknown option"),
        }
    }
    let injections = std::fs::read_to_string(file).expect("readable").lines().map(injection).collect();
    let command = Command::new(arguments.next().expect("a command")).arguments(arguments);
    match run(&command, injections, settings, &protection) {
        Err(error) => {
            eprintln!("error: {error}\n  fix: {}", error.fix());
            ExitCode::from(error.exit_code())
        }
        Ok(ended) => {
            for leaked in &ended.leaks {
                let (secret, leak) = (&leaked.secret, &leaked.leak);
                eprintln!("masked {} on {} in line {} ({})", secret.label, leaked.stream, leak.line, leak.writing);
            }
            match ended.status {
                Status::Exited(code) => ExitCode::from(code),
                Status::Signalled(number) => {
                    die_by(number);
                    ExitCode::from(u8::try_from(128 + number).unwrap_or(u8::MAX))
                }
            }
        }
    }
}

fn injection(line: &str) -> Injection {
    let mut parts = line.splitn(3, ' ');
    let (target, key, value) = (parts.next(), parts.next().expect("a key"), parts.next().expect("a value"));
    let target = match target {
        Some("env") => Target::Environment,
        Some("file") => Target::File,
        _ => Target::Descriptor,
    };
    let value = SecretValue::new(value.as_bytes().to_vec());
    Injection { key: key.to_owned(), target, value, label: format!("cred://test/{}/value", key.to_lowercase()) }
}
