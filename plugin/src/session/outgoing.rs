//! What goes out: frames in the order they were sent, heartbeats whatever else is going on, and beside it the drain of
//! stderr. Each has a task of its own, so that a command that waits for a disk or a terminal is not taken for dead.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jattach_protocol::Message;
use jattach_protocol::frame::Encoder;
use jattach_protocol::message::HEARTBEAT_SECONDS;
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
    frames: UnboundedSender<(u32, u8, Vec<u8>)>,
    /// The newest acknowledgement: the request and what of its answer is stored.
    stored: watch::Sender<(u32, u64)>,
}

impl Outgoing {
    /// Sends on the stdin of an exec stream from now on, and begins with heartbeats.
    pub(super) fn new(stdin: WriteHalf<SimplexStream>) -> Outgoing {
        let (frames, mut messages) = unbounded_channel();
        let (stored, mut acknowledged) = watch::channel((0, 0));
        tokio::spawn(async move {
            let mut pen = Pen { stdin, encoder: Encoder::new() };
            let mut beat = interval(HEARTBEAT);
            beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
            // The first tick is now, and the hello has to come first.
            beat.reset();
            loop {
                let (request, kind, frame) = tokio::select! {
                    biased;
                    // First, so that a bye never overtakes one.
                    Ok(()) = acknowledged.changed() => {
                        let (request, offset) = *acknowledged.borrow_and_update();
                        let ack = Message::Ack(offset);
                        (request, ack.kind(), ack.to_frame())
                    }
                    message = messages.recv() => match message { Some(message) => message, None => return },
                    _ = beat.tick() => (0, Message::Heartbeat.kind(), Message::Heartbeat.to_frame()),
                };
                // A stdin that is closed shows on stdout, too, and there the reason is told.
                if pen.write(request, kind, frame).await.is_err() {
                    return;
                }
            }
        });
        Outgoing { frames, stored }
    }

    /// Sends a message as soon as those before it have left. It never waits: what may be under way is bounded by what the
    /// injector acknowledges.
    pub(crate) fn send(&self, request: u32, message: &Message<'_>) {
        let _ = self.frames.send((request, message.kind(), message.to_frame()));
    }

    /// Says that everything below `offset` is stored. Only the newest is kept until it can leave: an injector that sends
    /// without end and reads nothing is not to fill our memory with what it does not read.
    pub(crate) fn acknowledge(&self, request: u32, offset: u64) {
        self.stored.send_replace((request, offset));
    }
}

struct Pen {
    stdin: WriteHalf<SimplexStream>,
    encoder: Encoder,
}

impl Pen {
    async fn write(&mut self, request: u32, kind: u8, mut frame: Vec<u8>) -> std::io::Result<()> {
        self.encoder.seal(kind, request, 0, &mut frame).map_err(std::io::Error::other)?;
        self.stdin.write_all(&frame).await
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
            outgoing.acknowledge(7, offset);
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
        assert_eq!(sent, [(7, "Ack(1000)".to_owned()), (0, "Bye".to_owned())]);
    }
}
