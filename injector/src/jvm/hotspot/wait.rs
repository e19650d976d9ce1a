//! Waiting for the JVM's socket, and for what may happen instead.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

use super::socket::MeetingPlace;
use crate::process::Target;
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

/// Waits for the JVM's socket: HotSpot binds it under another name and renames it when it is ready.
pub(super) struct SocketWatch<'m> {
    name: String,
    target: &'m Target<'m>,
    /// None where the user has no inotify instance left: they are few, and counted over all containers of a node.
    inotify: Option<Inotify>,
}

/// Between two looks where inotify is not to be had.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

impl<'m> SocketWatch<'m> {
    pub(super) fn new(meeting: &'m MeetingPlace<'m>) -> SocketWatch<'m> {
        let watch = || {
            let inotify = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK)?;
            let directory = format!("/proc/self/fd/{}", meeting.directory.as_raw_fd());
            inotify.add_watch(directory.as_str(), AddWatchFlags::IN_MOVED_TO)?;
            Ok::<Inotify, Errno>(inotify)
        };
        SocketWatch { name: meeting.socket_name(), target: meeting.target, inotify: watch().ok() }
    }

    pub(super) fn wait(&self, interruption: &Interruption, deadline: Instant) -> Wake {
        loop {
            let until = if self.inotify.is_some() { deadline } else { deadline.min(Instant::now() + LOOK_AGAIN) };
            match self.first_event(interruption, until) {
                Some(Wake::Socket) if !self.socket_was_named() => {}
                Some(event) => return event,
                None if Instant::now() < deadline => return Wake::Socket,
                None => return Wake::TimedOut,
            }
        }
    }

    fn first_event(&self, interruption: &Interruption, until: Instant) -> Option<Wake> {
        let sources = [
            (self.inotify.as_ref().map(AsFd::as_fd), Wake::Socket),
            (self.target.pidfd(), Wake::Ended),
            (interruption.fd(), Wake::Interrupted),
        ];
        let present = sources.iter().filter_map(|(fd, wake)| fd.map(|fd| (PollFd::new(fd, PollFlags::POLLIN), *wake)));
        let (mut fds, wakes): (Vec<PollFd<'_>>, Vec<Wake>) = present.unzip();
        wait::poll_until(&mut fds, Some(until)).ok()?;
        let ready = fds.iter().position(|fd| fd.any() == Some(true))?;
        Some(wakes[ready])
    }

    fn socket_was_named(&self) -> bool {
        let events = self.inotify.as_ref().map(Inotify::read_events);
        let Some(Ok(events)) = events else { return false };
        // An overflow drops names: look rather than wait for one that has gone by.
        events.iter().any(|event| {
            event.mask.contains(AddWatchFlags::IN_Q_OVERFLOW) || event.name.as_deref() == Some(self.name.as_ref())
        })
    }
}

/// Holds SIGINT, SIGTERM and SIGHUP back as long as there is something to clean up; dropping it lets them act. A program
/// that has them blocked already (it takes care of them itself) is not interrupted.
pub(super) struct Interruption {
    held_back: SigSet,
    arrived: Option<SignalFd>,
}

impl Interruption {
    pub(super) fn hold_back() -> Interruption {
        let blocked = SigSet::thread_get_mask().unwrap_or(SigSet::all());
        let mut held_back = SigSet::empty();
        for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
            if !blocked.contains(signal) {
                held_back.add(signal);
            }
        }
        let flags = SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK;
        let any = held_back.iter().next().is_some() && held_back.thread_block().is_ok();
        let arrived = any.then(|| SignalFd::with_flags(&held_back, flags).ok()).flatten();
        Interruption { held_back, arrived }
    }

    fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.arrived.as_ref().map(AsFd::as_fd)
    }
}

impl Drop for Interruption {
    fn drop(&mut self) {
        let _ = self.held_back.thread_unblock();
    }
}
