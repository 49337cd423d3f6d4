//! Fake secrets, different for each seed, never written out in the source.

/// A source of fake secrets: deterministic per seed, so that a failing test can be repeated.
#[derive(Debug, Clone)]
pub struct Fake {
    state: u64,
}

const ALNUM: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
const UPPER_BASE32: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
const BASE64: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

impl Fake {
    /// A source that starts from `seed`.
    pub fn new(seed: u64) -> Self {
        Fake { state: seed.wrapping_mul(2).wrapping_add(0x9e37_79b9_7f4a_7c15) }
    }

    // SplitMix64 (Steele, Lea, Flood 2014): enough for text that only has to look random.
    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// `length` characters of `alphabet`.
    pub fn text(&mut self, alphabet: &[u8], length: usize) -> String {
        (0..length).map(|_| char::from(alphabet[(self.next() % alphabet.len() as u64) as usize])).collect()
    }

    /// An AWS access key id.
    pub fn aws_access_key_id(&mut self) -> String {
        format!("{}{}{}", "AK", "IA", self.text(UPPER_BASE32, 16))
    }

    /// An AWS secret access key.
    pub fn aws_secret_access_key(&mut self) -> String {
        self.text(BASE64, 40)
    }

    /// A GitLab personal access token.
    pub fn gitlab_token(&mut self) -> String {
        format!("{}{}{}", "glp", "at-", self.text(ALNUM, 20))
    }

    /// A Stripe live secret key.
    pub fn stripe_key(&mut self) -> String {
        format!("{}_{}_{}", "sk", "live", self.text(ALNUM, 24))
    }

    /// A Slack bot token.
    pub fn slack_token(&mut self) -> String {
        let digits = b"0123456789";
        format!("{}{}-{}-{}-{}", "xo", "xb", self.text(digits, 12), self.text(digits, 12), self.text(ALNUM, 24))
    }

    /// A password as a person would be made to choose it.
    pub fn password(&mut self) -> String {
        format!("{}!{}", self.text(ALNUM, 9), self.text(b"0123456789", 3))
    }

    /// A private key in PEM form; the body is random, not a key.
    pub fn private_key(&mut self) -> String {
        let body: Vec<String> = (0..12).map(|_| self.text(BASE64, 64)).collect();
        let label = ["RSA PRIVATE", "KEY"].join(" ");
        format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", body.join("\n"))
    }
}
