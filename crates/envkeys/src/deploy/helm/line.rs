//! One line of a template as YAML, as far as that can be told.

/// What stands on a line behind its indentation and list marks.
pub(super) enum Line<'a> {
    /// `key: value`.
    Pair { key: String, value: &'a str },
    /// `{ key: value, … }`.
    Flow(Vec<(String, String)>),
    /// Something else.
    Other,
}

impl<'a> Line<'a> {
    pub(super) fn of(body: &'a str) -> Line<'a> {
        if let Some(inner) = body.strip_prefix('{').filter(|i| !i.starts_with('{')).and_then(|b| b.strip_suffix('}')) {
            let pairs = inner.split(',').filter_map(|pair| pair.split_once(':'));
            return Line::Flow(pairs.map(|(k, v)| (unquoted(k), unquoted(v))).collect());
        }
        let Some(end) = key_end(body) else { return Line::Other };
        Line::Pair { key: unquoted(&body[..end]), value: uncommented(body[end + 1..].trim()) }
    }
}

/// Where the colon stands that ends the line's key; what is in an action or in quotes is no end.
fn key_end(body: &str) -> Option<usize> {
    let mut at = 0;
    let mut quote = None;
    while at < body.len() {
        let rest = &body[at..];
        if quote.is_none() && rest.starts_with("{{") {
            at += rest.find("}}")? + 2;
            continue;
        }
        let c = rest.chars().next()?;
        match (c, quote) {
            ('"' | '\'', None) if at == 0 => quote = Some(c),
            (c, Some(q)) if c == q => quote = None,
            (':', None) if matches!(rest.as_bytes().get(1), None | Some(b' ' | b'\t')) => return Some(at),
            (' ' | '\t', None) if !rest.trim_start().starts_with([':', '{']) => return None,
            _ => {}
        }
        at += c.len_utf8();
    }
    None
}

/// The value without a comment behind it.
fn uncommented(value: &str) -> &str {
    if let Some(quote) = value.chars().next().filter(|c| matches!(c, '"' | '\'')) {
        // An action within the quotes may hold quotes itself.
        let end = value.rfind(quote).filter(|&e| e > 0);
        return end.map_or(value, |e| &value[..=e]);
    }
    let from = value.rfind("}}").map_or(0, |i| i + 2);
    value[from..].find(" #").map_or(value, |i| value[..from + i].trim_end())
}

/// A scalar without its quotes.
pub(super) fn unquoted(value: &str) -> String {
    let value = value.trim();
    let inner = |quote: char| value.strip_prefix(quote).and_then(|v| v.strip_suffix(quote));
    match (inner('"'), inner('\'')) {
        (Some(inner), _) => inner.replace("\\\"", "\""),
        (_, Some(inner)) => inner.replace("''", "'"),
        _ => value.to_owned(),
    }
}
