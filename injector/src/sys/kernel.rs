//! The real [`Sys`]: each method is the system call of its name.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use nix::Result;
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, OpenHow, ResolveFlag, open, openat, openat2};
use nix::sched::{CloneFlags, setns};
use nix::sys::prctl;
use nix::sys::signal::{self, Signal};
use nix::sys::socket::{self, AddressFamily, SockFlag, SockType, UnixAddr, sockopt};
use nix::sys::stat::{Mode, fstatat};
use nix::sys::time::{TimeVal, TimeValLike};
use nix::unistd::{Gid, Pid, Uid, setfsgid, setfsuid, setgroups, setresgid, setresuid};

use super::{Peer, Sys, mounts, raw, sysv, threads};

/// What [`Sys::open_at`] gives to a file it creates: the trigger file's mode in HotSpot's own client.
const CREATED: Mode = Mode::S_IRUSR.union(Mode::S_IWUSR).union(Mode::S_IRGRP).union(Mode::S_IWGRP);

/// Held while the process is closed to its own user, or looked at for that: one thread must not open it again while another
/// relies on it.
static DUMPABLE: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    DUMPABLE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The kernel below us.
pub(crate) struct Kernel;

impl Sys for Kernel {
    fn proc_dir(&self, pid: u32) -> Result<OwnedFd> {
        open_directory(&format!("/proc/{pid}"))
    }

    fn own_proc_dir(&self) -> Result<OwnedFd> {
        open_directory("/proc/self")
    }

    fn owner(&self, dir: BorrowedFd<'_>, path: &[u8]) -> Result<u32> {
        fstatat(dir, path, AtFlags::empty()).map(|seen| seen.st_uid)
    }

    fn open_at(&self, dir: BorrowedFd<'_>, path: &[u8], flags: OFlag) -> Result<OwnedFd> {
        openat(dir, path, flags | OFlag::O_CLOEXEC, creation_mode(flags))
    }

    fn open_at_root(&self, root: BorrowedFd<'_>, path: &[u8], flags: OFlag) -> Result<OwnedFd> {
        let how = OpenHow::new()
            .flags(flags | OFlag::O_CLOEXEC)
            .mode(creation_mode(flags))
            .resolve(ResolveFlag::RESOLVE_IN_ROOT | ResolveFlag::RESOLVE_NO_MAGICLINKS);
        openat2(root, path, how)
    }

    fn pidfd_open(&self, pid: u32) -> Result<OwnedFd> {
        raw::pidfd_open(number(pid)?)
    }

    fn pidfd_send_signal(&self, pidfd: BorrowedFd<'_>, signal: Signal) -> Result<()> {
        raw::pidfd_send_signal(pidfd, signal)
    }

    fn kill(&self, pid: u32, signal: Signal) -> Result<()> {
        signal::kill(Pid::from_raw(number(pid)?), signal)
    }

    fn connect(&self, socket: BorrowedFd<'_>, limit: Duration) -> Result<OwnedFd> {
        let stream = socket::socket(AddressFamily::Unix, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)?;
        let limit = TimeVal::milliseconds(i64::try_from(limit.as_millis()).unwrap_or(i64::MAX));
        socket::setsockopt(&stream, sockopt::SendTimeout, &limit)?;
        let path = format!("/proc/self/fd/{}", socket.as_raw_fd());
        socket::connect(stream.as_raw_fd(), &UnixAddr::new(path.as_str())?)?;
        Ok(stream)
    }

    fn peer(&self, stream: BorrowedFd<'_>) -> Result<Peer> {
        let peer = socket::getsockopt(&stream.as_fd(), sockopt::PeerCredentials)?;
        Ok(Peer { pid: u32::try_from(peer.pid()).unwrap_or(0), uid: peer.uid(), gid: peer.gid() })
    }

    fn semaphore(&self, key: i32) -> Result<i32> {
        sysv::semget(key, 0o666)
    }

    fn semop(&self, semaphore: i32, steps: &[(i16, i16)]) -> Result<()> {
        sysv::semop(semaphore, steps)
    }

    fn enter_namespace(&self, namespace: BorrowedFd<'_>) -> Result<()> {
        setns(namespace, CloneFlags::empty())
    }

    fn mount_over(&self, directory: BorrowedFd<'_>, source: &str) -> Result<()> {
        mounts::mount_over(directory, source)
    }

    fn unmount(&self, root: BorrowedFd<'_>) -> Result<()> {
        mounts::unmount(root)
    }

    fn set_groups(&self, groups: &[u32]) -> Result<()> {
        let groups: Vec<Gid> = groups.iter().map(|gid| Gid::from_raw(*gid)).collect();
        setgroups(&groups)
    }

    fn set_gid(&self, gid: u32) -> Result<()> {
        let gid = Gid::from_raw(gid);
        setresgid(gid, gid, gid)
    }

    fn set_uid(&self, uid: u32) -> Result<()> {
        prctl::set_keepcaps(true)?;
        let _alone = alone();
        let uid = Uid::from_raw(uid);
        setresuid(uid, uid, uid)
    }

    fn set_capabilities(&self, capabilities: u64) -> Result<()> {
        let _alone = alone();
        threads::set_capabilities(capabilities)
    }

    fn set_dumpable(&self, dumpable: bool) -> Result<()> {
        let _alone = alone();
        prctl::set_dumpable(dumpable)
    }

    fn set_fs_ids(&self, uid: u32, gid: u32) {
        let _alone = alone();
        let dumpable = prctl::get_dumpable() == Ok(true);
        setfsgid(Gid::from_raw(gid));
        setfsuid(Uid::from_raw(uid));
        if dumpable {
            let _ = prctl::set_dumpable(true);
        }
    }
}

fn open_directory(path: &str) -> Result<OwnedFd> {
    open(path, OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty())
}

/// openat2 refuses a mode where nothing is created.
fn creation_mode(flags: OFlag) -> Mode {
    if flags.intersects(OFlag::O_CREAT) { CREATED } else { Mode::empty() }
}

/// A pid of 0 or below would mean a process group to kill(2).
fn number(pid: u32) -> Result<libc::pid_t> {
    match libc::pid_t::try_from(pid) {
        Ok(pid) if pid > 0 => Ok(pid),
        _ => Err(Errno::ESRCH),
    }
}

#[cfg(test)]
mod tests {
    use nix::unistd::{getegid, geteuid};

    use super::*;

    #[test]
    fn a_semaphore_that_is_not_there_is_not_made() {
        let key = 0x6a61_0000 | (std::process::id() & 0xffff).cast_signed();
        for _ in 0..2 {
            assert_eq!(Kernel.semaphore(key), Err(Errno::ENOENT));
        }
    }

    /// Needs root to change anything.
    #[test]
    fn a_change_of_the_file_access_leaves_the_process_as_open_to_the_jvm_as_it_was() {
        Kernel.set_dumpable(true).expect("permitted");
        for (uid, gid) in [(1000, 1000), (geteuid().as_raw(), getegid().as_raw())] {
            Kernel.set_fs_ids(uid, gid);
            assert_eq!(prctl::get_dumpable(), Ok(true), "as {uid}:{gid}");
        }
    }
}
