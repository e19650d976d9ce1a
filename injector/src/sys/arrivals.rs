//! Waiting for a file that is renamed into a directory when it is ready, as the JVM's socket and ours are.

use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};

use super::wait::poll_until;

/// Between two looks where inotify is not to be had.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// Tells when to look into some directories again. Made before the first look, it misses nothing.
pub(crate) struct Arrivals {
    /// None where the user has no inotify instance left: they are few, and counted over all containers of a node.
    inotify: Option<Inotify>,
}

impl Arrivals {
    pub(crate) fn watch(directories: &[&str]) -> Arrivals {
        let watch = || {
            let inotify = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK)?;
            for directory in directories {
                inotify.add_watch(*directory, AddWatchFlags::IN_MOVED_TO)?;
            }
            nix::Result::Ok(inotify)
        };
        Arrivals { inotify: watch().ok() }
    }

    /// Readable when something has come, for who waits for other things too; none where there is only looking again.
    pub(crate) fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.inotify.as_ref().map(AsFd::as_fd)
    }

    /// Until when to wait before the next look.
    pub(crate) fn next_look(&self, deadline: Instant) -> Instant {
        if self.inotify.is_some() { deadline } else { deadline.min(Instant::now() + LOOK_AGAIN) }
    }

    /// Whether a file of that name may have come since this was asked last.
    pub(crate) fn brought(&self, name: &str) -> bool {
        let events = self.inotify.as_ref().map(Inotify::read_events);
        let Some(Ok(events)) = events else { return false };
        // An overflow drops names: look rather than wait for one that has gone by.
        events.iter().any(|event| {
            event.mask.contains(AddWatchFlags::IN_Q_OVERFLOW) || event.name.as_deref() == Some(name.as_ref())
        })
    }

    /// Waits until it is time to look for `name` again, or the deadline has passed.
    pub(crate) fn wait_for(&self, name: &str, deadline: Instant) -> nix::Result<()> {
        loop {
            let mut fd = self.fd().map(|fd| PollFd::new(fd, PollFlags::POLLIN));
            poll_until(fd.as_mut_slice(), Some(self.next_look(deadline)))?;
            if self.inotify.is_none() || self.brought(name) || Instant::now() >= deadline {
                return Ok(());
            }
        }
    }
}
