//! OpenJ9's attach: no socket in a file and no signal, which would make it write a javacore. Who attaches says in a file where
//! it listens ([`steps`]), wakes all JVMs with a semaphore, and the one that is meant connects.
//!
//! Written from what is known of the protocol, and tested against a stand-in of OpenJ9's side: not tried on a real one.

mod directory;
mod peer;
mod reply;
mod steps;
mod undo;
mod wire;

use std::io::Write;
use std::net::TcpStream;
use std::time::Duration;

use jattach_protocol::{Code, Failure};

use super::command::Command;
use super::{Limits, failure, refuse_stopped};
use crate::process::{Target, identity};
use directory::Directory;

pub(crate) use reply::Reply;

/// A connection that the JVM has made to us.
pub(crate) struct Connection {
    stream: TcpStream,
    silence: Duration,
}

/// Has the JVM connect to us. Whatever comes of it, nothing of it is left behind.
pub(super) fn connect(target: &Target<'_>, limits: Limits) -> Result<Connection, Failure> {
    require_shared_namespaces(target)?;
    let directory = open(target)?;
    let stream = steps::be_connected(&directory, limits.attach)?;
    Ok(Connection { stream, silence: limits.silence })
}

/// What [`connect`] would refuse before it does anything, in the target's namespaces.
pub(super) fn obstacle(target: &Target<'_>) -> Option<Failure> {
    identity::require_fit(target).and_then(|()| open(target).map(drop)).err()
}

/// Fails where the target is an OpenJ9, whose heap dumps are of another kind and go into files of its own.
pub(crate) fn refuse_heap_dump(target: &Target<'_>) -> Result<(), Failure> {
    if !target.libraries().is_ok_and(|libraries| libraries.openj9) {
        return Ok(());
    }
    Err(Failure::new(Code::Usage, "the JVM is OpenJ9, whose heap dumps cannot be fetched so")
        .evidence("it writes PHD, which has no values, or a core, into a file; not HPROF into a stream")
        .remedy(
            "have it write one (`jcmd Dump.heap /tmp/heap.phd`), and fetch that: \
             `kubectl cp POD:/tmp/heap.phd heap.phd -c CONTAINER`",
        ))
}

fn open<'t>(target: &'t Target<'t>) -> Result<Directory<'t>, Failure> {
    refuse_stopped(target)?;
    Directory::open(target)
}

/// The semaphore and the port are found in namespaces, which the containers of a pod share, and who may enter them has.
fn require_shared_namespaces(target: &Target<'_>) -> Result<(), Failure> {
    let Some(kind) = ["ipc", "net"].into_iter().find(|kind| !target.shares_namespace(kind)) else { return Ok(()) };
    Err(Failure::new(Code::NotAttachable, "the JVM cannot be reached from here")
        .evidence(format!("OpenJ9 wants one {kind} namespace for both; /proc/{}/ns/{kind} is another", target.pid()))
        .remedy("run the injector in the pod, or as root on its node"))
}

impl Connection {
    /// Sends the command.
    pub(super) fn request(mut self, command: &Command) -> Result<Reply, Failure> {
        let (request, answer) = wire::request(command)?;
        self.stream
            .set_write_timeout(Some(self.silence))
            .and_then(|()| self.stream.write_all(&request))
            .map_err(|error| failure(&error))?;
        Reply::new(self.stream.into(), self.silence, answer)
    }
}

#[cfg(test)]
mod tests;
