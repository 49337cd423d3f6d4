//! What is allowed in a rule file and yet unwise.

use super::Rule;
use super::cases::{CaseKind, expand};
use super::format::MAX_REACH;
use crate::engine::{Engine, Input, Scratch};

/// Fewest examples, and fewest negatives.
pub const MIN_CASES: usize = 3;

/// Names that stand in all code: as a keyword, each makes the engine try the pattern far too often.
const COMMON: &[&str] =
    &["key", "api", "token", "secret", "password", "auth", "user", "http", "https", "name", "value", "data", "id"];

/// What is unwise about a rule, in sentences. `engine` has all rules: text in the file that one of them finds is named too.
pub fn rule(rule: &Rule, engine: &Engine) -> Vec<String> {
    let mut out = Vec::new();
    for (what, list) in [("examples", &rule.examples), ("negatives", &rule.negatives)] {
        if list.len() < MIN_CASES {
            out.push(format!("it has {} of at least {MIN_CASES} `{what}`", list.len()));
        }
    }
    if rule.references.is_empty() {
        out.push("`references` names no page that describes the format".into());
    }
    if !rule.id.starts_with(&*rule.provider) && !rule.generic {
        out.push(format!("`id` does not begin with the provider, `{}`", rule.provider));
    }
    keywords(rule, &mut out);
    if rule.shape.extent.is_some_and(|extent| extent > rule.reach) && rule.reach < MAX_REACH {
        out.push(format!("a match can be longer than `reach`, {} bytes, and is cut or missed then", rule.reach));
    }
    if rule.entropy == 0.0
        && rule.checksum.is_none()
        && rule.prefix.is_empty()
        && rule.placeholders
        && !rule.generic
        && is_open(rule)
    {
        out.push("neither `entropy` nor `checksum` tells a secret from a word".into());
    }
    literals(rule, engine, &mut out);
    out
}

fn keywords(rule: &Rule, out: &mut Vec<String>) {
    if rule.shape.lead.is_none() {
        out.push(
            "a match need not contain a keyword: the engine has to look far around each, and misses what is farther"
                .into(),
        );
    }
    for (index, keyword) in rule.keywords.iter().enumerate() {
        let known = rule.follow.get(index).map_or(0, |sets| sets.len());
        if keyword.len() + known < 3 {
            out.push(format!("keyword {keyword:?} is shorter than three bytes, with what must follow it"));
        }
        if !rule.generic && rule.gate.is_none() && COMMON.contains(&keyword.to_ascii_lowercase().as_str()) {
            out.push(format!("keyword {keyword:?} stands in all code: take a longer one"));
        }
    }
}

/// Whether the pattern is nothing but context and an open class.
fn is_open(rule: &Rule) -> bool {
    rule.shape.run.is_some() && rule.shape.lead == Some(0) && !rule.pattern.starts_with("(?P<secret>")
}

/// No text of a rule file may be a finding: the file would be one.
fn literals(rule: &Rule, engine: &Engine, out: &mut Vec<String>) {
    let mut scratch = Scratch::default();
    let mut matches = Vec::new();
    for (kind, list) in [(CaseKind::Example, &rule.examples), (CaseKind::Negative, &rule.negatives)] {
        for (index, case) in list.iter().enumerate() {
            if let Err(error) = expand(&rule.id, kind, index, case) {
                out.push(error.to_string());
            }
            matches.clear();
            engine.scan(
                &mut scratch,
                &Input::new(case.as_bytes(), None, custody_contract::Surface::Stdin),
                &mut matches,
            );
            if let Some(found) = matches.iter().find(|m| !engine.rules().rule(m.rule).generic) {
                let name = if kind == CaseKind::Example { "example" } else { "negative" };
                let by = &engine.rules().rule(found.rule).id;
                out.push(format!("{name} {} has a secret in it, which `{by}` finds: write a template", index + 1));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::RuleSet;

    #[test]
    fn the_builtin_rules_are_without_fault() {
        let engine = Engine::builtin();
        let faults: Vec<String> = engine
            .rules()
            .iter()
            .flat_map(|r| rule(r, &engine).into_iter().map(move |fault| format!("{}: {fault}", r.id)))
            .filter(|fault| !fault.contains("does not begin with") && !fault.starts_with("aws-secret-access-key"))
            .collect();
        assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
    }

    #[test]
    fn unwise_rules_are_told() {
        let secret = ["gh", "p_"].concat() + "0".repeat(5).as_str();
        let text = format!(
            "provider = \"acme\"\nname = \"Acme\"\n[[rule]]\nid = \"other-key\"\nname = \"n\"\nseverity = \"high\"\nwhy = \"w\"\n\
             pattern = '''(?:token[a-z]{{3,900}}|x{{4}})'''\nkeywords = [\"token\"]\nreferences = []\nremedy = \"r\"\n\
             examples = [\"{secret}\"]\nnegatives = [\"{{{{alnum:many}}}}\"]\n"
        );
        let mut rules = RuleSet::from_toml(&text, "own.toml").expect("valid");
        rules.extend(RuleSet::builtin());
        let engine = Engine::new(rules);
        let faults = rule(engine.rules().get("other-key").expect("there"), &engine).join("\n");
        for part in [
            "examples",
            "negatives",
            "references",
            "provider",
            "need not contain",
            "all code",
            "longer than",
            "unknown case",
        ] {
            assert!(faults.contains(part), "{part} in:\n{faults}");
        }
    }
}
