//! What the JVM answers: a line with a code, then text until it closes the connection.

use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use jattach_protocol::{Code, Failure};
use nix::fcntl::{FcntlArg, OFlag, fcntl};

use crate::sys::wait::{Wanted, wait, within};

/// A first line longer than this is no code.
const MAX_CODE: usize = 16;

/// A reply under way. As [`Read`] it gives the text after the code line. Each read waits for the JVM no longer than the
/// silence limit, then fails with [`ErrorKind::TimedOut`]; nothing is lost by that, and the read may be tried again.
pub(crate) struct Reply {
    stream: File,
    silence: Duration,
    /// The code line as far as it has come, and what came after it in the same read.
    head: Vec<u8>,
    /// How much of `head` has been handed out: at least the code line, once that is complete.
    taken: Option<usize>,
}

impl Reply {
    pub(crate) fn new(stream: OwnedFd, silence: Duration) -> Result<Reply, Failure> {
        fcntl(&stream, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).map_err(|errno| failure(&errno.into()))?;
        Ok(Reply { stream: stream.into(), silence, head: Vec::new(), taken: None })
    }

    /// How long the JVM may be silent from now on. Zero: a read that would wait fails with [`ErrorKind::TimedOut`] at once.
    pub(crate) fn set_silence_limit(&mut self, silence: Duration) {
        self.silence = silence;
    }

    /// The JVM's code: 0 for success, though many a failure is told in the text only; JDK 25 and newer send 0 before they
    /// execute anything. A first line that is no number is a protocol error ([`ErrorKind::InvalidData`]); a JVM that closed
    /// before it had said one gives [`ErrorKind::UnexpectedEof`].
    pub(crate) fn code(&mut self) -> io::Result<i32> {
        self.receive_code_line()?;
        let line = self.head.split(|byte| *byte == b'\n').next().unwrap_or_default();
        let code = std::str::from_utf8(line).ok().and_then(|text| text.trim_ascii().parse().ok());
        code.ok_or_else(|| ErrorKind::InvalidData.into())
    }

    /// The code line as it came, with its end; empty before [`Reply::code`].
    pub(crate) fn code_line(&self) -> &[u8] {
        let end = self.head.iter().position(|byte| *byte == b'\n').map_or(self.head.len(), |end| end + 1);
        &self.head[..end]
    }

    /// The rest of the text, up to `limit` bytes of it.
    pub(crate) fn read_text(&mut self, text: &mut Vec<u8>, limit: u64) -> io::Result<usize> {
        self.by_ref().take(limit).read_to_end(text)
    }

    fn receive_code_line(&mut self) -> io::Result<()> {
        while self.taken.is_none() {
            let mut buffer = [0; 512];
            let count = self.receive(&mut buffer)?;
            self.head.extend_from_slice(&buffer[..count]);
            let line = self.head.iter().position(|byte| *byte == b'\n');
            match line {
                Some(end) if end <= MAX_CODE => self.taken = Some(end + 1),
                Some(_) => return Err(ErrorKind::InvalidData.into()),
                None if count == 0 => return Err(ErrorKind::UnexpectedEof.into()),
                None if self.head.len() > MAX_CODE => return Err(ErrorKind::InvalidData.into()),
                None => {}
            }
        }
        Ok(())
    }

    fn receive(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
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

impl Read for Reply {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.receive_code_line()?;
        let taken = self.taken.unwrap_or_default();
        let buffered = &self.head[taken..];
        if buffered.is_empty() {
            return self.receive(buffer);
        }
        let count = buffered.len().min(buffer.len());
        buffer[..count].copy_from_slice(&buffered[..count]);
        self.taken = Some(taken + count);
        Ok(count)
    }
}

impl AsFd for Reply {
    /// For poll(2). Read until [`ErrorKind::TimedOut`] before waiting on it: some text may have come with the code.
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
