//! Waiting for the JVM's socket, and for what may happen instead.

use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags};

use super::socket::MeetingPlace;
use crate::jvm::interruption::Interruption;
use crate::sys::arrivals::Arrivals;
use crate::sys::wait;

/// Why [`SocketWatch::wait`] ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wake {
    /// The socket is there, or may be.
    Socket,
    /// The target ended.
    Ended,
    /// A signal wants us to end.
    Interrupted,
    TimedOut,
}

/// The first pause between two looks, and the longest: each is a quarter of what has been waited already.
const FIRST_PAUSE: Duration = Duration::from_micros(250);
const LONGEST_PAUSE: Duration = Duration::from_millis(10);

/// Waits for the JVM's socket: HotSpot binds it under another name and renames it when it is ready.
///
/// Most JVMs need a millisecond or two, so at first it is looked again and again. To close an inotify instance that has
/// watched anything takes 10 to 20 ms (the kernel waits until nobody can be using its marks), so only a JVM that is slow, as
/// one at a safepoint is, is waited for with that.
pub(super) struct SocketWatch<'m> {
    meeting: &'m MeetingPlace<'m>,
    name: String,
    since: Instant,
    arrivals: Option<Arrivals>,
}

impl<'m> SocketWatch<'m> {
    pub(super) fn new(meeting: &'m MeetingPlace<'m>) -> SocketWatch<'m> {
        SocketWatch { meeting, name: meeting.socket_name(), since: Instant::now(), arrivals: None }
    }

    pub(super) fn wait(&mut self, interruption: &Interruption, deadline: Instant) -> Wake {
        if self.arrivals.is_none() && self.pause() > LONGEST_PAUSE {
            let directory = format!("/proc/self/fd/{}", self.meeting.directory.as_raw_fd());
            self.arrivals = Some(Arrivals::watch(&[directory.as_str()]));
            // It may have come before it was watched for.
            return Wake::Socket;
        }
        loop {
            match self.first_event(interruption, self.next_look(deadline)) {
                Some(Wake::Socket) if !self.has_come() => {}
                Some(event) => return event,
                None if Instant::now() < deadline => return Wake::Socket,
                None => return Wake::TimedOut,
            }
        }
    }

    fn pause(&self) -> Duration {
        (self.since.elapsed() / 4).max(FIRST_PAUSE)
    }

    fn next_look(&self, deadline: Instant) -> Instant {
        match &self.arrivals {
            Some(arrivals) => arrivals.next_look(deadline),
            None => deadline.min(Instant::now() + self.pause()),
        }
    }

    fn has_come(&self) -> bool {
        self.arrivals.as_ref().is_some_and(|arrivals| arrivals.brought(&self.name))
    }

    fn first_event(&self, interruption: &Interruption, until: Instant) -> Option<Wake> {
        let sources = [
            (self.arrivals.as_ref().and_then(Arrivals::fd), Wake::Socket),
            (self.meeting.target.pidfd(), Wake::Ended),
            (interruption.fd(), Wake::Interrupted),
        ];
        let present = sources.iter().filter_map(|(fd, wake)| fd.map(|fd| (PollFd::new(fd, PollFlags::POLLIN), *wake)));
        let (mut fds, wakes): (Vec<PollFd<'_>>, Vec<Wake>) = present.unzip();
        wait::poll_until(&mut fds, Some(until)).ok()?;
        let ready = fds.iter().position(|fd| fd.any() == Some(true))?;
        Some(wakes[ready])
    }
}
