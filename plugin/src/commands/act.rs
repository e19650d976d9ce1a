//! What every command on a running target does: look at this machine, find or start the injector, have it do the work, and say
//! why it has not.

use std::rc::Rc;

use super::operation::operation;
use super::{Answer, Context, answer, dumpheap, load, postmortem, ps, remedy, vialog};
use crate::catalogue::Id;
use crate::debugger::{self, Basis, Debugger};
use crate::error::{Exit, Failure};
use crate::inside;
use crate::options::{Action, Agent};
use crate::session::{self, Session};
use crate::target::Target;

/// What a command needs of this machine, looked at before anything is done in the cluster: an ephemeral container cannot be
/// taken back.
pub(super) enum Local<'c> {
    Nothing,
    Dump(dumpheap::To<'c>),
    Agent(Rc<[u8]>),
}

impl<'c> Local<'c> {
    pub(super) async fn prepare(context: &'c Context, action: &Action) -> Result<Local<'c>, Failure> {
        match action {
            Action::DumpHeap(wanted) => dumpheap::To::open(context, wanted).await.map(Local::Dump),
            Action::Load { agent: Agent::Upload(path), .. } => match &context.agent {
                Some(agent) => Ok(Local::Agent(Rc::clone(agent))),
                None => load::read(path).map(|agent| Local::Agent(agent.into())),
            },
            _ => Ok(Local::Nothing),
        }
    }

    /// Lets it know how the command has ended.
    fn ended(&mut self, failure: Failure) -> Failure {
        if let Local::Dump(to) = self {
            to.ended(&failure);
        }
        failure
    }
}

/// Finds or starts the injector and has it do the work; a second time where its first identity does not fit the JVM.
pub(super) async fn act(context: &Context, action: &Action) -> Result<Answer, Failure> {
    let Context { cluster, target, options, notes, .. } = context;
    let mut local = Local::prepare(context, action).await?;
    if matches!(local, Local::Dump(dumpheap::To::Done)) {
        return Ok(Answer::Told);
    }
    notes.phase("looking for an injector");
    let (first, session) = open(context, &mut local).await?;
    notes.phase("asking the JVM");
    let error = match perform(context, &first, session, action, &mut local).await {
        Ok(answer) => return Ok(answer),
        Err(error) => error,
    };
    let Some(identity) = session::fitting_identity(&error).filter(|_| !first.basis.is_final()) else {
        return Err(local.ended(explained(context, &first, action, error).await));
    };
    let exact = debugger::ensure_exact(cluster, target, &options.injector, identity, &first, notes).await?;
    let session = Session::open(cluster, &exact).await;
    match perform(context, &exact, session, action, &mut local).await {
        Ok(answer) => Ok(answer),
        Err(error) => Err(local.ended(explained(context, &exact, action, error).await)),
    }
}

/// An injector, and a session with it or why there is none.
pub(super) type Opened = (Debugger, Result<Session, session::Error>);

/// An injector in the target's own container, if that is wanted.
async fn open_inside(context: &Context) -> Opened {
    let Context { cluster, target, .. } = context;
    let (pod, container) = (target.pod_name().to_owned(), target.container.clone());
    // It runs as whoever the container's user is, and there is no other one to be had.
    let debugger = Debugger { pod, container, basis: Basis::Exact, reused: false };
    (debugger, inside::open(cluster, target).await)
}

/// An injector and, if it answers, a session with it. One that was found running may have ended just then: then another.
pub(super) async fn open(context: &Context, local: &mut Local<'_>) -> Result<Opened, Failure> {
    let Context { cluster, target, options, notes, .. } = context;
    if options.injector.via.is_some() {
        return Ok(open_inside(context).await);
    }
    if let Local::Dump(to) = local
        && let Some(wanted) = to.injector()
    {
        if let Some(opened) = dumpheap::open_again(context, wanted).await {
            return Ok(opened);
        }
        notes.say(&format!(
            "The earlier dump of pod/{} is gone ({wanted} has ended): starting afresh",
            target.pod_name()
        ));
        to.forget();
    }
    let mut gone = Vec::new();
    loop {
        let found = debugger::ensure(cluster, target, &options.injector, &gone, notes).await?;
        let session = Session::open(cluster, &found).await;
        if !found.reused || !session.as_ref().is_err_and(is_the_injectors) {
            return Ok((found, session));
        }
        tracing::info!(container = %found.container, "the running injector does not answer; taking another");
        gone.push(found.container);
    }
}

/// Whether the injector itself does not answer, and not the way to it: only then does another one do better.
fn is_the_injectors(error: &session::Error) -> bool {
    match error {
        session::Error::Injector(_) => true,
        session::Error::Transfer(failure) => matches!(failure.exit(), Exit::Injector | Exit::Transfer),
    }
}

async fn explained(context: &Context, debugger: &Debugger, action: &Action, error: session::Error) -> Failure {
    let what = if matches!(action, Action::DumpHeap(_)) { "the heap dump" } else { "the command" };
    let identity = session::fitting_identity(&error);
    let mut failure = postmortem::examine(context, debugger, what, error.into()).await;
    failure.remedy = context.with_pod(&failure.remedy);
    if failure.id == Id::TmpNotWritable {
        return remedy::of_tmp(context, action, failure).await;
    }
    // The injector sees a container, and knows nothing of the pod's others.
    if failure.id == Id::NoJvm && context.target.pid.is_none() {
        return failure.remedy(ps::where_else(&context.target));
    }
    if failure.id == Id::WrongIdentity && debugger.basis == Basis::Asked {
        let Target { pod, container, .. } = &context.target;
        return failure.remedy(debugger::instead_of_chosen(pod, container, identity));
    }
    if failure.exit() == Exit::Transfer && changes_the_jvm(action) {
        return failure.remedy("it may have been done all the same: look before you do it again");
    }
    failure
}

/// Whether doing it twice is another thing than doing it once. Of a diagnostic command nobody knows.
fn changes_the_jvm(action: &Action) -> bool {
    match action {
        Action::SetFlag { .. } | Action::Load { .. } | Action::Jcmd { .. } | Action::DataDump => true,
        Action::Ps
        | Action::DumpHeap(_)
        | Action::ThreadDump { .. }
        | Action::PrintThreads
        | Action::InspectHeap { .. }
        | Action::Properties
        | Action::AgentProperties
        | Action::PrintFlag { .. }
        | Action::Doctor { .. }
        | Action::Clean => false,
    }
}

/// One conversation with the injector, if there was an answer.
async fn perform(
    context: &Context,
    debugger: &Debugger,
    session: Result<Session, session::Error>,
    action: &Action,
    local: &mut Local<'_>,
) -> Result<Answer, session::Error> {
    let mut session = session?;
    let mut answer = Answer::Told;
    match (action, local) {
        (Action::Ps, _) => answer = Answer::Jvms(ps::run(context, &mut session).await?),
        (Action::DumpHeap(wanted), Local::Dump(to)) => {
            return dumpheap::run(context, debugger, session, wanted, to).await.map(|()| answer);
        }
        (Action::Load { agent: Agent::Upload(path), options }, Local::Agent(agent)) => {
            load::upload(context, &mut session, path, agent, options.as_deref()).await?;
        }
        (Action::PrintThreads, _) => vialog::run(context, &mut session).await?,
        (action, _) => {
            let operation = operation(action).ok_or_else(|| {
                Failure::usage("this command is done in another way").remedy("report it: the plugin has a mistake")
            })?;
            let top = if let Action::InspectHeap { top, .. } = action { *top } else { None };
            answer::run(context, &mut session, operation, top).await?;
        }
    }
    session.finish().await?;
    Ok(answer)
}
