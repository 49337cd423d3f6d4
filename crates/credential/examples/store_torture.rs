//! Kills a process with signal 9 while it changes an embedded store, again and again, and looks each time whether
//! anything that was acknowledged is lost or anything is torn; then lets the disk run full.
//!
//! `cargo run --release --package custody-credential --example store_torture -- [ROUNDS] [DIRECTORY]`
//! (`scripts/bench-store`). A directory on a small disk of its own as third argument is filled up.

use std::collections::BTreeMap;
use std::error::Error;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use custody_credential::backend::embedded::{Keys, Store, StoreError, Which};
use custody_credential::{Context, SecretValue};

type Outcome<T> = Result<T, Box<dyn Error>>;

/// How many secrets are written to.
const NAMES: u64 = 8;
/// How many changes a round lets pass on average.
const CHANGES_A_ROUND: u64 = 20;

fn main() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["child", directory, seed] => child(Path::new(directory), seed.parse()?),
        ["fill", directory] => fill(Path::new(directory)),
        rest => {
            let rounds = rest.first().map_or(Ok(100), |text| text.parse())?;
            let directory = rest.get(1).map_or_else(|| std::env::temp_dir().join("custody-torture"), PathBuf::from);
            torture(rounds, &directory)
        }
    }
}

fn store(directory: &Path) -> Store {
    let context = Context::process(directory);
    Store::new(directory.join("data"), Keys::new(directory.join("keys"), &context), &context)
}

/// A value that tells what it is: secret `name`, change `number`, of some length.
fn value(name: u64, number: u64) -> SecretValue {
    let length = usize::try_from(blend(name ^ (number << 8)) % 65_536).unwrap_or(0);
    SecretValue::new(format!("{name}:{number}:{}", "x".repeat(length)).into_bytes())
}

/// Says what it will do, does it, and says that it is done, until it is killed.
fn child(directory: &Path, seed: u64) -> Outcome<()> {
    let store = store(directory);
    let mut out = std::io::stdout();
    for step in 0u64.. {
        let dice = blend(seed.wrapping_mul(1_000_003).wrapping_add(step));
        let name = format!("name/{}", dice % NAMES);
        let number = seed * 1_000_000 + step;
        let say = |out: &mut std::io::Stdout, text: String| writeln!(out, "{text}").and_then(|()| out.flush());
        match (dice >> 8) % 10 {
            0 => {
                say(&mut out, "will rekey".into())?;
                store.rekey()?;
                say(&mut out, "did rekey".into())?;
            }
            1 => {
                let Ok(record) = store.describe(&name, Which::Previous) else { continue };
                say(&mut out, format!("will activate {name} {}", record.number))?;
                store.activate(&name, record.number)?;
                say(&mut out, format!("did activate {name} {}", record.number))?;
            }
            _ => {
                say(&mut out, format!("will put {name} {number}"))?;
                let record = store.put(&name, &value(dice % NAMES, number), None)?;
                say(&mut out, format!("did put {name} {number} {}", record.number))?;
            }
        }
    }
    Ok(())
}

/// Puts until there is no room any more; everything that was acknowledged stays.
fn fill(directory: &Path) -> Outcome<()> {
    let store = store(directory);
    let mut written = Vec::new();
    let error = loop {
        let number = written.len() as u64;
        match store.put(&format!("full/{number}"), &value(number, number), None) {
            Ok(_) => written.push(number),
            Err(error) => break error,
        }
    };
    for number in &written {
        let answer = store.read(&[(&format!("full/{number}"), Which::Current)])?.remove(0)?;
        assert!(answer.0 == value(*number, *number), "a value was lost when the disk was full");
    }
    store.delete("full/0")?;
    store.put("full/again", &SecretValue::copy_of(b"small"), None)?;
    println!(
        "full disk: {} writes acknowledged, then: {error}; none lost, writing goes on after a deletion",
        written.len()
    );
    Ok(())
}

/// What the parent knows: which value is in force, and what was under way when the child died.
#[derive(Default)]
struct Known {
    current: BTreeMap<String, u64>,
    versions: BTreeMap<(String, u64), u64>,
    under_way: Option<Vec<String>>,
    acknowledged: usize,
}

impl Known {
    fn hear(&mut self, line: &str) {
        let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        match words.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
            ["will", ..] => self.under_way = Some(words),
            ["did", rest @ ..] => {
                self.under_way = None;
                self.acknowledged += 1;
                match rest {
                    ["put", name, number, version] => {
                        let (number, version) = (number.parse().unwrap_or(0), version.parse().unwrap_or(0));
                        self.versions.insert(((*name).to_owned(), version), number);
                        self.current.insert((*name).to_owned(), number);
                    }
                    ["activate", name, version] => {
                        let known = self.versions.get(&((*name).to_owned(), version.parse().unwrap_or(0)));
                        if let Some(number) = known.copied() {
                            self.current.insert((*name).to_owned(), number);
                        }
                    }
                    _ => {}
                }
            }
            _ => {}
        }
    }

    /// Looks at the whole store; learns what the change under way has become.
    fn check(&mut self, store: &Store) -> Outcome<()> {
        let under_way = self.under_way.take().unwrap_or_default();
        for name in store.names().or_else(|e| if self.current.is_empty() { Ok(Vec::new()) } else { Err(e) })? {
            for version in store.history(&name)? {
                let (value, _) = store.read(&[(&name, Which::Number(version.number))])?.remove(0)?;
                let number = number_of(&value)?;
                let known = self.versions.entry((name.clone(), version.number)).or_insert(number);
                if *known != number {
                    return Err(format!("version {} of {name} has another value", version.number).into());
                }
            }
        }
        for (name, expected) in self.current.clone() {
            let (value, record) = store.read(&[(&name, Which::Current)])?.remove(0)?;
            let found = number_of(&value)?;
            let may_be = under_way.get(2) == Some(&name)
                && match under_way.get(1).map(String::as_str) {
                    Some("put") => under_way.get(3).and_then(|n| n.parse().ok()) == Some(found),
                    Some("activate") => under_way.get(3).and_then(|n| n.parse().ok()) == Some(record.number),
                    _ => false,
                };
            if found != expected && !may_be {
                return Err(format!("{name}: change {expected} was acknowledged, change {found} is there").into());
            }
            self.current.insert(name, found);
        }
        Ok(())
    }
}

fn number_of(secret: &SecretValue) -> Outcome<u64> {
    let text = secret.expose_str().ok_or("not text")?;
    let mut parts = text.splitn(3, ':');
    let name: u64 = parts.next().ok_or("no name")?.parse()?;
    let number = parts.next().ok_or("no number")?.parse()?;
    if *secret == value(name, number) { Ok(number) } else { Err("a value is torn".into()) }
}

fn torture(rounds: u64, directory: &Path) -> Outcome<()> {
    let _ = std::fs::remove_dir_all(directory);
    std::fs::create_dir_all(directory)?;
    let mut known = Known::default();
    let mut slowest = Duration::ZERO;
    let mut in_the_middle = 0;
    for round in 1..=rounds {
        let mut child = Command::new(std::env::current_exe()?)
            .args(["child", &directory.display().to_string(), &round.to_string()])
            .stdout(Stdio::piped())
            .spawn()?;
        let (heard, lines) = mpsc::channel();
        let stdout = child.stdout.take().ok_or("no output")?;
        let reader = std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if heard.send(line).is_err() {
                    break;
                }
            }
        });
        // It lives until it has acknowledged so many changes, and then for up to 20 ms more.
        let enough = known.acknowledged + usize::try_from(blend(round) % (2 * CHANGES_A_ROUND)).unwrap_or(0);
        known.hear(&lines.recv()?);
        while known.acknowledged < enough {
            known.hear(&lines.recv()?);
        }
        std::thread::sleep(Duration::from_micros(blend(round ^ 0xff) % 20_000));
        child.kill()?;
        child.wait()?;
        reader.join().map_err(|_| "the reader failed")?;
        lines.try_iter().for_each(|line| known.hear(&line));
        in_the_middle += usize::from(known.under_way.is_some());
        let start = Instant::now();
        let store = store(directory);
        known.check(&store).map_err(|e| format!("round {round}: {e}"))?;
        store.put("after", &value(0, round), None)?;
        known.versions.retain(|(name, _), _| name != "after");
        slowest = slowest.max(start.elapsed());
    }
    let store = store(directory);
    let kept: usize = store.names()?.iter().map(|name| store.history(name).map_or(0, |h| h.len())).sum();
    let objects = std::fs::read_dir(directory.join("data").join("objects"))?.count();
    assert_eq!(kept, objects, "files that belong to nobody are left");
    println!(
        "{rounds} rounds of kill -9: {} changes acknowledged, {in_the_middle} killed in the middle of one, 0 lost, 0 torn; store whole and checked in at most {slowest:.0?}",
        known.acknowledged
    );
    cut_files(directory)?;
    timings(&store)?;
    std::fs::remove_dir_all(directory)?;
    Ok(())
}

/// Cuts each file of the store and of its keys off at some places: what is read then is right or an error. Put back, the
/// store is whole again.
fn cut_files(directory: &Path) -> Outcome<()> {
    let names = store(directory).names()?;
    let read_all = || -> Vec<Option<u64>> {
        let store = store(directory);
        let read = |name: &String| store.read(&[(name, Which::Current)]).and_then(|mut a| a.remove(0)).ok();
        names.iter().map(|name| read(name).map(|(value, _)| number_of(&value).unwrap_or(u64::MAX))).collect()
    };
    let whole = read_all();
    let folders = [directory.join("data"), directory.join("data/objects"), directory.join("keys")];
    let mut cuts = 0;
    for folder in folders {
        for file in std::fs::read_dir(folder)? {
            let path = file?.path();
            if !path.is_file() || path.ends_with("lock") || path.extension().is_some_and(|e| e == "lock") {
                continue;
            }
            let good = std::fs::read(&path)?;
            for seed in 0..4 {
                let at = usize::try_from(blend(cuts ^ (seed << 32)) % (good.len() as u64).max(1))?;
                std::fs::write(&path, &good[..at])?;
                let found = read_all();
                if found.iter().zip(&whole).any(|(found, whole)| found.is_some() && found != whole) {
                    return Err(format!("{} cut at {at}: another value is read", path.display()).into());
                }
                cuts += 1;
            }
            std::fs::write(&path, &good)?;
        }
    }
    if read_all() != whole {
        return Err("the store is not whole after its files were put back".into());
    }
    println!("files cut off: {cuts} cuts, each value then right or an error; whole again when they are put back");
    Ok(())
}

/// What opening, reading and writing cost.
fn timings(known: &Store) -> Outcome<()> {
    let directory = known.directory().parent().ok_or("no parent")?;
    let measure = |what: &str, times: u32, run: &dyn Fn() -> Result<(), StoreError>| -> Outcome<()> {
        let mut all: Vec<Duration> = Vec::new();
        for _ in 0..times {
            let start = Instant::now();
            run()?;
            all.push(start.elapsed());
        }
        all.sort();
        println!("{what}: min {:.0?}, median {:.0?}", all[0], all[all.len() / 2]);
        Ok(())
    };
    known.put("small", &SecretValue::copy_of(b"forty bytes, as an access key may have it"), None)?;
    let read = |store: &Store| store.read(&[("small", Which::Current)]).and_then(|mut a| a.remove(0)).map(drop);
    measure("open with a key file and read one", 2000, &|| read(&store(directory)))?;
    measure("read one from an open store", 2000, &|| read(known))?;
    measure("put one, on the disk when it returns", 200, &|| {
        known.put("small", &SecretValue::copy_of(b"forty bytes, as an access key may have it"), None).map(drop)
    })
}

/// SplitMix64's finaliser.
fn blend(seed: u64) -> u64 {
    let mut z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
