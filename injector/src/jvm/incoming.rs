//! What comes from a JVM, whatever it means: bytes that are waited for with a limit, and what an error among them says.

use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use jattach_protocol::{Code, Failure};
use nix::fcntl::{FcntlArg, OFlag, fcntl};

use crate::sys::wait::{Wanted, wait, within};

/// A stream that is read without waiting longer than the limit. [`ErrorKind::TimedOut`] loses nothing.
pub(super) struct Incoming {
    pub(super) stream: File,
    pub(super) silence: Duration,
}

impl Incoming {
    pub(super) fn new(stream: OwnedFd, silence: Duration) -> Result<Incoming, Failure> {
        fcntl(&stream, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).map_err(|errno| failure(&errno.into()))?;
        Ok(Incoming { stream: stream.into(), silence })
    }

    pub(super) fn receive(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.stream.read(buffer) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                result => return result,
            }
            let [ready] = wait([Wanted::read(self.stream.as_fd())], within(self.silence))?;
            if !ready {
                return Err(ErrorKind::TimedOut.into());
            }
        }
    }
}

impl AsFd for Incoming {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

/// The failure for an error while talking to the listener.
pub(crate) fn failure(error: &io::Error) -> Failure {
    match error.kind() {
        // EAGAIN is what a write gets whose limit (SO_SNDTIMEO) ran out.
        ErrorKind::TimedOut | ErrorKind::WouldBlock => Failure::new(Code::NoAnswer, "the JVM does not answer")
            .evidence("its attach listener serves one client at a time, and works at safepoints")
            .remedy("try again when the running heap dump or other tool is done"),
        ErrorKind::UnexpectedEof | ErrorKind::BrokenPipe | ErrorKind::ConnectionReset => {
            Failure::new(Code::NoAnswer, "the JVM closed the connection without an answer")
                .evidence(error.to_string())
                .remedy("it does so when the client's uid or gid is not its own")
        }
        ErrorKind::InvalidData => {
            Failure::new(Code::NoAnswer, "what answers on the JVM's socket is no attach listener")
        }
        _ => Failure::new(Code::Other, "the connection to the JVM broke").evidence(error.to_string()),
    }
}
