//! Carrying out requests: which process is meant, as whom, and what is done with it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jattach_protocol::message::{End, Jvm, Operation, Request, Started};
use jattach_protocol::{Code, Failure, Identity, Message};
use nix::errno::Errno;
use xxhash_rust::xxh3::xxh3_64;

use super::desk::{Desk, Order};
use super::dump;
use super::find;
use super::inbox::Inbox;
use super::output;
use super::peer::Peer;
use super::start_thread_for_job;
use super::upload;
use crate::dump::place::Place;
use crate::jvm::command::Command;
use crate::list;
use crate::process::{Target, container_id, identity};
use crate::sys::Kernel;

static KERNEL: Kernel = Kernel;

/// Removes from our own /tmp what an earlier hold of this container could not.
pub(super) fn sweep() {
    if let Ok(place) = Place::own() {
        place.sweep();
    }
}

/// Says that a request without any result is done.
pub(super) fn end(peer: &Peer, id: u32) -> Result<(), Failure> {
    peer.send(id, &Message::End(nothing()))?;
    Ok(())
}

/// What a request gives that has neither output nor artefact.
fn nothing() -> End {
    End { length: 0, hash: xxh3_64(b"") }
}

/// Answers a request for the list of JVMs. It needs no turn: nobody is attached to.
pub(super) fn list(desk: &Desk, peer: &Peer, id: u32, request: &Request) -> Result<(), Failure> {
    let jvms = jvms_of(&request.container);
    // The client makes another injector then, which sees more.
    if let Some(failure) = list::out_of_sight(&KERNEL, &jvms, request.pid) {
        return Err(failure);
    }
    for jvm in jvms {
        peer.send(id, &Message::Jvm(jvm))?;
    }
    if let Some(job) = desk.describe() {
        peer.send(id, &Message::Job(&job))?;
    }
    end(peer, id)
}

/// Starts a job on a thread of its own. Only to be called by the main thread: no thread may be started while it takes on the
/// target's identity, for good.
pub(super) fn start(desk: &Arc<Desk>, pinned: &mut Option<Pinned>, order: Order, job: u64) {
    let Order { target, peer, id, request, blocks } = order;
    let witness = (Arc::clone(&peer), Arc::clone(&blocks));
    let started = take_identity(pinned, &target).and_then(|()| {
        let job = Job { peer, id, number: job, target };
        let its_desk = Arc::clone(desk);
        let run = move || {
            let last = job.run(&its_desk, request, &blocks);
            conclude(&its_desk, &blocks, &last);
        };
        start_thread_for_job(Box::new(run))
    });
    if let Err(failure) = started {
        let (peer, blocks) = witness;
        conclude(desk, &blocks, &Last::failure(peer, id, failure));
    }
}

/// The process that a request means, held for as long as it takes.
pub(super) fn target(request: &Request) -> Result<Target<'static>, Failure> {
    let target = Target::open(&KERNEL, choose(request)?)?;
    if let Some(closed) = &*closed() {
        target.inherit(closed);
    }
    let its = target.control_groups().ok().and_then(|groups| container_id(&groups));
    match its {
        Some(its) if !request.container.is_empty() && its != request.container => {
            Err(Failure::new(Code::Usage, format!("process {} runs in another container", target.pid()))
                .evidence(format!("its container is {its}, the one asked for is {}", request.container))
                .remedy("name its container with -c; `kubectl describe pod` shows the ids"))
        }
        _ => Ok(target),
    }
}

/// Whether a process is stopped, by a signal or a debugger.
pub(super) fn is_stopped(pid: u32) -> bool {
    let status = Target::open(&KERNEL, pid).and_then(|target| target.status());
    status.is_ok_and(|status| matches!(status.state, b'T' | b't'))
}

/// The JVMs of a container.
fn jvms_of(container: &str) -> Vec<Jvm> {
    let jvms = list::jvms_beside(&KERNEL, opened().as_ref());
    if !container.is_empty() && find::containers_are_visible(&KERNEL) {
        return find::of_container(jvms, container);
    }
    jvms
}

/// What hold has become, for good.
pub(super) struct Pinned {
    identity: Identity,
    /// Before that it could open processes that are closed to their own user.
    could_open: bool,
}

/// The process that it has become that for, if that is closed to its own user: opened while we still could.
static CLOSED: Mutex<Option<Target<'static>>> = Mutex::new(None);

fn closed() -> MutexGuard<'static, Option<Target<'static>>> {
    CLOSED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The same once more, for who takes long with it: a look at all processes waits for many.
fn opened() -> Option<Target<'static>> {
    let closed = closed();
    let held = closed.as_ref()?;
    let again = Target::open(&KERNEL, held.pid()).ok()?;
    again.inherit(held);
    Some(again)
}

/// Becomes the target's user at the first job, and stays it: what root may do for one JVM must not be what serves another.
fn take_identity(pinned: &mut Option<Pinned>, target: &Target<'_>) -> Result<(), Failure> {
    let status = target.status()?;
    let wanted = status.identity();
    if let Some(Pinned { identity, could_open }) = pinned {
        if *identity != wanted {
            return Err(identity::wrong_identity(target.pid(), &identity::own_status(&KERNEL)?, &wanted));
        }
        match &*closed() {
            Some(held) if held.is(target) => target.inherit(held),
            _ if *could_open && !identity::is_dumpable(target, &status) => return Err(could_have_opened(target)),
            _ => {}
        }
        return identity::become_like(target);
    }
    let could_open = identity::own_status(&KERNEL)?.may_open_closed();
    target.open_ahead();
    identity::become_like(target)?;
    let is_closed = !identity::is_dumpable(target, &status);
    if let Some(held) = is_closed.then(|| Target::open(&KERNEL, target.pid()).ok()).flatten() {
        held.inherit(target);
        *closed() = Some(held);
    }
    *pinned = Some(Pinned { identity: wanted, could_open });
    Ok(())
}

/// Of a JVM that is closed to its own user, started after hold has become that.
fn could_have_opened(target: &Target<'_>) -> Failure {
    Failure::new(
        Code::NotAttachable,
        "this injector has become the JVM's user, and can open no other process that is closed",
    )
    .evidence(format!("process {} is not dumpable, and not the one that the injector was opened for", target.pid()))
    .remedy("`kubectl jattach TARGET clean` ends this injector; then try again")
}

/// Ends a job with its last messages, and takes no more blocks for it.
fn conclude(desk: &Desk, blocks: &Inbox, last: &Last) {
    blocks.close();
    desk.ended();
    last.tell();
    desk.told();
}

/// What a job ends with, and who is told.
pub(super) struct Last {
    pub(super) peer: Arc<Peer>,
    pub(super) id: u32,
    /// What comes before the very last message.
    pub(super) before: Vec<Message<'static>>,
    pub(super) message: Message<'static>,
}

impl Last {
    fn failure(peer: Arc<Peer>, id: u32, failure: Failure) -> Last {
        Last { peer, id, before: Vec::new(), message: Message::Failure(failure) }
    }

    /// Where the client has gone there is nobody left to tell.
    pub(super) fn tell(&self) {
        for message in &self.before {
            let _ = self.peer.send(self.id, message);
        }
        self.peer.conclude(self.id, &self.message);
    }
}

/// The pid that is meant: the one named, or the only JVM's.
fn choose(request: &Request) -> Result<u32, Failure> {
    if request.pid != 0 {
        return Ok(request.pid);
    }
    match &jvms_of(&request.container)[..] {
        [jvm] => Ok(jvm.pid),
        [] => {
            Err(Failure::new(Code::NoJvm, "no JVM runs in this container").evidence(find::processes(&KERNEL)).remedy(
                "name the container that runs one with -c; a JVM that has ended is told of by `kubectl describe pod`",
            ))
        }
        several => {
            let line = |jvm: &Jvm| format!("{} {}", jvm.pid, jvm.main);
            let lines: Vec<String> = several.iter().map(line).collect();
            Err(Failure::new(Code::SeveralJvms, "several JVMs run in this container")
                .evidence(lines.join(", "))
                .remedy("say which with --pid"))
        }
    }
}

pub(super) struct Job {
    pub(super) peer: Arc<Peer>,
    pub(super) id: u32,
    number: u64,
    pub(super) target: Target<'static>,
}

impl Job {
    /// Carries the request out, and gives what ends it.
    fn run(&self, desk: &Desk, request: Request, blocks: &Inbox) -> Last {
        // What an injector that was killed has left in the target.
        for place in [Place::shared(&self.target), Place::of(&self.target)].into_iter().flatten() {
            place.sweep();
        }
        if let Operation::DumpHeap(wanted) = request.operation {
            return match dump::run(self, desk, &wanted, request.ttl) {
                Ok(last) => last,
                Err(failure) => Last::failure(Arc::clone(&self.peer), self.id, self.explained(failure)),
            };
        }
        let started = self.started();
        let result = self.peer.send(self.id, &Message::Started(started)).map_err(Failure::from);
        let message = match result.and_then(|()| self.execute(request.operation, blocks)) {
            Ok(end) => Message::End(end),
            Err(failure) => Message::Failure(self.explained(failure)),
        };
        Last { peer: Arc::clone(&self.peer), id: self.id, before: Vec::new(), message }
    }

    pub(super) fn started(&self) -> Started {
        Started { job: self.number, pid: self.target.pid(), start_time: self.target.start_time() }
    }

    /// What a JVM breaks off by its end looks like many another thing.
    pub(super) fn explained(&self, failure: Failure) -> Failure {
        match failure.code {
            Code::NoAnswer | Code::JvmFailed | Code::Other if self.target.is_ending() => {
                self.target.ended(Errno::ESRCH)
            }
            _ => failure,
        }
    }

    fn execute(&self, operation: Operation, blocks: &Inbox) -> Result<End, Failure> {
        match operation {
            Operation::Attach { command, arguments } => {
                let command = Command::from_words(&command, &arguments)?;
                output::attach(&self.peer, self.id, &self.target, &command)
            }
            Operation::PrintThreads => crate::jvm::print_threads(&self.target).map(|()| nothing()),
            Operation::Survey(limits) => {
                let survey = crate::dump::survey(&self.peer, &self.target, &limits)?;
                self.peer.send(self.id, &Message::Survey(survey))?;
                Ok(nothing())
            }
            Operation::Load { name, length, hash, options } => {
                let agent = upload::receive(&self.peer, self.id, blocks, &upload::Agent { name, length, hash })?;
                let command = Command::from_words("load", &[agent.path(), "true".into(), options])?;
                output::attach(&self.peer, self.id, &self.target, &command)
            }
            Operation::DumpHeap(_)
            | Operation::List
            | Operation::Examine(_)
            | Operation::Echo(_)
            | Operation::Shutdown
            | Operation::GiveUp(_) => Err(Failure::new(Code::Usage, "not a job")),
        }
    }
}
