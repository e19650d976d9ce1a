//! A running lab: API server and kubelet in this process.

use std::{
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
};

use tokio::{sync::watch, task::JoinHandle};

use crate::{
    cluster::{Cluster, Options},
    http::server::Server,
    kubeconfig,
    pki::PkiError,
    rbac::MASTERS,
    runtime::Runtime,
    worker,
};

#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("cannot make the lab's certificates")]
    Pki(#[from] PkiError),
    #[error("cannot listen on the loopback interface")]
    Listen(#[source] io::Error),
    #[error(transparent)]
    Kubeconfig(#[from] kubeconfig::WriteError),
}

#[derive(Debug)]
pub struct Lab {
    cluster: Arc<Cluster>,
    address: SocketAddr,
    kubeconfig: PathBuf,
    stop_api: watch::Sender<bool>,
    stop_kubelet: watch::Sender<bool>,
    api: JoinHandle<()>,
    kubelet: JoinHandle<()>,
}

impl Lab {
    /// Starts a lab over `runtime`. The admin's kubeconfig is written to `state`, which exists.
    pub async fn start(state: &Path, runtime: Runtime, options: Options) -> Result<Self, StartError> {
        let cluster = Cluster::new(options)?;
        let admin = cluster.authority.client("kubernetes-admin", Some(MASTERS))?;
        let server = Server::bind(cluster.clone()).await.map_err(StartError::Listen)?;
        let address = server.address().map_err(StartError::Listen)?;
        let path = state.join("kubeconfig");
        let authority_pem = cluster.authority.pem();
        let config = kubeconfig::with_certificate(&url(address), &authority_pem, "kubernetes-admin", &admin);
        kubeconfig::write(&path, &config)?;
        let (stop_api, stop_kubelet) = (watch::Sender::new(false), watch::Sender::new(false));
        Ok(Self {
            api: tokio::spawn(server.run(stop_api.subscribe())),
            kubelet: tokio::spawn(worker::run(cluster.clone(), runtime, stop_kubelet.subscribe())),
            kubeconfig: path,
            cluster,
            address,
            stop_api,
            stop_kubelet,
        })
    }

    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// `https://127.0.0.1:PORT`
    pub fn url(&self) -> String {
        url(self.address)
    }

    pub fn cluster(&self) -> &Arc<Cluster> {
        &self.cluster
    }

    /// Stops serving, ends all pods without grace, and removes the kubeconfig.
    pub async fn shutdown(self) {
        self.stop_api.send_replace(true);
        // A task that panicked has told so on stderr; the rest is cleaned up all the same.
        let _panicked = self.api.await;
        self.stop_kubelet.send_replace(true);
        let _panicked = self.kubelet.await;
        if let Err(error) = std::fs::remove_file(&self.kubeconfig) {
            eprintln!("lab: cannot remove {}: {error}", self.kubeconfig.display());
        }
    }
}

fn url(address: SocketAddr) -> String {
    format!("https://{address}")
}
