//! OpenBao and Vault: policies in JSON or HCL, and what a live server says of a token.
//!
//! A secret manager's token is there to read secrets, so reading them is its business; what gives out new credentials with
//! permissions of their own (`…/creds/…`, `…/issue/…`) is not proven. Grammar: policies concept page of OpenBao.

use std::collections::BTreeMap;

use super::document::{Node, Value, escape};
use super::source::Source;
use super::verdict::{Exposure, GrantPlace, Language, Minimal, OffenceKind, Verdict};
use super::{Input, ProveError, shown};

/// Paths whose writing changes nothing but the caller's own session.
const OWN: &[(&str, &str)] = &[
    ("sys/capabilities-self", "it answers what the token may do"),
    ("auth/token/lookup-self", "it answers what the token is"),
    ("auth/token/renew-self", "it extends the token itself"),
    ("auth/token/revoke-self", "it ends the token itself"),
    ("sys/leases/lookup", "it answers what a lease is"),
    ("sys/leases/renew", "it extends a lease that the caller knows"),
    ("sys/renew", "it extends a lease that the caller knows"),
    ("sys/wrapping/lookup", "it answers what a wrapped answer is"),
    ("sys/wrapping/unwrap", "it opens an answer that was wrapped for the caller"),
    ("sys/wrapping/wrap", "it wraps what the caller already has"),
    ("sys/tools/hash", "it digests what it is given"),
    ("sys/tools/hash/*", "it digests what it is given"),
    ("identity/oidc/provider/+/authorize", "it signs the caller in at an application, as itself"),
    ("cubbyhole/*", "the token's own cubbyhole, which ends with it"),
    ("cubbyhole/+", "the token's own cubbyhole, which ends with it"),
];

pub(super) fn prove(inputs: &[Input<'_>]) -> Result<Verdict, ProveError> {
    let mut verdict = Verdict::new(Language::OpenBao);
    // One path in several policies: what they allow is united, and a deny ends it.
    let mut paths: BTreeMap<String, (Vec<String>, GrantPlace)> = BTreeMap::new();
    for input in inputs {
        let source = Source::of(input)?;
        if source.is_json() {
            json(&source, &mut paths, &mut verdict)?;
        } else {
            hcl(&source, &mut paths)?;
        }
    }
    for (path, (capabilities, at)) in &mut paths {
        capabilities.sort();
        capabilities.dedup();
        grant(path, capabilities.iter().map(String::as_str), at, &mut verdict);
    }
    finish(&mut verdict);
    Ok(verdict)
}

fn finish(verdict: &mut Verdict) {
    if verdict.access > super::Access::ReadOnlyWithNamedExceptions {
        verdict.minimal = Some(Minimal {
            about: "Replace MOUNT and PATH.".into(),
            text: "path \"MOUNT/data/PATH\" {\n  capabilities = [\"read\"]\n}\n".into(),
        });
    }
}

type Paths = BTreeMap<String, (Vec<String>, GrantPlace)>;

fn add(paths: &mut Paths, path: &str, capabilities: Vec<String>, at: GrantPlace) {
    let path = path.trim_start_matches('/');
    let entry = paths.entry(path.to_owned()).or_insert_with(|| (Vec::new(), at));
    entry.0.extend(capabilities);
}

fn json(source: &Source<'_>, paths: &mut Paths, verdict: &mut Verdict) -> Result<(), ProveError> {
    let root = source.json()?;
    let data = root.get("data").unwrap_or(&root);
    if data.get("exact_paths").is_some() || data.get("glob_paths").is_some() || data.get("root").is_some() {
        resultant(source, &root, verdict);
        return Ok(());
    }
    // `bao policy read -format=json` and the API hold the policy in a string.
    if let Some(text) = ["policy", "rules"].iter().find_map(|key| data.get(key)).and_then(Node::text) {
        let inner = Source::new(source.name, text);
        return if inner.is_json() { json(&inner, paths, verdict) } else { hcl(&inner, paths) };
    }
    let bodies: Vec<&Node> = match data.get("path").map(|path| &path.value) {
        Some(Value::Object(_)) => data.get("path").into_iter().collect(),
        Some(Value::Array(items)) => items.iter().collect(),
        _ => {
            return Err(source.fault(
                data.start,
                "no `path` is in it",
                "give a policy, or the answer of sys/internal/ui/resultant-acl",
            ));
        }
    };
    for (path, rules) in bodies.into_iter().flat_map(Node::members) {
        let rules: Vec<&Node> = if rules.is_array() { rules.items().iter().collect() } else { vec![rules] };
        for rule in rules {
            let at = source.at(rule.start, &format!("/path/{}", escape(path)), format!("path {}", shown(path)));
            add(
                paths,
                path,
                capabilities(rule).map_err(|why| source.fault(rule.start, why, "see the policies page of OpenBao"))?,
                at,
            );
        }
    }
    Ok(())
}

fn capabilities(rule: &Node) -> Result<Vec<String>, &'static str> {
    if let Some(list) = rule.get("capabilities") {
        let strings = list.strings().ok_or("capabilities are not a list of strings")?;
        return Ok(strings.into_iter().map(|(text, _)| text.to_owned()).collect());
    }
    match rule.get("policy").and_then(Node::text) {
        Some(policy) => Ok(legacy(policy)),
        None => Ok(Vec::new()),
    }
}

/// The words from before capabilities.
fn legacy(policy: &str) -> Vec<String> {
    let words: &[&str] = match policy {
        "read" => &["read", "list"],
        "write" => &["create", "read", "update", "delete", "list"],
        "sudo" => &["create", "read", "update", "delete", "list", "sudo"],
        "deny" => &["deny"],
        _ => &["(unknown)"],
    };
    words.iter().map(|w| (*w).to_owned()).collect()
}

/// `path "…" { capabilities = […] … }`, the grammar that policies have; comments with `#`, `//`, `/* */`.
fn hcl(source: &Source<'_>, paths: &mut Paths) -> Result<(), ProveError> {
    let tokens = tokens(source)?;
    let mut at = 0;
    let word = |at: usize| tokens.get(at).map(|(token, offset)| (token.as_str(), *offset));
    let mut found = false;
    while let Some((token, offset)) = word(at) {
        if token == "name" || token == "\"name" {
            at += 3;
            continue;
        }
        let path = word(at + 1).and_then(|(path, _)| path.strip_prefix('"'));
        let (true, Some(path), Some(("{", _))) = (token.trim_start_matches('"') == "path", path, word(at + 2)) else {
            return Err(source.fault(offset, "here should be path \"…\" {", "give a policy of OpenBao"));
        };
        let place = source.at(offset, "", format!("path {}", shown(path)));
        at += 3;
        let (mut depth, mut granted) = (1, Vec::new());
        while depth > 0 {
            let Some((token, offset)) = word(at) else {
                return Err(source.fault(source.text.len(), "the policy ends inside a path", "close its brace"));
            };
            match token {
                "{" => depth += 1,
                "}" => depth -= 1,
                "capabilities" | "\"capabilities" if depth == 1 => {
                    if word(at + 1).map(|w| w.0) != Some("=") || word(at + 2).map(|w| w.0) != Some("[") {
                        return Err(source.fault(
                            offset,
                            "capabilities are not a list",
                            "write capabilities = [\"read\"]",
                        ));
                    }
                    at += 3;
                    while let Some((item, _)) = word(at).filter(|(item, _)| *item != "]") {
                        if item != "," {
                            granted.push(item.trim_start_matches('"').to_owned());
                        }
                        at += 1;
                    }
                }
                "policy" | "\"policy" if depth == 1 => {
                    granted.extend(legacy(word(at + 2).map_or("", |(w, _)| w.trim_start_matches('"'))));
                    at += 2;
                }
                _ => {}
            }
            at += 1;
        }
        add(paths, path, granted, place);
        found = true;
    }
    if found { Ok(()) } else { Err(source.fault(0, "no path is in it", "give a policy of OpenBao")) }
}

/// Words, signs, and strings with a leading quote.
fn tokens(source: &Source<'_>) -> Result<Vec<(String, usize)>, ProveError> {
    let (text, bytes) = (source.text, source.text.as_bytes());
    let (mut out, mut at) = (Vec::new(), 0);
    while at < bytes.len() {
        let rest = &text[at..];
        let line_end = rest.find('\n').map_or(text.len(), |n| at + n);
        match bytes[at] {
            b'#' => at = line_end,
            b'/' if rest.starts_with("//") => at = line_end,
            b'/' if rest.starts_with("/*") => {
                at += rest.find("*/").ok_or_else(|| source.fault(at, "a comment does not end", "close it"))? + 2;
            }
            b'"' => {
                let (mut value, mut chars) = (String::from("\""), rest[1..].char_indices());
                let end = loop {
                    match chars.next() {
                        Some((n, '"')) => break n,
                        Some((_, '\\')) => value.extend(chars.next().map(|(_, c)| c)),
                        Some((_, c)) if c != '\n' => value.push(c),
                        _ => return Err(source.fault(at, "a string does not end", "close its quote")),
                    }
                };
                out.push((value, at));
                at += end + 2;
            }
            b'{' | b'}' | b'[' | b']' | b'=' | b',' | b'(' | b')' | b':' => {
                out.push((rest[..1].to_owned(), at));
                at += 1;
            }
            byte if byte.is_ascii_whitespace() => at += 1,
            _ => {
                let end =
                    rest.find(|c: char| c.is_whitespace() || "{}[]=,():\"#".contains(c)).unwrap_or(rest.len()).max(1);
                let end = (end..=rest.len()).find(|e| rest.is_char_boundary(*e)).unwrap_or(rest.len());
                out.push((rest[..end].to_owned(), at));
                at += end;
            }
        }
    }
    Ok(out)
}

/// The paths of policies, sorted, as far as they can be read.
pub(super) fn paths_in<'i>(inputs: impl Iterator<Item = Input<'i>>) -> Vec<String> {
    let mut paths = BTreeMap::new();
    let mut ignored = Verdict::new(Language::OpenBao);
    for input in inputs {
        let Ok(source) = Source::of(&input) else { continue };
        let _ = if source.is_json() { json(&source, &mut paths, &mut ignored) } else { hcl(&source, &mut paths) };
    }
    paths.into_keys().collect()
}

fn resultant(source: &Source<'_>, root: &Node, verdict: &mut Verdict) {
    let data = root.get("data").unwrap_or(root);
    let at = source.at(data.start, "", "live answer");
    let why = "the answer leaves out paths with a plus sign; give the token's policies instead, or prove the reference itself";
    verdict.offend(OffenceKind::Unknown, vec!["paths with +".to_owned()], &at, why);
    if data.get("root").and_then(Node::bool) == Some(true) {
        let at = source.at(data.start, "/data/root", "live answer");
        verdict.offend(OffenceKind::Writes, vec!["root".to_owned()], &at, "a root token may do everything");
    }
    for (key, suffix) in [("exact_paths", ""), ("glob_paths", "*")] {
        for (path, rule) in data.get(key).map(Node::members).unwrap_or_default() {
            let at = source.at(
                rule.start,
                &format!("/data/{key}/{}", escape(path)),
                format!("path {}{suffix}", shown(path)),
            );
            match capabilities(rule) {
                Ok(granted) => grant(&format!("{path}{suffix}"), granted.iter().map(String::as_str), &at, verdict),
                Err(why) => verdict.offend(OffenceKind::Unknown, vec![shown(path)], &at, why),
            }
        }
    }
}

/// Judges what is allowed on one path.
fn grant<'c>(path: &str, capabilities: impl Iterator<Item = &'c str>, at: &GrantPlace, verdict: &mut Verdict) {
    let capabilities: Vec<&str> = capabilities.collect();
    if capabilities.contains(&"deny") {
        return;
    }
    let own = OWN.iter().find(|(known, _)| *known == path);
    let makes_credentials = path
        .split('/')
        .any(|part| ["creds", "static-creds", "issue", "sign", "token", "login"].contains(&part.trim_end_matches('*')))
        && !path.starts_with("cubbyhole")
        && own.is_none();
    // A glob over a whole mount reaches `creds/` of an engine that makes credentials; which engine it is, is not said.
    let mount = path.split('/').next().unwrap_or_default();
    let is_wide = mount.contains(['*', '+'])
        || (path.matches('/').count() == 1
            && path.ends_with('*')
            && !["kv", "secret", "cubbyhole", "sys"].iter().any(|m| mount.starts_with(m)));
    for capability in capabilities {
        verdict.allowed += 1;
        let name = || vec![format!("{} on {}", shown(capability), shown(path))];
        match capability {
            "root" => verdict.offend(OffenceKind::Writes, name(), at, "a root token may do everything"),
            "sudo" => {
                verdict.offend(OffenceKind::ManagesPermissions, name(), at, "sudo opens the server's protected paths")
            }
            "create" | "update" | "patch" | "delete" | "recover" => match own {
                Some((_, why)) => verdict.except(name().remove(0), at, *why),
                None => verdict.offend(OffenceKind::Writes, name(), at, "the capability writes"),
            },
            "read" if makes_credentials => {
                verdict.reads(Exposure::ReadsCredentials, name(), at, "it makes new credentials");
                verdict.offend(
                    OffenceKind::Delegates,
                    name(),
                    at,
                    "the credentials that it makes have permissions that are not known here",
                );
            }
            "read" if is_wide => {
                verdict.reads(Exposure::ReadsCredentials, name(), at, "it gives secrets");
                verdict.offend(
                    OffenceKind::Unknown,
                    name(),
                    at,
                    "the glob may reach an engine that makes new credentials; name the paths",
                );
            }
            "read" if own.is_some() || path.starts_with("sys/") => {}
            "read" | "subscribe" => verdict.reads(Exposure::ReadsCredentials, name(), at, "it gives secrets"),
            "list" | "scan" => {}
            _ => verdict.offend(OffenceKind::Unknown, name(), at, "the capability is not known"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Access, Exposure, Input, Language, ProveOptions, Verdict, prove};
    use super::paths_in;

    fn judged(text: &str) -> Verdict {
        prove(&[Input::grant("p.hcl", text.as_bytes())], &ProveOptions::default()).expect("a policy")
    }

    #[test]
    fn policies_in_hcl_and_json() {
        let text = "# billing\npath \"kv/data/finops/*\" { capabilities = [\"read\", \"list\",] }\npath \"sys/capabilities-self\" { capabilities = [\"update\"] }\n";
        let verdict = judged(text);
        assert_eq!(
            (verdict.access, verdict.exposure),
            (Access::ReadOnlyWithNamedExceptions, Exposure::ReadsCredentials)
        );
        assert!(verdict.is_proven(Language::OpenBao.usual_exposure()));
        assert_eq!(judged("path \"kv/+/x\" {\n  capabilities = [\"patch\"]\n}").access, Access::NotReadOnly);
        assert_eq!(judged("path \"a\" { policy = \"write\" }").access, Access::NotReadOnly);
        assert_eq!(judged(r#"{"path":{"kv/*":{"capabilities":["read"]}}}"#).access, Access::ProvedReadOnly);
        assert_eq!(judged("path \"aws/creds/x\" { capabilities = [\"read\"] }").access, Access::NotProven);
        assert_eq!(
            judged("path \"a\" { capabilities = [\"sudo\"] }\npath \"a\" { capabilities = [\"deny\"] }").access,
            Access::ProvedReadOnly
        );
    }

    #[test]
    fn broken_policies_are_refused() {
        for text in ["path \"a\" {", "path \"a {}", "path a {}", "/* x", "path \"a\" { capabilities = \"x\" }"] {
            let options = ProveOptions { language: Some(Language::OpenBao), ..ProveOptions::default() };
            assert!(prove(&[Input::grant("p", text.as_bytes())], &options).is_err(), "{text}");
        }
    }

    #[test]
    fn the_resultant_acl_by_itself_proves_nothing_for_it_leaves_out_paths_with_a_plus() {
        let whole = r#"{"data":{"exact_paths":{"kv/data/a":{"capabilities":["read"]}},"glob_paths":{}}}"#;
        let judged = |text: &str| {
            let options = ProveOptions { language: Some(Language::OpenBao), ..ProveOptions::default() };
            prove(&[Input::grant("acl.json", text.as_bytes())], &options).expect("an answer")
        };
        assert_eq!(judged(whole).access, Access::NotProven);
        let worse = r#"{"data":{"glob_paths":{"kv/":{"capabilities":["update"]}}}}"#;
        assert_eq!(judged(worse).access, Access::NotReadOnly);
        assert_eq!(judged(r#"{"data":{"root":true}}"#).access, Access::NotReadOnly);
    }

    #[test]
    fn the_default_policy_is_no_obstacle() {
        let default = "path \"sys/tools/hash/*\" { capabilities = [\"update\"] }\npath \"cubbyhole/*\" { capabilities = [\"create\", \"read\", \"update\", \"delete\", \"list\"] }\npath \"identity/oidc/provider/+/authorize\" { capabilities = [\"read\", \"update\"] }\n";
        assert_eq!(judged(default).access, Access::ReadOnlyWithNamedExceptions);
        let paths = paths_in([Input::grant("p", default.as_bytes())].into_iter());
        assert_eq!(paths, ["cubbyhole/*", "identity/oidc/provider/+/authorize", "sys/tools/hash/*"]);
    }
}
