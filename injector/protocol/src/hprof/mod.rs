//! Reads a HotSpot heap dump (HPROF) as it arrives: owns what a whole dump is, and nothing of where its bytes go.
//!
//! A [`Reader`] is pushed whatever bytes are there, in any portions, and walks every record and sub-record up to
//! HEAP_DUMP_END. It keeps less than 100 bytes of the stream whatever the dump claims. What it meets it tells a
//! [`Visitor`], so that counting, inspecting and redacting need no second parser.
//!
//! The format is HotSpot's `src/hotspot/share/services/heapDumper.cpp` (and the HPROF manual of JDK 6 for records that
//! HotSpot itself never writes). What its writers do, and this reader therefore takes:
//! - HPROF 1.0.2: any number of HEAP_DUMP_SEGMENT, closed by one HEAP_DUMP_END, after which nothing comes.
//! - HPROF 1.0.1 (JDK 7 and early 8, heaps below 2 GiB): one HEAP_DUMP and then the end of the file.
//! - FRAME and TRACE between segments and after them (22 and newer: virtual threads without a carrier).
//! - Segments above 4 GiB whose length field holds the low 32 bits only (8 and older; newer ones truncate the array).
//! - Two files, to be joined before HEAP_DUMP_END (22 and newer): see [`Reader::main`] and [`Reader::part`].
//! - A segment length of 0 until the writer seeks back (8 and older): see [`Lengths::Pending`].

mod carry;
mod error;
mod heap;
mod item;
mod reader;
mod record;
pub mod redact;
mod tag;
mod visitor;

pub use error::Error;
pub use item::{
    Class, Frame, Header, IdSize, Instance, LoadClass, ObjectArray, PrimitiveArray, Record, Root, Trace, Version,
};
pub use reader::{Lengths, Reader, Summary};
pub use tag::{RootKind, Sub, Tag, Type};
pub use visitor::Visitor;
