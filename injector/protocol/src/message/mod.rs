//! Messages: what plugin and injector say to each other, and how it is written into a frame's payload.
//!
//! A conversation, the client first:
//!
//! 1. both send [`Hello`]; a side that cannot speak the other's version answers with a [`Failure`] and ends.
//! 2. the client sends a [`Request`], and for an upload the blocks that belong to it.
//! 3. the injector answers a request that is a job with [`Started`] when it is its turn; with any number of
//!    [`Message::Jvm`], [`Message::Output`], [`Message::Progress`] and [`Block`]; and with exactly one [`End`] or
//!    [`Failure`]. What ends without either is broken. An artefact that comes in two streams has a [`Message::StreamEnd`]
//!    for the second before that.
//! 4. the client acknowledges output and blocks as it has stored them, and says [`Message::Bye`] when it has all it wants.
//!
//! Both send heartbeats all the while. Fields are little-endian; strings and byte strings have a `u32` length.

mod dump;
mod examine;
mod request;

use crate::failure::{Code, Failure, Identity};
use crate::frame::{Frame, HEADER, MAX_PAYLOAD};
use crate::wire::{Error, Reader, Writer};
pub use dump::{DumpHeap, END_RECORD, Form, Limits, MOST_OF_LIMITED, PART, Patch, Redact, Resume, STREAMS, Survey};
use dump::{read_patch, read_survey, write_patch, write_survey};
pub use examine::{Examined, Memory};
use examine::{read_examined, write_examined};
pub use request::{Operation, Request};
use request::{read_request, write_request};

/// The version of this protocol. Two sides that differ do not talk: the client starts an injector of its own version.
pub const VERSION: u16 = 5;

/// The most artefact bytes in one block, before compression.
pub const MAX_BLOCK: usize = 1 << 20;

/// Bytes of a block's payload before its data: offset, raw length, codec.
pub const BLOCK_HEADER: usize = 13;

const _: () = assert!(BLOCK_HEADER + MAX_BLOCK <= MAX_PAYLOAD);

/// How often each side sends a heartbeat, in seconds; load balancers cut streams that are idle for as little as 20.
pub const HEARTBEAT_SECONDS: u64 = 5;

/// After how many seconds without a byte a peer counts as gone.
pub const SILENCE_SECONDS: u64 = 15;

/// How many bytes of an output may be under way without an acknowledgement. The client holds so much in memory if it must, so
/// that it can always read on: an exec stream whose client stops reading loses data.
pub const WINDOW: u64 = 32 << 20;

/// The same of a dump, unpacked, of all its streams together. What is not acknowledged stays in the injector's spool, and may
/// be more than a client holds in memory: so it is sent at the speed of the way there, while the client's disk makes it safe.
pub const DUMP_WINDOW: u64 = 256 << 20;

/// The most bytes of each string that names something of a JVM or of a side. They are whatever a target or a peer says, and
/// longer ones are clipped as they are written.
pub const MAX_NAME: usize = 1 << 10;

/// The most bytes of each text of a failure, clipped as they are written: it may quote what the other side has said.
pub const MAX_TEXT: usize = 16 << 10;

/// The kind of a block, for who builds its frame in place.
pub const BLOCK: u8 = 5;

/// The kind of a failure, for who has to know one before it is read.
pub const FAILURE: u8 = 8;

/// How the termination message of a container begins whose injector has ended because a client asked for it
/// ([`Operation::Shutdown`]). Its other clients may never hear of that: the container's end cuts their streams.
pub const TOLD_TO_END: &str = "told to end by a client";

const MAGIC: [u8; 8] = *b"jattach\0";

/// The first message of each side. Its layout never changes: fields are only ever added after these.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hello {
    /// The protocol version, [`VERSION`].
    pub version: u16,
    /// The program's name and version, for messages to a person.
    pub software: String,
    /// Which optional abilities the side has, a bit each; none is defined yet.
    pub capabilities: u64,
}

/// The injector has taken a request on, and says for which process. Nothing else identifies a JVM beyond doubt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Started {
    /// The job, unique within this injector.
    pub job: u64,
    /// The JVM's pid as the injector sees it; 0 where the request has no target.
    pub pid: u32,
    /// When that process started, in clock ticks since boot (field 22 of /proc/PID/stat).
    pub start_time: u64,
}

/// A process that is a JVM, or might be one. All strings come from the target.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Jvm {
    /// Its pid as the injector sees it.
    pub pid: u32,
    /// Its pid in its own innermost namespace.
    pub inner_pid: u32,
    /// Its effective user.
    pub uid: u32,
    /// Its effective group.
    pub gid: u32,
    /// The container it runs in, or empty where that cannot be seen.
    pub container: String,
    /// "HotSpot", "OpenJ9", "native image".
    pub kind: String,
    /// Who built it.
    pub vendor: String,
    /// Its Java version.
    pub version: String,
    /// The main class or jar, without arguments.
    pub main: String,
    /// Why it cannot be attached to; empty where it can.
    pub obstacle: String,
    /// What helps against that; may be empty.
    pub remedy: String,
    /// Which [`Code`] it has, as a number; 0 where nothing stands in the way.
    pub code: u16,
}

/// What the injector is busy with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Phase {
    /// Another job runs, and this one waits for it.
    Queued = 0,
    /// The JVM is being asked to listen.
    Attaching = 1,
    /// The JVM is writing; the application stands still.
    Dumping = 2,
    /// The artefact is on its way.
    Sending = 3,
}

/// How far the injector has come, in bytes; `total` is 0 where it is not known, and an estimate while dumping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// What it is busy with.
    pub phase: Phase,
    /// Bytes done in this phase.
    pub done: u64,
    /// Bytes expected in this phase.
    pub total: u64,
    /// For how many milliseconds the JVM has waited for room so far, counted as [`Limits::max_stall`].
    pub stalled: u32,
}

/// How a block's data are packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Codec {
    /// As they are.
    None = 0,
    /// One zstd frame.
    Zstd = 1,
}

/// A piece of an artefact, independent of every other piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block<'a> {
    /// The stream it belongs to, below [`STREAMS`].
    pub stream: u32,
    /// Where its first byte belongs.
    pub offset: u64,
    /// How many bytes it unpacks to, at most [`MAX_BLOCK`].
    pub raw_length: u32,
    /// How it is packed.
    pub codec: Codec,
    /// The packed bytes.
    pub data: &'a [u8],
}

/// A request is done, and this is what it gave: the artefact, or else the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct End {
    /// Length in bytes of the whole.
    pub length: u64,
    /// xxh3-64 of the whole.
    pub hash: u64,
}

/// Everything that can be said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message<'a> {
    /// Each side's first message.
    Hello(Hello),
    /// Client: do this.
    Request(Request),
    /// Injector: taken on.
    Started(Started),
    /// Injector: the command's output, as the JVM wrote it.
    Output(&'a [u8]),
    /// A piece of an artefact; from the client in an upload.
    Block(Block<'a>),
    /// Injector: how far it is.
    Progress(Progress),
    /// I am here.
    Heartbeat,
    /// Injector: the request, or the connection where the request id is 0, has failed.
    Failure(Failure),
    /// Injector: the request is done.
    End(End),
    /// Everything of the artefact or output below this offset is stored: from the client, and from the injector in an
    /// upload.
    Ack {
        /// The stream, below [`STREAMS`]; 0 for an output and an upload.
        stream: u32,
        /// What lies below it is stored.
        offset: u64,
    },
    /// Client: nothing more is wanted, and what still runs is given up. The injector ends the conversation, so that the
    /// exec stream ends from its side, with a Status: where the client can only close everything at once (v4), one that
    /// closed first would never see it.
    Bye,
    /// Injector: one JVM of a list.
    Jvm(Jvm),
    /// Injector: what a heap dump would take.
    Survey(Survey),
    /// Injector: stream [`PART`] of the artefact is complete, and this is what it gave.
    StreamEnd(End),
    /// Injector: the length of a heap record of stream 0 that was sent without it.
    Patch(Patch),
    /// Injector: the job that runs, in words: beside a list, and to who has to wait for it.
    Job(&'a str),
    /// Injector: what a look has shown.
    Examined(Examined),
}

impl Message<'_> {
    /// The kind that stands in the frame's header.
    pub fn kind(&self) -> u8 {
        match self {
            Message::Hello(_) => 1,
            Message::Request(_) => 2,
            Message::Started(_) => 3,
            Message::Output(_) => 4,
            Message::Block(_) => BLOCK,
            Message::Progress(_) => 6,
            Message::Heartbeat => 7,
            Message::Failure(_) => FAILURE,
            Message::End(_) => 9,
            Message::Ack { .. } => 10,
            Message::Bye => 11,
            Message::Jvm(_) => 12,
            Message::Survey(_) => 13,
            Message::StreamEnd(_) => 14,
            Message::Patch(_) => 15,
            Message::Job(_) => 16,
            Message::Examined(_) => 17,
        }
    }

    /// The stream that stands in the frame's header.
    pub fn stream(&self) -> u32 {
        match self {
            Message::Block(Block { stream, .. }) | Message::Ack { stream, .. } => *stream,
            Message::StreamEnd(_) => PART,
            _ => 0,
        }
    }

    /// A whole frame for [`crate::frame::Encoder::seal`]: room for the header, then the payload.
    pub fn to_frame(&self) -> Vec<u8> {
        let mut frame = vec![0; HEADER];
        self.write(&mut Writer(&mut frame));
        frame
    }

    fn write(&self, out: &mut Writer<'_>) {
        match self {
            Message::Hello(hello) => {
                out.0.extend_from_slice(&MAGIC);
                out.u16(hello.version);
                out.str(clip(&hello.software, MAX_NAME));
                out.u64(hello.capabilities);
            }
            Message::Request(request) => write_request(request, out),
            Message::Started(started) => {
                out.u64(started.job);
                out.u32(started.pid);
                out.u64(started.start_time);
            }
            Message::Output(bytes) => out.0.extend_from_slice(bytes),
            Message::Block(block) => {
                out.0.extend_from_slice(&block_header(block.offset, block.raw_length, block.codec));
                out.0.extend_from_slice(block.data);
            }
            Message::Progress(progress) => {
                out.u8(progress.phase as u8);
                out.u64(progress.done);
                out.u64(progress.total);
                out.u32(progress.stalled);
            }
            Message::Heartbeat | Message::Bye => {}
            Message::Failure(failure) => write_failure(failure, out),
            Message::End(end) | Message::StreamEnd(end) => {
                out.u64(end.length);
                out.u64(end.hash);
            }
            Message::Ack { offset, .. } => out.u64(*offset),
            Message::Jvm(jvm) => {
                [jvm.pid, jvm.inner_pid, jvm.uid, jvm.gid].into_iter().for_each(|number| out.u32(number));
                let names = [&jvm.container, &jvm.kind, &jvm.vendor, &jvm.version, &jvm.main];
                let strings = names.into_iter().chain([&jvm.obstacle, &jvm.remedy]);
                strings.for_each(|string| out.str(clip(string, MAX_NAME)));
                out.u16(jvm.code);
            }
            Message::Survey(survey) => write_survey(survey, out),
            Message::Patch(patch) => write_patch(patch, out),
            Message::Job(text) => out.str(clip(text, MAX_NAME)),
            Message::Examined(examined) => write_examined(examined, out),
        }
    }
}

/// The first [`BLOCK_HEADER`] bytes of a block's payload, for who builds the frame in place.
pub fn block_header(offset: u64, raw_length: u32, codec: Codec) -> [u8; BLOCK_HEADER] {
    let mut header = [0; BLOCK_HEADER];
    header[..8].copy_from_slice(&offset.to_le_bytes());
    header[8..12].copy_from_slice(&raw_length.to_le_bytes());
    header[12] = codec as u8;
    header
}

impl<'a> Message<'a> {
    /// The message in a frame.
    ///
    /// # Errors
    /// When the payload is not what the kind says, to the last byte.
    pub fn read(frame: &Frame<'a>) -> Result<Message<'a>, Error> {
        let mut from = Reader(frame.payload);
        let stream = frame.stream;
        if stream as usize >= STREAMS || (stream != 0) != matches!(frame.kind, 14) && !matches!(frame.kind, BLOCK | 10)
        {
            return Err(Error::Value { field: "the stream", value: stream.into() });
        }
        let message = match frame.kind {
            1 => return read_hello(&mut from).map(Message::Hello),
            2 => Message::Request(read_request(&mut from)?),
            3 => Message::Started(Started { job: from.u64()?, pid: from.u32()?, start_time: from.u64()? }),
            4 => Message::Output(from.rest()),
            BLOCK => Message::Block(read_block(stream, &mut from)?),
            6 => Message::Progress(Progress {
                phase: read_phase(&mut from)?,
                done: from.u64()?,
                total: from.u64()?,
                stalled: from.u32()?,
            }),
            7 => Message::Heartbeat,
            FAILURE => Message::Failure(read_failure(&mut from)?),
            9 => Message::End(End { length: from.u64()?, hash: from.u64()? }),
            10 => Message::Ack { stream, offset: from.u64()? },
            11 => Message::Bye,
            12 => Message::Jvm(read_jvm(&mut from)?),
            13 => Message::Survey(read_survey(&mut from)?),
            14 => Message::StreamEnd(End { length: from.u64()?, hash: from.u64()? }),
            15 => Message::Patch(read_patch(&mut from)?),
            16 => Message::Job(from.str()?),
            17 => Message::Examined(read_examined(&mut from)?),
            kind => return Err(Error::Value { field: "the kind of message", value: kind.into() }),
        };
        from.end()?;
        Ok(message)
    }
}

fn read_hello(from: &mut Reader<'_>) -> Result<Hello, Error> {
    if from.take(MAGIC.len())? != MAGIC {
        return Err(Error::Value { field: "the protocol's name", value: 0 });
    }
    Ok(Hello { version: from.u16()?, software: from.string()?, capabilities: from.u64()? })
}

fn read_block<'a>(stream: u32, from: &mut Reader<'a>) -> Result<Block<'a>, Error> {
    let (offset, raw_length) = (from.u64()?, from.u32()?);
    let codec = match from.u8()? {
        0 => Codec::None,
        1 => Codec::Zstd,
        value => return Err(Error::Value { field: "a codec", value: value.into() }),
    };
    let too_long = raw_length as usize > MAX_BLOCK || offset.checked_add(raw_length.into()).is_none();
    if too_long || (codec == Codec::None && from.0.len() != raw_length as usize) {
        return Err(Error::Value { field: "a block's length", value: raw_length.into() });
    }
    Ok(Block { stream, offset, raw_length, codec, data: from.rest() })
}

fn read_phase(from: &mut Reader<'_>) -> Result<Phase, Error> {
    match from.u8()? {
        0 => Ok(Phase::Queued),
        1 => Ok(Phase::Attaching),
        2 => Ok(Phase::Dumping),
        3 => Ok(Phase::Sending),
        value => Err(Error::Value { field: "a phase", value: value.into() }),
    }
}

/// The beginning of `text`: whole characters, `most` bytes of them at the most.
pub fn clip(text: &str, most: usize) -> &str {
    &text[..text.floor_char_boundary(most)]
}

fn write_failure(failure: &Failure, out: &mut Writer<'_>) {
    out.u16(failure.code as u16);
    [&failure.cause, &failure.evidence, &failure.remedy].into_iter().for_each(|text| out.str(clip(text, MAX_TEXT)));
    if let Some(identity) = failure.identity {
        out.u32(identity.uid);
        out.u32(identity.gid);
        out.u64(identity.capabilities);
    }
}

fn read_failure(from: &mut Reader<'_>) -> Result<Failure, Error> {
    let code = Code::from_number(from.u16()?);
    let (cause, evidence, remedy) = (from.string()?, from.string()?, from.string()?);
    let identity = match from.0 {
        [] => None,
        _ => Some(Identity { uid: from.u32()?, gid: from.u32()?, capabilities: from.u64()? }),
    };
    let failure = Failure::new(code, cause).evidence(evidence).remedy(remedy);
    Ok(identity.into_iter().fold(failure, Failure::identity))
}

fn read_jvm(from: &mut Reader<'_>) -> Result<Jvm, Error> {
    Ok(Jvm {
        pid: from.u32()?,
        inner_pid: from.u32()?,
        uid: from.u32()?,
        gid: from.u32()?,
        container: from.string()?,
        kind: from.string()?,
        vendor: from.string()?,
        version: from.string()?,
        main: from.string()?,
        obstacle: from.string()?,
        remedy: from.string()?,
        code: from.u16()?,
    })
}
