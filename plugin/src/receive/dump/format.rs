//! In which shape a dump lies on the disk. A compressed one is a row of independent pieces: so it can be cut, joined and gone
//! on with at the end of any of them, and Eclipse MAT can open it without unpacking all of it.

use std::fs::File;
use std::io::{self, Read, Write};

use flate2::read::MultiGzDecoder;
use flate2::{Compression, GzBuilder};
use jattach_protocol::message::MAX_BLOCK;
use serde::{Deserialize, Serialize};
use zstd::bulk::Compressor;

/// The shape of a dump at rest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Format {
    #[default]
    Raw,
    /// Members of gzip (RFC 1952).
    Gzip,
    /// Frames of zstd (RFC 8878).
    Zstd,
}

/// Fast enough to keep up with what comes; more of it gains little.
const ZSTD_LEVEL: i32 = 1;

/// The first level of zlib-rs makes what cannot be compressed a twentieth larger. The second is hardly slower.
const GZIP_LEVEL: u32 = 2;

impl Format {
    /// What a file's name ends with.
    pub(crate) fn extension(self) -> &'static str {
        match self {
            Format::Raw => "hprof",
            Format::Gzip => "hprof.gz",
            Format::Zstd => "hprof.zst",
        }
    }

    /// Reads what was written in this shape.
    ///
    /// # Errors
    /// When zstd has no memory.
    pub(crate) fn reader(self, file: File, length: u64) -> io::Result<Box<dyn Read>> {
        let stored = file.take(length);
        Ok(match self {
            // No piece at all is no file of gzip.
            _ if length == 0 => Box::new(io::empty()),
            Format::Raw => Box::new(stored),
            Format::Gzip => Box::new(MultiGzDecoder::new(stored)),
            Format::Zstd => Box::new(zstd::stream::read::Decoder::new(stored)?),
        })
    }
}

/// Makes pieces of a dump.
pub(crate) enum Encoder {
    Raw,
    Gzip(Vec<u8>),
    Zstd(Compressor<'static>, Vec<u8>),
}

impl Encoder {
    /// # Errors
    /// When zstd has no memory.
    pub(crate) fn new(format: Format) -> io::Result<Encoder> {
        Ok(match format {
            Format::Raw => Encoder::Raw,
            Format::Gzip => Encoder::Gzip(Vec::new()),
            Format::Zstd => {
                let mut compressor = Compressor::new(ZSTD_LEVEL)?;
                compressor.include_checksum(true)?;
                Encoder::Zstd(compressor, Vec::new())
            }
        })
    }

    /// A piece, which begins the file where `first`. Of no bytes there is none: to MAT an empty member is the end.
    ///
    /// # Errors
    /// What the compressor says.
    pub(crate) fn encode<'a>(&'a mut self, bytes: &'a [u8], first: bool) -> io::Result<&'a [u8]> {
        if bytes.is_empty() {
            return Ok(bytes);
        }
        match self {
            Encoder::Raw => Ok(bytes),
            Encoder::Gzip(piece) => {
                piece.clear();
                let mut head = GzBuilder::new();
                if first {
                    // As HotSpot's own -gz writes it (GZipCompressor in heapDumperCompression.cpp): the most that any member
                    // unpacks to. MAT takes it for a promise that each of them can be unpacked by itself.
                    head = head.comment(format!("HPROF BLOCKSIZE={MAX_BLOCK}"));
                }
                let mut gzip = head.write(piece, Compression::new(GZIP_LEVEL));
                gzip.write_all(bytes)?;
                Ok(gzip.finish()?)
            }
            Encoder::Zstd(compressor, piece) => {
                piece.resize(zstd::zstd_safe::compress_bound(bytes.len()), 0);
                let length = compressor.compress_to_buffer(bytes, &mut piece[..])?;
                Ok(&piece[..length])
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two pieces in a file, and what is read from it.
    fn round_trip(format: Format) -> (Vec<u8>, Vec<u8>) {
        let (mut encoder, mut written) = (Encoder::new(format).expect("memory"), Vec::new());
        for (index, bytes) in [&b"first"[..], b"", &[7; 100_000], b"last"].into_iter().enumerate() {
            written.extend_from_slice(encoder.encode(bytes, index == 0).expect("a piece"));
        }
        let mut file = tempfile::tempfile().expect("a file");
        file.write_all(&written).expect("room");
        io::Seek::rewind(&mut file).expect("a file");
        let mut read = Vec::new();
        let length = written.len() as u64;
        format.reader(file, length).expect("memory").read_to_end(&mut read).expect("whole pieces");
        (written, read)
    }

    #[test]
    fn what_is_written_in_pieces_is_read_as_one() {
        let expected = [&b"first"[..], &[7; 100_000], b"last"].concat();
        for format in [Format::Raw, Format::Gzip, Format::Zstd] {
            assert!(round_trip(format).1 == expected, "{format:?}");
        }
    }

    #[test]
    fn what_cannot_be_compressed_is_hardly_larger() {
        let noise: Vec<u8> =
            (0..125_000_u64).flat_map(|i| xxhash_rust::xxh3::xxh3_64(&i.to_le_bytes()).to_le_bytes()).collect();
        for format in [Format::Gzip, Format::Zstd] {
            let length = Encoder::new(format).expect("memory").encode(&noise, true).expect("a piece").len();
            assert!(length < noise.len() + noise.len() / 1000, "{format:?}: {length} bytes");
        }
    }

    #[test]
    fn the_first_gzip_member_alone_tells_how_large_members_are() {
        let (written, _) = round_trip(Format::Gzip);
        let comment = b"HPROF BLOCKSIZE=1048576\0";
        // No name and no checksum of the header: the comment follows the ten bytes that every header has.
        assert_eq!((written[3], &written[10..10 + comment.len()]), (1 << 4, &comment[..]));
        assert_eq!(written.windows(5).filter(|words| words == b"HPROF").count(), 1);
    }
}
