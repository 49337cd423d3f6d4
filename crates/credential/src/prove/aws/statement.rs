//! A policy document's statements, as the IAM grammar has them.

use custody_contract::Place;

use super::super::document::{Node, Value, escape};
use super::super::glob::{Case, Glob};
use super::super::source::Lines;
use super::super::verdict::GrantPlace;
use super::super::{ProveError, shown};

/// Longest pattern of an action or resource that is taken seriously; AWS has none of this length.
const MAX_PATTERN: usize = 2_048;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effect {
    Allow,
    Deny,
}

/// Whom a statement of a resource policy speaks of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Principal {
    /// The identity that the policy is attached to.
    Attached,
    /// Everybody.
    Everybody,
    /// These, in order.
    Named(Vec<String>),
    /// All but some.
    AllBut,
}

/// An action pattern with where it stands.
#[derive(Debug, Clone)]
pub(crate) struct ActionPattern {
    pub text: String,
    pub glob: Glob,
}

/// Resources that a statement speaks of.
#[derive(Debug, Clone)]
pub(crate) enum Resources {
    Only(Vec<Glob>),
    AllBut(Vec<Glob>),
}

/// One condition: operator, key, values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Condition {
    pub operator: String,
    pub key: String,
    pub values: Vec<String>,
}

#[derive(Debug, Clone)]
pub(crate) struct Statement {
    pub effect: Effect,
    pub principal: Principal,
    pub actions: Vec<ActionPattern>,
    /// The actions are those that the statement does not speak of.
    pub all_but_actions: bool,
    pub resources: Resources,
    pub conditions: Vec<Condition>,
    /// It has a condition block, even one that could not be read in full.
    pub is_conditional: bool,
    pub at: GrantPlace,
}

/// Where a document's statements are read from.
pub(crate) struct Reader<'a> {
    /// The file's name.
    pub name: &'a str,
    /// The file's text, for lines.
    pub text: &'a str,
    /// Where the file's lines start.
    pub lines: &'a Lines,
    /// Pointer of the document in its file.
    pub pointer: &'a str,
    /// Whether offsets of nodes are offsets in the file: not in a document that stood in a string.
    pub is_located: bool,
}

impl Reader<'_> {
    fn place(&self, node: &Node, pointer: String) -> Place {
        let mut place =
            if self.is_located { self.lines.place(self.name, self.text, node.start) } else { Place::file(self.name) };
        place.pointer = Some(pointer);
        place
    }

    fn fault(&self, node: &Node, pointer: &str, what: &str, fix: &str) -> ProveError {
        ProveError::input(self.place(node, format!("{}{pointer}", self.pointer)), what, fix)
    }

    /// The statements of a document: an object with `Statement`.
    pub(crate) fn statements(&self, document: &Node) -> Result<Vec<Statement>, ProveError> {
        let Some(statements) = document.get_any_case("Statement") else {
            return Err(self.fault(document, "", "the policy has no Statement", "give a whole policy document"));
        };
        for (key, node) in document.members() {
            if !["version", "id", "statement"].contains(&key.to_ascii_lowercase().as_str()) {
                let what = format!("a policy has no element `{}`", shown(key));
                return Err(self.fault(
                    node,
                    &format!("/{}", escape(key)),
                    &what,
                    "give a policy document as IAM writes it",
                ));
            }
        }
        match &statements.value {
            Value::Array(items) => items
                .iter()
                .enumerate()
                .map(|(index, item)| self.statement(item, index, &format!("/Statement/{index}")))
                .collect(),
            Value::Object(_) => Ok(vec![self.statement(statements, 0, "/Statement")?]),
            _ => Err(self.fault(
                statements,
                "/Statement",
                "Statement is neither an object nor an array",
                "see the IAM policy grammar",
            )),
        }
    }

    fn statement(&self, node: &Node, index: usize, pointer: &str) -> Result<Statement, ProveError> {
        let fault = |at: &Node, what: &str, fix: &str| Err(self.fault(at, pointer, what, fix));
        if !node.is_object() {
            return fault(node, "a statement is not an object", "see the IAM policy grammar");
        }
        let effect = match node.get_any_case("Effect").and_then(Node::text) {
            Some("Allow") => Effect::Allow,
            Some("Deny") => Effect::Deny,
            _ => {
                return fault(
                    node,
                    "a statement's Effect is neither Allow nor Deny",
                    "write \"Effect\": \"Allow\" or \"Deny\"",
                );
            }
        };
        for (key, value) in node.members() {
            const KNOWN: [&str; 9] = [
                "sid",
                "effect",
                "principal",
                "notprincipal",
                "action",
                "notaction",
                "resource",
                "notresource",
                "condition",
            ];
            if !KNOWN.contains(&key.to_ascii_lowercase().as_str()) {
                let what = format!("a statement has no element `{}`", shown(key));
                return fault(value, &what, "correct its spelling: IAM would refuse the policy");
            }
        }
        let one_of = |a: &str, b: &str| (node.get_any_case(a), node.get_any_case(b));
        let (actions, all_but_actions) = match one_of("Action", "NotAction") {
            (Some(actions), None) => (actions, false),
            (None, Some(actions)) => (actions, true),
            _ => return fault(node, "a statement has none or both of Action and NotAction", "write one of them"),
        };
        let Some(action_texts) = actions.strings() else {
            return fault(
                actions,
                "an action is not a string",
                "write the action itself: an expression cannot be judged",
            );
        };
        let actions = action_texts
            .into_iter()
            .map(|(text, _)| ActionPattern { text: cut(text).to_owned(), glob: Glob::new(cut(text), Case::Ignore) })
            .collect();
        let resources = match one_of("Resource", "NotResource") {
            (Some(resources), None) => Resources::Only(resource_globs(resources, effect)),
            (None, Some(resources)) => Resources::AllBut(resource_globs(resources, effect.turned())),
            // A resource policy may leave it out: it speaks of its own resource.
            (None, None) => Resources::Only(vec![Glob::new("*", Case::Keep)]),
            _ => return fault(node, "a statement has both Resource and NotResource", "write one of them"),
        };
        let principal = match one_of("Principal", "NotPrincipal") {
            (None, None) => Principal::Attached,
            (Some(principal), None) => principal_of(principal),
            _ => Principal::AllBut,
        };
        let condition = node.get_any_case("Condition");
        let sid = node.get_any_case("Sid").and_then(Node::text).filter(|sid| !sid.is_empty());
        let statement = match sid {
            Some(sid) => format!("Statement {} (Sid {})", index + 1, shown(sid)),
            None => format!("Statement {}", index + 1),
        };
        Ok(Statement {
            effect,
            principal,
            actions,
            all_but_actions,
            resources,
            conditions: condition.map(conditions).unwrap_or_default(),
            is_conditional: condition.is_some_and(|c| !c.is_object() || !c.members().is_empty()),
            at: GrantPlace { place: self.place(node, format!("{}{pointer}", self.pointer)), statement },
        })
    }
}

impl Effect {
    fn turned(self) -> Self {
        match self {
            Self::Allow => Self::Deny,
            Self::Deny => Self::Allow,
        }
    }
}

/// Cuts at the longest pattern; what is cut makes an unknown action.
fn cut(text: &str) -> &str {
    if text.len() <= MAX_PATTERN { text } else { &text[..text.floor_char_boundary(MAX_PATTERN)] }
}

/// Resource patterns. What a policy variable or an expression stands for is not known: where the statement's reach counts
/// (`Allow`), it may be anything; where its cover counts (`Deny`), nothing.
fn resource_globs(node: &Node, effect: Effect) -> Vec<Glob> {
    let nodes: Vec<&Node> = if node.is_array() { node.items().iter().collect() } else { vec![node] };
    nodes
        .into_iter()
        .filter_map(|item| match (item.text(), effect) {
            (Some(text), _) if !text.contains("${") && text.len() <= MAX_PATTERN => Some(Glob::new(text, Case::Keep)),
            (Some(text), Effect::Allow) => Some(Glob::new(&without_variables(cut(text)), Case::Keep)),
            (None, Effect::Allow) => Some(Glob::new("*", Case::Keep)),
            (_, Effect::Deny) => None,
        })
        .collect()
}

/// `${…}` → `*`.
fn without_variables(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        out.push_str(before);
        out.push('*');
        rest = after.split_once('}').map_or("", |(_, rest)| rest);
    }
    out.push_str(rest);
    if text.len() == MAX_PATTERN {
        out.push('*');
    }
    out
}

fn principal_of(node: &Node) -> Principal {
    let mut names = Vec::new();
    let everybody = |text: &str| text == "*";
    match &node.value {
        Value::String(text) if everybody(text) => return Principal::Everybody,
        Value::Object(members) => {
            for (kind, value) in members {
                let Some(values) = value.strings() else { return Principal::AllBut };
                if kind == "AWS" && values.iter().any(|(text, _)| everybody(text)) {
                    return Principal::Everybody;
                }
                names.extend(values.iter().map(|(text, _)| format!("{kind}:{text}")));
            }
        }
        _ => return Principal::AllBut,
    }
    names.sort();
    Principal::Named(names)
}

fn conditions(node: &Node) -> Vec<Condition> {
    let mut found = Vec::new();
    for (operator, keys) in node.members() {
        for (key, values) in keys.members() {
            let values = values.strings().unwrap_or_default();
            let values = values.into_iter().map(|(text, _)| text.to_owned()).collect();
            found.push(Condition { operator: operator.clone(), key: key.clone(), values });
        }
    }
    found
}
