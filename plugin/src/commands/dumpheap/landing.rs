//! Where a dump goes, and what is there of an earlier one: found out before anything is done in the cluster.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::kept::Kept;
use crate::commands::Context;
use crate::error::{Exit, Failure};
use crate::options::{Destination, DumpHeap};
use crate::receive::dump::{DumpFile, Files, Record, Source, Wanted};
use crate::render::Notes;
use crate::target::Target;

/// Where the dump goes.
pub(crate) enum To<'c> {
    Stdout,
    File(Box<Landing<'c>>),
    /// An earlier run had all of it: it has its name now.
    Done,
}

/// A file.
pub(crate) struct Landing<'c> {
    pub(super) path: PathBuf,
    force: bool,
    /// Until a first conversation has taken it.
    file: Option<DumpFile>,
    /// The dump that was begun, if there is one to go on with.
    pub(super) record: Option<Record>,
    pub(super) kept: Kept<'c>,
}

impl<'c> To<'c> {
    /// Opens it.
    ///
    /// # Errors
    /// A usage failure for a terminal or a name that is taken, 9 where another dump is written there, 1 where it cannot be
    /// written.
    pub(crate) fn open(context: &'c Context, wish: &DumpHeap) -> Result<To<'c>, Failure> {
        let target = &context.target;
        let path = match &wish.file {
            Destination::Stdout if std::io::stdout().is_terminal() => {
                return Err(Failure::usage("a heap dump is no sight for a terminal")
                    .remedy("send it on: `… dumpheap - | zstd > x.hprof.zst`, or name a FILE"));
            }
            Destination::Stdout => return Ok(To::Stdout),
            Destination::File(path) => path.clone(),
            Destination::Default => default_name(target, wish),
        };
        let file = DumpFile::open(&path, wish.force)?;
        let record = if wish.resume { file.record() } else { None };
        let earlier = earlier(record, &source(target), &wanted(context, wish), &path, &context.notes);
        let kept = Kept::new(file.part(), &path, context);
        let record = match earlier {
            Earlier::None => None,
            Earlier::Begun(record) => Some(*record),
            Earlier::Whole(record) => {
                return complete(file, *record, &path, &context.notes).map(|()| To::Done);
            }
            Earlier::WholeOfAnother(record, why) => {
                complete(file, *record, &path, &context.notes)?;
                return Err(Failure::new(Exit::Usage, format!("{} exists", path.display()))
                    .evidence(format!("it was an earlier dump's that was all here: {why}"))
                    .remedy("give another FILE, or --force to replace it"));
            }
        };
        let (force, file) = (wish.force, Some(file));
        Ok(To::File(Box::new(Landing { path, force, file, record, kept })))
    }

    /// The injector that has what there is to go on with.
    pub(crate) fn injector(&self) -> Option<&str> {
        match self {
            To::File(landing) => landing.record.as_ref().map(|record| record.injector.as_str()),
            _ => None,
        }
    }

    /// The injector that had it is no more.
    pub(crate) fn forget(&mut self) {
        if let To::File(landing) = self {
            landing.record = None;
        }
    }

    /// How the command has ended.
    pub(crate) fn ended(&mut self, failure: &Failure) {
        if let To::File(landing) = self {
            landing.kept.ended(failure);
        }
    }
}

impl Landing<'_> {
    /// FILE.part, for a conversation.
    pub(super) fn take(&mut self) -> Result<DumpFile, Failure> {
        match self.file.take() {
            Some(file) => Ok(file),
            None => DumpFile::open(&self.path, self.force),
        }
    }
}

/// What there is of an earlier dump.
enum Earlier {
    None,
    Begun(Box<Record>),
    Whole(Box<Record>),
    WholeOfAnother(Box<Record>, String),
}

fn earlier(record: Option<Record>, source: &Source, wanted: &Wanted, path: &Path, notes: &Notes) -> Earlier {
    let Some(record) = record else { return Earlier::None };
    match (record.mismatch(source, wanted), record.whole.is_some(), record.job.is_some()) {
        (None, true, _) => Earlier::Whole(Box::new(record)),
        (Some(why), true, _) => Earlier::WholeOfAnother(Box::new(record), why),
        (None, false, true) => Earlier::Begun(Box::new(record)),
        (Some(why), false, true) => {
            notes.say(&format!("{}.part cannot be gone on with ({why}): starting afresh", path.display()));
            Earlier::None
        }
        (_, false, false) => Earlier::None,
    }
}

fn complete(file: DumpFile, record: Record, path: &Path, notes: &Notes) -> Result<(), Failure> {
    Files::open(file, record)?.complete_later()?;
    notes.say(&format!("{}: all of it was here, verified to its end", path.display()));
    Ok(())
}

/// What the target is, for the record.
pub(super) fn source(target: &Target) -> Source {
    Source {
        namespace: target.namespace.clone(),
        pod: target.pod_name().to_owned(),
        pod_uid: target.pod_uid().to_owned(),
        container: target.container.clone(),
        container_id: target.container_id().unwrap_or_default().to_owned(),
    }
}

/// What the dump is to be, for the record.
pub(super) fn wanted(context: &Context, wish: &DumpHeap) -> Wanted {
    let pid = context.target.pid.unwrap_or(0);
    Wanted { live: wish.live, redact: wish.redact, format: wish.format, pid }
}

/// POD-CONTAINER-UTC.hprof in the working directory.
fn default_name(target: &Target, wish: &DumpHeap) -> PathBuf {
    let now = Timestamp::now().strftime("%Y%m%dT%H%M%SZ");
    format!("{}-{}-{now}.{}", target.pod_name(), target.container, wish.format.extension()).into()
}
