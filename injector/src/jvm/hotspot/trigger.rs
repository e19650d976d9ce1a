//! Asking a JVM to listen: the trigger file `.attach_pidN` and SIGQUIT, and the checks that come before.
//!
//! SIGQUIT ends a process without a handler for it, and makes many a program with one end itself. It is sent to a willing
//! HotSpot only.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use jattach_protocol::{Code, Failure};
use nix::errno::Errno;
use nix::fcntl::{AtFlags, Flock, FlockArg, OFlag};
use nix::sys::signal::Signal;
use nix::sys::stat::{SFlag, fstat, fstatat};
use nix::unistd::{AccessFlags, UnlinkatFlags, faccessat, geteuid, unlinkat};

use super::refuse_stopped;
use super::socket::{Attempt, MeetingPlace};
use super::wait::{Interruption, SocketWatch, Wake};
use crate::jvm::hsperf;
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
    match meeting.target.signal(Signal::SIGQUIT) {
        Ok(()) => {}
        Err(Errno::ESRCH) => return Err(meeting.target.ended(Errno::ESRCH)),
        Err(errno) => return Err(explain_refusal(meeting.target, "SIGQUIT", errno)),
    }
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

/// Removes a trigger file that an injector left when it was killed. Ours are marked, and locked as long as their maker
/// lives, in whatever namespace that is; another tool's is never touched.
pub(super) fn sweep(meeting: &MeetingPlace<'_>) {
    let name = trigger_name(meeting);
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
        unlink_if_same(meeting, &name, file.as_fd());
    }
}

/// Steps that have to be right before a signal may be sent, in this order.
pub(super) fn refuse_unwilling(meeting: &MeetingPlace<'_>) -> Result<(), Failure> {
    let target = meeting.target;
    refuse_stopped(target)?;
    let maps = format!("/proc/{}/maps", target.pid());
    let libraries = target.libraries().map_err(|errno| explain_refusal(target, &maps, errno))?;
    if libraries.openj9 {
        return Err(Failure::new(Code::NotAttachable, "the JVM is OpenJ9, which this version does not speak to")
            .evidence(format!("libj9vm in {maps}; SIGQUIT would make it write a javacore")));
    }
    if libraries.libjvm.is_none() {
        return Err(Failure::new(Code::NoJvm, format!("process {} is no HotSpot JVM", target.pid()))
            .evidence(format!("no libjvm.so in {maps}"))
            .remedy("ps (of the injector itself: list) shows the JVMs in sight and their pids"));
    }
    let status = target.status()?;
    if !status.catches(Signal::SIGQUIT as i32) {
        return Err(Failure::new(Code::NotAttachable, "the JVM does not handle SIGQUIT, which would end it")
            .evidence(format!(
                "SigCgt {:016x} SigIgn {:016x} in /proc/{}/status",
                status.caught,
                status.ignored,
                target.pid()
            ))
            .remedy(
                "if it is still starting, try again in a moment; with -Xrs, start it with -XX:+StartAttachListener",
            ));
    }
    if hsperf::read(target, &status).is_some_and(|data| data.refuses_attach()) {
        return Err(Failure::new(Code::NotAttachable, "the JVM was started with -XX:+DisableAttachMechanism")
            .evidence("sun.rt.jvmCapabilities in its performance data"));
    }
    refuse_hidden_trigger(meeting)
}

/// The JVM looks in its working directory first, and a file of another user there is all it looks at.
fn refuse_hidden_trigger(meeting: &MeetingPlace<'_>) -> Result<(), Failure> {
    let target = meeting.target;
    let path = format!("cwd/{}", trigger_name(meeting));
    let Ok(seen) = fstatat(target.directory(), path.as_str(), AtFlags::AT_SYMLINK_NOFOLLOW) else {
        return Ok(());
    };
    if seen.st_uid == target.status()?.uid.effective {
        return Ok(());
    }
    Err(Failure::new(
        Code::NotAttachable,
        "a file in the target's working directory hides the trigger file from the JVM",
    )
    .evidence(format!("/proc/{}/{path} belongs to uid {}", target.pid(), seen.st_uid))
    .remedy("remove it"))
}

/// Whether the trigger file could be placed, asked without placing it.
pub(super) fn refuse_unwritable(meeting: &MeetingPlace<'_>) -> Result<(), Failure> {
    match faccessat(&meeting.directory, ".", AccessFlags::W_OK | AccessFlags::X_OK, AtFlags::empty()) {
        Err(errno @ (Errno::EROFS | Errno::EACCES)) => Err(cannot_create(meeting, &trigger_name(meeting), errno)),
        // Any other answer is about the question, not about the directory.
        _ => Ok(()),
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
        let name = trigger_name(meeting);
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
                unlink_if_same(meeting, name, file.as_fd());
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
            let name = trigger_name(self.meeting);
            let flags = OFlag::O_PATH | OFlag::O_NOFOLLOW;
            let directory = self.meeting.directory.as_fd();
            if let Ok(file) = self.meeting.target.sys().open_at(directory, name.as_bytes(), flags)
                && is_own_regular_file(file.as_fd())
            {
                unlink_if_same(self.meeting, &name, file.as_fd());
            }
        }
    }
}

impl Drop for Trigger<'_> {
    fn drop(&mut self) {
        if let Some(file) = &self.own {
            unlink_if_same(self.meeting, &trigger_name(self.meeting), file.as_fd());
        }
    }
}

fn trigger_name(meeting: &MeetingPlace<'_>) -> String {
    format!(".attach_pid{}", meeting.inner_pid)
}

fn is_own_regular_file(file: BorrowedFd<'_>) -> bool {
    fstat(file).is_ok_and(|seen| {
        SFlag::from_bits_truncate(seen.st_mode) & SFlag::S_IFMT == SFlag::S_IFREG && seen.st_uid == geteuid().as_raw()
    })
}

fn unlink_if_same(meeting: &MeetingPlace<'_>, name: &str, file: BorrowedFd<'_>) {
    if let (Ok(held), Ok(named)) = (fstat(file), fstatat(&meeting.directory, name, AtFlags::AT_SYMLINK_NOFOLLOW))
        && (held.st_dev, held.st_ino) == (named.st_dev, named.st_ino)
    {
        let _ = unlinkat(&meeting.directory, name, UnlinkatFlags::NoRemoveDir);
    }
}

fn cannot_create(meeting: &MeetingPlace<'_>, name: &str, errno: Errno) -> Failure {
    let path = meeting.path(name);
    match errno {
        Errno::EROFS | Errno::EACCES | Errno::EPERM | Errno::ENOSPC | Errno::EDQUOT => {
            Failure::new(Code::NotAttachable, "the target's /tmp is not writable, so its JVM cannot be attached to")
                .evidence(format!("{path}: {}", describe(errno)))
                .remedy("mount an emptyDir at /tmp; SIGQUIT alone prints a thread dump to the container's log")
        }
        _ => explain_refusal(meeting.target, &path, errno),
    }
}

fn no_answer(meeting: &MeetingPlace<'_>) -> Failure {
    Failure::new(Code::NoAnswer, "the JVM did not open its attach socket in time")
        .evidence(format!("{} did not appear after SIGQUIT", meeting.path(&meeting.socket_name())))
        .remedy("it may be at a long safepoint, starved of CPU, or started with -XX:+DisableAttachMechanism")
}

fn left(deadline: Instant) -> Duration {
    // Zero would mean "no limit" to the kernel.
    deadline.saturating_duration_since(Instant::now()).max(Duration::from_millis(1))
}
