//! Namespaces: created with their default service account, deleted with everything in them.

use std::sync::Arc;

use http::{Request, Response};
use hyper::body::Incoming;
use serde_json::{Value, json};

use super::{Call, created, found, objects, pods};
use crate::{
    cluster::Cluster,
    http::body::Body,
    meta,
    pod::names,
    resource::{self, CLUSTER_ROLES, NAMESPACES, PODS, SERVICE_ACCOUNTS},
    status::{Answer, Failure, ResourceName},
    store::Store,
};

/// What stands in every cluster from the start.
pub(crate) fn bootstrap(store: &Store) {
    for name in ["default", "kube-system"] {
        let mut namespace = json!({"metadata": {"name": name}});
        meta::stamp(&mut namespace, None);
        store_new(store, namespace).expect("the store is empty");
    }
    let mut role = json!({
        "metadata": {"name": "cluster-admin"},
        "rules": [
            {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]},
            {"verbs": ["*"], "nonResourceURLs": ["*"]},
        ],
    });
    meta::stamp(&mut role, None);
    store.create(&CLUSTER_ROLES, role).expect("the store is empty");
}

pub(super) async fn create(call: &Call, request: Request<Incoming>) -> Answer<Response<Body>> {
    let namespace = objects::read_new(call, request).await?;
    let mut causes = Vec::new();
    names::check_label("metadata.name", meta::name(&namespace), &mut causes);
    if !causes.is_empty() {
        return Err(Failure::invalid(call.resource, meta::name(&namespace), &causes));
    }
    if call.query.is_dry_run() {
        return Ok(created(call.resource, &prepared(namespace)));
    }
    Ok(created(call.resource, &*store_new(&call.cluster.store, namespace)?))
}

fn prepared(mut namespace: Value) -> Value {
    let name = meta::name(&namespace).to_owned();
    namespace["metadata"]["labels"]["kubernetes.io/metadata.name"] = name.into();
    namespace["spec"] = json!({"finalizers": ["kubernetes"]});
    namespace["status"] = json!({"phase": "Active"});
    namespace
}

fn store_new(store: &Store, namespace: Value) -> Answer<Arc<Value>> {
    let stored = store.create(&NAMESPACES, prepared(namespace))?;
    let mut account = json!({"metadata": {"name": "default"}});
    meta::stamp(&mut account, Some(meta::name(&stored)));
    store.create(&SERVICE_ACCOUNTS, account)?;
    Ok(stored)
}

/// Marks the namespace as terminating; a task deletes its pods, waits for them, and takes everything else away.
pub(super) fn delete(call: &Call) -> Answer<Response<Body>> {
    let name = call.name()?.to_owned();
    if name == "default" || name == "kube-system" {
        let why = "this namespace may not be deleted";
        return Err(Failure::forbidden(ResourceName::of(call.resource), Some(&name), why));
    }
    let mut first = false;
    let namespace = call.cluster.store.update(&NAMESPACES, "", &name, |namespace| {
        first = namespace["metadata"]["deletionTimestamp"].is_null();
        if first {
            namespace["metadata"]["deletionTimestamp"] = meta::now().into();
            namespace["status"]["phase"] = "Terminating".into();
        }
        Ok(())
    })?;
    if first {
        tokio::spawn(empty(call.cluster.clone(), name));
    }
    Ok(found(call.resource, &namespace))
}

async fn empty(cluster: Arc<Cluster>, name: String) {
    let mut grown = cluster.store.subscribe();
    loop {
        grown.borrow_and_update();
        let (pods, _) = cluster.store.list(&PODS, Some(&name));
        if pods.is_empty() {
            break;
        }
        for pod in pods {
            // Gone in the meantime is as good.
            let _gone = pods::mark_deleted(&cluster, &name, meta::name(&pod), None);
        }
        if grown.changed().await.is_err() {
            return;
        }
    }
    for resource in resource::ALL.into_iter().filter(|resource| resource.namespaced) {
        for object in cluster.store.list(resource, Some(&name)).0 {
            let _gone = cluster.store.remove(resource, &name, meta::name(&object));
        }
    }
    let _gone = cluster.store.remove(&NAMESPACES, "", &name);
}
