//! The patch that adds the container to the pod, and what the server's refusals of it mean.

use k8s_openapi::api::core::v1::{EphemeralContainer, Pod};
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use super::wanted::Wanted;
use super::{admission, reuse, security, shelter};
use crate::catalogue::Id;
use crate::client::explain::{Call, CallError};
use crate::client::{Cluster, Place};
use crate::error::{Failure, Result};
use crate::kubectl;
use crate::options::{DryRun, Injector, Profile};
use crate::target::{self, Target};

const MANAGER: &str = "kubectl-jattach";

fn call(target: &Target) -> Call {
    Call::new("patch", "pods/ephemeralcontainers", target.pod_name())
}

/// Adds the container; the pod as it is then.
pub(super) async fn create(cluster: &Cluster, target: &Target, wanted: &Wanted) -> Result<Pod> {
    send(cluster, target, std::slice::from_ref(wanted), false).await
}

/// What `--dry-run` prints: the patch that would be sent, or with `server` the containers as the server would make them. With
/// `--profile=sysadmin` the privileged one is the second, whether the target's /tmp will need it or not.
///
/// # Errors
/// The server's refusal.
pub(crate) async fn dry_run(
    cluster: &Cluster,
    target: &Target,
    injector: &Injector,
    answered_by: DryRun,
) -> Result<Value> {
    if let Some(refused) = target::refuses_static(&target.pod) {
        return Err(refused);
    }
    let chosen = security::first(&target.pod, &target.container, injector)?;
    let mut all = vec![Wanted::injector(injector, target, &chosen)?];
    if injector.profile == Profile::Sysadmin {
        all.extend(shelter::wanted(target, injector)?);
    }
    if answered_by == DryRun::Server {
        let pod = send(cluster, target, &all, true).await?;
        for Wanted { container, .. } in &mut all {
            if let Some(made) = super::ephemeral(&pod).find(|made| made.name == container.name) {
                *container = made.clone();
            }
        }
    }
    Ok(patch_document(target, &all))
}

/// The whole request as an object that `kubectl patch` would understand.
fn patch_document(target: &Target, all: &[Wanted]) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": target.pod_name(), "namespace": target.namespace},
        "spec": {"ephemeralContainers": containers(all)},
    })
}

fn containers(all: &[Wanted]) -> Vec<&EphemeralContainer> {
    all.iter().map(|wanted| &wanted.container).collect()
}

/// The container as the server would make it, defaults and webhooks included; `None` if it does not say.
pub(super) async fn as_made(
    cluster: &Cluster,
    target: &Target,
    wanted: &EphemeralContainer,
) -> Option<EphemeralContainer> {
    let pod = attempt(cluster, target, &[wanted], true).await.ok()?;
    super::ephemeral(&pod).find(|made| made.name == wanted.name).cloned()
}

async fn send(cluster: &Cluster, target: &Target, all: &[Wanted], dry_run: bool) -> Result<Pod> {
    let answer = attempt(cluster, target, &containers(all), dry_run).await;
    answer.map_err(|error| explain(&error, target, all, cluster.place()))
}

pub(super) fn explain(error: &CallError, target: &Target, all: &[Wanted], place: &Place) -> Failure {
    let of_container = error.status().and_then(|status| admission::explain(status, target, all));
    let failure = of_container.unwrap_or_else(|| error.explain(&call(target), place));
    let via_exec = target::via_exec(&target.namespace, target.pod_name());
    let remedy = match failure.id {
        Id::NoPermission => {
            format!(
                "if the container has a shell, get pods and pods/exec are enough: {via_exec}\nelse {}",
                failure.remedy
            )
        }
        // That one admits no other exec either.
        Id::AdmissionRule if error.status().is_some_and(admission::is_by_our_policy) => {
            format!("{}{}", running_already(target, all), failure.remedy)
        }
        Id::AdmissionRule | Id::Webhook | Id::OlderContainer | Id::NoSuchResource => {
            format!(
                "{}{}\nwithout a debug container, if the target's has a shell: {via_exec}",
                running_already(target, all),
                failure.remedy
            )
        }
        _ => return failure,
    };
    failure.remedy(remedy)
}

/// The image that has been admitted to this pod before, and is not the one that was asked for.
fn running_already(target: &Target, all: &[Wanted]) -> String {
    let running = all.first().and_then(|wanted| reuse::from_another_image(&target.pod, &wanted.container));
    running.map_or_else(String::new, |(name, image)| {
        let flag = kubectl::quoted(&format!("--image={image}"));
        format!("{name} runs in this pod from another image: if you trust that, {flag} uses it\n")
    })
}

async fn attempt(
    cluster: &Cluster,
    target: &Target,
    containers: &[&EphemeralContainer],
    dry_run: bool,
) -> std::result::Result<Pod, CallError> {
    let params = PatchParams { dry_run, field_manager: Some(MANAGER.to_owned()), ..PatchParams::default() };
    let patch = Patch::Strategic(json!({"spec": {"ephemeralContainers": containers}}));
    let pods = cluster.pods();
    cluster.attempt(&call(target), pods.patch_ephemeral_containers(target.pod_name(), &params, &patch)).await
}
