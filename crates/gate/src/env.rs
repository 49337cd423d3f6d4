//! ENV-1 to ENV-4: environment keys, templates, and where real secrets come from.

use custody_contract::{Evaluation, Surface};
use custody_envkeys::{EnvCheck, check};

use crate::input::GateInput;
use crate::parts::{EnvPart, both};
use crate::surfaces::Seen;

/// Asks the environment keys' crate.
pub(crate) fn ask(input: &GateInput<'_>) -> EnvPart {
    let outcome = check(&EnvCheck {
        contract: input.contract,
        environment: input.environment,
        tree: input.tree,
        recogniser: input.engine,
        process: input.process,
    });
    let mut cred4 = Evaluation { problems: outcome.cred4, ..Evaluation::default() };
    match outcome.references.len() {
        0 if cred4.problems.is_empty() => {
            cred4.not_applicable = Some("templates and deployment files name no reference".into())
        }
        count => cred4.saw("templates and deployment files", format!("{count} credential references")),
    }
    EnvPart {
        env1: outcome.env1,
        env2: outcome.env2,
        env3: outcome.env3,
        env4: outcome.env4,
        cred4,
        references: outcome.references,
        notices: outcome.notices,
        coverage: vec![outcome.coverage],
    }
}

/// ENV-4: no committed file carries a real value.
pub(crate) fn no_carriers(env: &EnvPart, seen: &Seen<'_>) -> Evaluation {
    both(env.env4.clone(), seen.evaluate(Surface::WorkingTree, "ENV-4"))
}
