//! What all resources have in common: get, list, create, patch, delete.

use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use serde_json::{Value, json};

use super::{Call, created, found, typed, workloads};
use crate::{
    http::body::{self, Body, Extent},
    meta,
    patch::PatchType,
    pod::names,
    resource::{NAMESPACES, Resource},
    selector::Selector,
    status::{Answer, Failure},
};

const META: &str = "meta.k8s.io/v1";

/// The object with `kind` and `apiVersion`, which are not stored.
pub(super) fn with_kind(resource: &Resource, object: &Value) -> Value {
    let mut object = object.clone();
    object["kind"] = resource.kind.into();
    object["apiVersion"] = resource.api_version().into();
    object
}

pub(super) fn get(call: &Call) -> Answer<Response<Body>> {
    let object = call.cluster.store.get(call.resource, call.namespace(), call.name()?)?;
    Ok(found(call.resource, &object))
}

pub(super) fn list(call: &Call) -> Answer<Response<Body>> {
    let selector = selector(call)?;
    let (objects, revision) = call.cluster.store.list(call.resource, call.target.namespace.as_deref());
    let items = objects.iter().map(AsRef::as_ref).filter(|object| selector.matches(object));
    let (kind, version, items) = match call.extent {
        Extent::Whole => (call.resource.list_kind(), call.resource.api_version(), items.cloned().collect()),
        Extent::Metadata => ("PartialObjectMetadataList".to_owned(), META.to_owned(), items.map(metadata).collect()),
    };
    let items: Vec<Value> = items;
    let list = json!({
        "kind": kind,
        "apiVersion": version,
        "metadata": {"resourceVersion": revision.to_string()},
        "items": items,
    });
    Ok(body::json(StatusCode::OK, &list))
}

fn metadata(object: &Value) -> Value {
    json!({"kind": "PartialObjectMetadata", "apiVersion": META, "metadata": object["metadata"]})
}

pub(super) fn selector(call: &Call) -> Answer<Selector> {
    let mut selector = Selector::parse(call.query.get("labelSelector"), call.query.get("fieldSelector"))?;
    if let Some(name) = &call.target.name {
        selector.narrow_to_name(name);
    }
    Ok(selector)
}

/// The request's body as an object of the call's type, ready to be checked: without kind, with name and uid.
pub(super) async fn read_new(call: &Call, request: Request<Incoming>) -> Answer<Value> {
    let given = body::read_json(request).await?;
    let mut object = typed::normalise(call.resource.kind, &call.resource.api_version(), given, &call.query)?;
    for field in ["kind", "apiVersion", "status"] {
        meta::remove(&mut object, field);
    }
    if call.resource.namespaced {
        let namespace = call.target.namespace.as_deref().ok_or_else(Failure::method_not_allowed)?;
        let named = meta::namespace(&object);
        if !named.is_empty() && named != namespace {
            let message = "the namespace of the provided object does not match the namespace sent on the request";
            return Err(Failure::bad_request(message));
        }
        call.cluster.store.get(&NAMESPACES, "", namespace)?;
        meta::stamp(&mut object, Some(namespace));
    } else {
        meta::stamp(&mut object, None);
    }
    Ok(object)
}

/// 403 where the namespace is about to go.
pub(super) fn refuse_if_terminating(call: &Call, object: &Value) -> Answer<()> {
    let namespace = meta::namespace(object);
    let Some(found) = call.cluster.store.find(&NAMESPACES, "", namespace) else { return Ok(()) };
    if found["metadata"]["deletionTimestamp"].is_null() {
        return Ok(());
    }
    let why = format!("unable to create new content in namespace {namespace} because it is being terminated");
    let resource = crate::status::ResourceName::of(call.resource);
    Err(Failure::forbidden(resource, Some(meta::name(object)), &why))
}

pub(super) async fn create(call: &Call, request: Request<Incoming>) -> Answer<Response<Body>> {
    let object = read_new(call, request).await?;
    check_name(call.resource, &object)?;
    refuse_if_terminating(call, &object)?;
    if call.query.is_dry_run() {
        return Ok(created(call.resource, &object));
    }
    let stored = call.cluster.store.create(call.resource, object)?;
    Ok(created(call.resource, &stored))
}

pub(super) fn check_name(resource: &Resource, object: &Value) -> Answer<()> {
    let mut causes = Vec::new();
    let name = meta::name(object);
    // RBAC names may hold anything that fits into a path.
    if name.is_empty() || resource.group != "rbac.authorization.k8s.io" {
        names::check_subdomain("metadata.name", name, &mut causes);
    }
    if causes.is_empty() { Ok(()) } else { Err(Failure::invalid(resource, name, &causes)) }
}

/// A patch and how it is to be applied.
pub(super) async fn read_patch(request: Request<Incoming>) -> Answer<(PatchType, Value)> {
    let kind = PatchType::of(body::content_type(&request))?;
    let patch = body::read_json(request).await?;
    if !patch.is_object() {
        return Err(Failure::bad_request("error decoding patch: it is not an object"));
    }
    Ok((kind, patch))
}

/// Applies a patch to what is stored and gives back the changed object, checked for its type. Name, uid and the like
/// stay as they are.
pub(super) fn apply_patch(call: &Call, kind: PatchType, patch: &Value, object: &Value) -> Answer<Value> {
    let mut patched = object.clone();
    kind.apply(&mut patched, patch);
    let wanted = &patch["metadata"]["resourceVersion"];
    if wanted.is_string() && *wanted != object["metadata"]["resourceVersion"] {
        let why = "the object has been modified; please apply your changes to the latest version and try again";
        return Err(Failure::conflict(call.resource, meta::name(object), why));
    }
    meta::remove(&mut patched, "status");
    let mut normal = typed::normalise(call.resource.kind, &call.resource.api_version(), patched, &call.query)?;
    for field in ["kind", "apiVersion"] {
        meta::remove(&mut normal, field);
    }
    if !object["status"].is_null() {
        normal["status"] = object["status"].clone();
    }
    for kept in ["name", "namespace", "uid", "creationTimestamp", "resourceVersion", "generation", "deletionTimestamp"]
    {
        let value = object["metadata"][kept].clone();
        if value.is_null() {
            meta::remove(&mut normal["metadata"], kept);
        } else {
            normal["metadata"][kept] = value;
        }
    }
    Ok(normal)
}

pub(super) async fn patch(call: &Call, request: Request<Incoming>) -> Answer<Response<Body>> {
    let (kind, patch) = read_patch(request).await?;
    let stored = call.cluster.store.update(call.resource, call.namespace(), call.name()?, |object| {
        *object = apply_patch(call, kind, &patch, object)?;
        Ok(())
    })?;
    Ok(found(call.resource, &stored))
}

/// Takes the object away, and what it owns with it.
pub(super) fn delete(call: &Call) -> Answer<Response<Body>> {
    let name = call.name()?;
    let removed = call.cluster.store.remove(call.resource, call.namespace(), name)?;
    workloads::delete_owned(&call.cluster, call.namespace(), &removed);
    let details = json!({
        "name": name,
        "group": call.resource.group,
        "kind": call.resource.plural,
        "uid": removed["metadata"]["uid"],
    });
    let status = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details});
    Ok(body::json(StatusCode::OK, &status))
}
