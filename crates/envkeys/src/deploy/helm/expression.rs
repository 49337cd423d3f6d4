//! Actions of Go templates, as far as charts use them for values.

use std::sync::LazyLock;

use regex::Regex;

use super::line::unquoted;
use crate::deploy::Source;

/// The inner text of a line that is one action and nothing else.
pub(super) fn action_of(body: &str) -> Option<&str> {
    let inner = body.strip_prefix("{{")?.strip_suffix("}}")?;
    // Several actions on a line: the first one decides, unless text stands between them.
    if let Some((first, rest)) = inner.split_once("}}") {
        let between = rest.split_once("{{").map_or(rest, |(between, _)| between);
        return between.trim().is_empty().then(|| trimmed(first));
    }
    Some(trimmed(inner))
}

fn trimmed(inner: &str) -> &str {
    inner.trim_matches('-').trim()
}

/// The path of the values that an action names first.
pub(super) fn path_in(action: &str) -> Option<String> {
    static PATH: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"\.Values\.([A-Za-z0-9_.]+)").expect("constant"));
    PATH.captures(action).map(|c| c[1].trim_end_matches('.').to_owned())
}

/// The path of the values that an action puts in whole: `toYaml .Values.env`, or `toYaml .` within `with .Values.env`.
pub(super) fn values_put_in(action: &str, scope: Option<&str>) -> Option<String> {
    if !action.contains("toYaml") {
        return None;
    }
    path_in(action).or_else(|| {
        static DOT: LazyLock<Regex> =
            LazyLock::new(|| Regex::new(r"toYaml\s+(?:\.|\$[A-Za-z0-9_]*)(?:\s|$|\))").expect("constant"));
        scope.filter(|_| DOT.is_match(action)).map(str::to_owned)
    })
}

/// How far an action says to indent what it puts in.
pub(super) fn indentation(action: &str) -> Option<usize> {
    let (_, rest) = action.split_once("indent ")?;
    let digits: String = rest.trim_start().chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}

/// The source of a value that is text, one action, or a mixture.
pub(in crate::deploy) fn source(value: &str) -> Source {
    let text = unquoted(value);
    if !text.contains("{{") {
        return Source::Literal(text);
    }
    let Some(action) = action_of(text.trim()).filter(|_| text.matches("{{").count() == 1) else {
        return Source::Mixed(text);
    };
    let Some(path) = path_in(action) else { return Source::Configuration };
    // Text around the path makes another value of it, unless it only quotes, checks or gives a default.
    static DEFAULT: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r#"(?:^|[|(\s])default\s+(?:"([^"]*)"|'([^']*)'|`([^`]*)`|([0-9.]+|true|false))"#).expect("constant")
    });
    let default =
        DEFAULT.captures(action).and_then(|c| c.iter().skip(1).flatten().next().map(|m| m.as_str().to_owned()));
    let computed = ["printf", "include", "tpl", "ternary", "index", "cat", "replace", "trimSuffix", "lookup"];
    if computed.iter().any(|word| action.split(|c: char| !c.is_alphanumeric()).any(|w| w == *word)) {
        return Source::Configuration;
    }
    Source::Values { path, default }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_told_from_what_is_computed() {
        let values = |path: &str, default: Option<&str>| Source::Values {
            path: path.into(),
            default: default.map(str::to_owned),
        };
        for (value, expected) in [
            ("plain", Source::Literal("plain".into())),
            ("\"quoted\"", Source::Literal("quoted".into())),
            ("{{ .Values.a.b }}", values("a.b", None)),
            ("{{- .Values.a | quote -}}", values("a", None)),
            ("\"{{ .Values.a }}\"", values("a", None)),
            ("{{ .Values.a | default \"x y\" | quote }}", values("a", Some("x y"))),
            ("{{ default 3000 .Values.port | quote }}", values("port", Some("3000"))),
            ("{{ required \"must be set\" .Values.a }}", values("a", None)),
            ("{{ $.Values.a | b64enc }}", values("a", None)),
            ("{{ include \"app.name\" . }}", Source::Configuration),
            ("{{ printf \"%s-x\" .Values.a }}", Source::Configuration),
            ("{{ .Release.Name }}", Source::Configuration),
            ("http://{{ .Values.host }}/", Source::Mixed("http://{{ .Values.host }}/".into())),
            ("{{ .Values.a }}{{ .Values.b }}", Source::Mixed("{{ .Values.a }}{{ .Values.b }}".into())),
        ] {
            assert_eq!(source(value), expected, "{value}");
        }
    }

    #[test]
    fn what_is_put_in_whole_is_found() {
        assert_eq!(values_put_in("toYaml .Values.env | nindent 12", None), Some("env".into()));
        assert_eq!(values_put_in("toYaml . | nindent 12", Some("app.env")), Some("app.env".into()));
        assert_eq!(values_put_in("tpl (toYaml .Values.env) . | nindent 12", None), Some("env".into()));
        assert_eq!(values_put_in("include \"x\" .", Some("env")), None);
        assert_eq!(indentation("toYaml .Values.env | nindent 12"), Some(12));
        assert_eq!(indentation("toYaml .Values.env | indent 8"), Some(8));
    }
}
