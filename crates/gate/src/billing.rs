//! BILL-1 to BILL-3, CRED-1 to CRED-3 and VAL-1: billing requests and handoffs.

use std::collections::BTreeMap;

use custody_billing::{BillingCheck, Mode};

use crate::input::GateInput;
use crate::parts::BillingPart;

/// Asks the billing crate. A repository's documents are judged by what they say, not by the variables of the machine
/// that checks them, unless the process environment is to be checked too.
pub(crate) fn ask(input: &GateInput<'_>) -> BillingPart {
    let none = BTreeMap::new();
    let check = BillingCheck {
        contract: input.contract,
        environment: input.environment,
        detector: input.engine,
        variables: input.process.unwrap_or(&none),
        mode: Mode::Strict,
    };
    let outcome = check.validate_tree(input.tree);
    BillingPart {
        cred1: outcome.cred1,
        cred2: outcome.cred2,
        cred3: outcome.cred3,
        cred4: outcome.cred4,
        bill1: outcome.bill1,
        bill2: outcome.bill2,
        bill3: outcome.bill3,
        val1: outcome.val1,
        findings: outcome.findings,
        references: outcome.references,
        coverage: vec![outcome.coverage],
    }
}
