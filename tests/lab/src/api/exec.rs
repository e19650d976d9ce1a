//! `pods/exec`: what is checked before the connection becomes a stream, and the upgrade.

use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{handshake::derive_accept_key, protocol::Role},
};

use super::Call;
use crate::{
    exec::{Session, Streams, Subprotocol},
    http::body::Body,
    meta,
    pod::find_container,
    rbac,
    resource::PODS,
    runtime::ExecSpec,
    status::{Answer, Failure, ResourceName},
};

/// Tells a lab to answer as a node that serves no exec, with that code. Not recorded: 501 is what a virtual kubelet says whose
/// provider has none, 404 a kubelet without its debugging handlers, 405 a newer one
/// (`node/api/server.go` of virtual-kubelet, `pkg/kubelet/server/server.go` of Kubernetes).
const NODE_ANSWERS: &str = "lab.jattach/node-answers-exec";

/// Tells a lab to end an exec's stream without the Status that should come last.
const DROP_STATUS: &str = "lab.jattach/drop-exec-status";

pub(super) fn connect(call: &Call, mut request: Request<Incoming>) -> Answer<Response<Body>> {
    let name = call.name()?;
    // Since 1.35 a WebSocket's GET needs the right to create as well, and the server gives no reason.
    if !rbac::allows(&call.cluster.store, &call.user, &call.target.attributes("create")) {
        return Err(Failure::forbidden(ResourceName::of(&PODS), Some(name), ""));
    }
    let pod = call.cluster.store.get(&PODS, call.namespace(), name)?;
    let container = container_name(&pod, call.query.get("container"))?;
    if find_container(&pod, &container).is_none() {
        return Err(Failure::bad_request(format!("container {container} is not valid for pod {name}")));
    }
    let phase = meta::text(&pod["status"], "phase");
    if matches!(phase, "Succeeded" | "Failed") {
        let message = format!("cannot exec into a container in a completed pod; current phase is {phase}");
        return Err(Failure::bad_request(message));
    }
    refuse_as_node(&pod)?;
    let streams = streams(call)?;
    let uid = meta::text(&pod["metadata"], "uid");
    let running = is_running(&pod, &container).then(|| call.cluster.workers.container(uid, &container)).flatten();
    let Some(target) = running else {
        let message = format!("container not found ({container:?})");
        return Err(Failure::text(StatusCode::INTERNAL_SERVER_ERROR, message));
    };
    let (subprotocol, answer) = upgrade(request.headers())?;
    let session = Session {
        container: target,
        spec: ExecSpec { argv: call.query.all("command").to_vec(), stdin: streams.stdin },
        streams,
        subprotocol,
        drop_status: pod["metadata"]["annotations"][DROP_STATUS] == "true",
    };
    let upgraded = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        // A client that leaves before the upgrade is done started nothing.
        if let Ok(connection) = upgraded.await {
            let io = TokioIo::new(connection);
            session.run(WebSocketStream::from_raw_socket(io, Role::Server, None).await).await;
        }
    });
    Ok(answer)
}

fn refuse_as_node(pod: &Value) -> Answer<()> {
    let (code, text) = match pod["metadata"]["annotations"][NODE_ANSWERS].as_str() {
        None => return Ok(()),
        Some("404") => (StatusCode::NOT_FOUND, "404 page not found\n"),
        // What a proxy makes of it that does not pass an upgrade on.
        Some("200") => (StatusCode::OK, ""),
        Some("405") => (StatusCode::METHOD_NOT_ALLOWED, "Debug endpoints are disabled.\n"),
        Some(_) => (StatusCode::NOT_IMPLEMENTED, "501 not implemented\n"),
    };
    Err(Failure::text(code, text))
}

/// The container that a request means: the named one, or the pod's only one.
pub(super) fn container_name(pod: &Value, asked: Option<&str>) -> Answer<String> {
    if let Some(name) = asked.filter(|name| !name.is_empty()) {
        return Ok(name.to_owned());
    }
    let names = |list: &str| -> Vec<&str> {
        meta::items(&pod["spec"], list).iter().map(|container| meta::text(container, "name")).collect()
    };
    let (regular, init) = (names("containers"), names("initContainers"));
    if let [only] = regular.as_slice() {
        return Ok((*only).to_owned());
    }
    let mut message = format!(
        "a container name must be specified for pod {}, choose one of: [{}]",
        meta::name(pod),
        regular.join(" ")
    );
    if !init.is_empty() {
        message = format!("{message} or one of the init containers: [{}]", init.join(" "));
    }
    Err(Failure::bad_request(message))
}

fn is_running(pod: &Value, name: &str) -> bool {
    ["initContainerStatuses", "containerStatuses", "ephemeralContainerStatuses"]
        .iter()
        .flat_map(|list| meta::items(&pod["status"], list))
        .any(|status| meta::text(status, "name") == name && status["state"]["running"].is_object())
}

fn streams(call: &Call) -> Answer<Streams> {
    let streams = Streams {
        stdin: call.query.flag("stdin"),
        stdout: call.query.flag("stdout"),
        stderr: call.query.flag("stderr"),
    };
    if call.query.flag("tty") {
        return Err(Failure::text(StatusCode::BAD_REQUEST, "this cluster has no terminals: tty is not supported"));
    }
    if !(streams.stdin || streams.stdout || streams.stderr) {
        let message = "you must specify at least 1 of stdin, stdout, stderr";
        return Err(Failure::text(StatusCode::BAD_REQUEST, message));
    }
    Ok(streams)
}

/// The 101 that a WebSocket handshake asks for, with the newest subprotocol that both sides know.
fn upgrade(headers: &HeaderMap) -> Answer<(Subprotocol, Response<Body>)> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if !text(header::UPGRADE).eq_ignore_ascii_case("websocket") {
        let message = "unable to upgrade: exec is served over WebSocket only, v5.channel.k8s.io or v4.channel.k8s.io";
        return Err(Failure::bad_request(message));
    }
    let offered: Vec<&str> = headers
        .get_all(header::SEC_WEBSOCKET_PROTOCOL)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .collect();
    let subprotocol = Subprotocol::negotiate(&offered).ok_or_else(|| {
        Failure::text(StatusCode::FORBIDDEN, format!("none of the subprotocols is known: {}", offered.join(", ")))
    })?;
    let key = headers.get(header::SEC_WEBSOCKET_KEY).ok_or_else(|| Failure::bad_request("no Sec-WebSocket-Key"))?;
    let accept = derive_accept_key(key.as_bytes());
    let mut answer = Response::new(Empty::new().boxed_unsync());
    *answer.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let fields = answer.headers_mut();
    fields.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    fields.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    fields.insert(header::SEC_WEBSOCKET_ACCEPT, accept.parse().expect("base64 is a header value"));
    fields.insert(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(subprotocol.name()));
    Ok((subprotocol, answer))
}
