//! Reading single fields: each reader reports what is wrong and gives the value where it is right.

use std::collections::HashSet;

use iso_currency::Currency;
use jiff::civil::Date;

use crate::json::{Node, Number, Spot, Value};
use crate::problem::{Fault, Faults};

/// Longest text of an identifying field, in bytes.
const LONGEST: usize = 512;

/// A required, non-empty string.
pub(crate) fn text<'n>(
    object: &'n Node,
    field: &'static str,
    clause: &'static str,
    faults: &mut Faults,
) -> Option<&'n str> {
    let Some(node) = object.get(field) else {
        let fault = Fault::validation(Spot::missing(object, field), "missing_field", format!("{field} is missing"));
        faults.push(fault.clause(clause).fix(format!("add {field}, a non-empty string")));
        return None;
    };
    string(node, field, clause, faults)
}

/// A non-empty string in a field that is there.
pub(crate) fn string<'n>(node: &'n Node, field: &str, clause: &'static str, faults: &mut Faults) -> Option<&'n str> {
    let spot = Spot::of(node);
    let mut refuse = |reason, what: String| {
        faults.push(Fault::validation(spot, reason, what).clause(clause).fix("write a non-empty string"));
        None
    };
    match node.as_str() {
        None => refuse("wrong_type", format!("{field} must be a string, not {}", node.kind())),
        Some("") => refuse("empty_field", format!("{field} is empty")),
        Some(text) if text.trim().is_empty() => refuse("blank_field", format!("{field} has only blanks")),
        Some(text) if text.chars().any(char::is_control) => {
            refuse("control_character", format!("{field} holds a control character"))
        }
        Some(text) if text.len() > LONGEST => {
            refuse("field_too_long", format!("{field} has more than {LONGEST} bytes"))
        }
        Some(text) => Some(text),
    }
}

/// An ISO 8601 calendar date that exists.
pub(crate) fn date(object: &Node, field: &'static str, clause: &'static str, faults: &mut Faults) -> Option<Date> {
    let text = text(object, field, clause, faults)?;
    let shape = text.len() == 10
        && text.bytes().enumerate().all(|(i, b)| if i == 4 || i == 7 { b == b'-' } else { b.is_ascii_digit() });
    let parsed = shape.then(|| text.parse::<Date>().ok()).flatten();
    if parsed.is_none() {
        let node = object.get(field)?;
        let why = if shape { "there is no such day in the calendar" } else { "it is not of the form YYYY-MM-DD" };
        let fault = Fault::validation(Spot::of(node), "invalid_date", format!("{field} is not a date"));
        faults.push(fault.clause(clause).why(why).fix("write an ISO 8601 date such as 2026-01-31"));
    }
    parsed
}

/// An ISO 4217 currency code.
pub(crate) fn currency<'n>(object: &'n Node, clause: &'static str, faults: &mut Faults) -> Option<&'n str> {
    let code = text(object, "currency", clause, faults)?;
    let spot = Spot::of(object.get("currency")?);
    let upper = code.bytes().all(|b| b.is_ascii_uppercase());
    match Currency::from_code(code).filter(|_| upper && code.len() == 3) {
        Some(known) => {
            if !matches!(code, "XXX" | "XTS") {
                if known.is_superseded().is_some() {
                    let fault =
                        Fault::validation(spot, "superseded_currency", "currency is one that another has replaced");
                    faults.push(fault.clause(clause).fix("use the successor for periods after the change").warning());
                }
                return Some(code);
            }
            let fault = Fault::validation(spot, "invalid_currency", "currency is a code for no currency");
            faults.push(fault.clause(clause).fix("write the currency of the bill, such as USD"));
        }
        None => {
            let fault = Fault::validation(spot, "invalid_currency", "currency is not an ISO 4217 code");
            faults.push(fault.clause(clause).fix("write three capital letters of ISO 4217, such as USD or EUR"));
        }
    }
    None
}

/// Both ends of a period; the end is inclusive.
pub(crate) fn period(object: &Node, clause: &'static str, faults: &mut Faults) -> Option<(Date, Date)> {
    let start = date(object, "startDate", clause, faults);
    let end = date(object, "endDate", clause, faults);
    let (start, end) = (start?, end?);
    if end < start {
        let spot = Spot::of(object.get("endDate")?);
        let fault = Fault::validation(spot, "period_reversed", "endDate is before startDate");
        faults.push(fault.clause(clause).why("the period ends with endDate, inclusive").fix("swap the dates"));
        return None;
    }
    Some((start, end))
}

/// What a number may be.
#[derive(Clone, Copy)]
pub(crate) enum Range {
    Positive,
    NotNegative,
    Percent,
    Count,
}

/// A required number: finite, no boolean, within its range.
pub(crate) fn number(object: &Node, field: &'static str, range: Range, faults: &mut Faults) -> Option<f64> {
    let Some(node) = object.get(field) else {
        let fault = Fault::validation(Spot::missing(object, field), "missing_field", format!("{field} is missing"));
        faults.push(fault.clause("VAL-1").fix(format!("add {field}, a number")));
        return None;
    };
    let spot = Spot::of(node);
    let (value, integer) = match &node.value {
        Value::Number(Number::Finite { value, integer }) => (*value, *integer),
        Value::Number(Number::NotFinite { value }) => {
            let what = format!("{field} is not a finite number");
            // What the first user's own script lets pass is told apart from what it refuses.
            let reason = if matches!(range, Range::Positive) && *value <= 0.0 { "not_positive" } else { "not_finite" };
            faults.push(Fault::validation(spot, reason, what).clause("VAL-1").fix("write a finite number"));
            return None;
        }
        Value::Number(Number::OutOfRange) => return None, // reported by the parser
        Value::Bool(value) => {
            let what = format!("{field} must be a number, not a boolean");
            faults.push(Fault::validation(spot, "boolean_number", what).clause("VAL-1").fix("write a number"));
            if matches!(range, Range::Positive) && !value {
                faults.push(
                    Fault::validation(spot, "not_positive", format!("{field} must be greater than 0")).clause("VAL-1"),
                );
            }
            return None;
        }
        _ => {
            let what = format!("{field} must be a number, not {}", node.kind());
            faults
                .push(Fault::validation(spot, "wrong_type", what).clause("VAL-1").fix("write a number without quotes"));
            return None;
        }
    };
    let (reason, wanted) = match range {
        Range::Positive if value <= 0.0 => ("not_positive", "greater than 0"),
        Range::NotNegative | Range::Count if value < 0.0 => ("out_of_range", "0 or more"),
        Range::Percent if !(0.0..=100.0).contains(&value) => ("out_of_range", "between 0 and 100"),
        Range::Count if !integer => ("not_an_integer", "a whole number"),
        _ => return Some(value),
    };
    faults.push(
        Fault::validation(spot, reason, format!("{field} must be {wanted}"))
            .clause("VAL-1")
            .fix(format!("write a number that is {wanted}")),
    );
    None
}

/// An array of non-empty strings in a field that is there.
pub(crate) fn strings(node: &Node, field: &str, clause: &'static str, faults: &mut Faults) -> Option<Vec<String>> {
    let Value::Array(items) = &node.value else {
        let what = format!("{field} must be an array of strings, not {}", node.kind());
        let fault = Fault::validation(Spot::of(node), "wrong_type", what).clause(clause);
        faults.push(fault.fix("put the strings in brackets"));
        return None;
    };
    let mut all = Some(Vec::with_capacity(items.len()));
    let mut seen = HashSet::new();
    for (index, item) in items.iter().enumerate() {
        match (string(item, &format!("item {index} of {field}"), clause, faults), &mut all) {
            (Some(text), Some(list)) => {
                if !seen.insert(text) {
                    let what = format!("item {index} of {field} stands there twice");
                    let fault = Fault::validation(Spot::of(item), "duplicate_scope", what).clause(clause).warning();
                    faults.push(fault.why("a scope that is read twice is counted twice").fix("remove one"));
                }
                list.push(text.to_owned());
            }
            _ => all = None,
        }
    }
    all
}
