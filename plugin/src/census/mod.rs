//! What a heap dump holds: how many objects of each class and how large, the largest arrays, the threads and their stacks.
//!
//! A [`Census`] is told of a dump by the protocol's reader, once and in whatever order the dump has. Every size, count and
//! name is the file's choice: what is kept of them has a limit each, and what is left out is said
//! ([`Census::left_out`]). It knows neither files nor terminals.

mod chunks;
mod classes;
mod largest;
mod names;
mod shallow;
mod stacks;
mod thread_names;
mod zeroed;

use jattach_protocol::hprof::{
    self, Frame, Header, IdSize, Instance, LoadClass, ObjectArray, PrimitiveArray, Record, Root, RootKind, Trace, Type,
    Visitor,
};

use chunks::Chunks;
use classes::Classes;
use largest::{Elements, Largest};
pub(crate) use names::ClassName;
use names::Names;
use stacks::{Distinct, Stacks};
pub(crate) use thread_names::{Again, find as find_thread_names};
pub(crate) use zeroed::Zeroed;

/// Objects of one class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Objects<'c> {
    pub(crate) class: ClassName<'c>,
    pub(crate) count: u64,
    /// Shallow bytes of all of them: see [`shallow`].
    pub(crate) bytes: u64,
}

/// One array.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Array<'c> {
    pub(crate) class: ClassName<'c>,
    pub(crate) id: u64,
    /// Elements.
    pub(crate) length: u32,
    /// Shallow.
    pub(crate) bytes: u64,
}

/// One thread.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Thread {
    /// Its number within the dump.
    pub(crate) serial: u32,
    /// The identifier of its object, if the dump has come to where it stands.
    pub(crate) id: Option<u64>,
    /// The first frames, innermost first: numbers in the list of [`Threads`].
    pub(crate) frames: Vec<usize>,
    /// How many frames there are.
    pub(crate) depth: u32,
}

/// The threads in the order of the dump, and what their stacks are made of: no place in a method stands there twice.
pub(crate) struct Threads<'c> {
    pub(crate) list: Vec<Thread>,
    pub(crate) frames: Vec<Option<&'c Frame>>,
}

/// The visitor that counts.
pub(crate) struct Census {
    header: Option<Header>,
    names: Names,
    classes: Classes,
    /// Arrays of each primitive type, by its code, and their shallow bytes.
    values: [(u64, u64); Type::Long as usize + 1],
    largest: Largest,
    stacks: Stacks,
    chunks: Chunks,
    arriving: Arriving,
    zeroed: Zeroed,
}

/// The primitive types and their names.
const VALUES: [(Type, &str); 8] = [
    (Type::Boolean, "boolean[]"),
    (Type::Char, "char[]"),
    (Type::Float, "float[]"),
    (Type::Double, "double[]"),
    (Type::Byte, "byte[]"),
    (Type::Short, "short[]"),
    (Type::Int, "int[]"),
    (Type::Long, "long[]"),
];

/// What the body is of that comes next.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Arriving {
    Nothing,
    Name,
    Trace,
}

impl Census {
    /// A census that lists so many of the largest arrays.
    pub(crate) fn new(largest: usize) -> Census {
        Census {
            header: None,
            names: Names::default(),
            classes: Classes::default(),
            values: [(0, 0); Type::Long as usize + 1],
            largest: Largest::new(largest),
            stacks: Stacks::default(),
            chunks: Chunks::default(),
            arriving: Arriving::Nothing,
            zeroed: Zeroed::default(),
        }
    }

    /// What was redacted.
    pub(crate) fn zeroed(&self) -> &Zeroed {
        &self.zeroed
    }

    /// The dump has ended, or breaks, after so many bytes.
    pub(crate) fn end(&mut self, offset: u64) {
        self.chunks.end(offset);
        self.names.sort();
    }

    pub(crate) fn header(&self) -> Option<&Header> {
        self.header.as_ref()
    }

    fn ids(&self) -> IdSize {
        self.header.map_or(IdSize::Eight, |header| header.ids)
    }

    /// Which limits were met, in words.
    pub(crate) fn left_out(&self) -> Vec<String> {
        let mut left_out = Vec::new();
        if self.names.left_out > 0 {
            left_out.push(format!("{} names are too many, and stand as identifiers", self.names.left_out));
        }
        if self.classes.left_out {
            left_out.push("the classes are too many: those that came last are counted as one".to_owned());
        }
        if self.stacks.left_out {
            left_out.push("the threads or their frames are too many: those that came last are missing".to_owned());
        }
        left_out
    }

    /// What there is of each class that there is anything of, in no order.
    pub(crate) fn objects(&self) -> Vec<Objects<'_>> {
        let mut objects = Vec::new();
        for (id, class, bytes) in self.classes.counted(self.ids()) {
            let name = |array| match id {
                None => ClassName::Plain("(other classes)"),
                Some(id) => self.class_name(id, class.name, array),
            };
            if class.instances > 0 {
                objects.push(Objects { class: name(false), count: class.instances, bytes });
            }
            if class.arrays > 0 {
                objects.push(Objects { class: name(true), count: class.arrays, bytes: class.array_bytes });
            }
        }
        for (kind, name) in VALUES {
            let (count, bytes) = self.values[kind as usize];
            if count > 0 {
                objects.push(Objects { class: ClassName::Plain(name), count, bytes });
            }
        }
        objects
    }

    /// A class by its name, or where that is not known by its identifier.
    fn class_name(&self, id: u64, name: u64, is_array: bool) -> ClassName<'_> {
        let internal = self.names.get(name).filter(|name| !name.is_empty());
        internal.map_or(ClassName::Unnamed(id, is_array), |name| ClassName::Internal(name, is_array))
    }

    /// The largest arrays, the largest first.
    pub(crate) fn largest_arrays(&self) -> Vec<Array<'_>> {
        let class = |elements| match elements {
            Elements::Objects(class) => self.class_name(class, self.classes.name(class).unwrap_or(0), true),
            Elements::Values(code) => {
                let value = VALUES.into_iter().find(|(kind, _)| *kind as u8 == code);
                ClassName::Plain(value.expect("the code of a type").1)
            }
        };
        let array = |array: largest::Array| {
            let largest::Array { bytes, id, length, elements, .. } = array;
            Array { class: class(elements), id, length, bytes }
        };
        self.largest.list().into_iter().map(array).collect()
    }

    /// The threads and their stacks.
    pub(crate) fn threads(&self) -> Threads<'_> {
        let mut distinct = Distinct::default();
        let thread = |(serial, thread): (u32, &stacks::Thread)| {
            let stacks::Thread { object, depth, .. } = *thread;
            let frames = self.stacks.frames(thread).map(|frame| distinct.number(frame)).collect();
            Thread { serial, id: object, frames, depth }
        };
        let list = self.stacks.threads().map(thread).collect();
        Threads { list, frames: distinct.frames }
    }

    /// A frame as a Java stack trace shows it: `java.lang.Object.wait(Object.java:338)`.
    pub(crate) fn frame(&self, frame: Option<&Frame>) -> String {
        let Some(frame) = frame else { return "(unknown frame)".to_owned() };
        let text = |id| self.names.get(id).map(names::text);
        let class = self.classes.name_by_serial(frame.class_serial).and_then(|name| self.names.get(name));
        let class = class.map_or_else(|| "(unknown class)".to_owned(), names::of_class);
        let method = text(frame.method).unwrap_or_else(|| "(unknown method)".to_owned());
        let place = match (frame.line, text(frame.source)) {
            (NATIVE, _) => "Native Method".to_owned(),
            (1.., Some(source)) => format!("{source}:{}", frame.line),
            (_, Some(source)) => source,
            (_, None) => "Unknown Source".to_owned(),
        };
        format!("{class}.{method}({place})")
    }

    #[inline]
    fn array(&mut self, offset: u64, id: u64, length: u32, bytes: u64, elements: Elements) {
        self.arriving = Arriving::Nothing;
        self.chunks.object(offset, id);
        self.largest.see(bytes, offset, id, length, elements);
    }
}

/// The line number of a frame of a native method.
const NATIVE: i32 = -3;

impl Visitor for Census {
    fn header(&mut self, header: &Header) {
        self.header = Some(*header);
    }

    fn record(&mut self, record: &Record) {
        self.zeroed.record(record);
        self.arriving = Arriving::Nothing;
    }

    fn constant(&mut self, index: u16, kind: Type) {
        self.zeroed.constant(index, kind);
    }

    fn static_field(&mut self, name: u64, kind: Type) {
        self.zeroed.static_field(name, kind);
    }

    fn utf8(&mut self, id: u64, length: u32) {
        self.names.begin(id, length);
        self.arriving = Arriving::Name;
    }

    fn load_class(&mut self, class: &LoadClass) {
        self.classes.load(class);
    }

    fn frame(&mut self, frame: &Frame) {
        self.stacks.frame(frame);
    }

    fn trace(&mut self, trace: &Trace) {
        self.stacks.trace(trace);
        self.arriving = Arriving::Trace;
    }

    fn root(&mut self, root: &Root) {
        if root.kind == RootKind::ThreadObject {
            self.stacks.thread_object(root);
        }
    }

    fn class(&mut self, class: &hprof::Class) {
        self.classes.dump(class);
    }

    fn field(&mut self, name: u64, kind: Type) {
        self.classes.field(name, kind, self.ids());
    }

    #[inline]
    fn instance(&mut self, instance: &Instance) {
        self.zeroed.instance(instance);
        self.chunks.object(instance.offset, instance.id);
        self.classes.instance(instance.class, instance.length);
    }

    fn object_array(&mut self, array: &ObjectArray) {
        self.zeroed.object_array(array);
        let ids = self.ids();
        let bytes = shallow::array(u64::from(array.length) * ids.bytes(), ids);
        self.classes.array(array.class, bytes);
        self.array(array.offset, array.id, array.length, bytes, Elements::Objects(array.class));
    }

    fn primitive_array(&mut self, array: &PrimitiveArray) {
        self.zeroed.primitive_array(array);
        let ids = self.ids();
        let bytes = shallow::array(u64::from(array.length) * array.element.size(ids), ids);
        let counted = &mut self.values[array.element as usize];
        *counted = (counted.0 + 1, counted.1 + bytes);
        self.array(array.offset, array.id, array.length, bytes, Elements::values(array.element));
    }

    #[inline]
    fn body(&mut self, offset: u64, bytes: &[u8]) {
        self.zeroed.body(offset, bytes);
        match self.arriving {
            Arriving::Nothing => {}
            Arriving::Name => self.names.text(bytes),
            Arriving::Trace => {
                let id_bytes = self.ids().bytes();
                self.stacks.body(bytes, id_bytes);
            }
        }
    }

    fn heap_record_end(&mut self, offset: u64, length: u64) {
        /// Bytes before a record's content.
        const HEAD: u64 = 9;
        self.chunks.end(offset + HEAD + length);
    }
}
