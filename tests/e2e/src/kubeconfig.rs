//! Kubeconfigs that lead to the cluster under test in another way than the one that was given.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::cluster::cluster;

/// A kubeconfig with one cluster, one user and one context, each named as here.
#[derive(Clone, Debug)]
pub struct Kubeconfig {
    /// As in the file's `clusters[].cluster`.
    pub cluster: Value,
    /// As in the file's `users[].user`.
    pub user: Value,
}

pub const CLUSTER: &str = "the-cluster";
pub const USER: &str = "the-user";
pub const CONTEXT: &str = "the-context";

impl Kubeconfig {
    /// What the given kubeconfig says of the cluster, and of the user who may do everything.
    ///
    /// # Panics
    /// If kubectl does not show it.
    #[must_use]
    pub fn admin() -> Kubeconfig {
        static ADMIN: OnceLock<Kubeconfig> = OnceLock::new();
        let ask = || {
            let view = cluster().kubectl().args(["config", "view", "--raw", "--minify", "--flatten", "-o", "json"]);
            let view = view.run().succeeded().json();
            Kubeconfig { cluster: view["clusters"][0]["cluster"].clone(), user: view["users"][0]["user"].clone() }
        };
        ADMIN.get_or_init(ask).clone()
    }

    /// The same for a user with these fields instead.
    #[must_use]
    pub fn of_user(user: Value) -> Kubeconfig {
        Kubeconfig { user, ..Kubeconfig::admin() }
    }

    /// The same through a proxy.
    #[must_use]
    pub fn through(mut self, proxy_url: &str) -> Kubeconfig {
        self.cluster["proxy-url"] = proxy_url.into();
        self
    }

    /// The server's host, and its port if the address names one.
    ///
    /// # Panics
    /// If the server's address is none of HTTPS.
    #[must_use]
    pub fn host_and_port(&self) -> (String, u16) {
        let server = self.cluster["server"].as_str().and_then(|url| url.strip_prefix("https://")).expect("https");
        let authority = server.split('/').next().unwrap_or_default();
        match authority.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host.to_owned(), port.parse().expect("a port")),
            _ => (authority.to_owned(), 443),
        }
    }

    /// A field of the user that holds base64, decoded.
    #[must_use]
    pub fn user_data(&self, field: &str) -> Option<Vec<u8>> {
        decoded(&self.user[field])
    }

    /// The certificates that the server's is checked by, if it names any.
    #[must_use]
    pub fn certificate_authority(&self) -> Option<Vec<u8>> {
        decoded(&self.cluster["certificate-authority-data"])
    }

    /// The whole as a file's content.
    #[must_use]
    pub fn document(&self) -> Value {
        json!({
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": CLUSTER, "cluster": self.cluster}],
            "users": [{"name": USER, "user": self.user}],
            "contexts": [{"name": CONTEXT, "context": {"cluster": CLUSTER, "user": USER}}],
            "current-context": CONTEXT,
        })
    }

    /// Writes it into a directory; gives the file.
    #[must_use]
    pub fn write(&self, directory: &Path) -> PathBuf {
        write(directory, "config", &self.document())
    }
}

fn decoded(field: &Value) -> Option<Vec<u8>> {
    STANDARD.decode(field.as_str()?).ok()
}

/// Writes a kubeconfig, or a part of one.
///
/// # Panics
/// If it cannot be written.
#[must_use]
pub fn write(directory: &Path, name: &str, document: &Value) -> PathBuf {
    let path = directory.join(name);
    // JSON is YAML.
    fs::write(&path, document.to_string()).expect("the kubeconfig can be written");
    path
}
