//! An exec's stream: binary WebSocket frames whose first byte is the channel, a Status on channel 3 at the end.
//!
//! What a client's end does follows what was measured on a real cluster (WebSocket, containerd 2.1): the command is
//! neither signalled nor told by its stdout, which nobody reads any more; only its stdin ends.

use std::time::Duration;

use bytes::Bytes;
use futures::{
    SinkExt, StreamExt,
    stream::{SplitSink, SplitStream},
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::unix::pipe,
    sync::watch,
    task::JoinHandle,
};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        Message,
        protocol::{CloseFrame, frame::coding::CloseCode},
    },
};

use crate::{
    runtime::{Container, Error, Exec, ExecSpec},
    worker::container::describe,
};

const STDIN: u8 = 0;
const STDOUT: u8 = 1;
const STDERR: u8 = 2;
const STATUS: u8 = 3;
const CLOSE: u8 = 255;

/// The most data that a frame carries, apart from its channel.
const MAX_DATA: usize = 32_768;

/// After so long a write that the client does not take is given up, and with it all further output.
const WRITE_TIMEOUT: Duration = Duration::from_secs(60);

/// How long the client has to answer the closing of the WebSocket.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subprotocol {
    V4,
    /// Has CLOSE (255, channel): a client can end stdin alone.
    V5,
}

impl Subprotocol {
    pub fn name(self) -> &'static str {
        match self {
            Self::V4 => "v4.channel.k8s.io",
            Self::V5 => "v5.channel.k8s.io",
        }
    }

    pub fn negotiate(offered: &[&str]) -> Option<Self> {
        [Self::V5, Self::V4].into_iter().find(|one| offered.contains(&one.name()))
    }
}

#[derive(Debug, Clone, Copy)]
pub struct Streams {
    pub stdin: bool,
    pub stdout: bool,
    pub stderr: bool,
}

/// One command in one container, over one connection.
#[derive(Debug)]
pub struct Session {
    pub container: Container,
    pub spec: ExecSpec,
    pub streams: Streams,
    pub subprotocol: Subprotocol,
    pub drop_status: bool,
}

type Sink<S> = SplitSink<WebSocketStream<S>, Message>;

impl Session {
    pub async fn run<S>(self, socket: WebSocketStream<S>)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (mut sink, source) = socket.split();
        // The lowest channel that can be written tells the client that the connection stands.
        let first = if self.streams.stdout {
            STDOUT
        } else if self.streams.stderr {
            STDERR
        } else {
            STATUS
        };
        let _gone = sink.send(frame(first, &[])).await;
        let (gone, gone_seen) = watch::channel(false);
        let exec = match self.container.exec(&self.spec).await {
            Ok(exec) => exec,
            Err(error) => {
                let input = tokio::spawn(pump_input(source, None, self.subprotocol, gone));
                return self.end(sink, input, &start_failure(&error)).await;
            }
        };
        let Exec { stdin, stdout, stderr, process } = exec;
        let input = tokio::spawn(pump_input(source, stdin, self.subprotocol, gone));
        let mut output = Output { stdout: Some(stdout), stderr: Some(stderr), streams: self.streams, gone: gone_seen };
        match output.pump(&mut sink).await {
            Pumped::All => {
                let code = process.wait().await;
                self.end(sink, input, &result(code)).await;
            }
            Pumped::ClientGone => {
                // The connection goes, the pipes stay: the command blocks once they are full.
                drop(sink);
                process.wait().await;
                input.abort();
            }
            Pumped::ClientStuck => {
                drop(sink);
                output.drain().await;
                process.wait().await;
                input.abort();
            }
        }
    }

    /// Tells the result, and closes: WebSocket, then TLS, once the client has answered.
    async fn end<S>(&self, mut sink: Sink<S>, mut input: JoinHandle<SplitStream<WebSocketStream<S>>>, status: &Value)
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let last = async {
            if !self.drop_status {
                sink.send(frame(STATUS, status.to_string().as_bytes())).await?;
            }
            let reason = CloseFrame { code: CloseCode::Normal, reason: "".into() };
            sink.send(Message::Close(Some(reason))).await
        };
        // A client that is gone or does not read gets no status.
        if let Ok(Ok(())) = tokio::time::timeout(WRITE_TIMEOUT, last).await
            && let Ok(Ok(source)) = tokio::time::timeout(CLOSE_TIMEOUT, &mut input).await
            && let Ok(mut socket) = sink.reunite(source)
        {
            // It may have gone first.
            let _gone = socket.get_mut().shutdown().await;
        }
        input.abort();
    }
}

fn frame(channel: u8, data: &[u8]) -> Message {
    let mut bytes = Vec::with_capacity(data.len() + 1);
    bytes.push(channel);
    bytes.extend_from_slice(data);
    Message::Binary(Bytes::from(bytes))
}

/// Client to command, until the client is gone.
async fn pump_input<S>(
    mut source: SplitStream<WebSocketStream<S>>,
    mut stdin: Option<pipe::Sender>,
    subprotocol: Subprotocol,
    gone: watch::Sender<bool>,
) -> SplitStream<WebSocketStream<S>>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    while let Some(Ok(message)) = source.next().await {
        let data = match message {
            Message::Binary(data) => data,
            Message::Close(_) => break,
            _ => continue,
        };
        match data.split_first() {
            Some((&STDIN, bytes)) => {
                let failed = match &mut stdin {
                    Some(pipe) => pipe.write_all(bytes).await.is_err() || pipe.flush().await.is_err(),
                    None => false,
                };
                if failed {
                    // The command has closed its stdin; what else comes is of no use.
                    stdin = None;
                }
            }
            Some((&CLOSE, [STDIN])) if subprotocol == Subprotocol::V5 => stdin = None,
            _ => {}
        }
    }
    drop(stdin);
    gone.send_replace(true);
    source
}

enum Pumped {
    /// The command's output has ended.
    All,
    ClientGone,
    /// The client takes nothing any more.
    ClientStuck,
}

struct Output {
    stdout: Option<pipe::Receiver>,
    stderr: Option<pipe::Receiver>,
    streams: Streams,
    gone: watch::Receiver<bool>,
}

impl Output {
    /// Command to client.
    async fn pump<S>(&mut self, sink: &mut Sink<S>) -> Pumped
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let (mut out, mut err) = (vec![0; MAX_DATA], vec![0; MAX_DATA]);
        let mut gone = self.gone.clone();
        loop {
            if self.stdout.is_none() && self.stderr.is_none() {
                return Pumped::All;
            }
            let (channel, wanted, data) = tokio::select! {
                _ = gone.wait_for(|gone| *gone) => return Pumped::ClientGone,
                length = read(&mut self.stdout, &mut out) => (STDOUT, self.streams.stdout, &out[..length]),
                length = read(&mut self.stderr, &mut err) => (STDERR, self.streams.stderr, &err[..length]),
            };
            if data.is_empty() || !wanted {
                continue;
            }
            tokio::select! {
                sent = tokio::time::timeout(WRITE_TIMEOUT, sink.send(frame(channel, data))) => match sent {
                    Ok(Ok(())) => {}
                    Ok(Err(_)) => return Pumped::ClientGone,
                    Err(_) => return Pumped::ClientStuck,
                },
                _ = gone.wait_for(|gone| *gone) => return Pumped::ClientGone,
            }
        }
    }

    /// Takes the rest and throws it away.
    async fn drain(&mut self) {
        let (mut out, mut err) = (vec![0; MAX_DATA], vec![0; MAX_DATA]);
        while self.stdout.is_some() || self.stderr.is_some() {
            tokio::select! {
                _ = read(&mut self.stdout, &mut out) => {}
                _ = read(&mut self.stderr, &mut err) => {}
            }
        }
    }
}

/// Reads once; at the end the pipe is dropped and 0 comes back. Without a pipe it never resolves.
async fn read(pipe: &mut Option<pipe::Receiver>, buffer: &mut [u8]) -> usize {
    let Some(reader) = pipe else { return std::future::pending().await };
    let length = reader.read(buffer).await.unwrap_or(0);
    if length == 0 {
        *pipe = None;
    }
    length
}

fn result(code: i32) -> Value {
    if code == 0 {
        return json!({"metadata": {}, "status": "Success"});
    }
    json!({
        "metadata": {},
        "status": "Failure",
        "message": format!("command terminated with non-zero exit code: command terminated with exit code {code}"),
        "reason": "NonZeroExitCode",
        "details": {"causes": [{"reason": "ExitCode", "message": code.to_string()}]},
    })
}

fn start_failure(error: &Error) -> Value {
    let id = crate::meta::container_id();
    let inner = format!(
        "Internal error occurred: error executing command in container: failed to exec in container: failed to start \
         exec {id:?}: {}",
        describe(error)
    );
    json!({
        "metadata": {},
        "status": "Failure",
        "message": format!("Internal error occurred: {inner}"),
        "reason": "InternalError",
        "details": {"causes": [{"message": inner}]},
        "code": 500,
    })
}
