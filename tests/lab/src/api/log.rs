//! A container's log: whole, its last lines, or followed.

use std::collections::VecDeque;

use bytes::Bytes;
use futures::stream;
use http::Response;
use serde_json::Value;
use tokio::sync::watch;

use super::{Call, exec::container_name};
use crate::{
    http::body::{self, Body},
    meta,
    pod::find_container,
    resource::PODS,
    runtime::{Container, LogEntry},
    status::{Answer, Failure},
    worker::container::describe,
};

pub(super) fn read(call: &Call) -> Answer<Response<Body>> {
    let pod = call.cluster.store.get(&PODS, call.namespace(), call.name()?)?;
    let name = container_name(&pod, call.query.get("container"))?;
    if find_container(&pod, &name).is_none() {
        return Err(Failure::bad_request(format!("container {name} is not valid for pod {}", meta::name(&pod))));
    }
    if call.query.flag("previous") {
        let message = format!("previous terminated container {name:?} in pod {:?} not found", meta::name(&pod));
        return Err(Failure::bad_request(message));
    }
    let uid = meta::text(&pod["metadata"], "uid");
    let Some(container) = call.cluster.workers.container(uid, &name) else {
        let (pod_name, reason) = (meta::name(&pod), waiting_reason(&pod, &name));
        let message = format!("container {name:?} in pod {pod_name:?} is waiting to start: {reason}");
        return Err(Failure::bad_request(message));
    };
    let entries = container.log().map_err(|error| Failure::internal(describe(&error)))?;
    let skipped = match call.query.number::<usize>("tailLines")? {
        Some(lines) => start_of_tail(&entries, lines),
        None => 0,
    };
    let reading = Reading {
        timestamps: call.query.flag("timestamps"),
        follow: call.query.flag("follow"),
        given: skipped,
        ready: VecDeque::new(),
        ended: false,
        grown: container.log_length(),
        container,
    };
    Ok(body::stream("text/plain", stream::unfold(reading, Reading::next)))
}

fn waiting_reason(pod: &Value, name: &str) -> String {
    let statuses = ["initContainerStatuses", "containerStatuses", "ephemeralContainerStatuses"];
    statuses
        .iter()
        .flat_map(|list| meta::items(&pod["status"], list))
        .find(|status| meta::text(status, "name") == name)
        .map_or("ContainerCreating", |status| meta::text(&status["state"]["waiting"], "reason"))
        .to_owned()
}

/// The index of the entry that the last `lines` lines begin with; a very long line has several entries.
fn start_of_tail(entries: &[LogEntry], lines: usize) -> usize {
    let ends_line = |entry: &LogEntry| entry.bytes.ends_with(b"\n");
    let mut starts: Vec<usize> =
        (0..entries.len()).filter(|&index| index == 0 || ends_line(&entries[index - 1])).collect();
    let kept = starts.split_off(starts.len().saturating_sub(lines));
    kept.first().copied().unwrap_or(entries.len())
}

struct Reading {
    container: Container,
    grown: watch::Receiver<usize>,
    timestamps: bool,
    follow: bool,
    /// Entries that need not be sent again.
    given: usize,
    ready: VecDeque<Bytes>,
    ended: bool,
}

impl Reading {
    async fn next(mut self) -> Option<(Bytes, Self)> {
        loop {
            if let Some(chunk) = self.ready.pop_front() {
                return Some((chunk, self));
            }
            self.grown.borrow_and_update();
            // The log is gone with its container.
            let entries = self.container.log().ok()?;
            let new = entries.get(self.given..).unwrap_or_default();
            self.ready = new.iter().map(|entry| self.line(entry)).collect();
            self.given = entries.len();
            if !self.ready.is_empty() {
                continue;
            }
            if !self.follow || self.ended {
                return None;
            }
            // One more look after the end: what it wrote last must not be lost.
            tokio::select! {
                _ = self.container.wait() => self.ended = true,
                Ok(()) = self.grown.changed() => {}
            }
        }
    }

    fn line(&self, entry: &LogEntry) -> Bytes {
        if !self.timestamps {
            return Bytes::from(entry.bytes.clone());
        }
        let mut line = format!("{:.9} ", entry.time).into_bytes();
        line.extend_from_slice(&entry.bytes);
        Bytes::from(line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::Stream;

    fn log(pieces: &[&str]) -> Vec<LogEntry> {
        let entry = |piece: &&str| LogEntry {
            time: jiff::Timestamp::UNIX_EPOCH,
            stream: Stream::Stdout,
            bytes: piece.as_bytes().to_vec(),
        };
        pieces.iter().map(entry).collect()
    }

    #[test]
    fn the_tail_counts_lines_and_not_pieces_of_them() {
        let log = log(&["a\n", "long ", "line\n", "c"]);
        for (lines, start) in [(0, 4), (1, 3), (2, 1), (3, 0), (9, 0)] {
            assert_eq!(start_of_tail(&log, lines), start, "{lines} lines");
        }
    }
}
