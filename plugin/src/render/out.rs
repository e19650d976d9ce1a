//! Where the answer of a command goes: to standard output as it comes; or aside, until it is its turn among the answers of
//! several commands that run at once.

use std::io::{self, IsTerminal, Read, Seek, Write};
use std::sync::{Arc, Mutex, PoisonError};

use tempfile::SpooledTempFile;
use tokio::sync::watch;

use super::stdout;
use super::terminal::JvmOutput;
use crate::catalogue::Id;
use crate::error::{Failure, Result};

/// How much of an answer that waits stays in memory. A thread dump fits; what is longer goes into a temporary file.
const IN_MEMORY: usize = 256 << 10;

/// The most of one answer that may wait. The threads of ten thousand fit; what never ends is not to fill this machine's disk.
const LONGEST: u64 = 64 << 20;

/// As long as less than this waits, more answers are begun.
const ENOUGH: u64 = 256 << 20;

/// Where an answer goes.
#[derive(Clone)]
pub(crate) enum Out {
    Stdout,
    Aside(Aside),
}

impl Out {
    /// For what a JVM prints: what a terminal shows of it in the end is made safe for it.
    pub(crate) fn jvm(&self) -> JvmOutput<Stream> {
        JvmOutput::new(self.stream(), io::stdout().is_terminal())
    }

    /// Prints a whole text.
    ///
    /// # Errors
    /// What keeps it from being written, except that its reader has gone.
    pub(crate) fn print(&self, text: &str) -> Result<()> {
        stdout::print(text, &mut self.stream())
    }

    fn stream(&self) -> Stream {
        match self {
            Out::Stdout => Stream::Stdout(io::stdout()),
            Out::Aside(aside) => Stream::Aside(aside.writer()),
        }
    }
}

/// What an answer is written to.
pub(crate) enum Stream {
    Stdout(io::Stdout),
    Aside(Writer),
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Stream::Stdout(stdout) => stdout.write(bytes),
            Stream::Aside(writer) => with(&writer.kept, |kept| kept.write(bytes)),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Stream::Stdout(stdout) => stdout.flush(),
            Stream::Aside(_) => Ok(()),
        }
    }
}

/// Where answers wait for their turn, all of them together. Clones are one.
#[derive(Clone, Default)]
pub(crate) struct Shelf(watch::Sender<u64>);

impl Shelf {
    /// A place for one more.
    pub(crate) fn aside(&self) -> Aside {
        let (file, shelf) = (SpooledTempFile::new(IN_MEMORY), self.clone());
        let kept = Kept { file, length: 0, longest: LONGEST, shelf };
        Aside { kept: Arc::new(Mutex::new(kept)), writers: watch::Sender::default() }
    }

    /// Waits until so much has been printed that another answer may be begun.
    pub(crate) async fn has_room(&self) {
        // We are a sender ourselves.
        let _ = self.0.subscribe().wait_for(|waiting| *waiting < ENOUGH).await;
    }
}

/// An answer that waits.
#[derive(Clone)]
pub(crate) struct Aside {
    kept: Arc<Mutex<Kept>>,
    /// Each has a receiver.
    writers: watch::Sender<()>,
}

/// What is there of an answer.
struct Kept {
    file: SpooledTempFile,
    length: u64,
    longest: u64,
    shelf: Shelf,
}

impl Kept {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = usize::try_from(self.longest - self.length).unwrap_or(usize::MAX).min(bytes.len());
        if room == 0 && !bytes.is_empty() {
            return Err(io::Error::other(too_long(self.longest)));
        }
        let written = self.file.write(&bytes[..room]).map_err(|error| io::Error::other(cannot_wait(&error)))?;
        self.length += written as u64;
        self.shelf.0.send_modify(|waiting| *waiting += written as u64);
        Ok(written)
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.shelf.0.send_modify(|waiting| *waiting -= self.length);
    }
}

fn too_long(longest: u64) -> Failure {
    Failure::new(Id::Transfer, "the answer is longer than may wait for its turn among those of other pods")
        .evidence(format!("it has more than {} MiB", longest >> 20))
        .remedy("what has come of it is printed; without --all-pods this pod's answer is printed as it comes")
}

fn cannot_wait(error: &io::Error) -> Failure {
    Failure::new(Id::CannotWrite, "an answer cannot be kept until its turn to be printed")
        .evidence(format!("{}: {error}", std::env::temp_dir().display()))
        .remedy("free some space there, or name another directory in TMPDIR")
}

/// Who writes an answer that waits.
pub(crate) struct Writer {
    kept: Arc<Mutex<Kept>>,
    _open: watch::Receiver<()>,
}

impl Aside {
    fn writer(&self) -> Writer {
        Writer { kept: Arc::clone(&self.kept), _open: self.writers.subscribe() }
    }

    /// Waits until nobody writes any more: who has stopped receiving may still have some of it to write.
    pub(crate) async fn is_settled(&self) {
        self.writers.closed().await;
    }

    /// Whether nothing was written.
    pub(crate) fn is_empty(&self) -> bool {
        with(&self.kept, |kept| kept.length == 0)
    }

    /// Prints it under a line that names where it is from; nothing where it is empty.
    ///
    /// # Errors
    /// Those of reading it, and of the writer.
    pub(crate) fn print_under(&self, name: &str, to: &mut impl Write) -> io::Result<()> {
        with(&self.kept, |kept| {
            if kept.length == 0 {
                return Ok(());
            }
            kept.file.rewind()?;
            writeln!(to, "==> {name} <==")?;
            let (mut block, mut last) = (vec![0; 64 << 10], b'\n');
            loop {
                match kept.file.read(&mut block)? {
                    0 => break,
                    count => {
                        to.write_all(&block[..count])?;
                        last = block[count - 1];
                    }
                }
            }
            // What comes next begins a line of its own.
            if last != b'\n' {
                to.write_all(b"\n")?;
            }
            to.flush()
        })
    }
}

/// A thread that died while it wrote leaves what it had written.
fn with<T>(kept: &Mutex<Kept>, work: impl FnOnce(&mut Kept) -> T) -> T {
    work(&mut kept.lock().unwrap_or_else(PoisonError::into_inner))
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    fn written(aside: &Aside, text: &[u8]) -> io::Result<()> {
        Out::Aside(aside.clone()).stream().write_all(text)
    }

    fn printed(aside: &Aside) -> Vec<u8> {
        let mut to = Vec::new();
        aside.print_under("pod/x", &mut to).expect("memory");
        to
    }

    #[test]
    fn an_answer_stands_under_its_name_and_ends_its_last_line() {
        let shown = |text: &[u8]| {
            let aside = Shelf::default().aside();
            written(&aside, text).expect("room");
            printed(&aside)
        };
        assert_eq!(shown(b"one\ntwo\n"), b"==> pod/x <==\none\ntwo\n");
        assert_eq!(shown(b"code: 0"), b"==> pod/x <==\ncode: 0\n");
        assert_eq!(shown(b""), b"");
    }

    #[test]
    fn an_answer_that_is_too_long_for_memory_is_whole() {
        let text: Vec<u8> = (0..=u8::MAX).cycle().take(2 * IN_MEMORY).chain(*b"\n").collect();
        let aside = Shelf::default().aside();
        written(&aside, &text).expect("room");
        assert!(with(&aside.kept, |kept| kept.file.is_rolled()));
        assert!(printed(&aside) == [b"==> pod/x <==\n", &text[..]].concat());
    }

    #[test]
    fn an_answer_without_end_is_a_failure_that_says_so_and_what_came_of_it_is_there() {
        let aside = Shelf::default().aside();
        with(&aside.kept, |kept| kept.longest = 10);
        written(&aside, b"0123456").expect("room");
        let failure = stdout::heard(written(&aside, b"789ab")).expect_err("no room");
        assert_eq!(failure.id, Id::Transfer);
        assert!(failure.cause.starts_with("the answer is longer than may wait"), "{failure}");
        assert_eq!(printed(&aside), b"==> pod/x <==\n0123456789\n");
    }

    #[tokio::test]
    async fn no_more_answers_are_begun_than_there_is_room_for_until_some_are_printed() {
        let shelf = Shelf::default();
        let aside = shelf.aside();
        written(&aside, b"1").expect("room");
        assert!(shelf.has_room().now_or_never().is_some());
        shelf.0.send_modify(|waiting| *waiting += ENOUGH - 1);
        let mut room = std::pin::pin!(shelf.has_room());
        assert!(room.as_mut().now_or_never().is_none());
        drop(aside);
        assert!(room.now_or_never().is_some());
    }

    #[tokio::test]
    async fn an_answer_is_settled_once_nobody_writes_it() {
        let aside = Shelf::default().aside();
        assert!(aside.is_settled().now_or_never().is_some());
        let stream = Out::Aside(aside.clone()).stream();
        let mut settled = std::pin::pin!(aside.is_settled());
        assert!(settled.as_mut().now_or_never().is_none());
        drop(stream);
        assert!(settled.now_or_never().is_some());
    }
}
