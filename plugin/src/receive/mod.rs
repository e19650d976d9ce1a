//! What a request gives, from the stream to where it stays: unpacked, counted, hashed, and acknowledged once stored.
//!
//! Storing has a thread of its own ([`Storing`]), for it may wait: for a disk, or for a person before a pager. The stream is
//! read on meanwhile, because an exec stream that nobody reads loses data: an output up to the protocol's window, a dump up to
//! 16 MiB, since what is lost of that comes again. The thread outlives the conversation: a dump whose connection was cut goes
//! on in another one.

mod counted;
pub(crate) mod dump;
mod jvms;
mod store;
mod text;

use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

use jattach_protocol::Message;
use jattach_protocol::message::{Block, Codec, End, Patch, Progress, STREAMS, Started, WINDOW};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::watch;

use crate::catalogue::Id;
use crate::error::Failure;
use crate::session::{Error, Session};
pub(crate) use jvms::jvms;
use store::Report;
pub(crate) use text::{Printer, text};

/// How long the thread that stores may take to let its sink go after a failure.
const LETTING_GO: Duration = Duration::from_secs(5);

/// How much of each stream is stored, so that it may be acknowledged; nothing once that cannot be told any more.
pub(crate) type Safe = Option<[u64; STREAMS]>;

/// The most of an answer that waits in our memory. Of a text all that may be under way, and what its pieces take beside their
/// bytes: who prints it may stand before a pager for as long as it likes, and what is not read meanwhile is lost.
const TEXT: u64 = WINDOW + (4 << 20);

/// The same of a dump: a disk that takes nothing for so long that the stream is lost makes it come again.
const DUMP: u64 = 16 << 20;

/// The same of all dumps at once, and what each of them may always have.
const DUMPS: u64 = 128 << 20;
const LEAST: u64 = 1 << 20;

/// Where an answer goes, and what knows how much of it is there.
pub(crate) trait Sink: Send + 'static {
    /// What is left when all is stored.
    type Stored: Send;

    /// What is safe of each stream, as it changes.
    fn safe(&self) -> watch::Receiver<Safe>;

    /// A job begins at its beginning: what is there of another one is worth nothing.
    fn begin(&mut self, started: &Started) -> Result<(), Failure>;

    /// How many bytes of a stream have been written.
    fn length(&self, stream: u32) -> u64;

    /// Takes the next bytes of a stream.
    fn write(&mut self, stream: u32, bytes: &[u8]) -> Result<(), Failure>;

    /// Takes the length of a record that came without.
    fn patch(&mut self, patch: Patch) -> Result<(), Failure>;

    /// All of the second stream has come.
    fn end_part(&mut self, end: &End) -> Result<(), Failure>;

    /// Makes all that was written safe.
    fn settle(&mut self) -> Result<(), Failure>;

    /// All has come.
    fn finish(self, end: &End) -> Result<Self::Stored, Failure>;
}

/// A piece of an answer, as it came.
enum Piece {
    Begin(Started),
    Output(Vec<u8>),
    Block {
        stream: u32,
        offset: u64,
        raw_length: u32,
        codec: Codec,
        data: Vec<u8>,
    },
    Patch(Patch),
    StreamEnd(End),
    End(End),
    /// Nothing of the injector's: all before it is to be made safe.
    Settle,
}

/// What is told of a request under way.
pub(crate) enum Told {
    /// By the injector.
    Progress(Progress),
    /// By the injector: the job that this one has to wait for.
    Behind(String),
    /// By us: so many bytes of all streams are stored.
    Stored(u64),
}

/// The thread that stores, from outside.
pub(crate) struct Storing<T> {
    pieces: Sender<Piece>,
    reports: UnboundedReceiver<Report<T>>,
    safe: watch::Receiver<Safe>,
    /// What waits to be stored, in bytes of our memory, and the most of it.
    queued: u64,
    most: u64,
    over: bool,
}

impl<T: Send + 'static> Storing<T> {
    /// Starts it for a dump, one of so many at once.
    pub(crate) fn start<S: Sink<Stored = T>>(sink: S, at_once: usize) -> Storing<T> {
        Storing::with(sink, (DUMPS / at_once.max(1) as u64).clamp(LEAST, DUMP))
    }

    fn with<S: Sink<Stored = T>>(sink: S, most: u64) -> Storing<T> {
        let (pieces, queue) = channel();
        let safe = sink.safe();
        Storing { pieces, reports: store::start(sink, queue), safe, queued: 0, most, over: false }
    }

    /// Stores what the request under way gives, to its end; tells `progress` what the injector says meanwhile, and how much
    /// is stored.
    ///
    /// # Errors
    /// The injector's failure; 8 where what came is not whole; the sink's.
    pub(crate) async fn receive(&mut self, session: &mut Session, progress: &mut dyn FnMut(Told)) -> Result<T, Error> {
        let (outgoing, request) = (session.outgoing(), session.current());
        let mut telling = true;
        loop {
            tokio::select! {
                biased;
                report = self.reports.recv() => match self.heard(report)? {
                    Heard::Stored(bytes) => progress(Told::Stored(bytes)),
                    Heard::Done(stored) => return Ok(stored),
                    Heard::Settled => {}
                },
                changed = self.safe.changed(), if telling => {
                    let safe = *self.safe.borrow_and_update();
                    match safe.filter(|_| changed.is_ok()) {
                        Some(stored) => outgoing.acknowledge(request, stored),
                        // It cannot say why itself; who writes can.
                        None => {
                            telling = false;
                            self.hand_over(Piece::Settle);
                        }
                    }
                }
                message = session.next(), if self.has_room() => match message? {
                    Message::Progress(far) => progress(Told::Progress(far)),
                    Message::Job(before) => progress(Told::Behind(before.to_owned())),
                    message => if let Some(piece) = piece(&message) {
                        self.hand_over(piece);
                    }
                },
            }
        }
    }

    /// Waits until all that was handed over is stored and safe, and tells how much of each stream that is.
    ///
    /// # Errors
    /// The sink's.
    pub(crate) async fn settle(&mut self) -> Result<[u64; STREAMS], Failure> {
        self.hand_over(Piece::Settle);
        loop {
            let report = self.reports.recv().await;
            if let Heard::Settled = self.heard(report)? {
                return (*self.safe.borrow_and_update()).ok_or_else(died);
            }
        }
    }

    /// Begins another job: what was stored is given up.
    ///
    /// # Errors
    /// The sink's.
    pub(crate) async fn begin(&mut self, started: Started) -> Result<(), Failure> {
        self.hand_over(Piece::Begin(started));
        self.settle().await.map(drop)
    }

    /// Whether it has come to its end, good or bad, and takes nothing any more.
    pub(crate) fn is_over(&self) -> bool {
        self.over
    }

    /// Has it let the sink go, before that may be made again. Not for ever: it may be waiting for a person before a pager.
    pub(crate) async fn close(self) {
        let Storing { pieces, mut reports, .. } = self;
        drop(pieces);
        let over = async { while reports.recv().await.is_some() {} };
        let _ = tokio::time::timeout(LETTING_GO, over).await;
    }

    fn heard(&mut self, report: Option<Report<T>>) -> Result<Heard<T>, Failure> {
        match report {
            Some(Report::Stored { bytes, cost }) => {
                self.queued -= cost;
                Ok(Heard::Stored(bytes))
            }
            Some(Report::Settled) => Ok(Heard::Settled),
            Some(Report::Done(result)) => {
                self.over = true;
                result.map(Heard::Done)
            }
            None => {
                self.over = true;
                Err(died())
            }
        }
    }

    fn hand_over(&mut self, piece: Piece) {
        self.queued += piece.cost();
        // A thread that has ended has said why: its report comes next.
        let _ = self.pieces.send(piece);
    }

    /// Where there is none the stream is not read until something is stored: so an injector that does not keep to the window
    /// does not fill our memory either.
    fn has_room(&self) -> bool {
        self.queued < self.most
    }
}

/// A report, once it was entered in the books.
enum Heard<T> {
    Stored(u64),
    Settled,
    Done(T),
}

fn died() -> Failure {
    Failure::new(Id::Other, "the thread that stores the answer has died")
        .remedy("run the command again; if it stays so, report it: the plugin has a mistake")
}

impl Piece {
    /// What it takes of our memory: its bytes, and a little for itself, so that empty ones are not free.
    fn cost(&self) -> u64 {
        let bytes = match self {
            Piece::Output(bytes) | Piece::Block { data: bytes, .. } => bytes.len(),
            Piece::Begin(_) | Piece::Patch(_) | Piece::StreamEnd(_) | Piece::End(_) | Piece::Settle => 0,
        };
        (bytes + size_of::<Piece>()) as u64
    }
}

fn piece(message: &Message<'_>) -> Option<Piece> {
    match *message {
        Message::Output(bytes) => Some(Piece::Output(bytes.to_vec())),
        Message::Block(Block { stream, offset, raw_length, codec, data }) => {
            Some(Piece::Block { stream, offset, raw_length, codec, data: data.to_vec() })
        }
        Message::Patch(patch) => Some(Piece::Patch(patch)),
        Message::StreamEnd(end) => Some(Piece::StreamEnd(end)),
        Message::End(end) => Some(Piece::End(end)),
        _ => None,
    }
}
