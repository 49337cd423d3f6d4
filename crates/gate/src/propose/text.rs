//! The proposal as TOML, with comments for those who complete it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use custody_contract::file::{GlobSet, KeyType};
use custody_contract::{Environment, Surface};

use super::found::{Found, FoundReference};

const HEAD: &str = "\
#:schema https://custody.dev/schemas/custody.schema.json
# The contract that this repository is held to: `custody check` evaluates it, `custody explain` says what a clause means.
# It adds to the built-in profile; `custody contract schema` prints everything that may stand here.

";

const TAIL: &str = "
# --- Decisions ------------------------------------------------------------------------------------------------------
# A finding or clause that need not block for a while. Without owner, reason and expiry it does not count.
# [[waiver]]
# id = \"rotated-sandbox-key\"
# fingerprint = \"…\"            # or rule = \"…\", or clause = \"ENV-5c\"
# owner = \"platform\"
# reason = \"rotated on 2026-01-31, stays in history\"
# expires = 2026-12-31
";

pub(super) fn write(found: &Found) -> String {
    let mut text = String::from(HEAD);
    profile(found, &mut text);
    environments(found, &mut text);
    keys(found, &mut text);
    surfaces(found, &mut text);
    credentials(found, &mut text);
    text.push_str(TAIL);
    text
}

fn profile(found: &Found, text: &mut String) {
    let other = match found.profile.profile.as_str() {
        "custody" => {
            "# All clauses, and no keys but your own. \"ficecal\" adds the keys, tools and validators of FiceCal."
        }
        _ => {
            "# All clauses, with the keys, billing tools and validators of FiceCal. \"custody\" has the clauses alone."
        }
    };
    let _ = writeln!(text, "{other}\ncontract = \"{}\"\n", found.profile.profile);
    text.push_str("# What `custody check` evaluates unless --env says otherwise: local, stage or prod.\n");
    text.push_str("default-environment = \"prod\"\n");
}

fn environments(found: &Found, text: &mut String) {
    text.push_str("\n# --- Environments: where each one's keys are set (ENV-1, ENV-2) ---\n");
    for environment in Environment::ALL {
        let known = found.profile.environments.get(environment);
        let own = |found: &BTreeMap<Environment, BTreeSet<String>>, known: Option<&GlobSet>| {
            let paths = found.get(&environment)?;
            // Naming one file replaces the profile's list, so all or none are named.
            let covered = known.is_some_and(|globs| paths.iter().all(|p| globs.is_match(p)));
            (!covered).then(|| patterns(paths))
        };
        let templates = own(&found.templates, known.map(|k| &k.templates));
        let deployments = own(&found.deployments, known.map(|k| &k.deployments));
        if templates.is_none() && deployments.is_none() {
            let seen = [&found.templates, &found.deployments].into_iter().filter_map(|f| f.get(&environment)).flatten();
            let seen: Vec<String> = seen.map(|path| quoted(path)).collect();
            let seen = if seen.is_empty() {
                "nothing found".to_owned()
            } else {
                format!("{}, by the profile", seen.join(", "))
            };
            let _ = writeln!(text, "# [environments.{environment}]: {seen}");
            continue;
        }
        let _ = writeln!(text, "[environments.{environment}]");
        for (name, value) in [("templates", templates), ("deployments", deployments)] {
            if let Some(value) = value {
                let _ = writeln!(text, "{name} = {value}");
            }
        }
    }
}

fn keys(found: &Found, text: &mut String) {
    text.push_str("\n# --- Keys beyond the profile's: say where each is required (ENV-1, ENV-2) ---\n");
    if found.keys.is_empty() {
        text.push_str("# [[key]]\n# name = \"STRIPE_API_KEY\"\n# required = [\"stage\", \"prod\"]\n# secret = true\n");
    }
    for (name, key) in &found.keys {
        let _ = writeln!(text, "[[key]]  # {}\nname = {}", places(&key.paths), quoted(name));
        let kind = match key.kind {
            KeyType::Url => Some("url"),
            KeyType::Port => Some("port"),
            KeyType::Boolean => Some("boolean"),
            KeyType::CredentialRef => Some("credential-ref"),
            _ => None,
        };
        if let Some(kind) = kind {
            let _ = writeln!(text, "type = \"{kind}\"");
        }
        if key.secret {
            text.push_str("secret = true\n");
        }
        text.push_str("# required = [\"stage\", \"prod\"]\n# description = \"\"\n\n");
    }
}

fn surfaces(found: &Found, text: &mut String) {
    text.push_str("\n# --- Surfaces beyond the profile's (ENV-5b to ENV-5e) ---\n[surfaces]\n");
    for (name, surface) in [
        ("fixtures", Surface::Fixtures),
        ("screenshots", Surface::Screenshots),
        ("logs", Surface::Logs),
        ("evidence", Surface::Evidence),
    ] {
        match found.surfaces.get(&surface) {
            Some(paths) => {
                let _ = writeln!(text, "{name} = {}", patterns(paths));
            }
            None => {
                let _ = writeln!(text, "# {name} = []");
            }
        }
    }
    text.push_str("# [[surfaces.exclude]]\n# paths = [\"third_party\"]\n# reason = \"vendored, scanned upstream\"\n");
}

fn credentials(found: &Found, text: &mut String) {
    text.push_str("\n# --- Credentials: who answers for each, and when it was last rotated (ROT-1) ---\n");
    text.push_str(ENTRY);
    for (reference, seen) in &found.references {
        let _ = writeln!(text, "\n[[credential]]  # {}\nreference = \"{reference}\"", places(&seen.paths));
        text.push_str(&environments_of(seen));
        text.push_str(
            "# owner = \"\"\n# contact = \"\"\n# window = \"90d\"\n# procedure = \"\"\n# last-rotation = 2026-01-31\n",
        );
    }
}

const ENTRY: &str = "\
# In stage and prod the check fails until every entry has all of these:
# [[credential]]
# reference = \"cred://aws/production/readonly\"
# owner = \"team-platform\"
# contact = \"platform@example.com\"
# window = \"90d\"
# procedure = \"docs/rotation.md\"
# last-rotation = 2026-01-31
# environments = [\"prod\"]        # those that can reach it; all, if left out
# grace = \"7d\"                   # how long old and new are both valid
# backend = \"openbao\"
";

fn environments_of(seen: &FoundReference) -> String {
    if seen.environments.is_empty() {
        return "# environments = [\"stage\", \"prod\"]  # which ones reach it? nothing found says so; left out, all do\n"
            .to_owned();
    }
    let names: Vec<String> = seen.environments.iter().map(|e| quoted(e.as_str())).collect();
    format!("environments = [{}]\n", names.join(", "))
}

/// Where something was found, for a comment: up to three files, quoted, so that no path ends the comment.
fn places(paths: &BTreeSet<String>) -> String {
    let mut shown: Vec<String> = paths.iter().take(3).map(|path| quoted(path)).collect();
    if paths.len() > shown.len() {
        shown.push(format!("{} more", paths.len() - shown.len()));
    }
    format!("in {}", shown.join(", "))
}

/// Paths as patterns that match them and nothing else.
fn patterns(paths: &BTreeSet<String>) -> String {
    let items: Vec<String> = paths.iter().map(|path| quoted(&literal(path))).collect();
    format!("[{}]", items.join(", "))
}

/// A pattern's special characters taken literally.
fn literal(path: &str) -> String {
    let special = |c: char| matches!(c, '*' | '?' | '[' | ']' | '{' | '}' | '\\' | '!');
    path.chars().flat_map(|c| special(c).then_some('\\').into_iter().chain([c])).collect()
}

/// A TOML basic string on one line; characters that a terminal or another reader would take for more are escaped.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            // Control characters, and what shows nothing or turns the direction of reading.
            c if c != '\'' && c.escape_debug().len() > 1 => {
                let _ = write!(out, "\\U{:08X}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}
