//! Waiting for descriptors, and for nothing else: each wait has a limit, and a signal does not end it.

use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::sys::time::TimeSpec;

/// Something that may become ready, and what for.
#[derive(Clone, Copy)]
pub(crate) struct Wanted<'fd>(pub(crate) BorrowedFd<'fd>, pub(crate) PollFlags);

impl<'fd> Wanted<'fd> {
    /// To be read from, or ended.
    pub(crate) fn read(fd: BorrowedFd<'fd>) -> Wanted<'fd> {
        Wanted(fd, PollFlags::POLLIN)
    }
}

/// Waits until one of `wanted` is ready or the deadline has passed (none: for ever), and tells which are, in their order;
/// an error or a hang-up makes a descriptor ready, for the next call on it to report.
pub(crate) fn wait<const N: usize>(wanted: [Wanted<'_>; N], deadline: Option<Instant>) -> nix::Result<[bool; N]> {
    let mut fds = wanted.map(|Wanted(fd, flags)| PollFd::new(fd, flags));
    poll_until(&mut fds, deadline)?;
    Ok(fds.map(|fd| fd.any().unwrap_or(false)))
}

/// ppoll(2) until one is ready or the deadline has passed: poll(2) knows no less than a millisecond.
pub(crate) fn poll_until(fds: &mut [PollFd<'_>], deadline: Option<Instant>) -> nix::Result<()> {
    loop {
        let left = deadline.map(|deadline| TimeSpec::from(deadline.saturating_duration_since(Instant::now())));
        match ppoll(fds, left, None) {
            Err(Errno::EINTR) => {}
            result => return result.map(drop),
        }
    }
}

/// In how long, from now.
pub(crate) fn within(limit: Duration) -> Option<Instant> {
    Instant::now().checked_add(limit)
}

/// A bell that one thread rings and another waits for.
pub(crate) struct Bell(EventFd);

impl Bell {
    pub(crate) fn new() -> nix::Result<Bell> {
        EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK).map(Bell)
    }

    /// Makes it ready, until it is [`quiet`](Bell::quiet).
    pub(crate) fn ring(&self) {
        // It can only fail when the counter is full, and then it is ringing.
        let _ = self.0.write(1);
    }

    /// Stops the ringing.
    pub(crate) fn quiet(&self) {
        let _ = self.0.read();
    }

    pub(crate) fn wanted(&self) -> Wanted<'_> {
        use std::os::fd::AsFd;
        Wanted::read(self.0.as_fd())
    }
}
