//! Placeholders: values that stand for something that is put in later.

use super::harmless::has_generated_run;

/// Whether `value` stands for something else. Long generated-looking runs rule it out, whatever stands around them.
pub(super) fn is_placeholder(name: &str, value: &str) -> bool {
    let bare = value.trim_matches(|c| matches!(c, '"' | '\'' | '`' | ' '));
    !bare.is_empty() && !has_generated_run(&unbracketed(bare)) && (is_bracketed(bare) || is_spoken(name, bare))
}

/// `<…>`, `[…]`, `{{ … }}`, `${…}`, `%…%`, `__…__`, or made of such parts and separators.
fn is_bracketed(value: &str) -> bool {
    let whole = |open: &str, close: &str| {
        value.len() > open.len() + close.len() && value.starts_with(open) && value.ends_with(close)
    };
    let name = |s: &str| !s.is_empty() && s.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    let short = |s: &str| s.len() <= 60;
    whole("__", "__")
        || (whole("[", "]") && short(value) && value[1..].starts_with(char::is_alphabetic))
        || (whole("%", "%") && name(&value[1..value.len() - 1]))
        || value.strip_prefix('$').is_some_and(name)
        || only_marks(value)
        || is_cut(value)
        || unbracketed(value).chars().all(|c| !c.is_alphanumeric()) && value.contains(['<', '{'])
        || (value.contains('<') && value.contains('>') && value.contains("://"))
}

/// `value` without its `<…>`, `{{…}}` and `${…}` parts; what follows `:-` in a `${…}` stays.
fn unbracketed(value: &str) -> String {
    let mut out = String::new();
    let mut rest = value;
    while let Some(at) = rest.find(['<', '{', '$']) {
        out.push_str(&rest[..at]);
        let tail = &rest[at..];
        let part = [("{{", "}}"), ("${", "}"), ("<", ">")]
            .into_iter()
            .find_map(|(open, close)| tail.strip_prefix(open)?.split_once(close));
        match part {
            Some((inner, after)) => {
                // A default is a value of its own.
                if let Some((_, default)) = inner.split_once(":-") {
                    out.push_str(default);
                }
                rest = after;
            }
            None => {
                let length = tail.chars().next().map_or(1, char::len_utf8);
                out.push_str(&tail[..length]);
                rest = &tail[length..];
            }
        }
    }
    out.push_str(rest);
    out
}

/// `…`, `...`, `***`, `???`, `---`, `xxx`.
fn only_marks(value: &str) -> bool {
    value.chars().count() >= 1 && value.chars().all(|c| matches!(c, '…' | '.' | '*' | '?' | '-' | '_' | '•' | '·'))
        || (value.len() >= 3 && value.bytes().all(|b| b.eq_ignore_ascii_case(&b'x')))
}

/// `sk_test_...`, `AKIA…`: how something starts, and dots for the rest.
fn is_cut(value: &str) -> bool {
    let head = value.strip_suffix("...").or_else(|| value.strip_suffix('…'));
    head.is_some_and(|head| {
        (1..=12).contains(&head.len()) && head.bytes().all(|b| b.is_ascii_alphabetic() || matches!(b, b'_' | b'-'))
    })
}

fn is_spoken(name: &str, value: &str) -> bool {
    // In a URL or an address such words name a host or a user; its password is judged by itself.
    if value.contains("://") || value.contains('@') {
        return false;
    }
    let lower = value.to_lowercase();
    let squeezed: String = lower.chars().filter(|c| c.is_alphanumeric()).collect();
    let words: Vec<&str> = lower.split(|c: char| !c.is_alphanumeric()).filter(|w| !w.is_empty()).collect();
    if WHOLE.contains(&squeezed.as_str()) {
        return true;
    }
    // A name repeated as its own value, as in API_TOKEN=api-token.
    let own: String = name.to_lowercase().chars().filter(|c| c.is_alphanumeric()).collect();
    if !own.is_empty() && own == squeezed && words.len() > 1 {
        return true;
    }
    let first = words.first().copied().unwrap_or("");
    let sentence = words.len() <= 12;
    sentence
        && (STARTS.iter().any(|s| squeezed.starts_with(s))
            || words.iter().any(|w| PARTS.contains(w))
            || (words.last() == Some(&"here") && words.len() > 1)
            || (first == "my" && words.len() > 2 && !value.contains(char::is_whitespace))
            || (squeezed.starts_with("generate") && words.len() > 1)
            || words.iter().any(|w| w.len() >= 4 && w.bytes().all(|b| b == b'x'))
            || (words.len() > 1 && words.last() == Some(&"xxx"))
            || squeezed.ends_with("example"))
}

const WHOLE: [&str; 22] = [
    "changeme",
    "changethis",
    "changeit",
    "replaceme",
    "replacethis",
    "todo",
    "tbd",
    "fixme",
    "fillme",
    "fillin",
    "fillmein",
    "none",
    "null",
    "nil",
    "na",
    "undefined",
    "unset",
    "notset",
    "empty",
    "redacted",
    "masked",
    "hidden",
];
const STARTS: [&str; 14] = [
    "changeme",
    "changethis",
    "replaceme",
    "replacewith",
    "replacethis",
    "insert",
    "putyour",
    "enteryour",
    "addyour",
    "setme",
    "fillme",
    "todo",
    "openssl",
    "runopenssl",
];
const PARTS: [&str; 9] =
    ["your", "placeholder", "dummy", "fake", "example", "sample", "redacted", "changeme", "replaceme"];
