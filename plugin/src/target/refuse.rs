//! Why a pod or a container cannot be attached to, said before anything is changed.

use k8s_openapi::api::core::v1::{ContainerState, ContainerStatus, NodeSelectorRequirement, Pod};

use super::container::{name_of, status_of};
use super::via_exec::via_exec;
use crate::catalogue::Id;
use crate::error::{Failure, Result};
use crate::kubectl;

/// The kubelet marks the pods that it reads from files with it; the API server calls them mirror pods.
const MIRROR: &str = "kubernetes.io/config.mirror";

/// Refuses a pod that is leaving, has ended, or has not started, and one without Linux.
pub(super) fn pod(pod: &Pod) -> Result<()> {
    let name = name_of(pod);
    if let Some(since) = &pod.metadata.deletion_timestamp {
        return Err(Failure::new(Id::PodDeleted, format!("pod/{name} is being deleted"))
            .evidence(format!("metadata.deletionTimestamp is {}", since.0))
            .remedy("name a pod that stays"));
    }
    if let Some(refused) = refuses_other_os(pod) {
        return Err(refused);
    }
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref()).unwrap_or("Unknown");
    if phase == "Running" || (phase == "Pending" && init_runs(pod)) {
        return Ok(());
    }
    let (id, cause) = match phase {
        "Succeeded" | "Failed" => (Id::PodEnded, format!("pod/{name} has ended: it runs no JVM any more")),
        _ => (Id::PodNotRunning, format!("pod/{name} is not running yet")),
    };
    Err(Failure::new(id, cause)
        .evidence(phase_evidence(pod, phase))
        .remedy(format!("{} says why", kubectl::line_in(namespace_of(pod), format_args!("describe pod {name}")))))
}

/// Why a pod that the kubelet reads from a file takes no injector, if it is one.
pub(crate) fn refuses_static(pod: &Pod) -> Option<Failure> {
    let is_static = pod.metadata.annotations.iter().flatten().any(|(key, _)| key == MIRROR);
    is_static.then(|| {
        Failure::new(
            Id::StaticPod,
            format!("pod/{} is a static pod, which takes no ephemeral containers", name_of(pod)),
        )
        .evidence(format!("annotation {MIRROR}"))
        .remedy(without_ephemeral(namespace_of(pod), name_of(pod)))
    })
}

/// What there is to do where the API server takes no ephemeral container.
pub(crate) fn without_ephemeral(namespace: &str, pod: &str) -> String {
    format!(
        "if its container has a shell: {}\non its node, the injector's first argument is a pid: injector PID threaddump",
        via_exec(namespace, pod)
    )
}

/// Why the injector cannot run where the pod runs, if that is not on Linux.
pub(crate) fn refuses_other_os(pod: &Pod) -> Option<Failure> {
    let evidence = windows(pod)?;
    Some(
        Failure::new(Id::Windows, format!("pod/{} runs on Windows; the injector is a Linux program", name_of(pod)))
            .evidence(evidence)
            .remedy("use jcmd inside the container"),
    )
}

/// Refuses a container that does not run.
pub(super) fn container(pod: &Pod, container: &str) -> Result<()> {
    let Some(status) = status_of(pod, container) else {
        return Err(not_running(pod, container, false, "the kubelet reports no status for it yet".to_owned()));
    };
    match &status.state {
        Some(ContainerState { running: Some(_), .. }) => Ok(()),
        _ => Err(not_running(pod, container, is_crashing(status), state_text(status))),
    }
}

/// Whether it keeps failing: the kubelet says so only after a while.
fn is_crashing(status: &ContainerStatus) -> bool {
    let Some(state) = &status.state else { return false };
    let backs_off = state.waiting.as_ref().is_some_and(|waiting| waiting.reason.as_deref() == Some("CrashLoopBackOff"));
    backs_off || (status.restart_count > 0 && state.terminated.as_ref().is_some_and(|ended| ended.exit_code != 0))
}

fn not_running(pod: &Pod, container: &str, crashing: bool, evidence: String) -> Failure {
    let name = name_of(pod);
    let (id, cause) = if crashing {
        (Id::Crashing, format!("container \"{container}\" of pod/{name} is crashing: it waits for its next start"))
    } else {
        (Id::ContainerNotRunning, format!("container \"{container}\" of pod/{name} does not run"))
    };
    let failure = Failure::new(id, cause);
    let logs = kubectl::line_in(namespace_of(pod), format_args!("logs {name} -c {container}"));
    let remedy = if crashing {
        format!("{logs} --previous says why; attach while it is up")
    } else {
        format!("{logs} says why; try again when it runs")
    };
    failure.evidence(evidence).remedy(remedy)
}

/// The target is gone while an injector was being started in it.
pub(crate) fn vanished(pod: &Pod, container: &str) -> Option<Failure> {
    if let Err(failure) = self::pod(pod) {
        return Some(failure);
    }
    self::container(pod, container).err()
}

/// `waiting: CrashLoopBackOff (back-off 5m0s …); last: exit code 137, OOMKilled`.
fn state_text(status: &ContainerStatus) -> String {
    let now = status.state.as_ref().map(one_state).unwrap_or_default();
    let last = status.last_state.as_ref().map(one_state).unwrap_or_default();
    match (now.is_empty(), last.is_empty()) {
        (true, true) => "the kubelet reports no state for it yet".to_owned(),
        (false, true) => now,
        (true, false) => format!("last: {last}"),
        (false, false) => format!("{now}\nlast: {last}"),
    }
}

fn one_state(state: &ContainerState) -> String {
    if let Some(waiting) = &state.waiting {
        let reason = waiting.reason.as_deref().unwrap_or("without a reason");
        let message = waiting.message.as_deref().map(|message| format!(" ({message})")).unwrap_or_default();
        return format!("waiting: {reason}{message}");
    }
    if let Some(ended) = &state.terminated {
        let reason = ended.reason.as_deref().unwrap_or("without a reason");
        let when = ended.finished_at.as_ref().map(|time| format!(" at {}", time.0)).unwrap_or_default();
        return format!("terminated{when}: {reason}, exit code {}", ended.exit_code);
    }
    String::new()
}

fn phase_evidence(pod: &Pod, phase: &str) -> String {
    let status = pod.status.as_ref();
    let reason = status.and_then(|status| status.reason.as_deref());
    let message = status.and_then(|status| status.message.as_deref());
    let mut lines = vec![format!("phase {phase}")];
    lines.extend(reason.map(|reason| format!("reason {reason}")));
    lines.extend(message.map(str::to_owned));
    let conditions = status.and_then(|status| status.conditions.as_deref()).unwrap_or_default();
    lines.extend(conditions.iter().filter(|condition| condition.status == "False").filter_map(|condition| {
        let message = condition.message.as_deref().or(condition.reason.as_deref())?;
        Some(format!("{}: {message}", condition.type_))
    }));
    let statuses = status.into_iter().flat_map(|status| [&status.init_container_statuses, &status.container_statuses]);
    lines.extend(statuses.flatten().flatten().filter_map(|status| {
        let state = status.state.as_ref().map(one_state).filter(|state| !state.is_empty())?;
        Some(format!("container \"{}\" is {state}", status.name))
    }));
    lines.join("\n")
}

/// A pod stays Pending while its init containers run; a sidecar among them is a target like any other.
fn init_runs(pod: &Pod) -> bool {
    let statuses = pod.status.as_ref().and_then(|status| status.init_container_statuses.as_deref());
    statuses.unwrap_or_default().iter().any(|s| s.state.as_ref().is_some_and(|state| state.running.is_some()))
}

/// How it is known that the pod runs on Windows, if it does.
fn windows(pod: &Pod) -> Option<String> {
    let spec = pod.spec.as_ref()?;
    if spec.os.as_ref().is_some_and(|os| os.name == "windows") {
        return Some("spec.os.name is windows".to_owned());
    }
    let key = "kubernetes.io/os";
    if spec.node_selector.as_ref().and_then(|selector| selector.get(key)).is_some_and(|os| os == "windows") {
        return Some(format!("spec.nodeSelector {key} is windows"));
    }
    let required = spec.affinity.as_ref()?.node_affinity.as_ref()?;
    let terms = &required.required_during_scheduling_ignored_during_execution.as_ref()?.node_selector_terms;
    let is_windows = |rule: &NodeSelectorRequirement| {
        rule.key == key && rule.operator == "In" && rule.values.as_deref() == Some(&["windows".to_owned()][..])
    };
    // One term is enough for a node to be taken.
    let all = !terms.is_empty() && terms.iter().all(|term| term.match_expressions.iter().flatten().any(is_windows));
    all.then(|| format!("spec.affinity.nodeAffinity requires {key} to be windows"))
}

fn namespace_of(pod: &Pod) -> &str {
    pod.metadata.namespace.as_deref().unwrap_or("default")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn running(change: impl FnOnce(&mut Value)) -> Pod {
        let mut value = json!({
            "metadata": {"name": "x", "namespace": "shop"},
            "spec": {"containers": [{"name": "app"}]},
            "status": {"phase": "Running", "containerStatuses": [{
                "name": "app", "image": "i", "imageID": "", "ready": true, "restartCount": 0,
                "state": {"running": {"startedAt": "2026-01-01T00:00:00Z"}},
            }]},
        });
        change(&mut value);
        serde_json::from_value(value).unwrap()
    }

    fn refusal(change: impl FnOnce(&mut Value)) -> String {
        vanished(&running(change), "app").expect("a refusal").to_string()
    }

    #[test]
    fn a_running_container_is_not_refused() {
        assert!(vanished(&running(|_| ()), "app").is_none());
    }

    #[test]
    fn a_pod_that_is_being_deleted_is_refused() {
        let text = refusal(|pod| pod["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z"));
        assert!(text.starts_with("pod/x is being deleted\n  evidence: metadata.deletionTimestamp"), "{text}");
    }

    #[test]
    fn a_static_pod_is_refused() {
        let pod = running(|pod| pod["metadata"]["annotations"] = json!({MIRROR: "abc"}));
        let text = refuses_static(&pod).expect("refused").to_string();
        assert!(text.contains("is a static pod") && text.contains("remedy: "), "{text}");
    }

    #[test]
    fn a_pod_on_windows_is_refused() {
        let by_os = refusal(|pod| pod["spec"]["os"] = json!({"name": "windows"}));
        assert!(by_os.contains("spec.os.name is windows"), "{by_os}");
        let by_selector = refusal(|pod| pod["spec"]["nodeSelector"] = json!({"kubernetes.io/os": "windows"}));
        assert!(by_selector.contains("spec.nodeSelector"), "{by_selector}");
        let requiring = |values: Value| {
            move |pod: &mut Value| {
                let rule = json!({"key": "kubernetes.io/os", "operator": "In", "values": values});
                pod["spec"]["affinity"] = json!({"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution":
                    {"nodeSelectorTerms": [{"matchExpressions": [rule]}]}}});
            }
        };
        let by_affinity = refusal(requiring(json!(["windows"])));
        assert!(by_affinity.contains("spec.affinity"), "{by_affinity}");
        assert!(vanished(&running(requiring(json!(["linux", "windows"]))), "app").is_none());
    }

    #[test]
    fn a_pod_that_ended_is_refused_with_its_reason() {
        let text = refusal(|pod| {
            pod["status"] = json!({"phase": "Failed", "reason": "Evicted", "message": "The node was low on memory."});
        });
        assert!(text.contains("has ended"), "{text}");
        assert!(text.contains("Evicted") && text.contains("low on memory"), "{text}");
    }

    #[test]
    fn a_pending_pod_is_refused_with_its_condition() {
        let text = refusal(|pod| {
            pod["status"] = json!({"phase": "Pending", "conditions": [
                {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3 nodes"},
            ]});
        });
        assert!(text.contains("is not running yet") && text.contains("PodScheduled: 0/3 nodes"), "{text}");
    }

    #[test]
    fn a_pending_pod_is_refused_with_what_its_containers_wait_for() {
        let text = refusal(|pod| {
            pod["status"]["phase"] = json!("Pending");
            pod["status"]["containerStatuses"][0]["state"] =
                json!({"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}});
        });
        assert!(text.contains("container \"app\" is waiting: ImagePullBackOff (no such image)"), "{text}");
    }

    #[test]
    fn a_crashing_container_is_refused_with_its_last_end() {
        let text = refusal(|pod| {
            let status = &mut pod["status"]["containerStatuses"][0];
            status["state"] = json!({"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 5m0s"}});
            status["lastState"] = json!({"terminated": {"exitCode": 137, "reason": "OOMKilled"}});
        });
        assert!(text.starts_with("container \"app\" of pod/x is crashing"), "{text}");
        assert!(text.contains("last: terminated: OOMKilled, exit code 137") && text.contains("--previous"), "{text}");
    }

    #[test]
    fn a_container_without_a_status_is_refused() {
        let text = refusal(|pod| pod["status"]["containerStatuses"] = json!([]));
        assert!(text.contains("reports no status"), "{text}");
    }

    #[test]
    fn a_sidecar_of_a_pending_pod_is_a_target() {
        let pod = running(|pod| {
            pod["spec"]["initContainers"] = json!([{"name": "side", "restartPolicy": "Always"}]);
            pod["status"]["phase"] = json!("Pending");
            pod["status"]["initContainerStatuses"] = pod["status"]["containerStatuses"].take();
            pod["status"]["initContainerStatuses"][0]["name"] = json!("side");
        });
        assert!(vanished(&pod, "side").is_none());
    }

    #[test]
    fn a_container_that_keeps_failing_is_crashing_before_the_kubelet_says_so() {
        let crashing = |restarts: u32, state: Value| {
            let status = json!({
                "name": "app", "image": "i", "imageID": "", "ready": false, "restartCount": restarts, "state": state,
            });
            is_crashing(&serde_json::from_value(status).expect("a status"))
        };
        let ended = |exit_code: u32| json!({"terminated": {"exitCode": exit_code}});
        assert!(crashing(0, json!({"waiting": {"reason": "CrashLoopBackOff"}})));
        assert!(crashing(1, ended(1)));
        assert!(!crashing(0, ended(1)), "it has failed once");
        assert!(!crashing(3, ended(0)));
        assert!(!crashing(3, json!({"waiting": {"reason": "ContainerCreating"}})));
    }
}
