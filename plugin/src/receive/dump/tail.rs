//! The end of a dump's main stream, which is to be the end of the whole: how much of HEAP_DUMP_END the last bytes may be.

use jattach_protocol::message::END_RECORD;

/// HEAP_DUMP_END: its tag, no time, no length.
pub(crate) const END: [u8; END_RECORD] = [0x2c, 0, 0, 0, 0, 0, 0, 0, 0];

/// How many of the last bytes of a stream are the beginning of [`END`], once `bytes` follow on a stream of which so many
/// were. The end of [`END`] is never its beginning, so there is one answer.
pub(crate) fn matched(before: usize, bytes: &[u8]) -> usize {
    let zeros = bytes.iter().rev().take(END_RECORD).take_while(|byte| **byte == 0).count();
    let total = match bytes.len().checked_sub(zeros + 1).map(|at| bytes[at]) {
        // All of them zeros: they go on with what was there.
        None if before > 0 => before + zeros,
        Some(tag) if tag == END[0] => 1 + zeros,
        _ => 0,
    };
    if total > END_RECORD { 0 } else { total }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_is_found_wherever_it_is_cut() {
        let stream = [b"\0\0\x2c\0\x2c".as_slice(), &END].concat();
        for first in 0..=stream.len() {
            for second in first..=stream.len() {
                let pieces = [&stream[..first], &stream[first..second], &stream[second..]];
                assert_eq!(pieces.into_iter().fold(0, matched), END_RECORD, "cut at {first} and {second}");
            }
        }
    }

    #[test]
    fn what_only_looks_like_the_end_is_none() {
        assert_eq!(matched(0, &[0; 20]), 0);
        assert_eq!(matched(0, b"\x2c\0\0\x01"), 0);
        assert_eq!(matched(0, &[&END[..], b"\0"].concat()), 0, "ten bytes are no end");
        assert_eq!(matched(9, b"\0"), 0);
        assert_eq!(matched(3, b""), 3);
        assert_eq!(matched(3, b"\x2c"), 1);
    }
}
