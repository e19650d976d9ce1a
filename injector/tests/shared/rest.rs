//! Whether a program is at rest, and well: a signal that has reached it shows by then.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// How long a process may be busy: one that computes for ever is a defect of the test's, and no reason to hang.
const LIMIT: Duration = Duration::from_secs(120);

/// Waits until the process has taken in whatever was sent to it, or has ended: until no signal that ends or wakes it is
/// pending and each of its threads sleeps. Who takes a signal runs, and whoever is woken by that runs, too.
#[track_caller]
pub(crate) fn settle(pid: u32) {
    let end = Instant::now() + LIMIT;
    while is_busy(pid) {
        assert!(Instant::now() < end, "process {pid} does not come to rest");
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

/// Whether kubectl's proxy answers there: what it has to refuse it does not ask any API server about. It is written in Go, whose
/// runtime takes some milliseconds to end by SIGQUIT and sleeps in between, but answers nobody any more.
pub(crate) fn serves(address: &str) -> bool {
    let mut answer = Vec::new();
    let ask = |mut stream: TcpStream| {
        stream.write_all(b"GET /api/v1/namespaces/n/pods/p/exec HTTP/1.0\r\n\r\n")?;
        stream.read_to_end(&mut answer)
    };
    TcpStream::connect(address).and_then(ask).is_ok() && answer.starts_with(b"HTTP/")
}
