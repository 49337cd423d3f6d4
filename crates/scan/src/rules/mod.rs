//! Detection rules as data: how one kind of secret is recognised, how bad it is, what to do about it.
//!
//! The built-in rules stand in `rules/*.toml`, one file a provider, and are turned into statics by the build script.
//! A repository's own files have the same format and are parsed by [`RuleSet::from_toml`].

use std::borrow::Cow;
use std::ops::Deref;
use std::sync::Arc;

use custody_contract::Severity;

mod alphabet;
mod builtin;
pub mod cases;
pub mod checksum;
pub(crate) mod follow;
mod format;
pub mod import;
mod kinds;
pub mod lint;
mod load;
mod shape;
mod structure;

pub use alphabet::Alphabet;
pub(crate) use format::ENGINE_VERSION;
pub use kinds::{Checksum, Gate};
pub use load::RuleFileError;
pub use shape::Shape;

/// The JSON Schema of rule files.
pub const RULE_FILE_SCHEMA: &str = include_str!("../../../../schemas/custody.rules-1.schema.json");

/// How one kind of secret is recognised.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Rule {
    /// Short name of the provider, which is also its file's name.
    pub provider: Cow<'static, str>,
    /// The provider's name for people.
    pub provider_name: Cow<'static, str>,
    /// Unique id, kebab-case.
    pub id: Cow<'static, str>,
    /// The rule's name for people.
    pub name: Cow<'static, str>,
    /// How bad a finding is if it is real.
    pub severity: Severity,
    /// The reason for the severity.
    pub why: Cow<'static, str>,
    /// The pattern, over bytes; the group `secret`, if there is one, is the secret.
    pub pattern: Cow<'static, str>,
    /// Literals around which the pattern is tried, in any case of ASCII letters.
    pub keywords: Cow<'static, [Cow<'static, str>]>,
    /// Public literal prefix that redaction may show; may be empty.
    pub prefix: Cow<'static, str>,
    /// Least Shannon entropy of the secret, in bits per byte.
    pub entropy: f32,
    /// Structural validator.
    pub checksum: Option<Checksum>,
    /// Cheap check at each keyword.
    pub gate: Option<Gate>,
    /// Longest match in bytes, with context.
    pub reach: u32,
    /// Confidence before anything is known of the candidate.
    pub confidence: u8,
    /// Whether it yields to any other rule whose secret overlaps.
    pub generic: bool,
    /// Whether documentation examples and placeholders are dropped.
    pub placeholders: bool,
    /// Where to read about this kind of secret.
    pub references: Cow<'static, [Cow<'static, str>]>,
    /// Page where it is revoked; may be empty.
    pub revoke: Cow<'static, str>,
    /// What to do about a finding.
    pub remedy: Cow<'static, str>,
    /// Case templates that must yield a finding of this rule; see [`cases::expand`].
    pub examples: Cow<'static, [Cow<'static, str>]>,
    /// Case templates that must not.
    pub negatives: Cow<'static, [Cow<'static, str>]>,
    /// What the pattern says about where matches lie.
    pub shape: Shape,
    /// For each keyword, what must stand behind it.
    pub(crate) follow: Cow<'static, [Cow<'static, [follow::ByteSet]>]>,
    /// Over everything that decides what the rule finds and reports.
    pub digest: u64,
}

/// A rule's place in its set. Valid for the set that gave it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RuleIndex(pub(crate) u32);

impl RuleIndex {
    pub(crate) fn as_usize(self) -> usize {
        self.0 as usize
    }
}

/// Rules in order of their ids. Cheap to clone.
#[derive(Debug, Clone)]
pub struct RuleSet {
    rules: Vec<Held>,
}

#[derive(Debug, Clone)]
enum Held {
    Builtin(&'static Rule),
    Own(Arc<Rule>),
}

impl Deref for Held {
    type Target = Rule;

    fn deref(&self) -> &Rule {
        match self {
            Held::Builtin(rule) => rule,
            Held::Own(rule) => rule,
        }
    }
}

impl RuleSet {
    /// The rules that custody brings.
    pub fn builtin() -> Self {
        RuleSet { rules: builtin::RULES.iter().map(Held::Builtin).collect() }
    }

    /// No rules.
    pub fn empty() -> Self {
        RuleSet { rules: Vec::new() }
    }

    /// Parses a repository's own rule file; `origin` is its name in errors. Cases are optional there.
    ///
    /// # Errors
    ///
    /// [`RuleFileError`] with file, line, column, rule and reason.
    pub fn from_toml(text: &str, origin: &str) -> Result<Self, RuleFileError> {
        let mut rules: Vec<Held> = load::load(text, origin)?.into_iter().map(|r| Held::Own(Arc::new(r))).collect();
        rules.sort_by(|a, b| a.id.cmp(&b.id));
        Ok(RuleSet { rules })
    }

    /// Adds the rules of `other`; one with an id that is already there replaces it.
    pub fn extend(&mut self, other: RuleSet) {
        self.rules.retain(|rule| other.get(&rule.id).is_none());
        self.rules.extend(other.rules);
        self.rules.sort_by(|a, b| a.id.cmp(&b.id));
    }

    /// The set without the rules of these ids. Ids that name no rule are ignored; check them with [`RuleSet::get`].
    #[must_use]
    pub fn without<S: AsRef<str>>(mut self, ids: &[S]) -> Self {
        self.rules.retain(|rule| !ids.iter().any(|id| id.as_ref() == rule.id));
        self
    }

    /// The rule of that id.
    pub fn get(&self, id: &str) -> Option<&Rule> {
        let at = self.rules.binary_search_by(|r| (*r.id).cmp(id)).ok()?;
        Some(&self.rules[at])
    }

    /// The place of the rule of that id.
    pub(crate) fn index(&self, id: &str) -> Option<RuleIndex> {
        let at = self.rules.binary_search_by(|r| (*r.id).cmp(id)).ok()?;
        u32::try_from(at).ok().map(RuleIndex)
    }

    /// The rule at that place.
    ///
    /// # Panics
    ///
    /// If the index comes from a larger set.
    pub fn rule(&self, index: RuleIndex) -> &Rule {
        &self.rules[index.as_usize()]
    }

    /// All rules in order of their ids.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Rule> {
        self.rules.iter().map(|r| &**r)
    }

    /// How many rules there are.
    pub fn len(&self) -> usize {
        self.rules.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// Identifies rules and engine: what is clean by one digest may not be by another. 16 hexadecimal digits.
    pub fn digest(&self) -> String {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&ENGINE_VERSION.to_le_bytes());
        self.rules.iter().for_each(|rule| {
            hasher.update(&rule.digest.to_le_bytes());
        });
        hasher.finalize().to_hex()[..16].to_owned()
    }
}

impl std::ops::Index<RuleIndex> for RuleSet {
    type Output = Rule;

    fn index(&self, index: RuleIndex) -> &Rule {
        self.rule(index)
    }
}

#[cfg(test)]
mod tests {
    use custody_contract::Surface;

    use super::cases::{CaseKind, expand};
    use super::*;
    use crate::engine::{Engine, Input, Scratch};

    /// The rules that find something in `text`.
    fn found(engine: &Engine, scratch: &mut Scratch, text: &str) -> Vec<String> {
        let mut matches = Vec::new();
        engine.scan(scratch, &Input::new(text.as_bytes(), None, Surface::WorkingTree), &mut matches);
        matches.iter().map(|m| engine.rules().rule(m.rule).id.to_string()).collect()
    }

    #[test]
    fn every_builtin_rule_holds_its_own_cases() {
        let engine = Engine::builtin();
        let mut scratch = Scratch::default();
        let mut wrong = Vec::new();
        for rule in engine.rules().iter() {
            let cases = [(CaseKind::Example, &rule.examples), (CaseKind::Negative, &rule.negatives)];
            for (kind, list) in cases {
                for (index, case) in list.iter().enumerate() {
                    match expand(&rule.id, kind, index, case) {
                        Err(error) => wrong.push(format!("{}: {error}", rule.id)),
                        Ok(text) => {
                            let found = found(&engine, &mut scratch, &text);
                            if found.iter().any(|id| *id == rule.id) != (kind == CaseKind::Example) {
                                wrong.push(format!("{}: {kind:?} {index} `{case}` gives {found:?}", rule.id));
                            }
                        }
                    }
                }
            }
        }
        assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
    }

    #[test]
    fn every_match_of_a_builtin_pattern_contains_a_keyword() {
        let unsure: Vec<String> =
            RuleSet::builtin().iter().filter(|r| r.shape.lead.is_none()).map(|r| r.id.to_string()).collect();
        assert!(unsure.is_empty(), "{unsure:?}: complete the keywords, or the engine has to look far around them");
    }

    #[test]
    fn every_builtin_pattern_compiles_within_the_engines_limits() {
        for rule in RuleSet::builtin().iter() {
            assert_eq!(crate::engine::compile(&rule.pattern, rule.shape).err(), None, "{}", rule.id);
        }
    }

    const OWN: &str = r#"provider = "acme"
name = "Acme"
[[rule]]
id = "acme-key"
name = "n"
severity = "high"
why = "w"
pattern = '''acme_[a-z]{8}'''
keywords = ["acme_"]
references = []
remedy = "r"
examples = []
negatives = []
"#;

    #[test]
    fn the_published_schema_is_that_of_the_parser() {
        let schema: serde_json::Value = serde_json::from_str(RULE_FILE_SCHEMA).expect("JSON");
        let rule = &schema["$defs"]["rule"];
        let fields = rule["properties"].as_object().expect("an object");
        for (name, field) in fields {
            // Each field is known: another name is refused, and so is another type.
            let text = OWN.replace("remedy = \"r\"", &format!("remedy = \"r\"\n{name} = {{ x = 1 }}"));
            let problem = RuleSet::from_toml(&text, "own.toml").expect_err(name).problem;
            assert!(!problem.contains("unknown field"), "{name}: {problem}");
            assert!(field["description"].is_string(), "{name}");
        }
        let unknown = OWN.replace("remedy = \"r\"", "remedy = \"r\"\nanother = 1");
        let problem = RuleSet::from_toml(&unknown, "own.toml").expect_err("unknown").problem;
        let known = problem.matches('`').count() / 2 - 1;
        assert_eq!(known, fields.len(), "{problem}");
        for required in rule["required"].as_array().expect("a list") {
            let line = format!("{} = ", required.as_str().expect("a name"));
            let text: String = OWN
                .split_inclusive('\n')
                .enumerate()
                .filter(|(n, l)| *n < 3 || !l.starts_with(&line))
                .map(|(_, l)| l)
                .collect();
            assert!(RuleSet::from_toml(&text, "own.toml").is_err(), "{line}");
        }
        let names = |field: &str| {
            fields[field]["enum"]
                .as_array()
                .expect("names")
                .iter()
                .map(|n| n.as_str().expect("text").to_owned())
                .collect::<Vec<_>>()
        };
        assert_eq!(names("checksum"), Checksum::ALL.map(Checksum::as_str));
        assert_eq!(names("gate"), Gate::ALL.map(Gate::as_str));
    }

    #[test]
    fn a_repositorys_own_rules_join_the_builtin_ones() {
        let mut own = RuleSet::from_toml(OWN, "own.toml").expect("valid");
        let shape = own.get("acme-key").map(|r| (r.shape.lead, r.shape.exact, r.shape.extent));
        assert_eq!(shape, Some((Some(0), true, Some(13))));
        let digest = own.digest();
        own.extend(RuleSet::builtin());
        assert_eq!(own.len(), RuleSet::builtin().len() + 1);
        assert_ne!(own.digest(), digest);
        assert!(own.without(&["acme-key"]).get("acme-key").is_none());
    }

    #[test]
    fn faults_of_a_rule_file_are_placed() {
        for (from, to, line) in [
            ("[a-z]{8}", "[a-z{8}", 8),
            ("\"high\"", "\"grave\"", 6),
            ("[\"acme_\"]", "[]", 9),
            ("remedy", "remedi", 11),
            ("acme-key", "Acme", 4),
        ] {
            let error = RuleSet::from_toml(&OWN.replace(from, to), "own.toml").expect_err(to);
            assert_eq!((error.line, error.origin.as_str()), (line, "own.toml"), "{error}");
        }
    }
}
