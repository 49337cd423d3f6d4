//! `os.Getenv`, `os.LookupEnv`, `os.ExpandEnv`, viper's `BindEnv`, struct tags `env:"…"` and `envconfig:"…"`.

use super::{Code, Found};

pub(super) fn find(code: &Code<'_>, found: &mut Found) {
    let tags = code.contains("env:\"") || code.contains("envconfig:\"");
    for at in 0..code.len() {
        if tags && let Some(tag) = code.string(at) {
            tagged(code, at, tag, found);
            continue;
        }
        if code.word(at) != "." && matches!(code.word(at + 1), ".") {
            let called = code.word(at + 3) == "(";
            match (code.word(at), code.word(at + 2)) {
                ("os" | "syscall", "Getenv" | "LookupEnv") if called => {
                    let or = at > 1 && code.is(at - 2, &["Or", "("]);
                    code.take(at + 4, or, found);
                }
                ("os", "ExpandEnv") if called => expanded(code, at + 4, found),
                ("os" | "syscall", "Environ") if called => found.dynamic.push(code.offset(at)),
                (_, "BindEnv" | "MustBindEnv") if called => bound(code, at + 4, found),
                (_, "AutomaticEnv") if called => found.dynamic.push(code.offset(at)),
                _ => {}
            }
        }
    }
}

/// `BindEnv(key)` reads the key in upper case; with more arguments it reads those.
fn bound(code: &Code<'_>, at: usize, found: &mut Found) {
    let Some(key) = code.string(at) else {
        found.dynamic.push(code.offset(at));
        return;
    };
    if code.word(at + 1) != "," {
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
