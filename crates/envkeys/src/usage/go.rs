//! `os.Getenv`, `os.LookupEnv`, `os.ExpandEnv`, viper's `BindEnv`, struct tags `env:"…"` and `envconfig:"…"`.

use super::{Code, Found, helper};

pub(super) fn find(code: &Code<'_>, found: &mut Found) {
    let prefix = code
        .with(&["SetEnvPrefix"])
        .into_iter()
        .find(|&at| code.is(at, &["SetEnvPrefix", "("]))
        .and_then(|at| code.name(at + 2));
    let tags = code.contains("env:\"") || code.contains("envconfig:\"");
    for at in code.with(&["nv", "NV"]) {
        if tags && let Some(tag) = code.string(at) {
            tagged(code, at, tag, found);
            continue;
        }
        // From the name to the package in front of it.
        let named = at;
        let Some(at) = at.checked_sub(2) else { continue };
        if code.word(at) != "." && matches!(code.word(at + 1), ".") {
            let called = code.word(at + 3) == "(";
            match (code.word(at), code.word(at + 2)) {
                ("os" | "syscall", "Getenv" | "LookupEnv") if called => {
                    let or = at > 1 && code.is(at - 2, &["Or", "("]);
                    code.take(at + 4, or, found);
                }
                ("os", "ExpandEnv") if called => expanded(code, at + 4, found),
                ("os" | "syscall", "Environ") if called => found.dynamic.push(code.offset(at)),
                (_, "BindEnv" | "MustBindEnv") if called => bound(code, at + 4, prefix, found),
                (_, "AutomaticEnv") if called => found.dynamic.push(code.offset(at)),
                _ => {}
            }
        }
        match code.word(named) {
            // `EnvVars: []string{"NAME"}` and `EnvVars("NAME")` of urfave/cli, `EnvVar: "NAME"`.
            "EnvVars" | "EnvVar" => listed(code, named + 1, found),
            "Getenv" | "LookupEnv" | "ExpandEnv" | "BindEnv" | "MustBindEnv" => {}
            _ => helper(code, named, found),
        }
    }
}

/// The strings of a list or call that starts at `at`.
fn listed(code: &Code<'_>, at: usize, found: &mut Found) {
    let open = match code.word(at) {
        "(" => at + 1,
        ":" if code.string(at + 1).is_some() => at + 1,
        ":" if code.is(at + 1, &["[", "]", "string", "{"]) => at + 5,
        _ => return,
    };
    let names = (open..open + 16).take_while(|&i| code.string(i).is_some() || code.word(i) == ",");
    for at in names {
        if let Some(name) = code.string(at) {
            found.reads.push((code.offset(at), name.into(), false));
        }
        if code.word(open - 1) == ":" {
            break;
        }
    }
}

/// `BindEnv(key)` reads the key in upper case behind the prefix; with more arguments it reads those as they stand.
fn bound(code: &Code<'_>, at: usize, prefix: Option<&str>, found: &mut Found) {
    let Some(key) = code.string(at) else {
        found.dynamic.push(code.offset(at));
        return;
    };
    if code.word(at + 1) != "," {
        let key = prefix.filter(|p| !p.is_empty()).map_or(key.to_owned(), |p| format!("{p}_{key}"));
        found.reads.push((code.offset(at), key.to_uppercase().replace(['.', '-'], "_"), false));
        return;
    }
    let mut at = at + 2;
    while !matches!(code.word(at), ")") && at < code.len() {
        if code.word(at) != "," {
            code.take(at, false, found);
        }
        at += 1;
    }
}

fn expanded(code: &Code<'_>, at: usize, found: &mut Found) {
    let Some(text) = code.name(at) else {
        found.dynamic.push(code.offset(at));
        return;
    };
    for part in text.split('$').skip(1) {
        let name = part.strip_prefix('{').and_then(|p| p.split('}').next()).unwrap_or_else(|| {
            &part[..part.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(part.len())]
        });
        if !name.is_empty() {
            found.reads.push((code.offset(at), name.into(), false));
        }
    }
}

fn tagged(code: &Code<'_>, at: usize, tag: &str, found: &mut Found) {
    for marker in ["env:\"", "envconfig:\""] {
        for (start, _) in tag.match_indices(marker) {
            if start > 0 && !tag[..start].ends_with([' ', '\t']) {
                continue;
            }
            let name = tag[start + marker.len()..].split(['"', ',']).next().unwrap_or("");
            if !name.is_empty() && name != "-" {
                let default = tag.contains("efault:\"");
                found.reads.push((code.offset(at), name.into(), default));
            }
        }
    }
}
