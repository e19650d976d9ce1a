//! Dumps that are not whole: cut, damaged, or no dumps at all.

use jattach_protocol::hprof::Error;
use proptest::prelude::*;

use super::dump::{Dump, Record, Sub, dump};
use super::verdict;

proptest! {
    #[test]
    fn any_truncation_is_an_error_at_the_cut(dump in dump(), cut in any::<prop::sample::Index>()) {
        let cut = cut.index(dump.bytes.len());
        let verdict = verdict(&dump.bytes[..cut]);
        prop_assert_eq!(verdict.as_ref().err().map(Error::offset), Some(cut as u64));
        match verdict {
            Err(Error::Truncated { offset, begin, missing, .. }) => {
                prop_assert_eq!(offset, cut as u64);
                prop_assert!(begin <= offset && missing > 0);
                prop_assert!(offset + missing <= dump.summary.bytes, "{missing} more bytes are not in the whole dump");
            }
            Err(Error::NotEnded { offset }) => prop_assert_eq!(offset, cut as u64),
            other => prop_assert!(false, "cut at {}: {:?}", cut, other),
        }
    }

    #[test]
    fn bytes_after_the_end_are_an_error(dump in dump(), more in any::<u8>()) {
        let mut bytes = dump.bytes;
        bytes.push(more);
        prop_assert_eq!(verdict(&bytes), Err(Error::AfterEnd { offset: dump.summary.bytes }));
    }

    /// A length that the tag or a count determines betrays every flipped bit.
    #[test]
    fn a_flipped_bit_in_a_determined_length_is_an_error(
        dump in dump(),
        field in any::<prop::sample::Index>(),
        bit in 0..32_usize,
    ) {
        let exact: Vec<usize> = dump.lengths.iter().filter(|(_, exact)| *exact).map(|(at, _)| *at).collect();
        let at = exact[field.index(exact.len())];
        let mut bytes = dump.bytes;
        bytes[at + bit / 8] ^= 1 << (bit % 8);
        let verdict = verdict(&bytes);
        prop_assert!(matches!(verdict, Err(Error::Length { .. } | Error::TooShort { .. })), "{:?}", verdict);
    }

    /// Nothing but what follows bears witness to the length of a name, an instance, an array or a heap record. A flipped
    /// bit moves its end by a power of two: nearly always into something that cannot be read.
    #[test]
    fn a_flipped_bit_in_any_length_is_an_error_or_reads_to_the_end(
        dump in dump(),
        field in any::<prop::sample::Index>(),
        bit in 0..32_usize,
    ) {
        let (at, _) = dump.lengths[field.index(dump.lengths.len())];
        let mut bytes = dump.bytes;
        bytes[at + bit / 8] ^= 1 << (bit % 8);
        if let Ok(summary) = verdict(&bytes) {
            prop_assert!(summary.ended);
            prop_assert_eq!(summary.bytes, dump.summary.bytes);
        }
    }
}

/// The one kind of damage to a length that its structure cannot show: it swallows whole neighbours. Damage of this kind is
/// the transfer's hashes' to find.
#[test]
fn a_name_that_swallows_its_neighbour_exactly_is_not_seen() {
    let heap = Record::Segment(vec![Sub::Instance(0)]);
    // The second name's record is 9 + 8 + 15 = 32 bytes long, the bit flipped below is worth 32.
    let mut dump = Dump::of(8, &[Record::Utf8(0), Record::Utf8(15), heap]);
    let (at, _) = dump.lengths[0];
    dump.bytes[at + 3] ^= 32;
    let expected = jattach_protocol::hprof::Summary { records: dump.summary.records - 1, ..dump.summary };
    assert_eq!(verdict(&dump.bytes), Ok(expected));
}

#[test]
fn another_format_is_told_by_its_first_bytes() {
    let error = verdict(b"\x1f\x8b\x08\0 a gzip file, say, or \x1b[31m").unwrap_err();
    assert!(matches!(error, Error::NotHprof { .. }));
    let text = error.to_string();
    assert!(text.starts_with("not a heap dump: it begins with \"\\x1f\\x8b"), "{text}");
    assert!(!text.contains('\x1b'), "control characters are shown, not passed on");
}

#[test]
fn identifiers_have_4_or_8_bytes() {
    let mut dump = Dump::of(8, &[Record::Segment(vec![Sub::Instance(0)])]);
    dump.bytes[22] = 5;
    assert_eq!(verdict(&dump.bytes), Err(Error::IdSize { offset: 19, found: 5 }));
}

#[test]
fn unknown_tags_are_named_with_their_place() {
    let whole = Dump::of(8, &[Record::Segment(vec![Sub::Instance(0), Sub::Root(0)])]);
    let mut bytes = whole.bytes.clone();
    bytes[31] = 0x3f;
    assert_eq!(verdict(&bytes), Err(Error::UnknownTag { offset: 31, code: 0x3f }));
    let mut bytes = whole.bytes;
    bytes[40 + 25] = 0x3f;
    let error = verdict(&bytes).unwrap_err();
    assert_eq!(error, Error::UnknownSubRecord { offset: 65, code: 0x3f, record: 31 });
    assert_eq!(error.offset(), 65);
    assert_eq!(error.to_string(), "unknown tag 0x3f at byte 65; expected a sub-record of the heap record at byte 31");
}

#[test]
fn unknown_types_are_named_with_their_place() {
    let mut dump = Dump::of(8, &[Record::Segment(vec![Sub::Values(0, 1)])]);
    // An array of objects is another sub-record.
    dump.bytes[40 + 17] = 2;
    assert_eq!(verdict(&dump.bytes), Err(Error::UnknownType { offset: 40, code: 2, name: "PRIMITIVE_ARRAY_DUMP" }));
}

#[test]
fn an_end_without_a_heap_is_an_error() {
    let dump = Dump::of(8, &[Record::Utf8(3)]);
    assert_eq!(verdict(&dump.bytes), Err(Error::NoHeap { offset: 51 }));
}

#[test]
fn nothing_at_all_is_no_dump() {
    assert_eq!(
        verdict(b"").unwrap_err().to_string(),
        "cut off at byte 0: at least 31 more bytes expected for the file header that begins at byte 0"
    );
}
