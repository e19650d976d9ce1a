//! The sub-records of HEAP_DUMP and HEAP_DUMP_SEGMENT. This is where nearly all of a dump's bytes pass.

use super::error::Error;
use super::item::{Class, Instance, ObjectArray, PrimitiveArray, Root};
use super::reader::{After, Item, Reader, State, Table};
use super::tag::{RootKind, Sub, Tag, Type};
use super::visitor::Visitor;

/// A record's length is 32 bits wide: an old writer's longer record gives its length less a multiple of this.
const WRAP: u64 = 1 << 32;

impl<V: Visitor> Reader<V> {
    #[inline]
    pub(super) fn sub_records(&mut self, input: &mut &[u8]) -> Result<(), Error> {
        while self.state == State::SubRecord
            && !input.is_empty()
            && let Some(code) = self.carry.peek(input)
        {
            let Some(sub) = Sub::of(code) else { return self.no_sub_record(code) };
            self.item = Item { begin: self.offset, name: sub.name() };
            match sub {
                Sub::Instance => self.instance(input),
                Sub::ObjectArray => self.object_array(input),
                Sub::PrimitiveArray => self.primitive_array(input)?,
                Sub::Class => self.class(input),
                Sub::Root(kind) => self.root(kind, input),
            }
            // Most bodies lie in the input whole: this saves a turn of the outer loop for each.
            if let State::Body(left, After::SubRecord) = self.state
                && !input.is_empty()
            {
                self.body(left, After::SubRecord, input);
            }
        }
        Ok(())
    }

    #[cold]
    fn no_sub_record(&mut self, code: u8) -> Result<(), Error> {
        if self.record.pending && matches!(Tag::of(code), Some(Tag::HeapDumpSegment | Tag::HeapDumpEnd)) {
            self.end_heap_record();
            return Ok(());
        }
        Err(Error::UnknownSubRecord { offset: self.offset, code, record: self.record.offset })
    }

    /// Bytes of a sub-record's tag and fixed fields.
    #[inline]
    fn sub_record_head(&self, sub: Sub) -> usize {
        let id = self.id_bytes();
        match sub {
            Sub::Instance => 1 + id + 4 + id + 4,
            Sub::ObjectArray => 1 + id + 4 + 4 + id,
            Sub::PrimitiveArray => 1 + id + 4 + 4 + 1,
            Sub::Class => 1 + id + 4 + 6 * id + 4 + 2,
            Sub::Root(kind) => match kind {
                RootKind::Unknown | RootKind::StickyClass | RootKind::MonitorUsed => 1 + id,
                RootKind::JniGlobal => 1 + id + id,
                RootKind::NativeStack | RootKind::ThreadBlock => 1 + id + 4,
                RootKind::JniLocal | RootKind::JavaFrame | RootKind::ThreadObject => 1 + id + 4 + 4,
            },
        }
    }

    /// Bytes still expected for a sub-record of which the first byte is there.
    pub(super) fn sub_record_missing(&self, code: u8) -> u64 {
        Sub::of(code).map_or(0, |sub| self.sub_record_head(sub) as u64 - self.carry.held())
    }

    #[inline]
    fn instance(&mut self, input: &mut &[u8]) {
        let (offset, head) = (self.offset, self.sub_record_head(Sub::Instance));
        let Some(mut fields) = self.head(head, input) else { return };
        fields.u1();
        let instance =
            Instance { offset, id: fields.id(), trace: fields.u4(), class: fields.id(), length: fields.u4() };
        self.summary.instances += 1;
        self.visitor.instance(&instance);
        self.content(head, u64::from(instance.length));
    }

    #[inline]
    fn object_array(&mut self, input: &mut &[u8]) {
        let (offset, head) = (self.offset, self.sub_record_head(Sub::ObjectArray));
        let Some(mut fields) = self.head(head, input) else { return };
        fields.u1();
        let array =
            ObjectArray { offset, id: fields.id(), trace: fields.u4(), length: fields.u4(), class: fields.id() };
        self.summary.arrays += 1;
        self.visitor.object_array(&array);
        self.content(head, u64::from(array.length) * self.ids.bytes());
    }

    #[inline]
    fn primitive_array(&mut self, input: &mut &[u8]) -> Result<(), Error> {
        let (offset, head) = (self.offset, self.sub_record_head(Sub::PrimitiveArray));
        let Some(mut fields) = self.head(head, input) else { return Ok(()) };
        fields.u1();
        let (id, trace, length, code) = (fields.id(), fields.u4(), fields.u4(), fields.u1());
        let element = match Type::of(code) {
            None | Some(Type::Object) => return Err(self.unknown_type(code)),
            Some(element) => element,
        };
        self.summary.arrays += 1;
        self.visitor.primitive_array(&PrimitiveArray { offset, id, trace, length, element });
        self.content(head, u64::from(length) * element.size(self.ids));
        Ok(())
    }

    fn root(&mut self, kind: RootKind, input: &mut &[u8]) {
        let (offset, head) = (self.offset, self.sub_record_head(Sub::Root(kind)));
        let Some(mut fields) = self.head(head, input) else { return };
        fields.u1();
        let object = fields.id();
        let thread = match kind {
            RootKind::Unknown | RootKind::StickyClass | RootKind::MonitorUsed | RootKind::JniGlobal => None,
            RootKind::NativeStack
            | RootKind::ThreadBlock
            | RootKind::JniLocal
            | RootKind::JavaFrame
            | RootKind::ThreadObject => Some(fields.u4()),
        };
        self.visitor.root(&Root { offset, kind, object, thread });
        self.content(head, 0);
    }

    fn class(&mut self, input: &mut &[u8]) {
        let (offset, head) = (self.offset, self.sub_record_head(Sub::Class));
        let Some(mut fields) = self.head(head, input) else { return };
        fields.u1();
        let (id, trace, super_class, loader) = (fields.id(), fields.u4(), fields.id(), fields.id());
        let _signers_domain_reserved: [u64; 4] = std::array::from_fn(|_| fields.id());
        let class = Class { offset, id, trace, super_class, loader, instance_size: fields.u4() };
        let constants = fields.u2();
        self.summary.classes += 1;
        self.visitor.class(&class);
        self.claim(head as u64);
        self.begin_table(Table::Constants, constants);
    }

    /// Goes to a table's next entry, or past it when there is none left.
    pub(super) fn begin_table(&mut self, table: Table, left: u16) {
        self.state = match table {
            _ if left > 0 => State::TableEntry(table, left),
            Table::Constants => State::TableCount(Table::Statics),
            Table::Statics => State::TableCount(Table::Fields),
            Table::Fields => {
                self.visitor.class_end();
                return self.end_sub_record();
            }
        };
    }

    pub(super) fn table_count(&mut self, table: Table, input: &mut &[u8]) {
        let Some(mut fields) = self.head(2, input) else { return };
        let count = fields.u2();
        self.claim(2);
        self.begin_table(table, count);
    }

    pub(super) fn table_entry_head(&self, table: Table) -> usize {
        match table {
            Table::Constants => 2 + 1,
            Table::Statics | Table::Fields => self.id_bytes() + 1,
        }
    }

    pub(super) fn table_entry(&mut self, table: Table, left: u16, input: &mut &[u8]) -> Result<(), Error> {
        let head = self.table_entry_head(table);
        let Some(mut fields) = self.head(head, input) else { return Ok(()) };
        let (index, name) = if table == Table::Constants { (fields.u2(), 0) } else { (0, fields.id()) };
        let code = fields.u1();
        let Some(kind) = Type::of(code) else { return Err(self.unknown_type(code)) };
        let value = match table {
            Table::Constants => {
                self.visitor.constant(index, kind);
                kind.size(self.ids)
            }
            Table::Statics => {
                self.visitor.static_field(name, kind);
                kind.size(self.ids)
            }
            Table::Fields => {
                self.visitor.field(name, kind);
                0
            }
        };
        self.claim(head as u64 + value);
        self.begin_body(value, After::Table(table, left - 1));
        Ok(())
    }

    #[cold]
    fn unknown_type(&self, code: u8) -> Error {
        let Item { begin, name } = self.item;
        Error::UnknownType { offset: begin, code, name }
    }

    /// After a sub-record's head: its body.
    #[inline]
    fn content(&mut self, head: usize, body: u64) {
        self.claim(head as u64 + body);
        self.begin_body(body, After::SubRecord);
    }

    /// Counts bytes of a sub-record against its heap record.
    #[inline]
    fn claim(&mut self, length: u64) {
        if length > self.record.left {
            self.cross(length);
        }
        self.record.left -= length;
    }

    /// A sub-record that goes over its record's end is wrong, unless the record is one of an old writer's that are longer
    /// than their length can say: this shows only at their end.
    #[cold]
    fn cross(&mut self, length: u64) {
        self.record.crossed.get_or_insert(self.item);
        self.record.left += (length - self.record.left).div_ceil(WRAP) * WRAP;
    }

    #[inline]
    pub(super) fn end_sub_record(&mut self) {
        if self.record.left == 0 {
            self.end_heap_record();
        } else {
            self.state = State::SubRecord;
        }
    }

    fn end_heap_record(&mut self) {
        let begin = self.record.offset;
        self.visitor.heap_record_end(begin, self.offset - begin - super::record::RECORD_HEAD as u64);
        self.record.crossed = None;
        self.state = State::RecordHead;
    }
}
