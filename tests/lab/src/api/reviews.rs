//! What users ask about themselves: SelfSubjectReview, "who am I?", and SelfSubjectAccessReview, "may I?".

use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use serde_json::json;

use super::{Call, typed};
use crate::{
    http::body::{self, Body},
    meta,
    rbac::{self, Attributes},
    status::{Answer, Failure},
};

pub(super) async fn who(call: &Call, request: Request<Incoming>) -> Answer<Response<Body>> {
    let given = body::read_json(request).await?;
    let mut review = typed::normalise(call.resource.kind, &call.resource.api_version(), given, &call.query)?;
    review["status"] = json!({ "userInfo": { "username": call.user.name, "groups": call.user.groups } });
    Ok(body::json(StatusCode::CREATED, &review))
}

pub(super) async fn access(call: &Call, request: Request<Incoming>) -> Answer<Response<Body>> {
    let given = body::read_json(request).await?;
    let mut review = typed::normalise(call.resource.kind, &call.resource.api_version(), given, &call.query)?;
    let spec = &review["spec"];
    let store = &call.cluster.store;
    let allowed = if spec["resourceAttributes"].is_object() {
        let asked = &spec["resourceAttributes"];
        let optional = |field| Some(meta::text(asked, field)).filter(|text| !text.is_empty());
        let attributes = Attributes {
            verb: meta::text(asked, "verb"),
            group: meta::text(asked, "group"),
            resource: meta::text(asked, "resource"),
            subresource: optional("subresource"),
            namespace: optional("namespace"),
            name: optional("name"),
        };
        rbac::allows(store, &call.user, &attributes)
    } else if spec["nonResourceAttributes"].is_object() {
        let asked = &spec["nonResourceAttributes"];
        rbac::allows_path(store, &call.user, meta::text(asked, "verb"), meta::text(asked, "path"))
    } else {
        let message = "exactly one of nonResourceAttributes or resourceAttributes must be specified";
        let cause = crate::status::Cause::invalid("spec.resourceAttributes", &json!(null), message);
        return Err(Failure::invalid(call.resource, "", &[cause]));
    };
    review["status"] = json!({ "allowed": allowed });
    Ok(body::json(StatusCode::CREATED, &review))
}
