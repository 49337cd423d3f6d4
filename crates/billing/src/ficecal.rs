//! The verdict of the first user's `validate-billing-canonical-handoff.py`, from custody's checks.

use custody_contract::{Contract, FileTree};

use crate::adapter::tool_of;
use crate::check::BillingCheck;
use crate::problem::Problem;

/// What the script that custody replaces would say: its exit status and its last line, with all problems.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FicecalOutcome {
    /// The last line of stdout.
    pub last_line: String,
    /// Everything that is wrong, warnings included; to be shown before the last line.
    pub problems: Vec<Problem>,
    /// 0 or 1.
    pub exit: u8,
}

/// The version whose packs the script reads.
const VERSION: &str = "1.0";

/// Checks the packs in `directory` as the script does, and more.
///
/// The tools that must have a pack are those of the contract's adapters with rules for their handoffs.
pub fn ficecal_validate(tree: &dyn FileTree, directory: &str, check: &BillingCheck<'_>) -> FicecalOutcome {
    let directory = directory.trim_start_matches("./").trim_end_matches('/');
    let outcome = check.validate_packs(tree, directory);
    let mut problems: Vec<Problem> = outcome.problems().cloned().collect();
    let required = required_tools(check.contract);
    for (tool, adapter) in &required {
        if !outcome.packs.iter().any(|p| p.tool == *tool && p.version == VERSION) {
            let path = format!("{directory}/{tool}/{VERSION}");
            let what = format!("the fixture pack of {tool} is missing");
            problems.push(Problem::of_file(
                &path,
                Some(adapter),
                "missing_pack",
                what,
                "add the directory with its fixtures",
            ));
        }
    }
    problems.sort_by(|a, b| (&a.file, a.line, a.column).cmp(&(&b.file, b.line, b.column)));
    let mut errors = problems.iter().filter(|p| p.is_error());
    let (last_line, exit) = match errors.next() {
        None => (format!("[billing-canonical-handoff] OK: validated {} billing tool fixture packs", required.len()), 0),
        Some(first) => {
            let more = match errors.count() {
                0 => String::new(),
                more => format!(" (and {more} more)"),
            };
            (format!("[billing-canonical-handoff] ERROR: {}: {}{more}", first.place(), first.what), 1)
        }
    };
    FicecalOutcome { last_line, problems, exit }
}

fn required_tools(contract: &Contract) -> Vec<(String, String)> {
    let tier1 = contract.adapters.iter().filter(|a| a.source_version_prefix.is_some());
    tier1.map(|a| (tool_of(a), a.id.to_string())).collect()
}
