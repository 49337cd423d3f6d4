//! Path patterns of the contract file.

use std::borrow::Cow;
use std::fmt;
use std::sync::OnceLock;

use globset::{Glob, GlobBuilder};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize};

/// Path patterns, relative to the repository's root, with `/` between parts.
///
/// `*` and `?` stay within a part, `**` crosses parts, `{a,b}` and `[a-z]` as usual. A pattern without a wildcard
/// names a file, or a directory with everything below it.
///
/// They are checked at once and compiled when something is first matched: compiling is most of what loading a contract
/// would cost, and `custody run` matches no path at all.
#[derive(Clone, Default, Serialize)]
#[serde(transparent)]
pub struct GlobSet {
    patterns: Vec<String>,
    #[serde(skip)]
    compiled: OnceLock<globset::GlobSet>,
}

/// Patterns up to this size in bytes, and with so many alternatives, always compile together: without Unicode classes and
/// repetitions a byte takes some hundred bytes at most, and the limits are 10 MiB and 250 levels.
const SURE: (usize, usize) = (4096, 64);

impl GlobSet {
    /// Takes patterns.
    ///
    /// # Errors
    ///
    /// [`InvalidGlob`] names the first pattern that is not one.
    pub fn new(patterns: impl IntoIterator<Item = String>) -> Result<Self, InvalidGlob> {
        let patterns: Vec<String> = patterns.into_iter().collect();
        for pattern in &patterns {
            let trimmed = trimmed(pattern);
            if trimmed.is_empty() || trimmed.starts_with('/') || trimmed.split('/').any(|part| part == "..") {
                return Err(invalid(pattern, "it must be a path below the repository's root"));
            }
            // Without these there is nothing that could be wrong.
            if trimmed.contains(['[', ']', '{', '}', '\\']) {
                glob(trimmed).map_err(|error| invalid(pattern, error.kind().to_string()))?;
            }
        }
        let count = |of: fn(&String) -> usize| patterns.iter().map(of).sum::<usize>();
        let sizes = (count(String::len), count(|p| p.matches('{').count()));
        let compiled = OnceLock::new();
        if sizes.0 > SURE.0 || sizes.1 > SURE.1 {
            let _ = compiled.set(compile(&patterns)?);
        }
        Ok(GlobSet { patterns, compiled })
    }

    /// Whether `path` (relative, `/`-separated) matches one of the patterns or stands below a match.
    pub fn is_match(&self, path: &str) -> bool {
        let compiled = || compile(&self.patterns).expect("patterns that were checked, far from the limits");
        !self.patterns.is_empty() && self.compiled.get_or_init(compiled).is_match(path)
    }

    /// The patterns as written.
    pub fn patterns(&self) -> &[String] {
        &self.patterns
    }

    /// Whether there is no pattern.
    pub fn is_empty(&self) -> bool {
        self.patterns.is_empty()
    }

    /// Both sets' patterns, this one's first, each once.
    ///
    /// # Errors
    ///
    /// As [`GlobSet::new`]; does not happen for patterns that each compiled, short of the size limit.
    pub fn union(&self, other: &GlobSet) -> Result<GlobSet, InvalidGlob> {
        if other.is_empty() || self.is_empty() {
            return Ok(if self.is_empty() { other.clone() } else { self.clone() });
        }
        let mut all = self.patterns.clone();
        all.extend(other.patterns.iter().filter(|p| !self.patterns.contains(p)).cloned());
        GlobSet::new(all)
    }
}

fn trimmed(pattern: &str) -> &str {
    pattern.strip_prefix("./").unwrap_or(pattern).trim_end_matches('/')
}

fn glob(pattern: &str) -> Result<Glob, globset::Error> {
    GlobBuilder::new(pattern).literal_separator(true).backslash_escape(true).build()
}

fn compile(patterns: &[String]) -> Result<globset::GlobSet, InvalidGlob> {
    let mut builder = globset::GlobSetBuilder::new();
    for pattern in patterns {
        let mut add = |text: &str| -> Result<(), InvalidGlob> {
            builder.add(glob(text).map_err(|error| invalid(pattern, error.kind().to_string()))?);
            Ok(())
        };
        let trimmed = trimmed(pattern);
        add(trimmed)?;
        if !trimmed.ends_with("**") {
            add(&format!("{trimmed}/**"))?;
        }
    }
    builder.build().map_err(|error| invalid(&together(patterns), error.kind().to_string()))
}

fn invalid(pattern: &str, why: impl Into<String>) -> InvalidGlob {
    InvalidGlob { pattern: pattern.to_owned(), why: why.into() }
}

/// Patterns that fail only together, in so few words that a message can hold them.
fn together(patterns: &[String]) -> String {
    match patterns {
        [first, rest @ ..] if !rest.is_empty() => format!("{first}, and {} more", rest.len()),
        _ => patterns.concat(),
    }
}

impl fmt::Debug for GlobSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.patterns.fmt(f)
    }
}

impl PartialEq for GlobSet {
    fn eq(&self, other: &Self) -> bool {
        self.patterns == other.patterns
    }
}

/// A pattern that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid path pattern `{pattern}`: {why}")]
pub struct InvalidGlob {
    /// The pattern.
    pub pattern: String,
    /// What is wrong with it.
    pub why: String,
}

impl<'de> Deserialize<'de> for GlobSet {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        GlobSet::new(Vec::<String>::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for GlobSet {
    fn schema_name() -> Cow<'static, str> {
        "PathPatterns".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "array",
            "items": { "type": "string", "minLength": 1 },
            "description": "Path patterns relative to the repository's root; * within a part, ** across parts. A pattern without a wildcard names a file or a directory with everything below it."
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_worst_patterns_of_the_size_that_is_compiled_late_do_compile() {
        let fill = |part: &str| part.repeat(SURE.0 / part.len());
        let deep = format!("{}a{}", "{".repeat(SURE.1), "}".repeat(SURE.1));
        for pattern in [fill("?"), fill("*"), fill("[!a]"), fill("[a-z]"), fill("**/"), fill("a/*/"), deep] {
            let set = GlobSet::new([pattern.clone()]).expect("valid");
            assert!(set.compiled.get().is_none());
            set.is_match("a/b");
        }
        let many = GlobSet::new((0..SURE.0 / 2).map(|_| "?*".to_owned())).expect("valid");
        assert!(many.is_match("ab"));
    }

    #[test]
    fn more_than_that_is_compiled_at_once_and_refused_where_it_fails() {
        let deep = format!("{}a{}", "{".repeat(300), "}".repeat(300));
        assert!(GlobSet::new([deep]).is_err());
        assert!(GlobSet::new(["a".repeat(SURE.0 + 1)]).expect("valid").compiled.get().is_some());
    }

    proptest! {
        #[test]
        fn what_is_accepted_can_be_matched(patterns in prop::collection::vec(r"[a*?/\\\[\]{},!.-]{0,12}", 0..6)) {
            if let Ok(set) = GlobSet::new(patterns.clone()) {
                set.is_match("a/b.c");
                prop_assert!(compile(&patterns).is_ok());
            } else {
                let is_wrong = |pattern: &String| {
                    let p = trimmed(pattern);
                    p.is_empty() || p.starts_with('/') || p.split('/').any(|part| part == "..") || glob(p).is_err()
                };
                prop_assert!(patterns.iter().any(is_wrong));
            }
        }
    }
}
