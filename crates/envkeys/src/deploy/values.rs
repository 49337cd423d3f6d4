//! The values of a Helm chart: what stands at a dotted path.

use super::yaml::{Node, NotRead, documents};
use super::{DeployedKey, Source};

/// A chart's values file.
#[derive(Debug, Clone, Default)]
pub struct Values {
    documents: Vec<Node>,
}

impl Values {
    /// Reads a values file.
    ///
    /// # Errors
    ///
    /// [`NotRead`] says why it cannot be read, with a line where there is one.
    pub fn parse(text: &str) -> Result<Values, NotRead> {
        Ok(Values { documents: documents(text)? })
    }

    /// The scalar at a path, with its line; a null is empty text. `None` where the path leads nowhere.
    pub fn text(&self, path: &str) -> Option<(&str, u32)> {
        let node = self.node(path)?;
        node.text().or_else(|| node.is_null().then_some("")).map(|text| (text, node.line))
    }

    /// The environment variables at a path: a mapping, or a list of entries with `name` and `value` or `valueFrom`.
    pub fn keys(&self, path: &str, owner: &str) -> Vec<DeployedKey> {
        let Some(node) = self.node(path) else { return Vec::new() };
        let key = |name: &str, value: &Node| {
            let source = match value.text() {
                Some(text) => super::helm::source(text),
                None if value.is_null() => Source::Literal(String::new()),
                // The chart's template says what a mapping means; only a reference to a secret is plain.
                None if value.get("secretKeyRef").is_some() => Source::Secret,
                None => Source::Configuration,
            };
            DeployedKey { name: name.into(), source, line: value.line, owner: owner.into() }
        };
        let mapped = node.entries().iter().map(|(name, value)| key(name, value));
        let listed = node.items().iter().filter_map(|item| {
            let name = item.get("name").and_then(Node::text)?;
            Some(key(name, item.get("value").or(item.get("valueFrom")).unwrap_or(item)))
        });
        mapped.chain(listed).collect()
    }

    fn node(&self, path: &str) -> Option<&Node> {
        let parts: Vec<&str> = path.split('.').filter(|p| !p.is_empty()).collect();
        self.documents.iter().find_map(|d| d.at(&parts))
    }
}
