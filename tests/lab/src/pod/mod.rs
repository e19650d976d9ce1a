//! What the API server does to a pod before it is stored: defaults, admission, validation.

pub mod defaults;
pub mod ephemeral;
pub mod names;
pub mod security;
pub mod unsupported;
pub mod validation;

use serde_json::Value;

use crate::meta;

/// The three lists of containers, in the order in which Pod Security visits them.
pub const LISTS: [&str; 3] = ["initContainers", "containers", "ephemeralContainers"];

/// All containers of a pod with the list that each stands in.
pub fn containers(pod: &Value) -> impl Iterator<Item = (&'static str, &Value)> {
    LISTS.into_iter().flat_map(move |list| meta::items(&pod["spec"], list).iter().map(move |one| (list, one)))
}

/// The list that a container of this name stands in, and the container.
pub fn find_container<'a>(pod: &'a Value, name: &str) -> Option<(&'static str, &'a Value)> {
    containers(pod).find(|(_, container)| meta::text(container, "name") == name)
}
