//! The events that explain what happens to a pod.

use serde_json::{Value, json};

use crate::{cluster::Cluster, kubeconfig::NAME, meta, resource::EVENTS};

/// What an event is about: the pod, one of its containers, or the workload that makes pods.
#[derive(Debug, Clone, Copy)]
pub enum About<'a> {
    Pod,
    /// Its kind.
    Owner(&'a str),
    Container {
        list: &'a str,
        name: &'a str,
    },
}

/// Records what was done to a pod, or to a workload. The same event again is counted.
pub fn record(cluster: &Cluster, pod: &Value, about: About<'_>, kind: &str, reason: &str, message: &str) {
    let metadata = &pod["metadata"];
    let mut involved = json!({
        "kind": "Pod",
        "namespace": metadata["namespace"],
        "name": metadata["name"],
        "uid": metadata["uid"],
        "apiVersion": "v1",
        "resourceVersion": metadata["resourceVersion"],
    });
    match about {
        About::Pod => {}
        About::Owner(kind) => involved["kind"] = kind.into(),
        About::Container { list, name } => involved["fieldPath"] = format!("spec.{list}{{{name}}}").into(),
    }
    let (namespace, now) = (meta::namespace(pod), meta::now());
    let same = cluster.store.list(&EVENTS, Some(namespace)).0.into_iter().find(|event| {
        let of = &event["involvedObject"];
        of["uid"] == involved["uid"]
            && of["fieldPath"] == involved["fieldPath"]
            && event["reason"] == reason
            && event["message"] == message
    });
    if let Some(event) = same {
        // It may have gone with its namespace.
        let _gone = cluster.store.update(&EVENTS, namespace, meta::name(&event), |event| {
            event["count"] = (event["count"].as_i64().unwrap_or(1) + 1).into();
            event["lastTimestamp"] = now.into();
            Ok(())
        });
        return;
    }
    let event = json!({
        "involvedObject": involved,
        "reason": reason,
        "message": message,
        "source": {"component": "kubelet", "host": NAME},
        "firstTimestamp": now,
        "lastTimestamp": now,
        "count": 1,
        "type": kind,
        "eventTime": null,
        "reportingComponent": "kubelet",
        "reportingInstance": NAME,
    });
    store(cluster, pod, event);
}

/// The scheduler's event, which has another shape.
pub fn scheduled(cluster: &Cluster, pod: &Value) {
    let metadata = &pod["metadata"];
    let (namespace, name) = (meta::namespace(pod), meta::name(pod));
    let event = json!({
        "involvedObject": {
            "kind": "Pod",
            "namespace": namespace,
            "name": name,
            "uid": metadata["uid"],
            "apiVersion": "v1",
            "resourceVersion": metadata["resourceVersion"],
        },
        "reason": "Scheduled",
        "message": format!("Successfully assigned {namespace}/{name} to {NAME}"),
        "source": {},
        "firstTimestamp": null,
        "lastTimestamp": null,
        "type": "Normal",
        "eventTime": meta::now_micros(),
        "action": "Binding",
        "reportingComponent": "default-scheduler",
        "reportingInstance": format!("default-scheduler-{NAME}"),
    });
    store(cluster, pod, event);
}

fn store(cluster: &Cluster, pod: &Value, mut event: Value) {
    event["metadata"] = json!({"name": format!("{}.{}", meta::name(pod), &meta::container_id()[..16])});
    meta::stamp(&mut event, Some(meta::namespace(pod)));
    cluster.store.create(&EVENTS, event).expect("16 random digits are not taken");
}
