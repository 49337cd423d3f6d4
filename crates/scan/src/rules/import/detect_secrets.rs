//! detect-secrets: its baseline, which holds the settings of plugins and filters, and plugins of one's own, as its README
//! and its documentation of plugins describe them.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::{Collector, Draft, ImportError, Imported, MAX_BYTES, kebab, name_group};

const TOOL: &str = "detect-secrets";

/// Its plugins, and the rules here that find the same.
#[rustfmt::skip]
const PLUGINS: &[(&str, &[&str])] = &[
    ("ArtifactoryDetector", &["artifactory-api-key"]),
    ("AWSKeyDetector", &["aws-access-key-id", "aws-secret-access-key"]),
    ("AzureStorageKeyDetector", &["azure-storage-account-key"]),
    ("Base64HighEntropyString", &["secret-assignment"]),
    ("BasicAuthDetector", &["basic-auth-url"]),
    ("CloudantDetector", &["basic-auth-url"]),
    ("DiscordBotTokenDetector", &["discord-bot-token"]),
    ("GitHubTokenDetector", &["github-pat-classic", "github-oauth-token", "github-app-user-token", "github-app-installation-token", "github-refresh-token"]),
    ("GitLabTokenDetector", &["gitlab-pat", "gitlab-deploy-token"]),
    ("HexHighEntropyString", &["secret-assignment"]),
    ("IbmCloudIamDetector", &["ibm-cloud-api-key"]),
    ("IbmCosHmacDetector", &["secret-assignment"]),
    ("IPPublicDetector", &[]),
    ("JwtTokenDetector", &["jwt"]),
    ("KeywordDetector", &["password-assignment", "password-setting", "secret-assignment"]),
    ("MailchimpDetector", &["mailchimp-api-key"]),
    ("NpmDetector", &["npm-access-token", "npm-registry-auth"]),
    ("OpenAIDetector", &["openai-api-key", "openai-project-key"]),
    ("PrivateKeyDetector", &["private-key-pem", "private-key-openssh", "private-key-encrypted", "private-key-pgp"]),
    ("PypiTokenDetector", &["pypi-api-token", "pypi-test-api-token"]),
    ("SendGridDetector", &["sendgrid-api-key"]),
    ("SlackDetector", &["slack-bot-token", "slack-user-token", "slack-webhook"]),
    ("SoftlayerDetector", &["secret-assignment"]),
    ("SquareOAuthDetector", &["square-access-token", "square-application-secret"]),
    ("StripeDetector", &["stripe-secret-key", "stripe-restricted-key"]),
    ("TelegramBotTokenDetector", &["telegram-bot-token"]),
    ("TwilioKeyDetector", &["twilio-account-sid", "twilio-api-key-sid"]),
];

#[derive(Deserialize)]
struct Baseline {
    plugins_used: Vec<Plugin>,
    #[serde(default)]
    filters_used: Vec<Filter>,
    #[serde(default)]
    results: BTreeMap<String, Vec<Value>>,
}

#[derive(Deserialize)]
struct Plugin {
    name: String,
    path: Option<String>,
    limit: Option<f64>,
    #[serde(default)]
    keyword_exclude: String,
}

#[derive(Deserialize)]
struct Filter {
    path: String,
    pattern: Option<Value>,
}

/// Imports a baseline (`.secrets.baseline`): gives a piece of `custody.toml` that switches off what its settings leave out.
///
/// # Errors
///
/// [`ImportError`] if the text is no baseline.
pub fn baseline(text: &str) -> Result<Imported, ImportError> {
    let error = |problem: String| ImportError { tool: TOOL, problem };
    if text.len() > MAX_BYTES {
        return Err(error(format!("it has more than {MAX_BYTES} bytes")));
    }
    let baseline: Baseline = serde_json::from_str(text).map_err(|e| error(e.to_string()))?;
    let mut out = Imported::default();
    let used = |name: &str| baseline.plugins_used.iter().any(|plugin| plugin.name == name);
    let kept: Vec<&str> =
        PLUGINS.iter().filter(|(name, _)| used(name)).flat_map(|(_, rules)| rules.iter().copied()).collect();
    let mut off: Vec<&str> =
        PLUGINS.iter().filter(|(name, _)| !used(name)).flat_map(|(_, rules)| rules.iter().copied()).collect();
    off.retain(|rule| !kept.contains(rule));
    off.sort_unstable();
    off.dedup();
    if !off.is_empty() {
        let list: String = off.iter().map(|rule| format!("  {rule:?},\n")).collect();
        out.text = format!(
            "# For custody.toml: plugins that the baseline does not use.\n[scan]\ndisabled-rules = [\n{list}]\n"
        );
        out.notes
            .push("a rule of High or Critical severity needs a waiver to be switched off; better leave it on".into());
    }
    for plugin in &baseline.plugins_used {
        if let Some(path) = &plugin.path {
            let path = path.strip_prefix("file://").unwrap_or(path);
            out.left_out.push(format!("plugin `{}`: import `{path}` by itself", plugin.name));
        } else if !PLUGINS.iter().any(|(name, _)| *name == plugin.name) {
            out.left_out.push(format!("plugin `{}`: unknown", plugin.name));
        } else if PLUGINS.iter().any(|(name, rules)| *name == plugin.name && rules.is_empty()) {
            out.left_out.push(format!("plugin `{}`: no secret, so no rule", plugin.name));
        }
        if let Some(limit) = plugin.limit {
            let what = "custody weighs names and context beside it, so it takes no limit";
            out.notes.push(format!("plugin `{}`: entropy limit {limit}: {what}", plugin.name));
        }
        if !plugin.keyword_exclude.is_empty() {
            out.left_out.push(format!("plugin `{}`: `keyword_exclude`: exclude files or lines instead", plugin.name));
        }
    }
    for filter in baseline.filters_used.iter().filter(|filter| filter.pattern.is_some()) {
        let what = "exclude the files in custody.toml, or allow the line with `custody:allow`, both with a reason";
        out.left_out.push(format!("filter `{}`: {what}", filter.path));
    }
    let findings: usize = baseline.results.values().map(Vec::len).sum();
    if findings > 0 {
        let what = "they are kept as SHA-1 of the secret, which custody does not compute: look at them again, then `custody baseline`";
        out.left_out.push(format!("{findings} findings: {what}"));
    }
    Ok(out)
}

/// Imports a plugin (Python) that says what it finds in `secret_type` and a `denylist` of `re.compile(…)`. It is read,
/// never run.
///
/// # Errors
///
/// [`ImportError`] if the text has no such list.
pub fn plugin(text: &str, provider: &str) -> Result<Imported, ImportError> {
    let error = |problem: &str| ImportError { tool: TOOL, problem: problem.to_owned() };
    if text.len() > MAX_BYTES {
        return Err(error("it is too long"));
    }
    let kind = text.split("secret_type").nth(1).and_then(|rest| string(rest.split_once('=')?.1.trim_start()));
    let name = kind.unwrap_or_else(|| provider.to_owned());
    let patterns: Vec<&str> = text.match_indices("re.compile(").map(|(at, call)| &text[at + call.len()..]).collect();
    if patterns.is_empty() {
        return Err(error("it has no `re.compile(…)`: only plugins with a `denylist` can be read"));
    }
    let mut out = Collector::new(provider, name.clone());
    for (index, rest) in patterns.iter().enumerate() {
        let id = kebab(&if patterns.len() == 1 { name.clone() } else { format!("{name} {}", index + 1) });
        let Some(pattern) = string(rest.trim_start()) else {
            out.imported.left_out.push(format!("rule `{id}`: its pattern is put together when the plugin runs"));
            continue;
        };
        let ignores_case = rest.split_once(')').is_some_and(|_| flags(rest));
        let pattern = name_group(&pattern, 1).unwrap_or(pattern);
        let pattern = if ignores_case { format!("(?i){pattern}") } else { pattern };
        out.add(Draft::new(id, name.clone(), TOOL, pattern));
    }
    Ok(out.finish())
}

/// Whether the call says `re.IGNORECASE` before the next one begins.
fn flags(rest: &str) -> bool {
    let end = rest.find("re.compile(").unwrap_or(rest.len());
    rest[..end].contains("re.IGNORECASE") || rest[..end].contains("re.I)") || rest[..end].contains("re.I,")
}

/// The Python string literal, or literals side by side, at the start of the text. `None` for what is computed.
fn string(text: &str) -> Option<String> {
    let mut out = String::new();
    let mut rest = text;
    let mut any = false;
    loop {
        let body = rest.trim_start_matches(['r', 'R', 'b', 'B', 'u']);
        let raw = rest[..rest.len() - body.len()].contains(['r', 'R']);
        let quote = body.chars().next().filter(|c| *c == '"' || *c == '\'');
        let Some(quote) = quote else { break };
        let triple: String = std::iter::repeat_n(quote, 3).collect();
        let mark = if body.starts_with(&triple) { triple } else { quote.to_string() };
        let inner = &body[mark.len()..];
        let mut end = 0;
        while !inner[end..].starts_with(&mark) {
            let c = inner[end..].chars().next()?;
            end += c.len_utf8();
            if c == '\\' {
                end += inner[end..].chars().next()?.len_utf8();
            }
        }
        let literal = &inner[..end];
        out.push_str(&if raw {
            literal.to_owned()
        } else {
            literal.replace("\\\\", "\\").replace("\\\"", "\"").replace("\\'", "'")
        });
        any = true;
        rest = inner[end + mark.len()..].trim_start();
    }
    let ends = rest.is_empty()
        || rest.starts_with([',', ')', '#', '\n'])
        || !any
        || rest.starts_with(|c: char| c.is_alphabetic());
    (any && ends).then_some(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::RuleSet;

    #[test]
    fn every_plugin_is_known_by_rules_that_exist() {
        let rules = RuleSet::builtin();
        for (plugin, ids) in PLUGINS {
            for id in *ids {
                assert!(rules.get(id).is_some(), "{plugin}: {id}");
            }
        }
    }

    #[test]
    fn a_baseline_switches_off_what_it_does_not_use_and_names_the_rest() {
        let used: Vec<String> = PLUGINS
            .iter()
            .filter(|(name, _)| *name != "StripeDetector")
            .map(|(name, _)| format!(r#"{{"name": "{name}"}}"#))
            .collect();
        let text = format!(
            r#"{{"version": "1.5.0", "plugins_used": [{}, {{"name": "Own", "path": "file://p/own.py"}}],
                "filters_used": [{{"path": "detect_secrets.filters.regex.should_exclude_line", "pattern": ["x"]}}],
                "results": {{"a.py": [{{"type": "Secret Keyword"}}]}}}}"#,
            used.join(",")
        );
        let imported = baseline(&text).expect("a baseline");
        assert!(imported.text.contains("\"stripe-secret-key\""), "{}", imported.text);
        assert!(!imported.text.contains("secret-assignment"));
        for left in ["p/own.py", "should_exclude_line", "1 findings", "IPPublicDetector"] {
            assert!(imported.left_out.iter().any(|l| l.contains(left)), "{left}: {:#?}", imported.left_out);
        }
        assert!(baseline("{}").is_err() && baseline("[").is_err());
    }

    #[test]
    fn a_plugins_patterns_become_rules() {
        let text = r#"
import re
from detect_secrets.plugins.base import RegexBasedDetector

class CorpDetector(RegexBasedDetector):
    """Scans for corp tokens."""
    secret_type = 'Corp Token'
    denylist = [
        re.compile(r'corp_tok_[0-9a-f]{32}'),
        re.compile(
            r'corp-key\s*=\s*'
            r'(ck[0-9a-z]{24})', re.IGNORECASE,
        ),
        re.compile(PREFIX + r'x'),
        re.compile(r'(?<!x)corpus[0-9]{8}'),
    ]
"#;
        let imported = plugin(text, "corp").expect("a plugin");
        assert_eq!(imported.rules, 2, "{imported:#?}");
        let rules = RuleSet::from_toml(&imported.text, "corp.toml").expect("a rule file");
        assert_eq!(&*rules.get("corp-token-1").expect("first").keywords, ["corp_tok_"]);
        assert!(rules.get("corp-token-2").expect("second").pattern.starts_with("(?i)corp-key"));
        assert_eq!(imported.left_out.len(), 2);
        assert!(plugin("print('hello')", "corp").is_err());
    }
}
