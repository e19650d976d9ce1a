//! A running injector that is what we would start now: nothing else is ever trusted with a session.

use jattach_protocol::Identity;
use k8s_openapi::api::core::v1::{EphemeralContainer, Pod};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::{Basis, create, ephemeral, security, spec};
use crate::client::Cluster;
use crate::options::Injector;
use crate::target::{Target, status_of};

/// The names of the pod's running injectors, ours by name and command whatever their image.
pub(crate) fn running(pod: &Pod) -> Vec<String> {
    candidates(pod).into_iter().map(|container| container.name.clone()).collect()
}

/// The pod's running injectors, the newest first. The order of the list in the spec says nothing: a merge may put a new
/// element before the others.
pub(super) fn candidates(pod: &Pod) -> Vec<&EphemeralContainer> {
    let mut candidates: Vec<_> = ephemeral(pod)
        .filter(|container| is_ours(container))
        .filter_map(|container| Some((running_since(pod, &container.name)?, container)))
        .collect();
    candidates.sort_by(|(one, _), (other, _)| other.cmp(one));
    candidates.into_iter().map(|(_, container)| container).collect()
}

/// Of the candidates, one whose whole spec except the name equals the wanted one after the server's defaults; or equals the
/// exact one for the ids that it runs as, which is there only because the first did not fit. The exact one goes first.
pub(super) async fn find(
    cluster: &Cluster,
    target: &Target,
    injector: &Injector,
    candidates: &[&EphemeralContainer],
    wanted: &EphemeralContainer,
    basis: Basis,
) -> Option<EphemeralContainer> {
    if let Some(found) = match_any(candidates, wanted, target, injector, basis) {
        return Some(found);
    }
    if candidates.is_empty() {
        return None;
    }
    // Our defaults may not be the whole story: a webhook may rewrite every container, its image for example.
    let made = create::as_made(cluster, target, wanted).await?;
    candidates.iter().find(|candidate| equal(candidate, &made)).map(|found| (*found).clone())
}

/// The newest running injector that differs from the wanted one by its image alone: its name and that image. Nobody is served by
/// it who has not named the image: whoever may patch the pod may have planted it.
pub(super) fn from_another_image<'p>(pod: &'p Pod, wanted: &EphemeralContainer) -> Option<(&'p str, &'p str)> {
    candidates(pod).into_iter().find_map(|candidate| {
        let image = candidate.image.as_deref()?;
        let alike = EphemeralContainer { image: Some(image.to_owned()), ..wanted.clone() };
        (wanted.image.as_deref() != Some(image) && equal(candidate, &alike)).then_some((candidate.name.as_str(), image))
    })
}

fn match_any(
    candidates: &[&EphemeralContainer],
    wanted: &EphemeralContainer,
    target: &Target,
    injector: &Injector,
    basis: Basis,
) -> Option<EphemeralContainer> {
    let exact = candidates.iter().find(|candidate| is_exact(candidate, target, injector));
    let first = candidates.iter().find(|candidate| equal(candidate, wanted));
    // Where the wanted one is exact itself, or has ids that the user chose, another exact one belongs to another JVM.
    exact.filter(|_| !basis.is_final()).or(first).map(|found| (*found).clone())
}

/// Whether the candidate is what [`security::second`] gives for the non-root ids that it runs as itself.
fn is_exact(candidate: &EphemeralContainer, target: &Target, injector: &Injector) -> bool {
    let context = candidate.security_context.as_ref();
    let id = |id: Option<i64>| id.and_then(|id| u32::try_from(id).ok());
    let (Some(uid), Some(gid)) =
        (id(context.and_then(|context| context.run_as_user)), id(context.and_then(|context| context.run_as_group)))
    else {
        return false;
    };
    let identity = Identity { uid, gid, capabilities: 0 };
    let exact = security::second(&target.pod, &target.container, identity, injector)
        .and_then(|exact| spec::container(injector, target, &exact.context));
    uid != 0 && exact.is_ok_and(|exact| equal(candidate, &exact))
}

/// Whether the two are the same but for their names.
fn equal(one: &EphemeralContainer, other: &EphemeralContainer) -> bool {
    let nameless =
        |container: &EphemeralContainer| EphemeralContainer { name: String::new(), ..spec::with_defaults(container) };
    nameless(one) == nameless(other)
}

fn is_ours(container: &EphemeralContainer) -> bool {
    spec::is_our_name(&container.name) && container.command.as_deref().is_some_and(|command| command == spec::HOLD)
}

/// Since when it runs; `None` if it does not.
fn running_since(pod: &Pod, container: &str) -> Option<Option<Time>> {
    let running = status_of(pod, container)?.state.as_ref()?.running.as_ref()?;
    Some(running.started_at.clone())
}

#[cfg(test)]
#[path = "reuse_tests.rs"]
mod tests;
