//! What a request gives, from the stream to where it stays: unpacked, counted, hashed, and acknowledged once stored.
//!
//! Storing has a thread of its own, for it may wait: for a disk, or for a person before a pager. The stream is read on all
//! the while, up to the protocol's window, because an exec stream that nobody reads loses data.

mod dump;
mod file;
mod store;

use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

use jattach_protocol::Message;
use jattach_protocol::message::{Block, Codec, End, Jvm, Progress, WINDOW};
use tokio::sync::mpsc::UnboundedReceiver;

use crate::error::{Exit, Failure};
use crate::session::{Error, Session};
pub(crate) use dump::{Dump, Target};
pub(crate) use file::DumpFile;
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
    let mut queue = Queue::default();
    loop {
        tokio::select! {
            biased;
            report = reports.recv() => match report {
                Some(Report::Stored { offset, cost }) => {
                    queue.bytes -= cost;
                    outgoing.acknowledge(request, [offset, 0]);
                    progress(Told::Stored(offset));
                }
                Some(Report::Done(result)) => return result.map_err(Error::Transfer),
                None => return Err(died().into()),
            },
            message = session.next(), if queue.has_room() => match message? {
                Message::Progress(far) => progress(Told::Progress(far)),
                message => if let Some(piece) = piece(&message) {
                    queue.bytes += piece.cost();
                    hand_over(pieces, piece);
                }
            },
        }
    }
}

fn died() -> Failure {
    Failure::new(Exit::Other, "the thread that stores the answer has died")
        .remedy("run the command again; if it stays so, report it: the plugin has a mistake")
}

/// What is told of a request under way.
pub(crate) enum Told {
    /// By the injector.
    Progress(Progress),
    /// By us: so many bytes are stored.
    Stored(u64),
}

/// What waits to be stored, in bytes of our memory.
#[derive(Default)]
struct Queue {
    bytes: u64,
}

impl Queue {
    /// An injector that keeps to the window never fills it. One that does not is read no further until there is room: it
    /// can cut its own stream, but not fill our memory.
    fn has_room(&self) -> bool {
        self.bytes < 2 * WINDOW
    }
}

impl Piece {
    /// What it takes of our memory: its bytes, and a little for itself, so that empty ones are not free.
    fn cost(&self) -> u64 {
        let bytes = match self {
            Piece::Output(bytes) | Piece::Block { data: bytes, .. } => bytes.len(),
            Piece::End(_) => 0,
        };
        (bytes + size_of::<Piece>()) as u64
    }
}

fn piece(message: &Message<'_>) -> Option<Piece> {
    match *message {
        Message::Output(bytes) => Some(Piece::Output(bytes.to_vec())),
        Message::Block(Block { stream: 0, offset, raw_length, codec, data }) => {
            Some(Piece::Block { offset, raw_length, codec, data: data.to_vec() })
        }
        Message::End(end) => Some(Piece::End(end)),
        _ => None,
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
    // More text than all the JVMs of a pod have; a hostile injector is not to fill the memory.
    const MAX_TEXT: usize = 1 << 20;
    let (mut jvms, mut text) = (Vec::new(), 0);
    loop {
        match session.next().await? {
            Message::Jvm(jvm) => {
                let strings = [&jvm.container, &jvm.kind, &jvm.vendor, &jvm.version, &jvm.main, &jvm.obstacle];
                text += size_of::<Jvm>() + strings.into_iter().map(String::len).sum::<usize>();
                if text > MAX_TEXT {
                    return Err(Failure::new(Exit::Transfer, "the list of JVMs does not end")
                        .evidence(format!("{} of them take more than 1 MiB", jvms.len() + 1))
                        .remedy("end the injector with `kubectl jattach TARGET clean`: its answer makes no sense")
                        .into());
                }
                jvms.push(jvm);
            }
            Message::End(_) => return Ok(jvms),
            _ => {}
        }
    }
}

type Reports<T> = UnboundedReceiver<Report<T>>;
