//! A version is known as if it had been searched whole.

use std::sync::LazyLock;

use bstr::ByteSlice as _;
use proptest::prelude::*;
use proptest::sample::Index;

use super::*;
use custody_contract::Surface;

static ENGINE: LazyLock<Engine> = LazyLock::new(Engine::builtin);

/// What differs, for people.
fn difference(one: &Trace, other: &Trace) -> String {
    let hits = |a: &Trace, b: &Trace| a.hits.iter().filter(|hit| !b.hits.contains(hit)).copied().collect::<Vec<_>>();
    let found = |a: &Trace, b: &Trace| {
        let extra = a.candidates.iter().filter(|c| !b.candidates.contains(c));
        extra.map(|c| (c.hit.at, c.rule, c.start, c.end)).collect::<Vec<_>>()
    };
    let layered =
        |a: &Trace, b: &Trace| a.layered.iter().filter(|l| !b.layered.contains(l)).cloned().collect::<Vec<_>>();
    format!(
        "{:?} {:?}\n{:?} {:?}\n{:?} {:?}",
        hits(one, other),
        hits(other, one),
        found(one, other),
        found(other, one),
        layered(one, other),
        layered(other, one)
    )
}

/// Pieces that rules look for, that hide secrets, that break lines, and that mean nothing.
fn piece() -> impl Strategy<Value = String> {
    let engine_words = prop::sample::select(vec![
        "password",
        "passwd=",
        "secret_key",
        "token",
        "apikey: ",
        "aws",
        "AKIA",
        "eyJ",
        "ghp_",
        "://",
        "user:",
        "@host",
        "datadog_api_key=",
        "Authorization: Bearer ",
        "basic ",
        "-----BEGIN PRIVATE KEY-----",
        "value=",
        "client_secret",
    ]);
    let templates = prop::sample::select(vec![
        "{{jwt}}",
        "{{hex:32}}",
        "{{hex:40}}",
        "{{alnum:36}}",
        "{{base64:64}}",
        "k{{alnum:10}}!",
        "{{pem:PRIVATE KEY}}",
        "{{uuid}}",
    ]);
    let expanded = (templates, 0usize..4).prop_map(|(template, seed)| {
        use crate::rules::cases::{CaseKind, expand};
        expand("trace", CaseKind::Example, seed, template).unwrap_or_default()
    });
    let hidden = ("[ -~]{12,40}", any::<bool>(), expanded.clone()).prop_map(|(text, wrapped, secret)| {
        let text = data_encoding::BASE64.encode(format!("password={secret} {text} password = \"{secret}\"").as_bytes());
        if wrapped { text.as_bytes().chunks(64).map(|l| String::from_utf8_lossy(l) + "\n  ").collect() } else { text }
    });
    prop_oneof![
        6 => engine_words.prop_map(str::to_owned),
        4 => expanded,
        1 => hidden,
        4 => prop::sample::select(vec![" = ", "\"", "\n", "\n\n", " ", "'", ": ", "# custody:allow jwt why\n", "\r\n", "="]).prop_map(str::to_owned),
        3 => "[ -~\n]{0,24}",
        1 => "[a-z0-9 ]{0,1400}",
    ]
}

fn text() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(piece(), 0..24).prop_map(|pieces| pieces.concat().into_bytes())
}

#[derive(Debug, Clone)]
enum Step {
    Copy(Index, Index),
    On(Index),
    Insert(String),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        3 => (any::<Index>(), any::<Index>()).prop_map(|(from, length)| Step::Copy(from, length)),
        6 => any::<Index>().prop_map(Step::On),
        3 => piece().prop_map(Step::Insert),
        1 => "[a-zA-Z0-9=\" ]{1,3}".prop_map(Step::Insert),
    ];
    prop::collection::vec(step, 0..10)
}

/// Applies the steps as a delta's instructions.
fn version(base: &[u8], steps: &[Step]) -> (Vec<u8>, Vec<Segment>) {
    let (mut out, mut segments) = (Vec::new(), crate::history::Segments::default());
    let mut next = 0;
    for step in steps {
        let (from, length) = match step {
            Step::Insert(text) => {
                segments.insert(text.len());
                out.extend_from_slice(text.as_bytes());
                continue;
            }
            Step::Copy(from, length) => {
                let from = from.index(base.len() + 1);
                (from, length.index(base.len() - from + 1))
            }
            // As deltas mostly do: go on a little behind where the last copy ended.
            Step::On(length) => {
                let from = base.len().min(next + length.index(4));
                (from, length.index(base.len() - from + 1))
            }
        };
        segments.copy(from, length);
        out.extend_from_slice(&base[from..from + length]);
        next = from + length;
    }
    (out, segments.as_slice().to_vec())
}

fn whole(engine: &Engine, scratch: &mut Scratch, bytes: &[u8]) -> (Trace, Vec<Match>) {
    let input = Input::new(bytes, None, Surface::History);
    let (mut trace, mut matches) = (Trace::default(), Vec::new());
    engine.trace(scratch, &input, &mut trace);
    engine.conclude(scratch, &input, &trace, &mut matches);
    let mut scanned = Vec::new();
    engine.scan(scratch, &input, &mut scanned);
    assert_eq!(matches, scanned);
    (trace, matches)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(ProptestConfig::default().cases.max(384)))]

    #[test]
    fn a_version_is_known_as_if_it_had_been_searched_whole(base in text().no_shrink(), versions in prop::collection::vec(steps(), 1..4)) {
        let engine = &*ENGINE;
        let mut scratch = Scratch::default();
        let (mut known, _) = whole(engine, &mut scratch, &base);
        let mut base = base;
        for steps in versions {
            let (bytes, segments) = version(&base, &steps);
            let mut trace = Trace::default();
            let input = Input::new(&bytes, None, Surface::History);
            engine.trace_version(&mut scratch, &input, &segments, (&known, base.len()), &mut trace);
            let (naive, _) = whole(engine, &mut scratch, &bytes);
            prop_assert!(trace == naive, "{}\n{segments:?}\n{:?}\n{:?}", difference(&trace, &naive), bytes.as_bstr(), base.as_bstr());
            (base, known) = (bytes, trace);
        }
    }

    #[test]
    fn a_seam_at_every_byte_changes_nothing(base in text(), inserted in "[a-z=\" ]{0,2}") {
        let engine = &*ENGINE;
        let mut scratch = Scratch::default();
        let (known, _) = whole(engine, &mut scratch, &base);
        let stride = base.len() / 40 + 1;
        for at in (0..base.len()).step_by(stride) {
            for skipped in [0, 1, 7] {
                let mut segments = crate::history::Segments::default();
                let next = base.len().min(at + skipped);
                segments.copy(0, at);
                segments.insert(inserted.len());
                segments.copy(next, base.len() - next);
                let bytes = [&base[..at], inserted.as_bytes(), &base[next..]].concat();
                let mut trace = Trace::default();
                let input = Input::new(&bytes, None, Surface::History);
                engine.trace_version(&mut scratch, &input, segments.as_slice(), (&known, base.len()), &mut trace);
                let naive = whole(engine, &mut scratch, &bytes).0;
                prop_assert!(trace == naive, "{}\n{at} {skipped}\n{:?}\n{:?}", difference(&trace, &naive), bytes.as_bstr(), base.as_bstr());
            }
        }
    }
}
