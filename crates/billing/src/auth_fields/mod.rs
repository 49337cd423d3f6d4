//! CRED-2: authentication is by `credentialRef` only; no other field may carry it.
//!
//! A field is told by the words of its name, in any spelling, and by what its value looks like: a URL with userinfo,
//! an `Authorization` value, a `password=…` part. Pagination cursors (`nextPageToken`, `continuationToken`, …) are
//! state of a listing and no authentication; CRED-1 still searches their values.

mod names;
mod values;

pub(crate) use names::is_auth_bearing;

use self::names::compact;
use self::values::carried_by;
use crate::json::{Member, Node, Spot, Value};
use crate::problem::{Fault, Faults};

/// Reports every field below `root` that may carry authentication.
pub(crate) fn check(root: &Node, faults: &mut Faults) {
    visit(root, true, faults);
}

fn visit(node: &Node, top: bool, faults: &mut Faults) {
    for member in node.members() {
        // The envelope's `input` holds the request: its own fields are top-level ones.
        let inner_top = top && member.key == "input";
        check_member(member, top, faults);
        visit(&member.node, inner_top, faults);
    }
    check_pair(node, faults);
    node.items().iter().for_each(|item| visit(item, false, faults));
    if let Some(text) = node.as_str()
        && let Some(what) = carried_by(text)
    {
        faults.push(refusal(Spot::of(node), "auth_bearing_value", what));
    }
}

fn check_member(member: &Member, top: bool, faults: &mut Faults) {
    let spot = Spot::at_key(member.key_start);
    let compact = compact(&member.key);
    match compact.as_str() {
        "credentialref" | "authmode" if !top => {
            faults.push(refusal(spot, "misplaced_auth_field", "a credentialRef or authMode that no adapter reads"));
        }
        "credentialref" | "authmode" if member.key != "credentialRef" && member.key != "authMode" => {
            let fault = Fault::auth(spot, "misspelt_auth_field", "credentialRef or authMode in another spelling");
            faults.push(
                fault
                    .clause("CRED-2")
                    .why("adapters read the exact name only")
                    .fix("write credentialRef and authMode so"),
            );
        }
        _ if is_auth_bearing(&member.key) && !is_count(&compact, &member.node) => {
            faults.push(refusal(spot, "auth_bearing_field", "a field that carries authentication"));
        }
        _ => {}
    }
}

/// `{"name": "Authorization", "value": …}`.
fn check_pair(node: &Node, faults: &mut Faults) {
    let named = ["name", "key", "header", "field"].into_iter().filter_map(|k| node.get(k)?.as_str());
    if named.into_iter().any(is_auth_bearing)
        && let Some(value) = ["value", "val", "content"].into_iter().find_map(|k| node.get(k))
    {
        faults.push(refusal(Spot::of(value), "auth_bearing_field", "the value of a named authentication field"));
    }
}

fn refusal(spot: Spot, reason: &'static str, what: &str) -> Fault {
    Fault::validation(spot, reason, what)
        .clause("CRED-2")
        .why("provider authentication is by credentialRef only")
        .fix("delete the field and name the credential by credentialRef; if it held a secret, rotate that")
}

/// `tokens: 1200` counts something.
fn is_count(compact: &str, node: &Node) -> bool {
    compact.ends_with("tokens") && matches!(node.value, Value::Number(_))
}
