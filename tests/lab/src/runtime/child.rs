//! Processes that a runtime left to us: containers' and exec'd ones. The lab is a subreaper, so that they become its
//! children when runc ends, and each is waited for by its pidfd.
//!
//! The waiting is not optional: a process that joined a PID namespace from outside is nobody's child in there, and a
//! pid 1 that ends hangs in the kernel (zap_pid_ns_processes) until such a child has been reaped by its parent.

use std::io;
use std::os::fd::OwnedFd;

use rustix::process::{
    Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, pidfd_open, pidfd_send_signal, set_child_subreaper, waitid,
};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Makes this process the parent of its descendants' orphans.
pub(super) fn become_subreaper() -> io::Result<()> {
    Ok(set_child_subreaper(Some(rustix::process::getpid()))?)
}

/// How a process ended; the code as a shell counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ended {
    pub(super) code: i32,
    pub(super) signal: Option<i32>,
}

#[derive(Debug)]
pub(super) struct Child {
    pid: i32,
    pidfd: AsyncFd<OwnedFd>,
}

impl Child {
    /// Of a child, ended or not, or of a stranger that is only to be killed and awaited with [`Child::gone`].
    pub(super) fn adopt(pid: i32) -> io::Result<Self> {
        let number = Pid::from_raw(pid).ok_or(io::ErrorKind::InvalidInput)?;
        let pidfd = pidfd_open(number, PidfdFlags::NONBLOCK)?;
        #[expect(
            deprecated,
            reason = "its replacement is unsafe for the sake of types that lie about their descriptor; an OwnedFd does not"
        )]
        let pidfd = AsyncFd::with_interest(pidfd, Interest::READABLE)?;
        Ok(Self { pid, pidfd })
    }

    pub(super) fn pid(&self) -> i32 {
        self.pid
    }

    /// The end of the process, which is reaped by it: to be called once.
    pub(super) async fn reap(&self) -> io::Result<Ended> {
        loop {
            let mut ready = self.pidfd.readable().await?;
            let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG;
            if let Some(status) = waitid(WaitId::PidFd(std::os::fd::AsFd::as_fd(self.pidfd.get_ref())), options)? {
                let signal = status.terminating_signal();
                let code = status.exit_status().or(signal.map(|signal| 128 + signal)).unwrap_or(-1);
                return Ok(Ended { code, signal });
            }
            ready.clear_ready();
        }
    }

    /// The end of a process that somebody else reaps.
    pub(super) async fn gone(&self) -> io::Result<()> {
        self.pidfd.readable().await.map(|_| ())
    }

    /// A process that has ended already is no error.
    pub(super) fn signal(&self, signal: Signal) -> io::Result<()> {
        match pidfd_send_signal(self.pidfd.get_ref(), signal) {
            Err(rustix::io::Errno::SRCH) => Ok(()),
            result => Ok(result?),
        }
    }
}
