//! Workloads. There are no controllers: the pods are made together with the workload and never again.

use std::sync::Arc;

use http::{Request, Response};
use hyper::body::Incoming;
use serde_json::{Value, json};

use super::{Call, created, objects, pods};
use crate::{
    cluster::Cluster,
    http::body::Body,
    meta,
    pod::{defaults, validation},
    resource::{PODS, REPLICA_SETS, Resource},
    selector::Selector,
    status::{Answer, Cause, Failure},
    worker::{
        events::{self, About},
        workload::{hash, status_of},
    },
};

pub(super) async fn create(call: &Call, request: Request<Incoming>) -> Answer<Response<Body>> {
    let mut workload = objects::read_new(call, request).await?;
    objects::check_name(call.resource, &workload)?;
    objects::refuse_if_terminating(call, &workload)?;
    set_defaults(call.resource, &mut workload);
    let causes = validate(call.resource, &workload);
    if !causes.is_empty() {
        return Err(Failure::invalid(call.resource, meta::name(&workload), &causes));
    }
    workload["metadata"]["generation"] = 1.into();
    workload["status"] = status_of(call.resource, &workload, &[]);
    if call.query.is_dry_run() {
        return Ok(created(call.resource, &workload));
    }
    let stored = call.cluster.store.create(call.resource, workload)?;
    make_pods(&call.cluster, call.resource, &stored)?;
    Ok(created(call.resource, &stored))
}

fn set_defaults(resource: &Resource, workload: &mut Value) {
    defaults::pod_spec(&mut workload["spec"]["template"]["spec"]);
    let uid = workload["metadata"]["uid"].clone();
    let name = meta::name(workload).to_owned();
    let spec = &mut workload["spec"];
    let mut default = |field: &str, value: Value| {
        if spec[field].is_null() {
            spec[field] = value;
        }
    };
    match resource.kind {
        "Deployment" => {
            let rolling = json!({"maxUnavailable": "25%", "maxSurge": "25%"});
            default("replicas", json!(1));
            default("strategy", json!({"type": "RollingUpdate", "rollingUpdate": rolling}));
            default("revisionHistoryLimit", json!(10));
            default("progressDeadlineSeconds", json!(600));
            workload["metadata"]["annotations"]["deployment.kubernetes.io/revision"] = "1".into();
        }
        "StatefulSet" => {
            default("replicas", json!(1));
            default("podManagementPolicy", json!("OrderedReady"));
            default("revisionHistoryLimit", json!(10));
            default("updateStrategy", json!({"type": "RollingUpdate", "rollingUpdate": {"partition": 0}}));
        }
        "DaemonSet" => {
            let rolling = json!({"maxUnavailable": 1, "maxSurge": 0});
            default("revisionHistoryLimit", json!(10));
            default("updateStrategy", json!({"type": "RollingUpdate", "rollingUpdate": rolling}));
        }
        "Job" => {
            default("parallelism", json!(1));
            default("completions", json!(1));
            default("backoffLimit", json!(6));
            default("completionMode", json!("NonIndexed"));
            default("suspend", json!(false));
            default("selector", json!({"matchLabels": {"batch.kubernetes.io/controller-uid": uid}}));
            let labels = &mut spec["template"]["metadata"]["labels"];
            for prefix in ["", "batch.kubernetes.io/"] {
                labels[format!("{prefix}controller-uid")] = uid.clone();
                labels[format!("{prefix}job-name")] = name.as_str().into();
            }
        }
        _ => default("replicas", json!(1)),
    }
}

fn validate(resource: &Resource, workload: &Value) -> Vec<Cause> {
    let (mut causes, spec) = (Vec::new(), &workload["spec"]);
    if !meta::is_set(&spec["selector"]) {
        causes.push(Cause::required("spec.selector", ""));
    } else if !Selector::of_workload(&spec["selector"]).matches(&spec["template"]) {
        let labels = &spec["template"]["metadata"]["labels"];
        let why = "`selector` does not match template `labels`";
        causes.push(Cause::invalid("spec.template.metadata.labels", labels, why));
    }
    validation::pod_spec(&spec["template"]["spec"], "spec.template.spec", &mut causes);
    let policy = meta::text(&spec["template"]["spec"], "restartPolicy");
    let fitting: &[&str] = if resource.kind == "Job" { &["OnFailure", "Never"] } else { &["Always"] };
    if !fitting.contains(&policy) {
        causes.push(Cause::not_supported("spec.template.spec.restartPolicy", policy, fitting));
    }
    causes
}

fn make_pods(cluster: &Cluster, resource: &'static Resource, workload: &Arc<Value>) -> Answer<()> {
    let count = |field: &str| workload["spec"][field].as_u64().unwrap_or(1);
    let name = meta::name(workload);
    match resource.kind {
        "Deployment" => {
            let set = cluster.store.create(&REPLICA_SETS, replica_set(workload))?;
            make_pods(cluster, &REPLICA_SETS, &set)?;
        }
        "StatefulSet" => {
            for ordinal in 0..count("replicas") {
                let pod_name = format!("{name}-{ordinal}");
                let labels = json!({
                    "apps.kubernetes.io/pod-index": ordinal.to_string(),
                    "controller-revision-hash": format!("{name}-{}", hash(&workload["spec"]["template"])),
                    "statefulset.kubernetes.io/pod-name": pod_name,
                });
                make_pod(cluster, resource, workload, &pod_name, &labels);
            }
        }
        "DaemonSet" => {
            let labels = json!({
                "controller-revision-hash": hash(&workload["spec"]["template"]),
                "pod-template-generation": "1",
            });
            make_pod(cluster, resource, workload, &format!("{name}-{}", meta::suffix(5)), &labels);
        }
        kind => {
            let wanted = count(if kind == "Job" { "parallelism" } else { "replicas" });
            for _ in 0..wanted {
                make_pod(cluster, resource, workload, &format!("{name}-{}", meta::suffix(5)), &json!({}));
            }
        }
    }
    Ok(())
}

fn replica_set(deployment: &Value) -> Value {
    let mut template = deployment["spec"]["template"].clone();
    let hash = hash(&template);
    template["metadata"]["labels"]["pod-template-hash"] = hash.as_str().into();
    let mut selector = deployment["spec"]["selector"].clone();
    selector["matchLabels"]["pod-template-hash"] = hash.as_str().into();
    let mut set = json!({
        "metadata": {
            "name": format!("{}-{hash}", meta::name(deployment)),
            "labels": template["metadata"]["labels"],
            "annotations": {"deployment.kubernetes.io/revision": "1"},
            "ownerReferences": [owner("apps/v1", "Deployment", deployment)],
            "generation": 1,
        },
        "spec": {"replicas": deployment["spec"]["replicas"], "selector": selector, "template": template},
    });
    set["status"] = status_of(&REPLICA_SETS, &set, &[]);
    meta::stamp(&mut set, Some(meta::namespace(deployment)));
    set
}

fn owner(api_version: &str, kind: &str, owner: &Value) -> Value {
    json!({
        "apiVersion": api_version,
        "kind": kind,
        "name": meta::name(owner),
        "uid": owner["metadata"]["uid"],
        "controller": true,
        "blockOwnerDeletion": true,
    })
}

/// Makes a pod of the template. A pod that is refused leaves an event, as a controller's would.
fn make_pod(cluster: &Cluster, resource: &Resource, workload: &Value, name: &str, labels: &Value) {
    let template = &workload["spec"]["template"];
    let mut pod = json!({"metadata": template["metadata"], "spec": template["spec"]});
    let metadata = meta::metadata_mut(&mut pod);
    metadata["name"] = name.into();
    metadata["ownerReferences"] = json!([owner(&resource.api_version(), resource.kind, workload)]);
    for (label, value) in labels.as_object().into_iter().flatten() {
        metadata["labels"][label] = value.clone();
    }
    meta::stamp(&mut pod, Some(meta::namespace(workload)));
    let stored = pods::admit_new(cluster, pod).and_then(|pod| cluster.store.create(&PODS, pod));
    if let Err(failure) = stored {
        let message = format!("Error creating: {}", failure.message());
        events::record(cluster, workload, About::Owner(resource.kind), "Warning", "FailedCreate", &message);
    }
}

/// Deletes what a deleted object owned, pods with their grace.
pub(super) fn delete_owned(cluster: &Cluster, namespace: &str, owner: &Value) {
    let uid = &owner["metadata"]["uid"];
    let owned =
        |object: &Value| meta::items(&object["metadata"], "ownerReferences").iter().any(|one| one["uid"] == *uid);
    for set in cluster.store.list(&REPLICA_SETS, Some(namespace)).0.iter().filter(|set| owned(set)) {
        // Whatever somebody else deletes meanwhile is gone, which is what is wanted.
        let _gone = cluster.store.remove(&REPLICA_SETS, namespace, meta::name(set));
        delete_owned(cluster, namespace, set);
    }
    for pod in cluster.store.list(&PODS, Some(namespace)).0.iter().filter(|pod| owned(pod)) {
        let _gone = pods::mark_deleted(cluster, namespace, meta::name(pod), None);
    }
}
