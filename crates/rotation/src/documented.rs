//! Whether a field of the registry says something.

/// What stands in a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Field {
    /// Nothing.
    Missing,
    /// Something that stands for an answer to come, such as `TODO`.
    Placeholder,
    /// An answer.
    Said,
}

const PLACEHOLDERS: [&str; 18] = [
    "todo",
    "tbd",
    "tba",
    "fixme",
    "xxx",
    "n/a",
    "na",
    "none",
    "nobody",
    "unknown",
    "owner",
    "contact",
    "changeme",
    "change-me",
    "placeholder",
    "mailto",
    "http",
    "https",
];

pub(crate) fn field(value: Option<&str>) -> Field {
    let value = value.map(str::trim).unwrap_or_default();
    if value.is_empty() {
        return Field::Missing;
    }
    let lower = value.to_ascii_lowercase();
    let word = lower.trim_matches(|c: char| !c.is_ascii_alphanumeric());
    let bracketed = value.starts_with('<') && value.ends_with('>');
    if word.is_empty() || bracketed || PLACEHOLDERS.contains(&word) || lower.starts_with("todo:") {
        Field::Placeholder
    } else {
        Field::Said
    }
}

/// Whether `procedure` is a web address; anything else is taken for a path of the repository.
pub(crate) fn is_url(procedure: &str) -> bool {
    let Some((scheme, rest)) = procedure.split_once("://") else { return false };
    let known = scheme.eq_ignore_ascii_case("https") || scheme.eq_ignore_ascii_case("http");
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    known && !host.is_empty() && !host.contains(char::is_whitespace)
}

/// The path part of a procedure such as `docs/rotation.md#aws`, or `None` where it leaves the repository.
pub(crate) fn path_of(procedure: &str) -> Option<&str> {
    let path = procedure.split('#').next().unwrap_or_default();
    let path = path.strip_prefix("./").unwrap_or(path).trim_end_matches('/');
    let leaves = path.is_empty() || path.starts_with(['/', '\\']) || path.split(['/', '\\']).any(|part| part == "..");
    (!leaves && !path.contains("://")).then_some(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_to_come_are_no_answers() {
        for value in ["TODO", "tbd", "<owner>", "N/A", "???", "todo: ask", "-", "mailto:", "https://"] {
            assert_eq!(field(Some(value)), Field::Placeholder, "{value}");
        }
        for value in [None, Some(""), Some("  \t")] {
            assert_eq!(field(value), Field::Missing);
        }
        for value in ["finops", "Team Tbdale", "#finops-oncall", "a@example.com"] {
            assert_eq!(field(Some(value)), Field::Said, "{value}");
        }
    }

    #[test]
    fn procedures_are_web_addresses_or_paths_below_the_root() {
        assert!(is_url("https://wiki.example.com/rotate#aws") && !is_url("https://") && !is_url("ftp://x/y"));
        assert_eq!(path_of("./docs/rotation.md#aws"), Some("docs/rotation.md"));
        for bad in ["", "#x", "/etc/passwd", "../x", "a/../../b", "ftp://x/y"] {
            assert_eq!(path_of(bad), None, "{bad}");
        }
    }
}
