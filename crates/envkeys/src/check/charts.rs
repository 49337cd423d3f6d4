//! Helm charts as deployments: their templates with the values of one environment.

use std::collections::BTreeSet;

use custody_contract::{Environment, Place};

use super::survey::{ChartValues, DeploymentFile};
use super::unit::Unit;
use super::{Context, follow};
use crate::deploy::{DeployedKey, Format, Import, Imported, Linked, Source, imported};

/// One unit per chart of which the contract names a template or a values file for `environment`.
pub(super) fn units(context: &Context<'_>, environment: Environment) -> Vec<Unit> {
    let named = context
        .survey
        .deployments
        .iter()
        .filter(|f| f.format == Some(Format::Helm) && f.environments.contains(&environment));
    let charts: BTreeSet<String> =
        named.filter_map(|f| follow::chart_of(&f.path, context.input.tree)).map(|c| c.directory).collect();
    charts.iter().map(|chart| unit(context, chart, environment)).collect()
}

fn unit(context: &Context<'_>, chart: &str, environment: Environment) -> Unit {
    let values: Vec<&ChartValues> = {
        let of_chart = || context.survey.values.iter().filter(|v| v.chart == chart);
        let is_base = |v: &&ChartValues| matches!(v.path.strip_prefix(chart), Some("values.yaml" | "values.yml"));
        // The chart's own values, and over them those of the environment.
        let base = of_chart().filter(is_base);
        base.chain(of_chart().filter(|v| !is_base(v) && v.environments.contains(&environment))).collect()
    };
    let templates: Vec<&DeploymentFile> =
        context.survey.deployments.iter().filter(|f| is_template_of(context, f, chart)).collect();
    let place = values.last().map(|v| v.path.as_str()).or(templates.first().map(|f| f.path.as_str())).unwrap_or(chart);
    let title = chart.trim_end_matches('/');
    let name = format!("chart {}", if title.is_empty() { "." } else { title });
    let mut unit = Unit::new(name, Place::file(place), vec![environment]);
    for file in &templates {
        for import in &file.deployment.imports {
            take_import(&mut unit, &templates, &values, import, file);
        }
        for link in &file.deployment.links {
            if let Linked::Values { path, owner } = &link.to {
                set_values(&mut unit, &values, path, owner, owner);
            }
        }
        for key in &file.deployment.keys {
            set(&mut unit, &values, key.clone(), &file.path);
        }
        if !file.deployment.not_evaluated.is_empty() {
            unit.outside.push(format!("what {} puts in", file.path));
        }
    }
    unit
}

fn is_template_of(context: &Context<'_>, file: &DeploymentFile, chart: &str) -> bool {
    file.format == Some(Format::Helm)
        && follow::chart_of(&file.path, context.input.tree).is_some_and(|c| !c.values && c.directory == chart)
}

/// Sets a key; a value that the chart's values decide is looked up, the last file with it counting.
fn set(unit: &mut Unit, values: &[&ChartValues], key: DeployedKey, file: &str) {
    let Source::Values { path, default } = &key.source else {
        unit.set(key, file);
        return;
    };
    let found = values.iter().rev().find_map(|v| v.values.text(path).map(|(text, line)| (v, text, line)));
    // Nothing anywhere renders as nothing.
    let (text, line, file) = match (found, default) {
        (Some((v, text, line)), default) if !text.is_empty() || default.is_none() => (text, line, v.path.as_str()),
        (_, default) => (default.as_deref().unwrap_or(""), key.line, file),
    };
    unit.set(DeployedKey { source: Source::Literal(text.into()), line, ..key.clone() }, file);
}

fn set_values(unit: &mut Unit, values: &[&ChartValues], path: &str, owner: &str, to: &str) {
    for file in values {
        for key in file.values.keys(path, owner) {
            unit.set(DeployedKey { owner: to.into(), ..key }, &file.path);
        }
    }
}

fn take_import(
    unit: &mut Unit,
    templates: &[&DeploymentFile],
    values: &[&ChartValues],
    import: &Import,
    file: &DeploymentFile,
) {
    let (name, secret) = match &import.what {
        Imported::ConfigMap(name) => (name, false),
        Imported::Secret(name) => (name, true),
        Imported::File(_) => return,
    };
    let mut found = false;
    for template in templates {
        for set_of in template.deployment.sets.iter().filter(|s| s.name == *name && s.secret == secret) {
            found = true;
            for key in &set_of.keys {
                let keys = imported(std::slice::from_ref(key), secret, import);
                keys.into_iter().for_each(|k| set(unit, values, k, &file.path));
            }
        }
        let owner = format!("{} {name}", if secret { "Secret" } else { "ConfigMap" });
        for link in &template.deployment.links {
            if let Linked::Values { path, owner: of } = &link.to
                && *of == owner
            {
                set_values(unit, values, path, of, &import.owner);
            }
        }
    }
    if !found && !import.optional {
        unit.outside.push(format!("{} {name}", if secret { "Secret" } else { "ConfigMap" }));
    }
}
