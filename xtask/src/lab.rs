//! The lab as a child process: a cluster for as long as this value lives.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::Duration;
use std::{fs, process, thread};

use anyhow::{Context, Result, bail, ensure};
use xshell::{Shell, cmd};

use crate::tools::{Package, root};
use crate::workspace::Workspace;

/// What the lab does not start without.
pub(crate) const PACKAGES: [Package; 2] =
    [("runc", "runc"), ("golang-github-containers-common", "/usr/share/containers/seccomp.json")];
/// How long the lab may take to start, and to remove what it made.
const LIMIT: Duration = Duration::from_secs(120);

/// A running lab.
#[derive(Debug)]
pub(crate) struct Lab {
    child: Child,
    /// Its end is the sign to stop.
    stdin: Option<ChildStdin>,
    /// The lines of its stdout; disconnected when it has ended.
    lines: Receiver<String>,
    kubeconfig: PathBuf,
    log: PathBuf,
}

impl Lab {
    /// Starts the lab, with more flags of its own, and waits until it serves.
    pub(crate) fn start(workspace: &Workspace, program: &Path, flags: &[&str]) -> Result<Lab> {
        let sh = workspace.shell()?;
        let is_root = root::is_root(&sh);
        // Of this process alone: a demo and a test may run side by side.
        let state = workspace.target().join(format!("lab-{}", process::id()));
        let log = state.with_extension("log");
        let stderr = fs::File::create(&log).with_context(|| format!("failed to write {}", log.display()))?;
        // Namespaces and cgroups want root; everything else runs as whoever started us.
        let mut command = Command::new(if is_root { program } else { Path::new(root::SUDO) });
        if !is_root {
            command.arg(program);
        }
        command.arg("--images").arg(workspace.images()).arg("--state").arg(&state).args(flags);
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(stderr)
            .spawn()
            .with_context(|| format!("failed to start {}", program.display()))?;
        let stdin = child.stdin.take();
        let lines = lines(child.stdout.take().context("the lab has a stdout")?);
        let mut lab = Lab { child, stdin, lines, kubeconfig: PathBuf::new(), log };
        lab.kubeconfig = lab.ready()?;
        if !is_root {
            lab.kubeconfig = own_copy(&sh, &lab.kubeconfig, &state.with_extension("kubeconfig"))?;
        }
        Ok(lab)
    }

    pub(crate) fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// Ends it and waits until everything that it made is gone.
    fn stop(mut self) -> Result<()> {
        drop(self.stdin.take());
        loop {
            match self.lines.recv_timeout(LIMIT) {
                Ok(_) => {}
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => {
                    self.child.kill().context("failed to kill a lab that does not end")?;
                    bail!("the lab does not end, and was killed: its containers may still run; {}", self.last_words())
                }
            }
        }
        let status = self.child.wait().context("failed to wait for the lab")?;
        ensure!(status.success(), "the lab ended with {status}; {}", self.last_words());
        // The lab has removed its own kubeconfig; what may still be there is our copy of it.
        for path in [&self.log, &self.kubeconfig].into_iter().filter(|path| path.exists()) {
            fs::remove_file(path).with_context(|| format!("failed to remove {}", path.display()))?;
        }
        Ok(())
    }

    /// Ends it after the work that it was started for, and keeps both failures where there are two.
    pub(crate) fn stop_after<T>(self, work: Result<T>) -> Result<T> {
        match (work, self.stop()) {
            (Ok(value), stopped) => stopped.map(|()| value),
            (Err(error), Ok(())) => Err(error),
            (Err(error), Err(stopping)) => Err(error.context(format!("{stopping:#}\nand before that"))),
        }
    }

    fn ready(&mut self) -> Result<PathBuf> {
        match self.lines.recv_timeout(LIMIT) {
            Ok(line) => match line.strip_prefix("KUBECONFIG=") {
                Some(path) => Ok(PathBuf::from(path)),
                None => bail!("the lab said {line:?} instead of where its kubeconfig is"),
            },
            Err(RecvTimeoutError::Disconnected) => bail!("the lab did not start; {}", self.last_words()),
            Err(RecvTimeoutError::Timeout) => bail!("the lab does not get ready; {}", self.last_words()),
        }
    }

    fn last_words(&self) -> String {
        let text = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        let last = lines[lines.len().saturating_sub(20)..].join("\n");
        format!("its log, {}, ends with:\n{last}", self.log.display())
    }
}

impl Drop for Lab {
    /// On the way out of an error or a panic: the lab still gets its sign and its time.
    fn drop(&mut self) {
        if self.stdin.take().is_none() {
            return;
        }
        while self.lines.recv_timeout(LIMIT).is_ok() {}
        if !matches!(self.child.try_wait(), Ok(Some(_))) {
            // Whether it can be killed or not, there is nothing left to do about it.
            let _ = self.child.kill();
        }
        let _ = self.child.wait();
    }
}

fn lines(stdout: ChildStdout) -> Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                break;
            }
        }
    });
    receiver
}

/// A copy of root's kubeconfig that this user may read, and nobody else.
fn own_copy(sh: &Shell, from: &Path, to: &Path) -> Result<PathBuf> {
    let text = cmd!(sh, "sudo cat {from}").quiet().read().context("failed to read the lab's kubeconfig")?;
    // The folder is the user's own; the mode is set before anything is in the file.
    fs::write(to, "")
        .and_then(|()| fs::set_permissions(to, std::os::unix::fs::PermissionsExt::from_mode(0o600)))
        .and_then(|()| fs::write(to, text))
        .with_context(|| format!("failed to write {}", to.display()))?;
    Ok(to.to_path_buf())
}
