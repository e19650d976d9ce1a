//! What a pod's status says of the container that is to start: it runs, it may yet run, or it never will and why. A pure
//! function of the pod.

use k8s_openapi::api::core::v1::{ContainerState, ContainerStateTerminated, ContainerStateWaiting, Pod};

use crate::catalogue::Id;
use crate::error::Failure;
use crate::kubectl;
use crate::target::{self, Target, status_of};

/// What is to be done about a container.
#[derive(Debug)]
pub(super) enum Verdict {
    Running,
    /// Nothing is wrong.
    Wait,
    /// Something is wrong that may go away by itself: shown at once, and waited for.
    Doubt(Doubt),
    Failed(Failure),
}

/// A reason that may go away.
#[derive(Debug)]
pub(super) struct Doubt {
    pub(super) reason: String,
    message: String,
}

impl Doubt {
    pub(super) fn text(&self) -> String {
        if self.message.is_empty() { self.reason.clone() } else { format!("{}: {}", self.reason, self.message) }
    }
}

/// Judges the container by the pod's status.
pub(super) fn judge(pod: &Pod, target: &Target, container: &str, image: &str) -> Verdict {
    let Some(state) = status_of(pod, container).and_then(|status| status.state.as_ref()) else {
        // The target may go before the kubelet has even looked at the new container.
        return target::vanished(pod, &target.container).map_or(Verdict::Wait, Verdict::Failed);
    };
    match state {
        ContainerState { running: Some(_), .. } => Verdict::Running,
        ContainerState { terminated: Some(ended), .. } => Verdict::Failed(ended_at_once(pod, target, ended)),
        ContainerState { waiting: Some(waiting), .. } => match waiting_for(waiting, target, image) {
            Verdict::Wait => target::vanished(pod, &target.container).map_or(Verdict::Wait, Verdict::Failed),
            verdict => verdict,
        },
        _ => Verdict::Wait,
    }
}

fn waiting_for(waiting: &ContainerStateWaiting, target: &Target, image: &str) -> Verdict {
    let reason = waiting.reason.as_deref().unwrap_or_default();
    let message = waiting.message.as_deref().unwrap_or_default();
    let failed = |id: Id, cause: String, remedy: String| {
        Verdict::Failed(Failure::new(id, cause).evidence(evidence(reason, message)).remedy(remedy))
    };
    match reason {
        "" | "ContainerCreating" | "PodInitializing" => Verdict::Wait,
        "ErrImagePull" if !is_certain(message) => {
            Verdict::Doubt(Doubt { reason: reason.to_owned(), message: message.to_owned() })
        }
        "ErrImagePull" | "ImagePullBackOff" | "RegistryUnavailable" => {
            let remedy = pull_remedy(message, target);
            failed(Id::ImagePull, format!("the node cannot pull the injector's image {image}"), remedy)
        }
        "ErrImageNeverPull" => failed(
            Id::ImageNeverPull,
            format!("the injector's image {image} is not on the node, and the pull policy is Never"),
            format!(
                "load it onto the node, or allow pulling: --image-pull-policy IfNotPresent\n{}",
                without_image(target)
            ),
        ),
        "InvalidImageName" | "ImageInspectError" => failed(
            Id::ImageInvalid,
            format!("the injector's image {image} is no image that the node can use"),
            "give another reference with --image".to_owned(),
        ),
        "CreateContainerConfigError" => failed(
            Id::ContainerConfig,
            "the node refuses the injector container's configuration".to_owned(),
            "--dry-run=client -o yaml shows what was sent; the pod's own securityContext is inherited".to_owned(),
        ),
        "CreateContainerError" | "RunContainerError" if is_target_gone(message) => {
            Verdict::Failed(target_gone(target, evidence(reason, message)))
        }
        "CreateContainerError" | "RunContainerError" | "StartError" => failed(
            Id::ContainerStart,
            "the node cannot start the injector's container".to_owned(),
            start_remedy(message, target, image),
        ),
        // A reason that this version does not know may be one that goes away: shown, and waited for.
        _ => Verdict::Doubt(Doubt { reason: reason.to_owned(), message: message.to_owned() }),
    }
}

fn evidence(reason: &str, message: &str) -> String {
    if message.is_empty() { reason.to_owned() } else { format!("{reason}: {message}") }
}

/// Whether a pull that failed once will fail again: the registry answered, or there is none.
fn is_certain(message: &str) -> bool {
    let message = message.to_ascii_lowercase();
    ["not found", "no such host", "denied", "unauthorized", "forbidden", "no match for platform", "invalid reference"]
        .iter()
        .any(|sign| message.contains(sign))
}

/// Whether no more is said than that the image is pulled again later: kubelets before 1.32 say why only in their events
/// (kubernetes/kubernetes#127918).
pub(super) fn says_no_cause(failure: &Failure) -> bool {
    let evidence = &failure.evidence;
    evidence.is_empty() || (failure.id == Id::ImagePull && !evidence.contains("ErrImagePull"))
}

pub(super) fn pull_remedy(message: &str, target: &Target) -> String {
    let message = message.to_ascii_lowercase();
    if message.contains("no match for platform") {
        return "the image is not made for the node's architecture: give one that is with --image".to_owned();
    }
    let way = if ["denied", "unauthorized", "forbidden"].iter().any(|sign| message.contains(sign)) {
        secrets(target)
    } else {
        "copy the image to a registry that the node reaches, and name it with --image or KUBECTL_JATTACH_IMAGE"
            .to_owned()
    };
    format!("{way}\n{}", without_image(target))
}

/// Why no pull secret can be given to the injector, and where one has to be.
fn secrets(target: &Target) -> String {
    let spec = target.pod.spec.as_ref();
    let names = spec.and_then(|spec| spec.image_pull_secrets.as_deref()).unwrap_or_default();
    let names: Vec<&str> = names.iter().map(|secret| secret.name.as_str()).collect();
    let own = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
    let account = spec.and_then(|spec| spec.service_account_name.as_deref()).unwrap_or("default");
    format!(
        "an ephemeral container brings no pull secret of its own, and the pod's imagePullSecrets are fixed ({own}): copy the image to where these \
         reach it, and name it with --image or KUBECTL_JATTACH_IMAGE\n\
         or add a secret for it to ServiceAccount {account}: pods that start after that have it"
    )
}

fn without_image(target: &Target) -> String {
    format!("without an image, if the target has a shell: {}", target::via_exec(&target.namespace, target.pod_name()))
}

fn start_remedy(message: &str, target: &Target, image: &str) -> String {
    let message = message.to_ascii_lowercase();
    let node = target.pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref()).unwrap_or("NODE");
    let of_node = kubectl::line(format_args!("describe node {node}"));
    // clone(2): EAGAIN and ENOMEM. What is started does not matter.
    if message.contains("resource temporarily unavailable") {
        return format!(
            "no more processes or threads may be started: the pod has all that its limit allows (the kubelet's podPidsLimit), or \
             the node has ({of_node}); end some, or try again when there are fewer"
        );
    }
    if message.contains("cannot allocate memory") || message.contains("no space left on device") {
        return format!("the node has no room for another container ({of_node}): free some, or try later");
    }
    format!("check that {image} is the injector's image, and made for the node's architecture")
}

fn is_target_gone(message: &str) -> bool {
    let signs = [
        "invalid target container",
        "CONTAINER_EXITED",
        // runc, whose process in the target's PID namespace was killed with that.
        "error getting pipe fds for pid",
        "procReady not received",
    ];
    signs.iter().any(|sign| message.contains(sign))
}

fn target_gone(target: &Target, evidence: String) -> Failure {
    let (pod, container) = (target.pod_name(), &target.container);
    Failure::new(Id::TargetEnded, format!("container \"{container}\" of pod/{pod} ended while the injector started"))
        .evidence(evidence)
        .remedy(format!(
            "{} says why; try again when it runs",
            kubectl::line_in(&target.namespace, format_args!("logs {pod} -c {container} --previous"))
        ))
}

/// It ran, and ended before it could be used.
fn ended_at_once(pod: &Pod, target: &Target, ended: &ContainerStateTerminated) -> Failure {
    let reason = ended.reason.as_deref().unwrap_or("without a reason");
    let message = ended.message.as_deref().map(|message| format!("\n{}", message.trim())).unwrap_or_default();
    let evidence = format!("{reason}, exit code {}{message}", ended.exit_code);
    let restarted =
        status_of(pod, &target.container).and_then(|status| status.container_id.as_deref()) != target.container_id();
    // It lives in the target's PID namespace, and is killed with it.
    if restarted || target::vanished(pod, &target.container).is_some() {
        return target_gone(target, evidence);
    }
    Failure::new(Id::InjectorEndedAtOnce, "the injector ended as soon as it had started")
        .evidence(evidence)
        .remedy("check that --image is the injector's image and of this plugin's version (kubectl jattach version)")
}

#[cfg(test)]
#[path = "verdict_tests.rs"]
mod tests;
