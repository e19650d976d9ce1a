//! Pods: creation, patches, ephemeral containers, deletion.

use std::sync::Arc;

use http::{Request, Response};
use hyper::body::Incoming;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::{Call, created, found, objects};
use crate::{
    cluster::Cluster,
    http::body::{self, Body},
    meta,
    pod::{defaults, ephemeral, security, unsupported, validation},
    resource::{NAMESPACES, PODS, SERVICE_ACCOUNTS},
    status::{Answer, Cause, Failure, ResourceName},
};

pub(super) async fn create(call: &Call, request: Request<Incoming>) -> Answer<Response<Body>> {
    let pod = objects::read_new(call, request).await?;
    objects::refuse_if_terminating(call, &pod)?;
    let pod = admit_new(&call.cluster, pod)?;
    if call.query.is_dry_run() {
        return Ok(created(&PODS, &pod));
    }
    Ok(created(&PODS, &*call.cluster.store.create(&PODS, pod)?))
}

/// Defaults, admission and validation of a new pod; workloads make theirs through this too.
pub(super) fn admit_new(cluster: &Cluster, mut pod: Value) -> Answer<Value> {
    defaults::pod(&mut pod);
    let (namespace, account) =
        (meta::namespace(&pod).to_owned(), meta::text(&pod["spec"], "serviceAccountName").to_owned());
    if cluster.store.find(&SERVICE_ACCOUNTS, &namespace, &account).is_none() {
        let why =
            format!("error looking up service account {namespace}/{account}: serviceaccount {account:?} not found");
        return Err(Failure::forbidden(ResourceName::of(&PODS), Some(meta::name(&pod)), &why));
    }
    defaults::service_account_volume(&mut pod);
    let causes = validation::pod(&pod);
    if !causes.is_empty() {
        return Err(Failure::invalid(&PODS, meta::name(&pod), &causes));
    }
    check_security(&*cluster.store.get(&NAMESPACES, "", meta::namespace(&pod))?, &pod)?;
    check_supported(&pod)?;
    pod["metadata"]["generation"] = 1.into();
    pod["status"] = json!({"phase": "Pending", "qosClass": defaults::qos_class(&pod)});
    Ok(pod)
}

/// Pod Security admission at the level that the namespace enforces.
fn check_security(namespace: &Value, pod: &Value) -> Answer<()> {
    match security::violation(namespace, pod) {
        Some(why) => Err(Failure::forbidden(ResourceName::of(&PODS), Some(meta::name(pod)), &why)),
        None => Ok(()),
    }
}

fn check_supported(pod: &Value) -> Answer<()> {
    let Some(field) = unsupported::field(pod) else { return Ok(()) };
    let why = format!("{field} is not supported by this cluster");
    Err(Failure::forbidden(ResourceName::of(&PODS), Some(meta::name(pod)), &why))
}

pub(super) async fn patch(call: &Call, request: Request<Incoming>) -> Answer<Response<Body>> {
    change(call, request, |old, new| {
        let mut causes = validation::pod_update(old, new);
        if old["spec"]["ephemeralContainers"] != new["spec"]["ephemeralContainers"] {
            let how = "use the ephemeralcontainers subresource";
            causes.push(Cause::forbidden("spec.ephemeralContainers", how));
        }
        causes
    })
    .await
}

pub(super) async fn patch_ephemeral_containers(call: &Call, request: Request<Incoming>) -> Answer<Response<Body>> {
    change(call, request, |old, new| {
        // Of whatever else the patch says this subresource takes nothing.
        let list = new["spec"]["ephemeralContainers"].take();
        *new = old.clone();
        if meta::is_set(&list) {
            new["spec"]["ephemeralContainers"] = list;
        } else {
            meta::remove(&mut new["spec"], "ephemeralContainers");
        }
        if call.cluster.options.seal_ephemeral {
            ephemeral::seal_new(old, new);
        }
        ephemeral::validate(old, new)
    })
    .await
}

/// Patches a pod; `check` may narrow the result, and says what is wrong with it.
async fn change(
    call: &Call,
    request: Request<Incoming>,
    check: impl Fn(&Value, &mut Value) -> Vec<Cause>,
) -> Answer<Response<Body>> {
    let (kind, patch) = objects::read_patch(request).await?;
    let (namespace, name) = (call.namespace(), call.name()?);
    // Read before the store is locked for the update.
    let home = call.cluster.store.get(&NAMESPACES, "", namespace)?;
    let apply = |pod: &mut Value| -> Answer<()> {
        let mut patched = objects::apply_patch(call, kind, &patch, pod)?;
        defaults::pod(&mut patched);
        let causes = check(pod, &mut patched);
        if !causes.is_empty() {
            return Err(Failure::invalid(&PODS, name, &causes));
        }
        if pod["spec"] != patched["spec"] {
            check_security(&home, &patched)?;
            check_supported(&patched)?;
            let generation = patched["metadata"]["generation"].as_i64().unwrap_or(0);
            patched["metadata"]["generation"] = (generation + 1).into();
        }
        *pod = patched;
        Ok(())
    };
    if call.query.is_dry_run() {
        let mut pod = (*call.cluster.store.get(&PODS, namespace, name)?).clone();
        apply(&mut pod)?;
        return Ok(found(&PODS, &pod));
    }
    Ok(found(&PODS, &*call.cluster.store.update(&PODS, namespace, name, apply)?))
}

/// Deletion: the kubelet stops the containers and takes the object away. `gracePeriodSeconds=0` takes it away at once.
pub(super) async fn delete(call: &Call, request: Request<Incoming>) -> Answer<Response<Body>> {
    let options = body::read_json(request).await?;
    let asked = call.query.number("gracePeriodSeconds")?.or(options["gracePeriodSeconds"].as_i64());
    let pod = mark_deleted(&call.cluster, call.namespace(), call.name()?, asked)?;
    Ok(found(&PODS, &pod))
}

/// Marks a pod as to be deleted, or shortens the grace of one that is.
pub(super) fn mark_deleted(cluster: &Cluster, namespace: &str, name: &str, grace: Option<i64>) -> Answer<Arc<Value>> {
    let pod = cluster.store.update(&PODS, namespace, name, |pod| {
        let default = pod["spec"]["terminationGracePeriodSeconds"].as_i64().unwrap_or(30);
        let seconds = grace.unwrap_or(default).max(0);
        let metadata = &mut pod["metadata"];
        let before = metadata["deletionGracePeriodSeconds"].as_i64();
        if before.is_none_or(|before| seconds < before) {
            let at = Timestamp::now() + SignedDuration::from_secs(seconds);
            metadata["deletionTimestamp"] = at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string().into();
            metadata["deletionGracePeriodSeconds"] = seconds.into();
        }
        Ok(())
    })?;
    if pod["metadata"]["deletionGracePeriodSeconds"] == json!(0) {
        // The worker keeps what it needs to clean up.
        return cluster.store.remove(&PODS, namespace, name);
    }
    Ok(pod)
}
