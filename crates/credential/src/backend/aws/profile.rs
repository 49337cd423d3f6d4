//! The shared files `~/.aws/config` and `~/.aws/credentials`.
//!
//! Source: "Configuration and credential file settings" of the AWS SDKs and Tools Reference Guide.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::super::{Fault, Variables};

/// Larger files are refused.
const MAX_FILE_BYTES: u64 = 4 << 20;

/// The keys of one section; values may be secret.
pub(crate) type Section = BTreeMap<String, Zeroizing<String>>;

/// Both files.
#[derive(Default)]
pub(crate) struct Profiles {
    profiles: BTreeMap<String, Section>,
    sso_sessions: BTreeMap<String, Section>,
    services: BTreeMap<String, Section>,
}

impl Profiles {
    /// Reads both files where the variables say they are; files that are not there are empty.
    ///
    /// # Errors
    /// Configuration, if a file is there and cannot be read.
    pub(crate) fn load(variables: &Variables) -> Result<Self, Fault> {
        let file = |variable: &str, name: &str| {
            let named = variables.get(variable).map(PathBuf::from);
            named.or_else(|| variables.home().map(|home| home.join(".aws").join(name)))
        };
        let mut profiles = Self::default();
        if let Some(text) = read(file("AWS_CONFIG_FILE", "config").as_deref())? {
            for (title, section) in parse(&text) {
                let (kind, name) =
                    title.split_once(char::is_whitespace).map_or(("profile", title.as_str()), |(k, n)| (k, n.trim()));
                match kind {
                    "profile" if name == "default" || title != name => profiles.add(name, section),
                    "sso-session" => profiles.sso_sessions.entry(name.to_owned()).or_default().extend(section),
                    "services" => profiles.services.entry(name.to_owned()).or_default().extend(section),
                    _ => {}
                }
            }
        }
        if let Some(text) = read(file("AWS_SHARED_CREDENTIALS_FILE", "credentials").as_deref())? {
            for (title, section) in parse(&text) {
                profiles.add(&title, section);
            }
        }
        Ok(profiles)
    }

    fn add(&mut self, name: &str, section: Section) {
        // Keys of the credentials file, which is read last, win.
        self.profiles.entry(name.to_owned()).or_default().extend(section);
    }

    /// A profile.
    pub(crate) fn profile(&self, name: &str) -> Option<&Section> {
        self.profiles.get(name)
    }

    /// A session of single sign-on.
    pub(crate) fn sso_session(&self, name: &str) -> Option<&Section> {
        self.sso_sessions.get(name)
    }

    /// The endpoint that a profile names for a service, or for all.
    pub(crate) fn endpoint(&self, profile: &str, service: &str) -> Option<String> {
        let profile = self.profile(profile)?;
        let own = profile.get("services").and_then(|name| self.services.get(name.as_str()));
        let own = own.and_then(|services| services.get(&format!("{service}.endpoint_url")));
        own.or_else(|| profile.get("endpoint_url")).map(|url| url.to_string())
    }
}

fn read(file: Option<&Path>) -> Result<Option<Zeroizing<String>>, Fault> {
    let Some(file) = file else { return Ok(None) };
    let wrong = |why: &str| Fault::configuration(format!("`{}` {why}", file.display()), "check the file");
    let opened = match std::fs::File::open(file) {
        Ok(opened) => opened,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(_) => return Err(wrong("cannot be read")),
    };
    let size = opened.metadata().map_or(0, |metadata| metadata.len());
    if size > MAX_FILE_BYTES {
        return Err(wrong("is too large"));
    }
    let mut text = Zeroizing::new(String::with_capacity(usize::try_from(size).unwrap_or(0) + 1));
    opened.take(MAX_FILE_BYTES).read_to_string(&mut text).map_err(|_| wrong("is not text"))?;
    Ok(Some(text))
}

/// Sections and their keys, in lower case. A line that starts with a blank belongs to the key before it: `s3 =` and
/// below it `  endpoint_url = …` become `s3.endpoint_url`. What is neither section, key nor comment is passed over.
pub(crate) fn parse(text: &str) -> Vec<(String, Section)> {
    let mut sections: Vec<(String, Section)> = Vec::new();
    let mut parent = String::new();
    for line in text.lines() {
        let is_nested = line.starts_with([' ', '\t']);
        let line = line.trim();
        if line.is_empty() || line.starts_with(['#', ';']) {
            continue;
        }
        if let Some(title) = line.strip_prefix('[').filter(|_| !is_nested) {
            let title = title.split(']').next().unwrap_or_default().trim();
            sections.push((unquoted(title), Section::new()));
            parent.clear();
            continue;
        }
        let (Some((key, value)), Some((_, section))) = (line.split_once('='), sections.last_mut()) else { continue };
        let key = key.trim().to_ascii_lowercase();
        let value = value.split([' ', '\t']).take_while(|word| !word.starts_with(['#', ';']));
        let value = Zeroizing::new(value.collect::<Vec<_>>().join(" ").trim().to_owned());
        if is_nested && !parent.is_empty() {
            section.insert(format!("{parent}.{key}"), value);
        } else {
            parent.clone_from(&key);
            section.insert(key, value);
        }
    }
    sections
}

/// `profile "my profile"` → `profile my profile`.
fn unquoted(title: &str) -> String {
    title.replace(['"', '\''], "")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn both_files_make_one_set_of_profiles() {
        let folder = tempfile::tempdir().unwrap();
        let config = "[default]\nregion = eu-central-1 # here\n[profile \"my team\"]\nrole_arn=arn\n; no\nservices = local\n\
                      [services local]\nssm =\n  endpoint_url = http://127.0.0.1:1\n[other]\nregion = x\n[sso-session s]\nsso_region = a\n";
        std::fs::create_dir(folder.path().join(".aws")).unwrap();
        std::fs::write(folder.path().join(".aws/config"), config).unwrap();
        std::fs::write(folder.path().join(".aws/credentials"), "[default]\naws_access_key_id = id\n[plain]\nx=a#b\n")
            .unwrap();
        let profiles = Profiles::load(&Variables::of([("HOME", folder.path().to_str().unwrap())])).unwrap();
        let default = profiles.profile("default").unwrap();
        assert_eq!(default["region"].as_str(), "eu-central-1");
        assert_eq!(default["aws_access_key_id"].as_str(), "id");
        assert_eq!(profiles.profile("my team").unwrap()["role_arn"].as_str(), "arn");
        assert_eq!(profiles.endpoint("my team", "ssm").as_deref(), Some("http://127.0.0.1:1"));
        assert_eq!(profiles.profile("plain").unwrap()["x"].as_str(), "a#b");
        assert!(profiles.profile("other").is_none(), "a profile of the config file is called `profile …`");
        assert!(profiles.sso_session("s").is_some());
    }

    proptest! {
        #[test]
        fn any_text_is_parsed_without_panic(text in "[\\[\\]a-z=#; \\n\\t\"']{0,200}|\\PC{0,100}") {
            drop(parse(&text));
        }
    }
}
