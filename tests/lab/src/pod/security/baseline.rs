//! Level `baseline`: known ways to more privilege are closed.

use serde_json::{Value, json};

use super::{Check, Finding, Pod, named, plural, quoted};
use crate::meta;

/// Ordered by the checks' ids, which is the order of the findings. `true` stands beside those that `restricted`
/// replaces by stricter ones.
pub(super) const CHECKS: &[(bool, Check)] = &[
    (false, app_armor),
    (true, capabilities),
    (false, host_namespaces),
    (false, host_path_volumes),
    (false, host_ports),
    (false, host_probes),
    (false, privileged),
    (false, proc_mount),
    (false, selinux),
    (true, seccomp),
    (false, sysctls),
    (false, windows_host_process),
];

const DEFAULT_CAPABILITIES: &[&str] = &[
    "AUDIT_WRITE",
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "FSETID",
    "KILL",
    "MKNOD",
    "NET_BIND_SERVICE",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYS_CHROOT",
];

fn app_armor(pod: &Pod<'_>) -> Option<Finding> {
    let profile = |context: &Value| context["appArmorProfile"]["type"].as_str().map(str::to_owned);
    let bad =
        |context: &Value| profile(context).is_some_and(|kind| !matches!(kind.as_str(), "RuntimeDefault" | "Localhost"));
    let mut details = Vec::new();
    if let Some(setters) = pod.setters(bad) {
        let values = pod.values(|context| bad(context).then(|| profile(context)).flatten());
        details.push(format!("{setters} must not set AppArmor profile type to {}", quoted(&values)));
    }
    for (key, value) in pod.pod["metadata"]["annotations"].as_object().into_iter().flatten() {
        let value = value.as_str().unwrap_or_default();
        let allowed = value.is_empty() || value == "runtime/default" || value.starts_with("localhost/");
        if key.starts_with("container.apparmor.security.beta.kubernetes.io/") && !allowed {
            details.push(format!("{key}={value:?}"));
        }
    }
    let reason = plural(details.len(), "forbidden AppArmor profile", "forbidden AppArmor profiles");
    (!details.is_empty()).then(|| Finding { reason, detail: details.join(", ") })
}

fn capabilities(pod: &Pod<'_>) -> Option<Finding> {
    added_capabilities(pod, DEFAULT_CAPABILITIES).map(|detail| Finding { reason: "non-default capabilities", detail })
}

/// The detail about capabilities that are added without being allowed.
pub(super) fn added_capabilities(pod: &Pod<'_>, allowed: &[&str]) -> Option<String> {
    let added = |container: &Value| -> Vec<String> {
        meta::items(&container["securityContext"]["capabilities"], "add")
            .iter()
            .filter_map(Value::as_str)
            .filter(|capability| !allowed.contains(capability))
            .map(str::to_owned)
            .collect()
    };
    let names = pod.containers_where(|container| !added(container).is_empty());
    let mut values: Vec<String> = pod.containers().flat_map(added).collect();
    values.sort();
    values.dedup();
    (!names.is_empty())
        .then(|| format!("{} must not include {} in securityContext.capabilities.add", named(&names), quoted(&values)))
}

fn host_namespaces(pod: &Pod<'_>) -> Option<Finding> {
    let set: Vec<String> = ["hostNetwork", "hostPID", "hostIPC"]
        .iter()
        .filter(|field| pod.spec()[**field] == json!(true))
        .map(|field| format!("{field}=true"))
        .collect();
    (!set.is_empty()).then(|| Finding { reason: "host namespaces", detail: set.join(", ") })
}

fn host_path_volumes(pod: &Pod<'_>) -> Option<Finding> {
    let names: Vec<&str> = meta::items(pod.spec(), "volumes")
        .iter()
        .filter(|volume| volume["hostPath"].is_object())
        .map(|volume| meta::text(volume, "name"))
        .collect();
    let detail = format!("{} {}", plural(names.len(), "volume", "volumes"), quoted(&names));
    (!names.is_empty()).then_some(Finding { reason: "hostPath volumes", detail })
}

fn host_ports(pod: &Pod<'_>) -> Option<Finding> {
    let ports = |container: &Value| -> Vec<u64> {
        meta::items(container, "ports")
            .iter()
            .filter_map(|port| port["hostPort"].as_u64())
            .filter(|it| *it != 0)
            .collect()
    };
    let names = pod.containers_where(|container| !ports(container).is_empty());
    let mut values: Vec<u64> = pod.containers().flat_map(ports).collect();
    values.sort_unstable();
    values.dedup();
    let list = values.iter().map(u64::to_string).collect::<Vec<_>>().join(", ");
    let uses = if names.len() == 1 { "uses" } else { "use" };
    let detail = format!("{} {uses} {} {list}", named(&names), plural(values.len(), "hostPort", "hostPorts"));
    (!names.is_empty()).then_some(Finding { reason: "hostPort", detail })
}

/// Probes and hooks that name a host of their own.
fn host_probes(pod: &Pod<'_>) -> Option<Finding> {
    const HANDLERS: &[(&str, &str)] = &[
        ("/livenessProbe", "/httpGet"),
        ("/livenessProbe", "/tcpSocket"),
        ("/readinessProbe", "/httpGet"),
        ("/readinessProbe", "/tcpSocket"),
        ("/startupProbe", "/httpGet"),
        ("/startupProbe", "/tcpSocket"),
        ("/lifecycle/postStart", "/httpGet"),
        ("/lifecycle/postStart", "/tcpSocket"),
        ("/lifecycle/preStop", "/httpGet"),
        ("/lifecycle/preStop", "/tcpSocket"),
    ];
    let hosts = |container: &Value| -> Vec<String> {
        HANDLERS
            .iter()
            .filter_map(|(hook, kind)| container.pointer(&format!("{hook}{kind}/host"))?.as_str())
            .filter(|host| !host.is_empty())
            .map(str::to_owned)
            .collect()
    };
    let names = pod.containers_where(|container| !hosts(container).is_empty());
    let mut values: Vec<String> = pod.containers().flat_map(hosts).collect();
    values.sort();
    values.dedup();
    let uses = if names.len() == 1 { "uses" } else { "use" };
    let detail = format!(
        "{} {uses} probe or lifecycle {} {}",
        named(&names),
        plural(values.len(), "host", "hosts"),
        quoted(&values)
    );
    (!names.is_empty()).then_some(Finding { reason: "probe or lifecycle host", detail })
}

fn privileged(pod: &Pod<'_>) -> Option<Finding> {
    let names = pod.containers_where(|container| container["securityContext"]["privileged"] == json!(true));
    let detail = format!("{} must not set securityContext.privileged=true", named(&names));
    (!names.is_empty()).then_some(Finding { reason: "privileged", detail })
}

fn proc_mount(pod: &Pod<'_>) -> Option<Finding> {
    let kind = |container: &Value| meta::text(&container["securityContext"], "procMount").to_owned();
    let bad = |kind: &str| !matches!(kind, "" | "Default");
    let names = pod.containers_where(|container| bad(&kind(container)));
    let mut values: Vec<String> = pod.containers().map(kind).filter(|kind| bad(kind)).collect();
    values.sort();
    values.dedup();
    let detail = format!("{} must not set securityContext.procMount to {}", named(&names), quoted(&values));
    (!names.is_empty()).then_some(Finding { reason: "procMount", detail })
}

fn selinux(pod: &Pod<'_>) -> Option<Finding> {
    const TYPES: &[&str] = &["", "container_t", "container_init_t", "container_kvm_t", "container_engine_t"];
    let options = |context: &Value, field: &str| meta::text(&context["seLinuxOptions"], field).to_owned();
    let bad_type = |context: &Value| !TYPES.contains(&options(context, "type").as_str());
    let sets = |context: &Value, field: &str| !options(context, field).is_empty();
    let setters = pod.setters(|context| bad_type(context) || sets(context, "user") || sets(context, "role"))?;
    let mut data = Vec::new();
    let types = pod.values(|context| bad_type(context).then(|| options(context, "type")));
    if !types.is_empty() {
        data.push(format!("{} {}", plural(types.len(), "type", "types"), quoted(&types)));
    }
    for field in ["user", "role"] {
        if pod.setters(|context| sets(context, field)).is_some() {
            data.push(format!("{field} may not be set"));
        }
    }
    let detail = format!("{setters} set forbidden securityContext.seLinuxOptions: {}", data.join("; "));
    Some(Finding { reason: "seLinuxOptions", detail })
}

fn seccomp(pod: &Pod<'_>) -> Option<Finding> {
    forbidden_seccomp(pod).map(|detail| Finding { reason: "seccompProfile", detail })
}

/// The detail about seccomp profiles that are set and may not be.
pub(super) fn forbidden_seccomp(pod: &Pod<'_>) -> Option<String> {
    let kind = |context: &Value| context["seccompProfile"]["type"].as_str().map(str::to_owned);
    let bad = |context: &Value| kind(context).filter(|kind| !matches!(kind.as_str(), "RuntimeDefault" | "Localhost"));
    let setters = pod.setters(|context| bad(context).is_some())?;
    let values = pod.values(bad);
    Some(format!("{setters} must not set securityContext.seccompProfile.type to {}", quoted(&values)))
}

fn sysctls(pod: &Pod<'_>) -> Option<Finding> {
    const SAFE: &[&str] = &[
        "kernel.shm_rmid_forced",
        "net.ipv4.ip_local_port_range",
        "net.ipv4.ip_local_reserved_ports",
        "net.ipv4.ip_unprivileged_port_start",
        "net.ipv4.ping_group_range",
        "net.ipv4.tcp_fin_timeout",
        "net.ipv4.tcp_keepalive_intvl",
        "net.ipv4.tcp_keepalive_probes",
        "net.ipv4.tcp_keepalive_time",
        "net.ipv4.tcp_rmem",
        "net.ipv4.tcp_syncookies",
        "net.ipv4.tcp_wmem",
    ];
    let names: Vec<&str> = meta::items(pod.security_context(), "sysctls")
        .iter()
        .map(|sysctl| meta::text(sysctl, "name"))
        .filter(|name| !SAFE.contains(name))
        .collect();
    (!names.is_empty()).then(|| Finding { reason: "forbidden sysctls", detail: names.join(", ") })
}

fn windows_host_process(pod: &Pod<'_>) -> Option<Finding> {
    let setters = pod.setters(|context| context["windowsOptions"]["hostProcess"] == json!(true))?;
    let detail = format!("{setters} must not set securityContext.windowsOptions.hostProcess=true");
    Some(Finding { reason: "hostProcess", detail })
}
