//! Tests of the engine as a whole.

use custody_contract::{SecretRecogniser, Surface};
use proptest::prelude::*;

use super::*;
use crate::decode::{scan_decoded, variants};
use crate::rules::cases::{CaseKind, expand};

fn token(template: &str) -> String {
    expand("engine-tests", CaseKind::Example, 0, template).expect("a known template")
}

fn scan(text: &[u8]) -> Vec<Match> {
    let mut matches = Vec::new();
    Engine::builtin().scan(&mut Scratch::default(), &Input::new(text, None, Surface::WorkingTree), &mut matches);
    matches
}

fn scan_at(text: &str, path: &str) -> Vec<String> {
    let engine = Engine::builtin();
    let mut matches = Vec::new();
    let input = Input::new(text.as_bytes(), Some(path), Surface::WorkingTree);
    engine.scan(&mut Scratch::default(), &input, &mut matches);
    matches.iter().map(|m| engine.rules().rule(m.rule).id.to_string()).collect()
}

#[test]
fn several_secrets_on_a_line_and_repeated_ones_are_all_found() {
    let (one, two) = (token("{{jwt}}"), token("x{{jwt}}").split_off(1));
    let text = format!("a={one} b={two} c={one}\nd={one}");
    let found = scan(text.as_bytes());
    let spans: Vec<_> = found.iter().map(|m| &text[m.start..m.end]).collect();
    assert_eq!(spans, [&one, &two, &one, &one]);
    assert_eq!(found[0].fingerprint, found[3].fingerprint);
    assert_ne!(found[0].fingerprint, found[1].fingerprint);
}

#[test]
fn one_secret_is_one_match_and_the_rule_that_knows_it_names_it() {
    let engine = Engine::builtin();
    let text = format!("access_token = \"{}\"", token("{{jwt}}"));
    let found = scan(text.as_bytes());
    assert_eq!(found.iter().map(|m| &*engine.rules().rule(m.rule).id).collect::<Vec<_>>(), ["jwt"]);
}

#[test]
fn names_paths_calls_and_labels_are_no_secrets() {
    for (text, path) in [
        ("let password = request.password();", "src/a.rs"),
        ("password = get_password(user)", "a.py"),
        ("this.password = password;", "a.js"),
        ("password: PasswordField,", "a.ts"),
        ("String password = null;", "A.java"),
        ("password: 'Passwort vergessen?'", "de.json"),
        ("PASSWORD_RESET_URL = 'https://corp.net/reset'", "settings.py"),
        ("passwordInput: '#login-password'", "page.js"),
        ("token: ${{ secrets.DEPLOY_TOKEN }}", ".github/workflows/ci.yml"),
        ("secretName: ingress-tls-certificate", "deploy.yaml"),
        ("api_key: !vault db/prod/api", "vars.yml"),
        ("\"integrity\": \"sha512-{{base64:86}}==\"", "package-lock.json"),
        ("commit_token = \"{{hex:40}}\" # git commit sha1", "a.py"),
        ("max_tokens=4096, next_token='abcdef1234567890ab'", "a.py"),
    ] {
        let text = token(text);
        assert_eq!(scan_at(&text, path), Vec::<String>::new(), "{text}");
    }
}

#[test]
fn passwords_and_keys_in_code_and_settings_are_found() {
    for (text, path) in [
        ("db.password=Tr0ub4dor{{digits:2}}", "app.properties"),
        ("  password: \"k{{alnum:10}}\"", "config.yml"),
        ("DB_PASS_WORD = 1\nDB_PASSWORD=wint{{digits:4}}er!", ".env"),
        ("conn = connect(user='app', password='{{alnum:12}}')", "db.py"),
        ("String pwd = \"{{alnum:10}}!\";", "Db.java"),
        ("\"clientSecret\": \"{{alnum:32}}\"", "appsettings.json"),
        ("secret_key = '{{base64:40}}'", "settings.py"),
        ("SLACKISH_TOKEN={{hex:40}}", "deploy.env"),
    ] {
        let text = token(text);
        assert_eq!(scan_at(&text, path).len(), 1, "{text}");
    }
}

#[test]
fn an_inline_allowance_is_reported_with_the_match() {
    let mark = concat!("custody", ":allow");
    let text = format!("t = \"{}\" # {mark} jwt signed for a closed test tenant", token("{{jwt}}"));
    assert_eq!(scan(text.as_bytes())[0].allowed.as_deref(), Some("signed for a closed test tenant"));
}

#[test]
fn confidence_is_explained_and_adds_up() {
    let text = token("password = \"k{{alnum:10}}!\"");
    let confidence = &scan(text.as_bytes())[0].confidence;
    let sum: i32 = confidence.reasons.iter().map(|r| i32::from(r.weight)).sum();
    assert_eq!(sum.clamp(0, 100), i32::from(confidence.score));
    assert!(confidence.reasons.len() > 1 && confidence.score >= THRESHOLD);
}

/// Every way to write `text` that is looked into, with the names of the layers.
fn encoded(text: &str) -> Vec<(Vec<u8>, Vec<&'static str>)> {
    use data_encoding::{BASE32, BASE64, BASE64URL_NOPAD, HEXLOWER};
    let bytes = text.as_bytes();
    let wide = |order: fn(u16) -> [u8; 2]| text.encode_utf16().flat_map(order).collect::<Vec<u8>>();
    let each = |f: fn(u8) -> String| bytes.iter().map(|&b| f(b)).collect::<String>().into_bytes();
    let base64 = BASE64.encode(bytes);
    let lines: Vec<_> = base64.as_bytes().chunks(76).map(|l| String::from_utf8_lossy(l).into_owned()).collect();
    vec![
        (base64.clone().into_bytes(), vec!["base64"]),
        (BASE64URL_NOPAD.encode(bytes).into_bytes(), vec!["base64"]),
        (lines.join("\r\n  ").into_bytes(), vec!["base64"]),
        (BASE64.encode(base64.as_bytes()).into_bytes(), vec!["base64", "base64"]),
        (BASE64.encode(&wide(u16::to_le_bytes)).into_bytes(), vec!["base64", "utf-16le"]),
        (BASE32.encode(bytes).into_bytes(), vec!["base32"]),
        (HEXLOWER.encode(bytes).into_bytes(), vec!["hex"]),
        (each(|b| format!("%{b:02X}")), vec!["percent"]),
        (each(|b| format!("\\u{b:04x}")), vec!["escape"]),
        (each(|b| format!("\\x{b:02x}")), vec!["escape"]),
        (each(|b| format!("\\{b:03o}")), vec!["escape"]),
        (each(|b| format!("&#{b};")), vec!["html"]),
        (each(|b| format!("&#x{b:x};")), vec!["html"]),
        (each(|b| format!("={b:02X}=\n")), vec!["quoted-printable"]),
    ]
}

#[test]
fn a_secret_is_found_in_every_encoding_at_its_place() {
    let engine = Engine::builtin();
    let secret = token("{{jwt}}");
    let plain = scan(secret.as_bytes())[0].fingerprint;
    for (form, encoding) in encoded(&secret) {
        let text = [b"{\"value\": \"", &*form, b"\", \"other\": 1}"].concat();
        let mut matches = Vec::new();
        scan_decoded(&engine, &mut Scratch::default(), &Input::new(&text, None, Surface::Request), &mut matches);
        let found =
            matches.iter().find(|m| m.encoding == encoding).unwrap_or_else(|| panic!("{encoding:?} is not found"));
        assert_eq!((found.fingerprint, found.length), (plain, secret.len() as u64), "{encoding:?}");
        assert!(found.start >= 11 && found.end <= 11 + form.len() + 2, "{encoding:?}: {}..{}", found.start, found.end);
        assert!(variants(&text).any(|v| v.encoding == encoding), "{encoding:?}");
    }
    for (order, name) in [(u16::to_le_bytes as fn(u16) -> [u8; 2], "utf-16le"), (u16::to_be_bytes, "utf-16be")] {
        let text: Vec<u8> = format!("\u{feff}# é\nkey = {secret}\n").encode_utf16().flat_map(order).collect();
        let found = scan(&text);
        assert_eq!((found.len(), found[0].fingerprint, found[0].encoding.as_slice()), (1, plain, &[name][..]));
        assert_eq!((found[0].start, found[0].end - found[0].start), (2 + 2 * 10, 2 * secret.len()));
    }
}

#[test]
fn the_recogniser_refuses_keys_and_lets_ids_pass() {
    let engine = Engine::builtin();
    for id in [
        "workspace-alpha",
        "readonly",
        "123456789012",
        "01A2B3-4C5D6E-7F8A9B",
        "us-east-1",
        "production",
        "billing_export",
        "6f9619ff-8b86-d011-b42d-00c04fc964ff",
        "my-org.prod.eu-central-1",
        "subscription-2024-q3",
        "project-1234567890",
        "o-a1b2c3d4e5",
        "cred://aws/production/readonly",
        "cred://gcp/org.1/01A2B3-4C5D6E-7F8A9B/billing_export/ro",
        "arn-aws-iam-123456789012-role-billing-reader",
        "cost-and-usage-report-daily-parquet-v2",
    ] {
        assert_eq!(engine.recognise(id), None, "{id}");
    }
    for template in [
        "{{jwt}}",
        "{{alnum:40}}",
        "{{base64url:43}}",
        "{{hex:40}}",
        "prod-{{alnum:32}}",
        "{{bech32:AGE-SECRET-KEY-:52}}",
    ] {
        let secret = token(template);
        assert!(engine.recognise(&secret).is_some(), "{template}");
        assert!(engine.recognise(&format!("cred://aws/{secret}/readonly")).is_some(), "{template} in a reference");
    }
}

#[test]
fn a_scratch_space_serves_several_engines() {
    let (all, none) = (Engine::builtin(), Engine::new(RuleSet::empty()));
    let text = token("{{jwt}}");
    let input = Input::new(text.as_bytes(), None, Surface::Stdin);
    let (mut scratch, mut matches) = (Scratch::default(), Vec::new());
    for (engine, expected) in [(&all, 1), (&none, 1), (&all, 2)] {
        engine.scan(&mut scratch, &input, &mut matches);
        assert_eq!(matches.len(), expected);
    }
}

/// Text that is dense in what rules look at.
fn noise() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        any::<u8>().prop_map(|b| vec![b]),
        "[ -~]{0,12}".prop_map(String::into_bytes),
        prop::sample::select(vec![
            "password",
            "=",
            "\"",
            "token",
            " ",
            "\n",
            "://",
            ":",
            "@",
            "eyJ",
            "-----BEGIN ",
            "PRIVATE KEY-----",
            "%41",
            "\\u0041",
            "&#65;",
            "secret",
            "api_key",
            "'",
            "bearer ",
            "\u{feff}",
            "QUJDREVGR0hJSktMTU5PUFFSU1RVVg",
            "curl -u a:",
            "value",
        ])
        .prop_map(|s| s.as_bytes().to_vec()),
    ];
    prop::collection::vec(piece, 0..60).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn no_bytes_make_it_panic_and_spans_are_in_bounds(bytes in noise()) {
        let mut matches = Vec::new();
        let input = Input::new(&bytes, Some("a.env"), Surface::Request);
        scan_decoded(&Engine::builtin(), &mut Scratch::default(), &input, &mut matches);
        for m in matches {
            prop_assert!(m.start < m.end && m.end <= bytes.len());
        }
    }

    #[test]
    fn a_planted_token_is_found_at_any_offset(before in noise(), after in noise()) {
        let secret = token("{{jwt}}");
        let text = [&before[..], b" ", secret.as_bytes(), b" ", &after[..]].concat();
        prop_assert!(scan(&text).iter().any(|m| m.start == before.len() + 1 && m.length == secret.len() as u64));
    }

    #[test]
    fn windows_that_overlap_by_the_reach_find_what_the_whole_does(
        parts in prop::collection::vec(noise(), 1..4),
        fill in 0usize..3000,
    ) {
        // Rules of short reach, so that windows are small and many.
        let rules = RuleSet::builtin();
        let long: Vec<String> = rules.iter().filter(|r| r.reach > 800).map(|r| r.id.to_string()).collect();
        let engine = Engine::new(rules.without(&long));
        let mut text = Vec::new();
        for part in parts {
            text.extend(part);
            text.extend(token("\npassword = \"{{alnum:11}}!\"\n").bytes());
            text.extend(std::iter::repeat_n(b"ordinary text ".iter(), fill / 14).flatten());
        }
        let scan = |bytes: &[u8]| {
            let mut matches = Vec::new();
            engine.scan(&mut Scratch::default(), &Input::new(bytes, None, Surface::Stdin).decoding(Decoding::Off), &mut matches);
            matches
        };
        let whole: Vec<_> = scan(&text).iter().map(|m| (m.start, m.end, m.rule, m.confidence.score)).collect();
        let (reach, step) = (engine.reach(), 700);
        let mut windowed = Vec::new();
        for own in (0..text.len()).step_by(step) {
            let from = own.saturating_sub(reach);
            let to = text.len().min(own + step + reach);
            let found = scan(&text[from..to]);
            let found = found.iter().map(|m| (m.start + from, m.end + from, m.rule, m.confidence.score));
            windowed.extend(found.filter(|m| (own..own + step).contains(&m.0)));
        }
        prop_assert_eq!(windowed, whole);
    }
}
