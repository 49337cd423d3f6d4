//! Billing requests and handoffs: no panic, and a document that is refused is refused with a reason.
#![no_main]

use std::collections::BTreeMap;
use std::sync::LazyLock;

use custody_billing::{BillingCheck, Mode, ToolHint};
use custody_contract::{Contract, Diagnostic, Environment};
use custody_scan::engine::Engine;
use libfuzzer_sys::fuzz_target;

static ENGINE: LazyLock<Engine> = LazyLock::new(Engine::builtin);
static CONTRACT: LazyLock<Contract> = LazyLock::new(Contract::builtin);

fuzz_target!(|bytes: &[u8]| {
    let variables = BTreeMap::new();
    for mode in [Mode::Strict, Mode::Compat] {
        let check = BillingCheck {
            contract: &CONTRACT,
            environment: Environment::Prod,
            detector: &*ENGINE,
            variables: &variables,
            mode,
        };
        let outcome = check.validate_bytes("request.json", bytes, Some(&ToolHint::Adapter("aws-billing".into())));
        assert!(outcome.is_valid() || outcome.problems.iter().any(|problem| problem.is_error()));
        for problem in &outcome.problems {
            drop(format!("{:?}", Diagnostic::from(problem)));
        }
    }
});
