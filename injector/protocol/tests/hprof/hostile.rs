//! Claims that nothing stands behind: they cost no memory and overflow nothing.

use jattach_protocol::hprof::Error;

use super::dump::{Dump, VALUE_TYPES};
use super::{pending, verdict};

/// A heap record of this length, and what it begins with.
fn heap(ids: u8, length: u32, content: &[u8]) -> Vec<u8> {
    let mut bytes = Dump::new(b"JAVA PROFILE 1.0.2", ids).bytes;
    bytes.extend_from_slice(&[0x1c, 0, 0, 0, 0]);
    bytes.extend_from_slice(&length.to_be_bytes());
    bytes.extend_from_slice(content);
    bytes
}

#[test]
fn arrays_of_4_billion_elements_are_waited_for() {
    for (code, size) in VALUE_TYPES {
        let array = [[0x23].as_slice(), &[0; 12], &[0xff; 4], &[code]].concat();
        let missing = u64::from(u32::MAX) * size as u64;
        // Pending lengths set no bound that the array could go over.
        let expected = Error::Truncated { offset: 58, name: "PRIMITIVE_ARRAY_DUMP", begin: 40, missing };
        assert_eq!(pending(&heap(8, 0, &array)), Err(expected));
    }
    for ids in [4_u8, 8] {
        let id = usize::from(ids);
        let array = [vec![0x22], vec![0; id + 4], vec![0xff; 4], vec![0; id]].concat();
        let missing = u64::from(u32::MAX) * u64::from(ids);
        let offset = 40 + array.len() as u64;
        let expected = Error::Truncated { offset, name: "OBJECT_ARRAY_DUMP", begin: 40, missing };
        assert_eq!(pending(&heap(ids, 0, &array)), Err(expected));
    }
}

#[test]
fn an_array_larger_than_its_segment_is_an_error_once_the_dump_ends() {
    let array = [[0x23].as_slice(), &[0; 12], &[0xff; 4], &[11]].concat();
    let bytes = heap(8, 100, &array);
    let expected = Error::Overrun { offset: 40, name: "PRIMITIVE_ARRAY_DUMP", record: 31, length: 100 };
    assert_eq!(verdict(&bytes), Err(expected));
    assert_eq!(
        verdict(&bytes).unwrap_err().to_string(),
        "the PRIMITIVE_ARRAY_DUMP at byte 40 runs over the end of its heap record, which begins at byte 31 and gives \
         its length as 100"
    );
}

#[test]
fn an_instance_and_a_segment_of_4_gib_are_waited_for() {
    let instance = [[0x21].as_slice(), &[0; 20], &[0xff; 4]].concat();
    let missing = u64::from(u32::MAX);
    let expected = Error::Truncated { offset: 65, name: "INSTANCE_DUMP", begin: 40, missing };
    assert_eq!(pending(&heap(8, 0, &instance)), Err(expected));
    let expected = Error::Truncated { offset: 40, name: "HEAP_DUMP_SEGMENT", begin: 31, missing };
    assert_eq!(verdict(&heap(8, u32::MAX, &[])), Err(expected));
}

#[test]
fn tables_of_65535_entries_are_walked_entry_by_entry() {
    let class = [[0x20].as_slice(), &[0; 64], &[0xff; 2], &[0, 0, 11]].concat();
    let expected = Error::Truncated { offset: 110, name: "CLASS_DUMP", begin: 40, missing: 8 };
    assert_eq!(verdict(&heap(8, 1 << 20, &class)), Err(expected));
}

#[test]
fn counts_of_4_billion_entries_do_not_fit_their_record() {
    for (tag, head, entry) in [(0x05, 8, 8), (0x06, 30, 25), (0x0d, 4, 8)] {
        let mut bytes = Dump::new(b"JAVA PROFILE 1.0.2", 8).bytes;
        bytes.extend_from_slice(&[tag, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff]);
        bytes.extend(vec![0; head]);
        bytes.extend_from_slice(&[0xff; 4]);
        let wanted = head as u64 + 4 + u64::from(u32::MAX) * entry;
        match verdict(&bytes) {
            Err(Error::Length { offset: 31, length, expected, .. }) => {
                assert_eq!((length, expected), (u64::from(u32::MAX), wanted));
            }
            other => panic!("{other:?}"),
        }
    }
}
