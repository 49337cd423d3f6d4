use std::io;

/// The files of a repository as the gate sees them: a port, so that domain crates need no I/O of their own.
pub trait FileTree {
    /// All paths that are tracked or could be (not ignored), relative, `/`-separated, sorted.
    fn paths(&self) -> &[String];

    /// Whether version control tracks the path; `true` where there is no version control.
    fn is_tracked(&self, path: &str) -> bool;

    /// The content of a file.
    ///
    /// # Errors
    ///
    /// The system's error; `InvalidInput` where the path leaves the tree, `FileTooLarge` above the tree's limit.
    fn read(&self, path: &str) -> io::Result<Vec<u8>>;
}

/// A tree in memory, for tests and for content that comes from a revision.
#[derive(Debug, Clone, Default)]
pub struct MemoryTree {
    paths: Vec<String>,
    contents: Vec<Vec<u8>>,
}

impl MemoryTree {
    /// A tree of the given files.
    pub fn new<P: Into<String>, C: Into<Vec<u8>>>(files: impl IntoIterator<Item = (P, C)>) -> Self {
        let mut files: Vec<(String, Vec<u8>)> = files.into_iter().map(|(p, c)| (p.into(), c.into())).collect();
        files.sort();
        let (paths, contents) = files.into_iter().unzip();
        MemoryTree { paths, contents }
    }
}

impl FileTree for MemoryTree {
    fn paths(&self) -> &[String] {
        &self.paths
    }

    fn is_tracked(&self, path: &str) -> bool {
        self.paths.iter().any(|p| p == path)
    }

    fn read(&self, path: &str) -> io::Result<Vec<u8>> {
        let index = self.paths.binary_search_by(|p| p.as_str().cmp(path));
        index.map(|i| self.contents[i].clone()).map_err(|_| io::ErrorKind::NotFound.into())
    }
}
