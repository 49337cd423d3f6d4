//! What `execve` is called with: arguments and environment as C strings, the injected ones in locked pages that are
//! overwritten when this is dropped.
//!
//! `std::process::Command` copies the environment into strings that it does not overwrite; hence an own one.

use std::ffi::{CString, c_char};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};

use super::memory::LockedBytes;
use super::plan::{Command, candidates};
use super::{InjectError, Injection, Target};

/// One command, ready to be executed. All that is needed is allocated, so that a child can use it after a fork.
#[derive(Debug)]
pub struct Image {
    /// Where the command may lie.
    pub candidates: Vec<CString>,
    /// Its arguments, its name first; ends in null.
    pub argv: Vec<*const c_char>,
    /// The same behind `/bin/sh` and the command's path, for scripts without an interpreter line. The second is filled
    /// in by the child.
    pub script_argv: Vec<*const c_char>,
    /// Its environment; ends in null.
    pub envp: Vec<*const c_char>,
    _strings: Vec<CString>,
    _secrets: LockedBytes,
}

impl Image {
    /// Nothing to execute.
    pub fn empty() -> Image {
        Image {
            candidates: Vec::new(),
            argv: Vec::new(),
            script_argv: Vec::new(),
            envp: Vec::new(),
            _strings: Vec::new(),
            _secrets: LockedBytes::new(0),
        }
    }
}

/// The interpreter of scripts without an interpreter line (execvp(3)).
pub const SHELL: &std::ffi::CStr = c"/bin/sh";

impl Image {
    /// Puts `command` together with the injections; `paths` holds for each injection the path that its variable gets,
    /// if it is not the value itself.
    ///
    /// # Errors
    /// Where the name or an argument has a NUL byte.
    pub fn new(command: &Command, injections: &[Injection], paths: &[Option<String>]) -> Result<Image, InjectError> {
        let system = |what| move |_| InjectError::System { what, source: std::io::ErrorKind::InvalidInput.into() };
        let c_string = |bytes: Vec<u8>| CString::new(bytes).map_err(system("pass a NUL byte to the command"));
        let mut strings = vec![c_string(command.program.as_bytes().to_vec())?];
        for argument in &command.arguments {
            strings.push(c_string(argument.clone().into_vec())?);
        }
        let arguments = strings.len();
        let is_injected = |key: &std::ffi::OsStr| injections.iter().any(|i| i.key.as_bytes() == key.as_bytes());
        for (key, value) in command.environment.iter().filter(|(key, _)| !is_injected(key)) {
            strings.push(c_string([key.as_bytes(), b"=", value.as_bytes()].concat())?);
        }
        for (injection, path) in injections.iter().zip(paths) {
            if let Some(path) = path {
                strings.push(c_string([injection.key.as_bytes(), b"=", path.as_bytes()].concat())?);
            }
        }
        let is_value = |(i, path): &(&Injection, &Option<String>)| i.target == Target::Environment && path.is_none();
        let length = |i: &Injection| i.key.len() + 1 + i.value.len() + 1;
        let values: Vec<&Injection> = injections.iter().zip(paths).filter(is_value).map(|(i, _)| i).collect();
        let mut secrets = LockedBytes::new(values.iter().map(|i| length(i)).sum());
        let mut rest = secrets.as_mut_slice();
        for injection in &values {
            let (entry, behind) = rest.split_at_mut(length(injection));
            let (key, value) = entry.split_at_mut(injection.key.len() + 1);
            key[..injection.key.len()].copy_from_slice(injection.key.as_bytes());
            key[injection.key.len()] = b'=';
            value[..injection.value.len()].copy_from_slice(injection.value.expose());
            rest = behind;
        }
        let null = std::ptr::null::<c_char>();
        let mut argv: Vec<*const c_char> = strings[..arguments].iter().map(|s| s.as_ptr()).collect();
        argv.push(null);
        let script_argv = [SHELL.as_ptr(), null].into_iter().chain(argv[1..].iter().copied()).collect();
        let mut envp: Vec<*const c_char> = strings[arguments..].iter().map(|s| s.as_ptr()).collect();
        let mut at = 0;
        for injection in &values {
            envp.push(secrets.as_slice()[at..].as_ptr().cast());
            at += length(injection);
        }
        envp.push(null);
        let candidates = candidates(command).into_iter().filter_map(|c| CString::new(c).ok()).collect();
        Ok(Image { candidates, argv, script_argv, envp, _strings: strings, _secrets: secrets })
    }
}
