//! Where a dump goes, and what is there of an earlier one: found out before anything is done in the cluster.

use std::fs;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::kept::Kept;
use super::{blocking, redacted};
use crate::catalogue::Id;
use crate::commands::Context;
use crate::error::Failure;
use crate::options::{Destination, DumpHeap};
use crate::receive::dump::{self, DumpFile, Files, Record, Source, Wanted};
use crate::render::Notes;
use crate::render::progress::size;
use crate::target::{Name, Target, Wish};

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
    /// One that is not gone on with, although the injector may still keep it.
    pub(super) unwanted: Option<Record>,
    pub(super) kept: Kept<'c>,
}

impl<'c> To<'c> {
    /// Opens it.
    ///
    /// # Errors
    /// A usage failure for a terminal or a name that is taken, 9 where another dump is written there, 1 where it cannot be
    /// written.
    pub(crate) async fn open(context: &'c Context, wish: &DumpHeap) -> Result<To<'c>, Failure> {
        let target = &context.target;
        let path = match &wish.file {
            Destination::Stdout if std::io::stdout().is_terminal() => {
                return Err(Failure::usage("a heap dump is no sight for a terminal")
                    .remedy("send it on: `… dumpheap - | zstd > x.hprof.zst`, or name a FILE"));
            }
            Destination::Stdout => return Ok(To::Stdout),
            Destination::File(path) if path.is_dir() => path.join(default_name(target, wish)),
            Destination::File(path) => path.clone(),
            Destination::Default => default_name(target, wish),
        };
        let file = DumpFile::open(&path, wish.force)?;
        let earlier = if wish.resume {
            earlier(&file, &source(target), &wanted(context, wish), &context.notes)?
        } else {
            Earlier::None
        };
        let kept = Kept::new(file.part(), &path, context);
        let record = match earlier {
            Earlier::None => None,
            Earlier::Begun(record) => Some(*record),
            Earlier::Whole(record) => {
                return complete(file, *record, &path, &context.notes).await.map(|()| To::Done);
            }
            // With it the earlier one would take the place of what --force has to be said for.
            Earlier::WholeOfAnother(_, why) if wish.force => {
                return Err(Failure::usage(format!("{} is all of an earlier dump", file.part().display()))
                    .evidence(why)
                    .remedy("give another FILE, or --no-resume to give that one up"));
            }
            Earlier::WholeOfAnother(record, why) => {
                complete(file, *record, &path, &context.notes).await?;
                return Err(Failure::new(Id::FileExists, format!("{} exists", path.display()))
                    .evidence(format!("it was an earlier dump's that was all here: {why}"))
                    .remedy("give another FILE, or --force to replace it"));
            }
        };
        let is_the_targets = |record: &Record| record.whole.is_none() && record.source == source(target);
        let unwanted = if record.is_none() { file.record().filter(is_the_targets) } else { None };
        let (force, file) = (wish.force, Some(file));
        Ok(To::File(Box::new(Landing { path, force, file, record, unwanted, kept })))
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

fn earlier(file: &DumpFile, source: &Source, wanted: &Wanted, notes: &Notes) -> Result<Earlier, Failure> {
    let part = file.part().display();
    let Some(record) = file.record() else {
        if file.is_foreign() {
            return Err(Failure::usage(format!("{part} was written by another version of this program"))
                .evidence(format!("{part}.json says so"))
                .remedy("go on with that version, give another FILE, or --no-resume to give it up"));
        }
        let held = dump::held(file.part());
        if held > 0 {
            notes.say(&format!("{part} holds {} that nothing tells how to go on with: starting afresh", size(held)));
        }
        return Ok(Earlier::None);
    };
    Ok(match (record.mismatch(source, wanted), record.whole.is_some(), record.job.is_some()) {
        (None, true, _) => Earlier::Whole(Box::new(record)),
        (Some(why), true, _) => Earlier::WholeOfAnother(Box::new(record), why),
        (None, false, true) => Earlier::Begun(Box::new(record)),
        // Another dump would cost this one its rest, for what may be a slip of the fingers.
        (Some(why), false, true) if record.source == *source => {
            return Err(Failure::usage(format!("{part} is the beginning of another dump of this JVM"))
                .evidence(why)
                .remedy("go on with the flags it was begun with, give another FILE, or --no-resume to give it up"));
        }
        (Some(why), false, true) => {
            notes.say(&format!("{part} cannot be gone on with ({why}): starting afresh"));
            Earlier::None
        }
        (_, false, false) => Earlier::None,
    })
}

/// A large dump takes minutes to be read again: meanwhile it is shown, and may be interrupted. What was begun of it the next
/// run does again.
async fn complete(file: DumpFile, record: Record, path: &Path, notes: &Notes) -> Result<(), Failure> {
    // Before anything is put together.
    let taken =
        fs::metadata(file.part()).and_then(|meta| meta.modified()).ok().and_then(|time| Timestamp::try_from(time).ok());
    let taken = taken.map_or_else(String::new, |time| format!(" since {}", time.strftime("%Y-%m-%d %H:%M UTC")));
    let progress = notes.progress();
    progress.phase("putting the parts together and reading the dump again");
    let redacted = redacted(record.wanted.redact);
    blocking(move || Files::open(file, record)?.complete_later()).await?;
    drop(progress);
    notes.say(&format!(
        "{}: all of it was here{taken}, verified to its end{redacted}; for a new one give another FILE",
        path.display()
    ));
    Ok(())
}

/// Completes a dump that was wanted of a pod that is `gone`, where all of it is here: then nobody is needed for it.
///
/// # Errors
/// `gone`, where there is no such dump; those of completing it.
pub(in crate::commands) async fn complete_without(
    gone: Failure,
    namespace: &str,
    wish: &Wish,
    wanted: &DumpHeap,
    notes: &Notes,
) -> Result<(), Failure> {
    let Destination::File(path) = &wanted.file else { return Err(gone) };
    let is_its = |record: &Record| wanted.resume && is_of(record, namespace, wish, wanted);
    if !dump::whole_for(path).is_some_and(|record| is_its(&record)) {
        return Err(gone);
    }
    let file = DumpFile::open(path, wanted.force)?;
    let Some(record) = file.record().filter(is_its) else { return Err(gone) };
    notes.say(&format!("{}; all of its heap dump is here", gone.cause));
    complete(file, record, path, notes).await
}

/// Whether a record is of what is wished for, as far as that can be known without the pod.
fn is_of(record: &Record, namespace: &str, wish: &Wish, wanted: &DumpHeap) -> bool {
    let source = &record.source;
    let DumpHeap { live, redact, format, .. } = *wanted;
    let named = match &wish.name {
        Name::Pod(name) => *name == source.pod,
        Name::Workload { .. } | Name::Selector(_) => true,
    };
    named
        && source.namespace == namespace
        && wish.container.as_ref().is_none_or(|container| *container == source.container)
        && record.wanted == Wanted { live, redact, format, pid: wish.pid.unwrap_or(0) }
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

/// POD-CONTAINER-UTC.hprof.
fn default_name(target: &Target, wish: &DumpHeap) -> PathBuf {
    let now = Timestamp::now().strftime("%Y%m%dT%H%M%SZ");
    format!("{}-{}-{now}.{}", target.pod_name(), target.container, wish.format.extension()).into()
}

#[cfg(test)]
mod tests {
    use jattach_protocol::message::{Form, Redact};

    use super::*;
    use crate::error::Exit;
    use crate::receive::dump::Format;
    use crate::receive::dump::tests::sealed;

    fn wanted(path: &Path) -> DumpHeap {
        DumpHeap {
            file: Destination::File(path.to_owned()),
            live: true,
            redact: Redact::Nothing,
            format: Format::Raw,
            force: false,
            resume: true,
            yes: false,
            spool: None,
            max_stall: None,
            max_pause: None,
        }
    }

    /// Completes the dump that is wanted of a pod that is gone.
    async fn complete_of(target: &str, namespace: &str, wanted: &DumpHeap) -> Result<(), Failure> {
        let wish = Wish::new(Some(target), None, None, None).expect("a target");
        let gone = Failure::new(Exit::Target, "there is no such pod");
        complete_without(gone, namespace, &wish, wanted, &Notes::recording()).await
    }

    /// What becomes of a dump of pod/x in shop that is all here, and whether it has its name then.
    async fn completed(target: &str, namespace: &str, change: fn(&mut DumpHeap)) -> (Option<Exit>, bool) {
        let directory = tempfile::tempdir().expect("a directory");
        let path = sealed(directory.path(), Form::Pair, Format::Raw);
        let mut wanted = wanted(&path);
        change(&mut wanted);
        let result = complete_of(target, namespace, &wanted).await;
        (result.err().map(|failure| failure.exit()), path.exists())
    }

    #[tokio::test]
    async fn a_dump_that_is_all_here_needs_no_pod() {
        for target in ["pod/x", "deploy/x"] {
            assert_eq!(completed(target, "shop", |_| ()).await, (None, true));
        }
    }

    #[tokio::test]
    async fn a_dump_of_another_pod_or_wanted_otherwise_is_left_as_it_is() {
        let left = (Some(Exit::Target), false);
        assert_eq!(completed("pod/y", "shop", |_| ()).await, left);
        assert_eq!(completed("pod/x", "other", |_| ()).await, left);
        assert_eq!(completed("pod/x", "shop", |wanted| wanted.live = false).await, left);
        assert_eq!(completed("pod/x", "shop", |wanted| wanted.resume = false).await, left);
        assert_eq!(completed("pod/x", "shop", |wanted| wanted.file = Destination::Stdout).await, left);
    }

    #[test]
    fn an_interrupt_is_heard_while_a_dump_is_completed() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = sealed(directory.path(), Form::Pair, Format::Raw);
        // The only thread that may block is taken until the test gives it back: the disk is slow.
        let runtime = tokio::runtime::Builder::new_current_thread().max_blocking_threads(1).build().expect("a runtime");
        runtime.block_on(async {
            let (done, busy) = std::sync::mpsc::channel::<()>();
            drop(tokio::task::spawn_blocking(move || busy.recv()));
            let wanted = wanted(&path);
            let mut completing = std::pin::pin!(complete_of("pod/x", "shop", &wanted));
            assert!(futures::poll!(&mut completing).is_pending(), "others have their turn");
            assert!(!path.exists());
            drop(done);
            completing.await.expect("all is there");
        });
        assert!(path.exists());
    }
}
