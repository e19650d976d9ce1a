//! What the application holds, byte for byte: `App --content random` fills its heap from java.util.Random(42), so that a
//! dump can be compared with what was in the heap, and not only with itself.

use std::collections::HashSet;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use jattach_protocol::hprof::{Lengths, PrimitiveArray, Reader, Type, Visitor};
use xxhash_rust::xxh3::{Xxh3Default, xxh3_64};

/// The bytes of each document, as in `App.BLOCK`.
const DOCUMENT: usize = 1 << 16;

/// The hashes of the documents of a heap of so many MiB.
#[must_use]
pub fn of_heap(megabytes: usize) -> HashSet<u64> {
    let mut random = JavaRandom::new(42);
    let mut document = vec![0; DOCUMENT];
    let documents = (0..megabytes * ((1 << 20) / DOCUMENT)).map(|_| {
        for bytes in document.chunks_exact_mut(4) {
            bytes.copy_from_slice(&random.next().to_le_bytes());
        }
        xxh3_64(&document)
    });
    documents.collect()
}

/// Reads a raw dump to its end; gives its length and the hashes of the byte arrays in it that are as long as a document.
///
/// # Panics
/// If it is not whole.
#[track_caller]
#[must_use]
pub fn of_dump(path: &Path) -> (u64, HashSet<u64>) {
    read(File::open(path).unwrap_or_else(|error| panic!("no dump at {}: {error}", path.display())))
}

/// The same of a dump that comes from anywhere.
///
/// # Panics
/// If it is not whole.
#[track_caller]
#[must_use]
pub fn read(mut from: impl Read) -> (u64, HashSet<u64>) {
    let (mut reader, mut block) = (Reader::with(Documents::default(), Lengths::Final), vec![0; 256 << 10]);
    loop {
        match from.read(&mut block).expect("the dump can be read") {
            0 => break,
            length => reader.push(&block[..length]).expect("a whole dump"),
        }
    }
    let summary = reader.finish().expect("a whole dump");
    assert!(summary.ended, "the dump has no HEAP_DUMP_END");
    (summary.bytes, reader.into_visitor().found)
}

/// Hashes the arrays that may be documents.
#[derive(Default)]
struct Documents {
    found: HashSet<u64>,
    hash: Xxh3Default,
    /// Bytes of the array that are still to come.
    left: usize,
}

impl Visitor for Documents {
    fn primitive_array(&mut self, array: &PrimitiveArray) {
        let is_document = array.element == Type::Byte && array.length as usize == DOCUMENT;
        self.left = if is_document { DOCUMENT } else { 0 };
    }

    fn body(&mut self, _offset: u64, bytes: &[u8]) {
        if self.left == 0 {
            return;
        }
        self.hash.update(bytes);
        self.left -= bytes.len();
        if self.left == 0 {
            self.found.insert(self.hash.digest());
            self.hash.reset();
        }
    }
}

/// java.util.Random, as its documentation defines it.
struct JavaRandom(u64);

impl JavaRandom {
    const MULTIPLIER: u64 = 0x5_deec_e66d;
    const MASK: u64 = (1 << 48) - 1;

    fn new(seed: u64) -> JavaRandom {
        JavaRandom((seed ^ Self::MULTIPLIER) & Self::MASK)
    }

    /// nextInt.
    fn next(&mut self) -> u32 {
        self.0 = self.0.wrapping_mul(Self::MULTIPLIER).wrapping_add(0xb) & Self::MASK;
        u32::try_from(self.0 >> 16).expect("32 of 48 bits")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_are_javas() {
        let mut random = JavaRandom::new(42);
        // new Random(42).nextInt(), twice.
        assert_eq!([random.next(), random.next()], [0xba41_9d35, 0x0dfe_8af7]);
    }

    #[test]
    fn no_two_documents_are_the_same() {
        assert_eq!(of_heap(2).len(), 32);
    }
}
