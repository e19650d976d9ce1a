//! Heap dumps that are none.

use std::thread;
use std::time::Duration;

use jattach_e2e::hostile::Mode;
use jattach_protocol::message::{
    Block, Codec, End, Form, MAX_BLOCK, Operation, Patch, Phase, Progress, Resume, Started, Survey,
};
use jattach_protocol::{Message, message::DumpHeap};
use xxhash_rust::xxh3::xxh3_64;

use crate::talk::{Asked, Talk};

/// HPROF's header: identifiers of 8 bytes, and no time.
const HEADER: &[u8] = b"JAVA PROFILE 1.0.2\0\0\0\0\x08\0\0\0\0\0\0\0\0";
/// A heap record with one root (ROOT_UNKNOWN), and the end record.
const HEAP: &[u8] = &[0x1c, 0, 0, 0, 0, 0, 0, 0, 9, 0xff, 0, 0, 0, 0, 0, 0, 0, 1];
const END: &[u8] = &[0x2c, 0, 0, 0, 0, 0, 0, 0, 0];

/// Between two blocks of a dump without end: it is to fill nobody's disk before it is ended.
const PACE: Duration = Duration::from_millis(10);

pub(crate) fn act(mode: Mode, talk: &mut Talk, asked: &Asked) {
    match &asked.operation {
        Operation::Survey(_) => survey(mode, talk, asked.id),
        Operation::DumpHeap(wanted) => dump(mode, talk, asked.id, wanted),
        // There is nothing to give up.
        _ => talk.say(asked.id, &Message::End(End { length: 0, hash: xxh3_64(b"") })),
    }
}

fn survey(mode: Mode, talk: &mut Talk, request: u32) {
    let most = if mode == Mode::Huge { u64::MAX } else { 1 << 20 };
    let form = if mode == Mode::Patches { Form::File } else { Form::Stream };
    let survey = Survey { form, heap_used: most, expected: most, spool: most, free: most, size: most };
    talk.say(request, &Message::Survey(survey));
    talk.say(request, &Message::End(End { length: 0, hash: xxh3_64(b"") }));
}

fn dump(mode: Mode, talk: &mut Talk, request: u32, wanted: &DumpHeap) {
    // Whose dump that is: each time another one's.
    let job = match wanted.resume {
        Some(Resume { job, .. }) => job.wrapping_add(1),
        None => 1,
    };
    talk.say(request, &Message::Started(Started { job, pid: u32::MAX, start_time: u64::MAX }));
    let whole = [HEADER, HEAP, END].concat();
    let raw = |talk: &mut Talk, stream: u32, offset: u64, data: &[u8]| {
        let raw_length = u32::try_from(data.len()).expect("short");
        talk.say(request, &Message::Block(Block { stream, offset, raw_length, codec: Codec::None, data }));
    };
    let ended = |talk: &mut Talk, bytes: &[u8], more: u64| {
        talk.say(request, &Message::End(End { length: bytes.len() as u64 + more, hash: xxh3_64(bytes) }));
    };
    match mode {
        Mode::DumpProgress => progress(talk, request),
        Mode::Bomb => packed(talk, request, MAX_BLOCK, 1 << 30),
        Mode::BlockLength => packed(talk, request, 10, 1000),
        Mode::Offset => raw(talk, 0, 1 << 62, HEADER),
        Mode::SecondStream => raw(talk, 1, 0, HEAP),
        Mode::DumpLength => {
            raw(talk, 0, 0, &whole);
            ended(talk, &whole, 1);
        }
        Mode::DumpHash => {
            raw(talk, 0, 0, &whole);
            let other = vec![0; whole.len()];
            ended(talk, &other, 0);
        }
        Mode::Unended => {
            let part = &whole[..whole.len() - END.len()];
            raw(talk, 0, 0, part);
            ended(talk, part, 0);
        }
        Mode::Patches => {
            for offset in 0.. {
                talk.say(request, &Message::Patch(Patch { offset, length: 1 }));
            }
        }
        Mode::Endless => endless(talk, raw),
        Mode::OtherJob => {
            raw(talk, 0, 0, HEADER);
            std::process::exit(0);
        }
        _ => ended(talk, b"", 0),
    }
}

/// Every phase with every number that may be one too many.
fn progress(talk: &mut Talk, request: u32) -> ! {
    const NUMBERS: [u64; 3] = [0, 1, u64::MAX];
    loop {
        for phase in [Phase::Dumping, Phase::Sending, Phase::Attaching, Phase::Queued] {
            for (done, total) in NUMBERS.into_iter().flat_map(|done| NUMBERS.map(|total| (done, total))) {
                let far = Progress { phase, done, total, stalled: u32::MAX };
                talk.say(request, &Message::Progress(far));
            }
        }
        thread::sleep(PACE);
    }
}

/// Zeros, so many of them packed, said to be so many.
fn packed(talk: &mut Talk, request: u32, said: usize, zeros: usize) {
    let data = zeros_packed(zeros);
    let raw_length = u32::try_from(said).expect("short");
    talk.say(request, &Message::Block(Block { stream: 0, offset: 0, raw_length, codec: Codec::Zstd, data: &data }));
}

/// A zstd frame of so many zeros, written by hand (RFC 8878): to compress a gigabyte would take the room of it, and a while.
fn zeros_packed(zeros: usize) -> Vec<u8> {
    /// The most that a block holds.
    const BLOCK: usize = 128 << 10;
    const RLE: usize = 1 << 1;
    // The magic number; no content size, no checksum, no dictionary; a window of a mebibyte.
    let mut frame = vec![0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x50];
    let mut left = zeros;
    while left > 0 {
        let block = left.min(BLOCK);
        left -= block;
        let header = block << 3 | RLE | usize::from(left == 0);
        frame.extend_from_slice(&header.to_le_bytes()[..3]);
        frame.push(0);
    }
    frame
}

/// The header, and strings for ever.
fn endless(talk: &mut Talk, say: impl Fn(&mut Talk, u32, u64, &[u8])) {
    say(talk, 0, 0, HEADER);
    let length: u32 = 64 << 10;
    let string = [&[1, 0, 0, 0, 0][..], &length.to_be_bytes(), &vec![b'x'; length as usize]].concat();
    let mut offset = HEADER.len() as u64;
    loop {
        say(talk, 0, offset, &string);
        offset += string.len() as u64;
        thread::sleep(PACE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_packed_by_hand_unpacks_to_so_many_zeros() {
        for zeros in [1, 1000, (128 << 10) + 1] {
            let unpacked = zstd::bulk::decompress(&zeros_packed(zeros), zeros).expect("a frame");
            assert!(unpacked.len() == zeros && unpacked.iter().all(|byte| *byte == 0));
        }
    }
}
