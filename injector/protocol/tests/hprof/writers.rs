//! What HotSpot's writers, old and new, really do: heapDumper.cpp of JDK 7 to 25.

use jattach_protocol::hprof::{Error, Lengths, Reader, Visitor};

use super::dump::{Dump, Record, Sub};
use super::{pending, verdict};

const PLAIN: [Sub; 2] = [Sub::Instance(6), Sub::Root(5)];

#[test]
fn an_unsegmented_dump_is_whole_without_an_end_record() {
    let mut dump = Dump::new(b"JAVA PROFILE 1.0.1", 8);
    dump.heap(0x0c, &PLAIN);
    let summary = verdict(&dump.bytes).expect("whole");
    assert!(!summary.ended);
    assert_eq!((summary.bytes, summary.instances), (dump.bytes.len() as u64, 1));
    for cut in 0..dump.bytes.len() {
        assert!(verdict(&dump.bytes[..cut]).is_err(), "cut at {cut}");
    }
}

#[test]
fn an_unsegmented_dump_of_version_1_0_2_needs_its_end_record() {
    let mut dump = Dump::new(b"JAVA PROFILE 1.0.2", 8);
    dump.heap(0x0c, &PLAIN);
    assert_eq!(verdict(&dump.bytes), Err(Error::NotEnded { offset: dump.bytes.len() as u64 }));
    let dump = dump.end();
    assert_eq!(verdict(&dump.bytes), Ok(dump.summary));
}

#[test]
fn a_segmented_dump_needs_its_end_record() {
    let mut dump = Dump::new(b"JAVA PROFILE 1.0.1", 8);
    dump.heap(0x0c, &PLAIN);
    dump.heap(0x1c, &PLAIN);
    assert_eq!(verdict(&dump.bytes), Err(Error::NotEnded { offset: dump.bytes.len() as u64 }));
}

#[test]
fn stacks_of_virtual_threads_may_follow_the_heap() {
    let frames = [Record::Fixed(0x04, 4, 8), Record::Trace(1)];
    let dump = Dump::of(
        8,
        &[&[Record::Segment(PLAIN.to_vec())], &frames[..], &[Record::Segment(PLAIN.to_vec())], &frames[..]].concat(),
    );
    assert_eq!(verdict(&dump.bytes), Ok(dump.summary));
}

/// Two segments whose lengths are not there yet.
fn unfinished() -> Dump {
    let heap = Record::Segment(PLAIN.to_vec());
    let mut dump = Dump::of(8, &[Record::Utf8(4), heap.clone(), heap]);
    for (at, _) in dump.lengths.clone() {
        let tag = dump.bytes[at - 5];
        if tag == 0x1c {
            dump.bytes[at..at + 4].fill(0);
        }
    }
    dump
}

#[test]
fn a_length_never_filled_in_is_an_error() {
    let error = verdict(&unfinished().bytes).unwrap_err();
    assert_eq!(error, Error::NoLength { offset: 52 });
    assert_eq!(
        error.to_string(),
        "the length of the heap record at byte 52 is 0: the JVM that wrote it did not finish it"
    );
}

#[derive(Default)]
struct Ends(Vec<(u64, u64)>);

impl Visitor for Ends {
    fn heap_record_end(&mut self, offset: u64, length: u64) {
        self.0.push((offset, length));
    }
}

#[test]
fn a_length_still_to_come_is_measured() {
    let dump = unfinished();
    assert_eq!(pending(&dump.bytes), Ok(dump.summary));
    let mut reader = Reader::with(Ends::default(), Lengths::Pending);
    dump.bytes.iter().for_each(|byte| reader.push(&[*byte]).expect("valid"));
    // An instance of 6 bytes, 25 before them; a sticky class of 9.
    assert_eq!(reader.into_visitor().0, [(52, 40), (52 + 49, 40)]);
}

#[test]
fn a_dump_with_a_length_still_to_come_is_not_whole_when_cut() {
    let dump = unfinished();
    for cut in 0..dump.bytes.len() {
        assert!(pending(&dump.bytes[..cut]).is_err(), "cut at {cut}");
    }
}

const GIB: u64 = 1 << 30;
/// Elements of a long[] of 1 GiB.
const GIB_OF_LONGS: u32 = 1 << 27;

const END: [u8; 9] = [0x2c, 0, 0, 0, 0, 0, 0, 0, 0];

/// A segment of an instance and a long[] of so many elements, with this length in its head, then `after`.
fn verdict_on_huge(elements: u32, length: u32, after: &[u8]) -> Result<(), Error> {
    let mut reader = Reader::new();
    reader.push(&Dump::new(b"JAVA PROFILE 1.0.2", 8).bytes)?;
    reader.push(&[[0x1c, 0, 0, 0, 0].as_slice(), &length.to_be_bytes()].concat())?;
    reader.push(&[[0x21].as_slice(), &[0; 24]].concat())?;
    reader.push(&[[0x23].as_slice(), &[0; 12], &elements.to_be_bytes(), &[11]].concat())?;
    let block = vec![0; 64 << 20];
    let mut left = u64::from(elements) * 8;
    while left > 0 {
        let portion = usize::try_from(left).unwrap_or(usize::MAX).min(block.len());
        reader.push(&block[..portion])?;
        left -= portion as u64;
    }
    reader.push(after)?;
    let summary = reader.finish()?;
    assert_eq!(summary.bytes, 31 + 9 + 43 + u64::from(elements) * 8 + 9);
    Ok(())
}

/// JDK 8 and older cut the length to 32 bits; the array that did it is the segment's last sub-record.
#[test]
fn a_segment_above_4_gib_is_whole_with_the_low_bits_of_its_length() {
    assert_eq!(verdict_on_huge(5 * GIB_OF_LONGS, (1 << 30) + 43, &END), Ok(()));
    assert_eq!(verdict_on_huge(4 * GIB_OF_LONGS, 43, &END), Ok(()));
    assert_eq!(verdict_on_huge(3 * GIB_OF_LONGS, (3 << 30) + 43, &END), Ok(()));
    // Here it is the instance before the array that seems to go over the end.
    assert_eq!(verdict_on_huge(4 * GIB_OF_LONGS - 3, 43 - 24, &END), Ok(()));
}

#[test]
fn a_segment_above_4_gib_with_another_length_is_an_error() {
    let overrun =
        |length| Err(Error::Overrun { offset: 31 + 9 + 25, name: "PRIMITIVE_ARRAY_DUMP", record: 31, length });
    assert_eq!(verdict_on_huge(4 * GIB_OF_LONGS, 42, &END), overrun(42));
    assert_eq!(verdict_on_huge(3 * GIB_OF_LONGS, (1 << 30) + 43, &END), overrun((1 << 30) + 43));
}

#[test]
fn a_segment_above_4_gib_is_not_blamed_for_what_follows_it() {
    let unknown = Error::UnknownTag { offset: 31 + 9 + 43 + 4 * GIB, code: 0x3f };
    assert_eq!(verdict_on_huge(4 * GIB_OF_LONGS, 43, &[0x3f; 9]), Err(unknown));
}
