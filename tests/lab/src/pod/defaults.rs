//! The values that the API server and its admission plugins fill into a pod.

use serde_json::{Value, json};

use super::LISTS;
use crate::meta;

/// Sets `object[field]` where it is absent or null.
fn default(object: &mut Value, field: &str, value: impl Into<Value>) {
    if object[field].is_null() {
        object[field] = value.into();
    }
}

fn each<'a>(object: &'a mut Value, list: &str) -> impl Iterator<Item = &'a mut Value> + use<'a> {
    object.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten()
}

/// Defaults of a pod, or of the pod template of a workload: what the versioned defaulting functions do.
pub fn pod_spec(spec: &mut Value) {
    default(spec, "restartPolicy", "Always");
    default(spec, "terminationGracePeriodSeconds", 30);
    default(spec, "dnsPolicy", "ClusterFirst");
    default(spec, "securityContext", json!({}));
    default(spec, "schedulerName", "default-scheduler");
    if let Some(account) = spec["serviceAccountName"].as_str().map(str::to_owned) {
        default(spec, "serviceAccount", account);
    }
    each(spec, "volumes").for_each(volume);
    for list in LISTS {
        each(spec, list).for_each(container);
    }
}

/// Defaults that only a pod gets, not a template.
pub fn pod(pod: &mut Value) {
    let spec = &mut pod["spec"];
    pod_spec(spec);
    default(spec, "enableServiceLinks", true);
    default(spec, "priority", 0);
    default(spec, "preemptionPolicy", "PreemptLowerPriority");
    default(spec, "serviceAccountName", "default");
    let account = meta::text(spec, "serviceAccountName").to_owned();
    default(spec, "serviceAccount", account);
    if spec["tolerations"].is_null() {
        spec["tolerations"] = ["not-ready", "unreachable"]
            .into_iter()
            .map(|state| {
                json!({
                    "key": format!("node.kubernetes.io/{state}"),
                    "operator": "Exists",
                    "effect": "NoExecute",
                    "tolerationSeconds": 300,
                })
            })
            .collect();
    }
}

/// Defaults of one container, ephemeral ones included.
pub fn container(container: &mut Value) {
    let image = meta::text(container, "image").to_owned();
    default(container, "terminationMessagePath", "/dev/termination-log");
    default(container, "terminationMessagePolicy", "File");
    default(container, "imagePullPolicy", if is_latest(&image) { "Always" } else { "IfNotPresent" });
    default(container, "resources", json!({}));
    let limits = container["resources"]["limits"].as_object().cloned().unwrap_or_default();
    for (resource, limit) in limits {
        let requests = &mut container["resources"]["requests"];
        if requests[&resource].is_null() {
            requests[&resource] = limit;
        }
    }
    each(container, "ports").for_each(|port| default(port, "protocol", "TCP"));
    for variable in each(container, "env") {
        if variable["valueFrom"]["fieldRef"].is_object() {
            default(&mut variable["valueFrom"]["fieldRef"], "apiVersion", "v1");
        }
        normalise_empty(variable, "value");
        normalise_null(variable, "valueFrom");
    }
    for name in ["livenessProbe", "readinessProbe", "startupProbe"] {
        if container.get(name).is_some_and(Value::is_object) {
            probe(&mut container[name]);
        }
    }
    for absent in ["command", "args", "env", "envFrom", "volumeMounts", "ports"] {
        if container.get(absent).is_some_and(|list| !meta::is_set(list)) {
            meta::remove(container, absent);
        }
    }
}

/// An empty text is not written by the API server.
fn normalise_empty(object: &mut Value, field: &str) {
    if object.get(field).is_some_and(|text| text == "") {
        meta::remove(object, field);
    }
}

fn normalise_null(object: &mut Value, field: &str) {
    if object.get(field).is_some_and(Value::is_null) {
        meta::remove(object, field);
    }
}

fn probe(probe: &mut Value) {
    default(probe, "timeoutSeconds", 1);
    default(probe, "periodSeconds", 10);
    default(probe, "successThreshold", 1);
    default(probe, "failureThreshold", 3);
    if probe.get("httpGet").is_some_and(Value::is_object) {
        default(&mut probe["httpGet"], "path", "/");
        default(&mut probe["httpGet"], "scheme", "HTTP");
    }
}

fn volume(volume: &mut Value) {
    for projected in ["projected", "secret", "configMap", "downwardAPI"] {
        if volume.get(projected).is_some_and(Value::is_object) {
            default(&mut volume[projected], "defaultMode", 420);
        }
    }
    if volume.get("hostPath").is_some_and(Value::is_object) {
        default(&mut volume["hostPath"], "type", "");
    }
}

/// Whether a reference's tag is `latest`, said or implied.
fn is_latest(image: &str) -> bool {
    if image.contains('@') {
        return false;
    }
    let last = image.rsplit('/').next().unwrap_or_default();
    last.split_once(':').is_none_or(|(_, tag)| tag == "latest")
}

/// What the ServiceAccount admission plugin adds: the volume with the account's token, mounted into every container
/// that has nothing else at that path. Ephemeral containers get none.
pub fn service_account_volume(pod: &mut Value) {
    const PATH: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
    let spec = &mut pod["spec"];
    if spec["automountServiceAccountToken"] == json!(false) {
        return;
    }
    let name = format!("kube-api-access-{}", meta::suffix(5));
    let mut mounted = false;
    for list in ["initContainers", "containers"] {
        for container in each(spec, list) {
            let taken = meta::items(container, "volumeMounts").iter().any(|mount| mount["mountPath"] == PATH);
            if taken {
                continue;
            }
            mounted = true;
            push(container, "volumeMounts", json!({"name": name, "readOnly": true, "mountPath": PATH}));
        }
    }
    if !mounted {
        return;
    }
    let field = json!({"apiVersion": "v1", "fieldPath": "metadata.namespace"});
    let sources = json!([
        {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
        {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
        {"downwardAPI": {"items": [{"path": "namespace", "fieldRef": field}]}},
    ]);
    push(spec, "volumes", json!({"name": name, "projected": {"sources": sources, "defaultMode": 420}}));
}

fn push(object: &mut Value, list: &str, item: Value) {
    match object[list].as_array_mut() {
        Some(items) => items.push(item),
        None => object[list] = json!([item]),
    }
}

/// `status.qosClass`, from the requests and limits of all containers.
pub fn qos_class(pod: &Value) -> &'static str {
    let (mut any, mut guaranteed) = (false, true);
    for list in ["initContainers", "containers"] {
        for container in meta::items(&pod["spec"], list) {
            let resources = &container["resources"];
            any |= meta::is_set(&resources["limits"]) || meta::is_set(&resources["requests"]);
            for resource in ["cpu", "memory"] {
                let limit = &resources["limits"][resource];
                guaranteed &= !limit.is_null() && *limit == resources["requests"][resource];
            }
        }
    }
    match (any, guaranteed) {
        (false, _) => "BestEffort",
        (true, true) => "Guaranteed",
        (true, false) => "Burstable",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pull_policy_follows_the_tag() {
        for (image, policy) in [
            ("app", "Always"),
            ("app:latest", "Always"),
            ("localhost:5000/app", "Always"),
            ("app:1", "IfNotPresent"),
            ("app@sha256:00", "IfNotPresent"),
        ] {
            let mut one = json!({ "image": image });
            container(&mut one);
            assert_eq!(one["imagePullPolicy"], policy, "{image}");
        }
    }

    #[test]
    fn the_quality_of_service_is_guaranteed_only_where_every_container_has_both_limits() {
        let with = |resources: Value| json!({"spec": {"containers": [{"name": "a", "resources": resources}]}});
        let both = json!({"cpu": "1", "memory": "1Gi"});
        assert_eq!(qos_class(&with(json!({}))), "BestEffort");
        assert_eq!(qos_class(&with(json!({"limits": both, "requests": both}))), "Guaranteed");
        assert_eq!(qos_class(&with(json!({"requests": {"cpu": "20m"}}))), "Burstable");
    }
}
