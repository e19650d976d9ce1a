//! Heap dumps: what one would take ([`survey`]), how the JVM's bytes are taken ([`pump`] through FIFOs ([`fifo`]), [`tail`]
//! from JVMs that know nothing better), where they wait ([`artefact`], which is a [`queue`] in memory and in the
//! [`spool`]), and how they leave ([`send`]).

pub(crate) mod artefact;
mod fifo;
mod intake;
pub(crate) mod place;
mod pump;
mod queue;
pub(crate) mod send;
mod spool;
mod survey;
mod tail;

use std::time::Duration;

use jattach_protocol::message::Form;
use jattach_protocol::{Code, Failure};

use artefact::Artefact;
pub(crate) use pump::Order;
pub(crate) use survey::{survey, waiting_room};

/// The longest that a JVM may take to write a dump. It cannot be called back; this only ends our own wait.
const LONGEST: Duration = Duration::from_secs(4 * 3600);

/// The most text that any JVM says about a dump.
const MAX_TEXT: usize = 16 << 10;

/// What the JVM says of a dump that it has written whole; everything else is a failure, and comes with code 0 too.
const CREATED: &str = "Heap dump file created";

/// Has the JVM dump its heap, and takes on all of it.
pub(crate) fn dump(order: &Order<'_>, artefact: &Artefact) -> Result<(), Failure> {
    match order.survey.form {
        Form::File => tail::dump(order, artefact),
        Form::Stream | Form::Pair => pump::dump(order, artefact),
    }
}

/// Whether `words` stand in `text`. std's search for them is a fast one, and 2 KB that every pod would pull.
fn says(text: &str, words: &str) -> bool {
    text.as_bytes().windows(words.len()).any(|window| window == words.as_bytes())
}

fn not_created(text: &str) -> Failure {
    let said = match text.trim_ascii() {
        "" => "it closed the connection without a word",
        said => said,
    };
    Failure::new(Code::JvmFailed, "the JVM could not write the heap dump").evidence(said)
}

fn unfinished() -> Failure {
    Failure::new(Code::TimedOut, "the JVM does not finish its heap dump")
}

fn unreadable(error: &std::io::Error) -> Failure {
    Failure::new(Code::Other, "cannot read what the JVM has dumped").evidence(error.to_string())
}

/// Whether the JVM says that it could not open what it was given: it may not look into our filesystem, or nobody may write
/// there.
fn unreachable(text: &str) -> bool {
    ["Permission denied", "No such file or directory", "Read-only file system"].iter().any(|why| says(text, why))
}
