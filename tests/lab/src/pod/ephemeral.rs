//! The rules of ephemeral containers: what they may carry, and that they never change.

use serde_json::{Value, json};

use super::{names, validation};
use crate::{meta, status::Cause};

const LIST: &str = "spec.ephemeralContainers";

/// Fields that the API has for containers but not for ephemeral ones.
const FORBIDDEN: &[&str] = &[
    "lifecycle",
    "livenessProbe",
    "ports",
    "readinessProbe",
    "resizePolicy",
    "resources",
    "restartPolicy",
    "restartPolicyRules",
    "startupProbe",
];

/// Checks the ephemeral containers of `new`, given the pod as it was.
pub fn validate(old: &Value, new: &Value) -> Vec<Cause> {
    // https://github.com/kubernetes/kubernetes/issues/113935
    if old["metadata"]["annotations"]["kubernetes.io/config.mirror"].is_string() {
        // The error's path is of no field; so it is printed (tests/recordings/ephemeral-patch-static-pod.json).
        return vec![Cause::forbidden("[]", "static pods do not support ephemeral containers")];
    }
    let mut causes = Vec::new();
    let containers = meta::items(&new["spec"], "ephemeralContainers");
    for (index, container) in containers.iter().enumerate() {
        let path = format!("{LIST}[{index}]");
        let name = meta::text(container, "name");
        names::check_label(&format!("{path}.name"), name, &mut causes);
        let taken = containers[..index].iter().any(|earlier| meta::text(earlier, "name") == name)
            || ["initContainers", "containers"]
                .iter()
                .any(|list| meta::items(&new["spec"], list).iter().any(|one| meta::text(one, "name") == name));
        if taken && !name.is_empty() {
            causes.push(Cause::duplicate(format!("{path}.name"), name));
        }
        check_target(new, container, &path, &mut causes);
        check_fields(container, &path, &mut causes);
        validation::container_fields(&new["spec"], container, &path, &mut causes);
    }
    causes.extend(immutability(old, new));
    causes
}

/// Makes the root file system of each new one read-only.
pub fn seal_new(old: &Value, new: &mut Value) {
    let names = |pod: &Value| -> Vec<String> {
        let containers = meta::items(&pod["spec"], "ephemeralContainers").iter();
        containers.map(|container| meta::text(container, "name").to_owned()).collect()
    };
    let before = names(old);
    let containers = new["spec"]["ephemeralContainers"].as_array_mut();
    for container in containers.into_iter().flatten().filter(|one| !before.iter().any(|name| one["name"] == **name)) {
        container["securityContext"]["readOnlyRootFilesystem"] = true.into();
    }
}

fn check_target(pod: &Value, container: &Value, path: &str, causes: &mut Vec<Cause>) {
    let target = meta::text(container, "targetContainerName");
    let known = ["containers", "initContainers"]
        .iter()
        .any(|list| meta::items(&pod["spec"], list).iter().any(|one| meta::text(one, "name") == target));
    if !target.is_empty() && !known {
        causes.push(Cause::not_found(format!("{path}.targetContainerName"), target));
    }
}

fn check_fields(container: &Value, path: &str, causes: &mut Vec<Cause>) {
    for field in FORBIDDEN {
        if meta::is_set(&container[field]) {
            causes.push(Cause::forbidden(format!("{path}.{field}"), "cannot be set for an Ephemeral Container"));
        }
    }
    for (index, mount) in meta::items(container, "volumeMounts").iter().enumerate() {
        for field in ["subPath", "subPathExpr"] {
            if meta::is_set(&mount[field]) {
                let field = format!("{path}.volumeMounts[{index}].{field}");
                causes.push(Cause::forbidden(field, "cannot be set for an Ephemeral Container"));
            }
        }
    }
}

fn immutability(old: &Value, new: &Value) -> Vec<Cause> {
    let new_list = meta::items(&new["spec"], "ephemeralContainers");
    let mut causes = Vec::new();
    for before in meta::items(&old["spec"], "ephemeralContainers") {
        let name = meta::text(before, "name");
        match new_list.iter().find(|after| meta::text(after, "name") == name) {
            None => causes
                .push(Cause::forbidden(LIST, &format!("existing ephemeral containers {name:?} may not be removed\n"))),
            Some(after) if after != before => causes.push(Cause::forbidden(
                LIST,
                &format!("existing ephemeral containers {name:?} may not be changed\n{}", difference(before, after)),
            )),
            Some(_) => {}
        }
    }
    causes
}

/// The fields that differ, one a line. The API server prints a diff of Go structs here.
fn difference(before: &Value, after: &Value) -> String {
    let mut fields: Vec<&String> =
        before.as_object().into_iter().chain(after.as_object()).flat_map(|map| map.keys()).collect();
    fields.sort();
    fields.dedup();
    fields
        .into_iter()
        .filter(|field| before[*field] != after[*field])
        .map(|field| format!("-  {}\n+  {}\n", json!({ field: before[field] }), json!({ field: after[field] })))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(ephemeral: &Value) -> Value {
        json!({"spec": {"containers": [{"name": "app", "image": "a"}], "ephemeralContainers": ephemeral}})
    }

    fn one(name: &str) -> Value {
        json!({
            "name": name, "image": "i", "imagePullPolicy": "IfNotPresent", "resources": {},
            "terminationMessagePolicy": "File", "targetContainerName": "app",
        })
    }

    #[test]
    fn an_ephemeral_container_can_be_added_but_neither_changed_nor_removed() {
        let (none, first) = (pod(&json!([])), pod(&json!([one("a")])));
        assert_eq!(validate(&none, &first), []);
        assert_eq!(validate(&first, &pod(&json!([one("b"), one("a")]))), []);
        let mut other = one("a");
        other["command"] = json!(["x"]);
        assert!(validate(&first, &pod(&json!([other])))[0].message.contains("may not be changed"));
        assert!(validate(&first, &none)[0].message.contains("\"a\" may not be removed"));
    }

    #[test]
    fn a_new_one_is_sealed_and_an_old_one_is_left_as_it_is() {
        let (old, mut new) = (pod(&json!([one("a")])), pod(&json!([one("b"), one("a")])));
        seal_new(&old, &mut new);
        let sealed = |index: usize| new["spec"]["ephemeralContainers"][index]["securityContext"].clone();
        assert_eq!((sealed(0), sealed(1)), (json!({"readOnlyRootFilesystem": true}), Value::Null));
        assert_eq!(validate(&old, &new), []);
    }

    #[test]
    fn a_static_pod_takes_none() {
        let mut old = pod(&json!([]));
        old["metadata"] = json!({"annotations": {"kubernetes.io/config.mirror": "x"}});
        let causes = validate(&old, &pod(&json!([one("a")])));
        assert_eq!(causes[0].message, "Forbidden: static pods do not support ephemeral containers");
    }

    #[test]
    fn two_of_one_name_and_a_sub_path_are_refused() {
        let mut mounting = one("b");
        mounting["volumeMounts"] = json!([{"name": "v", "mountPath": "/v", "subPath": "s"}]);
        let mut new = pod(&json!([one("a"), one("a"), mounting]));
        new["spec"]["volumes"] = json!([{"name": "v", "emptyDir": {}}]);
        let fields: Vec<String> = validate(&pod(&json!([])), &new).into_iter().map(|cause| cause.field).collect();
        assert_eq!(fields, ["spec.ephemeralContainers[1].name", "spec.ephemeralContainers[2].volumeMounts[0].subPath"]);
    }
}
