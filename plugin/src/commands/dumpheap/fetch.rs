//! The dump on its way: one conversation, or several, where the connection is cut and the injector still has what is missing.

use std::cell::Cell;
use std::time::Duration;

use jattach_protocol::message::{
    DumpHeap as Request, Limits, Operation, Phase, Progress as Far, Resume, STREAMS, Started,
};
use jattach_protocol::{Code, Message};
use scopeguard::{ScopeGuard, guard};

use crate::catalogue::Id;
use crate::commands::Context;
use crate::debugger::Debugger;
use crate::error::{Exit, Failure};
use crate::options::{Destination, DumpHeap};
use crate::receive::dump::Job;
use crate::receive::{Storing, Told};
use crate::render::progress::{Progress, size};
use crate::session::{Error, Session};

/// How long it is waited before each attempt to go on that follows on one without progress. A connection that was cut may be
/// had again at once; one that is gone comes back with the network.
const PAUSES: [Duration; 5] = [
    Duration::from_millis(250),
    Duration::from_secs(1),
    Duration::from_secs(3),
    Duration::from_secs(8),
    Duration::from_secs(15),
];

/// A dump that is wanted.
pub(super) struct Errand<'a> {
    pub(super) context: &'a Context,
    pub(super) debugger: &'a Debugger,
    pub(super) wanted: &'a DumpHeap,
    pub(super) limits: Limits,
    pub(super) progress: &'a Progress,
    /// Set once another run can go on with it.
    pub(super) kept: Cell<bool>,
    /// Set once nobody can go on with what came of it.
    pub(super) given_up: Cell<bool>,
    /// How long the JVM has waited for room, in milliseconds.
    pub(super) stalled: Cell<u32>,
}

impl Errand<'_> {
    /// Says something without tearing the line that shows the progress.
    pub(super) fn say(&self, line: &str) {
        self.progress.aside(|| self.context.notes.say(line));
    }

    /// Says in the same way which job comes first.
    pub(super) fn behind(&self, job: &str) {
        self.progress.aside(|| self.context.behind(job));
    }

    /// Whether no other run can take it up: it goes through a pipe, or comes from an injector that ends with this one.
    fn is_piped(&self) -> bool {
        self.wanted.file == Destination::Stdout || self.context.options.injector.via.is_some()
    }

    /// A session that says bye where the work is dropped while nobody can go on with the dump it was asked for: the injector
    /// would keep that, and be busy with it.
    fn minded(&self, session: Session) -> ScopeGuard<Session, impl FnOnce(Session)> {
        guard(session, |session| {
            if !self.kept.get() {
                self.context.partings.add(session);
            }
        })
    }
}

/// A dump that was begun.
#[derive(Clone, Copy)]
pub(super) struct Begun {
    pub(super) job: Job,
    /// The session has asked for the rest of it, and was told its beginning.
    pub(super) asked: bool,
}

/// Receives the dump. The session is the one in which it ended.
///
/// # Errors
/// Those of the conversation, once no other one goes on with it.
pub(super) async fn fetch<T: Send + 'static>(
    errand: &Errand<'_>,
    mut session: Session,
    storing: &mut Storing<T>,
    mut begun: Option<Begun>,
) -> Result<(T, Session), Error> {
    let mut attempts = Attempts::default();
    errand.kept.set(begun.is_some());
    loop {
        let mut minded = errand.minded(session);
        let received = converse(errand, &mut minded, storing, &mut begun).await;
        session = ScopeGuard::into_inner(minded);
        let error = match received {
            Ok(stored) => return Ok((stored, session)),
            Err(error) => error,
        };
        if storing.is_over() && is_hopeless(&error, &errand.wanted.file) {
            // The injector is told, and has room for others.
            errand.given_up.set(true);
            let _ = session.finish().await;
            return Err(error);
        }
        if !errand.wanted.resume || begun.is_none() || storing.is_over() || !is_cut(&error) {
            return Err(error);
        }
        drop(session);
        let stored = storing.settle().await?.into_iter().sum();
        session = match reconnect(errand, &mut attempts, stored, &error).await {
            Some(session) => session,
            None => return Err(error),
        };
    }
}

/// One conversation.
async fn converse<T: Send + 'static>(
    errand: &Errand<'_>,
    session: &mut Session,
    storing: &mut Storing<T>,
    begun: &mut Option<Begun>,
) -> Result<T, Error> {
    match begun {
        None => {
            let started = ask(errand, session, None).await?;
            *begun = Some(Begun { job: Job::from(&started), asked: false });
            storing.begin(started).await?;
            errand.kept.set(!errand.is_piped());
        }
        Some(Begun { job, asked }) => {
            let stored = storing.settle().await?;
            if !std::mem::take(asked) {
                ask_again(errand, session, job, stored).await?;
            }
            // Nothing comes before this.
            session.outgoing().send(session.current(), &Message::Ack { stream: 0, offset: stored[0] });
        }
    }
    let mut show = Show { errand, dumps: false, total: None };
    storing.receive(session, &mut |told| show.told(&told)).await
}

/// Asks for the rest of a dump that was begun, of which so much is stored.
///
/// # Errors
/// Those of the conversation; the injector's, where it does not have that dump any more.
pub(super) async fn ask_again(
    errand: &Errand<'_>,
    session: &mut Session,
    job: &Job,
    stored: [u64; STREAMS],
) -> Result<(), Error> {
    let started = ask(errand, session, Some(Resume { job: job.job, stored })).await?;
    match Job::from(&started) == *job {
        true => Ok(()),
        false => Err(Failure::new(Id::Transfer, "the injector goes on with another dump than the one that was begun")
            .evidence(format!("it is at job {} on process {}", started.job, started.pid))
            .remedy("begin anew with --no-resume")
            .into()),
    }
}

/// Asks for a dump, or for the rest of one, and waits for its beginning.
async fn ask(errand: &Errand<'_>, session: &mut Session, resume: Option<Resume>) -> Result<Started, Error> {
    let DumpHeap { live, redact, .. } = *errand.wanted;
    let request = Request { live, redact, piped: errand.is_piped(), limits: errand.limits, resume };
    session.request(errand.context.request(Operation::DumpHeap(request)));
    let mut show = Show { errand, dumps: false, total: None };
    loop {
        match session.next().await? {
            Message::Started(started) => return Ok(started),
            Message::Progress(far) => show.told(&Told::Progress(far)),
            Message::Job(before) => show.told(&Told::Behind(before.to_owned())),
            other => return Err(not_begun(&other).into()),
        }
    }
}

/// Nothing is taken of a job that is not known yet, and what has been said is not waited for again: it counts as a cut, after
/// which another conversation may do better, as often as [`Attempts`] allow.
fn not_begun(said: &Message<'_>) -> Failure {
    let said = match said {
        Message::Block(_) => "a block",
        Message::Patch(_) => "a patch",
        Message::StreamEnd(_) => "the end of a stream",
        Message::End(_) => "the end",
        _ => "something that is none of a dump",
    };
    Failure::new(Id::Transfer, format!("the injector said {said} of the dump before it began"))
        .evidence("it has not told which dump that is")
        .remedy("begin anew with --no-resume: nothing of the target has changed")
}

/// Whether no other run goes on with what could not be stored to its end: it went through a pipe, or is not right. What only a
/// disk did not take, it may take the next time.
fn is_hopeless(error: &Error, to: &Destination) -> bool {
    *to == Destination::Stdout || matches!(error, Error::Transfer(failure) if failure.exit() == Exit::Transfer)
}

/// Whether the connection has failed, and neither the injector nor the JVM.
pub(super) fn is_cut(error: &Error) -> bool {
    match error {
        Error::Injector(failure) => failure.code == Code::Transfer,
        Error::Transfer(failure) => failure.exit() == Exit::Transfer,
    }
}

/// Another session with the same injector; `None` where none can be had.
async fn reconnect(errand: &Errand<'_>, attempts: &mut Attempts, stored: u64, why: &Error) -> Option<Session> {
    let why = why.cause();
    while let Some((number, pause)) = attempts.next(stored) {
        errand.say(&format!("{why}: going on at {} (attempt {number} of {})", size(stored), Attempts::MOST));
        errand.progress.phase("connecting again");
        tokio::time::sleep(pause).await;
        match Session::open(&errand.context.cluster, errand.debugger).await {
            Ok(session) => return Some(session),
            // The way to it may come back. An injector that has ended does not, nor does a right that was taken away.
            Err(Error::Transfer(failure)) if matches!(failure.exit(), Exit::Transfer | Exit::Other) => {
                tracing::info!(%failure, "cannot connect again");
            }
            Err(_) => return None,
        }
    }
    None
}

/// How often it was tried to go on since there was progress.
#[derive(Default)]
pub(super) struct Attempts {
    made: usize,
    stored: u64,
}

impl Attempts {
    /// So many without progress.
    pub(super) const MOST: usize = PAUSES.len();

    /// The number of the next attempt, and what is waited before it; `None` after the last.
    pub(super) fn next(&mut self, stored: u64) -> Option<(usize, Duration)> {
        if stored > self.stored {
            (self.made, self.stored) = (0, stored);
        }
        let pause = *PAUSES.get(self.made)?;
        self.made += 1;
        Some((self.made, pause))
    }
}

/// What is shown of it.
struct Show<'e> {
    errand: &'e Errand<'e>,
    /// Bytes come, or will: from then on they are counted.
    dumps: bool,
    total: Option<u64>,
}

impl Show<'_> {
    fn told(&mut self, told: &Told) {
        let progress = self.errand.progress;
        match told {
            Told::Progress(far) => {
                self.errand.stalled.set(far.stalled.max(self.errand.stalled.get()));
                let dumps = matches!(far.phase, Phase::Dumping | Phase::Sending);
                // The bytes of the dump are counted on, whatever the JVM does.
                if dumps && std::mem::replace(&mut self.dumps, dumps) {
                    progress.detail(&phase(far));
                } else {
                    progress.phase(&phase(far));
                }
                self.total = Some(far.total);
            }
            Told::Behind(before) => self.errand.behind(before),
            Told::Stored(bytes) => progress.bytes(*bytes, self.total),
        }
    }
}

fn phase(far: &Far) -> String {
    let phase = match far.phase {
        Phase::Queued => "waiting for another job",
        Phase::Attaching => "attaching",
        Phase::Dumping => "dumping; the JVM stands still",
        Phase::Sending => "receiving",
    };
    match waited(far.stalled) {
        Some(time) if far.phase == Phase::Dumping => format!("{phase}; it has waited {time} for room"),
        _ => phase.to_owned(),
    }
}

/// A time worth telling, of so many milliseconds.
pub(super) fn waited(stalled: u32) -> Option<String> {
    (stalled >= 100).then(|| format!("{:.1} s", Duration::from_millis(stalled.into()).as_secs_f64()))
}

#[cfg(test)]
mod tests {
    use jattach_protocol::message::{Block, Codec, End, Patch};

    use super::*;

    #[test]
    fn attempts_run_out_only_where_nothing_comes_of_them() {
        let mut attempts = Attempts::default();
        let numbers = |attempts: &mut Attempts, stored| {
            std::iter::from_fn(|| attempts.next(stored)).map(|(number, _)| number).collect::<Vec<_>>()
        };
        assert_eq!(numbers(&mut attempts, 0), [1, 2, 3, 4, 5]);
        assert_eq!(attempts.next(1).map(|(number, _)| number), Some(1));
        assert_eq!(numbers(&mut attempts, 1), [2, 3, 4, 5]);
        assert_eq!(numbers(&mut attempts, 1), [0_usize; 0]);
    }

    #[test]
    fn how_long_the_jvm_has_waited_is_shown_once_it_has() {
        let far = |stalled| phase(&Far { phase: Phase::Dumping, done: 0, total: 0, stalled });
        assert_eq!((far(0), far(99)), (far(1), "dumping; the JVM stands still".to_owned()));
        assert_eq!(far(1234), "dumping; the JVM stands still; it has waited 1.2 s for room");
    }

    #[test]
    fn what_is_not_right_or_went_through_a_pipe_is_given_up_and_what_a_disk_did_not_take_is_not() {
        let hopeless = |exit, to| is_hopeless(&Failure::new(exit, "").into(), &to);
        let file = || Destination::File("x.hprof".into());
        assert!(hopeless(Exit::Transfer, file()) && hopeless(Exit::Transfer, Destination::Default));
        assert!(hopeless(Exit::Other, Destination::Stdout) && !hopeless(Exit::Other, file()));
    }

    #[test]
    fn what_is_said_of_a_dump_before_it_began_is_a_cut_with_that_name_and_no_dump() {
        let end = End { length: 0, hash: 0 };
        let block = Block { stream: 0, offset: 0, raw_length: 1, codec: Codec::None, data: b"x" };
        let patch = Patch { offset: 31, length: 9 };
        let cases = [
            (Message::End(end), "the end"),
            (Message::StreamEnd(end), "the end of a stream"),
            (Message::Block(block), "a block"),
            (Message::Patch(patch), "a patch"),
            (Message::Output(b"x"), "something"),
        ];
        for (message, name) in cases {
            let failure = not_begun(&message);
            assert!(failure.cause.starts_with(&format!("the injector said {name} ")), "{failure}");
            assert_eq!(failure.exit(), Exit::Transfer);
            assert!(is_cut(&failure.into()), "it is tried again, as often as attempts allow");
        }
    }

    #[test]
    fn only_a_connection_is_tried_again() {
        let cut = |exit| is_cut(&Error::Transfer(Failure::new(exit, "")));
        assert!(cut(Exit::Transfer) && !cut(Exit::Other) && !cut(Exit::Target));
        let told = |code| is_cut(&Error::Injector(jattach_protocol::Failure::new(code, "")));
        assert!(told(Code::Transfer) && !told(Code::JvmFailed) && !told(Code::TimedOut));
    }
}
