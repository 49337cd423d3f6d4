//! Places as SARIF locations.

use std::path::Path;

use custody_contract::{Occurrence, Place};
use serde_json::{Value, json};

use crate::{text, uri};

/// The name of the base that relative URIs are relative to.
pub(super) const BASE: &str = "SRCROOT";

/// Where a finding's secret stands. An occurrence in the history has its commit and object in the properties, since its
/// line is a line of then.
pub(super) fn of_occurrence(occurrence: &Occurrence, root: Option<&Path>) -> Value {
    let mut region = json!({ "startLine": occurrence.line.max(1) });
    if occurrence.column > 0 {
        region["startColumn"] = json!(occurrence.column);
        if occurrence.end_column > occurrence.column {
            region["endColumn"] = json!(occurrence.end_column);
        }
    }
    let mut properties = json!({ "surface": occurrence.surface, "offset": occurrence.offset });
    let texts = [("commit", &occurrence.commit), ("object", &occurrence.object), ("allowed", &occurrence.allowed)];
    for (name, value) in texts {
        if let Some(value) = value {
            properties[name] = json!(text::safe(value));
        }
    }
    for (name, time) in [("authored", occurrence.authored), ("committed", occurrence.committed)] {
        if let Some(time) = time {
            properties[name] = json!(time.to_string());
        }
    }
    if let Some(reach) = &occurrence.reach {
        properties["reach"] = json!(reach.from);
        properties["reachedFrom"] = reach.refs.iter().map(|name| text::safe(name)).collect();
    }
    if !occurrence.encoding.is_empty() {
        properties["encoding"] = occurrence.encoding.iter().map(|e| text::safe(e)).collect();
    }
    let mut location = physical(&occurrence.path, root, Some(region));
    location["properties"] = properties;
    location
}

/// Where a problem is, with the pointer into a JSON document as its logical place.
pub(super) fn of_place(place: &Place, root: Option<&Path>) -> Value {
    let region = (place.line > 0).then(|| {
        let mut region = json!({ "startLine": place.line });
        if place.column > 0 {
            region["startColumn"] = json!(place.column);
        }
        region
    });
    let mut location = physical(&place.file, root, region);
    if let Some(pointer) = &place.pointer {
        location["logicalLocations"] = json!([{ "fullyQualifiedName": text::safe(pointer), "kind": "member" }]);
    }
    location
}

/// A file as a whole; `None` for what has no name.
pub(super) fn file(path: &str, root: Option<&Path>) -> Option<Value> {
    artifact(path, root).map(|artifact| json!({ "physicalLocation": { "artifactLocation": artifact } }))
}

fn physical(path: &str, root: Option<&Path>, region: Option<Value>) -> Value {
    // What has no path still needs a location: consumers drop results without one.
    let artifact = artifact(path, root).unwrap_or_else(|| json!({ "uri": "-", "uriBaseId": BASE }));
    let mut location = json!({ "physicalLocation": { "artifactLocation": artifact } });
    if let Some(region) = region {
        location["physicalLocation"]["region"] = region;
    }
    location
}

fn artifact(path: &str, root: Option<&Path>) -> Option<Value> {
    let uri = uri::reference(path, root)?;
    Some(if uri.starts_with("file:") { json!({ "uri": uri }) } else { json!({ "uri": uri, "uriBaseId": BASE }) })
}
