//! A container's life: created, started, ended, removed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::str::FromStr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use jiff::Timestamp;
use rustix::process::Signal;
use tokio::net::unix::pipe;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::task::TaskTracker;

use super::cgroup::Cgroup;
use super::child::{Child, Ended};
use super::error::{Error, IoContext, Result};
use super::exec::{Exec, ExecProcess};
use super::kernel_mounts::unmount_below;
use super::log::{Log, LogEntry, Stream};
use super::runc::{Runc, Stdio3};
use super::spec::{ContainerSpec, ExecSpec, Exit, User};
use super::termination;

/// The code that the kubelet shows for a container that could not be started (reason `StartError`).
const START_ERROR: i32 = 128;

/// A container. Clones are handles of the same one.
#[derive(Clone, Debug)]
pub struct Container(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    parts: Parts,
    log: Log,
    state: watch::Sender<State>,
    child: OnceLock<Child>,
    execs: AtomicU64,
}

/// What a sandbox decided about a container.
#[derive(Debug)]
pub(super) struct Parts {
    pub(super) id: String,
    pub(super) spec: ContainerSpec,
    pub(super) stop_signal: Option<String>,
    pub(super) user: User,
    pub(super) bundle: Bundle,
    pub(super) cgroup: Cgroup,
    pub(super) runc: Runc,
    /// What still writes into the bundle: [`Shared::sweep`](super::shared::Shared::sweep) awaits it.
    pub(super) writers: TaskTracker,
}

/// The container's directory and what stands in it.
#[derive(Clone, Debug)]
pub(super) struct Bundle(pub(super) PathBuf);

impl Bundle {
    pub(super) fn rootfs(&self) -> PathBuf {
        self.0.join("rootfs")
    }

    pub(super) fn upper(&self) -> PathBuf {
        self.0.join("upper")
    }

    pub(super) fn work(&self) -> PathBuf {
        self.0.join("work")
    }

    pub(super) fn termination_log(&self) -> PathBuf {
        self.0.join("termination-log")
    }
}

/// Where a container stands.
#[derive(Clone, Debug)]
pub enum State {
    Created,
    Running { started: Timestamp },
    Exited(Exit),
}

impl State {
    /// As containerd names it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Created => "CONTAINER_CREATED",
            Self::Running { .. } => "CONTAINER_RUNNING",
            Self::Exited(_) => "CONTAINER_EXITED",
        }
    }
}

impl Container {
    pub(super) fn new(parts: Parts) -> Result<Self> {
        let log = Log::create(&parts.bundle.0.join("log"))?;
        let inner = Inner {
            parts,
            log,
            state: watch::Sender::new(State::Created),
            child: OnceLock::new(),
            execs: AtomicU64::new(0),
        };
        Ok(Self(Arc::new(inner)))
    }

    /// 64 hexadecimal digits.
    pub fn id(&self) -> &str {
        &self.0.parts.id
    }

    pub fn name(&self) -> &str {
        &self.0.parts.spec.name
    }

    /// Whom it really runs as: `user.linux` of the container's status.
    pub fn user(&self) -> &User {
        &self.0.parts.user
    }

    /// The directory on this machine that holds everything the container has written to its root filesystem.
    pub fn upper_dir(&self) -> PathBuf {
        self.0.parts.bundle.upper()
    }

    /// The first process's pid on this machine, from the start on.
    pub fn pid(&self) -> Option<i32> {
        self.0.child.get().map(Child::pid)
    }

    pub fn state(&self) -> State {
        self.0.state.borrow().clone()
    }

    /// The log so far, oldest entry first.
    pub fn log(&self) -> Result<Vec<LogEntry>> {
        self.0.log.read()
    }

    /// Changes whenever the log grows.
    pub fn log_length(&self) -> watch::Receiver<usize> {
        self.0.log.length()
    }

    /// Runs the container. After a failure it counts as exited, with code 128.
    pub async fn start(&self) -> Result<()> {
        let result = self.try_start().await;
        if let Err(error) = &result {
            let end = Ended { code: START_ERROR, signal: None };
            // The kubelet's placeholder for a container that never ran.
            let started = Timestamp::UNIX_EPOCH;
            self.0.state.send_replace(State::Exited(exit(end, false, error.to_string(), started)));
        }
        result
    }

    async fn try_start(&self) -> Result<()> {
        let Parts { id, bundle, runc, .. } = &self.0.parts;
        let (stdio, streams) = self.streams()?;
        let log = bundle.0.join("runc.log");
        let child = match runc.create(id, &bundle.0, stdio).await {
            Ok(pid) => Child::adopt(pid).context("open the process of", &bundle.0)?,
            Err(error) => {
                // What there is of it; nothing, mostly.
                let _ = runc.delete(id, &log).await;
                return Err(error);
            }
        };
        self.0.child.set(child).map_err(|_| Error::NotRunning { id: id.clone(), state: "CONTAINER_EXITED" })?;
        if let Err(error) = runc.start(id, &bundle.0).await {
            runc.delete(id, &log).await?;
            if let Some(child) = self.0.child.get() {
                child.reap().await.context("await the process of", &bundle.0)?;
            }
            return Err(error);
        }
        let started = Timestamp::now();
        self.0.state.send_replace(State::Running { started });
        self.0.parts.writers.spawn(supervise(self.clone(), streams, started));
        Ok(())
    }

    fn streams(&self) -> Result<(Stdio3, Streams)> {
        let (stdin, input) = self.stdin(self.0.parts.spec.stdin)?;
        let (stdout, stdout_reader) = self.output()?;
        let (stderr, stderr_reader) = self.output()?;
        let log = self.0.log.clone();
        let pumps = [
            tokio::spawn(log.clone().follow(Stream::Stdout, stdout_reader)),
            tokio::spawn(log.follow(Stream::Stderr, stderr_reader)),
        ];
        Ok((Stdio3 { stdin, stdout, stderr }, Streams { _stdin: input, pumps }))
    }

    fn stdin(&self, open: bool) -> Result<(Stdio, Option<pipe::Sender>)> {
        if !open {
            return Ok((Stdio::null(), None));
        }
        let (sender, receiver) = pipe::pipe().context("open a pipe for", self.id())?;
        let theirs = receiver.into_blocking_fd().context("open a pipe for", self.id())?;
        Ok((Stdio::from(theirs), Some(sender)))
    }

    fn output(&self) -> Result<(Stdio, pipe::Receiver)> {
        let (sender, receiver) = pipe::pipe().context("open a pipe for", self.id())?;
        let theirs = sender.into_blocking_fd().context("open a pipe for", self.id())?;
        Ok((Stdio::from(theirs), receiver))
    }

    /// Runs a command in it, as the same user with the same rights.
    pub async fn exec(&self, spec: &ExecSpec) -> Result<Exec> {
        let state = self.state();
        if !matches!(state, State::Running { .. }) {
            return Err(Error::NotRunning { id: self.id().to_owned(), state: state.name() });
        }
        let (stdin, input) = self.stdin(spec.stdin)?;
        let (stdout, stdout_reader) = self.output()?;
        let (stderr, stderr_reader) = self.output()?;
        let number = self.0.execs.fetch_add(1, Ordering::Relaxed);
        let this = self.clone();
        let argv = spec.argv.clone();
        // In a task of its own, for the reason given at `runc::run`.
        let process: JoinHandle<Result<ExecProcess>> = self.0.parts.writers.spawn(async move {
            let Parts { id, bundle, runc, .. } = &this.0.parts;
            let files = bundle.0.join(format!("exec-{number}"));
            let pid = runc.exec(id, &argv, &files, Stdio3 { stdin, stdout, stderr }).await?;
            let child = Child::adopt(pid).context("open the process of", files)?;
            Ok(ExecProcess::supervise(child))
        });
        let process = process.await.map_err(std::io::Error::from).context("run a command in", self.id())??;
        Ok(Exec { stdin: input, stdout: stdout_reader, stderr: stderr_reader, process })
    }

    /// Its end, which may lie in the past.
    pub async fn wait(&self) -> Exit {
        let mut states = self.0.state.subscribe();
        loop {
            if let State::Exited(exit) = &*states.borrow_and_update() {
                return exit.clone();
            }
            // The sender lives as long as this handle.
            let _ = states.changed().await;
        }
    }

    /// Asks it to end (the image's stop signal, SIGTERM mostly), and kills it when the grace period is over.
    pub async fn stop(&self, grace: Duration) -> Result<()> {
        let Some(child) = self.0.child.get().filter(|_| matches!(self.state(), State::Running { .. })) else {
            return Ok(());
        };
        let context = "stop the process of";
        if !grace.is_zero() {
            child.signal(stop_signal(self.0.parts.stop_signal.as_deref())).context(context, self.id())?;
            if tokio::time::timeout(grace, self.wait()).await.is_ok() {
                return Ok(());
            }
        }
        child.signal(Signal::KILL).context(context, self.id())?;
        self.wait().await;
        Ok(())
    }

    /// Kills it if it still runs, and removes everything of it from the disk.
    pub async fn remove(&self) -> Result<()> {
        self.stop(Duration::ZERO).await?;
        let bundle = &self.0.parts.bundle.0;
        unmount_below(bundle)?;
        remove_directory(bundle)
    }
}

pub(super) fn remove_directory(path: &Path) -> Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        result => result.context("remove", path),
    }
}

struct Streams {
    /// Held open for as long as the container runs.
    _stdin: Option<pipe::Sender>,
    pumps: [JoinHandle<std::io::Result<()>>; 2],
}

/// From the start to the end: the end is told when nothing of the container runs any more and its log is complete.
async fn supervise(container: Container, streams: Streams, started: Timestamp) {
    let Parts { id, spec, bundle, cgroup, runc, .. } = &container.0.parts;
    let Some(child) = container.0.child.get() else { return };
    let end = child.reap().await.unwrap_or(Ended { code: -1, signal: None });
    let oom_killed = cgroup.oom_kills() > 0;
    // With a PID namespace of its own there is nothing left; in a joined one its leftovers would stay.
    if let Err(error) = cgroup.kill().await {
        eprintln!("lab: container {id}: {error}");
    }
    for pump in streams.pumps {
        let _ = pump.await;
    }
    if let Err(error) = runc.delete(id, &bundle.0.join("runc.log")).await {
        eprintln!("lab: container {id}: {error}");
    }
    let log = if spec.termination.fall_back_to_logs && end.code != 0 { container.log().ok() } else { None };
    let message = termination::message(&bundle.termination_log(), log.as_deref());
    container.0.state.send_replace(State::Exited(exit(end, oom_killed, message, started)));
}

fn exit(end: Ended, oom_killed: bool, message: String, started: Timestamp) -> Exit {
    Exit { code: end.code, signal: end.signal, oom_killed, message, started, finished: Timestamp::now() }
}

fn stop_signal(name: Option<&str>) -> Signal {
    let Some(name) = name else { return Signal::TERM };
    match name.strip_prefix("SIG").unwrap_or(name) {
        "HUP" => Signal::HUP,
        "INT" => Signal::INT,
        "QUIT" => Signal::QUIT,
        "KILL" => Signal::KILL,
        "USR1" => Signal::USR1,
        "USR2" => Signal::USR2,
        number => i32::from_str(number).ok().and_then(Signal::from_named_raw).unwrap_or(Signal::TERM),
    }
}
