//! The shortest heap dumps there are, for tests.

use jattach_protocol::message::Patch;

pub(crate) use super::tail::END;

const HEADER: &[u8] = b"JAVA PROFILE 1.0.2\0\0\0\0\x08\0\0\0\0\0\0\0\0";

/// A heap record with one root.
const SEGMENT: [u8; 18] = [0x1c, 0, 0, 0, 0, 0, 0, 0, 9, 0xff, 0, 0, 0, 0, 0, 0, 0, 1];

/// A UTF8 record with a name of so many bytes.
fn utf8(length: usize) -> Vec<u8> {
    let size = u32::try_from(8 + length).expect("short").to_be_bytes();
    [&[1, 0, 0, 0, 0], &size[..], &[0, 0, 0, 0, 0, 0, 0, 5], &vec![b'n'; length]].concat()
}

/// In one stream.
pub(crate) fn whole() -> Vec<u8> {
    [HEADER, &SEGMENT, &END].concat()
}

/// In two: the names in the first, the heap in the second.
pub(crate) fn pair() -> (Vec<u8>, Vec<u8>) {
    pair_of(3, 2)
}

/// The same with a name of so many bytes, and so many heap records.
pub(crate) fn pair_of(name: usize, segments: usize) -> (Vec<u8>, Vec<u8>) {
    ([HEADER, &utf8(name), &END].concat(), SEGMENT.repeat(segments))
}

/// As the file of the two.
pub(crate) fn joined(main: &[u8], part: &[u8]) -> Vec<u8> {
    [&main[..main.len() - END.len()], part, &END].concat()
}

/// As a JVM leaves it that comes back for the length, and that length.
pub(crate) fn unpatched() -> (Vec<u8>, Patch) {
    let mut dump = whole();
    let offset = HEADER.len();
    dump[offset + 5..offset + 9].fill(0);
    (dump, Patch { offset: offset as u64, length: 9 })
}
