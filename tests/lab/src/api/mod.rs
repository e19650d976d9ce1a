//! The API server's handlers: from an authenticated request to an answer.

mod accounts;
mod discovery;
mod exec;
mod log;
pub(crate) mod namespaces;
mod objects;
mod openapi;
mod pods;
mod reviews;
mod typed;
mod watch;
mod workloads;

use std::sync::Arc;

use http::{Method, Request, Response, StatusCode};
use hyper::body::Incoming;

use crate::{
    auth::{self, User},
    cluster::Cluster,
    http::{
        body::{self, Body, Extent},
        request::{Query, ResourceRequest, Target},
    },
    impersonation::impersonate,
    rbac,
    resource::Resource,
    status::{Answer, Failure},
};

/// A request that passed authentication and authorisation.
pub struct Call {
    pub cluster: Arc<Cluster>,
    pub user: User,
    pub query: Query,
    pub target: ResourceRequest,
    pub resource: &'static Resource,
    pub extent: Extent,
}

impl Call {
    /// The name in the path.
    pub fn name(&self) -> Answer<&str> {
        self.target.name.as_deref().ok_or_else(Failure::method_not_allowed)
    }

    /// The namespace that the object is stored under.
    pub fn namespace(&self) -> &str {
        self.target.store_namespace()
    }
}

/// Answers one request. `certified` is the user of the connection's client certificate.
pub async fn handle(cluster: Arc<Cluster>, certified: Option<User>, request: Request<Incoming>) -> Response<Body> {
    match answer(cluster, certified, request).await {
        Ok(response) => response,
        Err(failure) => body::failure(&failure),
    }
}

async fn answer(cluster: Arc<Cluster>, certified: Option<User>, request: Request<Incoming>) -> Answer<Response<Body>> {
    let real = auth::authenticate(request.headers(), certified.as_ref(), &cluster.tokens, &cluster.store)?;
    let query = Query::of(request.uri());
    let target = Target::parse(request.method(), request.uri(), &query)?;
    let user = impersonate(request.headers(), real, &target, &cluster.store)?;
    match target {
        Target::Path { path, verb } => {
            rbac::require_path(&cluster.store, &user, verb, &path)?;
            if !matches!(*request.method(), Method::GET | Method::HEAD) {
                return Err(Failure::method_not_allowed());
            }
            discovery::answer(&path, request.headers())
        }
        Target::Resource(target) => {
            rbac::require(&cluster.store, &user, &target.attributes(target.verb))?;
            let resource = target.resource.ok_or_else(Failure::no_such_path)?;
            let extent = body::accepted(request.headers())?;
            route(Call { cluster, user, query, target, resource, extent }, request).await
        }
    }
}

async fn route(call: Call, request: Request<Incoming>) -> Answer<Response<Body>> {
    let subresource = call.target.subresource.clone();
    match (call.resource.plural, subresource.as_deref(), call.target.verb) {
        ("pods", Some("exec"), "get" | "create") => exec::connect(&call, request),
        ("pods", Some("log"), "get") => log::read(&call),
        ("pods", Some("ephemeralcontainers"), "get") => objects::get(&call),
        ("pods", Some("ephemeralcontainers"), "patch") => pods::patch_ephemeral_containers(&call, request).await,
        ("serviceaccounts", Some("token"), "create") => accounts::create_token(&call, request).await,
        (_, Some(_), _) => Err(Failure::no_such_path()),
        ("selfsubjectaccessreviews", None, "create") => reviews::access(&call, request).await,
        ("selfsubjectreviews", None, "create") => reviews::who(&call, request).await,
        ("pods", None, "create") => pods::create(&call, request).await,
        ("pods", None, "patch") => pods::patch(&call, request).await,
        ("pods", None, "delete") => pods::delete(&call, request).await,
        ("namespaces", None, "create") => namespaces::create(&call, request).await,
        ("namespaces", None, "delete") => namespaces::delete(&call),
        ("deployments" | "statefulsets" | "daemonsets" | "replicasets" | "jobs", None, "create") => {
            workloads::create(&call, request).await
        }
        (_, None, verb) if !call.resource.verbs.contains(&verb) => Err(Failure::method_not_allowed()),
        (_, None, "get") => objects::get(&call),
        (_, None, "list") => objects::list(&call),
        (_, None, "watch") => watch::watch(&call),
        (_, None, "create") => objects::create(&call, request).await,
        (_, None, "patch") => objects::patch(&call, request).await,
        (_, None, "delete") => objects::delete(&call),
        _ => Err(Failure::method_not_allowed()),
    }
}

/// 200 with an object as it is stored; kind and version are added.
fn found(resource: &Resource, object: &serde_json::Value) -> Response<Body> {
    body::json(StatusCode::OK, &objects::with_kind(resource, object))
}

fn created(resource: &Resource, object: &serde_json::Value) -> Response<Body> {
    body::json(StatusCode::CREATED, &objects::with_kind(resource, object))
}
