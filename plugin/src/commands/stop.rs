//! What breaks a command off: Ctrl-C or SIGTERM, and the limit of `--timeout`.

use std::future::pending;
use std::io;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use crate::catalogue::Id;
use crate::error::Failure;
use crate::render::At;

/// As long as there has been one, these signals do not end the process.
pub(super) struct Stop {
    signals: Signals,
    /// Until it has run out.
    limit: Option<(Instant, Duration)>,
}

impl Stop {
    /// With a limit that begins now.
    ///
    /// # Errors
    /// The system's, if it tells nobody of signals.
    pub(super) fn new(timeout: Option<Duration>) -> io::Result<Stop> {
        // One that lies beyond the end of time is none.
        let limit = timeout.and_then(|limit| Some((Instant::now().checked_add(limit)?, limit)));
        Ok(Stop { signals: Signals::listen()?, limit })
    }

    /// Waits for the next reason to end, and tells it. The limit is one once. Cancel safe.
    pub(super) async fn next(&mut self) -> Failure {
        let Stop { signals, limit } = self;
        let expired = async {
            match *limit {
                Some((at, limit)) => {
                    sleep_until(at).await;
                    limit
                }
                None => pending().await,
            }
        };
        tokio::select! {
            biased;
            failure = signals.next() => failure,
            time = expired => {
                *limit = None;
                timed_out(time)
            }
        }
    }

    /// Does the work, unless there is a reason to end before.
    ///
    /// # Errors
    /// Those of the work; the reason.
    pub(super) async fn unless<T, E: From<Failure>>(
        &mut self,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        self.unless_at(&At::default(), work).await
    }

    /// The same for work that tells what it is at.
    ///
    /// # Errors
    /// Those of the work; the reason.
    pub(super) async fn unless_at<T, E: From<Failure>>(
        &mut self,
        at: &At,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        tokio::select! {
            biased;
            result = work => result,
            failure = self.next() => Err(broken_off_at(failure, at).into()),
        }
    }
}

/// The reason with what the command was at, where that explains why it has taken so long.
fn broken_off_at(why: Failure, at: &At) -> Failure {
    match at.told() {
        Some((what, goes_on)) if why.id == Id::TimedOut => {
            let evidence = format!("{}; it was {what}", why.evidence);
            why.evidence(evidence).remedy(format!("allow more with --timeout; {goes_on}"))
        }
        _ => why,
    }
}

fn timed_out(limit: Duration) -> Failure {
    Failure::new(Id::TimedOut, format!("not done within {} s", limit.as_secs_f64()))
        .evidence("--timeout allows no more")
        .remedy("allow more with --timeout; what the JVM has begun goes on meanwhile")
}

#[cfg(unix)]
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn listen() -> io::Result<Signals> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Signals { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    async fn next(&mut self) -> Failure {
        let interrupted = Failure::new(Id::Interrupted, "interrupted");
        tokio::select! {
            _ = self.interrupt.recv() => interrupted,
            _ = self.terminate.recv() => interrupted.evidence("by SIGTERM"),
        }
    }
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    #[expect(clippy::unnecessary_wraps, reason = "elsewhere it may fail")]
    fn listen() -> io::Result<Signals> {
        Ok(Signals)
    }

    async fn next(&mut self) -> Failure {
        match tokio::signal::ctrl_c().await {
            Ok(()) => Failure::new(Id::Interrupted, "interrupted"),
            Err(_) => pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_limit_ends_what_takes_longer_and_is_told_once() {
        let mut stop = Stop::new(Some(Duration::from_secs(5))).expect("signals");
        let longer: Result<(), Failure> = stop.unless(pending()).await;
        assert_eq!(longer.expect_err("a limit").cause, "not done within 5 s");
        let again = tokio::time::timeout(Duration::from_secs(60), stop.next()).await;
        assert!(again.is_err(), "{again:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_limit_names_what_the_work_was_at_and_what_goes_on_of_it() {
        let at = At::default();
        let work = async {
            at.is("asking the JVM", "its answer comes");
            tokio::time::sleep(Duration::from_secs(4)).await;
            at.is("waiting for node n to pull the image i", "it is pulled");
            pending::<Result<(), Failure>>().await
        };
        let mut stop = Stop::new(Some(Duration::from_secs(5))).expect("signals");
        let failure = stop.unless_at(&at, work).await.expect_err("a limit");
        assert_eq!(failure.evidence, "--timeout allows no more; it was waiting for node n to pull the image i");
        assert_eq!(failure.remedy, "allow more with --timeout; it is pulled");
        let interrupted = broken_off_at(Failure::new(Id::Interrupted, "interrupted"), &at);
        assert!(interrupted.evidence.is_empty(), "who presses Ctrl-C knows why: {interrupted}");
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_done_in_time_is_done_and_a_limit_without_end_is_none() {
        for limit in [None, Some(Duration::from_secs(5)), Some(Duration::MAX)] {
            let mut stop = Stop::new(limit).expect("signals");
            let work = async {
                tokio::time::sleep(Duration::from_secs(4)).await;
                Ok::<_, Failure>(7)
            };
            assert_eq!(stop.unless(work).await.expect("done"), 7);
        }
    }
}
