//! Templates of Helm charts, read without being rendered: containers' `env` and `envFrom`, data of ConfigMaps and Secrets.
//!
//! A template is no YAML. It is read line by line with the indentation as its structure; lines that hold only template
//! actions are skipped, except those that put a chart's values in. Both branches of an `if` count.

mod expression;
mod line;

pub(super) use expression::source;

use expression::{action_of, values_put_in};
use line::Line;

use super::{DeployedKey, Deployment, Import, Imported, KeySet, Link, Linked, Source};

pub(super) fn parse(text: &str) -> Deployment {
    let mut reader = Reader::default();
    let mut number = 0u32;
    for line in text.lines() {
        number += 1;
        reader.take(line, number);
    }
    reader.end_of_document();
    reader.deployment
}

/// A mapping's key or a list's item that is open at the cursor.
#[derive(Debug)]
enum Open {
    Key { indent: usize, name: String },
    Item { indent: usize },
}

impl Open {
    fn indent(&self) -> usize {
        match self {
            Open::Key { indent, .. } | Open::Item { indent } => *indent,
        }
    }
}

/// An `env` entry under way.
struct Entry {
    /// How many opens there were with its own item.
    depth: usize,
    name: String,
    /// The path of the values that it is repeated for.
    scope: Option<String>,
    line: u32,
    source: Option<Source>,
}

/// A block scalar under way: its lines are indented more than its key.
struct Block {
    indent: usize,
    text: String,
    line: u32,
}

#[derive(Default)]
struct Reader {
    deployment: Deployment,
    open: Vec<Open>,
    entry: Option<Entry>,
    block: Option<Block>,
    /// In an action that runs over several lines.
    in_action: bool,
    /// Paths of `range` and `with` actions that are open, one per action that an `end` closes.
    scopes: Vec<Option<String>>,
    kind: String,
    name: String,
    container: String,
    prefix: String,
    set: Vec<DeployedKey>,
}

impl Reader {
    fn take(&mut self, text: &str, number: u32) {
        if self.in_action {
            self.in_action = !text.contains("}}");
            return;
        }
        let indent = text.len() - text.trim_start().len();
        let body = text.trim();
        if let Some(block) = &mut self.block {
            if body.is_empty() || indent > block.indent {
                block.text.push_str(body);
                block.text.push('\n');
                return;
            }
            self.end_of_block();
        }
        if body.is_empty() || body.starts_with('#') {
            return;
        }
        if body == "---" {
            self.end_of_document();
            return;
        }
        if body.starts_with("{{") && !body.contains("}}") {
            self.in_action = true;
            return;
        }
        match action_of(body) {
            Some(action) => self.action(action, indent, number),
            None => self.line(indent, body, number),
        }
    }

    /// A line of template actions only.
    fn action(&mut self, action: &str, indent: usize, number: u32) {
        let word = action.split_whitespace().next().unwrap_or("");
        match word {
            "range" | "with" => self.scopes.push(expression::path_in(action)),
            "if" | "define" | "block" => self.scopes.push(None),
            "end" => drop(self.scopes.pop()),
            _ if self.carries_keys(expression::indentation(action).unwrap_or(indent)) => {
                if let Some(path) = values_put_in(action, self.scope()) {
                    let owner = self.owner();
                    self.deployment.links.push(Link { to: Linked::Values { path, owner }, line: number });
                } else if action.contains("include") || action.contains("template") || action.contains("toYaml") {
                    self.deployment
                        .not_evaluated
                        .push((number, "a template puts keys in here that are not seen without rendering the chart"));
                }
            }
            _ => {}
        }
    }

    fn scope(&self) -> Option<&str> {
        self.scopes.iter().rev().find_map(Option::as_deref)
    }

    /// Whether what is put in with this indentation stands directly under `env`, `envFrom` or an object's data.
    fn carries_keys(&self, indent: usize) -> bool {
        let inner = self.open.iter().rev().find(|o| o.indent() < indent || (indent == 0 && o.indent() == 0));
        match inner {
            Some(Open::Key { name, indent }) => {
                matches!(name.as_str(), "env" | "envFrom") || (*indent == 0 && self.is_data(name))
            }
            _ => false,
        }
    }

    fn is_data(&self, key: &str) -> bool {
        (self.kind == "ConfigMap" && key == "data") || (self.kind == "Secret" && matches!(key, "data" | "stringData"))
    }

    fn line(&mut self, indent: usize, body: &str, number: u32) {
        let mut indent = indent;
        let mut body = body;
        while let Some(rest) = body.strip_prefix("- ").or_else(|| (body == "-").then_some("")) {
            self.close(|o| o.indent() > indent || (o.indent() == indent && matches!(o, Open::Item { .. })));
            self.open.push(Open::Item { indent });
            self.prefix.clear();
            if self.parent_is(&["containers", "initContainers"]) {
                self.container.clear();
            }
            let inner = rest.trim_start();
            indent += body.len() - inner.len();
            body = inner;
        }
        let line = Line::of(body);
        if let Line::Flow(entries) = &line {
            let value = |key: &str| entries.iter().find(|(k, _)| k == key).map_or("", |(_, v)| v.as_str());
            if self.parent_is(&["env"]) && !value("name").is_empty() {
                let source = if body.contains("secretKeyRef") { Source::Secret } else { source(value("value")) };
                let scope = self.scope().map(str::to_owned);
                self.key(value("name"), source, number, scope);
            }
            return;
        }
        let Line::Pair { key, value } = line else { return };
        self.close(|o| o.indent() >= indent);
        self.pair(indent, &key, value, number);
        if matches!(value.trim_end_matches(['-', '+', '1', '2', '3', '4', '5', '6', '7', '8', '9']), "|" | ">") {
            self.block = Some(Block { indent, text: String::new(), line: number });
        }
        self.open.push(Open::Key { indent, name: key });
    }

    /// What a pair of key and value means where it stands.
    fn pair(&mut self, indent: usize, key: &str, value: &str, number: u32) {
        let depth = self.open.len();
        if depth == 0 && indent == 0 {
            match key {
                "kind" => self.kind = line::unquoted(value),
                "data" | "stringData" | "metadata" => {}
                _ => {}
            }
        }
        match self.open.as_slice() {
            [Open::Key { name, .. }] if name == "metadata" && key == "name" => self.name = line::unquoted(value),
            [Open::Key { name, indent: 0 }] if self.is_data(name) => {
                let encoded = name == "data" && self.kind == "Secret";
                self.data(key, value, encoded, number);
            }
            [.., Open::Key { name, .. }, Open::Item { .. }] | [Open::Item { .. }, Open::Key { name, .. }]
                if name == "env" =>
            {
                self.env_pair(key, value, number);
            }
            [Open::Item { .. }] => self.env_pair(key, value, number),
            [.., Open::Key { name, .. }, Open::Item { .. }]
                if key == "name" && matches!(name.as_str(), "containers" | "initContainers") =>
            {
                self.container = line::unquoted(value);
            }
            [.., Open::Key { name, .. }, Open::Item { .. }] if name == "envFrom" && key == "prefix" => {
                self.prefix = line::unquoted(value);
            }
            [.., Open::Key { name: from, .. }, Open::Item { .. }, Open::Key { name, .. }]
                if from == "envFrom" && key == "name" =>
            {
                let name = name.clone();
                self.import(&name, value, number);
            }
            [.., Open::Key { name: from, .. }, Open::Item { .. }, Open::Key { .. }]
                if from == "envFrom" && key == "optional" =>
            {
                if let Some(import) = self.deployment.imports.last_mut() {
                    import.optional = value == "true";
                }
            }
            [.., Open::Item { .. }, Open::Key { name, .. }] if name == "valueFrom" => {
                let secret = key == "secretKeyRef";
                if let Some(entry) = &mut self.entry {
                    entry.source = Some(if secret { Source::Secret } else { Source::Configuration });
                }
            }
            _ => {}
        }
    }

    /// `name`, `value` and `valueFrom` of an entry of `env`.
    fn env_pair(&mut self, key: &str, value: &str, number: u32) {
        let depth = self.open.len();
        let scope = self.scope().map(str::to_owned);
        let entry =
            self.entry.get_or_insert_with(|| Entry { depth, name: String::new(), scope, line: number, source: None });
        match key {
            "name" => entry.name = line::unquoted(value),
            "value" => {
                entry.source = Some(source(value));
                entry.line = number;
            }
            "valueFrom" => {
                let secret = value.contains("secretKeyRef");
                entry.source = Some(if secret { Source::Secret } else { Source::Configuration });
            }
            _ => {}
        }
    }

    fn data(&mut self, key: &str, value: &str, encoded: bool, number: u32) {
        if key.contains("{{") {
            // `{{ $key }}: {{ $value }}` in a range over values.
            if let Some(path) = self.scope().map(str::to_owned) {
                let owner = format!("{} {}", self.kind, self.name);
                self.deployment.links.push(Link { to: Linked::Values { path, owner }, line: number });
            }
            return;
        }
        let mut source = source(value);
        if encoded && let Source::Literal(text) = &source {
            source = Source::Literal(super::kubernetes::decoded(text));
        }
        let owner = format!("{} {}", self.kind, self.name);
        self.set.push(DeployedKey { name: key.into(), source, line: number, owner });
    }

    fn import(&mut self, kind: &str, value: &str, number: u32) {
        let name = line::unquoted(value);
        let what = match kind {
            "configMapRef" => Imported::ConfigMap(name),
            "secretRef" => Imported::Secret(name),
            _ => return,
        };
        let (prefix, owner) = (self.prefix.clone(), self.owner());
        self.deployment.imports.push(Import { what, line: number, optional: false, prefix, owner });
    }

    fn key(&mut self, name: &str, source: Source, line: u32, scope: Option<String>) {
        let owner = self.owner();
        if !name.contains("{{") {
            self.deployment.keys.push(DeployedKey { name: name.into(), source, line, owner });
        } else if let Some(path) = scope {
            self.deployment.links.push(Link { to: Linked::Values { path, owner }, line });
        } else {
            self.deployment.not_evaluated.push((line, "the name of a key is computed by the template"));
        }
    }

    fn owner(&self) -> String {
        let object = [self.kind.as_str(), self.name.as_str()].join(" ");
        if self.container.is_empty() {
            object.trim().to_owned()
        } else {
            format!("{}/{}", object.trim(), self.container)
        }
    }

    fn parent_is(&self, names: &[&str]) -> bool {
        let parent = self.open.len().checked_sub(2).and_then(|i| self.open.get(i));
        matches!(parent, Some(Open::Key { name, .. }) if names.contains(&name.as_str()))
    }

    /// Closes what the next line is no part of.
    fn close(&mut self, closes: impl Fn(&Open) -> bool) {
        while self.open.last().is_some_and(&closes) {
            self.open.pop();
        }
        if self.entry.as_ref().is_some_and(|e| self.open.len() < e.depth) {
            self.end_of_entry();
        }
    }

    fn end_of_entry(&mut self) {
        let Some(entry) = self.entry.take() else { return };
        // A list of named things that are no variables has neither value nor valueFrom.
        if let Some(source) = entry.source.filter(|_| !entry.name.is_empty()) {
            self.key(&entry.name, source, entry.line, entry.scope);
        }
    }

    fn end_of_block(&mut self) {
        let Some(block) = self.block.take() else { return };
        let templated = block.text.contains("{{");
        let source = if templated { Source::Mixed(block.text) } else { Source::Literal(block.text) };
        if let Some(entry) = self.entry.as_mut().filter(|e| e.line == block.line) {
            entry.source = Some(source);
        } else if let Some(key) = self.set.iter_mut().find(|k| k.line == block.line) {
            key.source = source;
        }
    }

    fn end_of_document(&mut self) {
        self.end_of_block();
        self.open.clear();
        self.end_of_entry();
        let secret = self.kind == "Secret";
        if secret || self.kind == "ConfigMap" {
            let keys = std::mem::take(&mut self.set);
            self.deployment.sets.push(KeySet { name: self.name.clone(), secret, keys, files: Vec::new() });
        }
        self.kind.clear();
        self.name.clear();
        self.container.clear();
    }
}

#[cfg(test)]
mod tests;
