//! Top-level records: how long each must be, and what it holds.

use super::error::Error;
use super::item::{Frame, IdSize, LoadClass, Record, Trace};
use super::reader::{After, Heap, Item, Lengths, Open, Reader, State, Stream};
use super::tag::Tag;
use super::visitor::Visitor;

/// Bytes before a record's content: tag, microseconds since the header's time, length.
pub(super) const RECORD_HEAD: usize = 1 + 4 + 4;
const ALLOC_SITES_HEAD: usize = 2 + 4 + 4 + 4 + 8 + 8 + 4;
const ALLOC_SITE: u64 = 1 + 6 * 4;
const CPU_SAMPLES_HEAD: usize = 4 + 4;
const CPU_SAMPLE: u64 = 4 + 4;
const TRACE_HEAD: usize = 3 * 4;

/// What a record's tag alone says of its length.
enum Rule {
    Exactly(u64),
    AtLeast(u64),
}

fn rule(tag: Tag, ids: IdSize) -> Rule {
    let id = ids.bytes();
    match tag {
        Tag::Utf8 => Rule::AtLeast(id),
        Tag::LoadClass => Rule::Exactly(4 + id + 4 + id),
        Tag::UnloadClass | Tag::EndThread => Rule::Exactly(4),
        Tag::Frame => Rule::Exactly(4 * id + 4 + 4),
        Tag::Trace => Rule::AtLeast(TRACE_HEAD as u64),
        Tag::AllocSites => Rule::AtLeast(ALLOC_SITES_HEAD as u64),
        Tag::HeapSummary => Rule::Exactly(4 + 4 + 8 + 8),
        Tag::StartThread => Rule::Exactly(4 + id + 4 + 3 * id),
        Tag::CpuSamples => Rule::AtLeast(CPU_SAMPLES_HEAD as u64),
        Tag::ControlSettings => Rule::Exactly(4 + 2),
        Tag::HeapDump | Tag::HeapDumpSegment => Rule::AtLeast(0),
        Tag::HeapDumpEnd => Rule::Exactly(0),
    }
}

impl<V: Visitor> Reader<V> {
    pub(super) fn record_head(&mut self, input: &mut &[u8]) -> Result<(), Error> {
        let offset = self.offset;
        let Some(mut fields) = self.head(RECORD_HEAD, input) else { return Ok(()) };
        let (code, micros, length) = (fields.u1(), fields.u4(), fields.u4());
        let Some(tag) = Tag::of(code) else { return Err(Error::UnknownTag { offset, code }) };
        self.item = Item { begin: offset, name: tag.name() };
        self.record = Open { offset, tag, length, left: u64::from(length), pending: false, crossed: None };
        match rule(tag, self.ids) {
            Rule::Exactly(expected) => self.expect_length(expected)?,
            Rule::AtLeast(least) if u64::from(length) < least => {
                return Err(Error::TooShort { offset, name: tag.name(), length: length.into(), least });
            }
            Rule::AtLeast(_) => {}
        }
        self.summary.records += 1;
        self.visitor.record(&Record { offset, tag, micros, length });
        self.open_record(tag)
    }

    /// Goes to where the content of a record is read.
    fn open_record(&mut self, tag: Tag) -> Result<(), Error> {
        match tag {
            Tag::HeapDump | Tag::HeapDumpSegment => return self.open_heap_record(tag),
            Tag::HeapDumpEnd if self.stream == Stream::Part => {
                return Err(Error::EndInPart { offset: self.record.offset });
            }
            Tag::HeapDumpEnd if self.heap == Heap::Unseen && self.stream == Stream::Whole => {
                return Err(Error::NoHeap { offset: self.record.offset });
            }
            Tag::HeapDumpEnd => {
                self.summary.ended = true;
                self.state = State::Ended;
            }
            Tag::Utf8 | Tag::LoadClass | Tag::Frame | Tag::Trace | Tag::AllocSites | Tag::CpuSamples => {
                self.state = State::RecordFields(tag);
            }
            Tag::UnloadClass | Tag::HeapSummary | Tag::StartThread | Tag::EndThread | Tag::ControlSettings => {
                self.begin_body(self.record.left, After::Record);
            }
        }
        Ok(())
    }

    fn open_heap_record(&mut self, tag: Tag) -> Result<(), Error> {
        if self.record.length == 0 {
            // Without a length the end of a HEAP_DUMP cannot be told: what follows it may begin like a sub-record.
            if self.lengths == Lengths::Final || tag == Tag::HeapDump {
                return Err(Error::NoLength { offset: self.record.offset });
            }
            self.record.pending = true;
            self.record.left = u64::MAX;
        }
        self.summary.heap_records += 1;
        if tag == Tag::HeapDumpSegment {
            self.heap = Heap::Segmented;
        } else if self.heap == Heap::Unseen {
            self.heap = Heap::Whole;
        }
        self.state = State::SubRecord;
        Ok(())
    }

    pub(super) fn record_fields(&mut self, tag: Tag, input: &mut &[u8]) -> Result<(), Error> {
        match tag {
            Tag::Utf8 => self.utf8(input),
            Tag::LoadClass => self.load_class(input),
            Tag::Frame => self.frame(input),
            Tag::Trace => return self.trace(input),
            Tag::AllocSites => return self.counted(ALLOC_SITES_HEAD, ALLOC_SITE, input),
            _ => return self.counted(CPU_SAMPLES_HEAD, CPU_SAMPLE, input),
        }
        Ok(())
    }

    fn utf8(&mut self, input: &mut &[u8]) {
        let Some(mut fields) = self.head(self.id_bytes(), input) else { return };
        let id = fields.id();
        // The rule of the tag has been checked: there is an identifier in it.
        let length = self.record.left - self.ids.bytes();
        self.visitor.utf8(id, self.record.length - u32::from(self.summary.id_size));
        self.begin_body(length, After::Record);
    }

    fn load_class(&mut self, input: &mut &[u8]) {
        let Some(mut fields) = self.head(8 + 2 * self.id_bytes(), input) else { return };
        let class = LoadClass { serial: fields.u4(), class: fields.id(), trace: fields.u4(), name: fields.id() };
        self.visitor.load_class(&class);
        self.state = State::RecordHead;
    }

    fn frame(&mut self, input: &mut &[u8]) {
        let Some(mut fields) = self.head(8 + 4 * self.id_bytes(), input) else { return };
        let frame = Frame {
            id: fields.id(),
            method: fields.id(),
            signature: fields.id(),
            source: fields.id(),
            class_serial: fields.u4(),
            line: fields.u4().cast_signed(),
        };
        self.visitor.frame(&frame);
        self.state = State::RecordHead;
    }

    fn trace(&mut self, input: &mut &[u8]) -> Result<(), Error> {
        let Some(mut fields) = self.head(TRACE_HEAD, input) else { return Ok(()) };
        let trace = Trace { serial: fields.u4(), thread: fields.u4(), frames: fields.u4() };
        let body = u64::from(trace.frames) * self.ids.bytes();
        self.expect_length(TRACE_HEAD as u64 + body)?;
        self.visitor.trace(&trace);
        self.begin_body(body, After::Record);
        Ok(())
    }

    /// A record whose last fixed field is the number of entries that follow.
    fn counted(&mut self, head: usize, entry: u64, input: &mut &[u8]) -> Result<(), Error> {
        let Some(mut fields) = self.head(head, input) else { return Ok(()) };
        let body = entry * u64::from(fields.last_u4());
        self.expect_length(head as u64 + body)?;
        self.begin_body(body, After::Record);
        Ok(())
    }

    fn expect_length(&self, expected: u64) -> Result<(), Error> {
        let length = u64::from(self.record.length);
        if length == expected {
            return Ok(());
        }
        Err(Error::Length { offset: self.record.offset, name: self.record.tag.name(), length, expected })
    }
}
