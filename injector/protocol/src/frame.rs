//! Frames: how a message crosses a byte stream that may be cut, stalled or tampered with at any byte.
//!
//! A frame is a header of [`HEADER`] bytes, little-endian, and its payload:
//!
//! | bytes  | what                                                                          |
//! |--------|-------------------------------------------------------------------------------|
//! | 0..4   | length of the payload, at most [`MAX_PAYLOAD`]                                |
//! | 4      | kind of message ([`crate::message`])                                          |
//! | 5..8   | zero                                                                          |
//! | 8..12  | request id: 0 for what belongs to the connection, else the request's          |
//! | 12..16 | stream id within the request                                                  |
//! | 16..24 | sequence: 0 for a direction's first frame, one more for each after it         |
//! | 24..32 | xxh3-64 of bytes 0..24 followed by the payload's own xxh3-64 (little-endian)  |
//!
//! The hash covers the header too, so a flipped bit anywhere is an error; the sequence makes a lost, repeated or
//! reordered frame one. Neither is a defence against the peer itself, which can compute both: what a frame *says*
//! is checked by whoever acts on it.

use xxhash_rust::xxh3::xxh3_64;

/// Length of a frame's header in bytes.
pub const HEADER: usize = 32;

/// The longest payload in bytes: a block of artefact with its own header. It bounds what a reader must hold.
pub const MAX_PAYLOAD: usize = (1 << 20) + 64;

/// How much a [`Decoder`] asks for beyond what it needs, so that small frames do not cost a read each.
const READ_AHEAD: usize = 64 << 10;

/// Why a byte stream is not, or is no longer, a stream of frames. None of them can be recovered from.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A length above [`MAX_PAYLOAD`], or bytes that must be zero and are not: this is something else's output.
    #[error("not a frame: it begins with \"{}\"", begin.escape_ascii())]
    NotAFrame {
        /// The first eight bytes where a frame should begin.
        begin: [u8; 8],
    },
    /// The hash does not fit the bytes.
    #[error("frame {sequence} is damaged: its hash does not match its bytes")]
    Hash {
        /// Which frame of this direction was expected.
        sequence: u64,
    },
    /// A frame was lost, repeated or moved.
    #[error("frame {found} arrived where frame {expected} was due")]
    Sequence {
        /// The sequence that was due.
        expected: u64,
        /// The one that came.
        found: u64,
    },
    /// The stream ended within a frame.
    #[error("the stream ended within frame {sequence}, {missing} bytes short")]
    Truncated {
        /// Which frame of this direction was cut.
        sequence: u64,
        /// How many bytes are missing at the least.
        missing: usize,
    },
}

/// One frame as it was received, its hash and sequence checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// The kind of message.
    pub kind: u8,
    /// The request it belongs to.
    pub request: u32,
    /// The stream within the request.
    pub stream: u32,
    /// What the message says, still encoded.
    pub payload: &'a [u8],
}

/// A message has more bytes than a frame carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a message of {0} bytes is longer than a frame may be ({MAX_PAYLOAD})")]
pub struct TooLong(pub usize);

/// Seals frames of one direction of a connection: counts them and hashes them.
#[derive(Debug, Default)]
pub struct Encoder {
    sequence: u64,
}

impl Encoder {
    /// For the first frame of a direction.
    pub fn new() -> Encoder {
        Encoder::default()
    }

    /// Fills in the header of `frame`, which holds [`HEADER`] bytes of any content and then the payload. In place, so
    /// that a block can be compressed straight to where it is sent from.
    ///
    /// # Errors
    /// When the payload is longer than [`MAX_PAYLOAD`]. Nothing was counted then: another frame can take its place.
    ///
    /// # Panics
    /// When `frame` is shorter than a header: a caller's mistake.
    pub fn seal(&mut self, kind: u8, request: u32, stream: u32, frame: &mut [u8]) -> Result<(), TooLong> {
        let (header, payload) = frame.split_at_mut(HEADER);
        if payload.len() > MAX_PAYLOAD {
            return Err(TooLong(payload.len()));
        }
        #[expect(clippy::cast_possible_truncation, reason = "at most MAX_PAYLOAD")]
        header[..4].copy_from_slice(&(payload.len() as u32).to_le_bytes());
        header[4..8].copy_from_slice(&[kind, 0, 0, 0]);
        header[8..12].copy_from_slice(&request.to_le_bytes());
        header[12..16].copy_from_slice(&stream.to_le_bytes());
        header[16..24].copy_from_slice(&self.sequence.to_le_bytes());
        let hash = hash(header[..24].as_ref(), payload);
        header[24..].copy_from_slice(&hash.to_le_bytes());
        self.sequence += 1;
        Ok(())
    }
}

fn hash(header: &[u8], payload: &[u8]) -> u64 {
    let mut covered = [0; HEADER];
    covered[..24].copy_from_slice(header);
    covered[24..].copy_from_slice(&xxh3_64(payload).to_le_bytes());
    xxh3_64(&covered)
}

/// Cuts a byte stream into frames, whatever pieces it arrives in. Never holds more than a frame and what was read
/// ahead of it: some [`MAX_PAYLOAD`] + 64 KiB.
///
/// Use: read into [`space`](Decoder::space), say how much with [`filled`](Decoder::filled), take frames with
/// [`next`](Decoder::next) until there is none, and at the end of the stream ask [`finish`](Decoder::finish).
#[derive(Debug, Default)]
pub struct Decoder {
    buffer: Vec<u8>,
    /// Where in `buffer` the next frame begins, and where what was received ends.
    begin: usize,
    end: usize,
    sequence: u64,
    /// The payload length of the frame at `begin`, once that has been found whole.
    checked: Option<usize>,
    failed: Option<Error>,
}

impl Decoder {
    /// For the first frame of a direction.
    pub fn new() -> Decoder {
        Decoder::default()
    }

    /// Room for what is read next; never empty.
    pub fn space(&mut self) -> &mut [u8] {
        if self.begin > 0 {
            self.buffer.copy_within(self.begin..self.end, 0);
            self.end -= self.begin;
            self.begin = 0;
        }
        let wanted = self.end + self.missing().max(READ_AHEAD);
        if self.buffer.len() < wanted {
            self.buffer.resize(wanted, 0);
        }
        &mut self.buffer[self.end..wanted]
    }

    /// Takes over `count` bytes that were read into [`space`](Decoder::space).
    pub fn filled(&mut self, count: usize) {
        self.end = (self.end + count).min(self.buffer.len());
    }

    /// Copies all of `bytes` in: for callers that have them already, and for tests.
    pub fn push(&mut self, mut bytes: &[u8]) -> usize {
        let space = self.space();
        let count = bytes.len().min(space.len());
        bytes = &bytes[..count];
        space[..count].copy_from_slice(bytes);
        self.filled(count);
        count
    }

    /// The next whole frame without taking it: [`next`](Decoder::next) gives the same again.
    ///
    /// # Errors
    /// Those of [`next`](Decoder::next).
    pub fn peek(&mut self) -> Result<Option<Frame<'_>>, Error> {
        match self.check() {
            Ok(None) => Ok(None),
            Ok(Some(length)) => Ok(Some(frame(&self.buffer[self.begin..self.begin + HEADER + length]))),
            Err(error) => {
                self.failed = Some(error.clone());
                Err(error)
            }
        }
    }

    /// The next whole frame, or none until more is read.
    ///
    /// # Errors
    /// What the stream breaks with; every later call says the same.
    #[expect(clippy::should_implement_trait, reason = "a lending iterator: the frame borrows the buffer")]
    pub fn next(&mut self) -> Result<Option<Frame<'_>>, Error> {
        let Some(next) = self.peek()? else { return Ok(None) };
        let length = HEADER + next.payload.len();
        let begin = self.begin;
        self.begin += length;
        self.sequence += 1;
        self.checked = None;
        Ok(Some(frame(&self.buffer[begin..begin + length])))
    }

    /// To be asked at the end of the stream, when [`next`](Decoder::next) has no more: was it cut within a frame?
    ///
    /// # Errors
    /// [`Error::Truncated`], or what the stream had already broken with.
    pub fn finish(&self) -> Result<(), Error> {
        match &self.failed {
            Some(error) => Err(error.clone()),
            None if self.begin == self.end => Ok(()),
            None => Err(Error::Truncated { sequence: self.sequence, missing: self.missing() }),
        }
    }

    /// The payload length of the frame that is there whole and sound; worked out once for each.
    fn check(&mut self) -> Result<Option<usize>, Error> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        if self.checked.is_none() {
            self.checked = self.examine()?;
        }
        Ok(self.checked)
    }

    fn examine(&self) -> Result<Option<usize>, Error> {
        let received = &self.buffer[self.begin..self.end];
        let Some(begin) = received.first_chunk::<8>() else { return Ok(None) };
        let length = u32_at(received, 0) as usize;
        if length > MAX_PAYLOAD || begin[5..] != [0; 3] {
            return Err(Error::NotAFrame { begin: *begin });
        }
        let Some(frame) = received.get(..HEADER + length) else { return Ok(None) };
        if hash(&frame[..24], &frame[HEADER..]) != u64_at(frame, 24) {
            return Err(Error::Hash { sequence: self.sequence });
        }
        match u64_at(frame, 16) {
            found if found == self.sequence => Ok(Some(length)),
            found => Err(Error::Sequence { expected: self.sequence, found }),
        }
    }

    /// How many bytes the frame under way still wants, as far as is known.
    fn missing(&self) -> usize {
        let received = &self.buffer[self.begin..self.end];
        let length = if received.len() < 4 { 0 } else { (u32_at(received, 0) as usize).min(MAX_PAYLOAD) };
        (HEADER + length).saturating_sub(received.len())
    }
}

/// A frame whose bytes are whole and sound.
fn frame(bytes: &[u8]) -> Frame<'_> {
    Frame { kind: bytes[4], request: u32_at(bytes, 8), stream: u32_at(bytes, 12), payload: &bytes[HEADER..] }
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    let mut value = [0; 4];
    value.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(value)
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    let mut value = [0; 8];
    value.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(value)
}
