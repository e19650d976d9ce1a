//! The lab's own runtime as the kubelet sees it.

use std::{sync::Arc, time::Duration};

use futures::{FutureExt, future::BoxFuture};
use tokio::task;

use super::node::{Container, Exec, ImageName, Node, Sandbox};
use crate::{
    image::ImageStore,
    runtime::{self, ContainerSpec, ExecSpec, Exit, LogEntry, PodSandboxSpec, Result, Runtime, User},
};

#[derive(Debug)]
pub struct RuncNode {
    pub runtime: Runtime,
    pub images: ImageStore,
}

impl Node for RuncNode {
    fn image<'a>(&'a self, reference: &'a str) -> BoxFuture<'a, Result<ImageName>> {
        let (images, reference) = (self.images.clone(), reference.to_owned());
        async move {
            let found =
                task::spawn_blocking(move || images.get(&reference)).await.expect("reading an image panicked")?;
            Ok(ImageName { reference: found.reference, id: found.id })
        }
        .boxed()
    }

    fn create_pod<'a>(&'a self, spec: &'a PodSandboxSpec) -> BoxFuture<'a, Result<Arc<dyn Sandbox>>> {
        async move { Ok(Arc::new(self.runtime.create_pod(spec).await?) as Arc<dyn Sandbox>) }.boxed()
    }
}

impl Sandbox for runtime::Sandbox {
    fn create_container<'a>(&'a self, spec: &'a ContainerSpec) -> BoxFuture<'a, Result<Arc<dyn Container>>> {
        async move { Ok(Arc::new(self.create_container(spec).await?) as Arc<dyn Container>) }.boxed()
    }

    fn remove(&self) -> BoxFuture<'_, Result<()>> {
        self.remove().boxed()
    }
}

impl Container for runtime::Container {
    fn id(&self) -> &str {
        self.id()
    }

    fn user(&self) -> User {
        self.user().clone()
    }

    fn log(&self) -> Result<Vec<LogEntry>> {
        self.log()
    }

    fn start(&self) -> BoxFuture<'_, Result<()>> {
        self.start().boxed()
    }

    fn wait(&self) -> BoxFuture<'_, Exit> {
        self.wait().boxed()
    }

    fn stop(&self, grace: Duration) -> BoxFuture<'_, Result<()>> {
        self.stop(grace).boxed()
    }

    fn remove(&self) -> BoxFuture<'_, Result<()>> {
        self.remove().boxed()
    }

    fn exec<'a>(&'a self, spec: &'a ExecSpec) -> BoxFuture<'a, Result<Exec>> {
        async move {
            let runtime::Exec { stdin, stdout, stderr, process } = self.exec(spec).await?;
            Ok(Exec {
                stdin: stdin.map(|pipe| Box::new(pipe) as Box<_>),
                stdout: Box::new(stdout),
                stderr: Box::new(stderr),
                exit: async move { process.wait().await }.boxed(),
            })
        }
        .boxed()
    }
}
