//! Injection as a whole: this program is the wrapper too, run by its own tests in processes of their own, since it
//! forks, handles signals and replaces itself.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, ExitCode, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use custody_credential::SecretValue;
use custody_credential::inject::{
    self, Event, Injection, Leftover, Masking, Mode, OnRotate, Protection, Rotation, Settings, Status, Target,
    TerminalMode,
};
use libtest_mimic::{Arguments, Trial};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use zeroize::Zeroizing;

/// Set in the wrapper: the file with its values, each line `env|file|fd KEY VALUE`.
const VALUES: &str = "CUSTODY_TEST_VALUES";

fn main() -> ExitCode {
    match std::env::var_os(VALUES) {
        Some(file) => wrapper(Path::new(&file)),
        None => libtest_mimic::run(&Arguments::from_args(), trials()).exit_code(),
    }
}

// --- The wrapper ---------------------------------------------------------------------------------------------------

fn wrapper(file: &Path) -> ExitCode {
    let protection = Protection::start();
    let mut arguments = std::env::args_os().skip(1);
    let mut settings = Settings { leftover: Leftover::GoOnBehind, report: Box::new(report), ..Settings::default() };
    let mut pause = false;
    for option in arguments.by_ref() {
        match option.to_str() {
            Some("--") => break,
            Some("--replace") => settings.mode = Mode::Replace,
            Some("--supervise") => settings.mode = Mode::Supervise,
            Some("--no-mask") => settings.masking = Masking::Off,
            Some("--no-pty") => settings.terminal = TerminalMode::Never,
            Some("--wait") => settings.leftover = Leftover::Wait,
            Some("--pause") => pause = true,
            Some("--restart") => settings.rotation = Some(rotation(file, OnRotate::Restart)),
            Some("--hup") => settings.rotation = Some(rotation(file, OnRotate::Signal(1))),
            _ => panic!("an unknown option"),
        }
    }
    let mut command = inject::Command::new(arguments.next().expect("a command")).arguments(arguments);
    command.environment.retain(|(key, _)| key != VALUES);
    let (code, by) = match inject::run(&command, injections(file), settings, &protection) {
        Err(error) => {
            eprintln!("error: {error}\n  fix: {}", error.fix());
            (error.exit_code(), None)
        }
        Ok(ended) => {
            for leaked in &ended.leaks {
                let (secret, leak) = (&leaked.secret, &leaked.leak);
                eprintln!("masked {} on {} in line {} ({})", secret.label, leaked.stream, leak.line, leak.writing);
            }
            ended.unmasked.iter().for_each(|secret| eprintln!("not masked: {}", secret.label));
            match ended.status {
                Status::Exited(code) => (code, None),
                Status::Signalled(number) => (255, Some(number)),
            }
        }
    };
    if pause {
        // The test looks at this process now.
        println!("PAUSED");
        let _ = std::io::stdin().read(&mut [0]);
    }
    by.into_iter().for_each(inject::die_by);
    ExitCode::from(code)
}

fn report(event: &Event) {
    match event {
        Event::Rotated { keys } => eprintln!("rotated {}", keys.join(" ")),
        Event::Unknown { why } | Event::Unusable { why } => eprintln!("problem: {why}"),
        _ => {}
    }
}

fn injections(file: &Path) -> Vec<Injection> {
    let mut text = Zeroizing::new(Vec::with_capacity(1 << 20));
    std::fs::File::open(file).expect("there").read_to_end(&mut text).expect("readable");
    let line = |line: &[u8]| {
        let mut parts = line.splitn(3, |b| *b == b' ');
        let (target, key, value) = (parts.next(), parts.next().expect("a key"), parts.next().expect("a value"));
        let target = match target {
            Some(b"env") => Target::Environment,
            Some(b"file") => Target::File,
            _ => Target::Descriptor,
        };
        let key = String::from_utf8_lossy(key).into_owned();
        let label = format!("cred://test/{}/value", key.to_lowercase());
        Injection { key, target, value: SecretValue::new(value.to_vec()), label }
    };
    text.split(|b| *b == b'\n').filter(|l| !l.is_empty()).map(line).collect()
}

fn rotation(file: &Path, action: OnRotate) -> Rotation {
    let (file, mut seen) = (file.to_owned(), std::fs::read(file).expect("readable"));
    let poll = move || {
        let now = std::fs::read(&file).map_err(|e| e.to_string())?;
        let is_new = now != seen;
        seen = now;
        Ok(is_new.then(|| injections(&file)))
    };
    Rotation { interval: Duration::from_millis(20), action, grace: Duration::from_millis(300), poll: Box::new(poll) }
}

// --- The tests -----------------------------------------------------------------------------------------------------

fn trials() -> Vec<Trial> {
    let tests: &[(&str, fn())] = &[
        ("exit_codes_and_signals_of_the_command_are_custodys", exit_codes_and_signals),
        ("what_cannot_be_started_gives_126_or_127_and_says_why", cannot_be_started),
        ("a_script_without_an_interpreter_line_is_run_by_the_shell", scripts),
        ("values_arrive_by_environment_file_and_descriptor", values_arrive),
        ("values_are_masked_in_every_form_that_real_encoders_write", real_encoders),
        ("a_value_split_over_writes_with_pauses_is_masked", split_writes),
        ("stdin_and_binary_output_pass_unchanged", passes_through),
        ("stdout_and_stderr_of_one_file_keep_their_order", one_file),
        ("signals_for_custody_reach_the_commands_handler_once", signals_reach_the_handler),
        ("a_closed_reader_ends_the_command_by_sigpipe", closed_reader),
        ("the_command_gets_ordinary_signal_dispositions_limits_and_descriptors", ordinary_process),
        ("replacing_leaves_the_same_process", replacing),
        ("without_anything_to_supervise_custody_is_replaced", cheapest_mode),
        ("what_a_command_leaves_behind_is_masked_and_does_not_delay", leaves_behind),
        ("a_killed_custody_takes_its_command_along_and_its_files_are_swept", killed),
        ("files_are_removed_when_a_signal_ends_the_command", files_after_signals),
        ("no_value_is_in_any_command_line_or_environment_but_the_childs", not_in_processes),
        ("memory_holds_no_value_after_its_last_use", memory),
        ("custody_is_not_dumpable_and_its_command_is", not_dumpable),
        ("rotation_restarts_the_command_with_new_values", rotation_restarts),
        ("rotation_replaces_files_and_signals_the_command", rotation_signals),
        ("a_terminal_keeps_colour_size_and_masking", terminal_keeps),
        ("keys_interrupt_and_suspend_the_command_on_a_terminal", terminal_keys),
        ("too_short_values_are_said", too_short),
    ];
    let trial = |&(name, test): &(&str, fn())| {
        Trial::test(name, move || {
            test();
            Ok(())
        })
    };
    tests.iter().map(trial).collect()
}

/// Values for a wrapper, and what it is run with.
struct Case {
    directory: tempfile::TempDir,
    options: Vec<String>,
}

struct Ran {
    stdout: String,
    stderr: String,
    status: ExitStatus,
}

/// A value that nothing else has, assembled here.
fn token(name: &str) -> String {
    format!("tok_{name}_{}+/={}", "9fQ2", "x7Kd0Zu")
}

impl Case {
    fn new(values: &[(&str, &str, &str)], options: &[&str]) -> Case {
        let case = Case {
            directory: tempfile::tempdir().expect("a directory"),
            options: options.iter().map(|o| (*o).to_owned()).collect(),
        };
        case.write(values);
        case
    }

    fn one(options: &[&str]) -> Case {
        Case::new(&[("env", "TOKEN", &token("one"))], options)
    }

    fn values(&self) -> PathBuf {
        self.directory.path().join("values")
    }

    fn write(&self, values: &[(&str, &str, &str)]) {
        let text: String = values.iter().map(|(target, key, value)| format!("{target} {key} {value}\n")).collect();
        let new = self.directory.path().join("new");
        std::fs::write(&new, text).expect("written");
        std::fs::rename(new, self.values()).expect("renamed");
    }

    fn command(&self, command: &[&str]) -> Command {
        let mut wrapper = Command::new(std::env::current_exe().expect("this program"));
        wrapper.env(VALUES, self.values()).args(&self.options).arg("--").args(command);
        wrapper.env_remove("XDG_RUNTIME_DIR").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        wrapper
    }

    fn run(&self, command: &[&str]) -> Ran {
        ran(&mut self.command(command))
    }

    fn sh(&self, script: &str) -> Ran {
        self.run(&["sh", "-c", script])
    }

    /// Started, with the first line that it prints.
    fn started(&self, script: &str) -> (Child, BufReader<ChildStdout>, String) {
        let mut child = self.command(&["sh", "-c", script]).stdin(Stdio::piped()).spawn().expect("started");
        let mut lines = BufReader::new(child.stdout.take().expect("piped"));
        let mut line = String::new();
        lines.read_line(&mut line).expect("a line");
        (child, lines, line.trim_end().to_owned())
    }
}

fn ran(command: &mut Command) -> Ran {
    let output = command.output().expect("started");
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Ran { stdout: text(output.stdout), stderr: text(output.stderr), status: output.status }
}

fn pid_of(child: &Child) -> Pid {
    Pid::from_raw(i32::try_from(child.id()).expect("a process id"))
}

/// Waits for something that happens by itself.
fn eventually(what: &str, mut happens: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(20);
    while !happens() {
        assert!(Instant::now() < end, "{what} does not happen");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn exit_codes_and_signals() {
    for options in [&[][..], &["--no-mask", "--supervise"], &["--replace"]] {
        let case = Case::one(options);
        for code in [0, 1, 7, 125, 126, 127, 200, 255] {
            assert_eq!(case.sh(&format!("exit {code}")).status.code(), Some(code), "{options:?}");
        }
        for signal in [1, 2, 3, 9, 11, 15, 34, 40] {
            let ran = case.sh(&format!("kill -{signal} $$"));
            assert_eq!(ran.status.signal(), Some(signal), "{options:?} {}", ran.stderr);
        }
    }
}

fn cannot_be_started() {
    let case = Case::one(&[]);
    let script = executable(&case, "#!/no/such/interpreter\n");
    for (command, code, why) in [
        ("no-such-command-here", 127, "no directory of PATH has it"),
        ("", 127, "no directory of PATH has it"),
        ("/no/such/file", 127, "there is no such file"),
        (script.as_str(), 127, "not the interpreter that it names"),
        ("/etc/passwd", 126, "cannot execute"),
        ("/", 126, "cannot execute"),
    ] {
        for options in [&[][..], &["--replace"]] {
            let ran = Case::one(options).run(&[command]);
            assert_eq!(ran.status.code(), Some(code), "{command}");
            assert!(ran.stderr.contains(why) && ran.stderr.contains("fix: "), "{command}: {}", ran.stderr);
        }
    }
}

fn executable(case: &Case, text: &str) -> String {
    use std::os::unix::fs::PermissionsExt as _;
    let path = case.directory.path().join("script");
    std::fs::write(&path, text).expect("written");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("made executable");
    path.to_str().expect("UTF-8").to_owned()
}

fn scripts() {
    let case = Case::one(&[]);
    let script = executable(&case, "echo \"ran $1 $2 ${0##*/}\"\n");
    assert_eq!(case.run(&[&script, "a b", "--", "c"]).stdout, "ran a b -- script\n");
}

fn values_arrive() {
    let (env, file, fd) = (token("env"), token("file"), token("fd"));
    let values = [("env", "A", env.as_str()), ("file", "B_FILE", &file), ("fd", "C_FD", &fd)];
    let case = Case::new(&values, &["--no-mask"]);
    let script = "echo \"$A\"; for f in \"$B_FILE\" \"$C_FD\" \"$C_FD\"; do cat \"$f\"; echo; done; \
        stat -c %a \"$B_FILE\"; stat -f -c %T \"$B_FILE\"; echo \"$C_FD\"; \
        (echo x > \"$C_FD\") 2>/dev/null || echo sealed; echo \"$B_FILE\"";
    let ran = case.sh(script);
    let lines: Vec<&str> = ran.stdout.lines().collect();
    assert_eq!(lines[..4], [&env, &file, &fd, &fd]);
    assert_eq!(lines[4..6], ["400", "tmpfs"]);
    assert!(lines[6].starts_with("/dev/fd/") && lines[7] == "sealed", "{lines:?}");
    assert!(!Path::new(lines[8]).exists() && !Path::new(lines[8]).parent().expect("a directory").exists());
    let case = Case::new(&[("fd", "C_FD", &fd), ("env", "A", &env)], &["--replace"]);
    assert_eq!(case.sh("cat \"$C_FD\"; echo \" $A\"").stdout, format!("{fd} {env}\n"));
}

fn real_encoders() {
    let value = "p4ss'wörd \"q\"\\b $HOME&<x>?/+=%41~!#`*";
    let case = Case::new(&[("env", "V", value)], &[]);
    for command in [
        ["sh", "-c", "printf %s \"$V\" | base64"],
        ["sh", "-c", "printf 'user:%s' \"$V\" | base64 -w 1000"],
        ["sh", "-c", "printf 'xx%sxx' \"$V\" | base64 -w 0 | sed 's/^/  /'"],
        ["sh", "-c", "set | grep ^V="],
        ["sh", "-c", "export -p | grep ' V='"],
        ["sh", "-c", "env | grep ^V="],
        ["bash", "-c", "printf '%q\\n' \"$V\"; echo \"${V@Q}\"; declare -p V; set | grep ^V="],
        ["bash", "-c", "set -x; : \"$V\""],
        [
            "bash",
            "-c",
            "printf %s \"$V\" | od -An -v -tx1 -w1000; printf %s \"$V\" | od -An -v -to1 -w1000 | tr ' ' '\\\\'",
        ],
        ["python3", "-c", PYTHON],
        ["node", "-e", NODE],
    ] {
        let ran = case.run(&command);
        assert!(ran.status.success(), "{command:?}: {}", ran.stderr);
        let all = format!("{}{}", ran.stdout, ran.stderr);
        for line in all.lines().filter(|l| !l.starts_with("masked ")) {
            assert!(line.contains("***"), "{command:?}: {line}");
        }
        for part in ["4ss", "wörd", "w\\u00f6rd", "cDRzcy", "70347373", "HOME&<", "cKkgInEi"] {
            assert!(!all.contains(part), "{command:?}: {part}: {all}");
        }
    }
    // Over several lines the mark stands for all of them.
    let ran = case.sh("printf 'user:%s!' \"$V\" | base64 -w 11; printf %s \"$V\" | od -An -v -tx1 -w9");
    assert!(ran.stdout.len() < 40 && ran.stdout.matches("***").count() == 2, "{}", ran.stdout);
}

const PYTHON: &str = "
import base64, html, json, os, shlex, urllib.parse as u
v = os.environ['V']; b = v.encode()
for s in [v, repr(v), ascii(v), repr(b), json.dumps(v), json.dumps({'a': json.dumps(v)}), json.dumps(v, ensure_ascii=False),
          u.quote(v), u.quote(v, safe=''), u.quote_plus(v), u.urlencode({'v': v}), html.escape(v), shlex.quote(v),
          b.hex(), b.hex(':'), b.hex(' ', 2), b.hex().upper(), base64.urlsafe_b64encode(b).decode(),
          base64.b64encode(b'a' + b).decode(), base64.b64encode(b'ab' + b + b'c').decode()]:
    print('<' + s + '>')
";

const NODE: &str = "
const v = process.env.V;
for (const s of [v, JSON.stringify(v), JSON.stringify({a: JSON.stringify({v})}), encodeURIComponent(v), encodeURI(v),
                 new URLSearchParams({v}).toString(), require('util').inspect(v), Buffer.from(v).toString('base64url'),
                 Buffer.from(v).toString('hex'), Buffer.from('id:' + v).toString('base64')]) console.log('<' + s + '>');
";

fn split_writes() {
    let value = token("split");
    let case = Case::new(&[("env", "V", &value)], &[]);
    let script = "import os,time
v = os.environ['V'].encode()
for at in range(1, len(v)):
    for fd in (1, 2):
        os.write(fd, b'<' + v[:at]); os.write(fd, v[at:] + b'>\\n')
for b in v: os.write(1, bytes([b]))
os.write(1, b'\\n' + v[:9]); time.sleep(0.12); os.write(1, v[9:] + b'\\n')
";
    let ran = case.run(&["python3", "-c", script]);
    let mut expected = "<***>\n".repeat(value.len() - 1);
    assert_eq!(ran.stderr.lines().filter(|l| *l == "<***>").count(), value.len() - 1);
    expected.push_str("***\n***\n");
    assert_eq!(ran.stdout, expected);
    let masked = ran.stderr.lines().filter(|l| l.starts_with("masked cred://test/v/value on ")).count();
    assert_eq!(masked, 2 * (value.len() - 1) + 2);
}

fn passes_through() {
    let bytes: Vec<u8> = (0..300_000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let case = Case::one(&[]);
    let mut child = case.command(&["cat"]).stdin(Stdio::piped()).spawn().expect("started");
    let mut stdin = child.stdin.take().expect("piped");
    let sent = bytes.clone();
    let writer = std::thread::spawn(move || stdin.write_all(&sent));
    let output = child.wait_with_output().expect("ended");
    writer.join().expect("joined").expect("written");
    assert!(output.stdout == bytes && output.stderr.is_empty() && output.status.success());
}

fn one_file() {
    let case = Case::one(&[]);
    let path = case.directory.path().join("log");
    let log = std::fs::File::create(&path).expect("created");
    let script = "for i in 1 2 3 4 5 6 7 8 9; do echo out $i; echo err $i >&2; done; echo $TOKEN; echo $TOKEN >&2";
    let mut command = case.command(&["sh", "-c", script]);
    let status = command.stdout(log.try_clone().expect("copied")).stderr(log).status().expect("ended");
    let text = std::fs::read_to_string(&path).expect("read");
    let lines: String = (1..10).map(|i| format!("out {i}\nerr {i}\n")).collect();
    assert!(status.success() && text.starts_with(&(lines + "***\n***\n")), "{text}");
    assert!(text.contains("on stdout and stderr in line 19"), "{text}");
}

fn signals_reach_the_handler() {
    let signals = [
        Signal::SIGHUP,
        Signal::SIGINT,
        Signal::SIGQUIT,
        Signal::SIGTERM,
        Signal::SIGUSR1,
        Signal::SIGUSR2,
        Signal::SIGALRM,
    ];
    let script = "for s in HUP INT QUIT TERM USR1 USR2 ALRM; do trap \"echo got $s\" $s; done; echo ready; \
        while :; do sleep 0.05; done";
    for options in [&[][..], &["--no-mask", "--supervise"]] {
        let (mut child, mut lines, first) = Case::one(options).started(script);
        assert_eq!(first, "ready");
        for signal in signals {
            kill(pid_of(&child), signal).expect("sent");
            let mut line = String::new();
            lines.read_line(&mut line).expect("a line");
            assert_eq!(line.trim_end(), format!("got {}", signal.as_str().trim_start_matches("SIG")));
        }
        // A signal without a handler ends it, and custody by the same.
        kill(pid_of(&child), Signal::SIGVTALRM).expect("sent");
        assert_eq!(child.wait().expect("ended").signal(), Some(Signal::SIGVTALRM as i32));
        let mut rest = String::new();
        lines.read_to_string(&mut rest).expect("read");
        assert_eq!(rest, "", "each came once");
    }
}

fn closed_reader() {
    let case = Case::one(&[]);
    let mut child = case.command(&["yes"]).spawn().expect("started");
    let mut output = child.stdout.take().expect("piped");
    output.read_exact(&mut [0; 10]).expect("read");
    drop(output);
    assert_eq!(child.wait().expect("ended").signal(), Some(Signal::SIGPIPE as i32));
}

fn ordinary_process() {
    let script = "grep -E '^Sig(Blk|Ign)' /proc/self/status; ulimit -c; ls /proc/self/fd | tr '\\n' ' '";
    let plain = ran(Command::new("sh").args(["-c", script]).stdin(Stdio::null()));
    for options in [&[][..], &["--replace"], &["--no-mask", "--supervise"]] {
        assert_eq!(Case::one(options).sh(script).stdout, plain.stdout, "{options:?}");
    }
}

fn replacing() {
    let (mut child, _lines, pid) = Case::one(&["--replace"]).started("echo $$; read x");
    assert_eq!(pid, child.id().to_string());
    drop(child.stdin.take());
    child.wait().expect("ended");
    let ran = Case::new(&[("file", "F", "some value")], &["--replace"]).sh("true");
    assert!(ran.status.code() == Some(125) && ran.stderr.contains("--replace"), "{}", ran.stderr);
}

fn cheapest_mode() {
    let (mut child, _lines, pid) = Case::one(&["--no-mask"]).started("echo $$; read x");
    assert_eq!(pid, child.id().to_string());
    drop(child.stdin.take());
    child.wait().expect("ended");
}

fn leaves_behind() {
    let case = Case::one(&[]);
    let script = "(read x < \"$GATE\"; echo later $TOKEN) & echo now; exit 4";
    let gate = case.directory.path().join("gate");
    nix::unistd::mkfifo(&gate, nix::sys::stat::Mode::S_IRWXU).expect("made");
    let mut child = case.command(&["sh", "-c", script]).env("GATE", &gate).spawn().expect("started");
    // The command's status is known while what it left behind still holds the output.
    assert_eq!(child.wait().expect("ended").code(), Some(4));
    std::fs::write(&gate, "go\n").expect("written");
    let (mut out, mut err) = (String::new(), String::new());
    child.stdout.take().expect("piped").read_to_string(&mut out).expect("read");
    child.stderr.take().expect("piped").read_to_string(&mut err).expect("read");
    assert_eq!(out, "now\nlater ***\n");
    assert!(err.contains("masked cred://test/token/value on stdout in line 2"), "{err}");
    assert_eq!(Case::one(&["--wait"]).sh("(sleep 0.1; echo later $TOKEN) & exit 4").stdout, "later ***\n");
}

fn killed() {
    let case = Case::new(&[("file", "F", &token("file"))], &["--no-mask"]);
    let (mut child, _lines, line) = case.started("echo $$ $F; exec sleep 1000");
    let (pid, file) = line.split_once(' ').expect("two words");
    assert!(Path::new(file).exists());
    kill(pid_of(&child), Signal::SIGKILL).expect("sent");
    child.wait().expect("ended");
    eventually("the command's end", || matches!(state(pid), None | Some('Z')));
    // Nobody was left to remove them.
    eventually("a sweep by the next one", || {
        Case::new(&[("file", "F", "other value")], &[]).sh("true");
        !Path::new(file).parent().expect("a directory").exists()
    });
}

fn state(pid: &str) -> Option<char> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit(") ").next()?.chars().next()
}

fn files_after_signals() {
    for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP, Signal::SIGQUIT] {
        let case = Case::new(&[("file", "F", &token("file"))], &[]);
        let (mut child, _lines, _) = case.started("echo $F >&2; echo ready; exec sleep 1000");
        kill(pid_of(&child), signal).expect("sent");
        assert_eq!(child.wait().expect("ended").signal(), Some(signal as i32));
        let mut path = String::new();
        child.stderr.take().expect("piped").read_to_string(&mut path).expect("read");
        let path = Path::new(path.lines().next().expect("a line"));
        assert!(path.starts_with("/dev/shm") && !path.parent().expect("a directory").exists(), "{path:?}");
    }
}

fn not_in_processes() {
    let (env, file, fd) = (token("penv"), token("pfile"), token("pfd"));
    let values = [("env", "A", env.as_str()), ("file", "B", &file), ("fd", "C", &fd)];
    let (mut child, _lines, own) = Case::new(&values, &[]).started("echo $$; read x");
    let mut holders = Vec::new();
    for entry in std::fs::read_dir("/proc").expect("readable").flatten() {
        let pid = entry.file_name().to_string_lossy().into_owned();
        let read = |name: &str| std::fs::read(entry.path().join(name)).unwrap_or_default();
        let has = |bytes: &[u8], value: &str| bytes.windows(value.len()).any(|w| w == value.as_bytes());
        let (line, environment) = (read("cmdline"), read("environ"));
        assert!(![&env, &file, &fd].iter().any(|v| has(&line, v)), "in the command line of {pid}");
        assert!(![&file, &fd].iter().any(|v| has(&environment, v)), "in the environment of {pid}");
        if pid != "self" && pid != "thread-self" && has(&environment, &env) {
            holders.push(pid);
        }
    }
    assert_eq!(holders, [own]);
    drop(child.stdin.take());
    child.wait().expect("ended");
}

/// How often `value` stands in the memory of a process.
fn copies_in_memory(pid: u32, value: &[u8]) -> usize {
    use std::os::unix::fs::FileExt as _;
    let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).expect("readable by its parent");
    let memory = std::fs::File::open(format!("/proc/{pid}/mem")).expect("readable by its parent");
    let mut copies = 0;
    for line in maps.lines().filter(|l| l.split_whitespace().nth(1).is_some_and(|p| p.starts_with('r'))) {
        let (start, end) = line.split_whitespace().next().and_then(|r| r.split_once('-')).expect("a range");
        let number = |hex| u64::from_str_radix(hex, 16).expect("hexadecimal");
        let (start, end) = (number(start), number(end));
        let mut bytes = vec![0; usize::try_from((end - start).min(1 << 28)).expect("small")];
        if memory.read_exact_at(&mut bytes, start).is_ok() {
            copies += memchr::memmem::find_iter(&bytes, value).count();
        }
    }
    copies
}

fn memory() {
    let value = token("memory");
    let paused = Case::new(&[("env", "A", &value), ("file", "B", &value), ("fd", "C", &value)], &["--pause"]);
    let masked = Case::new(&[("env", "A", &value)], &[]);
    let unmasked = Case::new(&[("env", "A", &value), ("file", "B", "another value")], &["--no-mask"]);
    // After the end.
    let (mut child, lines, first) = paused.started("echo $A; cat $B; echo; cat $C; echo");
    assert_eq!(first, "***");
    let paused_at = lines.lines().map_while(Result::ok).find(|l| l.ends_with("PAUSED"));
    assert!(paused_at.is_some());
    assert_eq!(copies_in_memory(child.id(), value.as_bytes()), 0, "after the end");
    drop(child.stdin.take());
    child.wait().expect("ended");
    // While the command runs, masked and not, after it printed the value.
    for case in [masked, unmasked] {
        let (mut child, mut lines, own) = case.started("echo $$; echo $A; echo said; read x");
        let mut said = String::new();
        while said != "said\n" {
            said.clear();
            lines.read_line(&mut said).expect("a line");
        }
        // The command may be faster than custody is at overwriting what started it.
        eventually("that none is left while it runs", || copies_in_memory(child.id(), value.as_bytes()) == 0);
        let own = own.parse().expect("a process id");
        assert!(copies_in_memory(own, value.as_bytes()) > 0, "the search finds it in the command");
        drop(child.stdin.take());
        child.wait().expect("ended");
    }
}

fn not_dumpable() {
    let (mut child, _lines, own) = Case::one(&[]).started("echo $$; grep -c . /proc/self/environ; read x");
    let limit = |pid: &str| {
        let limits = std::fs::read_to_string(format!("/proc/{pid}/limits")).expect("readable");
        let line = limits.lines().find(|l| l.starts_with("Max core file size")).expect("a line").to_owned();
        line.split_whitespace().nth(4).expect("a limit").to_owned()
    };
    assert_eq!(limit(&child.id().to_string()), "0");
    assert_eq!(limit(&own), limit("self"), "the command has the limit that custody was started with");
    drop(child.stdin.take());
    child.wait().expect("ended");
    let _protection = Protection::start();
    assert_eq!(nix::sys::prctl::get_dumpable(), Ok(false));
    nix::sys::prctl::set_dumpable(true).expect("for the other tests");
}

fn rotation_restarts() {
    let (old, new) = (token("old"), token("new"));
    let case = Case::new(&[("env", "A", &old)], &["--restart"]);
    // The first run ignores SIGTERM, so that it has to be killed.
    let script = "trap '' TERM; case $A in *old*) echo first $A; while :; do sleep 0.05; done;; \
        *) echo second $A; exit 3;; esac";
    let (mut child, mut lines, first) = case.started(script);
    assert_eq!(first, "first ***");
    case.write(&[("env", "A", &new)]);
    let mut rest = String::new();
    lines.read_to_string(&mut rest).expect("read");
    assert_eq!(rest, "second ***\n");
    assert_eq!(child.wait().expect("ended").code(), Some(3));
    let mut talk = String::new();
    child.stderr.take().expect("piped").read_to_string(&mut talk).expect("read");
    assert!(talk.starts_with("rotated A\n") && talk.matches("masked ").count() == 2, "{talk}");
}

fn rotation_signals() {
    let (old, new) = (token("old"), token("new"));
    let case = Case::new(&[("file", "F", &old)], &["--hup"]);
    let script = "trap 'cat $F; echo; wc -c < $F; exit 6' HUP; cat $F; echo; while :; do sleep 0.05; done";
    let (mut child, mut lines, first) = case.started(script);
    assert_eq!(first, "***");
    let longer = format!("{new}-and-more");
    case.write(&[("file", "F", &longer)]);
    let mut rest = String::new();
    lines.read_to_string(&mut rest).expect("read");
    assert_eq!(rest, format!("***\n{}\n", longer.len()));
    assert_eq!(child.wait().expect("ended").code(), Some(6));
}

/// Runs a command on a terminal of 31 lines and 97 columns.
fn on_terminal(case: &Case, steps: &serde_json::Value, command: &[&str]) -> Ran {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/terminal.py");
    let mut python = Command::new("python3");
    python.args([script, "31", "97", &steps.to_string()]).args(command).env(VALUES, case.values());
    ran(python.env_remove("XDG_RUNTIME_DIR").env("TERM", "xterm").stdin(Stdio::null()))
}

fn this() -> String {
    std::env::current_exe().expect("this program").to_str().expect("UTF-8").to_owned()
}

fn terminal_keeps() {
    let case = Case::one(&[]);
    let script = "test -t 0 && test -t 1 && test -t 2 && echo TTY; stty size; ls --color=auto -d /; \
        trap 'stty size' WINCH; echo $TOKEN; read x || read x; echo got $x";
    let steps = serde_json::json!([
        ["expect", "***"],
        ["size", 40, 120],
        ["expect", "40 120"],
        ["type", "typed words\n"],
        ["expect", "got typed words"]
    ]);
    let ran = on_terminal(&case, &steps, &[&this(), "--", "sh", "-c", script]);
    assert!(ran.stdout.contains("TTY\r\n31 97\r\n\u{1b}["), "{}{}", ran.stdout, ran.stderr);
    assert!(ran.status.success() && ran.stdout.contains("on terminal in line"), "{}", ran.stdout);
    let script = "test -t 1 || echo pipe; test -t 0 && echo in";
    let ran = on_terminal(&case, &serde_json::json!([]), &[&this(), "--no-pty", "--", "sh", "-c", script]);
    assert!(ran.stdout.contains("pipe\r\nin\r\n"), "{}", ran.stdout);
}

fn terminal_keys() {
    let case = Case::one(&[]);
    let this = this();
    for options in [&["--"][..], &["--no-pty", "--"]] {
        let steps = serde_json::json!([["expect", "ready"], ["type", "\u{3}"], ["expect", "GOT"]]);
        let script = ["sh", "-c", "trap 'echo GOT; exit 5' INT; echo ready; while :; do sleep 0.05; done"];
        let ran = on_terminal(&case, &steps, &[&[this.as_str()], options, &script].concat());
        assert_eq!(ran.status.code(), Some(5), "{}", ran.stdout);
        assert_eq!(ran.stdout.matches("GOT").count(), 1, "{}", ran.stdout);
        // Without a handler it dies by the key's signal, and so does custody.
        let steps = serde_json::json!([["expect", "ready"], ["type", "\u{1c}"]]);
        let script = ["sh", "-c", "echo ready; exec sleep 1000"];
        let ran = on_terminal(&case, &steps, &[&[this.as_str()], options, &script].concat());
        assert_eq!(ran.status.code(), Some(128 + 3), "{}", ran.stdout);
        // Suspended with its job, continued by the shell, the terminal whole in between.
        let job = format!("{this} {} sh -c 'echo ready; exec cat'\n", options.join(" "));
        let steps = serde_json::json!([
            ["type", job],
            ["expect", "\rready"],
            ["type", "\u{1a}"],
            ["expect", "Stopped"],
            ["expect", "bash-"],
            ["type", "stty -a | grep -o ' icanon'; fg\n"],
            ["expect", " icanon\r\n"],
            ["expect", "cat"],
            ["type", "after\n"],
            ["expect", "after\r\nafter"],
            ["type", "\u{4}"],
            ["expect", "bash-"],
            ["type", "echo status=$?; exit 9\n"],
            ["expect", "status=0"]
        ]);
        let ran = on_terminal(&case, &steps, &["bash", "--norc", "-i"]);
        assert_eq!(ran.status.code(), Some(9), "{}", ran.stdout);
    }
}

fn too_short() {
    let ran = Case::new(&[("env", "A", "abc"), ("env", "B", "long enough")], &[]).sh("echo $A $B");
    assert_eq!(ran.stdout, "abc ***\n");
    assert!(ran.stderr.contains("not masked: cred://test/a/value"), "{}", ran.stderr);
}
