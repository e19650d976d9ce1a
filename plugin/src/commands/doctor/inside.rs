//! What only an injector can tell: it is started as by any command, and looks at the JVMs without touching one.

use std::time::{Duration, Instant};

use jattach_protocol::message::{Examined, Jvm, Limits, Operation, Request};
use jattach_protocol::{Identity, Message};

use super::super::act::{Local, open};
use super::super::{Context, postmortem};
use super::speed::{self, Speed};
use crate::debugger::{self, Debugger};
use crate::error::{Exit, Failure};
use crate::receive;
use crate::session::{self, Session};
use crate::target::storage_limit;

/// What the injector has told.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) debugger: Debugger,
    pub(super) jvms: Vec<Jvm>,
    /// What it is busy with, in its words.
    pub(super) job: Option<String>,
    /// From the question for the JVMs to the end of its answer.
    pub(super) round_trip: Duration,
    /// What a look at the JVM, the first of several, has shown; or why nothing was.
    pub(super) examined: Look,
    /// How fast data come; or why that was not measured.
    pub(super) speed: Result<Speed, Unmeasured>,
    /// Where the first container could not look at the JVM: as what the second one runs.
    pub(super) second: Option<Identity>,
}

/// What a look has shown, or why nothing was.
pub(super) type Look = Result<Examined, String>;

/// Why the speed is not known.
#[derive(Debug)]
pub(super) enum Unmeasured {
    /// It was not to be measured.
    Spared(&'static str),
    /// Data do not come as they are sent.
    Failed(Failure),
}

/// Why nothing is seen.
#[derive(Debug)]
pub(super) enum Unseen {
    /// No injector runs.
    NotStarted(Failure),
    /// No way leads to the one that runs.
    NotHeard(Failure),
    /// It answers, and cannot look into the JVM; but at what anybody may see of it.
    Unfit(Failure, Box<Look>),
}

/// A question that was not answered.
struct Unanswered {
    debugger: Debugger,
    error: session::Error,
    examined: Look,
}

/// Has an injector look; a second one where the JVM is of an identity that the pod does not tell.
pub(super) async fn look(context: &Context) -> Result<Seen, Unseen> {
    let Context { cluster, target, options, notes, .. } = context;
    let (first, session) = open(context, &mut Local::Nothing).await.map_err(Unseen::NotStarted)?;
    let failed = match ask(context, first, session).await {
        Ok(seen) => return Ok(seen),
        Err(failed) => failed,
    };
    let first = &failed.debugger;
    let Some(identity) = session::fitting_identity(&failed.error).filter(|_| !first.basis.is_final()) else {
        return Err(explained(context, failed).await);
    };
    let exact = match debugger::ensure_exact(cluster, target, &options.injector, identity, first, notes).await {
        Ok(exact) => exact,
        Err(failure) if failure.exit() == Exit::Attach => {
            return Err(Unseen::Unfit(failure, Box::new(failed.examined)));
        }
        Err(failure) => return Err(Unseen::NotStarted(failure)),
    };
    let session = Session::open(cluster, &exact).await;
    match ask(context, exact, session).await {
        Ok(seen) => Ok(Seen { second: Some(identity), ..seen }),
        Err(failed) => Err(explained(context, failed).await),
    }
}

/// All questions and their answers, in one conversation.
async fn ask(
    context: &Context,
    debugger: Debugger,
    session: Result<Session, session::Error>,
) -> Result<Seen, Unanswered> {
    let mut examined = Err("nobody has looked".to_owned());
    match converse(context, session, &mut examined).await {
        Ok((jvms, job, round_trip, speed)) => {
            Ok(Seen { debugger, jvms, job, round_trip, examined, speed, second: None })
        }
        Err(error) => Err(Unanswered { debugger, error, examined }),
    }
}

type Told = (Vec<Jvm>, Option<String>, Duration, Result<Speed, Unmeasured>);

async fn converse(
    context: &Context,
    session: Result<Session, session::Error>,
    examined: &mut Look,
) -> Result<Told, session::Error> {
    let mut session = session?;
    let asked = Instant::now();
    session.request(context.request(Operation::List));
    let listed = match receive::jvms(&mut session).await {
        Err(error @ session::Error::Transfer(_)) => return Err(error),
        listed => listed,
    };
    let round_trip = asked.elapsed();
    let jvms = listed.as_ref().map(|(jvms, _)| jvms.as_slice()).unwrap_or_default();
    if listed.is_err() || !jvms.is_empty() {
        *examined = examine(context, &mut session, jvms).await?;
    }
    let (jvms, job) = listed?;
    let speed = match job {
        Some(_) => Err(Unmeasured::Spared("it would slow down what the injector is at work on")),
        None => match speed::measure(context, &mut session).await {
            // The rest of it is still on its way.
            Ok(speed @ Speed { is_cut: true, .. }) => return Ok((jvms, job, round_trip, Ok(speed))),
            Ok(speed) => Ok(speed),
            Err(error) => return Ok((jvms, job, round_trip, Err(Unmeasured::Failed(error.into())))),
        },
    };
    session.finish().await?;
    Ok((jvms, job, round_trip, speed))
}

/// A look at the JVM that is meant, or at the first of them.
async fn examine(context: &Context, session: &mut Session, jvms: &[Jvm]) -> Result<Look, session::Error> {
    let limits = Limits { storage: storage_limit(&context.target.pod), ..Limits::default() };
    let request = context.request(Operation::Examine(limits));
    let pid = if request.pid == 0 { jvms.first().map_or(0, |jvm| jvm.pid) } else { request.pid };
    session.request(Request { pid, ..request });
    let mut examined = Err("the injector has not told".to_owned());
    loop {
        match session.next().await {
            Ok(Message::Examined(told)) if examined.is_err() => examined = Ok(told),
            Ok(Message::End(_)) => return Ok(examined),
            // Else it might go on for ever.
            Ok(_) => return Err(speed::wrong("more came than a look has to tell").into()),
            Err(session::Error::Injector(failure)) => return Ok(Err(failure.into_parts().cause)),
            Err(error) => return Err(error),
        }
    }
}

async fn explained(context: &Context, failed: Unanswered) -> Unseen {
    let Unanswered { debugger, error, examined } = failed;
    match error {
        session::Error::Injector(failure) => Unseen::Unfit(failure.into(), Box::new(examined)),
        // There it is brought by the same exec that it answers through.
        session::Error::Transfer(failure) if context.options.injector.via.is_some() => Unseen::NotStarted(failure),
        session::Error::Transfer(failure) => {
            Unseen::NotHeard(postmortem::examine(context, &debugger, "the check", failure).await)
        }
    }
}
