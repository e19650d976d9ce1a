//! What `hold` has to do: one job at a time, the orders that wait for it, and when there is nothing left to stay for.

use std::collections::VecDeque;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use jattach_protocol::message::{DumpHeap, Operation, Phase, Progress, Request};
use jattach_protocol::{Code, Failure, Message};

use super::inbox::Inbox;
use super::peer::Peer;
use super::serve;
use crate::dump::artefact::Artefact;
use crate::process::Target;
use crate::sys::wait::Bell;

/// How long hold stays idle before the first request has said otherwise.
const FIRST_TTL: Duration = Duration::from_secs(600);

/// How long a client may take to leave that has been told of an end.
const PARTING: Duration = Duration::from_secs(2);

/// How often it is looked whether the JVM is stopped whose heap dump was ended.
const LOOK: Duration = Duration::from_secs(1);

/// What is added to the reason for which hold ends, where the JVM has not answered yet.
const LEFT: &str = "; the JVM is stopped, and gives its heap dump up as soon as it goes on";

/// More clients than this at once are no use to anybody.
const MAX_CLIENTS: usize = 32;

/// A request, and whom to answer.
pub(crate) struct Order {
    pub(crate) target: Target<'static>,
    pub(crate) peer: Arc<Peer>,
    /// The request's id on its connection.
    pub(crate) id: u32,
    pub(crate) request: Request,
    /// The blocks of an upload, as the client sends them.
    pub(crate) blocks: Arc<Inbox>,
}

/// What the threads of hold share.
pub(crate) struct Desk {
    state: Mutex<State>,
    /// Rung when the main thread has to look: an order, an end, a client that has gone.
    pub(crate) bell: Bell,
}

struct State {
    orders: VecDeque<Order>,
    running: Option<Running>,
    /// Jobs that have ended and whose last message is not sent yet.
    ending: usize,
    jobs: u64,
    /// The heap dump that ended last, for a client that has not heard so.
    last: Option<Arc<Artefact>>,
    clients: usize,
    idle_since: Instant,
    ttl: Duration,
    /// When the last job's last message was sent.
    told: Option<Instant>,
    /// Why it ends, and until when its clients may still hear of it.
    closing: Option<(&'static str, Instant)>,
}

struct Running {
    what: String,
    /// Who has asked for it.
    client: String,
    since: SystemTime,
    progress: Option<Progress>,
    /// It goes where only its own client can go on with it.
    piped: bool,
    /// Where it is a heap dump.
    dump: Option<Arc<Artefact>>,
}

impl Desk {
    pub(crate) fn new() -> nix::Result<Desk> {
        let state = State {
            orders: VecDeque::new(),
            running: None,
            ending: 0,
            // So that the number of a job of another injector is none of ours.
            jobs: RandomState::new().build_hasher().finish(),
            last: None,
            clients: 0,
            idle_since: Instant::now(),
            ttl: FIRST_TTL,
            told: None,
            closing: None,
        };
        Ok(Desk { state: Mutex::new(state), bell: Bell::new()? })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A client has come; false where there are too many, or it comes to one that stays for its last job alone: it finds
    /// nobody, and makes another injector.
    pub(crate) fn enter(&self) -> bool {
        let mut state = self.state();
        let admitted = state.clients < MAX_CLIENTS && state.closing.is_none();
        state.clients += usize::from(admitted);
        admitted
    }

    /// A client has gone.
    pub(crate) fn leave(&self) {
        let mut state = self.state();
        state.clients -= 1;
        state.idle_since = Instant::now();
        self.bell.ring();
    }

    /// The newest request, whatever it asks for, says for how long without work to stay after it.
    pub(crate) fn stay(&self, seconds: u32) {
        self.state().ttl = Duration::from_secs(seconds.into());
    }

    /// Takes an order on, to be run when it is its turn; the job that it waits for, in words, where that is not now.
    ///
    /// # Errors
    /// [`Code::Busy`] while another job runs, unless the request says to wait.
    pub(crate) fn submit(&self, order: Order) -> Result<Option<String>, Failure> {
        let mut state = self.state();
        if state.closing.is_some() {
            return Err(ending());
        }
        if !order.request.wait {
            match (&state.running, state.orders.front()) {
                (Some(running), _) => return Err(busy(running)),
                (None, Some(first)) => return Err(busy(&Running::new(first))),
                (None, None) => {}
            }
        }
        let before = match (&state.running, state.orders.front()) {
            (Some(running), _) => Some(running.words()),
            (None, first) => first.map(|first| Running::new(first).words()),
        };
        state.orders.push_back(order);
        self.bell.ring();
        Ok(before)
    }

    /// The next order, with its job's number, where no job runs; it counts as running from now on.
    pub(crate) fn next(&self) -> Option<(Order, u64)> {
        let mut state = self.state();
        if state.running.is_some() || state.closing.is_some() {
            return None;
        }
        while let Some(order) = state.orders.pop_front() {
            if !order.peer.is_gone() {
                state.jobs = state.jobs.wrapping_add(1);
                state.running = Some(Running::new(&order));
                return Some((order, state.jobs));
            }
        }
        None
    }

    /// How far the running job is, for those who ask meanwhile.
    pub(crate) fn progress(&self, progress: Progress) {
        if let Some(running) = &mut self.state().running {
            running.progress = Some(progress);
        }
    }

    /// The running job has ended; its last message is still to be sent. In this order, for a client that has that message
    /// may ask for the next job at once.
    pub(crate) fn ended(&self) {
        let mut state = self.state();
        if let Some(dump) = state.running.take().and_then(|running| running.dump) {
            state.last = Some(dump);
        }
        state.ending += 1;
        self.bell.ring();
    }

    /// The running job is that heap dump.
    pub(crate) fn dumps(&self, dump: &Arc<Artefact>) {
        let mut state = self.state();
        if let Some(running) = &mut state.running {
            running.dump = Some(Arc::clone(dump));
        }
        // Told to end before the JVM was asked.
        if let Some((reason, _)) = state.closing {
            dump.end(ended(reason));
        }
    }

    /// The heap dump of that number, which runs or was the last.
    pub(crate) fn dump(&self, job: u64) -> Option<Arc<Artefact>> {
        let state = self.state();
        let running = state.running.as_ref().and_then(|running| running.dump.as_ref());
        [running, state.last.as_ref()].into_iter().flatten().find(|dump| dump.started.job == job).map(Arc::clone)
    }

    /// A client has stored a part of the heap dump that it is getting.
    pub(crate) fn acknowledge(&self, peer: &Arc<Peer>, stream: u32, offset: u64) {
        if let Some(dump) = self.running_dump() {
            dump.acknowledge(peer, stream, offset);
        }
    }

    /// A client has gone that may have been getting a heap dump.
    pub(crate) fn detach(&self, peer: &Arc<Peer>) {
        let state = self.state();
        let Some(dump) = state.running.as_ref().and_then(|running| running.dump.as_ref()) else { return };
        // Once hold is told to end nobody can come back.
        match state.closing {
            Some((reason, _)) if dump.is_for(peer) => dump.end(ended(reason)),
            _ => dump.detach(peer),
        }
    }

    /// Nobody wants the heap dump that runs, if it is the one that is `meant`; whether it is.
    pub(crate) fn give_up(&self, meant: impl Fn(&Artefact) -> bool) -> bool {
        let dump = self.running_dump().filter(|dump| meant(dump));
        dump.inspect(|dump| dump.end(ended("its client has given it up"))).is_some()
    }

    fn running_dump(&self) -> Option<Arc<Artefact>> {
        self.state().running.as_ref()?.dump.clone()
    }

    /// The job that runs, in words.
    pub(crate) fn describe(&self) -> Option<String> {
        let state = self.state();
        state.running.as_ref().map(Running::words)
    }

    /// The last message of a job that has ended is sent.
    pub(crate) fn told(&self) {
        let mut state = self.state();
        state.ending -= 1;
        state.idle_since = Instant::now();
        state.told = Some(state.idle_since);
        self.bell.ring();
    }

    /// No more than what runs now: what waits is told so.
    ///
    /// The end of the container's main process takes the sessions with it, and what they have not passed on: a client that
    /// has `asked` for it, and one whose job has just ended, get the time to hear that.
    pub(crate) fn close(&self, reason: &'static str, asked: bool) {
        let parting = if asked { PARTING } else { Duration::ZERO };
        let mut state = self.state();
        state.closing.get_or_insert((reason, Instant::now() + parting));
        let waiting = std::mem::take(&mut state.orders);
        let dump = state.running.as_ref().and_then(|running| running.dump.clone());
        drop(state);
        // Told to end by a client nobody waits for the JVM; by a signal, only where nobody is there to get the rest.
        if let Some(dump) = dump.filter(|dump| asked || dump.client().is_none()) {
            dump.end(ended(reason));
        }
        for order in waiting {
            order.peer.conclude(order.id, &Message::Failure(ending()));
        }
        self.bell.ring();
    }

    /// Why hold should end now, or else when it would without work; no time while there is some.
    pub(crate) fn over(&self) -> Result<Option<Instant>, String> {
        let state = self.state();
        if let Some((reason, until)) = state.closing
            && let Some(dump) = state.running.as_ref().and_then(|running| running.dump.as_ref())
            && dump.may_be_left()
        {
            // It would answer when somebody has continued it.
            let now = Instant::now();
            let left = until <= now && serve::is_stopped(dump.started.pid);
            return if left { Err(format!("{reason}{LEFT}")) } else { Ok(Some(until.max(now + LOOK))) };
        }
        if state.running.is_some() || state.ending > 0 {
            return Ok(None);
        }
        if let Some((reason, until)) = state.closing {
            // A job's end has to be heard as well.
            let until = state.told.map_or(until, |told| until.max(told + PARTING));
            return if state.clients == 0 || until <= Instant::now() {
                Err(reason.to_owned())
            } else {
                Ok(Some(until))
            };
        }
        if state.clients > 0 || !state.orders.is_empty() {
            return Ok(None);
        }
        match state.idle_since + state.ttl {
            end if end <= Instant::now() => Err("idle for its time to live".to_owned()),
            end => Ok(Some(end)),
        }
    }
}

impl Running {
    fn new(order: &Order) -> Running {
        let operation = &order.request.operation;
        let (what, client) = (describe(operation), order.peer.name().to_owned());
        let piped = matches!(operation, Operation::DumpHeap(DumpHeap { piped: true, .. }));
        Running { what, client, since: SystemTime::now(), progress: None, piped, dump: None }
    }

    /// "heap dump at 41 %, for 12 s, asked for by …".
    fn words(&self) -> String {
        format!("{}, asked for by {}", self.describe(), self.client)
    }

    /// "heap dump at 41 %, for 12 s".
    fn describe(&self) -> String {
        let (done, total) = match (self.progress, &self.dump) {
            (Some(Progress { phase: Phase::Sending, .. }), Some(dump)) => dump.fetched(),
            (Some(Progress { done, total, .. }), _) => (done, total),
            (None, _) => (0, 0),
        };
        let far = match total {
            1.. => format!(" at {} %", done.saturating_mul(100) / total),
            0 => String::new(),
        };
        let age = self.since.elapsed().map_or(0, |age| age.as_secs());
        let waits = if self.alone().is_some() { ", waiting for its client to come back" } else { "" };
        format!("{}{far}, for {age} s{waits}", self.what)
    }

    /// For how long a heap dump has had no client, and for how long it is kept for one.
    fn alone(&self) -> Option<(Duration, Duration)> {
        self.dump.as_ref()?.alone()
    }
}

fn ended(reason: &str) -> Failure {
    Failure::new(Code::Cancelled, "the heap dump was ended").evidence(reason)
}

fn ending() -> Failure {
    Failure::new(Code::Busy, "the injector is about to end").remedy("run the command again: another one is started")
}

fn describe(operation: &Operation) -> String {
    match operation {
        Operation::DumpHeap(_) | Operation::Survey(_) => "heap dump".to_owned(),
        Operation::Attach { command, .. } => command.chars().take(40).filter(|c| !c.is_control()).collect(),
        Operation::Load { .. } => "load".to_owned(),
        Operation::PrintThreads => "threaddump".to_owned(),
        // They need no turn, and are never ordered.
        Operation::List | Operation::Shutdown | Operation::GiveUp(_) | Operation::Examine(_) | Operation::Echo(_) => {
            "request".to_owned()
        }
    }
}

fn busy(running: &Running) -> Failure {
    let seconds = running.since.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let failure = Failure::new(Code::Busy, format!("the injector is busy: {}", running.describe()));
    let began = format!("asked for at {} by {}", clock(seconds), running.client);
    let Some((gone, kept)) = running.alone() else {
        return failure.evidence(began).remedy("wait for it with --wait, or end it: `kubectl jattach TARGET clean`");
    };
    let (gone, kept) = (gone.as_secs(), kept.saturating_sub(gone).as_secs());
    let goes_on = match running.piped {
        true => "only the run that asked for it can go on with it",
        false => "the same command with the same FILE goes on with it",
    };
    failure.evidence(format!("{began}, who has been gone for {gone} s; it is kept for {kept} s more")).remedy(format!(
        "{goes_on}; wait until it is given up with --wait, or give it up: `kubectl jattach TARGET clean`"
    ))
}

/// The time of day in UTC.
fn clock(seconds: u64) -> String {
    let day = seconds % 86_400;
    format!("{:02}:{:02}:{:02}Z", day / 3600, day / 60 % 60, day % 60)
}

#[cfg(test)]
mod tests;
