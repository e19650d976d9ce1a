//! The kubelet's part: from a pod as the API server holds it to what the runtime is asked for. Security contexts are
//! merged, quantities become cgroup values, `$(NAME)` is expanded, and what this cluster cannot do is refused by name.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::PathBuf;

use k8s_openapi::api::core::v1::{
    Container, EnvVar, EphemeralContainer, Pod, PodSecurityContext, PodSpec, SeccompProfile as ApiSeccomp,
    SecurityContext as ApiSecurityContext,
};

use super::error::{Error, Result};
use super::expansion::expand;
use super::limits;
use super::quantity;
use super::spec::{ContainerSpec, EmptyDir, PodSandboxSpec, SeccompProfile, SecurityContext, Termination, VolumeMount};

/// Where containers find the API server: the lab listens there in each pod's own network, which has no interface but
/// the loopback.
pub const API_SERVER: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(127, 96, 0, 1), 443);

/// The sandbox of `pod`, which needs a uid. What is in its projected volumes is for the caller to add.
pub fn pod_sandbox_spec(pod: &Pod) -> Result<PodSandboxSpec> {
    let spec = pod_spec(pod)?;
    let security = spec.security_context.clone().unwrap_or_default();
    Ok(PodSandboxSpec {
        uid: pod.metadata.uid.clone().ok_or_else(|| invalid("metadata.uid", &""))?,
        name: name(pod),
        namespace: pod.metadata.namespace.clone().unwrap_or_default(),
        share_process_namespace: spec.share_process_namespace.unwrap_or(false),
        run_as_user: optional_id("runAsUser", security.run_as_user)?,
        run_as_group: optional_id("runAsGroup", security.run_as_group)?,
        fs_group: optional_id("fsGroup", security.fs_group)?,
        resources: limits::of_pod(spec)?,
        volumes: volumes(spec)?,
        projected: Vec::new(),
    })
}

/// A container of `pod`, init containers included.
pub fn container_spec(pod: &Pod, container: &Container) -> Result<ContainerSpec> {
    let spec = pod_spec(pod)?;
    let env = environment(pod, container.env.as_deref().unwrap_or_default())?;
    let expanded = |words: &Option<Vec<String>>| -> Vec<String> {
        words.iter().flatten().map(|word| expand(word, &env)).collect()
    };
    Ok(ContainerSpec {
        name: container.name.clone(),
        image: container.image.clone().unwrap_or_default(),
        command: expanded(&container.command),
        args: expanded(&container.args),
        working_dir: container.working_dir.clone().filter(|dir| !dir.is_empty()).map(PathBuf::from),
        stdin: container.stdin.unwrap_or(false),
        mounts: mounts(container)?,
        security: security_context(spec.security_context.as_ref(), container.security_context.as_ref())?,
        resources: limits::of_container(container)?,
        oom_score_adj: limits::oom_score_adj(spec, container)?,
        target: None,
        termination: termination(container),
        env,
    })
}

/// An ephemeral container of `pod`; `target` is the runtime's id of the container it names as its target.
pub fn ephemeral_container_spec(
    pod: &Pod,
    container: &EphemeralContainer,
    target: Option<String>,
) -> Result<ContainerSpec> {
    let spec = container_spec(pod, &as_container(container))?;
    Ok(ContainerSpec { target, ..spec })
}

fn as_container(ephemeral: &EphemeralContainer) -> Container {
    let ephemeral = ephemeral.clone();
    Container {
        name: ephemeral.name,
        image: ephemeral.image,
        command: ephemeral.command,
        args: ephemeral.args,
        env: ephemeral.env,
        security_context: ephemeral.security_context,
        stdin: ephemeral.stdin,
        termination_message_path: ephemeral.termination_message_path,
        termination_message_policy: ephemeral.termination_message_policy,
        volume_mounts: ephemeral.volume_mounts,
        working_dir: ephemeral.working_dir,
        ..Container::default()
    }
}

fn pod_spec(pod: &Pod) -> Result<&PodSpec> {
    pod.spec.as_ref().ok_or_else(|| invalid("spec", &""))
}

fn name(pod: &Pod) -> String {
    pod.metadata.name.clone().unwrap_or_default()
}

fn volumes(spec: &PodSpec) -> Result<Vec<EmptyDir>> {
    let mut volumes = Vec::new();
    for volume in spec.volumes.iter().flatten() {
        if volume.projected.is_some() {
            continue;
        }
        let Some(source) = &volume.empty_dir else {
            return Err(unsupported(format!("the type of volume {}", volume.name)));
        };
        volumes.push(EmptyDir {
            name: volume.name.clone(),
            memory: source.medium.as_deref() == Some("Memory"),
            size_limit: source.size_limit.as_ref().map(|limit| quantity::units("sizeLimit", limit)).transpose()?,
        });
    }
    Ok(volumes)
}

fn mounts(container: &Container) -> Result<Vec<VolumeMount>> {
    let mut mounts = Vec::new();
    for mount in container.volume_mounts.iter().flatten() {
        if mount.sub_path.is_some() || mount.sub_path_expr.is_some() {
            return Err(unsupported("subPath".to_owned()));
        }
        mounts.push(VolumeMount {
            volume: mount.name.clone(),
            path: PathBuf::from(&mount.mount_path),
            read_only: mount.read_only.unwrap_or(false),
        });
    }
    Ok(mounts)
}

fn termination(container: &Container) -> Termination {
    let default = Termination::default();
    Termination {
        path: container.termination_message_path.as_ref().map_or(default.path, PathBuf::from),
        fall_back_to_logs: container.termination_message_policy.as_deref() == Some("FallbackToLogsOnError"),
    }
}

/// Variables may refer to those before them, the cluster's own included; the downward API gives the pod's own metadata.
fn environment(pod: &Pod, variables: &[EnvVar]) -> Result<Vec<(String, String)>> {
    let mut env = vec![
        ("KUBERNETES_SERVICE_HOST".to_owned(), API_SERVER.ip().to_string()),
        ("KUBERNETES_SERVICE_PORT".to_owned(), API_SERVER.port().to_string()),
    ];
    for variable in variables {
        let value = match (&variable.value, &variable.value_from) {
            (_, Some(source)) => {
                let field = source.field_ref.as_ref().map(|field| field.field_path.as_str());
                pod_field(pod, field).ok_or_else(|| unsupported(format!("the source of variable {}", variable.name)))?
            }
            (value, None) => expand(value.as_deref().unwrap_or_default(), &env),
        };
        env.push((variable.name.clone(), value));
    }
    Ok(env)
}

/// What the downward API gives.
pub fn pod_field(pod: &Pod, path: Option<&str>) -> Option<String> {
    match path? {
        "metadata.name" => pod.metadata.name.clone(),
        "metadata.namespace" => pod.metadata.namespace.clone(),
        "metadata.uid" => pod.metadata.uid.clone(),
        "spec.nodeName" => pod.spec.as_ref()?.node_name.clone(),
        _ => None,
    }
}

/// The container's values over the pod's, as `DetermineEffectiveSecurityContext` of the kubelet merges them.
fn security_context(
    pod: Option<&PodSecurityContext>,
    container: Option<&ApiSecurityContext>,
) -> Result<SecurityContext> {
    let pod = pod.cloned().unwrap_or_default();
    let own = container.cloned().unwrap_or_default();
    let capabilities = own.capabilities.unwrap_or_default();
    let mut supplemental_groups = ids("supplementalGroups", pod.supplemental_groups.unwrap_or_default())?;
    supplemental_groups.extend(optional_id("fsGroup", pod.fs_group)?);
    if own.proc_mount.is_some_and(|kind| kind != "Default") {
        return Err(unsupported("procMount".to_owned()));
    }
    Ok(SecurityContext {
        run_as_user: optional_id("runAsUser", own.run_as_user.or(pod.run_as_user))?,
        run_as_group: optional_id("runAsGroup", own.run_as_group.or(pod.run_as_group))?,
        run_as_non_root: own.run_as_non_root.or(pod.run_as_non_root).unwrap_or(false),
        supplemental_groups,
        strict_groups: pod.supplemental_groups_policy.as_deref() == Some("Strict"),
        privileged: own.privileged.unwrap_or(false),
        no_new_privileges: own.allow_privilege_escalation == Some(false),
        read_only_root: own.read_only_root_filesystem.unwrap_or(false),
        add_capabilities: capabilities.add.unwrap_or_default(),
        drop_capabilities: capabilities.drop.unwrap_or_default(),
        seccomp: seccomp(own.seccomp_profile.or(pod.seccomp_profile).as_ref())?,
    })
}

fn seccomp(profile: Option<&ApiSeccomp>) -> Result<SeccompProfile> {
    match profile.map(|profile| profile.type_.as_str()) {
        None | Some("Unconfined") => Ok(SeccompProfile::Unconfined),
        Some("RuntimeDefault") => Ok(SeccompProfile::RuntimeDefault),
        Some(other) => Err(unsupported(format!("seccomp profile type {other}"))),
    }
}

fn ids(field: &str, values: Vec<i64>) -> Result<Vec<u32>> {
    values.into_iter().map(|value| id(field, value)).collect()
}

fn optional_id(field: &str, value: Option<i64>) -> Result<Option<u32>> {
    value.map(|value| id(field, value)).transpose()
}

fn id(field: &str, value: i64) -> Result<u32> {
    u32::try_from(value).map_err(|_| invalid(field, &value))
}

fn invalid(field: &str, value: &impl ToString) -> Error {
    Error::InvalidField { field: field.to_owned(), value: value.to_string() }
}

fn unsupported(what: String) -> Error {
    Error::Unsupported { what }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(json: serde_json::Value) -> Pod {
        serde_json::from_value(json).expect("a pod")
    }

    #[test]
    fn a_containers_security_context_wins_over_the_pods() {
        let pod = pod(serde_json::json!({
            "metadata": {"name": "p", "uid": "u"},
            "spec": {
                "securityContext": {"runAsUser": 1, "runAsGroup": 2, "runAsNonRoot": true, "fsGroup": 7,
                                    "supplementalGroups": [5], "seccompProfile": {"type": "RuntimeDefault"}},
                "containers": [{"name": "c", "securityContext": {"runAsUser": 10, "allowPrivilegeEscalation": false}}]
            }
        }));
        let spec = container_spec(&pod, &pod.spec.as_ref().unwrap().containers[0]).unwrap();
        let security = spec.security;
        assert_eq!((security.run_as_user, security.run_as_group), (Some(10), Some(2)));
        assert!(security.run_as_non_root && security.no_new_privileges);
        assert_eq!(security.supplemental_groups, [5, 7]);
        assert_eq!(security.seccomp, SeccompProfile::RuntimeDefault);
    }

    #[test]
    fn a_pod_that_asks_for_nothing_runs_unconfined() {
        let pod = pod(serde_json::json!({"metadata": {"uid": "u"}, "spec": {"containers": [{"name": "c"}]}}));
        let spec = container_spec(&pod, &pod.spec.as_ref().unwrap().containers[0]).unwrap();
        assert_eq!(spec.security.seccomp, SeccompProfile::Unconfined);
        assert!(!spec.security.no_new_privileges);
    }

    #[test]
    fn variables_are_expanded_in_command_args_and_later_variables() {
        let pod = pod(serde_json::json!({
            "metadata": {"name": "p", "uid": "u"},
            "spec": {"containers": [{"name": "c", "command": ["$(B)", "$(C)"], "args": ["$$(B)"], "env": [
                {"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
                {"name": "B", "value": "<$(A)>"}]}]}
        }));
        let spec = container_spec(&pod, &pod.spec.as_ref().unwrap().containers[0]).unwrap();
        assert_eq!(spec.command, ["<p>", "$(C)"]);
        assert_eq!(spec.args, ["$(B)"]);
    }

    #[test]
    fn volumes_other_than_empty_dir_are_refused_by_name() {
        let pod = pod(serde_json::json!({"metadata": {"uid": "u"}, "spec": {
            "containers": [], "volumes": [{"name": "host", "hostPath": {"path": "/"}}]}}));
        let error = pod_sandbox_spec(&pod).unwrap_err();
        assert_eq!(error.reason(), "CreateContainerConfigError");
        assert!(error.to_string().contains("volume host"), "{error}");
    }
}
