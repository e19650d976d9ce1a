//! A conversation with the injector: an exec stream, framed. What arrives is believed no further than its hash goes: the
//! injector lives in the target's trust domain, and the stream may end anywhere without an error.

mod outgoing;
mod partings;

use std::io;
use std::time::Duration;

use futures::future::{BoxFuture, FutureExt};
use jattach_protocol::frame::Decoder;
use jattach_protocol::message::{FAILURE, Hello, Request, SILENCE_SECONDS, VERSION};
use jattach_protocol::{Code, Message};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Status;
use kube::api::AttachedProcess;
use tokio::io::{AsyncRead, AsyncReadExt, ReadHalf, SimplexStream, WriteHalf};
use tokio::task::unconstrained;
use tokio::time::{Instant, timeout};

use crate::catalogue::Id;
use crate::client::Cluster;
use crate::debugger::{self, Debugger, SESSION};
use crate::error::Failure;
pub(crate) use outgoing::Outgoing;
use outgoing::Stderr;
pub(crate) use partings::Partings;

/// After how long without a byte the connection counts as dead: the injector sends a heartbeat three times as often.
const SILENCE: Duration = Duration::from_secs(SILENCE_SECONDS);

/// How long the exec stream may take to end after both sides are done.
const PARTING: Duration = Duration::from_secs(10);

/// What ends a request without a result.
#[derive(Debug)]
pub(crate) enum Error {
    /// The injector says so; the failure may name the identity that would fit.
    Injector(jattach_protocol::Failure),
    /// Everything on the way to it and back.
    Transfer(Failure),
}

impl Error {
    /// What went wrong, whoever says so.
    pub(crate) fn cause(&self) -> &str {
        match self {
            Error::Injector(failure) => &failure.cause,
            Error::Transfer(failure) => &failure.cause,
        }
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Error {
        Error::Transfer(failure)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        match error {
            Error::Injector(failure) => failure.into(),
            Error::Transfer(failure) => failure,
        }
    }
}

/// One exec of `session` in the injector's container.
pub(crate) struct Session {
    outgoing: Outgoing,
    incoming: Incoming,
    request: u32,
}

/// What an exec has: its three streams, and how it ends.
pub(crate) struct Streams {
    /// Dropping it aborts the exec stream. A test has none.
    attached: Option<AttachedProcess>,
    pub(crate) stdin: WriteHalf<SimplexStream>,
    pub(crate) stdout: ReadHalf<SimplexStream>,
    stderr: Stderr,
    /// Resolves when the exec stream has ended; to nothing where it was cut.
    pub(crate) status: BoxFuture<'static, Option<Status>>,
}

impl Streams {
    /// # Errors
    /// 8 where it has not all of them.
    pub(crate) fn of(mut attached: AttachedProcess) -> Result<Streams, Failure> {
        let streams = (attached.stdin(), attached.stdout(), attached.stderr(), attached.take_status());
        let (Some(stdin), Some(stdout), Some(stderr), Some(status)) = streams else {
            return Err(not_an_injector("the exec stream has no stdin, stdout and stderr"));
        };
        let (attached, stderr) = (Some(attached), Stderr::collect(stderr));
        Ok(Streams { attached, stdin, stdout, stderr, status: status.boxed() })
    }

    /// Streams without an exec, and their other ends.
    #[cfg(test)]
    pub(crate) fn of_a_test(status: BoxFuture<'static, Option<Status>>) -> (Streams, OtherEnd) {
        let ((input, stdin), (stdout, output), (stderr, errors)) =
            (tokio::io::simplex(64 << 10), tokio::io::simplex(64 << 10), tokio::io::simplex(64 << 10));
        let streams = Streams { attached: None, stdin, stdout, stderr: Stderr::collect(stderr), status };
        (streams, OtherEnd { input, output, errors })
    }

    /// What has come on stderr so far.
    pub(crate) fn errors(&self) -> String {
        self.stderr.text()
    }
}

/// What a program in the pod would have as its stdin, stdout and stderr.
#[cfg(test)]
pub(crate) struct OtherEnd {
    pub(crate) input: ReadHalf<SimplexStream>,
    pub(crate) output: WriteHalf<SimplexStream>,
    pub(crate) errors: WriteHalf<SimplexStream>,
}

/// What comes in, and how it ends.
struct Incoming {
    /// Dropping it aborts the exec stream.
    _attached: Option<AttachedProcess>,
    stdout: ReadHalf<SimplexStream>,
    stderr: Stderr,
    /// Resolves when the exec stream has ended; to nothing where it was cut.
    status: BoxFuture<'static, Option<Status>>,
    /// Set once it has: what is still buffered then is all there will be.
    ended: Option<Option<Status>>,
    decoder: Decoder,
}

impl Session {
    /// Starts `session` in the container and waits for its hello.
    ///
    /// # Errors
    /// Those of exec; the injector's own; 8 where what answers is no injector; 5 where it speaks another version of the
    /// protocol.
    pub(crate) async fn open(cluster: &Cluster, debugger: &Debugger) -> Result<Session, Error> {
        let attached = debugger::exec(cluster, debugger, &SESSION).await?;
        Session::begin(Streams::of(attached)?, &debugger.container).await
    }

    /// Begins the conversation on the streams of an injector that runs in that container.
    ///
    /// # Errors
    /// Those of [`open`](Session::open), but for exec's.
    pub(crate) async fn begin(streams: Streams, container: &str) -> Result<Session, Error> {
        let Streams { attached, stdin, stdout, stderr, status } = streams;
        let incoming = Incoming { _attached: attached, stdout, stderr, status, ended: None, decoder: Decoder::new() };
        let mut session = Session { outgoing: Outgoing::new(stdin), incoming, request: 0 };
        session.outgoing.send(0, &Message::Hello(Hello { version: VERSION, software: name(), capabilities: 0 }));
        match session.incoming.next().await? {
            (_, Message::Hello(hello)) => greet(&hello, container)?,
            // There is a container, and nobody in it to talk to.
            (_, Message::Failure(failure)) => return Err(Error::Injector(failure)),
            _ => return Err(not_an_injector("it did not say hello").into()),
        }
        Ok(session)
    }

    /// Asks for something; what comes of it, [`next`](Session::next) gives.
    pub(crate) fn request(&mut self, request: Request) {
        self.request += 1;
        self.outgoing.send(self.request, &Message::Request(request));
    }

    /// The next message that belongs to the request. Cancel safe.
    ///
    /// # Errors
    /// The injector's failure, or the end of a stream that owes an answer.
    pub(crate) async fn next(&mut self) -> Result<Message<'_>, Error> {
        // In two steps, because a message borrows what the loop would read into.
        loop {
            self.incoming.receive().await?;
            if self.incoming.is_for(self.request) {
                break;
            }
            self.incoming.skip()?;
        }
        match self.incoming.take()? {
            (_, Message::Failure(failure)) => Err(Error::Injector(failure)),
            (_, message) => Ok(message),
        }
    }

    /// For sending while [`next`](Session::next) is waited for.
    pub(crate) fn outgoing(&self) -> Outgoing {
        self.outgoing.clone()
    }

    /// The request whose answers are waited for.
    pub(crate) fn current(&self) -> u32 {
        self.request
    }

    /// Says bye and waits for the exec stream to end as it should: with a Status that says success.
    ///
    /// # Errors
    /// 8 for any other end: a stream that is cut tells nothing else.
    pub(crate) async fn finish(mut self) -> Result<(), Failure> {
        self.outgoing.send(0, &Message::Bye);
        match timeout(PARTING, self.incoming.end()).await {
            Ok(Some(status)) if status.status.as_deref() == Some("Success") => Ok(()),
            Ok(Some(status)) => Err(cut("the session in the pod failed").evidence(format!(
                "{} {}",
                status.message.unwrap_or_default(),
                self.incoming.stderr.text()
            ))),
            Ok(None) => Err(cut("the exec stream ended without a status")
                .evidence("the answer came to its end; whether the session in the pod did, nothing tells")),
            Err(_) => Err(cut("the exec stream does not end")
                .evidence(format!("no status within {} s of the answer's end", PARTING.as_secs()))),
        }
    }
}

impl Incoming {
    /// Waits for a whole message and takes it.
    async fn next(&mut self) -> Result<(u32, Message<'_>), Error> {
        self.receive().await?;
        self.take()
    }

    /// Waits until a whole frame is there.
    async fn receive(&mut self) -> Result<(), Error> {
        while self.decoder.peek().map_err(|error| damaged(&error))?.is_none() {
            if self.read().await? == 0 {
                if self.ended.is_none() {
                    // stdout ends a moment before the status comes.
                    self.ended = timeout(PARTING, &mut self.status).await.ok();
                }
                return Err(self.broken().into());
            }
        }
        Ok(())
    }

    /// Reads what is there, waiting for it; 0 bytes when nothing more will come.
    async fn read(&mut self) -> Result<usize, Failure> {
        let deadline = Instant::now() + SILENCE;
        let count = loop {
            let space = self.decoder.space();
            if self.ended.is_some() {
                // kube's pipe gives no end of file when its loop has failed: what is not there now never comes.
                break read_now(&mut self.stdout, space);
            }
            tokio::select! {
                biased;
                read = self.stdout.read(space) => break Some(read),
                status = &mut self.status => self.ended = Some(status),
                () = tokio::time::sleep_until(deadline) => {
                    return Err(cut("the connection to the injector is dead")
                        .evidence(format!("not a byte for {} s, not even a heartbeat", SILENCE.as_secs())));
                }
            }
        };
        let count = match count {
            Some(Ok(count)) => count,
            Some(Err(error)) => return Err(cut("the exec stream broke").evidence(error.to_string())),
            None => 0,
        };
        self.decoder.filled(count);
        Ok(count)
    }

    /// A failure concerns us whatever request it names.
    fn is_for(&mut self, request: u32) -> bool {
        matches!(self.decoder.peek(), Ok(Some(frame)) if frame.request == request || frame.kind == FAILURE)
    }

    /// Leaves a message out that belongs to the connection: a heartbeat, or the rest of an earlier request.
    fn skip(&mut self) -> Result<(), Error> {
        self.take().map(drop)
    }

    fn take(&mut self) -> Result<(u32, Message<'_>), Error> {
        let frame = self.decoder.next().map_err(|error| damaged(&error))?;
        let frame = frame.ok_or_else(|| not_an_injector("no frame"))?;
        let message = Message::read(&frame).map_err(|error| damaged(&error))?;
        Ok((frame.request, message))
    }

    /// Why the stream has ended although something is owed.
    fn broken(&mut self) -> Failure {
        let stderr = self.stderr.text();
        let status = match self.ended.take().flatten() {
            Some(Status { message: Some(message), .. }) if debugger::is_without_exec(&message) => {
                return debugger::no_exec(&message);
            }
            Some(Status { message: Some(message), .. }) => message,
            Some(_) => "it ended with a status, in the middle of a request".to_owned(),
            None => "it ended without a status: the connection was cut".to_owned(),
        };
        match self.decoder.finish() {
            Err(error) => cut("the stream from the injector was cut").evidence(format!("{error}; {status} {stderr}")),
            Ok(()) => cut("the injector ended the conversation").evidence(format!("{status} {stderr}")),
        }
    }

    /// Waits for the end of the exec stream, whatever still comes.
    async fn end(&mut self) -> Option<Status> {
        let mut rest = vec![0; 64 << 10];
        loop {
            if let Some(ended) = self.ended.take() {
                return ended;
            }
            tokio::select! {
                status = &mut self.status => return status,
                read = self.stdout.read(&mut rest) => if !matches!(read, Ok(1..)) {
                    return (&mut self.status).await;
                }
            }
        }
    }
}

/// Who asks, for whoever finds the injector busy: the program, and its user as this machine knows them.
fn name() -> String {
    let user = ["USER", "LOGNAME", "USERNAME"].iter().find_map(|name| std::env::var(name).ok());
    let user = user.filter(|user| !user.is_empty()).map_or_else(String::new, |user| format!(" of {user}"));
    format!("kubectl-jattach {}{user}", env!("CARGO_PKG_VERSION"))
}

/// What is there, without waiting for more. Unconstrained, because a task that has done much in its turn is told by tokio
/// that nothing is there, to let others go on.
fn read_now(from: &mut (impl AsyncRead + Unpin), space: &mut [u8]) -> Option<io::Result<usize>> {
    unconstrained(from.read(space)).now_or_never()
}

fn greet(hello: &Hello, container: &str) -> Result<(), Failure> {
    if hello.version == VERSION {
        return Ok(());
    }
    Err(Failure::new(Id::Version, "the running injector is of another version")
        .evidence(format!("{container} is {}, protocol {}; we speak {VERSION}", hello.software, hello.version))
        .remedy("use the --image of this plugin's version (kubectl jattach version names it)"))
}

fn cut(cause: &str) -> Failure {
    Failure::new(Id::Transfer, cause).remedy("run the command again: nothing of the target has changed")
}

fn damaged(error: &dyn std::fmt::Display) -> Failure {
    cut("what arrived from the injector is damaged").evidence(error.to_string())
}

fn not_an_injector(evidence: &str) -> Failure {
    Failure::new(Id::Transfer, "what answers in the debug container is no injector")
        .evidence(evidence)
        .remedy("see that --image is the injector's image, of this plugin's version")
}

/// The failure that the injector reports as its identity not fitting, with the one that would.
pub(crate) fn fitting_identity(error: &Error) -> Option<jattach_protocol::Identity> {
    match error {
        Error::Injector(failure) if failure.code == Code::WrongIdentity => failure.identity,
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::seen::assert_seen;
    use tokio::io::AsyncWriteExt;
    use tokio::task::consume_budget;

    #[test]
    fn an_injector_of_another_version_is_named() {
        let hello = |version| Hello { version, software: "injector 9.9.9".to_owned(), capabilities: 0 };
        assert!(greet(&hello(VERSION), "jattach-bcdfg").is_ok());
        assert_seen("newer", &greet(&hello(9999), "jattach-bcdfg").expect_err("another version"));
    }

    #[tokio::test]
    async fn what_is_there_is_read_also_by_a_task_whose_turn_is_over() {
        let (mut stdout, mut injector) = tokio::io::simplex(16);
        injector.write_all(b"end").await.expect("a pipe");
        while consume_budget().now_or_never().is_some() {}
        let mut space = [0; 16];
        assert_eq!(read_now(&mut stdout, &mut space).map(io::Result::ok), Some(Some(3)));
        assert_eq!(read_now(&mut stdout, &mut space).map(io::Result::ok), None);
    }
}
