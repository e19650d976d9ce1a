//! Redaction leaves every byte as it is but those that are data, wherever the stream is cut, and refuses what it cannot tell.

mod model;
mod records;
mod refused;

use jattach_protocol::hprof::redact::{Error, Redactor};
use jattach_protocol::hprof::{IdSize, Lengths, Reader};
use jattach_protocol::message::Redact;
use proptest::collection::vec;
use proptest::prelude::*;

use model::{Heap, Made, heap};

const EVERY: [Redact; 4] = [Redact::Nothing, Redact::Text, Redact::Arrays, Redact::All];

fn extent() -> impl Strategy<Value = Redact> {
    prop::sample::select(EVERY.as_slice())
}

/// The bytes after redaction, in portions of these sizes again and again.
fn redacted(mut redactor: Redactor, bytes: &[u8], sizes: &[usize]) -> Result<Vec<u8>, Error> {
    let mut bytes = bytes.to_vec();
    let mut rest = bytes.as_mut_slice();
    for size in sizes.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let (portion, more) = rest.split_at_mut(rest.len().min(*size));
        redactor.redact(portion)?;
        rest = more;
    }
    Ok(bytes)
}

fn id_size(heap: &Heap) -> IdSize {
    if heap.ids == 4 { IdSize::Four } else { IdSize::Eight }
}

proptest! {
    #[test]
    fn what_is_data_becomes_zero_and_nothing_else(heap in heap(), what in extent(), sizes in vec(1..300_usize, 1..5)) {
        let dump = heap.dump();
        let redactor = Redactor::file(what, Lengths::Final);
        prop_assert_eq!(redacted(redactor, &dump.bytes, &sizes), Ok(dump.redacted(what)));
    }

    #[test]
    fn a_second_stream_is_redacted_by_itself(heap in heap(), what in extent(), sizes in vec(1..300_usize, 1..5)) {
        let part = heap.part();
        let redactor = Redactor::part(what, id_size(&heap));
        prop_assert_eq!(redacted(redactor, &part.bytes, &sizes), Ok(part.redacted(what)));
    }

    #[test]
    fn a_dump_pushed_byte_by_byte_is_redacted(heap in heap(), what in extent()) {
        let dump = heap.dump();
        prop_assert_eq!(redacted(Redactor::main(what), &dump.bytes, &[1]), Ok(dump.redacted(what)));
    }

    #[test]
    fn a_file_whose_lengths_are_still_to_come_is_redacted(heap in heap(), what in extent()) {
        // One heap record, as JDK 8 writes it: of several, each would end where the next one's tag is.
        let heap = Heap { segment: usize::MAX, ..heap };
        let mut dump = heap.dump();
        let record = dump.bytes.len() - heap.part().bytes.len() - 9;
        dump.bytes[record + 5..record + 9].fill(0);
        let redactor = Redactor::file(what, Lengths::Pending);
        prop_assert_eq!(redacted(redactor, &dump.bytes, &[77]), Ok(dump.redacted(what)));
    }

    #[test]
    fn a_redacted_dump_is_as_whole_as_before(heap in heap(), what in extent()) {
        let dump = heap.dump();
        let summary = |bytes: &[u8]| {
            let mut reader = Reader::new();
            reader.push(bytes)?;
            reader.finish()
        };
        let before = summary(&dump.bytes);
        prop_assert!(before.is_ok());
        prop_assert_eq!(summary(&redacted(Redactor::main(what), &dump.bytes, &[1 << 20])?), before);
    }

    #[test]
    fn redacting_twice_is_redacting_once(heap in heap(), what in extent()) {
        let once = redacted(Redactor::main(what), &heap.dump().bytes, &[100])?;
        prop_assert_eq!(redacted(Redactor::main(what), &once, &[100]), Ok(once));
    }
}

#[test]
fn an_array_longer_than_any_portion_becomes_zero() {
    let bytes = model::Object::Values(4, 300_000);
    let heap = Heap { ids: 8, classes: vec![], order: vec![], objects: vec![bytes], segment: 1 };
    let dump: Made = heap.dump();
    for sizes in [&[1 << 20][..], &[65_536], &[65_535, 3], &[200_000]] {
        assert!(redacted(Redactor::main(Redact::Text), &dump.bytes, sizes) == Ok(dump.redacted(Redact::Text)));
    }
    assert!(dump.redacted(Redact::Text) != dump.bytes);
}

#[test]
fn nothing_is_looked_at_where_nothing_is_redacted() {
    assert_eq!(redacted(Redactor::main(Redact::Nothing), b"no dump", &[3]), Ok(b"no dump".to_vec()));
}
