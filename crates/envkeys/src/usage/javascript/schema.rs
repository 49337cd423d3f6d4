//! Schemas that the whole environment is parsed with: zod and the like, envalid, `createEnv` of t3-env.

use super::super::is_constant_case;
use super::{Code, Found};

/// How many tokens a schema may have.
const MAX_TOKENS: usize = 8192;

/// The keys of the object that opens at `open`, in constant case; a `default` or `optional` in a value is a fallback.
pub(super) fn keys(code: &Code<'_>, open: usize, found: &mut Found) {
    for (name, end) in entries(code, open) {
        let Some(key) = key(code, name).filter(|k| is_constant_case(k)) else { continue };
        let fallback = (name + 2..end).any(|i| matches!(code.word(i), "default" | "optional" | "nullish" | "catch"));
        found.reads.push((code.offset(name), key.into(), fallback));
    }
}

/// The keys of the sections of `createEnv({ server: {…}, client: {…}, shared: {…} })`.
pub(super) fn sections(code: &Code<'_>, open: usize, found: &mut Found) {
    for (name, _) in entries(code, open) {
        if matches!(code.word(name), "server" | "client" | "shared") && code.is(name + 1, &[":", "{"]) {
            keys(code, name + 2, found);
        }
    }
}

/// `SCHEMA.parse(process.env)` with the environment at `at`; whether the schema was found.
pub(super) fn parsed(code: &Code<'_>, at: usize, found: &mut Found) -> bool {
    let method = at.wrapping_sub(2);
    if !matches!(
        code.word(method),
        "parse" | "safeParse" | "parseAsync" | "safeParseAsync" | "validate" | "validateSync"
    ) {
        return false;
    }
    let receiver = at.wrapping_sub(4);
    if code.word(at.wrapping_sub(3)) != "." || receiver >= code.len() {
        return false;
    }
    let from = if code.is_identifier(receiver) {
        // `const SCHEMA = z.object({…})` of the same file.
        let name = code.word(receiver);
        (0..code.len()).find(|&i| code.word(i) == name && code.word(i + 1) == "=").map(|i| i + 2)
    } else {
        opening(code, receiver)
    };
    let Some(from) = from else { return false };
    let Some(open) = (from..(from + 12).min(code.len())).find(|&i| code.word(i) == "{") else { return false };
    keys(code, open, found);
    true
}

/// The parenthesis that the one at `close` closes.
fn opening(code: &Code<'_>, close: usize) -> Option<usize> {
    let mut depth = 0usize;
    (close.saturating_sub(MAX_TOKENS)..=close).rev().find(|&i| {
        match code.word(i) {
            ")" | "}" | "]" => depth += 1,
            "(" | "{" | "[" => depth = depth.saturating_sub(1),
            _ => {}
        }
        depth == 0
    })
}

/// The entries of the object that opens at `open`: the token of each key, and that behind its value.
fn entries(code: &Code<'_>, open: usize) -> Vec<(usize, usize)> {
    let mut entries: Vec<(usize, usize)> = Vec::new();
    let mut depth = 0usize;
    for at in open..code.len().min(open + MAX_TOKENS) {
        match code.word(at) {
            "(" | "{" | "[" => depth += 1,
            ")" | "}" | "]" => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            if let Some(last) = entries.last_mut() {
                last.1 = at;
            }
            break;
        }
        let first = depth == 1 && matches!(code.word(at - 1), "{" | ",") && at > open;
        if first && key(code, at).is_some() && code.word(at + 1) == ":" {
            if let Some(last) = entries.last_mut() {
                last.1 = at;
            }
            entries.push((at, at));
        }
    }
    entries
}

fn key<'a>(code: &Code<'a>, at: usize) -> Option<&'a str> {
    code.string(at).or_else(|| code.is_identifier(at).then(|| code.word(at)))
}
