//! One client, as `hold` sees it through its socket: what is sent to it, what it has acknowledged, whether it is there.

use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::{Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use jattach_protocol::frame::{Decoder, Encoder, TooLong};
use jattach_protocol::message::{HEARTBEAT_SECONDS, Hello, Progress, SILENCE_SECONDS, VERSION, WINDOW};
use jattach_protocol::{Code, Failure, Message};
use nix::poll::PollFlags;

use crate::SOFTWARE;
use crate::sys::describe;
use crate::sys::wait::{Bell, Wanted, wait, within};

const HEARTBEAT: Duration = Duration::from_secs(HEARTBEAT_SECONDS);
const SILENCE: Duration = Duration::from_secs(SILENCE_SECONDS);

/// How long a client may take nothing once somebody has ended what it is getting.
const PARTING: Duration = Duration::from_secs(1);

/// The client has gone: nothing that is sent arrives any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Gone;

impl From<Gone> for Failure {
    fn from(Gone: Gone) -> Failure {
        Failure::new(Code::Cancelled, "the client has gone")
    }
}

/// What is done with a message and the request it belongs to; false ends the conversation.
pub(crate) type Act<'a> = dyn FnMut(u32, Message<'_>) -> bool + 'a;

/// The client of one connection. Its own thread [listens](Peer::listen); the thread of its job sends.
pub(crate) struct Peer {
    socket: UnixStream,
    /// Who it says it is.
    name: OnceLock<String>,
    encoder: Mutex<Encoder>,
    heard: Mutex<Heard>,
    changed: Condvar,
    /// Rung when the client has gone, for who waits for a descriptor meanwhile.
    hangup: Bell,
    /// Rung when there is little time left to tell it anything.
    parting: Bell,
    /// For how long it may be silent.
    silence: Duration,
}

/// What the client has let us know.
#[derive(Default)]
struct Heard {
    /// The request under way, and how much of what it gives is stored.
    request: u32,
    acknowledged: u64,
    busy: bool,
    gone: bool,
    /// When it was heard last.
    last: Option<Instant>,
}

impl Peer {
    /// The client behind a socket that was just accepted.
    pub(crate) fn new(socket: UnixStream) -> std::io::Result<Peer> {
        Peer::with(socket, SILENCE)
    }

    fn with(socket: UnixStream, silence: Duration) -> std::io::Result<Peer> {
        socket.set_nonblocking(true)?;
        let (encoder, heard, changed) = (Mutex::default(), Mutex::default(), Condvar::new());
        let (name, hangup, parting) = (OnceLock::new(), Bell::new()?, Bell::new()?);
        Ok(Peer { socket, name, encoder, heard, changed, hangup, parting, silence })
    }

    /// Who it says it is, for a message to others.
    pub(crate) fn name(&self) -> &str {
        self.name.get().map_or("", String::as_str)
    }

    /// Reads what the client sends until it goes, and hands on what is not about the connection itself. Sends heartbeats.
    /// `act` answers false to end the conversation.
    pub(crate) fn listen(&self, act: &mut Act<'_>) {
        let result = self.converse(act);
        if let Err(failure) = result {
            let _ = self.send(0, &Message::Failure(failure));
        }
        self.hang_up();
    }

    /// Marks the client as gone, and wakes all who wait for it.
    pub(crate) fn hang_up(&self) {
        self.heard().gone = true;
        self.changed.notify_all();
        self.hangup.ring();
        let _ = self.socket.shutdown(Shutdown::Both);
    }

    fn converse(&self, act: &mut Act<'_>) -> Result<(), Failure> {
        let mut decoder = Decoder::new();
        let (mut beat, mut silent) = (Instant::now() + HEARTBEAT, Instant::now() + self.silence);
        let mut greeted = false;
        let hello = Hello { version: VERSION, software: SOFTWARE.to_owned(), capabilities: 0 };
        self.send(0, &Message::Hello(hello))?;
        loop {
            let [readable] = wait([Wanted::read(self.socket.as_fd())], Some(beat.min(silent)))
                .map_err(|errno| Failure::new(Code::Other, format!("poll: {}", describe(errno))))?;
            let now = Instant::now();
            if now >= beat {
                self.beat();
                beat = now + HEARTBEAT;
            }
            if readable {
                match (&self.socket).read(decoder.space()) {
                    Ok(0) => return Ok(()),
                    Ok(count) => decoder.filled(count),
                    Err(error) if matches!(error.kind(), ErrorKind::Interrupted | ErrorKind::WouldBlock) => continue,
                    Err(_) => return Ok(()),
                }
                silent = now + self.silence;
                self.heard().last = Some(now);
            } else if now >= silent {
                return Err(Failure::new(
                    Code::Transfer,
                    format!("the client has been silent for {} s", self.silence.as_secs()),
                ));
            }
            while let Some(frame) = decoder.next().map_err(|error| broken(&error))? {
                let message = Message::read(&frame).map_err(|error| broken(&error))?;
                if !greeted {
                    let _ = self.name.set(greet(message)?);
                    greeted = true;
                } else if !self.hear(frame.request, message, act) {
                    return Ok(());
                }
            }
        }
    }

    fn hear(&self, request: u32, message: Message<'_>, act: &mut Act<'_>) -> bool {
        match message {
            Message::Heartbeat => true,
            Message::Ack { stream, offset } => {
                let mut heard = self.heard();
                if request != heard.request {
                    return true;
                }
                heard.acknowledged = heard.acknowledged.max(offset);
                self.changed.notify_all();
                drop(heard);
                act(request, Message::Ack { stream, offset })
            }
            Message::Bye => {
                act(request, Message::Bye);
                false
            }
            message => act(request, message),
        }
    }

    /// A heartbeat, unless something else is being sent at this moment, or waits to be taken: that does as well, and who
    /// listens must not wait itself.
    fn beat(&self) {
        if let Ok(mut encoder) = self.encoder.try_lock() {
            let mut frame = Message::Heartbeat.to_frame();
            let (room, now) = (Wanted(self.socket.as_fd(), PollFlags::POLLOUT), Some(Instant::now()));
            if matches!(wait([room], now), Ok([true]))
                && encoder.seal(Message::Heartbeat.kind(), 0, 0, &mut frame).is_ok()
            {
                let _ = self.write(&frame);
            }
        }
    }

    /// Sends one message.
    pub(crate) fn send(&self, request: u32, message: &Message<'_>) -> Result<(), Gone> {
        self.send_frame(message.kind(), request, message.stream(), &mut message.to_frame())
    }

    /// Sends a frame whose payload is in place already, behind the room for its header.
    pub(crate) fn send_frame(&self, kind: u8, request: u32, stream: u32, frame: &mut [u8]) -> Result<(), Gone> {
        let mut encoder = self.encoder.lock().unwrap_or_else(PoisonError::into_inner);
        match encoder.seal(kind, request, stream, frame) {
            Ok(()) => self.write(frame),
            // A client that lacks a message must not go on as if it had them all.
            Err(TooLong(_)) => {
                self.hang_up();
                Err(Gone)
            }
        }
    }

    /// Sends how far a request is.
    pub(crate) fn progress(&self, request: u32, progress: Progress) -> Result<(), Gone> {
        self.send(request, &Message::Progress(progress))
    }

    /// Only to be called with the encoder locked: half a frame must not be followed by another.
    fn write(&self, frame: &[u8]) -> Result<(), Gone> {
        self.write_all(frame).map_err(|_| {
            self.hang_up();
            Gone
        })
    }

    /// A client that takes nothing is waited for as long as it is heard: it may be waiting for a disk or a pipe itself. One
    /// that is silent is gone, also for the thread that listens, which hears nothing while it is in here.
    fn write_all(&self, mut frame: &[u8]) -> std::io::Result<()> {
        let room = Wanted(self.socket.as_fd(), PollFlags::POLLOUT);
        let (mut parted, mut begin) = (false, Instant::now());
        while !frame.is_empty() {
            let wanted = if parted { (room, PARTING) } else { (self.parting.wanted(), self.silence) };
            match (&self.socket).write(frame) {
                Ok(count) => frame = &frame[count..],
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    match wait([room, wanted.0], within(wanted.1))? {
                        [true, _] => {}
                        // From here on it has so long, and the bell is not listened to any more.
                        [false, true] => parted = true,
                        [false, false] if !parted && self.was_heard_since(begin) => begin = Instant::now(),
                        [false, false] => return Err(ErrorKind::TimedOut.into()),
                    }
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn was_heard_since(&self, begin: Instant) -> bool {
        self.heard().last.is_some_and(|last| last > begin)
    }

    /// There is little time left: a client that takes nothing is not waited for any more.
    pub(crate) fn hurry(&self) {
        self.parting.ring();
    }

    /// A request begins: nothing of what it gives is acknowledged. False while another one of this client is under way.
    pub(crate) fn begin(&self, request: u32) -> bool {
        let mut heard = self.heard();
        if heard.busy {
            return false;
        }
        (heard.request, heard.acknowledged, heard.busy) = (request, 0, true);
        true
    }

    /// Ends the request under way with its last message. In this order: who has that message may ask for more at once.
    pub(crate) fn conclude(&self, request: u32, last: &Message<'_>) {
        self.heard().busy = false;
        // Where the client has gone there is nobody left to tell.
        let _ = self.send(request, last);
    }

    /// Waits until an output's bytes up to `offset` may be sent: [`WINDOW`] of them may be unacknowledged. It ends, in any
    /// case, because a client that is silent counts as gone.
    pub(crate) fn wait_for_window(&self, offset: u64) -> Result<(), Gone> {
        let waiting = |heard: &mut Heard| !heard.gone && heard.acknowledged < offset.saturating_sub(WINDOW);
        let heard = self.changed.wait_while(self.heard(), waiting).unwrap_or_else(PoisonError::into_inner);
        if heard.gone { Err(Gone) } else { Ok(()) }
    }

    /// Whether the client has gone.
    pub(crate) fn is_gone(&self) -> bool {
        self.heard().gone
    }

    /// Waits for `fd` to become readable; false at the deadline.
    pub(crate) fn wait_for(&self, fd: std::os::fd::BorrowedFd<'_>, limit: Duration) -> Result<bool, Gone> {
        match wait([Wanted::read(fd), self.hangup.wanted()], within(limit)) {
            Ok([_, true]) => Err(Gone),
            Ok([readable, false]) => Ok(readable),
            // poll(2) has no error that a wait for two open descriptors can bring about: let the read report it.
            Err(_) => Ok(true),
        }
    }

    fn heard(&self) -> MutexGuard<'_, Heard> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Who says hello.
fn greet(message: Message<'_>) -> Result<String, Failure> {
    match message {
        Message::Hello(hello) if hello.version == VERSION => Ok(hello.software),
        Message::Hello(hello) => Err(Failure::new(
            Code::Version,
            format!("the injector speaks protocol {VERSION}, the client {}", hello.version),
        )
        .evidence(format!("this is {SOFTWARE}, the client is {}", hello.software))
        .remedy("use the injector image of the plugin's version, or end this one with `kubectl jattach TARGET clean`")),
        _ => Err(Failure::new(Code::Version, "the client did not say hello")),
    }
}

fn broken(error: &dyn std::fmt::Display) -> Failure {
    Failure::new(Code::Transfer, "what the client sent is damaged").evidence(error.to_string())
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::Arc;
    use std::thread;

    use super::*;

    /// The client of a connection, which may be silent for a moment, and its end of it.
    fn connected() -> (Arc<Peer>, UnixStream) {
        let (ours, theirs) = UnixStream::pair().expect("sockets");
        (Arc::new(Peer::with(ours, Duration::from_millis(50)).expect("a peer")), theirs)
    }

    /// More than fits into a socket.
    const MUCH: Message<'_> = Message::Output(&[0; 1 << 20]);

    #[test]
    fn a_client_that_takes_nothing_and_is_silent_is_gone_for_who_sends_and_who_listens() {
        let (peer, _theirs) = connected();
        let listening = Arc::clone(&peer);
        let listener = thread::spawn(move || listening.listen(&mut |_, _| true));
        assert_eq!(peer.send(1, &MUCH), Err(Gone));
        listener.join().expect("it ends, too");
        assert!(peer.is_gone());
    }

    #[test]
    fn a_client_that_is_heard_is_waited_for_while_it_takes_nothing() {
        let (peer, mut theirs) = connected();
        // Again and again, as it were.
        peer.heard().last = Instant::now().checked_add(Duration::from_secs(3600));
        let sending = Arc::clone(&peer);
        let sender = thread::spawn(move || sending.send(1, &MUCH));
        // Longer than it may be silent.
        thread::sleep(Duration::from_millis(200));
        assert!(!peer.is_gone());
        thread::spawn(move || io::copy(&mut theirs, &mut io::sink()));
        assert_eq!(sender.join().expect("no panic"), Ok(()));
    }
}
