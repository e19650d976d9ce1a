//! What has to be right before a JVM may be signalled. SIGQUIT ends a process without a handler for it, and makes many a
//! program with one end itself: it is sent to a willing HotSpot only.

use std::os::fd::{AsFd, BorrowedFd};

use jattach_protocol::{Code, Failure};
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag};
use nix::sys::signal::Signal;
use nix::sys::stat::{FileStat, fstat};
use nix::unistd::{AccessFlags, faccessat};

use super::socket::MeetingPlace;
use super::trigger::{cannot_create, trigger_name};
use crate::jvm::{hsperf, native_image, refuse_stopped};
use crate::process::identity::explain_refusal;
use crate::process::{Libraries, Status, Target};

/// Steps that have to be right before the JVM may be asked to listen, in this order.
pub(super) fn refuse_unwilling(meeting: &MeetingPlace<'_>) -> Result<(), Failure> {
    let target = meeting.target;
    let (status, libraries) = refuse_deaf(target)?;
    if hsperf::read(target, &status, &libraries).is_some_and(|data| data.refuses_attach()) {
        return Err(Failure::new(Code::NotAttachable, "the JVM was started with -XX:+DisableAttachMechanism")
            .evidence("sun.rt.jvmCapabilities in its performance data")
            .remedy("threaddump --via-log prints its threads; all else takes a start without that flag"));
    }
    refuse_hidden_trigger(meeting)
}

/// Those for SIGQUIT itself: what it would do harm to, or reach only later.
pub(super) fn refuse_deaf(target: &Target<'_>) -> Result<(Status, Libraries), Failure> {
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
        return Ok((status, libraries));
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
    let root = format!("/proc/{}/root", target.pid());
    let seen = match seen_at_work(target, &name)? {
        Some(_) => Some(format!("/proc/{}/cwd/{name}", target.pid())),
        None => {
            target.root().map_err(|errno| explain_refusal(target, &root, errno))?;
            let tmp = target.open_in_root(b"/tmp", OFlag::O_PATH | OFlag::O_DIRECTORY);
            let seen = tmp.and_then(|tmp| look(target, tmp.as_fd(), &name));
            let path = format!("{root}/tmp/{name}");
            unless_out_of_its_sight(seen).map_err(|errno| explain_refusal(target, &path, errno))?.map(|_| path)
        }
    };
    let Some(path) = seen else { return Ok(()) };
    Err(Failure::new(Code::NotAttachable, "another tool is about to attach to the JVM")
        .evidence(format!("there is a {path}: SIGQUIT would have the JVM listen, and print nothing"))
        .remedy("try again in a moment; a file that stays was left behind: remove it"))
}

/// The JVM looks in its working directory first, and a file of another user there is all it looks at.
fn refuse_hidden_trigger(meeting: &MeetingPlace<'_>) -> Result<(), Failure> {
    let target = meeting.target;
    let name = trigger_name(meeting.inner_pid);
    let uid = target.status()?.uid.effective;
    let Some(seen) = seen_at_work(target, &name)?.filter(|seen| seen.st_uid != uid) else { return Ok(()) };
    Err(Failure::new(
        Code::NotAttachable,
        "a file in the target's working directory hides the trigger file from the JVM",
    )
    .evidence(format!("/proc/{}/cwd/{name} belongs to uid {}", target.pid(), seen.st_uid))
    .remedy("remove it"))
}

/// The file of that name in the JVM's working directory.
fn seen_at_work(target: &Target<'_>, name: &str) -> Result<Option<FileStat>, Failure> {
    let path = format!("/proc/{}/cwd", target.pid());
    let explain = |errno| explain_refusal(target, &path, errno);
    let folder = target.working_directory().map_err(explain)?;
    unless_out_of_its_sight(look(target, folder, name)).map_err(explain)
}

fn look(target: &Target<'_>, folder: BorrowedFd<'_>, name: &str) -> nix::Result<FileStat> {
    let file = target.sys().open_at(folder, name.as_bytes(), OFlag::O_PATH | OFlag::O_NOFOLLOW)?;
    fstat(&file)
}

/// We are what the JVM is, and it goes past a file that it cannot get at as past one that is not there: it may work in a
/// folder of root's that its own user may not enter.
fn unless_out_of_its_sight(seen: nix::Result<FileStat>) -> nix::Result<Option<FileStat>> {
    match seen {
        Err(Errno::ENOENT | Errno::ENOTDIR | Errno::EACCES) => Ok(None),
        seen => seen.map(Some),
    }
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
