//! BILL-1 to BILL-3, CRED-1 to CRED-3 and VAL-1: billing requests and handoffs.

use std::collections::BTreeMap;

use custody_billing::{BillingCheck, BillingOutcome, Mode};

use crate::input::GateInput;

/// Asks the billing crate. A repository's documents are judged by what they say, not by the variables of the machine
/// that checks them, unless the process environment is to be checked too.
pub(crate) fn ask(input: &GateInput<'_>) -> BillingOutcome {
    let none = BTreeMap::new();
    let check = BillingCheck {
        contract: input.contract,
        environment: input.environment,
        detector: input.engine,
        variables: input.process.unwrap_or(&none),
        mode: Mode::Strict,
    };
    check.validate_tree(input.tree)
}
