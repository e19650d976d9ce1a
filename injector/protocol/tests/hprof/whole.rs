//! Dumps that are whole, however they arrive.

use proptest::collection::vec;
use proptest::prelude::*;

use super::dump::{Dump, Sub, dump};
use super::{in_portions, verdict};

proptest! {
    #[test]
    fn every_valid_dump_is_whole_and_counted(dump in dump()) {
        prop_assert_eq!(verdict(&dump.bytes), Ok(dump.summary));
    }

    #[test]
    fn any_split_of_a_dump_gives_the_same_verdict(dump in dump(), sizes in vec(1..200_usize, 1..6)) {
        prop_assert_eq!(in_portions(&dump.bytes, &sizes), Ok(dump.summary));
    }

    #[test]
    fn any_split_of_a_damaged_dump_gives_the_same_verdict(
        dump in dump(),
        at in any::<prop::sample::Index>(),
        flip in 1..=u8::MAX,
        sizes in vec(1..40_usize, 1..6),
    ) {
        let mut bytes = dump.bytes;
        let at = at.index(bytes.len());
        bytes[at] ^= flip;
        prop_assert_eq!(in_portions(&bytes, &sizes), verdict(&bytes));
    }
}

#[test]
fn a_dump_pushed_byte_by_byte_is_whole() {
    let every_root = (0..9).map(Sub::Root);
    let every_array = (0..8).map(|kind| Sub::Values(kind, 3));
    let every_type: Vec<usize> = (0..=8).collect();
    let class = Sub::Class(every_type.clone(), every_type.clone(), every_type);
    let subs: Vec<Sub> = every_root.chain(every_array).chain([class, Sub::Instance(5), Sub::Objects(2)]).collect();
    for ids in [4, 8] {
        let dump = Dump::of(ids, &[super::dump::Record::Segment(subs.clone())]);
        assert_eq!(in_portions(&dump.bytes, &[1]), Ok(dump.summary));
        assert_eq!((dump.summary.arrays, dump.summary.instances, dump.summary.classes), (9, 1, 1));
    }
}

#[test]
fn a_reader_owns_no_memory_beside_itself() {
    assert!(!std::mem::needs_drop::<jattach_protocol::hprof::Reader>());
    assert!(size_of::<jattach_protocol::hprof::Reader>() < 512);
}
