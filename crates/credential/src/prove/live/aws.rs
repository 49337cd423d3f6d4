//! AWS: who the keys belong to, and every policy of that user or role, asked of IAM with the keys themselves.

use super::super::{Role, shown};
use super::Document;
use crate::SecretValue;
use crate::backend::aws::{Asked, Identity, texts};
use crate::backend::{ErrorKind, Fault, Variables};

/// Most groups of a user.
const MAX_GROUPS: usize = 100;

pub(super) fn collect(secret: &SecretValue, variables: &Variables) -> Result<Vec<Document>, Fault> {
    let identity = Identity::of_json(secret.expose(), variables)?;
    let answer = identity.ask(Asked::Sts, "GetCallerIdentity", &[])?;
    let arn = texts(&answer, "Arn")?.into_iter().next();
    let arn = arn.ok_or_else(|| Fault::malformed("STS does not say whose keys they are"))?;
    let resource = arn.splitn(6, ':').nth(5).unwrap_or_default().to_owned();
    let (kind, rest) = resource.split_once('/').unwrap_or((resource.as_str(), ""));
    let mut documents = Vec::new();
    match kind {
        "user" => {
            let name = rest.rsplit('/').next().unwrap_or_default();
            holder(&identity, Holder::User, name, &mut documents)?;
            let groups = identity.list("ListGroupsForUser", &[("UserName", name)], "GroupName")?;
            for group in groups.iter().take(MAX_GROUPS) {
                holder(&identity, Holder::Group, group, &mut documents)?;
            }
        }
        // Permissions of a session are those of its role, or fewer: its session policy is known to who made it.
        "assumed-role" => {
            let name = rest.split('/').next().unwrap_or_default();
            holder(&identity, Holder::Role, name, &mut documents)?;
        }
        "root" => {
            let everything = r#"{"Statement":[{"Sid":"RootUser","Effect":"Allow","Action":"*","Resource":"*"}]}"#;
            documents.push(Document::grant("aws:root-user", everything));
        }
        _ => {
            return Err(Fault::new(
                ErrorKind::Unsupported,
                "the keys belong to neither a user nor a role",
                "give their policies: custody cred prove POLICY… --together --for REFERENCE",
            ));
        }
    }
    if documents.iter().all(|document| document.role != Role::Grant) {
        // Nothing is attached: nothing is allowed.
        documents.push(Document::grant("aws:no-policy", r#"{"Version":"2012-10-17","Statement":[]}"#));
    }
    Ok(documents)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Holder {
    User,
    Group,
    Role,
}

impl Holder {
    fn word(self) -> &'static str {
        match self {
            Holder::User => "User",
            Holder::Group => "Group",
            Holder::Role => "Role",
        }
    }
}

/// The policies of one holder: attached, inline, and its boundary.
fn holder(identity: &Identity, kind: Holder, name: &str, documents: &mut Vec<Document>) -> Result<(), Fault> {
    let word = kind.word();
    let field = format!("{word}Name");
    let of = [(field.as_str(), name)];
    for arn in identity.list(&format!("ListAttached{word}Policies"), &of, "PolicyArn")? {
        documents.push(managed(identity, &arn, Role::Grant)?);
    }
    for policy in identity.list(&format!("List{word}Policies"), &of, "member")? {
        let fields = [of[0], ("PolicyName", policy.as_str())];
        let document = identity.document(&format!("Get{word}Policy"), &fields, "PolicyDocument")?;
        documents.push(Document::grant(format!("aws:inline/{}/{}", word.to_lowercase(), shown(&policy)), document));
    }
    if kind != Holder::Group {
        let answer = identity.ask(Asked::Iam, &format!("Get{word}"), &of)?;
        if let Some(arn) = texts(&answer, "PermissionsBoundaryArn")?.into_iter().next() {
            documents.push(managed(identity, &arn, Role::Boundary)?);
        }
    }
    Ok(())
}

/// A managed policy in the version that is in force.
fn managed(identity: &Identity, arn: &str, role: Role) -> Result<Document, Fault> {
    let answer = identity.ask(Asked::Iam, "GetPolicy", &[("PolicyArn", arn)])?;
    let version = texts(&answer, "DefaultVersionId")?.into_iter().next();
    let version = version.ok_or_else(|| Fault::malformed("IAM does not say which version of a policy is in force"))?;
    let fields = [("PolicyArn", arn), ("VersionId", version.as_str())];
    let bytes = identity.document("GetPolicyVersion", &fields, "Document")?;
    // Without the account, which beside the reference would help someone.
    let name = arn.rsplit('/').next().unwrap_or_default();
    Ok(Document { name: format!("aws:policy/{}@{}", shown(name), shown(&version)), bytes, role })
}
