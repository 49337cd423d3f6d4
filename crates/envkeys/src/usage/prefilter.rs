//! Whether a file can read anything at all, told without taking it into words.
//!
//! All ways to read a variable have `nv` or `NV` in a name, but for a few libraries; so the file is searched for that, and
//! only the name around a hit is looked at. Most files have nothing of it, and are done with.

use memchr::memmem;

use super::{Language, is_helper};

/// Whether a name stands in what a read needs.
type IsMarker = fn(&[u8]) -> bool;

/// Whether something stands in the file that a read needs.
pub(super) fn may_read(language: Language, bytes: &[u8]) -> bool {
    let (libraries, names): (&[&str], IsMarker) = match language {
        Language::JavaScript => (&["onfigService"], |name| matches!(name, b"env" | b"createEnv" | b"cleanEnv")),
        Language::Python => (&["decouple", "BaseSettings", "starlette"], |name| {
            matches!(name, b"env" | b"environ" | b"environb" | b"getenv" | b"getenvb" | b"envvar" | b"environs")
        }),
        Language::Rust => (&[], |name| matches!(name, b"env" | b"option_env" | b"dotenv" | b"dotenvy")),
        Language::Go => (&[], |name| {
            let name = name.strip_prefix(b"Must").unwrap_or(name);
            matches!(
                name,
                b"Getenv"
                    | b"LookupEnv"
                    | b"ExpandEnv"
                    | b"BindEnv"
                    | b"Environ"
                    | b"AutomaticEnv"
                    | b"EnvVar"
                    | b"EnvVars"
                    | b"env"
                    | b"envconfig"
            )
        }),
        Language::Shell => {
            let by_name = || ["printenv", "-v "].iter().any(|w| memmem::find(bytes, w.as_bytes()).is_some());
            return memchr::memchr(b'$', bytes).is_some() || by_name();
        }
    };
    hits(bytes, b"nv").any(|(name, behind)| names(name) || is_helper_call(name, behind))
        || hits(bytes, b"NV").any(|(name, behind)| is_helper_call(name, behind))
        || libraries.iter().any(|library| memmem::find(bytes, library.as_bytes()).is_some())
}

/// The names that `needle` stands in, each with what is behind it.
fn hits<'a>(bytes: &'a [u8], needle: &'static [u8]) -> impl Iterator<Item = (&'a [u8], &'a [u8])> {
    let in_name = |b: &u8| b.is_ascii_alphanumeric() || *b == b'_';
    memmem::find_iter(bytes, needle).map(move |at| {
        // No name that matters is longer.
        let from = at.saturating_sub(64);
        let start = bytes[from..at].iter().rposition(|b| !in_name(b)).map_or(from, |i| from + i + 1);
        let length = bytes[at..].iter().take(64).position(|b| !in_name(b)).unwrap_or(bytes.len().min(at + 64) - at);
        (&bytes[start..at + length], &bytes[at + length..])
    })
}

/// `requireEnv('NAME'`: a call of the repository's own helper.
fn is_helper_call(name: &[u8], behind: &[u8]) -> bool {
    let Some(argument) = behind.strip_prefix(b"(") else { return false };
    let mut argument = argument.trim_ascii_start().iter();
    matches!(argument.next(), Some(b'"' | b'\'' | b'`'))
        && argument.next().is_some_and(u8::is_ascii_uppercase)
        && std::str::from_utf8(name).is_ok_and(is_helper)
}
