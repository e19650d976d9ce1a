//! Sets the data of a heap dump to zero as it streams by: owns what is data, and what has to stay.
//!
//! Nothing is ever held back. An array says itself what its elements are. Of an instance the references must be told from
//! the values, and that its class's CLASS_DUMP does, which every HotSpot writes before the first instance, and into the
//! same stream: JDK 8 to 21 into their one file, 22 and newer at the beginning of the second one, x.p0 (`VM_HeapDumper`,
//! `doit` or `work`, in heapDumper.cpp). String's class is known there by its serialVersionUID, a static field whose value
//! its CLASS_DUMP gives; its name would stand in records that may arrive after all the instances. A dump in another
//! order is not redacted but refused.
//!
//! What is no object's data stays: names of classes, methods and fields, and with them (`UTF8` is the JVM's whole symbol
//! table) the text constants that stand in the code of loaded classes.

mod error;
mod layouts;
mod marker;

use super::{IdSize, Lengths, Reader};
use crate::message::Redact;
pub use error::Error;
use marker::Marker;

/// Bytes that are looked through before any of them is set to zero: they are then still in the nearest cache, and the list
/// of what to zero is short.
const PORTION: usize = 64 << 10;

/// Redacts one stream of a dump in place, pushed in portions of any size.
///
/// ```
/// use jattach_protocol::hprof::redact::Redactor;
/// use jattach_protocol::message::Redact;
///
/// let mut redactor = Redactor::main(Redact::Arrays);
/// // A file header, a heap record with a byte[2].
/// redactor.redact(&mut b"JAVA PROFILE 1.0.2\0\0\0\0\x04\0\0\0\0\0\0\0\0".to_vec())?;
/// redactor.redact(&mut b"\x1c\0\0\0\0\0\0\0\x10\x23idid\0\0\0\0\0\0\0\x02\x08".to_vec())?;
/// let mut elements = *b"hi";
/// redactor.redact(&mut elements)?;
/// assert_eq!(elements, [0, 0]);
/// # Ok::<(), jattach_protocol::hprof::redact::Error>(())
/// ```
#[derive(Debug)]
pub struct Redactor {
    /// None where nothing is to be redacted.
    reader: Option<Reader<Marker>>,
    failure: Option<Error>,
}

impl Redactor {
    /// For a file that the JVM may still be writing.
    #[must_use]
    pub fn file(what: Redact, lengths: Lengths) -> Redactor {
        let mut marker = Marker::new(what, IdSize::Eight);
        marker.follows = true;
        Redactor { reader: Some(Reader::with(marker, lengths)), failure: None }
    }

    /// Of a [`file`](Redactor::file): the heap records without a length that have ended since the last call (where each began,
    /// and what its sub-records took), and where the one begins that is open.
    pub fn heap_records(&mut self) -> (Vec<(u64, u64)>, Option<u64>) {
        let Some(reader) = &mut self.reader else { return (Vec::new(), None) };
        let marker = reader.visitor_mut();
        (std::mem::take(&mut marker.ended), marker.open)
    }

    /// For a dump in one stream, or the first one of two.
    #[must_use]
    pub fn main(what: Redact) -> Redactor {
        Redactor::with(what, Reader::main, IdSize::Eight)
    }

    /// For the second one of two; what [`Reader::part`] says of `ids` holds here, too.
    #[must_use]
    pub fn part(what: Redact, ids: IdSize) -> Redactor {
        Redactor::with(what, |marker| Reader::part(ids, marker), ids)
    }

    fn with(what: Redact, reader: impl FnOnce(Marker) -> Reader<Marker>, ids: IdSize) -> Redactor {
        let reader = (what != Redact::Nothing).then(|| reader(Marker::new(what, ids)));
        Redactor { reader, failure: None }
    }

    /// Redacts the next bytes of the stream: any number of them, cut anywhere.
    ///
    /// # Errors
    /// When it is not certain what these bytes are, and from then on. They are all zero then, and no part of the dump.
    pub fn redact(&mut self, bytes: &mut [u8]) -> Result<(), Error> {
        let Some(reader) = &mut self.reader else { return Ok(()) };
        if self.failure.is_none() {
            self.failure = bytes.chunks_mut(PORTION).try_for_each(|portion| redact(reader, portion)).err();
        }
        let Some(failure) = &self.failure else { return Ok(()) };
        bytes.fill(0);
        Err(failure.clone())
    }
}

/// Of two failures the marker's comes first in the stream: the reader goes no further than its own.
fn redact(reader: &mut Reader<Marker>, portion: &mut [u8]) -> Result<(), Error> {
    let read = reader.push(portion);
    reader.visitor_mut().clear(portion)?;
    Ok(read?)
}
