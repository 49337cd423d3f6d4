//! Reading contract files and naming what is wrong with them, by line and column.

use crate::file::ContractFile;
use crate::{Diagnostic, Place};

/// Code of every problem with the contract file itself.
pub(super) const CODE: &str = "contract-file";

impl ContractFile {
    /// Reads the text of a contract file; `name` is what errors call it.
    ///
    /// # Errors
    ///
    /// A [`Diagnostic`] with line and column: syntax, unknown field (with the closest known one), wrong type, or a
    /// malformed scalar. It never quotes a value of the file.
    pub fn parse(text: &str, name: &str) -> Result<ContractFile, Box<Diagnostic>> {
        toml::from_str(text).map_err(|error| Box::new(diagnose(&error, text, name)))
    }
}

fn diagnose(error: &toml::de::Error, text: &str, name: &str) -> Diagnostic {
    let place = match error.span() {
        Some(span) => Place::of_offset(name, text, span.start),
        None => Place::file(name),
    };
    let message = without_values(error.message());
    let mut diagnostic = Diagnostic::error(CODE, format!("cannot read {name}")).at(place);
    if let Some(fix) = closest_field(&message) {
        diagnostic = diagnostic.fix(fix);
    }
    if diagnostic.fix.is_empty() {
        diagnostic = diagnostic.fix("see docs/contract-file.md, or `custody contract schema` for the whole structure");
    }
    diagnostic.why(message)
}

/// Serde quotes the offending value in some messages; a value of a contract file may be a secret put there by
/// mistake, so only what was expected is kept.
fn without_values(message: &str) -> String {
    let message = message.split_whitespace().collect::<Vec<_>>().join(" ");
    for (start, found) in [
        ("invalid type: string", "found a string"),
        ("invalid value: string", "found another string"),
        ("invalid type: integer", "found an integer"),
        ("invalid value: integer", "found another integer"),
        ("invalid type: floating point", "found a decimal number"),
        ("invalid type: boolean", "found a boolean"),
        ("invalid value: ", "found another value"),
        ("unknown variant", "found another value"),
    ] {
        if message.starts_with(start) {
            // The last "expected" is serde's own; one inside the quoted value comes before it.
            let expected = message.rfind("expected ").map_or("a different value", |at| &message[at..]);
            return format!("{expected}, {found}");
        }
    }
    // Messages with backticks or quotes that are not about field names come from the TOML syntax layer, which
    // quotes at most single characters, and from our own scalars, which quote nothing but path patterns.
    message
}

/// For "unknown field `x`, expected one of `a`, `b`": the closest of those named.
fn closest_field(message: &str) -> Option<String> {
    let rest = message.strip_prefix("unknown field `")?;
    let (unknown, rest) = rest.split_once('`')?;
    let known = rest.split('`').skip(1).step_by(2);
    let best = known.map(|k| (strsim::damerau_levenshtein(k, unknown), k)).min()?;
    (best.0 <= 3).then(|| format!("did you mean `{}`?", best.1))
}

/// Finds the place of an item by its path, such as `["waiver", "1", "expires"]`; the nearest enclosing item that
/// exists is taken.
pub fn locate(text: &str, name: &str, path: &[&str]) -> Place {
    use toml::de::{DeTable, DeValue};
    let Ok(table) = DeTable::parse(text) else { return Place::file(name) };
    let mut span = None;
    let mut current: Option<&DeValue<'_>> = None;
    for (depth, part) in path.iter().enumerate() {
        let next = match current {
            None if depth == 0 => table.get_ref().get(*part),
            Some(DeValue::Table(table)) => table.get(*part),
            Some(DeValue::Array(items)) => part.parse::<usize>().ok().and_then(|i| items.get(i)),
            _ => None,
        };
        let Some(next) = next else { break };
        span = Some(next.span());
        current = Some(next.get_ref());
    }
    match span {
        Some(span) => Place::of_offset(name, text, span.start),
        None => Place::file(name),
    }
}
