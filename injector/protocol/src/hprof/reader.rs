//! The reader itself: its state, and what a push and the end of the stream do to it.

use super::carry::Carry;
use super::error::Error;
use super::item::{Fields, Header, IdSize, Version};
use super::record::RECORD_HEAD;
use super::tag::Tag;
use super::visitor::Visitor;

/// What a dump holds, as far as it was read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Bytes pushed.
    pub bytes: u64,
    /// Top-level records, HEAP_DUMP_END included.
    pub records: u64,
    /// INSTANCE_DUMP sub-records.
    pub instances: u64,
    /// OBJECT_ARRAY_DUMP and PRIMITIVE_ARRAY_DUMP sub-records.
    pub arrays: u64,
    /// CLASS_DUMP sub-records.
    pub classes: u64,
    /// 4 or 8; 0 before the header was read.
    pub id_size: u8,
    /// HEAP_DUMP and HEAP_DUMP_SEGMENT records.
    pub heap_records: u64,
    /// HEAP_DUMP_END was there. A whole dump in the unsegmented form of HPROF 1.0.1 has none.
    pub ended: bool,
}

impl Summary {
    /// What the whole dump holds of which this is the main stream and `part` the other, both read to their ends.
    ///
    /// # Errors
    /// [`Error::IdSizes`] when the part was read with identifiers of another size than the header gives, and
    /// [`Error::NoHeap`] when neither stream held a heap record.
    pub fn joined(self, part: &Summary) -> Result<Summary, Error> {
        if part.id_size != self.id_size && part.bytes > 0 {
            return Err(Error::IdSizes { header: self.id_size, assumed: part.id_size });
        }
        let joined = Summary {
            bytes: self.bytes + part.bytes,
            records: self.records + part.records,
            instances: self.instances + part.instances,
            arrays: self.arrays + part.arrays,
            classes: self.classes + part.classes,
            heap_records: self.heap_records + part.heap_records,
            ..self
        };
        if joined.heap_records == 0 {
            return Err(Error::NoHeap { offset: joined.bytes.saturating_sub(RECORD_HEAD as u64) });
        }
        Ok(joined)
    }
}

/// What a heap record's length of 0 means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Lengths {
    /// The dump is broken: no JVM writes a heap record with nothing in it.
    #[default]
    Final,
    /// The JVM will come back and put the length in when the segment is done (JDK 8, read while it writes). Such a
    /// segment goes up to the tag of the next, or to HEAP_DUMP_END, which no sub-record begins with; compare
    /// [`Visitor::heap_record_end`] with what is put in later.
    Pending,
}

/// Verifies a heap dump pushed in portions of any size; see the [module](super).
///
/// ```
/// use jattach_protocol::hprof::{Error, Reader};
///
/// let mut reader = Reader::new();
/// reader.push(b"JAVA PROFILE 1.0.2\0\0\0\0\x08")?;
/// assert!(matches!(reader.finish(), Err(Error::Truncated { offset: 23, .. })));
/// # Ok::<(), Error>(())
/// ```
#[derive(Debug)]
pub struct Reader<V = ()> {
    pub(super) visitor: V,
    pub(super) lengths: Lengths,
    pub(super) stream: Stream,
    pub(super) state: State,
    pub(super) carry: Carry,
    version: Version,
    pub(super) ids: IdSize,
    /// Bytes dealt with: where the next head begins, or the rest of a body.
    pub(super) offset: u64,
    /// The header, record or sub-record being read, for errors.
    pub(super) item: Item,
    pub(super) record: Open,
    pub(super) heap: Heap,
    pub(super) summary: Summary,
    failure: Option<Error>,
}

/// What of a dump is being read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stream {
    Whole,
    /// The first of two: heap records may be in the other one alone.
    Main,
    /// The second of two: whole records, without the file's header and HEAP_DUMP_END.
    Part,
}

/// What the next bytes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Magic,
    Sizes,
    /// The 9 bytes before a record.
    RecordHead,
    /// The fixed fields of a record.
    RecordFields(Tag),
    /// A sub-record's tag and fixed fields.
    SubRecord,
    /// The number of entries of one of a class's tables.
    TableCount(Table),
    /// An entry of such a table, of which so many are left.
    TableEntry(Table, u16),
    /// So many bytes of a body, never 0, and what comes after it.
    Body(u64, After),
    Ended,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum After {
    Record,
    SubRecord,
    /// So many entries are left in the table.
    Table(Table, u16),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Table {
    Constants,
    Statics,
    Fields,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Item {
    pub(super) begin: u64,
    pub(super) name: &'static str,
}

/// The record being read.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) offset: u64,
    pub(super) tag: Tag,
    /// As its header gives it.
    pub(super) length: u32,
    /// Bytes not yet claimed by a field or a sub-record.
    pub(super) left: u64,
    /// A heap record read up to the next one's tag.
    pub(super) pending: bool,
    /// The first sub-record that went over the given length: harmless only if 4 GiB further on the record ends exactly.
    pub(super) crossed: Option<Item>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Heap {
    Unseen,
    /// HEAP_DUMP only: in HPROF 1.0.1 nothing need follow it.
    Whole,
    /// At least one HEAP_DUMP_SEGMENT: HEAP_DUMP_END must follow.
    Segmented,
}

impl Reader {
    /// A plain verifier.
    #[must_use]
    pub fn new() -> Self {
        Reader::with((), Lengths::Final)
    }
}

impl Default for Reader {
    fn default() -> Self {
        Reader::new()
    }
}

impl<V: Visitor> Reader<V> {
    /// A reader that tells `visitor` what it meets.
    #[must_use]
    pub fn with(visitor: V, lengths: Lengths) -> Self {
        Reader {
            visitor,
            lengths,
            stream: Stream::Whole,
            state: State::Magic,
            carry: Carry::new(),
            version: Version::V1_0_2,
            ids: IdSize::Eight,
            offset: 0,
            item: Item { begin: 0, name: "file header" },
            record: Open { offset: 0, tag: Tag::HeapDumpEnd, length: 0, left: 0, pending: false, crossed: None },
            heap: Heap::Unseen,
            summary: Summary::default(),
            failure: None,
        }
    }

    /// A reader of the first of the two streams that JDK 22 and newer write: from the file's header to HEAP_DUMP_END, heap
    /// records or none between them.
    ///
    /// The JVM writes heap records to a second file (`x.p0`, see [`Reader::part`]), which it means to copy in before the
    /// 9 bytes of HEAP_DUMP_END (`VM_HeapDumper::work` and `DumpMerger::merge` in heapDumper.cpp). Both streams may be
    /// verified apart, each as it arrives: [`Summary::joined`] is then what the joined file holds.
    #[must_use]
    pub fn main(visitor: V) -> Self {
        Reader { stream: Stream::Main, ..Reader::with(visitor, Lengths::Final) }
    }

    /// A reader of the second of these two streams: it begins with a record, and is whole at the end of any.
    ///
    /// The size of identifiers stands in the main stream's header, which may arrive later: HotSpot keeps the last 1 MiB of
    /// that stream until this one is complete. Only 32-bit JVMs have other ones than [`IdSize::Eight`]: who assumes that
    /// learns from [`Summary::joined`] whether it was right. Offsets, in errors too, count from this stream's start.
    #[must_use]
    pub fn part(ids: IdSize, visitor: V) -> Self {
        let id_size = match ids {
            IdSize::Four => 4,
            IdSize::Eight => 8,
        };
        Reader {
            stream: Stream::Part,
            state: State::RecordHead,
            ids,
            summary: Summary { id_size, ..Summary::default() },
            ..Reader::with(visitor, Lengths::Final)
        }
    }

    /// Reads the next bytes of the stream: any number of them, cut anywhere.
    ///
    /// # Errors
    /// The first thing that is wrong, and the same again from then on.
    pub fn push(&mut self, mut bytes: &[u8]) -> Result<(), Error> {
        if let Some(failure) = &self.failure {
            return Err(failure.clone());
        }
        self.summary.bytes += bytes.len() as u64;
        while !bytes.is_empty() {
            if let Err(error) = self.step(&mut bytes) {
                let error = self.overrun().unwrap_or(error);
                self.failure = Some(error.clone());
                return Err(error);
            }
        }
        Ok(())
    }

    /// The end of the stream: what a whole dump held.
    ///
    /// A dump in the unsegmented form of HPROF 1.0.1 (JDK 7, early 8) has no end record: it is whole between two records
    /// once its HEAP_DUMP was there, and [`Summary::ended`] stays false. So it does in a [part](Reader::part), whole between
    /// any two records.
    ///
    /// # Errors
    /// What was wrong with the stream, or where it was cut off and what was expected there.
    pub fn finish(&self) -> Result<Summary, Error> {
        if let Some(failure) = &self.failure {
            return Err(failure.clone());
        }
        let at_boundary = self.state == State::RecordHead && self.carry.held() == 0;
        match (self.state, self.stream, self.heap) {
            (State::Ended, ..) => Ok(self.summary),
            (_, Stream::Part, _) if at_boundary => Ok(self.summary),
            (_, Stream::Whole, Heap::Whole) if at_boundary && self.version == Version::V1_0_1 => Ok(self.summary),
            _ if at_boundary => Err(Error::NotEnded { offset: self.summary.bytes }),
            _ => Err(self.overrun().unwrap_or_else(|| self.truncated())),
        }
    }

    /// What was read so far.
    #[must_use]
    pub fn summary(&self) -> &Summary {
        &self.summary
    }

    #[must_use]
    pub fn visitor(&self) -> &V {
        &self.visitor
    }

    pub(super) fn visitor_mut(&mut self) -> &mut V {
        &mut self.visitor
    }

    #[must_use]
    pub fn into_visitor(self) -> V {
        self.visitor
    }

    #[inline]
    fn step(&mut self, input: &mut &[u8]) -> Result<(), Error> {
        match self.state {
            State::SubRecord => self.sub_records(input),
            State::Body(left, after) => {
                self.body(left, after, input);
                Ok(())
            }
            State::RecordHead => self.record_head(input),
            State::RecordFields(tag) => self.record_fields(tag, input),
            State::TableCount(table) => {
                self.table_count(table, input);
                Ok(())
            }
            State::TableEntry(table, left) => self.table_entry(table, left, input),
            State::Magic => self.magic(input),
            State::Sizes => self.sizes(input),
            State::Ended => Err(Error::AfterEnd { offset: self.offset }),
        }
    }

    /// Takes a head of so many bytes and counts it; None when more input is needed.
    #[inline]
    pub(super) fn head<'a, 'b: 'a>(&'a mut self, length: usize, input: &mut &'b [u8]) -> Option<Fields<'a>> {
        let head = self.carry.take(length, input)?;
        self.offset += length as u64;
        Some(Fields::new(head, self.ids))
    }

    #[inline]
    pub(super) fn id_bytes(&self) -> usize {
        match self.ids {
            IdSize::Four => 4,
            IdSize::Eight => 8,
        }
    }

    fn magic(&mut self, input: &mut &[u8]) -> Result<(), Error> {
        let Some(head) = self.carry.take(MAGIC_1_0_2.len(), input) else { return Ok(()) };
        if head != MAGIC_1_0_1 && head != MAGIC_1_0_2 {
            let mut found = [0; 19];
            found.copy_from_slice(head);
            return Err(Error::NotHprof { found });
        }
        self.offset = head.len() as u64;
        self.state = State::Sizes;
        self.version = if head == MAGIC_1_0_1 { Version::V1_0_1 } else { Version::V1_0_2 };
        Ok(())
    }

    fn sizes(&mut self, input: &mut &[u8]) -> Result<(), Error> {
        let begin = self.offset;
        let Some(mut fields) = self.head(SIZES, input) else { return Ok(()) };
        let (size, millis) = (fields.u4(), fields.u8());
        (self.ids, self.summary.id_size) = match size {
            4 => (IdSize::Four, 4),
            8 => (IdSize::Eight, 8),
            found => return Err(Error::IdSize { offset: begin, found }),
        };
        self.visitor.header(&Header { version: self.version, ids: self.ids, millis });
        self.state = State::RecordHead;
        Ok(())
    }

    /// Begins a body of `length` bytes, or skips it at once when it is empty.
    #[inline]
    pub(super) fn begin_body(&mut self, length: u64, after: After) {
        if length == 0 {
            self.resume(after);
        } else {
            self.state = State::Body(length, after);
        }
    }

    #[inline]
    pub(super) fn body(&mut self, left: u64, after: After, input: &mut &[u8]) {
        let here = usize::try_from(left).unwrap_or(usize::MAX).min(input.len());
        let (body, rest) = input.split_at(here);
        self.visitor.body(self.offset, body);
        *input = rest;
        self.offset += here as u64;
        self.begin_body(left - here as u64, after);
    }

    #[inline]
    fn resume(&mut self, after: After) {
        match after {
            After::SubRecord => self.end_sub_record(),
            After::Record => self.state = State::RecordHead,
            After::Table(table, left) => self.begin_table(table, left),
        }
    }

    /// Once a sub-record went over its record's end, whatever is found wrong later in that record is that one's fault.
    fn overrun(&self) -> Option<Error> {
        let Item { begin, name } = self.record.crossed?;
        let (record, length) = (self.record.offset, u64::from(self.record.length));
        Some(Error::Overrun { offset: begin, name, record, length })
    }

    fn truncated(&self) -> Error {
        let offset = self.summary.bytes;
        let held = self.carry.held();
        let Item { begin, name } = self.item;
        let (name, begin, missing) = match self.state {
            State::Magic => (name, begin, MAGIC_1_0_2.len() as u64 + SIZES as u64 - held),
            State::Sizes => (name, begin, SIZES as u64 - held),
            State::RecordHead | State::Ended => ("record", self.offset, RECORD_HEAD as u64 - held),
            State::RecordFields(_) => (name, begin, self.record.left - held),
            State::SubRecord => match self.carry.peek(&[]) {
                Some(code) => (name, begin, self.sub_record_missing(code)),
                None => {
                    (self.record.tag.name(), self.record.offset, if self.record.pending { 1 } else { self.record.left })
                }
            },
            State::TableCount(_) => (name, begin, 2 - held),
            State::TableEntry(table, _) => (name, begin, self.table_entry_head(table) as u64 - held),
            State::Body(left, _) => (name, begin, left),
        };
        Error::Truncated { offset, name, begin, missing }
    }
}

/// Bytes of the header after its first line: identifier size, time.
const SIZES: usize = 4 + 8;
const MAGIC_1_0_1: &[u8] = b"JAVA PROFILE 1.0.1\0";
const MAGIC_1_0_2: &[u8] = b"JAVA PROFILE 1.0.2\0";
