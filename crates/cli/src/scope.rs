//! What a scan is held to: contract, rules, baseline, waivers and inline allowances, and who may have written them.

use std::path::{Path, PathBuf};

use custody_contract::{Contract, Decision, Diagnostic, Finding, FindingStatus, Place, Report, Severity};
use custody_gate::{AllowancesOf, settle_allowances};
use custody_scan::baseline::Baseline;
use custody_scan::engine::Engine;
use custody_scan::source::BaseTree;

use crate::context::{InForce, today};
use crate::failure::Failure;
use crate::files::read_text;

/// Whose word counts.
pub enum Trust {
    /// The working tree's.
    WorkingTree,
    /// A revision's, which the change cannot have written.
    Base(Box<BaseTree>),
    /// Nobody's: there is no revision that the change did not write. The default profile is in force.
    Nobody,
}

/// What a scan is held to.
pub struct Scope {
    /// The directory whose contract it is.
    pub root: PathBuf,
    /// The contract.
    pub in_force: InForce,
    /// Its rules.
    pub engine: Engine,
    trust: Trust,
}

/// A baseline and what it is called.
pub struct NamedBaseline {
    /// What it accepts.
    pub baseline: Baseline,
    /// Its path, for messages.
    pub path: String,
    /// Why it does not count, if it does not.
    pub problem: Option<Diagnostic>,
}

impl Scope {
    /// Loads the contract at `root`, or the one that `contract` names, from whoever is trusted.
    pub fn open(root: &Path, contract: Option<&Path>, trust: Trust) -> Result<Scope, Failure> {
        let (in_force, base) = match &trust {
            Trust::WorkingTree => (InForce::load(root, contract, None)?, None),
            Trust::Base(base) => (InForce::load(root, contract, Some(base))?, Some(&**base)),
            Trust::Nobody => (InForce::profile()?, None),
        };
        let engine = in_force.engine(root, base)?;
        Ok(Scope { root: root.to_owned(), in_force, engine, trust })
    }

    /// Whether nobody's word counts.
    pub fn is_bare(&self) -> bool {
        matches!(self.trust, Trust::Nobody)
    }

    /// The contract's baseline. At a revision, one that cannot be read counts for nothing: whoever mends it could not
    /// otherwise commit that.
    pub fn baseline(&self) -> Result<NamedBaseline, Failure> {
        let path = self.in_force.contract.baseline.clone();
        let named = |baseline, problem| NamedBaseline { baseline, path: path.clone(), problem };
        match &self.trust {
            Trust::Nobody => Ok(named(Baseline::new(), None)),
            Trust::WorkingTree => {
                let file = self.root.join(&path);
                let exists = file.symlink_metadata().is_ok();
                let baseline = if exists { read_baseline(&file, &path)? } else { Baseline::new() };
                Ok(named(baseline, None))
            }
            Trust::Base(base) => {
                let unusable = |why: String| {
                    Diagnostic::warning("baseline", format!("the baseline of {} counts for nothing", short(base)))
                        .at(Place::file(path.clone()))
                        .why(why)
                        .fix("mend it; `custody scan` shows every wrong line")
                };
                let text = base.read(&path).map_err(|error| {
                    Failure::incomplete("cannot read the base revision's baseline", error.to_string(), "fetch it")
                })?;
                Ok(match Baseline::parse(&String::from_utf8_lossy(&text.unwrap_or_default())) {
                    Ok(baseline) => named(baseline, None),
                    Err(errors) => {
                        let first = errors.first().map(|error| format!("line {}: {}", error.line, error.problem));
                        named(Baseline::new(), Some(unusable(first.unwrap_or_default())))
                    }
                })
            }
        }
    }

    /// Sets each finding's status by inline allowances, baseline and waivers.
    pub fn judge(&self, findings: &mut [Finding], baseline: &Baseline) {
        let of = match &self.trust {
            Trust::WorkingTree => None,
            Trust::Nobody => Some(AllowancesOf::Nobody),
            Trust::Base(base) => Some(AllowancesOf::Base(base)),
        };
        if let Some(of) = of {
            settle_allowances(findings, &self.engine, of);
        }
        judge(findings, baseline, &self.in_force);
    }

    /// What is said where nobody's word counts and something was found.
    pub fn note(&self) -> Option<Diagnostic> {
        let missing = format!("{}, baseline, waivers and inline allowances do not count", Contract::FILE_NAME);
        self.is_bare().then(|| {
            Diagnostic::note("base-revision", missing)
                .why("no commit that was there before holds them, and a change cannot approve itself")
                .fix("see docs/hooks.md on first commits and first pushes")
        })
    }
}

/// Name of a revision for messages.
fn short(base: &BaseTree) -> String {
    base.commit().get(..12).unwrap_or_default().to_owned()
}

/// Sets each finding's status by baseline and waivers.
pub fn judge(findings: &mut [Finding], baseline: &Baseline, in_force: &InForce) {
    baseline.apply(findings);
    for finding in findings.iter_mut().filter(|f| f.status == FindingStatus::Open) {
        let waiver =
            in_force.contract.valid_waivers(today()).find(|w| w.clause.is_none() && custody_gate::covers(w, finding));
        if let Some(waiver) = waiver {
            finding.status = FindingStatus::Waived { waiver: waiver.id.clone() };
        }
    }
}

/// Reads a baseline; all wrong lines are reported.
pub fn read_baseline(path: &Path, shown: &str) -> Result<Baseline, Failure> {
    Baseline::parse(&read_text(path)?).map_err(|errors| {
        let diagnostic = |line: u32, problem: String| {
            Diagnostic::error("baseline", format!("cannot use baseline {shown}"))
                .at(Place::at(shown, line, 1))
                .why(problem)
        };
        Failure::contract(errors.iter().map(|e| diagnostic(e.line, e.problem.to_string())).collect())
    })
}

/// What a scan's report comes to.
pub fn decide(report: &Report, is_incomplete: bool) -> Decision {
    let blocks = |threshold: Severity| report.findings.iter().any(|f| f.blocks(threshold));
    if blocks(report.block_at) {
        Decision::Blocked
    } else if is_incomplete {
        Decision::Incomplete
    } else {
        Decision::MayRelease
    }
}
