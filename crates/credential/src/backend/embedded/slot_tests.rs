//! Ways to the key that hang on something outside, against the real thing.

use std::process::Command;

use custody_testkit::servers::{Keyring, SoftHsm, SwTpm};

use super::tests::{Place, current, secret};
use super::*;

/// Opens anew, as another process does.
fn opens(place: &Place, keys: impl Fn() -> Keys) -> Result<String, StoreError> {
    current(&place.store_with(keys()), "a")
}

/// What every way does: opens, opens after new keys, and not with the old ones' copies.
fn holds_a_store(kind: SlotKind, place: &Place, keys: impl Fn() -> Keys) {
    let store = place.store_with(keys()).made_with(kind);
    store.put("a", &secret("one"), None).expect("the way can be made");
    assert_eq!(opens(place, &keys).expect("opens"), "one");
    store.rekey().expect("new keys");
    assert_eq!(store.record().expect("opens").slots, [kind]);
    assert_eq!(opens(place, &keys).expect("opens after new keys"), "one");
    // In place of a key file, and the other way round.
    store.add_slot(SlotKind::KeyFile).expect("added");
    store.remove_slot(kind).expect("removed");
    assert_eq!(opens(place, || place.keys()).expect("by the key file"), "one");
    store.add_slot(kind).expect("added again");
    store.remove_slot(SlotKind::KeyFile).expect("removed");
    assert_eq!(opens(place, &keys).expect("opens again"), "one");
}

#[test]
fn the_real_keyring_holds_a_store() {
    let (place, keyring) = (Place::new(), Keyring::start());
    let on = |bus: &str| Keys { bus: Some(bus.to_owned()), ..place.keys() };
    holds_a_store(SlotKind::Keyring, &place, || on(keyring.bus()));
    let error = opens(&place, || on("unix:path=/nonexistent")).expect_err("no keyring");
    assert_eq!(error.kind(), ErrorKind::Sealed, "{error}");
    let other = Keyring::start();
    let error = opens(&place, || on(other.bus())).expect_err("another keyring").to_string();
    assert!(error.contains("keyring: the keyring has no key of this store"), "{error}");
}

#[test]
fn a_tpm_in_software_holds_a_store() {
    let (place, tpm) = (Place::new(), SwTpm::start());
    let with = |tpm: &SwTpm, pcrs: Option<&str>, pin: Option<&str>| {
        let choice = TpmChoice { tcti: Some(tpm.tcti()), pcrs: pcrs.map(str::to_owned), pin: pin.is_some() };
        Keys { tpm: choice, pin: pin.map(secret), ..place.keys() }
    };
    holds_a_store(SlotKind::Tpm, &place, || with(&tpm, None, None));
    let nowhere = TpmChoice { tcti: Some("swtpm:host=127.0.0.1,port=1".into()), ..TpmChoice::default() };
    let error = opens(&place, || Keys { tpm: nowhere.clone(), ..place.keys() }).expect_err("no TPM").to_string();
    assert!(error.contains("tpm: there is no TPM that can be reached"), "{error}");
    let other = SwTpm::start();
    let error = opens(&place, || with(&other, None, None)).expect_err("another TPM").to_string();
    assert!(error.contains("this TPM does not take the key"), "{error}");
}

#[test]
fn a_tpm_in_software_counts_wrong_pins_and_measures_the_start() {
    let (place, tpm) = (Place::new(), SwTpm::start());
    let with = |pcrs: Option<&str>, pin: Option<&str>| {
        let choice = TpmChoice { tcti: Some(tpm.tcti()), pcrs: pcrs.map(str::to_owned), pin: pin.is_some() };
        Keys { tpm: choice, pin: pin.map(secret), ..place.keys() }
    };
    let store = place.store_with(with(None, Some("4711"))).made_with(SlotKind::Tpm);
    store.put("a", &secret("one"), None).expect("made");
    assert_eq!(opens(&place, || with(None, Some("4711"))).expect("opens"), "one");
    store.rekey().expect("new keys, the same PIN");
    let error = opens(&place, || with(None, Some("4712"))).expect_err("a wrong PIN");
    assert!(error.to_string().contains("the PIN is wrong") && !error.to_string().contains("471"), "{error}");
    let error = opens(&place, || with(None, None)).expect_err("no PIN").to_string();
    assert!(error.contains("nobody to ask: set pin-file, or CUSTODY_STORE_PIN"), "{error}");
    // Bound to the start of the machine instead.
    let place = Place::new();
    let store = place.store_with(with(Some("sha256:7,14"), None)).made_with(SlotKind::Tpm);
    store.put("a", &secret("two"), None).expect("made");
    assert_eq!(opens(&place, || with(None, None)).expect("opens"), "two");
    let digest = format!("7:sha256={}", "01".repeat(32));
    tpm.run("tpm2_pcrextend", &[&digest]);
    let error = opens(&place, || with(None, None)).expect_err("started otherwise").to_string();
    assert!(error.contains("started otherwise than when the key was bound to PCRs sha256:7,14"), "{error}");
    for wrong in ["7", "sha256:24", "sha256:7;reboot", "-o x", ""] {
        let store = Place::new().store_with(with(Some(wrong), None)).made_with(SlotKind::Tpm);
        assert!(matches!(store.put("a", &secret("x"), None), Err(StoreError::Key(_))), "{wrong}");
    }
}

/// Runs a test again in a process that sees these tokens: the module reads its configuration from the environment.
fn in_a_process_with(tokens: &SoftHsm, test: &str) {
    let test = format!("backend::embedded::slot_tests::{test}");
    let output = Command::new(std::env::current_exe().expect("known"))
        .args(["--exact", &test, "--nocapture"])
        .env(SoftHsm::CONFIGURATION, tokens.configuration())
        .output()
        .expect("the test runs");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("1 passed"), "{text}{}", String::from_utf8_lossy(&output.stderr));
}

const PIN: &str = "648219";

fn token_keys(place: &Place, token: Option<&str>, key: Option<&str>, pin: Option<&str>) -> Keys {
    let token =
        TokenChoice { module: Some(SoftHsm::module()), token: token.map(str::to_owned), key: key.map(str::to_owned) };
    Keys { token, pin: pin.map(secret), ..place.keys() }
}

#[test]
fn softhsm_holds_a_store() {
    if std::env::var_os(SoftHsm::CONFIGURATION).is_none() {
        return in_a_process_with(&SoftHsm::start(&["custody", "other"], PIN), "softhsm_holds_a_store");
    }
    let place = Place::new();
    holds_a_store(SlotKind::Pkcs11, &place, || token_keys(&place, Some("custody"), None, Some(PIN)));
    let fails = |keys: &dyn Fn() -> Keys| opens(&place, keys).expect_err("refused");
    let error = fails(&|| token_keys(&place, None, None, Some("000000")));
    assert_eq!(error.kind(), ErrorKind::Sealed);
    assert!(error.to_string().contains("the PIN of the token `custody` is wrong; it was tried once"), "{error}");
    assert!(!error.to_string().contains("0000"), "{error}");
    let error = fails(&|| token_keys(&place, None, None, None)).to_string();
    assert!(error.contains("wants a PIN, and there is nobody to ask"), "{error}");
    let module = |path: &str| Keys {
        token: TokenChoice { module: Some(path.into()), ..TokenChoice::default() },
        ..place.keys()
    };
    let error = fails(&|| module("/nowhere/module.so")).to_string();
    assert!(error.contains("/nowhere/module.so cannot be loaded"), "{error}");
    let error = fails(&|| module("libc.so.6")).to_string();
    assert!(error.contains("libc.so.6 is no PKCS#11 module"), "{error}");
    // Several tokens and none of them named.
    let store = Place::new().store_with(token_keys(&place, None, None, Some(PIN))).made_with(SlotKind::Pkcs11);
    let error = store.put("a", &secret("x"), None).expect_err("which one?").to_string();
    assert!(error.contains("name one as pkcs11.token") && error.contains("`custody`"), "{error}");
    let store = Place::new().store_with(token_keys(&place, Some("gone"), None, Some(PIN))).made_with(SlotKind::Pkcs11);
    let error = store.put("a", &secret("x"), None).expect_err("no such token").to_string();
    assert!(error.contains("the token `gone` is not there: there are: `"), "{error}");
}

#[test]
fn a_key_pair_that_softhsm_has_already_is_used_and_kept() {
    if std::env::var_os(SoftHsm::CONFIGURATION).is_none() {
        let tokens = SoftHsm::start(&["custody"], PIN);
        tokens.make_rsa_key("custody", PIN, "my key");
        return in_a_process_with(&tokens, "a_key_pair_that_softhsm_has_already_is_used_and_kept");
    }
    let place = Place::new();
    let keys = || token_keys(&place, None, Some("my key"), Some(PIN));
    holds_a_store(SlotKind::Pkcs11, &place, keys);
    let store =
        Place::new().store_with(token_keys(&place, None, Some("no key"), Some(PIN))).made_with(SlotKind::Pkcs11);
    let error = store.put("a", &secret("x"), None).expect_err("no such key").to_string();
    assert!(error.contains("no secret or private key `no key`"), "{error}");
    // It is the user's own: it stays when the way goes.
    let store = place.store_with(keys());
    store.add_slot(SlotKind::KeyFile).expect("added");
    store.remove_slot(SlotKind::Pkcs11).expect("removed");
    store.add_slot(SlotKind::Pkcs11).expect("the key is still there");
}
