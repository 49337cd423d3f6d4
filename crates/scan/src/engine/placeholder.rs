//! Values that stand where a secret belongs and are none: templates, documentation examples, filler.

use super::context::holds;

/// What kind of stand-in a value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Placeholder {
    /// `${NAME}`, `{{ name }}`, `<name>`, `%NAME%`: something puts a value there.
    Template,
    /// A provider's manual shows it.
    Documentation,
    /// `changeme`, `xxxx`, `12345678`, `your-token-here`.
    Filler,
}

/// Words that no secret of a provider's format contains by chance.
#[rustfmt::skip]
const LONG_WORDS: &[&[u8]] = &[
    b"example", b"placeholder", b"changeme", b"change-me", b"change_me", b"redacted", b"replaceme", b"replace-me",
    b"replace_me", b"your-", b"your_", b"notreal",
];

/// Further ones, for values of no known format.
#[rustfmt::skip]
const SHORT_WORDS: &[&[u8]] = &[
    b"xxx", b"***", b"...", b"dummy", b"todo", b"fixme", b"insert", b"sample", b"foobar", b"yourp", b"yours",
    b"yourt", b"yourk", b"youra", b"replace", b"fake", b"not-a-", b"not_a_", b"-here", b"_here",
];

/// Whole values that are defaults everyone knows, or words for "nothing".
#[rustfmt::skip]
const COMMON: &[&[u8]] = &[
    b"password", b"passwd", b"pass", b"pwd", b"secret", b"secrets", b"token", b"key", b"apikey", b"api_key",
    b"admin", b"administrator", b"root", b"test", b"tests", b"testing", b"tester", b"guest", b"user", b"username",
    b"default", b"none", b"null", b"nil", b"true", b"false", b"undefined", b"empty", b"string", b"str", b"int",
    b"bool", b"boolean", b"number", b"text", b"value", b"unset", b"auto", b"yes", b"no", b"on", b"off", b"required",
    b"optional", b"hidden", b"postgres", b"postgresql", b"mysql", b"redis", b"mongo", b"mongodb", b"rabbitmq",
    b"minio", b"minioadmin", b"elastic", b"qwerty", b"letmein", b"foo", b"bar", b"baz", b"abc", b"demo", b"prompt",
    b"temp",
];

/// Tells a stand-in. `prefix` is the rule's public prefix; `generic` allows looser tests, because nothing else speaks
/// for the value.
pub(super) fn recognise(secret: &[u8], prefix: &str, generic: bool) -> Option<Placeholder> {
    if is_template(secret) {
        return Some(Placeholder::Template);
    }
    let lower = secret.to_ascii_lowercase();
    if LONG_WORDS.iter().any(|word| holds(&lower, word)) {
        return Some(Placeholder::Documentation);
    }
    let body = if secret.starts_with(prefix.as_bytes()) { &secret[prefix.len()..] } else { secret };
    if is_monotonous(body) || is_sequence(body) {
        return Some(Placeholder::Filler);
    }
    let filler = generic && (COMMON.contains(&lower.as_slice()) || SHORT_WORDS.iter().any(|word| holds(&lower, word)));
    filler.then_some(Placeholder::Filler)
}

fn is_template(secret: &[u8]) -> bool {
    let has = |needle: &[u8]| holds(secret, needle);
    if has(b"${") || has(b"{{") || has(b"$(") || has(b"<%") || has(b"#{") || has(b"%(") || has(b"}}") || has(b"@@") {
        return true;
    }
    let within = |open: u8, close: u8| {
        secret.len() >= 3
            && secret[0] == open
            && secret[secret.len() - 1] == close
            && secret[1..secret.len() - 1].iter().all(|b| b.is_ascii_alphanumeric() || b" _-.:/'|,".contains(b))
    };
    within(b'<', b'>')
        || within(b'%', b'%')
        || within(b'[', b']')
        || within(b'{', b'}')
        || (secret.starts_with(b"__") && secret.ends_with(b"__"))
        || (secret.len() > 2
            && secret[0] == b'$'
            && secret[1..].iter().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || *b == b'_'))
}

/// One byte makes up most of it, or a run of one byte a large part.
fn is_monotonous(body: &[u8]) -> bool {
    if body.len() < 4 {
        return false;
    }
    let mut counts = [0usize; 256];
    body.iter().for_each(|&b| counts[usize::from(b.to_ascii_lowercase())] += 1);
    let most = counts.iter().max().copied().unwrap_or(0);
    let run = body.chunk_by(|a, b| a == b).map(<[u8]>::len).max().unwrap_or(0);
    most * 10 >= body.len() * 6 || (run >= 6 && run * 4 >= body.len())
}

/// A large part counts up, as `12345678` and `abcdefgh` do.
fn is_sequence(body: &[u8]) -> bool {
    if body.len() < 4 {
        return false;
    }
    let next = |a: u8, b: u8| b == a.wrapping_add(1) || (a == b'9' && matches!(b, b'0' | b'a' | b'A'));
    let longest = body.chunk_by(|&a, &b| next(a, b)).map(<[u8]>::len).max().unwrap_or(0);
    let repeats = (1..=4).any(|unit| body.len() >= 4 * unit && body.chunks(unit).all(|c| body.starts_with(c)));
    repeats
        || longest == body.len()
        || (longest >= 8 && longest * 3 >= body.len())
        || (longest >= 6 && longest * 2 >= body.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stand_ins_are_told_by_kind() {
        for text in ["${TOKEN}", "{{ token }}", "<your token>", "%TOKEN%", "$TOKEN", "__TOKEN__", "a${b}c", "$(cat x)"]
        {
            assert_eq!(recognise(text.as_bytes(), "", true), Some(Placeholder::Template), "{text}");
        }
        assert_eq!(recognise(b"AKIAIOSFODNN7EXAMPLE", "AKIA", false), Some(Placeholder::Documentation));
        for text in
            ["xxxxxxxxxxxx", "1234567890", "0123456789abcdef", "abcdefghijklmnop", "changeit-xxx", "abcabcabcabcabc"]
        {
            assert_eq!(recognise(text.as_bytes(), "", true), Some(Placeholder::Filler), "{text}");
        }
    }

    #[test]
    fn ordinary_values_are_none() {
        for text in ["S0mePa55!word", "k9fJ2mQz7LpX4vTn", "correcthorse7", "$2pQ9x"] {
            assert_eq!(recognise(text.as_bytes(), "", true), None, "{text}");
        }
    }
}
