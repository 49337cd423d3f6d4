//! VAL-2: the repository's own `npm run validate` runs custody, and its exit status counts.
//!
//! npm is not run. The script's text is followed through other scripts of the same `package.json` and of its workspaces,
//! and into script files that it starts.

mod shell;

use std::collections::BTreeSet;

use custody_contract::{Diagnostic, Evaluation, FileTree, Place};
use serde_json::Value;

use shell::{base_name, commands, normalised, without_runner};

const MANIFEST: &str = "package.json";
const SCRIPT: &str = "validate";
/// Scripts that call scripts: no sane chain is longer.
const MAX_DEPTH: usize = 16;
/// Where packaging/ficecal puts the validator that custody answers for.
const SHIM: &str = "validate-billing-canonical-handoff.py";

/// VAL-2.
pub(crate) fn npm_validate(tree: &dyn FileTree) -> Evaluation {
    let content = match tree.read(MANIFEST) {
        Ok(content) => content,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Evaluation::not_applicable("there is no package.json at the root");
        }
        Err(error) => {
            let mut evaluation = Evaluation::default();
            evaluation.saw(MANIFEST, "not read");
            evaluation.incomplete.push(format!("{MANIFEST} cannot be read: {error}"));
            return evaluation;
        }
    };
    let mut evaluation = Evaluation::default();
    let content = content.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&content);
    let manifest: Value = match serde_json::from_slice(content) {
        Ok(manifest) => manifest,
        Err(error) => {
            let place = Place::at(MANIFEST, number(error.line()), number(error.column()));
            evaluation.problems.push(
                Diagnostic::error("VAL-2", "package.json is not JSON")
                    .at(place)
                    .why("npm cannot run a script of it")
                    .fix("correct the file"),
            );
            evaluation.saw(MANIFEST, "not JSON");
            return evaluation;
        }
    };
    let mut chain = Chain { tree, seen: BTreeSet::new(), looked_at: Vec::new(), ignored: false };
    let place = script_place(content);
    let fix = "let scripts.validate run `custody check`, see packaging/ficecal/README.md";
    if script(&manifest, SCRIPT).is_none() {
        evaluation.problems.push(
            Diagnostic::error("VAL-2", "package.json has no script validate")
                .at(Place::file(MANIFEST))
                .why("the contract names `npm run validate` as one of its validators")
                .fix(fix),
        );
    } else if chain.run_script(&manifest, "", SCRIPT, 0) {
        // Holds.
    } else if chain.ignored {
        evaluation.problems.push(
            Diagnostic::error("VAL-2", "npm run validate ignores the exit status of custody")
                .at(place)
                .why("what follows it decides the script's exit status")
                .fix("join commands by &&, and put nothing like `|| true` behind custody"),
        );
    } else {
        evaluation.problems.push(
            Diagnostic::error("VAL-2", "npm run validate does not run custody")
                .at(place)
                .why("the same contract has to hold in the repository's own chain")
                .fix(fix),
        );
    }
    let looked_at = chain.looked_at.join(", ");
    evaluation.saw(
        "scripts.validate of package.json",
        if looked_at.is_empty() { "no script".to_owned() } else { format!("followed through {looked_at}") },
    );
    evaluation
}

fn number(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

/// The first key `"validate"`.
fn script_place(content: &[u8]) -> Place {
    let text = String::from_utf8_lossy(content);
    text.find("\"validate\"").map_or_else(|| Place::file(MANIFEST), |at| Place::of_offset(MANIFEST, &text, at))
}

fn script<'a>(manifest: &'a Value, name: &str) -> Option<&'a str> {
    manifest.get("scripts")?.get(name)?.as_str()
}

struct Chain<'a> {
    tree: &'a dyn FileTree,
    seen: BTreeSet<(String, String)>,
    looked_at: Vec<String>,
    /// custody is run, and its exit status is thrown away.
    ignored: bool,
}

impl Chain<'_> {
    /// Whether a script, or what npm runs before and after it, runs custody. `directory` ends in `/` or is empty.
    fn run_script(&mut self, manifest: &Value, directory: &str, name: &str, depth: usize) -> bool {
        if depth > MAX_DEPTH || !self.seen.insert((directory.to_owned(), name.to_owned())) {
            return false;
        }
        [format!("pre{name}"), name.to_owned(), format!("post{name}")].iter().any(|name| {
            let Some(command) = script(manifest, name) else { return false };
            self.looked_at.push(format!("{directory}{name}"));
            self.command_line(manifest, directory, command, depth)
        })
    }

    fn command_line(&mut self, manifest: &Value, directory: &str, line: &str, depth: usize) -> bool {
        let mut holds = false;
        for (command, counts) in commands(line) {
            if self.command(manifest, directory, &command, depth) {
                holds |= counts;
                self.ignored |= !counts;
            }
        }
        holds
    }

    fn command(&mut self, manifest: &Value, directory: &str, words: &[String], depth: usize) -> bool {
        let words = without_runner(words);
        let Some((first, rest)) = words.split_first() else { return false };
        let program = base_name(first);
        if program == "custody" {
            return !rest.iter().any(|w| w == "--help" || w == "--version" || w == "help");
        }
        match program {
            "npm" | "pnpm" | "yarn" | "bun" => self.package_manager(manifest, directory, rest, depth),
            "run-s" | "run-p" | "npm-run-all" | "concurrently" => {
                rest.iter().filter(|w| !w.starts_with('-')).any(|word| {
                    let word = word.strip_prefix("npm:").unwrap_or(word);
                    let named = scripts_named(manifest, word);
                    named.iter().any(|name| self.run_script(manifest, directory, name, depth + 1))
                })
            }
            "python" | "python3" | "node" | "bash" | "sh" | "tsx" | "deno" | "ts-node" => {
                let file = rest.iter().find(|w| !w.starts_with('-') && *w != "run");
                file.is_some_and(|file| self.script_file(directory, file))
            }
            _ if first.contains('/') => self.script_file(directory, first),
            _ => false,
        }
    }

    fn package_manager(&mut self, manifest: &Value, directory: &str, words: &[String], depth: usize) -> bool {
        let named: Vec<&String> = words.iter().take_while(|w| *w != "--").collect();
        let flag = |names: &[&str]| named.iter().any(|w| names.contains(&w.as_str()));
        let mut plain = named.iter().filter(|w| !w.starts_with('-')).map(|w| w.as_str());
        let first = plain.next();
        let name = match first {
            Some("run" | "run-script") => plain.next(),
            Some("test" | "t") => Some("test"),
            Some("start") => Some("start"),
            // yarn and pnpm run scripts without `run`.
            other => other,
        };
        let Some(name) = name else { return false };
        let in_workspaces = flag(&["--workspaces", "-ws", "-w", "--workspace", "-r", "--recursive", "workspaces"])
            || named.iter().any(|w| w.starts_with("--workspace=") || w.starts_with("--filter"));
        if !in_workspaces {
            return self.run_script(manifest, directory, name, depth + 1);
        }
        self.workspaces(manifest, directory)
            .into_iter()
            .any(|(below, manifest)| self.run_script(&manifest, &below, name, depth + 1))
    }

    /// The manifests of the workspaces.
    fn workspaces(&self, manifest: &Value, directory: &str) -> Vec<(String, Value)> {
        let list = manifest.get("workspaces").and_then(|w| w.as_array().or_else(|| w.get("packages")?.as_array()));
        let patterns = list.into_iter().flatten().filter_map(Value::as_str).map(|p| format!("{directory}{p}"));
        let Ok(globs) = custody_contract::file::GlobSet::new(patterns) else { return Vec::new() };
        let manifests = self.tree.paths().iter().filter_map(|path| path.strip_suffix(MANIFEST));
        manifests
            .filter(|below| !below.is_empty() && globs.is_match(below.trim_end_matches('/')))
            .filter_map(|below| {
                let content = self.tree.read(&format!("{below}{MANIFEST}")).ok()?;
                Some((below.to_owned(), serde_json::from_slice(&content).ok()?))
            })
            .collect()
    }

    /// Whether a script file starts custody: the validator that custody answers for, or a line that names it.
    fn script_file(&mut self, directory: &str, file: &str) -> bool {
        let Some(path) = normalised(directory, file) else { return false };
        let Ok(content) = self.tree.read(&path) else { return false };
        self.looked_at.push(path.clone());
        let text = String::from_utf8_lossy(&content);
        let names_custody = text
            .lines()
            .map(str::trim)
            .filter(|l| !l.starts_with('#') && !l.starts_with("//") && !l.starts_with('*') && !l.starts_with("/*"))
            .any(starts_custody);
        // The original of the same name has the same path and does not run custody.
        names_custody && (base_name(&path) == SHIM || !text.trim().is_empty())
    }
}

/// Whether a line of code has `custody` where a program's name can stand: quoted, at the start, or as a path's end.
fn starts_custody(line: &str) -> bool {
    line.match_indices("custody").any(|(at, word)| {
        let before = line[..at].chars().next_back();
        let after = line[at + word.len()..].chars().next();
        let opens = before.is_none_or(|c| c.is_whitespace() || matches!(c, '"' | '\'' | '`' | '/' | '\\' | '(' | '['));
        let closes = after.is_none_or(|c| c.is_whitespace() || matches!(c, '"' | '\'' | '`' | ')' | ']' | '.' | ';'));
        opens && closes
    })
}

/// The scripts that a name of `run-s` and its like stands for; `*` takes any characters.
fn scripts_named(manifest: &Value, name: &str) -> Vec<String> {
    let scripts = manifest.get("scripts").and_then(Value::as_object);
    let all = scripts.into_iter().flat_map(|s| s.keys());
    match name.split_once('*') {
        None => all.filter(|k| *k == name).cloned().collect(),
        Some((start, end)) => {
            let end = end.trim_start_matches('*');
            all.filter(|k| k.starts_with(start) && k.ends_with(end)).cloned().collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use custody_contract::MemoryTree;

    use super::*;

    fn validate(script: &str, more: &[(&str, &str)]) -> Evaluation {
        let manifest = serde_json::json!({
            "workspaces": ["packages/*"],
            "scripts": { "validate": script, "check:custody": "custody check", "lint": "eslint .", "loop": "npm run loop" }
        });
        let mut files = vec![(MANIFEST.to_owned(), manifest.to_string())];
        files.extend(more.iter().map(|(p, c)| ((*p).to_owned(), (*c).to_owned())));
        npm_validate(&MemoryTree::new(files))
    }

    #[test]
    fn a_validate_script_that_runs_custody_holds() {
        for script in [
            "custody check",
            "npx --yes custody check --env prod",
            "NODE_ENV=production ./node_modules/.bin/custody check",
            "npm run lint && custody check",
            "custody check && npm run lint",
            "npm run lint; custody check",
            "npm run check:custody",
            "run-s lint check:*",
            "pnpm exec custody check",
            "bash -e scripts/all.sh",
            "npm run validate --workspaces",
            "python3 scripts/validate-billing-canonical-handoff.py",
        ] {
            let evaluation = validate(
                script,
                &[
                    ("scripts/all.sh", "#!/bin/sh\nset -e\ncustody check\n"),
                    ("scripts/validate-billing-canonical-handoff.py", "subprocess.run([\"custody\", \"billing\"])\n"),
                    ("packages/a/package.json", "{\"scripts\":{\"validate\":\"custody check ..\"}}"),
                ],
            );
            assert!(!evaluation.fails(), "{script}: {:?}", evaluation.problems);
            assert!(!evaluation.evidence.is_empty());
        }
    }

    #[test]
    fn one_that_does_not_or_ignores_the_outcome_fails() {
        for (script, what) in [
            ("eslint .", "does not run"),
            ("echo custody check", "does not run"),
            ("npm run loop", "does not run"),
            ("custody --version", "does not run"),
            ("bash scripts/none.sh", "does not run"),
            ("python3 scripts/validate-billing-canonical-handoff.py", "does not run"),
            ("custody check || true", "ignores"),
            ("custody check && echo ok || exit 0", "ignores"),
            ("custody check; echo done", "ignores"),
            ("custody check | tee log", "ignores"),
        ] {
            let original = ("scripts/validate-billing-canonical-handoff.py", "import json\n# custody\n");
            let evaluation = validate(script, &[original]);
            assert!(evaluation.fails(), "{script}");
            assert!(evaluation.problems[0].what.contains(what), "{script}: {}", evaluation.problems[0].what);
        }
    }

    #[test]
    fn without_a_manifest_the_clause_does_not_apply_and_a_broken_one_fails() {
        assert!(npm_validate(&MemoryTree::default()).not_applicable.is_some());
        for broken in ["", "{", "[]", "{\"scripts\": 1}", "{\"scripts\":{\"validate\":[]}}"] {
            assert!(npm_validate(&MemoryTree::new([(MANIFEST, broken)])).fails(), "{broken}");
        }
    }
}
