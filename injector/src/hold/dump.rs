//! Heap dumps as jobs: one is not its client's, and outlives it. What a client does not fetch waits for the next one.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use jattach_protocol::message::{DumpHeap, End, Phase, Progress, Resume, STREAMS};
use jattach_protocol::{Code, Failure, Message};

use super::desk::Desk;
use super::peer::{Gone, Peer};
use super::serve::{Job, Last};
use super::start_thread_for_job;
use crate::dump::artefact::{Artefact, Attached, Client, spooler};
use crate::dump::{self, Order, send};
use crate::sys::describe;

const ANOTHER: &str = "run the command again: it begins another one";

/// For how long a dump is kept at the most that nobody but the run that has asked for it can go on with: time enough to see
/// that the connection was cut, and to try all its attempts at another one.
const BRIEFLY: Duration = Duration::from_secs(60);

/// Has the JVM dump its heap, and stays until a client has all of it, or nobody comes for it any more.
pub(super) fn run(job: &Job, desk: &Desk, wanted: &DumpHeap, ttl: u32) -> Result<Last, Failure> {
    let attaching = Progress { phase: Phase::Attaching, done: 0, total: 0, stalled: 0 };
    desk.progress(attaching);
    job.peer.progress(job.id, attaching)?;
    let survey = dump::survey(&job.peer, &job.target, &wanted.limits)?;
    let client = Client::new(&job.peer, job.id, patience(wanted, ttl));
    let artefact = Artefact::new(job.started(), &wanted.limits, client)
        .map_err(|errno| Failure::new(Code::Other, "the injector has no descriptor left").evidence(describe(errno)))?;
    let artefact = Arc::new(artefact);
    desk.dumps(&artefact);
    // It was not told yet which dump this is: nobody can come back for it.
    if job.peer.is_gone() {
        artefact.close();
        return Err(Gone.into());
    }
    let sender = threads(&artefact).inspect_err(|_| artefact.close())?;
    let progress = |progress| desk.progress(progress);
    let order =
        Order { target: &job.target, live: wanted.live, redact: wanted.redact, survey: &survey, progress: &progress };
    let outcome = artefact.goes_on().and_then(|()| dump::dump(&order, &artefact));
    let outcome = outcome.map_err(|failure| job.explained(failure));
    if outcome.is_ok() {
        desk.progress(artefact.progress(Progress { phase: Phase::Sending, done: 0, total: 0, stalled: 0 }));
    }
    artefact.finish(outcome);
    let sent = sender.join();
    let result = match sent {
        Ok(()) => artefact.result(),
        Err(_) => Err(Failure::new(Code::Other, "the thread that sends the dump has died")),
    };
    match artefact.client() {
        Some(client) => Ok(last(client, result)),
        // Nobody hears it now; who comes for the dump does.
        None => Ok(last(Client::new(&job.peer, job.id, Duration::ZERO), result)),
    }
}

/// Starts the thread that moves blocks into the spool, and the one that sends, whose end is waited for.
fn threads(artefact: &Arc<Artefact>) -> Result<JoinHandle<()>, Failure> {
    let [moved, sent] = [0; 2].map(|_| Arc::clone(artefact));
    start_thread_for_job(Box::new(move || spooler::run(&moved)))?;
    start_thread_for_job(Box::new(move || send::send(&sent)))
}

/// Has a client go on with a dump that it has begun to fetch.
///
/// # Errors
/// Why there is nothing to go on with: [`Code::Gone`], or what the dump has failed with.
pub(super) fn resume(
    desk: &Desk,
    peer: &Arc<Peer>,
    id: u32,
    resume: &Resume,
    patience: Duration,
) -> Result<(), Failure> {
    let dump = desk.dump(resume.job).ok_or_else(|| gone(resume.job))?;
    let client = Client::returned(peer, id, patience);
    if let Attached::Live = dump.attach(client.clone(), resume.stored)? {
        return Ok(());
    }
    let result = dump.result().map_err(|failure| match failure.code {
        // Nobody came for it, or somebody said so.
        Code::Cancelled => {
            let said = failure.into_parts();
            Failure::new(Code::Gone, said.cause).evidence(said.evidence).remedy(ANOTHER)
        }
        _ => failure,
    })?;
    let mut last = last(client, Ok(result));
    last.before.insert(0, Message::Started(dump.started));
    last.tell();
    Ok(())
}

/// That there is nothing to come back for.
pub(super) fn gone(job: u64) -> Failure {
    Failure::new(Code::Gone, "the injector has no such heap dump any more")
        .evidence(format!("nobody came for job {job} within its --ttl, or it was given up"))
        .remedy(ANOTHER)
}

/// For how long a dump waits for a client that is lost.
pub(super) fn patience(wanted: &DumpHeap, ttl: u32) -> Duration {
    let ttl = Duration::from_secs(ttl.into());
    if wanted.piped { ttl.min(BRIEFLY) } else { ttl }
}

/// What a client hears at the end.
fn last(client: Client, result: Result<(Vec<jattach_protocol::message::Patch>, [End; STREAMS]), Failure>) -> Last {
    let (before, message) = match result {
        Err(failure) => (Vec::new(), Message::Failure(failure)),
        Ok((patches, [main, part])) => {
            let mut before: Vec<_> = patches.into_iter().map(Message::Patch).collect();
            if part.length > 0 {
                before.push(Message::StreamEnd(part));
            }
            (before, Message::End(main))
        }
    };
    Last { peer: client.peer, id: client.request, before, message }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_dump_that_another_run_can_go_on_with_is_kept_for_all_the_time_to_live() {
        let kept = |piped, ttl| patience(&DumpHeap { piped, ..DumpHeap::default() }, ttl).as_secs();
        assert_eq!([kept(false, 600), kept(true, 600), kept(true, 10)], [600, 60, 10]);
    }
}
