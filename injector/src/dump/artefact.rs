//! A heap dump between the JVM and its client: what has been read and is not acknowledged yet, and who is to get it. It
//! belongs to the job and not to a client: one that is lost is followed by another that goes on where it stopped.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use jattach_protocol::message::{End, Limits, MAX_BLOCK, Patch, Progress, STREAMS, Started};
use jattach_protocol::{Code, Failure};

use super::queue::{Outgoing, Queue};
use crate::hold::Peer;
use crate::sys::wait::Bell;
pub(crate) use client::Client;
use stall::{ALONE, Wait, stalled};

/// How often it is looked whether anybody still comes for what waits, while nothing else happens.
const PATIENCE: Duration = Duration::from_secs(1);

/// More patches than any JVM needs: it writes a heap record for each gigabyte.
const MAX_PATCHES: usize = 1 << 16;

/// Between two blocks that are sent while the JVM dumps: 32 MiB a second are more than most ways to a client carry, and what
/// sending takes of the node's CPU the JVM does not get.
const PACE: Duration = Duration::from_millis(31);

type Locked<'a> = MutexGuard<'a, State>;

/// A dump on its way.
pub(crate) struct Artefact {
    pub(crate) started: Started,
    pub(crate) limits: Limits,
    state: Mutex<State>,
    changed: Condvar,
    /// Rung to have the JVM stop dumping.
    pub(crate) stop: Bell,
}

struct State {
    queue: Queue,
    patches: Vec<Patch>,
    /// How reading from the JVM has ended.
    outcome: Option<Result<(), Failure>>,
    client: Option<Client>,
    /// The one before, where there is none.
    gone: Option<Client>,
    /// Since when there is no client, or one that has come back.
    alone: Instant,
    /// Nothing is sent any more.
    over: bool,
    /// And that is because everything is acknowledged.
    fetched: bool,
    stopped: Option<Failure>,
    /// The way to where the JVM writes goes with this process.
    through_us: bool,
    stalled: Duration,
    /// Whether the JVM waits while there is no room, and until when it may be dumping.
    dumping: bool,
    deadline: Option<Instant>,
    /// There is no room for the dump as it is.
    tight: bool,
    /// It waits just now.
    jvm_waits: bool,
    /// How many blocks were moved into the spool.
    moved: u32,
    /// When the last block was sent.
    sent: Option<Instant>,
    progress: Option<Progress>,
}

/// What a client gets that comes for a dump.
pub(crate) enum Attached {
    /// What it lacks, as it is sent.
    Live,
    /// All of it was fetched, or it has failed: [`Artefact::result`] tells.
    Over,
}

/// What the thread that sends has to do next.
pub(crate) enum Step {
    /// Tell a new client what it is getting.
    Greet(Client),
    Send(Client, Outgoing),
    Tell(Client, Progress),
    /// Everything is acknowledged, or nothing more can come of it.
    Over,
}

impl Artefact {
    /// A dump of which nothing has been read, for its first client.
    pub(crate) fn new(started: Started, limits: &Limits, client: Client) -> nix::Result<Artefact> {
        let state = State {
            queue: Queue::new(limits),
            patches: Vec::new(),
            outcome: None,
            client: Some(client),
            gone: None,
            alone: Instant::now(),
            over: false,
            fetched: false,
            stopped: None,
            through_us: false,
            stalled: Duration::ZERO,
            dumping: false,
            deadline: None,
            tight: false,
            jvm_waits: false,
            moved: 0,
            sent: None,
            progress: None,
        };
        let (state, changed) = (Mutex::new(state), Condvar::new());
        Ok(Artefact { started, limits: *limits, state, changed, stop: Bell::new()? })
    }

    // For who reads from the JVM.

    /// The JVM is asked now: from here on it may be dumping for as long as the limits say.
    /// Where the spool is `tight` there is no room for all of the dump as it is.
    pub(crate) fn begin(&self, tight: bool) -> Option<Instant> {
        let pause = self.limits.max_pause;
        let deadline = (pause != 0).then(|| Instant::now() + Duration::from_millis(pause.into()));
        let mut state = self.state();
        (state.deadline, state.dumping, state.tight) = (deadline, true, tight);
        deadline
    }

    /// Where the JVM is to write: whether the way there goes with this process.
    pub(crate) fn is_written(&self, through_us: bool) {
        self.state().through_us = through_us;
    }

    /// Whether it is ended, and this process may end without the JVM's answer: the JVM waits for nobody then, and makes no file.
    pub(crate) fn may_be_left(&self) -> bool {
        let state = self.state();
        state.stopped.is_some() && state.through_us
    }

    /// A buffer for [`MAX_BLOCK`] bytes.
    pub(crate) fn buffer(&self) -> Vec<u8> {
        self.state().queue.buffer(MAX_BLOCK)
    }

    /// Takes on the next bytes of a stream, in memory. While there is no room for them the JVM waits.
    ///
    /// # Errors
    /// When it would wait, or dump, for longer than it may; when the dump is stopped.
    pub(crate) fn put(&self, stream: u32, raw: Vec<u8>) -> Result<(), Failure> {
        let mut state = self.state();
        let piece = state.queue.append(stream, &raw);
        if !state.queue.has_memory(raw.len()) {
            let wait = Wait::begin(state.moved, state.stalled);
            state.jvm_waits = true;
            while !state.queue.has_memory(raw.len()) {
                state = self.stall(state, &wait)?;
            }
            state.jvm_waits = false;
            state.note(&wait);
        }
        state.queue.push(piece, raw);
        self.changed.notify_all();
        Ok(())
    }

    /// Waits for a change, as long as the JVM may wait.
    fn stall<'a>(&'a self, mut state: Locked<'a>, wait: &Wait) -> Result<Locked<'a>, Failure> {
        if let Some(stopped) = &state.stopped {
            return Err(stopped.clone());
        }
        if !state.dumping {
            if state.is_abandoned() {
                return Err(abandoned());
            }
            let waited = self.changed.wait_timeout(state, PATIENCE);
            return Ok(waited.unwrap_or_else(PoisonError::into_inner).0);
        }
        state.note(wait);
        let most = Duration::from_millis(self.limits.max_stall.into());
        // For a slow client it may wait as long as it is told to, and for one that has gone, or still looks at what it has, a
        // little.
        let there = state.client.as_ref().is_some_and(|client| client.ready);
        let alone = if there { most } else { ALONE.saturating_sub(state.alone.elapsed()) };
        let left = most.saturating_sub(state.stalled).min(alone);
        if left.is_zero() {
            return Err(stalled(state.stalled, there, &state.queue.spool.describe()));
        }
        let pause = state.deadline.map_or(left, |deadline| deadline.saturating_duration_since(Instant::now()));
        if pause.is_zero() {
            return Err(self.overdue());
        }
        let waited = self.changed.wait_timeout(state, left.min(pause));
        Ok(waited.unwrap_or_else(PoisonError::into_inner).0)
    }

    /// That the JVM would be dumping for longer than it may.
    pub(crate) fn overdue(&self) -> Failure {
        Failure::new(Code::TimedOut, "the heap dump was stopped: the pause would have become too long")
            .evidence(format!("it was not done within --max-pause, {} ms", self.limits.max_pause))
            .remedy("the JVM goes on; allow it more, or do without --max-pause")
    }

    /// Adds what the JVM has put in behind its data.
    pub(crate) fn patch(&self, patch: Patch) -> Result<(), Failure> {
        let mut state = self.state();
        if state.patches.len() == MAX_PATCHES {
            return Err(Failure::new(
                Code::JvmFailed,
                "the JVM's heap dump has more heap records than a dump can have",
            ));
        }
        state.patches.push(patch);
        Ok(())
    }

    /// How far the JVM is: `expected` bytes are an estimate.
    pub(crate) fn progress(&self, mut progress: Progress) -> Progress {
        let mut state = self.state();
        progress.done = state.queue.lengths().iter().sum();
        progress.total = progress.total.max(progress.done);
        progress.stalled = u32::try_from(state.stalled.as_millis()).unwrap_or(u32::MAX);
        state.progress = Some(progress);
        self.changed.notify_all();
        progress
    }

    /// Why the dump is to be stopped, if it is.
    pub(crate) fn stopped(&self) -> Option<Failure> {
        self.state().stopped.clone()
    }

    /// Whether the dump is to go on.
    ///
    /// # Errors
    /// Why it is to be stopped.
    pub(crate) fn goes_on(&self) -> Result<(), Failure> {
        self.stopped().map_or(Ok(()), Err)
    }

    /// The JVM has answered: it waits for nobody any more, whatever is still to be taken.
    pub(crate) fn answered(&self) {
        let mut state = self.state();
        (state.deadline, state.dumping) = (None, false);
    }

    /// The JVM is done, one way or the other.
    pub(crate) fn finish(&self, outcome: Result<(), Failure>) {
        let mut state = self.state();
        if outcome.is_err() {
            // Nobody wants the beginning of what will never be whole, and it is the pod's.
            state.queue.clear();
            if let Some(client) = &state.client {
                client.peer.hurry();
            }
        }
        // One that has failed already stays failed.
        if !matches!(state.outcome, Some(Err(_))) {
            state.outcome = Some(outcome);
        }
        self.changed.notify_all();
    }

    // For who sends.

    /// Waits for something to do.
    pub(crate) fn next(&self) -> Step {
        let mut state = self.state();
        loop {
            let deadline = match state.step() {
                Ok(Step::Send(client, block)) => {
                    drop(state);
                    let number = block.number();
                    let fetched = block.fetch();
                    state = self.state();
                    // What was let go meanwhile nobody wants, and what was read of it may be a hole.
                    match fetched {
                        Ok(block) if state.queue.has(number) => return Step::Send(client, block),
                        Err(failure) if state.queue.has(number) => {
                            drop(state);
                            self.fail(failure);
                            state = self.state();
                        }
                        _ => {}
                    }
                    continue;
                }
                Ok(step) => {
                    if matches!(step, Step::Over) {
                        // For who moves blocks.
                        self.changed.notify_all();
                    }
                    return step;
                }
                Err(deadline) => deadline,
            };
            state = match deadline {
                None => self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
                Some(left) => self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0,
            };
        }
    }

    /// Nobody sends it, or moves its blocks.
    pub(crate) fn close(&self) {
        self.state().over = true;
        self.changed.notify_all();
    }

    /// Without the bytes of a block nothing that follows is of use; the JVM is let go, too.
    fn fail(&self, failure: Failure) {
        self.end(failure.clone());
        self.state().outcome.get_or_insert(Err(failure));
    }

    /// A block has left in this shape; it is kept until it is acknowledged.
    pub(crate) fn sent(&self, block: Outgoing) {
        self.state().queue.put_back(block);
        self.changed.notify_all();
    }

    // For who listens to clients.

    /// A client goes on with the dump: what it has stored is let go, and everything else is sent to it.
    ///
    /// # Errors
    /// When it lacks what it has acknowledged.
    pub(crate) fn attach(&self, client: Client, stored: [u64; STREAMS]) -> Result<Attached, Failure> {
        let mut state = self.state();
        if !state.queue.rewind(stored) {
            return Err(Failure::new(Code::Usage, "the client cannot go on with this dump")
                .evidence("what it has stored is not what it has acknowledged")
                .remedy("start afresh with --no-resume"));
        }
        if state.over {
            return Ok(Attached::Over);
        }
        let peer = Arc::clone(&client.peer);
        let earlier = state.client.replace(client);
        state.alone = Instant::now();
        self.changed.notify_all();
        drop(state);
        // It may be a connection that nobody is behind any more.
        if let Some(earlier) = earlier.filter(|earlier| !Arc::ptr_eq(&earlier.peer, &peer)) {
            earlier.peer.hang_up();
        }
        Ok(Attached::Live)
    }

    /// That client has gone.
    pub(crate) fn detach(&self, peer: &Arc<Peer>) {
        let mut state = self.state();
        if state.is_for(peer) {
            state.gone = state.client.take();
            state.alone = Instant::now();
            self.changed.notify_all();
        }
    }

    /// That client has stored everything of a stream below `offset`.
    pub(crate) fn acknowledge(&self, peer: &Arc<Peer>, stream: u32, offset: u64) {
        let mut state = self.state();
        if state.is_for(peer) {
            if let Some(client) = &mut state.client {
                client.ready = true;
            }
            let mut stored = [0; STREAMS];
            stored[stream as usize] = offset;
            state.queue.acknowledge(stored);
            self.changed.notify_all();
        }
    }

    /// Has the JVM stop, and gives up what was not fetched.
    pub(crate) fn end(&self, reason: Failure) {
        let mut state = self.state();
        state.stopped.get_or_insert(reason);
        if let Some(client) = &state.client {
            client.peer.hurry();
        }
        drop(state);
        self.stop.ring();
        self.changed.notify_all();
    }

    /// How much of it is fetched, and how much there is.
    pub(crate) fn fetched(&self) -> (u64, u64) {
        let state = self.state();
        (state.queue.stored().iter().sum(), state.queue.lengths().iter().sum())
    }

    /// Whether that client gets it.
    pub(crate) fn is_for(&self, peer: &Arc<Peer>) -> bool {
        self.state().is_for(peer)
    }

    /// Who gets it just now.
    pub(crate) fn client(&self) -> Option<Client> {
        self.state().client.clone()
    }

    /// For how long nobody has come for it, and for how long it waits for somebody once the JVM is done; nothing while there is
    /// a client.
    pub(crate) fn alone(&self) -> Option<(Duration, Duration)> {
        let state = self.state();
        state.client.is_none().then(|| (state.alone.elapsed(), state.patience()))
    }

    /// What a client that has everything is told: the patches, and what each stream has given.
    pub(crate) fn result(&self) -> Result<(Vec<Patch>, [End; STREAMS]), Failure> {
        let state = self.state();
        match &state.outcome {
            Some(Ok(())) if state.fetched => Ok((state.patches.clone(), state.queue.ends())),
            Some(Err(failure)) => Err(failure.clone()),
            _ => Err(state.stopped.clone().unwrap_or_else(abandoned)),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// What there is to be done, or for how long at the most there is nothing.
    fn step(&mut self) -> Result<Step, Option<Duration>> {
        if let Some(client) = &mut self.client
            && !client.greeted
        {
            client.greeted = true;
            return Ok(Step::Greet(client.clone()));
        }
        let done = self.outcome.is_some();
        if done && (self.queue.is_empty() || self.stopped.is_some() || self.is_abandoned()) {
            self.over = true;
            self.fetched = self.queue.is_empty();
            self.queue.close();
            return Ok(Step::Over);
        }
        let Some(client) = self.client.clone() else { return Err(done.then_some(PATIENCE)) };
        if let Some(progress) = self.progress.take() {
            return Ok(Step::Tell(client, progress));
        }
        if !client.ready {
            return Err(None);
        }
        if let Some(left) = self.pace() {
            return Err(Some(left));
        }
        match self.queue.take() {
            // While the JVM dumps it needs the pod's CPU itself, and few bytes leave in that time.
            Some(mut block) => {
                block.leisure = !self.dumping;
                self.sent = Some(Instant::now());
                Ok(Step::Send(client, block))
            }
            None => Err(None),
        }
    }

    /// How long the next block waits for its turn: while the JVM dumps, it comes first, as long as there is room for all of
    /// its dump.
    fn pace(&self) -> Option<Duration> {
        if !self.dumping || self.tight || self.jvm_waits {
            return None;
        }
        let left = PACE.checked_sub(self.sent?.elapsed())?;
        (!left.is_zero()).then_some(left)
    }

    /// Counts what the JVM has waited.
    fn note(&mut self, wait: &Wait) {
        if self.dumping {
            self.stalled = wait.earlier + wait.unfair(self.moved);
        }
    }

    fn is_for(&self, peer: &Arc<Peer>) -> bool {
        self.client.as_ref().is_some_and(|client| Arc::ptr_eq(&client.peer, peer))
    }

    /// Whether nobody has come for longer than the last client asked for.
    fn is_abandoned(&self) -> bool {
        self.client.is_none() && self.alone.elapsed() >= self.patience()
    }

    fn patience(&self) -> Duration {
        self.gone.as_ref().map_or(Duration::ZERO, |gone| gone.patience)
    }
}

fn abandoned() -> Failure {
    Failure::new(Code::Cancelled, "nobody came back for the heap dump").evidence("the injector has given its room back")
}

mod client;
pub(crate) mod spooler;
mod stall;
#[cfg(test)]
mod tests;
