//! The thread that stores: it trusts no offset, length or hash, and ends with the one report that counts.

use std::sync::mpsc::Receiver;
use std::thread;

use jattach_protocol::message::{Codec, End, MAX_BLOCK};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use xxhash_rust::xxh3::Xxh3Default;
use zstd::bulk::Decompressor;

use super::{Piece, Reports, Sink};
use crate::error::{Exit, Failure};

/// What the thread says.
pub(super) enum Report<T> {
    /// Everything below this offset is stored, and the last piece of it no longer takes its part of the memory.
    Stored { offset: u64, cost: u64 },
    /// It is over, one way or the other.
    Done(Result<T, Failure>),
}

/// Starts it. It ends with the queue, too: then nobody wants to know.
pub(super) fn start<S: Sink>(sink: S, queue: Receiver<Piece>) -> Reports<S::Stored> {
    let (reports, receiver) = unbounded_channel();
    thread::spawn(move || {
        if let Some(result) = store(sink, &queue, &reports) {
            let _ = reports.send(Report::Done(result));
        }
    });
    receiver
}

fn store<S: Sink>(
    sink: S,
    queue: &Receiver<Piece>,
    reports: &UnboundedSender<Report<S::Stored>>,
) -> Option<Result<S::Stored, Failure>> {
    let mut store = match Store::new(sink) {
        Ok(store) => store,
        Err(failure) => return Some(Err(failure)),
    };
    loop {
        let piece = queue.recv().ok()?;
        let cost = piece.cost();
        let stored = match piece {
            Piece::Output(bytes) => store.add(&bytes),
            Piece::Block { offset, raw_length, codec, data } => store.unpack(offset, raw_length, codec, &data),
            Piece::End(end) => return Some(store.end(&end)),
        };
        match stored {
            Ok(()) => reports.send(Report::Stored { offset: store.length, cost }).ok()?,
            Err(failure) => return Some(Err(failure)),
        }
    }
}

struct Store<S> {
    sink: S,
    length: u64,
    hash: Xxh3Default,
    decompressor: Decompressor<'static>,
    block: Vec<u8>,
}

impl<S: Sink> Store<S> {
    fn new(sink: S) -> Result<Store<S>, Failure> {
        let decompressor = Decompressor::new().map_err(|error| {
            Failure::new(Exit::Other, "cannot start zstd").evidence(error.to_string()).remedy("free some memory here")
        })?;
        Ok(Store { sink, length: 0, hash: Xxh3Default::new(), decompressor, block: Vec::new() })
    }

    fn add(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.sink.write(bytes)?;
        self.hash.update(bytes);
        self.length += bytes.len() as u64;
        Ok(())
    }

    fn unpack(&mut self, offset: u64, raw_length: u32, codec: Codec, data: &[u8]) -> Result<(), Failure> {
        if offset != self.length {
            return Err(corrupt(format!("a block for offset {offset} came at {}", self.length)));
        }
        if codec == Codec::None {
            return self.add(data);
        }
        let mut block = std::mem::take(&mut self.block);
        block.resize(MAX_BLOCK, 0);
        // No further than the buffer goes, whatever the block claims of itself.
        let unpacked = self.decompressor.decompress_to_buffer(data, &mut block[..]);
        let result = match unpacked {
            Ok(count) if count == raw_length as usize => self.add(&block[..count]),
            Ok(count) => Err(corrupt(format!("the block at {offset} unpacks to {count} bytes, not {raw_length}"))),
            Err(error) => Err(corrupt(format!("the block at {offset} cannot be unpacked: {error}"))),
        };
        self.block = block;
        result
    }

    fn end(self, end: &End) -> Result<S::Stored, Failure> {
        if end.length != self.length {
            return Err(corrupt(format!("{} bytes came of {}", self.length, end.length)));
        }
        if end.hash != self.hash.digest() {
            return Err(corrupt(format!("the xxh3 of all {} bytes is not {:016x}", self.length, end.hash)));
        }
        self.sink.finish()
    }
}

fn corrupt(evidence: String) -> Failure {
    Failure::new(Exit::Transfer, "what arrived is not what the injector sent")
        .evidence(evidence)
        .remedy("run the command again: nothing of the target has changed")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::channel;
    use xxhash_rust::xxh3::xxh3_64;

    struct Memory(Vec<u8>);

    impl Sink for Memory {
        type Stored = Vec<u8>;

        fn write(&mut self, bytes: &[u8]) -> Result<(), Failure> {
            self.0.extend_from_slice(bytes);
            Ok(())
        }

        fn finish(self) -> Result<Vec<u8>, Failure> {
            Ok(self.0)
        }
    }

    fn stored(pieces: Vec<Piece>) -> Result<Vec<u8>, String> {
        let (sender, queue) = channel();
        for piece in pieces {
            sender.send(piece).expect("the queue is open");
        }
        drop(sender);
        let (reports, _receiver) = unbounded_channel();
        let result = store(Memory(Vec::new()), &queue, &reports).expect("an end was sent");
        result.map_err(|failure| {
            assert_eq!(failure.exit, Exit::Transfer);
            failure.evidence
        })
    }

    fn end(bytes: &[u8]) -> Piece {
        Piece::End(End { length: bytes.len() as u64, hash: xxh3_64(bytes) })
    }

    fn zstd(offset: u64, raw_length: usize, bytes: &[u8]) -> Piece {
        let data = zstd::bulk::compress(bytes, 1).expect("zstd");
        Piece::Block { offset, raw_length: raw_length.try_into().expect("short"), codec: Codec::Zstd, data }
    }

    fn plain(offset: u64, bytes: &[u8]) -> Piece {
        let raw_length = bytes.len().try_into().expect("short");
        Piece::Block { offset, raw_length, codec: Codec::None, data: bytes.to_vec() }
    }

    #[test]
    fn blocks_of_both_codecs_make_the_artefact() {
        let pieces = vec![plain(0, b"abc"), zstd(3, 100, &[7; 100]), end(&[b"abc".as_slice(), &[7; 100]].concat())];
        assert_eq!(stored(pieces).map(|bytes| bytes.len()), Ok(103));
    }

    #[test]
    fn a_block_that_is_missing_or_comes_twice_is_corrupt() {
        assert!(stored(vec![plain(3, b"abc")]).unwrap_err().contains("offset 3 came at 0"));
        assert!(stored(vec![plain(0, b"abc"), plain(0, b"abc")]).unwrap_err().contains("offset 0 came at 3"));
    }

    #[test]
    fn a_length_or_hash_that_differs_is_corrupt() {
        let short = Piece::End(End { length: 4, hash: xxh3_64(b"abc") });
        assert!(stored(vec![plain(0, b"abc"), short]).unwrap_err().contains("3 bytes came of 4"));
        assert!(stored(vec![plain(0, b"abd"), end(b"abc")]).unwrap_err().contains("xxh3"));
    }

    #[test]
    fn a_decompression_bomb_ends_at_the_size_of_a_block() {
        let bomb = zstd(0, 1000, &vec![0; MAX_BLOCK * 64]);
        assert!(stored(vec![bomb]).unwrap_err().contains("cannot be unpacked"));
        let liar = zstd(0, 1000, &[0; 2000]);
        assert!(stored(vec![liar]).unwrap_err().contains("2000 bytes, not 1000"));
    }

    #[test]
    fn a_queue_that_ends_without_an_end_is_nobodys_result() {
        let (sender, queue) = channel();
        sender.send(plain(0, b"abc")).expect("the queue is open");
        drop(sender);
        let (reports, _receiver) = unbounded_channel();
        assert!(store(Memory(Vec::new()), &queue, &reports).is_none());
    }
}
