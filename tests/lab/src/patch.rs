//! Patches: JSON merge patch (RFC 7386), and Kubernetes' strategic merge patch, which merges lists by a key.

use serde_json::{Map, Value};

use crate::{
    meta,
    status::{Answer, Failure},
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PatchType {
    Merge,
    StrategicMerge,
}

impl PatchType {
    pub fn of(media_type: &str) -> Answer<Self> {
        match media_type {
            "application/merge-patch+json" => Ok(Self::Merge),
            "application/strategic-merge-patch+json" => Ok(Self::StrategicMerge),
            _ => Err(Failure::unsupported_media_type(
                "application/merge-patch+json, application/strategic-merge-patch+json",
            )),
        }
    }

    pub fn apply(self, target: &mut Value, patch: &Value) {
        match self {
            Self::Merge => merge(target, patch),
            Self::StrategicMerge => strategic(target, patch),
        }
    }
}

fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(fields) = patch else {
        *target = patch.clone();
        return;
    };
    let map = as_map(target);
    for (field, value) in fields {
        if value.is_null() {
            map.remove(field);
        } else {
            merge(map.entry(field.clone()).or_insert(Value::Null), value);
        }
    }
}

fn as_map(value: &mut Value) -> &mut Map<String, Value> {
    if !value.is_object() {
        *value = Value::Object(Map::new());
    }
    value.as_object_mut().expect("just made an object")
}

/// The `patchMergeKey` of the lists that the served types have. Every other list is replaced.
fn merge_key(list: &str) -> Option<&'static str> {
    match list {
        "containers" | "initContainers" | "ephemeralContainers" | "volumes" | "env" | "imagePullSecrets" => {
            Some("name")
        }
        "volumeMounts" => Some("mountPath"),
        "volumeDevices" => Some("devicePath"),
        "ports" => Some("containerPort"),
        "conditions" => Some("type"),
        "ownerReferences" => Some("uid"),
        "hostAliases" => Some("ip"),
        _ => None,
    }
}

fn strategic(target: &mut Value, patch: &Value) {
    let Value::Object(fields) = patch else {
        *target = patch.clone();
        return;
    };
    if patch["$patch"] == "replace" {
        let mut replacement = patch.clone();
        meta::remove(&mut replacement, "$patch");
        *target = replacement;
        return;
    }
    let map = as_map(target);
    for (field, value) in fields {
        if field.starts_with('$') {
            // Directives about order and retained keys matter only to the clients that compute patches.
            continue;
        }
        match (value, merge_key(field)) {
            (Value::Null, _) => {
                map.remove(field);
            }
            (Value::Array(items), Some(key)) => {
                let list = map.entry(field.clone()).or_insert_with(|| Value::Array(Vec::new()));
                merge_list(list, items, key);
            }
            _ => strategic(map.entry(field.clone()).or_insert(Value::Null), value),
        }
    }
}

/// Elements with the key of an existing one are merged into it; new ones come before the old ones, as in the API
/// server.
fn merge_list(list: &mut Value, patch: &[Value], key: &str) {
    let old = match list.take() {
        Value::Array(items) if !patch.iter().any(|item| item["$patch"] == "replace") => items,
        _ => Vec::new(),
    };
    let (mut kept, mut added) = (old, Vec::new());
    for item in patch {
        let at = kept.iter().position(|one| one[key] == item[key]);
        match (meta::text(item, "$patch"), at) {
            ("replace", _) | ("delete", None) => {}
            ("delete", Some(at)) => {
                kept.remove(at);
            }
            (_, Some(at)) => strategic(&mut kept[at], item),
            (_, None) => {
                let mut new = Value::Null;
                strategic(&mut new, item);
                added.push(new);
            }
        }
    }
    added.append(&mut kept);
    *list = Value::Array(added);
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn patched(kind: PatchType, mut target: Value, patch: &Value) -> Value {
        kind.apply(&mut target, patch);
        target
    }

    #[test]
    fn a_merge_patch_replaces_a_list_and_a_strategic_one_merges_it_by_name() {
        let pod = json!({"spec": {"ephemeralContainers": [{"name": "a", "image": "i"}]}});
        let patch = json!({"spec": {"ephemeralContainers": [{"name": "b"}]}});
        let names = |pod: &Value| -> Vec<String> {
            meta::items(&pod["spec"], "ephemeralContainers").iter().map(|one| meta::text(one, "name").into()).collect()
        };
        assert_eq!(names(&patched(PatchType::Merge, pod.clone(), &patch)), ["b"]);
        assert_eq!(names(&patched(PatchType::StrategicMerge, pod, &patch)), ["b", "a"]);
    }

    #[test]
    fn a_strategic_patch_changes_one_field_of_a_list_element() {
        let pod = json!({"spec": {"containers": [{"name": "a", "image": "1", "args": ["x", "y"]}]}});
        let patch = json!({"spec": {"containers": [{"name": "a", "image": "2", "args": ["z"]}]}});
        let expected = json!({"spec": {"containers": [{"name": "a", "image": "2", "args": ["z"]}]}});
        assert_eq!(patched(PatchType::StrategicMerge, pod, &patch), expected);
    }

    #[test]
    fn null_removes_and_delete_directives_take_elements_away() {
        let object = json!({"metadata": {"labels": {"a": "1", "b": "2"}}, "spec": {"containers": [{"name": "a"}]}});
        let labels = json!({"metadata": {"labels": {"a": null}}});
        for kind in [PatchType::Merge, PatchType::StrategicMerge] {
            assert_eq!(patched(kind, object.clone(), &labels)["metadata"]["labels"], json!({"b": "2"}));
        }
        let delete = json!({"spec": {"containers": [{"name": "a", "$patch": "delete"}]}});
        assert_eq!(patched(PatchType::StrategicMerge, object, &delete)["spec"]["containers"], json!([]));
    }
}
