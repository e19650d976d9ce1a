//! Has a JVM dump its heap into FIFOs, and takes what it writes at the JVM's speed: the application stands still meanwhile.

use std::fs::File;
use std::io::ErrorKind;
use std::io::Read;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use jattach_protocol::hprof::IdSize;
use jattach_protocol::hprof::redact::Redactor;
use jattach_protocol::message::{Form, PART, Phase, Progress, Redact, STREAMS, Survey};
use jattach_protocol::{Code, Failure};

use super::artefact::Artefact;
use super::fifo::Fifos;
use super::intake::Intake;
use super::place::Place;
use super::{CREATED, LONGEST, MAX_TEXT, not_created, says};
use crate::jvm::command::Command;
use crate::jvm::{self, Limits, Reply};
use crate::process::Target;
use crate::sys::describe;
use crate::sys::wait::{Wanted, wait};

/// How often it is told how far the dump is.
const TELL: Duration = Duration::from_millis(200);

/// What is wanted, and who has to be told how it goes.
pub(crate) struct Order<'a> {
    pub(crate) target: &'a Target<'a>,
    pub(crate) live: bool,
    pub(crate) redact: Redact,
    pub(crate) survey: &'a Survey,
    pub(crate) progress: &'a dyn Fn(Progress),
}

/// Has the JVM dump its heap, where it first can. Nothing of it is ever in a file of the target.
///
/// # Errors
/// The JVM's own; [`Code::TimedOut`] when it would have to wait or to dump for longer than it may: it goes on then.
pub(crate) fn dump(order: &Order<'_>, artefact: &Artefact) -> Result<(), Failure> {
    let mut refusal = Failure::new(Code::NoSpace, "no place where the JVM can write its heap dump to");
    let mut kept_out = false;
    for place in Place::meeting(order.target)? {
        if kept_out && place.is_through_us() {
            continue;
        }
        let fifos = match Fifos::create(&place) {
            Ok(fifos) => fifos,
            Err(failure) => {
                refusal = failure;
                continue;
            }
        };
        let begin = Instant::now();
        artefact.is_written(place.is_through_us());
        let mut pump = Pump::start(order, artefact, fifos)?;
        let text = match pump.run() {
            Ok(text) => text,
            Err(mut failure) => {
                pump.abandon();
                // It goes on walking its heap when nobody takes what it writes: no pause ends before that.
                let done = format!("; the JVM was done with it after {} ms", begin.elapsed().as_millis());
                failure.evidence.push_str(&done);
                return Err(failure);
            }
        };
        if says(&text, CREATED) {
            return pump.check(&text);
        }
        // What it has begun to write somewhere it would write elsewhere no better.
        if pump.length() > 0 || !super::unreachable(&text) {
            return Err(not_created(&text));
        }
        kept_out |= place.is_through_us();
        refusal = not_created(&text);
    }
    Err(refusal)
}

/// A dump under way.
struct Pump<'a> {
    order: &'a Order<'a>,
    artefact: &'a Artefact,
    fifos: Fifos<'a>,
    reply: Reply,
    streams: [Intake<'a>; STREAMS],
    text: Vec<u8>,
    deadline: Option<Instant>,
}

impl<'a> Pump<'a> {
    fn start(order: &'a Order<'a>, artefact: &'a Artefact, fifos: Fifos<'a>) -> Result<Pump<'a>, Failure> {
        let all = if order.live { "" } else { " -all" };
        let parallel = if order.survey.form == Form::Pair { " -parallel=1" } else { "" };
        let words = format!("GC.heap_dump -overwrite{all}{parallel} {}", fifos.path());
        let connection = jvm::connect(order.target, Limits::default())?;
        // That may have taken a while, and the JVM need not be asked for what was given up.
        artefact.goes_on()?;
        let deadline = artefact.begin(order.survey.spool < order.survey.expected);
        let mut reply = connection.request(&Command::from_words("jcmd", &[words])?)?;
        reply.set_silence_limit(Duration::ZERO);
        // JVMs that write two files have 64 bits.
        let part = Redactor::part(order.redact, IdSize::Eight);
        let main = Intake::new(artefact, 0, Redactor::main(order.redact));
        let streams = [main, Intake::new(artefact, PART, part)];
        Ok(Pump { order, artefact, fifos, reply, streams, text: Vec::new(), deadline })
    }

    /// Takes everything, to the end of the JVM's answer, which it gives.
    fn run(&mut self) -> Result<String, Failure> {
        let longest = Instant::now() + LONGEST;
        let mut tell = Instant::now();
        loop {
            self.artefact.goes_on()?;
            let now = Instant::now();
            if now >= tell {
                self.tell();
                tell = now + TELL;
            }
            if self.deadline.is_some_and(|deadline| deadline <= now) {
                return Err(self.artefact.overdue());
            }
            if longest <= now {
                return Err(super::unfinished());
            }
            let next = self.deadline.map_or(tell, |deadline| deadline.min(tell));
            let answer = self.wait(next)?;
            let mut count = 0;
            for stream in 0..STREAMS {
                count += self.take(stream)?;
            }
            // What it wrote before it answered is there by now.
            if answer && self.read_answer()? && count == 0 {
                self.artefact.answered();
                self.drain()?;
                self.tell();
                return Ok(String::from_utf8_lossy(&self.text).into_owned());
            }
        }
    }

    /// Waits for the JVM, and for a stop unless there was one; tells whether the JVM has answered.
    fn wait(&self, deadline: Instant) -> Result<bool, Failure> {
        let answer = Wanted::read(self.reply.as_fd());
        let stream = |stream| self.fifos.end(stream).map_or(answer, |end: &File| Wanted::read(end.as_fd()));
        let stop = if self.artefact.stopped().is_some() { answer } else { self.artefact.stop.wanted() };
        let wanted = [stream(0), stream(1), answer, stop];
        let [.., answered, _] = wait(wanted, Some(deadline))
            .map_err(|errno| Failure::new(Code::Other, "cannot wait for the JVM").evidence(describe(errno)))?;
        Ok(answered)
    }

    fn take(&mut self, stream: usize) -> Result<usize, Failure> {
        let Some(mut end) = self.fifos.end(stream) else { return Ok(0) };
        self.streams[stream].read(&mut end)
    }

    /// Reads on in the JVM's answer; true at its end.
    fn read_answer(&mut self) -> Result<bool, Failure> {
        let mut buffer = [0; 1024];
        loop {
            match self.reply.read(&mut buffer) {
                Ok(0) => return Ok(true),
                Ok(_) if self.text.len() > MAX_TEXT => return Err(not_created("it says more than any JVM does")),
                Ok(count) => self.text.extend_from_slice(&buffer[..count]),
                Err(error) if error.kind() == ErrorKind::TimedOut => return Ok(false),
                Err(error) => return Err(jvm::failure(&error)),
            }
        }
    }

    /// What still lies in the pipes.
    fn drain(&mut self) -> Result<(), Failure> {
        for stream in 0..STREAMS {
            while self.take(stream)? > 0 {}
            self.streams[stream].flush()?;
        }
        Ok(())
    }

    fn tell(&self) {
        let total = self.order.survey.expected;
        let far = self.artefact.progress(Progress { phase: Phase::Dumping, done: 0, total, stalled: 0 });
        (self.order.progress)(far);
    }

    fn length(&self) -> u64 {
        self.streams.iter().map(|stream| stream.length).sum()
    }

    /// Compares with what the JVM says it has written: "Heap dump file created [N bytes in S secs]". Of two files it counts
    /// the first.
    fn check(&self, text: &str) -> Result<(), Failure> {
        let said = text.split('[').nth(1).and_then(|rest| rest.split(' ').next());
        let said: Option<u64> = said.and_then(|number| number.parse().ok());
        match said {
            Some(said) if said != self.streams[0].length => Err(not_created(&format!(
                "it says it has written {said} bytes; {} of them came",
                self.streams[0].length
            ))),
            _ => Ok(()),
        }
    }

    /// Has the JVM give up: its next write fails, and it goes on. A FIFO that it has not opened yet stays until it does, for
    /// in its place the JVM would make a file; what it writes there is thrown away. Its answer is awaited: as long as it is
    /// in there, nobody else may begin.
    fn abandon(&mut self) {
        let longest = Instant::now() + LONGEST;
        let mut waste = vec![0; 64 << 10];
        while Instant::now() < longest {
            for stream in 0..STREAMS {
                if self.streams[stream].length > 0 {
                    self.fifos.close(stream);
                } else if let Some(mut end) = self.fifos.end(stream)
                    && let Ok(count) = end.read(&mut waste)
                {
                    self.streams[stream].length += count as u64;
                }
            }
            if self.wait(longest).is_err() || !matches!(self.read_answer(), Ok(false)) {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::OpenOptions;
    use std::io::Write;
    use std::os::unix::net::UnixStream;
    use std::sync::Arc;

    use jattach_protocol::message::{Limits, Started};

    use super::*;
    use crate::dump::artefact::Client;
    use crate::hold::Peer;
    use crate::sys::Kernel;

    #[test]
    fn a_dump_that_is_given_up_while_its_bytes_are_taken_is_stopped_before_the_jvm_is_done() {
        let target = Target::open(&Kernel, std::process::id()).expect("ourselves");
        let survey = Survey { heap_used: 0, expected: 0, form: Form::Stream, spool: 0, free: 0, size: 0 };
        let order = Order { target: &target, live: true, redact: Redact::Nothing, survey: &survey, progress: &|_| {} };
        let (peer, _client) = UnixStream::pair().expect("sockets");
        let client = Client::new(&Arc::new(Peer::new(peer).expect("a peer")), 1, Duration::from_secs(600));
        let started = Started { job: 1, pid: 1, start_time: 1 };
        let artefact = Artefact::new(started, &Limits::default(), client).expect("a bell");
        let place = Place::own().expect("a /tmp");
        let fifos = Fifos::create(&place).expect("two FIFOs");
        let path = fifos.path();
        let (reply, mut jvm) = UnixStream::pair().expect("sockets");
        let reply = Reply::hotspots(reply.into());
        let streams = [0, PART].map(|stream| Intake::new(&artefact, stream, Redactor::main(Redact::Nothing)));
        let mut pump =
            Pump { order: &order, artefact: &artefact, fifos, reply, streams, text: Vec::new(), deadline: None };
        // There is always something to take, and all is written when the JVM answers.
        let mut heap = OpenOptions::new().write(true).open(path).expect("as the JVM opens it");
        heap.write_all(&[1; 1 << 16]).expect("room in the pipe");
        jvm.write_all(b"0\nHeap dump file created\n").expect("room");
        drop(jvm);
        artefact.end(Failure::new(Code::Cancelled, "given up"));
        assert_eq!(pump.run().expect_err("stopped").code, Code::Cancelled);
        assert_eq!(artefact.fetched(), (0, 0), "nothing was taken");
    }
}
