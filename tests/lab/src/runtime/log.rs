//! A container's log: what it wrote to stdout and stderr, line by line with time and stream, in the kubelet's format.
//! <https://github.com/kubernetes/design-proposals-archive/blob/main/node/kubelet-cri-logging.md>

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::sync::watch;

use super::error::{IoContext, Result};

/// containerd cuts longer lines into pieces of this size.
const MAX_LINE: usize = 16 * 1024;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    Stdout,
    Stderr,
}

/// A line, or a piece of a very long one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogEntry {
    pub time: jiff::Timestamp,
    pub stream: Stream,
    /// With its line end, where it has one: the entries' bytes together are what the container wrote.
    pub bytes: Vec<u8>,
}

/// Clones write to the same file.
#[derive(Clone, Debug)]
pub(super) struct Log {
    path: PathBuf,
    file: Arc<Mutex<File>>,
    /// Bytes so far.
    length: Arc<watch::Sender<usize>>,
}

impl Log {
    pub(super) fn create(path: &Path) -> Result<Self> {
        let file = File::create(path).context("create", path)?;
        Ok(Self { path: path.to_owned(), file: Arc::new(Mutex::new(file)), length: Arc::default() })
    }

    /// Writes down all that comes until end of file.
    pub(super) async fn follow(self, stream: Stream, mut source: impl AsyncRead + Unpin) -> io::Result<()> {
        let mut pending = Vec::new();
        let mut buffer = vec![0; MAX_LINE];
        loop {
            let read = source.read(&mut buffer).await?;
            if read == 0 {
                break;
            }
            pending.extend_from_slice(&buffer[..read]);
            let mut lines = Vec::new();
            let mut start = 0;
            while let Some(end) = end_of_piece(&pending[start..]) {
                lines.extend(format_line(stream, &pending[start..start + end]));
                start += end;
            }
            pending.drain(..start);
            self.append(&lines)?;
        }
        if pending.is_empty() { Ok(()) } else { self.append(&format_line(stream, &pending)) }
    }

    fn append(&self, lines: &[u8]) -> io::Result<()> {
        self.file.lock().unwrap_or_else(PoisonError::into_inner).write_all(lines)?;
        if !lines.is_empty() {
            self.length.send_modify(|length| *length += lines.len());
        }
        Ok(())
    }

    /// Changes whenever something is written down.
    pub(super) fn length(&self) -> watch::Receiver<usize> {
        self.length.subscribe()
    }

    pub(super) fn read(&self) -> Result<Vec<LogEntry>> {
        let text = fs::read(&self.path).context("read", &self.path)?;
        Ok(text.split_inclusive(|byte| *byte == b'\n').filter_map(parse_line).collect())
    }
}

/// The length of the first piece that can be written down.
fn end_of_piece(bytes: &[u8]) -> Option<usize> {
    let within = &bytes[..bytes.len().min(MAX_LINE)];
    match within.iter().position(|byte| *byte == b'\n') {
        Some(at) => Some(at + 1),
        None => (bytes.len() >= MAX_LINE).then_some(MAX_LINE),
    }
}

/// `F` marks a line's end, `P` a piece that goes on (or ends without a line end).
fn format_line(stream: Stream, piece: &[u8]) -> Vec<u8> {
    let (tag, content) = match piece.strip_suffix(b"\n") {
        Some(line) => ('F', line),
        None => ('P', piece),
    };
    let stream = match stream {
        Stream::Stdout => "stdout",
        Stream::Stderr => "stderr",
    };
    let mut line = format!("{:.9} {stream} {tag} ", jiff::Timestamp::now()).into_bytes();
    line.extend_from_slice(content);
    line.push(b'\n');
    line
}

fn parse_line(line: &[u8]) -> Option<LogEntry> {
    let mut fields = line.splitn(4, |byte| *byte == b' ');
    let time = std::str::from_utf8(fields.next()?).ok()?.parse().ok()?;
    let stream = if fields.next()? == b"stderr" { Stream::Stderr } else { Stream::Stdout };
    let whole = fields.next()? == b"F";
    let content = fields.next()?;
    let bytes = if whole { content } else { content.strip_suffix(b"\n")? };
    Some(LogEntry { time, stream, bytes: bytes.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn logged(chunks: &[&[u8]]) -> Vec<LogEntry> {
        let dir = tempfile::tempdir().expect("a directory");
        let log = Log::create(&dir.path().join("log")).unwrap();
        let (mut sink, source) = tokio::io::duplex(64);
        let follower = tokio::spawn(log.clone().follow(Stream::Stderr, source));
        for chunk in chunks {
            tokio::io::AsyncWriteExt::write_all(&mut sink, chunk).await.unwrap();
        }
        drop(sink);
        follower.await.unwrap().unwrap();
        log.read().unwrap()
    }

    #[tokio::test]
    async fn lines_come_back_as_they_were_written() {
        let entries = logged(&[b"a\nb", b"c\n\n\xff\x1b[0m\nend"]).await;
        let bytes: Vec<&[u8]> = entries.iter().map(|entry| entry.bytes.as_slice()).collect();
        assert_eq!(bytes, [b"a\n".as_slice(), b"bc\n", b"\n", b"\xff\x1b[0m\n", b"end"]);
        assert!(entries.iter().all(|entry| entry.stream == Stream::Stderr));
    }

    #[tokio::test]
    async fn a_long_line_is_cut_and_loses_nothing() {
        let long = vec![b'x'; 40_000];
        let entries = logged(&[&long, b"\n"]).await;
        assert_eq!(entries.iter().map(|entry| entry.bytes.len()).collect::<Vec<_>>(), [16384, 16384, 7233]);
        assert!(entries.iter().map(|entry| entry.bytes.as_slice()).collect::<Vec<_>>().concat().ends_with(b"x\n"));
    }
}
