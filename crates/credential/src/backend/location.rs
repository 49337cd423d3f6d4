//! Where a secret lies: `path#field` in the backend's own notation.

use super::Fault;

/// A location, taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Location<'a> {
    /// What the backend calls the secret.
    pub(crate) path: &'a str,
    /// Which part of it, where the secret has parts.
    pub(crate) field: Option<&'a str>,
}

impl<'a> Location<'a> {
    /// Takes `path#field` apart at the last `#`.
    ///
    /// # Errors
    /// Configuration, if the path is empty or holds control characters.
    pub(crate) fn parse(text: &'a str) -> Result<Self, Fault> {
        let (path, field) = match text.rsplit_once('#') {
            Some((path, field)) => (path, Some(field)),
            None => (text, None),
        };
        let wrong = |why: &str| Fault::configuration(why, "write the location as `path#field`, or `path` alone");
        if path.is_empty() || field == Some("") {
            return Err(wrong("the location has an empty part"));
        }
        if text.chars().any(char::is_control) {
            return Err(wrong("the location holds a control character"));
        }
        Ok(Self { path, field })
    }

    /// As [`Location::parse`], for paths that become part of a URL: no empty, `.` or `..` segment, which servers and
    /// proxies would resolve to another place.
    ///
    /// # Errors
    /// Configuration.
    pub(crate) fn of_path(text: &'a str) -> Result<Self, Fault> {
        let location = Self::parse(text)?;
        if location.path.split('/').any(|segment| matches!(segment, "" | "." | "..")) {
            return Err(Fault::configuration(
                "the location has an empty, `.` or `..` segment",
                "write it as `mount/folder/name`, without a slash at the start or the end",
            ));
        }
        Ok(location)
    }
}

/// Percent-encodes each segment of a path; slashes stay.
pub(crate) fn encode_path(path: &str) -> String {
    encode(path, true)
}

/// Percent-encodes one segment or one value of a query.
pub(crate) fn encode_segment(segment: &str) -> String {
    encode(segment, false)
}

fn encode(text: &str, keeps_slash: bool) -> String {
    const PLAIN: &percent_encoding::AsciiSet =
        &percent_encoding::NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
    const PATH: &percent_encoding::AsciiSet = &PLAIN.remove(b'/');
    percent_encoding::utf8_percent_encode(text, if keeps_slash { PATH } else { PLAIN }).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_location_is_a_path_and_a_field() {
        assert_eq!(Location::parse("kv/a#b").unwrap(), Location { path: "kv/a", field: Some("b") });
        assert_eq!(Location::of_path("kv/a").unwrap(), Location { path: "kv/a", field: None });
        for wrong in ["", "#a", "a#", "a\nb"] {
            assert!(Location::parse(wrong).is_err(), "{wrong:?}");
        }
        for wrong in ["/kv/a", "kv/a/", "kv//a", "kv/../sys/raw", "./kv"] {
            assert!(Location::of_path(wrong).is_err(), "{wrong:?}");
        }
        assert_eq!(encode_path("a b/c?d%2e"), "a%20b/c%3Fd%252e");
    }
}
