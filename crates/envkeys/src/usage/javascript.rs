//! `process.env`, `import.meta.env`, `Bun.env`, `Deno.env`: members, indices, destructuring, aliases, schemas.

mod names;
mod schema;

use super::{Code, Found, helper, is_constant_case};
use names::Names;

pub(super) fn find(code: &Code<'_>, found: &mut Found) {
    let mut names = Names::of(code, found);
    let mut starts: Vec<&str> = names.modules.iter().copied().chain(["import", "Bun"]).collect();
    starts.sort_unstable();
    for at in code.with(&starts) {
        let Some(end) = environment(code, &names, at) else { continue };
        let bound = at > 1 && code.word(at - 1) == "=" && !is_access(code, end);
        if bound && let Some(close) = pattern(code, at - 2) {
            destructured(code, close, found);
        } else if bound && let Some(name) = declared(code, at - 2) {
            names.environments.insert(name);
        } else if !whole(code, at, end, found) {
            access(code, at, end, found);
        }
    }
    if !names.environments.is_empty() {
        aliases(code, &names, found);
    }
    for at in code.with(&["nv", "NV", "get"]) {
        if code.is(at.wrapping_sub(2), &["Deno", ".", "env", "."]) {
            deno(code, at - 2, found);
        } else if code.is(at, &["createEnv", "(", "{"]) {
            schema::sections(code, at + 2, found);
        } else if matches!(code.word(at), "get" | "getOrThrow") && code.word(at.wrapping_sub(1)) == "." {
            config_service(code, at, found);
        } else {
            helper(code, at, found);
        }
    }
}

/// Reads through other names of the environment.
fn aliases(code: &Code<'_>, names: &Names<'_>, found: &mut Found) {
    let aliases: Vec<&str> = names.environments.iter().copied().collect();
    for at in code.with(&aliases).into_iter().filter(|&at| names.environments.contains(code.word(at))) {
        if at > 0 && matches!(code.word(at - 1), "." | "?.") {
            continue;
        }
        if is_access(code, at + 1) {
            access(code, at, at + 1, found);
        } else if at > 1 && code.is(at - 2, &["}", "="]) {
            destructured(code, at - 2, found);
        }
    }
}

fn deno(code: &Code<'_>, at: usize, found: &mut Found) {
    if matches!(code.word(at + 4), "get" | "has") && code.word(at + 5) == "(" {
        let default = code.behind(at + 6).is_some_and(|end| is_fallback(code, end));
        code.take(at + 6, default, found);
    } else if code.word(at + 4) == "toObject" {
        found.dynamic.push(code.offset(at));
    }
}

/// NestJS: `configService.get<string>('NAME')`; `at` is the method.
fn config_service(code: &Code<'_>, at: usize, found: &mut Found) {
    let receiver = code.word(at.saturating_sub(2));
    let injected = receiver.ends_with("onfigService") || (receiver == "config" && code.contains("ConfigService"));
    if !injected {
        return;
    }
    let mut open = at + 1;
    if code.word(open) == "<" {
        open = (open..open + 12).find(|&i| code.word(i) == ">").map_or(open, |i| i + 1);
    }
    if code.word(open) == "("
        && let Some(name) = code.string(open + 1).filter(|n| is_constant_case(n))
    {
        let default = code.word(open + 2) == "," || code.behind(open + 1).is_some_and(|end| is_fallback(code, end));
        found.reads.push((code.offset(open + 1), name.into(), default));
    }
}

/// The whole environment handed to something that says which names it takes: `'NAME' in env`, a schema, `get(env, 'NAME')`.
fn whole(code: &Code<'_>, at: usize, end: usize, found: &mut Found) -> bool {
    if at > 1
        && code.word(at - 1) == "in"
        && let Some(name) = code.string(at - 2)
    {
        found.reads.push((code.offset(at - 2), name.into(), true));
        return true;
    }
    if at == 0 || code.word(at - 1) != "(" {
        return code.word(at.wrapping_sub(1)) == ":" && code.word(at.wrapping_sub(2)).starts_with("runtimeEnv");
    }
    if code.word(end) == "," {
        if let Some(name) = code.string(end + 1).filter(|n| is_constant_case(n)) {
            found.reads.push((code.offset(end + 1), name.into(), code.word(end + 2) == ","));
            return true;
        }
        if code.word(end + 1) == "{" && code.word(at.wrapping_sub(2)).ends_with("Env") {
            schema::keys(code, end + 1, found);
            return true;
        }
    }
    code.word(end) == ")" && schema::parsed(code, at, found)
}

/// The name that `NAME =` or `NAME: Type =` declares; `at` is the token in front of the mark.
fn declared<'a>(code: &Code<'a>, at: usize) -> Option<&'a str> {
    let colon = (at.saturating_sub(8)..at).rev().find(|&i| code.word(i) == ":" || !is_type(code, i));
    match colon.filter(|&i| i > 0 && code.word(i) == ":") {
        Some(colon) => Some(code.word(colon - 1)),
        None => code.is_identifier(at).then(|| code.word(at)),
    }
}

/// The brace that closes a pattern, with a type behind it (`}: Env =`) or without.
fn pattern(code: &Code<'_>, at: usize) -> Option<usize> {
    if code.word(at) == "}" {
        return Some(at);
    }
    let colon = (at.saturating_sub(8)..=at).rev().find(|&i| !is_type(code, i))?;
    (colon > 0 && code.is(colon - 1, &["}", ":"])).then(|| colon - 1)
}

fn is_type(code: &Code<'_>, at: usize) -> bool {
    matches!(code.word(at), "." | "<" | ">" | "," | "|")
        || (code.is_identifier(at) && !matches!(code.word(at), "const" | "let" | "var"))
}

/// The scripts of a component; everything else is blanked, so that offsets into lines stay.
pub(super) fn scripts(text: &str) -> String {
    let blank = |part: &str| part.chars().map(|c| if c == '\n' { '\n' } else { ' ' }).collect::<String>();
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(open) = rest.find("<script") {
        let start = rest[open..].find('>').map_or(rest.len(), |i| open + i + 1);
        let end = rest[start..].find("</script").map_or(rest.len(), |i| start + i);
        out.push_str(&blank(&rest[..start]));
        out.push_str(&rest[start..end]);
        rest = &rest[end..];
    }
    out.push_str(&blank(rest));
    out
}

/// The token behind an expression that is the environment.
fn environment(code: &Code<'_>, names: &Names<'_>, at: usize) -> Option<usize> {
    let end = plain_environment(code, names, at)?;
    // `(process.env as Env)`
    let cast = at > 0 && code.word(at - 1) == "(" && (code.word(end) == "as" || code.word(end) == ")");
    let close = cast.then(|| (end..end + 16).find(|&i| code.word(i) == ")")).flatten();
    Some(close.filter(|&close| is_access(code, close + 1)).map_or(end, |close| close + 1))
}

fn plain_environment(code: &Code<'_>, names: &Names<'_>, at: usize) -> Option<usize> {
    let member = |at: usize| matches!(code.word(at), "." | "?.").then_some(at + 1);
    match code.word(at) {
        word if names.modules.contains(word) => {
            if let Some(name) = member(at + 1) {
                return (code.word(name) == "env").then_some(name + 1);
            }
            let indexed = code.word(at + 1) == "[" && code.string(at + 2) == Some("env") && code.word(at + 3) == "]";
            indexed.then_some(at + 4)
        }
        "import" if code.is(at + 1, &[".", "meta"]) => member(at + 3).filter(|&n| code.word(n) == "env").map(|n| n + 1),
        "Bun" => member(at + 1).filter(|&n| code.word(n) == "env").map(|n| n + 1),
        _ => None,
    }
}

fn is_access(code: &Code<'_>, at: usize) -> bool {
    matches!(code.word(at), "." | "?." | "[") || code.is(at, &["!", "."])
}

/// `.NAME`, `?.NAME`, `['NAME']`, `?.['NAME']` behind the environment, which starts at `start` and ends before `at`.
fn access(code: &Code<'_>, start: usize, at: usize, found: &mut Found) {
    let mut at = at;
    if start > 0 && code.word(start - 1) == "delete" {
        return;
    }
    if code.is(at, &["!", "."]) {
        at += 1;
    }
    let meta = code.word(start) == "import";
    if matches!(code.word(at), "." | "?.") {
        at += 1;
        if code.is_identifier(at) {
            let built_in = meta && matches!(code.word(at), "DEV" | "PROD" | "MODE" | "BASE_URL" | "SSR");
            if !built_in && !is_written(code, at + 1) {
                found.reads.push((code.offset(at), code.word(at).into(), is_fallback(code, at + 1)));
            }
            return;
        }
    }
    if code.word(at) == "[" {
        let closed = code.word(at + 2) == "]";
        match code.name(at + 1).filter(|_| closed) {
            _ if closed && is_written(code, at + 3) => {}
            Some(name) => found.reads.push((code.offset(at + 1), name.into(), is_fallback(code, at + 3))),
            None => found.dynamic.push(code.offset(at + 1)),
        }
        return;
    }
    // Handed on whole, unless it is only compared or its presence asked for.
    if !matches!(code.word(at), "&" | "=" | "==" | "===" | "!==" | "??") {
        found.dynamic.push(code.offset(start));
    }
}

fn is_written(code: &Code<'_>, at: usize) -> bool {
    code.word(at) == "="
}

/// `??` or `||` behind a read.
fn is_fallback(code: &Code<'_>, at: usize) -> bool {
    code.word(at) == "??" || code.is(at, &["|", "|"])
}

/// `{ A, B: b, C = 'd', 'E': e, ...rest } = process.env`; `close` is the closing brace.
fn destructured(code: &Code<'_>, close: usize, found: &mut Found) {
    let mut depth = 0usize;
    let open = (close.saturating_sub(4096)..=close).rev().find(|&i| {
        match code.word(i) {
            "}" | ")" | "]" => depth += 1,
            "{" | "(" | "[" => depth -= 1,
            _ => {}
        }
        depth == 0
    });
    let Some(open) = open else { return };
    let mut depth = 0usize;
    for at in open + 1..close {
        match code.word(at) {
            "{" | "(" | "[" => depth += 1,
            "}" | ")" | "]" => depth = depth.saturating_sub(1),
            _ => {}
        }
        let first = at == open + 1 || code.word(at - 1) == ",";
        if depth > 0 || !first {
            continue;
        }
        if code.word(at) == "..." {
            found.dynamic.push(code.offset(at));
        } else if code.is_identifier(at) {
            found.reads.push((code.offset(at), code.word(at).into(), bound_to_default(code, at, close)));
        } else if let Some(name) = code.string(at) {
            found.reads.push((code.offset(at), name.into(), bound_to_default(code, at, close)));
        }
    }
}

/// Whether the part of a pattern at `at` has `= value`.
fn bound_to_default(code: &Code<'_>, at: usize, close: usize) -> bool {
    (at + 1..close.min(at + 5)).take_while(|&i| code.word(i) != ",").any(|i| code.word(i) == "=")
}
