//! What kubectl reads to learn which resources there are: `/version`, `/api`, `/apis` and the lists below them, in the
//! old form and in the aggregated one.

use std::collections::BTreeMap;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{HeaderMap, Response, StatusCode, header};
use http_body_util::{BodyExt, Full};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::openapi;
use crate::{
    http::body::{self, Body},
    resource::{self, Resource},
    status::{Answer, Failure},
};

const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";

pub(super) fn answer(path: &str, headers: &HeaderMap) -> Answer<Response<Body>> {
    let path = path.trim_end_matches('/');
    let value = match path {
        "/version" => version(),
        "/healthz" | "/livez" | "/readyz" => return Ok(body::text(StatusCode::OK, "ok")),
        "/api" | "/apis" if accepts_aggregated(headers) => return Ok(aggregated(path == "/api")),
        "/api" => json!({
            "kind": "APIVersions",
            "versions": ["v1"],
            "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": "127.0.0.1"}],
        }),
        "/apis" => json!({
            "kind": "APIGroupList",
            "apiVersion": "v1",
            "groups": groups().into_keys().filter(|(group, _)| !group.is_empty()).map(group).collect::<Vec<_>>(),
        }),
        _ if path.starts_with("/openapi/") => openapi::document(path)?,
        _ => return resource_list(path),
    };
    Ok(body::json(StatusCode::OK, &value))
}

/// The lab says what the recorded cluster said, whose API it stands in for.
fn version() -> Value {
    json!({
        "major": "1",
        "minor": "36",
        "emulationMajor": "1",
        "emulationMinor": "36",
        "minCompatibilityMajor": "1",
        "minCompatibilityMinor": "35",
        "gitVersion": "v1.36.2",
        "gitCommit": "$Format:%H$",
        "gitTreeState": "clean",
        "buildDate": "2026-01-01T00:00:00Z",
        "goVersion": "go1.26.10",
        "compiler": "gc",
        "platform": "linux/amd64",
    })
}

type Groups = BTreeMap<(&'static str, &'static str), Vec<&'static Resource>>;

fn groups() -> Groups {
    let mut groups = Groups::new();
    for resource in resource::ALL {
        groups.entry((resource.group, resource.version)).or_default().push(resource);
    }
    groups
}

fn group((name, version): (&str, &str)) -> Value {
    let version = json!({"groupVersion": format!("{name}/{version}"), "version": version});
    json!({"name": name, "versions": [version], "preferredVersion": version})
}

fn resource_list(path: &str) -> Answer<Response<Body>> {
    let parts: Vec<&str> = path.trim_start_matches('/').split('/').collect();
    let wanted = match parts.as_slice() {
        ["api", version] => ("", *version),
        ["apis", name] => {
            let found = groups().into_keys().find(|(group, _)| group == name).ok_or_else(Failure::no_such_path)?;
            let mut value = group(found);
            value["kind"] = "APIGroup".into();
            value["apiVersion"] = "v1".into();
            return Ok(body::json(StatusCode::OK, &value));
        }
        ["apis", group, version] => (*group, *version),
        _ => return Err(Failure::no_such_path()),
    };
    let (_, resources) = groups().into_iter().find(|(key, _)| *key == wanted).ok_or_else(Failure::no_such_path)?;
    let mut list = json!({
        "kind": "APIResourceList",
        "groupVersion": resources[0].api_version(),
        "resources": resources.into_iter().flat_map(described).collect::<Vec<_>>(),
    });
    if !wanted.0.is_empty() {
        list["apiVersion"] = "v1".into();
    }
    Ok(body::json(StatusCode::OK, &list))
}

/// A resource and its subresources, as an `APIResourceList` has them.
fn described(resource: &'static Resource) -> Vec<Value> {
    let mut own = json!({
        "name": resource.plural,
        "singularName": resource.singular,
        "namespaced": resource.namespaced,
        "kind": resource.kind,
        "verbs": resource.verbs,
    });
    if !resource.short_names.is_empty() {
        own["shortNames"] = json!(resource.short_names);
    }
    if !resource.categories.is_empty() {
        own["categories"] = json!(resource.categories);
    }
    if resource.verbs.contains(&"get") {
        own["storageVersionHash"] = storage_version_hash(resource).into();
    }
    let mut all = vec![own];
    for sub in resource.subresources {
        let mut entry = json!({
            "name": format!("{}/{}", resource.plural, sub.name),
            "singularName": "",
            "namespaced": resource.namespaced,
            "kind": sub.kind,
            "verbs": sub.verbs,
        });
        if let Some((group, version)) = sub.group_version {
            entry["group"] = group.into();
            entry["version"] = version.into();
        }
        all.push(entry);
    }
    all
}

/// The first eight bytes of the SHA-256 of `group/version/kind`.
fn storage_version_hash(resource: &Resource) -> String {
    let text = format!("{}/{}/{}", resource.group, resource.version, resource.kind);
    STANDARD.encode(&Sha256::digest(text.as_bytes())[..8])
}

fn accepts_aggregated(headers: &HeaderMap) -> bool {
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    accept.split(',').any(|one| one.replace(' ', "") == AGGREGATED)
}

fn aggregated(core: bool) -> Response<Body> {
    let items: Vec<Value> = groups()
        .into_iter()
        .filter(|((group, _), _)| group.is_empty() == core)
        .map(|((group, version), resources)| {
            let resources: Vec<Value> = resources.into_iter().map(aggregated_resource).collect();
            let metadata = if group.is_empty() { json!({}) } else { json!({ "name": group }) };
            let version = json!({"version": version, "resources": resources, "freshness": "Current"});
            json!({"metadata": metadata, "versions": [version]})
        })
        .collect();
    let list = json!({
        "kind": "APIGroupDiscoveryList",
        "apiVersion": "apidiscovery.k8s.io/v2",
        "metadata": {},
        "items": items,
    });
    let bytes = serde_json::to_vec(&list).expect("a JSON value has no key but text");
    body::with_type(StatusCode::OK, AGGREGATED, Full::from(bytes).boxed_unsync())
}

fn aggregated_resource(resource: &Resource) -> Value {
    let scope = if resource.namespaced { "Namespaced" } else { "Cluster" };
    let kind = |group: &str, version: &str, kind: &str| json!({"group": group, "version": version, "kind": kind});
    let subresources: Vec<Value> = resource
        .subresources
        .iter()
        .map(|sub| {
            let (group, version) = sub.group_version.unwrap_or((resource.group, resource.version));
            json!({"subresource": sub.name, "responseKind": kind(group, version, sub.kind), "verbs": sub.verbs})
        })
        .collect();
    let mut described = json!({
        "resource": resource.plural,
        "responseKind": kind(resource.group, resource.version, resource.kind),
        "scope": scope,
        "singularResource": resource.singular,
        "verbs": resource.verbs,
    });
    for (field, list) in [("shortNames", resource.short_names), ("categories", resource.categories)] {
        if !list.is_empty() {
            described[field] = json!(list);
        }
    }
    if !subresources.is_empty() {
        described["subresources"] = subresources.into();
    }
    described
}
