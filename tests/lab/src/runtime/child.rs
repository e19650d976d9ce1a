//! Processes that a runtime left to us: containers' and exec'd ones. The lab is a subreaper, so that they become its
//! children when runc ends, and each is waited for by its pidfd.
//!
//! The waiting is not optional: a process that joined a PID namespace from outside is nobody's child in there, and a
//! pid 1 that ends hangs in the kernel (zap_pid_ns_processes) until such a child has been reaped by its parent.

use std::fs;
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

/// The name of the helper that runc forks on its way into a container.
const HELPER: &str = "runc:[1:CHILD]";

/// Reaps helpers of runc that it left behind: it does not wait for them whenever it ends first.
pub(super) fn reap_helpers() {
    let tasks = fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    for task in tasks {
        let children = fs::read_to_string(task.path().join("children")).unwrap_or_default();
        for pid in children.split_whitespace().filter_map(|pid| pid.parse().ok()).filter_map(Pid::from_raw) {
            let name = fs::read_to_string(format!("/proc/{}/comm", pid.as_raw_pid())).unwrap_or_default();
            if name.trim_end() == HELPER {
                // One that still runs is met again after the next run of runc.
                let _ended = waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOHANG);
            }
        }
    }
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

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn only_helpers_of_runc_are_reaped_without_being_asked_for() {
        let directory = tempfile::tempdir().unwrap();
        let ended = |name: &str| {
            let program = directory.path().join(name);
            std::os::unix::fs::symlink("/bin/true", &program).unwrap();
            let child = Command::new(program).spawn().unwrap();
            let pid = Pid::from_child(&child);
            waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT).unwrap();
            child
        };
        let (mut helper, mut other) = (ended(HELPER), ended("other"));
        reap_helpers();
        assert!(other.wait().unwrap().success());
        assert_eq!(helper.wait().unwrap_err().raw_os_error(), Some(rustix::io::Errno::CHILD.raw_os_error()));
    }
}
