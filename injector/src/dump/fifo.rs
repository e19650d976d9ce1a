//! The FIFOs through which a JVM dumps without any file: `x`, and `x.p0` beside it, which JDK 22 and newer write the heap
//! into first. They hold no data once nobody has them open, and their names go as soon as the JVM does not need them.

use std::fs::File;
use std::os::fd::AsFd;

use jattach_protocol::Failure;
use jattach_protocol::message::STREAMS;
use nix::fcntl::{FcntlArg, fcntl};

use super::place::Place;

/// What a pipe holds at the most without a privilege (/proc/sys/fs/pipe-max-size).
const CAPACITY: i32 = 1 << 20;

/// What follows the name for each stream.
const SUFFIXES: [&str; STREAMS] = ["", ".p0"];

/// A pair of FIFOs. However it ends, nothing of it keeps a name.
pub(crate) struct Fifos<'p> {
    place: &'p Place,
    name: String,
    /// Open for both reading and writing: so no open waits, ours or the JVM's, and no end is seen before the JVM's answer.
    ends: [Option<File>; STREAMS],
}

impl<'p> Fifos<'p> {
    /// Makes both.
    ///
    /// # Errors
    /// [`Code::NoSpace`] where nothing can be made in that place.
    pub(crate) fn create(place: &'p Place) -> Result<Fifos<'p>, Failure> {
        let mut fifos = Fifos { place, name: Place::name()?, ends: [None, None] };
        for (end, suffix) in fifos.ends.iter_mut().zip(SUFFIXES) {
            let made = place.create_fifo(&format!("{}{suffix}", fifos.name));
            let file = made.map_err(|errno| place.refusal(errno))?;
            // A smaller one is slower, no more.
            let _ = fcntl(file.as_fd(), FcntlArg::F_SETPIPE_SZ(CAPACITY));
            *end = Some(file);
        }
        Ok(fifos)
    }

    /// What the JVM calls the first of them.
    pub(crate) fn path(&self) -> String {
        self.place.path(&self.name)
    }

    /// The reading end of a stream, unless it was [closed](Fifos::close).
    pub(crate) fn end(&self, stream: usize) -> Option<&File> {
        self.ends[stream].as_ref()
    }

    /// Ends a stream that the JVM has opened, so that its next write fails. First the name: nobody may open a FIFO then
    /// whose other end is gone, for that would wait for ever.
    pub(crate) fn close(&mut self, stream: usize) {
        self.unlink(stream);
        self.ends[stream] = None;
    }

    fn unlink(&self, stream: usize) {
        self.place.unlink(&format!("{}{}", self.name, SUFFIXES[stream]));
    }
}

impl Drop for Fifos<'_> {
    fn drop(&mut self) {
        for stream in 0..STREAMS {
            self.unlink(stream);
        }
    }
}
