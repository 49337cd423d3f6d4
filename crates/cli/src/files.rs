//! Reading what the user names.

use std::io::Read;
use std::path::Path;

use custody_contract::FileTree;
use custody_contract::file::GlobSet;
use custody_scan::source::WorkingTree;

use crate::failure::Failure;

/// Largest text file that a command reads whole, in bytes.
const MAX_TEXT_BYTES: u64 = 16 << 20;

/// A text file, without its byte order mark.
pub fn read_text(path: &Path) -> Result<String, Failure> {
    let shown = path.display().to_string();
    let read = || -> std::io::Result<String> {
        if !path.metadata()?.is_file() {
            return Err(std::io::Error::new(std::io::ErrorKind::InvalidInput, "not a regular file"));
        }
        let mut bytes = Vec::new();
        std::fs::File::open(path)?.take(MAX_TEXT_BYTES + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > MAX_TEXT_BYTES {
            return Err(std::io::ErrorKind::FileTooLarge.into());
        }
        String::from_utf8(bytes).map_err(|_| std::io::Error::new(std::io::ErrorKind::InvalidData, "not UTF-8 text"))
    };
    let text = read().map_err(|e| Failure::unreadable(&shown, &e))?;
    Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text))
}

/// Standard input, up to a limit.
pub fn read_stdin(limit: u64) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    std::io::stdin().lock().take(limit + 1).read_to_end(&mut bytes).map_err(|e| Failure::unreadable("-", &e))?;
    if bytes.len() as u64 > limit {
        return Err(Failure::unreadable("-", &std::io::ErrorKind::FileTooLarge.into()));
    }
    Ok(bytes)
}

/// The files of a repository.
pub fn working_tree(root: &Path) -> Result<WorkingTree, Failure> {
    WorkingTree::open(root)
        .map_err(|error| Failure::incomplete("cannot list the repository's files", error.to_string(), "check the path"))
}

/// The repository's own rule files.
pub fn rule_paths(root: &Path, globs: &GlobSet) -> Result<Vec<String>, Failure> {
    let tree = working_tree(root)?;
    Ok(tree.paths().iter().filter(|p| globs.is_match(p) && p.ends_with(".toml")).cloned().collect())
}
