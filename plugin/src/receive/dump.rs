//! A heap dump on its way to where it stays: every record of it is walked as it passes, to the JVM's own end mark. What is
//! not whole never gets the dump's name.

use std::io::{self, Write};

use jattach_protocol::hprof::{Reader, Summary};

use super::Sink;
use crate::error::{Exit, Failure};

/// A stream of dump bytes that is checked as it passes.
pub(crate) struct Dump<W> {
    reader: Reader,
    to: W,
}

impl<W: Target> Dump<W> {
    pub(crate) fn new(to: W) -> Dump<W> {
        Dump { reader: Reader::new(), to }
    }
}

/// Where a dump's bytes go once they are checked.
pub(crate) trait Target: Write + Send + 'static {
    /// All bytes have come: put them where no crash takes them.
    fn settle(&mut self) -> Result<(), Failure>;

    /// The dump is whole: give it its name.
    fn complete(self) -> Result<(), Failure>;

    /// What an I/O error of it means.
    fn failed(&self, error: &io::Error) -> Failure;
}

/// A dump that is whole and has no name yet: who sent it may still have to say that all went well.
pub(crate) struct Whole<W> {
    summary: Summary,
    to: W,
}

impl<W: Target> Whole<W> {
    /// Gives it its name.
    ///
    /// # Errors
    /// A usage failure where the name has been taken meanwhile, 1 where it cannot be given.
    pub(crate) fn name(self) -> Result<Summary, Failure> {
        self.to.complete()?;
        Ok(self.summary)
    }
}

impl<W: Target> Sink for Dump<W> {
    type Stored = Whole<W>;

    fn write(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        // Stored first: what is wrong with a dump is found in the file, too.
        self.to.write_all(bytes).map_err(|error| self.to.failed(&error))?;
        self.reader.push(bytes).map_err(|error| not_whole(&error))
    }

    fn finish(mut self) -> Result<Whole<W>, Failure> {
        let summary = self.reader.finish().map_err(|error| not_whole(&error))?;
        if !summary.ended {
            // A form that JDK 7 wrote; every JVM that can be attached to here closes a dump with its end record.
            return Err(not_whole(&"it has no HEAP_DUMP_END record"));
        }
        self.to.settle()?;
        Ok(Whole { summary, to: self.to })
    }
}

fn not_whole(error: &dyn std::fmt::Display) -> Failure {
    Failure::new(Exit::Transfer, "the heap dump that the JVM wrote is not whole")
        .evidence(error.to_string())
        .remedy("dump again; if it breaks at the same place, the JVM writes it so")
}

/// Standard output: what has passed cannot be taken back, so the exit code alone tells whether it was whole.
impl Target for io::Stdout {
    fn settle(&mut self) -> Result<(), Failure> {
        let flushed = self.flush();
        flushed.map_err(|error| self.failed(&error))
    }

    fn complete(self) -> Result<(), Failure> {
        Ok(())
    }

    fn failed(&self, error: &io::Error) -> Failure {
        Failure::new(Exit::Other, "cannot write to standard output")
            .evidence(error.to_string())
            .remedy("see that its reader takes all of it, or give a FILE")
    }
}
