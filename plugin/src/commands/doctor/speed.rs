//! How fast data come here from the pod: some that nothing on the way can make smaller, timed.

use std::time::Duration;

use jattach_protocol::Message;
use jattach_protocol::message::{End, Operation};
use tokio::time::{Instant, timeout_at};
use xxhash_rust::xxh3::Xxh3Default;

use super::super::Context;
use super::report::Verdict;
use crate::catalogue::Id;
use crate::error::Failure;
use crate::render::progress::size;
use crate::session::{Error, Session};

/// How much is asked for at first, and at the most: each time twice as much, so that a slow way is known by little.
const FIRST: u32 = 256 << 10;
const LAST: u32 = 8 << 20;

/// How long all of it may take.
const LIMIT: Duration = Duration::from_secs(3);

/// How much larger than the heap a dump may be (the injector's `dump/survey.rs`).
const DUMP_OF_HEAP: u64 = 2;

const MIB: f64 = (1 << 20) as f64;
const GIB: u64 = 1 << 30;

/// What came, from its first piece on: what the answer took to begin is no matter of speed.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Speed {
    pub(super) bytes: u64,
    pub(super) time: Duration,
    /// The time ran out before all of it was here: nobody waits for the rest.
    pub(super) is_cut: bool,
}

/// Has bytes come for as long as it takes to know, while none come for another pod's doctor. The session is good for nothing
/// more where that was cut.
///
/// # Errors
/// Those of the conversation; 8 where something else came than was asked for.
pub(super) async fn measure(context: &Context, session: &mut Session) -> Result<Speed, Error> {
    let _turn = context.measuring.lock().await;
    let begin = Instant::now();
    let mut length = FIRST;
    loop {
        session.request(context.request(Operation::Echo(length)));
        let mut coming = Coming::default();
        let Ok(end) = timeout_at(begin + LIMIT, coming.all(session)).await else {
            return Ok(Speed { is_cut: true, ..coming.speed() });
        };
        coming.check(end?, length)?;
        let speed = coming.speed();
        // The next step takes about twice as long.
        if length >= LAST || begin.elapsed() + 2 * speed.time > LIMIT {
            return Ok(speed);
        }
        length *= 2;
    }
}

/// What has come of one answer.
#[derive(Default)]
struct Coming {
    first: Option<(Instant, u64)>,
    bytes: u64,
    hash: Xxh3Default,
}

impl Coming {
    /// Takes all of it. May be given up at any time.
    async fn all(&mut self, session: &mut Session) -> Result<End, Error> {
        loop {
            match session.next().await? {
                Message::Output(bytes) => {
                    self.hash.update(bytes);
                    self.bytes += bytes.len() as u64;
                    self.first.get_or_insert((Instant::now(), self.bytes));
                    if self.bytes > LAST.into() {
                        return Err(wrong("it does not end").into());
                    }
                }
                Message::End(end) => return Ok(end),
                _ => {}
            }
        }
    }

    fn check(&self, end: End, length: u32) -> Result<(), Failure> {
        let came = End { length: self.bytes, hash: self.hash.digest() };
        let is_whole = came == end && came.length == u64::from(length);
        is_whole.then_some(()).ok_or_else(|| wrong(&format!("{} bytes came of {length}", self.bytes)))
    }

    fn speed(&self) -> Speed {
        let Some((since, before)) = self.first else { return Speed::default() };
        Speed { bytes: self.bytes - before, time: since.elapsed(), is_cut: false }
    }
}

/// That something else came.
pub(super) fn wrong(evidence: &str) -> Failure {
    Failure::new(Id::Transfer, "what arrived from the injector is not what it was asked for")
        .evidence(evidence)
        .remedy("end it with `kubectl jattach TARGET clean`: its answer makes no sense")
}

/// With what a dump of the heap takes to come, at the most: most of them are packed to a quarter.
pub(super) fn verdict(speed: &Speed, heap_used: u64) -> Verdict {
    let seconds = speed.time.as_secs_f64();
    if speed.bytes == 0 || seconds <= 0.0 {
        return Verdict::warn(
            format!("hardly anything came within {} s", LIMIT.as_secs()),
            "run dumpheap close to the cluster: what the pod has no room for, its JVM waits with",
        );
    }
    #[expect(clippy::cast_precision_loss, reason = "for a person to read")]
    let float = |bytes: u64| bytes as f64;
    let rate = float(speed.bytes) / seconds;
    let takes = |bytes: u64| duration(float(bytes) / rate);
    let shown = format!("{:.1} MiB/s", rate / MIB);
    Verdict::Ok(match heap_used {
        0 => format!("{shown}: a GiB of heap dump takes {}", takes(GIB)),
        used => format!("{shown}: a heap of {} takes up to {}", size(used), takes(used.saturating_mul(DUMP_OF_HEAP))),
    })
}

/// `7 s`, `12 min`.
fn duration(seconds: f64) -> String {
    if seconds < 120.0 { format!("{:.0} s", seconds.ceil()) } else { format!("{:.0} min", (seconds / 60.0).ceil()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Exit;

    fn says(bytes: u64, millis: u64, heap_used: u64) -> String {
        let speed = Speed { bytes, time: Duration::from_millis(millis), is_cut: false };
        match verdict(&speed, heap_used) {
            Verdict::Ok(text) => text,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_speed_is_told_with_what_a_dump_of_the_heap_would_take() {
        assert_eq!(says(8 << 20, 100, 200 << 20), "80.0 MiB/s: a heap of 200.00 MiB takes up to 5 s");
        assert_eq!(says(8 << 20, 100, 0), "80.0 MiB/s: a GiB of heap dump takes 13 s");
        assert_eq!(says(256 << 10, 2500, 0), "0.1 MiB/s: a GiB of heap dump takes 171 min");
        assert!(says(1, 3000, u64::MAX).starts_with("0.0 MiB/s: a heap of 16.00 EiB takes up to "));
    }

    #[test]
    fn where_nothing_comes_that_is_what_is_told() {
        let speed = Speed { is_cut: true, ..Speed::default() };
        assert!(matches!(verdict(&speed, 1), Verdict::Warn { text, .. } if text.contains("hardly anything")));
    }

    #[test]
    fn what_differs_from_what_was_asked_for_is_a_broken_transfer() {
        let mut coming = Coming { bytes: 5, ..Coming::default() };
        coming.hash.update(b"bytes");
        let end = End { length: 5, hash: coming.hash.digest() };
        assert!(coming.check(end, 5).is_ok());
        for (end, asked) in [(end, 6), (End { length: 6, ..end }, 5), (End { hash: 1, ..end }, 5)] {
            assert!(coming.check(end, asked).is_err_and(|failure| failure.exit() == Exit::Transfer), "{end:?}");
        }
    }
}
