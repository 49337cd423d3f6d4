//! `env::var`, `var_os`, `env!`, `option_env!`, `dotenvy::var`, clap's `env = "…"` and `.env("…")`.

use std::collections::HashSet;

use super::{Code, Found, helper};

pub(super) fn find(code: &Code<'_>, found: &mut Found) {
    let clap = code.contains("clap");
    let starts = code.with(&["nv", "NV"]);
    for &at in &starts {
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
            "env" if clap && code.word(at + 1) != "(" && code.word(at + 1) != "=" => of_field(code, at, found),
            // `#[arg(env("NAME"))]`
            "env"
                if clap
                    && code.word(at + 1) == "("
                    && code.word(at + 3) == ")"
                    && code.string(at + 2).is_some()
                    && at > 0
                    && matches!(code.word(at - 1), "(" | ",") =>
            {
                code.take(at + 2, attribute_has_default(code, at), found);
            }
            "env" if clap && code.word(at + 1) == "=" && code.name(at + 2).is_some() => {
                code.take(at + 2, attribute_has_default(code, at), found);
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
            _ => helper(code, at, found),
        }
    }
    // `use std::env::var;` or `use std::env::{var, var_os};`
    let imported = imported(code, &starts);
    if imported.is_empty() {
        return;
    }
    for at in (0..code.len()).filter(|&at| imported.contains(code.word(at))) {
        let free = at == 0 || !matches!(code.word(at - 1), "." | "::" | "fn");
        if free && code.word(at + 1) == "(" {
            code.take(at + 2, falls_back(code, at + 2), found);
        }
    }
}

/// What the file calls `var` and `var_os` after importing them.
fn imported<'a>(code: &Code<'a>, starts: &[usize]) -> HashSet<&'a str> {
    let mut names = HashSet::new();
    // From `env` to the `std` in `use std::env::`.
    for at in starts
        .iter()
        .filter_map(|at| at.checked_sub(2))
        .filter(|&at| at > 0 && code.is(at - 1, &["use", "std", "::", "env", "::"]))
    {
        let end = if code.word(at + 4) == "{" { code.behind(at + 5).unwrap_or(at + 5) } else { at + 5 };
        for name in at + 4..end {
            if matches!(code.word(name), "var" | "var_os") {
                names.insert(if code.word(name + 1) == "as" { code.word(name + 2) } else { code.word(name) });
            }
        }
    }
    names.remove("");
    names
}

/// Whether the attribute that `at` stands in has a default.
fn attribute_has_default(code: &Code<'_>, at: usize) -> bool {
    let end = code.behind(at).unwrap_or(at);
    let start = (at.saturating_sub(24)..at).rev().find(|&i| code.word(i) == "#").unwrap_or(at);
    (start..end).any(|i| code.word(i).starts_with("default_value"))
}

/// `#[arg(env)]`: the variable has the field's name, in upper case.
fn of_field(code: &Code<'_>, at: usize, found: &mut Found) {
    let of_attribute = at > 2
        && matches!(code.word(at - 1), "(" | ",")
        && matches!(code.word(at + 1), ")" | ",")
        && (at.saturating_sub(24)..at)
            .rev()
            .any(|i| code.is(i, &["#", "["]) && matches!(code.word(i + 2), "arg" | "clap" | "structopt"));
    let Some(close) = code.behind(at).filter(|_| of_attribute) else { return };
    let mut field = close;
    // Behind the bracket there may be further attributes, and `pub`.
    while field < code.len().min(close + 64) {
        match code.word(field) {
            "]" => field += 1,
            "#" => field = code.behind(field + 2).unwrap_or(field + 1),
            "pub" if code.word(field + 1) == "(" => field = code.behind(field + 2).unwrap_or(field + 1),
            "pub" => field += 1,
            _ => break,
        }
    }
    if code.is_identifier(field) && code.word(field + 1) == ":" {
        found.reads.push((code.offset(at), code.word(field).to_uppercase(), attribute_has_default(code, at)));
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
