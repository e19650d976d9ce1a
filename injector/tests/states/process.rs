//! What is done to any process, and seen of it from outside.

use std::ffi::OsStr;
use std::fs;
use std::process::Command;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

pub(crate) fn send(pid: u32, signal: Signal) {
    kill(Pid::from_raw(pid.cast_signed()), signal).expect("a process that was not waited for");
}

/// A program that dies of SIGQUIT where it does not handle it: a test that a shell has started in the background ignores that
/// signal, and so would all that it starts.
pub(crate) fn mortal(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new("env");
    command.arg("--default-signal=QUIT").arg(program);
    command
}

/// Stops a process, and waits until it stands still.
pub(crate) fn stop(pid: u32) {
    send(pid, Signal::SIGSTOP);
    while !status(pid).expect("it lives").contains("\nState:\tT") {
        std::thread::yield_now();
    }
}

/// Waits until the process has taken in whatever was sent to it, or has ended: until no signal that ends or wakes it is
/// pending and each of its threads sleeps. Who takes a signal runs, and whoever is woken by that runs, too.
pub(crate) fn settle(pid: u32) {
    while is_busy(pid) {
        std::thread::yield_now();
    }
}

fn is_busy(pid: u32) -> bool {
    if has_pending_sigquit(pid) {
        return true;
    }
    let threads = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let mut stats = threads.filter_map(|thread| fs::read(thread.path().join("stat")).ok());
    stats.any(|stat| {
        let end_of_name = stat.iter().rposition(|byte| *byte == b')').unwrap_or_default();
        matches!(stat.get(end_of_name + 2), Some(b'R' | b'D'))
    })
}

/// Whether SIGQUIT waits for a process to be continued, or to be given a CPU.
pub(crate) fn has_pending_sigquit(pid: u32) -> bool {
    let status = status(pid).unwrap_or_default();
    let pending = status.lines().filter_map(|line| line.strip_prefix("ShdPnd:").or(line.strip_prefix("SigPnd:")));
    pending.map(|mask| u64::from_str_radix(mask.trim(), 16).expect("hex")).any(|mask| mask & 4 != 0)
}

/// Its status, if it was not waited for.
pub(crate) fn status(pid: u32) -> Option<String> {
    let status = fs::read(format!("/proc/{pid}/status")).ok()?;
    Some(String::from_utf8_lossy(&status).into_owned())
}
