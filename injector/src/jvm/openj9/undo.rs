//! What attaching leaves in the target while it lasts. Each is undone when it is dropped, and they are dropped in the reverse
//! order of their making, whichever way [`super::steps`] is left. (A lock and a listener undo themselves.)

use std::fs::File;
use std::io::Write;
use std::os::fd::AsFd;

use jattach_protocol::{Code, Failure};
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::stat::{Mode, fchmod};
use nix::unistd::{UnlinkatFlags, unlinkat};

use super::directory::Directory;
use crate::jvm::unlink_if_same;
use crate::sys::{Sys, describe};

const REPLY_INFO: &str = "replyInfo";

/// The file that tells the target where we listen.
pub(super) struct ReplyInfo<'d> {
    directory: &'d Directory<'d>,
    file: File,
}

impl<'d> ReplyInfo<'d> {
    pub(super) fn publish(directory: &'d Directory<'d>, key: u64, port: u16) -> Result<ReplyInfo<'d>, Failure> {
        let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW;
        let sys = directory.target.sys();
        let create = || sys.open_at(directory.own.as_fd(), REPLY_INFO.as_bytes(), flags);
        let file = match create() {
            // We have the lock: whoever made it was killed.
            Err(Errno::EEXIST) => {
                unlinkat(&directory.own, REPLY_INFO, UnlinkatFlags::NoRemoveDir).and_then(|()| create())
            }
            file => file,
        };
        let refused = |errno| directory.refusal(REPLY_INFO, errno);
        let mut published = ReplyInfo { directory, file: file.map_err(refused)?.into() };
        fchmod(&published.file, Mode::S_IRUSR | Mode::S_IWUSR).map_err(refused)?;
        let text = format!("{key:016x}\n{port}\n");
        published.file.write_all(text.as_bytes()).map_err(|error| {
            Failure::new(Code::NotAttachable, "the target's /tmp is full")
                .evidence(format!("{}: {error}", directory.path(REPLY_INFO)))
                .remedy("make room there")
        })?;
        Ok(published)
    }
}

impl Drop for ReplyInfo<'_> {
    fn drop(&mut self) {
        unlink_if_same(self.directory.own.as_fd(), REPLY_INFO, self.file.as_fd());
    }
}

/// What was added to the semaphore, one for each JVM to be woken.
pub(super) struct Wakes<'s> {
    sys: &'s dyn Sys,
    semaphore: i32,
    count: i16,
}

impl<'s> Wakes<'s> {
    pub(super) fn post(sys: &'s dyn Sys, key: i32, count: usize) -> Result<Wakes<'s>, Failure> {
        // A JVM that takes requests waits for it. It is not made: one that nobody waits for would stay for good.
        let refused = |errno: Errno| {
            Failure::new(Code::NotAttachable, "the semaphore that wakes OpenJ9's JVMs cannot be used")
                .evidence(format!("key {key:08x}: {}", describe(errno)))
                .remedy("try again if the JVM is still starting")
        };
        let semaphore = sys.semaphore(key).map_err(refused)?;
        let count = i16::try_from(count).map_err(|_| refused(Errno::ERANGE))?;
        sys.semop(semaphore, &[(count, UNDONE)]).map_err(refused)?;
        Ok(Wakes { sys, semaphore, count })
    }
}

/// The kernel takes it back when we are killed.
#[expect(clippy::cast_possible_truncation, reason = "a bit of the lower half")]
const UNDONE: i16 = libc::SEM_UNDO as i16;
#[expect(clippy::cast_possible_truncation, reason = "a bit of the lower half")]
const AT_ONCE: i16 = libc::IPC_NOWAIT as i16;

impl Drop for Wakes<'_> {
    fn drop(&mut self) {
        let mut left = self.count;
        while left > 0 && self.sys.semop(self.semaphore, &[(-1, UNDONE | AT_ONCE)]).is_ok() {
            left -= 1;
        }
        if left > 0 {
            // JVMs have woken of these. Nothing is to be taken back for them when we end: the next client's would be hit.
            let _ = self.sys.semop(self.semaphore, &[(left, AT_ONCE), (-left, UNDONE | AT_ONCE)]);
        }
    }
}
