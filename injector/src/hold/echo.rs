//! Bytes for a client that measures how fast they come.

use jattach_protocol::message::{End, WINDOW};
use jattach_protocol::{Failure, Message};
use xxhash_rust::xxh3::Xxh3Default;

use super::peer::Peer;

/// How much one message carries.
const PIECE: usize = 32 << 10;

/// Sends so many bytes that nobody on the way can make fewer of. They need no acknowledgement, because no more than that may
/// be under way without one.
pub(super) fn send(peer: &Peer, id: u32, length: u32) -> Result<(), Failure> {
    let length = u64::from(length).min(WINDOW);
    let (mut sent, mut hash, mut noise) = (0, Xxh3Default::new(), 0x9e37_79b9_7f4a_7c15_u64);
    let mut piece = vec![0; PIECE];
    while sent < length {
        for word in piece.chunks_exact_mut(size_of::<u64>()) {
            // Marsaglia's xorshift64.
            noise ^= noise << 13;
            noise ^= noise >> 7;
            noise ^= noise << 17;
            word.copy_from_slice(&noise.to_le_bytes());
        }
        let rest = usize::try_from(length - sent).unwrap_or(PIECE);
        let now = &piece[..rest.min(PIECE)];
        hash.update(now);
        peer.send(id, &Message::Output(now))?;
        sent += now.len() as u64;
    }
    peer.send(id, &Message::End(End { length, hash: hash.digest() }))?;
    Ok(())
}
