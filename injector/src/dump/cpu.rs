//! Whether the JVM gets the CPU it wants while it dumps. Where it does, what we send and compress meanwhile costs it nothing;
//! where it does not, because the pod's quota or the node's cores are used up, it comes first.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

use nix::fcntl::OFlag;

use crate::process::{Target, read_limited, read_own};

/// HotSpot's thread that walks the heap and writes the dump, as it names it (vmThread.cpp).
const VM_THREAD: &[u8] = b"VM Thread\n";

/// Among so many of a JVM's first threads it is: it is made before any of the application's.
const FIRST: usize = 64;

/// Between two looks.
pub(super) const LOOK: Duration = Duration::from_millis(50);

/// A share of the time, one in so many, for which the two may have to wait for a CPU: no machine has none.
const SHARE: u32 = 32;

/// For how long CPU counts as scarce once it was.
const BELIEVED: Duration = Duration::from_millis(500);

/// The JVM's thread that writes and ours that reads.
pub(super) struct Cpu {
    /// schedstat of the JVM's; none where the kernel does not keep such accounts, or the thread has another name.
    writer: Option<File>,
    waited: Duration,
    looked: Instant,
    scarce_until: Instant,
}

impl Cpu {
    /// Of this JVM, and of the thread that calls.
    pub(super) fn of(target: &Target<'_>) -> Cpu {
        let now = Instant::now();
        let mut cpu = Cpu { writer: vm_thread(target), waited: Duration::ZERO, looked: now, scarce_until: now };
        cpu.waited = cpu.waited().unwrap_or_default();
        cpu
    }

    /// Whether it is scarce, by what the two have waited since the last look. Where that cannot be known it counts as scarce.
    pub(super) fn is_scarce(&mut self) -> bool {
        let now = Instant::now();
        let Some(waited) = self.waited() else { return true };
        let (more, passed) = (waited.saturating_sub(self.waited), now.duration_since(self.looked));
        (self.waited, self.looked) = (waited, now);
        if more > passed / SHARE {
            self.scarce_until = now + BELIEVED;
        }
        now < self.scarce_until
    }

    fn waited(&self) -> Option<Duration> {
        let mut account = [0; 64];
        let length = self.writer.as_ref()?.read_at(&mut account, 0).ok()?;
        Some(waited(&account[..length])? + waited(&read_own("/proc/thread-self/schedstat").ok()?)?)
    }
}

/// The time in a run queue, the second number of a schedstat (Documentation/scheduler/sched-stats.rst): in it is what a quota
/// holds back, too.
fn waited(schedstat: &[u8]) -> Option<Duration> {
    let text = std::str::from_utf8(schedstat).ok()?;
    text.split_ascii_whitespace().nth(1)?.parse().ok().map(Duration::from_nanos)
}

fn vm_thread(target: &Target<'_>) -> Option<File> {
    let open = |tid: &str, file: &str| target.open_entry(format!("task/{tid}/{file}").as_bytes(), OFlag::O_RDONLY);
    let is_it = |tid: &String| {
        let name = open(tid, "comm").and_then(|comm| read_limited(comm, 64));
        name.is_ok_and(|name| name == VM_THREAD)
    };
    // The kernel lists them as they were made.
    let tid = target.threads().into_iter().take(FIRST).find(is_it)?;
    open(&tid, "schedstat").ok().map(File::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_in_a_run_queue_is_the_second_number() {
        assert_eq!(waited(b"9000 1500000 12\n"), Some(Duration::from_micros(1500)));
        assert_eq!(waited(b"9000\n"), None);
        assert_eq!(waited(b""), None);
    }
}
