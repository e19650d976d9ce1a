//! The ephemeral container in the target's pod that the injector runs in: which one, found or made, waited for, and what
//! is exec'd in it.

mod admission;
mod create;
mod events;
mod exec;
mod reuse;
mod security;
mod shelter;
mod spec;
mod wait;
mod wanted;

use std::time::Duration;

use jattach_protocol::Identity;
use k8s_openapi::api::core::v1::{EphemeralContainer, Pod, SecurityContext};

pub(crate) use create::dry_run;
pub(crate) use exec::{exec, exec_in_target, is_without_exec, no_exec};
pub(crate) use reuse::running;
pub(crate) use security::{Basis, capability_names, instead_of_chosen};
pub(crate) use shelter::{Shelter, was_killed};
pub(crate) use spec::SESSION;

use crate::client::Cluster;
use crate::error::Result;
use crate::options::Injector;
use crate::render::Notes;
use crate::target::{self, Target};
use wanted::{Beyond, Wanted};

/// How long the container may take to start: pulling its image is most of it.
const START_LIMIT: Duration = Duration::from_secs(300);

/// A running injector.
#[derive(Clone, Debug)]
pub(crate) struct Debugger {
    /// The pod, in the cluster's namespace.
    pub(crate) pod: String,
    /// The ephemeral container's name.
    pub(crate) container: String,
    /// How sure it is that what it runs as fits the JVM.
    pub(crate) basis: Basis,
    /// It was running already, and may have ended since.
    pub(crate) reused: bool,
}

/// A running injector for the target: one that is there already, or a new one. Its security context is what the API
/// shows of the target; where that does not fit the JVM, the injector says so, and [`ensure_exact`] gives one that does.
/// Never one that is `gone`: those have turned out to be no more.
///
/// # Errors
/// Exit code 3 if the target ends meanwhile, 4 if a refusal stands in the way, 5 if the container does not start.
pub(crate) async fn ensure(
    cluster: &Cluster,
    target: &Target,
    injector: &Injector,
    gone: &[String],
    notes: &Notes,
) -> Result<Debugger> {
    if let Some(refused) = target::refuses_static(&target.pod) {
        return Err(refused);
    }
    let chosen = security::first(&target.pod, &target.container, injector)?;
    let mut candidates = reuse::candidates(&target.pod);
    candidates.retain(|candidate| !gone.contains(&candidate.name));
    ensure_as(cluster, target, candidates, injector, &chosen, notes).await
}

/// The running injector that [`ensure`] would take, if there is one: what it takes no right to add.
pub(crate) async fn reusable(cluster: &Cluster, target: &Target, injector: &Injector) -> Option<String> {
    let chosen = security::first(&target.pod, &target.container, injector).ok()?;
    let wanted = spec::container(injector, target, &chosen.context).ok()?;
    let candidates = reuse::candidates(&target.pod);
    let found = reuse::find(cluster, target, injector, &candidates, &wanted, chosen.basis).await?;
    Some(found.name)
}

/// The running injector of that name, which has served the target before: there is nothing to find out about it.
pub(crate) fn known(target: &Target, container: &str) -> Option<Debugger> {
    let is_running = reuse::candidates(&target.pod).iter().any(|candidate| candidate.name == container);
    let (pod, container) = (target.pod_name().to_owned(), container.to_owned());
    is_running.then_some(Debugger { pod, container, basis: Basis::Exact, reused: true })
}

/// A running injector for a JVM that runs as `identity`, other than the one that did not fit: the second container, and
/// the last.
///
/// # Errors
/// Those of [`ensure`]; 6 for an identity that nothing in the container can have, or that takes more than the container has.
pub(crate) async fn ensure_exact(
    cluster: &Cluster,
    target: &Target,
    injector: &Injector,
    identity: Identity,
    unfit: &Debugger,
    notes: &Notes,
) -> Result<Debugger> {
    let exact = security::second(&target.pod, &target.container, identity, injector)?;
    // It has changed since it was resolved, by our own first container at least.
    let pod = target::pod(cluster, target.pod_name()).await?;
    if let Some(gone) = target::vanished(&pod, &target.container) {
        return Err(gone);
    }
    let mut candidates = reuse::candidates(&pod);
    // A hold that root started takes its first JVM's ids for good, and its spec does not show them: where one of them has
    // turned out to be another's, the others may be, too. Where the first only looked around, none has been asked yet.
    let is_root = |context: Option<&SecurityContext>| context.and_then(|context| context.run_as_user) == Some(0);
    let is_unfit = |candidate: &&EphemeralContainer| candidate.name == unfit.container;
    let misled = candidates.iter().any(|candidate| is_unfit(candidate) && is_root(candidate.security_context.as_ref()));
    let usable = !(misled && is_root(Some(&exact.context)));
    candidates.retain(|candidate| usable && !is_unfit(candidate));
    notes.say(&format!(
        "The JVM runs as {}:{}, which the pod does not tell: that takes a second debug container.",
        identity.uid, identity.gid
    ));
    ensure_as(cluster, target, candidates, injector, &exact, notes).await
}

async fn ensure_as(
    cluster: &Cluster,
    target: &Target,
    candidates: Vec<&EphemeralContainer>,
    injector: &Injector,
    chosen: &security::Chosen,
    notes: &Notes,
) -> Result<Debugger> {
    let wanted = Wanted::injector(injector, target, chosen)?;
    let debugger = |container: &EphemeralContainer, reused| Debugger {
        pod: target.pod_name().to_owned(),
        container: container.name.clone(),
        basis: chosen.basis,
        reused,
    };
    tracing::trace!(basis = ?chosen.basis, context = ?chosen.context, "security context");
    if let Some(running) = reuse::find(cluster, target, injector, &candidates, &wanted.container, chosen.basis).await {
        tracing::info!(container = %running.name, "reusing the running injector");
        return Ok(debugger(&running, true));
    }
    announce(target, &wanted.beyond, notes);
    let Wanted { container, .. } = &wanted;
    let created = create::create(cluster, target, &wanted).await?;
    tracing::info!(container = %container.name, image = ?container.image, "created the injector's container");
    wait::until_running(cluster, target, container, created, START_LIMIT, notes).await?;
    Ok(debugger(container, false))
}

/// Tells, before it is sent, what it means for the target's pod to get a container that may do more than the target's, whatever
/// becomes of the command.
fn announce(target: &Target, beyond: &Beyond, notes: &Notes) {
    if beyond.is_nothing() {
        return;
    }
    notes.say(&format!(
        "Asking for a debug container with more than the target calls for: {beyond}. Once it is admitted nothing takes it out of \
         pod/{}'s spec again, and Pod Security judges the whole pod: under a level that forbids it, no later debug container is \
         admitted to this pod, whatever that one asks for.",
        target.pod_name()
    ));
}

/// The pod's ephemeral containers.
fn ephemeral(pod: &Pod) -> impl Iterator<Item = &EphemeralContainer> {
    pod.spec.iter().flat_map(|spec| spec.ephemeral_containers.iter().flatten())
}

#[cfg(test)]
mod recorded;
#[cfg(test)]
mod refusal_tests;
