//! Matches in, findings out: one per secret, with every place in which it stands.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use custody_contract::{Confidence, Finding, FindingStatus, Fingerprint, Occurrence, Redacted};

use crate::engine::Match;
use crate::rules::{Rule, RuleIndex, RuleSet};

/// Collects what scans find. Give each thread its own and [`merge`](Collector::merge) them: the outcome does not
/// depend on the order.
#[derive(Debug, Default)]
pub struct Collector {
    secrets: HashMap<Fingerprint, Secret>,
}

#[derive(Debug)]
struct Secret {
    named: Naming,
    occurrences: Vec<Occurrence>,
}

/// The rule that names a finding, and what it said.
#[derive(Debug)]
struct Naming {
    rank: (bool, custody_contract::Severity, u8),
    rule: RuleIndex,
    length: u64,
    confidence: Confidence,
}

impl Collector {
    /// An empty collector.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a match at a place. `rules` is the set of the engine that made the match.
    pub fn add(&mut self, rules: &RuleSet, matched: Match, occurrence: Occurrence) {
        let rule = rules.rule(matched.rule);
        let named = Naming {
            rank: (!rule.generic, rule.severity, matched.confidence.score),
            rule: matched.rule,
            length: matched.length,
            confidence: matched.confidence,
        };
        self.insert(matched.fingerprint, Secret { named, occurrences: vec![occurrence] });
    }

    /// Adds what another collector holds. Both must have collected for the same rules.
    pub fn merge(&mut self, other: Collector) {
        if self.secrets.is_empty() {
            self.secrets = other.secrets;
            return;
        }
        for (fingerprint, secret) in other.secrets {
            self.insert(fingerprint, secret);
        }
    }

    fn insert(&mut self, fingerprint: Fingerprint, secret: Secret) {
        use std::collections::hash_map::Entry;
        match self.secrets.entry(fingerprint) {
            Entry::Vacant(entry) => {
                entry.insert(secret);
            }
            Entry::Occupied(mut entry) => {
                let known = entry.get_mut();
                if secret.named.beats(&known.named) {
                    known.named = secret.named;
                }
                known.occurrences.extend(secret.occurrences);
            }
        }
    }

    /// Every place in which something was found.
    pub(crate) fn occurrences_mut(&mut self) -> impl Iterator<Item = &mut Occurrence> {
        self.secrets.values_mut().flat_map(|secret| &mut secret.occurrences)
    }

    /// How many secrets were found.
    pub fn len(&self) -> usize {
        self.secrets.len()
    }

    /// Whether nothing was found.
    pub fn is_empty(&self) -> bool {
        self.secrets.is_empty()
    }

    /// The findings, most severe first, then most certain, then by first place.
    pub fn into_findings(self, rules: &RuleSet) -> Vec<Finding> {
        let mut findings: Vec<Finding> =
            self.secrets.into_iter().map(|(fingerprint, secret)| finding(rules, fingerprint, secret)).collect();
        findings.sort_by(|a, b| {
            (b.severity, b.confidence.score)
                .cmp(&(a.severity, a.confidence.score))
                .then_with(|| a.occurrences.cmp(&b.occurrences))
                .then_with(|| a.fingerprint.cmp(&b.fingerprint))
        });
        findings
    }
}

impl Naming {
    /// A rule that knows the format beats a generic one, then the more severe, the more certain; the rest makes the
    /// outcome independent of order.
    fn beats(&self, other: &Naming) -> bool {
        let order = self.rank.cmp(&other.rank).then_with(|| other.rule.cmp(&self.rule));
        order.then_with(|| self.reasons().cmp(other.reasons())).is_gt()
    }

    fn reasons(&self) -> impl Iterator<Item = (&str, i8)> {
        self.confidence.reasons.iter().map(|reason| (&*reason.what, reason.weight))
    }
}

fn finding(rules: &RuleSet, fingerprint: Fingerprint, secret: Secret) -> Finding {
    let rule = rules.rule(secret.named.rule);
    let mut occurrences = secret.occurrences;
    occurrences.sort();
    occurrences.dedup();
    let allowed = occurrences.iter().all(|o| o.allowed.is_some());
    let status = match occurrences.first().and_then(|o| o.allowed.clone()) {
        Some(reason) if allowed => FindingStatus::Allowed { reason },
        _ => FindingStatus::Open,
    };
    Finding {
        rule: Arc::from(&*rule.id),
        title: Arc::from(&*rule.name),
        severity: rule.severity,
        confidence: secret.named.confidence,
        fingerprint,
        redacted: Redacted { prefix: shown_prefix(rule, secret.named.length), length: secret.named.length },
        occurrences,
        status,
        references: rule.references.to_vec(),
        remedy: remedy(rule),
    }
}

/// The public prefix, unless it would be most of the secret.
fn shown_prefix(rule: &Rule, length: u64) -> Cow<'static, str> {
    if (rule.prefix.len() as u64).saturating_mul(2) <= length { rule.prefix.clone() } else { Cow::Borrowed("") }
}

fn remedy(rule: &Rule) -> String {
    match (rule.remedy.is_empty(), rule.revoke.is_empty() || rule.remedy.contains(&*rule.revoke)) {
        (_, true) => rule.remedy.to_string(),
        (true, false) => format!("Revoke it: {}", rule.revoke),
        (false, false) => format!("{} Revoke it: {}", rule.remedy, rule.revoke),
    }
}

#[cfg(test)]
mod tests {
    use custody_contract::Surface;

    use super::*;
    use crate::engine::{Engine, Input, Scratch};
    use crate::rules::cases::{CaseKind, expand};

    fn occurrence(line: u32, allowed: Option<&str>) -> Occurrence {
        Occurrence {
            surface: Surface::WorkingTree,
            path: "a".into(),
            line,
            column: 1,
            end_column: 2,
            offset: 0,
            object: None,
            commit: None,
            encoding: Vec::new(),
            allowed: allowed.map(str::to_owned),
            authored: None,
            committed: None,
            reach: None,
        }
    }

    fn matches(engine: &Engine, template: &str) -> Vec<Match> {
        let text = expand("collector", CaseKind::Example, 0, template).expect("a known template");
        let mut matches = Vec::new();
        engine.scan(&mut Scratch::default(), &Input::new(text.as_bytes(), None, Surface::Stdin), &mut matches);
        matches
    }

    #[test]
    fn one_secret_is_one_finding_whatever_the_order() {
        let engine = Engine::builtin();
        let one = matches(&engine, "{{jwt}}");
        let other = matches(&engine, "x {{pem:PRIVATE KEY}}");
        let add = |collector: &mut Collector, m: &Match, line| {
            collector.add(engine.rules(), m.clone(), occurrence(line, None));
        };
        let (mut a, mut b) = (Collector::new(), Collector::new());
        add(&mut a, &one[0], 3);
        add(&mut b, &one[0], 1);
        add(&mut b, &other[0], 2);
        add(&mut b, &one[0], 3);
        let (mut first, mut second) = (Collector::new(), Collector::new());
        add(&mut second, &other[0], 2);
        [(3, 0), (1, 0), (3, 0)].iter().for_each(|&(line, _)| add(&mut second, &one[0], line));
        first.merge(a);
        first.merge(b);
        let findings = first.into_findings(engine.rules());
        assert_eq!(findings, second.into_findings(engine.rules()));
        let lines: Vec<Vec<u32>> = findings.iter().map(|f| f.occurrences.iter().map(|o| o.line).collect()).collect();
        assert_eq!(lines, [vec![2], vec![1, 3]]);
        assert_eq!(&*findings[0].rule, "private-key-pem");
    }

    #[test]
    fn a_finding_is_allowed_only_if_every_occurrence_is() {
        let engine = Engine::builtin();
        let one = matches(&engine, "{{jwt}}").remove(0);
        let mut collector = Collector::new();
        collector.add(engine.rules(), one.clone(), occurrence(1, Some("why")));
        let mut more = Collector::new();
        more.add(engine.rules(), one, occurrence(2, None));
        let allowed = FindingStatus::Allowed { reason: "why".into() };
        let clone = |c: &Collector| Collector { secrets: c.secrets.iter().map(|(f, s)| (*f, s.duplicate())).collect() };
        assert_eq!(clone(&collector).into_findings(engine.rules())[0].status, allowed);
        collector.merge(more);
        assert_eq!(collector.into_findings(engine.rules())[0].status, FindingStatus::Open);
    }

    impl Secret {
        fn duplicate(&self) -> Secret {
            let named = Naming { confidence: self.named.confidence.clone(), ..self.named };
            Secret { named, occurrences: self.occurrences.clone() }
        }
    }

    #[test]
    fn nothing_of_the_secret_is_in_a_finding() {
        let engine = Engine::builtin();
        let text = expand("collector", CaseKind::Example, 0, "{{jwt}}").expect("a known template");
        let mut collector = Collector::new();
        for m in matches(&engine, "{{jwt}}") {
            collector.add(engine.rules(), m, occurrence(1, None));
        }
        let shown = format!("{collector:?} {:?}", collector.secrets.len());
        let findings = format!("{:?}", collector.into_findings(engine.rules()));
        for window in text.as_bytes()[4..].windows(8) {
            let window = String::from_utf8_lossy(window);
            assert!(!shown.contains(&*window) && !findings.contains(&*window));
        }
    }
}
