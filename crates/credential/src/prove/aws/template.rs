//! CloudFormation: what intrinsic functions come to, as far as a template says it. What cannot be known stays [`UNKNOWN`],
//! which is no action's name and covers no resource: in an allow it is not proven, in a deny it takes nothing away.

use super::super::document::{Node, Value};

/// What stands for a value that is known only when the template is deployed, or the plan applied.
pub(super) const UNKNOWN: &str = "(an expression)";

/// Settles the functions of a template; anything else is given back as it is.
pub(super) fn settle(root: Node) -> Node {
    let is_template = root.get("Resources").is_some_and(Node::is_object) && root.get("Resources").is_some();
    if is_template { value(root, "") } else { root }
}

/// A statement that grants what is not known.
pub(super) fn unknown_statement(start: usize) -> Node {
    let text = |text: &str| Node { value: Value::String(text.to_owned()), start };
    let members = [("Effect", "Allow"), ("Action", UNKNOWN), ("Resource", "*")];
    Node { value: Value::Object(members.map(|(key, value)| (key.to_owned(), text(value))).into()), start }
}

/// A policy that grants what is not known.
pub(super) fn unknown_policy(start: usize) -> Node {
    let statements = Node { value: Value::Array(vec![unknown_statement(start)]), start };
    Node { value: Value::Object(vec![("Statement".to_owned(), statements)]), start }
}

fn value(node: Node, key: &str) -> Node {
    let start = node.start;
    match node.value {
        Value::Object(members) if members.len() == 1 && is_function(&members[0].0) => {
            let (name, argument) =
                members.into_iter().next().unwrap_or_else(|| (String::new(), unknown_statement(start)));
            function(&name, argument, key, start)
        }
        Value::Object(members) => {
            let settled = members.into_iter().map(|(key, member)| {
                let member =
                    if key.eq_ignore_ascii_case("Statement") { statements(member) } else { value(member, &key) };
                (key, member)
            });
            Node { value: Value::Object(settled.collect()), start }
        }
        Value::Array(items) => {
            let items =
                items.into_iter().map(|item| value(item, key)).filter(|item| !matches!(item.value, Value::Null));
            Node { value: Value::Array(items.collect()), start }
        }
        value => Node { value, start },
    }
}

fn is_function(key: &str) -> bool {
    key == "Ref" || key == "Condition" || (key.starts_with("Fn::") && !key.starts_with("Fn::ForEach"))
}

fn function(name: &str, argument: Node, key: &str, start: usize) -> Node {
    let text = |text: String| Node { value: Value::String(text), start };
    match name {
        "Ref" if argument.text() == Some("AWS::NoValue") => Node { value: Value::Null, start },
        "Ref" if argument.text() == Some("AWS::Partition") => text("aws".to_owned()),
        "Fn::Sub" => {
            let template = if argument.is_array() { argument.items().first() } else { Some(&argument) };
            text(template.and_then(Node::text).map_or_else(|| UNKNOWN.to_owned(), substituted))
        }
        "Fn::Join" => text(joined(argument).unwrap_or_else(|| UNKNOWN.to_owned())),
        // Either branch may be in force; both stand in the tree, and policies in them are judged each by itself.
        "Fn::If" if !in_statement(key) => {
            let Value::Array(branches) = argument.value else { return text(UNKNOWN.to_owned()) };
            let is_policy = key.eq_ignore_ascii_case("PolicyDocument");
            let branches = branches.into_iter().skip(1).map(|branch| {
                let branch = value(branch, key);
                if is_policy && branch.text().is_some() { unknown_policy(start) } else { branch }
            });
            Node { value: Value::Array(branches.collect()), start }
        }
        _ if key.eq_ignore_ascii_case("PolicyDocument") => unknown_policy(start),
        _ => text(UNKNOWN.to_owned()),
    }
}

/// Whether a key is one of a statement's elements.
fn in_statement(key: &str) -> bool {
    let elements =
        ["effect", "action", "notaction", "resource", "notresource", "principal", "notprincipal", "condition"];
    elements.contains(&key.to_ascii_lowercase().as_str()) || key.contains(':') || key == "ManagedPolicyArns"
}

/// The statements of a policy: of a conditional one, either branch if it allows; a deny that may not be there is left out.
fn statements(node: Node) -> Node {
    let start = node.start;
    let items = match node.value {
        Value::Array(items) => items,
        value => vec![Node { value, start }],
    };
    let mut settled = Vec::with_capacity(items.len());
    for item in items {
        statement(item, false, &mut settled);
    }
    Node { value: Value::Array(settled), start }
}

fn statement(item: Node, is_conditional: bool, settled: &mut Vec<Node>) {
    let start = item.start;
    match item.value {
        Value::Object(members) if members.len() == 1 && is_function(&members[0].0) => {
            match members.into_iter().next() {
                Some((name, argument)) if name == "Fn::If" && argument.items().len() == 3 => {
                    let Value::Array(branches) = argument.value else { return settled.push(unknown_statement(start)) };
                    branches.into_iter().skip(1).for_each(|branch| statement(branch, true, settled));
                }
                Some((name, argument)) if name == "Ref" && argument.text() == Some("AWS::NoValue") => {}
                _ => settled.push(unknown_statement(start)),
            }
        }
        Value::Object(members) => {
            let item = value(Node { value: Value::Object(members), start }, "");
            let effect = item.get_any_case("Effect").and_then(Node::text).map(str::to_owned);
            match effect.as_deref() {
                Some("Allow") => settled.push(item),
                Some("Deny") if is_conditional => {}
                Some("Deny") => settled.push(item),
                _ => settled.push(unknown_statement(start)),
            }
        }
        // A list in the list, as a branch gives it.
        Value::Array(items) => items.into_iter().for_each(|item| statement(item, is_conditional, settled)),
        Value::Null => {}
        _ => settled.push(unknown_statement(start)),
    }
}

/// A template text with its variables: those of the account are not known.
fn substituted(text: &str) -> String {
    let (mut out, mut rest) = (String::with_capacity(text.len()), text);
    while let Some(at) = rest.find("${") {
        out.push_str(&rest[..at]);
        let after = &rest[at + 2..];
        let Some(end) = after.find('}') else {
            out.push_str(&rest[at..]);
            return out;
        };
        match &after[..end] {
            "AWS::Partition" => out.push_str("aws"),
            name if name.starts_with('!') => out.push_str(&format!("${{{}}}", &name[1..])),
            _ => out.push_str(UNKNOWN),
        }
        rest = &after[end + 1..];
    }
    out.push_str(rest);
    out
}

fn joined(argument: Node) -> Option<String> {
    let Value::Array(parts) = argument.value else { return None };
    let [separator, items] = <[Node; 2]>::try_from(parts).ok()?;
    let separator = separator.text()?.to_owned();
    let Value::Array(items) = value(items, "").value else { return None };
    let texts: Option<Vec<String>> = items.iter().map(|item| item.text().map(str::to_owned)).collect();
    Some(texts?.join(&separator))
}
