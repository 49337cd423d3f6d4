//! `os.environ`, `os.getenv`, `environs`, `django-environ`, `decouple`, starlette's `Config`, click's `envvar=`, and
//! settings classes of pydantic.

mod settings;

use std::collections::HashSet;

use super::{Code, Found, helper};

const TYPED: [&str; 24] = [
    "str",
    "bool",
    "int",
    "float",
    "list",
    "json",
    "url",
    "db",
    "cache",
    "path",
    "decimal",
    "date",
    "datetime",
    "timedelta",
    "dict",
    "tuple",
    "log_level",
    "uuid",
    "enum",
    "db_url",
    "cache_url",
    "email",
    "email_url",
    "search_url",
];

pub(super) fn find(code: &Code<'_>, found: &mut Found) {
    let names = Names::of(code);
    let imports_env = code.contains("import env") && (0..code.len()).any(|at| code.is(at, &["import", "env"]));
    let environs =
        imports_env || code.contains("environs") || code.contains("import environ") || code.contains("from environ");
    let decouple = code.contains("decouple") || code.contains("starlette");
    let pydantic = code.contains("pydantic");
    let mut needles = vec!["nv", "NV"];
    if decouple {
        needles.push("config");
    }
    needles.extend(names.environments.iter().chain(&names.functions));
    for at in code.with(&needles) {
        let of_os = at > 1 && code.word(at - 1) == "." && names.modules.contains(code.word(at - 2));
        let free = at == 0 || !matches!(code.word(at - 1), "." | "import" | "as" | "def");
        let word = code.word(at);
        let called = code.word(at + 1) == "(";
        match word {
            "environ" | "environb" if of_os => environ(code, at, found),
            "getenv" | "getenvb" if of_os && called => code.take(at + 2, has_default(code, at + 2), found),
            _ if free
                && names.environments.contains(word)
                && (names.imported.contains(word) || matches!(code.word(at + 1), "[" | ".")) =>
            {
                environ(code, at, found);
            }
            _ if free && called && names.functions.contains(word) => {
                code.take(at + 2, has_default(code, at + 2), found)
            }
            "env" if environs && free && called => call(code, at + 2, found),
            "env"
                if environs
                    && code.word(at + 1) == "."
                    && TYPED.contains(&code.word(at + 2))
                    && code.word(at + 3) == "(" =>
            {
                match of_method(code.word(at + 2)).filter(|_| code.string(at + 4).is_none()) {
                    Some(name) => {
                        let end = code.behind(at + 4).unwrap_or(at + 4);
                        let default = (at + 4..end).any(|i| code.is(i, &["default", "="]));
                        found.reads.push((code.offset(at + 2), name.into(), default));
                    }
                    None => call(code, at + 4, found),
                }
            }
            "envvar" if code.word(at + 1) == "=" => {
                let list = at + if code.word(at + 2) == "[" { 3 } else { 2 };
                let strings = (list..list + 16).take_while(|&i| code.string(i).is_some() || code.word(i) == ",");
                for i in strings.take(if list == at + 2 { 1 } else { 16 }) {
                    if let Some(name) = code.string(i) {
                        found.reads.push((code.offset(i), name.into(), false));
                    }
                }
            }
            "config" if decouple && free && called => call(code, at + 2, found),
            "env" if pydantic && code.word(at + 1) == "=" => {
                if let Some(name) = code.string(at + 2) {
                    found.reads.push((code.offset(at + 2), name.into(), false));
                }
            }
            "env" | "getenv" | "getenvb" => {}
            _ if of_os => {}
            _ => helper(code, at, found),
        }
    }
    if code.contains("BaseSettings") {
        settings::find(code, found);
    }
}

/// The variable that a method of django-environ reads where none is named.
fn of_method(method: &str) -> Option<&'static str> {
    Some(match method {
        "db" | "db_url" => "DATABASE_URL",
        "cache" | "cache_url" => "CACHE_URL",
        "email" | "email_url" => "EMAIL_URL",
        "search_url" => "SEARCH_URL",
        _ => return None,
    })
}

/// What the file calls `os`, `os.environ` and `os.getenv`.
struct Names<'a> {
    modules: HashSet<&'a str>,
    /// Names of the environment, those of `from os import` in `imported` as well.
    environments: HashSet<&'a str>,
    imported: HashSet<&'a str>,
    functions: HashSet<&'a str>,
}

impl<'a> Names<'a> {
    fn of(code: &Code<'a>) -> Self {
        let mut names = Names {
            modules: HashSet::from(["os", "_os"]),
            environments: HashSet::new(),
            imported: HashSet::new(),
            functions: HashSet::new(),
        };
        for at in code.with(&["os"]) {
            let Some(at) = at.checked_sub(1) else { continue };
            if code.is(at, &["import", "os", "as"]) {
                names.modules.insert(code.word(at + 3));
            }
            if code.is(at, &["from", "os", "import"]) {
                names.import(code, at + 3);
            }
            // `env = os.environ` and nothing behind it that makes it something else.
            let named = at.checked_sub(1).filter(|&i| code.is_identifier(i));
            let value = code.is(at, &["=", "os", ".", "environ"]) && !matches!(code.word(at + 4), "[" | "." | "=");
            if value && let Some(name) = named {
                names.environments.insert(code.word(name));
            }
        }
        names
    }

    fn import(&mut self, code: &Code<'a>, from: usize) {
        let mut at = if code.word(from) == "(" { from + 1 } else { from };
        loop {
            let renamed = code.word(at + 1) == "as";
            let name = code.word(if renamed { at + 2 } else { at });
            match code.word(at) {
                "environ" | "environb" => {
                    self.environments.insert(name);
                    self.imported.insert(name);
                }
                "getenv" | "getenvb" => {
                    self.functions.insert(name);
                }
                _ => {}
            }
            at += if renamed { 3 } else { 1 };
            if code.word(at) != "," {
                return;
            }
            at += 1;
        }
    }
}

/// A second argument of the call whose first is at `at`, or `or` behind the call.
fn has_default(code: &Code<'_>, at: usize) -> bool {
    let second = code.word(at + 1) == "," && code.word(at + 2) != ")" && !code.is(at + 2, &["None", ")"]);
    second || code.behind(at).is_some_and(|end| code.word(end) == "or")
}

/// A call of a library: only text counts, for such a name may be something else.
fn call(code: &Code<'_>, at: usize, found: &mut Found) {
    if let Some(name) = code.name(at).filter(|_| matches!(code.word(at + 1), ")" | ",")) {
        // Beside `default=` there are `cast=`, `validate=` …; a plain second argument is the fallback.
        let end = code.behind(at).unwrap_or(at);
        let named = (at + 1..end).any(|i| code.is(i, &["default", "="]));
        let plain = code.word(at + 1) == "," && code.word(at + 2) != ")" && code.word(at + 3) != "=";
        found.reads.push((code.offset(at), name.into(), named || plain));
    }
}

fn environ(code: &Code<'_>, at: usize, found: &mut Found) {
    // `"NAME" in os.environ`
    let start = if at > 1 && code.word(at - 1) == "." { at - 2 } else { at };
    if start > 1 && code.word(start - 1) == "in" {
        let name = if code.word(start - 2) == "not" { start.checked_sub(3) } else { Some(start - 2) };
        if let Some((at, text)) = name.and_then(|i| Some((i, code.string(i)?))) {
            found.reads.push((code.offset(at), text.into(), false));
            return;
        }
    }
    match code.word(at + 1) {
        "[" => {
            let written = code.behind(at + 2).is_some_and(|end| code.word(end) == "=");
            let deleted = start > 0 && code.word(start - 1) == "del";
            if !written && !deleted {
                code.take(at + 2, false, found);
            }
        }
        "." if matches!(code.word(at + 2), "get" | "pop" | "setdefault") && code.word(at + 3) == "(" => {
            code.take(at + 4, has_default(code, at + 4), found);
        }
        "." if matches!(code.word(at + 2), "update" | "clear" | "__setitem__" | "putenv") => {}
        "." | ")" | "," | "]" | "}" => found.dynamic.push(code.offset(at)),
        _ => {}
    }
}
