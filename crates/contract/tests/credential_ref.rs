//! Properties of credential references (CRED-4), and the references that the project itself gives as examples.

use std::fs;
use std::path::{Path, PathBuf};

use custody_contract::CredentialRef;
use proptest::prelude::*;

fn segment() -> impl Strategy<Value = String> {
    "[A-Za-z0-9._-]{1,40}".prop_filter("a dot segment", |text| text != "." && text != "..")
}

fn reference() -> impl Strategy<Value = String> {
    let scheme = "[cC][rR][eE][dD]";
    (scheme, segment(), prop::collection::vec(segment(), 1..6), segment())
        .prop_map(|(scheme, provider, scope, access)| format!("{scheme}://{provider}/{}/{access}", scope.join("/")))
}

/// Text near the grammar, so that every way to refuse it is reached.
fn near_reference() -> impl Strategy<Value = String> {
    prop_oneof![any::<String>(), "cred://\\PC{0,60}", "cred://[A-Za-z0-9:@?#%/._ é-]{0,80}"]
}

/// The runs of four characters of `text`.
fn quotes(text: &str) -> impl Iterator<Item = String> {
    let characters: Vec<char> = text.chars().collect();
    (0..characters.len().saturating_sub(3)).map(move |at| characters[at..at + 4].iter().collect())
}

proptest! {
    #[test]
    fn valid_reference_parses_and_round_trips(text in reference()) {
        let parsed = CredentialRef::parse(&text).expect("valid");
        let again = CredentialRef::parse(parsed.as_str()).expect("canonical text is valid");
        prop_assert_eq!(again.as_str(), parsed.as_str());
        prop_assert!(parsed.as_str().eq_ignore_ascii_case(&text));
        let scope: Vec<&str> = parsed.scope().collect();
        let rebuilt = format!("cred://{}/{}/{}", parsed.provider(), scope.join("/"), parsed.access());
        prop_assert_eq!(rebuilt.as_str(), parsed.as_str());
    }

    #[test]
    fn case_of_scheme_and_provider_does_not_matter(provider in segment(), scope in segment(), access in segment()) {
        let upper = format!("CRED://{}/{scope}/{access}", provider.to_ascii_uppercase());
        let lower = format!("cred://{}/{scope}/{access}", provider.to_ascii_lowercase());
        prop_assert_eq!(CredentialRef::parse(&upper), CredentialRef::parse(&lower));
    }

    #[test]
    fn whatever_parses_shows_only_the_allowed_alphabet(text in near_reference()) {
        if let Ok(parsed) = CredentialRef::parse(&text) {
            let shown = parsed.to_string();
            let body = shown.strip_prefix("cred://").expect("scheme");
            prop_assert!(body.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-/".contains(&byte)));
            prop_assert!(shown.len() <= CredentialRef::MAX_BYTES);
        }
    }

    #[test]
    fn error_does_not_depend_on_the_characters_it_refuses(text in "[\u{400}-\u{4ff}]{4,40}", valid in reference()) {
        // Letters that no message uses: four of them in a row would be a quotation.
        for input in [text.clone(), format!("{valid}/{text}"), format!("cred://{text}/x/y")] {
            let error = CredentialRef::parse(&input).expect_err("not in the alphabet");
            let said = format!("{error} {error:?}");
            prop_assert!(quotes(&text).all(|quote| !said.contains(&quote)));
        }
    }

    #[test]
    fn error_never_quotes_a_random_segment(token in "[a-zA-Z0-9]{16}[0-9][QXZ][0-9]{6}") {
        for input in [token.clone(), format!("cred://{token}"), format!("cred://u:{token}@aws/x/y"),
                      format!("cred://aws/{token}?/x"), format!("cred://aws/{token}//x")] {
            let error = CredentialRef::parse(&input).expect_err("invalid");
            let said = format!("{error} {error:?}");
            // Letters alone may spell a word of the message; a run with a digit is a quotation.
            let mut runs = quotes(&token).filter(|run| run.contains(|c: char| c.is_ascii_digit())
                && run.contains(|c: char| c.is_ascii_alphabetic()));
            prop_assert!(runs.all(|run| !said.contains(&run)));
        }
    }
}

fn json_files(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).expect("test data").map(|entry| entry.expect("entry").path()) {
        if entry.is_dir() {
            json_files(&entry, found);
        } else if entry.extension().is_some_and(|extension| extension == "json") {
            found.push(entry);
        }
    }
}

#[test]
fn references_of_the_profile_and_of_the_test_packs_parse() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut files = vec![root.join("contracts/ficecal.toml"), root.join("custody.toml")];
    json_files(&root.join("packaging/ficecal/testdata"), &mut files);
    let mut seen = 0;
    for file in &files {
        let text = fs::read_to_string(file).expect("readable");
        for rest in text.split("\"cred://").skip(1) {
            let body = rest.split('"').next().unwrap_or_default();
            assert!(CredentialRef::parse(&format!("cred://{body}")).is_ok(), "cred://{body} in {}", file.display());
            seen += 1;
        }
    }
    assert!(seen >= 12, "only {seen} references were found: the test looks in the wrong place");
}
