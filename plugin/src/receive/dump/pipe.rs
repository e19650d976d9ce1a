//! A dump that goes through standard output: what may leave does so at once, and what must wait does so in a temporary file,
//! never in memory. The second stream waits for the end of the first, which it belongs into; a dump whose lengths come at
//! its end waits whole.

use std::fs::File;
use std::io::{self, Seek, Write};

use jattach_protocol::message::{Form, Patch, STREAMS, Started};
use tokio::sync::watch;

use super::super::Safe;
use super::super::counted::corrupt;
use super::Place;
use super::files::pieces;
use super::format::{Encoder, Format};
use super::guard::Guard;
use super::join;
use super::record::patches;
use super::tail::{self, END};
use crate::catalogue::Id;
use crate::error::Failure;

/// Standard output, or what stands for it in a test.
pub(crate) struct Pipe<W> {
    form: Form,
    to: W,
    encoder: Encoder,
    /// Nothing has been written yet.
    first: bool,
    /// How many bytes of the last record are held back: it is the end of the whole.
    held: usize,
    /// The stream that waits, where one has to. It has no name, and goes with this process.
    waiting: Option<File>,
    lengths: [u64; STREAMS],
    safe: watch::Sender<Safe>,
    guard: Guard,
}

impl<W: Write + Send + 'static> Pipe<W> {
    /// # Errors
    /// 1 where there is no room for what has to wait.
    pub(crate) fn new(to: W, form: Form, format: Format) -> Result<Pipe<W>, Failure> {
        let waiting =
            if form == Form::Stream { None } else { Some(tempfile::tempfile().map_err(|error| full(&error))?) };
        let encoder = Encoder::new(format).map_err(|error| refused(&error))?;
        let (safe, guard) = (watch::Sender::new(Some([0; STREAMS])), Guard::temporary());
        Ok(Pipe { form, to, encoder, first: true, held: 0, waiting, lengths: [0; STREAMS], safe, guard })
    }

    fn waits(&self, stream: u32) -> bool {
        self.form == Form::File || stream != 0
    }

    fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.to.write_all(self.encoder.encode(bytes, self.first)?)?;
        self.first &= bytes.is_empty();
        Ok(())
    }

    /// Lets bytes of the first stream go, but for what may be the beginning of its end.
    fn send_main(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.form == Form::Stream {
            return self.send(bytes);
        }
        let matched = tail::matched(self.held, bytes);
        if let Some(at) = bytes.len().checked_sub(matched) {
            self.send(&END[..self.held])?;
            self.send(&bytes[..at])?;
        }
        self.held = matched;
        Ok(())
    }

    /// Lets go what waited, and what was held back.
    fn release(&mut self) -> io::Result<()> {
        if let Some(mut waiting) = self.waiting.take() {
            waiting.rewind()?;
            let first = std::mem::take(&mut self.first);
            pieces(waiting, &mut self.encoder, &mut self.to, first)?;
        }
        self.send(&END[..self.held])?;
        self.to.flush()
    }
}

impl<W: Write + Send + 'static> Place for Pipe<W> {
    fn safe(&self) -> watch::Receiver<Safe> {
        self.safe.subscribe()
    }

    fn begin(&mut self, _started: &Started) -> Result<(), Failure> {
        if self.lengths == [0; STREAMS] {
            return Ok(());
        }
        Err(Failure::new(Id::Gone, "the rest of the heap dump is gone")
            .evidence("the injector has begun another one, and what has been written cannot be taken back")
            .remedy("run the command again, or give a FILE: that can be begun afresh"))
    }

    fn write(&mut self, stream: u32, bytes: &[u8]) -> Result<(), Failure> {
        if self.waits(stream) {
            self.guard.pass(bytes.len())?;
            let waiting = self.waiting.as_mut().ok_or_else(|| corrupt(format!("stream {stream} has no place")))?;
            waiting.write_all(bytes).map_err(|error| full(&error))?;
        } else {
            self.send_main(bytes).map_err(|error| refused(&error))?;
        }
        self.lengths[stream as usize] += bytes.len() as u64;
        // No power failure is survived by a pipe, or by who reads from it.
        self.safe.send_replace(Some(self.lengths));
        Ok(())
    }

    fn settle(&mut self) -> Result<(), Failure> {
        Ok(())
    }

    fn seal(&mut self, lengths: &[Patch]) -> Result<(), Failure> {
        if self.form == Form::Pair && self.held != END.len() {
            return Err(corrupt("the first stream does not end in an end record of 9 bytes".to_owned()));
        }
        match &self.waiting {
            Some(waiting) => join::patch(waiting, &patches(lengths)).map_err(|error| full(&error)),
            None => Ok(()),
        }
    }

    fn complete(mut self) -> Result<(), Failure> {
        self.release().map_err(|error| refused(&error))
    }
}

fn refused(error: &io::Error) -> Failure {
    Failure::new(Id::CannotWrite, "cannot write to standard output")
        .evidence(error.to_string())
        .remedy("see that its reader takes all of it, or give a FILE")
}

fn full(error: &io::Error) -> Failure {
    Failure::new(Id::NoRoomHere, "no room for what has to wait before it goes to standard output")
        .evidence(format!("{}: {error}", std::env::temp_dir().display()))
        .remedy("name a directory with room for the dump in TMPDIR, or give a FILE")
}
