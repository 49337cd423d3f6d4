//! Names that rule files use for checks that are written in code. Shared with the build script.

/// A structural validator: knows whether a candidate can be real, beyond what a pattern can say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Checksum {
    /// `github-crc32`: the last six characters are the CRC-32 of the part between prefix and checksum, in base 62.
    GithubCrc32,
    /// `jwt`: header and payload are base64url of JSON objects and the header names an algorithm.
    Jwt,
    /// `pem`: what stands between the markers is base64 of a DER sequence, an OpenSSH key or encrypted data.
    Pem,
    /// `bech32`: the BIP 173 checksum holds (age identities).
    Bech32,
    /// `base64-json`: the secret, or what follows its last `_`, `.` or `:`, is base64 of a JSON object.
    Base64Json,
    /// `userinfo`: the secret is the password of a URL, not a path, template or variable.
    Userinfo,
    /// `basic-credentials`: the secret is base64 of a user name, a colon and a password (RFC 7617).
    BasicCredentials,
    /// `random`: the secret looks drawn from an alphabet; what reads as a name or as words is refuted. For rules that
    /// know nothing but length and alphabet.
    Random,
    /// `base58check`: the last four bytes are the start of a double SHA-256 of the others, and the length is that of a
    /// private key (WIF, BIP 32).
    Base58Check,
    /// `bip39`: the words are those of BIP 39, and its checksum holds.
    Bip39,
    /// `macaroon`: what follows `-` is base64url of a macaroon (format 2). Confirms only.
    Macaroon,
    /// `gitlab-routable`: the last seven characters are the CRC-32 of the others in base 36. Confirms only.
    GitlabRoutable,
    /// `discord`: the first part is the number of the bot's account in base64url. Confirms only.
    Discord,
    /// `der`: the secret is base64 of one whole DER sequence that starts with a version. Confirms only.
    Der,
}

impl Checksum {
    /// All validators.
    pub const ALL: [Checksum; 14] = [
        Checksum::GithubCrc32,
        Checksum::Jwt,
        Checksum::Pem,
        Checksum::Bech32,
        Checksum::Base64Json,
        Checksum::Userinfo,
        Checksum::BasicCredentials,
        Checksum::Random,
        Checksum::Base58Check,
        Checksum::Bip39,
        Checksum::Macaroon,
        Checksum::GitlabRoutable,
        Checksum::Discord,
        Checksum::Der,
    ];

    /// The name in rule files.
    pub fn as_str(self) -> &'static str {
        match self {
            Checksum::GithubCrc32 => "github-crc32",
            Checksum::Jwt => "jwt",
            Checksum::Pem => "pem",
            Checksum::Bech32 => "bech32",
            Checksum::Base64Json => "base64-json",
            Checksum::Userinfo => "userinfo",
            Checksum::BasicCredentials => "basic-credentials",
            Checksum::Random => "random",
            Checksum::Base58Check => "base58check",
            Checksum::Bip39 => "bip39",
            Checksum::Macaroon => "macaroon",
            Checksum::GitlabRoutable => "gitlab-routable",
            Checksum::Discord => "discord",
            Checksum::Der => "der",
        }
    }

    /// The validator of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Checksum::ALL.into_iter().find(|c| c.as_str() == name)
    }
}

/// A cheap hand-written check that runs at each keyword, before the rule's pattern is compiled or tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Gate {
    /// `assignment`: the keyword ends a name (with at most 40 more name characters) to which a value is assigned on
    /// the same line.
    Assignment,
    /// `setting`: the same, and a semicolon stands before it, as in a connection string.
    Setting,
    /// `userinfo`: the keyword ends a URL's scheme, and a user name and password follow (`name:password@`).
    Userinfo,
}

impl Gate {
    /// All gates.
    pub const ALL: [Gate; 3] = [Gate::Assignment, Gate::Setting, Gate::Userinfo];

    /// The name in rule files.
    pub fn as_str(self) -> &'static str {
        match self {
            Gate::Assignment => "assignment",
            Gate::Setting => "setting",
            Gate::Userinfo => "userinfo",
        }
    }

    /// The gate of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Gate::ALL.into_iter().find(|g| g.as_str() == name)
    }
}
