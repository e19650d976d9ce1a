//! A dump in files: FILE.part, FILE.part.p0 beside it for the second stream, and FILE.part.json, the record.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jattach_protocol::hprof::{Lengths, Reader, Summary};
use jattach_protocol::message::{Form, MAX_BLOCK, PART, Patch, Started};
use tokio::sync::watch;

use super::super::Safe;
use super::super::counted::corrupt;
use super::Place;
use super::format::{Encoder, Format};
use super::guard::Guard;
use super::join::{self, Plan};
use super::part::{DumpFile, JSON, NEW, P0, PACKED, unwritable};
use super::record::{Job, Record, patches};
use super::sync::{Books, Keeper, Mark};
use super::tail::{self, END};
use crate::catalogue::Id;
use crate::error::Failure;

/// The files of a dump that is on its way.
pub(crate) struct Files {
    file: DumpFile,
    form: Form,
    format: Format,
    /// One of each stream that there may be.
    streams: Vec<Arc<File>>,
    encoder: Encoder,
    mark: Mark,
    keeper: Keeper,
    safe: watch::Receiver<Safe>,
    guard: Guard,
}

impl Files {
    /// Those that `record` tells of: none of a dump that has not begun.
    ///
    /// # Errors
    /// 1 where they cannot be written.
    pub(crate) fn open(file: DumpFile, record: Record) -> Result<Files, Failure> {
        let failed = |error: io::Error| unwritable(file.part(), &error);
        let mut streams = vec![Arc::new(file.handle().map_err(failed)?)];
        if record.form == Form::Pair {
            if let Some(plan) = &record.whole {
                part_is_there(&file, plan)?;
            }
            streams.push(Arc::new(file.open_beside(P0)?));
        } else {
            // An earlier dump's.
            let _ = fs::remove_file(file.beside(P0));
        }
        let (form, format) = (record.form, record.wanted.format);
        // What a JVM 8 puts in at the end could not be put into anything compressed.
        let encoder = Encoder::new(if form == Form::File { Format::Raw } else { format }).map_err(failed)?;
        let mark = Mark { streams: record.streams, tail: record.tail };
        let guard = Guard::new(file.part());
        let books = Books::new(streams.clone(), record, &file.beside(JSON));
        let safe = books.safe();
        let keeper = Keeper::Here(Box::new(books));
        Ok(Files { file, form, format, streams, encoder, mark, keeper, safe, guard })
    }

    /// What is there of a stream, by the record.
    pub(super) fn stored(&self, stream: u32) -> Result<Option<Stored>, Failure> {
        let index = stream as usize;
        let Some(file) = self.streams.get(index) else { return Ok(None) };
        let failed = |error: io::Error| self.failed(&error);
        let length = self.mark.streams[index].stored;
        if file.metadata().map_err(failed)?.len() < length {
            return Err(changed(SHORTER));
        }
        let mut own = file.try_clone().map_err(failed)?;
        own.rewind().map_err(failed)?;
        let format = if self.form == Form::File { Format::Raw } else { self.format };
        self.stored_as(format, own, length).map(Some)
    }

    /// Goes on behind what is there, which was read again and has these lengths.
    ///
    /// # Errors
    /// 8 where they are not those of the record.
    pub(super) fn go_on(&mut self, lengths: [u64; 2]) -> Result<(), Failure> {
        if self.mark.streams.map(|held| held.raw) != lengths {
            return Err(changed(OTHERWISE));
        }
        self.guard.is_at(lengths.iter().sum());
        self.cut().map_err(|error| self.failed(&error))
    }

    /// Gives up what lies beyond the mark.
    fn cut(&mut self) -> io::Result<()> {
        for (file, held) in self.streams.iter().zip(self.mark.streams) {
            file.set_len(held.stored)?;
            (&**file).seek(SeekFrom::Start(held.stored))?;
        }
        Ok(())
    }

    /// Writes bytes of a stream as a piece of their own.
    fn write_piece(&mut self, stream: usize, bytes: &[u8]) -> io::Result<()> {
        let Some(mut file) = self.streams.get(stream).map(|file| &**file) else {
            return Err(io::ErrorKind::NotFound.into());
        };
        let held = &mut self.mark.streams[stream];
        let first = stream == 0 && held.stored == 0;
        let piece = self.encoder.encode(bytes, first)?;
        file.write_all(piece)?;
        held.raw += bytes.len() as u64;
        held.stored += piece.len() as u64;
        Ok(())
    }

    /// Bytes of the main stream: what may be the beginning of its last record gets pieces of its own, so that the second
    /// stream can go before it without anything being packed anew.
    fn write_main(&mut self, bytes: &[u8]) -> io::Result<()> {
        let matched = tail::matched(self.mark.tail.matched, bytes);
        match bytes.len().checked_sub(matched) {
            Some(at) => {
                let (before, end) = bytes.split_at(at);
                self.write_piece(0, before)?;
                self.mark.tail.at = self.mark.streams[0].stored;
                self.write_piece(0, end)?;
            }
            // It goes on with what was there before.
            None => self.write_piece(0, bytes)?,
        }
        self.mark.tail.matched = matched;
        Ok(())
    }

    /// What is left to do, once all is there.
    fn plan(&self, lengths: &[Patch]) -> Result<Plan, Failure> {
        let part = self.mark.streams[PART as usize].stored;
        if part > 0 && self.mark.tail.matched != END.len() {
            return Err(corrupt("the first stream does not end in an end record of 9 bytes".to_owned()));
        }
        Ok(Plan { at: self.mark.tail.at, part, patches: patches(lengths) })
    }

    /// Makes one file of them; where that is another file than FILE.part, its name.
    fn unite(&mut self, plan: &Plan) -> io::Result<Option<PathBuf>> {
        let main = &self.streams[0];
        join::patch(main, &plan.patches)?;
        if let Some(part) = self.streams.get(PART as usize).filter(|_| plan.part > 0) {
            let end = self.encoder.encode(&END, false)?;
            join::join_all(main, part, plan, end)?;
        }
        // All else is on the disk already.
        if plan.part > 0 || !plan.patches.is_empty() {
            main.sync_all()?;
        }
        if self.form == Form::File && self.format != Format::Raw { self.pack().map(Some) } else { Ok(None) }
    }

    /// Compresses a dump that is whole and raw.
    fn pack(&mut self) -> io::Result<PathBuf> {
        let path = self.file.beside(PACKED);
        let mut packed = super::part::create(&path)?;
        let mut raw = &*self.streams[0];
        raw.rewind()?;
        pieces(raw, &mut Encoder::new(self.format)?, &mut packed, true)?;
        packed.sync_all()?;
        Ok(path)
    }

    /// Makes one dump of what an earlier run had all of. Where it has lain since then nobody knows: so it is read again, to its
    /// end, before it gets its name.
    ///
    /// # Errors
    /// 8 where it is not what the record says, or not whole; those of [`complete`](Place::complete).
    pub(crate) fn complete_later(mut self) -> Result<Summary, Failure> {
        let bytes = self.mark.streams.iter().map(|held| held.raw).sum();
        let united = self.united()?;
        let summary = self.read_again(united.as_deref(), bytes)?;
        self.name(united.as_deref())?;
        Ok(summary)
    }

    /// Makes one file of what is here by the record; where that is another file than FILE.part, its name.
    fn united(&mut self) -> Result<Option<PathBuf>, Failure> {
        let plan = self.keeper.books().map(|books| books.record.whole.clone());
        let plan = plan.map_err(|error| self.failed(&error))?;
        let plan = plan.ok_or_else(|| changed("nobody has found it whole"))?;
        if self.streams[0].metadata().map_or(0, |meta| meta.len()) < plan.at {
            return Err(changed(SHORTER));
        }
        self.unite(&plan).map_err(|error| self.failed(&error))
    }

    /// What the dump holds, which has so many bytes.
    fn read_again(&self, united: Option<&Path>, bytes: u64) -> Result<Summary, Failure> {
        let file = united.map_or_else(|| self.file.handle(), File::open);
        let mut file = file.map_err(|error| self.failed(&error))?;
        file.rewind().map_err(|error| self.failed(&error))?;
        let mut stored = self.stored_as(self.format, file, u64::MAX)?;
        let mut reader = Reader::with((), Lengths::Final);
        while let Some(bytes) = stored.next()? {
            reader.push(bytes).map_err(|error| changed(&error.to_string()))?;
        }
        let summary = reader.finish().map_err(|error| changed(&error.to_string()))?;
        if summary.bytes != bytes || !summary.ended {
            return Err(changed(OTHERWISE));
        }
        Ok(summary)
    }

    fn name(self, united: Option<&Path>) -> Result<(), Failure> {
        self.file.name(united)?;
        for name in [P0, PACKED, NEW, JSON].map(|suffix| self.file.beside(suffix)) {
            // The dump has its name: what is left beside it harms nobody.
            let _ = fs::remove_file(name);
        }
        Ok(())
    }

    fn stored_as(&self, format: Format, file: File, length: u64) -> Result<Stored, Failure> {
        let reader = format.reader(file, length).map_err(|error| self.failed(&error))?;
        Ok(Stored { reader, buffer: vec![0; MAX_BLOCK] })
    }

    fn failed(&self, error: &io::Error) -> Failure {
        unwritable(self.file.part(), error)
    }
}

/// Whether the second stream lies beside FILE.part, or as much of it as has not been moved: a join makes room for all of it
/// before the first byte leaves.
fn part_is_there(file: &DumpFile, plan: &Plan) -> Result<(), Failure> {
    let length = |path: &Path| fs::symlink_metadata(path).ok().map(|meta| meta.len());
    let beside = file.beside(P0);
    let lacks = match length(&beside) {
        None => plan.part > 0,
        Some(part) => part < plan.part && length(file.part()).is_none_or(|main| main < plan.at + plan.part),
    };
    if lacks {
        let remedy = format!("put {} back where it was, or start afresh with --no-resume", beside.display());
        return Err(changed("its second file is not there, or shorter than its record says").remedy(remedy));
    }
    Ok(())
}

/// Writes all of `from` to `to` in pieces; whether the first of them is the file's first.
///
/// # Errors
/// Those of reading and writing.
pub(super) fn pieces(
    mut from: impl Read,
    encoder: &mut Encoder,
    to: &mut impl Write,
    mut first: bool,
) -> io::Result<()> {
    let mut block = Vec::with_capacity(MAX_BLOCK);
    loop {
        block.clear();
        from.by_ref().take(MAX_BLOCK as u64).read_to_end(&mut block)?;
        if block.is_empty() {
            return Ok(());
        }
        to.write_all(encoder.encode(&block, first)?)?;
        first = false;
    }
}

impl Place for Files {
    fn safe(&self) -> watch::Receiver<Safe> {
        self.safe.clone()
    }

    fn begin(&mut self, started: &Started) -> Result<(), Failure> {
        self.settle()?;
        self.mark = Mark::default();
        self.guard.is_at(0);
        let begun = self.cut().and_then(|()| {
            let books = self.keeper.books()?;
            (books.record.job, books.record.whole) = (Some(Job::from(started)), None);
            books.enter(Mark::default())
        });
        begun.map_err(|error| self.failed(&error))
    }

    fn write(&mut self, stream: u32, bytes: &[u8]) -> Result<(), Failure> {
        self.guard.pass(bytes.len())?;
        let written = if stream == 0 { self.write_main(bytes) } else { self.write_piece(stream as usize, bytes) };
        written.map_err(|error| self.failed(&error))?;
        self.keeper.mark(self.mark);
        Ok(())
    }

    fn settle(&mut self) -> Result<(), Failure> {
        let settled = self.keeper.books().map(drop);
        settled.map_err(|error| self.failed(&error))
    }

    fn seal(&mut self, patches: &[Patch]) -> Result<(), Failure> {
        let plan = self.plan(patches)?;
        let sealed = self.keeper.books().and_then(|books| {
            books.record.whole = Some(plan);
            books.save()
        });
        sealed.map_err(|error| self.failed(&error))
    }

    fn complete(mut self) -> Result<(), Failure> {
        let united = self.united()?;
        self.name(united.as_deref())
    }
}

impl Drop for Files {
    /// What was written becomes safe, and nobody but us had the files open when the lock is gone.
    fn drop(&mut self) {
        let _ = self.keeper.books();
    }
}

/// The bytes of a stream that are there already.
pub(super) struct Stored {
    reader: Box<dyn Read>,
    buffer: Vec<u8>,
}

impl Stored {
    /// The next of them.
    ///
    /// # Errors
    /// 8 where they cannot be unpacked, or read.
    pub(super) fn next(&mut self) -> Result<Option<&[u8]>, Failure> {
        match self.reader.read(&mut self.buffer) {
            Ok(0) => Ok(None),
            Ok(count) => Ok(Some(&self.buffer[..count])),
            Err(error) => Err(changed(&error.to_string())),
        }
    }
}

const SHORTER: &str = "it is shorter than its record says";
const OTHERWISE: &str = "it holds another number of bytes than its record says";

fn changed(evidence: &str) -> Failure {
    Failure::new(Id::Gone, "what is there of the dump cannot be gone on with")
        .evidence(evidence)
        .remedy("start afresh with --no-resume")
}
