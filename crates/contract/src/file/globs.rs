//! Path patterns of the contract file.

use std::borrow::Cow;
use std::fmt;

use globset::GlobBuilder;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize};

/// Path patterns, relative to the repository's root, with `/` between parts.
///
/// `*` and `?` stay within a part, `**` crosses parts, `{a,b}` and `[a-z]` as usual. A pattern without a wildcard
/// names a file, or a directory with everything below it.
#[derive(Clone, Default, Serialize)]
#[serde(transparent)]
pub struct GlobSet {
    patterns: Vec<String>,
    #[serde(skip)]
    compiled: globset::GlobSet,
}

impl GlobSet {
    /// Compiles patterns.
    ///
    /// # Errors
    ///
    /// [`InvalidGlob`] names the first pattern that is not one.
    pub fn new(patterns: impl IntoIterator<Item = String>) -> Result<Self, InvalidGlob> {
        let patterns: Vec<String> = patterns.into_iter().collect();
        let mut builder = globset::GlobSetBuilder::new();
        for pattern in &patterns {
            let invalid = |why: String| InvalidGlob { pattern: pattern.clone(), why };
            let trimmed = pattern.strip_prefix("./").unwrap_or(pattern).trim_end_matches('/');
            if trimmed.is_empty() || trimmed.starts_with('/') || trimmed.split('/').any(|part| part == "..") {
                return Err(invalid("it must be a path below the repository's root".into()));
            }
            let mut add = |glob: &str| -> Result<(), InvalidGlob> {
                let glob = GlobBuilder::new(glob).literal_separator(true).backslash_escape(true).build();
                builder.add(glob.map_err(|error| invalid(error.kind().to_string()))?);
                Ok(())
            };
            add(trimmed)?;
            if !trimmed.ends_with("**") {
                add(&format!("{trimmed}/**"))?;
            }
        }
        let compiled =
            builder.build().map_err(|e| InvalidGlob { pattern: together(&patterns), why: e.kind().to_string() })?;
        Ok(GlobSet { patterns, compiled })
    }

    /// Whether `path` (relative, `/`-separated) matches one of the patterns or stands below a match.
    pub fn is_match(&self, path: &str) -> bool {
        !self.patterns.is_empty() && self.compiled.is_match(path)
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
        // Compiling is most of what loading a contract costs.
        if other.is_empty() || self.is_empty() {
            return Ok(if self.is_empty() { other.clone() } else { self.clone() });
        }
        let mut all = self.patterns.clone();
        all.extend(other.patterns.iter().filter(|p| !self.patterns.contains(p)).cloned());
        GlobSet::new(all)
    }
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
