//! What only an injector can tell: it is started as by any command, and looks at the JVMs without touching one.

use std::time::{Duration, Instant};

use jattach_protocol::Identity;
use jattach_protocol::message::{Jvm, Operation};

use super::super::{Context, Local, open, postmortem};
use crate::debugger::{self, Debugger};
use crate::error::{Exit, Failure};
use crate::receive;
use crate::session::{self, Session};

/// What the injector has told.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) debugger: Debugger,
    pub(super) jvms: Vec<Jvm>,
    /// What it is busy with, in its words.
    pub(super) job: Option<String>,
    /// From the question for the JVMs to the end of its answer.
    pub(super) round_trip: Duration,
    /// Where the first container could not look at the JVM: as what the second one runs.
    pub(super) second: Option<Identity>,
}

/// Why nothing is seen.
#[derive(Debug)]
pub(super) enum Unseen {
    /// No injector runs.
    NotStarted(Failure),
    /// No way leads to the one that runs.
    NotHeard(Failure),
    /// It answers, and cannot look at the JVM.
    Unfit(Failure),
}

/// Has an injector look; a second one where the JVM is of an identity that the pod does not tell.
pub(super) async fn look(context: &Context) -> Result<Seen, Unseen> {
    let Context { cluster, target, options, notes, .. } = context;
    let (first, session) = open(context, &mut Local::Nothing).await.map_err(Unseen::NotStarted)?;
    let (first, error) = match ask(context, first, session).await {
        Ok(seen) => return Ok(seen),
        Err(failed) => failed,
    };
    let Some(identity) = session::fitting_identity(&error).filter(|_| !first.basis.is_final()) else {
        return Err(explained(context, &first, error).await);
    };
    let exact = debugger::ensure_exact(cluster, target, &options.injector, identity, &first, notes).await;
    let exact = exact.map_err(|failure| match failure.exit {
        Exit::Attach => Unseen::Unfit(failure),
        _ => Unseen::NotStarted(failure),
    })?;
    let session = Session::open(cluster, &exact).await;
    match ask(context, exact, session).await {
        Ok(seen) => Ok(Seen { second: Some(identity), ..seen }),
        Err((exact, error)) => Err(explained(context, &exact, error).await),
    }
}

/// One question and its answer.
async fn ask(
    context: &Context,
    debugger: Debugger,
    session: Result<Session, session::Error>,
) -> Result<Seen, (Debugger, session::Error)> {
    let answer = async {
        let mut session = session?;
        let asked = Instant::now();
        session.request(context.request(Operation::List));
        let (jvms, job) = receive::jvms(&mut session).await?;
        let round_trip = asked.elapsed();
        session.finish().await?;
        Ok((jvms, job, round_trip))
    };
    match answer.await {
        Ok((jvms, job, round_trip)) => Ok(Seen { debugger, jvms, job, round_trip, second: None }),
        Err(error) => Err((debugger, error)),
    }
}

async fn explained(context: &Context, debugger: &Debugger, error: session::Error) -> Unseen {
    match error {
        session::Error::Injector(failure) => Unseen::Unfit(failure.into()),
        session::Error::Transfer(failure) => {
            Unseen::NotHeard(postmortem::examine(context, debugger, "the check", failure).await)
        }
    }
}
