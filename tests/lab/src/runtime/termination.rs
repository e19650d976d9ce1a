//! A container's last words: what it left in its termination message file, or the end of its log instead.

use std::fs;
use std::path::Path;

use super::log::LogEntry;

/// The kubelet's limits. <https://kubernetes.io/docs/tasks/debug/debug-application/determine-reason-pod-failure/>
const MAX_MESSAGE: usize = 4096;
const MAX_LOG_BYTES: usize = 2048;
const MAX_LOG_LINES: usize = 80;

/// The message in `file`, else the end of `log` if one is given.
pub(super) fn message(file: &Path, log: Option<&[LogEntry]>) -> String {
    let written = fs::read(file).unwrap_or_default();
    if !written.is_empty() {
        return text(&written, MAX_MESSAGE);
    }
    let entries = log.unwrap_or_default();
    let last = &entries[entries.len().saturating_sub(MAX_LOG_LINES)..];
    let bytes: Vec<u8> = last.iter().flat_map(|entry| entry.bytes.iter().copied()).collect();
    text(&bytes, MAX_LOG_BYTES)
}

fn text(bytes: &[u8], limit: usize) -> String {
    String::from_utf8_lossy(&bytes[bytes.len().saturating_sub(limit)..]).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::log::Stream;

    #[test]
    fn only_the_end_of_a_long_message_counts() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("message");
        fs::write(&file, [vec![b'a'; 10], vec![b'b'; 4096]].concat()).unwrap();
        assert_eq!(message(&file, None), "b".repeat(4096));
    }

    #[test]
    fn the_log_stands_in_only_for_an_empty_message() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("message");
        let log = [LogEntry { time: jiff::Timestamp::UNIX_EPOCH, stream: Stream::Stdout, bytes: b"log\n".to_vec() }];
        assert_eq!(message(&file, Some(&log)), "log\n");
        assert_eq!(message(&file, None), "");
        fs::write(&file, "own").unwrap();
        assert_eq!(message(&file, Some(&log)), "own");
    }
}
