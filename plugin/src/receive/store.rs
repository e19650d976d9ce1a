//! The thread that stores: it trusts no offset, length or hash, and ends with the one report that counts.

use std::sync::mpsc::Receiver;
use std::thread;

use jattach_protocol::message::{Codec, MAX_BLOCK, STREAMS};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use zstd::bulk::Decompressor;

use super::counted::corrupt;
use super::{Piece, Sink};
use crate::catalogue::Id;
use crate::error::Failure;

/// What the thread says.
pub(super) enum Report<T> {
    /// So many bytes of all streams are stored, and the last piece of them no longer takes its part of the memory.
    Stored { bytes: u64, cost: u64 },
    /// What was written before is safe.
    Settled,
    /// It is over, one way or the other.
    Done(Result<T, Failure>),
}

/// Starts it. It ends with the queue, too: then nobody wants to know.
pub(super) fn start<S: Sink>(sink: S, queue: Receiver<Piece>) -> UnboundedReceiver<Report<S::Stored>> {
    let (reports, receiver) = unbounded_channel();
    thread::spawn(move || {
        if let Some(result) = store(sink, &queue, &reports) {
            let _ = reports.send(Report::Done(result));
        }
    });
    receiver
}

fn store<S: Sink>(
    mut sink: S,
    queue: &Receiver<Piece>,
    reports: &UnboundedSender<Report<S::Stored>>,
) -> Option<Result<S::Stored, Failure>> {
    let mut unpacker = match Unpacker::new() {
        Ok(unpacker) => unpacker,
        Err(failure) => return Some(Err(failure)),
    };
    loop {
        let piece = queue.recv().ok()?;
        let cost = piece.cost();
        let is_settle = matches!(piece, Piece::Settle);
        let stored = match piece {
            Piece::Begin(started) => sink.begin(&started),
            Piece::Output(bytes) => sink.write(0, &bytes),
            Piece::Block { stream, offset, raw_length, codec, data } => {
                unpacker.unpack(stream, offset, raw_length, codec, &data, &mut sink)
            }
            Piece::Patch(patch) => sink.patch(patch),
            Piece::StreamEnd(end) => sink.end_part(&end),
            Piece::Settle => sink.settle(),
            Piece::End(end) => return Some(sink.finish(&end)),
        };
        if let Err(failure) = stored {
            return Some(Err(failure));
        }
        let bytes = (0..).take(STREAMS).map(|stream| sink.length(stream)).sum();
        reports.send(Report::Stored { bytes, cost }).ok()?;
        if is_settle {
            reports.send(Report::Settled).ok()?;
        }
    }
}

/// What makes blocks large again.
struct Unpacker {
    decompressor: Decompressor<'static>,
    block: Vec<u8>,
}

impl Unpacker {
    fn new() -> Result<Unpacker, Failure> {
        let decompressor = Decompressor::new().map_err(|error| {
            Failure::new(Id::Other, "cannot start zstd").evidence(error.to_string()).remedy("free some memory here")
        })?;
        Ok(Unpacker { decompressor, block: vec![0; MAX_BLOCK] })
    }

    fn unpack<S: Sink>(
        &mut self,
        stream: u32,
        offset: u64,
        raw_length: u32,
        codec: Codec,
        data: &[u8],
        sink: &mut S,
    ) -> Result<(), Failure> {
        let length = sink.length(stream);
        if offset != length {
            return Err(corrupt(format!("a block for offset {offset} of stream {stream} came at {length}")));
        }
        if codec == Codec::None {
            return sink.write(stream, data);
        }
        // No further than the buffer goes, whatever the block claims of itself.
        match self.decompressor.decompress_to_buffer(data, &mut self.block[..]) {
            Ok(count) if count == raw_length as usize => sink.write(stream, &self.block[..count]),
            Ok(count) => Err(corrupt(format!("the block at {offset} unpacks to {count} bytes, not {raw_length}"))),
            // zstd's own words for it are left out of its thin build.
            Err(_) => {
                let length = data.len();
                Err(corrupt(format!("the {length} bytes of the block at {offset} do not unpack to {raw_length}")))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Safe;
    use super::super::counted::Counted;
    use super::*;
    use crate::error::Exit;
    use jattach_protocol::message::{End, Patch, Started};
    use std::sync::mpsc::channel;
    use tokio::sync::watch;
    use xxhash_rust::xxh3::xxh3_64;

    #[derive(Default)]
    struct Memory {
        bytes: [Vec<u8>; STREAMS],
        counted: [Counted; STREAMS],
    }

    impl Sink for Memory {
        type Stored = [Vec<u8>; STREAMS];

        fn safe(&self) -> watch::Receiver<Safe> {
            watch::Sender::new(None).subscribe()
        }
        fn begin(&mut self, _: &Started) -> Result<(), Failure> {
            *self = Memory::default();
            Ok(())
        }
        fn length(&self, stream: u32) -> u64 {
            self.counted[stream as usize].length()
        }
        fn write(&mut self, stream: u32, bytes: &[u8]) -> Result<(), Failure> {
            self.bytes[stream as usize].extend_from_slice(bytes);
            self.counted[stream as usize].add(bytes);
            Ok(())
        }
        fn patch(&mut self, _: Patch) -> Result<(), Failure> {
            Ok(())
        }
        fn end_part(&mut self, end: &End) -> Result<(), Failure> {
            self.counted[1].check(end)
        }
        fn settle(&mut self) -> Result<(), Failure> {
            Ok(())
        }
        fn finish(self, end: &End) -> Result<Self::Stored, Failure> {
            self.counted[0].check(end)?;
            Ok(self.bytes)
        }
    }

    fn stored(pieces: Vec<Piece>) -> Result<[Vec<u8>; STREAMS], String> {
        let (sender, queue) = channel();
        for piece in pieces {
            sender.send(piece).expect("the queue is open");
        }
        drop(sender);
        let (reports, _receiver) = unbounded_channel();
        let result = store(Memory::default(), &queue, &reports).expect("an end was sent");
        result.map_err(|failure| {
            assert_eq!(failure.exit(), Exit::Transfer);
            failure.evidence
        })
    }

    fn end(bytes: &[u8]) -> Piece {
        Piece::End(End { length: bytes.len() as u64, hash: xxh3_64(bytes) })
    }

    fn zstd(offset: u64, raw_length: usize, bytes: &[u8]) -> Piece {
        let data = zstd::bulk::compress(bytes, 1).expect("zstd");
        Piece::Block { stream: 0, offset, raw_length: raw_length.try_into().expect("short"), codec: Codec::Zstd, data }
    }

    fn plain(stream: u32, offset: u64, bytes: &[u8]) -> Piece {
        let raw_length = bytes.len().try_into().expect("short");
        Piece::Block { stream, offset, raw_length, codec: Codec::None, data: bytes.to_vec() }
    }

    #[test]
    fn blocks_of_both_codecs_make_the_artefact() {
        let whole = [b"abc".as_slice(), &[7; 100]].concat();
        let pieces = vec![plain(0, 0, b"abc"), zstd(3, 100, &[7; 100]), end(&whole)];
        assert_eq!(stored(pieces).map(|[main, _]| main), Ok(whole));
    }

    #[test]
    fn each_stream_has_its_own_offsets_length_and_hash() {
        let part_end = |bytes: &[u8]| Piece::StreamEnd(End { length: bytes.len() as u64, hash: xxh3_64(bytes) });
        let pieces = |end_of_part| {
            vec![
                plain(0, 0, b"abc"),
                plain(1, 0, b"xy"),
                plain(0, 3, b"de"),
                plain(1, 2, b"z"),
                end_of_part,
                end(b"abcde"),
            ]
        };
        assert_eq!(stored(pieces(part_end(b"xyz"))), Ok([b"abcde".to_vec(), b"xyz".to_vec()]));
        assert!(stored(pieces(part_end(b"xyy"))).unwrap_err().contains("xxh3"));
        assert!(stored(vec![plain(1, 3, b"z")]).unwrap_err().contains("offset 3 of stream 1 came at 0"));
    }

    #[test]
    fn a_block_that_is_missing_or_comes_twice_is_corrupt() {
        assert!(stored(vec![plain(0, 3, b"abc")]).unwrap_err().contains("came at 0"));
        assert!(stored(vec![plain(0, 0, b"abc"), plain(0, 0, b"abc")]).unwrap_err().contains("came at 3"));
    }

    #[test]
    fn a_length_or_hash_that_differs_is_corrupt() {
        let short = Piece::End(End { length: 4, hash: xxh3_64(b"abc") });
        assert!(stored(vec![plain(0, 0, b"abc"), short]).unwrap_err().contains("3 bytes came of 4"));
        assert!(stored(vec![plain(0, 0, b"abd"), end(b"abc")]).unwrap_err().contains("xxh3"));
    }

    #[test]
    fn a_decompression_bomb_ends_at_the_size_of_a_block() {
        let bomb = zstd(0, 1000, &vec![0; MAX_BLOCK * 64]);
        assert!(stored(vec![bomb]).unwrap_err().contains("do not unpack to 1000"));
        let liar = zstd(0, 1000, &[0; 2000]);
        assert!(stored(vec![liar]).unwrap_err().contains("2000 bytes, not 1000"));
    }

    #[test]
    fn a_queue_that_ends_without_an_end_is_nobodys_result() {
        let (sender, queue) = channel();
        sender.send(plain(0, 0, b"abc")).expect("the queue is open");
        drop(sender);
        let (reports, _receiver) = unbounded_channel();
        assert!(store(Memory::default(), &queue, &reports).is_none());
    }
}
