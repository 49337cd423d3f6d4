//! gitleaks configuration (TOML), as its README describes it: `[[rules]]` with `id`, `description`, `regex`,
//! `secretGroup`, `entropy`, `path`, `keywords`, `allowlists`; `[extend]`; global `[[allowlists]]`.

use serde::Deserialize;

use super::{Collector, Draft, ImportError, Imported, MAX_BYTES, kebab, name_group};

const TOOL: &str = "gitleaks";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    #[serde(default)]
    title: String,
    #[serde(default)]
    rules: Vec<Rule>,
    extend: Option<Extend>,
    allowlist: Option<Allowlist>,
    #[serde(default)]
    allowlists: Vec<Allowlist>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Extend {
    #[serde(default)]
    use_default: bool,
    path: Option<String>,
    #[serde(default)]
    disabled_rules: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Rule {
    #[serde(default)]
    id: String,
    #[serde(default)]
    description: String,
    regex: Option<String>,
    #[serde(default)]
    secret_group: usize,
    entropy: Option<f64>,
    path: Option<String>,
    #[serde(default)]
    keywords: Vec<String>,
    allowlist: Option<Allowlist>,
    #[serde(default)]
    allowlists: Vec<Allowlist>,
    #[serde(default)]
    required: Vec<toml::Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Allowlist {
    #[serde(default)]
    regexes: Vec<String>,
    #[serde(default)]
    paths: Vec<String>,
    #[serde(default)]
    commits: Vec<String>,
    #[serde(default)]
    stopwords: Vec<String>,
}

/// Imports a gitleaks configuration under that provider.
///
/// # Errors
///
/// [`ImportError`] if the text is no such configuration.
pub fn config(text: &str, provider: &str) -> Result<Imported, ImportError> {
    let error = |problem: String| ImportError { tool: TOOL, problem };
    if text.len() > MAX_BYTES {
        return Err(error(format!("it has more than {MAX_BYTES} bytes")));
    }
    let document: Document = toml::from_str(text).map_err(|e| error(e.message().to_owned()))?;
    let name = if document.title.is_empty() { provider.to_owned() } else { document.title.clone() };
    let mut out = Collector::new(provider, name);
    if let Some(extend) = &document.extend {
        if extend.use_default {
            out.imported.notes.push("`extend.useDefault`: custody's built-in rules are always in force".into());
        }
        if let Some(path) = &extend.path {
            out.imported.left_out.push(format!("`extend.path`: import `{path}` too"));
        }
        if !extend.disabled_rules.is_empty() {
            let ids = extend.disabled_rules.join(", ");
            out.imported.left_out.push(format!(
                "`extend.disabledRules` ({ids}): `[scan] disabled-rules` in custody.toml takes custody's ids"
            ));
        }
    }
    for list in document.allowlist.iter().chain(&document.allowlists) {
        allowlist("the whole configuration", list, &mut out.imported.left_out);
    }
    for rule in document.rules {
        add(rule, &mut out);
    }
    Ok(out.finish())
}

fn add(rule: Rule, out: &mut Collector<'_>) {
    let id = kebab(if rule.id.is_empty() { &rule.description } else { &rule.id });
    let shown = if id.is_empty() { "(without an id)" } else { &id };
    let Some(regex) = rule.regex.filter(|regex| !regex.is_empty()) else {
        let what = "it has no `regex`; a file that must not exist is no matter of rules here";
        out.imported.left_out.push(format!("rule `{shown}`: {what}"));
        return;
    };
    if let Some(path) = &rule.path {
        out.imported.notes.push(format!("rule `{shown}`: applies to all files, not only to `{path}`"));
    }
    if !rule.required.is_empty() {
        out.imported.notes.push(format!("rule `{shown}`: applies alone, without its `required` rules"));
    }
    for list in rule.allowlist.iter().chain(&rule.allowlists) {
        allowlist(&format!("rule `{shown}`"), list, &mut out.imported.left_out);
    }
    // Where no group is named, the first is the secret.
    let pattern = match (rule.secret_group, name_group(&regex, rule.secret_group.max(1))) {
        (_, Some(pattern)) => pattern,
        (0, None) => regex,
        (number, None) => {
            out.imported.left_out.push(format!("rule `{shown}`: its `regex` has no group {number}"));
            return;
        }
    };
    let name = if rule.description.is_empty() { id.clone() } else { rule.description };
    let mut draft = Draft::new(id, name, TOOL, pattern);
    draft.entropy = rule.entropy.filter(|entropy| *entropy > 0.0);
    draft.keywords = rule.keywords.into_iter().filter(|k| !k.is_empty()).collect();
    out.add(draft);
}

fn allowlist(of: &str, list: &Allowlist, out: &mut Vec<String>) {
    for (what, items, instead) in [
        ("paths", &list.paths, "exclude the files in custody.toml, with a reason"),
        ("regexes", &list.regexes, "narrow the pattern, or write the case down as a negative"),
        ("stopwords", &list.stopwords, "narrow the pattern; placeholders are told from secrets by themselves"),
        ("commits", &list.commits, "take the findings into the baseline"),
    ] {
        if !items.is_empty() {
            out.push(format!("{of}: {} of the allowlist's `{what}`: {instead}", items.len()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::RuleSet;

    const CONFIG: &str = r#"
title = "Corp"
[extend]
useDefault = true
[[rules]]
id = "Corp_Token"
description = "Corp token"
regex = '''(?i)corp[_-]token\s*=\s*(corp_[a-z0-9]{24})'''
secretGroup = 1
entropy = 3.1
keywords = ["corp_"]
[rules.allowlist]
stopwords = ["example"]
[[rules]]
id = "look-ahead"
regex = '''(?=x)y'''
keywords = ["yyyy"]
[[rules]]
id = "no-keyword"
regex = '''acmekey_[0-9]{12}'''
[[rules]]
id = "hopeless"
regex = '''[a-f0-9]{32}'''
[[rules]]
id = "key-file"
path = '''id_rsa$'''
[[rules]]
id = "group-three"
regex = '''keyword(a)'''
secretGroup = 3
"#;

    #[test]
    fn rules_are_carried_over_and_the_rest_is_named() {
        let imported = config(CONFIG, "corp").expect("a configuration");
        assert_eq!(imported.rules, 2, "{imported:#?}");
        let rules = RuleSet::from_toml(&imported.text, "corp.toml").expect("a rule file");
        let rule = rules.get("corp-token").expect("kebab-case");
        assert!(rule.pattern.contains("(?P<secret>corp_"), "{}", rule.pattern);
        assert!((rule.entropy - 3.1).abs() < 0.001);
        assert_eq!(&*rules.get("no-keyword").expect("kept").keywords, ["acmekey_"]);
        for left in ["look-ahead", "hopeless", "key-file", "group-three", "stopwords"] {
            assert!(imported.left_out.iter().any(|l| l.contains(left)), "{left}: {:#?}", imported.left_out);
        }
        assert!(imported.notes.iter().any(|n| n.contains("useDefault")));
    }

    #[test]
    fn what_is_no_configuration_is_refused() {
        for text in ["[[rules]]\nid = 5", "rules = 3", "\u{0}", "[[[["] {
            assert!(config(text, "corp").is_err(), "{text}");
        }
        assert_eq!(config("", "corp").expect("empty").rules, 0);
    }
}
