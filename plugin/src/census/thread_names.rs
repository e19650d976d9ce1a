//! What the threads are called. A thread's name is three objects away from its root (the Thread, its String, the String's
//! array), and those lie anywhere in the dump: before the root, or after it. So they are looked for when the first pass is
//! over and all layouts are known, in the chunks that may hold them.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::ops::Range;

use jattach_protocol::hprof::{Class, Instance, ObjectArray, PrimitiveArray, Reader, Root, Tag, Type, Visitor};

use super::Census;
use super::chunks::Chunk;

/// Bytes of an object that are kept to read a field from, and of a name that are shown.
const MOST_BODY: usize = 4096;
const MOST_NAME: usize = 512;

/// Thread, String, array: an order against that of the dump costs a sweep for each.
const SWEEPS: usize = 3;

/// A dump that can be read again.
pub(crate) trait Again {
    /// Goes back to its beginning.
    fn rewind(&mut self) -> io::Result<()>;

    /// What lies in that place, which is none before the last.
    fn part(&mut self, place: Range<u64>) -> io::Result<impl Read>;
}

/// The names of the threads of a dump of which this is the census, by their serial numbers.
///
/// # Errors
/// Those of reading.
pub(crate) fn find(census: &Census, dump: &mut impl Again) -> io::Result<BTreeMap<u32, String>> {
    let mut search = Search::of(census);
    for _ in 0..SWEEPS {
        if search.wanted.is_empty() {
            break;
        }
        dump.rewind()?;
        search.arrivals = 0;
        for chunk in census.chunks.list() {
            if search.may_be_in(chunk) {
                search = search.through(chunk, dump.part(chunk.place.clone())?)?;
            }
        }
        if search.arrivals == 0 {
            break;
        }
    }
    Ok(search.found)
}

/// A visitor of the chunks that are read again.
struct Search<'c> {
    census: &'c Census,
    fields: Fields,
    /// Objects on the way to a name, by their identifiers.
    wanted: BTreeMap<u64, Wanted>,
    found: BTreeMap<u32, String>,
    arriving: Option<Arriving>,
    /// Wanted objects that came in this sweep.
    arrivals: usize,
}

/// The fields that are read: the class that declares each, and its name. None in a dump without them.
#[derive(Clone, Copy)]
struct Fields {
    thread_name: Option<(u64, u64)>,
    string_value: Option<(u64, u64)>,
    string_coder: Option<(u64, u64)>,
}

impl Fields {
    fn of(census: &Census) -> Fields {
        let [thread, name, string, value, coder] =
            census.names.ids_of([b"java/lang/Thread", b"name", b"java/lang/String", b"value", b"coder"]);
        Fields { thread_name: thread.zip(name), string_value: string.zip(value), string_coder: string.zip(coder) }
    }
}

#[derive(Clone, Debug)]
struct Wanted {
    kind: Kind,
    threads: Vec<u32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Thread,
    /// A String, or as JDK 7 had it, an array of char.
    Name,
    /// A String's array; `utf16` if its bytes are such.
    Text {
        utf16: bool,
    },
}

/// Bytes that are read at once.
const BLOCK: usize = 64 << 10;

/// The object whose body comes next.
struct Arriving {
    id: u64,
    what: What,
    left: u64,
    body: Vec<u8>,
}

enum What {
    /// An instance of that class.
    Instance(u64),
    Array(Type),
}

impl<'c> Search<'c> {
    fn of(census: &'c Census) -> Search<'c> {
        let (wanted, found) = (BTreeMap::new(), BTreeMap::new());
        let mut search = Search { census, fields: Fields::of(census), wanted, found, arriving: None, arrivals: 0 };
        for (serial, thread) in census.stacks.threads() {
            if let Some(object) = thread.object {
                search.want(object, Kind::Thread, &[serial]);
            }
        }
        search
    }

    fn want(&mut self, id: u64, kind: Kind, threads: &[u32]) {
        if id != 0 {
            let wanted = self.wanted.entry(id).or_insert(Wanted { kind, threads: Vec::new() });
            wanted.threads.extend_from_slice(threads);
        }
    }

    fn may_be_in(&self, chunk: &Chunk) -> bool {
        self.wanted.range(chunk.low..=chunk.high).next().is_some()
    }

    /// Reads a chunk: its sub-records, in a heap record of their own.
    fn through(self, chunk: &Chunk, mut part: impl Read) -> io::Result<Search<'c>> {
        let length = chunk.place.end - chunk.place.start;
        let mut head = vec![Tag::HeapDumpSegment as u8, 0, 0, 0, 0];
        // As the JVM does it where it is longer than 4 GiB.
        head.extend_from_slice(&length.to_be_bytes()[4..]);
        let mut reader = Reader::part(self.census.ids(), self);
        let mut block = vec![0; BLOCK];
        let mut next = reader.push(&head).map(|()| part.read(&mut block));
        // What was sound the first time is so now, or the file is being changed: then what was found before counts.
        while let Ok(read) = next {
            match read? {
                0 => break,
                length => next = reader.push(&block[..length]).map(|()| part.read(&mut block)),
            }
        }
        Ok(reader.into_visitor())
    }

    fn begin(&mut self, id: u64, what: What, bytes: u64) {
        self.arriving = None;
        if self.wanted.contains_key(&id) {
            self.arriving = Some(Arriving { id, what, left: bytes, body: Vec::new() });
            if bytes == 0 {
                self.arrived();
            }
        }
    }

    /// An object that was wanted is there: it gives the name, or the next object on the way to it.
    fn arrived(&mut self) {
        let Some(Arriving { id, what, body, .. }) = self.arriving.take() else { return };
        let Some(Wanted { kind, threads }) = self.wanted.remove(&id) else { return };
        self.arrivals += 1;
        match (kind, what) {
            (Kind::Thread, What::Instance(class)) => {
                if let Some(name) = self.reference(class, self.fields.thread_name, &body) {
                    self.want(name, Kind::Name, &threads);
                }
            }
            (Kind::Name, What::Instance(class)) => {
                // Absent before JDK 9, where all is UTF-16.
                let coder = self.value(class, self.fields.string_coder, &body);
                let utf16 = coder.is_some_and(|(_, value)| value.first() == Some(&1));
                if let Some(text) = self.reference(class, self.fields.string_value, &body) {
                    self.want(text, Kind::Text { utf16 }, &threads);
                }
            }
            (Kind::Name | Kind::Text { .. }, What::Array(Type::Char)) => self.name(&threads, &big_endian(&body)),
            (Kind::Text { utf16: false }, What::Array(Type::Byte)) => self.name(&threads, &latin1(&body)),
            // In the order of the JVM's processor, which for all but s390x is this.
            (Kind::Text { utf16: true }, What::Array(Type::Byte)) => self.name(&threads, &little_endian(&body)),
            _ => {}
        }
    }

    fn name(&mut self, threads: &[u32], name: &str) {
        // What `--redact` makes of every name.
        if name.chars().all(|c| c == '\0') {
            return;
        }
        for thread in threads {
            self.found.insert(*thread, name.to_owned());
        }
    }

    /// The value of a field in the body of an instance of `class`.
    fn value<'b>(&self, class: u64, field: Option<(u64, u64)>, body: &'b [u8]) -> Option<(Type, &'b [u8])> {
        let ((declared_by, name), ids) = (field?, self.census.ids());
        let (offset, kind) = self.census.classes.find_field(class, declared_by, name, ids)?;
        let length = usize::try_from(kind.size(ids)).ok()?;
        Some((kind, body.get(offset..offset.checked_add(length)?)?))
    }

    fn reference(&self, class: u64, field: Option<(u64, u64)>, body: &[u8]) -> Option<u64> {
        let (kind, value) = self.value(class, field, body)?;
        (kind == Type::Object).then(|| value.iter().fold(0, |id, byte| id << 8 | u64::from(*byte)))
    }
}

fn latin1(body: &[u8]) -> String {
    body.iter().map(|byte| char::from(*byte)).collect()
}

fn big_endian(body: &[u8]) -> String {
    let (units, _) = body.as_chunks();
    text(units.iter().map(|unit| u16::from_be_bytes(*unit)))
}

fn little_endian(body: &[u8]) -> String {
    let (units, _) = body.as_chunks();
    text(units.iter().map(|unit| u16::from_le_bytes(*unit)))
}

fn text(units: impl Iterator<Item = u16>) -> String {
    char::decode_utf16(units).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
}

impl Visitor for Search<'_> {
    fn root(&mut self, _root: &Root) {
        self.arriving = None;
    }

    fn class(&mut self, _class: &Class) {
        self.arriving = None;
    }

    fn instance(&mut self, instance: &Instance) {
        self.begin(instance.id, What::Instance(instance.class), instance.length.into());
    }

    fn object_array(&mut self, _array: &ObjectArray) {
        self.arriving = None;
    }

    fn primitive_array(&mut self, array: &PrimitiveArray) {
        let bytes = u64::from(array.length) * array.element.size(self.census.ids());
        self.begin(array.id, What::Array(array.element), bytes);
    }

    fn body(&mut self, _offset: u64, bytes: &[u8]) {
        let Some(arriving) = &mut self.arriving else { return };
        let most = if matches!(arriving.what, What::Array(_)) { MOST_NAME } else { MOST_BODY };
        let room = most - arriving.body.len();
        arriving.body.extend_from_slice(&bytes[..bytes.len().min(room)]);
        arriving.left = arriving.left.saturating_sub(bytes.len() as u64);
        if arriving.left == 0 {
            self.arrived();
        }
    }
}
