//! A dump that the JVM writes into a regular file, read while it grows: for JVMs that know nothing better (JDK 8). Its name
//! is gone as soon as the JVM has opened it, and what has been read is given back to the disk.
//!
//! Such a JVM writes a heap record with a length of 0, and comes back to put it in when the record is done. So its data are
//! sent before its length, and that follows as a patch.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

use jattach_protocol::hprof::Lengths;
use jattach_protocol::hprof::redact::Redactor;
use jattach_protocol::message::{Patch, Phase, Progress, Survey};
use jattach_protocol::{Code, Failure};

use super::artefact::Artefact;
use super::intake::Intake;
use super::place::Place;
use super::pump::Order;
use super::spool::{self, PAGE};
use super::{CREATED, LONGEST, MAX_TEXT, not_created, says, unfinished, unreachable};
use crate::jvm::command::Command;
use crate::jvm::{self, Limits, Reply};
use crate::sys::describe;
use crate::sys::wait::{Wanted, wait};

/// How often the growing file is looked at.
const LOOK: Duration = Duration::from_millis(50);

/// How much is read before it is looked again at how the JVM is, and told how far it is.
const TURN: u64 = 64 << 20;

/// More heap records without a length than any JVM leaves behind it: it puts in one before it begins the next.
const MAX_LACKING: usize = 1 << 10;

/// Where in a heap record its length stands.
const LENGTH: u64 = 5;

/// Has the JVM dump its heap into a file, and takes on what it writes.
///
/// # Errors
/// [`Code::NoSpace`] where it does not fit what the pod may be asked for: such a JVM cannot be made to wait.
pub(crate) fn dump(order: &Order<'_>, artefact: &Artefact) -> Result<(), Failure> {
    require_room(order.survey, &artefact.limits)?;
    let expected = order.survey.expected;
    // Who says how much may lie in the pod has said it for this file, too.
    let storage = if artefact.limits.spool == u64::MAX { artefact.limits.storage } else { 0 };
    let mut refusals = Vec::new();
    let own = Place::own_for(order.target)?;
    for place in own.into_iter().chain([Place::of(order.target)]) {
        let place = match place {
            Ok(place) => place,
            Err(errno) => {
                refusals.push(Failure::new(Code::NoSpace, "no place for the heap dump").evidence(describe(errno)));
                continue;
            }
        };
        match place.check(expected, expected, storage).and_then(|()| dump_at(&place, order, artefact)) {
            Ok(Outcome::Done) => return Ok(()),
            Ok(Outcome::OutOfReach(text)) => refusals.push(not_created(&text)),
            // A limit of the pod or a full disk is none the better in the target's own filesystem.
            Err(failure) if failure.code == Code::NoSpace && refusals.is_empty() => return Err(failure),
            Err(failure) if failure.code == Code::NoSpace => refusals.push(failure),
            Err(failure) => return Err(failure),
        }
    }
    Err(refusals.pop().unwrap_or_else(|| Failure::new(Code::NoSpace, "no place for the heap dump")))
}

/// That so much is allowed in the pod. Whether there is a disk for it is asked of each place: where our own /tmp takes no
/// file, the target's may.
fn require_room(survey: &Survey, limits: &jattach_protocol::message::Limits) -> Result<(), Failure> {
    let cause = "this JVM cannot be made to wait while it dumps";
    if limits.max_pause != 0 {
        return Err(Failure::new(Code::NoSpace, cause)
            .evidence("its GC.heap_dump has no -overwrite (JDK 8): it writes a file, and --max-pause could not stop it")
            .remedy("do without --max-pause"));
    }
    let most = spool::limit(limits);
    if most < survey.expected {
        return Err(Failure::new(Code::NoSpace, cause)
            .evidence(format!(
                "its GC.heap_dump has no -overwrite (JDK 8): it writes a file, which may become {} MiB; the spool may hold {} MiB",
                survey.expected >> 20,
                most >> 20
            ))
            .remedy("allow that much with --spool-limit where the node has the room, or raise the pod's ephemeral-storage limit"));
    }
    Ok(())
}

enum Outcome {
    Done,
    /// The JVM could not create the file: it may not look into our filesystem, or nobody may write there.
    OutOfReach(String),
}

fn dump_at(place: &Place, order: &Order<'_>, artefact: &Artefact) -> Result<Outcome, Failure> {
    let redactor = Redactor::file(order.redact, Lengths::Pending);
    let intake = Intake::new(artefact, 0, redactor);
    let name = Place::name()?;
    let mut tail = Tail { place, name, artefact, intake, file: None, lacking: VecDeque::new(), failed: None };
    let flag = if order.live { "-live" } else { "-all" };
    let command = Command::from_words("dumpheap", &[&place.path(&tail.name), flag])?;
    artefact.is_written(place.is_through_us());
    let mut reply = jvm::connect(order.target, Limits::default())?.request(&command)?;
    let text = read_reply(&mut reply, &mut || {
        tail.look();
        let total = order.survey.expected;
        let far = artefact.progress(Progress { phase: Phase::Dumping, done: 0, total, stalled: 0 });
        (order.progress)(far);
    });
    if let Some(failure) = tail.failed.take() {
        return Err(failure);
    }
    let text = text?;
    if !says(&text, CREATED) {
        return if unreachable(&text) { Ok(Outcome::OutOfReach(text)) } else { Err(not_created(&text)) };
    }
    while tail.follow()? {}
    tail.finish()?;
    Ok(Outcome::Done)
}

/// The file while the JVM writes it. However this ends, nothing of it keeps a name.
struct Tail<'a> {
    place: &'a Place,
    name: String,
    artefact: &'a Artefact,
    intake: Intake<'a>,
    file: Option<File>,
    /// Where heap records begin that are read to their end and had no length yet, and what that has to be.
    lacking: VecDeque<(u64, u64)>,
    /// Why no more is taken, while the JVM goes on.
    failed: Option<Failure>,
}

impl Tail<'_> {
    /// Takes on what is written. Once that has failed, what is written is thrown away: the JVM cannot be stopped, and as long
    /// as it writes the disk has to be kept free for others, who may not begin meanwhile.
    fn look(&mut self) {
        self.take_hold();
        if self.failed.is_none() {
            self.failed = self.follow().err();
        }
        if self.failed.is_some()
            && let Some(file) = &self.file
        {
            punch(file, 0, file.metadata().map_or(0, |meta| meta.len()));
        }
    }

    /// Takes hold of the file once the JVM has made it, and takes its name away: whatever comes, it goes with who has it open.
    fn take_hold(&mut self) {
        if self.file.is_none() {
            self.file = self.place.open(&self.name);
            if self.file.is_some() {
                self.place.unlink(&self.name);
            }
        }
    }

    /// Takes on what is written, up to a limit: true where there may be more.
    fn follow(&mut self) -> Result<bool, Failure> {
        self.take_hold();
        self.artefact.goes_on()?;
        let Some(mut file) = self.file.as_ref() else { return Ok(false) };
        let turn = self.intake.length + TURN;
        while self.intake.length < turn && self.intake.read(&mut file)? > 0 {
            Self::settle(self.artefact, file, &mut self.intake, &mut self.lacking)?;
        }
        Ok(self.intake.length >= turn)
    }

    fn finish(&mut self) -> Result<(), Failure> {
        let Some(file) = &self.file else {
            return Err(not_created("it says the file was created, and there is none"));
        };
        self.intake.flush()?;
        Self::settle(self.artefact, file, &mut self.intake, &mut self.lacking)?;
        match self.lacking.front() {
            Some((offset, _)) => Err(not_created(&format!("the heap record at {offset} has no length"))),
            None => Ok(()),
        }
    }

    /// Looks whether the JVM has put in the lengths of what was read, and gives all that is read back to the disk, but for
    /// the places where lengths are still to be put.
    fn settle(
        artefact: &Artefact,
        file: &File,
        intake: &mut Intake<'_>,
        lacking: &mut VecDeque<(u64, u64)>,
    ) -> Result<(), Failure> {
        let (ended, open) = intake.heap_records();
        if lacking.len() + ended.len() > MAX_LACKING {
            return Err(not_created("it begins heap records, and puts a length into none of them"));
        }
        lacking.extend(ended);
        while let Some(&(offset, length)) = lacking.front() {
            let mut bytes = [0; 4];
            file.read_exact_at(&mut bytes, offset + LENGTH).map_err(|error| super::unreadable(&error))?;
            let said = u32::from_be_bytes(bytes);
            if said == 0 {
                break;
            }
            #[expect(clippy::cast_possible_truncation, reason = "of a longer one the JVM gives the low half, too")]
            if said != length as u32 {
                return Err(not_created(&format!("the heap record at {offset} has {length} bytes, it says {said}")));
            }
            artefact.patch(Patch { offset, length: said })?;
            lacking.pop_front();
        }
        let kept = lacking.front().map(|(offset, _)| *offset).or(open).unwrap_or(intake.passed);
        punch(file, 0, kept);
        punch(file, kept + LENGTH + 4, intake.passed);
        Ok(())
    }
}

impl Drop for Tail<'_> {
    fn drop(&mut self) {
        self.place.remove(&self.name);
    }
}

/// Gives the whole pages from `begin` to `end` back to the disk.
fn punch(file: &File, begin: u64, end: u64) {
    let (begin, end) = (begin.next_multiple_of(PAGE), end - end % PAGE);
    if begin < end {
        spool::punch(file, begin, end - begin);
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
            Err(error) => return Err(jvm::failure(&error)),
        }
    }
    Err(unfinished())
}

#[cfg(test)]
mod tests;
