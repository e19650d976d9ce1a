//! The kubeconfig that leads to the lab.

use std::{
    io::Write,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use crate::pki::Credentials;

/// The name of context, cluster and node.
pub const NAME: &str = "lab";

#[derive(Debug, thiserror::Error)]
#[error("cannot write the kubeconfig {path}")]
pub struct WriteError {
    path: PathBuf,
    #[source]
    source: std::io::Error,
}

/// A kubeconfig whose user shows a client certificate.
pub fn with_certificate(server: &str, authority_pem: &str, user: &str, credentials: &Credentials) -> Value {
    let user_fields = json!({
        "client-certificate-data": STANDARD.encode(&credentials.certificate),
        "client-key-data": STANDARD.encode(&credentials.key),
    });
    with_user(server, authority_pem, user, &user_fields)
}

/// A kubeconfig whose user shows a bearer token.
pub fn with_token(server: &str, authority_pem: &str, user: &str, token: &str) -> Value {
    with_user(server, authority_pem, user, &json!({ "token": token }))
}

fn with_user(server: &str, authority_pem: &str, user: &str, user_fields: &Value) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{
            "name": NAME,
            "cluster": {"server": server, "certificate-authority-data": STANDARD.encode(authority_pem)},
        }],
        "users": [{"name": user, "user": user_fields}],
        "contexts": [{"name": NAME, "context": {"cluster": NAME, "user": user, "namespace": "default"}}],
        "current-context": NAME,
    })
}

/// Writes it (JSON is YAML), readable for its owner alone: it holds a key.
pub fn write(path: &Path, kubeconfig: &Value) -> Result<(), WriteError> {
    let failed = |source| WriteError { path: path.to_owned(), source };
    let mut file =
        std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path).map_err(failed)?;
    let text = serde_json::to_string_pretty(kubeconfig).expect("a JSON value has no key but text");
    file.write_all(text.as_bytes()).map_err(failed)
}
