//! What is done to any process, and seen of it from outside.

use std::ffi::OsStr;
use std::process::Command;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::rest::status;

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
