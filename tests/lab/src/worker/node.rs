//! What the kubelet needs of a container runtime. The lab's own is [`crate::runtime`]; tests bring a lighter one.

use std::{fmt::Debug, sync::Arc, time::Duration};

use futures::future::BoxFuture;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::runtime::{ContainerSpec, ExecSpec, Exit, LogEntry, PodSandboxSpec, Result, User};

/// An image that is present.
#[derive(Debug, Clone)]
pub struct ImageName {
    /// As containerd writes it out: `docker.io/library/x:tag`.
    pub reference: String,
    /// `sha256:…`
    pub id: String,
}

pub trait Node: Debug + Send + Sync {
    /// The image of that reference; the lab's images directory is registry and node cache in one.
    fn image<'a>(&'a self, reference: &'a str) -> BoxFuture<'a, Result<ImageName>>;

    fn create_pod<'a>(&'a self, spec: &'a PodSandboxSpec) -> BoxFuture<'a, Result<Arc<dyn Sandbox>>>;
}

pub trait Sandbox: Debug + Send + Sync {
    fn create_container<'a>(&'a self, spec: &'a ContainerSpec) -> BoxFuture<'a, Result<Arc<dyn Container>>>;

    /// Ends whatever is left and takes it all away.
    fn remove(&self) -> BoxFuture<'_, Result<()>>;
}

pub trait Container: Debug + Send + Sync {
    /// 64 hexadecimal digits.
    fn id(&self) -> &str;

    fn user(&self) -> User;

    /// What it has written so far.
    fn log(&self) -> Result<Vec<LogEntry>>;

    fn start(&self) -> BoxFuture<'_, Result<()>>;

    /// Resolves when its first process has ended; at once where it already has.
    fn wait(&self) -> BoxFuture<'_, Exit>;

    /// The stop signal, and SIGKILL when `grace` is over.
    fn stop(&self, grace: Duration) -> BoxFuture<'_, Result<()>>;

    /// Takes away what is left of an ended container.
    fn remove(&self) -> BoxFuture<'_, Result<()>>;

    fn exec<'a>(&'a self, spec: &'a ExecSpec) -> BoxFuture<'a, Result<Exec>>;
}

/// A running command. Whoever drops `stdout` or `stderr` breaks its pipe.
pub struct Exec {
    pub stdin: Option<Box<dyn AsyncWrite + Send + Unpin>>,
    pub stdout: Box<dyn AsyncRead + Send + Unpin>,
    pub stderr: Box<dyn AsyncRead + Send + Unpin>,
    /// Its exit code as a shell counts: 128 + signal where a signal ended it.
    pub exit: BoxFuture<'static, i32>,
}
