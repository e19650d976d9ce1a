//! JVMs: recognising them, and speaking to them. [`connect`] knows which kind wants to be asked how.

pub(crate) mod command;
mod command_line;
pub(crate) mod detect;
mod hotspot;
mod hsperf;
mod incoming;
mod interruption;
mod native_image;
mod openj9;
#[cfg(test)]
mod trap_tests;

use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use jattach_protocol::{Code, Failure};
use nix::fcntl::AtFlags;
use nix::sys::stat::{fstat, fstatat};
use nix::unistd::{UnlinkatFlags, unlinkat};

use command::Command;

use crate::process::Target;

pub(crate) use hotspot::print_threads;
pub(crate) use hsperf::heap_used;
pub(crate) use incoming::failure;
pub(crate) use openj9::refuse_heap_dump;

/// How long each step may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Until the JVM is connected.
    pub(crate) attach: Duration,
    /// For the JVM's listener, which serves one client at a time, to take the request, and between two parts of a reply.
    pub(crate) silence: Duration,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { attach: Duration::from_secs(10), silence: Duration::from_secs(10) }
    }
}

/// A connection to the target's attach listener. It serves one request.
pub(crate) enum Connection<'t> {
    HotSpot(hotspot::Connection<'t>),
    OpenJ9(openj9::Connection),
}

/// Connects to the target in the way of its kind.
pub(crate) fn connect<'t>(target: &'t Target<'t>, limits: Limits) -> Result<Connection<'t>, Failure> {
    match target.libraries() {
        Ok(libraries) if libraries.openj9 => openj9::connect(target, limits).map(Connection::OpenJ9),
        // What is no JVM, or shows nothing of itself, HotSpot's way refuses, and says why.
        _ => hotspot::connect(target, limits).map(Connection::HotSpot),
    }
}

impl Connection<'_> {
    /// Sends the command. What the JVM makes of it comes with the reply, whose first bytes are waited for when they are read.
    pub(crate) fn request(self, command: &Command) -> Result<Reply, Failure> {
        match self {
            Connection::HotSpot(connection) => connection.request(command).map(Reply::HotSpot),
            Connection::OpenJ9(connection) => connection.request(command).map(Reply::OpenJ9),
        }
    }
}

/// A reply under way. As [`Read`] it gives the JVM's text. Each read waits for the JVM no longer than the silence limit, then
/// fails with [`io::ErrorKind::TimedOut`]; nothing is lost by that, and the read may be tried again.
pub(crate) enum Reply {
    HotSpot(hotspot::Reply),
    OpenJ9(openj9::Reply),
}

impl Reply {
    /// A HotSpot's, which comes from there.
    #[cfg(test)]
    pub(crate) fn hotspots(stream: std::os::fd::OwnedFd) -> Reply {
        Reply::HotSpot(hotspot::Reply::new(stream, Duration::ZERO).expect("a reply"))
    }

    /// How long the JVM may be silent from now on. Zero: a read that would wait fails with [`io::ErrorKind::TimedOut`] at
    /// once.
    pub(crate) fn set_silence_limit(&mut self, silence: Duration) {
        match self {
            Reply::HotSpot(reply) => reply.set_silence_limit(silence),
            Reply::OpenJ9(reply) => reply.set_silence_limit(silence),
        }
    }

    /// The JVM's code: 0 for success, though many a failure is told in the text only.
    pub(crate) fn code(&mut self) -> io::Result<i32> {
        match self {
            Reply::HotSpot(reply) => reply.code(),
            Reply::OpenJ9(reply) => reply.code(),
        }
    }

    /// The code as it came, with its line's end; OpenJ9 has no such line.
    pub(crate) fn code_line(&self) -> Option<&[u8]> {
        match self {
            Reply::HotSpot(reply) => Some(reply.code_line()),
            Reply::OpenJ9(_) => None,
        }
    }

    /// The rest of the text, up to `limit` bytes of it.
    pub(crate) fn read_text(&mut self, text: &mut Vec<u8>, limit: u64) -> io::Result<usize> {
        self.by_ref().take(limit).read_to_end(text)
    }
}

impl Read for Reply {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Reply::HotSpot(reply) => reply.read(buffer),
            Reply::OpenJ9(reply) => reply.read(buffer),
        }
    }
}

impl AsFd for Reply {
    /// For poll(2). Read until [`io::ErrorKind::TimedOut`] before waiting on it: some text may be here already.
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Reply::HotSpot(reply) => reply.as_fd(),
            Reply::OpenJ9(reply) => reply.as_fd(),
        }
    }
}

/// A request that a stopped JVM finds when it is continued would be carried out with nobody listening.
fn refuse_stopped(target: &Target<'_>) -> Result<(), Failure> {
    let state = target.status()?.state;
    match state {
        b'T' | b't' => Err(Failure::new(Code::NotAttachable, format!("process {} is stopped", target.pid()))
            .evidence(format!("State {} in /proc/{}/status", state as char, target.pid()))
            .remedy("continue it (SIGCONT), or end the debugger that holds it")),
        b'Z' | b'X' => Err(Failure::new(Code::TargetEnded, format!("process {} has ended", target.pid()))
            .evidence(format!("State {} in /proc/{}/status", state as char, target.pid()))),
        _ => Ok(()),
    }
}

/// That another process has what is the target's in /tmp, as where containers share one, and number their processes alike.
fn clash(cause: impl Into<String>, seen: impl Into<String>) -> Failure {
    Failure::new(Code::WrongPeer, cause)
        .evidence(seen)
        .remedy("give each container a /tmp of its own (an emptyDir each), and restart the pod")
}

/// Removes what is called so, if it still is this very file.
fn unlink_if_same(directory: BorrowedFd<'_>, name: &str, file: BorrowedFd<'_>) {
    if let (Ok(held), Ok(named)) = (fstat(file), fstatat(directory, name, AtFlags::AT_SYMLINK_NOFOLLOW))
        && (held.st_dev, held.st_ino) == (named.st_dev, named.st_ino)
    {
        let _ = unlinkat(directory, name, UnlinkatFlags::NoRemoveDir);
    }
}
