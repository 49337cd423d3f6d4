//! What the environment keys' crate says in the gate's own terms, and joining what several crates say.

use custody_contract::{Coverage, CredentialRef, Diagnostic, Evaluation, Finding, Place};

/// What the environment keys' crate says.
#[derive(Debug, Clone, Default)]
pub(crate) struct EnvPart {
    pub env1: Evaluation,
    pub env2: Evaluation,
    pub env3: Evaluation,
    pub env4: Evaluation,
    pub cred4: Evaluation,
    pub references: Vec<(CredentialRef, Place)>,
    pub notices: Vec<Diagnostic>,
    pub coverage: Vec<Coverage>,
}

/// Two evaluations of one clause; it does not apply only if neither does.
pub(crate) fn both(one: Evaluation, other: Evaluation) -> Evaluation {
    match (&one.not_applicable, &other.not_applicable) {
        (Some(_), _) => Evaluation { incomplete: joined(one.incomplete, &other.incomplete), ..other },
        (_, Some(_)) => Evaluation { incomplete: joined(one.incomplete, &other.incomplete), ..one },
        (None, None) => Evaluation {
            evidence: joined(one.evidence, &other.evidence),
            problems: joined(one.problems, &other.problems),
            findings: joined(one.findings, &other.findings),
            incomplete: joined(one.incomplete, &other.incomplete),
            not_applicable: None,
        },
    }
}

fn joined<T: Clone + PartialEq>(mut one: Vec<T>, other: &[T]) -> Vec<T> {
    for item in other {
        if !one.contains(item) {
            one.push(item.clone());
        }
    }
    one
}

/// Merges findings of the same secret: one finding with all places, named by the more severe.
pub(crate) fn merge_findings(findings: &mut Vec<Finding>, more: Vec<Finding>) {
    for finding in more {
        match findings.iter_mut().find(|f| f.fingerprint == finding.fingerprint) {
            None => findings.push(finding),
            Some(known) => {
                let occurrences = joined(known.occurrences.clone(), &finding.occurrences);
                if (finding.severity, finding.confidence.score) > (known.severity, known.confidence.score) {
                    *known = finding;
                }
                known.occurrences = occurrences;
                known.occurrences.sort();
            }
        }
    }
    findings.sort_by(|a, b| {
        (b.severity, b.confidence.score)
            .cmp(&(a.severity, a.confidence.score))
            .then_with(|| a.occurrences.cmp(&b.occurrences))
            .then_with(|| a.fingerprint.cmp(&b.fingerprint))
    });
}
