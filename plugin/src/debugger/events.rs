//! The kubelet's events on one container: what it did and why it could not.

use k8s_openapi::api::core::v1::Event;
use kube::api::ListParams;

use crate::client::Cluster;
use crate::client::explain::Call;
use crate::target::Target;

/// How many of the newest are worth showing.
const SHOWN: usize = 3;

/// The newest warnings on a container of the target's pod, one a line. Empty if there are none or if they may not be
/// read: they explain, and nothing depends on them.
pub(super) async fn warnings(cluster: &Cluster, target: &Target, container: &str) -> String {
    let selector = format!("involvedObject.name={},involvedObject.uid={}", target.pod_name(), target.pod_uid());
    let events = cluster.api::<Event>();
    let params = ListParams::default().fields(&selector);
    match cluster.attempt(&Call::list("events", &selector), events.list(&params)).await {
        Ok(events) => newest(events.items, container),
        Err(_) => String::new(),
    }
}

fn newest(mut events: Vec<Event>, container: &str) -> String {
    let field = format!("spec.ephemeralContainers{{{container}}}");
    events.retain(|event| {
        event.type_.as_deref() == Some("Warning") && event.involved_object.field_path.as_deref() == Some(&field)
    });
    events.sort_by_key(|event| event.last_timestamp.clone());
    let text = |event: &Event| {
        format!("{}: {}", event.reason.as_deref().unwrap_or("event"), event.message.as_deref().unwrap_or_default())
    };
    events.iter().rev().take(SHOWN).map(text).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_warnings_of_that_container_are_shown() {
        let recording: serde_json::Value =
            serde_json::from_str(include_str!("../../../tests/recordings/events-of-pod.json")).unwrap();
        let events: Vec<Event> = serde_json::from_value(recording["response"]["body"]["items"].clone()).unwrap();
        let never = newest(events.clone(), "jattach-never");
        assert_eq!(
            never,
            "ErrImageNeverPull: Container image \"absent:lab\" is not present with pull policy of Never\n\
             Failed: Error: ErrImageNeverPull"
        );
        assert!(newest(events.clone(), "jattach-pull").contains("ImagePullBackOff"));
        assert_eq!(newest(events, "jattach-other"), "");
    }
}
