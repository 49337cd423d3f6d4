//! GitLab CI: `variables` of the pipeline and of jobs.

use super::yaml::{Node, NotRead, documents};
use super::{DeployedKey, Deployment, interpolated};

pub(super) fn parse(text: &str) -> Result<Deployment, NotRead> {
    let mut deployment = Deployment::default();
    for document in documents(text)? {
        for (name, node) in document.entries() {
            match name.as_str() {
                "variables" => read(node, "pipeline", &mut deployment),
                "include" => deployment.not_evaluated.push((node.line, "include: the included files are not followed")),
                _ => {
                    if let Some(variables) = node.get("variables") {
                        read(variables, &format!("job {name}"), &mut deployment);
                    }
                }
            }
        }
    }
    Ok(deployment)
}

fn read(variables: &Node, owner: &str, deployment: &mut Deployment) {
    for (name, node) in variables.entries() {
        // Either a value, or a mapping with value and description.
        let value = node.get("value").unwrap_or(node);
        let source = interpolated(value.text().unwrap_or(""));
        deployment.keys.push(DeployedKey { name: name.clone(), source, line: value.line, owner: owner.into() });
    }
}
