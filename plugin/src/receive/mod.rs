//! What a request gives, from the stream to where it stays: unpacked, counted, hashed, and acknowledged once stored.
//!
//! Storing has a thread of its own, for it may wait: for a disk, or for a person before a pager. The stream is read on all
//! the while, up to the protocol's window, because an exec stream that nobody reads loses data.

mod dump;
mod store;

use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

use jattach_protocol::Message;
use jattach_protocol::message::{Block, Codec, End, Jvm, MAX_BLOCK, Progress, WINDOW};
use tokio::sync::mpsc::UnboundedReceiver;

use crate::error::{Exit, Failure};
use crate::session::{Error, Session};
pub(crate) use dump::{Dump, DumpFile, Target};
use store::Report;

/// How long the thread that stores may take to let its sink go after a failure.
const LETTING_GO: Duration = Duration::from_secs(5);

/// Where the bytes of an answer go.
pub(crate) trait Sink: Send + 'static {
    /// What is left when all is stored.
    type Stored: Send;

    /// Takes the next bytes.
    fn write(&mut self, bytes: &[u8]) -> Result<(), Failure>;

    /// All bytes have come, and length and hash are right.
    fn finish(self) -> Result<Self::Stored, Failure>;
}

/// A piece of an answer, as it came.
enum Piece {
    Output(Vec<u8>),
    Block { offset: u64, raw_length: u32, codec: Codec, data: Vec<u8> },
    End(End),
}

/// Stores what the request under way gives in `sink`; tells `progress` what the injector says meanwhile, and how much is
/// stored.
///
/// # Errors
/// The injector's failure; 8 where what came is not whole; the sink's.
pub(crate) async fn into<S: Sink>(
    session: &mut Session,
    sink: S,
    progress: &mut dyn FnMut(Told),
) -> Result<S::Stored, Error> {
    let (pieces, queue) = channel();
    let mut reports = store::start(sink, queue);
    let result = feed(session, &pieces, &mut reports, progress).await;
    if result.is_err() {
        // The sink is let go before it may be made again. Not for ever: it may be waiting for a person before a pager.
        drop(pieces);
        let over = async { while reports.recv().await.is_some() {} };
        let _ = tokio::time::timeout(LETTING_GO, over).await;
    }
    result
}

async fn feed<T>(
    session: &mut Session,
    pieces: &Sender<Piece>,
    reports: &mut Reports<T>,
    progress: &mut dyn FnMut(Told),
) -> Result<T, Error> {
    let outgoing = session.outgoing();
    let request = session.current();
    let mut flow = Flow { received: 0, stored: 0 };
    loop {
        tokio::select! {
            biased;
            report = reports.recv() => match report {
                Some(Report::Stored(offset)) => {
                    flow.stored = offset;
                    outgoing.send(request, &Message::Ack(offset));
                    progress(Told::Stored(offset));
                }
                Some(Report::Done(result)) => return result.map_err(Error::Transfer),
                None => return Err(Failure::new(Exit::Other, "the thread that stores the answer has died").into()),
            },
            // The JVM cannot be called back; the injector removes what it still writes when it is done.
            _ = tokio::signal::ctrl_c() => return Err(Failure::new(Exit::Interrupted, "interrupted").into()),
            message = session.next() => match message? {
                Message::Progress(far) => progress(Told::Progress(far)),
                message => if let Some(piece) = flow.admit(&message)? {
                    hand_over(pieces, piece);
                }
            },
        }
    }
}

/// What is told of a request under way.
pub(crate) enum Told {
    /// By the injector.
    Progress(Progress),
    /// By us: so many bytes are stored.
    Stored(u64),
}

/// How many bytes may be waiting to be stored: what the injector sends beyond the window is not taken.
struct Flow {
    received: u64,
    stored: u64,
}

impl Flow {
    fn admit(&mut self, message: &Message<'_>) -> Result<Option<Piece>, Failure> {
        let (length, piece) = match *message {
            Message::Output(bytes) => (bytes.len(), Piece::Output(bytes.to_vec())),
            Message::Block(Block { offset, raw_length, codec, data }) => {
                (raw_length as usize, Piece::Block { offset, raw_length, codec, data: data.to_vec() })
            }
            Message::End(end) => (0, Piece::End(end)),
            _ => return Ok(None),
        };
        self.received += length as u64;
        if length > MAX_BLOCK || self.received - self.stored > WINDOW + MAX_BLOCK as u64 {
            return Err(Failure::new(Exit::Transfer, "the injector sends more than it may")
                .evidence(format!("{} bytes came, {} are acknowledged", self.received, self.stored)));
        }
        Ok(Some(piece))
    }
}

fn hand_over(pieces: &Sender<Piece>, piece: Piece) {
    // A thread that has ended has said why: its report comes next.
    let _ = pieces.send(piece);
}

/// The JVMs that a request for the list gives.
///
/// # Errors
/// Those of the conversation.
pub(crate) async fn jvms(session: &mut Session) -> Result<Vec<Jvm>, Error> {
    // More than a pod can run; a hostile injector is not to fill the memory.
    const MAX_JVMS: usize = 10_000;
    let mut jvms = Vec::new();
    loop {
        match session.next().await? {
            Message::Jvm(jvm) if jvms.len() < MAX_JVMS => jvms.push(jvm),
            Message::Jvm(_) => return Err(Failure::new(Exit::Transfer, "the list of JVMs does not end").into()),
            Message::End(_) => return Ok(jvms),
            _ => {}
        }
    }
}

type Reports<T> = UnboundedReceiver<Report<T>>;
