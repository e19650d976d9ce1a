//! The way to a connection, a step after the other.

use std::collections::hash_map::RandomState;
use std::fs::File;
use std::hash::{BuildHasher, Hasher};
use std::io::{ErrorKind, Read};
use std::net::{Ipv4Addr, Ipv6Addr, TcpListener, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use jattach_protocol::{Code, Failure};
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use nix::poll::{PollFd, PollFlags};

use super::directory::Directory;
use super::peer;
use super::undo::{ReplyInfo, Wakes};
use crate::jvm::interruption::Interruption;
use crate::sys::{describe, wait};

/// How long a JVM that was woken may take to connect, each time that it is.
const ACCEPT: [Duration; 2] = [Duration::from_secs(2), Duration::from_secs(3)];

/// How long a JVM has to take its lock between the two.
const TURN: Duration = Duration::from_millis(50);

/// How long who has connected may take to say its greeting, which it has at hand.
const GREETING: Duration = Duration::from_secs(1);

/// Between two looks at a lock that is held: nothing tells when it is given back, but a call that cannot be called off.
const PAUSE: Duration = Duration::from_millis(5);

/// Has the target connect to us, within `limit` for all locks.
pub(super) fn be_connected(directory: &Directory<'_>, limit: Duration) -> Result<TcpStream, Failure> {
    let waiting = Waiting { directory, interruption: Interruption::hold_back() };
    let deadline = Instant::now() + limit;
    // From here on the order counts: all of these are undone from the last to the first.
    let _attach_lock = waiting.lock(directory.attach_lock()?, deadline)?;
    let listener = listen()?;
    let port = listener.local_addr().map_err(no_listener)?.port();
    // Seeded by the kernel.
    let key = RandomState::new().build_hasher().finish();
    let _reply_info = ReplyInfo::publish(directory, key, port)?;
    let mut seen = "";
    for limit in ACCEPT {
        let mut syncs = Vec::new();
        for sync in directory.syncs()? {
            syncs.push(waiting.lock(sync, deadline)?);
        }
        let wakes = Wakes::post(directory.target.sys(), directory.semaphore_key()?, syncs.len())?;
        match waiting.accept(&listener, port, key, limit)? {
            Accepted::Target(stream) => return Ok(stream),
            Accepted::Stranger => {
                seen = "who connected did not know the key";
                break;
            }
            Accepted::Nobody => seen = "nobody connected",
        }
        // One that an earlier attach has woken, and that came to its lock when it was ours again, waits there for us to end.
        drop(wakes);
        drop(syncs);
        waiting.until(None, Instant::now() + TURN)?;
    }
    Err(Failure::new(Code::NoAnswer, "the JVM did not connect in time")
        .evidence(format!("OpenJ9 was woken for {}; {seen}", directory.path("replyInfo")))
        .remedy("it may be starved of CPU, or stopped by a dump that it writes: try again"))
}

/// Who has connected within the limit.
enum Accepted {
    Target(TcpStream),
    /// Somebody who has not read our file.
    Stranger,
    Nobody,
}

fn listen() -> Result<TcpListener, Failure> {
    let listener =
        TcpListener::bind((Ipv6Addr::UNSPECIFIED, 0)).or_else(|_| TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)));
    let listener = listener.map_err(no_listener)?;
    listener.set_nonblocking(true).map_err(no_listener)?;
    Ok(listener)
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn no_listener(error: std::io::Error) -> Failure {
    Failure::new(Code::Other, "the injector cannot listen for the JVM").evidence(error.to_string())
}

/// Waiting for what somebody else does, and for what may end that.
struct Waiting<'d> {
    directory: &'d Directory<'d>,
    interruption: Interruption,
}

impl Waiting<'_> {
    /// Takes the lock as soon as nobody has it. Who holds one may be hostile, or stopped.
    fn lock(&self, mut file: File, deadline: Instant) -> Result<Flock<File>, Failure> {
        loop {
            match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
                Ok(locked) => return Ok(locked),
                Err((back, Errno::EWOULDBLOCK)) if Instant::now() < deadline => file = back,
                Err((_, errno)) => {
                    return Err(Failure::new(Code::NoAnswer, "somebody else attaches to OpenJ9 here")
                        .evidence(format!("a lock in {}: {}", self.directory.path(""), describe(errno)))
                        .remedy("try again when that is done; a tool that hangs keeps the lock until it ends"));
                }
            }
            self.until(None, Instant::now() + PAUSE)?;
        }
    }

    /// The connection of the target. Who else has connected to the port, which is open to the network, knows no key.
    fn accept(&self, listener: &TcpListener, port: u16, key: u64, limit: Duration) -> Result<Accepted, Failure> {
        let deadline = Instant::now() + limit;
        let mut seen = Accepted::Nobody;
        while self.until(Some(listener.as_fd()), deadline)? {
            let (stream, from) = match listener.accept() {
                Ok(accepted) => accepted,
                // It has gone again.
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::ConnectionAborted) => continue,
                Err(error) => return Err(no_listener(error)),
            };
            if self.greets(&stream, key)? {
                peer::require(self.directory.target, port, from.port())?;
                return Ok(Accepted::Target(stream));
            }
            seen = Accepted::Stranger;
        }
        Ok(seen)
    }

    /// Whether that is the JVM that has read our file: its greeting ends in the key, a blank and a NUL.
    fn greets(&self, mut stream: &TcpStream, key: u64) -> Result<bool, Failure> {
        let expected = format!("ATTACH_CONNECTED {key:016x} \0");
        let deadline = Instant::now() + GREETING;
        let mut greeting = vec![0; expected.len()];
        let mut filled = 0;
        while filled < greeting.len() && self.until(Some(stream.as_fd()), deadline)? {
            match stream.read(&mut greeting[filled..]) {
                Ok(0) | Err(_) => break,
                Ok(count) => filled += count,
            }
        }
        Ok(greeting == expected.as_bytes())
    }

    /// Waits until `fd` is ready; false when `deadline` comes first.
    fn until(&self, fd: Option<BorrowedFd<'_>>, deadline: Instant) -> Result<bool, Failure> {
        let target = self.directory.target;
        let sources = [target.pidfd(), self.interruption.fd(), fd];
        let mut fds: Vec<PollFd<'_>> = sources.iter().flatten().map(|fd| PollFd::new(*fd, PollFlags::POLLIN)).collect();
        let failed = |errno: Errno| Failure::new(Code::Other, "cannot wait for the JVM").evidence(describe(errno));
        wait::poll_until(&mut fds, Some(deadline)).map_err(failed)?;
        let mut ready = fds.iter().map(|fd| fd.any() == Some(true));
        if target.pidfd().is_some() && ready.next() == Some(true) {
            return Err(target.ended(Errno::ESRCH));
        }
        if self.interruption.fd().is_some() && ready.next() == Some(true) {
            return Err(Failure::new(Code::Cancelled, "interrupted while the JVM was asked to connect"));
        }
        Ok(ready.next() == Some(true))
    }
}
