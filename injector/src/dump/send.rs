//! An artefact on its way: cut into blocks, each compressed on its own, hashed as a whole, never further ahead of the
//! client's acknowledgements than the protocol's window.

use jattach_protocol::frame::HEADER;
use jattach_protocol::message::{BLOCK, BLOCK_HEADER, Codec, End, MAX_BLOCK, block_header};
use jattach_protocol::{Code, Failure};
use xxhash_rust::xxh3::Xxh3Default;

use super::Source;
use crate::hold::Peer;
use crate::sys::zstd::Compressor;

/// Where a block's data begin in its frame.
const DATA: usize = HEADER + BLOCK_HEADER;

/// Sends all of `source` as the request's artefact. `progress` is told the offset behind each block.
pub(crate) fn send(
    peer: &Peer,
    id: u32,
    source: &mut dyn Source,
    progress: &mut dyn FnMut(u64),
) -> Result<End, Failure> {
    let mut compressor = Compressor::new().ok_or_else(|| Failure::new(Code::Other, "no memory for the compressor"))?;
    let mut block = vec![0; MAX_BLOCK];
    let mut frame = vec![0; DATA + MAX_BLOCK];
    let (mut offset, mut hash) = (0, Xxh3Default::new());
    loop {
        let count = source.fill(&mut block)?;
        if count == 0 {
            return Ok(End { length: offset, hash: hash.digest() });
        }
        let raw = &block[..count];
        hash.update(raw);
        let (codec, packed) = pack(&mut compressor, raw, &mut frame[DATA..]);
        #[expect(clippy::cast_possible_truncation, reason = "at most MAX_BLOCK")]
        let header = block_header(offset, count as u32, codec);
        frame[HEADER..DATA].copy_from_slice(&header);
        offset += count as u64;
        peer.wait_for_window(offset)?;
        peer.send_frame(BLOCK, id, &mut frame[..DATA + packed])?;
        progress(offset);
    }
}

/// Packs `raw` into `to`, which has room for it as it is; compressed only where that makes it shorter.
fn pack(compressor: &mut Compressor, raw: &[u8], to: &mut [u8]) -> (Codec, usize) {
    let room = raw.len() - 1;
    match compressor.compress(raw, &mut to[..room]) {
        Some(packed) => (Codec::Zstd, packed),
        None => {
            to[..raw.len()].copy_from_slice(raw);
            (Codec::None, raw.len())
        }
    }
}

#[cfg(test)]
mod tests {
    use xxhash_rust::xxh3::xxh3_64;

    use super::*;

    #[test]
    fn a_block_is_compressed_where_that_makes_it_shorter_and_else_left_alone() {
        let mut compressor = Compressor::new().expect("memory");
        let mut to = vec![0; 1000];
        let (codec, packed) = pack(&mut compressor, &[7; 1000], &mut to);
        assert!(codec == Codec::Zstd && packed < 100, "{codec:?} {packed}");

        let noise: Vec<u8> = (0..125_u64).flat_map(|i| xxh3_64(&i.to_le_bytes()).to_le_bytes()).collect();
        assert_eq!(pack(&mut compressor, &noise, &mut to), (Codec::None, 1000));
        assert_eq!(to, noise);
        assert_eq!(pack(&mut compressor, b"x", &mut to), (Codec::None, 1), "a single byte leaves no room at all");
    }
}
