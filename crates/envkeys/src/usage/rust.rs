//! `env::var`, `var_os`, `env!`, `option_env!`, `dotenvy::var`, clap's `env = "…"` and `.env("…")`.

use super::{Code, Found};

pub(super) fn find(code: &Code<'_>, found: &mut Found) {
    let clap = code.contains("clap");
    for at in 0..code.len() {
        match code.word(at) {
            "env" | "dotenvy" | "dotenv" if code.word(at + 1) == "::" => {
                let function = code.word(at + 2);
                if matches!(function, "var" | "var_os") && code.word(at + 3) == "(" {
                    let argument = if code.word(at + 4) == "&" { at + 5 } else { at + 4 };
                    code.take(argument, falls_back(code, argument), found);
                } else if matches!(function, "vars" | "vars_os") && code.word(at + 3) == "(" {
                    found.dynamic.push(code.offset(at));
                }
            }
            "env" | "option_env" if code.is(at + 1, &["!", "("]) => code.take(at + 3, falls_back(code, at + 3), found),
            "env" if clap && code.word(at + 1) == "=" && code.name(at + 2).is_some() => {
                let end = code.behind(at).unwrap_or(at);
                let start = (at.saturating_sub(24)..at).rev().find(|&i| code.word(i) == "#").unwrap_or(at);
                let default = (start..end).any(|i| code.word(i).starts_with("default_value"));
                code.take(at + 2, default, found);
            }
            "env"
                if clap && at > 0 && code.word(at - 1) == "." && code.word(at + 1) == "("
                // `Command::env("K", v)` sets a variable for a child; `Arg::env("K")` takes one argument.
                && code.word(at + 3) == ")" && code.string(at + 2).is_some() =>
            {
                let default = (at..at + 24)
                    .take_while(|&i| code.word(i) != ";")
                    .any(|i| code.word(i).starts_with("default_value"));
                code.take(at + 2, default, found);
            }
            _ => {}
        }
    }
    // `use std::env::var;` or `use std::env::{var, var_os};`
    let imported = (0..code.len()).any(|at| {
        code.is(at, &["std", "::", "env", "::"])
            && (code.word(at + 4) == "var"
                || (code.word(at + 4) == "{" && (at + 5..at + 12).any(|i| code.word(i) == "var")))
    });
    if imported {
        for at in 0..code.len() {
            let free = at == 0 || !matches!(code.word(at - 1), "." | "::" | "fn");
            if free && matches!(code.word(at), "var" | "var_os") && code.word(at + 1) == "(" {
                code.take(at + 2, falls_back(code, at + 2), found);
            }
        }
    }
}

/// `.unwrap_or…` among the calls behind the one whose argument is at `index`.
fn falls_back(code: &Code<'_>, index: usize) -> bool {
    let Some(mut at) = code.behind(index) else { return false };
    for _ in 0..6 {
        if code.word(at) != "." {
            return false;
        }
        match code.word(at + 1) {
            "unwrap_or" | "unwrap_or_else" | "unwrap_or_default" | "or_else" | "or" | "map_or" | "map_or_else" => {
                return true;
            }
            _ => {}
        }
        if code.word(at + 2) != "(" {
            return false;
        }
        let Some(next) = code.behind(at + 3) else { return false };
        at = next;
    }
    false
}
