//! Bodies of requests and answers.

use std::convert::Infallible;

use bytes::Bytes;
use futures::Stream;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited, StreamBody, combinators::UnsyncBoxBody};
use hyper::body::{Frame, Incoming};
use serde_json::Value;

use crate::status::{Answer, Failure};

pub type Body = UnsyncBoxBody<Bytes, Infallible>;

/// The API server's own limit of a request body, 3 MiB.
const MAX_REQUEST: usize = 3 << 20;

pub fn json(code: StatusCode, value: &Value) -> Response<Body> {
    let mut bytes = serde_json::to_vec(value).expect("a JSON value has no key but text");
    bytes.push(b'\n');
    with_type(code, "application/json", Full::new(Bytes::from(bytes)).boxed_unsync())
}

pub fn text(code: StatusCode, message: &str) -> Response<Body> {
    with_type(code, "text/plain; charset=utf-8", Full::new(Bytes::from(message.to_owned())).boxed_unsync())
}

/// An answer that goes on until `chunks` ends.
pub fn stream(content_type: &'static str, chunks: impl Stream<Item = Bytes> + Send + 'static) -> Response<Body> {
    use futures::StreamExt as _;
    let frames = chunks.map(|chunk| Ok::<_, Infallible>(Frame::data(chunk)));
    with_type(StatusCode::OK, content_type, BodyExt::boxed_unsync(StreamBody::new(frames)))
}

pub fn failure(failure: &Failure) -> Response<Body> {
    match failure.body() {
        Some(status) => json(failure.code(), &status),
        None => text(failure.code(), failure.message()),
    }
}

pub fn with_type(code: StatusCode, content_type: &'static str, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = code;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

/// The media type of a request without its parameters.
pub fn content_type<B>(request: &Request<B>) -> &str {
    let given = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    given.split(';').next().unwrap_or_default().trim()
}

/// What a client wants to have of the objects that it asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Extent {
    Whole,
    /// `as=PartialObjectMetadataList`, for those who need names only.
    Metadata,
}

/// The first kind of answer that the client takes and that this server has: JSON.
///
/// # Errors
/// 406 where there is none, like a server without protobuf for its type.
pub fn accepted(headers: &HeaderMap) -> Answer<Extent> {
    let accepted = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or("*/*");
    let extent = |range: &str| {
        let mut parts = range.split(';').map(str::trim);
        if !matches!(parts.next(), Some("*/*" | "application/*" | "application/json")) {
            return None;
        }
        // With `as` it asks for another object, a Table mostly, and plain JSON stands beside it as a second choice.
        match parts.find_map(|parameter| parameter.strip_prefix("as=")) {
            None => Some(Extent::Whole),
            Some("PartialObjectMetadataList") => Some(Extent::Metadata),
            Some(_) => None,
        }
    };
    accepted.split(',').find_map(extent).ok_or_else(|| Failure::not_acceptable("application/json"))
}

/// The body as JSON; YAML is taken too, where it says so. An empty body is `null`.
pub async fn read_json(request: Request<Incoming>) -> Answer<Value> {
    let media_type = content_type(&request).to_owned();
    let collected = Limited::new(request.into_body(), MAX_REQUEST).collect().await;
    let bytes = collected.map_err(|error| Failure::bad_request(error.to_string()))?.to_bytes();
    if bytes.is_empty() {
        return Ok(Value::Null);
    }
    let not_json = |error: &dyn std::fmt::Display| Failure::bad_request(format!("json: {error}"));
    match media_type.as_str() {
        "" | "application/json" | "application/merge-patch+json" | "application/strategic-merge-patch+json" => {
            serde_json::from_slice(&bytes).map_err(|error| not_json(&error))
        }
        "application/yaml" | "application/apply-patch+yaml" => {
            serde_yaml::from_slice(&bytes).map_err(|error| not_json(&error))
        }
        _ => Err(Failure::unsupported_media_type("application/json, application/yaml")),
    }
}
