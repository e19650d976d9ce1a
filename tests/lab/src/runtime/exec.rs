//! A command in a running container.

use tokio::net::unix::pipe::{Receiver, Sender};
use tokio::sync::watch;

use super::child::{Child, Ended};

/// The command's pipes. What happens when a client goes away is up to the holder: dropping `stdin` gives the command
/// end of file; while `stdout` is held unread the command blocks once the pipe is full, as it does under containerd.
#[derive(Debug)]
pub struct Exec {
    /// Present if it was asked for.
    pub stdin: Option<Sender>,
    pub stdout: Receiver,
    pub stderr: Receiver,
    pub process: ExecProcess,
}

/// The command itself. It goes on, and is reaped, without this handle too.
#[derive(Clone, Debug)]
pub struct ExecProcess {
    pid: i32,
    ended: watch::Receiver<Option<Ended>>,
}

impl ExecProcess {
    pub(super) fn supervise(child: Child) -> Self {
        let (sender, ended) = watch::channel(None);
        let pid = child.pid();
        tokio::spawn(async move {
            // Waiting for a child of ours fails only if somebody else reaped it.
            let end = child.reap().await.unwrap_or(Ended { code: -1, signal: None });
            sender.send_replace(Some(end));
        });
        Self { pid, ended }
    }

    /// As the machine sees it.
    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// The exit code; 128 + signal where a signal ended it.
    pub async fn wait(&self) -> i32 {
        let mut ended = self.ended.clone();
        let end = ended.wait_for(Option::is_some).await;
        end.ok().and_then(|end| *end).map_or(-1, |end| end.code)
    }
}
