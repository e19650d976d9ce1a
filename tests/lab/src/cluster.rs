//! What the API server and the kubelet of the lab share.

use std::sync::Arc;

use crate::{auth::Tokens, pki::Authority, store::Store, worker::Workers};

/// How the lab differs from the cluster that was recorded; tests ask for it.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Reports `status.containerStatuses[].user`, as Kubernetes does from 1.33.
    pub report_users: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { report_users: true }
    }
}

#[derive(Debug)]
pub struct Cluster {
    pub store: Store,
    pub tokens: Tokens,
    pub workers: Workers,
    pub authority: Authority,
    pub options: Options,
}

impl Cluster {
    pub fn new(authority: Authority, options: Options) -> Arc<Self> {
        let (store, tokens, workers) = (Store::default(), Tokens::default(), Workers::default());
        let cluster = Self { store, tokens, workers, authority, options };
        crate::api::namespaces::bootstrap(&cluster.store);
        Arc::new(cluster)
    }
}
