//! What must hold in every format for whatever stands in a report's texts.

use std::collections::HashMap;
use std::path::PathBuf;

use custody_contract::Report;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::Value;

use crate::{Colour, Explain, Format, Links, RenderOptions, markdown, render, sample, sarif, table, text};

/// Fields that hold no free text.
const FIXED: [&str; 17] = [
    "schema",
    "kind",
    "started",
    "environment",
    "environment_source",
    "decision",
    "block_at",
    "clause",
    "verdict",
    "severity",
    "fingerprint",
    "state",
    "surface",
    "from",
    "authored",
    "committed",
    "level",
];

const EVIL: [&str; 30] = [
    "\u{1b}[2J\u{1b}[H",
    "\u{1b}]8;;https://evil.example\u{1b}\\x\u{1b}]8;;\u{1b}\\",
    "\u{9b}31m",
    "]]>",
    "<![CDATA[",
    "-->",
    "<script>alert(1)</script>",
    "&amp;&#x0;&",
    "|",
    "a | b",
    "\\|",
    "`",
    "```",
    "~~~",
    "\n",
    "\r\n",
    "\n\n# heading\n",
    "\n::error::forged",
    "::add-mask::x",
    "%0A::error::",
    "\u{202e}txt.exe",
    "\u{2066}\u{2069}",
    "\u{2028}\u{2029}\u{85}",
    "\u{0}",
    "\u{fffe}\u{ffff}",
    "@octocat #1 GH-1",
    "![x](https://evil.example/x.png)",
    "a,b:c=d%25",
    "\u{feff}\u{e0041}",
    "日本語 é 👩‍👩‍👧",
];

fn free_text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![select(&EVIL[..]).prop_map(str::to_owned), any::<String>(), "[ -~]{0,20}"];
    prop::collection::vec(piece, 0..4).prop_map(|pieces| pieces.concat())
}

/// A sample with every free text and every number of a place replaced.
fn report() -> impl Strategy<Value = Report> {
    let texts = prop::collection::vec(free_text(), 8);
    let numbers = prop::collection::vec(prop_oneof![Just(0), Just(1), Just(u32::MAX), any::<u32>()], 5);
    (select(sample::all()), texts, numbers).prop_map(|(report, texts, numbers)| {
        let mut value = serde_json::to_value(&report).expect("serialises");
        let mut next = 0;
        replace(&mut value, "", &texts, &numbers, &mut next);
        serde_json::from_value(value).expect("is still a report")
    })
}

fn replace(value: &mut Value, key: &str, texts: &[String], numbers: &[u32], next: &mut usize) {
    match value {
        Value::String(text) if !FIXED.contains(&key) => {
            *next += 1;
            texts[*next % texts.len()].clone_into(text);
        }
        Value::Number(number) if ["line", "column", "end_column"].contains(&key) => {
            *next += 1;
            *number = numbers[*next % numbers.len()].into();
        }
        // The list of a clause's findings holds fingerprints, not findings.
        Value::Array(items) if !(key == "findings" && items.first().is_some_and(Value::is_string)) => {
            items.iter_mut().for_each(|item| replace(item, key, texts, numbers, next));
        }
        Value::Object(fields) => {
            fields.iter_mut().for_each(|(key, field)| replace(field, key, texts, numbers, next));
        }
        _ => {}
    }
}

fn options() -> impl Strategy<Value = RenderOptions> {
    let root = select(vec![None, Some(PathBuf::from("/srv/my repo")), Some(PathBuf::from("relative"))]);
    let explain = select(vec![Explain::No, Explain::Yes]);
    (any::<u16>(), root, explain).prop_map(|(width, root, explain)| RenderOptions {
        width,
        root,
        explain,
        ..RenderOptions::default()
    })
}

fn shown(report: &Report, format: Format, options: &RenderOptions) -> String {
    let mut out = Vec::new();
    render(report, format, options, &mut out).expect("renders");
    String::from_utf8(out).expect("UTF-8")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn no_format_lets_a_control_character_through(report in report(), options in options()) {
        for format in Format::ALL {
            let shown = shown(&report, format, &options);
            let bad = shown.chars().find(|c| *c != '\n' && text::is_unsafe(*c));
            prop_assert_eq!(bad, None, "{} has {:?}: {}", format, bad, shown);
            prop_assert!(shown.ends_with('\n'));
        }
    }

    #[test]
    fn a_rich_table_says_what_a_plain_one_says(report in report(), options in options()) {
        let rich = RenderOptions { colour: Colour::Always, links: Links::Always, ..options.clone() };
        let rich = shown(&report, Format::Table, &rich);
        let plain = shown(&report, Format::Table, &options);
        prop_assert_eq!(table::tests::without_sequences(&rich), plain);
    }

    #[test]
    fn the_last_line_of_a_table_is_the_decision(report in report(), options in options()) {
        let table = shown(&report, Format::Table, &options);
        let last = table.lines().last().unwrap_or_default();
        let opens = ["Release blocked", "May release.", "Incomplete:", "Blocked", "Clean:", "Valid:", "Nothing blocks:"];
        prop_assert!(opens.iter().any(|o| last.starts_with(o)), "{}", last);
        let forged = table.lines().filter(|l| opens.iter().any(|o| l.starts_with(o))).count();
        prop_assert_eq!(forged, 1, "{}", table);
    }

    #[test]
    fn json_is_the_report_and_keeps_to_its_schema(report in report(), options in options()) {
        let json = shown(&report, Format::Json, &options);
        prop_assert_eq!(serde_json::from_str::<Report>(&json).expect("parses"), report);
    }

    #[test]
    fn sarif_keeps_to_the_official_schema(report in report(), options in options()) {
        let sarif = serde_json::from_str(&shown(&report, Format::Sarif, &options)).expect("parses");
        prop_assert_eq!(sarif::tests::schema_errors(&sarif), Vec::<String>::new());
    }

    #[test]
    fn junit_is_well_formed(report in report(), options in options()) {
        let xml = shown(&report, Format::Junit, &options);
        let document = roxmltree::Document::parse(&xml);
        prop_assert!(document.is_ok(), "{:?}: {}", document.err(), xml);
    }

    #[test]
    fn every_line_for_github_is_one_command(report in report(), options in options()) {
        let commands = shown(&report, Format::Github, &options);
        for line in commands.lines() {
            let rest = ["::error ", "::warning ", "::notice "].iter().find_map(|c| line.strip_prefix(c));
            let Some((properties, _)) = rest.and_then(|rest| rest.split_once("::")) else {
                return Err(TestCaseError::fail(format!("not a command: {line}")));
            };
            for property in properties.split(',') {
                let name = property.split('=').next().unwrap_or_default();
                prop_assert!(["file", "line", "col", "endColumn", "title"].contains(&name), "{}", line);
            }
            for (at, _) in line.match_indices('%') {
                prop_assert!(["25", "0A", "0D", "3A", "2C"].contains(&line.get(at + 1..at + 3).unwrap_or("")), "{}", line);
            }
        }
    }

    #[test]
    fn text_does_not_change_the_shape_of_markdown(report in report()) {
        let markdown = shown(&report, Format::Markdown, &RenderOptions::default());
        let calm_report = calmed(&report);
        let calm = shown(&calm_report, Format::Markdown, &RenderOptions::default());
        prop_assert_eq!(markdown::tests::shape(&markdown), markdown::tests::shape(&calm), "{}", markdown);
        let mention = markdown.match_indices('@').all(|(at, _)| markdown[at + 1..].starts_with("<!-- -->"));
        prop_assert!(mention, "{}", markdown);
    }
}

/// The same report with a harmless word in place of each text that is not empty; the same word for the same text.
fn calmed(report: &Report) -> Report {
    let mut value = serde_json::to_value(report).expect("serialises");
    calm(&mut value, "", &mut HashMap::new());
    serde_json::from_value(value).expect("is still a report")
}

fn calm(value: &mut Value, key: &str, words: &mut HashMap<String, String>) {
    match value {
        Value::String(text) if !FIXED.contains(&key) && !text.is_empty() => {
            let next = format!("word{}", words.len());
            words.entry(text.clone()).or_insert(next).clone_into(text);
        }
        Value::Array(items) if !(key == "findings" && items.first().is_some_and(Value::is_string)) => {
            items.iter_mut().for_each(|item| calm(item, key, words));
        }
        Value::Object(fields) => fields.iter_mut().for_each(|(key, field)| calm(field, key, words)),
        _ => {}
    }
}
