//! The OCI runtime as a program. Its failures are read from its log file, the one place where they stand alone:
//! its stderr may be the container's.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde::Deserialize;
use tokio::process::Command;

use super::child::reap_helpers;
use super::error::{Error, IoContext, Result};

const PROGRAM: &str = "runc";

#[derive(Clone, Debug)]
pub(super) struct Runc {
    /// Where runc keeps its containers' state.
    root: PathBuf,
}

/// The three standard streams that a process is given.
pub(super) struct Stdio3 {
    pub(super) stdin: Stdio,
    pub(super) stdout: Stdio,
    pub(super) stderr: Stdio,
}

impl Runc {
    pub(super) fn new(root: PathBuf) -> Self {
        Self { root }
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// Creates the container of `bundle`; gives the pid of its first process, which waits for [`Runc::start`].
    pub(super) async fn create(&self, id: &str, bundle: &Path, stdio: Stdio3) -> Result<i32> {
        let pid_file = bundle.join("pid");
        let mut command = self.command(&bundle.join("runc.log"));
        command.arg("create").arg("--bundle").arg(bundle).arg("--pid-file").arg(&pid_file).arg(id);
        attach(&mut command, stdio);
        run(command, bundle.join("runc.log")).await?.map_err(|message| Error::Start { message })?;
        read_pid(&pid_file)
    }

    pub(super) async fn start(&self, id: &str, bundle: &Path) -> Result<()> {
        let mut command = self.command(&bundle.join("runc.log"));
        command.arg("start").arg(id).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        run(command, bundle.join("runc.log")).await?.map_err(|message| Error::Start { message })
    }

    /// Runs a command in the container; gives its pid. `files` is a path prefix for what is written meanwhile.
    pub(super) async fn exec(&self, id: &str, argv: &[String], files: &Path, stdio: Stdio3) -> Result<i32> {
        let (log, pid_file) = (files.with_extension("log"), files.with_extension("pid"));
        let mut command = self.command(&log);
        command.args(["exec", "--detach", "--pid-file"]).arg(&pid_file).arg(id).args(argv);
        attach(&mut command, stdio);
        run(command, log).await?.map_err(|message| Error::Exec { message })?;
        read_pid(&pid_file)
    }

    /// Forgets the container, whose processes are killed if there are any left.
    pub(super) async fn delete(&self, id: &str, log: &Path) -> Result<()> {
        let mut command = self.command(log);
        command.args(["delete", "--force"]).arg(id);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        run(command, log.to_owned()).await?.map_err(|message| Error::Runc { operation: "delete", message })
    }

    fn command(&self, log: &Path) -> Command {
        let mut command = Command::new(PROGRAM);
        command.arg("--root").arg(&self.root).arg("--log").arg(log).args(["--log-format", "json"]);
        command
    }
}

fn attach(command: &mut Command, stdio: Stdio3) {
    command.stdin(stdio.stdin).stdout(stdio.stdout).stderr(stdio.stderr);
}

/// In a task of its own: a caller that loses interest must not leave a half-made process without anybody to reap it.
/// The inner error is what the runtime says.
async fn run(mut command: Command, log: PathBuf) -> Result<std::result::Result<(), String>> {
    let finished = tokio::spawn(async move {
        let mut child = command.spawn()?;
        // The command holds the container's ends of its pipes.
        drop(command);
        let status = child.wait().await;
        reap_helpers();
        status
    });
    let status = finished
        .await
        .map_err(std::io::Error::from)
        .and_then(|result| result)
        .map_err(|source| Error::Program { program: PROGRAM.to_owned(), source })?;
    if status.success() {
        return Ok(Ok(()));
    }
    Ok(Err(last_error(&log).unwrap_or_else(|| format!("{PROGRAM} ended with {status}"))))
}

fn last_error(log: &Path) -> Option<String> {
    #[derive(Deserialize)]
    struct Line {
        level: String,
        msg: String,
    }
    let text = std::fs::read_to_string(log).ok()?;
    let lines = text.lines().rev().filter_map(|line| serde_json::from_str::<Line>(line).ok());
    lines.into_iter().find(|line| line.level == "error").map(|line| line.msg)
}

fn read_pid(file: &Path) -> Result<i32> {
    let text = std::fs::read_to_string(file).context("read", file)?;
    text.trim().parse().map_err(std::io::Error::other).context("read", file)
}
