//! One process, seen through `/proc` and never mistaken for another: everything is read through a handle of its
//! directory, which answers ESRCH for good once the process has ended, and it is signalled through a pidfd.

mod container;
pub(crate) mod identity;
mod label;
mod maps;
mod namespaces;
#[cfg(test)]
mod reuse_tests;
mod status;

use std::cell::OnceCell;
use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use jattach_protocol::{Code, Failure};
use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sys::signal::Signal;
use nix::sys::stat::{FileStat, Mode, SFlag, fstat};

use crate::sys::{Sys, describe, open_in_root};

pub(crate) use container::container_id;
pub(crate) use label::Label;
pub(crate) use maps::Libraries;
pub(crate) use status::{Ids, Status, is_over, start_time};

/// The most that is read of a file in `/proc/T`; maps of a large JVM have been seen at 1 MB.
const MAX_PROC_FILE: usize = 16 << 20;

/// A process that may be a JVM.
pub(crate) struct Target<'s> {
    sys: &'s dyn Sys,
    pid: u32,
    directory: OwnedFd,
    pidfd: Option<OwnedFd>,
    start_time: u64,
    root: OnceCell<OwnedFd>,
    working_directory: OnceCell<OwnedFd>,
    libraries: OnceCell<Libraries>,
}

impl<'s> Target<'s> {
    /// Takes hold of the process that has this pid now.
    pub(crate) fn open(sys: &'s dyn Sys, pid: u32) -> Result<Target<'s>, Failure> {
        let directory = sys.proc_dir(pid).map_err(|errno| no_such_process(pid, errno))?;
        let pidfd = match sys.pidfd_open(pid) {
            Ok(pidfd) => Some(pidfd),
            Err(Errno::ENOSYS | Errno::EPERM) => None,
            Err(errno) => return Err(no_such_process(pid, errno)),
        };
        let (root, working_directory, libraries) = (OnceCell::new(), OnceCell::new(), OnceCell::new());
        let mut target = Target { sys, pid, directory, pidfd, start_time: 0, root, working_directory, libraries };
        // Read through the handle and after the pidfd was made: if the handle still answers, both are the same process.
        target.start_time = target.read_start_time().map_err(|errno| no_such_process(pid, errno))?;
        Ok(target)
    }

    /// The calls this process is reached with.
    pub(crate) fn sys(&self) -> &'s dyn Sys {
        self.sys
    }

    /// Its pid as we see it.
    pub(crate) fn pid(&self) -> u32 {
        self.pid
    }

    /// Whether both are one process.
    pub(crate) fn is(&self, other: &Target<'_>) -> bool {
        (self.pid, self.start_time) == (other.pid, other.start_time)
    }

    /// When it started, in clock ticks since boot (field 22 of /proc/PID/stat).
    pub(crate) fn start_time(&self) -> u64 {
        self.start_time
    }

    /// Readable as soon as it has ended; none where the kernel or a sandbox has no pidfds.
    pub(crate) fn pidfd(&self) -> Option<BorrowedFd<'_>> {
        self.pidfd.as_ref().map(AsFd::as_fd)
    }

    /// Its state, identity and signal masks as they are now.
    pub(crate) fn status(&self) -> Result<Status, Failure> {
        let text = self.read("status").map_err(|errno| self.ended(errno))?;
        Status::parse(&text).ok_or_else(|| {
            Failure::new(Code::Other, "the kernel's description of the target makes no sense")
                .evidence(format!("/proc/{}/status", self.pid))
        })
    }

    /// Its command line: arguments end in NUL. The process can write anything there.
    pub(crate) fn command_line(&self) -> nix::Result<Vec<u8>> {
        self.read("cmdline")
    }

    /// Its security label, empty without a security module that has labels.
    pub(crate) fn label(&self) -> Label {
        Label::of(self.read("attr/current").unwrap_or_default())
    }

    /// Its control groups (cgroups(7)).
    pub(crate) fn control_groups(&self) -> nix::Result<Vec<u8>> {
        self.read("cgroup")
    }

    /// The JVM that it has loaded. What its map tells now counts, because it may execute another program at any time; a find
    /// is kept for when the map is closed to us.
    pub(crate) fn libraries(&self) -> nix::Result<Libraries> {
        match self.read("maps") {
            Ok(maps) => {
                let seen = Libraries::parse(&maps);
                if seen.libjvm.is_some() {
                    let _ = self.libraries.set(seen.clone());
                }
                Ok(seen)
            }
            Err(errno) => self.libraries.get().cloned().ok_or(errno),
        }
    }

    /// A handle of its root directory, opened once: it stays usable when our own identity changes.
    pub(crate) fn root(&self) -> nix::Result<BorrowedFd<'_>> {
        if self.root.get().is_none() {
            let root = self.sys.open_at(self.directory.as_fd(), b"root", OFlag::O_PATH | OFlag::O_DIRECTORY)?;
            let _ = self.root.set(root);
        }
        self.root.get().map(AsFd::as_fd).ok_or(Errno::EBADF)
    }

    /// A handle of the directory that it works in, kept as [`root`](Target::root) is. HotSpot never changes it.
    pub(crate) fn working_directory(&self) -> nix::Result<BorrowedFd<'_>> {
        if self.working_directory.get().is_none() {
            let directory = self.open_entry(b"cwd", OFlag::O_PATH | OFlag::O_DIRECTORY)?;
            let _ = self.working_directory.set(directory);
        }
        self.working_directory.get().map(AsFd::as_fd).ok_or(Errno::EBADF)
    }

    /// Opens a path of the target's, as the target would resolve it.
    pub(crate) fn open_in_root(&self, path: &[u8], flags: OFlag) -> nix::Result<OwnedFd> {
        open_in_root(self.sys, self.root()?, path, flags)
    }

    /// Opens a file of its directory in `/proc`.
    pub(crate) fn open_entry(&self, name: &[u8], flags: OFlag) -> nix::Result<OwnedFd> {
        self.sys.open_at(self.directory.as_fd(), name, flags)
    }

    /// What a regular file of the target's holds, up to `limit` bytes.
    pub(crate) fn read_in_root(&self, path: &[u8], limit: usize) -> nix::Result<Vec<u8>> {
        read_limited(self.open_file_in_root(path)?.0, limit)
    }

    /// Opens a regular file of the target's, and says what it is. It is the target's to say what is there: anything but a
    /// regular file is refused (EINVAL), and a FIFO is not waited for.
    pub(crate) fn open_file_in_root(&self, path: &[u8]) -> nix::Result<(OwnedFd, FileStat)> {
        let file = self.open_in_root(path, OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_NOCTTY)?;
        let seen = fstat(&file)?;
        if seen.st_mode & SFlag::S_IFMT.bits() != SFlag::S_IFREG.bits() {
            return Err(Errno::EINVAL);
        }
        Ok((file, seen))
    }

    /// The directory in `/proc` itself.
    pub(crate) fn directory(&self) -> BorrowedFd<'_> {
        self.directory.as_fd()
    }

    /// Sends a signal to this very process.
    pub(crate) fn signal(&self, signal: Signal) -> nix::Result<()> {
        if let Some(pidfd) = self.pidfd() {
            match self.sys.pidfd_send_signal(pidfd, signal) {
                // EPERM: a seccomp profile that knows pidfd_open only. If it is about permission, kill says so too.
                Err(Errno::ENOSYS | Errno::EPERM) => {}
                result => return result,
            }
        }
        if self.read_start_time()? != self.start_time {
            return Err(Errno::ESRCH);
        }
        self.sys.kill(self.pid, signal)
    }

    /// Whether it has ended or is about to. A process that is killed closes its connections while its state still says that
    /// it runs.
    pub(crate) fn is_ending(&self) -> bool {
        self.read("stat").map_or(true, |stat| status::is_exiting(&stat))
    }

    /// The failure for an errno of a read that is always permitted: the process has ended.
    pub(crate) fn ended(&self, errno: Errno) -> Failure {
        Failure::new(Code::TargetEnded, format!("process {} ended", self.pid)).evidence(format!(
            "/proc/{}: {}",
            self.pid,
            describe(errno)
        ))
    }

    fn read_start_time(&self) -> nix::Result<u64> {
        status::start_time(&self.read("stat")?).ok_or(Errno::ESRCH)
    }

    /// What a file of its directory in `/proc` holds.
    pub(crate) fn read(&self, name: &str) -> nix::Result<Vec<u8>> {
        let file = self.open_entry(name.as_bytes(), OFlag::O_RDONLY)?;
        read_limited(file, MAX_PROC_FILE)
    }
}

/// Every process that can be seen from here, by pid: the kernel lists them so.
pub(crate) fn pids() -> Vec<u32> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

/// The names in a directory, as many as there are or `limit`.
pub(crate) fn names_in(directory: BorrowedFd<'_>, limit: usize) -> Vec<Vec<u8>> {
    let Ok(entries) = std::fs::read_dir(format!("/proc/self/fd/{}", directory.as_raw_fd())) else { return Vec::new() };
    entries.take(limit).flatten().map(|entry| entry.file_name().into_encoded_bytes()).collect()
}

/// What a file of `/proc` holds that is not the target's.
pub(crate) fn read_own(path: &str) -> nix::Result<Vec<u8>> {
    const LIMIT: usize = 1 << 16;
    read_limited(open(path, OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty())?, LIMIT)
}

/// What a file holds, up to `limit` bytes.
pub(crate) fn read_limited(file: OwnedFd, limit: usize) -> nix::Result<Vec<u8>> {
    // Most files of /proc fit: without room to begin with they would be read 32 bytes first, and then twice as many.
    let mut bytes = Vec::with_capacity(4096);
    match File::from(file).take(limit as u64).read_to_end(&mut bytes) {
        Ok(_) => Ok(bytes),
        Err(error) => Err(Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO))),
    }
}

fn no_such_process(pid: u32, errno: Errno) -> Failure {
    let code = match errno {
        Errno::ENOENT | Errno::ESRCH | Errno::EINVAL => Code::NoSuchProcess,
        _ => Code::Other,
    };
    Failure::new(code, format!("Process {pid} not found"))
        .evidence(format!("/proc/{pid}: {}", describe(errno)))
        .remedy("`ps` (on a node `list`) shows the JVMs that there are")
}
