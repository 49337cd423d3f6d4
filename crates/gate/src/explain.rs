//! What `custody explain` says of a clause.

use custody_contract::Contract;
use custody_contract::file::Clause;

/// A clause, how it is evaluated, and what to do about a failure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// The clause as the contract states it: section, title, evaluation, remedy, enforcement.
    pub clause: Clause,
    /// What is looked at, and when the clause does not apply.
    pub looks_at: &'static str,
    /// When it cannot be evaluated in full.
    pub incomplete_when: &'static str,
    /// What may be set in `custody.toml`.
    pub settings: &'static [&'static str],
    /// Commands that show or mend it.
    pub commands: &'static [&'static str],
    /// Tasks of the contract that it answers.
    pub tasks: &'static [&'static str],
}

/// Explains a clause; `None` if the contract has none of that id (in any case of letters).
pub fn explain(contract: &Contract, id: &str) -> Option<Explanation> {
    let clause = contract.clauses.iter().find(|c| c.id.as_str().eq_ignore_ascii_case(id))?.clone();
    let about = about(clause.id.as_str());
    Some(Explanation {
        clause,
        looks_at: about.0,
        incomplete_when: about.1,
        settings: about.2,
        commands: about.3,
        tasks: about.4,
    })
}

type About = (&'static str, &'static str, &'static [&'static str], &'static [&'static str], &'static [&'static str]);

const UNREAD: &str = "a file that stands there could not be read, or its format hides its text";
const REQUESTS: &str = "billing requests and handoffs: the contract's fixture packs, requests and handoffs. Does not apply where there are none.";
const BILLING: &[&str] = &["[billing] packs", "[billing] requests", "[billing] handoffs", "[[billing.adapter]]"];
const VALIDATE: &[&str] = &["custody billing validate FILE", "custody billing validate --packs DIR"];
const ENV: &[&str] = &["[[key]]", "[environments.local|stage|prod] templates", "[environments.…] deployments"];

fn about(id: &str) -> About {
    match id.split('-').next() {
        Some("ENV") => about_environment(id),
        Some("ROT") => about_rotation(id),
        _ => about_billing(id),
    }
}

const UNKNOWN: About = ("nothing: this version has no evaluator for it.", "always", &[], &[], &[]);

fn about_billing(id: &str) -> About {
    match id {
        "CRED-1" => (REQUESTS, "a request could not be read", BILLING, VALIDATE, &["F2-TASK-075", "F2-TASK-125"]),
        "CRED-2" | "CRED-3" | "BILL-2" | "BILL-3" => {
            (REQUESTS, "a request could not be read", BILLING, VALIDATE, &["F2-TASK-075"])
        }
        "CRED-4" => (
            "credential references in requests, templates, deployment files and the rotation registry.",
            "a file that may hold references could not be read",
            &["[[credential]] reference"],
            &["custody check", "custody billing validate FILE"],
            &["F2-TASK-075"],
        ),
        "BILL-1" => (
            REQUESTS,
            "a request could not be read",
            &["[billing] credential-ref-required"],
            VALIDATE,
            &["F2-TASK-075"],
        ),
        "VAL-1" => (
            "the billing fixture packs: request, response and their agreement. Does not apply where there are none.",
            "a file of a pack could not be read",
            BILLING,
            &["custody billing validate --packs DIR", "python3 scripts/validate-billing-canonical-handoff.py"],
            &[],
        ),
        "VAL-2" => (
            "scripts.validate of package.json, followed through other scripts; npm is not run. Does not apply without package.json.",
            "package.json could not be read",
            &[],
            &["npm run validate"],
            &[],
        ),
        _ => UNKNOWN,
    }
}

fn about_environment(id: &str) -> About {
    match id {
        "ENV-1" | "ENV-2" => (
            "the environment's templates and deployment files, and the process environment with --process.",
            "a template or deployment file could not be read",
            ENV,
            &["custody env check", "custody env example", "custody env doc"],
            &["F2-TASK-128"],
        ),
        "ENV-3" => (
            "each value of each template, of every environment.",
            "a template could not be read",
            ENV,
            &["custody env check", "custody env example"],
            &["F2-TASK-125"],
        ),
        "ENV-4" => (
            "the working tree, whatever git does not ignore and all that it tracks; .env files that git tracks; literal secrets in deployment files.",
            "a file of the working tree could not be read",
            &["[[surfaces.exclude]]", "[scan] rules"],
            &["custody scan", "custody scan --staged"],
            &["F2-TASK-125"],
        ),
        "ENV-5a" => (
            "every object that a clone would carry, unreachable ones included, with messages and names. Does not apply without a git repository.",
            "the clone is shallow or partial, an object is damaged, or history was not searched",
            &["[scan] baseline", "[scan] rules"],
            &["custody scan --history", "git fetch --unshallow"],
            &["F2-TASK-125"],
        ),
        "ENV-5b" => surface("files of the directories that the contract names as fixtures."),
        "ENV-5c" => surface("images of the directories that the contract names as screenshots."),
        "ENV-5d" => surface(
            "log files, those that git ignores included; also a credential reference beside what would help to use it.",
        ),
        "ENV-5e" => surface(
            "evidence artifacts, those that git ignores included; also a credential reference beside what would help to use it.",
        ),
        _ => UNKNOWN,
    }
}

fn about_rotation(id: &str) -> About {
    match id {
        "ROT-1" => (
            "the [[credential]] entries that the environment can reach, and every reference that templates, deployment files and requests use; one in code without an entry is a warning. A day is a civil day; the window's last day is inside. Does not apply without credentials and references.",
            "never: what is not documented fails",
            &["[[credential]] owner, contact, window, grace, procedure, last-rotation, environments"],
            &["custody check --env prod"],
            &["F2-TASK-122"],
        ),
        "ROT-2" => (
            "the incident records, and findings of High or Critical severity. Open and contained incidents block.",
            "never: a record that cannot be read counts as open",
            &["[incidents] directory"],
            &["custody incident list", "custody incident show ID", "custody incident close ID --reason TEXT"],
            &["F2-TASK-122"],
        ),
        "ROT-3" => (
            "all findings with their status, waivers, baseline, and whether severe rules are in force.",
            "never: what is incomplete counts at its surface's clause",
            &["[release] block-at", "[[waiver]]", "[scan] baseline", "[scan] disabled-rules"],
            &["custody scan", "custody check --base REV"],
            &["F2-TASK-122"],
        ),
        _ => UNKNOWN,
    }
}

fn surface(looks_at: &'static str) -> About {
    (looks_at, UNREAD, SURFACES, &["custody scan"], &["F2-TASK-125"])
}

const SURFACES: &[&str] = &["[surfaces] fixtures, screenshots, logs, evidence", "[[surfaces.exclude]]"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_clause_of_the_contract_is_explained() {
        let contract = Contract::builtin();
        for clause in &contract.clauses {
            let explanation = explain(&contract, &clause.id.as_str().to_lowercase()).expect("there");
            assert!(!explanation.looks_at.contains("no evaluator"), "{}", clause.id);
            assert!(!explanation.commands.is_empty(), "{}", clause.id);
        }
        assert_eq!(explain(&contract, "ENV-9"), None);
    }
}
