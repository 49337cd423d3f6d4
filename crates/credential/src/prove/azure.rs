//! Azure role definitions: actions and data actions less what is left out, with wildcards.
//!
//! An operation ends in read, write, delete or action. `notActions` take away from the same permission only, and are no deny.
//! Some `/action` operations only read and are listed here; any other is not proven to.

use super::document::Node;
use super::glob::{Case, Glob};
use super::source::{Source, named, objects};
use super::verdict::{Exposure, GrantPlace, Language, Minimal, OffenceKind, Verdict};
use super::{Input, ProveError, shown};

/// `/action` operations that answer and change nothing.
const HARMLESS: &[&str] = &[
    "Microsoft.CostManagement/query/action",
    "Microsoft.CostManagement/forecast/action",
    "Microsoft.CostManagement/reports/action",
    "Microsoft.CostManagement/generateReservationDetailsReport/action",
    "Microsoft.CostManagement/generateBenefitUtilizationSummariesReport/action",
    "Microsoft.Consumption/operationResults/action",
    "Microsoft.OperationalInsights/workspaces/search/action",
    "Microsoft.OperationalInsights/workspaces/analytics/query/action",
    "Microsoft.ResourceGraph/resources/action",
    "Microsoft.Resources/checkResourceName/action",
    "Microsoft.Resources/calculateTemplateHash/action",
    "*/checkNameAvailability/action",
    "*/CheckNameAvailability/action",
];
/// Words of `/action` operations that give material that opens something.
const KEYS: &[&str] = &[
    "listkeys",
    "listkey",
    "listsecrets",
    "listsecret",
    "listcredentials",
    "listcredential",
    "listaccountsas",
    "listservicesas",
    "listconnectionstrings",
    "generateuserdelegationkey",
    "listclusteradmincredential",
    "listclusterusercredential",
    "getsecret",
    "listcallbackurl",
    "listsyncfunctiontriggerstatus",
    "listauthkeys",
    "listhostkeys",
    "listpublishingcredentials",
    "publishxml",
    "generateaccesstoken",
    "listtoken",
    "list",
];

pub(super) fn prove(inputs: &[Input<'_>]) -> Result<Verdict, ProveError> {
    let mut verdict = Verdict::new(Language::Azure);
    for input in inputs {
        let source = Source::of(input)?;
        let root = source.json()?;
        let (mut found, mut fault) = (false, None);
        objects(&root, "", &mut |node, pointer| {
            let is_permission = ["actions", "dataActions"].iter().any(|key| node.get_any_case(key).is_some());
            if is_permission && fault.is_none() {
                found = true;
                fault = permission(&source, node, pointer, &named(&root, &["roleName", "Name"], "role"), &mut verdict)
                    .err();
            }
        });
        if let Some(fault) = fault {
            return Err(fault);
        }
        if !found {
            return Err(source.fault(
                0,
                "no role definition of Azure is in it",
                "give `az role definition list --name ROLE`",
            ));
        }
    }
    if !verdict.is_proven(Exposure::BillingScoped) {
        verdict.minimal = Some(Minimal {
            about: "A custom role; replace SUBSCRIPTION, GROUP and ACCOUNT. Assign it on the container of the exports for its data action.".into(),
            text: MINIMAL.into(),
        });
    }
    Ok(verdict)
}

const MINIMAL: &str = r#"{
  "Name": "Billing export reader",
  "IsCustom": true,
  "Description": "Reads cost exports.",
  "Actions": ["Microsoft.CostManagement/exports/read", "Microsoft.Storage/storageAccounts/blobServices/containers/read"],
  "NotActions": [],
  "DataActions": ["Microsoft.Storage/storageAccounts/blobServices/containers/blobs/read"],
  "NotDataActions": [],
  "AssignableScopes": ["/subscriptions/SUBSCRIPTION/resourceGroups/GROUP"]
}
"#;

fn globs(source: &Source<'_>, node: &Node, key: &str) -> Result<Vec<(String, Glob, usize)>, ProveError> {
    let Some(list) = node.get_any_case(key) else { return Ok(Vec::new()) };
    let strings = list.strings();
    let strings = strings.ok_or_else(|| {
        source.fault(list.start, "operations are not a list of strings", "give the role as az prints it")
    })?;
    Ok(strings.into_iter().map(|(text, at)| (text.to_owned(), Glob::stars(text, Case::Ignore), at.start)).collect())
}

fn permission(
    source: &Source<'_>,
    node: &Node,
    pointer: &str,
    role: &str,
    verdict: &mut Verdict,
) -> Result<(), ProveError> {
    for (key, not, is_data) in [("actions", "notActions", false), ("dataActions", "notDataActions", true)] {
        let left_out: Vec<Glob> = globs(source, node, not)?.into_iter().map(|(_, glob, _)| glob).collect();
        for (index, (text, glob, offset)) in globs(source, node, key)?.into_iter().enumerate() {
            let at = source.at(offset, &format!("{pointer}/{key}/{index}"), role);
            verdict.allowed += 1;
            if !left_out.iter().any(|n| n.covers(&glob)) {
                operation(&text, &glob, is_data, &left_out, &at, verdict);
            }
        }
    }
    Ok(())
}

/// Judges one operation or pattern of operations, by each way in which it can end.
fn operation(text: &str, glob: &Glob, is_data: bool, left_out: &[Glob], at: &GrantPlace, verdict: &mut Verdict) {
    let name = || vec![shown(text)];
    let mut known = false;
    for ending in ["read", "write", "delete", "action"] {
        let of_ending = Glob::stars(&format!("*/{ending}"), Case::Ignore);
        if !glob.meets(&of_ending) {
            continue;
        }
        known = true;
        if is_left_out(text, ending, left_out) {
            continue;
        }
        match ending {
            "read" if is_data => {
                verdict.reads(Exposure::ReadsBusinessData, name(), at, "a data action that reads gives contents")
            }
            "read" if Glob::stars("Microsoft.OperationalInsights/workspaces/query/*", Case::Ignore).meets(glob) => {
                verdict.reads(Exposure::ReadsBusinessData, name(), at, "it may query log contents");
            }
            "read" => beyond(text, verdict),
            "action" => action(text, glob, at, verdict),
            ending => verdict.offend(OffenceKind::Writes, name(), at, format!("it allows */{ending}")),
        }
    }
    if !known {
        verdict.offend(OffenceKind::Unknown, name(), at, "it does not end in read, write, delete or action");
    }
}

/// Whether all that a pattern has with this ending is left out.
fn is_left_out(text: &str, ending: &str, left_out: &[Glob]) -> bool {
    let narrowed: Vec<String> = match text.strip_suffix('*') {
        Some(before) if before.is_empty() || before.ends_with('/') => {
            vec![format!("{before}*/{ending}"), format!("{before}{ending}")]
        }
        Some(_) => return false,
        None => vec![text.to_owned()],
    };
    let narrowed = if text == "*" { vec![format!("*/{ending}")] } else { narrowed };
    narrowed.iter().map(|n| Glob::stars(n, Case::Ignore)).all(|n| left_out.iter().any(|l| l.covers(&n)))
}

fn action(text: &str, glob: &Glob, at: &GrantPlace, verdict: &mut Verdict) {
    if HARMLESS.iter().any(|known| Glob::stars(known, Case::Ignore).covers(glob)) {
        verdict.except(shown(text), at, "an operation that answers and changes nothing");
        return;
    }
    let last_but_one = text.rsplit('/').nth(1).unwrap_or_default().to_ascii_lowercase();
    if text.contains('*') {
        verdict.reads(
            Exposure::ReadsCredentials,
            vec![shown(text)],
            at,
            "it may give keys (listKeys/action and the like)",
        );
        verdict.offend(OffenceKind::Writes, vec![shown(text)], at, "it allows */action: operations that do anything");
    } else if KEYS.contains(&last_but_one.as_str()) {
        verdict.reads(Exposure::ReadsCredentials, vec![shown(text)], at, "it gives keys that open more than reading");
        verdict.offend(OffenceKind::Delegates, vec![shown(text)], at, "the keys that it gives may write");
    } else {
        verdict.offend(
            OffenceKind::Unknown,
            vec![shown(text)],
            at,
            "this /action operation is not among those that are known to read only",
        );
    }
}

fn beyond(text: &str, verdict: &mut Verdict) {
    const BILLING: [&str; 8] = [
        "microsoft.costmanagement",
        "microsoft.consumption",
        "microsoft.billing",
        "microsoft.billingbenefits",
        "microsoft.capacity",
        "microsoft.commerce",
        "microsoft.subscription",
        "microsoft.resources",
    ];
    let provider = text.split('/').next().unwrap_or_default().to_ascii_lowercase();
    if !BILLING.contains(&provider.as_str()) {
        verdict.beyond(&shown(&provider));
    }
}

#[cfg(test)]
mod tests {
    use super::super::*;

    fn judged(rest: &str) -> Verdict {
        let text = format!(r#"{{"Name":"R",{rest},"AssignableScopes":["/"]}}"#);
        super::prove(&[Input::grant("r", text.as_bytes())]).expect("a role")
    }

    #[test]
    fn wildcards_and_what_is_left_out() {
        assert_eq!(judged(r#""Actions":["*/read"]"#).access, Access::ProvedReadOnly);
        assert_eq!(judged(r#""Actions":["Microsoft.Billing/*/READ"]"#).exposure, Exposure::BillingScoped);
        assert_eq!(
            judged(r#""Actions":["*"],"NotActions":["*/write","*/delete","*/action"]"#).access,
            Access::ProvedReadOnly
        );
        assert_eq!(judged(r#""Actions":["*"],"NotActions":["*/write","*/delete"]"#).access, Access::NotReadOnly);
        assert_eq!(judged(r#""Actions":["Microsoft.Support/*"]"#).access, Access::NotReadOnly);
        assert_eq!(
            judged(r#""Actions":["Microsoft.CostManagement/query/action"]"#).access,
            Access::ReadOnlyWithNamedExceptions
        );
        let keys = judged(r#""Actions":["Microsoft.Storage/storageAccounts/listKeys/action"]"#);
        assert_eq!((keys.access, keys.exposure), (Access::NotProven, Exposure::ReadsCredentials));
        assert_eq!(judged(r#""Actions":["Microsoft.X/y/frob/action"]"#).access, Access::NotProven);
        assert_eq!(judged(r#""DataActions":["*/blobs/read"]"#).exposure, Exposure::ReadsBusinessData);
    }
}
