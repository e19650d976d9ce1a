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
use jattach_protocol::message::SILENCE_SECONDS;
use jattach_protocol::{Code, Failure, Message};
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::PollFlags;

use crate::rendezvous;
use crate::sys::wait::{Bell, Wanted, wait};

/// How long a `hold` that has just been started may take to listen.
const START_LIMIT: Duration = Duration::from_secs(5);

/// How long the last bytes of a side that has ended may take to get to the other, as long as none moves.
const FLUSH_LIMIT: Duration = Duration::from_secs(SILENCE_SECONDS);

/// How much is under way in each direction at the most.
const BUFFER: usize = 256 << 10;

/// Pumps between stdin, stdout and one end of a socket until either side ends.
pub(crate) fn carry(socket: &UnixStream) -> io::Result<()> {
    pump(io::stdin().as_fd(), io::stdout().as_fd(), socket, FLUSH_LIMIT)
}

/// Runs until either side ends. Exit code 0 says only that this program had no trouble of its own: whether a request was
/// done, its end frame says.
pub(crate) fn run() -> ExitCode {
    let result = rendezvous::connect(Instant::now() + START_LIMIT).map_err(|error| no_hold(&error));
    let pumped = result.and_then(|socket| carry(&socket).map_err(|error| Failure::new(Code::Other, error.to_string())));
    match pumped {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            // Nobody may be there to read it any more.
            let _ = writeln!(io::stderr(), "injector session: {failure}");
            ExitCode::from(failure.code.exit_code())
        }
    }
}

/// Says on stdout, in frames, that there is nobody to talk to: the client reads nothing else.
fn no_hold(error: &io::Error) -> Failure {
    let failure = Failure::new(Code::Gone, "the injector in the debug container does not answer")
        .evidence(format!("no connection to its socket: {error}"))
        .remedy("run the command again; if it stays so, end the debug container with `kubectl jattach TARGET clean`");
    let message = Message::Failure(failure.clone());
    let mut frame = message.to_frame();
    if Encoder::new().seal(message.kind(), 0, 0, &mut frame).is_ok() {
        // Nobody may be there to read it any more.
        let _ = io::stdout().write_all(&frame);
    }
    failure
}

/// One direction's bytes under way.
struct Flow {
    buffer: Box<[u8]>,
    begin: usize,
    end: usize,
    ended: bool,
    /// The source is there no longer, though there may be more to read from it than fits in here.
    closed: bool,
    /// Until when the next of its last bytes has to leave.
    deadline: Option<Instant>,
}

impl Flow {
    fn new() -> Flow {
        Flow {
            buffer: vec![0; BUFFER].into_boxed_slice(),
            begin: 0,
            end: 0,
            ended: false,
            closed: false,
            deadline: None,
        }
    }

    fn has_room(&self) -> bool {
        self.end < self.buffer.len()
    }

    /// What to ask of the source: with no room only whether it is there, which poll(2) tells unasked.
    fn wanted(&self) -> Option<PollFlags> {
        match (self.ended, self.has_room(), self.closed) {
            (false, true, _) => Some(PollFlags::POLLIN),
            (false, false, false) => Some(PollFlags::empty()),
            _ => None,
        }
    }

    fn is_empty(&self) -> bool {
        self.begin == self.end
    }

    fn to_write(&self) -> Option<PollFlags> {
        (!self.is_empty()).then_some(PollFlags::POLLOUT)
    }

    fn is_over(&self) -> bool {
        self.ended && self.is_empty()
    }

    /// Until when something has to move, once the source is gone.
    fn deadline(&mut self, limit: Duration) -> Option<Instant> {
        if self.closed {
            self.deadline.get_or_insert_with(|| Instant::now() + limit);
        }
        self.deadline
    }

    /// Reads once; an end or an error of the source is the end of it.
    fn fill(&mut self, mut from: impl Read) {
        if !self.has_room() {
            self.closed = true;
            return;
        }
        match from.read(&mut self.buffer[self.end..]) {
            Ok(0) => self.ended = true,
            Ok(count) => self.end += count,
            Err(error) => self.ended = !retry(&error),
        }
        self.closed |= self.ended;
    }

    fn discard(&mut self) {
        (self.begin, self.end) = (0, 0);
    }

    /// Writes once.
    fn drain(&mut self, mut to: impl Write) -> io::Result<()> {
        match to.write(&self.buffer[self.begin..self.end]) {
            Ok(count) => {
                self.begin += count;
                self.deadline = None;
            }
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

fn pump(stdin: BorrowedFd<'_>, stdout: BorrowedFd<'_>, socket: &UnixStream, limit: Duration) -> io::Result<()> {
    for fd in [stdin, stdout, socket.as_fd()] {
        let flags = OFlag::from_bits_truncate(fcntl(fd, FcntlArg::F_GETFL)?);
        fcntl(fd, FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK))?;
    }
    // Not a descriptor that is left out: poll(2) reports a hang-up even where nothing is asked, and would spin on it.
    let never = Bell::new()?;
    let wanted = |fd, flags: Option<PollFlags>| flags.map_or(never.wanted(), |flags| Wanted(fd, flags));
    let (mut requests, mut answers) = (Flow::new(), Flow::new());
    loop {
        let deadline = [requests.deadline(limit), answers.deadline(limit)].into_iter().flatten().min();
        if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            return Ok(());
        }
        let [from_stdin, to_socket, from_socket, to_stdout] = wait(
            [
                wanted(stdin, requests.wanted()),
                wanted(socket.as_fd(), requests.to_write()),
                wanted(socket.as_fd(), answers.wanted()),
                wanted(stdout, answers.to_write()),
            ],
            deadline,
        )?;
        if from_stdin {
            requests.fill(Descriptor(stdin));
        }
        if to_socket && requests.drain(socket).is_err() {
            requests.discard();
        }
        if from_socket {
            answers.fill(socket);
        }
        if to_stdout && answers.drain(Descriptor(stdout)).is_err() {
            return Ok(());
        }
        // When stdin ends the client has all it wants, or is gone: what is still under way to it could not be delivered.
        if requests.is_over() || answers.is_over() {
            return Ok(());
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

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::thread;

    use super::*;

    /// What becomes of a session with a hold that talks and takes nothing, whose client has sent so much and gone.
    fn end_of_a_session(sent: usize) -> io::Result<()> {
        let (socket, hold) = UnixStream::pair().expect("a pair");
        let (stdin, mut client) = io::pipe().expect("a pipe");
        let (mut shown, stdout) = io::pipe().expect("a pipe");
        fcntl(&client, FcntlArg::F_SETPIPE_SZ(1 << 20)).expect("room");
        client.write_all(&vec![0; sent]).expect("taken");
        drop(client);
        thread::spawn(move || while (&hold).write_all(b"heartbeat").is_ok() {});
        thread::spawn(move || io::copy(&mut shown, &mut io::sink()));
        let (ended, end) = mpsc::channel();
        thread::spawn(move || ended.send(pump(stdin.as_fd(), stdout.as_fd(), &socket, Duration::from_millis(50))));
        end.recv_timeout(Duration::from_secs(60)).expect("it ends")
    }

    #[test]
    fn a_hold_that_takes_nothing_does_not_keep_a_session_whose_client_has_gone() {
        end_of_a_session(BUFFER - 1).expect("no trouble of its own");
    }

    #[test]
    fn a_client_that_has_gone_is_seen_behind_more_than_the_session_holds() {
        end_of_a_session(4 * BUFFER).expect("no trouble of its own");
    }
}
