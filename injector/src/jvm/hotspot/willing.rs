//! What has to be right before a JVM may be signalled. SIGQUIT ends a process without a handler for it, and makes many a
//! program with one end itself: it is sent to a willing HotSpot only.

use std::os::fd::BorrowedFd;

use jattach_protocol::{Code, Failure};
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag};
use nix::sys::signal::Signal;
use nix::sys::stat::fstatat;
use nix::unistd::{AccessFlags, faccessat};

use super::socket::MeetingPlace;
use super::trigger::{cannot_create, trigger_name};
use crate::jvm::{hsperf, native_image, refuse_stopped};
use crate::process::identity::explain_refusal;
use crate::process::{Status, Target};

/// Steps that have to be right before the JVM may be asked to listen, in this order.
pub(super) fn refuse_unwilling(meeting: &MeetingPlace<'_>) -> Result<(), Failure> {
    let target = meeting.target;
    let status = refuse_deaf(target)?;
    if hsperf::read(target, &status).is_some_and(|data| data.refuses_attach()) {
        return Err(Failure::new(Code::NotAttachable, "the JVM was started with -XX:+DisableAttachMechanism")
            .evidence("sun.rt.jvmCapabilities in its performance data")
            .remedy("threaddump --via-log prints its threads; all else takes a start without that flag"));
    }
    refuse_hidden_trigger(meeting)
}

/// Those for SIGQUIT itself: what it would do harm to, or reach only later.
pub(super) fn refuse_deaf(target: &Target<'_>) -> Result<Status, Failure> {
    refuse_stopped(target)?;
    let maps = format!("/proc/{}/maps", target.pid());
    let libraries = target.libraries().map_err(|errno| explain_refusal(target, &maps, errno))?;
    if libraries.openj9 {
        return Err(Failure::new(Code::NotAttachable, "the JVM is OpenJ9, which SIGQUIT has write a javacore")
            .evidence(format!("libj9vm in {maps}"))
            .remedy("threaddump without --via-log asks it as OpenJ9 wants to be asked"));
    }
    if libraries.libjvm.is_none() {
        if native_image::is_run_by(target) {
            return Err(native_image::refusal(target.pid()));
        }
        return Err(Failure::new(Code::NoJvm, format!("process {} is no HotSpot JVM", target.pid()))
            .evidence(format!("no libjvm.so in {maps}"))
            .remedy("ps (of the injector itself: list) shows the JVMs in sight and their pids"));
    }
    let status = target.status()?;
    if status.catches(Signal::SIGQUIT as i32) {
        return Ok(status);
    }
    Err(Failure::new(Code::NotAttachable, "the JVM does not handle SIGQUIT, which would end it")
        .evidence(format!(
            "SigCgt {:016x} SigIgn {:016x} in /proc/{}/status",
            status.caught,
            status.ignored,
            target.pid()
        ))
        .remedy("if it is still starting, try again in a moment; with -Xrs, start it with -XX:+StartAttachListener"))
}

/// A trigger file, whoever made it, turns SIGQUIT into the wish that the JVM listen: no threads would be printed. It looks in its
/// working directory and in /tmp.
pub(super) fn refuse_triggered(target: &Target<'_>, inner_pid: u32) -> Result<(), Failure> {
    let name = trigger_name(inner_pid);
    let look = |directory: BorrowedFd<'_>, path: &str| match fstatat(directory, path, AtFlags::AT_SYMLINK_NOFOLLOW) {
        Err(Errno::ENOENT | Errno::ENOTDIR) => Ok(()),
        Err(errno) => Err(explain_refusal(target, path, errno)),
        Ok(_) => Err(Failure::new(Code::NotAttachable, "another tool is about to attach to the JVM")
            .evidence(format!("there is a {path}: SIGQUIT would have the JVM listen, and print nothing"))
            .remedy("try again in a moment; a file that stays was left behind: remove it")),
    };
    look(target.directory(), &format!("cwd/{name}"))?;
    match target.open_in_root(b"/tmp", OFlag::O_PATH | OFlag::O_DIRECTORY) {
        Ok(directory) => look(std::os::fd::AsFd::as_fd(&directory), &name),
        Err(Errno::ENOENT | Errno::ENOTDIR) => Ok(()),
        Err(errno) => Err(explain_refusal(target, "/tmp", errno)),
    }
}

/// The JVM looks in its working directory first, and a file of another user there is all it looks at.
fn refuse_hidden_trigger(meeting: &MeetingPlace<'_>) -> Result<(), Failure> {
    let target = meeting.target;
    let path = format!("cwd/{}", trigger_name(meeting.inner_pid));
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
        Err(errno @ (Errno::EROFS | Errno::EACCES)) => {
            Err(cannot_create(meeting, &trigger_name(meeting.inner_pid), errno))
        }
        // Any other answer is about the question, not about the directory.
        _ => Ok(()),
    }
}
