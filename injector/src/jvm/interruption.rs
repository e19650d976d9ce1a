//! Signals that want us to end while there is something of ours in the target.

use std::os::fd::{AsFd, BorrowedFd};

use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

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

    /// Readable when one has come.
    pub(super) fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.arrived.as_ref().map(AsFd::as_fd)
    }
}

impl Drop for Interruption {
    fn drop(&mut self) {
        let _ = self.held_back.thread_unblock();
    }
}
