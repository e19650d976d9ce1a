//! A dump on its way to whichever client is there: block for block, each compressed on its own, never further ahead of the
//! client's acknowledgements than the protocol's window. On a thread of its own, for a client may be slow, or nobody at all.

use jattach_protocol::Message;
use jattach_protocol::frame::HEADER;
use jattach_protocol::message::{BLOCK, BLOCK_HEADER, Codec, MAX_BLOCK, block_header};

use super::artefact::{Artefact, Client, Step};
use super::queue::Outgoing;
use crate::hold::Gone;
use crate::sys::zstd::Compressor;

/// After so many blocks in a row that would not get smaller, one in as many is still tried.
const FUTILE: u32 = 8;

/// Where a block's data begin in its frame.
const DATA: usize = HEADER + BLOCK_HEADER;

/// Sends until everything is acknowledged, or nothing more can come of it.
pub(crate) fn send(artefact: &Artefact) {
    let mut press = Press { compressor: Compressor::new(), frame: vec![0; DATA + MAX_BLOCK], futile: 0 };
    loop {
        let (client, sent) = match artefact.next() {
            Step::Over => return,
            Step::Greet(client) => {
                let sent = client.peer.send(client.request, &Message::Started(artefact.started));
                (client, sent)
            }
            Step::Tell(client, progress) => {
                let sent = client.peer.progress(client.request, progress);
                (client, sent)
            }
            Step::Send(client, block) => {
                let (block, length) = press.pack(block);
                let sent = press.send(&client, &block, length);
                artefact.sent(block);
                (client, sent)
            }
        };
        if sent == Err(Gone) {
            artefact.detach(&client.peer);
        }
    }
}

/// What makes blocks small, and the frame in which they leave.
struct Press {
    compressor: Option<Compressor>,
    frame: Vec<u8>,
    /// How many blocks in a row would not get smaller.
    futile: u32,
}

impl Press {
    /// Puts a block's data into the frame, compressed where there is time and that makes it shorter, and tells their length.
    /// The block is in that shape then.
    fn pack(&mut self, mut block: Outgoing) -> (Outgoing, usize) {
        let to = &mut self.frame[DATA..];
        let room = block.bytes.len().saturating_sub(1);
        let worth_it = self.futile < FUTILE || self.futile.is_multiple_of(FUTILE);
        if block.leisure && block.codec == Codec::None {
            if worth_it
                && let Some(compressor) = &mut self.compressor
                && let Some(length) = compressor.compress(&block.bytes, &mut to[..room])
            {
                self.futile = 0;
                block.repack(Codec::Zstd, &to[..length]);
                return (block, length);
            }
            self.futile = self.futile.wrapping_add(1);
        }
        to[..block.bytes.len()].copy_from_slice(&block.bytes);
        let length = block.bytes.len();
        (block, length)
    }

    fn send(&mut self, client: &Client, block: &Outgoing, length: usize) -> Result<(), Gone> {
        let header = block_header(block.piece.offset, block.piece.raw, block.codec);
        self.frame[HEADER..DATA].copy_from_slice(&header);
        client.peer.send_frame(BLOCK, client.request, block.piece.stream, &mut self.frame[..DATA + length])
    }
}
