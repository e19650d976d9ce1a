//! What of a dump waits to be sent, or to be acknowledged: blocks in the order in which they were read, in memory as far as
//! there is room for them, and then in the spool.

use std::collections::VecDeque;
use std::sync::Arc;

use jattach_protocol::message::{Codec, DUMP_WINDOW, End, Limits, MAX_BLOCK, STREAMS};
use jattach_protocol::{Code, Failure};
use xxhash_rust::xxh3::Xxh3Default;

use super::spool::{Spool, Store};

/// How much waits in memory, which is the pod's, before the rest goes into the spool.
const MEMORY: usize = 6 << 20;

/// How many buffers are kept for the next block.
const SPARES: usize = 2;

/// Where bytes of a stream belong, and how many they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    pub(crate) stream: u32,
    pub(crate) offset: u64,
    pub(crate) raw: u32,
}

impl Piece {
    fn end(&self) -> u64 {
        self.offset + u64::from(self.raw)
    }
}

/// A piece of a stream, in the shape in which it waits.
struct Block {
    piece: Piece,
    codec: Codec,
    /// It was tried to compress it, in vain.
    dense: bool,
    length: usize,
    bytes: Bytes,
}

/// Where a block's bytes are.
enum Bytes {
    Memory(Vec<u8>),
    Spool(u64),
    /// With who sends them, or moves them into the spool.
    Away,
}

/// A block on its way from memory into the spool.
pub(crate) struct Moving {
    pub(crate) codec: Codec,
    pub(crate) bytes: Vec<u8>,
    number: u64,
    /// How much of the memory it takes until it has arrived.
    was: usize,
    /// They would not get smaller.
    pub(crate) dense: bool,
    /// Where the data were before.
    spare: Vec<u8>,
}

impl Moving {
    /// Gives the data another shape.
    pub(crate) fn repack(&mut self, codec: Codec, bytes: &[u8]) {
        self.codec = codec;
        self.spare = std::mem::replace(&mut self.bytes, bytes.to_vec());
    }
}

/// A block as it leaves.
pub(crate) struct Outgoing {
    pub(crate) piece: Piece,
    pub(crate) codec: Codec,
    pub(crate) bytes: Vec<u8>,
    number: u64,
    /// Where in the spool they are still to be read from.
    from: Option<(Arc<Store>, u64)>,
    /// Where the data were before.
    spare: Vec<u8>,
    /// Whether there is time to make it smaller.
    pub(crate) leisure: bool,
}

impl Outgoing {
    /// Reads what lies in the spool.
    pub(crate) fn fetch(mut self) -> Result<Outgoing, Failure> {
        if let Some((store, at)) = self.from.take() {
            store.read(&mut self.bytes, at).map_err(|error| no_spool(&error))?;
        }
        Ok(self)
    }

    /// Which block it is.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// Gives the data another shape.
    pub(crate) fn repack(&mut self, codec: Codec, bytes: &[u8]) {
        self.codec = codec;
        self.spare = std::mem::replace(&mut self.bytes, bytes.to_vec());
    }
}

fn no_spool(error: &std::io::Error) -> Failure {
    Failure::new(Code::NoSpace, "the spool in the pod cannot be used")
        .evidence(error.to_string())
        .remedy("free some of the node's disk, or do without it: --spool-limit=0")
}

#[derive(Default)]
struct Stream {
    length: u64,
    hash: Xxh3Default,
    sent: u64,
    stored: u64,
}

/// The blocks that are not acknowledged.
pub(crate) struct Queue {
    blocks: VecDeque<Block>,
    /// The number of the first of them, and of the next one to be sent.
    first: u64,
    next: u64,
    /// Bytes of blocks in memory.
    memory: usize,
    pub(crate) spool: Spool,
    streams: [Stream; STREAMS],
    /// How much may be under way.
    window: u64,
    /// Buffers that nobody uses just now.
    spares: Vec<Vec<u8>>,
}

impl Queue {
    pub(crate) fn new(limits: &Limits) -> Queue {
        Queue {
            blocks: VecDeque::new(),
            first: 0,
            next: 0,
            memory: 0,
            spool: Spool::new(limits),
            streams: Default::default(),
            window: DUMP_WINDOW,
            spares: Vec::new(),
        }
    }

    /// Counts the next bytes of a stream, and tells where they belong.
    pub(crate) fn append(&mut self, stream: u32, raw: &[u8]) -> Piece {
        let its = &mut self.streams[stream as usize];
        let offset = its.length;
        its.hash.update(raw);
        its.length += raw.len() as u64;
        #[expect(clippy::cast_possible_truncation, reason = "a block is a MiB at the most")]
        Piece { stream, offset, raw: raw.len() as u32 }
    }

    pub(crate) fn has_memory(&self, length: usize) -> bool {
        self.memory + length <= MEMORY
    }

    /// Adds a block, in memory.
    pub(crate) fn push(&mut self, piece: Piece, bytes: Vec<u8>) {
        let length = bytes.len();
        self.memory += length;
        self.blocks.push_back(Block { piece, codec: Codec::None, dense: false, length, bytes: Bytes::Memory(bytes) });
    }

    /// The block that is to be moved into the spool next: the newest, because it is sent last. None as long as half of the
    /// memory is there for what comes.
    pub(crate) fn next_to_move(&mut self) -> Option<Moving> {
        if self.memory <= MEMORY / 2 || self.spool.store().is_none() {
            return None;
        }
        let in_memory = |block: &Block| matches!(block.bytes, Bytes::Memory(_));
        let index = self.blocks.iter().rposition(in_memory)?;
        let block = &mut self.blocks[index];
        let Bytes::Memory(bytes) = std::mem::replace(&mut block.bytes, Bytes::Away) else { return None };
        let number = self.first + index as u64;
        let (codec, dense, was) = (block.codec, block.dense, block.length);
        Some(Moving { codec, dense, bytes, number, was, spare: Vec::new() })
    }

    /// Notes where a block has come to lie: in the spool at this offset, or in memory again. It may be gone meanwhile.
    pub(crate) fn moved(&mut self, moving: Moving, at: Option<u64>) {
        let Moving { codec, dense, bytes, number, was, spare } = moving;
        let length = bytes.len();
        self.spare(spare);
        match (self.block(number), at) {
            (Some(block), None) => {
                block.dense = dense;
                (block.codec, block.length, block.bytes) = (codec, length, Bytes::Memory(bytes));
                self.memory = self.memory - was + length;
            }
            (Some(block), Some(at)) => {
                (block.codec, block.length, block.bytes) = (codec, length, Bytes::Spool(at));
                self.memory -= was;
                self.spare(bytes);
            }
            (None, at) => {
                if let Some(at) = at {
                    self.spool.release(at, length);
                }
                self.spare(bytes);
            }
        }
    }

    /// A block that still waits.
    fn block(&mut self, number: u64) -> Option<&mut Block> {
        let index = usize::try_from(number.checked_sub(self.first)?).ok()?;
        self.blocks.get_mut(index)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.blocks.is_empty()
    }

    /// Whether that block still waits.
    pub(crate) fn has(&self, number: u64) -> bool {
        number >= self.first && number - self.first < self.blocks.len() as u64
    }

    /// How long the streams are.
    pub(crate) fn lengths(&self) -> [u64; STREAMS] {
        self.streams.each_ref().map(|stream| stream.length)
    }

    /// How much of them is acknowledged.
    pub(crate) fn stored(&self) -> [u64; STREAMS] {
        self.streams.each_ref().map(|stream| stream.stored)
    }

    /// What they gave.
    pub(crate) fn ends(&self) -> [End; STREAMS] {
        self.streams.each_ref().map(|stream| End { length: stream.length, hash: stream.hash.digest() })
    }

    /// The next block, if there is one and the client may have it.
    pub(crate) fn take(&mut self) -> Option<Outgoing> {
        let number = self.next;
        let block = self.blocks.get_mut(usize::try_from(number - self.first).ok()?)?;
        let under_way: u64 = self.streams.iter().map(|stream| stream.sent.saturating_sub(stream.stored)).sum();
        if under_way + u64::from(block.piece.raw) > self.window {
            return None;
        }
        let (bytes, from) = match std::mem::replace(&mut block.bytes, Bytes::Away) {
            Bytes::Memory(bytes) => (bytes, None),
            Bytes::Spool(at) => {
                block.bytes = Bytes::Spool(at);
                (Vec::new(), Some((self.spool.store()?, at)))
            }
            // It is being moved, or sent to a client that has gone meanwhile: there is one thread that sends, so it is back.
            Bytes::Away => return None,
        };
        let Block { piece, codec, length, .. } = *block;
        let bytes = if from.is_some() { self.buffer(length) } else { bytes };
        let its = &mut self.streams[piece.stream as usize];
        its.sent = its.sent.max(piece.end());
        self.next += 1;
        Some(Outgoing { piece, codec, bytes, number, from, spare: Vec::new(), leisure: true })
    }

    /// Keeps a block that is on its way, unless it was acknowledged meanwhile. One that lies in the spool stays there.
    pub(crate) fn put_back(&mut self, sent: Outgoing) {
        let Outgoing { number, codec, bytes, spare, .. } = sent;
        self.spare(spare);
        match self.block(number) {
            Some(block) if matches!(block.bytes, Bytes::Away) => {
                let (was, length) = (block.length, bytes.len());
                (block.codec, block.length, block.bytes) = (codec, length, Bytes::Memory(bytes));
                self.memory = self.memory - was + length;
            }
            _ => self.spare(bytes),
        }
    }

    /// A buffer of so many bytes.
    pub(crate) fn buffer(&mut self, length: usize) -> Vec<u8> {
        let mut buffer = self.spares.pop().unwrap_or_default();
        buffer.resize(length, 0);
        buffer
    }

    /// Keeps a buffer that is not needed any more, if it is a large one and few are kept.
    pub(crate) fn spare(&mut self, buffer: Vec<u8>) {
        if self.spares.len() < SPARES && buffer.capacity() >= MAX_BLOCK {
            self.spares.push(buffer);
        }
    }

    /// Begins again for a client that has stored so much; false where it lacks what it has acknowledged, or has more than
    /// there ever was.
    pub(crate) fn rewind(&mut self, stored: [u64; STREAMS]) -> bool {
        let fits = |(stream, stored): (&Stream, u64)| (stream.stored..=stream.length).contains(&stored);
        if !self.streams.iter().zip(stored).all(fits) {
            return false;
        }
        self.acknowledge(stored);
        self.next = self.first;
        for stream in &mut self.streams {
            stream.sent = stream.stored;
        }
        true
    }

    /// Lets every block go.
    pub(crate) fn clear(&mut self) {
        self.let_go(|_| true);
    }

    /// Lets go whatever it takes of memory and disk. What the streams gave is still known.
    pub(crate) fn close(&mut self) {
        self.clear();
        self.blocks = VecDeque::new();
        self.spares = Vec::new();
        self.spool.end();
    }

    /// Lets go what the client has stored.
    pub(crate) fn acknowledge(&mut self, stored: [u64; STREAMS]) {
        for (stream, stored) in self.streams.iter_mut().zip(stored) {
            stream.stored = stream.stored.max(stored.min(stream.length));
        }
        let stored = self.stored();
        self.let_go(|Block { piece, .. }| piece.end() <= stored[piece.stream as usize]);
    }

    /// Lets blocks go from the front, as long as they are not `wanted` any more.
    fn let_go(&mut self, unwanted: impl Fn(&Block) -> bool) {
        while self.blocks.front().is_some_and(&unwanted) {
            let Some(block) = self.blocks.pop_front() else { return };
            self.first += 1;
            match block.bytes {
                Bytes::Spool(at) => self.spool.release(at, block.length),
                Bytes::Memory(bytes) => {
                    self.memory -= block.length;
                    self.spare(bytes);
                }
                Bytes::Away => self.memory -= block.length,
            }
        }
        self.next = self.next.max(self.first);
    }
}

#[cfg(test)]
mod tests {
    use super::super::spool::Room;
    use super::*;

    fn queue() -> Queue {
        Queue::new(&Limits { spool: 64 << 20, ..Limits::default() })
    }

    /// Appends a block of that byte, wherever there is room.
    fn put(queue: &mut Queue, stream: u32, byte: u8) {
        let raw = vec![byte; MAX_BLOCK];
        let piece = queue.append(stream, &raw);
        queue.push(piece, raw);
        while let Some(block) = queue.next_to_move() {
            queue.spool.looked(true);
            let Room::At(at) = queue.spool.reserve(block.bytes.len()) else { panic!("no room") };
            queue.spool.store().expect("a file").write(&block.bytes, at).expect("written");
            queue.moved(block, Some(at));
        }
    }

    /// How much is in memory, and how much in the spool once that has given back what nobody wants.
    fn held(queue: &mut Queue) -> (u64, u64) {
        if let Some(unwanted) = queue.spool.let_go() {
            queue.spool.gone(&unwanted, true);
        }
        (queue.memory as u64, queue.spool.used())
    }

    /// Sends all that may be sent, each block as its first byte, and says which those were.
    fn send(queue: &mut Queue) -> Vec<u8> {
        let mut sent = Vec::new();
        while let Some(block) = queue.take() {
            let mut block = block.fetch().expect("its bytes");
            assert_eq!(block.bytes.len(), if block.codec == Codec::None { MAX_BLOCK } else { 1 });
            sent.push(block.bytes[0]);
            let first = [block.bytes[0]];
            block.repack(Codec::Zstd, &first);
            queue.put_back(block);
        }
        sent
    }

    const BLOCK: u64 = MAX_BLOCK as u64;

    #[test]
    fn what_is_not_acknowledged_is_sent_again_to_the_next_client_and_nothing_else() {
        let mut queue = queue();
        for byte in 0..10 {
            put(&mut queue, u32::from(byte % 2), byte);
        }
        assert_eq!(send(&mut queue), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
        queue.acknowledge([2 * BLOCK, 0]);
        assert!(queue.rewind([2 * BLOCK, 2 * BLOCK]));
        assert_eq!(send(&mut queue), [4, 5, 6, 7, 8, 9]);
        assert!(!queue.rewind([BLOCK, 5 * BLOCK]), "it lacks what it has acknowledged");
        assert!(!queue.rewind([6 * BLOCK, 5 * BLOCK]), "there never was so much");
        queue.acknowledge([5 * BLOCK, 5 * BLOCK]);
        assert!(queue.is_empty());
        assert_eq!(held(&mut queue), (0, 0));
    }

    #[test]
    fn no_more_is_under_way_than_the_window_holds() {
        let mut queue = queue();
        queue.window = 8 * BLOCK;
        for byte in 0..12 {
            put(&mut queue, u32::from(byte >= 6), byte);
        }
        assert_eq!(send(&mut queue), [0, 1, 2, 3, 4, 5, 6, 7]);
        assert!(queue.take().is_none());
        queue.acknowledge([BLOCK, 0]);
        assert_eq!(send(&mut queue), [8]);
    }

    #[test]
    fn what_memory_does_not_hold_lies_in_the_spool_and_leaves_it_when_it_is_acknowledged() {
        let mut queue = queue();
        for byte in 0..8 {
            put(&mut queue, 0, byte);
        }
        assert_eq!(held(&mut queue), (3 * BLOCK, 5 * BLOCK));
        assert_eq!(send(&mut queue), [0, 1, 2, 3, 4, 5, 6, 7]);
        assert_eq!(queue.memory, 3, "sent blocks wait in the shape they were sent in");
        queue.acknowledge([7 * BLOCK, 0]);
        assert_eq!(held(&mut queue), (0, BLOCK));
        queue.clear();
        assert_eq!(held(&mut queue).1, 0);
    }

    #[test]
    fn a_block_that_is_acknowledged_while_it_is_sent_is_not_kept() {
        let mut queue = queue();
        put(&mut queue, 0, 1);
        let block = queue.take().expect("a block");
        queue.acknowledge([BLOCK, 0]);
        queue.put_back(block);
        assert!(queue.is_empty());
        assert_eq!(queue.memory, 0);
    }
}
