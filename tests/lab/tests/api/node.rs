//! A container runtime without containers: main processes are only told of, exec'd commands are processes of this
//! machine. It stands in where what is tested is the API.

use std::{
    process::Stdio,
    sync::{Arc, Mutex},
    time::Duration,
};

use futures::{FutureExt, future::BoxFuture};
use jattach_lab::{
    image, meta,
    runtime::{ContainerSpec, Error, ExecSpec, Exit, LogEntry, PodSandboxSpec, Result, User},
    worker::node::{Container, Exec, ImageName, Node, Sandbox},
};
use jiff::Timestamp;
use tokio::{process::Command, sync::watch};

/// The images that the recorded cluster had.
const IMAGES: &[&str] = &["jre17:lab", "jattach:lab"];

#[derive(Debug)]
pub(crate) struct ProcessNode;

#[derive(Debug)]
struct Pod {
    full_name: String,
    /// The ids of containers that have ended.
    ended: Arc<Mutex<Vec<String>>>,
}

#[derive(Debug)]
struct Process {
    id: String,
    spec: ContainerSpec,
    started: Timestamp,
    exit: watch::Sender<Option<Exit>>,
    ended: Arc<Mutex<Vec<String>>>,
}

impl Node for ProcessNode {
    fn image<'a>(&'a self, reference: &'a str) -> BoxFuture<'a, Result<ImageName>> {
        async move {
            if IMAGES.contains(&reference) {
                let id = format!("sha256:{}", meta::container_id());
                return Ok(ImageName { reference: format!("docker.io/library/{reference}"), id });
            }
            Err(Error::Image(image::Error::NotPresent { reference: reference.to_owned() }))
        }
        .boxed()
    }

    fn create_pod<'a>(&'a self, spec: &'a PodSandboxSpec) -> BoxFuture<'a, Result<Arc<dyn Sandbox>>> {
        let full_name = format!("{}_{}({})", spec.name, spec.namespace, spec.uid);
        async move { Ok(Arc::new(Pod { full_name, ended: Arc::default() }) as Arc<dyn Sandbox>) }.boxed()
    }
}

impl Sandbox for Pod {
    fn create_container<'a>(&'a self, spec: &'a ContainerSpec) -> BoxFuture<'a, Result<Arc<dyn Container>>> {
        async move {
            if spec.security.run_as_non_root && spec.security.run_as_user.is_none() {
                let (pod, container) = (self.full_name.clone(), spec.name.clone());
                return Err(Error::ImageRunsAsRoot { pod, container });
            }
            let ended = self.ended.lock().unwrap();
            if let Some(id) = spec.target.as_ref().filter(|target| ended.contains(target)) {
                return Err(Error::TargetNotRunning { id: id.clone(), state: "CONTAINER_EXITED" });
            }
            let process = Process {
                id: meta::container_id(),
                spec: spec.clone(),
                started: Timestamp::now(),
                exit: watch::Sender::new(None),
                ended: self.ended.clone(),
            };
            Ok(Arc::new(process) as Arc<dyn Container>)
        }
        .boxed()
    }

    fn remove(&self) -> BoxFuture<'_, Result<()>> {
        async { Ok(()) }.boxed()
    }
}

impl Process {
    fn end(&self, code: i32) {
        self.ended.lock().unwrap().push(self.id.clone());
        let exit = Exit {
            code,
            signal: None,
            oom_killed: false,
            message: String::new(),
            started: self.started,
            finished: Timestamp::now(),
        };
        self.exit.send_if_modified(|state| state.is_none() && state.replace(exit).is_none());
    }
}

fn no_such_file(program: &str) -> String {
    format!("exec: {program:?}: stat {program}: no such file or directory")
}

impl Container for Process {
    fn id(&self) -> &str {
        &self.id
    }

    fn user(&self) -> User {
        let uid = self.spec.security.run_as_user.unwrap_or(0);
        let gid = self.spec.security.run_as_group.unwrap_or(0);
        User { uid, gid, supplemental_groups: vec![gid] }
    }

    fn log(&self) -> Result<Vec<LogEntry>> {
        Ok(Vec::new())
    }

    fn start(&self) -> BoxFuture<'_, Result<()>> {
        async move {
            match self.spec.command.first().map(String::as_str) {
                Some("/no/such") => {
                    let why = "runc create failed: unable to start container process: error during container init";
                    Err(Error::Start { message: format!("{why}: {}", no_such_file("/no/such")) })
                }
                // The injector of the recordings, which prints a thread dump and ends.
                Some("jattach") => {
                    self.end(0);
                    Ok(())
                }
                _ => Ok(()),
            }
        }
        .boxed()
    }

    fn wait(&self) -> BoxFuture<'_, Exit> {
        async {
            let mut exit = self.exit.subscribe();
            let ended = exit.wait_for(Option::is_some).await.expect("the sender is in self");
            ended.clone().expect("just waited for")
        }
        .boxed()
    }

    fn stop(&self, _grace: Duration) -> BoxFuture<'_, Result<()>> {
        self.end(137);
        async { Ok(()) }.boxed()
    }

    fn remove(&self) -> BoxFuture<'_, Result<()>> {
        async { Ok(()) }.boxed()
    }

    fn exec<'a>(&'a self, spec: &'a ExecSpec) -> BoxFuture<'a, Result<Exec>> {
        async move {
            let stdin = if spec.stdin { Stdio::piped() } else { Stdio::null() };
            let mut child = Command::new(&spec.argv[0])
                .args(&spec.argv[1..])
                .stdin(stdin)
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .kill_on_drop(true)
                .spawn()
                .map_err(|_| Error::Exec {
                    message: format!("exec failed: unable to start container process: {}", no_such_file(&spec.argv[0])),
                })?;
            Ok(Exec {
                stdin: child.stdin.take().map(|pipe| Box::new(pipe) as Box<_>),
                stdout: Box::new(child.stdout.take().expect("piped")),
                stderr: Box::new(child.stderr.take().expect("piped")),
                exit: async move {
                    use std::os::unix::process::ExitStatusExt;
                    let status = child.wait().await.expect("a child can be waited for");
                    status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap_or(-1)
                }
                .boxed(),
            })
        }
        .boxed()
    }
}
