//! What a pod may ask for and this cluster has not. It is refused by name: left out in silence, the pod would be
//! another one than its manifest says, ready without its probe for instance.

use serde_json::{Value, json};

use super::containers;
use crate::meta;

const OF_POD: &[&str] = &[
    "activeDeadlineSeconds",
    "dnsConfig",
    "hostAliases",
    "hostIPC",
    "hostNetwork",
    "hostPID",
    "hostname",
    "resourceClaims",
    "runtimeClassName",
];
const OF_POD_SECURITY: &[&str] = &["sysctls", "windowsOptions"];
const OF_CONTAINER: &[&str] =
    &["envFrom", "lifecycle", "livenessProbe", "readinessProbe", "startupProbe", "tty", "volumeDevices"];

/// Whether the liveness probe's first turn comes when no lab runs any more: as long a pod is what it would be without.
fn is_far(container: &Value) -> bool {
    container["livenessProbe"]["initialDelaySeconds"].as_u64().is_some_and(|seconds| seconds >= 24 * 60 * 60)
}

/// The first field that cannot be had, as a path.
pub fn field(pod: &Value) -> Option<String> {
    let spec = &pod["spec"];
    let set =
        |object: &Value, fields: &[&'static str]| fields.iter().copied().find(|field| meta::is_set(&object[field]));
    if let Some(field) = set(spec, OF_POD) {
        return Some(format!("spec.{field}"));
    }
    if spec["hostUsers"] == json!(false) {
        return Some("spec.hostUsers".to_owned());
    }
    if let Some(field) = set(&spec["securityContext"], OF_POD_SECURITY) {
        return Some(format!("spec.securityContext.{field}"));
    }
    containers(pod).find_map(|(list, container)| {
        let at = || format!("spec.{list}{{{}}}", meta::text(container, "name"));
        // A kubelet without AppArmor refuses such a pod too.
        let profile = meta::text(&container["securityContext"]["appArmorProfile"], "type");
        if !["", "Unconfined"].contains(&profile) {
            return Some(format!("{}.securityContext.appArmorProfile", at()));
        }
        let mut set = OF_CONTAINER.iter().filter(|field| meta::is_set(&container[**field]));
        let missing = set.find(|field| **field != "livenessProbe" || !is_far(container));
        missing.map(|field| format!("{}.{field}", at()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_had_is_named() {
        let with = |more: Value| {
            let mut container = json!({"name": "app", "image": "x"});
            container.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            field(&json!({"spec": {"containers": [container]}}))
        };
        assert_eq!(with(json!({"stdin": true, "tty": false})), None);
        let probe = json!({"readinessProbe": {"exec": {"command": ["true"]}}});
        assert_eq!(with(probe), Some("spec.containers{app}.readinessProbe".to_owned()));
        let alive =
            |delay: u32| json!({"livenessProbe": {"exec": {"command": ["true"]}, "initialDelaySeconds": delay}});
        assert_eq!(with(alive(60)), Some("spec.containers{app}.livenessProbe".to_owned()));
        assert_eq!(with(alive(24 * 60 * 60)), None);
        let confined = json!({"securityContext": {"appArmorProfile": {"type": "RuntimeDefault"}}});
        assert_eq!(with(confined), Some("spec.containers{app}.securityContext.appArmorProfile".to_owned()));
        assert_eq!(field(&json!({"spec": {"hostPID": true}})), Some("spec.hostPID".to_owned()));
        assert_eq!(field(&json!({"spec": {"hostUsers": false}})), Some("spec.hostUsers".to_owned()));
    }
}
