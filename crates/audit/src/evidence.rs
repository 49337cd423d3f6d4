//! Evidence that a log was verified: an in-toto statement (<https://in-toto.io/Statement/v1>) in a DSSE envelope
//! (<https://github.com/secure-systems-lab/dsse>), signed with the log's key.

use data_encoding::BASE64;
use serde_json::json;

use crate::error::AuditError;
use crate::keys::{KeyRing, KeyStore};
use crate::verify::VerifyReport;

/// What kind of statement it is.
pub const PREDICATE_TYPE: &str = "https://custody.dev/attestation/audit-verification/v1";

const PAYLOAD_TYPE: &str = "application/vnd.in-toto+json";

/// A signed statement of what a verification found; its subject is the log's last record.
///
/// # Errors
/// [`AuditError::Refused`] if there is no log to speak of or no key to sign with; [`AuditError::Key`] if the key cannot be
/// read.
pub fn attest(report: &VerifyReport, keys: impl KeyStore + 'static) -> Result<String, AuditError> {
    let refused = |why: &str| AuditError::Refused { why: why.to_owned() };
    let head = report.head.ok_or_else(|| refused("there is no record that evidence could be about"))?;
    let signer = KeyRing::new(keys).signer()?.ok_or_else(|| refused("there is no key to sign evidence with"))?;
    let statement = json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{ "name": head.to_string(), "digest": { "sha256": head.hash } }],
        "predicateType": PREDICATE_TYPE,
        "predicate": report,
    });
    let payload = statement.to_string();
    let signature = signer.sign(&[&pre_authentication(payload.as_bytes())]);
    let envelope = json!({
        "payloadType": PAYLOAD_TYPE,
        "payload": BASE64.encode(payload.as_bytes()),
        "signatures": [{ "keyid": signer.public_key(), "sig": BASE64.encode(&signature.0) }],
    });
    Ok(format!("{envelope:#}\n"))
}

/// PAE of DSSE 1: what is signed.
fn pre_authentication(payload: &[u8]) -> Vec<u8> {
    let mut bytes = format!("DSSEv1 {} {PAYLOAD_TYPE} {} ", PAYLOAD_TYPE.len(), payload.len()).into_bytes();
    bytes.extend_from_slice(payload);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Action, Event, Outcome, Principal};
    use crate::format::Signature;
    use crate::keys::{MemoryKeys, verify_signature};
    use crate::verify::{Trust, verify};
    use crate::{AuditLog, Options};

    #[test]
    fn evidence_is_signed_with_the_logs_key_and_speaks_of_its_last_record() {
        let place = tempfile::tempdir().expect("directory");
        let keys = MemoryKeys::default();
        let log = AuditLog::open(place.path(), keys.clone(), Options::default()).expect("opens");
        log.record(&Event::new(Action::Reveal, Outcome::Allowed, Principal::current())).expect("recorded");
        let report = verify(place.path(), &Trust::default().with_keys(keys.clone())).expect("verified");
        let text = attest(&report, keys).expect("signed");
        let envelope: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        let decode =
            |value: &serde_json::Value| BASE64.decode(value.as_str().expect("text").as_bytes()).expect("base64");
        let payload = decode(&envelope["payload"]);
        let signature = Signature(decode(&envelope["signatures"][0]["sig"]).try_into().expect("64 bytes"));
        let key = report.key.expect("a key");
        assert!(verify_signature(key, &[&pre_authentication(&payload)], signature));
        let statement: serde_json::Value = serde_json::from_slice(&payload).expect("JSON");
        assert_eq!(statement["subject"][0]["digest"]["sha256"], report.head.expect("a head").hash.to_string());
        assert_eq!(statement["predicate"]["verdict"], "intact");
        assert_eq!(pre_authentication(b"x"), b"DSSEv1 28 application/vnd.in-toto+json 1 x");
    }
}
