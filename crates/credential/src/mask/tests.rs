//! Masking as a whole: every form, every split, nothing else touched.

use data_encoding::{BASE64, BASE64_NOPAD, BASE64URL_NOPAD, HEXLOWER, HEXUPPER};
use proptest::prelude::*;

use super::*;

fn masker(values: &[&[u8]]) -> Arc<Masker> {
    let values: Vec<SecretValue> = values.iter().map(|v| SecretValue::new(v.to_vec())).collect();
    Masker::new(&values.iter().collect::<Vec<_>>()).expect("random bytes")
}

/// All that comes out, when the input is cut after `cuts` bytes each, and held bytes are released after every piece if
/// `impatient`.
fn mask_in_pieces(masker: &Arc<Masker>, input: &[u8], cuts: &[usize], impatient: bool) -> Vec<u8> {
    let (mut stream, mut out, mut rest) = (masker.stream(), Vec::new(), input);
    let mut cuts = cuts.iter().cycle();
    while !rest.is_empty() {
        let cut = cuts.next().map_or(rest.len(), |&c| c.clamp(1, rest.len()));
        stream.push(&rest[..cut], &mut out);
        rest = &rest[cut..];
        if impatient {
            stream.release(&mut out);
            assert!(!stream.is_holding());
        }
    }
    stream.finish(&mut out);
    out
}

fn mask(masker: &Arc<Masker>, input: &str) -> String {
    String::from_utf8_lossy(&mask_in_pieces(masker, input.as_bytes(), &[], false)).into_owned()
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    memchr::memmem::find(haystack, needle).is_some()
}

/// The forms in which the property tests print a value, each with the encoded text that must not survive.
fn encodings(value: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let url = |plus: bool, upper: bool| {
        let each = |b: &u8| match b {
            b if b.is_ascii_alphanumeric() || b"-_.~".contains(b) => char::from(*b).to_string(),
            b' ' if plus => "+".into(),
            b if upper => format!("%{b:02X}"),
            b => format!("%{b:02x}"),
        };
        value.iter().map(each).collect::<String>().into_bytes()
    };
    let wrap = |text: Vec<u8>, width: usize, by: &str| text.chunks(width).collect::<Vec<_>>().join(by.as_bytes());
    let aligned = |prefix: &str, suffix: &str| {
        BASE64.encode(&[prefix.as_bytes(), value, suffix.as_bytes()].concat()).into_bytes()
    };
    let mut all = vec![
        ("plain", value.to_vec()),
        ("base64", BASE64.encode(value).into_bytes()),
        ("base64 without padding", BASE64_NOPAD.encode(value).into_bytes()),
        ("base64url", BASE64URL_NOPAD.encode(value).into_bytes()),
        ("base64 behind one byte", aligned("u", "")),
        ("base64 behind two bytes", aligned("u:", "\n")),
        ("base64 behind three bytes", aligned("ab:", "tail")),
        ("wrapped base64", wrap(aligned("user:", "rest of it"), 76, "\n")),
        ("narrow base64", wrap(aligned("user:", "rest of it"), 11, "\r\n    ")),
        ("base64 in JSON", wrap(aligned("user:", "rest"), 64, "\\n")),
        ("hex", HEXLOWER.encode(value).into_bytes()),
        ("upper hex", HEXUPPER.encode(value).into_bytes()),
        ("hex with colons", wrap(HEXLOWER.encode(value).into_bytes(), 2, ":")),
        ("hex in pairs", wrap(HEXUPPER.encode(value).into_bytes(), 4, " ")),
        ("URL", url(false, true)),
        ("lower URL", url(false, false)),
        ("form", url(true, true)),
        ("backslash x", value.iter().map(|b| format!("\\x{b:02x}")).collect::<String>().into_bytes()),
        ("octal", value.iter().map(|b| format!("\\{b:03o}")).collect::<String>().into_bytes()),
        ("percent of all", value.iter().map(|b| format!("%{b:02X}")).collect::<String>().into_bytes()),
    ];
    if let Ok(text) = std::str::from_utf8(value) {
        let json = serde_json::to_string(text).expect("text");
        all.push(("quoted", json.clone().into_bytes()));
        all.push(("quoted twice", json.replace('\\', "\\\\").replace('"', "\\\"").into_bytes()));
        all.push(("single quotes", format!("'{}'", text.replace('\'', "'\\''")).into_bytes()));
        all.push(("shlex", format!("'{}'", text.replace('\'', "'\"'\"'")).into_bytes()));
        let html = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;");
        all.push(("HTML", html.replace('\'', "&#39;").into_bytes()));
        let utf16 = |c: char| c.encode_utf16(&mut [0; 2]).iter().map(|u| format!("\\u{u:04x}")).collect::<String>();
        all.push(("ASCII JSON", text.chars().map(utf16).collect::<String>().into_bytes()));
        let backslash = |c: char| {
            if c.is_ascii_alphanumeric() || !c.is_ascii() || c < ' ' { c.to_string() } else { format!("\\{c}") }
        };
        all.push(("backslashes", text.chars().map(backslash).collect::<String>().into_bytes()));
    }
    all
}

/// No window of so many bytes of the value may survive in any form.
const WINDOW: usize = 8;

fn assert_no_window(value: &[u8], out: &[u8], what: &str) {
    let windows = |length: usize| value.windows(length.min(value.len()));
    let plain = windows(WINDOW).map(|w| ("plain", w.to_vec()));
    let hex = windows(WINDOW).map(|w| ("hex", HEXLOWER.encode(w).into_bytes()));
    let upper = windows(WINDOW).map(|w| ("upper hex", HEXUPPER.encode(w).into_bytes()));
    // A group of base64 has three bytes.
    let base64 = windows(9).map(|w| ("base64", BASE64.encode(w).into_bytes()));
    for (name, text) in plain.chain(hex).chain(upper).chain(base64) {
        assert!(!contains(out, &text), "{what}: a {name} window survives in {:?}", String::from_utf8_lossy(out));
    }
}

/// Values without long runs of one byte, whose windows could stand in any output.
fn value() -> impl Strategy<Value = Vec<u8>> {
    let text = "[a-zA-Z0-9 +/=%&<>'\"\\\\$:@!#é😀\n\t-]{12,48}".prop_map(String::into_bytes);
    let token = "[A-Za-z0-9_-]{12,90}".prop_map(String::into_bytes);
    let binary = proptest::collection::vec(any::<u8>(), 12..64);
    let varied = |v: &Vec<u8>| {
        let trimmed = v.trim_ascii();
        let mut bytes = trimmed.to_vec();
        bytes.sort_unstable();
        bytes.dedup();
        trimmed.len() == v.len() && bytes.len() >= 8
    };
    prop_oneof![text, token, binary].prop_filter("varied", varied)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn no_window_of_a_value_survives_in_any_encoding_with_any_splits(
        value in value(),
        cuts in proptest::collection::vec(1usize..40, 1..12),
        impatient in any::<bool>(),
    ) {
        let masker = masker(&[&value]);
        for (name, encoded) in encodings(&value) {
            let input = [b"before <", encoded.as_slice(), b"> after\n"].concat();
            let out = mask_in_pieces(&masker, &input, &cuts, impatient);
            let what = format!("{name}, {:?}, cuts {cuts:?}", String::from_utf8_lossy(&encoded));
            prop_assert!(contains(&out, MARK.as_bytes()), "not masked: {what}: {:?}", String::from_utf8_lossy(&out));
            assert_no_window(&value, &out, &what);
            prop_assert!(out.starts_with(b"before <") && out.ends_with(b"after\n"), "{what}: {:?}", String::from_utf8_lossy(&out));
        }
    }

    #[test]
    fn output_without_a_value_comes_through_byte_for_byte(
        value in value(),
        output in proptest::collection::vec(any::<u8>(), 0..2000),
        cuts in proptest::collection::vec(1usize..300, 1..12),
        impatient in any::<bool>(),
    ) {
        let masker = masker(&[&value, b"QzX9", b"other value 1", b"line one of it\nline two of it"]);
        // Four random bytes are in no such output but by accident.
        prop_assume!(!contains(&output, b"QzX"));
        prop_assert_eq!(mask_in_pieces(&masker, &output, &cuts, impatient), output);
    }

    #[test]
    fn values_between_other_output_on_two_streams_go_and_the_rest_stays_as_it_is(
        values in proptest::collection::vec(value(), 1..4),
        pieces in proptest::collection::vec(("[0-9 .,;|]{0,20}", any::<(u16, u16, bool)>()), 1..8),
        cuts in proptest::collection::vec((1usize..40, any::<bool>(), any::<bool>()), 1..20),
    ) {
        let masker = masker(&values.iter().map(Vec::as_slice).collect::<Vec<_>>());
        // For each stream: what it is fed, and what stands between its values.
        let mut written = [Vec::new(), Vec::new()];
        let mut kept = [vec![Vec::new()], vec![Vec::new()]];
        for (noise, (which, form, second)) in &pieces {
            let mut forms = encodings(&values[usize::from(*which) % values.len()]);
            let encoded = forms.swap_remove(usize::from(*form) % forms.len()).1;
            let (before, after) = (format!("\n({noise}<"), format!(">{noise})\n"));
            let stream = usize::from(*second);
            written[stream].extend([before.as_bytes(), &encoded, after.as_bytes()].concat());
            kept[stream].last_mut().expect("one").extend(before.bytes());
            kept[stream].push(after.into_bytes());
        }
        let (mut streams, mut out) = ([masker.stream(), masker.stream()], [Vec::new(), Vec::new()]);
        let mut at = [0, 0];
        // The streams take turns as they come, and pause as they come.
        for &(cut, second, pause) in cuts.iter().cycle().take(100_000) {
            let turn = usize::from(second);
            let turn = if at[turn] < written[turn].len() { turn } else { 1 - turn };
            let end = written[turn].len().min(at[turn] + cut);
            streams[turn].push(&written[turn][at[turn]..end], &mut out[turn]);
            at[turn] = end;
            if pause {
                streams[turn].release(&mut out[turn]);
            }
            if at[0] == written[0].len() && at[1] == written[1].len() {
                break;
            }
        }
        for turn in 0..2 {
            streams[turn].finish(&mut out[turn]);
            for value in &values {
                assert_no_window(value, &out[turn], "between other output");
            }
            let mut rest = out[turn].as_slice();
            for (index, part) in kept[turn].iter().enumerate() {
                let found = memchr::memmem::find(rest, part);
                prop_assert!(found.is_some(), "{:?} is missing in {:?}", String::from_utf8_lossy(part), String::from_utf8_lossy(&out[turn]));
                let start = found.unwrap_or(0);
                prop_assert!((index > 0) == contains(&rest[..start], MARK.as_bytes()), "{:?}", String::from_utf8_lossy(&out[turn]));
                rest = &rest[start + part.len()..];
            }
            prop_assert!(rest.is_empty());
        }
    }

    #[test]
    fn pieces_come_out_as_the_whole(
        values in proptest::collection::vec("[ab\\\\n%+]{4,10}", 1..4),
        output in "[ab\\\\nrx%+ 0-9\n]{0,200}",
        cuts in proptest::collection::vec(1usize..9, 1..9),
    ) {
        // Few symbols, so that values overlap, repeat and begin in each other all the time.
        let masker = masker(&values.iter().map(String::as_bytes).collect::<Vec<_>>());
        let whole = mask_in_pieces(&masker, output.as_bytes(), &[], false);
        let pieces = mask_in_pieces(&masker, output.as_bytes(), &cuts, false);
        prop_assert_eq!(String::from_utf8_lossy(&pieces), String::from_utf8_lossy(&whole));
    }
}

#[test]
fn overlapping_and_nested_values_leave_nothing_between_them() {
    let both = masker(&[b"first-part-second", b"second-part-third", b"part"]);
    assert_eq!(mask(&both, "x first-part-second-part-third y"), "x *** y");
    assert_eq!(mask(&both, "part parted"), "*** ***ed");
    let nested = masker(&[b"abcdefgh", b"abcdefghijklmnop"]);
    assert_eq!(mask(&nested, "abcdefghijkl abcdefghijklmnop"), "***ijkl ***");
}

#[test]
fn values_that_repeat_are_each_masked() {
    let one = masker(&[b"s3cr3t-value"]);
    assert_eq!(mask(&one, "s3cr3t-values3cr3t-value"), "******");
    assert_eq!(mask(&masker(&[b"aaaa"]), &"a".repeat(11)), "***");
}

#[test]
fn too_short_values_are_said_and_not_masked() {
    let short = masker(&[b"abc", b"", b"long enough", b"x\n"]);
    assert_eq!(short.unmasked(), [0, 1, 3]);
    assert_eq!(mask(&short, "abc x long enough"), "abc x ***");
    assert!(masker(&[]).is_empty());
}

#[test]
fn lines_of_a_value_are_masked_alone_and_indented() {
    let lines = masker(&[b"first line of it\nsecond line of it\n"]);
    assert_eq!(mask(&lines, "> second line of it"), "> ***");
    assert_eq!(mask(&lines, "  first line of it\n    second line of it\n."), "  ***\n.");
    assert_eq!(mask(&lines, "first line of it\r\nsecond line of it"), "***");
}

#[test]
fn a_pem_key_is_masked_in_any_width_and_behind_any_marks() {
    let der: Vec<u8> = (0..120u32).map(|i| (i * 89 % 251) as u8).collect();
    let body = BASE64.encode(&der);
    let pem = |width: usize, indent: &str| {
        let lines = body.as_bytes().chunks(width).map(|l| format!("{indent}{}", String::from_utf8_lossy(l)));
        lines.collect::<Vec<_>>().join("\n")
    };
    let (head, tail) = ("-----BEGIN TEST KEY-----", "-----END TEST KEY-----");
    let key = masker(&[format!("{head}\n{}\n{tail}\n", pem(64, "")).as_bytes()]);
    for (width, indent) in [(64, ""), (76, ""), (20, "    "), (33, "# "), (64, "> "), (5, " * "), (1000, "")] {
        let out = mask(&key, &format!("key:\n{}\nend", pem(width, indent)));
        let indented = format!("key:\n{indent}***");
        assert!(
            out.starts_with(&indented) && out.ends_with("\nend") && out.len() < indented.len() + 16,
            "{width} {indent:?}: {out}"
        );
    }
    let out = mask(&key, &format!("{{\"key\": \"{head}\\n{}\\n{tail}\\n\"}}", pem(64, "").replace('\n', "\\n")));
    assert_eq!(out, "{\"key\": \"***\\n\"}");
    assert_eq!(mask(&key, "-----BEGIN TEST KEY-----\npublic"), "-----BEGIN TEST KEY-----\npublic");
    assert_eq!(mask_in_pieces(&key, &der, &[7], false), MARK.as_bytes());
}

#[test]
fn colours_inside_of_a_value_do_not_hide_it() {
    let one = masker(&[b"s3cr3t-value"]);
    assert_eq!(mask(&one, "a s3\x1b[01;31m\x1b[Kcr3t\x1b[m\x1b[K-value b"), "a *** b");
    assert_eq!(mask(&one, "\x1b[31ms3cr3t-value\x1b[0m"), "\x1b[31m***\x1b[0m");
}

#[test]
fn a_pause_lets_at_most_a_short_beginning_through() {
    let one = masker(&[b"0123456789abcdefXYZ"]);
    let mut stream = one.stream();
    let mut out = Vec::new();
    stream.push(b"prompt 0123", &mut out);
    assert_eq!(out, b"prompt ");
    assert!(stream.is_holding());
    stream.release(&mut out);
    assert_eq!(out, b"prompt 0123");
    stream.push(b"456789", &mut out);
    stream.release(&mut out);
    assert_eq!(out, b"prompt 0123***");
    stream.push(b"abcdef", &mut out);
    assert!(!stream.is_holding(), "the rest of a masked beginning is masked as it comes");
    stream.push(b"XYZ!", &mut out);
    stream.finish(&mut out);
    assert_eq!(String::from_utf8_lossy(&out), "prompt 0123***!");
    let (leaks, more) = stream.take_leaks();
    assert_eq!((leaks.len(), more), (1, 0));
    assert!(leaks[0].is_whole && leaks[0].offset == 11 && leaks[0].line == 1);
}

#[test]
fn one_byte_at_a_time_with_pauses_shows_six_bytes_at_most() {
    let value = b"Zz9-long-enough-value";
    let out = mask_in_pieces(&masker(&[value]), value, &[1], true);
    assert_eq!(String::from_utf8_lossy(&out), "Zz9-lo***");
    let out = mask_in_pieces(&masker(&[b"pa55"]), b"pa55", &[1], true);
    assert_eq!(out, b"pa5***");
}

#[test]
fn what_is_found_is_said_with_value_writing_place_and_line() {
    let two = masker(&[b"first-value", b"second-value"]);
    let mut stream = two.stream();
    let mut out = Vec::new();
    stream.push(b"line\nfirst-value\n\n", &mut out);
    stream.push(BASE64.encode(b"second-value").as_bytes(), &mut out);
    stream.push(b"\nend second-v", &mut out);
    stream.finish(&mut out);
    let leak = |value, writing, offset, line, is_whole| Leak { value, writing, offset, line, is_whole };
    let expected = [
        leak(0, Writing::Text, 5, 2, true),
        leak(1, Writing::Base64, 18, 4, true),
        leak(1, Writing::Text, 39, 5, false),
    ];
    assert_eq!(stream.take_leaks(), (expected.to_vec(), 0));
    assert_eq!(String::from_utf8_lossy(&out), "line\n***\n\n***\nend ***");
    assert!(!format!("{two:?} {stream:?}").contains("first-value"));
}

#[test]
fn equal_values_are_named_together() {
    let twice = masker(&[b"same-value", b"same-value\n", b"other"]);
    let mut stream = twice.stream();
    stream.push(b"same-value", &mut Vec::new());
    let named: Vec<usize> = stream.take_leaks().0.iter().map(|l| l.value).collect();
    assert_eq!(named, [0, 1]);
}

#[test]
fn a_flood_of_leaks_is_counted_not_kept() {
    let one = masker(&[b"s3cr3t-value"]);
    let mut stream = one.stream();
    stream.push("s3cr3t-value\n".repeat(1000).as_bytes(), &mut Vec::new());
    let (leaks, more) = stream.take_leaks();
    assert_eq!(leaks.len() as u64 + more, 1000);
}

#[test]
#[ignore = "a measurement: cargo test --profile quick -p custody-credential -- --ignored --nocapture throughput"]
fn throughput() {
    let line = "2026-11-24T10:00:00Z INFO request id=4711 path=/api/v1/items status=200 duration=13ms user=alice\n";
    let text = line.repeat((64 << 20) / line.len());
    let random: Vec<u8> = (0..64u64 << 20).map(|i| (i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as u8).collect();
    for count in [1, 3, 10, 100] {
        let values: Vec<Vec<u8>> =
            (0..count).map(|i: u32| BASE64.encode(blake(i).as_bytes()).into_bytes()[..24].to_vec()).collect();
        let made = std::time::Instant::now();
        let masker = masker(&values.iter().map(Vec::as_slice).collect::<Vec<_>>());
        let made = made.elapsed();
        for (name, input) in
            [("log", text.as_bytes()), ("random", &random), ("base64", BASE64.encode(&random[..48 << 20]).as_bytes())]
        {
            let start = std::time::Instant::now();
            let (mut stream, mut out) = (masker.stream(), Vec::new());
            for chunk in input.chunks(1 << 16) {
                out.clear();
                stream.push(chunk, &mut out);
            }
            let rate = input.len() as f64 / start.elapsed().as_secs_f64() / 1e6;
            println!("{count} values, {name}: {rate:.0} MB/s (made in {made:?})");
        }
    }
}

fn blake(i: u32) -> String {
    let mix = |k: u64| (u64::from(i) + k).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(23);
    format!("{:016x}{:016x}", mix(1), mix(77))
}
