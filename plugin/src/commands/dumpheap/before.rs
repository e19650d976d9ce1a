//! What a dump will take, said before it is taken: of the application a pause, of this machine and the pod room. What may do
//! harm is asked about on a terminal, and refused in a script.

use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::time::Duration;

use jattach_protocol::Message;
use jattach_protocol::message::{Form, Operation, Redact, Request, Survey};

use super::beside::Claimed;
use super::blocking;
use super::fetch::Errand;
use crate::catalogue::Id;
use crate::error::Failure;
use crate::options::Via;
use crate::receive::dump::Room;
use crate::render::progress::size;
use crate::session::{Error, Session};
use crate::target::{Budgets, spec_of};

/// How fast a JVM writes its heap, in bytes of heap a second. Measured: 350 to 800 MB/s with all of it streamed out of the
/// pod; a container with little CPU is slower.
const WRITING: u64 = 300_000_000;

/// How fast it collects what is dead, which dumping live objects begins with, in bytes of heap a second.
const COLLECTING: u64 = 500_000_000;

/// Asks what a dump would take; where it is to `wait`, once the injector is not busy any more.
///
/// # Errors
/// Those of the conversation.
pub(super) async fn survey(errand: &Errand<'_>, session: &mut Session, wait: bool) -> Result<Survey, Error> {
    session.request(Request { wait, ..errand.context.request(Operation::Survey(errand.limits)) });
    let mut survey = None;
    loop {
        match session.next().await? {
            Message::Survey(told) => survey = Some(told),
            Message::End(_) => break,
            Message::Job(before) => errand.behind(before),
            _ => {}
        }
    }
    let nothing = || {
        Failure::new(Id::Transfer, "the injector did not tell what a heap dump would take")
            .remedy("end it with `kubectl jattach TARGET clean`: its answer makes no sense")
    };
    Ok(survey.ok_or_else(nothing)?)
}

/// Says what the dump will take, and sees that it may; `file` where it goes to one, whose room is kept for it then.
///
/// # Errors
/// 1 where it may do harm and nobody says yes.
pub(super) async fn consent(
    errand: &Errand<'_>,
    survey: &Survey,
    file: Option<&Path>,
) -> Result<Option<Claimed>, Failure> {
    let context = errand.context;
    if let Some(refused) = refuses_inside(survey.form, context.options.injector.via) {
        return Err(refused);
    }
    let container = spec_of(&context.target.pod, &context.target.container);
    let (room, claimed) = room(errand, survey, file);
    let outlook = Outlook {
        survey: *survey,
        pause: pause(survey, errand.wanted.live),
        budgets: container.map(Budgets::of).unwrap_or_default(),
        room,
        storage_limit: errand.limits.storage,
        live: errand.wanted.live,
    };
    errand.say(&outlook.line());
    if survey.form == Form::File && errand.wanted.redact != Redact::Nothing {
        errand.say(
            "This JVM writes its dump to a file in the pod, which is not redacted: it lies there until it was read.",
        );
    }
    match outlook.objection() {
        Some(objection) if !errand.wanted.yes => ask(errand, objection).await?,
        _ => {}
    }
    Ok(claimed)
}

/// In the target's own container a file would lie on the target's disk.
fn refuses_inside(form: Form, via: Option<Via>) -> Option<Failure> {
    let refused = via.is_some() && form == Form::File;
    refused.then(|| {
        Failure::new(Id::NoSpace, "this JVM writes its heap dump into a file, for which --via=exec has no place")
            .evidence("its GC.heap_dump has no -overwrite (JDK 8), and the disk there is the target's own")
            .remedy(
                "leave --via=exec out, where the pod takes a debug container; or have it on the target's disk all the same: \
                 `jcmd GC.heap_dump /tmp/x.hprof`, and fetch it with `kubectl cp`",
            )
    })
}

/// A filesystem that does not tell gets the dump: it will say so itself when it is full.
fn room(errand: &Errand<'_>, survey: &Survey, file: Option<&Path>) -> (Option<Room>, Option<Claimed>) {
    match file {
        Some(path) => {
            let beside = &errand.context.beside;
            let (room, claimed) = beside.claim(path, survey.form, errand.wanted.format, survey.expected);
            (room, Some(claimed))
        }
        None => (Room::temporary(survey.form, survey.expected).ok(), None),
    }
}

fn pause(survey: &Survey, live: bool) -> Duration {
    let used = if survey.heap_used == 0 { survey.expected } else { survey.heap_used };
    pause_of(used, live)
}

/// About how long the dump of so many bytes of heap makes the application stand still.
pub(in crate::commands) fn pause_of(used: u64, live: bool) -> Duration {
    let millis = |rate: u64| Duration::from_millis(used.saturating_mul(1000) / rate);
    millis(WRITING) + if live { millis(COLLECTING) } else { Duration::ZERO }
}

/// What there is to say about a dump beforehand.
struct Outlook {
    survey: Survey,
    pause: Duration,
    budgets: Budgets,
    room: Option<Room>,
    /// Of the pod's ephemeral storage; 0 for none.
    storage_limit: u64,
    live: bool,
}

impl Outlook {
    fn line(&self) -> String {
        let Survey { heap_used, expected, spool, free, .. } = self.survey;
        let heap = if heap_used == 0 { "unknown".to_owned() } else { size(heap_used) };
        let budget =
            |name: &str, limit: Option<Duration>| limit.map(|limit| format!("{name} allows {} s", limit.as_secs()));
        let budgets = [budget("liveness", self.budgets.liveness), budget("readiness", self.budgets.readiness)];
        let budgets = budgets.into_iter().flatten().collect::<Vec<_>>().join(", ");
        let probes = if budgets.is_empty() { "no probe limits it".to_owned() } else { budgets };
        let room = self.room.map_or_else(String::new, |room| format!(", {} free here", size(room.free)));
        let limit = match self.storage_limit {
            0 => String::new(),
            limit => format!(", ephemeral storage limited to {}", size(limit)),
        };
        let waits = match spool {
            0 => "nothing waits in the pod, the JVM does".to_owned(),
            spool => format!("up to {} waits in the pod ({} free there{limit})", size(spool), size(free)),
        };
        format!(
            "Heap in use: {heap}; a dump of up to {}, a pause of about {} ({probes}); {waits}{room}.",
            size(expected),
            seconds(self.pause)
        )
    }

    /// Why it may do harm.
    fn objection(&self) -> Option<Failure> {
        if let Some(room) = self.room.filter(|room| !room.is_enough()) {
            return Some(
                Failure::new(Id::NoRoomHere, "there may be too little room here for the heap dump")
                    .evidence(format!("it may take {}, and {} are free", size(room.needed), size(room.free)))
                    .remedy("give a FILE on a disk with more room, or --yes to try it all the same"),
            );
        }
        // Whatever --max-pause is: a JVM that is told to stop goes on walking its heap.
        let limit = self.budgets.liveness.filter(|limit| self.pause > *limit)?;
        Some(
            Failure::new(Id::TooLongPause, "the pause may last until the kubelet kills the container")
                .evidence(format!("about {}, and its liveness probe allows {} s", seconds(self.pause), limit.as_secs()))
                .remedy(if self.live {
                    "--yes to go ahead, --all to do without a garbage collection; or raise the probe's failureThreshold"
                } else {
                    "--yes to go ahead; or raise the probe's failureThreshold"
                }),
        )
    }
}

fn seconds(time: Duration) -> String {
    if time < Duration::from_secs(10) {
        format!("{:.1} s", time.as_secs_f64().max(0.1))
    } else {
        format!("{} s", time.as_secs())
    }
}

/// Asks on a terminal whether to go ahead. The conversation is kept alive meanwhile.
async fn ask(errand: &Errand<'_>, objection: Failure) -> Result<(), Failure> {
    if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        return Err(objection);
    }
    let notes = &errand.context.notes;
    let alone = notes.alone().await;
    errand.progress.leave();
    let question = format!("{}{}: {}. Go ahead? [y/N] ", notes.label(), objection.cause, objection.evidence);
    let _ = write!(io::stderr(), "{question}");
    let answer = blocking(|| {
        let mut answer = String::new();
        let read = io::stdin().read_line(&mut answer);
        // A terminal that is gone says no.
        Ok(read.map_or_else(|_| String::new(), |_| answer))
    });
    let answer = answer.await?;
    errand.progress.come_back();
    drop(alone);
    match answer.trim().to_ascii_lowercase().as_str() {
        "y" | "yes" => Ok(()),
        _ => Err(objection),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: u64 = 1 << 30;

    fn outlook(used: u64, free: u64) -> Outlook {
        let survey = Survey {
            form: Form::Pair,
            heap_used: used,
            expected: 2 * used,
            spool: GIB,
            free: 50 * GIB,
            size: 99 * GIB,
        };
        let budgets = Budgets { liveness: Some(Duration::from_secs(21)), readiness: Some(Duration::from_secs(3)) };
        let room = Some(Room { free, needed: survey.expected });
        Outlook { survey, pause: pause(&survey, true), budgets, room, storage_limit: 0, live: true }
    }

    #[test]
    fn a_jvm_that_writes_a_file_is_not_dumped_in_its_own_container() {
        let refused = |form, via| refuses_inside(form, via).is_some();
        assert!(refused(Form::File, Some(Via::Exec)) && !refused(Form::File, None));
        assert!(!refused(Form::Pair, Some(Via::Exec)) && !refused(Form::Stream, Some(Via::Exec)));
    }

    #[test]
    fn one_line_says_what_the_dump_will_take() {
        assert_eq!(
            outlook(GIB, 30 * GIB).line(),
            "Heap in use: 1.00 GiB; a dump of up to 2.00 GiB, a pause of about 5.7 s (liveness allows 21 s, readiness \
             allows 3 s); up to 1.00 GiB waits in the pod (50.00 GiB free there), 30.00 GiB free here."
        );
        let limited = Outlook { storage_limit: 2 * GIB, ..outlook(GIB, GIB) }.line();
        assert!(limited.contains("(50.00 GiB free there, ephemeral storage limited to 2.00 GiB)"), "{limited}");
        let bare = Outlook { budgets: Budgets::default(), room: None, ..outlook(GIB, 0) };
        assert!(
            bare.line().contains("(no probe limits it); up to 1.00 GiB waits in the pod (50.00 GiB free there)."),
            "{}",
            bare.line()
        );
    }

    #[test]
    fn a_pause_above_the_liveness_budget_and_a_small_disk_are_objected_to_and_readiness_is_not() {
        let cause = |outlook: &Outlook| outlook.objection().map(|failure| failure.cause);
        assert_eq!(cause(&outlook(GIB, 30 * GIB)), None);
        let refused = |outlook: &Outlook| outlook.objection().map(|failure| (failure.id, failure.evidence));
        let pause = (Id::TooLongPause, "about 28 s, and its liveness probe allows 21 s".to_owned());
        assert_eq!(refused(&outlook(5 * GIB, 30 * GIB)), Some(pause));
        let room = (Id::NoRoomHere, "it may take 2.00 GiB, and 1.00 GiB are free".to_owned());
        assert_eq!(refused(&outlook(GIB, GIB)), Some(room));
        let unknown = Outlook { room: None, ..outlook(GIB, 0) };
        assert_eq!(cause(&unknown), None);
    }

    #[test]
    fn a_dump_of_everything_is_spared_the_collection() {
        let survey = outlook(GIB, 0).survey;
        assert!(pause(&survey, true) > pause(&survey, false));
        // A JVM that does not tell what is in use is taken for full.
        let silent = Survey { heap_used: 0, ..survey };
        assert!(pause(&silent, true) > pause(&survey, true));
    }
}
