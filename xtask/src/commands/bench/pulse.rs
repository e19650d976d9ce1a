//! What the application says of its own pauses, and the JVM of its own dumps.

use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};

use super::cluster::Cluster;

/// How long the largest heap may take to be filled.
const LIMIT: Duration = Duration::from_secs(300);
/// Something is said each half second, however slow its way here is.
const BEATS: Duration = Duration::from_secs(30);
/// A gap that ends within a command may be told, by another clock's milliseconds, just after its end.
const SLACK: Duration = Duration::from_millis(50);

/// The log of the fixture `Pulse`, followed.
pub(super) struct Pulse {
    follower: Child,
    lines: Receiver<String>,
    gaps: Vec<Gap>,
    /// The newest time that a line has told, in milliseconds since 1970.
    told_until: u128,
}

/// A time in which the application stood still.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Gap {
    seconds: f64,
    /// Milliseconds since 1970.
    until: u128,
}

/// From the begin of a command to its end, in milliseconds since 1970.
#[derive(Clone, Copy, Debug)]
pub(super) struct Window {
    from: u128,
    to: u128,
}

impl Pulse {
    /// Follows the pod's log, and returns when its heap is filled.
    pub(super) fn follow(cluster: &Cluster, pod: &str) -> Result<Pulse> {
        let mut kubectl = cluster.kubectl(&["logs", "--follow", pod]);
        let mut follower = kubectl.stdout(Stdio::piped()).spawn().context("failed to start kubectl")?;
        let stdout = follower.stdout.take().context("kubectl has a stdout")?;
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        let pulse = Pulse { follower, lines, gaps: Vec::new(), told_until: 0 };
        loop {
            match pulse.lines.recv_timeout(LIMIT) {
                Ok(line) if line == "ready" => return Ok(pulse),
                Ok(_) => {}
                Err(error) => bail!("the application in pod {pod} does not get ready: {error}"),
            }
        }
    }

    /// The longest pause that ended in this window, in seconds.
    pub(super) fn longest(&mut self, window: Window) -> Result<f64> {
        // All that was said within it has come when something has that was said later.
        while self.told_until <= window.end() {
            let line = self.lines.recv_timeout(BEATS).context("the application says nothing any more")?;
            self.told_until = said_at(&line).unwrap_or(0).max(self.told_until);
            self.gaps.extend(gap(&line));
        }
        longest(&self.gaps, window).context("the application has not noticed its own heap dump")
    }
}

impl Drop for Pulse {
    fn drop(&mut self) {
        // It has nothing to lose, and ends with the pod if it has not ended now.
        let _ = self.follower.kill();
        let _ = self.follower.wait();
    }
}

impl Window {
    /// The window of this work, and what comes of it.
    pub(super) fn of<T>(work: impl FnOnce() -> Result<T>) -> Result<(Window, T)> {
        let from = now();
        let result = work()?;
        Ok((Window { from, to: now() }, result))
    }

    /// Until when a gap within it may be said to have lasted.
    fn end(self) -> u128 {
        self.to + SLACK.as_millis()
    }
}

fn now() -> u128 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis()
}

fn longest(gaps: &[Gap], window: Window) -> Option<f64> {
    let within = |gap: &&Gap| gap.until >= window.from && gap.until <= window.end();
    gaps.iter().filter(within).map(|gap| gap.seconds).max_by(f64::total_cmp)
}

/// A line "gap MILLISECONDS until MILLISECONDS".
fn gap(line: &str) -> Option<Gap> {
    let (gap, until) = line.strip_prefix("gap ")?.split_once(" until ")?;
    Some(Gap { seconds: gap.parse::<f64>().ok()? / 1000.0, until: until.parse().ok()? })
}

/// When a line was said: its last word.
fn said_at(line: &str) -> Option<u128> {
    line.rsplit(' ').next()?.parse().ok()
}

/// What a JVM says of a dump that it has written.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Created {
    pub(super) bytes: u64,
    /// By the JVM's own clock, with the garbage collection of a dump of live objects.
    pub(super) seconds: f64,
}

/// Reads "Heap dump file created [N bytes in S secs]".
pub(super) fn created(text: &str) -> Result<Created> {
    let parse = || {
        let (_, rest) = text.split_once("Heap dump file created [")?;
        let (bytes, rest) = rest.split_once(" bytes in ")?;
        let (seconds, _) = rest.split_once(" secs]")?;
        Some(Created { bytes: bytes.parse().ok()?, seconds: seconds.parse().ok()? })
    };
    parse().with_context(|| format!("the JVM has written no heap dump: {text:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_belongs_to_the_command_in_which_it_ended() {
        let lines = ["ready", "gap 30.5 until 1000", "gap 250.0 until 2000", "gap 40.0 until 2100", "gap x until 2000"];
        let gaps: Vec<Gap> = lines.into_iter().filter_map(gap).collect();
        assert_eq!(gaps.len(), 3);
        assert_eq!(lines.map(said_at), [None, Some(1000), Some(2000), Some(2100), Some(2000)]);
        assert_eq!(said_at("beat 2500"), Some(2500));
        assert_eq!(longest(&gaps, Window { from: 1500, to: 2090 }), Some(0.25));
        assert_eq!(longest(&gaps, Window { from: 900, to: 1500 }), Some(0.0305));
        assert_eq!(longest(&gaps, Window { from: 3000, to: 4000 }), None);
    }

    #[test]
    fn the_jvms_own_words_give_size_and_time_or_the_reason() {
        let text = "JVM response code = 0\nDumping heap to /tmp/x ...\nHeap dump file created [628433886 bytes in 5.104 secs]\n";
        assert_eq!(created(text).expect("created"), Created { bytes: 628_433_886, seconds: 5.104 });
        let error = created("Unable to create /tmp/x: File exists").expect_err("not created");
        assert!(error.to_string().contains("File exists"), "{error}");
    }
}
