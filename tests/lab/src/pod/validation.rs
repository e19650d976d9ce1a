//! Validation of pods, as far as the lab's users can trip over it.

use serde_json::{Value, json};

use super::names;
use crate::{meta, status::Cause};

/// Checks a new pod.
pub fn pod(pod: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    names::check_subdomain("metadata.name", meta::name(pod), &mut causes);
    pod_spec(&pod["spec"], "spec", &mut causes);
    if meta::is_set(&pod["spec"]["ephemeralContainers"]) {
        causes.push(Cause::forbidden("spec.ephemeralContainers", "cannot be set on create"));
    }
    causes
}

/// Checks a pod's spec, or that of a template, which lies at `path`.
pub fn pod_spec(spec: &Value, path: &str, causes: &mut Vec<Cause>) {
    check_volumes(spec, path, causes);
    if meta::items(spec, "containers").is_empty() {
        causes.push(Cause::required(format!("{path}.containers"), ""));
    }
    let mut seen: Vec<&str> = Vec::new();
    for list in ["containers", "initContainers"] {
        for (index, container) in meta::items(spec, list).iter().enumerate() {
            let path = format!("{path}.{list}[{index}]");
            let name = meta::text(container, "name");
            names::check_label(&format!("{path}.name"), name, causes);
            if seen.contains(&name) && !name.is_empty() {
                causes.push(Cause::duplicate(format!("{path}.name"), name));
            }
            seen.push(name);
            container_fields(spec, container, &path, causes);
        }
    }
    one_of(spec, "restartPolicy", path, &["Always", "OnFailure", "Never"], causes);
    one_of(spec, "dnsPolicy", path, &["ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"], causes);
}

fn check_volumes(spec: &Value, path: &str, causes: &mut Vec<Cause>) {
    let volumes = meta::items(spec, "volumes");
    for (index, volume) in volumes.iter().enumerate() {
        let (path, name) = (format!("{path}.volumes[{index}].name"), meta::text(volume, "name"));
        names::check_label(&path, name, causes);
        if volumes[..index].iter().any(|earlier| meta::text(earlier, "name") == name) {
            causes.push(Cause::duplicate(path, name));
        }
    }
}

/// What every kind of container is checked for, apart from its name.
pub fn container_fields(spec: &Value, container: &Value, path: &str, causes: &mut Vec<Cause>) {
    if meta::text(container, "image").is_empty() {
        causes.push(Cause::required(format!("{path}.image"), ""));
    }
    one_of(container, "terminationMessagePolicy", path, &["FallbackToLogsOnError", "File"], causes);
    one_of(container, "imagePullPolicy", path, &["Always", "IfNotPresent", "Never"], causes);
    let mut mounted: Vec<&str> = Vec::new();
    for (index, mount) in meta::items(container, "volumeMounts").iter().enumerate() {
        let path = format!("{path}.volumeMounts[{index}]");
        let (volume, at) = (meta::text(mount, "name"), meta::text(mount, "mountPath"));
        if !meta::items(spec, "volumes").iter().any(|one| meta::text(one, "name") == volume) {
            causes.push(Cause::not_found(format!("{path}.name"), volume));
        }
        if at.is_empty() {
            causes.push(Cause::required(format!("{path}.mountPath"), ""));
        } else if mounted.contains(&at) {
            let cause = Cause::invalid(format!("{path}.mountPath"), &json!(at), "must be unique");
            causes.push(cause);
        }
        mounted.push(at);
    }
    for (index, variable) in meta::items(container, "env").iter().enumerate() {
        if meta::text(variable, "name").is_empty() {
            causes.push(Cause::required(format!("{path}.env[{index}].name"), ""));
        }
    }
    security_context(&container["securityContext"], &format!("{path}.securityContext"), causes);
}

fn security_context(context: &Value, path: &str, causes: &mut Vec<Cause>) {
    for id in ["runAsUser", "runAsGroup"] {
        if context[id].as_i64().is_some_and(|value| !(0..=2_147_483_647).contains(&value)) {
            let range = "must be between 0 and 2147483647, inclusive";
            causes.push(Cause::invalid(format!("{path}.{id}"), &context[id], range));
        }
    }
    if context["allowPrivilegeEscalation"] == json!(false) {
        if context["privileged"] == json!(true) {
            let why = "cannot set `allowPrivilegeEscalation` to false and `privileged` to true";
            causes.push(Cause::invalid(path, context, why));
        }
        let added = meta::items(&context["capabilities"], "add");
        if added.iter().any(|capability| capability == "CAP_SYS_ADMIN" || capability == "SYS_ADMIN") {
            let why = "cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN";
            causes.push(Cause::invalid(path, context, why));
        }
    }
    if context["seccompProfile"].is_object() {
        let kinds = ["Localhost", "RuntimeDefault", "Unconfined"];
        one_of(&context["seccompProfile"], "type", &format!("{path}.seccompProfile"), &kinds, causes);
    }
}

fn one_of(object: &Value, field: &str, path: &str, supported: &[&str], causes: &mut Vec<Cause>) {
    let value = meta::text(object, field);
    if value.is_empty() {
        causes.push(Cause::required(format!("{path}.{field}"), ""));
    } else if !supported.contains(&value) {
        causes.push(Cause::not_supported(format!("{path}.{field}"), value, supported));
    }
}

/// What may change in a pod that exists: metadata, images, tolerations that are added, deadlines that shrink. The lab
/// lets metadata and images change.
pub fn pod_update(old: &Value, new: &Value) -> Vec<Cause> {
    const RULE: &str = "pod updates may not change fields other than `spec.containers[*].image`,\
                        `spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only \
                        additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set \
                        to 1 if it was previously negative)";
    let mut causes = Vec::new();
    let without_images = |pod: &Value| {
        let mut spec = pod["spec"].clone();
        for list in ["containers", "initContainers"] {
            for container in spec.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten() {
                meta::remove(container, "image");
            }
        }
        spec
    };
    if without_images(old) != without_images(new) {
        causes.push(Cause::forbidden("spec", RULE));
    }
    causes
}
