//! The names of secrets below a prefix.

use serde::Deserialize;

use super::super::location::encode_path;
use super::super::{ErrorKind, Fault, json, parallel};
use super::api::{envelope, refusal};
use super::{Engine, OpenBao, mount_of};

/// More names than these are not collected.
const MAX_NAMES: usize = 100_000;
/// Folders within folders are followed so far.
const MAX_DEPTH: usize = 64;

#[derive(Deserialize)]
struct Keys {
    #[serde(default)]
    keys: Vec<String>,
}

impl OpenBao {
    /// The locations of all secrets below a prefix: a folder, a mount, or everything that this token sees. A prefix that
    /// is itself a secret gives that secret too.
    pub(super) fn list_below(&self, prefix: &str) -> Result<Vec<String>, Fault> {
        let prefix = prefix.trim_matches('/');
        let mut folders = if prefix.is_empty() { self.kv_mounts()? } else { vec![self.folder(prefix)?] };
        let mut found = Vec::new();
        let patience = self.api.patience();
        for _ in 0..MAX_DEPTH {
            let mut deeper = Vec::new();
            let listed = parallel::map(&folders, self.parallel, |folder| {
                patience.check()?;
                self.names(folder)
            });
            for (folder, names) in folders.iter().zip(listed) {
                for name in names? {
                    if found.len() + deeper.len() >= MAX_NAMES {
                        return Err(Fault::malformed(format!(
                            "there are more than {MAX_NAMES} names below the prefix"
                        )));
                    }
                    match name.strip_suffix('/') {
                        Some("") => {}
                        Some(name) => deeper.push(folder.child(name)),
                        None => found.push(folder.child(&name).location()),
                    }
                }
            }
            if deeper.is_empty() {
                found.sort();
                return Ok(found);
            }
            folders = deeper;
        }
        Err(Fault::malformed(format!("folders are nested more than {MAX_DEPTH} deep")))
    }

    fn folder(&self, prefix: &str) -> Result<Folder, Fault> {
        // Asked with something below it, because the prefix may be the mount itself.
        let place = self.place(&format!("{prefix}/x"))?;
        if place.engine == Engine::Logical {
            let why = format!("the engine at `{}` is no key-value store", place.mount);
            return Err(Fault::new(ErrorKind::Unsupported, why, "list below a key-value store"));
        }
        let path = place.rest.strip_suffix('x').unwrap_or_default().trim_end_matches('/').to_owned();
        Ok(Folder { mount: place.mount, path, engine: place.engine })
    }

    fn kv_mounts(&self) -> Result<Vec<Folder>, Fault> {
        let answer = self.get("sys/internal/ui/mounts")?;
        let envelope = envelope(&answer, "the list of mounts")?;
        let parts = envelope.data.and_then(json::members).unwrap_or_default();
        let secret = parts.iter().find(|(name, _)| name == "secret").and_then(|(_, raw)| json::members(raw));
        let mut folders = Vec::new();
        for (path, raw) in secret.unwrap_or_default() {
            let Some(members) = json::members(raw) else { continue };
            let kind = members.iter().find(|(name, _)| name == "type").map(|(_, raw)| raw.get());
            if kind != Some("\"kv\"") {
                continue;
            }
            let mount = path.trim_matches('/').to_owned();
            // The list gives the path as the key, a single mount as a member.
            let text = format!(
                "{{\"path\":{},{}",
                serde_json::Value::from(mount.as_str()),
                raw.get().trim_start().trim_start_matches('{')
            );
            let described: Option<&serde_json::value::RawValue> = serde_json::from_str(&text).ok();
            if let Some((mount, engine)) = described.and_then(mount_of) {
                folders.push(Folder { mount, path: String::new(), engine });
            }
        }
        Ok(folders)
    }

    fn names(&self, folder: &Folder) -> Result<Vec<String>, Fault> {
        let mount = encode_path(&folder.mount);
        let path = encode_path(&folder.path);
        let url = match folder.engine {
            Engine::KvV2 => format!("{mount}/metadata/{path}?list=true"),
            Engine::KvV1 | Engine::Logical => format!("{mount}/{path}?list=true"),
        };
        let answer = self.get(&url)?;
        match answer.status {
            404 => Ok(Vec::new()),
            200..=299 => {
                let envelope = envelope(&answer, "the list of names")?;
                let Some(data) = envelope.data else { return Ok(Vec::new()) };
                Ok(json::parse::<Keys>(data.get().as_bytes(), "the list of names")?.keys)
            }
            _ => Err(refusal(&answer)),
        }
    }
}

/// A folder of a key-value store.
struct Folder {
    mount: String,
    path: String,
    engine: Engine,
}

impl Folder {
    fn child(&self, name: &str) -> Self {
        let path = if self.path.is_empty() { name.to_owned() } else { format!("{}/{name}", self.path) };
        Self { mount: self.mount.clone(), path, engine: self.engine }
    }

    fn location(&self) -> String {
        format!("{}/{}", self.mount, self.path)
    }
}
