//! Which container of a pod, and what the pod says of it.

use k8s_openapi::api::core::v1::{Container, ContainerStatus, LinuxContainerUser, Pod};

use crate::catalogue::Id;
use crate::error::{Failure, Result};
use crate::render::Notes;

/// kubectl reads it for logs and exec, too.
const DEFAULT_CONTAINER: &str = "kubectl.kubernetes.io/default-container";

/// In which list of the pod a container stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Main,
    Init,
    Ephemeral,
}

/// The container that the user named, or kubectl's default.
pub(super) fn choose(pod: &Pod, wanted: Option<&str>, notes: &Notes) -> Result<String> {
    let names = names(pod);
    if let Some(wanted) = wanted {
        let refused = |cause: String| {
            Failure::new(Id::NoSuchContainer, cause).evidence(candidates(pod)).remedy("name one of them with -c")
        };
        return match names.iter().find(|(name, _)| *name == wanted) {
            Some((_, Kind::Ephemeral)) => Err(refused(format!("container \"{wanted}\" is an ephemeral container"))),
            Some(_) => Ok(wanted.to_owned()),
            None => Err(refused(format!("pod/{} has no container \"{wanted}\"", name_of(pod)))),
        };
    }
    let annotation = pod.metadata.annotations.as_ref().and_then(|annotations| annotations.get(DEFAULT_CONTAINER));
    if let Some(named) = annotation {
        if names.iter().any(|(name, _)| name == named) {
            return Ok(named.clone());
        }
        notes.say(&format!("Default container name \"{named}\" not found in pod {}", name_of(pod)));
    }
    let Some((first, _)) = names.iter().find(|(_, kind)| *kind == Kind::Main) else {
        return Err(Failure::new(Id::NoSuchContainer, format!("pod/{} has no containers", name_of(pod)))
            .remedy("name another pod"));
    };
    if names.iter().filter(|(_, kind)| *kind != Kind::Ephemeral).count() > 1 {
        notes.say_once(&format!("Defaulted container \"{first}\" out of: {}", list(&names)));
    }
    Ok((*first).to_owned())
}

/// What there is to choose from, for a person.
pub(crate) fn candidates(pod: &Pod) -> String {
    format!("the containers of pod/{} are {}", name_of(pod), list(&names(pod)))
}

/// All containers, in kubectl's order.
fn names(pod: &Pod) -> Vec<(&str, Kind)> {
    let Some(spec) = &pod.spec else { return Vec::new() };
    let main = spec.containers.iter().map(|container| (container.name.as_str(), Kind::Main));
    let init = spec.init_containers.iter().flatten().map(|container| (container.name.as_str(), Kind::Init));
    let ephemeral = spec.ephemeral_containers.iter().flatten().map(|c| (c.name.as_str(), Kind::Ephemeral));
    main.chain(ephemeral).chain(init).collect()
}

/// Without the ephemeral ones, our own among them: they can be no target.
fn list(names: &[(&str, Kind)]) -> String {
    let named = |(name, kind): &(&str, Kind)| match kind {
        Kind::Main => Some((*name).to_owned()),
        Kind::Init => Some(format!("{name} (init)")),
        Kind::Ephemeral => None,
    };
    names.iter().filter_map(named).collect::<Vec<_>>().join(", ")
}

pub(super) fn name_of(pod: &Pod) -> &str {
    pod.metadata.name.as_deref().unwrap_or_default()
}

/// The spec of a main or init container.
pub(crate) fn spec_of<'a>(pod: &'a Pod, container: &str) -> Option<&'a Container> {
    let spec = pod.spec.as_ref()?;
    spec.containers.iter().chain(spec.init_containers.iter().flatten()).find(|spec| spec.name == container)
}

/// The status of a container of any kind.
pub(crate) fn status_of<'a>(pod: &'a Pod, container: &str) -> Option<&'a ContainerStatus> {
    let status = pod.status.as_ref()?;
    let lists = [&status.container_statuses, &status.init_container_statuses, &status.ephemeral_container_statuses];
    lists.into_iter().flatten().flatten().find(|status| status.name == container)
}

/// What the container's first process runs as, where the kubelet reports it (from Kubernetes 1.33).
pub(crate) fn identity_of<'a>(pod: &'a Pod, container: &str) -> Option<&'a LinuxContainerUser> {
    status_of(pod, container)?.user.as_ref()?.linux.as_ref()
}
