//! `custody rules new`: a rule file to start from.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::process::ExitCode;

use custody_contract::Diagnostic;

use crate::arguments::RulesNew;
use crate::failure::Failure;
use crate::output;

const TEMPLATE: &str = r#"# Every field is explained in docs/rules.md. Then: custody rules lint FILE && custody rules test FILE
provider = "@provider@"
name = "@name@"

[[rule]]
# Appears in reports, baselines and waivers: never renamed.
id = "@provider@-api-key"
name = "@name@ API key"
# critical: money, an account, other credentials. high: one system. medium: limited reach. low: public by design.
severity = "high"
# What someone who holds it can do, in a sentence.
why = "Reads and changes the account's data through the API."
# Rust regex without look-around, on bytes. The group `secret` is the secret. Guard both ends.
pattern = '''\b(?P<secret>@underscored@_live_[A-Za-z0-9]{32})\b'''
# Every match contains one of them; the longer and rarer, the faster.
keywords = ["@underscored@_live_"]
# The part that a redacted report may show.
prefix = "@underscored@_live_"
# Least Shannon entropy in bits per byte.
entropy = 3.0
# What the pattern alone is worth, 0 to 100.
confidence = 90
# The provider's own description of the format.
references = ["https://docs.example.com/authentication"]
# The page on which it is revoked.
revoke = "https://console.example.com/keys"
remedy = "Revoke it in the console, issue a new one and give it to the systems that use it through the secret backend."
# Templates, never real or made-up tokens: this file is scanned like any other.
examples = [
  "@upper@_API_KEY=@underscored@_live_{{alnum:32}}",
  '{"apiKey": "@underscored@_live_{{alnum:32}}"}',
  'curl -H "Authorization: Bearer @underscored@_live_{{alnum:32}}" https://api.example.com/',
]
negatives = [
  "@upper@_API_KEY=@underscored@_live_{{alnum:31}}",
  "@upper@_API_KEY=@underscored@_live_{{repeat:x:32}}",
  'if key.startswith("@underscored@_live_"):',
]
"#;

pub(super) fn run(arguments: &RulesNew) -> Result<ExitCode, Failure> {
    let provider = &arguments.provider;
    let kebab = provider.len() <= 48
        && provider.starts_with(|c: char| c.is_ascii_lowercase())
        && !provider.ends_with('-')
        && provider.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    let name = arguments.name.as_deref().unwrap_or(provider);
    if !kebab || name.is_empty() || name.chars().any(|c| c.is_control() || c == '"' || c == '\\') {
        let diagnostic = Diagnostic::error("usage", "cannot name a provider so");
        let fix = "the short name is a-z, 0-9 and hyphens, at most 48; the name has no quotation marks or backslashes";
        return Err(Failure::usage(diagnostic.fix(fix)));
    }
    let underscored = provider.replace('-', "_");
    let text = TEMPLATE
        .replace("@provider@", provider)
        .replace("@name@", name)
        .replace("@underscored@", &underscored)
        .replace("@upper@", &underscored.to_ascii_uppercase());
    let Some(path) = &arguments.output else {
        output::print(&text)?;
        return Ok(ExitCode::SUCCESS);
    };
    let shown = path.display().to_string();
    let mut file =
        OpenOptions::new().write(true).create_new(true).open(path).map_err(|e| Failure::unwritable(&shown, &e))?;
    file.write_all(text.as_bytes()).map_err(|e| Failure::unwritable(&shown, &e))?;
    output::print(&format!("Wrote {shown}. Name it under `[scan] rules` in custody.toml.\n"))?;
    Ok(ExitCode::SUCCESS)
}
