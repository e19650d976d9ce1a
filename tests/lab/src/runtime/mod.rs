//! The container side of the lab: pods and containers over a real OCI runtime, `runc`.
//!
//! From a pod as the API server holds it, [`pod_sandbox_spec`], [`container_spec`] and [`ephemeral_container_spec`]
//! (the kubelet's part) make what [`Runtime`] (containerd's part) runs:
//!
//! ```no_run
//! # use jattach_lab::runtime::*;
//! # async fn example(config: Config, pod: &k8s_openapi::api::core::v1::Pod) -> Result<()> {
//! let runtime = Runtime::start(config).await?;
//! let sandbox = runtime.create_pod(&pod_sandbox_spec(pod)?).await?;
//! let first = &pod.spec.as_ref().unwrap().containers[0];
//! let container = sandbox.create_container(&container_spec(pod, first)?).await?;
//! container.start().await?;
//! let exec = container.exec(&ExecSpec { argv: vec!["true".to_owned()], stdin: false }).await?;
//! let code = exec.process.wait().await;
//! container.stop(std::time::Duration::from_secs(30)).await?;
//! let exit = container.wait().await;
//! sandbox.remove().await?;
//! runtime.shutdown().await
//! # }
//! ```

mod capabilities;
mod cgroup;
mod child;
mod config;
mod container;
mod devices;
mod error;
mod exec;
mod expansion;
mod kernel_mounts;
mod kubelet;
mod limits;
mod log;
mod pause;
mod quantity;
mod runc;
mod sandbox;
mod seccomp;
mod shared;
mod spec;
mod termination;
mod user;

use std::path::PathBuf;
use std::sync::Arc;

pub use container::{Container, State};
pub use error::{Error, Result};
pub use exec::{Exec, ExecProcess};
pub use kubelet::{API_SERVER, container_spec, ephemeral_container_spec, pod_field, pod_sandbox_spec};
pub use log::{LogEntry, Stream};
pub use pause::program_beside_this;
pub use sandbox::Sandbox;
pub use spec::*;

use crate::image::{Image, ImageStore};
use shared::Shared;

/// What a lab's runtime is given.
#[derive(Clone, Debug)]
pub struct Config {
    /// Its directory, not on an overlay or in a container's root. One lab at a time may use it.
    pub state: PathBuf,
    pub images: ImageStore,
    pub seccomp_default: SeccompDefault,
    /// The `lab-pause` binary: see [`program_beside_this`].
    pub pause_program: PathBuf,
}

/// All pods of a lab. It needs root, runc, and a tokio runtime with I/O and time.
#[derive(Clone, Debug)]
pub struct Runtime(Arc<Shared>);

impl Runtime {
    /// Takes the state directory, after removing what a killed lab left there, and makes this process the reaper of
    /// all containers.
    pub async fn start(config: Config) -> Result<Self> {
        Ok(Self(Arc::new(Shared::prepare(config).await?)))
    }

    /// The image of that reference, unpacked.
    pub async fn image(&self, reference: &str) -> Result<Image> {
        self.0.image(reference).await
    }

    /// Makes a pod without containers. Its cgroup holds the pod's limits from the start.
    pub async fn create_pod(&self, spec: &PodSandboxSpec) -> Result<Sandbox> {
        Sandbox::create(self.0.clone(), spec).await
    }

    /// Kills whatever still runs and removes everything but the unpacked images.
    pub async fn shutdown(&self) -> Result<()> {
        self.0.sweep().await
    }
}
