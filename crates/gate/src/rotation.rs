//! ROT-1 to ROT-3: registry, incidents, and that severity decides.

use std::collections::{BTreeMap, BTreeSet};

use custody_contract::file::{Waiver, locate};
use custody_contract::{
    CredentialRef, Diagnostic, Evaluation, Finding, FindingStatus, IncidentSummary, Place, SecretRecogniser, Severity,
};
use custody_incident::{
    DirectoryStore, IncidentError, IncidentMode, IncidentReview, Opening, Recorded, Records, Store, record,
};
use custody_rotation::RotationCheck;
use custody_scan::rules::RuleSet;

use crate::changes;
use crate::context;
use crate::decision::count;
use crate::input::{GateError, GateInput};
use crate::references;
use crate::surfaces::Seen;

/// ROT-1.
pub(crate) fn registry(input: &GateInput<'_>, references: &[(CredentialRef, Place)]) -> Evaluation {
    let file = input.contract_file();
    let locate = |index: usize, field: &str| {
        let at = index.to_string();
        (!input.contract_text.is_empty()).then(|| locate(input.contract_text, file, &["credential", &at, field]))
    };
    let exists = |path: &str| {
        let below = format!("{path}/");
        input.tree.paths().iter().any(|p| p == path || p.starts_with(&below)) || input.tree.read(path).is_ok()
    };
    let code = references::in_code(input.tree, input.contract, input.engine);
    custody_rotation::evaluate(RotationCheck {
        contract: input.contract,
        environment: input.environment,
        today: input.today,
        references,
        code: &code,
        contract_file: file,
        locate: &locate,
        procedure_exists: &exists,
        shown: &|reference| shown(reference, input.engine),
    })
}

/// A reference as messages show it: not where it carries secret material.
pub(crate) fn shown(reference: &CredentialRef, recogniser: &dyn SecretRecogniser) -> String {
    match CredentialRef::parse_with(reference.as_str(), recogniser) {
        Ok(reference) => reference.to_string(),
        Err(_) => "cred://[withheld: it carries secret material]".to_owned(),
    }
}

/// What ROT-2 gave.
pub(crate) struct Response {
    pub evaluation: Evaluation,
    pub incidents: Vec<IncidentSummary>,
    pub diagnostics: Vec<Diagnostic>,
}

/// ROT-2: opens and joins incidents, then looks at what is not closed.
pub(crate) fn incidents(input: &GateInput<'_>, findings: &[Finding]) -> Result<Response, GateError> {
    let directory = input.contract.incident_directory.as_str();
    let store = DirectoryStore::new(input.root, directory);
    let owner = |finding: &Finding| owner_of(input, finding);
    let opening = Opening { by: "custody check", now: input.now, owner: &owner };
    let mut failure = None;
    let mut recorded = Vec::new();
    if input.incidents == IncidentMode::Record {
        match record(&store, findings, opening) {
            Ok(done) => recorded = done,
            Err(error) => failure = Some(error),
        }
    }
    let mut records = match store.load() {
        Ok(records) => records,
        Err(error) => {
            failure.get_or_insert(error);
            Records::default()
        }
    };
    let mut diagnostics = Vec::new();
    if let Some(base) = input.base {
        diagnostics = changes::incidents(base, directory, &mut records)?;
    }
    let place_of = |incident: &custody_incident::Incident| store.place_of(&incident.id);
    let mut evaluation = custody_incident::evaluate(IncidentReview {
        records: &records,
        findings,
        mode: input.incidents,
        directory,
        place_of: &place_of,
    });
    if let Some(error) = failure {
        evaluation.problems.insert(0, unusable(&error, directory));
    }
    let incidents = summaries(&records, &recorded, &store);
    Ok(Response { evaluation, incidents, diagnostics })
}

/// Records that cannot be read or written count as open incidents: they block, and the rest of the report is still given.
fn unusable(error: &IncidentError, directory: &str) -> Diagnostic {
    Diagnostic::error("ROT-2", "incident records cannot be read or written")
        .at(Place::file(directory))
        .why(error.to_string())
        .fix("make the directory readable and writable, or check with --no-incident, which writes nothing")
}

fn summaries(records: &Records, recorded: &[Recorded], store: &DirectoryStore) -> Vec<IncidentSummary> {
    let new: BTreeSet<&str> = recorded
        .iter()
        .filter(|r| matches!(r, Recorded::Opened(_) | Recorded::Reopened(_)))
        .map(|r| r.incident().id.as_str())
        .collect();
    let mut shown: Vec<_> = records.incidents.iter().filter(|i| i.state.is_unresolved()).collect();
    shown.sort_by(|a, b| b.severity.cmp(&a.severity).then_with(|| a.id.cmp(&b.id)));
    shown
        .into_iter()
        .map(|incident| IncidentSummary {
            id: incident.id.to_string(),
            severity: incident.severity,
            open: true,
            opened_now: new.contains(incident.id.as_str()),
            title: incident.title.clone(),
            fingerprint: incident.fingerprint,
            record: store.place_of(&incident.id),
        })
        .collect()
}

/// Who answers for what leaked: the reference's owner, else the one owner of all credentials of the rule's provider.
fn owner_of(input: &GateInput<'_>, finding: &Finding) -> Option<String> {
    let credentials = &input.contract.credentials;
    if &*finding.rule == context::RULE {
        let reference = context::reference_of(finding, credentials.iter().map(|c| &c.reference))?;
        return credentials.iter().find(|c| c.reference == *reference)?.owner.clone();
    }
    let provider = input.engine.rules().get(&finding.rule).map(|r| r.provider.to_string())?;
    let owners: BTreeSet<&str> =
        credentials.iter().filter(|c| c.reference.provider() == provider).filter_map(|c| c.owner.as_deref()).collect();
    let mut owners = owners.into_iter();
    owners.next().filter(|_| owners.next().is_none()).map(str::to_owned)
}

/// ROT-3: the verdict follows severity, and rules that would find severe secrets are in force.
pub(crate) fn scans_block(
    input: &GateInput<'_>,
    seen: &Seen<'_>,
    problems: Vec<Diagnostic>,
    waivers_used: &mut BTreeSet<String>,
) -> Evaluation {
    let mut evaluation = Evaluation { problems, ..Evaluation::default() };
    seen.findings_on(None, "ROT-3", &mut evaluation);
    rules_in_force(input, &mut evaluation.problems, waivers_used);
    let mut states: BTreeMap<&str, usize> = BTreeMap::new();
    for finding in seen.findings {
        let state = match &finding.status {
            FindingStatus::Open if finding.severity >= input.contract.block_at => "blocking",
            FindingStatus::Open => "open below the threshold",
            FindingStatus::Baselined { .. } => "baselined",
            FindingStatus::Waived { .. } => "waived",
            FindingStatus::Allowed { .. } => "allowed inline",
        };
        *states.entry(state).or_default() += 1;
    }
    let mut amount = count(seen.findings.len(), "finding");
    for (state, n) in states {
        amount.push_str(&format!(", {n} {state}"));
    }
    evaluation.saw(format!("findings on all surfaces, blocking from {} on", input.contract.block_at), amount);
    if let Some(evidence) = evaluation.evidence.last_mut() {
        evidence.with = Some(seen.rules());
    }
    let valid = input.contract.valid_waivers(input.today).count();
    let all = input.contract.waivers.len();
    evaluation.saw("waivers", format!("{}, {valid} valid on {}", count(all, "waiver"), input.today));
    evaluation
}

/// A severe rule may be out of force only by a waiver that names it.
fn rules_in_force(input: &GateInput<'_>, problems: &mut Vec<Diagnostic>, waivers_used: &mut BTreeSet<String>) {
    let file = input.contract_file();
    let place = || locate(input.contract_text, file, &["scan", "disabled-rules"]);
    let builtin = RuleSet::builtin();
    let waiver = |id: &str| {
        input
            .contract
            .valid_waivers(input.today)
            .find(|w: &&Waiver| w.rule.as_deref() == Some(id) && w.paths.is_empty())
    };
    let fix = |id: &str| format!("enable it, or add a [[waiver]] with rule = \"{id}\", owner, reason and expires");
    for id in &input.contract.disabled_rules {
        if builtin.get(id).is_none() && input.engine.rules().get(id).is_none() {
            problems.push(
                Diagnostic::warning("ROT-3", format!("disabled-rules names {id}, which is no built-in rule"))
                    .at(place())
                    .why("a name that fits nothing is a slip, or a rule of the repository's own")
                    .fix("remove it, or delete the rule from its file"),
            );
        }
    }
    for rule in builtin.iter().filter(|r| r.severity >= Severity::High) {
        let now = input.engine.rules().get(&rule.id);
        let what = match now {
            Some(now) if now.digest == rule.digest => continue,
            Some(_) => format!("a rule file of the repository replaces {} ({})", rule.id, rule.severity),
            None => format!("rule {} ({}) is disabled", rule.id, rule.severity),
        };
        match waiver(&rule.id) {
            Some(waiver) => {
                waivers_used.insert(waiver.id.clone());
                let said = Diagnostic::note("ROT-3", format!("{what}, by waiver {}", waiver.id));
                problems.push(said.at(place()).why(waiver.reason.clone()));
            }
            None => problems.push(
                Diagnostic::error("ROT-3", what)
                    .at(place())
                    .why("what it would find blocks a release; out of force, nothing would")
                    .fix(fix(&rule.id)),
            ),
        }
    }
}
