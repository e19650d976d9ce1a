//! What there is of an earlier dump in FILE.part, and its job in the injector: gone on with, or given up. A dump of the same
//! FILE that nobody wants any more is not to keep the injector from making another.

use jattach_protocol::message::Operation;
use jattach_protocol::{Code, Message};

use super::fetch::{Begun, Errand, ask_again, is_cut};
use super::{Landing, blocking};
use crate::error::Failure;
use crate::receive::dump::{Dump, Files, Job, Record};
use crate::render::progress::size;
use crate::session::{Error, Session};

/// What is there of a dump that was begun, and who gives the rest; nothing where it cannot be gone on with, as is said then.
///
/// The injector is asked first, for it keeps a dump as long as somebody is there for it: reading what is here takes minutes
/// for a large one.
///
/// # Errors
/// Those of the conversation, unless another one may go on.
pub(super) async fn go_on(
    errand: &Errand<'_>,
    session: &mut Session,
    landing: &mut Landing<'_>,
    record: &Record,
) -> Result<Option<(Dump<Files>, Begun)>, Error> {
    let Some(job) = record.job else { return Ok(None) };
    let asked = match ask_again(errand, session, &job, record.raw()).await {
        Ok(()) => true,
        Err(error) if is_cut(&error) => false,
        Err(Error::Injector(failure)) => {
            errand.say(&format!(
                "The earlier dump of pod/{} cannot be gone on with ({}): starting afresh",
                errand.debugger.pod, failure.cause
            ));
            return Ok(None);
        }
        Err(error) => return Err(error),
    };
    Ok(take_up(errand, landing, record).await?.map(|dump| (dump, Begun { job, asked })))
}

/// What is there, read again; nothing where it is not what the record says.
async fn take_up(
    errand: &Errand<'_>,
    landing: &mut Landing<'_>,
    record: &Record,
) -> Result<Option<Dump<Files>>, Failure> {
    errand.progress.phase("reading what is there");
    let (file, own) = (landing.take()?, record.clone());
    let reading = move || Dump::resume(own.form, Files::open(file, own)?);
    match blocking(reading).await {
        Ok(dump) => {
            let held = record.raw().into_iter().sum();
            errand.say(&format!("Going on with {}.part at {}", landing.path.display(), size(held)));
            Ok(Some(dump))
        }
        Err(failure) => {
            errand.say(&format!("{} ({}): starting afresh", failure.cause, failure.evidence));
            Ok(None)
        }
    }
}

/// Has the injector end a job that nobody comes for any more; whether it still had that, and now takes a moment to end it.
/// Another session goes on: this one may have asked for that dump.
///
/// # Errors
/// Those of the conversations.
pub(super) async fn give_up(errand: &Errand<'_>, session: Session, job: &Job) -> Result<(Session, bool), Error> {
    drop(session);
    let mut session = Session::open(&errand.context.cluster, errand.debugger).await?;
    session.request(errand.context.request(Operation::GiveUp(job.job)));
    loop {
        match session.next().await {
            Ok(Message::End(_)) => return Ok((session, true)),
            Ok(_) => {}
            Err(Error::Injector(failure)) if failure.code == Code::Gone => return Ok((session, false)),
            Err(error) => return Err(error),
        }
    }
}
