//! Finds the bytes that are to be zero, in a portion of the stream that may begin and end anywhere.

use std::ops::Range;

use super::error::Error;
use super::layouts::{Layouts, Run, Whole};
use crate::hprof::{Class, Header, IdSize, Instance, ObjectArray, PrimitiveArray, Record, Tag, Type, Visitor};
use crate::message::Redact;

/// The serialVersionUID of java.lang.String, the same in every Java: "Serialized Form" in the documentation of java.base.
const STRING: u64 = (-6_849_794_470_754_667_710_i64).cast_unsigned();

/// What the body announced last is.
#[derive(Clone, Copy, Debug)]
enum Body {
    Keep,
    Zero,
    /// An instance's fields.
    Fields(Passed),
    /// The value of a static long, as far as it was read.
    Long(u64),
}

/// How far an instance's body was read.
#[derive(Clone, Copy, Debug)]
struct Passed {
    /// The run in which the next byte lies.
    run: u32,
    /// Behind the instance's last run.
    end: u32,
    /// Bytes of this run that came before.
    bytes: usize,
}

#[derive(Debug)]
pub(super) struct Marker {
    what: Redact,
    ids: IdSize,
    /// Bytes of the stream before the portion.
    before: u64,
    /// What is to be zero in the portion.
    marks: Vec<Range<usize>>,
    body: Body,
    layouts: Layouts,
    /// The class being described.
    class: Option<Class>,
    /// It has String's serialVersionUID.
    is_string: bool,
    /// Instances of one class often follow each other.
    last: Option<(u64, Whole)>,
    /// Whether heap records are of interest.
    pub(super) follows: bool,
    /// Where heap records began that came without a length and have ended, with the bytes they held.
    pub(super) ended: Vec<(u64, u64)>,
    /// Where the one begins that has not.
    pub(super) open: Option<u64>,
    failure: Option<Error>,
}

impl Marker {
    pub(super) fn new(what: Redact, ids: IdSize) -> Marker {
        Marker {
            what,
            ids,
            before: 0,
            marks: Vec::new(),
            body: Body::Keep,
            layouts: Layouts::default(),
            class: None,
            is_string: false,
            last: None,
            follows: false,
            ended: Vec::new(),
            open: None,
            failure: None,
        }
    }

    /// Zeroes what was marked in the portion, which has passed the reader: the next one begins behind it.
    pub(super) fn clear(&mut self, portion: &mut [u8]) -> Result<(), Error> {
        if let Some(failure) = &self.failure {
            return Err(failure.clone());
        }
        for mark in self.marks.drain(..) {
            portion[mark].fill(0);
        }
        self.before += portion.len() as u64;
        Ok(())
    }

    /// Whether values of this type become zero in the instances that have a layout.
    fn is_zeroed(&self, kind: Type) -> bool {
        match kind {
            Type::Object => false,
            // String's coder: how its array is encoded, and no data.
            Type::Byte => self.what == Redact::All,
            _ => true,
        }
    }

    /// The layout of an instance, or None where all of it stays.
    #[inline]
    fn layout(&mut self, instance: &Instance) -> Result<Option<Whole>, Error> {
        let Instance { offset, class, length, .. } = *instance;
        let whole = match self.last {
            Some((last, whole)) if last == class => whole,
            _ => match self.layouts.whole(class, offset)? {
                Some(whole) => whole,
                None if self.what == Redact::All => return Err(Error::NoLayout { offset, class }),
                None if self.layouts.is_empty() => return Err(Error::NoString { offset }),
                None => return Ok(None),
            },
        };
        self.last = Some((class, whole));
        if whole.bytes != u64::from(length) {
            return Err(Error::Length { offset, class, length: length.into(), expected: whole.bytes });
        }
        Ok(Some(whole))
    }

    /// Marks what is to be zero in a portion of an instance's body.
    #[inline]
    fn fields(&mut self, mut passed: Passed, body: Range<usize>) {
        let mut at = body.start;
        while at < body.end && passed.run < passed.end {
            let Run { keep, zero } = self.layouts.run(passed.run);
            let (keep, zero) = (usize::from(keep), usize::from(zero));
            let zeros = at + keep.saturating_sub(passed.bytes);
            let end = at + keep + zero - passed.bytes;
            if zeros < body.end && zeros < end {
                self.marks.push(zeros..end.min(body.end));
            }
            if end > body.end {
                passed.bytes += body.end - at;
            } else {
                passed.run += 1;
                passed.bytes = 0;
            }
            at = end;
        }
        self.body = Body::Fields(passed);
    }

    fn fail(&mut self, failure: Error) {
        self.failure.get_or_insert(failure);
    }
}

impl Visitor for Marker {
    fn header(&mut self, header: &Header) {
        self.ids = header.ids;
    }

    fn record(&mut self, record: &Record) {
        self.body = Body::Keep;
        let heap = matches!(record.tag, Tag::HeapDump | Tag::HeapDumpSegment);
        if self.follows && heap && record.length == 0 {
            self.open = Some(record.offset);
        }
    }

    fn heap_record_end(&mut self, offset: u64, length: u64) {
        if self.open.take().is_some() {
            self.ended.push((offset, length));
        }
    }

    fn class(&mut self, class: &Class) {
        self.layouts.open();
        self.class = Some(*class);
        self.is_string = false;
    }

    fn constant(&mut self, _index: u16, kind: Type) {
        self.body = if self.what == Redact::All && kind != Type::Object { Body::Zero } else { Body::Keep };
    }

    fn static_field(&mut self, _name: u64, kind: Type) {
        self.body = match kind {
            Type::Object => Body::Keep,
            _ if self.what == Redact::All => Body::Zero,
            Type::Long => Body::Long(0),
            _ => Body::Keep,
        };
    }

    fn field(&mut self, _name: u64, kind: Type) {
        let zero = self.is_zeroed(kind);
        self.layouts.field(kind.size(self.ids), zero);
    }

    fn class_end(&mut self) {
        let Some(Class { id, super_class, offset, .. }) = self.class.take() else { return };
        let closed = match self.what {
            Redact::All => self.layouts.close(id, super_class, offset),
            // Its super class is Object, which has no fields.
            _ if self.is_string => self.layouts.close(id, 0, offset),
            _ => Ok(()),
        };
        if let Err(failure) = closed {
            self.fail(failure);
        }
    }

    #[inline]
    fn instance(&mut self, instance: &Instance) {
        if self.what == Redact::Nothing {
            return;
        }
        self.body = match self.layout(instance) {
            Ok(Some(Whole { runs, .. })) => Body::Fields(Passed { run: runs.begin, end: runs.end, bytes: 0 }),
            Ok(None) => Body::Keep,
            Err(failure) => {
                self.fail(failure);
                Body::Keep
            }
        };
    }

    #[inline]
    fn object_array(&mut self, _array: &ObjectArray) {
        self.body = Body::Keep;
    }

    #[inline]
    fn primitive_array(&mut self, array: &PrimitiveArray) {
        let text = matches!(array.element, Type::Byte | Type::Char);
        let zero = match self.what {
            Redact::Nothing => false,
            Redact::Text => text,
            Redact::Arrays | Redact::All => true,
        };
        self.body = if zero { Body::Zero } else { Body::Keep };
    }

    #[inline]
    fn body(&mut self, offset: u64, bytes: &[u8]) {
        let begin = usize::try_from(offset - self.before).expect("a body lies in its portion");
        let body = begin..begin + bytes.len();
        match self.body {
            Body::Keep => {}
            Body::Zero => self.marks.push(body),
            Body::Fields(passed) => self.fields(passed, body),
            Body::Long(value) => {
                let value = bytes.iter().fold(value, |value, byte| value << 8 | u64::from(*byte));
                self.is_string |= value == STRING;
                self.body = Body::Long(value);
            }
        }
    }
}
