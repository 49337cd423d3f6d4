//! The proof as evidence: what was judged, by which tables, when, and until when it counts.
//!
//! A proof holds digests of its inputs, not the inputs: they name accounts, which beside a reference would help someone to
//! use it (ROT-2). It is kept at `<directory>/<provider>/<scope>/<access>.json` and counts for that reference only.

use std::path::{Path, PathBuf};

use custody_contract::file::Waiver;
use custody_contract::{CredentialRef, Environment};
use jiff::{SignedDuration, Timestamp, civil::Date};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Exposure, Input, Role, Table, Verdict, aws, sha256};

/// Where proofs are kept unless the contract says otherwise.
pub const DEFAULT_DIRECTORY: &str = ".custody/proofs";
/// How long a proof counts unless another time is asked for.
pub const DEFAULT_VALIDITY: SignedDuration = SignedDuration::from_hours(90 * 24);
/// How far in the future a proof may have been made: clocks differ.
const CLOCK_SKEW: SignedDuration = SignedDuration::from_mins(5);
/// Largest proof that is read, in bytes.
const MAX_PROOF_BYTES: u64 = 8 << 20;

/// A document that was judged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct InputDigest {
    /// Its name as it was given.
    pub name: String,
    /// What it is to the credential.
    pub role: Role,
    /// Its length in bytes.
    pub bytes: u64,
    /// SHA-256 of its content, in hexadecimal.
    pub sha256: String,
}

/// A verdict as evidence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Proof {
    /// `custody.proof/1`.
    pub schema: String,
    /// The version of custody that judged.
    pub custody: String,
    /// The reference that it speaks of, where one was named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// Whether the credential counts as read-only, with reads of at most `limit`.
    pub proven: bool,
    /// How much its reads may show for it to count.
    pub limit: Exposure,
    /// When it was judged.
    #[schemars(with = "String")]
    pub made: Timestamp,
    /// Until when it counts.
    #[schemars(with = "String")]
    pub expires: Timestamp,
    /// What was judged.
    pub inputs: Vec<InputDigest>,
    /// What the verdict rests on besides.
    pub tables: Vec<Table>,
    /// The verdict.
    pub verdict: Verdict,
}

impl Proof {
    /// The name of this form of document.
    pub const SCHEMA: &str = "custody.proof/1";

    /// The evidence for a verdict.
    pub fn new(
        verdict: Verdict,
        inputs: &[Input<'_>],
        reference: Option<&CredentialRef>,
        limit: Exposure,
        made: Timestamp,
        validity: SignedDuration,
    ) -> Self {
        let digest = |input: &Input<'_>| InputDigest {
            name: input.name.to_owned(),
            role: input.role,
            bytes: input.bytes.len() as u64,
            sha256: sha256(input.bytes),
        };
        Self {
            schema: Self::SCHEMA.to_owned(),
            custody: env!("CARGO_PKG_VERSION").to_owned(),
            reference: reference.map(ToString::to_string),
            proven: verdict.is_proven(limit),
            limit,
            made,
            expires: made.checked_add(validity).unwrap_or(Timestamp::MAX),
            inputs: inputs.iter().map(digest).collect(),
            tables: if verdict.language == super::Language::Aws { aws::tables() } else { Vec::new() },
            verdict,
        }
    }
}

/// The JSON Schema of [`Proof`].
pub fn proof_schema() -> serde_json::Value {
    schemars::schema_for!(Proof).to_value()
}

/// Where the proof of a reference is kept. The grammar of references has no segment that leaves the directory.
pub fn proof_path(directory: &Path, reference: &CredentialRef) -> PathBuf {
    let path = reference.as_str().trim_start_matches(CredentialRef::SCHEME);
    directory.join(format!("{path}.json"))
}

/// What is known of a reference's proof.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProofState {
    /// There is a proof and it counts.
    Valid(Box<Proof>),
    /// There is none.
    Missing,
    /// It has run out, at this time.
    Expired(Timestamp),
    /// It says that the credential is not proven.
    NotProven(Box<Proof>),
    /// It cannot be used, for this reason.
    Unusable(String),
}

/// Reads the proof of a reference and says whether it counts at `now`.
pub fn read_proof(directory: &Path, reference: &CredentialRef, now: Timestamp) -> ProofState {
    let path = proof_path(directory, reference);
    let length = match path.metadata() {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return ProofState::Missing,
        Err(error) => return ProofState::Unusable(error.to_string()),
        Ok(metadata) if !metadata.is_file() => return ProofState::Unusable("it is no regular file".into()),
        Ok(metadata) => metadata.len(),
    };
    if length > MAX_PROOF_BYTES {
        return ProofState::Unusable("it is larger than 8 MiB".into());
    }
    match std::fs::read(&path) {
        Ok(bytes) => state_of(&bytes, reference, now),
        Err(error) => ProofState::Unusable(error.to_string()),
    }
}

/// Whether the content of a proof counts for a reference at `now`. What it says of itself is not believed where it can be
/// derived: `proven` follows from its verdict, the verdict from what stands in it.
pub(crate) fn state_of(bytes: &[u8], reference: &CredentialRef, now: Timestamp) -> ProofState {
    let unusable = |why: &str| ProofState::Unusable(why.to_owned());
    let Ok(proof) = serde_json::from_slice::<Proof>(bytes) else {
        return unusable("it is not a proof of this version of custody");
    };
    let names = |text: &str| CredentialRef::parse(text).is_ok_and(|named| named == *reference);
    if proof.schema != Proof::SCHEMA {
        return unusable("it is not a proof of this version of custody");
    }
    if !proof.reference.as_deref().is_some_and(names) {
        return unusable("it speaks of another reference");
    }
    if proof.made > now.saturating_add(CLOCK_SKEW).unwrap_or(now) {
        return unusable("it was made in the future");
    }
    let worst = proof.verdict.offences.iter().map(|o| o.kind.access()).max();
    let most = proof.verdict.readings.iter().map(|r| r.exposure).max();
    if worst.is_some_and(|w| w > proof.verdict.access)
        || most.is_some_and(|m| m > proof.verdict.exposure)
        || proof.proven != proof.verdict.is_proven(proof.limit)
    {
        return unusable("what it concludes does not follow from what stands in it");
    }
    if !proof.proven {
        return ProofState::NotProven(Box::new(proof));
    }
    if proof.expires < now {
        return ProofState::Expired(proof.expires);
    }
    if proof.verdict.language == super::Language::Aws && proof.tables != aws::tables() {
        return unusable("it rests on another table of actions than this version of custody has");
    }
    ProofState::Valid(Box::new(proof))
}

/// Whether a credential may be used, as far as CRED-3 is concerned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Admission {
    /// It is proven read-only.
    Proven(Box<Proof>),
    /// It is not, and the environment does not ask for it; the sentence says what is missing.
    Unproven(String),
    /// It is not, and this waiver lets it pass; the sentence says what is missing.
    Waived {
        /// The waiver's id.
        waiver: String,
        /// What is missing.
        why: String,
    },
    /// It is refused: the sentence says why.
    Refused(String),
}

/// Whether a credential with this state of its proof may be used in an environment (CRED-3): refused in stage and prod
/// unless it is proven, or a waiver of CRED-3 that still counts lets it pass.
pub fn admit(state: ProofState, environment: Environment, waivers: &[Waiver], today: Date) -> Admission {
    let why = match state {
        ProofState::Valid(proof) => return Admission::Proven(proof),
        ProofState::Missing => "there is no proof that it is read-only".to_owned(),
        ProofState::Expired(when) => format!("its proof ran out on {}", when.strftime("%F")),
        ProofState::NotProven(proof) => format!("it is {}, {}", proof.verdict.access, proof.verdict.exposure),
        ProofState::Unusable(why) => format!("its proof cannot be used: {why}"),
    };
    if !environment.is_release() {
        return Admission::Unproven(why);
    }
    let of_clause = |w: &&Waiver| w.clause.as_ref().is_some_and(|c| *c == *"CRED-3") && w.is_valid_on(today);
    match waivers.iter().find(of_clause) {
        Some(waiver) => Admission::Waived { waiver: waiver.id.clone(), why },
        None => Admission::Refused(why),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{ProveOptions, prove};
    use super::*;

    fn proof(action: &str, now: Timestamp, reference: &CredentialRef) -> Proof {
        let text = format!(r#"{{"Statement":[{{"Effect":"Allow","Action":"{action}","Resource":"*"}}]}}"#);
        let inputs = [Input::grant("p", text.as_bytes())];
        let verdict = prove(&inputs, &ProveOptions::default()).expect("a policy");
        Proof::new(verdict, &inputs, Some(reference), Exposure::ReadsBusinessData, now, DEFAULT_VALIDITY)
    }

    #[test]
    fn a_proof_counts_for_its_reference_and_its_time_only() {
        let now: Timestamp = "2026-11-24T12:00:00Z".parse().expect("a time");
        let reference = CredentialRef::parse("cred://aws/production/readonly").expect("valid");
        let other = CredentialRef::parse("cred://aws/stage/readonly").expect("valid");
        let good = proof("ce:Get*", now, &reference);
        let state = |proof: &Proof, reference, now| state_of(&serde_json::to_vec(proof).expect("JSON"), reference, now);
        assert!(matches!(state(&good, &reference, now), ProofState::Valid(_)));
        assert!(matches!(state(&good, &other, now), ProofState::Unusable(_)));
        let later = now.checked_add(SignedDuration::from_hours(91 * 24)).expect("in range");
        assert!(matches!(state(&good, &reference, later), ProofState::Expired(_)));
        let bad = proof("s3:*", now, &reference);
        assert!(matches!(state(&bad, &reference, now), ProofState::NotProven(_)));
        let forged = Proof { proven: true, ..bad };
        assert!(matches!(state(&forged, &reference, now), ProofState::Unusable(_)));
        assert!(matches!(state_of(b"{}", &reference, now), ProofState::Unusable(_)));
        let today = jiff::civil::date(2026, 11, 24);
        assert!(matches!(admit(ProofState::Missing, Environment::Prod, &[], today), Admission::Refused(_)));
        assert!(matches!(admit(ProofState::Missing, Environment::Local, &[], today), Admission::Unproven(_)));
        let path = proof_path(Path::new(DEFAULT_DIRECTORY), &reference);
        assert_eq!(path, Path::new(".custody/proofs/aws/production/readonly.json"));
    }
}
