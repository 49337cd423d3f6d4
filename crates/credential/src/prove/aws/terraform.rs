//! Terraform and OpenTofu: `aws_iam_policy_document`, and policies that resources hold as `jsonencode`, heredoc or text.
//!
//! A file is read by itself: variables, locals, modules, `file()` and documents of other files are not known, and what they
//! grant is not proven. Documents that only say who may take a role on are passed over, as elsewhere.

use std::collections::{BTreeMap, BTreeSet};

use hcl_edit::Span;
use hcl_edit::expr::{Expression, ObjectKey, TraversalOperator};
use hcl_edit::structure::{Attribute, Block, Body};
use hcl_edit::template::Element;

use super::super::ProveError;
use super::super::document::{self, Node, Value};
use super::super::source::Source;
use super::template::{UNKNOWN, unknown_policy, unknown_statement};

/// Deepest nesting of expressions; the parser has a limit of its own.
const MAX_DEPTH: usize = 64;

/// Whether a text is Terraform's language.
pub(crate) fn is_terraform(text: &str) -> bool {
    text.lines().map(str::trim_start).any(|line| {
        let kind = line.split([' ', '\t', '"']).next().unwrap_or_default();
        matches!(kind, "resource" | "data" | "module" | "locals" | "terraform" | "provider" | "variable" | "output")
            && line.contains('{')
    })
}

/// The policies of a file as one JSON-like tree, with places in the file.
///
/// # Errors
/// [`ProveError`] with line and column, where it is no HCL.
pub(crate) fn parse(source: &Source<'_>) -> Result<Node, ProveError> {
    let body: Body = hcl_edit::parser::parse_body(source.text).map_err(|error| {
        let (line, column) = (error.location().line(), error.location().column());
        let start: usize = source.text.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
        source.fault(start + column.saturating_sub(1), "it is no HCL", "correct the file at this place")
    })?;
    let mut file =
        File { documents: BTreeMap::new(), policies: BTreeSet::new(), trusts: BTreeSet::new(), members: Vec::new() };
    file.names(&body);
    for block in body.blocks() {
        file.block(block);
    }
    Ok(Node { value: Value::Object(file.members), start: 0 })
}

struct File {
    /// Names of the documents in this file, and where they start.
    documents: BTreeMap<String, usize>,
    /// Addresses of policies in this file: `aws_iam_policy.x`.
    policies: BTreeSet<String>,
    /// Documents that say who may take a role on.
    trusts: BTreeSet<String>,
    members: Vec<(String, Node)>,
}

impl File {
    fn names(&mut self, body: &Body) {
        for block in body.blocks() {
            match labels(block).as_slice() {
                [kind, name] if block.ident.as_str() == "data" && kind == "aws_iam_policy_document" => {
                    self.documents.insert(name.clone(), start(block));
                }
                [kind, name] if block.ident.as_str() == "resource" => {
                    if kind == "aws_iam_policy" {
                        self.policies.insert(format!("{kind}.{name}"));
                    }
                    let trust = block.body.get_attribute("assume_role_policy").map(|a| &a.value);
                    self.trusts.extend(trust.and_then(document_named));
                }
                _ => {}
            }
        }
    }

    fn block(&mut self, block: &Block) {
        let labels = labels(block);
        match (block.ident.as_str(), labels.as_slice()) {
            ("data", [kind, name]) if kind == "aws_iam_policy_document" => {
                let key = if self.trusts.contains(name) {
                    "assume_role_policy".to_owned()
                } else {
                    format!("data.{kind}.{name}")
                };
                let node = self.document(block);
                self.members.push((key, node));
            }
            ("resource", [kind, name]) if kind.starts_with("aws_") => {
                let mut members = Vec::new();
                self.attributes(&block.body, kind, &mut members, 0);
                self.members
                    .push((format!("{kind}.{name}"), Node { value: Value::Object(members), start: start(block) }));
            }
            ("module", _) => {
                // What a module grants stands in its own files.
                let at = start(block);
                let arguments = block.body.attributes().any(|a| a.key.as_str().contains("polic"));
                if arguments {
                    self.members.push((format!("module.{}", labels.join(".")), unknown_policy(at)));
                }
            }
            _ => {}
        }
    }

    /// The attributes of a resource that hold policies, or name them; nested blocks too (`inline_policy`).
    fn attributes(&self, body: &Body, kind: &str, members: &mut Vec<(String, Node)>, depth: usize) {
        for attribute in body.attributes() {
            let at = attribute.span().map_or(0, |span| span.start);
            let node = match attribute.key.as_str() {
                "assume_role_policy" => Node { value: Value::Object(Vec::new()), start: at },
                "policy" | "access_policy" | "policy_document" => match self.policy(attribute, at) {
                    Some(node) => node,
                    None => continue,
                },
                "policy_arn" | "managed_policy_arns" | "policy_arns" => match self.attached(&attribute.value, at) {
                    Some(node) => node,
                    None => continue,
                },
                "permissions_boundary" => expression(&attribute.value, 0),
                _ => continue,
            };
            members.push((attribute.key.as_str().to_owned(), node));
        }
        for (index, block) in body.blocks().enumerate().filter(|_| depth < MAX_DEPTH) {
            if block.ident.as_str() == "dynamic" && kind.starts_with("aws_iam") {
                members.push((format!("dynamic.{index}"), unknown_policy(start(block))));
                continue;
            }
            let mut inner = Vec::new();
            self.attributes(&block.body, kind, &mut inner, depth + 1);
            members.push((
                format!("{}.{index}", block.ident.as_str()),
                Node { value: Value::Object(inner), start: start(block) },
            ));
        }
    }

    /// The policy that an attribute holds; `None` for a document of this file, which is judged where it stands.
    fn policy(&self, attribute: &Attribute, at: usize) -> Option<Node> {
        if document_named(&attribute.value).is_some_and(|name| self.documents.contains_key(&name)) {
            return None;
        }
        let node = expression(&attribute.value, 0);
        Some(match &node.value {
            Value::Object(_) => settled(node),
            // Text is judged as JSON by who walks the tree; text with holes in it is not.
            Value::String(text) if !text.contains(UNKNOWN) && document::parse("", text).is_ok() => node,
            _ => unknown_policy(at),
        })
    }

    fn attached(&self, value: &Expression, at: usize) -> Option<Node> {
        let items = match value {
            Expression::Array(items) => items.iter().collect(),
            other => vec![other],
        };
        let own = |item: &Expression| {
            address(item).is_some_and(|a| a.strip_suffix(".arn").is_some_and(|a| self.policies.contains(a)))
        };
        let named: Vec<Node> = items.into_iter().filter(|item| !own(item)).map(|item| expression(item, 0)).collect();
        (!named.is_empty()).then_some(Node { value: Value::Array(named), start: at })
    }

    fn document(&self, block: &Block) -> Node {
        let mut statements = Vec::new();
        for inner in block.body.blocks() {
            match inner.ident.as_str() {
                "statement" => statements.push(statement(inner)),
                _ => statements.push(unknown_statement(start(inner))),
            }
        }
        for attribute in block.body.attributes() {
            let key = attribute.key.as_str();
            let at = attribute.span().map_or(0, |span| span.start);
            if !["source_policy_documents", "override_policy_documents", "source_json", "override_json"].contains(&key)
            {
                continue;
            }
            let items = match &attribute.value {
                Expression::Array(items) => items.iter().collect(),
                other => vec![other],
            };
            // A document of this file is judged where it stands. What overrides may take a deny away.
            let is_known =
                |item: &&Expression| document_named(item).is_some_and(|name| self.documents.contains_key(&name));
            if key.starts_with("override") || !items.iter().all(is_known) {
                statements.push(unknown_statement(at));
            }
        }
        let at = start(block);
        let statements = Node { value: Value::Array(statements), start: at };
        Node {
            value: Value::Object(vec![("Version".into(), string("2012-10-17", at)), ("Statement".into(), statements)]),
            start: at,
        }
    }
}

/// One `statement` block as IAM writes it.
fn statement(block: &Block) -> Node {
    let at = start(block);
    let mut members = vec![("Effect".to_owned(), string("Allow", at))];
    for attribute in block.body.attributes() {
        let key = match attribute.key.as_str() {
            "effect" => {
                members[0].1 = expression(&attribute.value, 0);
                continue;
            }
            "sid" => "Sid",
            "actions" => "Action",
            "not_actions" => "NotAction",
            "resources" => "Resource",
            "not_resources" => "NotResource",
            _ => return unknown_statement(at),
        };
        members.push((key.to_owned(), strings(&attribute.value)));
    }
    let mut conditions: Vec<(String, Node)> = Vec::new();
    for inner in block.body.blocks() {
        let text = |key: &str| inner.body.get_attribute(key).map(|a| expression(&a.value, 0));
        let place = start(inner);
        match inner.ident.as_str() {
            "condition" => {
                let of =
                    |key| text(key).and_then(|n| n.text().map(str::to_owned)).unwrap_or_else(|| UNKNOWN.to_owned());
                let values =
                    inner.body.get_attribute("values").map_or_else(|| string(UNKNOWN, place), |a| strings(&a.value));
                let (test, variable) = (of("test"), of("variable"));
                let at = conditions.iter().position(|(known, _)| *known == test).unwrap_or_else(|| {
                    conditions.push((test, Node { value: Value::Object(Vec::new()), start: place }));
                    conditions.len() - 1
                });
                if let Value::Object(keys) = &mut conditions[at].1.value {
                    // The same key twice says two things; a condition that is not understood limits nothing.
                    let name = if keys.iter().any(|(known, _)| *known == variable) {
                        format!("{variable} again")
                    } else {
                        variable
                    };
                    keys.push((name, values));
                }
            }
            "principals" => {
                let kind = text("type").and_then(|n| n.text().map(str::to_owned)).unwrap_or_else(|| UNKNOWN.to_owned());
                let who = inner
                    .body
                    .get_attribute("identifiers")
                    .map_or_else(|| string(UNKNOWN, place), |a| strings(&a.value));
                members.retain(|(key, _)| key != "Principal");
                members.push(("Principal".to_owned(), Node { value: Value::Object(vec![(kind, who)]), start: place }));
            }
            // `not_principals`, `dynamic`: what it speaks of cannot be told.
            _ => return unknown_statement(at),
        }
    }
    if !conditions.is_empty() {
        members.push(("Condition".to_owned(), Node { value: Value::Object(conditions), start: at }));
    }
    let effect = members[0].1.text();
    let is_whole = matches!(effect, Some("Allow" | "Deny")) && members.iter().any(|(key, _)| key.ends_with("Action"));
    if !is_whole {
        return unknown_statement(at);
    }
    if !members.iter().any(|(key, _)| key.ends_with("Resource")) {
        members.push(("Resource".to_owned(), string(if effect == Some("Deny") { UNKNOWN } else { "*" }, at)));
    }
    Node { value: Value::Object(members), start: at }
}

/// A policy in an object: a statement that is no object grants what is not known.
fn settled(node: Node) -> Node {
    let Node { value: Value::Object(mut members), start } = node else { return node };
    for (key, member) in &mut members {
        if key.eq_ignore_ascii_case("Statement") {
            let items = match std::mem::replace(&mut member.value, Value::Null) {
                Value::Array(items) => items,
                value => vec![Node { value, start: member.start }],
            };
            let known =
                |item: &Node| matches!(item.get_any_case("Effect").and_then(Node::text), Some("Allow" | "Deny"));
            let items = items.into_iter().map(|item| if known(&item) { item } else { unknown_statement(item.start) });
            member.value = Value::Array(items.collect());
        }
    }
    Node { value: Value::Object(members), start }
}

fn string(text: &str, start: usize) -> Node {
    Node { value: Value::String(text.to_owned()), start }
}

/// A list of strings; what is none is one unknown.
fn strings(value: &Expression) -> Node {
    let node = expression(value, 0);
    if node.strings().is_some() { node } else { string(UNKNOWN, node.start) }
}

/// What an expression comes to, as far as the file says it.
fn expression(value: &Expression, depth: usize) -> Node {
    let start = value.span().map_or(0, |span| span.start);
    let unknown = || string(UNKNOWN, start);
    if depth > MAX_DEPTH {
        return unknown();
    }
    let value = match value {
        Expression::Null(_) => Value::Null,
        Expression::Bool(b) => Value::Bool(*b.value()),
        Expression::Number(n) => Value::Number(n.value().to_string()),
        Expression::String(text) => Value::String(variables(text.as_str())),
        Expression::StringTemplate(template) => Value::String(text(template.iter())),
        Expression::HeredocTemplate(heredoc) => Value::String(text(heredoc.template.iter())),
        Expression::Array(items) => Value::Array(items.iter().map(|item| expression(item, depth + 1)).collect()),
        Expression::Object(object) => {
            let mut members: Vec<(String, Node)> = Vec::new();
            for (key, value) in object.iter() {
                let name = match key {
                    ObjectKey::Ident(name) => name.as_str().to_owned(),
                    ObjectKey::Expression(Expression::Variable(name)) => name.as_str().to_owned(),
                    ObjectKey::Expression(other) => match expression(other, depth + 1).value {
                        Value::String(text) => text,
                        _ => UNKNOWN.to_owned(),
                    },
                };
                if members.iter().any(|(known, _)| *known == name) {
                    return unknown();
                }
                members.push((name, expression(value.expr(), depth + 1)));
            }
            Value::Object(members)
        }
        Expression::Parenthesis(inner) => return expression(inner.inner(), depth + 1),
        Expression::FuncCall(call) if call.name.name.as_str() == "jsonencode" && call.name.namespace.is_empty() => {
            return call.args.iter().next().map_or_else(unknown, |argument| expression(argument, depth + 1));
        }
        _ => return unknown(),
    };
    Node { value, start }
}

fn text<'e>(elements: impl Iterator<Item = &'e Element>) -> String {
    let parts = elements.map(|element| match element {
        Element::Literal(literal) => variables(literal.as_str()),
        _ => UNKNOWN.to_owned(),
    });
    parts.collect()
}

/// IAM's own variables, which Terraform writes with `&`.
fn variables(text: &str) -> String {
    text.replace("&{", "${")
}

/// The document that `data.aws_iam_policy_document.NAME.json` names.
fn document_named(value: &Expression) -> Option<String> {
    let address = address(value)?;
    let name = address.strip_prefix("data.aws_iam_policy_document.")?;
    let name = name.strip_suffix(".json").or_else(|| name.strip_suffix(".minified_json"))?;
    (!name.contains('.')).then(|| name.to_owned())
}

/// `a.b.c` of a traversal by names only.
fn address(value: &Expression) -> Option<String> {
    let value = if let Expression::Parenthesis(inner) = value { inner.inner() } else { value };
    let Expression::Traversal(traversal) = value else { return None };
    let Expression::Variable(first) = &traversal.expr else { return None };
    let mut address = first.as_str().to_owned();
    for operator in &traversal.operators {
        match operator.value() {
            TraversalOperator::GetAttr(name) => {
                address.push('.');
                address.push_str(name.as_str());
            }
            _ => return None,
        }
    }
    Some(address)
}

fn labels(block: &Block) -> Vec<String> {
    block.labels.iter().map(|label| label.as_str().to_owned()).collect()
}

fn start(block: &Block) -> usize {
    block.span().map_or(0, |span| span.start)
}
