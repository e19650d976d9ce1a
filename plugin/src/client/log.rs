//! A container's log from one moment on. The moment is a [`Mark`] in the log itself: a kubelet sends no more than the header of
//! an answer before there is a line to send, so nobody can tell when a stream that only follows has begun.

use std::io;
use std::pin::Pin;

use futures::future::{BoxFuture, FutureExt};
use futures::{AsyncBufRead, AsyncBufReadExt};
use jiff::Timestamp;
use kube::api::LogParams;

use super::explain::{Call, CallError};
use super::{Cluster, Place};
use crate::catalogue::Id;
use crate::error::{Failure, Result};
use crate::kubectl;

/// What is longer comes in pieces: a container's line need not end.
const LONGEST_LINE: usize = 64 << 10;
/// The time before a line takes 35 bytes at most.
const MARK_BYTES: i64 = 4 << 10;

/// Whose log it is.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    pub(crate) namespace: String,
    pub(crate) pod: String,
    pub(crate) container: String,
}

/// When its last line was written, by its node's clock; `None` for a log without a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark(Option<Timestamp>);

impl Source {
    /// What prints it, with these flags.
    pub(crate) fn line(&self, flags: &str) -> String {
        let Source { namespace, pod, container } = self;
        kubectl::line_in(namespace, format_args!("logs {pod} -c {container}{flags}"))
    }

    fn call(&self) -> Call {
        Call::get("pods/log", &self.pod)
    }

    /// Where the log ends now.
    ///
    /// # Errors
    /// The API server's refusal.
    pub(crate) async fn mark(&self, cluster: &Cluster) -> Result<Mark> {
        let params = LogParams {
            container: Some(self.container.clone()),
            tail_lines: Some(1),
            limit_bytes: Some(MARK_BYTES),
            timestamps: true,
            ..LogParams::default()
        };
        let last = cluster.call(&self.call(), cluster.pods().logs(&self.pod, &params)).await?;
        Ok(Mark(split(last.as_bytes()).0))
    }

    /// All that is written after the mark, as it is written. It is asked for with the first line that is waited for.
    pub(crate) fn after(&self, mark: Mark, cluster: &Cluster) -> Log {
        let params = LogParams {
            container: Some(self.container.clone()),
            follow: true,
            // The API counts in seconds, and kube would round up.
            since_time: mark.0.and_then(|mark| Timestamp::from_second(mark.as_second()).ok()),
            timestamps: true,
            ..LogParams::default()
        };
        let (pods, pod) = (cluster.pods(), self.pod.clone());
        // Without the limit for a request: on a quiet log the answer begins with the next line.
        let opening = async move { pods.log_stream(&pod, &params).await.map(|stream| Box::pin(stream) as Stream) };
        Log {
            state: State::Opening(opening.boxed()),
            lines: Lines::new(mark),
            call: self.call(),
            place: cluster.place().clone(),
        }
    }
}

type Stream = Pin<Box<dyn AsyncBufRead + Send>>;

/// A log that is followed.
pub(crate) struct Log {
    state: State,
    lines: Lines,
    call: Call,
    place: Place,
}

enum State {
    Opening(BoxFuture<'static, std::result::Result<Stream, kube::Error>>),
    Open(Stream),
}

impl Log {
    /// The next line with its end, or a piece of a very long one; `None` when the container has ended. Cancel safe.
    ///
    /// # Errors
    /// The API server's refusal, or what broke the stream.
    pub(crate) async fn next(&mut self) -> Result<Option<Vec<u8>>> {
        loop {
            match &mut self.state {
                State::Opening(opening) => match opening.await {
                    Ok(stream) => self.state = State::Open(stream),
                    Err(error) => return Err(CallError::from(error).explain(&self.call, &self.place)),
                },
                State::Open(stream) => return self.lines.next(stream).await.map_err(|error| broken(&error)),
            }
        }
    }
}

/// Lines out of a stream, without the time before each.
struct Lines {
    mark: Mark,
    /// What has come of the next one.
    begun: Vec<u8>,
    /// Whether the beginning of a line has been passed on whose end is still to come; of one that is from before the mark,
    /// whether it is left out.
    within: Option<bool>,
}

impl Lines {
    fn new(mark: Mark) -> Lines {
        Lines { mark, begun: Vec::new(), within: None }
    }

    async fn next(&mut self, stream: &mut (impl AsyncBufRead + Unpin)) -> io::Result<Option<Vec<u8>>> {
        loop {
            let here = stream.fill_buf().await?;
            if here.is_empty() && self.begun.is_empty() {
                return Ok(None);
            }
            let is_end = here.is_empty();
            let end = here.iter().position(|byte| *byte == b'\n').map_or(here.len(), |at| at + 1);
            let taken = end.min(LONGEST_LINE.saturating_sub(self.begun.len()));
            self.begun.extend_from_slice(&here[..taken]);
            stream.consume_unpin(taken);
            let is_whole = self.begun.ends_with(b"\n");
            if is_whole || is_end || self.begun.len() >= LONGEST_LINE {
                let piece = std::mem::take(&mut self.begun);
                if let Some(shown) = self.shown(&piece, is_whole) {
                    return Ok(Some(shown));
                }
            }
        }
    }

    /// What of a piece is new.
    fn shown(&mut self, piece: &[u8], ends: bool) -> Option<Vec<u8>> {
        let (time, text) = match self.within {
            None => split(piece),
            Some(_) => (None, piece),
        };
        let old = match (self.within, time, self.mark.0) {
            (Some(old), ..) => old,
            (None, Some(time), Some(mark)) => time <= mark,
            _ => false,
        };
        self.within = (!ends).then_some(old);
        (!old).then(|| text.to_vec())
    }
}

/// The time before a line, and the line.
fn split(line: &[u8]) -> (Option<Timestamp>, &[u8]) {
    let Some(blank) = line.iter().position(|byte| *byte == b' ') else { return (None, line) };
    let time = std::str::from_utf8(&line[..blank]).ok().and_then(|time| time.parse().ok());
    if time.is_some() { (time, &line[blank + 1..]) } else { (None, line) }
}

fn broken(error: &io::Error) -> Failure {
    Failure::new(Id::Transfer, "the stream of the pod's log broke")
        .evidence(error.to_string())
        .remedy("run the command again: the JVM prints its threads once more")
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::io::{BufReader, Cursor};

    fn lines(mark: Option<&str>, log: &[u8], buffer: usize) -> Vec<String> {
        let mark = Mark(mark.map(|mark| mark.parse().expect("a time")));
        let mut stream = BufReader::with_capacity(buffer, Cursor::new(log));
        let mut lines = Lines::new(mark);
        let mut all = Vec::new();
        while let Some(line) = lines.next(&mut stream).now_or_never().expect("memory").expect("memory") {
            all.push(String::from_utf8(line).expect("text"));
        }
        all
    }

    const LOG: &[u8] = b"2026-11-23T15:02:35.1Z old\n2026-11-23T15:02:35.123456789Z the last one\n\
        2026-11-23T16:02:35.123456790+01:00 2026-11-23 new\n2026-11-23T15:02:36Z \nno time\n2026-11-23T15:02:37Z end";

    #[test]
    fn what_was_written_after_the_mark_comes_without_its_time_wherever_the_stream_is_cut() {
        for buffer in 1..LOG.len() {
            assert_eq!(
                lines(Some("2026-11-23T15:02:35.123456789Z"), LOG, buffer),
                ["2026-11-23 new\n", "\n", "no time\n", "end"]
            );
        }
    }

    #[test]
    fn of_a_log_that_was_empty_everything_is_new() {
        assert_eq!(lines(None, LOG, 64).len(), 6);
    }

    #[test]
    fn a_line_without_end_comes_in_pieces_and_an_old_one_not_at_all() {
        let long = "x".repeat(3 * LONGEST_LINE);
        let log = format!("2026-11-23T15:02:35Z {long}\n2026-11-23T15:02:37Z {long}\n2026-11-23T15:02:38Z 2026 y\n");
        let shown = lines(Some("2026-11-23T15:02:36Z"), log.as_bytes(), 4096);
        assert_eq!(shown.concat(), format!("{long}\n2026 y\n"));
        assert!(shown.iter().all(|piece| piece.len() <= LONGEST_LINE));
    }
}
