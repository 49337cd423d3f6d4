//! What a file calls the process, its environment and single variables, going by its imports.

use std::collections::HashSet;

use super::{Code, Found, destructured};

pub(super) struct Names<'a> {
    /// Names of the `process` module.
    pub(super) modules: HashSet<&'a str>,
    /// Names of the environment.
    pub(super) environments: HashSet<&'a str>,
}

impl<'a> Names<'a> {
    pub(super) fn of(code: &Code<'a>, found: &mut Found) -> Self {
        let mut names = Names { modules: HashSet::from(["process"]), environments: HashSet::new() };
        for at in code.with(&["process", "$env/"]) {
            match code.string(at) {
                Some("process" | "node:process") => names.process(code, at),
                Some("$env/dynamic/private" | "$env/dynamic/public") => names.environment(code, at),
                Some("$env/static/private" | "$env/static/public") => imported(code, at, |name, _| {
                    found.reads.push((code.offset(name), code.word(name).into(), false));
                }),
                _ => {}
            }
            // `const { env: { A } } = process`
            if code.word(at) == "process"
                && at > 1
                && code.is(at - 2, &["}", "="])
                && !matches!(code.word(at + 1), "." | "?." | "[")
            {
                names.destructured(code, at - 2, found);
            }
        }
        names
    }

    fn process(&mut self, code: &Code<'a>, at: usize) {
        self.environment(code, at);
        // `import proc from 'process'`, `import * as proc from`, `const proc = require('process')`
        let of_import = at > 1 && code.word(at - 1) == "from" && code.is_identifier(at - 2);
        let of_require = at > 3 && code.is(at - 3, &["=", "require", "("]) && code.is_identifier(at - 4);
        if of_import {
            self.modules.insert(code.word(at - 2));
        } else if of_require {
            self.modules.insert(code.word(at - 4));
        }
    }

    /// `env` among the names that are imported from the string at `at`.
    fn environment(&mut self, code: &Code<'a>, at: usize) {
        imported(code, at, |name, local| {
            if code.word(name) == "env" {
                self.environments.insert(code.word(local));
            }
        });
    }

    fn destructured(&mut self, code: &Code<'a>, close: usize, found: &mut Found) {
        let Some(open) = (close.saturating_sub(64)..close).rev().find(|&i| code.word(i) == "env") else { return };
        match (code.word(open + 1), code.word(open + 2)) {
            (":", "{") => {
                if let Some(inner) = (open + 3..close).find(|&i| code.word(i) == "}") {
                    destructured(code, inner, found);
                }
            }
            (":", _) if code.is_identifier(open + 2) => {
                self.environments.insert(code.word(open + 2));
            }
            ("," | "}", _) => {
                self.environments.insert("env");
            }
            _ => {}
        }
    }
}

/// Calls `take` with the tokens of each imported name and of its local name: `import { A, B as b } from '…'`, and
/// `const { A, B: b } = require('…')`. The string stands at `at`.
fn imported(code: &Code<'_>, at: usize, mut take: impl FnMut(usize, usize)) {
    let close = match at {
        _ if at > 1 && code.is(at - 2, &["}", "from"]) => at - 2,
        _ if at > 3 && code.is(at - 4, &["}", "=", "require", "("]) => at - 4,
        _ => return,
    };
    let Some(open) = (close.saturating_sub(256)..close).rev().find(|&i| code.word(i) == "{") else { return };
    for name in open + 1..close {
        if code.is_identifier(name) && matches!(code.word(name - 1), "{" | ",") {
            let renamed = matches!(code.word(name + 1), "as" | ":");
            take(name, if renamed { name + 2 } else { name });
        }
    }
}
