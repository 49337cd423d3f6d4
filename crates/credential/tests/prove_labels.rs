//! Labelled AWS managed policies (iann0036/iam-dataset, MIT): every label is reproduced, or the difference is one that is
//! listed here with its reason. `cargo test -p custody-credential --test prove_labels -- --nocapture` prints the comparison.

use std::collections::{BTreeMap, BTreeSet};

use custody_credential::prove::aws::{EffectiveAction, effective_actions, managed_policy};
use custody_credential::prove::{Access, Exposure, Input, ProveOptions, prove};

const LABELS: &str = include_str!("data/aws-labels.tsv");

#[derive(Default)]
struct Labelled<'a> {
    name: &'a str,
    levels: BTreeSet<&'a str>,
    data: bool,
    credentials: bool,
    actions: BTreeMap<&'a str, Label<'a>>,
    unknown: BTreeSet<&'a str>,
}

struct Label<'a> {
    level: &'a str,
    data: bool,
    credentials: bool,
}

fn labelled() -> Vec<Labelled<'static>> {
    let mut policies: Vec<Labelled<'static>> = Vec::new();
    for line in LABELS.lines().filter(|line| !line.starts_with('#')) {
        let fields: Vec<&str> = line.split('\t').collect();
        match fields[0] {
            "policy" => policies.push(Labelled {
                name: fields[1],
                levels: fields[3].split(',').filter(|l| !l.is_empty()).collect(),
                data: fields[4] == "data",
                credentials: fields[5] == "credentials",
                ..Labelled::default()
            }),
            "action" => {
                // `Tagging, Write`: tagging is a kind of writing.
                let level = fields[2].trim_end_matches(", Write");
                let label = Label { level, data: fields[3] == "data", credentials: fields[4] == "credentials" };
                policies.last_mut().expect("after its policy").actions.insert(fields[1], label);
            }
            _ => {
                policies.last_mut().expect("after its policy").unknown.insert(fields[1]);
            }
        }
    }
    policies
}

/// Why an action's label differs from ours, for every action for which it does.
fn reason(label: &Label<'_>, ours: &EffectiveAction) -> Option<&'static str> {
    match (label.data, ours.data, label.credentials, ours.credentials) {
        (true, false, ..) if ours.action == "kms:CreateGrant" => {
            Some("it gives access, no data: judged on the first axis")
        }
        (true, false, _, true) => Some("stricter: it gives credentials"),
        (_, _, false, true) => Some("stricter: it gives a secret, a token or a signed URL"),
        (false, true, ..) => Some("stricter: it gives contents, or text that often holds secrets"),
        _ => None,
    }
}

#[test]
fn every_label_is_reproduced_or_the_difference_is_stricter_and_named() {
    let policies = labelled();
    assert_eq!(policies.len(), 80);
    let (mut same, mut total) = (0, 0);
    let mut newer_actions = BTreeSet::new();
    let mut differences: BTreeMap<String, (&str, BTreeSet<&str>)> = BTreeMap::new();
    for policy in &policies {
        let managed = managed_policy(policy.name).expect("bundled");
        let input = [Input::grant(policy.name, managed.document.as_bytes())];
        let (ours, unknown) = effective_actions(&input).expect("a policy");
        let names = |set: &mut dyn Iterator<Item = String>| set.collect::<BTreeSet<String>>();
        let (mine, theirs) = (
            names(&mut ours.iter().map(|a| a.action.to_lowercase())),
            names(&mut policy.actions.keys().map(|a| a.to_lowercase())),
        );
        assert_eq!(theirs.difference(&mine).count(), 0, "{}: labelled actions that are missing", policy.name);
        // The table is newer than the labels: what wildcards have come to allow since.
        for newer in mine.difference(&theirs) {
            println!("| {newer} | newer than the labels | {} |", policy.name);
            newer_actions.insert(newer.clone());
        }
        let ours: Vec<EffectiveAction> =
            ours.into_iter().filter(|a| theirs.contains(&a.action.to_lowercase())).collect();
        assert_eq!(unknown.iter().map(String::as_str).collect::<BTreeSet<_>>(), policy.unknown, "{}", policy.name);
        assert_eq!(
            ours.iter().map(|a| a.level.as_str()).collect::<BTreeSet<_>>(),
            policy.levels,
            "{}: levels",
            policy.name
        );
        let by_name: BTreeMap<String, &Label<'_>> = policy.actions.iter().map(|(k, v)| (k.to_lowercase(), v)).collect();
        for action in &ours {
            let label = by_name[&action.action.to_lowercase()];
            assert_eq!(label.level, action.level.as_str(), "{}", action.action);
            total += 1;
            if (label.data, label.credentials) == (action.data, action.credentials)
                || (label.data && label.credentials && action.credentials)
            {
                same += 1;
                continue;
            }
            let why =
                reason(label, action).unwrap_or_else(|| panic!("{}: a difference without a reason", action.action));
            differences.entry(action.action.clone()).or_insert((why, BTreeSet::new())).1.insert(policy.name);
        }
    }
    println!(
        "{total} labelled actions in {} policies: every level as labelled, {same} labels of exposure the same",
        policies.len()
    );
    for (action, (why, policies)) in &differences {
        println!("| {action} | {why} | {} |", policies.iter().copied().collect::<Vec<_>>().join(", "));
    }
    assert!(newer_actions.len() < 20, "{newer_actions:?}");
    assert!(differences.len() < 130, "{}", differences.len());
}

#[test]
fn verdicts_follow_from_the_labels() {
    let mut counts: BTreeMap<String, u32> = BTreeMap::new();
    for policy in labelled() {
        let managed = managed_policy(policy.name).expect("bundled");
        let input = [Input::grant(policy.name, managed.document.as_bytes())];
        let verdict = prove(&input, &ProveOptions::default()).expect("a policy");
        *counts.entry(format!("{} {}", verdict.access, verdict.exposure)).or_default() += 1;
        let writes = policy.levels.iter().any(|level| !["List", "Read"].contains(level));
        // Nothing that is labelled as writing is proved, not even as an exception: none of these has the condition.
        assert_eq!(
            writes,
            verdict.access == Access::NotReadOnly || writes && verdict.access == Access::NotProven,
            "{}",
            policy.name
        );
        if verdict.access <= Access::ReadOnlyWithNamedExceptions {
            assert!(!writes && policy.unknown.is_empty(), "{}", policy.name);
        }
        if policy.credentials {
            assert_eq!(verdict.exposure, Exposure::ReadsCredentials, "{}", policy.name);
        }
        if policy.data && policy.actions.iter().any(|(name, l)| l.data && *name != "kms:CreateGrant") {
            assert!(verdict.exposure >= Exposure::ReadsBusinessData, "{}", policy.name);
        }
        if !writes {
            println!("| {} | {} | {} |", policy.name, verdict.access, verdict.exposure);
        }
    }
    println!("{counts:?}");
}
