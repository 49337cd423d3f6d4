//! Which file is what, by its path.

use crate::deploy::Format;
use crate::usage;

/// What a file is to this crate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileKind {
    /// A dotenv template: `.env.example` and the like.
    Template,
    /// A dotenv file with values for use: `.env`, `.env.local`, `prod.env`.
    Environment,
    /// A deployment file whose name says its format.
    Deployment(Format),
    /// YAML that may be a Kubernetes manifest.
    Yaml,
    /// Code, or a script that its first line may tell.
    Code,
    /// Something else.
    Other,
}

impl FileKind {
    /// The kind of a file.
    pub fn of(path: &str) -> FileKind {
        let name = path.rsplit('/').next().unwrap_or(path);
        let lower = name.to_ascii_lowercase();
        if let Some(kind) = dotenv(&lower) {
            return kind;
        }
        if let Some(format) = deployment(path, &lower) {
            return FileKind::Deployment(format);
        }
        if lower.ends_with(".yaml") || lower.ends_with(".yml") {
            return FileKind::Yaml;
        }
        // Named templates of charts hold entries of `env` too.
        if lower.ends_with(".tpl") && path.split('/').rev().nth(1) == Some("templates") {
            return FileKind::Yaml;
        }
        if !usage::skip(path) && (usage::is_source(path).is_some() || may_be_a_script(name)) {
            return FileKind::Code;
        }
        FileKind::Other
    }
}

/// A name without an end, in lower case as commands are.
fn may_be_a_script(name: &str) -> bool {
    !name.contains('.') && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_')
}

const TEMPLATE_WORDS: [&str; 8] = ["example", "examples", "sample", "template", "tmpl", "tpl", "dist", "defaults"];

fn dotenv(name: &str) -> Option<FileKind> {
    let mut parts = name.split('.');
    let first = parts.next().unwrap_or("");
    let rest: Vec<&str> = parts.collect();
    // `.env…`, `.envrc…`, `.flaskenv`, or `something.env`.
    let dotted = first.is_empty()
        && rest.first().is_some_and(|p| matches!(*p, "env" | "envrc" | "flaskenv") || p.starts_with("env-"));
    let suffixed = match rest.as_slice() {
        ["env"] => !first.is_empty(),
        ["env", word] => TEMPLATE_WORDS.contains(word),
        _ => false,
    };
    let named = first == "env" && rest.len() == 1;
    if !dotted && !suffixed && !named {
        return None;
    }
    let template = rest.iter().chain(std::iter::once(&first)).any(|p| {
        TEMPLATE_WORDS.contains(p) || p.rsplit(['-', '_']).next().is_some_and(|w| TEMPLATE_WORDS.contains(&w))
    });
    // Code and prose about dotenv files: `.env.d.ts`, `env.js`, `env.md`.
    let other = rest.last().is_some_and(|p| {
        matches!(
            *p,
            "js" | "ts"
                | "mjs"
                | "cjs"
                | "py"
                | "rs"
                | "go"
                | "rb"
                | "php"
                | "md"
                | "json"
                | "yml"
                | "yaml"
                | "toml"
                | "sh"
                | "txt"
                | "vault"
        )
    });
    match (template, other) {
        (_, true) => None,
        (true, _) => Some(FileKind::Template),
        (false, _) if named => None,
        (false, _) => Some(FileKind::Environment),
    }
}

fn deployment(path: &str, name: &str) -> Option<Format> {
    let yaml = name.strip_suffix(".yml").or_else(|| name.strip_suffix(".yaml"));
    if let Some(stem) = yaml {
        if path.starts_with(".github/workflows/") || path.starts_with(".gitea/workflows/") || stem == "action" {
            return Some(Format::Workflow);
        }
        if stem == ".gitlab-ci" || stem.ends_with(".gitlab-ci") {
            return Some(Format::GitLab);
        }
        let compose = |s: &str| s == "compose" || s.starts_with("compose.") || s.starts_with("compose-");
        if compose(stem) || stem.strip_prefix("docker-").is_some_and(compose) {
            return Some(Format::Compose);
        }
        if stem == "kustomization" {
            return Some(Format::Kubernetes);
        }
    }
    if name == "kustomization" {
        return Some(Format::Kubernetes);
    }
    let docker = ["dockerfile", "containerfile"];
    docker
        .iter()
        .any(|d| name == *d || name.starts_with(&format!("{d}.")) || name.ends_with(&format!(".{d}")))
        .then_some(Format::Dockerfile)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_what_a_file_is() {
        use FileKind::*;
        for (path, kind) in [
            (".env", Environment),
            (".env.local", Environment),
            ("a/.env.production", Environment),
            ("prod.env", Environment),
            (".envrc", Environment),
            (".env.example", Template),
            (".env.live.example", Template),
            (".env.example.local", Template),
            (".env-sample", Template),
            ("env.example", Template),
            ("example.env", Template),
            ("app.env.example", Template),
            (".env.dist", Template),
            (".envrc.template", Template),
            ("env.ts", Code),
            ("env.d.ts", Other),
            ("environment.md", Other),
            ("docker-compose.yml", Deployment(Format::Compose)),
            ("compose.prod.yaml", Deployment(Format::Compose)),
            ("docker-compose.override.yml", Deployment(Format::Compose)),
            (".github/workflows/ci.yml", Deployment(Format::Workflow)),
            (".gitlab-ci.yml", Deployment(Format::GitLab)),
            ("api/Dockerfile", Deployment(Format::Dockerfile)),
            ("Dockerfile.prod", Deployment(Format::Dockerfile)),
            ("k8s/app.yaml", Yaml),
            ("src/a.py", Code),
            ("node_modules/a.js", Other),
            ("README.md", Other),
            ("bin/start-it", Code),
            ("LICENSE", Other),
        ] {
            assert_eq!(FileKind::of(path), kind, "{path}");
        }
    }
}
