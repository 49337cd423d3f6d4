//! Searching every output for every planted secret.

/// Planted secrets that must appear in no output, whole or in part.
#[derive(Default)]
pub struct Canary {
    secrets: Vec<(String, String)>,
}

impl Canary {
    /// How many characters in a row count as a leak: a public prefix such as `ghp_` is shorter.
    pub const WINDOW: usize = 9;

    /// Nothing planted yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Plants a secret under a name that a failure may show.
    pub fn plant(&mut self, name: &str, secret: &str) {
        for line in secret.lines().filter(|l| l.len() >= Self::WINDOW && !l.starts_with("-----")) {
            self.secrets.push((name.to_owned(), line.to_owned()));
        }
    }

    /// Fails the test if `output` shows a planted secret: any window of it, plain or JSON-escaped.
    ///
    /// # Panics
    ///
    /// With the secret's name and the source of the output, never with the secret.
    pub fn assert_silent(&self, source: &str, output: &[u8]) {
        let text = String::from_utf8_lossy(output);
        for (name, secret) in &self.secrets {
            let characters: Vec<char> = secret.chars().collect();
            for window in characters.windows(Self::WINDOW) {
                let window: String = window.iter().collect();
                assert!(!text.contains(&window), "{source} shows planted secret {name}");
            }
        }
    }
}
