//! HotSpot's dynamic attach: [`connect`] in the order that never harms the target, one request, its [`Reply`].
//!
//! 1. If `/tmp/.java_pidN` is there and answers, that is the connection, provided that the target itself listens on it.
//! 2. Else the JVM has to be asked, by a trigger file and SIGQUIT, which ends or stops what is not a willing JVM: so only
//!    after its state, its libjvm.so, its signal masks, its own word on attaching, and a writable /tmp have been seen.

mod reply;
mod socket;
mod trigger;
mod wait;
mod willing;
mod wire;

use std::fs::File;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use jattach_protocol::{Code, Failure};

use super::{Limits, failure, refuse_stopped};
use crate::jvm::command::Command;
use crate::process::{Target, identity};
use socket::Attempt;

pub(crate) use reply::Reply;
pub(crate) use trigger::print_threads;

/// How long a listener may keep who only looks waiting in line.
const A_LOOK: Duration = Duration::from_millis(100);

/// A connection to the target's attach listener. It serves one request.
pub(crate) struct Connection<'t> {
    target: &'t Target<'t>,
    limits: Limits,
    stream: OwnedFd,
}

/// Connects to the target's attach listener, and has the JVM start it where it is safe to ask for that.
pub(crate) fn connect<'t>(target: &'t Target<'t>, limits: Limits) -> Result<Connection<'t>, Failure> {
    let deadline = Instant::now() + limits.attach;
    let meeting = socket::MeetingPlace::open(target)?;
    trigger::sweep(&meeting);
    let stream = match meeting.connect(limits.attach)? {
        Attempt::Connected(stream) => stream,
        Attempt::NobodyListens => trigger::start_listener(&meeting, deadline)?,
    };
    refuse_stopped(target)?;
    Ok(Connection { target, limits, stream })
}

/// What [`connect`] would refuse, found out without signalling or creating anything. None: it would try.
///
/// A socket that is there is connected to, and left again without a request, which HotSpot takes for nothing: only so it is
/// told whose it is.
pub(crate) fn obstacle(target: &Target<'_>) -> Option<Failure> {
    let check = || {
        identity::require_fit(target)?;
        let meeting = socket::MeetingPlace::open(target)?;
        refuse_stopped(target)?;
        if let Attempt::Connected(_) = meeting.connect(A_LOOK)? {
            return Ok(());
        }
        willing::refuse_unwilling(&meeting)?;
        willing::refuse_unwritable(&meeting)
    };
    check().err()
}

impl Connection<'_> {
    /// Sends the command. What the JVM makes of it comes with the reply, whose first bytes are waited for when they are read.
    pub(crate) fn request(self, command: &Command) -> Result<Reply, Failure> {
        let limits = self.limits;
        if wire::fits_version_1(command)? {
            return send(self.stream, &wire::version_1(command), limits);
        }
        let target = self.target;
        self.require_version_2()?;
        send(connect(target, limits)?.stream, &wire::version_2(command), limits)
    }

    /// Asks the JVM which versions it speaks; JDK 24 and older know no such question.
    fn require_version_2(self) -> Result<(), Failure> {
        let question = Command::like_jattach(b"getversion", &[])?;
        let limits = self.limits;
        let mut reply = send(self.stream, &wire::version_1(&question), limits)?;
        let code = reply.code().map_err(|error| failure(&error))?;
        let mut text = Vec::new();
        reply.read_text(&mut text, 256).map_err(|error| failure(&error))?;
        if code == 0 && version(&text) >= 2 {
            return Ok(());
        }
        Err(Failure::new(Code::Usage, "an argument is too long for this JVM")
            .evidence(format!("over 1024 bytes need version 2 of the protocol; the JVM says: {}", text.escape_ascii()))
            .remedy("shorten it; JDK 25 and newer take 256 KiB, unless started with -Djdk.attach.compat=true"))
    }
}

/// The number at the beginning of the answer, which may go on with what else the JVM can do.
fn version(answer: &[u8]) -> u32 {
    let digits = answer.split(|byte| !byte.is_ascii_digit()).next().unwrap_or_default();
    std::str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok()).unwrap_or_default()
}

/// One write: a listener that gets half a request is blocked for everybody until its client goes.
fn send(stream: OwnedFd, request: &[u8], limits: Limits) -> Result<Reply, Failure> {
    let mut file = File::from(stream);
    match file.write(request) {
        Ok(written) if written == request.len() => Reply::new(file.into(), limits.silence),
        Ok(written) => Err(Failure::new(Code::NoAnswer, "the JVM did not take the whole request")
            .evidence(format!("{written} of {} bytes", request.len()))),
        Err(error) => Err(failure(&error)),
    }
}

#[cfg(test)]
mod tests;
