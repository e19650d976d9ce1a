//! What a client asks for.

use super::dump::{DumpHeap, Limits, read_dump, read_limits, write_dump, write_limits};
use crate::wire::{Error, Reader, Writer};

/// What the client wants done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The JVM's pid as the injector sees it, or 0 for the only one.
    pub pid: u32,
    /// The id of the container that is meant, without its scheme: where several containers share a PID namespace, and
    /// where their control groups can be seen, only its JVMs count. Empty for any.
    pub container: String,
    /// Whether to wait while another job runs, instead of failing with [`Code::Busy`].
    pub wait: bool,
    /// For how many seconds without work the injector stays, from the end of this request on.
    pub ttl: u32,
    /// The work.
    pub operation: Operation,
}

/// The work that a [`Request`] asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operation {
    /// The JVMs that the injector can see: a [`Message::Jvm`] each.
    List,
    /// An attach command in jattach's words ("threaddump", "jcmd", …); its output comes as [`Message::Output`].
    Attach {
        /// The command.
        command: String,
        /// Its arguments, as on jattach's command line.
        arguments: Vec<String>,
    },
    /// What a heap dump would take, without dumping: a [`Survey`].
    Survey(Limits),
    /// A heap dump, as the artefact of stream 0 and, from JVMs that write two files, of stream [`PART`] as well: the whole
    /// is stream 0 without its last [`END_RECORD`] bytes, then stream [`PART`], then those bytes.
    DumpHeap(DumpHeap),
    /// Loads a native agent that the client sends as the artefact of stream 0, [`Block`]s up to its length.
    Load {
        /// The agent's file name, for messages only: where it is stored is the injector's affair.
        name: String,
        /// Its length in bytes.
        length: u64,
        /// Its xxh3-64.
        hash: u64,
        /// What its `Agent_OnAttach` is given.
        options: String,
    },
    /// The injector ends when it has no job.
    Shutdown,
    /// Nobody comes for the heap dump of this job any more; [`Code::Gone`] where it is over.
    GiveUp(u64),
    /// The JVM is signalled to print its threads to its own standard output, without being attached to.
    PrintThreads,
    /// What the JVM and the room around it look like, without touching either: an [`Examined`](super::Examined).
    Examine(Limits),
    /// So many bytes that cannot be compressed, as [`Message::Output`](super::Message::Output), [`WINDOW`](super::WINDOW) of
    /// them at the most, none of which is acknowledged: how fast they come is the speed of the way.
    Echo(u32),
}

pub(super) fn write_request(request: &Request, out: &mut Writer<'_>) {
    out.u32(request.pid);
    out.str(&request.container);
    out.u8(request.wait.into());
    out.u32(request.ttl);
    match &request.operation {
        Operation::List => out.u8(0),
        Operation::Attach { command, arguments } => {
            out.u8(1);
            out.str(command);
            arguments.iter().for_each(|argument| out.str(argument));
        }
        Operation::DumpHeap(wanted) => {
            out.u8(2);
            write_dump(wanted, out);
        }
        Operation::Load { name, length, hash, options } => {
            out.u8(3);
            out.str(name);
            out.u64(*length);
            out.u64(*hash);
            out.str(options);
        }
        Operation::Shutdown => out.u8(4),
        Operation::Survey(limits) => {
            out.u8(5);
            write_limits(limits, out);
        }
        Operation::GiveUp(job) => {
            out.u8(6);
            out.u64(*job);
        }
        Operation::PrintThreads => out.u8(7),
        Operation::Examine(limits) => {
            out.u8(8);
            write_limits(limits, out);
        }
        Operation::Echo(length) => {
            out.u8(9);
            out.u32(*length);
        }
    }
}

pub(super) fn read_request(from: &mut Reader<'_>) -> Result<Request, Error> {
    let (pid, container) = (from.u32()?, from.string()?);
    let (wait, ttl) = (from.flag("wait")?, from.u32()?);
    let operation = match from.u8()? {
        0 => Operation::List,
        1 => {
            let command = from.string()?;
            let mut arguments = Vec::new();
            while !from.0.is_empty() {
                arguments.push(from.string()?);
            }
            Operation::Attach { command, arguments }
        }
        2 => Operation::DumpHeap(read_dump(from)?),
        3 => Operation::Load { name: from.string()?, length: from.u64()?, hash: from.u64()?, options: from.string()? },
        4 => Operation::Shutdown,
        5 => Operation::Survey(read_limits(from)?),
        6 => Operation::GiveUp(from.u64()?),
        7 => Operation::PrintThreads,
        8 => Operation::Examine(read_limits(from)?),
        9 => Operation::Echo(from.u32()?),
        value => return Err(Error::Value { field: "an operation", value: value.into() }),
    };
    Ok(Request { pid, container, wait, ttl, operation })
}
