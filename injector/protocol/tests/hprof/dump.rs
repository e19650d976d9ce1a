//! Makes valid dumps in memory, of everything that the format has.

use jattach_protocol::hprof::Summary;
use proptest::collection::vec;
use proptest::prelude::*;

pub(crate) const VALUE_TYPES: [(u8, usize); 8] = [(4, 1), (5, 2), (6, 4), (7, 8), (8, 1), (9, 2), (10, 4), (11, 8)];
/// Codes of the roots, and the bytes after the object's identifier: identifiers, then others.
const ROOTS: [(u8, usize, usize); 9] = [
    (0xff, 0, 0),
    (0x01, 1, 0),
    (0x02, 0, 8),
    (0x03, 0, 8),
    (0x04, 0, 4),
    (0x05, 0, 0),
    (0x06, 0, 4),
    (0x07, 0, 0),
    (0x08, 0, 8),
];

#[derive(Clone, Debug)]
pub(crate) enum Record {
    Utf8(usize),
    Trace(u32),
    AllocSites(u32),
    CpuSamples(u32),
    /// A tag, its identifiers and its other bytes.
    Fixed(u8, usize, usize),
    Segment(Vec<Sub>),
}

#[derive(Clone, Debug)]
pub(crate) enum Sub {
    Root(usize),
    /// Indices of types: constants, static fields, instance fields.
    Class(Vec<usize>, Vec<usize>, Vec<usize>),
    Instance(u32),
    Objects(u32),
    Values(usize, u32),
}

/// A dump's bytes and what is known of them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Dump {
    pub(crate) bytes: Vec<u8>,
    pub(crate) summary: Summary,
    /// Where each field of 32 bits lies that says how long something is, and whether its tag or a count says so, too.
    pub(crate) lengths: Vec<(usize, bool)>,
    ids: usize,
    filler: u8,
}

impl Dump {
    pub(crate) fn new(version: &[u8], ids: u8) -> Dump {
        let mut dump = Dump { ids: ids.into(), ..Dump::default() };
        dump.summary.id_size = ids;
        dump.bytes.extend_from_slice(version);
        // The end of the version, then the identifier size.
        dump.bytes.extend_from_slice(&[0, 0, 0, 0, ids]);
        dump.fill(8);
        dump
    }

    /// A dump of these records, closed by HEAP_DUMP_END.
    pub(crate) fn of(ids: u8, records: &[Record]) -> Dump {
        let mut dump = Dump::new(b"JAVA PROFILE 1.0.2", ids);
        records.iter().for_each(|record| dump.record(record));
        dump.end()
    }

    /// The second of two streams: these records alone.
    pub(crate) fn part(ids: u8, records: &[Record]) -> Dump {
        let mut dump = Dump { ids: ids.into(), ..Dump::default() };
        dump.summary.id_size = ids;
        records.iter().for_each(|record| dump.record(record));
        dump.summary.bytes = dump.bytes.len() as u64;
        dump
    }

    pub(crate) fn end(mut self) -> Dump {
        self.begin(0x2c, 0, true);
        self.summary.ended = true;
        self.summary.bytes = self.bytes.len() as u64;
        self
    }

    /// Bytes that count up, so that every tag, type and length turns up among them.
    fn fill(&mut self, count: usize) {
        for _ in 0..count {
            self.filler = self.filler.wrapping_add(1);
            self.bytes.push(self.filler);
        }
    }

    fn count(&mut self, count: u32, exact: bool) {
        self.lengths.push((self.bytes.len(), exact));
        self.bytes.extend_from_slice(&count.to_be_bytes());
    }

    fn begin(&mut self, tag: u8, length: usize, exact: bool) {
        self.bytes.push(tag);
        self.fill(4);
        self.count(u32::try_from(length).expect("tests make small records"), exact);
        self.summary.records += 1;
    }

    fn counted(&mut self, tag: u8, head: usize, count: u32, entry: usize) {
        self.begin(tag, head + 4 + count as usize * entry, true);
        self.fill(head);
        self.count(count, true);
        self.fill(count as usize * entry);
    }

    pub(crate) fn record(&mut self, record: &Record) {
        match record {
            Record::Utf8(length) => {
                self.begin(0x01, self.ids + length, false);
                self.fill(self.ids + length);
            }
            Record::Trace(frames) => self.counted(0x05, 8, *frames, self.ids),
            Record::AllocSites(sites) => self.counted(0x06, 30, *sites, 25),
            Record::CpuSamples(samples) => self.counted(0x0d, 4, *samples, 8),
            Record::Fixed(tag, ids, others) => {
                let length = ids * self.ids + others;
                self.begin(*tag, length, true);
                self.fill(length);
            }
            Record::Segment(subs) => self.heap(0x1c, subs),
        }
    }

    /// A HEAP_DUMP or HEAP_DUMP_SEGMENT.
    pub(crate) fn heap(&mut self, tag: u8, subs: &[Sub]) {
        self.begin(tag, 0, false);
        self.summary.heap_records += 1;
        let begin = self.bytes.len();
        subs.iter().for_each(|sub| self.sub(sub));
        let length = u32::try_from(self.bytes.len() - begin).expect("tests make small records");
        self.bytes[begin - 4..begin].copy_from_slice(&length.to_be_bytes());
    }

    fn sub(&mut self, sub: &Sub) {
        match sub {
            Sub::Root(kind) => {
                let (code, ids, others) = ROOTS[*kind];
                self.bytes.push(code);
                self.fill((1 + ids) * self.ids + others);
            }
            Sub::Class(constants, statics, fields) => self.class(constants, statics, fields),
            Sub::Instance(length) => {
                self.bytes.push(0x21);
                self.fill(self.ids + 4 + self.ids);
                self.count(*length, false);
                self.fill(*length as usize);
                self.summary.instances += 1;
            }
            Sub::Objects(length) => {
                self.bytes.push(0x22);
                self.fill(self.ids + 4);
                self.count(*length, false);
                self.fill(self.ids + *length as usize * self.ids);
                self.summary.arrays += 1;
            }
            Sub::Values(kind, length) => {
                let (code, size) = VALUE_TYPES[*kind];
                self.bytes.push(0x23);
                self.fill(self.ids + 4);
                self.count(*length, false);
                self.bytes.push(code);
                self.fill(*length as usize * size);
                self.summary.arrays += 1;
            }
        }
    }

    fn class(&mut self, constants: &[usize], statics: &[usize], fields: &[usize]) {
        self.bytes.push(0x20);
        self.fill(7 * self.ids + 4 + 4);
        for (table, name, valued) in [(constants, 2, true), (statics, self.ids, true), (fields, self.ids, false)] {
            let count = u16::try_from(table.len()).expect("tests make small classes");
            self.bytes.extend_from_slice(&count.to_be_bytes());
            for kind in table {
                let (code, size) = VALUE_TYPES.get(*kind).copied().unwrap_or((2, self.ids));
                self.fill(name);
                self.bytes.push(code);
                self.fill(if valued { size } else { 0 });
            }
        }
        self.summary.classes += 1;
    }
}

fn sub() -> impl Strategy<Value = Sub> {
    let types = || vec(0..=VALUE_TYPES.len(), 0..4);
    prop_oneof![
        (0..ROOTS.len()).prop_map(Sub::Root),
        (types(), types(), types()).prop_map(|(constants, statics, fields)| Sub::Class(constants, statics, fields)),
        (0..80_u32).prop_map(Sub::Instance),
        (0..20_u32).prop_map(Sub::Objects),
        (0..VALUE_TYPES.len(), 0..70_u32).prop_map(|(kind, length)| Sub::Values(kind, length)),
    ]
}

pub(crate) fn record() -> impl Strategy<Value = Record> {
    prop_oneof![
        3 => (0..40_usize).prop_map(Record::Utf8),
        1 => (0..9_u32).prop_map(Record::Trace),
        1 => (0..5_u32).prop_map(Record::AllocSites),
        1 => (0..5_u32).prop_map(Record::CpuSamples),
        3 => prop_oneof![
            Just(Record::Fixed(0x02, 2, 8)),
            Just(Record::Fixed(0x03, 0, 4)),
            Just(Record::Fixed(0x04, 4, 8)),
            Just(Record::Fixed(0x07, 0, 24)),
            Just(Record::Fixed(0x0a, 4, 8)),
            Just(Record::Fixed(0x0b, 0, 4)),
            Just(Record::Fixed(0x0e, 0, 6)),
        ],
        4 => vec(sub(), 1..12).prop_map(Record::Segment),
    ]
}

/// A whole dump with at least one segment, records of any kind around it.
pub(crate) fn dump() -> impl Strategy<Value = Dump> {
    let segment = vec(sub(), 1..12).prop_map(Record::Segment);
    (prop_oneof![Just(4), Just(8)], vec(record(), 0..8), segment, vec(record(), 0..4)).prop_map(
        |(ids, mut records, segment, after)| {
            records.push(segment);
            records.extend(after);
            Dump::of(ids, &records)
        },
    )
}
