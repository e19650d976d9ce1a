//! `dumpheap`: a heap dump of the JVM, verified to its last record, in a file here.

use std::io::IsTerminal;
use std::path::PathBuf;

use jattach_protocol::hprof::Summary;
use jattach_protocol::message::{DumpHeap, Limits, Operation, Phase, Progress as Far};
use jiff::Timestamp;

use super::Context;
use crate::error::Failure;
use crate::options::Destination;
use crate::receive::{self, Dump, DumpFile, Told};
use crate::render::Notes;
use crate::render::progress::Progress;
use crate::session::{Error, Session};
use crate::target::{Target, storage_limit};

/// Where the dump goes: opened before anything is done in the cluster.
pub(super) enum To {
    Stdout,
    /// The file, until a first conversation has taken it, and what a second one makes it from.
    File {
        path: PathBuf,
        force: bool,
        file: Option<DumpFile>,
    },
}

impl To {
    /// Opens it.
    ///
    /// # Errors
    /// A usage failure for a terminal or a name that is taken, 9 where another dump is written there, 1 where it cannot be
    /// written.
    pub(super) fn open(target: &Target, destination: &Destination, force: bool) -> Result<To, Failure> {
        let path = match destination {
            Destination::Stdout if std::io::stdout().is_terminal() => {
                return Err(Failure::usage("a heap dump is no sight for a terminal")
                    .remedy("send it on: `… dumpheap - | zstd > x.hprof.zst`, or name a FILE"));
            }
            Destination::Stdout => return Ok(To::Stdout),
            Destination::File(path) => path.clone(),
            Destination::Default => default_name(target),
        };
        let file = Some(DumpFile::create(&path, force)?);
        Ok(To::File { path, force, file })
    }
}

/// Has the JVM dump its heap, of live objects or of all, and brings the dump here.
///
/// # Errors
/// Those of the conversation; 8 where what arrived is not a whole dump: then nothing has the dump's name.
pub(super) async fn run(context: &Context, mut session: Session, live: bool, to: &mut To) -> Result<(), Error> {
    let limits = Limits { storage: storage_limit(&context.target.pod), ..Limits::default() };
    session.request(context.request(Operation::DumpHeap(DumpHeap { live, limits, ..DumpHeap::default() })));
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
    let result = match to {
        To::Stdout => fetch(session, std::io::stdout(), &mut show).await,
        To::File { path, force, file } => {
            let file = match file.take() {
                Some(file) => file,
                None => DumpFile::create(path, *force)?,
            };
            let mut kept = Kept { part: file.part().to_owned(), notes: &context.notes, ended: false };
            let result = fetch(session, file, &mut show).await;
            kept.ended = true;
            result
        }
    };
    drop(progress);
    report(context, to, &result?);
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
        Phase::Dumping => "dumping; the JVM waits",
        Phase::Sending => "receiving",
    }
}

/// Says where the bytes are that did arrive, unless all of them did; also when the command is interrupted, and its work just
/// dropped. Nothing that was paid for with a pause is thrown away.
struct Kept<'n> {
    part: PathBuf,
    notes: &'n Notes,
    /// Whether the work has come to its end, good or bad. Where it was dropped the thread that stores has the file open and
    /// locked still, and may not live to remove it.
    ended: bool,
}

impl Drop for Kept<'_> {
    fn drop(&mut self) {
        let length = std::fs::metadata(&self.part).map_or(0, |part| part.len());
        if length > 0 {
            self.notes.say(&format!("{length} bytes arrived; they are in {}", self.part.display()));
        } else if !self.ended {
            let _ = std::fs::remove_file(&self.part);
        }
    }
}

/// POD-CONTAINER-UTC.hprof in the working directory.
fn default_name(target: &Target) -> PathBuf {
    let now = Timestamp::now().strftime("%Y%m%dT%H%M%SZ");
    format!("{}-{}-{now}.hprof", target.pod_name(), target.container).into()
}

fn report(context: &Context, to: &To, summary: &Summary) {
    let counts = format!(
        "{} bytes, {} instances, {} arrays, {} classes",
        summary.bytes, summary.instances, summary.arrays, summary.classes
    );
    match to {
        To::File { path, .. } => context.notes.say(&format!("{}: verified to its end: {counts}", path.display())),
        To::Stdout => context.notes.say(&format!("heap dump verified to its end: {counts}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_that_is_dropped_leaves_no_empty_part_and_no_other_part_is_touched() {
        let directory = tempfile::tempdir().expect("a directory");
        let notes = Notes::new(true);
        let left = |ended, bytes: &[u8]| {
            let part = directory.path().join("x.hprof.part");
            std::fs::write(&part, bytes).expect("a part");
            drop(Kept { part: part.clone(), notes: &notes, ended });
            part.exists()
        };
        assert!(!left(false, b""));
        assert!(left(false, b"JAVA PROFILE"));
        assert!(left(true, b""), "by now it may be somebody else's");
    }
}
