//! Where the answer of a command goes: to standard output as it comes; or aside, until it is its turn among the answers of
//! several commands that run at once.

use std::io::{self, IsTerminal, Read, Seek, SeekFrom, Write};
use std::sync::{Arc, Mutex, PoisonError};

use tempfile::SpooledTempFile;

use super::stdout;
use super::terminal::JvmOutput;
use crate::error::Result;

/// How much of an answer that waits stays in memory. A thread dump fits; what is longer goes into a temporary file.
const IN_MEMORY: usize = 256 << 10;

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
            Out::Aside(aside) => Stream::Aside(aside.clone()),
        }
    }
}

/// What an answer is written to.
pub(crate) enum Stream {
    Stdout(io::Stdout),
    Aside(Aside),
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Stream::Stdout(stdout) => stdout.write(bytes),
            Stream::Aside(aside) => aside.with(|kept| kept.write(bytes)),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Stream::Stdout(stdout) => stdout.flush(),
            Stream::Aside(aside) => aside.with(Write::flush),
        }
    }
}

/// An answer that waits.
#[derive(Clone)]
pub(crate) struct Aside(Arc<Mutex<SpooledTempFile>>);

impl Aside {
    pub(crate) fn new() -> Aside {
        Aside(Arc::new(Mutex::new(SpooledTempFile::new(IN_MEMORY))))
    }

    /// Whether nothing was written.
    pub(crate) fn is_empty(&self) -> bool {
        self.with(|kept| kept.stream_position().is_ok_and(|position| position == 0))
    }

    /// Prints it under a line that names where it is from; nothing where it is empty.
    ///
    /// # Errors
    /// Those of reading it, and of the writer.
    pub(crate) fn print_under(&self, name: &str, to: &mut impl Write) -> io::Result<()> {
        self.with(|kept| {
            if kept.seek(SeekFrom::End(0))? == 0 {
                return Ok(());
            }
            kept.rewind()?;
            writeln!(to, "==> {name} <==")?;
            let (mut block, mut last) = (vec![0; 64 << 10], b'\n');
            loop {
                match kept.read(&mut block)? {
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

    /// A thread that died while it wrote leaves what it had written.
    fn with<T>(&self, work: impl FnOnce(&mut SpooledTempFile) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(text: &[u8]) -> Vec<u8> {
        let aside = Aside::new();
        Stream::Aside(aside.clone()).write_all(text).expect("room");
        let mut to = Vec::new();
        aside.print_under("pod/x", &mut to).expect("memory");
        to
    }

    #[test]
    fn an_answer_stands_under_its_name_and_ends_its_last_line() {
        assert_eq!(printed(b"one\ntwo\n"), b"==> pod/x <==\none\ntwo\n");
        assert_eq!(printed(b"code: 0"), b"==> pod/x <==\ncode: 0\n");
        assert_eq!(printed(b""), b"");
    }

    #[test]
    fn an_answer_that_is_too_long_for_memory_is_whole() {
        let text: Vec<u8> = (0..=u8::MAX).cycle().take(2 * IN_MEMORY).chain(*b"\n").collect();
        let aside = Aside::new();
        Stream::Aside(aside.clone()).write_all(&text).expect("room");
        assert!(aside.with(|kept| kept.is_rolled()));
        assert!(printed(&text) == [b"==> pod/x <==\n", &text[..]].concat());
    }
}
