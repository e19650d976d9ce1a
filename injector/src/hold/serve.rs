//! Carrying out requests: which process is meant, as whom, and what is done with it.

use std::sync::Arc;
use std::thread;

use jattach_protocol::message::{End, Jvm, Operation, Phase, Progress, Request, Started};
use jattach_protocol::{Code, Failure, Identity, Message};
use nix::errno::Errno;
use xxhash_rust::xxh3::xxh3_64;

use super::desk::{Desk, Order};
use super::find;
use super::inbox::Inbox;
use super::output;
use super::peer::Peer;
use super::upload;
use crate::dump::place::Place;
use crate::dump::{file, send};
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
    peer.send(id, &Message::End(End { length: 0, hash: xxh3_64(b"") }))?;
    Ok(())
}

/// Answers a request for the list of JVMs. It needs no turn: nobody is attached to.
pub(super) fn list(peer: &Peer, id: u32, container: &str) -> Result<(), Failure> {
    let jvms = jvms_of(container);
    // The client makes another injector then, which sees more.
    if let Some(failure) = list::out_of_sight(&KERNEL, &jvms) {
        return Err(failure);
    }
    for jvm in jvms {
        peer.send(id, &Message::Jvm(jvm))?;
    }
    end(peer, id)
}

/// Starts a job on a thread of its own. Only to be called by the main thread: it takes on the target's identity, for good,
/// and capabilities are a thread's, which the threads that it starts inherit.
pub(super) fn start(desk: &Arc<Desk>, pinned: &mut Option<Identity>, order: Order, job: u64) {
    let Order { target, peer, id, request, blocks } = order;
    let witness = (Arc::clone(&peer), Arc::clone(&blocks));
    let started = take_identity(pinned, &target).and_then(|()| {
        let job = Job { peer, id, number: job, target };
        let its_desk = Arc::clone(desk);
        let run = move || {
            let last = job.run(&its_desk, request, &blocks);
            conclude(&its_desk, &job.peer, id, &blocks, &last);
        };
        thread::Builder::new().spawn(run).map_err(|error| no_thread(&error))
    });
    if let Err(failure) = started {
        let (peer, blocks) = witness;
        conclude(desk, &peer, id, &blocks, &Message::Failure(failure));
    }
}

/// Why a thread cannot be started: the pod's limit on processes is reached.
pub(super) fn no_thread(error: &std::io::Error) -> Failure {
    Failure::new(Code::Other, "the injector cannot start a thread")
        .evidence(error.to_string())
        .remedy("the pod has reached its limit of processes")
}

/// The process that a request means, held for as long as it takes.
pub(super) fn target(request: &Request) -> Result<Target<'static>, Failure> {
    let target = Target::open(&KERNEL, choose(request)?)?;
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

/// The JVMs of a container. Where containers can be told apart at all, a process without one is the node's (hostPID).
fn jvms_of(container: &str) -> Vec<Jvm> {
    let mut jvms = list::jvms(&KERNEL);
    if !container.is_empty() && find::containers_are_visible(&KERNEL) {
        jvms.retain(|jvm| jvm.container == container);
    }
    jvms
}

/// Becomes the target's user at the first job, and stays it: what root may do for one JVM must not be what serves another.
fn take_identity(pinned: &mut Option<Identity>, target: &Target<'_>) -> Result<(), Failure> {
    let wanted = target.status()?.identity();
    if pinned.is_some_and(|pinned| pinned != wanted) {
        return Err(identity::wrong_identity(target.pid(), &identity::own_status(&KERNEL)?, &wanted));
    }
    identity::become_like(target)?;
    *pinned = Some(wanted);
    Ok(())
}

/// Ends a job with its last message, and takes no more blocks for it.
fn conclude(desk: &Desk, peer: &Peer, id: u32, blocks: &Inbox, last: &Message<'_>) {
    blocks.close();
    desk.ended();
    peer.conclude(id, last);
    desk.told();
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

struct Job {
    peer: Arc<Peer>,
    id: u32,
    number: u64,
    target: Target<'static>,
}

impl Job {
    /// Carries the request out, and gives the message that ends it.
    fn run(&self, desk: &Desk, request: Request, blocks: &Inbox) -> Message<'static> {
        // What an injector that was killed has left in the target.
        if let Ok(place) = Place::of(&self.target) {
            place.sweep();
        }
        let started = Started { job: self.number, pid: self.target.pid(), start_time: self.target.start_time() };
        let result = self.peer.send(self.id, &Message::Started(started)).map_err(Failure::from);
        match result.and_then(|()| self.execute(desk, request.operation, blocks)) {
            Ok(end) => Message::End(end),
            // What a JVM breaks off by its end looks like many another thing.
            Err(Failure { code: Code::NoAnswer | Code::JvmFailed | Code::Other, .. }) if self.target.is_ending() => {
                Message::Failure(self.target.ended(Errno::ESRCH))
            }
            Err(failure) => Message::Failure(failure),
        }
    }

    fn execute(&self, desk: &Desk, operation: Operation, blocks: &Inbox) -> Result<End, Failure> {
        match operation {
            Operation::Attach { command, arguments } => {
                let command = Command::from_words(&command, &arguments)?;
                output::attach(&self.peer, self.id, &self.target, &command)
            }
            Operation::DumpHeap { live, storage_limit } => self.dump_heap(desk, live, storage_limit),
            Operation::Load { name, length, hash, options } => {
                let agent = upload::receive(&self.peer, self.id, blocks, &upload::Agent { name, length, hash })?;
                let command = Command::from_words("load", &[agent.path(), "true".into(), options])?;
                output::attach(&self.peer, self.id, &self.target, &command)
            }
            Operation::List | Operation::Shutdown => Err(Failure::new(Code::Usage, "not a job")),
        }
    }

    fn dump_heap(&self, desk: &Desk, live: bool, storage_limit: u64) -> Result<End, Failure> {
        let progress = |progress: Progress| {
            desk.progress(progress);
            // A client that has gone is noticed when the dump is sent.
            let _ = self.peer.progress(self.id, progress);
        };
        progress(Progress { phase: Phase::Attaching, done: 0, total: 0 });
        let order = file::Order { target: &self.target, live, storage_limit, peer: &self.peer, progress: &progress };
        let mut dump = file::dump(&order)?;
        let total = dump.length;
        progress(Progress { phase: Phase::Sending, done: 0, total });
        send::send(&self.peer, self.id, &mut dump, &mut |done| {
            desk.progress(Progress { phase: Phase::Sending, done, total });
        })
    }
}
