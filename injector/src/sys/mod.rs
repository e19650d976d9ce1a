//! Every system call that acts on another process, changes who we are, or resolves a path in a hostile root: one safe
//! function each, behind [`Sys`], so that the order in which they are made can be tested without root and without a JVM.
//! `unsafe` stands in [`raw`], [`sysv`] and [`zstd`] and nowhere else in the crate.

pub(crate) mod arrivals;
mod beneath;
#[cfg(test)]
pub(crate) mod fake;
mod kernel;
mod mounts;
mod raw;
mod sysv;
mod threads;
pub(crate) mod wait;
pub(crate) mod zstd;

use std::os::fd::{BorrowedFd, OwnedFd};
use std::time::Duration;

use nix::Result;
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::signal::Signal;

pub(crate) use beneath::open_in_root;
pub(crate) use kernel::Kernel;

/// What an errno means, in the C library's words, which the binary has anyway: nix's own table would come on top.
pub(crate) fn describe(errno: Errno) -> String {
    std::io::Error::from(errno).to_string()
}

/// Who listens on the other end of a Unix socket (SO_PEERCRED), as our namespaces number them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Peer {
    /// 0 where the process is not visible from our PID namespace.
    pub(crate) pid: u32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

/// The calls that reach outside this process or change its identity. Paths are relative to the handle given with them.
pub(crate) trait Sys: Sync {
    /// A directory handle of `/proc/PID`. Once that process has ended, every open through it fails with ESRCH, also when
    /// its number was given to another.
    fn proc_dir(&self, pid: u32) -> Result<OwnedFd>;

    /// The same of ourselves.
    fn own_proc_dir(&self) -> Result<OwnedFd>;

    /// Whose a file is: fstatat(2).
    fn owner(&self, dir: BorrowedFd<'_>, path: &[u8]) -> Result<u32>;

    /// openat(2) with O_CLOEXEC, mode 0660 for what it creates.
    fn open_at(&self, dir: BorrowedFd<'_>, path: &[u8], flags: OFlag) -> Result<OwnedFd>;

    /// openat2(2) with RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS: ENOSYS before Linux 5.6, EPERM under older seccomp profiles.
    /// Use [`open_in_root`], which knows what to do then.
    fn open_at_root(&self, root: BorrowedFd<'_>, path: &[u8], flags: OFlag) -> Result<OwnedFd>;

    /// pidfd_open(2): ENOSYS before Linux 5.3, EPERM under older seccomp profiles.
    fn pidfd_open(&self, pid: u32) -> Result<OwnedFd>;

    /// pidfd_send_signal(2).
    fn pidfd_send_signal(&self, pidfd: BorrowedFd<'_>, signal: Signal) -> Result<()>;

    /// kill(2), for kernels and sandboxes without pidfds.
    fn kill(&self, pid: u32, signal: Signal) -> Result<()>;

    /// A stream connected to the socket that `socket` (opened O_PATH) refers to, with `limit` on the connect and on each
    /// later write; EAGAIN when it runs out.
    fn connect(&self, socket: BorrowedFd<'_>, limit: Duration) -> Result<OwnedFd>;

    /// SO_PEERCRED.
    fn peer(&self, stream: BorrowedFd<'_>) -> Result<Peer>;

    /// semget(2): the semaphore of that key, which anybody may use; ENOENT where there is none.
    fn semaphore(&self, key: i32) -> Result<i32>;

    /// semop(2), all steps or none: each is what is added, and the flags of that.
    fn semop(&self, semaphore: i32, steps: &[(i16, i16)]) -> Result<()>;

    /// setns(2) into the namespace that `namespace` (an open `/proc/T/ns/*`) refers to.
    fn enter_namespace(&self, namespace: BorrowedFd<'_>) -> Result<()>;

    /// mount(2) of an empty tmpfs over a directory, which has to be in our mount namespace.
    fn mount_over(&self, directory: BorrowedFd<'_>, source: &str) -> Result<()>;

    /// umount2(2) with MNT_DETACH of the mount whose root that is.
    fn unmount(&self, root: BorrowedFd<'_>) -> Result<()>;

    /// setgroups(2).
    fn set_groups(&self, groups: &[u32]) -> Result<()>;

    /// setresgid(2), all three alike.
    fn set_gid(&self, gid: u32) -> Result<()>;

    /// setresuid(2), all three alike, with PR_SET_KEEPCAPS: what of the permitted set goes is [`Sys::set_capabilities`]'s
    /// business.
    fn set_uid(&self, uid: u32) -> Result<()>;

    /// capset(2) in every thread: permitted and effective become `capabilities`, or what of these a thread has left, and
    /// inheritable becomes empty. Closes the process to its own user until [`Sys::set_dumpable`].
    fn set_capabilities(&self, capabilities: u64) -> Result<()>;

    /// PR_SET_DUMPABLE: without it a process that changed its ids has a /proc directory that belongs to root, and its own user
    /// cannot look into it.
    fn set_dumpable(&self, dumpable: bool) -> Result<()>;

    /// setfsgid(2) and setfsuid(2) of this thread: in whose name it accesses files, other processes' /proc directories
    /// among them. The kernel leaves the ids as they are where that is not permitted. It also closes the whole process to
    /// its own user (dumpable 0), the JVM that opens our files among them: where it was open, it is opened again at once.
    fn set_fs_ids(&self, uid: u32, gid: u32);
}
