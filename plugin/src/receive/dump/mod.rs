//! A heap dump on its way to where it stays. Every record of it is walked as it passes ([`check`]); what is not whole never
//! gets the dump's name.
//!
//! It lies in [`files`] until then (FILE.part, and FILE.part.p0 for the second stream of JDK 22 and newer), in one of several
//! shapes ([`format`]); [`sync`] makes it safe and notes that in a [`record`], so that another run can go on; [`join`] makes
//! one file of it. Or it goes through a [`pipe`], which keeps no more than it must.

mod check;
mod files;
mod format;
mod guard;
mod join;
mod part;
mod pipe;
mod record;
#[cfg(test)]
mod samples;
mod sync;
mod tail;
#[cfg(test)]
pub(crate) mod tests;

use jattach_protocol::hprof::Summary;
use jattach_protocol::message::{End, Form, PART, Patch, STREAMS, Started};
use tokio::sync::watch;

use super::counted::{Counted, corrupt};
use super::{Safe, Sink};
use crate::error::Failure;
use check::Check;
pub(crate) use files::Files;
pub(crate) use format::Format;
pub(crate) use guard::Room;
pub(crate) use part::{DumpFile, forget, held, held_for, is_begun, remove_empty, whole_for};
pub(crate) use pipe::Pipe;
pub(crate) use record::{Job, Record, Source, Wanted};

/// A dump's streams, checked as they pass.
pub(crate) struct Dump<P> {
    form: Form,
    check: Check,
    counted: [Counted; STREAMS],
    part_ended: bool,
    place: P,
}

/// Where a dump's bytes go once they are counted.
pub(crate) trait Place: Send + 'static {
    /// What is safe of each stream, as it changes.
    fn safe(&self) -> watch::Receiver<Safe>;

    /// A job begins at its beginning.
    fn begin(&mut self, started: &Started) -> Result<(), Failure>;

    /// Takes the next bytes of a stream.
    fn write(&mut self, stream: u32, bytes: &[u8]) -> Result<(), Failure>;

    /// Makes all that was written safe.
    fn settle(&mut self) -> Result<(), Failure>;

    /// All bytes have come, and are right: put them where no crash takes them.
    fn seal(&mut self, patches: &[Patch]) -> Result<(), Failure>;

    /// Make one dump of it, and give it its name.
    fn complete(self) -> Result<(), Failure>;
}

/// A dump that is whole and has no name yet: who sent it may still have to say that all went well.
pub(crate) struct Whole<P> {
    summary: Summary,
    place: P,
}

impl<P: Place> Whole<P> {
    /// Makes one dump of its streams and gives it its name. It may take as long as the disk takes for the second stream.
    ///
    /// # Errors
    /// A usage failure where the name has been taken meanwhile, 1 where it cannot be given.
    pub(crate) fn name(self) -> Result<Summary, Failure> {
        self.place.complete()?;
        Ok(self.summary)
    }
}

impl<P: Place> Dump<P> {
    /// One of which nothing has come yet.
    pub(crate) fn new(form: Form, place: P) -> Dump<P> {
        Dump { form, check: Check::new(form), counted: Default::default(), part_ended: false, place }
    }

    fn pass(&mut self, stream: u32, bytes: &[u8]) -> Result<(), Failure> {
        self.counted[stream as usize].add(bytes);
        self.check.push(stream, bytes)
    }
}

impl Dump<Files> {
    /// One of which some is there already, by its record: it is read again, and what lies beyond is given up.
    ///
    /// # Errors
    /// 8 where it is not what it was, 1 where it cannot be read.
    pub(crate) fn resume(form: Form, files: Files) -> Result<Dump<Files>, Failure> {
        let mut dump = Dump::new(form, files);
        for stream in 0..PART + 1 {
            let Some(mut stored) = dump.place.stored(stream)? else { continue };
            while let Some(bytes) = stored.next()? {
                dump.pass(stream, bytes)?;
            }
        }
        let lengths: [u64; STREAMS] = std::array::from_fn(|stream| dump.counted[stream].length());
        dump.place.go_on(lengths)?;
        Ok(dump)
    }
}

impl<P: Place> Sink for Dump<P> {
    type Stored = Whole<P>;

    fn safe(&self) -> watch::Receiver<Safe> {
        self.place.safe()
    }

    fn begin(&mut self, started: &Started) -> Result<(), Failure> {
        (self.check, self.counted, self.part_ended) = (Check::new(self.form), Default::default(), false);
        self.place.begin(started)
    }

    fn length(&self, stream: u32) -> u64 {
        self.counted.get(stream as usize).map_or(0, Counted::length)
    }

    fn write(&mut self, stream: u32, bytes: &[u8]) -> Result<(), Failure> {
        self.check.admit(stream)?;
        if bytes.is_empty() {
            return Ok(());
        }
        // Stored first: what is wrong with a dump is found in the file, too.
        self.place.write(stream, bytes)?;
        self.pass(stream, bytes)
    }

    fn patch(&mut self, patch: Patch) -> Result<(), Failure> {
        self.check.patch(patch)
    }

    fn end_part(&mut self, end: &End) -> Result<(), Failure> {
        self.part_ended = true;
        self.counted[PART as usize].check(end)
    }

    fn settle(&mut self) -> Result<(), Failure> {
        self.place.settle()
    }

    fn finish(mut self, end: &End) -> Result<Whole<P>, Failure> {
        self.counted[0].check(end)?;
        if self.counted[PART as usize].length() > 0 && !self.part_ended {
            return Err(corrupt("the dump ended, and its second stream did not".to_owned()));
        }
        let (summary, patches) = self.check.finish()?;
        self.place.seal(&patches)?;
        Ok(Whole { summary, place: self.place })
    }
}
