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
    newest(of_pod(cluster, target).await, container)
}

/// Whether the kubelet pulls the container's image now, as far as it tells.
pub(super) async fn is_pulling(cluster: &Cluster, target: &Target, container: &str) -> bool {
    is_last_pulling(of_pod(cluster, target).await, container)
}

async fn of_pod(cluster: &Cluster, target: &Target) -> Vec<Event> {
    let selector = format!("involvedObject.name={},involvedObject.uid={}", target.pod_name(), target.pod_uid());
    let events = cluster.api::<Event>();
    let params = ListParams::default().fields(&selector);
    let listed = cluster.attempt(&Call::list("events", &selector), events.list(&params)).await;
    listed.map(|list| list.items).unwrap_or_default()
}

/// Those of a container, the oldest first.
fn of_container(mut events: Vec<Event>, container: &str) -> Vec<Event> {
    let field = format!("spec.ephemeralContainers{{{container}}}");
    events.retain(|event| event.involved_object.field_path.as_deref() == Some(&field));
    events.sort_by_key(|event| event.last_timestamp.clone());
    events
}

fn is_last_pulling(events: Vec<Event>, container: &str) -> bool {
    of_container(events, container).last().is_some_and(|event| event.reason.as_deref() == Some("Pulling"))
}

fn newest(events: Vec<Event>, container: &str) -> String {
    let mut events = of_container(events, container);
    events.retain(|event| event.type_.as_deref() == Some("Warning"));
    let text = |event: &Event| {
        format!("{}: {}", event.reason.as_deref().unwrap_or("event"), event.message.as_deref().unwrap_or_default())
    };
    events.iter().rev().take(SHOWN).map(text).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

    use super::*;

    fn recorded() -> Vec<Event> {
        let recording: serde_json::Value =
            serde_json::from_str(include_str!("../../../tests/recordings/events-of-pod.json")).unwrap();
        serde_json::from_value(recording["response"]["body"]["items"].clone()).unwrap()
    }

    #[test]
    fn an_image_is_being_pulled_until_something_else_is_told_of_its_container() {
        assert!(is_last_pulling(recorded(), "jattach-pull"), "it is tried again");
        assert!(!is_last_pulling(recorded(), "jattach-never") && !is_last_pulling(recorded(), "jattach-other"));
        let mut events = recorded();
        let pulling = events.iter().position(|event| event.reason.as_deref() == Some("Pulling")).unwrap();
        let (mut pulled, at) = (events[pulling].clone(), events[pulling].last_timestamp.clone().unwrap());
        pulled.reason = Some("Pulled".to_owned());
        pulled.last_timestamp = Some(Time(at.0 + jiff::SignedDuration::from_secs(1)));
        events.insert(0, pulled);
        assert!(!is_last_pulling(events, "jattach-pull"));
    }

    #[test]
    fn the_newest_warnings_of_that_container_are_shown() {
        let events = recorded();
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
