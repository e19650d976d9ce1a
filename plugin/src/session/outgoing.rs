//! What goes out: frames in the order they were sent, heartbeats whatever else is going on, and beside it the drain of
//! stderr. Each has a task of its own, so that a command that waits for a disk or a terminal is not taken for dead.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jattach_protocol::Message;
use jattach_protocol::frame::Encoder;
use jattach_protocol::message::{HEARTBEAT_SECONDS, STREAMS};
use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, SimplexStream, WriteHalf};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};

const HEARTBEAT: Duration = Duration::from_secs(HEARTBEAT_SECONDS);

/// How much of stderr is kept: it is for a person, and comes from the pod.
const STDERR: usize = 2 << 10;

/// A handle for sending; the stream's stdin stays open until all of them are gone.
#[derive(Clone)]
pub(crate) struct Outgoing {
    frames: UnboundedSender<Letter>,
    /// The newest acknowledgements: the request, and what of each of its streams is stored.
    stored: watch::Sender<(u32, [u64; STREAMS])>,
}

/// A frame that is not sealed yet.
struct Letter {
    request: u32,
    kind: u8,
    stream: u32,
    frame: Vec<u8>,
}

impl Letter {
    fn new(request: u32, message: &Message<'_>) -> Letter {
        Letter { request, kind: message.kind(), stream: message.stream(), frame: message.to_frame() }
    }
}

impl Outgoing {
    /// Sends on the stdin of an exec stream from now on, and begins with heartbeats.
    pub(super) fn new(stdin: WriteHalf<SimplexStream>) -> Outgoing {
        let (frames, mut messages) = unbounded_channel();
        let (stored, mut acknowledged) = watch::channel((0, [0; STREAMS]));
        tokio::spawn(async move {
            let mut pen = Pen { stdin, encoder: Encoder::new(), told: (0, [0; STREAMS]) };
            let mut beat = interval(HEARTBEAT);
            beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
            // The first tick is now, and the hello has to come first.
            beat.reset();
            loop {
                let written = tokio::select! {
                    biased;
                    // First, so that a bye never overtakes one.
                    Ok(()) = acknowledged.changed() => {
                        let newest = *acknowledged.borrow_and_update();
                        pen.acknowledge(newest).await
                    }
                    letter = messages.recv() => match letter { Some(letter) => pen.write(letter).await, None => return },
                    _ = beat.tick() => pen.write(Letter::new(0, &Message::Heartbeat)).await,
                };
                // A stdin that is closed shows on stdout, too, and there the reason is told.
                if written.is_err() {
                    return;
                }
            }
        });
        Outgoing { frames, stored }
    }

    /// Sends a message as soon as those before it have left. It never waits: what may be under way is bounded by what the
    /// injector acknowledges.
    pub(crate) fn send(&self, request: u32, message: &Message<'_>) {
        let _ = self.frames.send(Letter::new(request, message));
    }

    /// Says that everything below these offsets is stored. Only the newest are kept until they can leave: an injector that
    /// sends without end and reads nothing is not to fill our memory with what it does not read.
    pub(crate) fn acknowledge(&self, request: u32, stored: [u64; STREAMS]) {
        self.stored.send_replace((request, stored));
    }
}

struct Pen {
    stdin: WriteHalf<SimplexStream>,
    encoder: Encoder,
    /// What was acknowledged last.
    told: (u32, [u64; STREAMS]),
}

impl Pen {
    async fn write(&mut self, letter: Letter) -> std::io::Result<()> {
        let Letter { request, kind, stream, mut frame } = letter;
        self.encoder.seal(kind, request, stream, &mut frame).map_err(std::io::Error::other)?;
        self.stdin.write_all(&frame).await
    }

    /// A stream of which nothing new is stored is not spoken of.
    async fn acknowledge(&mut self, (request, stored): (u32, [u64; STREAMS])) -> std::io::Result<()> {
        let told = if self.told.0 == request { self.told.1 } else { [0; STREAMS] };
        self.told = (request, stored);
        for (stream, (offset, told)) in (0..).zip(stored.into_iter().zip(told)) {
            if offset > told {
                self.write(Letter::new(request, &Message::Ack { stream, offset })).await?;
            }
        }
        Ok(())
    }
}

/// The drain of stderr, which would stop stdout if nobody read it.
pub(super) struct Stderr(Arc<Mutex<Vec<u8>>>);

impl Stderr {
    pub(super) fn collect(mut stderr: ReadHalf<SimplexStream>) -> Stderr {
        let kept = Arc::new(Mutex::new(Vec::new()));
        let keep = Arc::clone(&kept);
        tokio::spawn(async move {
            let mut buffer = [0; 1024];
            while let Ok(count @ 1..) = stderr.read(&mut buffer).await {
                let mut kept = keep.lock().unwrap_or_else(PoisonError::into_inner);
                let room = STDERR.saturating_sub(kept.len()).min(count);
                kept.extend_from_slice(&buffer[..room]);
            }
        });
        Stderr(kept)
    }

    /// What has come so far.
    pub(super) fn text(&self) -> String {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(kept.trim_ascii()).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jattach_protocol::frame::Decoder;

    #[tokio::test]
    async fn acknowledgements_that_nobody_reads_do_not_pile_up() {
        let (mut injector, stdin) = tokio::io::simplex(1 << 20);
        let outgoing = Outgoing::new(stdin);
        for offset in 1..=1000 {
            outgoing.acknowledge(7, [offset, 10 * offset]);
        }
        outgoing.send(0, &Message::Bye);
        let mut decoder = Decoder::new();
        let mut sent = Vec::new();
        while !sent.ends_with(&[(0, "Bye".to_owned())]) {
            let count = injector.read(decoder.space()).await.expect("a pipe");
            decoder.filled(count);
            while let Some(frame) = decoder.next().expect("whole frames") {
                sent.push((frame.request, format!("{:?}", Message::read(&frame).expect("a message"))));
            }
        }
        let ack = |stream, offset| (7, format!("{:?}", Message::Ack { stream, offset }));
        assert_eq!(sent, [ack(0, 1000), ack(1, 10_000), (0, "Bye".to_owned())]);
    }
}
