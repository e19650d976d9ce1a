//! TARGET or a selector made into one pod and one container that an injector can join, or the reason why not.

mod container;
mod many;
pub(crate) mod name;
mod probes;
mod refuse;
mod storage;
mod via_exec;
mod workload;

use k8s_openapi::api::core::v1::Pod;

pub(crate) use container::{candidates, identity_of, spec_of, status_of};
pub(crate) use many::names;
pub(crate) use probes::Budgets;
pub(crate) use refuse::{refuses_other_os, refuses_static, vanished, without_ephemeral};
pub(crate) use storage::{quantity, storage_limit};
pub(crate) use via_exec::{COMMAND_VIA_EXEC, via_exec};
pub(crate) use workload::Kind as WorkloadKind;

use crate::catalogue::Id;
use crate::client::Cluster;
use crate::client::explain::Call;
use crate::error::{Failure, Result};
use crate::render::Notes;

/// What the user asked for.
#[derive(Debug)]
pub(crate) struct Wish {
    pub(crate) name: Name,
    pub(crate) container: Option<String>,
    /// The JVM's pid as the container sees it.
    pub(crate) pid: Option<u32>,
}

/// A pod by its name, by its owner, or by its labels.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Name {
    Pod(String),
    Workload { kind: workload::Kind, name: String },
    Selector(String),
}

impl Wish {
    /// From TARGET, or from a selector in its place.
    ///
    /// # Errors
    /// A usage failure: neither of them, a kind that runs no pods, or no name.
    pub(crate) fn new(
        target: Option<&str>,
        selector: Option<String>,
        container: Option<String>,
        pid: Option<u32>,
    ) -> Result<Wish> {
        let name = match (target, selector) {
            (_, Some(selector)) if selector.trim().is_empty() => {
                return Err(Failure::usage("the selector is empty").remedy("name a label: -l app=api"));
            }
            (None, Some(selector)) => Name::Selector(selector),
            (Some(target), None) => Name::parse(target)?,
            _ => {
                return Err(Failure::usage("TARGET or -l SELECTOR, one of the two")
                    .remedy("kubectl jattach pod/x COMMAND, or kubectl jattach -l app=x COMMAND"));
            }
        };
        if let Some(container) = &container {
            name::check("container", container)?;
        }
        Ok(Wish { name, container, pid })
    }
}

impl Name {
    fn parse(target: &str) -> Result<Name> {
        let (kind, name) = target.split_once('/').unwrap_or(("pod", target));
        let name = name.to_owned();
        if name.is_empty() || name.contains('/') {
            return Err(Failure::usage(format!("\"{target}\" names no target")).remedy("write it as pod/x or deploy/x"));
        }
        // As for kubectl, Deployment/x and deployment/x are the same.
        let kind = kind.to_ascii_lowercase();
        if is_pod(&kind) {
            name::check("pod", &name)?;
            return Ok(Name::Pod(name));
        }
        match workload::Kind::parse(&kind) {
            Some(kind) => {
                name::check(kind.singular(), &name)?;
                Ok(Name::Workload { kind, name })
            }
            None => Err(Failure::usage(format!("\"{kind}\" is no kind of target"))
                .remedy("pod/x, deploy/x, sts/x, ds/x, rs/x, job/x, or -l SELECTOR")),
        }
    }
}

/// Whether the word is a kind of TARGET.
pub(crate) fn is_kind(word: &str) -> bool {
    let word = word.to_ascii_lowercase();
    is_pod(&word) || WorkloadKind::parse(&word).is_some()
}

fn is_pod(kind: &str) -> bool {
    matches!(kind, "pod" | "pods" | "po")
}

/// One container of one running pod.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) namespace: String,
    /// The pod as the API server last showed it.
    pub(crate) pod: Pod,
    /// The container's name.
    pub(crate) container: String,
    /// The JVM's pid as the container sees it, if the user named one.
    pub(crate) pid: Option<u32>,
}

impl Target {
    /// The pod's name.
    pub(crate) fn pod_name(&self) -> &str {
        self.pod.metadata.name.as_deref().unwrap_or_default()
    }

    /// The pod's uid: another pod of the same name has another.
    pub(crate) fn pod_uid(&self) -> &str {
        self.pod.metadata.uid.as_deref().unwrap_or_default()
    }

    /// `containerd://…`: a restarted container has another.
    pub(crate) fn container_id(&self) -> Option<&str> {
        status_of(&self.pod, &self.container)?.container_id.as_deref()
    }
}

/// Finds the pod and the container, and makes sure that both run.
///
/// # Errors
/// Exit code 3 with the reason where there is nothing to attach to, 4 where the API server refuses to say.
pub(crate) async fn resolve(cluster: &Cluster, wish: &Wish, notes: &Notes) -> Result<Target> {
    let target = find(cluster, wish, notes).await?;
    refuse::pod(&target.pod)?;
    refuse::container(&target.pod, &target.container)?;
    Ok(target)
}

/// Finds the pod and the container, whatever state they are in.
///
/// # Errors
/// Those of [`resolve`], but for the states.
pub(crate) async fn find(cluster: &Cluster, wish: &Wish, notes: &Notes) -> Result<Target> {
    let namespace = cluster.namespace().to_owned();
    let pod = match &wish.name {
        Name::Pod(name) => pod(cluster, name).await?,
        Name::Workload { kind, name } => workload::newest(cluster, *kind, name, notes).await?,
        Name::Selector(selector) => {
            let what = workload::selected_by(selector);
            workload::choose(workload::list(cluster, selector).await?, &what, &namespace, notes)?
        }
    };
    let container = container::choose(&pod, wish.container.as_deref(), notes)?;
    Ok(Target { namespace, pod, container, pid: wish.pid })
}

/// The pod of that name, as it is now.
///
/// # Errors
/// Exit code 3 if there is none, 4 if the API server refuses.
pub(crate) async fn pod(cluster: &Cluster, name: &str) -> Result<Pod> {
    cluster.call(&Call::get("pods", name), cluster.pods().get(name)).await
}

/// What stands before an answer that is no failure of the API but leaves no target.
fn no_target(cause: String) -> Failure {
    Failure::new(Id::NoTarget, cause)
}

#[cfg(test)]
#[path = "target/tests.rs"]
mod tests;
