//! Who listens to a reader.

use super::item::{Class, Frame, Header, Instance, LoadClass, ObjectArray, PrimitiveArray, Record, Root, Trace};
use super::tag::Type;

/// Is told what a [`Reader`](super::Reader) meets, in the order of the stream. Every method does nothing unless
/// overridden, and costs nothing then.
///
/// What has no fixed length comes as a *body*: after the method that announces it, [`body`](Visitor::body) gets its bytes
/// in one portion or several. A portion always lies in the slice that is being pushed just now, at `offset` minus the
/// bytes pushed before it: whoever wants to change a body on its way (redaction) changes that range of a copy. Fixed
/// fields may lie across two pushes and are never bodies.
pub trait Visitor {
    /// The file's header.
    fn header(&mut self, _header: &Header) {}

    /// Any top-level record, before what it holds. The content of those without a method of their own is a body.
    fn record(&mut self, _record: &Record) {}

    /// UTF8: a name for an identifier. The body is `length` bytes of modified UTF-8, chosen by the target.
    fn utf8(&mut self, _id: u64, _length: u32) {}

    fn load_class(&mut self, _class: &LoadClass) {}

    fn frame(&mut self, _frame: &Frame) {}

    fn trace(&mut self, _trace: &Trace) {}

    fn root(&mut self, _root: &Root) {}

    fn class(&mut self, _class: &Class) {}

    /// An entry of the last class's constant pool. The body is its value.
    fn constant(&mut self, _index: u16, _kind: Type) {}

    /// A static field of the last class. The body is its value.
    fn static_field(&mut self, _name: u64, _kind: Type) {}

    /// An instance field that the last class declares.
    fn field(&mut self, _name: u64, _kind: Type) {}

    /// The last class is complete.
    fn class_end(&mut self) {}

    fn instance(&mut self, _instance: &Instance) {}

    fn object_array(&mut self, _array: &ObjectArray) {}

    fn primitive_array(&mut self, _array: &PrimitiveArray) {}

    /// A portion of the body announced last; `offset` is its place in the file. Never empty.
    fn body(&mut self, _offset: u64, _bytes: &[u8]) {}

    /// The end of a heap record: `offset` is its tag's place, `length` what its sub-records really took, which may be
    /// above 4 GiB. With [`Lengths::Pending`](super::Lengths::Pending) this is what the writer will have to put in.
    fn heap_record_end(&mut self, _offset: u64, _length: u64) {}
}

/// Nobody: the plain verifier.
impl Visitor for () {}
