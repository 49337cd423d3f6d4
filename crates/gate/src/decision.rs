//! From what was seen to a verdict, and from verdicts to a decision.
//!
//! | evaluation | enforcement block | enforcement warn, or clause waived |
//! | --- | --- | --- |
//! | an error or a blocking finding | fail | warn |
//! | something was not looked at | fail, incomplete | warn, incomplete |
//! | warnings only | warn | warn |
//! | does not apply | not-applicable | not-applicable |
//! | otherwise | pass | pass |
//!
//! A blocking clause that fails for real blocks the release; else one that is incomplete makes it incomplete.

use custody_contract::file::{Clause, Enforcement, Waiver};
use custody_contract::{ClauseVerdict, Decision, Evaluation, Evidence, Fingerprint, Level, Verdict};

/// A verdict, and whether it rests on something that was seen or on something that was not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judged {
    /// The verdict.
    pub verdict: ClauseVerdict,
    /// Whether the clause fails by what was seen, not only by what was not looked at.
    pub fails: bool,
    /// Whether a waiver of the clause made a difference.
    pub waived: bool,
}

/// Judges one clause. `waivers` are the valid ones of this clause; `bearing` are findings that bear on it without making
/// it fail.
pub fn judge(clause: &Clause, mut evaluation: Evaluation, waivers: &[&Waiver], bearing: Vec<Fingerprint>) -> Judged {
    if evaluation.not_applicable.is_none() && evaluation.evidence.is_empty() {
        evaluation.incomplete.push("nothing says what was looked at".into());
    }
    let fails = evaluation.fails();
    let incomplete = !evaluation.incomplete.is_empty();
    let stands_against = fails || incomplete;
    let waived = stands_against && !waivers.is_empty();
    let blocking = clause.enforcement == Enforcement::Block && waivers.is_empty();
    let warns = evaluation.problems.iter().any(|p| p.level == Level::Warning);
    let verdict = match () {
        () if stands_against && blocking => Verdict::Fail,
        () if stands_against => Verdict::Warn,
        () if evaluation.not_applicable.is_some() => Verdict::NotApplicable,
        () if warns => Verdict::Warn,
        () => Verdict::Pass,
    };
    let summary = summary(&evaluation, fails, waived.then(|| waivers[0]), clause.enforcement);
    let mut evidence = evaluation.evidence;
    if evidence.is_empty() {
        let what = evaluation.not_applicable.clone().unwrap_or_else(|| "nothing".into());
        evidence.push(Evidence { what, amount: "nothing to look at".into(), with: None });
    }
    let mut findings = evaluation.findings;
    findings.extend(bearing);
    let mut seen = std::collections::BTreeSet::new();
    findings.retain(|f| seen.insert(*f));
    Judged {
        verdict: ClauseVerdict {
            clause: clause.id.clone(),
            title: clause.title.clone(),
            verdict,
            blocking,
            incomplete,
            summary,
            evidence,
            problems: evaluation.problems,
            findings,
            waivers: if waived { waivers.iter().map(|w| w.id.clone()).collect() } else { Vec::new() },
        },
        fails,
        waived,
    }
}

fn summary(evaluation: &Evaluation, fails: bool, waiver: Option<&Waiver>, enforcement: Enforcement) -> String {
    let level = |level| evaluation.problems.iter().filter(|p| p.level == level).collect::<Vec<_>>();
    let (errors, warnings) = (level(Level::Error), level(Level::Warning));
    let mut text = if fails {
        let more = |n: usize| if n > 1 { format!(" (and {} more)", n - 1) } else { String::new() };
        let mut said = Vec::new();
        if let Some(first) = errors.first() {
            said.push(format!("{}{}", first.what, more(errors.len())));
        }
        if !evaluation.findings.is_empty() {
            said.push(count(evaluation.findings.len(), "finding"));
        }
        format!("does not hold: {}", said.join("; "))
    } else if let Some(first) = evaluation.incomplete.first() {
        let more = evaluation.incomplete.len() - 1;
        let more = if more > 0 { format!(" (and {more} more)") } else { String::new() };
        format!("incomplete: {first}{more}")
    } else if let Some(why) = &evaluation.not_applicable {
        format!("does not apply: {why}")
    } else if let Some(first) = warnings.first() {
        let more = if warnings.len() > 1 { format!(" (and {} more)", warnings.len() - 1) } else { String::new() };
        format!("holds with a warning: {}{more}", first.what)
    } else {
        match evaluation.evidence.first() {
            Some(first) => format!("holds: {}, {}", first.what, first.amount),
            None => "holds".into(),
        }
    };
    if fails && !evaluation.incomplete.is_empty() {
        text.push_str("; incomplete besides");
    }
    match waiver {
        Some(waiver) => text.push_str(&format!(
            ". Waived until {} by {} (waiver {}): {}",
            waiver.expires, waiver.owner, waiver.id, waiver.reason
        )),
        None if (fails || !evaluation.incomplete.is_empty()) && enforcement == Enforcement::Warn => {
            text.push_str(". The contract enforces it as a warning");
        }
        None => {}
    }
    if !text.ends_with('.') {
        text.push('.');
    }
    text
}

/// Decides over all clauses.
pub fn decide(judged: &[Judged]) -> Decision {
    let blocking = || judged.iter().filter(|j| j.verdict.blocking);
    if blocking().any(|j| j.fails) {
        Decision::Blocked
    } else if blocking().any(|j| j.verdict.incomplete) {
        Decision::Incomplete
    } else {
        Decision::MayRelease
    }
}

pub(crate) fn count(n: usize, one: &str) -> String {
    if n == 1 { format!("1 {one}") } else { format!("{n} {one}s") }
}

#[cfg(test)]
mod tests {
    use custody_contract::file::{Day, GlobSet};
    use custody_contract::{Contract, Diagnostic};

    use super::*;

    fn clause(enforcement: Enforcement) -> Clause {
        Clause { enforcement, ..Contract::builtin().clause("ENV-3").expect("there").clone() }
    }

    fn waiver() -> Waiver {
        Waiver {
            id: "w".into(),
            clause: "ENV-3".parse().ok(),
            fingerprint: None,
            rule: None,
            paths: GlobSet::default(),
            references: Vec::new(),
            owner: "ana".into(),
            reason: "migration".into(),
            expires: Day(jiff::civil::date(2027, 1, 1)),
        }
    }

    fn evaluation(error: bool, incomplete: bool, warning: bool) -> Evaluation {
        let mut evaluation = Evaluation::default();
        evaluation.saw("x", "1 file");
        if error {
            evaluation.problems.push(Diagnostic::error("ENV-3", "bad"));
        }
        if warning {
            evaluation.problems.push(Diagnostic::warning("ENV-3", "odd"));
        }
        if incomplete {
            evaluation.incomplete.push("a file was not read".into());
        }
        evaluation
    }

    #[test]
    fn the_decision_table_holds() {
        use Decision::*;
        use Enforcement::{Block, Warn as Advise};
        let w = waiver();
        for (error, incomplete, warning, enforcement, waivers, verdict, decision) in [
            (false, false, false, Block, vec![], Verdict::Pass, MayRelease),
            (false, false, true, Block, vec![], Verdict::Warn, MayRelease),
            (true, false, false, Block, vec![], Verdict::Fail, Blocked),
            (false, true, false, Block, vec![], Verdict::Fail, Incomplete),
            (true, true, false, Block, vec![], Verdict::Fail, Blocked),
            (true, false, false, Advise, vec![], Verdict::Warn, MayRelease),
            (false, true, false, Advise, vec![], Verdict::Warn, MayRelease),
            (true, true, false, Block, vec![&w], Verdict::Warn, MayRelease),
            (false, true, false, Block, vec![&w], Verdict::Warn, MayRelease),
            (false, false, false, Block, vec![&w], Verdict::Pass, MayRelease),
        ] {
            let judged = judge(&clause(enforcement), evaluation(error, incomplete, warning), &waivers, Vec::new());
            assert_eq!(judged.verdict.verdict, verdict, "{judged:?}");
            assert_eq!(judged.verdict.incomplete, incomplete);
            assert_eq!(judged.verdict.waivers.len(), usize::from(judged.waived));
            assert_eq!(decide(std::slice::from_ref(&judged)), decision, "{judged:?}");
        }
    }

    #[test]
    fn a_failure_outweighs_an_incomplete_clause_and_advice_outweighs_nothing() {
        let of = |e, i, enforcement| judge(&clause(enforcement), evaluation(e, i, false), &[], Vec::new());
        let (fails, incomplete) = (of(true, false, Enforcement::Block), of(false, true, Enforcement::Block));
        let advice = of(true, true, Enforcement::Warn);
        assert_eq!(decide(&[incomplete.clone(), fails, advice.clone()]), Decision::Blocked);
        assert_eq!(decide(&[incomplete, advice.clone()]), Decision::Incomplete);
        assert_eq!(decide(&[advice]), Decision::MayRelease);
        assert_eq!(decide(&[]), Decision::MayRelease);
    }

    #[test]
    fn a_clause_that_does_not_apply_says_why_and_has_evidence() {
        let judged = judge(&clause(Enforcement::Block), Evaluation::not_applicable("no templates"), &[], Vec::new());
        assert_eq!(judged.verdict.verdict, Verdict::NotApplicable);
        assert_eq!(judged.verdict.evidence.len(), 1);
        assert!(judged.verdict.summary.contains("no templates"));
    }

    #[test]
    fn an_evaluation_that_shows_nothing_is_no_pass() {
        let judged = judge(&clause(Enforcement::Block), Evaluation::default(), &[], Vec::new());
        assert_eq!((judged.verdict.verdict, judged.verdict.incomplete), (Verdict::Fail, true));
        assert!(!judged.verdict.evidence.is_empty());
    }

    #[test]
    fn the_summary_names_the_waiver() {
        let w = waiver();
        let judged = judge(&clause(Enforcement::Block), evaluation(true, false, false), &[&w], Vec::new());
        assert_eq!(judged.verdict.summary, "does not hold: bad. Waived until 2027-01-01 by ana (waiver w): migration.");
    }
}
