//! What each mode does.

mod dump;

use std::iter::repeat_n;

use jattach_e2e::hostile::{BEGUN, ESCAPES, FORGED, Mode, PATH};
use jattach_protocol::frame::MAX_PAYLOAD;
use jattach_protocol::message::{
    Block, Codec, End, Examined, FAILURE, Jvm, Memory, Operation, Phase, Progress, Started, VERSION,
};
use jattach_protocol::{Code, Failure, Identity, Message};
use xxhash_rust::xxh3::xxh3_64;

use crate::talk::{Asked, Talk};

/// The kind of a [`Jvm`] in a frame.
const JVM: u8 = 12;

/// Does what it is there for. Where it comes back the stream ends.
pub(crate) fn act(mode: Mode, talk: &mut Talk) {
    match mode {
        Mode::Garbage => {
            Talk::write(format!("{ESCAPES}#!/bin/sh: not found\n").repeat(100).as_bytes());
            talk.stay();
        }
        Mode::Nothing => return,
        Mode::NoHello => {
            talk.say(1, &Message::Started(Started { job: 1, pid: 1, start_time: 1 }));
            answer(talk, 1, b"early\n");
            talk.stay();
        }
        Mode::Outdated if !is_first() => {
            talk.hello_in(VERSION + 1);
            talk.stay();
        }
        _ => talk.hello(),
    }
    if mode == Mode::Early {
        // The first request's id can be known before.
        answer(talk, 1, b"early\n");
    }
    if mode == Mode::Silence {
        talk.stay();
    }
    loop {
        let asked = talk.asked();
        match mode {
            Mode::Early => {}
            Mode::Outdated => answer(talk, asked.id, b"current\n"),
            Mode::Cut => return cut(talk, asked.id),
            Mode::OtherRequest => return answer(talk, asked.id + 1, b"another's\n"),
            Mode::Heartbeats => {
                begin(talk, &asked);
                talk.stay_alive();
            }
            _ => answered(mode, talk, &asked),
        }
    }
}

/// Whether this is the container's first session. What tells lies in the memory that the pod's containers share, by the
/// container's own namespace.
fn is_first() -> bool {
    let container = std::fs::read_link("/proc/self/ns/mnt").unwrap_or_default();
    let seen = format!("/dev/shm/outdated-{}", container.display());
    std::fs::OpenOptions::new().write(true).create_new(true).open(seen).is_ok()
}

/// A whole answer to a command whose answer is a text.
fn answer(talk: &mut Talk, request: u32, text: &[u8]) {
    talk.say(request, &Message::Output(text));
    talk.say(request, &end(text, 0));
}

/// The end of these bytes, but for their length.
fn end(bytes: &[u8], more: u64) -> Message<'static> {
    Message::End(End { length: bytes.len() as u64 + more, hash: xxh3_64(bytes) })
}

/// The job is begun, and something of it can be seen.
fn begin(talk: &mut Talk, asked: &Asked) {
    talk.say(asked.id, &Message::Started(Started { job: u64::MAX, pid: u32::MAX, start_time: u64::MAX }));
    talk.say(asked.id, &Message::Output(format!("{BEGUN}\n").as_bytes()));
}

fn cut(talk: &mut Talk, request: u32) {
    let mut frame = Message::Output(b"a text that goes on").to_frame();
    frame[0] = 100;
    let half = frame.len() / 2;
    begin(talk, &Asked { id: request, operation: Operation::List });
    Talk::write(&frame[..half]);
}

fn answered(mode: Mode, talk: &mut Talk, asked: &Asked) {
    let request = asked.id;
    match mode {
        Mode::Progress => {
            begin(talk, asked);
            let far = Progress { phase: Phase::Sending, done: u64::MAX, total: 1, stalled: u32::MAX };
            loop {
                talk.say(request, &Message::Progress(far));
            }
        }
        Mode::Output => {
            begin(talk, asked);
            let text = [b'x'; 1 << 20];
            loop {
                talk.say(request, &Message::Output(&text));
            }
        }
        Mode::Jobs => {
            begin(talk, asked);
            for number in 0_u64.. {
                talk.say(request, &Message::Job(&format!("{number} {ESCAPES}{FORGED}")));
            }
        }
        Mode::List => loop {
            talk.say(request, &Message::Jvm(jvm()));
        },
        Mode::Names => {
            if let Operation::Examine(_) = asked.operation {
                talk.say(request, &Message::Examined(examined()));
            } else {
                talk.say(request, &Message::Jvm(jvm()));
            }
            talk.say(request, &Message::Job(&format!("{ESCAPES}{PATH}")));
            talk.say(request, &end(b"", 0));
        }
        Mode::FrameLength => Talk::write(&[0xff; 64]),
        Mode::StringLength => talk.say_raw(JVM, request, &[&[0; 16][..], &[0xff; 4], b"short"].concat()),
        Mode::Leftover => talk.say_raw(9, request, &[0; 17]),
        Mode::Kind => talk.say_raw(200, request, b"new"),
        Mode::TextLength => {
            talk.say(request, &Message::Output(b"a text\n"));
            talk.say(request, &end(b"a text\n", 1));
        }
        Mode::TextHash => {
            talk.say(request, &Message::Output(b"a test\n"));
            talk.say(request, &end(b"a text\n", 0));
        }
        Mode::BlockInText => {
            let block = Block { stream: 1, offset: 0, raw_length: 4, codec: Codec::None, data: b"text" };
            talk.say(request, &Message::Block(block));
        }
        Mode::LongFailure => long_failure(talk, request),
        Mode::Greedy => wrong(talk, request, Identity { uid: 0, gid: 0, capabilities: u64::MAX }),
        Mode::Restless => {
            let uid = rustix::process::getuid().as_raw() + 1;
            wrong(talk, request, Identity { uid, gid: uid, capabilities: 0 });
        }
        _ => dump::act(mode, talk, asked),
    }
}

fn jvm() -> Jvm {
    let name = format!("{PATH}{ESCAPES}\n{PATH}");
    Jvm {
        pid: u32::MAX,
        uid: u32::MAX,
        gid: u32::MAX,
        container: name.clone(),
        kind: name.clone(),
        vendor: name.clone(),
        version: name.clone(),
        main: name.clone(),
        obstacle: name,
        ..Jvm::default()
    }
}

/// Numbers as large as they go, and labels that are none.
fn examined() -> Examined {
    let most = Identity { uid: u32::MAX, gid: u32::MAX, capabilities: u64::MAX };
    let label = format!("{PATH}{ESCAPES}\n{PATH}");
    Examined {
        own: most,
        theirs: most,
        own_label: label.clone(),
        label,
        spool: u64::MAX,
        free: u64::MAX,
        tmp: Some(u64::MAX),
        memory: Some(Memory { used: u64::MAX, limit: u64::MAX }),
        heap_used: u64::MAX,
        left_behind: u32::MAX,
    }
}

fn wrong(talk: &mut Talk, request: u32, identity: Identity) {
    let failure = Failure::new(Code::WrongIdentity, "the JVM runs as somebody else");
    let failure = failure.evidence(format!("as {identity:?}")).remedy("become that").identity(identity);
    talk.say(request, &Message::Failure(failure));
}

/// As long as a frame may be. The protocol clips what it writes itself.
fn long_failure(talk: &mut Talk, request: u32) {
    let part = (MAX_PAYLOAD - 14) / 3;
    let text: Vec<u8> = format!("{ESCAPES}\n").into_bytes();
    let text: Vec<u8> = text.iter().copied().cycle().take(part / text.len() * text.len()).collect();
    let string = |text: &[u8]| {
        let length = u32::try_from(text.len()).expect("short");
        length.to_le_bytes().into_iter().chain(text.iter().copied()).collect::<Vec<u8>>()
    };
    let code = (Code::NotAttachable as u16).to_le_bytes();
    let strings: Vec<u8> = repeat_n(string(&text), 3).flatten().collect();
    talk.say_raw(FAILURE, request, &[&code[..], &strings].concat());
}
