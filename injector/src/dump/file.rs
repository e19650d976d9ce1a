//! A dump that the JVM writes into a regular file. The file's name is gone as soon as the JVM has opened it: from then on
//! the bytes exist only for the JVM and us, count against nobody's quota, and vanish with the two processes.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use jattach_protocol::hprof::redact::Redactor;
use jattach_protocol::message::{Phase, Progress, Survey};
use jattach_protocol::{Code, Failure};
use nix::fcntl::{FallocateFlags, fallocate};

use super::artefact::Artefact;
use super::intake::{Intake, Packer};
use super::place::Place;
use super::pump::Order;
use super::{CREATED, LONGEST, MAX_TEXT, not_created, says, unfinished, unreachable};
use crate::jvm::command::Command;
use crate::jvm::hotspot::{self, Limits, Reply};
use crate::sys::describe;
use crate::sys::wait::{Wanted, wait};

/// How often the growing file is looked at.
const LOOK: Duration = Duration::from_millis(200);

/// Has the JVM dump its heap into a file, and hands that on.
///
/// # Errors
/// [`Code::NoSpace`] where it does not fit what the pod may be asked for: such a JVM cannot be made to wait.
pub(crate) fn dump(order: &Order<'_>, artefact: &Artefact) -> Result<(), Failure> {
    require_room(order.survey, &artefact.limits)?;
    let mut file = create(order, artefact.limits.storage)?;
    let (mut intake, mut packer) = (Intake::new(artefact, 0, Redactor::main(order.redact)), Packer::new());
    let mut told = Instant::now();
    while intake.read(&mut file, &mut packer)? > 0 {
        // What has been read is in the spool, or on its way: it need not lie on the disk twice.
        punch(&file, intake.length);
        if told.elapsed() >= LOOK {
            told = Instant::now();
            tell(order, artefact, Phase::Sending);
        }
    }
    intake.flush(&mut packer)
}

fn tell(order: &Order<'_>, artefact: &Artefact, phase: Phase) {
    (order.progress)(artefact.progress(Progress { phase, done: 0, total: order.survey.expected, stalled: 0 }));
}

/// Gives back to the disk what lies below `offset`.
fn punch(file: &File, offset: u64) {
    let Ok(length) = i64::try_from(offset) else { return };
    let hole = FallocateFlags::FALLOC_FL_PUNCH_HOLE | FallocateFlags::FALLOC_FL_KEEP_SIZE;
    let _ = fallocate(file.as_fd(), hole, 0, length);
}

fn require_room(survey: &Survey, limits: &jattach_protocol::message::Limits) -> Result<(), Failure> {
    let cause = "this JVM cannot be made to wait while it dumps";
    if limits.max_pause != 0 {
        return Err(Failure::new(Code::NoSpace, cause)
            .evidence("its GC.heap_dump has no -overwrite (JDK 8): it writes a file, and --max-pause could not stop it")
            .remedy("do without --max-pause"));
    }
    if survey.spool < survey.expected {
        return Err(Failure::new(Code::NoSpace, cause)
            .evidence(format!(
                "its GC.heap_dump has no -overwrite (JDK 8): it writes a file, which may become {} MiB; the spool may hold {} MiB",
                survey.expected >> 20,
                survey.spool >> 20
            ))
            .remedy("allow that much with --spool-limit where the node has the room, or raise the pod's ephemeral-storage limit"));
    }
    Ok(())
}

/// The file with the whole dump, in the first place that will do. It has no name any more.
fn create(order: &Order<'_>, storage_limit: u64) -> Result<File, Failure> {
    let expected = order.survey.expected;
    let mut refusals = Vec::new();
    // A JVM in a PID namespace below ours knows our pid as another's: its own /tmp is the one place both mean.
    let reaches_us = order.target.status()?.namespace_pids.len() == 1;
    let own = reaches_us.then(Place::own);
    for place in own.into_iter().chain([Place::of(order.target)]) {
        let place = match place {
            Ok(place) => place,
            Err(errno) => {
                refusals.push(Failure::new(Code::NoSpace, "no place for the heap dump").evidence(describe(errno)));
                continue;
            }
        };
        match place.check(expected, expected, storage_limit).and_then(|()| dump_at(&place, order)) {
            Ok(Outcome::Created(file)) => return Ok(file),
            Ok(Outcome::OutOfReach(text)) => refusals.push(not_created(&text)),
            // A limit of the pod or a full disk is none the better in the target's own filesystem.
            Err(failure) if failure.code == Code::NoSpace && refusals.is_empty() => return Err(failure),
            Err(failure) if failure.code == Code::NoSpace => refusals.push(failure),
            Err(failure) => return Err(failure),
        }
    }
    Err(refusals.pop().unwrap_or_else(|| Failure::new(Code::NoSpace, "no place for the heap dump")))
}

enum Outcome {
    Created(File),
    /// The JVM could not create the file: it may not look into our filesystem, or nobody may write there.
    OutOfReach(String),
}

/// The file while the JVM writes it. However this ends, nothing of it keeps a name.
struct Growing<'p> {
    place: &'p Place,
    name: String,
    file: Option<File>,
}

impl Growing<'_> {
    /// Takes hold of the file once the JVM has made it, and takes its name away; tells how much is written.
    fn look(&mut self) -> u64 {
        if self.file.is_none() {
            self.file = self.place.open(&self.name);
            if self.file.is_some() {
                self.place.unlink(&self.name);
            }
        }
        let main = self.file.as_ref().and_then(|file| file.metadata().ok()).map_or(0, |meta| meta.len());
        main + self.place.size(&self.name)
    }
}

impl Drop for Growing<'_> {
    fn drop(&mut self) {
        self.place.remove(&self.name);
    }
}

fn dump_at(place: &Place, order: &Order<'_>) -> Result<Outcome, Failure> {
    let mut growing = Growing { place, name: Place::name()?, file: None };
    let flag = if order.live { "-live" } else { "-all" };
    let command = Command::from_words("dumpheap", &[&place.path(&growing.name), flag])?;
    let mut reply = hotspot::connect(order.target, Limits::default())?.request(&command)?;
    let text = read_reply(&mut reply, &mut || {
        let done = growing.look();
        let total = order.survey.expected.max(done);
        (order.progress)(Progress { phase: Phase::Dumping, done, total, stalled: 0 });
    })?;
    if !says(&text, CREATED) {
        return if unreachable(&text) { Ok(Outcome::OutOfReach(text)) } else { Err(not_created(&text)) };
    }
    growing.look();
    match growing.file.take() {
        Some(file) => Ok(Outcome::Created(file)),
        None => Err(not_created("it says the file was created, and there is none")),
    }
}

/// All that the JVM says; `look` is called now and then while it works. The client may have gone meanwhile: the JVM goes
/// on writing all the same, and what it writes must not be left behind.
fn read_reply(reply: &mut Reply, look: &mut dyn FnMut()) -> Result<String, Failure> {
    reply.set_silence_limit(Duration::ZERO);
    let mut text = Vec::new();
    let mut buffer = [0; 1024];
    let (deadline, mut next_look) = (Instant::now() + LONGEST, Instant::now());
    while Instant::now() < deadline {
        if Instant::now() >= next_look {
            look();
            next_look = Instant::now() + LOOK;
        }
        match reply.read(&mut buffer) {
            Ok(0) => return Ok(String::from_utf8_lossy(&text).into_owned()),
            Ok(_) if text.len() > MAX_TEXT => return Err(not_created("it says more than any JVM does")),
            Ok(count) => text.extend_from_slice(&buffer[..count]),
            Err(error) if error.kind() == ErrorKind::TimedOut => {
                let _ = wait([Wanted::read(reply.as_fd())], Some(next_look));
            }
            Err(error) => return Err(hotspot::failure(&error)),
        }
    }
    Err(unfinished())
}
