//! All clauses, in the contract's order, and the report.

use std::collections::BTreeSet;
use std::time::Instant;

use custody_billing::BillingOutcome;
use custody_contract::file::{Clause, Waiver};
use custody_contract::{
    CredentialRef, Evaluation, Finding, Fingerprint, Place, Report, ReportKind, Severity, Surface, Tool,
};

use crate::allowances::{AllowancesOf, settle_allowances};
use crate::base::Base;
use crate::decision::{Judged, decide, judge};
use crate::input::{GateError, GateInput};
use crate::parts::{EnvPart, both, merge_findings};
use crate::proof::{self, Proofs};
use crate::search::{HistorySeen, search};
use crate::surfaces::{Seen, bearing};
use crate::{billing, changes, cred, env, rotation, validation, waivers};

/// Evaluates every clause and decides.
///
/// # Errors
///
/// [`GateError`] where the repository or its base cannot be read at all. Whatever can be evaluated in part is in the
/// report, as incomplete.
pub fn evaluate(input: &GateInput<'_>) -> Result<Report, GateError> {
    let started = Instant::now();
    let (env, billing) = (env::ask(input), billing::ask(input));
    let mut report = evaluate_parts(input, env, billing)?;
    report.duration_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    Ok(report)
}

pub(crate) fn evaluate_parts(
    input: &GateInput<'_>,
    env: EnvPart,
    mut billing: BillingOutcome,
) -> Result<Report, GateError> {
    let mut diagnostics = input.contract.notes.clone();
    let changes = input.base.map(|base| changes::find(input, base)).transpose()?.unwrap_or_default();
    diagnostics.extend(changes.diagnostics);

    let mut searched = search(input)?;
    let mut findings = std::mem::take(&mut searched.findings);
    merge_findings(&mut findings, std::mem::take(&mut billing.findings));
    let of = input.base.map_or(AllowancesOf::Files, |base| AllowancesOf::Base(base.in_force()));
    diagnostics.extend(settle_allowances(&mut findings, input.engine, of));
    let mut used = BTreeSet::new();
    let accepted = waivers::read_baseline(&input.contract.baseline, input.base.map(Base::in_force), input.tree);
    diagnostics.extend(waivers::apply(input, &accepted.baseline, &mut findings, &mut used));

    // The accounts of the other crates are reported beside the scan's, and judged by those crates' own evaluations.
    let coverage = std::mem::take(&mut searched.coverage);
    let response = rotation::incidents(input, &findings)?;
    diagnostics.extend(response.diagnostics);
    diagnostics.extend(env.notices.iter().cloned());

    let mut gate_problems = accepted.problems;
    gate_problems.extend(changes.broken);
    let seen = Seen { contract: input.contract, findings: &findings, coverage: &coverage, rules: input.engine.rules() };
    let rot3 = rotation::scans_block(input, &seen, gate_problems, &mut used);
    let proofs = proof::evaluate(input, &env, &billing);
    used.extend(proofs.waivers.iter().cloned());
    let clauses = Clauses {
        input,
        proofs: &proofs,
        seen,
        env: &env,
        billing: &billing,
        history: &searched.history,
        rot2: response.evaluation,
        rot3,
    };
    let judged: Vec<Judged> = input.contract.clauses.iter().map(|clause| clauses.judge(clause, &mut used)).collect();
    diagnostics.extend(waivers::review(input, &used));

    let rules = input.engine.rules();
    Ok(Report {
        schema: Report::SCHEMA.into(),
        kind: ReportKind::Check,
        tool: Tool {
            name: "custody".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            rules: u32::try_from(rules.len()).unwrap_or(u32::MAX),
            rules_digest: rules.digest().into(),
        },
        started: input.now,
        duration_ms: 0,
        target: input.target.to_owned(),
        environment: Some(input.environment),
        environment_source: Some(input.environment_source),
        contract: Some(input.contract_origin.clone()),
        decision: decide(&judged),
        block_at: input.contract.block_at,
        clauses: judged.into_iter().map(|j| j.verdict).collect(),
        findings,
        diagnostics,
        coverage: coverage.into_iter().chain(env.coverage).chain([billing.coverage]).collect(),
        incidents: response.incidents,
    })
}

/// Everything that clauses are evaluated from.
struct Clauses<'a> {
    input: &'a GateInput<'a>,
    proofs: &'a Proofs,
    seen: Seen<'a>,
    env: &'a EnvPart,
    billing: &'a BillingOutcome,
    history: &'a HistorySeen,
    rot2: Evaluation,
    rot3: Evaluation,
}

impl Clauses<'_> {
    fn judge(&self, clause: &Clause, used: &mut BTreeSet<String>) -> Judged {
        let id = clause.id.as_str();
        let waivers: Vec<&Waiver> =
            self.input.contract.valid_waivers(self.input.today).filter(|w| w.waives(clause.id.as_str())).collect();
        let mut judged = judge(clause, self.evaluation(id), &waivers, self.bearing(id));
        if id == "CRED-3" {
            judged.verdict.waivers.extend(self.proofs.waivers.iter().cloned());
            judged.verdict.waivers.sort();
            judged.verdict.waivers.dedup();
        }
        // A waiver that lets the contract weaken a locked item is used as well; the contract notes which.
        let by_waiver = format!("by waiver of {}", clause.id);
        if judged.waived || self.input.contract.notes.iter().any(|note| note.what.ends_with(&by_waiver)) {
            used.extend(waivers.iter().map(|w| w.id.clone()));
        }
        judged
    }

    fn evaluation(&self, id: &str) -> Evaluation {
        let (seen, env, billing) = (&self.seen, self.env, self.billing);
        match id {
            "CRED-1" => cred::no_raw_secrets(billing, seen),
            "CRED-2" => billing.cred2.clone(),
            "CRED-3" => both(billing.cred3.clone(), self.proofs.evaluation.clone()),
            "CRED-4" => cred::opaque_references(self.input, env, billing),
            "ENV-1" => env.env1.clone(),
            "ENV-2" => env.env2.clone(),
            "ENV-3" => env.env3.clone(),
            "ENV-4" => env::no_carriers(env, seen),
            "ENV-5a" => seen.history(self.history),
            "ENV-5b" => seen.named(Surface::Fixtures, id),
            "ENV-5c" => seen.named(Surface::Screenshots, id),
            "ENV-5d" => seen.named(Surface::Logs, id),
            "ENV-5e" => seen.named(Surface::Evidence, id),
            "ROT-1" => rotation::registry(self.input, &self.references()),
            "ROT-2" => self.rot2.clone(),
            "ROT-3" => self.rot3.clone(),
            "BILL-1" => billing.bill1.clone(),
            "BILL-2" => billing.bill2.clone(),
            "BILL-3" => billing.bill3.clone(),
            "VAL-1" => billing.val1.clone(),
            "VAL-2" => validation::npm_validate(self.input.tree),
            _ => Evaluation {
                incomplete: vec!["this version of custody has no evaluator for it".into()],
                ..Evaluation::default()
            },
        }
    }

    /// Findings that bear on a clause although they do not make it fail: waived, baselined, allowed, mild.
    fn bearing(&self, id: &str) -> Vec<Fingerprint> {
        let surface = match id {
            "CRED-1" => Surface::Request,
            "ENV-4" => Surface::WorkingTree,
            "ENV-5a" => Surface::History,
            "ENV-5b" => Surface::Fixtures,
            "ENV-5c" => Surface::Screenshots,
            "ENV-5d" => Surface::Logs,
            "ENV-5e" => Surface::Evidence,
            "ROT-2" => {
                let severe = |f: &&Finding| f.severity >= Severity::High;
                return self.seen.findings.iter().filter(severe).map(|f| f.fingerprint).collect();
            }
            "ROT-3" => return bearing(self.seen.findings, None),
            _ => return Vec::new(),
        };
        bearing(self.seen.findings, Some(surface))
    }

    fn references(&self) -> Vec<(CredentialRef, Place)> {
        self.env.references.iter().chain(&self.billing.references).cloned().collect()
    }
}
