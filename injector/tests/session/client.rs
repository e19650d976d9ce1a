//! The other end of a session: what the plugin is in the cluster, here over the pipes of a child.

use std::io::{ErrorKind, Read, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};

use jattach_protocol::frame::{Decoder, Encoder};
use jattach_protocol::hprof::Reader;
use jattach_protocol::message::{
    Block, Codec, DumpHeap, END_RECORD, End, Hello, Jvm, Operation, PART, Patch, Phase, Progress, Request, STREAMS,
    VERSION,
};
use jattach_protocol::{Code, Failure, Message};
use xxhash_rust::xxh3::xxh3_64;

use crate::container::Container;

pub(crate) struct Client {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: ChildStdout,
    encoder: Encoder,
    decoder: Decoder,
    /// Every byte that came, where somebody wants to look at them.
    pub(crate) wire: Option<Vec<u8>>,
    uploads: u32,
    hash: Option<u64>,
    /// What an earlier connection has brought of the answer.
    pub(crate) streams: [Vec<u8>; STREAMS],
    /// The job of the last request.
    pub(crate) job: u64,
    /// For how long hold stays after its requests, in seconds, and a dump waits for it.
    pub(crate) ttl: u32,
}

/// What a request gave.
pub(crate) struct Answer {
    pub(crate) bytes: Vec<u8>,
    /// Of a dump's second stream.
    part: Vec<u8>,
    /// The lengths that belong into the first one.
    patches: Vec<Patch>,
    pub(crate) end: Result<End, Failure>,
}

impl Client {
    /// Starts a session and says hello.
    pub(crate) fn connect(container: &Container) -> Client {
        Client::connect_through(container.command(container.injector()))
    }

    /// The same with the program that is to be told `session` as its last argument.
    pub(crate) fn connect_through(command: Command) -> Client {
        let mut client = Client::spawn(command);
        client.send(0, &Message::Hello(Hello { version: VERSION, software: "a test".into(), capabilities: 0 }));
        client
    }

    pub(crate) fn start(container: &Container) -> Client {
        Client::spawn(container.command(container.injector()))
    }

    fn spawn(mut command: Command) -> Client {
        let mut child = command.arg("session").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("session");
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take().expect("piped"));
        Client {
            child,
            stdin,
            stdout,
            encoder: Encoder::new(),
            decoder: Decoder::new(),
            wire: None,
            uploads: 0,
            hash: None,
            streams: Default::default(),
            job: 0,
            ttl: 600,
        }
    }

    pub(crate) fn send(&mut self, request: u32, message: &Message<'_>) {
        let mut frame = message.to_frame();
        self.encoder.seal(message.kind(), request, message.stream(), &mut frame).expect("short enough");
        self.send_bytes(&frame);
    }

    /// Says that it is there, or it would be taken for dead where the JVM, or a busy machine, takes its time. A session that
    /// has ended does not want to know.
    fn beat(&mut self) {
        let mut frame = Message::Heartbeat.to_frame();
        self.encoder.seal(Message::Heartbeat.kind(), 0, 0, &mut frame).expect("short enough");
        let _ = self.stdin.as_mut().expect("open").write_all(&frame);
    }

    pub(crate) fn send_bytes(&mut self, bytes: &[u8]) {
        match self.stdin.as_mut().expect("open").write_all(bytes) {
            // A session that has ended before it heard this says why on its stdout.
            Err(error) if error.kind() == ErrorKind::BrokenPipe => {}
            written => written.expect("the session's stdin"),
        }
    }

    pub(crate) fn request(&mut self, operation: Operation) {
        self.request_as(1, false, operation);
    }

    pub(crate) fn request_as(&mut self, id: u32, wait: bool, operation: Operation) {
        let resume = match operation {
            Operation::DumpHeap(DumpHeap { resume, .. }) => resume,
            _ => None,
        };
        let request = Request { pid: 0, container: String::new(), wait, ttl: self.ttl, operation };
        self.send(id, &Message::Request(request));
        match resume {
            // It is ready for more.
            Some(resume) => self.send(id, &Message::Ack { stream: 0, offset: resume.stored[0] }),
            None => self.streams = Default::default(),
        }
    }

    /// Gives every message to `act` until that says it has enough, or the stream ends.
    pub(crate) fn receive(&mut self, mut act: impl FnMut(Message<'_>) -> bool) -> bool {
        loop {
            while let Some(frame) = self.decoder.next().expect("a whole frame") {
                if act(Message::read(&frame).expect("a message")) {
                    return true;
                }
            }
            let space = self.decoder.space();
            let count = self.stdout.read(space).expect("the session's stdout");
            if let Some(wire) = &mut self.wire {
                wire.extend_from_slice(&space[..count]);
            }
            match count {
                0 => return false,
                count => self.decoder.filled(count),
            }
        }
    }

    /// Sends `agent` as a library to load, with the hash of the first one that was sent.
    pub(crate) fn upload(&mut self, agent: &[u8], length: usize, options: &str) -> Answer {
        self.uploads += 1;
        let hash = *self.hash.get_or_insert_with(|| xxh3_64(agent));
        let (name, options) = ("agent.so".to_owned(), options.to_owned());
        self.request_as(self.uploads, false, Operation::Load { name, length: length as u64, hash, options });
        let mut offset = 0;
        for data in agent.chunks(1000) {
            let raw_length = data.len().try_into().expect("short");
            let block = Block { stream: 0, offset, raw_length, codec: Codec::None, data };
            self.send(self.uploads, &Message::Block(block));
            offset += data.len() as u64;
        }
        self.answer()
    }

    /// What the request gives, with nothing sent all the while.
    pub(crate) fn answer_without_acks(&mut self) -> Answer {
        let (mut end, mut job) = (None, self.job);
        self.receive(|message| {
            match message {
                Message::Started(started) => job = started.job,
                Message::End(whole) => end = Some(Ok(whole)),
                Message::Failure(failure) => end = Some(Err(failure)),
                _ => {}
            }
            end.is_some()
        });
        self.job = job;
        Answer {
            bytes: Vec::new(),
            part: Vec::new(),
            patches: Vec::new(),
            end: end.expect("the stream ended without an end"),
        }
    }

    /// What the request gives, every block unpacked and acknowledged.
    pub(crate) fn answer(&mut self) -> Answer {
        self.gather(None, &mut |_| true).0
    }

    /// The same; a failure of that code is another request's, and is told beside it.
    pub(crate) fn answer_despite(&mut self, other: Code) -> (Answer, bool) {
        self.gather(Some(other), &mut |_| true)
    }

    /// The same, with nothing acknowledged before a message has come for which `begin` says so.
    pub(crate) fn answer_acknowledged_from(&mut self, begin: &mut dyn FnMut(&Message<'_>) -> bool) -> Answer {
        self.gather(None, begin).0
    }

    /// Gets and acknowledges what comes until a message for which `enough` says so; what was got stays in `streams`.
    pub(crate) fn fetch(&mut self, enough: &mut dyn FnMut(&Message<'_>) -> bool) {
        let mut streams = std::mem::take(&mut self.streams);
        let mut job = self.job;
        let mut over = false;
        while !over {
            let mut stored = None;
            let received = self.receive(|message| {
                over = enough(&message);
                match message {
                    Message::Started(started) => job = started.job,
                    Message::Block(block) => stored = Some(add(&mut streams, &block)),
                    _ => {}
                }
                over || stored.is_some()
            });
            assert!(received, "the stream ended");
            if let Some((stream, offset)) = stored {
                self.send(1, &Message::Ack { stream, offset });
            }
        }
        (self.streams, self.job) = (streams, job);
    }

    /// The JVMs that the list names.
    pub(crate) fn jvms(&mut self) -> Vec<Jvm> {
        let mut jvms = Vec::new();
        self.request(Operation::List);
        self.receive(|message| match message {
            Message::Jvm(jvm) => {
                jvms.push(jvm);
                false
            }
            other => matches!(other, Message::End(_)),
        });
        jvms
    }

    /// How much of each stream is here.
    pub(crate) fn stored(&self) -> [u64; STREAMS] {
        self.streams.each_ref().map(|bytes| bytes.len() as u64)
    }

    /// Asks for the list until the job in it waits for its client: hold has to notice that one has gone.
    pub(crate) fn until_job_waits(&mut self) {
        loop {
            let mut waits = false;
            self.request(Operation::List);
            self.receive(|message| {
                waits |= matches!(message, Message::Job(text) if text.contains("waiting for its client"));
                matches!(message, Message::End(_))
            });
            if waits {
                return;
            }
        }
    }

    fn gather(&mut self, other: Option<Code>, begin: &mut dyn FnMut(&Message<'_>) -> bool) -> (Answer, bool) {
        let (mut streams, mut end, mut despite) = (std::mem::take(&mut self.streams), None, false);
        let (mut begun, mut job, mut patches) = (false, self.job, Vec::new());
        while end.is_none() {
            let (mut stored, mut first) = (None, false);
            let received = self.receive(|message| {
                if let Message::Started(started) = message {
                    job = started.job;
                }
                first = !begun && begin(&message);
                begun |= first;
                match message {
                    Message::Output(text) => {
                        streams[0].extend_from_slice(text);
                        stored = Some(0);
                    }
                    Message::Block(block) => {
                        stored = Some(add(&mut streams, &block).0);
                    }
                    Message::Patch(patch) => patches.push(patch),
                    Message::StreamEnd(part) => assert_end(&part, &streams[1]),
                    Message::End(whole) => end = Some(Ok(whole)),
                    Message::Failure(failure) if Some(failure.code) == other => despite = true,
                    Message::Failure(failure) => end = Some(Err(failure)),
                    _ => {}
                }
                true
            });
            assert!(received, "the stream ended without an end");
            // Of a stream that has ended no block comes any more with which it could be acknowledged.
            let acknowledged: &[u32] = match &stored {
                _ if first => &[0, PART],
                Some(stream) if begun => std::slice::from_ref(stream),
                _ => &[],
            };
            for &stream in acknowledged {
                let offset = streams[stream as usize].len() as u64;
                self.send(1, &Message::Ack { stream, offset });
            }
            if acknowledged.is_empty() {
                self.beat();
            }
        }
        (self.job, self.streams) = (job, streams.clone());
        let [bytes, part] = streams;
        (Answer { bytes, part, patches, end: end.expect("the loop's condition") }, despite)
    }

    pub(crate) fn ask(&mut self, operation: Operation) -> Answer {
        self.request(operation);
        self.answer()
    }

    /// Goes as a client does that is killed, without waiting for anything.
    pub(crate) fn close_stdin(&mut self) {
        drop(self.stdin.take());
    }

    /// Closes stdin, as a client does that has gone or is done.
    pub(crate) fn close(mut self) -> ExitStatus {
        drop(self.stdin.take());
        self.child.wait().expect("the session's end")
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        drop(self.stdin.take());
        let _ = self.child.wait();
    }
}

impl Answer {
    /// The bytes, after a check of what the end says of them; of a dump all of it, as it belongs, and whole.
    pub(crate) fn whole(mut self) -> Vec<u8> {
        assert_end(&self.end.expect("no failure"), &self.bytes);
        if !self.part.is_empty() {
            let end = self.bytes.split_off(self.bytes.len() - END_RECORD);
            self.bytes.append(&mut self.part);
            self.bytes.extend(end);
        }
        for Patch { offset, length } in self.patches {
            let at = usize::try_from(offset).expect("short") + 5;
            self.bytes[at..at + 4].copy_from_slice(&length.to_be_bytes());
        }
        if self.bytes.starts_with(b"JAVA PROFILE") {
            let mut reader = Reader::new();
            reader.push(&self.bytes).expect("a dump");
            assert!(reader.finish().expect("a whole one").ended);
        }
        self.bytes
    }

    /// Whether the JVM has put something in behind what was read already.
    pub(crate) fn has_patches(&self) -> bool {
        !self.patches.is_empty()
    }

    pub(crate) fn failure(self) -> Failure {
        self.end.expect_err("a failure")
    }
}

/// Adds a block to its stream, and tells which that is and how long it is then.
fn add(streams: &mut [Vec<u8>; STREAMS], block: &Block<'_>) -> (u32, u64) {
    let bytes = &mut streams[block.stream as usize];
    assert_eq!(block.offset, bytes.len() as u64);
    match block.codec {
        Codec::None => bytes.extend_from_slice(block.data),
        Codec::Zstd => bytes.extend(zstd::bulk::decompress(block.data, block.raw_length as usize).expect("zstd")),
    }
    (block.stream, bytes.len() as u64)
}

#[track_caller]
fn assert_end(end: &End, bytes: &[u8]) {
    assert_eq!((end.length, end.hash), (bytes.len() as u64, xxh3_64(bytes)));
}

pub(crate) fn attach(command: &str, arguments: &[&str]) -> Operation {
    let arguments = arguments.iter().map(|&argument| argument.to_owned()).collect();
    Operation::Attach { command: command.to_owned(), arguments }
}

pub(crate) fn dump_heap() -> Operation {
    Operation::DumpHeap(DumpHeap { live: true, ..DumpHeap::default() })
}

/// Tells of each message whether the JVM has written all of its dump by then: hold says so while there is something left to
/// send, and else has nothing to say but that it is there.
pub(crate) fn all_is_written() -> impl FnMut(&Message<'_>) -> bool {
    let mut heartbeats = 0;
    move |message| {
        heartbeats = if matches!(message, Message::Heartbeat) { heartbeats + 1 } else { 0 };
        heartbeats == 2 || matches!(message, Message::Progress(Progress { phase: Phase::Sending, .. }))
    }
}
