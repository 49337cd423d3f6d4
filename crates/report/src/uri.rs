//! Paths as URI references (RFC 3986), for SARIF and for links.

use std::fmt::Write as _;
use std::path::Path;

/// `path` as a URI reference: relative to the root where it is relative or lies inside, else a `file` URI.
/// `None` for a path that names no file.
pub(crate) fn reference(path: &str, root: Option<&Path>) -> Option<String> {
    let inside = root.and_then(|root| Path::new(path).strip_prefix(root).ok()).and_then(Path::to_str);
    let path = inside.unwrap_or(path);
    if path.starts_with('/') {
        return Some(format!("file://{}", encode(path)));
    }
    let mut relative = path;
    while let Some(rest) = relative.strip_prefix("./") {
        relative = rest;
    }
    (!relative.is_empty()).then(|| encode(relative))
}

/// The `file` URI of `path` in `root`; `None` unless the result is an absolute path.
pub(crate) fn file(path: &str, root: &Path) -> Option<String> {
    let path = root.join(path);
    let text = path.to_str()?;
    text.starts_with('/').then(|| format!("file://{}", encode(text)))
}

/// The `file` URI of a directory, with the slash at its end that a base needs; `None` unless it is absolute.
pub(crate) fn directory(path: &Path) -> Option<String> {
    let text = path.to_str()?;
    let text = text.strip_suffix('/').unwrap_or(text);
    path.to_str()?.starts_with('/').then(|| format!("file://{}/", encode(text)))
}

/// `url` if it is an `http` or `https` URL in characters that a URL may have, so that it is safe inside a link.
pub(crate) fn web(url: &str) -> Option<&str> {
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"))?;
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"-._~:/?#@!$&*+,;=%".contains(&b);
    (!rest.is_empty() && rest.bytes().all(allowed) && is_percent_encoded(rest)).then_some(url)
}

fn is_percent_encoded(text: &str) -> bool {
    text.split('%').skip(1).all(|after| {
        let bytes = after.as_bytes();
        bytes.len() >= 2 && bytes[..2].iter().all(u8::is_ascii_hexdigit)
    })
}

/// Everything but unreserved characters and `/` as `%XX`; a colon too, so that no first segment reads as a scheme.
pub(crate) fn encode(path: &str) -> String {
    let mut encoded = String::with_capacity(path.len());
    for byte in path.bytes() {
        match byte {
            b'/' | b'-' | b'.' | b'_' | b'~' => encoded.push(char::from(byte)),
            b if b.is_ascii_alphanumeric() => encoded.push(char::from(b)),
            b => write!(encoded, "%{b:02X}").expect("writing to a String does not fail"),
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_relative_where_they_can_be_and_encoded() {
        let root = Path::new("/srv/repo");
        assert_eq!(reference("a b/ü#1.env", None).as_deref(), Some("a%20b/%C3%BC%231.env"));
        assert_eq!(reference("./c:d", None).as_deref(), Some("c%3Ad"));
        assert_eq!(reference("/srv/repo/x", Some(root)).as_deref(), Some("x"));
        assert_eq!(reference("/srv/repository/x", Some(root)).as_deref(), Some("file:///srv/repository/x"));
        assert_eq!(reference("", None), None);
        assert_eq!(file("x y", root).as_deref(), Some("file:///srv/repo/x%20y"));
        assert_eq!(directory(root).as_deref(), Some("file:///srv/repo/"));
        assert_eq!(directory(Path::new("/")).as_deref(), Some("file:///"));
        assert_eq!(directory(Path::new("repo")), None);
    }

    #[test]
    fn only_plain_web_addresses_become_links() {
        assert_eq!(web("https://docs.example.com/a?b=c#d"), Some("https://docs.example.com/a?b=c#d"));
        for url in
            ["javascript:alert(1)", "https://", "https://a/ b", "https://a/\u{1b}", "https://a/)x", "https://a/%zz"]
        {
            assert_eq!(web(url), None, "{url}");
        }
    }
}
