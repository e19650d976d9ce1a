//! Capabilities of all threads. capset(2) changes the calling thread alone, and threads share their memory: who may write
//! into one of them, as the JVM may once one is what the JVM is, has any of them do what it likes. So a signal makes each
//! thread call it, as the C library does for setresuid(2), and libcap's psx for this.

use std::fs;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use nix::Result;
use nix::errno::Errno;
use nix::sys::prctl;
use nix::sys::signal::Signal;
use nix::unistd::{getpid, gettid};

use super::raw;
use super::wait::{Bell, wait};

/// One that nobody else sends, and that does nothing to a process without a handler.
const SIGNAL: Signal = Signal::SIGURG;

/// How long all threads may take together. Each gets its signal wherever it waits; what it then waits for is a CPU.
const LIMIT: Duration = Duration::from_secs(15);

/// When to look again without an answer: a thread that ends gives none.
const LOOK: Duration = Duration::from_millis(10);

/// Rung by each thread that has done it.
static ANSWERED: OnceLock<Bell> = OnceLock::new();

/// Leaves every thread of this process no permitted or effective capability but `capabilities`, of which the calling thread
/// has all then. The process is closed to its own user (dumpable 0) from here on: nobody is to come by the way of a thread
/// that is done to one that is not. ETIMEDOUT where a thread does not answer.
///
/// Only to be called by the one thread that starts others.
pub(super) fn set_capabilities(capabilities: u64) -> Result<()> {
    prctl::set_dumpable(false)?;
    if ANSWERED.get().is_none() {
        let _ = ANSWERED.set(Bell::new()?);
    }
    let answered = ANSWERED.get().ok_or(Errno::EBADF)?;
    raw::capset_on(SIGNAL, capabilities, answered)?;
    let end = Instant::now() + LIMIT;
    while ask_others(capabilities)? {
        let now = Instant::now();
        if now >= end {
            return Err(Errno::ETIMEDOUT);
        }
        wait([answered.wanted()], Some(now + LOOK))?;
        answered.quiet();
    }
    raw::capset(capabilities, capabilities)
}

/// Signals every other thread that has more than `capabilities`; whether there was one.
fn ask_others(capabilities: u64) -> Result<bool> {
    let errno = |error: std::io::Error| Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO));
    let (own, process) = (gettid().as_raw(), getpid().as_raw());
    let mut asked = false;
    for task in fs::read_dir("/proc/self/task").map_err(errno)? {
        let task = task.map_err(errno)?.file_name().to_str().and_then(|name| name.parse().ok());
        let Some(task) = task.filter(|task| *task != own) else { continue };
        match raw::capget(task) {
            Ok(permitted) if permitted & !capabilities == 0 => {}
            Ok(_) => {
                asked = true;
                raw::tgkill(process, task, SIGNAL).or_else(ended)?;
            }
            Err(errno) => ended(errno)?,
        }
    }
    Ok(asked)
}

/// A thread that has ended has no capabilities.
fn ended(errno: Errno) -> Result<()> {
    if errno == Errno::ESRCH { Ok(()) } else { Err(errno) }
}
