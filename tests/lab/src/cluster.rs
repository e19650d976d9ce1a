//! What the API server and the kubelet of the lab share.

use std::sync::Arc;

use crate::{
    auth::Tokens,
    pki::{Authority, PkiError},
    runtime,
    store::Store,
    worker::Workers,
};

/// How the lab differs from the cluster that was recorded; tests ask for it.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Reports `status.containerStatuses[].user`, as Kubernetes does from 1.33.
    pub report_users: bool,
    /// Repeats while it backs off why an image could not be pulled, as kubelets do from 1.32 (kubernetes/kubernetes#127918).
    pub explain_back_off: bool,
    /// Makes the root file system of every new ephemeral container read-only, as a mutating webhook of a strict cluster does.
    pub seal_ephemeral: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { report_users: true, explain_back_off: true, seal_ephemeral: false }
    }
}

#[derive(Debug)]
pub struct Cluster {
    pub store: Store,
    pub tokens: Tokens,
    pub workers: Workers,
    pub authority: Authority,
    /// The API server's, under each of its names.
    pub tls: Arc<rustls::ServerConfig>,
    pub options: Options,
}

impl Cluster {
    pub fn new(options: Options) -> Result<Arc<Self>, PkiError> {
        let authority = Authority::new()?;
        let in_pods = runtime::API_SERVER.ip().to_string();
        let tls = Arc::new(authority.server_config(&["127.0.0.1", &in_pods, "localhost", "kubernetes.default.svc"])?);
        let (store, tokens, workers) = (Store::default(), Tokens::default(), Workers::default());
        crate::api::namespaces::bootstrap(&store);
        Ok(Arc::new(Self { store, tokens, workers, authority, tls, options }))
    }
}
