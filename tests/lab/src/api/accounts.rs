//! Tokens of service accounts: the TokenRequest API.

use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use serde_json::json;

use super::{Call, typed};
use crate::{
    http::body::{self, Body},
    meta,
    resource::SERVICE_ACCOUNTS,
    status::{Answer, Cause, Failure},
};

const HOUR: i64 = 3600;
const SHORTEST: i64 = 600;

pub(super) async fn create_token(call: &Call, request: Request<Incoming>) -> Answer<Response<Body>> {
    let name = call.name()?;
    let account = call.cluster.store.get(&SERVICE_ACCOUNTS, call.namespace(), name)?;
    let given = body::read_json(request).await?;
    let mut answer = typed::normalise("TokenRequest", "authentication.k8s.io/v1", given, &call.query)?;
    let seconds = answer["spec"]["expirationSeconds"].as_i64().unwrap_or(HOUR);
    if seconds < SHORTEST {
        let cause = Cause::invalid(
            "spec.expirationSeconds",
            &json!(seconds),
            "may not specify a duration less than 10 minutes",
        );
        return Err(Failure::invalid(call.resource, name, &[cause]));
    }
    let uid = meta::text(&account["metadata"], "uid");
    let (token, expires) = call.cluster.tokens.issue(call.namespace(), name, uid, seconds);
    answer["metadata"]["name"] = name.into();
    answer["metadata"]["namespace"] = call.namespace().into();
    answer["metadata"]["creationTimestamp"] = meta::now().into();
    answer["spec"]["expirationSeconds"] = seconds.into();
    answer["status"] =
        json!({"token": token, "expirationTimestamp": expires.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()});
    Ok(body::json(StatusCode::CREATED, &answer))
}
