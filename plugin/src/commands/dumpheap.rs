//! `dumpheap`: a heap dump of the JVM, verified to its last record, in a file here.

use std::io::IsTerminal;
use std::path::PathBuf;

use jattach_protocol::hprof::Summary;
use jattach_protocol::message::{Operation, Phase, Progress as Far};
use jiff::Timestamp;

use super::Context;
use crate::error::Failure;
use crate::options::Destination;
use crate::receive::{self, Dump, DumpFile, Told};
use crate::render::progress::Progress;
use crate::session::{Error, Session};
use crate::target::storage_limit;

/// What is dumped, and where to.
pub(super) struct Order<'a> {
    pub(super) file: &'a Destination,
    pub(super) live: bool,
    pub(super) force: bool,
}

/// Has the JVM dump its heap, and brings the dump here.
///
/// # Errors
/// Those of the conversation; 8 where what arrived is not a whole dump: then nothing has the dump's name.
pub(super) async fn run(context: &Context, mut session: Session, order: &Order<'_>) -> Result<(), Error> {
    let file = match order.file {
        Destination::Stdout if std::io::stdout().is_terminal() => {
            return Err(Failure::usage("a heap dump is no sight for a terminal")
                .remedy("send it on: `… dumpheap - | zstd > x.hprof.zst`, or name a FILE")
                .into());
        }
        Destination::Stdout => None,
        Destination::File(path) => Some(path.clone()),
        Destination::Default => Some(default_name(context)),
    };
    // Before anything is asked of the JVM: a name that is taken costs it nothing.
    let sink = match &file {
        Some(path) => Some(DumpFile::create(path, order.force)?),
        None => None,
    };
    let limit = storage_limit(&context.target.pod);
    session.request(context.request(Operation::DumpHeap { live: order.live, storage_limit: limit }));
    let progress = Progress::new(context.options.output.quiet);
    let mut total = None;
    let mut show = |told: Told| match told {
        Told::Progress(far) => {
            progress.phase(phase(&far));
            total = (far.phase == Phase::Sending).then_some(far.total);
            if far.phase == Phase::Dumping {
                progress.bytes(far.done, Some(far.total));
            }
        }
        Told::Stored(offset) => progress.bytes(offset, total),
    };
    let result = match sink {
        Some(file) => {
            let part = file.part().to_owned();
            fetch(session, file, &mut show).await.map_err(|error| kept(error, &part))
        }
        None => fetch(session, std::io::stdout(), &mut show).await,
    };
    drop(progress);
    let summary = result?;
    report(context, file.as_deref(), &summary);
    Ok(())
}

/// Receives the dump and hears the conversation to its end; only then does the dump get its name.
async fn fetch<W: receive::Target>(mut session: Session, to: W, show: &mut dyn FnMut(Told)) -> Result<Summary, Error> {
    let dump = receive::into(&mut session, Dump::new(to), show).await?;
    session.finish().await?;
    Ok(dump.name()?)
}

fn phase(far: &Far) -> &'static str {
    match far.phase {
        Phase::Queued => "waiting for another job",
        Phase::Attaching => "attaching",
        Phase::Dumping => "the JVM writes its heap; the application stands still",
        Phase::Sending => "receiving",
    }
}

/// Says where the bytes are that did arrive: nothing that was paid for with a pause is thrown away.
fn kept(error: Error, part: &std::path::Path) -> Error {
    let length = std::fs::metadata(part).map_or(0, |part| part.len());
    if length == 0 {
        // Nothing came: an empty file helps nobody.
        let _ = std::fs::remove_file(part);
        return error;
    }
    let note = format!("{length} bytes arrived; they are in {}", part.display());
    match error {
        Error::Transfer(failure) => {
            let evidence = joined(&failure.evidence, note);
            Error::Transfer(failure.evidence(evidence))
        }
        Error::Injector(failure) => {
            let evidence = joined(&failure.evidence, note);
            Error::Injector(failure.evidence(evidence))
        }
    }
}

fn joined(evidence: &str, note: String) -> String {
    if evidence.is_empty() { note } else { format!("{evidence}; {note}") }
}

/// POD-CONTAINER-UTC.hprof in the working directory.
fn default_name(context: &Context) -> PathBuf {
    let now = Timestamp::now().strftime("%Y%m%dT%H%M%SZ");
    format!("{}-{}-{now}.hprof", context.target.pod_name(), context.target.container).into()
}

fn report(context: &Context, file: Option<&std::path::Path>, summary: &Summary) {
    let counts = format!(
        "{} bytes, {} instances, {} arrays, {} classes",
        summary.bytes, summary.instances, summary.arrays, summary.classes
    );
    match file {
        Some(path) => context.notes.say(&format!("{}: verified to its end: {counts}", path.display())),
        None => context.notes.say(&format!("heap dump verified to its end: {counts}")),
    }
}
