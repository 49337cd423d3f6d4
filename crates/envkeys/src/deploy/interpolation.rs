//! `$NAME`, `${NAME}` and `${NAME:-default}` in the values of deployment files (Compose Specification, Interpolation).

use super::Source;

/// A value in which `$NAME`, `${NAME}`, `${NAME:-default}` and `${NAME:+text}` refer to the process environment.
pub(crate) fn interpolated(value: &str) -> Source {
    let plain = value.replace("$$", "\0");
    if !plain.contains('$') {
        return Source::Literal(plain.replace('\0', "$"));
    }
    if value.strip_prefix('$').is_some_and(is_name) {
        return Source::Process { default: None };
    }
    let Some(body) = value.strip_prefix("${").and_then(|v| v.strip_suffix('}')) else {
        return Source::Mixed(value.into());
    };
    let (variable, operator) = body.split_at(name_length(body));
    if !is_name(variable) || balance(body) != Some(0) {
        return Source::Mixed(value.into());
    }
    let operator = operator.strip_prefix(':').unwrap_or(operator);
    match operator.as_bytes().first() {
        None | Some(b'?') => Source::Process { default: None },
        Some(b'-') if operator.len() == 1 => Source::Process { default: None },
        Some(b'-') => match interpolated(&operator[1..]) {
            Source::Literal(text) => Source::Process { default: Some(text) },
            other => other,
        },
        Some(b'+') => match interpolated(&operator[1..]) {
            Source::Literal(text) | Source::Process { default: Some(text) } => Source::Alternative(text),
            Source::Process { default: None } => Source::Process { default: None },
            other => other,
        },
        _ => Source::Mixed(value.into()),
    }
}

/// Calls `found` with each variable's name in a value, and whether the value has something in its place.
pub(super) fn references(value: &str, found: &mut dyn FnMut(&str, bool)) {
    let mut rest = value;
    while let Some(at) = memchr::memchr(b'$', rest.as_bytes()) {
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('$') {
            rest = after;
            continue;
        }
        let body = rest.strip_prefix('{').unwrap_or(rest);
        let braced = body.len() < rest.len();
        let (name, after) = body.split_at(name_length(body));
        // An argument is read on: it may refer to further variables.
        rest = after;
        if !is_name(name) {
            continue;
        }
        let operator = after.strip_prefix(':').unwrap_or(after);
        found(name, braced && operator.starts_with(['-', '+']));
    }
}

/// A value as it is where no variable is set: defaults stand in, other references come to nothing.
pub(crate) fn with_defaults(value: &str) -> String {
    let mut out = String::new();
    let mut rest = value;
    while let Some(at) = rest.find("${") {
        out.push_str(&rest[..at]);
        let body = &rest[at + 2..];
        let (name, after) = body.split_at(name_length(body));
        let mut open = 1;
        let close = after.bytes().position(|b| {
            match b {
                b'{' => open += 1,
                b'}' => open -= 1,
                _ => {}
            }
            open == 0
        });
        let Some(close) = close.filter(|_| is_name(name)) else {
            out.push_str("${");
            rest = body;
            continue;
        };
        let argument = &after[..close];
        if let Some(default) = argument.strip_prefix(":-").or_else(|| argument.strip_prefix('-')) {
            out.push_str(&with_defaults(default));
        }
        rest = &after[close + 1..];
    }
    out.push_str(rest);
    out
}

fn name_length(text: &str) -> usize {
    text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(text.len())
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && !text.starts_with(|c: char| c.is_ascii_digit()) && name_length(text) == text.len()
}

/// Open minus closed braces; `None` where one closes that was not opened.
fn balance(text: &str) -> Option<i32> {
    text.bytes().try_fold(0i32, |open, b| match b {
        b'{' => Some(open + 1),
        b'}' => (open > 0).then(|| open - 1),
        _ => Some(open),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_says_what_of_it_stands_in_the_file() {
        let process = |default: Option<&str>| Source::Process { default: default.map(str::to_owned) };
        for (value, source) in [
            ("a", Source::Literal("a".into())),
            ("5$$", Source::Literal("5$".into())),
            ("$A", process(None)),
            ("${A}", process(None)),
            ("${A:?must be set}", process(None)),
            ("${A:-b}", process(Some("b"))),
            ("${A-}", process(None)),
            ("${A:-${B}}", process(None)),
            ("${A:-${B:-c}}", process(Some("c"))),
            ("${A:-${B-${C:-d}}}", process(Some("d"))),
            ("${A:-x${B}y}", Source::Mixed("x${B}y".into())),
            ("${A:+b}", Source::Alternative("b".into())),
            ("${A+b}", Source::Alternative("b".into())),
            ("${A:+${B:-c}}", Source::Alternative("c".into())),
            ("${A:-${B:+c}}", Source::Alternative("c".into())),
            ("${A}${B}", Source::Mixed("${A}${B}".into())),
            ("${1A}", Source::Mixed("${1A}".into())),
            ("${", Source::Mixed("${".into())),
        ] {
            assert_eq!(interpolated(value), source, "{value}");
        }
    }

    #[test]
    fn defaults_stand_in_for_what_is_not_set() {
        for (value, text) in [
            ("a${B}c", "ac"),
            ("a${B:-x}c${D-y}", "axcy"),
            ("${A:-${B:-z}}", "z"),
            ("${A:?no}", ""),
            ("${{ x }}", "${{ x }}"),
            ("${A", "${A"),
            ("$A", "$A"),
        ] {
            assert_eq!(with_defaults(value), text, "{value}");
        }
    }

    #[test]
    fn names_are_found_at_any_depth() {
        let mut found = Vec::new();
        references("$A ${B:-${C}} $$D ${E:?x} $${F} ${G:+${H}} $1 ${}", &mut |name, default| {
            found.push((name.to_owned(), default));
        });
        let names: Vec<(&str, bool)> = found.iter().map(|(n, d)| (n.as_str(), *d)).collect();
        assert_eq!(names, [("A", false), ("B", true), ("C", false), ("E", false), ("G", true), ("H", false)]);
    }
}
