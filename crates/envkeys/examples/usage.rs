//! The keys that the code below a directory reads, and how long finding them took, the reading of the files left out.

use std::error::Error;
use std::path::Path;
use std::time::{Duration, Instant};

use custody_envkeys::usage::{is_source, read_keys, skip};

fn main() -> Result<(), Box<dyn Error>> {
    let root = std::env::args().nth(1).ok_or("usage: usage DIRECTORY")?;
    let (mut files, mut reads, mut bytes, mut spent) = (0u32, Vec::new(), 0usize, Duration::ZERO);
    let mut directories = vec![Path::new(&root).to_path_buf()];
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(directory)? {
            let path = entry?.path();
            if path.is_dir() && !path.is_symlink() {
                directories.push(path);
                continue;
            }
            let name = path.strip_prefix(&root)?.to_string_lossy().into_owned();
            if skip(&name) || is_source(&name).is_none() || path.is_symlink() {
                continue;
            }
            let content = std::fs::read(&path)?;
            let started = Instant::now();
            let found = read_keys(&name, &content);
            spent += started.elapsed();
            files += 1;
            bytes += content.len();
            reads.extend(
                found.reads.into_iter().map(|read| format!("{name}:{}:{} {}", read.line, read.column, read.key)),
            );
        }
    }
    reads.sort();
    for read in &reads {
        println!("{read}");
    }
    let per_thousand = spent.as_secs_f64() * 1e6 / f64::from(files.max(1));
    eprintln!("{files} files, {bytes} bytes, {} reads, {per_thousand:.1} ms per 1,000 files", reads.len());
    Ok(())
}
