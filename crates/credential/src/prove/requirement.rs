//! Who needs a proof, and what becomes of those that have none (CRED-3).
//!
//! A credential needs one where its reference claims to be read-only and its provider's policies can be read. What it
//! claims, its access segment says: `cred://aws/production/readonly`.

use std::path::PathBuf;

use custody_contract::file::Waiver;
use custody_contract::{Contract, CredentialRef, Environment};
use jiff::{SignedDuration, Timestamp, tz::TimeZone};

use super::evidence::{Proof, ProofState, Recheck, read_proof, state_of};
use super::live::is_live;
use super::{Language, MAX_BYTES};

/// Whether the access segment claims that the credential only reads: `readonly`, `read-only`, `reader`, `viewer`, `read`,
/// `ro`, `view`, `BillingReader`, but not `read-write`.
pub fn claims_read_only(reference: &CredentialRef) -> bool {
    let words = words(reference.access());
    let has = |known: &[&str]| words.iter().any(|word| known.contains(&word.as_str()));
    let writes = [
        "write",
        "writer",
        "readwrite",
        "rw",
        "admin",
        "owner",
        "editor",
        "edit",
        "full",
        "manage",
        "manager",
        "put",
        "delete",
        "create",
        "update",
        "contributor",
        "maintainer",
    ];
    has(&["readonly", "reader", "readers", "read", "ro", "viewer", "viewers", "view", "readaccess"]) && !has(&writes)
}

/// Lower-case words of a segment: at hyphens, dots and underscores, and where an upper-case letter follows a lower-case one.
fn words(segment: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut before = ' ';
    for c in segment.chars() {
        if matches!(c, '-' | '.' | '_') || (c.is_ascii_uppercase() && before.is_ascii_lowercase()) {
            words.push(String::new());
        }
        if let Some(word) = words.last_mut().filter(|_| c.is_ascii_alphanumeric()) {
            word.push(c.to_ascii_lowercase());
        }
        before = c;
    }
    words
}

/// The policy language of the provider that a reference names; `None` of a provider whose policies are not read.
pub fn speaks(reference: &CredentialRef) -> Option<Language> {
    Some(match reference.provider() {
        "aws" => Language::Aws,
        "azure" | "entra" => Language::Azure,
        "gcp" | "google" | "gcloud" => Language::Gcp,
        "openbao" | "bao" | "vault" => Language::OpenBao,
        "postgres" | "postgresql" | "pg" => Language::Postgres,
        "github" => Language::GitHub,
        "gitlab" => Language::GitLab,
        "openops" | "baserow" => Language::OpenOps,
        _ => return None,
    })
}

/// The command that proves a reference, as fixes name it.
pub fn how_to_prove(reference: &CredentialRef) -> String {
    let by_policy = format!("custody cred prove POLICY --for {reference}");
    match speaks(reference).is_some_and(is_live) {
        true => format!("custody cred prove {reference}, or {by_policy}"),
        false => by_policy,
    }
}

/// What the contract asks of proofs in one environment.
#[derive(Debug, Clone)]
pub struct ProofRule<'c> {
    root: PathBuf,
    directory: PathBuf,
    required: bool,
    max_age: SignedDuration,
    waivers: &'c [Waiver],
    now: Timestamp,
}

/// Whether a credential may be used, as far as CRED-3 is concerned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Admission {
    /// It does not claim to be read-only, or its provider's policies cannot be read.
    NotAsked,
    /// It is proven read-only.
    Proven(Box<Proof>),
    /// It is not, and the environment does not ask for it; the sentence fragment says what is missing.
    Unproven(String),
    /// It is not, and this waiver lets it pass.
    Waived {
        /// The waiver's id.
        waiver: String,
        /// What is missing.
        why: String,
    },
    /// It is refused, and why.
    Refused(String),
}

impl<'c> ProofRule<'c> {
    /// What `contract` asks in `environment`, of a repository at `root`.
    pub fn of(contract: &'c Contract, environment: Environment, root: impl Into<PathBuf>, now: Timestamp) -> Self {
        let root = root.into();
        Self {
            directory: root.join(&contract.proof_directory),
            root,
            required: contract.proof_required.contains(&environment),
            max_age: contract.proof_max_age.duration(),
            waivers: &contract.waivers,
            now,
        }
    }

    /// Whether the environment asks for proofs.
    pub fn is_required(&self) -> bool {
        self.required
    }

    /// How old a proof may be.
    pub fn max_age(&self) -> SignedDuration {
        self.max_age
    }

    /// The stored proof of a reference, held against its documents where the repository has them.
    pub fn state(&self, reference: &CredentialRef) -> ProofState {
        let state = read_proof(&self.directory, reference, self.max_age, self.now);
        rechecked(state, &|name| self.document(name)).0
    }

    /// The same from the content of a proof and documents that are read elsewhere than on disk.
    pub fn state_from(
        &self,
        reference: &CredentialRef,
        proof: &[u8],
        read: &dyn Fn(&str) -> Option<Vec<u8>>,
    ) -> (ProofState, Recheck) {
        rechecked(state_of(proof, reference, self.max_age, self.now), read)
    }

    fn document(&self, name: &str) -> Option<Vec<u8>> {
        let path = self.root.join(name);
        let metadata = path.metadata().ok().filter(std::fs::Metadata::is_file)?;
        (metadata.len() <= MAX_BYTES as u64).then(|| std::fs::read(path).ok())?
    }

    /// Whether a credential may be used (CRED-3).
    pub fn admit(&self, reference: &CredentialRef) -> Admission {
        if speaks(reference).is_none() || !claims_read_only(reference) {
            return Admission::NotAsked;
        }
        self.settle(reference, self.state(reference))
    }

    /// The same for a state that is known, of a credential that needs a proof.
    pub fn settle(&self, reference: &CredentialRef, state: ProofState) -> Admission {
        let why = match state {
            ProofState::Valid(proof) => return Admission::Proven(proof),
            ProofState::Missing => "there is no proof that it is read-only".to_owned(),
            ProofState::Expired(when) => format!("its proof ran out on {}", when.strftime("%F")),
            ProofState::NotProven(proof) => format!("it is {}, {}", proof.verdict.access, proof.verdict.exposure),
            ProofState::Unusable(why) => format!("its proof cannot be used: {why}"),
        };
        let today = self.now.to_zoned(TimeZone::UTC).date();
        let covers = |waiver: &&Waiver| {
            waiver.is_valid_on(today) && (waiver.waives("CRED-3") || waiver.references.contains(reference))
        };
        match self.waivers.iter().find(covers) {
            _ if !self.required => Admission::Unproven(why),
            Some(waiver) => Admission::Waived { waiver: waiver.id.clone(), why },
            None => Admission::Refused(why),
        }
    }
}

fn rechecked(state: ProofState, read: &dyn Fn(&str) -> Option<Vec<u8>>) -> (ProofState, Recheck) {
    let ProofState::Valid(proof) = state else { return (state, Recheck::Elsewhere) };
    match proof.recheck(read) {
        Ok(recheck) => (ProofState::Valid(proof), recheck),
        Err(why) => (ProofState::Unusable(why), Recheck::Elsewhere),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reference(text: &str) -> CredentialRef {
        CredentialRef::parse(text).expect("valid")
    }

    #[test]
    fn the_access_segment_says_what_is_claimed() {
        for access in
            ["readonly", "read-only", "READ_ONLY", "ReadOnlyAccess", "billing.reader", "CostViewer", "ro", "read"]
        {
            assert!(claims_read_only(&reference(&format!("cred://aws/p/{access}"))), "{access}");
        }
        for access in ["key", "app", "read-write", "readWrite", "admin", "thread", "spreadsheet", "reader-admin", "rw"]
        {
            assert!(!claims_read_only(&reference(&format!("cred://aws/p/{access}"))), "{access}");
        }
        assert_eq!(speaks(&reference("cred://Vault/p/reader")), Some(Language::OpenBao));
        assert_eq!(speaks(&reference("cred://stripe/p/reader")), None);
    }

    #[test]
    fn without_a_proof_it_is_refused_where_the_contract_asks_unless_a_waiver_names_it() {
        let now: Timestamp = "2026-11-24T12:00:00Z".parse().expect("a time");
        let waiver = |more: &str, expires: &str| {
            format!(
                "[[waiver]]\nid = \"w\"\nclause = \"CRED-3\"\n{more}\nowner = \"ana\"\nreason = \"r\"\nexpires = {expires}\n"
            )
        };
        let admitted = |text: &str, environment, name: &str| {
            let today = now.to_zoned(TimeZone::UTC).date();
            let contract = Contract::load(text, "custody.toml", today).expect("valid");
            let place = tempfile::tempdir().expect("a directory");
            ProofRule::of(&contract, environment, place.path(), now).admit(&reference(name))
        };
        use Environment::{Local, Prod, Stage};
        let name = "cred://aws/production/readonly";
        assert!(matches!(admitted("", Prod, name), Admission::Refused(_)));
        assert!(matches!(admitted("", Stage, name), Admission::Refused(_)));
        assert!(matches!(admitted("", Local, name), Admission::Unproven(_)));
        assert_eq!(admitted("", Prod, "cred://aws/production/deploy"), Admission::NotAsked);
        assert_eq!(admitted("", Prod, "cred://stripe/production/readonly"), Admission::NotAsked);
        for (more, expires, is_waived) in [
            ("", "2026-11-24", true),
            ("", "2026-11-23", false),
            ("references = [\"CRED://aws/production/readonly\"]", "2027-01-01", true),
            ("references = [\"cred://aws/stage/readonly\"]", "2027-01-01", false),
        ] {
            let admission = admitted(&waiver(more, expires), Prod, name);
            assert_eq!(matches!(admission, Admission::Waived { .. }), is_waived, "{more} {expires}: {admission:?}");
        }
        let local = format!("[proof]\nrequired-in = [\"prod\"]\n{}", waiver("", "2027-01-01"));
        assert!(matches!(admitted(&local, Stage, name), Admission::Unproven(_)));
    }
}
