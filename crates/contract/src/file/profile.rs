//! The built-in profiles: contract files that stand on each other, the most general first.

use crate::Environment;
use crate::file::items::EnvironmentTable;
use crate::file::{
    Adapter, BillingSection, ClauseItem, ContractFile, GlobSet, IncidentSection, KeyItem, ProofSection, ReleaseSection,
    ScanSection, SurfaceSection,
};

/// The built-in profiles: name and text. `custody` has every clause and nothing of one product; `ficecal` adds FiceCal's
/// keys, billing tools and validators.
pub const PROFILES: [(&str, &str); 2] = [
    ("custody", include_str!("../../../../contracts/custody.toml")),
    ("ficecal", include_str!("../../../../contracts/ficecal.toml")),
];

/// The same as JSON, made by the build script: what is read at run time.
const AS_JSON: [(&str, &str); 2] = [
    ("custody", include_str!(concat!(env!("OUT_DIR"), "/custody.json"))),
    ("ficecal", include_str!(concat!(env!("OUT_DIR"), "/ficecal.json"))),
];

/// The text of a built-in profile.
pub fn profile(name: &str) -> Option<&'static str> {
    PROFILES.iter().find(|(n, _)| *n == name).map(|(_, text)| *text)
}

/// A built-in profile over the one that it names as its own `contract`; `None` if there is none of that name.
pub(super) fn whole_profile(name: &str) -> Option<ContractFile> {
    let own = built_in(name)?;
    let Some(parent) = own.contract.clone().filter(|parent| parent != name) else { return Some(own) };
    Some(over(own, whole_profile(&parent)?))
}

fn built_in(name: &str) -> Option<ContractFile> {
    let (_, json) = AS_JSON.iter().find(|(known, _)| *known == name)?;
    Some(serde_json::from_str(json).expect("a built-in profile is valid, see its test"))
}

/// A profile's own items over its parent's: lists add up, an item of the same name or id replaces the parent's.
fn over(own: ContractFile, parent: ContractFile) -> ContractFile {
    ContractFile {
        contract: own.contract,
        default_environment: own.default_environment.or(parent.default_environment),
        environments: environments(own.environments, parent.environments),
        backends: parent.backends.into_iter().chain(own.backends).collect(),
        run: own.run,
        keys: replaced(parent.keys, own.keys, |key: &KeyItem| key.name.clone()),
        surfaces: SurfaceSection {
            fixtures: union(&parent.surfaces.fixtures, &own.surfaces.fixtures),
            screenshots: union(&parent.surfaces.screenshots, &own.surfaces.screenshots),
            logs: union(&parent.surfaces.logs, &own.surfaces.logs),
            evidence: union(&parent.surfaces.evidence, &own.surfaces.evidence),
            exclusions: parent.surfaces.exclusions.into_iter().chain(own.surfaces.exclusions).collect(),
        },
        scan: ScanSection {
            baseline: own.scan.baseline.or(parent.scan.baseline),
            rules: union(&parent.scan.rules, &own.scan.rules),
            disabled_rules: parent.scan.disabled_rules.into_iter().chain(own.scan.disabled_rules).collect(),
        },
        release: ReleaseSection { block_at: own.release.block_at.or(parent.release.block_at) },
        billing: BillingSection {
            credential_ref_required: own.billing.credential_ref_required.or(parent.billing.credential_ref_required),
            packs: union(&parent.billing.packs, &own.billing.packs),
            requests: union(&parent.billing.requests, &own.billing.requests),
            handoffs: union(&parent.billing.handoffs, &own.billing.handoffs),
            adapters: replaced(parent.billing.adapters, own.billing.adapters, |adapter: &Adapter| adapter.id.clone()),
        },
        proof: ProofSection {
            required_in: own.proof.required_in.or(parent.proof.required_in),
            directory: own.proof.directory.or(parent.proof.directory),
            max_age: own.proof.max_age.or(parent.proof.max_age),
        },
        incidents: IncidentSection { directory: own.incidents.directory.or(parent.incidents.directory) },
        credentials: parent.credentials.into_iter().chain(own.credentials).collect(),
        waivers: parent.waivers.into_iter().chain(own.waivers).collect(),
        clauses: replaced(parent.clauses, own.clauses, |clause: &ClauseItem| clause.id.clone()),
    }
}

fn environments(own: EnvironmentTable, mut parent: EnvironmentTable) -> EnvironmentTable {
    for environment in Environment::ALL {
        if let Some(item) = own.get(environment) {
            *parent.get_mut(environment) = Some(item.clone());
        }
    }
    parent
}

fn replaced<T, K: PartialEq>(mut parent: Vec<T>, own: Vec<T>, key: impl Fn(&T) -> K) -> Vec<T> {
    for item in own {
        match parent.iter_mut().find(|known| key(known) == key(&item)) {
            Some(known) => *known = item,
            None => parent.push(item),
        }
    }
    parent
}

fn union(parent: &GlobSet, own: &GlobSet) -> GlobSet {
    parent.union(own).expect("patterns that each compiled, far from the size limit")
}

#[cfg(test)]
mod tests {
    use jiff::civil::Date;

    use super::*;
    use crate::Contract;
    use crate::file::Enforcement;

    fn loaded(name: &str) -> Contract {
        Contract::load(&format!("contract = \"{name}\""), "custody.toml", Date::ZERO).expect("a valid profile")
    }

    #[test]
    fn what_the_build_made_of_a_profile_is_what_its_text_says() {
        for (name, text) in PROFILES {
            let parsed = ContractFile::parse(text, name).expect("a valid profile");
            assert_eq!(built_in(name).expect("there"), parsed, "{name}");
        }
    }

    #[test]
    fn every_profile_is_valid_and_has_every_clause() {
        let ids = |contract: &Contract| contract.clauses.iter().map(|c| c.id.to_string()).collect::<Vec<_>>();
        for (name, _) in PROFILES {
            let contract = loaded(name);
            assert_eq!((contract.profile.as_str(), contract.clauses.len()), (name, 21));
            assert_eq!(ids(&contract), ids(&Contract::builtin()), "{name}");
            for clause in &contract.clauses {
                let texts = [&clause.section, &clause.title, &clause.evaluation, &clause.remedy];
                assert!(texts.iter().all(|text| !text.is_empty()), "{name}: {}", clause.id);
                let advice = name == "custody" && clause.id == *"VAL-2";
                assert_eq!(clause.enforcement, if advice { Enforcement::Warn } else { Enforcement::Block });
            }
        }
    }

    #[test]
    fn the_general_profile_asks_for_nothing_that_only_one_product_has() {
        let contract = loaded("custody");
        assert!(contract.keys.is_empty() && contract.billing_packs.is_empty());
        let asks = |a: &Adapter| {
            a.source_version_prefix.is_some()
                || !a.required_warnings.is_empty()
                || !a.required_warning_prefixes.is_empty()
        };
        assert!(!contract.adapters.iter().any(asks));
        assert!(!profile("custody").expect("there").lines().any(|l| !l.starts_with('#') && l.contains("ficecal")));
        let text = format!("{:?}", contract.clauses).to_lowercase();
        assert!(!text.contains("ficecal"), "{text}");
    }

    #[test]
    fn ficecal_stands_on_the_general_profile() {
        let (general, ficecal) = (loaded("custody"), loaded("ficecal"));
        assert_eq!(ficecal.adapters.len(), general.adapters.len());
        assert_eq!(ficecal.surfaces, general.surfaces);
        assert_eq!(ficecal.environments, general.environments);
        assert_eq!(
            (ficecal.block_at, &ficecal.credential_ref_required),
            (general.block_at, &general.credential_ref_required)
        );
        let aws = ficecal.adapter("aws-billing").expect("there");
        assert_eq!(aws.source_version_prefix.as_deref(), Some("aws-readonly-"));
        assert_eq!(ficecal.keys.iter().filter(|k| k.locked).count(), 5);
    }

    #[test]
    fn an_unknown_profile_is_named_with_those_that_there_are() {
        let problems = Contract::load("contract = \"custdy\"", "custody.toml", Date::ZERO).expect_err("unknown");
        assert!(problems[0].fix.contains("did you mean custody"), "{problems:?}");
    }
}
