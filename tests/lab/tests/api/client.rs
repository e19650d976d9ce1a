//! Requests exactly as they were recorded, over TLS, without a client library that would improve on them.

use std::{sync::Arc, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use futures::{SinkExt, StreamExt};
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, client::conn::http1, upgrade::Upgraded};
use hyper_util::rt::TokioIo;
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{Message, protocol::Role},
};

/// Far longer than anything here takes: what it guards against is a hang for good.
const HANG: Duration = Duration::from_secs(60);

/// Whom a request comes from.
#[derive(Debug, Clone)]
pub(crate) enum As {
    Admin,
    Token(String),
}

pub(crate) struct Client {
    address: String,
    certified: TlsConnector,
    bare: TlsConnector,
}

pub(crate) type Socket = WebSocketStream<TokioIo<Upgraded>>;

/// An exec's end: the answer instead of an upgrade, or the subprotocol and the frames.
#[derive(Debug)]
pub(crate) struct Exec {
    pub status: StatusCode,
    pub body: Value,
    pub subprotocol: Option<String>,
    /// Channel and data of each frame; a close code at the end.
    pub frames: Vec<(u8, Vec<u8>)>,
    pub close: Option<u16>,
}

impl Client {
    pub(crate) fn of(kubeconfig: &std::path::Path) -> Self {
        let config: Value = serde_json::from_slice(&std::fs::read(kubeconfig).unwrap()).unwrap();
        let (cluster, user) = (&config["clusters"][0]["cluster"], &config["users"][0]["user"]);
        let pem = |value: &Value| STANDARD.decode(value.as_str().unwrap()).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(&pem(&cluster["certificate-authority-data"])).unwrap()).unwrap();
        let builder = || {
            ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
                .with_safe_default_protocol_versions()
                .unwrap()
                .with_root_certificates(roots.clone())
        };
        let certificate = CertificateDer::from_pem_slice(&pem(&user["client-certificate-data"])).unwrap();
        let key = PrivateKeyDer::from_pem_slice(&pem(&user["client-key-data"])).unwrap();
        let certified = builder().with_client_auth_cert(vec![certificate], key).unwrap();
        Self {
            address: cluster["server"].as_str().unwrap().trim_start_matches("https://").to_owned(),
            certified: TlsConnector::from(Arc::new(certified)),
            bare: TlsConnector::from(Arc::new(builder().with_no_client_auth())),
        }
    }

    async fn send(&self, who: &As, mut request: Request<Full<Bytes>>) -> Response<Incoming> {
        let tls = match who {
            As::Admin => &self.certified,
            As::Token(token) => {
                request.headers_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
                &self.bare
            }
        };
        request.headers_mut().insert("host", self.address.parse().unwrap());
        let stream = TcpStream::connect(&self.address).await.unwrap();
        let stream = tls.connect(ServerName::try_from("127.0.0.1").unwrap(), stream).await.unwrap();
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection.with_upgrades());
        sender.send_request(request).await.unwrap()
    }

    /// Status and body; a body that is no JSON comes as a text.
    pub(crate) async fn request(
        &self,
        who: &As,
        method: &str,
        path: &str,
        media_type: &str,
        body: &Value,
    ) -> (u16, Value) {
        let bytes = if body.is_null() { Bytes::new() } else { Bytes::from(body.to_string()) };
        let mut request = Request::builder().method(method).uri(path);
        if !media_type.is_empty() {
            request = request.header("content-type", media_type);
        }
        let response = self.send(who, request.body(Full::new(bytes)).unwrap()).await;
        let status = response.status().as_u16();
        (status, read_body(response).await)
    }

    /// The lines of a watch, as far as `enough` wants them; a panic where they do not come.
    pub(crate) async fn watch(&self, path: &str, enough: impl FnMut(&Value) -> bool) {
        let watched = tokio::time::timeout(HANG, self.watch_for_ever(path, enough)).await;
        watched.unwrap_or_else(|_| panic!("the watch of {path} does not tell what is awaited"));
    }

    async fn watch_for_ever(&self, path: &str, mut enough: impl FnMut(&Value) -> bool) {
        let request = Request::builder().uri(path).body(Full::default()).unwrap();
        let mut body = self.send(&As::Admin, request).await.into_body();
        let mut pending = Vec::new();
        while let Some(frame) = body.frame().await {
            pending.extend_from_slice(frame.unwrap().data_ref().unwrap());
            while let Some(end) = pending.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = pending.drain(..=end).collect();
                if enough(&serde_json::from_slice(&line).unwrap()) {
                    return;
                }
            }
        }
        panic!("the watch of {path} ended");
    }

    /// A GET with header fields of its own.
    pub(crate) async fn request_with(&self, who: &As, path: &str, fields: &[(&str, &str)]) -> (u16, Value) {
        let mut request = Request::builder().uri(path);
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        let response = self.send(who, request.body(Full::default()).unwrap()).await;
        let status = response.status().as_u16();
        (status, read_body(response).await)
    }

    async fn upgrade(&self, who: &As, path: &str, offered: &[String]) -> Response<Incoming> {
        let request = Request::builder()
            .uri(path)
            .header("connection", "Upgrade")
            .header("upgrade", "websocket")
            .header("sec-websocket-version", "13")
            .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")
            .header("sec-websocket-protocol", offered.join(", "));
        self.send(who, request.body(Full::default()).unwrap()).await
    }

    /// The open stream of an exec.
    pub(crate) async fn open(&self, who: &As, path: &str, offered: &[String]) -> Socket {
        let response = self.upgrade(who, path, offered).await;
        assert_eq!(response.status(), StatusCode::SWITCHING_PROTOCOLS);
        socket(response).await
    }

    /// An exec from its request to its end.
    pub(crate) async fn exec(&self, who: &As, path: &str, offered: &[String], send: &[Vec<u8>]) -> Exec {
        let response = self.upgrade(who, path, offered).await;
        let status = response.status();
        let mut exec = Exec { status, body: Value::Null, subprotocol: None, frames: Vec::new(), close: None };
        if status != StatusCode::SWITCHING_PROTOCOLS {
            exec.body = read_body(response).await;
            return exec;
        }
        let subprotocol = &response.headers()["sec-websocket-protocol"];
        exec.subprotocol = Some(subprotocol.to_str().unwrap().to_owned());
        let mut socket = socket(response).await;
        for frame in send {
            socket.send(Message::binary(frame.clone())).await.unwrap();
        }
        while let Some(message) = socket.next().await {
            match message.unwrap() {
                Message::Binary(data) => exec.frames.push((data[0], data[1..].to_vec())),
                Message::Close(frame) => exec.close = frame.map(|frame| frame.code.into()),
                other => panic!("an unexpected frame: {other:?}"),
            }
        }
        exec
    }
}

async fn socket(mut response: Response<Incoming>) -> Socket {
    let upgraded = TokioIo::new(hyper::upgrade::on(&mut response).await.unwrap());
    WebSocketStream::from_raw_socket(upgraded, Role::Client, None).await
}

async fn read_body(response: Response<Incoming>) -> Value {
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    serde_json::from_slice(&bytes).unwrap_or_else(|_| json!(String::from_utf8_lossy(&bytes)))
}
