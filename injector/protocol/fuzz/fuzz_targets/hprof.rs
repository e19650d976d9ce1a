//! Whatever the bytes, and wherever they are cut, a heap dump reader ends with the same verdict, and its visitor sees the
//! same bodies, each in the portion that is being pushed.
#![no_main]

use std::hash::{DefaultHasher, Hasher};

use jattach_protocol::hprof::{Error, Instance, Lengths, PrimitiveArray, Reader, Record, Summary, Visitor};
use libfuzzer_sys::fuzz_target;

/// A digest of everything that was told, however the bodies were cut.
#[derive(Default)]
struct Digest(DefaultHasher);

impl Visitor for Digest {
    fn record(&mut self, record: &Record) {
        self.0.write_u64(record.offset);
    }

    fn instance(&mut self, instance: &Instance) {
        self.0.write_u64(instance.offset);
    }

    fn primitive_array(&mut self, array: &PrimitiveArray) {
        self.0.write_u64(array.offset);
    }

    fn body(&mut self, offset: u64, bytes: &[u8]) {
        assert!(!bytes.is_empty());
        for (byte, at) in bytes.iter().zip(offset..) {
            self.0.write_u64(at);
            self.0.write_u8(*byte);
        }
    }

    fn heap_record_end(&mut self, offset: u64, length: u64) {
        self.0.write_u64(offset);
        self.0.write_u64(length);
    }
}

fn read<'a>(portions: impl Iterator<Item = &'a [u8]>, lengths: Lengths) -> (Result<Summary, Error>, u64) {
    let mut reader = Reader::with(Digest::default(), lengths);
    for portion in portions {
        if reader.push(portion).is_err() {
            break;
        }
    }
    (reader.finish(), reader.into_visitor().0.finish())
}

fuzz_target!(|input: &[u8]| {
    let Some(([how, portion], rest)) = input.split_first_chunk() else { return };
    // Most of the search should not go into finding the header.
    let mut dump = match how & 3 {
        0 => Vec::new(),
        1 => b"JAVA PROFILE 1.0.1\0\0\0\0\x04\0\0\0\0\0\0\0\0".to_vec(),
        2 => b"JAVA PROFILE 1.0.2\0\0\0\0\x04\0\0\0\0\0\0\0\0".to_vec(),
        _ => b"JAVA PROFILE 1.0.2\0\0\0\0\x08\0\0\0\0\0\0\0\0".to_vec(),
    };
    dump.extend_from_slice(rest);
    let lengths = if how & 4 == 0 { Lengths::Final } else { Lengths::Pending };
    let whole = read(std::iter::once(dump.as_slice()), lengths);
    let cut = read(dump.chunks(usize::from(*portion).max(1)), lengths);
    assert_eq!(whole, cut);
});
