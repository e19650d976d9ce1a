//! `dumpheap`: a heap dump of the JVM, verified to its last record, in a file here or on standard output.

mod again;
mod before;
mod beside;
mod earlier;
mod fetch;
mod kept;
mod landing;

use std::cell::Cell;
use std::panic;

use jattach_protocol::Code;
use jattach_protocol::hprof::Summary;
use jattach_protocol::message::{Limits, Redact};

use super::Context;
use crate::debugger::Debugger;
use crate::error::Failure;
use crate::options::DumpHeap;
use crate::receive::Storing;
use crate::receive::dump::{Dump, Files, Pipe, Place, Record, Whole};
use crate::render::progress::size;
use crate::session::{Error, Session};
use crate::target::storage_limit;
pub(super) use again::open_again;
pub(super) use before::pause_of;
pub(super) use beside::Beside;
use fetch::{Begun, Errand};
pub(super) use landing::{Landing, To, complete_without};

/// Has the JVM dump its heap, of live objects or of all, and brings the dump here; or goes on with one that was begun.
///
/// # Errors
/// Those of the conversation; 1 where it is not gone ahead; 8 where what arrived is not a whole dump: then nothing has the
/// dump's name.
pub(super) async fn run(
    context: &Context,
    debugger: &Debugger,
    session: Session,
    wanted: &DumpHeap,
    to: &mut To<'_>,
) -> Result<(), Error> {
    let progress = context.notes.progress();
    let (limits, given_up) = (limits(context, wanted), Cell::new(false));
    let (kept, stalled) = (Cell::new(false), Cell::new(0));
    let errand = Errand { context, debugger, wanted, limits, progress: &progress, kept, given_up, stalled };
    let summary = match to {
        To::Stdout => to_stdout(&errand, session).await?,
        To::File(landing) => {
            let result = to_file(&errand, session, landing).await;
            if let Err(Error::Injector(failure)) = &result
                && failure.code != Code::Transfer
            {
                landing.kept.lose();
            }
            if errand.given_up.get() {
                landing.kept.give_up();
            }
            result?
        }
        To::Done => return Ok(()),
    };
    let stalled = fetch::waited(errand.stalled.get());
    drop(progress);
    report(context, to, &summary, wanted.redact);
    if let Some(time) = stalled {
        context
            .notes
            .say(&format!("The JVM waited {time} of its pause for room in the pod, beyond what any disk takes"));
    }
    Ok(())
}

fn limits(context: &Context, wanted: &DumpHeap) -> Limits {
    let millis = |limit: std::time::Duration| u32::try_from(limit.as_millis()).unwrap_or(u32::MAX);
    Limits {
        storage: storage_limit(&context.target.pod),
        spool: wanted.spool.unwrap_or(u64::MAX),
        max_stall: wanted.max_stall.map_or(u32::MAX, millis),
        max_pause: wanted.max_pause.map_or(0, millis),
    }
}

async fn to_stdout(errand: &Errand<'_>, mut session: Session) -> Result<Summary, Error> {
    let survey = before::survey(errand, &mut session, errand.context.options.injector.wait).await?;
    let _room = before::consent(errand, &survey, None).await?;
    let pipe = Pipe::new(std::io::stdout(), survey.form, errand.wanted.format)?;
    finished(errand, session, Dump::new(survey.form, pipe), None).await
}

async fn to_file(errand: &Errand<'_>, mut session: Session, landing: &mut Landing<'_>) -> Result<Summary, Error> {
    let is_here = |record: &mut Record| record.injector == errand.debugger.container;
    let mut unwanted = landing.unwanted.take_if(is_here);
    if let Some(record) = landing.record.take_if(is_here) {
        match earlier::go_on(errand, &mut session, landing, &record).await? {
            Some((dump, begun)) => {
                landing.kept.arm();
                return finished(errand, session, dump, Some(begun)).await;
            }
            None => unwanted = Some(record),
        }
    }
    let mut wait = errand.context.options.injector.wait;
    if let Some(job) = unwanted.and_then(|record| record.job) {
        let was_there;
        (session, was_there) = earlier::give_up(errand, session, &job).await?;
        wait |= was_there;
    }
    let survey = before::survey(errand, &mut session, wait).await?;
    let _room = before::consent(errand, &survey, Some(&landing.path)).await?;
    let file = landing.take()?;
    file.clear()?;
    landing.kept.arm();
    let (source, wanted) = (landing::source(&errand.context.target), landing::wanted(errand.context, errand.wanted));
    let record = Record::new(source, wanted, errand.debugger.container.clone(), survey.form, survey.expected);
    let files = Files::open(file, record)?;
    finished(errand, session, Dump::new(survey.form, files), None).await
}

/// Receives the dump and hears the conversation to its end; only then does the dump get its name.
async fn finished<P: Place>(
    errand: &Errand<'_>,
    session: Session,
    dump: Dump<P>,
    begun: Option<Begun>,
) -> Result<Summary, Error> {
    let mut storing = Storing::start(dump, errand.context.beside.at_once);
    let received = fetch::fetch(errand, session, &mut storing, begun).await;
    let (whole, session): (Whole<P>, Session) = match received {
        Ok(received) => received,
        Err(error) => {
            storing.close().await;
            return Err(error);
        }
    };
    session.finish().await?;
    errand.progress.phase("putting the parts together");
    Ok(blocking(move || whole.name()).await?)
}

/// Does what takes a disk's time, while the connection is kept alive.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, Failure> + Send + 'static) -> Result<T, Failure> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|died| panic::resume_unwind(died.into_panic()))
}

fn report(context: &Context, to: &To<'_>, summary: &Summary, redact: Redact) {
    let counts = format!(
        "{} ({} bytes), {} instances, {} arrays, {} classes{}",
        size(summary.bytes),
        summary.bytes,
        summary.instances,
        summary.arrays,
        summary.classes,
        redacted(redact)
    );
    match to {
        To::File(landing) => context.notes.say(&format!("{}: verified to its end: {counts}", landing.path.display())),
        _ => context.notes.say(&format!("heap dump verified to its end: {counts}")),
    }
}

/// How a dump is told of that was redacted, in the words of `--redact`.
fn redacted(redact: Redact) -> &'static str {
    match redact {
        Redact::Nothing => "",
        Redact::Text => ", redacted (text)",
        Redact::Arrays => ", redacted (arrays)",
        Redact::All => ", redacted (all)",
    }
}
