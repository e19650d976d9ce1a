//! The two streams of JDK 22 and newer, each read by itself.

use jattach_protocol::hprof::{Error, IdSize, Reader, Summary};
use proptest::collection::vec;
use proptest::prelude::*;

use super::dump::{Dump, Record, Sub, record};
use super::verdict;

const HEAP: [Sub; 2] = [Sub::Instance(6), Sub::Root(5)];

fn read(mut reader: Reader, bytes: &[u8], portion: usize) -> Result<Summary, Error> {
    for portion in bytes.chunks(portion) {
        if reader.push(portion).is_err() {
            break;
        }
    }
    reader.finish()
}

fn main(bytes: &[u8]) -> Result<Summary, Error> {
    read(Reader::main(()), bytes, 7)
}

fn part(ids: IdSize, bytes: &[u8]) -> Result<Summary, Error> {
    read(Reader::part(ids, ()), bytes, 7)
}

/// The file that the JVM would make of both.
fn joined(main: &[u8], part: &[u8]) -> Vec<u8> {
    let (before, end) = main.split_at(main.len() - 9);
    [before, part, end].concat()
}

proptest! {
    #[test]
    fn two_streams_read_apart_hold_what_the_joined_file_holds(
        ids in prop_oneof![Just(IdSize::Four), Just(IdSize::Eight)],
        first in vec(record(), 0..8),
        second in vec(record(), 0..8),
        portion in 1..200_usize,
    ) {
        let size = u8::try_from(ids.bytes()).expect("small");
        let (first, second) = (Dump::of(size, &first), Dump::part(size, &second));
        let whole = read(Reader::main(()), &first.bytes, portion);
        prop_assert_eq!(&whole, &Ok(first.summary));
        let rest = read(Reader::part(ids, ()), &second.bytes, portion);
        prop_assert_eq!(&rest, &Ok(second.summary));
        prop_assert_eq!(whole?.joined(&rest?), verdict(&joined(&first.bytes, &second.bytes)));
    }

    #[test]
    fn a_main_stream_cut_anywhere_is_not_whole(records in vec(record(), 0..6), cut in any::<prop::sample::Index>()) {
        let dump = Dump::of(8, &records);
        prop_assert!(main(&dump.bytes[..cut.index(dump.bytes.len())]).is_err());
    }

    #[test]
    fn a_part_is_whole_between_two_records_only(records in vec(record(), 1..6), cut in any::<prop::sample::Index>()) {
        let ends: Vec<usize> = (0..=records.len()).map(|end| Dump::part(8, &records[..end]).bytes.len()).collect();
        let dump = Dump::part(8, &records);
        let cut = cut.index(dump.bytes.len());
        let verdict = part(IdSize::Eight, &dump.bytes[..cut]);
        prop_assert_eq!(verdict.is_ok(), ends.contains(&cut), "{:?}", verdict);
    }
}

#[test]
fn a_main_stream_without_heap_records_is_no_dump_by_itself() {
    let dump = Dump::of(8, &[Record::Utf8(4)]);
    assert_eq!(main(&dump.bytes), Ok(dump.summary));
    assert_eq!(verdict(&dump.bytes), Err(Error::NoHeap { offset: dump.summary.bytes - 9 }));
    let nothing = part(IdSize::Eight, &[]).expect("whole");
    assert_eq!(dump.summary.joined(&nothing), Err(Error::NoHeap { offset: dump.summary.bytes - 9 }));
}

#[test]
fn a_main_stream_that_holds_the_heap_needs_no_part() {
    let dump = Dump::of(4, &[Record::Segment(HEAP.to_vec())]);
    let nothing = part(IdSize::Eight, &[]).expect("whole");
    assert_eq!(dump.summary.joined(&nothing), Ok(dump.summary));
}

#[test]
fn a_main_stream_goes_on_to_its_end_record() {
    let mut dump = Dump::new(b"JAVA PROFILE 1.0.1", 8);
    dump.heap(0x0c, &HEAP);
    // As one file this would be whole.
    assert!(verdict(&dump.bytes).is_ok());
    assert_eq!(main(&dump.bytes), Err(Error::NotEnded { offset: dump.bytes.len() as u64 }));
}

#[test]
fn a_part_has_no_header_and_no_end() {
    let dump = Dump::part(8, &[Record::Segment(HEAP.to_vec())]);
    assert_eq!(part(IdSize::Eight, b"JAVA PROFILE 1.0.2"), Err(Error::UnknownTag { offset: 0, code: b'J' }));
    let ended = dump.clone().end();
    assert_eq!(part(IdSize::Eight, &ended.bytes), Err(Error::EndInPart { offset: dump.summary.bytes }));
}

#[test]
fn a_part_read_with_the_wrong_size_of_identifiers_is_found_out() {
    let first = Dump::of(4, &[]).summary;
    let second = Dump::part(8, &[Record::Segment(HEAP.to_vec())]).summary;
    let error = first.joined(&second).expect_err("they do not belong together");
    assert_eq!(error.to_string(), "the header gives identifiers of 4 bytes; the dump's second stream was read with 8");
}
