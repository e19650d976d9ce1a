//! Makes heaps that fit together, as a JVM dumps them, and knows of every byte whether it is data.

use std::ops::Range;

use jattach_protocol::message::Redact;
use proptest::collection::vec;
use proptest::prelude::*;

use crate::dump::VALUE_TYPES;

/// -6849794470754667710, as String's documentation gives it.
const STRING: [u8; 8] = [0xa0, 0xf0, 0xa4, 0x38, 0x7a, 0x3b, 0xb3, 0x42];
/// Codes of types.
const OBJECT: u8 = 2;
const BOOLEAN: u8 = 4;
const BYTE: u8 = 8;
const INT: u8 = 10;
const LONG: u8 = 11;

/// The super class of String.
const OBJECT_CLASS: usize = 1;

/// A class: types as codes.
#[derive(Clone, Debug)]
pub(crate) struct Class {
    pub(crate) super_class: Option<usize>,
    pub(crate) constants: Vec<u8>,
    pub(crate) statics: Vec<u8>,
    pub(crate) fields: Vec<u8>,
    pub(crate) is_string: bool,
}

/// What a heap holds beside classes.
#[derive(Clone, Debug)]
pub(crate) enum Object {
    /// Of the class with this number, counted round.
    Instance(usize),
    Values(usize, usize),
    Objects(usize),
    Root,
}

#[derive(Clone, Debug)]
pub(crate) struct Heap {
    pub(crate) ids: usize,
    pub(crate) classes: Vec<Class>,
    /// In which the classes are described.
    pub(crate) order: Vec<usize>,
    pub(crate) objects: Vec<Object>,
    /// Sub-records of a heap record.
    pub(crate) segment: usize,
}

/// Bytes as a JVM writes them, and which of them are data: from which extent of redaction on they become zero.
#[derive(Clone, Debug, Default)]
pub(crate) struct Made {
    pub(crate) bytes: Vec<u8>,
    data: Vec<(Range<usize>, Redact)>,
    ids: usize,
    filler: u8,
}

impl Made {
    pub(crate) fn redacted(&self, what: Redact) -> Vec<u8> {
        let mut bytes = self.bytes.clone();
        for (range, least) in &self.data {
            if *least as u8 <= what as u8 {
                bytes[range.clone()].fill(0);
            }
        }
        bytes
    }

    /// Bytes that are never 0.
    fn fill(&mut self, count: usize) {
        for _ in 0..count {
            self.filler = self.filler % 0xff + 1;
            self.bytes.push(self.filler);
        }
    }

    fn id(&mut self, id: usize) {
        self.bytes.extend_from_slice(&(id as u64).to_be_bytes()[8 - self.ids..]);
    }

    fn count<const N: usize>(&mut self, count: usize) {
        self.bytes.extend_from_slice(&(count as u64).to_be_bytes()[8 - N..]);
    }

    fn size(&self, kind: u8) -> usize {
        VALUE_TYPES.iter().find(|(code, _)| *code == kind).map_or(self.ids, |(_, size)| *size)
    }

    /// A value, and from which extent on it is to be zero.
    fn value(&mut self, kind: u8, least: Redact) {
        let begin = self.bytes.len();
        self.fill(self.size(kind));
        if kind != OBJECT {
            self.data.push((begin..self.bytes.len(), least));
        }
    }

    fn begin(&mut self, tag: u8) {
        self.bytes.push(tag);
        self.fill(4);
        self.count::<4>(0);
    }

    /// Puts in the length of the record whose content began here.
    pub(crate) fn length(&mut self, content: usize) {
        let length = u32::try_from(self.bytes.len() - content).expect("tests make small records");
        self.bytes[content - 4..content].copy_from_slice(&length.to_be_bytes());
    }

    /// A record whose bytes all stay.
    fn name(&mut self) {
        self.begin(0x01);
        let content = self.bytes.len();
        self.fill(self.ids + 9);
        self.length(content);
    }

    pub(crate) fn class(&mut self, number: usize, class: &Class) {
        self.bytes.push(0x20);
        self.id(id(number));
        self.fill(4);
        self.id(class.super_class.map_or(0, id));
        self.fill(5 * self.ids + 4);
        self.count::<2>(class.constants.len());
        for kind in &class.constants {
            self.fill(2);
            self.bytes.push(*kind);
            self.value(*kind, Redact::All);
        }
        self.count::<2>(class.statics.len() + usize::from(class.is_string));
        if class.is_string {
            self.fill(self.ids);
            self.bytes.push(LONG);
            let begin = self.bytes.len();
            self.bytes.extend(STRING);
            self.data.push((begin..begin + 8, Redact::All));
        }
        for kind in &class.statics {
            self.fill(self.ids);
            self.bytes.push(*kind);
            self.value(*kind, Redact::All);
        }
        self.count::<2>(class.fields.len());
        for kind in &class.fields {
            self.fill(self.ids);
            self.bytes.push(*kind);
        }
    }

    fn instance(&mut self, number: usize, classes: &[Class]) {
        self.bytes.push(0x21);
        self.fill(self.ids + 4);
        self.id(id(number));
        self.count::<4>(0);
        let content = self.bytes.len();
        let mut next = Some(number);
        while let Some(class) = next.map(|number| &classes[number]) {
            for kind in &class.fields {
                let hash = class.is_string && matches!(*kind, INT | BOOLEAN);
                self.value(*kind, if hash { Redact::Text } else { Redact::All });
            }
            next = class.super_class;
        }
        self.length(content);
    }

    fn object(&mut self, object: &Object, classes: &[Class]) {
        match object {
            Object::Instance(class) => self.instance(class % classes.len(), classes),
            Object::Values(kind, length) => {
                let (code, size) = VALUE_TYPES[*kind];
                self.bytes.push(0x23);
                self.fill(self.ids + 4);
                self.count::<4>(*length);
                self.bytes.push(code);
                let begin = self.bytes.len();
                self.fill(length * size);
                // char[] and byte[].
                let least = if matches!(code, 5 | 8) { Redact::Text } else { Redact::Arrays };
                self.data.push((begin..self.bytes.len(), least));
            }
            Object::Objects(length) => {
                self.bytes.push(0x22);
                self.fill(self.ids + 4);
                self.count::<4>(*length);
                self.fill(self.ids + length * self.ids);
            }
            Object::Root => {
                self.bytes.push(0x08);
                self.fill(self.ids + 8);
            }
        }
    }
}

/// Addresses, none of them 0.
fn id(number: usize) -> usize {
    (number + 1) * 8
}

impl Heap {
    /// The records of the heap alone: a second stream.
    pub(crate) fn part(&self) -> Made {
        let mut made = Made { ids: self.ids, ..Made::default() };
        self.records(&mut made);
        made
    }

    /// A whole dump.
    pub(crate) fn dump(&self) -> Made {
        let mut made = Made { ids: self.ids, ..Made::default() };
        made.bytes.extend(b"JAVA PROFILE 1.0.2\0\0\0\0");
        made.bytes.push(u8::try_from(self.ids).expect("4 or 8"));
        made.fill(8);
        made.name();
        self.records(&mut made);
        made.begin(0x2c);
        made
    }

    fn records(&self, made: &mut Made) {
        let mut content = 0;
        for number in 0..self.order.len() + self.objects.len() {
            if number % self.segment == 0 {
                if content > 0 {
                    made.length(content);
                    made.name();
                }
                made.begin(0x1c);
                content = made.bytes.len();
            }
            match self.order.get(number) {
                Some(class) => made.class(*class, &self.classes[*class]),
                None => made.object(&self.objects[number - self.order.len()], &self.classes),
            }
        }
        made.length(content);
    }
}

fn kind() -> impl Strategy<Value = u8> {
    (0..=VALUE_TYPES.len()).prop_map(|kind| VALUE_TYPES.get(kind).map_or(OBJECT, |(code, _)| *code))
}

fn class() -> impl Strategy<Value = (Option<prop::sample::Index>, Vec<u8>, Vec<u8>, Vec<u8>)> {
    (any::<Option<prop::sample::Index>>(), vec(kind(), 0..3), vec(kind(), 0..4), vec(kind(), 0..7))
}

/// String of JDK 8, of 9 and of 13, with its fields in any order.
pub(crate) fn string() -> impl Strategy<Value = Class> {
    let fields =
        prop_oneof![Just(vec![OBJECT, INT]), Just(vec![OBJECT, BYTE, INT]), Just(vec![OBJECT, BYTE, INT, BOOLEAN]),];
    (fields.prop_shuffle(), vec(kind(), 0..3)).prop_map(|(fields, statics)| Class {
        super_class: Some(OBJECT_CLASS),
        constants: Vec::new(),
        statics,
        fields,
        is_string: true,
    })
}

fn object() -> impl Strategy<Value = Object> {
    prop_oneof![
        4 => (0..64_usize).prop_map(Object::Instance),
        3 => (0..VALUE_TYPES.len(), 0..40_usize).prop_map(|(kind, length)| Object::Values(kind, length)),
        1 => (0..9_usize).prop_map(Object::Objects),
        1 => Just(Object::Root),
    ]
}

/// A heap whose String and Object are the first classes, though not the first ones described.
pub(crate) fn heap() -> impl Strategy<Value = Heap> {
    let classes = (string(), vec(class(), 0..7)).prop_map(|(string, others)| {
        let object = Class { super_class: None, constants: vec![], statics: vec![], fields: vec![], is_string: false };
        let mut classes = vec![string, object];
        for (super_class, constants, statics, fields) in others {
            // Never String, which is final, and never a class that comes later: no circles.
            let super_class = super_class.map(|class| OBJECT_CLASS + class.index(classes.len() - OBJECT_CLASS));
            classes.push(Class { super_class, constants, statics, fields, is_string: false });
        }
        classes
    });
    let ids = prop_oneof![Just(4), Just(8)];
    (ids, classes, vec(object(), 1..30), 1..20_usize)
        .prop_flat_map(|(ids, classes, objects, segment)| {
            let order = Just((0..classes.len()).collect::<Vec<_>>()).prop_shuffle();
            (Just(ids), Just(classes), order, Just(objects), Just(segment))
        })
        .prop_map(|(ids, classes, order, objects, segment)| Heap { ids, classes, order, objects, segment })
}
