//! As much of `/openapi/v3` as kubectl reads before it creates: that the server validates fields itself.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::{
    resource::{self, Resource},
    status::{Answer, Failure},
};

fn location(resource: &Resource) -> String {
    let prefix = if resource.group.is_empty() { "api" } else { "apis" };
    format!("{prefix}/{}", resource.api_version())
}

/// The document at `path`, `/openapi/v3` or below it.
pub(super) fn document(path: &str) -> Answer<Value> {
    let below = path.strip_prefix("/openapi/v3").ok_or_else(Failure::no_such_path)?.trim_start_matches('/');
    if below.is_empty() {
        let paths: BTreeMap<String, Value> = resource::ALL
            .into_iter()
            .map(|resource| {
                (location(resource), json!({"serverRelativeURL": format!("/openapi/v3/{}", location(resource))}))
            })
            .collect();
        return Ok(json!({ "paths": paths }));
    }
    let paths: BTreeMap<String, Value> = resource::ALL
        .into_iter()
        .filter(|resource| location(resource) == below)
        .map(|resource| (format!("/{below}/{}/{{name}}", resource.plural), patch_operation(resource)))
        .collect();
    if paths.is_empty() {
        return Err(Failure::no_such_path());
    }
    Ok(json!({"openapi": "3.0.0", "info": {"title": "Kubernetes", "version": "v1.36.2"}, "paths": paths}))
}

fn patch_operation(resource: &Resource) -> Value {
    let parameter = json!({"name": "fieldValidation", "in": "query", "schema": {"type": "string"}});
    json!({"patch": {
        "parameters": [parameter],
        "responses": {},
        "x-kubernetes-group-version-kind":
            {"group": resource.group, "version": resource.version, "kind": resource.kind},
    }})
}
