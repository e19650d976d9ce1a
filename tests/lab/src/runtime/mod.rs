//! The container side of the lab: pods and containers over a real OCI runtime, `runc`.
//!
//! From a pod as the API server holds it, [`pod_sandbox_spec`], [`container_spec`] and [`ephemeral_container_spec`]
//! (the kubelet's part) make what [`Runtime`] (containerd's part) runs:
//!
//! ```text
//! let runtime = Runtime::start(Config { state, images, seccomp_default, pause }).await?;
//! let sandbox = runtime.create_pod(&pod_sandbox_spec(&pod)?).await?;
//! let container = sandbox.create_container(&container_spec(&pod, c)?).await?;  // containerID, imageID, user
//! container.start().await?;
//! container.exec(&ExecSpec { argv, stdin }).await? // -> Exec { stdin, stdout, stderr, process }
//! container.wait().await                           // -> Exit
//! container.stop(grace).await; sandbox.remove().await; runtime.shutdown().await
//! ```

mod error;
mod expansion;
mod kubelet;
mod limits;
mod quantity;
mod spec;

pub use error::{Error, Result};
pub use kubelet::{container_spec, ephemeral_container_spec, pod_sandbox_spec};
pub use spec::*;
