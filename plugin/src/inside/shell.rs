//! The conversation with `enter.sh` in the target's container. Whoever answers there is believed no further than that it may
//! have the injector: a line has a length, and a silence an end.

use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Status;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, sleep_until, timeout};

use super::carried::Program;
use super::refused;
use crate::catalogue::Id;
use crate::error::{Failure, Result};
use crate::session::Streams;

/// The longest line that makes sense: a word, and a path.
const MAX_LINE: usize = 4 << 10;

/// How long the shell may take for an answer, and to take what it is sent.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long the end of a stream may take to be told of.
const PARTING: Duration = Duration::from_secs(5);

/// Where the program goes.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) directory: String,
    /// What `uname -m` says.
    pub(super) machine: String,
}

/// A shell that runs the script.
pub(super) struct Shell<'c> {
    streams: Streams,
    /// Once the stream has ended: the status that it ended with, unless it was cut.
    ended: Option<Option<Status>>,
    container: &'c str,
}

impl<'c> Shell<'c> {
    pub(super) fn new(streams: Streams, container: &'c str) -> Shell<'c> {
        Shell { streams, ended: None, container }
    }

    /// Where it has found a place.
    ///
    /// # Errors
    /// 5 where the container has no shell, lacks a tool, or has no place for a program.
    pub(super) async fn place(&mut self) -> Result<Place> {
        let line = self.line().await?;
        let mut words = line.splitn(3, ' ');
        match (words.next(), words.next(), words.next()) {
            (Some("at"), Some(machine), Some(directory)) => {
                Ok(Place { directory: directory.to_owned(), machine: machine.to_owned() })
            }
            (Some("lacks"), Some(tool), None) => Err(refused(self.container, &format!("its image has no {tool}"))
                .evidence(format!("its shell finds no {tool} in its PATH"))
                .remedy(WITHOUT)),
            (Some("nowhere"), None, None) => Err(refused(self.container, "it has no place to run a program from")
                .evidence(self.last_words().await)
                .remedy("give it a writable /tmp that is not mounted noexec, such as an emptyDir; an attach needs one as well")),
            _ => Err(self.senseless(&line)),
        }
    }

    /// Sends the program, and has it checked.
    ///
    /// # Errors
    /// 8 where it arrived damaged, or the stream broke.
    pub(super) async fn write(&mut self, program: &Program) -> Result<()> {
        self.send(program.announcement().as_bytes()).await?;
        self.send(program.bytes()).await?;
        match self.line().await?.as_str() {
            "whole" => Ok(()),
            "damaged" => Err(Failure::new(Id::Transfer, "the injector arrived damaged in the target's container")
                .evidence(format!("its SHA-256 is another there {}", self.last_words().await))
                .remedy("run the command again; if it stays so, its filesystem may be full")),
            line => Err(self.senseless(line)),
        }
    }

    /// Has the shell become the program, which has the streams from now on.
    ///
    /// # Errors
    /// 8 where the stream broke.
    pub(super) async fn run(mut self) -> Result<Streams> {
        self.send(b"run\n").await?;
        Ok(self.streams)
    }

    /// All that is on stderr in the end, which need not be there before.
    async fn last_words(&mut self) -> String {
        if self.ended.is_none() {
            self.ended = timeout(PARTING, &mut self.streams.status).await.ok();
        }
        self.streams.errors()
    }

    async fn send(&mut self, bytes: &[u8]) -> Result<()> {
        let Streams { stdin, status, .. } = &mut self.streams;
        let written = timeout(PATIENCE, async {
            stdin.write_all(bytes).await?;
            stdin.flush().await
        });
        if self.ended.is_none() {
            tokio::select! {
                biased;
                sent = written => return match sent {
                    Ok(Ok(())) => Ok(()),
                    Ok(Err(error)) => Err(broken(&error.to_string())),
                    Err(_) => Err(broken("the shell takes nothing more")),
                },
                status = status => self.ended = Some(status),
            }
        }
        Err(self.gave_up())
    }

    /// The next line, without its end.
    async fn line(&mut self) -> Result<String> {
        let deadline = Instant::now() + PATIENCE;
        let mut line = Vec::new();
        loop {
            let Streams { stdout, status, .. } = &mut self.streams;
            let byte = match self.ended {
                // What is not there now never comes.
                Some(_) => timeout(Duration::ZERO, stdout.read_u8()).await.ok().and_then(|byte| byte.ok()),
                None => tokio::select! {
                    biased;
                    byte = stdout.read_u8() => byte.ok(),
                    status = &mut *status => {
                        self.ended = Some(status);
                        continue;
                    }
                    () = sleep_until(deadline) => return Err(broken("the shell does not answer")),
                },
            };
            match byte {
                Some(b'\n') => return Ok(String::from_utf8_lossy(&line).into_owned()),
                Some(byte) if line.len() < MAX_LINE => line.push(byte),
                Some(_) => return Err(self.senseless(&String::from_utf8_lossy(&line[..80]))),
                None => {
                    let _ = self.last_words().await;
                    return Err(self.gave_up());
                }
            }
        }
    }

    /// Why the shell has ended before it was done: it may never have begun.
    fn gave_up(&self) -> Failure {
        let status = self.ended.as_ref().and_then(Option::as_ref);
        let message = status.and_then(|status| status.message.as_deref()).unwrap_or_default();
        let evidence = format!("{message} {}", self.streams.errors());
        if lacks_shell(message) {
            return refused(self.container, "its image has no shell").evidence(evidence).remedy(WITHOUT);
        }
        match status {
            Some(_) => refused(self.container, "its shell did not start, or gave up")
                .evidence(evidence)
                .remedy("its filesystem may be full or read-only; the application has not been touched"),
            None => broken("it ended without a status: the connection was cut"),
        }
    }

    fn senseless(&self, said: &str) -> Failure {
        refused(self.container, "what answers there is no shell of ours")
            .evidence(format!("it said {said:?}"))
            .remedy("look at what `sh` is in its image: `kubectl exec` runs it, too")
    }
}

/// Whether a runtime has not found the shell. The words are the runtimes' (runc's, crun's, gVisor's), which kubelet and API server
/// only pass on; what else is not there may be the working directory.
fn lacks_shell(message: &str) -> bool {
    let message = message.to_ascii_lowercase();
    let is_named = ["\"sh\"", "`sh`", "'sh'"].iter().any(|name| message.contains(name));
    (message.contains("executable file") && message.contains("not found"))
        || (is_named && message.contains("no such file or directory"))
}

/// What there is to do for a container without the means.
const WITHOUT: &str = "where the pod takes a debug container, leave --via=exec out: that needs nothing in the image. Else run \
                       the injector on the node (`injector list`, `injector PID threaddump`)";

fn broken(why: &str) -> Failure {
    Failure::new(Id::Transfer, "the stream to the target's container broke before the injector was there")
        .evidence(why)
        .remedy("run the command again: nothing of the target has changed")
}

#[cfg(test)]
#[path = "shell_tests.rs"]
mod tests;
