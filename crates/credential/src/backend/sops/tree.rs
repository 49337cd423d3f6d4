//! A file's values in their order: parsing the four formats, opening, and checking the authentication code.

use std::fmt;

use data_encoding::HEXUPPER;
use jiff::Timestamp;
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};
use sha2::{Digest, Sha512};
use subtle::ConstantTimeEq;

use crate::SecretValue;

use super::SopsError;
use super::cipher::{Encrypted, Kind};
use super::metadata::SopsMetadata;

/// What the code starts from where it covers encrypted values only (sops 3.9 and later): a constant of the format.
const ONLY_ENCRYPTED: [u8; 32] = [
    0x8a, 0x3f, 0xd2, 0xad, 0x54, 0xce, 0x66, 0x52, 0x7b, 0x10, 0x34, 0xf3, 0xd1, 0x47, 0xbe, 0x0b, 0x0b, 0x97, 0x5b,
    0x3b, 0xf4, 0x4f, 0x72, 0xc6, 0xfd, 0xad, 0xec, 0x81, 0x76, 0xf2, 0x7d, 0x69,
];
/// How deep values may be nested.
const MAX_DEPTH: usize = 64;

/// The formats.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Yaml,
    Json,
    Dotenv,
    Ini,
    /// Any bytes, as one value.
    Binary,
}

impl Format {
    /// By a file's name (`prod.enc.yaml`, `.env`, `.env.prod`); bytes, as for sops itself, where it says nothing.
    pub(super) fn of_name(name: &str) -> Self {
        let name = name.rsplit('/').next().unwrap_or(name);
        let by_extension = name.rsplit('.').next().and_then(Self::of_extension);
        by_extension.unwrap_or(if name.starts_with(".env") { Self::Dotenv } else { Self::Binary })
    }

    pub(super) fn of_extension(extension: &str) -> Option<Self> {
        match extension {
            "yaml" | "yml" => Some(Self::Yaml),
            "json" => Some(Self::Json),
            "env" | "dotenv" => Some(Self::Dotenv),
            "ini" => Some(Self::Ini),
            "binary" => Some(Self::Binary),
            _ => None,
        }
    }
}

/// A value as it is written.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Written {
    Null,
    Bool(bool),
    Int(String),
    Float(f64),
    Text(String),
    List(Vec<Written>),
    Map(Vec<(String, Written)>),
}

impl<'de> Deserialize<'de> for Written {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(WrittenVisitor)
    }
}

struct WrittenVisitor;

impl<'de> Visitor<'de> for WrittenVisitor {
    type Value = Written;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Written, E> {
        Ok(Written::Null)
    }

    fn visit_none<E>(self) -> Result<Written, E> {
        Ok(Written::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Written, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Written, E> {
        Ok(Written::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Written, E> {
        Ok(Written::Int(value.to_string()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Written, E> {
        Ok(Written::Int(value.to_string()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Written, E> {
        Ok(Written::Float(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Written, E> {
        Ok(Written::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Written, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Written::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut items: A) -> Result<Written, A::Error> {
        let mut map = Vec::new();
        while let Some(item) = items.next_entry::<String, Written>()? {
            map.push(item);
        }
        Ok(Written::Map(map))
    }
}

/// A value that was opened.
pub(super) enum Node {
    Null,
    Secret(SecretValue),
    List(Vec<Node>),
    Map(Vec<(String, Node)>),
}

/// A file that was opened.
pub(super) struct Opened {
    root: Node,
    pub(super) modified: Option<Timestamp>,
}

impl Opened {
    /// What lies at a path; items of a list are counted from 0.
    pub(super) fn find(&self, path: &[&str]) -> Option<&Node> {
        path.iter().try_fold(&self.root, |node, key| match node {
            Node::Map(items) => items.iter().find(|(name, _)| name == key).map(|(_, node)| node),
            Node::List(items) => items.get(key.parse::<usize>().ok()?),
            _ => None,
        })
    }

    /// The paths of all values.
    pub(super) fn names(&self) -> Vec<String> {
        fn collect(node: &Node, path: &str, names: &mut Vec<String>) {
            let below = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}/{key}") };
            match node {
                Node::Null => {}
                Node::Secret(_) => names.push(path.to_owned()),
                Node::List(items) => {
                    items.iter().enumerate().for_each(|(i, node)| collect(node, &below(&i.to_string()), names));
                }
                Node::Map(items) => items.iter().for_each(|(key, node)| collect(node, &below(key), names)),
            }
        }
        let mut names = Vec::new();
        collect(&self.root, "", &mut names);
        names
    }
}

/// A file's values, document by document, and what it says of itself.
pub(super) fn parse(text: &str, format: Format) -> Result<(Vec<Written>, SopsMetadata), SopsError> {
    let malformed = |what: &str| SopsError::Malformed(format!("it is no {what} file of sops"));
    let no_metadata = || SopsError::Malformed("it has no sops metadata: it is not encrypted".into());
    let (documents, metadata) = match format {
        Format::Yaml | Format::Json | Format::Binary => {
            let what = if format == Format::Yaml { "YAML" } else { "JSON" };
            let trees: Vec<Written> = match format {
                // The parsers' messages may quote the file.
                Format::Yaml => serde_saphyr::from_multiple(text).map_err(|_| malformed(what))?,
                _ => vec![serde_json::from_str(text).map_err(|_| malformed(what))?],
            };
            let mut metadata = None;
            let mut documents = Vec::with_capacity(trees.len());
            for tree in trees {
                let Written::Map(mut items) = tree else { return Err(malformed(what)) };
                // Each document says the same; the first one counts.
                if let Some(at) = items.iter().position(|(key, _)| key == "sops") {
                    let own = items.remove(at).1;
                    metadata.get_or_insert(own);
                }
                documents.push(Written::Map(items));
            }
            (documents, json(metadata.ok_or_else(no_metadata)?))
        }
        Format::Dotenv => {
            let (own, rest): (Vec<_>, Vec<_>) = dotenv(text)?.into_iter().partition(|(k, _)| k.starts_with("sops_"));
            if own.is_empty() {
                return Err(no_metadata());
            }
            let own = own.into_iter().map(|(key, value)| (key["sops_".len()..].to_owned(), value));
            let values = rest.into_iter().map(|(key, value)| (key, Written::Text(value))).collect();
            (vec![Written::Map(values)], unflattened(own))
        }
        Format::Ini => {
            let mut sections = ini(text)?;
            let at = sections.iter().position(|(name, _)| name == "sops").ok_or_else(no_metadata)?;
            let own = sections.remove(at).1.into_iter().map(|(key, value)| (key, value.replace("\\n", "\n")));
            let metadata = unflattened(own);
            let text = |(key, value): (String, String)| (key, Written::Text(value));
            let section = |(name, keys): (String, Vec<_>)| (name, Written::Map(keys.into_iter().map(text).collect()));
            (vec![Written::Map(sections.into_iter().map(section).collect())], metadata)
        }
    };
    let metadata: SopsMetadata = serde_json::from_value(metadata)
        .map_err(|_| SopsError::Malformed("its sops metadata cannot be read".into()))?;
    Ok((documents, metadata))
}

fn dotenv(text: &str) -> Result<Vec<(String, String)>, SopsError> {
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines
        .map(|line| {
            let (key, value) = line.split_once('=').ok_or_else(|| SopsError::Malformed("a line has no =".into()))?;
            Ok((key.to_owned(), value.replace("\\n", "\n")))
        })
        .collect()
}

type Section = (String, Vec<(String, String)>);

fn ini(text: &str) -> Result<Vec<Section>, SopsError> {
    let mut sections: Vec<Section> = vec![("DEFAULT".to_owned(), Vec::new())];
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with(['#', ';'])) {
        if let Some(name) = line.strip_prefix('[').and_then(|l| l.strip_suffix(']')) {
            sections.push((name.trim().to_owned(), Vec::new()));
            continue;
        }
        let (key, value) = line.split_once('=').ok_or_else(|| SopsError::Malformed("a line has no =".into()))?;
        let value = value.trim();
        let quoted = ['"', '`'].iter().find_map(|q| value.strip_prefix(*q)?.strip_suffix(*q));
        let entry = (key.trim().to_owned(), quoted.unwrap_or(value).to_owned());
        sections.last_mut().expect("there is a first section").1.push(entry);
    }
    sections.retain(|(name, keys)| name != "DEFAULT" || !keys.is_empty());
    Ok(sections)
}

/// Metadata of flat formats: `key_groups__list_0__map_age__list_1__map_enc` is `key_groups[0].age[1].enc`.
fn unflattened(entries: impl Iterator<Item = (String, String)>) -> Value {
    let mut metadata = Value::Object(Map::new());
    for (key, value) in entries {
        let value = match (key.as_str(), value.as_str()) {
            ("mac_only_encrypted", text) => Value::Bool(text == "true"),
            ("shamir_threshold", text) => text.parse::<u32>().map_or(Value::Null, Value::from),
            _ => Value::String(value),
        };
        place(&mut metadata, &key, value);
    }
    metadata
}

/// Puts a value where its key says; one whose key makes no sense is passed over.
fn place(metadata: &mut Value, key: &str, value: Value) {
    let marked = key.replace("__list_", "\0l").replace("__map_", "\0m");
    let mut at = metadata;
    for (depth, step) in marked.split('\0').enumerate() {
        let (kind, name) = if depth == 0 { ("m", step) } else { step.split_at_checked(1).unwrap_or_default() };
        if depth > MAX_DEPTH {
            return;
        }
        if kind == "m" {
            if at.is_null() {
                *at = Value::Object(Map::new());
            }
            let Some(map) = at.as_object_mut() else { return };
            at = map.entry(name).or_insert(Value::Null);
        } else {
            let Some(index) = name.parse::<usize>().ok().filter(|&index| index < 1000) else { return };
            if at.is_null() {
                *at = Value::Array(Vec::new());
            }
            let Some(list) = at.as_array_mut() else { return };
            if list.len() <= index {
                list.resize(index + 1, Value::Null);
            }
            at = &mut list[index];
        }
    }
    *at = value;
}

fn json(written: Written) -> Value {
    match written {
        Written::Null => Value::Null,
        Written::Bool(value) => Value::Bool(value),
        Written::Int(digits) => digits.parse::<i64>().map_or(Value::Null, Value::from),
        Written::Float(value) => Value::from(value),
        Written::Text(text) => Value::String(text),
        Written::List(items) => Value::Array(items.into_iter().map(json).collect()),
        Written::Map(items) => {
            // An absent key and one without a value mean the same.
            let items = items.into_iter().filter(|(_, value)| *value != Written::Null);
            Value::Object(items.map(|(key, value)| (key, json(value))).collect())
        }
    }
}

/// Opens every value, and checks that nothing was changed.
pub(super) fn open(documents: Vec<Written>, metadata: &SopsMetadata, key: &SecretValue) -> Result<Opened, SopsError> {
    let selection = metadata.selection()?;
    let mut walk = Walk { key, selection, only_encrypted: metadata.mac_only_encrypted, hash: Sha512::new() };
    if metadata.mac_only_encrypted {
        walk.hash.update(ONLY_ENCRYPTED);
    }
    let mut opened: Vec<Node> =
        documents.into_iter().map(|tree| walk.open(tree, &mut Vec::new())).collect::<Result<_, _>>()?;
    let root = if opened.len() == 1 { opened.remove(0) } else { Node::List(opened) };
    let code = HEXUPPER.encode(&walk.hash.finalize());
    let written = Encrypted::parse(&metadata.mac).and_then(|mac| mac.open(key, &metadata.lastmodified));
    if !written.is_some_and(|written| bool::from(written.expose().ct_eq(code.as_bytes()))) {
        return Err(SopsError::Tampered);
    }
    Ok(Opened { root, modified: metadata.lastmodified.parse().ok() })
}

struct Walk<'k> {
    key: &'k SecretValue,
    selection: super::metadata::Selection,
    only_encrypted: bool,
    hash: Sha512,
}

impl Walk<'_> {
    fn open(&mut self, written: Written, path: &mut Vec<String>) -> Result<Node, SopsError> {
        if path.len() > MAX_DEPTH {
            return Err(SopsError::Malformed("its values are nested too deeply".into()));
        }
        match written {
            Written::Null => Ok(Node::Null),
            // A comment between items is written as an item; the code covers no comments.
            Written::List(mut items) => {
                items.retain(|item| !is_comment(item));
                items.into_iter().map(|item| self.open(item, path)).collect::<Result<_, _>>().map(Node::List)
            }
            Written::Map(items) => {
                let mut opened = Vec::with_capacity(items.len());
                for (key, item) in items {
                    path.push(key.clone());
                    let node = self.open(item, path)?;
                    path.pop();
                    opened.push((key, node));
                }
                Ok(Node::Map(opened))
            }
            leaf => self.open_leaf(leaf, path).map(Node::Secret),
        }
    }

    fn open_leaf(&mut self, leaf: Written, path: &[String]) -> Result<SecretValue, SopsError> {
        let looks_encrypted = matches!(&leaf, Written::Text(text) if text.starts_with("ENC[AES256_GCM,"));
        let is_encrypted = self.selection.is_encrypted(path, looks_encrypted);
        let name = || path.join("/");
        let plain = |text: &str| SecretValue::copy_of(text.as_bytes());
        let (value, hashed) = match leaf {
            Written::Text(text) if is_encrypted && text.is_empty() => (plain(""), None),
            Written::Text(text) if is_encrypted => {
                let encrypted = Encrypted::parse(&text)
                    .ok_or_else(|| SopsError::Malformed(format!("{} should be encrypted and is not", name())))?;
                let value = encrypted
                    .open(self.key, &format!("{}:", path.join(":")))
                    .ok_or_else(|| SopsError::Malformed(format!("{} was changed, or moved from elsewhere", name())))?;
                normalised(value, encrypted.kind)
            }
            _ if is_encrypted => {
                return Err(SopsError::Malformed(format!("{} should be encrypted and is not", name())));
            }
            Written::Bool(value) => {
                (plain(if value { "true" } else { "false" }), Some(plain(if value { "True" } else { "False" })))
            }
            Written::Int(digits) => (plain(&digits), None),
            Written::Float(value) => (plain(&value.to_string()), None),
            Written::Text(text) => (plain(&text), None),
            Written::Null | Written::List(_) | Written::Map(_) => (plain(""), None),
        };
        if is_encrypted || !self.only_encrypted {
            self.hash.update(hashed.as_ref().unwrap_or(&value).expose());
        }
        Ok(value)
    }
}

fn is_comment(item: &Written) -> bool {
    matches!(item, Written::Text(text) if Encrypted::parse(text).is_some_and(|e| e.kind == Kind::Comment))
}

/// The value as a program wants it, and as the code covers it where that differs.
fn normalised(value: SecretValue, kind: Kind) -> (SecretValue, Option<SecretValue>) {
    if kind != Kind::Bool {
        return (value, None);
    }
    let is_true = matches!(value.expose(), b"True" | b"true" | b"TRUE" | b"1" | b"t" | b"T");
    let text = |text: &str| SecretValue::copy_of(text.as_bytes());
    if is_true { (text("true"), Some(text("True"))) } else { (text("false"), Some(text("False"))) }
}
