//! Which heap records of a file wait for their length.

use jattach_protocol::hprof::Lengths;
use jattach_protocol::hprof::redact::Redactor;
use jattach_protocol::message::Redact;

/// A heap record of that length with one root in it, which takes 9 bytes.
fn heap_record(length: u32) -> Vec<u8> {
    let mut record = vec![0x1c, 0, 0, 0, 0];
    record.extend(length.to_be_bytes());
    record.push(0xff);
    record.extend([0; 8]);
    record
}

#[test]
fn only_what_came_without_a_length_is_told_of() {
    let header = b"JAVA PROFILE 1.0.2\0\0\0\0\x08\0\0\0\0\0\0\0\0".to_vec();
    let file = [header, heap_record(9), heap_record(0), heap_record(9), heap_record(0)].concat();
    for redact in [Redact::Nothing, Redact::Arrays] {
        let mut redactor = Redactor::file(redact, Lengths::Pending);
        redactor.redact(&mut file.clone()).expect("a dump");
        assert_eq!(redactor.heap_records(), (vec![(49, 9)], Some(85)));
        redactor.redact(&mut [0x2c, 0, 0, 0, 0, 0, 0, 0, 0]).expect("its end");
        assert_eq!(redactor.heap_records(), (vec![(85, 9)], None));
    }
}
