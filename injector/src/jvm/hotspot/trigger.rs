//! SIGQUIT, to a JVM that [`willing`](super::willing) lets pass: with the trigger file `.attach_pidN` it asks the JVM to
//! listen, without it to print its threads.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use jattach_protocol::{Code, Failure};
use nix::errno::Errno;
use nix::fcntl::{AtFlags, Flock, FlockArg, OFlag};
use nix::sys::signal::Signal;
use nix::sys::stat::{SFlag, fstat, fstatat};
use nix::unistd::geteuid;

use super::socket::{Attempt, MeetingPlace};
use super::wait::{SocketWatch, Wake};
use super::willing::{refuse_deaf, refuse_triggered, refuse_unwilling};
use crate::jvm::interruption::Interruption;
use crate::jvm::unlink_if_same;
use crate::process::Target;
use crate::process::identity::explain_refusal;
use crate::sys::describe;

/// What our trigger files hold, so that one of a killed injector is known for ours. Other tools leave theirs empty.
const MARK: &[u8] = b"kubectl-jattach\n";

/// Has the JVM start its attach listener, and connects to it.
pub(super) fn start_listener(meeting: &MeetingPlace<'_>, deadline: Instant) -> Result<OwnedFd, Failure> {
    refuse_unwilling(meeting)?;
    // The listener may have started since; a signal now would only print a thread dump to the target's log.
    if let Attempt::Connected(stream) = meeting.connect(left(deadline))? {
        return Ok(stream);
    }
    let interruption = Interruption::hold_back();
    let trigger = Trigger::place(meeting)?;
    quit(meeting.target)?;
    let mut watch = SocketWatch::new(meeting);
    loop {
        match watch.wait(&interruption, deadline) {
            Wake::Socket => {}
            Wake::Ended => return Err(meeting.target.ended(Errno::ESRCH)),
            Wake::Interrupted => {
                return Err(Failure::new(Code::Cancelled, "interrupted while the JVM was asked to listen"));
            }
            Wake::TimedOut => return Err(no_answer(meeting)),
        }
        if let Attempt::Connected(stream) = meeting.connect(left(deadline))? {
            trigger.remove();
            return Ok(stream);
        }
    }
}

/// Has the JVM print its threads to its own standard output, which takes nothing but a signal.
pub(crate) fn print_threads(target: &Target<'_>) -> Result<(), Failure> {
    let (status, _) = refuse_deaf(target)?;
    if let Ok(meeting) = MeetingPlace::open(target) {
        sweep(&meeting);
    }
    refuse_triggered(target, status.inner_pid())?;
    quit(target)
}

fn quit(target: &Target<'_>) -> Result<(), Failure> {
    target.signal(Signal::SIGQUIT).map_err(|errno| match errno {
        Errno::ESRCH => target.ended(errno),
        errno => explain_refusal(target, "SIGQUIT", errno),
    })
}

/// Removes a trigger file that an injector left when it was killed. Ours are marked, and locked as long as their maker
/// lives, in whatever namespace that is; another tool's is never touched.
pub(super) fn sweep(meeting: &MeetingPlace<'_>) {
    let name = trigger_name(meeting.inner_pid);
    let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
    let Ok(file) = meeting.target.sys().open_at(meeting.directory.as_fd(), name.as_bytes(), flags) else {
        return;
    };
    let mut file = File::from(file);
    if !is_own_regular_file(file.as_fd()) {
        return;
    }
    let mut content = [0; MARK.len() + 1];
    if !matches!(file.read(&mut content), Ok(count) if content[..count] == *MARK) {
        return;
    }
    if let Ok(file) = Flock::lock(file, FlockArg::LockExclusiveNonblock) {
        unlink_if_same(meeting.directory.as_fd(), &name, file.as_fd());
    }
}

/// A trigger file, for as long as it is needed.
struct Trigger<'m> {
    meeting: &'m MeetingPlace<'m>,
    /// The file we made, locked; none where another tool's serves.
    own: Option<Flock<File>>,
}

impl<'m> Trigger<'m> {
    fn place(meeting: &'m MeetingPlace<'m>) -> Result<Trigger<'m>, Failure> {
        let name = trigger_name(meeting.inner_pid);
        let flags = OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_RDWR | OFlag::O_NOFOLLOW;
        match meeting.target.sys().open_at(meeting.directory.as_fd(), name.as_bytes(), flags) {
            Ok(file) => Trigger::mark(meeting, &name, file.into()),
            Err(Errno::EEXIST) => Trigger::borrow(meeting, &name),
            Err(errno) => Err(cannot_create(meeting, &name, errno)),
        }
    }

    /// Locked first and marked then: a file that has the mark and no lock is nobody's.
    fn mark(meeting: &'m MeetingPlace<'m>, name: &str, file: File) -> Result<Trigger<'m>, Failure> {
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(mut file) => {
                // A full disk takes no mark, and the JVM needs none.
                let _ = file.write_all(MARK);
                Ok(Trigger { meeting, own: Some(file) })
            }
            Err((file, errno)) => {
                unlink_if_same(meeting.directory.as_fd(), name, file.as_fd());
                Err(cannot_create(meeting, name, errno))
            }
        }
    }

    /// A file that is there already serves as well, if the JVM takes it.
    fn borrow(meeting: &'m MeetingPlace<'m>, name: &str) -> Result<Trigger<'m>, Failure> {
        let seen = fstatat(&meeting.directory, name, AtFlags::AT_SYMLINK_NOFOLLOW);
        let uid = meeting.target.status()?.uid.effective;
        match seen {
            Ok(seen) if seen.st_uid == uid => Ok(Trigger { meeting, own: None }),
            Ok(seen) => Err(Failure::new(Code::NotAttachable, "another user's trigger file is in the way")
                .evidence(format!("{} belongs to uid {}, the JVM runs as {uid}", meeting.path(name), seen.st_uid))
                .remedy("remove it")),
            Err(errno) => Err(cannot_create(meeting, name, errno)),
        }
    }

    /// With the socket there, nobody needs a trigger file any more, whoever made it.
    fn remove(self) {
        if self.own.is_none() {
            let name = trigger_name(self.meeting.inner_pid);
            let flags = OFlag::O_PATH | OFlag::O_NOFOLLOW;
            let directory = self.meeting.directory.as_fd();
            if let Ok(file) = self.meeting.target.sys().open_at(directory, name.as_bytes(), flags)
                && is_own_regular_file(file.as_fd())
            {
                unlink_if_same(directory, &name, file.as_fd());
            }
        }
    }
}

impl Drop for Trigger<'_> {
    fn drop(&mut self) {
        if let Some(file) = &self.own {
            unlink_if_same(self.meeting.directory.as_fd(), &trigger_name(self.meeting.inner_pid), file.as_fd());
        }
    }
}

pub(super) fn trigger_name(inner_pid: u32) -> String {
    format!(".attach_pid{inner_pid}")
}

fn is_own_regular_file(file: BorrowedFd<'_>) -> bool {
    fstat(file).is_ok_and(|seen| {
        SFlag::from_bits_truncate(seen.st_mode) & SFlag::S_IFMT == SFlag::S_IFREG && seen.st_uid == geteuid().as_raw()
    })
}

pub(super) fn cannot_create(meeting: &MeetingPlace<'_>, name: &str, errno: Errno) -> Failure {
    let path = meeting.path(name);
    match errno {
        Errno::EROFS | Errno::EACCES | Errno::EPERM | Errno::ENOSPC | Errno::EDQUOT => {
            Failure::new(Code::TmpNotWritable, "the target's /tmp is not writable, so its JVM cannot be attached to")
                .evidence(format!("{path}: {}", describe(errno)))
                .remedy("mount an emptyDir at /tmp; SIGQUIT alone prints a thread dump to the container's log")
        }
        _ => explain_refusal(meeting.target, &path, errno),
    }
}

fn no_answer(meeting: &MeetingPlace<'_>) -> Failure {
    Failure::new(Code::NoAnswer, "the JVM did not open its attach socket in time")
        .evidence(format!("{} did not appear after SIGQUIT", meeting.path(&meeting.socket_name())))
        .remedy("try again: it may be at a long safepoint, or starved of CPU; or it was started with -XX:+DisableAttachMechanism")
}

fn left(deadline: Instant) -> Duration {
    // Zero would mean "no limit" to the kernel.
    deadline.saturating_duration_since(Instant::now()).max(Duration::from_millis(1))
}
