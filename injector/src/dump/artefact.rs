//! A heap dump between the JVM and its client: what has been read and is not acknowledged yet, and who is to get it. It
//! belongs to the job and not to a client: one that is lost is followed by another that goes on where it stopped.

use std::collections::VecDeque;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use jattach_protocol::message::{Codec, End, Limits, MAX_BLOCK, Patch, Progress, STREAMS, Started, WINDOW};
use jattach_protocol::{Code, Failure};
use xxhash_rust::xxh3::Xxh3Default;

use super::spool::Spool;
use crate::hold::Peer;
use crate::sys::wait::Bell;

/// How much waits in memory, which is the pod's, before the rest goes into the spool.
const MEMORY: usize = 6 << 20;

/// How often it is looked whether anybody still comes for what waits, while nothing else happens.
const PATIENCE: Duration = Duration::from_secs(1);

/// How many buffers are kept for the next block.
const SPARES: usize = 2;

/// More patches than any JVM needs: it writes a heap record for each gigabyte.
const MAX_PATCHES: usize = 1 << 16;

/// Gives a block's bytes another shape, and says which.
pub(crate) type Packing<'p> = dyn FnMut(Vec<u8>) -> (Codec, Vec<u8>) + 'p;

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
    /// The blocks that are not acknowledged, in the order in which they were read.
    blocks: VecDeque<Block>,
    /// The number of the first of them, and of the next one to be sent.
    first: u64,
    next: u64,
    /// Bytes of blocks in memory.
    memory: usize,
    spool: Spool,
    streams: [Stream; STREAMS],
    patches: Vec<Patch>,
    /// How reading from the JVM has ended.
    outcome: Option<Result<(), Failure>>,
    client: Option<Client>,
    /// The one before, where there is none.
    gone: Option<Client>,
    /// Since when there is no client.
    alone: Instant,
    /// Nothing is sent any more.
    over: bool,
    stopped: Option<Failure>,
    stalled: Duration,
    /// Whether the JVM waits while there is no room, and until when it may be dumping.
    dumping: bool,
    deadline: Option<Instant>,
    progress: Option<Progress>,
    /// Buffers that nobody uses just now.
    spares: Vec<Vec<u8>>,
}

#[derive(Default)]
struct Stream {
    length: u64,
    hash: Xxh3Default,
    sent: u64,
    stored: u64,
}

/// Who gets the dump.
#[derive(Clone)]
pub(crate) struct Client {
    pub(crate) peer: Arc<Peer>,
    pub(crate) request: u32,
    /// For how long the dump may wait without it once the JVM is done.
    patience: Duration,
    greeted: bool,
}

impl Client {
    pub(crate) fn new(peer: &Arc<Peer>, request: u32, patience: Duration) -> Client {
        Client { peer: Arc::clone(peer), request, patience, greeted: false }
    }
}

/// A piece of one of the streams.
struct Block {
    stream: u32,
    offset: u64,
    raw: u32,
    codec: Codec,
    length: usize,
    bytes: Bytes,
}

enum Bytes {
    Memory(Vec<u8>),
    Spool(u64),
    /// With who sends them, or nowhere any more.
    Away,
}

/// A block as it leaves.
pub(crate) struct Outgoing {
    pub(crate) stream: u32,
    pub(crate) offset: u64,
    pub(crate) raw: u32,
    pub(crate) codec: Codec,
    pub(crate) bytes: Vec<u8>,
    number: u64,
    /// Where in the spool they are still to be read from.
    from: Option<(Arc<File>, u64)>,
    /// Where the data were before.
    spare: Vec<u8>,
}

impl Outgoing {
    fn fetch(mut self) -> Result<Outgoing, Failure> {
        if let Some((file, at)) = self.from.take() {
            file.read_exact_at(&mut self.bytes, at).map_err(|error| no_spool(&error))?;
        }
        Ok(self)
    }

    /// Gives the data another shape.
    pub(crate) fn repack(&mut self, codec: Codec, bytes: &[u8]) {
        self.codec = codec;
        self.spare = std::mem::replace(&mut self.bytes, bytes.to_vec());
    }
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
            blocks: VecDeque::new(),
            first: 0,
            next: 0,
            memory: 0,
            spool: Spool::new(limits),
            streams: Default::default(),
            patches: Vec::new(),
            outcome: None,
            client: Some(client),
            gone: None,
            alone: Instant::now(),
            over: false,
            stopped: None,
            stalled: Duration::ZERO,
            dumping: false,
            deadline: None,
            progress: None,
            spares: Vec::new(),
        };
        Ok(Artefact { started, limits: *limits, state: Mutex::new(state), changed: Condvar::new(), stop: Bell::new()? })
    }

    // For who reads from the JVM.

    /// The JVM is asked now: from here on it may be dumping for as long as the limits say.
    pub(crate) fn begin(&self) -> Option<Instant> {
        let pause = self.limits.max_pause;
        let deadline = (pause != 0).then(|| Instant::now() + Duration::from_millis(pause.into()));
        let mut state = self.state();
        (state.deadline, state.dumping) = (deadline, true);
        deadline
    }

    /// A buffer for [`MAX_BLOCK`] bytes.
    pub(crate) fn buffer(&self) -> Vec<u8> {
        self.state().buffer(MAX_BLOCK)
    }

    /// Takes on the next bytes of a stream. Where memory has no room they go into the spool, in the shape that `pack` gives
    /// them. Where that has none either the JVM waits.
    ///
    /// # Errors
    /// When it would wait, or dump, for longer than it may; when the dump is stopped.
    pub(crate) fn put(&self, stream: u32, raw: Vec<u8>, pack: &mut Packing<'_>) -> Result<(), Failure> {
        #[expect(clippy::cast_possible_truncation, reason = "a block is a MiB at the most")]
        let count = raw.len() as u32;
        let (mut codec, mut bytes) = (Codec::None, raw);
        let mut state = self.state();
        let its = &mut state.streams[stream as usize];
        its.hash.update(&bytes);
        let offset = its.length;
        its.length += u64::from(count);
        if state.memory + bytes.len() > MEMORY {
            drop(state);
            (codec, bytes) = pack(bytes);
            state = self.state();
        }
        let length = bytes.len();
        let (mut state, bytes) = self.keep(state, bytes)?;
        state.blocks.push_back(Block { stream, offset, raw: count, codec, length, bytes });
        self.changed.notify_all();
        Ok(())
    }

    /// Puts a block's bytes where there is room for them, and waits for that.
    fn keep<'a>(&'a self, mut state: Locked<'a>, bytes: Vec<u8>) -> Result<(Locked<'a>, Bytes), Failure> {
        let (begin, earlier) = (Instant::now(), state.stalled);
        loop {
            if state.memory + bytes.len() <= MEMORY {
                state.memory += bytes.len();
                return Ok((state, Bytes::Memory(bytes)));
            }
            if let Some((file, at)) = state.spool.reserve(bytes.len()) {
                drop(state);
                let written = file.write_all_at(&bytes, at);
                state = self.state();
                if written.is_ok() {
                    state.spare(bytes);
                    return Ok((state, Bytes::Spool(at)));
                }
                // The disk is full, or worse: what lies there already may still be read.
                state.spool.release(at, bytes.len());
                state.spool.close();
                continue;
            }
            state = self.stall(state, earlier, begin)?;
        }
    }

    /// Waits for a change, as long as the JVM may wait.
    fn stall<'a>(&'a self, mut state: Locked<'a>, earlier: Duration, begin: Instant) -> Result<Locked<'a>, Failure> {
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
        state.stalled = earlier + begin.elapsed();
        let most = Duration::from_millis(self.limits.max_stall.into());
        let left = most.saturating_sub(state.stalled);
        if left.is_zero() {
            return Err(stalled(state.stalled, state.spool.used()));
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
        progress.done = state.streams.iter().map(|stream| stream.length).sum();
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

    /// The JVM is done, one way or the other.
    pub(crate) fn finish(&self, outcome: Result<(), Failure>) {
        let mut state = self.state();
        if outcome.is_err() {
            // Nobody wants the beginning of what will never be whole, and it is the pod's.
            state.let_go(|_| true);
        }
        state.outcome = Some(outcome);
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
                    match block.fetch() {
                        Ok(block) => return Step::Send(client, block),
                        Err(failure) => self.fail(failure),
                    }
                    state = self.state();
                    continue;
                }
                Ok(step) => return step,
                Err(deadline) => deadline,
            };
            state = match deadline {
                None => self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
                Some(left) => self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0,
            };
        }
    }

    /// Without the bytes of a block nothing that follows is of use; the JVM is let go, too.
    fn fail(&self, failure: Failure) {
        self.end(failure.clone());
        self.state().outcome = Some(Err(failure));
    }

    /// A block has left in this shape; it is kept until it is acknowledged.
    pub(crate) fn sent(&self, block: Outgoing) {
        self.state().put_back(block);
        self.changed.notify_all();
    }

    // For who listens to clients.

    /// A client goes on with the dump: what it has stored is let go, and everything else is sent to it.
    ///
    /// # Errors
    /// When it lacks what it has acknowledged.
    pub(crate) fn attach(&self, client: Client, stored: [u64; STREAMS]) -> Result<Attached, Failure> {
        let mut state = self.state();
        let lacks = state.streams.iter().zip(stored).any(|(stream, stored)| {
            // More than was ever sent is no resuming either.
            stored < stream.stored || stored > stream.length
        });
        if lacks {
            return Err(Failure::new(Code::Usage, "the client cannot go on with this dump")
                .evidence("what it has stored is not what it has acknowledged")
                .remedy("start afresh with --no-resume"));
        }
        if state.over {
            return Ok(Attached::Over);
        }
        let peer = Arc::clone(&client.peer);
        let earlier = state.client.replace(client);
        state.acknowledge(stored);
        state.next = state.first;
        for stream in &mut state.streams {
            stream.sent = stream.stored;
        }
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
            let mut stored = [0; STREAMS];
            stored[stream as usize] = offset;
            state.acknowledge(stored);
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
        let sum = |count: fn(&Stream) -> u64| self.state().streams.iter().map(count).sum();
        (sum(|stream| stream.stored), sum(|stream| stream.length))
    }

    /// Who gets it just now.
    pub(crate) fn client(&self) -> Option<Client> {
        self.state().client.clone()
    }

    /// What a client that has everything is told: the patches, and what each stream has given.
    pub(crate) fn result(&self) -> Result<(Vec<Patch>, [End; STREAMS]), Failure> {
        let state = self.state();
        match &state.outcome {
            Some(Ok(())) if state.blocks.is_empty() => {
                let ends = std::array::from_fn(|stream| {
                    let stream = &state.streams[stream];
                    End { length: stream.length, hash: stream.hash.digest() }
                });
                Ok((state.patches.clone(), ends))
            }
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
        let done = self.outcome.is_some();
        if done && (self.blocks.is_empty() || self.stopped.is_some() || self.is_abandoned()) {
            self.over = true;
            return Ok(Step::Over);
        }
        let Some(client) = &mut self.client else { return Err(done.then_some(PATIENCE)) };
        if !client.greeted {
            client.greeted = true;
            return Ok(Step::Greet(client.clone()));
        }
        let client = client.clone();
        if let Some(progress) = self.progress.take() {
            return Ok(Step::Tell(client, progress));
        }
        match self.take() {
            Some(block) => Ok(Step::Send(client, block)),
            None => Err(None),
        }
    }

    fn is_for(&self, peer: &Arc<Peer>) -> bool {
        self.client.as_ref().is_some_and(|client| Arc::ptr_eq(&client.peer, peer))
    }

    /// Whether nobody has come for longer than the last client asked for.
    fn is_abandoned(&self) -> bool {
        let patience = self.gone.as_ref().map_or(Duration::ZERO, |gone| gone.patience);
        self.client.is_none() && self.alone.elapsed() >= patience
    }

    /// The next block, if there is one and the client may have it.
    fn take(&mut self) -> Option<Outgoing> {
        let number = self.next;
        let block = self.blocks.get_mut(usize::try_from(number - self.first).ok()?)?;
        let under_way: u64 = self.streams.iter().map(|stream| stream.sent.saturating_sub(stream.stored)).sum();
        if under_way + u64::from(block.raw) > WINDOW {
            return None;
        }
        let (bytes, from) = match std::mem::replace(&mut block.bytes, Bytes::Away) {
            Bytes::Memory(bytes) => (bytes, None),
            Bytes::Spool(at) => {
                block.bytes = Bytes::Spool(at);
                (Vec::new(), Some((self.spool.file()?, at)))
            }
            // It is being sent to a client that has gone meanwhile: there is one thread that sends, so it is back.
            Bytes::Away => return None,
        };
        let Block { stream, offset, raw, codec, length, .. } = *block;
        let bytes = if from.is_some() { self.buffer(length) } else { bytes };
        let its = &mut self.streams[stream as usize];
        its.sent = its.sent.max(offset + u64::from(raw));
        self.next += 1;
        Some(Outgoing { stream, offset, raw, codec, bytes, number, from, spare: Vec::new() })
    }

    /// Keeps a block that is on its way, unless it was acknowledged meanwhile. One that lies in the spool stays there.
    fn put_back(&mut self, sent: Outgoing) {
        let Outgoing { number, codec, bytes, spare, .. } = sent;
        self.spare(spare);
        let index = number.checked_sub(self.first).and_then(|index| usize::try_from(index).ok());
        match index.and_then(|index| self.blocks.get_mut(index)) {
            Some(block) if matches!(block.bytes, Bytes::Away) => {
                self.memory = self.memory - block.length + bytes.len();
                (block.codec, block.length, block.bytes) = (codec, bytes.len(), Bytes::Memory(bytes));
            }
            _ => self.spare(bytes),
        }
    }

    /// A buffer of so many bytes.
    fn buffer(&mut self, length: usize) -> Vec<u8> {
        let mut buffer = self.spares.pop().unwrap_or_default();
        buffer.resize(length, 0);
        buffer
    }

    /// Keeps a buffer that is not needed any more, if it is a large one and few are kept.
    fn spare(&mut self, buffer: Vec<u8>) {
        if self.spares.len() < SPARES && buffer.capacity() >= MAX_BLOCK {
            self.spares.push(buffer);
        }
    }

    fn acknowledge(&mut self, stored: [u64; STREAMS]) {
        for (stream, stored) in self.streams.iter_mut().zip(stored) {
            stream.stored = stream.stored.max(stored.min(stream.length));
        }
        let stored = self.streams.each_ref().map(|stream| stream.stored);
        self.let_go(|block| block.offset + u64::from(block.raw) <= stored[block.stream as usize]);
    }

    /// Lets blocks go from the front, as long as they are not `wanted` any more.
    fn let_go(&mut self, unwanted: impl Fn(&Block) -> bool) {
        while self.blocks.front().is_some_and(&unwanted) {
            let Some(block) = self.blocks.pop_front() else { return };
            self.first += 1;
            match block.bytes {
                Bytes::Spool(at) => self.spool.release(at, block.length),
                Bytes::Memory(bytes) => {
                    self.memory -= block.length;
                    self.spare(bytes);
                }
                Bytes::Away => self.memory -= block.length,
            }
        }
        self.next = self.next.max(self.first);
    }
}

fn no_spool(error: &std::io::Error) -> Failure {
    Failure::new(Code::NoSpace, "the spool in the pod cannot be used")
        .evidence(error.to_string())
        .remedy("free some of the node's disk, or do without it: --spool-limit=0")
}

fn stalled(waited: Duration, spooled: u64) -> Failure {
    Failure::new(Code::TimedOut, "the heap dump was stopped: the JVM would have had to wait for the client for too long")
        .evidence(format!("it has waited {} ms in all, with {} MiB in the pod's spool", waited.as_millis(), spooled >> 20))
        .remedy("the JVM goes on; allow it more with --max-stall, or more room with --spool-limit, or come from where the network is faster")
}

fn abandoned() -> Failure {
    Failure::new(Code::Cancelled, "nobody came back for the heap dump").evidence("the injector has given its room back")
}
