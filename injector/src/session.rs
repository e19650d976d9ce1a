//! What `exec` starts: a byte pump between its stdin and stdout and the socket of `hold`. It understands nothing of what
//! it carries, and never blocks in a write.
//!
//! That is the point of it. Nobody tells an exec'd process that its client has died: no signal, no EPIPE, and a write to
//! stdout would block for good. Only stdin tells, by ending; so stdin is watched at all times, and when it ends, so does
//! this. A client that is merely silent is ended by `hold`.

use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use jattach_protocol::frame::Encoder;
use jattach_protocol::message::{Hello, SILENCE_SECONDS, VERSION};
use jattach_protocol::{Code, Failure, Message};
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::PollFlags;

use crate::SOFTWARE;
use crate::rendezvous;
use crate::sys::wait::{Bell, Wanted, wait};

/// How long a `hold` that has just been started may take to listen.
const START_LIMIT: Duration = Duration::from_secs(5);

/// How long the last bytes may take to leave once `hold` has ended the conversation.
const FLUSH_LIMIT: Duration = Duration::from_secs(SILENCE_SECONDS);

/// How much is under way in each direction at the most.
const BUFFER: usize = 256 << 10;

/// Runs until either side ends. Exit code 0 says only that this program had no trouble of its own: whether a request was
/// done, its end frame says.
pub(crate) fn run() -> ExitCode {
    let result = rendezvous::connect(Instant::now() + START_LIMIT).map_err(|error| no_hold(&error));
    match result.and_then(|socket| pump(&socket).map_err(|error| Failure::new(Code::Other, error.to_string()))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("injector session: {failure}");
            ExitCode::from(failure.code.exit_code())
        }
    }
}

/// Says on stdout, in frames, that there is nobody to talk to: the client reads nothing else.
fn no_hold(error: &io::Error) -> Failure {
    let failure = Failure::new(Code::Other, "the injector in the debug container does not answer")
        .evidence(format!("no connection to its socket: {error}"))
        .remedy("run the command again; if it stays so, end the debug container with `kubectl jattach TARGET clean`");
    let mut encoder = Encoder::new();
    let hello = Message::Hello(Hello { version: VERSION, software: SOFTWARE.to_owned(), capabilities: 0 });
    for message in [hello, Message::Failure(failure.clone())] {
        let mut frame = message.to_frame();
        encoder.seal(message.kind(), 0, 0, &mut frame);
        if io::stdout().write_all(&frame).is_err() {
            break;
        }
    }
    failure
}

/// One direction's bytes under way.
struct Flow {
    buffer: Box<[u8]>,
    begin: usize,
    end: usize,
    ended: bool,
}

impl Flow {
    fn new() -> Flow {
        Flow { buffer: vec![0; BUFFER].into_boxed_slice(), begin: 0, end: 0, ended: false }
    }

    fn has_room(&self) -> bool {
        !self.ended && self.end < self.buffer.len()
    }

    fn is_empty(&self) -> bool {
        self.begin == self.end
    }

    /// Reads once; an end or an error of the source is the end of it.
    fn fill(&mut self, mut from: impl Read) {
        match from.read(&mut self.buffer[self.end..]) {
            Ok(0) => self.ended = true,
            Ok(count) => self.end += count,
            Err(error) => self.ended = !retry(&error),
        }
    }

    fn discard(&mut self) {
        (self.begin, self.end) = (0, 0);
    }

    /// Writes once.
    fn drain(&mut self, mut to: impl Write) -> io::Result<()> {
        match to.write(&self.buffer[self.begin..self.end]) {
            Ok(count) => self.begin += count,
            Err(error) if retry(&error) => {}
            Err(error) => return Err(error),
        }
        if self.is_empty() {
            self.discard();
        }
        Ok(())
    }
}

fn retry(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
}

fn pump(socket: &UnixStream) -> io::Result<()> {
    let (stdin, stdout) = (io::stdin(), io::stdout());
    for fd in [stdin.as_fd(), stdout.as_fd(), socket.as_fd()] {
        let flags = OFlag::from_bits_truncate(fcntl(fd, FcntlArg::F_GETFL)?);
        fcntl(fd, FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK))?;
    }
    // Not a descriptor that is left out: poll(2) reports a hang-up even where nothing is asked, and would spin on it.
    let never = Bell::new()?;
    let wanted = |fd, is, flags| if is { Wanted(fd, flags) } else { never.wanted() };
    let (mut requests, mut answers) = (Flow::new(), Flow::new());
    let mut flush_deadline = None;
    loop {
        let [from_stdin, to_socket, from_socket, to_stdout] = wait(
            [
                wanted(stdin.as_fd(), requests.has_room(), PollFlags::POLLIN),
                wanted(socket.as_fd(), !requests.is_empty(), PollFlags::POLLOUT),
                wanted(socket.as_fd(), answers.has_room(), PollFlags::POLLIN),
                wanted(stdout.as_fd(), !answers.is_empty(), PollFlags::POLLOUT),
            ],
            flush_deadline,
        )?;
        if from_stdin {
            requests.fill(Descriptor(stdin.as_fd()));
        }
        if to_socket && requests.drain(socket).is_err() {
            requests.discard();
        }
        if from_socket {
            answers.fill(socket);
        }
        if to_stdout {
            flush_deadline = None;
            if answers.drain(Descriptor(stdout.as_fd())).is_err() {
                return Ok(());
            }
        }
        // When stdin ends the client has all it wants, or is gone: what is still under way to it could not be delivered.
        if (requests.ended && requests.is_empty()) || (answers.ended && answers.is_empty()) {
            return Ok(());
        }
        if answers.ended {
            let deadline = *flush_deadline.get_or_insert_with(|| Instant::now() + FLUSH_LIMIT);
            if Instant::now() >= deadline {
                return Ok(());
            }
        }
    }
}

/// stdin and stdout without std's buffers, which would hide bytes from poll(2).
struct Descriptor<'fd>(BorrowedFd<'fd>);

impl Read for Descriptor<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        nix::unistd::read(self.0, buffer).map_err(Into::into)
    }
}

impl Write for Descriptor<'_> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        nix::unistd::write(self.0, buffer).map_err(Into::into)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
