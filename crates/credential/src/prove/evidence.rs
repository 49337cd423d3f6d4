//! The proof as evidence: what was judged, by which tables, when, and until when it counts.
//!
//! A proof holds digests of its inputs, not the inputs: they name accounts, which beside a reference would help someone to
//! use it (ROT-2). It is kept at `<directory>/<provider>/<scope>/<access>.json` and counts for that reference only.

use std::path::{Path, PathBuf};

use custody_contract::CredentialRef;
use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::requirement::speaks;
use super::{AwsOptions, Exposure, Input, ProveOptions, Role, Table, Verdict, prove, sha256, tables};

/// Where proofs are kept unless the contract says otherwise.
pub const DEFAULT_DIRECTORY: &str = custody_contract::Contract::DEFAULT_PROOFS;
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
    /// AWS: managed policies that were judged by name besides.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub managed: Vec<String>,
    /// AWS: what was said to be billing exports.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exports: Vec<String>,
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
        let tables = tables(verdict.language);
        Self {
            schema: Self::SCHEMA.to_owned(),
            custody: env!("CARGO_PKG_VERSION").to_owned(),
            reference: reference.map(ToString::to_string),
            proven: verdict.is_proven(limit),
            limit,
            made,
            expires: made.checked_add(validity).unwrap_or(Timestamp::MAX),
            inputs: inputs.iter().map(digest).collect(),
            managed: Vec::new(),
            exports: Vec::new(),
            tables,
            verdict,
        }
    }

    /// The same with what was judged beside documents.
    pub fn with_options(self, options: &AwsOptions) -> Self {
        Self { managed: options.managed.clone(), exports: options.exports.clone(), ..self }
    }

    /// Looks at the documents that were judged, as far as `read` finds them under their names, and judges them again if
    /// it finds them all.
    ///
    /// # Errors
    /// A sentence fragment: a document has changed since, or does not say what the proof concludes.
    pub fn recheck(&self, read: &dyn Fn(&str) -> Option<Vec<u8>>) -> Result<Recheck, String> {
        let mut documents = Vec::with_capacity(self.inputs.len());
        for input in self.inputs.iter().filter(|input| is_path(&input.name)) {
            let Some(bytes) = read(&input.name) else { continue };
            if sha256(&bytes) != input.sha256 {
                return Err(format!("{} has changed since it was judged", super::shown(&input.name)));
            }
            documents.push((input, bytes));
        }
        if documents.is_empty() || documents.len() < self.inputs.len() {
            return Ok(Recheck::Elsewhere);
        }
        let inputs: Vec<Input<'_>> =
            documents.iter().map(|(d, bytes)| Input { name: &d.name, bytes, role: d.role }).collect();
        let aws = AwsOptions { managed: self.managed.clone(), exports: self.exports.clone() };
        let again = prove(&inputs, &ProveOptions { language: Some(self.verdict.language), aws });
        match again {
            Ok(verdict) if verdict.access == self.verdict.access && verdict.exposure == self.verdict.exposure => {
                Ok(Recheck::JudgedAgain)
            }
            _ => Err("the documents that it names say something else".to_owned()),
        }
    }
}

/// What looking again at a proof's documents gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recheck {
    /// They are here, and say what the proof concludes.
    JudgedAgain,
    /// Not all of them are here.
    Elsewhere,
}

/// Whether an input's name may be a file below the repository: live answers have other names.
fn is_path(name: &str) -> bool {
    !name.is_empty() && !name.starts_with('/') && !name.contains(':') && !name.split('/').any(|part| part == "..")
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

/// Reads the proof of a reference and says whether it counts at `now`; one that was made longer than `max_age` ago does
/// not.
pub fn read_proof(directory: &Path, reference: &CredentialRef, max_age: SignedDuration, now: Timestamp) -> ProofState {
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
        Ok(bytes) => state_of(&bytes, reference, max_age, now),
        Err(error) => ProofState::Unusable(error.to_string()),
    }
}

/// Whether the content of a proof counts for a reference at `now`. What it says of itself is not believed where it can be
/// derived: `proven` follows from its verdict, the verdict from what stands in it.
pub fn state_of(bytes: &[u8], reference: &CredentialRef, max_age: SignedDuration, now: Timestamp) -> ProofState {
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
    let oldest = proof.made.checked_add(max_age).unwrap_or(Timestamp::MAX);
    let expires = proof.expires.min(oldest);
    if expires < now {
        return ProofState::Expired(expires);
    }
    if speaks(reference).is_some_and(|language| language != proof.verdict.language) {
        return unusable("it judges a policy of another provider");
    }
    if proof.tables != tables(proof.verdict.language) {
        return unusable("it rests on another table than this version of custody has");
    }
    ProofState::Valid(Box::new(proof))
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
        let state = |proof: &Proof, reference, now| {
            state_of(&serde_json::to_vec(proof).expect("JSON"), reference, DEFAULT_VALIDITY, now)
        };
        assert!(matches!(state(&good, &reference, now), ProofState::Valid(_)));
        assert!(matches!(state(&good, &other, now), ProofState::Unusable(_)));
        let later = now.checked_add(SignedDuration::from_hours(91 * 24)).expect("in range");
        assert!(matches!(state(&good, &reference, later), ProofState::Expired(_)));
        let bad = proof("s3:*", now, &reference);
        assert!(matches!(state(&bad, &reference, now), ProofState::NotProven(_)));
        let forged = Proof { proven: true, ..bad };
        assert!(matches!(state(&forged, &reference, now), ProofState::Unusable(_)));
        assert!(matches!(state_of(b"{}", &reference, DEFAULT_VALIDITY, now), ProofState::Unusable(_)));
        let long = Proof { expires: Timestamp::MAX, ..good.clone() };
        assert!(matches!(state(&long, &reference, later), ProofState::Expired(_)));
        let azure = CredentialRef::parse("cred://azure/production/readonly").expect("valid");
        let other = Proof { reference: Some(azure.to_string()), ..good.clone() };
        assert!(matches!(state(&other, &azure, now), ProofState::Unusable(_)));
        let table = Proof { tables: Vec::new(), ..good };
        assert!(matches!(state(&table, &reference, now), ProofState::Unusable(_)));
        let path = proof_path(Path::new(DEFAULT_DIRECTORY), &reference);
        assert_eq!(path, Path::new(".custody/proofs/aws/production/readonly.json"));
    }
    #[test]
    fn documents_that_are_at_hand_are_judged_again() {
        let reference = CredentialRef::parse("cred://aws/production/readonly").expect("valid");
        let good = proof("ce:Get*", Timestamp::UNIX_EPOCH, &reference);
        let text = |action: &str| {
            format!(r#"{{"Statement":[{{"Effect":"Allow","Action":"{action}","Resource":"*"}}]}}"#).into_bytes()
        };
        assert_eq!(good.recheck(&|_| None), Ok(Recheck::Elsewhere));
        assert_eq!(good.recheck(&|_| Some(text("ce:Get*"))), Ok(Recheck::JudgedAgain));
        assert!(good.recheck(&|_| Some(text("ce:*"))).is_err_and(|why| why.contains("has changed")));
        let mut forged = good;
        forged.inputs[0].sha256 = sha256(&text("ce:*"));
        assert!(forged.recheck(&|_| Some(text("ce:*"))).is_err_and(|why| why.contains("say something else")));
    }
}
