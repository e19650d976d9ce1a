//! `/tmp/.com_ibm_tools_attach` in the target's root, where the JVMs of all users meet: a directory for each, named after its
//! pid, a lock for who attaches, and a file whose inode the semaphore is named after.
//!
//! Any of them may be a trap. No link is followed, what is opened has to be a regular file, and only the target's own
//! directory has to be its user's: the others belong to whoever came first.

use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use jattach_protocol::{Code, Failure};
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag};
use nix::sys::stat::{Mode, SFlag, fchmod, fstat, fstatat};

use crate::jvm::clash;
use crate::process::identity::explain_refusal;
use crate::process::{Target, names_in};
use crate::sys::describe;

const COMMON: &str = "/tmp/.com_ibm_tools_attach";
const ATTACH_LOCK: &str = "_attachlock";
const NOTIFIER: &str = "_notifier";
const ATTACH_INFO: &str = "attachInfo";
const SYNC: &str = "attachNotificationSync";

/// How many entries are looked at, and of how many JVMs each is woken and locked out of being woken twice.
const MAX_ENTRIES: usize = 4096;
const MAX_JVMS: usize = 256;

/// What ftok(3) is told beside the file.
const PROJECT: u8 = 0xa1;

/// See the module.
pub(super) struct Directory<'t> {
    pub(super) target: &'t Target<'t>,
    common: OwnedFd,
    /// The target's own directory.
    pub(super) own: OwnedFd,
    inner_pid: String,
}

impl<'t> Directory<'t> {
    /// Opens the target's, which says by a file in it that it can be attached to.
    pub(super) fn open(target: &'t Target<'t>) -> Result<Directory<'t>, Failure> {
        let status = target.status()?;
        let root = format!("/proc/{}/root", target.pid());
        target.root().map_err(|errno| explain_refusal(target, &root, errno))?;
        let inner_pid = status.inner_pid().to_string();
        let refused = |errno| refusal(target, &format!("{root}{COMMON}/{inner_pid}/{ATTACH_INFO}"), errno);
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW;
        let common = target.open_in_root(COMMON.as_bytes(), flags).map_err(refused)?;
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW;
        let own = target.sys().open_at(common.as_fd(), inner_pid.as_bytes(), flags).map_err(refused)?;
        fstatat(&own, ATTACH_INFO, AtFlags::AT_SYMLINK_NOFOLLOW).map_err(refused)?;
        let owner = fstat(&own).map_err(refused)?.st_uid;
        if owner != status.uid.effective {
            let seen =
                format!("{root}{COMMON}/{inner_pid} belongs to uid {owner}, the JVM's is {}", status.uid.effective);
            return Err(clash("another user's JVM has the target's place in /tmp", seen));
        }
        Ok(Directory { target, common, own, inner_pid })
    }

    /// The file that whoever attaches to any of these JVMs has to lock.
    pub(super) fn attach_lock(&self) -> Result<File, Failure> {
        let made = || {
            let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW;
            let file = self.target.sys().open_at(self.common.as_fd(), ATTACH_LOCK.as_bytes(), flags)?;
            fchmod(&file, Mode::from_bits_truncate(0o666))?;
            Ok(file.into())
        };
        let there = || self.open_file(self.common.as_fd(), ATTACH_LOCK);
        let file = match there() {
            // Somebody else may make it in between.
            Err(Errno::ENOENT) => made().or_else(|errno| if errno == Errno::EEXIST { there() } else { Err(errno) }),
            file => file,
        };
        file.map_err(|errno| self.refusal(ATTACH_LOCK, errno))
    }

    /// The files that keep a JVM from being woken twice, one for each, the target's own first.
    pub(super) fn syncs(&self) -> Result<Vec<File>, Failure> {
        let own = self.open_file(self.own.as_fd(), SYNC);
        let mut syncs = vec![own.map_err(|errno| self.refusal(&format!("{}/{SYNC}", self.inner_pid), errno))?];
        for name in names_in(self.common.as_fd(), MAX_ENTRIES) {
            if name == self.inner_pid.as_bytes() || !name.iter().all(u8::is_ascii_digit) {
                continue;
            }
            // One that cannot be opened is nobody's who waits for the semaphore.
            if let Ok(sync) = self.sync_of(&name) {
                syncs.push(sync);
            }
            if syncs.len() > MAX_JVMS {
                return Err(Failure::new(Code::NotAttachable, "too many JVMs share the target's /tmp")
                    .evidence(format!("over {MAX_JVMS} numbers in {}", self.path("")))
                    .remedy("remove those of processes that have ended"));
            }
        }
        Ok(syncs)
    }

    fn sync_of(&self, pid: &[u8]) -> nix::Result<File> {
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW;
        let directory = self.target.sys().open_at(self.common.as_fd(), pid, flags)?;
        self.open_file(directory.as_fd(), SYNC)
    }

    /// What the semaphore is called: ftok(3) of a file that need not be opened for that.
    pub(super) fn semaphore_key(&self) -> Result<i32, Failure> {
        let seen = fstatat(&self.common, NOTIFIER, AtFlags::AT_SYMLINK_NOFOLLOW);
        let seen = seen.map_err(|errno| self.refusal(NOTIFIER, errno))?;
        let [device, ..] = seen.st_dev.to_le_bytes();
        let [low, high, ..] = seen.st_ino.to_le_bytes();
        Ok(i32::from_le_bytes([low, high, device, PROJECT]))
    }

    /// How a path in the directory is called in messages.
    pub(super) fn path(&self, name: &str) -> String {
        format!("/proc/{}/root{COMMON}/{name}", self.target.pid())
    }

    pub(super) fn refusal(&self, name: &str, errno: Errno) -> Failure {
        refusal(self.target, &self.path(name), errno)
    }

    fn open_file(&self, directory: BorrowedFd<'_>, name: &str) -> nix::Result<File> {
        let flags = OFlag::O_WRONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
        let file = self.target.sys().open_at(directory, name.as_bytes(), flags)?;
        match SFlag::from_bits_truncate(fstat(&file)?.st_mode) & SFlag::S_IFMT {
            SFlag::S_IFREG => Ok(file.into()),
            _ => Err(Errno::EINVAL),
        }
    }
}

fn refusal(target: &Target<'_>, path: &str, errno: Errno) -> Failure {
    match errno {
        Errno::ENOENT
        | Errno::ENOTDIR
        | Errno::EISDIR
        | Errno::EEXIST
        | Errno::ELOOP
        | Errno::EINVAL
        | Errno::ENXIO
        | Errno::EROFS => Failure::new(Code::NotAttachable, "the OpenJ9 JVM takes no attach requests")
            .evidence(format!("{path}: {}", describe(errno)))
            .remedy(
                "try again if it is still starting; else it runs with -Dcom.ibm.tools.attach.enable=no, with another \
                     com.ibm.tools.attach.directory, or without a writable /tmp",
            ),
        _ => explain_refusal(target, path, errno),
    }
}
