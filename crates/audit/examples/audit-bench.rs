//! Figures of the audit log: `scripts/bench-audit` builds and runs it. One line of a Markdown table for each figure.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use custody_audit::verify::{Trust, Verdict, verify};
use custody_audit::{
    Action, AuditLog, Class, DirectoryKeys, Durability, Event, Filter, Options, Outcome, Principal, query,
};
use custody_contract::Environment;

const RUN: Duration = Duration::from_secs(5);

type Failure = Box<dyn std::error::Error>;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match words[..] {
        ["all", place] => all(Path::new(place)),
        ["append", place, threads] => {
            append(Path::new(place), threads.parse().unwrap_or(1), Durability::Group).map(|count| println!("{count}"))
        }
        ["once", place] => once(Path::new(place)),
        ["nothing"] => Ok(()),
        _ => Err("audit-bench all DIRECTORY".into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("audit-bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn once(place: &Path) -> Result<(), Failure> {
    open(place)?.record_as(&event(0), Durability::Buffered)?;
    Ok(())
}

fn open(place: &Path) -> Result<AuditLog, Failure> {
    Ok(AuditLog::open(&place.join("audit"), DirectoryKeys::new(&place.join("keys")), Options::default())?)
}

fn event(number: u64) -> Event {
    let action = Action::ALL[usize::try_from(number % 7).unwrap_or(0)];
    let outcome = if number.is_multiple_of(10) { Outcome::Denied(Class::Policy) } else { Outcome::Allowed };
    let provider = ["aws", "gcp", "azure", "openops"][usize::try_from(number % 4).unwrap_or(0)];
    let reference = format!("cred://{provider}/account-{}/readonly", number % 1000).parse().expect("a reference");
    let principal = Principal::current();
    Event::new(action, outcome, principal)
        .reference(&reference)
        .backend("openbao")
        .version("3")
        .environment(Environment::Local)
}

fn all(place: &Path) -> Result<(), Failure> {
    println!("| what | figure |\n| --- | ---: |");
    flush(&fresh(place, "flush")?)?;
    for threads in [1, 32] {
        let count = append(&fresh(place, "group")?, threads, Durability::Group)?;
        println!("| flushed records a second, {threads} threads | {} |", per_second(count, RUN));
    }
    let here = fresh(place, "processes")?;
    println!("| flushed records a second, 32 processes | {} |", per_second(processes(&here, 32)?, RUN));
    for threads in [1, 32] {
        let count = append(&fresh(place, "buffered")?, threads, Durability::Buffered)?;
        println!("| records a second, not flushed, {threads} threads | {} |", per_second(count, RUN));
    }
    start(&fresh(place, "start")?)?;
    million(&fresh(place, "million")?)
}

fn fresh(place: &Path, name: &str) -> Result<PathBuf, Failure> {
    let place = place.join(name);
    let _ = std::fs::remove_dir_all(&place);
    std::fs::create_dir_all(&place)?;
    Ok(place)
}

fn per_second(count: u64, time: Duration) -> String {
    format!("{:.0}", count as f64 / time.as_secs_f64())
}

/// What a flush of this disk costs: 400 bytes appended and flushed.
fn flush(place: &Path) -> Result<(), Failure> {
    use std::io::Write as _;
    let mut file = std::fs::File::create(place.join("file"))?;
    let mut times = Vec::new();
    for _ in 0..300 {
        file.write_all(&[b'x'; 400])?;
        let start = Instant::now();
        file.sync_data()?;
        times.push(start.elapsed());
    }
    println!("| a flush of this disk: least, median | {} |", least_and_median(times));
    Ok(())
}

fn least_and_median(mut times: Vec<Duration>) -> String {
    times.sort();
    let ms = |time: Duration| time.as_secs_f64() * 1000.0;
    format!("{:.2} ms, {:.2} ms", ms(times[0]), ms(times[times.len() / 2]))
}

fn append(place: &Path, threads: u64, durability: Durability) -> Result<u64, Failure> {
    let log = open(place)?;
    log.record(&event(0))?;
    let (count, is_over) = (AtomicU64::new(0), AtomicBool::new(false));
    std::thread::scope(|scope| {
        for thread in 0..threads {
            let (log, count, is_over) = (&log, &count, &is_over);
            scope.spawn(move || {
                for number in thread.. {
                    if is_over.load(Ordering::Relaxed) || log.record_as(&event(number), durability).is_err() {
                        return;
                    }
                    count.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        std::thread::sleep(RUN);
        is_over.store(true, Ordering::Relaxed);
    });
    Ok(count.into_inner())
}

fn processes(place: &Path, count: usize) -> Result<u64, Failure> {
    let program = std::env::current_exe()?;
    let start = || Command::new(&program).arg("append").arg(place).arg("1").stdout(Stdio::piped()).spawn();
    let children = (0..count).map(|_| start()).collect::<Result<Vec<_>, _>>()?;
    let mut total = 0;
    for child in children {
        total += String::from_utf8(child.wait_with_output()?.stdout)?.trim().parse::<u64>()?;
    }
    Ok(total)
}

/// What a record adds to a program that starts, records once and ends: this program with and without it, in turn.
fn start(place: &Path) -> Result<(), Failure> {
    let program = std::env::current_exe()?;
    let run = |arguments: &[&std::ffi::OsStr]| -> Result<Duration, Failure> {
        let start = Instant::now();
        let status = Command::new(&program).args(arguments).status()?;
        let time = start.elapsed();
        if status.success() { Ok(time) } else { Err("the program failed".into()) }
    };
    let once = ["once".as_ref(), place.as_os_str()];
    run(&once)?;
    let (mut with, mut without) = (Vec::new(), Vec::new());
    for _ in 0..500 {
        without.push(run(&["nothing".as_ref()])?);
        with.push(run(&once)?);
    }
    println!("| a process that does nothing: least, median | {} |", least_and_median(without));
    println!("| a process that opens the log and records, not flushed: least, median | {} |", least_and_median(with));
    let mut times = Vec::new();
    for number in 0..300 {
        let start = Instant::now();
        open(place)?.record_as(&event(number), Durability::Buffered)?;
        times.push(start.elapsed());
    }
    println!("| the same within a process | {} |", least_and_median(times));
    Ok(())
}

fn million(place: &Path) -> Result<(), Failure> {
    const COUNT: u64 = 1_000_000;
    let log = open(place)?;
    let next = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for _ in 0..64 {
            scope.spawn(|| {
                while next.fetch_add(1, Ordering::Relaxed) < COUNT {
                    let number = next.load(Ordering::Relaxed);
                    if log.record_as(&event(number), Durability::Buffered).is_err() {
                        return;
                    }
                }
            });
        }
    });
    log.flush()?;
    let directory = place.join("audit");
    let filters = [
        ("nothing matches", Filter { backend: Some("none".into()), ..Filter::default() }),
        (
            "--ref 'cred://aws/**' --outcome denied",
            Filter { references: vec!["cred://aws/**".parse()?], outcomes: vec!["denied".into()], ..Filter::default() },
        ),
        ("--since in the future", Filter { since: Some(jiff::Timestamp::MAX), ..Filter::default() }),
    ];
    for (name, filter) in &filters {
        let start = Instant::now();
        let summary = query(&directory, filter, |_| ControlFlow::Continue(()))?;
        let time = start.elapsed().as_secs_f64();
        println!("| query of {} records, {name}: {} found | {time:.2} s |", summary.records, summary.matched);
    }
    let start = Instant::now();
    let report = verify(&directory, &Trust::default().with_keys(DirectoryKeys::new(&place.join("keys"))))?;
    let time = start.elapsed().as_secs_f64();
    println!("| verification of {} records, {} signatures | {time:.2} s |", report.records, report.signatures);
    println!("| peak memory | {} |", peak());
    if report.verdict == Verdict::Intact { Ok(()) } else { Err("the log does not verify".into()) }
}

fn peak() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .map_or_else(|| "?".into(), |text| text.trim().to_owned())
}
