//! Which keys of a process get which credentials: what `custody run` resolves and injects.
//!
//! The contract declares keys. One with `from` gets the credential that `from` names, itself or by way of a key that
//! holds the reference (`FICECAL_AWS_CREDENTIAL_REF`, which stays a reference). A key with `secret = true` whose
//! variable holds a reference gets what the reference stands for. Nothing else is touched (CRED-2, ENV-4).

use custody_contract::file::{Delivery, KeyItem, KeyType, Source};
use custody_contract::{Contract, CredentialRef, Environment};

use crate::backend::VersionRequest;
use crate::context::Variables;
use crate::resolve::Query;

/// One key that gets secret material.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Injection {
    /// The variable.
    pub key: String,
    /// What is resolved for it.
    pub query: Query,
    /// How it reaches the process.
    pub delivery: Delivery,
}

/// What a process gets, and what stands in the way.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// The keys that get secret material, in the contract's order.
    pub injections: Vec<Injection>,
    /// What is wrong or worth saying.
    pub problems: Vec<PlanProblem>,
}

/// Something wrong with one key. Holds no value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanProblem {
    /// The variable.
    pub key: String,
    /// What is wrong with it.
    pub fault: PlanFault,
    /// Whether the process must not start; in `local` most are warnings (BILL-1).
    pub is_error: bool,
}

/// What may be wrong with a key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PlanFault {
    /// The key that should hold the reference is not set.
    #[error("{0}, which names its credential, is not set")]
    SourceUnset(String),
    /// The key that should hold a reference holds something else.
    #[error("{0}, which names its credential, holds no valid reference")]
    SourceInvalid(String),
    /// A raw value stands where the contract wants a reference.
    #[error("it has a raw value where the contract has a credential reference")]
    RawValue,
    /// A key of type credential-ref holds something else.
    #[error("it holds no valid credential reference")]
    NotAReference,
}

/// Plans what a process with these variables gets in `environment`.
pub fn plan(contract: &Contract, environment: Environment, variables: &dyn Variables) -> Plan {
    let mut plan = Plan::default();
    for key in &contract.keys {
        let value = variables.text(&key.name);
        let problem = |fault, is_error| PlanProblem { key: key.name.clone(), fault, is_error };
        let own = value.as_deref().map(CredentialRef::parse);
        if key.kind == KeyType::CredentialRef {
            if matches!(own, Some(Err(_))) {
                plan.problems.push(problem(PlanFault::NotAReference, true));
            }
            continue;
        }
        let source = key.from.as_ref().and_then(|feed| feed.source(environment));
        let reference = match (source, own) {
            // The variable itself says which: closest to the process wins.
            (_, Some(Ok(reference))) if key.secret => Some(reference),
            (Some(_), Some(_)) => {
                plan.problems.push(problem(PlanFault::RawValue, environment.is_release()));
                continue;
            }
            (Some(Source::Reference(reference)), None) => Some(reference.clone()),
            (Some(Source::Key(name)), None) => match variables.text(name).map(|text| CredentialRef::parse(&text)) {
                Some(Ok(reference)) => Some(reference),
                Some(Err(_)) => {
                    plan.problems.push(problem(PlanFault::SourceInvalid(name.clone()), true));
                    continue;
                }
                None => {
                    let is_error = key.required.applies_to(environment);
                    plan.problems.push(problem(PlanFault::SourceUnset(name.clone()), is_error));
                    continue;
                }
            },
            (None, _) => None,
        };
        plan.injections.extend(reference.map(|reference| injection(key, reference)));
    }
    plan
}

fn injection(key: &KeyItem, reference: CredentialRef) -> Injection {
    Injection {
        key: key.name.clone(),
        query: Query { reference, field: key.field.clone(), version: VersionRequest::Current },
        delivery: key.delivery,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use jiff::civil::Date;

    use super::*;

    const TEXT: &str = r#"
        [[key]]
        name = "AWS_SECRET_ACCESS_KEY"
        from = "FICECAL_AWS_CREDENTIAL_REF"
        field = "secret_access_key"
        required = ["prod"]
        [[key]]
        name = "DB_PASSWORD"
        from = { local = "cred://db/local/app", prod = "cred://db/prod/app" }
        as = "file"
        [[key]]
        name = "STRIPE_API_KEY"
        secret = true
    "#;

    fn planned(environment: Environment, variables: &[(&str, &str)]) -> (Vec<String>, Vec<(String, bool)>) {
        let contract = Contract::load(TEXT, "custody.toml", Date::ZERO).expect("valid");
        let variables: BTreeMap<String, String> =
            variables.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let plan = plan(&contract, environment, &variables);
        let injections = plan.injections.iter().map(|i| format!("{} {}", i.key, i.query.reference));
        (injections.collect(), plan.problems.into_iter().map(|p| (p.key, p.is_error)).collect())
    }

    #[test]
    fn keys_are_fed_by_references_and_by_keys_that_hold_them() {
        let variables = [("FICECAL_AWS_CREDENTIAL_REF", "cred://aws/p/ro"), ("STRIPE_API_KEY", "cred://stripe/p/key")];
        let (injections, problems) = planned(Environment::Prod, &variables);
        assert_eq!(
            injections,
            [
                "AWS_SECRET_ACCESS_KEY cred://aws/p/ro",
                "DB_PASSWORD cred://db/prod/app",
                "STRIPE_API_KEY cred://stripe/p/key"
            ]
        );
        assert_eq!(problems, []);
        // In stage the database's key has no source, and Stripe's raw value is the runtime's business (ENV-4).
        let (injections, problems) = planned(Environment::Stage, &[("STRIPE_API_KEY", "raw")]);
        assert_eq!((injections.len(), problems), (0, vec![("AWS_SECRET_ACCESS_KEY".to_owned(), false)]));
    }

    #[test]
    fn a_raw_value_where_a_reference_belongs_is_refused_outside_local() {
        for (environment, is_error) in [(Environment::Local, false), (Environment::Prod, true)] {
            let (_, problems) =
                planned(environment, &[("DB_PASSWORD", "raw"), ("FICECAL_AWS_CREDENTIAL_REF", "cred://aws/p/ro")]);
            assert_eq!(problems, [("DB_PASSWORD".to_owned(), is_error)]);
        }
        let (_, problems) = planned(Environment::Local, &[("FICECAL_AWS_CREDENTIAL_REF", "raw")]);
        assert!(
            problems.iter().any(|(key, is_error)| key == "FICECAL_AWS_CREDENTIAL_REF" && *is_error),
            "{problems:?}"
        );
    }

    #[test]
    fn a_missing_source_is_an_error_where_the_key_is_required() {
        assert_eq!(planned(Environment::Prod, &[]).1, [("AWS_SECRET_ACCESS_KEY".to_owned(), true)]);
        assert_eq!(planned(Environment::Local, &[]).1, [("AWS_SECRET_ACCESS_KEY".to_owned(), false)]);
    }
}
