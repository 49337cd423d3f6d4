//! Policy documents in what holds them: the document itself, answers of `aws iam get-…`, CloudFormation templates,
//! Terraform plans and state, exports of a whole account.
//!
//! Documents that stand in one holder may belong to different identities, so a deny in one takes nothing from another.

use std::borrow::Cow;

use custody_contract::Place;
use percent_encoding::percent_decode_str;

use super::super::ProveError;
use super::super::document::{self, Node, Value, escape};
use super::super::source::{Lines, Source};
use super::super::yaml;
use super::statement::{Reader, Statement};
use super::{template, terraform};

/// Most policy documents in one file.
const MAX_DOCUMENTS: usize = 100_000;
/// Deepest nesting of documents in strings.
const MAX_NESTING: usize = 4;

/// What a file holds.
#[derive(Default)]
pub(crate) struct Found {
    /// Each document's statements.
    pub documents: Vec<Vec<Statement>>,
    /// Whether the file is one policy document and nothing else.
    pub is_bare: bool,
    /// Managed policies that are attached by name, with the place.
    pub managed: Vec<(String, Place)>,
    /// Sentences on what was passed over.
    pub notes: Vec<String>,
}

/// Finds all policy documents in a file.
///
/// # Errors
/// [`ProveError`] where there is none, or one that the IAM grammar does not allow.
pub(crate) fn find(name: &str, text: &str) -> Result<Found, ProveError> {
    let source = Source::new(name, text);
    let root = if source.is_json() {
        template::settle(document::parse(name, text)?)
    } else if terraform::is_terraform(text) {
        terraform::parse(&source)?
    } else {
        template::settle(yaml::parse(&source)?)
    };
    find_in(name, text, &root)
}

/// Finds all policy documents in a parsed file.
pub(crate) fn find_in(name: &str, text: &str, root: &Node) -> Result<Found, ProveError> {
    let lines = Lines::of(text);
    let is_template = root.get("Resources").is_some_and(Node::is_object);
    let found = Found::default();
    let mut finder = Finder { name, text, lines: &lines, found, is_located: true, is_template, nesting: 0 };
    if root.get("Transform").is_some_and(|t| t.text() != Some("AWS::Serverless-2016-10-31")) && is_template {
        finder.found.managed.push(("a macro that may change the template".to_owned(), Place::file(name)));
    }
    if is_policy(root) {
        finder.document(root, "")?;
        finder.found.is_bare = true;
    } else {
        finder.walk(root, "", "")?;
    }
    if finder.found.documents.is_empty() && finder.found.managed.is_empty() {
        return Err(ProveError::input(
            Place::file(name),
            "no IAM policy document is in it",
            "give a policy document, an answer of `aws iam get-policy-version`, a template or a plan",
        ));
    }
    Ok(finder.found)
}

/// Whether a value is a policy document.
pub(crate) fn is_policy(node: &Node) -> bool {
    let Some(statement) = node.get_any_case("Statement") else { return false };
    let first = if statement.is_array() { statement.items().first() } else { Some(statement) };
    let is_statement = |s: &Node| s.get_any_case("Effect").is_some() || s.get_any_case("Action").is_some();
    first.map_or_else(|| node.get_any_case("Version").is_some(), is_statement)
}

struct Finder<'a> {
    name: &'a str,
    text: &'a str,
    lines: &'a Lines,
    found: Found,
    is_located: bool,
    /// It is a CloudFormation template.
    is_template: bool,
    nesting: usize,
}

impl Finder<'_> {
    fn document(&mut self, node: &Node, pointer: &str) -> Result<(), ProveError> {
        if self.found.documents.len() >= MAX_DOCUMENTS {
            return Err(ProveError::input(Place::file(self.name), "it holds more than 100,000 policies", "split it"));
        }
        let reader =
            Reader { name: self.name, text: self.text, lines: self.lines, pointer, is_located: self.is_located };
        self.found.documents.push(reader.statements(node)?);
        Ok(())
    }

    fn place(&self, node: &Node, pointer: &str) -> Place {
        let mut place =
            if self.is_located { self.lines.place(self.name, self.text, node.start) } else { Place::file(self.name) };
        place.pointer = Some(pointer.to_owned());
        place
    }

    fn walk(&mut self, node: &Node, key: &str, pointer: &str) -> Result<(), ProveError> {
        match &node.value {
            Value::Object(_) if is_trust(key) => {
                self.found.notes.push(
                    "Trust policies say who may take a role on, not what the role may do; they were passed over."
                        .into(),
                );
                self.found.notes.dedup();
                Ok(())
            }
            Value::Object(_) if is_policy(node) => self.document(node, pointer),
            Value::Object(members) => {
                for (name, member) in members {
                    self.member(name, member, &format!("{pointer}/{}", escape(name)))?;
                }
                Ok(())
            }
            Value::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    self.walk(item, key, &format!("{pointer}/{index}"))?;
                }
                Ok(())
            }
            Value::String(text) => self.nested(text, key, pointer),
            _ => Ok(()),
        }
    }

    fn member(&mut self, name: &str, node: &Node, pointer: &str) -> Result<(), ProveError> {
        let plain = name.to_ascii_lowercase().replace('_', "");
        match plain.as_str() {
            "managedpolicyarns" | "policyarn" => {
                let nodes: Vec<&Node> = if node.is_array() { node.items().iter().collect() } else { vec![node] };
                for item in nodes {
                    // An expression that names a policy names one that is not known here.
                    let named = item.text().unwrap_or("(an expression)").to_owned();
                    let place = self.place(item, pointer);
                    self.found.managed.push((named, place));
                }
                Ok(())
            }
            // A plan says so of what it does not know yet.
            "afterunknown" => {
                if ["policy", "inline_policy", "managed_policy_arns", "policy_arn"]
                    .iter()
                    .any(|key| node.get(key).is_some_and(is_true))
                {
                    let place = self.place(node, pointer);
                    self.found.managed.push(("a policy that is known after apply".to_owned(), place));
                }
                Ok(())
            }
            // SAM: names of managed policies, or of templates whose text is not here.
            "policies" if self.is_template => {
                let nodes: Vec<&Node> = if node.is_array() { node.items().iter().collect() } else { vec![node] };
                for (index, item) in nodes.into_iter().enumerate() {
                    let holds =
                        item.get_any_case("PolicyDocument").is_some() || item.get_any_case("Statement").is_some();
                    match (item.text(), holds) {
                        (Some(text), _) => {
                            let place = self.place(item, pointer);
                            self.found.managed.push((text.to_owned(), place));
                        }
                        (None, false) if item.is_object() => {
                            let named = item.members().first().map_or("a policy template", |(name, _)| name.as_str());
                            let place = self.place(item, pointer);
                            self.found.managed.push((named.to_owned(), place));
                        }
                        _ => self.walk(item, name, &format!("{pointer}/{index}"))?,
                    }
                }
                Ok(())
            }
            "permissionsboundary" => {
                self.found.notes.push(
                    "A permissions boundary is named and was not taken into account; give its document with --boundary.".into(),
                );
                self.found.notes.dedup();
                Ok(())
            }
            _ => self.walk(node, name, pointer),
        }
    }

    /// A document in a string: as Terraform and the IAM API write it.
    fn nested(&mut self, text: &str, key: &str, pointer: &str) -> Result<(), ProveError> {
        let trimmed = text.trim_start();
        let decoded: Cow<'_, str> = if trimmed.starts_with("%7B") || trimmed.starts_with("%7b") {
            percent_decode_str(trimmed).decode_utf8_lossy()
        } else {
            Cow::Borrowed(trimmed)
        };
        if !decoded.starts_with('{') || !decoded.to_ascii_lowercase().contains("\"statement\"") || is_trust(key) {
            return Ok(());
        }
        if self.nesting >= MAX_NESTING {
            return Err(ProveError::input(
                Place::file(self.name),
                "policies in strings in strings",
                "give the policy itself",
            ));
        }
        let inner = document::parse(&format!("{}#{pointer}", self.name), &decoded)?;
        let located = std::mem::replace(&mut self.is_located, false);
        self.nesting += 1;
        let outcome = self.walk(&inner, key, pointer);
        self.nesting -= 1;
        self.is_located = located;
        outcome
    }
}

/// Whether something in it is true: a list of attributes says so one by one.
fn is_true(node: &Node) -> bool {
    match &node.value {
        Value::Bool(value) => *value,
        Value::Array(items) => items.iter().any(is_true),
        Value::Object(members) => members.iter().any(|(_, member)| is_true(member)),
        _ => false,
    }
}

fn is_trust(key: &str) -> bool {
    let plain = key.to_ascii_lowercase().replace('_', "");
    plain == "assumerolepolicydocument" || plain == "assumerolepolicy"
}
