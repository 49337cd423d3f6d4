//! `os.environ`, `os.getenv`, `environs`, `django-environ`, `decouple`, pydantic's `env=` and `validation_alias=`.

use std::collections::HashSet;

use super::{Code, Found};

const TYPED: [&str; 20] = [
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
];

pub(super) fn find(code: &Code<'_>, found: &mut Found) {
    let names = Names::of(code);
    let environs = code.contains("environs") || code.contains("import environ") || code.contains("from environ");
    let decouple = code.contains("decouple");
    let pydantic = code.contains("pydantic");
    for at in 0..code.len() {
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
                call(code, at + 4, found);
            }
            "config" if decouple && free && called => call(code, at + 2, found),
            "env" | "validation_alias" if pydantic && code.word(at + 1) == "=" => {
                if let Some(name) = code.string(at + 2) {
                    found.reads.push((code.offset(at + 2), name.into(), false));
                }
            }
            _ => {}
        }
    }
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
        for at in 0..code.len() {
            if code.is(at, &["import", "os", "as"]) {
                names.modules.insert(code.word(at + 3));
            }
            if code.is(at, &["from", "os", "import"]) {
                names.import(code, at + 3);
            }
            // `env = os.environ` and nothing behind it that makes it something else.
            let value = code.is(at + 1, &["=", "os", ".", "environ"]) && !matches!(code.word(at + 5), "[" | "." | "=");
            if value && code.is_identifier(at) {
                names.environments.insert(code.word(at));
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
