//! What the JVM answers: a line with a code, then text until it closes the connection.

use std::io::{self, ErrorKind, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use jattach_protocol::Failure;

use crate::jvm::incoming::Incoming;

/// A first line longer than this is no code.
const MAX_CODE: usize = 16;

/// A reply under way. As [`Read`] it gives the text after the code line. Each read waits for the JVM no longer than the
/// silence limit, then fails with [`ErrorKind::TimedOut`]; nothing is lost by that, and the read may be tried again.
pub(crate) struct Reply {
    incoming: Incoming,
    /// The code line as far as it has come, and what came after it in the same read.
    head: Vec<u8>,
    /// How much of `head` has been handed out: at least the code line, once that is complete.
    taken: Option<usize>,
}

impl Reply {
    pub(crate) fn new(stream: OwnedFd, silence: Duration) -> Result<Reply, Failure> {
        Ok(Reply { incoming: Incoming::new(stream, silence)?, head: Vec::new(), taken: None })
    }

    /// How long the JVM may be silent from now on. Zero: a read that would wait fails with [`ErrorKind::TimedOut`] at once.
    pub(crate) fn set_silence_limit(&mut self, silence: Duration) {
        self.incoming.silence = silence;
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
            let count = self.incoming.receive(&mut buffer)?;
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
}

impl Read for Reply {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.receive_code_line()?;
        let taken = self.taken.unwrap_or_default();
        let buffered = &self.head[taken..];
        if buffered.is_empty() {
            return self.incoming.receive(buffer);
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
        self.incoming.as_fd()
    }
}
