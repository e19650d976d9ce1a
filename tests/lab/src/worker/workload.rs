//! The status of workloads, counted anew whenever one of their pods changes: all that there is of their controllers.

use std::sync::Arc;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::{
    meta,
    resource::{PODS, Resource, WORKLOADS},
    selector::Selector,
    store::Store,
};

/// Counts again in whatever owns the pod, and in what owns that.
pub fn count_again(store: &Store, owned: &Value) {
    let namespace = meta::namespace(owned);
    for owner in meta::items(&owned["metadata"], "ownerReferences") {
        let kind = meta::text(owner, "kind");
        let Some(resource) = WORKLOADS.into_iter().find(|resource| resource.kind == kind) else { continue };
        let found = store.find(resource, namespace, meta::text(owner, "name"));
        let Some(workload) = found.filter(|workload| workload["metadata"]["uid"] == owner["uid"]) else { continue };
        let selector = Selector::of_workload(&workload["spec"]["selector"]);
        let mut pods = store.list(&PODS, Some(namespace)).0;
        pods.retain(|pod| selector.matches(pod));
        let status = status_of(resource, &workload, &pods);
        // It may have gone meanwhile.
        let _gone = store.update(resource, namespace, meta::name(&workload), |workload| {
            workload["status"] = status;
            Ok(())
        });
        count_again(store, &workload);
    }
}

pub fn status_of(resource: &Resource, workload: &Value, pods: &[Arc<Value>]) -> Value {
    let is_ready = |pod: &&Arc<Value>| {
        meta::items(&pod["status"], "conditions").iter().any(|one| one["type"] == "Ready" && one["status"] == "True")
    };
    let (total, ready) = (pods.len(), pods.iter().filter(is_ready).count());
    match resource.kind {
        "Deployment" => deployment_status(workload, total, ready),
        "Job" => job_status(workload, pods, ready),
        "DaemonSet" => json!({
            "observedGeneration": 1,
            "currentNumberScheduled": total,
            "desiredNumberScheduled": 1,
            "numberMisscheduled": 0,
            "numberReady": ready,
            "numberAvailable": ready,
            "updatedNumberScheduled": total,
        }),
        "StatefulSet" => json!({
            "observedGeneration": 1,
            "replicas": total,
            "readyReplicas": ready,
            "availableReplicas": ready,
            "currentReplicas": total,
            "updatedReplicas": total,
        }),
        _ => json!({
            "observedGeneration": 1,
            "replicas": total,
            "fullyLabeledReplicas": total,
            "readyReplicas": ready,
            "availableReplicas": ready,
        }),
    }
}

fn deployment_status(deployment: &Value, total: usize, ready: usize) -> Value {
    let since = &deployment["metadata"]["creationTimestamp"];
    let wanted = deployment["spec"]["replicas"].as_u64().unwrap_or(1);
    let available = ready as u64 >= wanted;
    let condition = |kind: &str, truth: bool, reason: &str, message: &str| {
        json!({
            "type": kind,
            "status": if truth { "True" } else { "False" },
            "lastUpdateTime": since,
            "lastTransitionTime": since,
            "reason": reason,
            "message": message,
        })
    };
    let set = format!("{}-{}", meta::name(deployment), hash(&deployment["spec"]["template"]));
    let progress = if available {
        let message = format!("ReplicaSet {set:?} has successfully progressed.");
        condition("Progressing", true, "NewReplicaSetAvailable", &message)
    } else {
        condition("Progressing", true, "ReplicaSetUpdated", &format!("ReplicaSet {set:?} is progressing."))
    };
    let availability = if available {
        condition("Available", true, "MinimumReplicasAvailable", "Deployment has minimum availability.")
    } else {
        let message = "Deployment does not have minimum availability.";
        condition("Available", false, "MinimumReplicasUnavailable", message)
    };
    json!({
        "observedGeneration": 1,
        "replicas": total,
        "updatedReplicas": total,
        "readyReplicas": ready,
        "availableReplicas": ready,
        "terminatingReplicas": 0,
        "conditions": [progress, availability],
    })
}

fn job_status(job: &Value, pods: &[Arc<Value>], ready: usize) -> Value {
    let ended = |phase: &str| pods.iter().filter(|pod| pod["status"]["phase"] == phase).count();
    let (succeeded, failed) = (ended("Succeeded"), ended("Failed"));
    let mut status = json!({
        "active": pods.len() - succeeded - failed,
        "ready": ready,
        "succeeded": succeeded,
        "failed": failed,
        "startTime": job["metadata"]["creationTimestamp"],
    });
    let wanted = |field: &str| job["spec"][field].as_u64().unwrap_or(1);
    let finished = pods.iter().filter_map(|pod| last_end(pod)).max();
    let conditions = |kinds: [&str; 2], reason: &str, message: &str| -> Value {
        let condition = |kind| {
            json!({
                "type": kind,
                "status": "True",
                "lastProbeTime": finished,
                "lastTransitionTime": finished,
                "reason": reason,
                "message": message,
            })
        };
        kinds.into_iter().map(condition).collect()
    };
    if succeeded as u64 >= wanted("completions") {
        let message = "Reached expected number of succeeded pods";
        status["conditions"] = conditions(["SuccessCriteriaMet", "Complete"], "CompletionsReached", message);
        status["completionTime"] = finished.into();
    } else if failed as u64 > wanted("backoffLimit") {
        let message = "Job has reached the specified backoff limit";
        status["conditions"] = conditions(["FailureTarget", "Failed"], "BackoffLimitExceeded", message);
    }
    status
}

/// When the pod's last container ended; these times sort as texts.
fn last_end(pod: &Value) -> Option<&str> {
    let states = meta::items(&pod["status"], "containerStatuses").iter().map(|status| &status["state"]);
    states.filter_map(|state| state["terminated"]["finishedAt"].as_str()).max()
}

/// Ten characters that stand for a template, as `pod-template-hash` does.
pub fn hash(template: &Value) -> String {
    const ALPHABET: &[u8; 27] = b"bcdfghjklmnpqrstvwxz2456789";
    let digest = Sha256::digest(template.to_string().as_bytes());
    digest[..10].iter().map(|byte| char::from(ALPHABET[usize::from(byte % 27)])).collect()
}
