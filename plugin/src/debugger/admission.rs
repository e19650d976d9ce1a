//! Refusals that concern the injector's container: Pod Security, webhooks, the pod's own rules.

use kube::core::Status;

use super::wanted::Wanted;
use crate::catalogue::Id;
use crate::client::explain::{POLICY, answer, denying_policy};
use crate::error::Failure;
use crate::kubectl;
use crate::target::{self, Target};

/// What the names of the policies in deploy/policy.yaml begin with.
const OUR_POLICIES: &str = "kubectl-jattach-";
/// staging/src/k8s.io/apiserver/pkg/admission/plugin/webhook/errors/statuserror.go: `NewDryRunUnsupportedErr`.
const NO_DRY_RUN: &str = "does not support dry run";

/// Whether it was one of our own policies that refused.
pub(super) fn is_by_our_policy(status: &Status) -> bool {
    denying_policy(&status.message).is_some_and(|name| name.starts_with(OUR_POLICIES))
}

/// The refusal, if it is one of these.
pub(super) fn explain(status: &Status, target: &Target, all: &[Wanted]) -> Option<Failure> {
    let message = status.message.as_str();
    if let Some((_, violation)) = message.split_once("violates PodSecurity ") {
        return Some(pod_security(violation, target, all));
    }
    // Without the quote it is somebody's sentence about webhooks.
    if let Some((name, why)) = message.split_once("admission webhook \"").and_then(|(_, said)| said.split_once('"')) {
        return Some(webhook_denial(name, why.trim_start(), message, target));
    }
    if let Some((_, webhook)) = message.split_once("failed calling webhook ") {
        return Some(webhook_silence(webhook));
    }
    if status.code == 422 && !message.contains(POLICY) {
        return Some(invalid(status, target));
    }
    None
}

/// `"restricted:latest": a (container "x" must …), b (…)`: Pod Security judges the whole pod, so what it finds may
/// concern an older container than ours.
fn pod_security(violation: &str, target: &Target, all: &[Wanted]) -> Failure {
    let (level, found) = violation.split_once(": ").unwrap_or((violation, ""));
    let found = found.replace("), ", ")\n");
    let level = level.trim_matches('"');
    let namespace = &target.namespace;
    let is_ours = all.iter().any(|wanted| found.contains(&format!("\"{}\"", wanted.container.name)));
    let (id, remedy) = if is_ours && all.iter().any(|wanted| wanted.beyond.is_among(&found)) {
        let remedy = format!("--profile, --run-as-user or --custom asks for more than {level} allows: leave it out");
        (Id::PodSecurity, remedy)
    } else if is_ours {
        let labels = kubectl::line(format_args!("get namespace {namespace} --show-labels"));
        let remedy = format!(
            "the target itself asks for more than {level} allows: run in a namespace whose level fits it, or have \
                 its label pod-security.kubernetes.io/enforce changed ({labels})"
        );
        (Id::PodSecurity, remedy)
    } else {
        let remedy = "an earlier debug container of this pod breaks the level, and none can be removed: attach to another replica, or \
         restart the pod".to_owned();
        (Id::OlderContainer, remedy)
    };
    Failure::new(id, format!("Pod Security \"{level}\" of namespace \"{namespace}\" refuses the injector's container"))
        .evidence(found)
        .remedy(remedy)
}

/// What the server says of the webhook: `denied the request: why`, `denied the request without explanation`, `does not support dry
/// run`, or what another version or an extension of it words otherwise, of which the whole message is shown.
fn webhook_denial(name: &str, said: &str, message: &str, target: &Target) -> Failure {
    if said == NO_DRY_RUN {
        return Failure::new(
            Id::Webhook,
            format!("the cluster's admission webhook \"{name}\" cannot be asked by a dry run"),
        )
        .evidence(format!("it {said}"))
        .remedy("only the command itself shows what it says");
    }
    let why = said.strip_prefix("denied the request").map(|why| why.trim_start_matches([':', ' ']));
    Failure::new(Id::Webhook, format!("the cluster's admission webhook \"{name}\" refuses the injector's container"))
        .evidence(why.unwrap_or(message))
        .remedy(format!(
            "show it to whoever runs the cluster, with: kubectl jattach -n {} pod/{} ps --dry-run=client -o yaml",
            target.namespace,
            target.pod_name()
        ))
}

/// `"name": why`, from a server that admits nothing that it cannot ask about (`failurePolicy: Fail`).
fn webhook_silence(webhook: &str) -> Failure {
    let (name, why) = webhook.split_once(": ").unwrap_or((webhook, ""));
    let webhooks = kubectl::line("get validatingwebhookconfigurations,mutatingwebhookconfigurations");
    Failure::new(
        Id::Webhook,
        format!("the API server cannot ask the cluster's admission webhook {name}, and admits nothing without it"),
    )
    .evidence(why)
    .remedy(format!("try again; if it stays so, show it to whoever runs the webhook ({webhooks})"))
}

/// 422: the pod cannot take the container.
fn invalid(status: &Status, target: &Target) -> Failure {
    let pod = target.pod_name();
    let causes = status.details.iter().flat_map(|details| &details.causes);
    let causes: Vec<String> = causes
        .map(|cause| match cause.field.as_str() {
            // So it stands in the answer for the whole object.
            "" | "[]" => cause.message.clone(),
            field => format!("{field}: {}", cause.message),
        })
        .collect();
    let evidence = if causes.is_empty() { answer(status) } else { causes.join("\n") };
    if status.message.contains("static pods") {
        return Failure::new(Id::StaticPod, format!("pod/{pod} is a static pod, which takes no ephemeral containers"))
            .evidence(evidence)
            .remedy(target::without_ephemeral(&target.namespace, pod));
    }
    if evidence.contains("targetContainerName") {
        return Failure::new(
            Id::NoContainerAnyMore,
            format!("pod/{pod} has no container \"{}\" any more", target.container),
        )
        .evidence(evidence)
        .remedy("name one of its containers with -c");
    }
    Failure::new(Id::InvalidContainer, format!("pod/{pod} cannot take the injector's container"))
        .evidence(evidence)
        .remedy("check --image and the pod's security context; --dry-run=client -o yaml shows what is sent")
}
