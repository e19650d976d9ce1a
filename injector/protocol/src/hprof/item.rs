//! What the records hold, as a visitor gets it. All numbers are big-endian in the stream; identifiers are widened to 64 bits.

use super::tag::{RootKind, Tag, Type};

/// Bytes of an identifier: the address size of the JVM.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum IdSize {
    Four,
    Eight,
}

impl IdSize {
    #[inline]
    #[must_use]
    pub fn bytes(self) -> u64 {
        match self {
            IdSize::Four => 4,
            IdSize::Eight => 8,
        }
    }
}

/// The version in the first line of the dump.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Version {
    V1_0_1,
    V1_0_2,
}

/// The beginning of the dump; `millis` since 1970 by the JVM's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    pub version: Version,
    pub ids: IdSize,
    pub millis: u64,
}

/// A top-level record: `offset` is its tag's place in the file, `length` the bytes after its 9-byte header as it gives them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record {
    pub offset: u64,
    pub tag: Tag,
    pub micros: u32,
    pub length: u32,
}

/// LOAD_CLASS: gives a class identifier its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoadClass {
    pub serial: u32,
    pub class: u64,
    pub trace: u32,
    pub name: u64,
}

/// FRAME; a `line` of 0 or less says unknown, compiled or native.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame {
    pub id: u64,
    pub method: u64,
    pub signature: u64,
    pub source: u64,
    pub class_serial: u32,
    pub line: i32,
}

/// TRACE; its body is the identifiers of `frames` frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trace {
    pub serial: u32,
    pub thread: u32,
    pub frames: u32,
}

/// A root of any kind; `thread` is the serial number of the thread it belongs to, where its kind names one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Root {
    pub offset: u64,
    pub kind: RootKind,
    pub object: u64,
    pub thread: Option<u32>,
}

/// CLASS_DUMP up to its tables; `instance_size` is the bytes of an instance's own and inherited fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Class {
    pub offset: u64,
    pub id: u64,
    pub trace: u32,
    pub super_class: u64,
    pub loader: u64,
    pub instance_size: u32,
}

/// INSTANCE_DUMP; its body is `length` bytes of field values, the class's own first, then its super class's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Instance {
    pub offset: u64,
    pub id: u64,
    pub trace: u32,
    pub class: u64,
    pub length: u32,
}

/// OBJECT_ARRAY_DUMP; its body is `length` identifiers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ObjectArray {
    pub offset: u64,
    pub id: u64,
    pub trace: u32,
    pub length: u32,
    pub class: u64,
}

/// PRIMITIVE_ARRAY_DUMP; its body is `length` values of `element`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PrimitiveArray {
    pub offset: u64,
    pub id: u64,
    pub trace: u32,
    pub length: u32,
    pub element: Type,
}

/// Reads fields off the front of a head that is as long as they are.
pub(super) struct Fields<'a> {
    bytes: &'a [u8],
    ids: IdSize,
}

impl<'a> Fields<'a> {
    #[inline]
    pub(super) fn new(bytes: &'a [u8], ids: IdSize) -> Self {
        Fields { bytes, ids }
    }

    #[inline]
    fn next<const N: usize>(&mut self) -> [u8; N] {
        let (field, rest) = self.bytes.split_first_chunk().expect("a head is as long as its fields");
        self.bytes = rest;
        *field
    }

    #[inline]
    pub(super) fn u1(&mut self) -> u8 {
        u8::from_be_bytes(self.next())
    }

    #[inline]
    pub(super) fn u2(&mut self) -> u16 {
        u16::from_be_bytes(self.next())
    }

    #[inline]
    pub(super) fn u4(&mut self) -> u32 {
        u32::from_be_bytes(self.next())
    }

    /// The field at the very end, whatever comes before it.
    pub(super) fn last_u4(&mut self) -> u32 {
        self.bytes = self.bytes.last_chunk::<4>().expect("a head is as long as its fields");
        self.u4()
    }

    #[inline]
    pub(super) fn u8(&mut self) -> u64 {
        u64::from_be_bytes(self.next())
    }

    #[inline]
    pub(super) fn id(&mut self) -> u64 {
        match self.ids {
            IdSize::Four => u64::from(self.u4()),
            IdSize::Eight => self.u8(),
        }
    }
}
