//! Level `restricted`: current practice of pod hardening.

use serde_json::{Value, json};

use super::{Check, Finding, Pod, baseline, named, plural, quoted};
use crate::meta;

pub(super) const CHECKS: &[Check] =
    &[privilege_escalation, capabilities, volumes, run_as_non_root, run_as_user, seccomp];

fn privilege_escalation(pod: &Pod<'_>) -> Option<Finding> {
    let names =
        pod.containers_where(|container| container["securityContext"]["allowPrivilegeEscalation"] != json!(false));
    let detail = format!("{} must set securityContext.allowPrivilegeEscalation=false", named(&names));
    (!names.is_empty()).then_some(Finding { reason: "allowPrivilegeEscalation != false", detail })
}

fn capabilities(pod: &Pod<'_>) -> Option<Finding> {
    let drops_all = |container: &Value| {
        meta::items(&container["securityContext"]["capabilities"], "drop").iter().any(|capability| capability == "ALL")
    };
    let names = pod.containers_where(|container| !drops_all(container));
    let mut details = Vec::new();
    if !names.is_empty() {
        details.push(format!("{} must set securityContext.capabilities.drop=[\"ALL\"]", named(&names)));
    }
    details.extend(baseline::added_capabilities(pod, &["NET_BIND_SERVICE"]));
    (!details.is_empty()).then(|| Finding { reason: "unrestricted capabilities", detail: details.join("; ") })
}

fn volumes(pod: &Pod<'_>) -> Option<Finding> {
    const ALLOWED: &[&str] = &[
        "configMap",
        "csi",
        "downwardAPI",
        "emptyDir",
        "ephemeral",
        "image",
        "persistentVolumeClaim",
        "projected",
        "secret",
    ];
    let forbidden = |volume: &Value| -> Option<String> {
        volume.as_object()?.keys().find(|key| *key != "name" && !ALLOWED.contains(&key.as_str())).cloned()
    };
    let all = meta::items(pod.spec(), "volumes");
    let bad: Vec<&Value> = all.iter().filter(|volume| forbidden(volume).is_some()).collect();
    let names: Vec<&str> = bad.iter().map(|volume| meta::text(volume, "name")).collect();
    let mut kinds: Vec<String> = bad.iter().filter_map(|volume| forbidden(volume)).collect();
    kinds.sort();
    kinds.dedup();
    let uses = if names.len() == 1 { "uses" } else { "use" };
    let detail = format!(
        "{} {} {uses} restricted volume {} {}",
        plural(names.len(), "volume", "volumes"),
        quoted(&names),
        plural(kinds.len(), "type", "types"),
        quoted(&kinds)
    );
    (!names.is_empty()).then_some(Finding { reason: "restricted volume types", detail })
}

fn run_as_non_root(pod: &Pod<'_>) -> Option<Finding> {
    let reason = "runAsNonRoot != true";
    if let Some(setters) = pod.setters(|context| context["runAsNonRoot"] == json!(false)) {
        return Some(Finding { reason, detail: format!("{setters} must not set securityContext.runAsNonRoot=false") });
    }
    let names = unset(pod, |context| context["runAsNonRoot"] == json!(true))?;
    Some(Finding { reason, detail: format!("pod or {} must set securityContext.runAsNonRoot=true", named(&names)) })
}

fn run_as_user(pod: &Pod<'_>) -> Option<Finding> {
    let setters = pod.setters(|context| context["runAsUser"] == json!(0))?;
    Some(Finding { reason: "runAsUser=0", detail: format!("{setters} must not set runAsUser=0") })
}

fn seccomp(pod: &Pod<'_>) -> Option<Finding> {
    let reason = "seccompProfile";
    if let Some(detail) = baseline::forbidden_seccomp(pod) {
        return Some(Finding { reason, detail });
    }
    let names = unset(pod, |context| context["seccompProfile"]["type"].is_string())?;
    let detail = format!(
        "pod or {} must set securityContext.seccompProfile.type to \"RuntimeDefault\" or \"Localhost\"",
        named(&names)
    );
    Some(Finding { reason, detail })
}

/// The containers that do not set a field which the pod does not set either.
fn unset<'a>(pod: &Pod<'a>, set: impl Fn(&Value) -> bool) -> Option<Vec<&'a str>> {
    if set(pod.security_context()) {
        return None;
    }
    let names = pod.containers_where(|container| !set(&container["securityContext"]));
    (!names.is_empty()).then_some(names)
}
