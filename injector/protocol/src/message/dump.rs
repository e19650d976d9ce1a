//! What is said about heap dumps, before and while they are on their way.

use crate::wire::{Error, Reader, Writer};

/// How many streams an artefact may come in.
pub const STREAMS: usize = 2;

/// The stream of a heap dump's second file.
pub const PART: u32 = 1;

/// The bytes of a heap dump's last record: HEAP_DUMP_END, which is empty.
pub const END_RECORD: usize = 9;

/// The most bytes that may wait in a pod whose ephemeral storage is limited, of which it is a quarter at the most.
pub const MOST_OF_LIMITED: u64 = 1 << 30;

/// What a heap dump may take of the pod. [`Limits::default`] leaves everything to the injector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The smallest ephemeral-storage limit of the pod's containers in bytes, 0 for none.
    pub storage: u64,
    /// The most bytes that may wait for the client in a file in the pod; [`u64::MAX`] leaves it to the injector.
    pub spool: u64,
    /// For how many milliseconds in all the JVM may wait for room, beyond the 4 that any disk takes for each MiB that is moved
    /// there meanwhile: at 256 MiB a second it waits no longer than for a file of its own.
    pub max_stall: u32,
    /// For how many milliseconds the JVM may be dumping, 0 for as long as it takes.
    pub max_pause: u32,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { storage: 0, spool: u64::MAX, max_stall: 10_000, max_pause: 0 }
    }
}

/// How a heap dump is wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DumpHeap {
    /// Only what is reachable (after a full GC), or the dead objects too.
    pub live: bool,
    /// What of the data is set to zero before it leaves the pod, or touches a disk of it.
    pub redact: Redact,
    /// It goes through a pipe on the client's side: only the run that asks for it can go on with it, so a client that is lost
    /// is not waited for longer than that takes.
    pub piped: bool,
    /// What it may take of the pod.
    pub limits: Limits,
    /// The job to go on with. Where it is gone that is a failure, and no other one is started: nobody was asked for its pause.
    pub resume: Option<Resume>,
}

/// What of a heap dump's data is set to zero. Structure, sizes, classes, references and stacks always stay.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum Redact {
    /// Nothing.
    #[default]
    Nothing = 0,
    /// The elements of byte\[\] and char\[\], and String's hash.
    Text = 1,
    /// The elements of every primitive array, and String's hash.
    Arrays = 2,
    /// The primitive fields of instances and classes as well.
    All = 3,
}

/// Where a client goes on that has lost its connection. Nothing is sent after [`Started`] before it has acknowledged something:
/// it may have to look first at what it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resume {
    /// The job of the earlier conversation, from its [`Started`].
    pub job: u64,
    /// How many bytes of each stream are stored: a block's end each.
    pub stored: [u64; STREAMS],
}

/// How a JVM gives its dump away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Form {
    /// A file that is read while the JVM writes it: it cannot be made to wait. The length of a heap record comes as a
    /// [`Patch`] behind its data.
    File = 0,
    /// One stream.
    Stream = 1,
    /// Two streams, the second of which begins before the first one ends.
    Pair = 2,
}

/// What a heap dump would take, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Survey {
    /// Of the heap, dead objects included; 0 where the JVM does not tell.
    pub heap_used: u64,
    /// The dump may become so long.
    pub expected: u64,
    /// How it would come.
    pub form: Form,
    /// The most that would lie in the pod's spool.
    pub spool: u64,
    /// Free on the spool's filesystem; 0 where there is none for it.
    pub free: u64,
    /// The size of that filesystem.
    pub size: u64,
}

/// The length of a heap record whose data were sent before the JVM had put it in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patch {
    /// Where in stream 0 the record begins.
    pub offset: u64,
    /// As the JVM has put it in; in the file it stands 5 bytes further on, big-endian.
    pub length: u32,
}

pub(super) fn write_limits(limits: &Limits, out: &mut Writer<'_>) {
    out.u64(limits.storage);
    out.u64(limits.spool);
    out.u32(limits.max_stall);
    out.u32(limits.max_pause);
}

pub(super) fn read_limits(from: &mut Reader<'_>) -> Result<Limits, Error> {
    Ok(Limits { storage: from.u64()?, spool: from.u64()?, max_stall: from.u32()?, max_pause: from.u32()? })
}

pub(super) fn read_dump(from: &mut Reader<'_>) -> Result<DumpHeap, Error> {
    let live = from.flag("live")?;
    let redact = match from.u8()? {
        0 => Redact::Nothing,
        1 => Redact::Text,
        2 => Redact::Arrays,
        3 => Redact::All,
        value => return Err(Error::Value { field: "what is redacted", value: value.into() }),
    };
    let piped = from.flag("piped")?;
    let limits = read_limits(from)?;
    let resume = match from.0 {
        [] => None,
        _ => Some(Resume { job: from.u64()?, stored: [from.u64()?, from.u64()?] }),
    };
    Ok(DumpHeap { live, redact, piped, limits, resume })
}

pub(super) fn read_survey(from: &mut Reader<'_>) -> Result<Survey, Error> {
    let form = match from.u8()? {
        0 => Form::File,
        1 => Form::Stream,
        2 => Form::Pair,
        value => return Err(Error::Value { field: "a dump's form", value: value.into() }),
    };
    Ok(Survey {
        form,
        heap_used: from.u64()?,
        expected: from.u64()?,
        spool: from.u64()?,
        free: from.u64()?,
        size: from.u64()?,
    })
}

pub(super) fn write_dump(wanted: &DumpHeap, out: &mut Writer<'_>) {
    out.u8(wanted.live.into());
    out.u8(wanted.redact as u8);
    out.u8(wanted.piped.into());
    write_limits(&wanted.limits, out);
    if let Some(Resume { job, stored }) = wanted.resume {
        out.u64(job);
        stored.into_iter().for_each(|bytes| out.u64(bytes));
    }
}

pub(super) fn write_survey(survey: &Survey, out: &mut Writer<'_>) {
    out.u8(survey.form as u8);
    let numbers = [survey.heap_used, survey.expected, survey.spool, survey.free, survey.size];
    numbers.into_iter().for_each(|number| out.u64(number));
}

pub(super) fn write_patch(patch: &Patch, out: &mut Writer<'_>) {
    out.u64(patch.offset);
    out.u32(patch.length);
}

pub(super) fn read_patch(from: &mut Reader<'_>) -> Result<Patch, Error> {
    Ok(Patch { offset: from.u64()?, length: from.u32()? })
}
