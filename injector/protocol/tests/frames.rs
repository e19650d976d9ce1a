//! Whatever happens to the bytes on their way, a reader gets the message that was sent or an error: never another one.

use jattach_protocol::failure::{Code, Failure, Identity};
use jattach_protocol::frame::{Decoder, Encoder, Error, Frame, HEADER, MAX_PAYLOAD, TooLong};
use jattach_protocol::message::{
    Block, Codec, DumpHeap, End, Examined, Form, Hello, Jvm, Limits, MAX_BLOCK, MAX_NAME, MAX_TEXT, Memory, Message,
    Operation, Patch, Phase, Progress, Redact, Request, Resume, Started, Survey,
};
use proptest::collection::vec;
use proptest::prelude::*;

/// A message that owns its bytes: kind, request, stream, payload.
type Received = (u8, u32, u32, Vec<u8>);

fn frames(messages: &[(u32, u32, Message<'_>)]) -> Vec<Vec<u8>> {
    let mut encoder = Encoder::new();
    let seal = |(request, stream, message): &(u32, u32, Message<'_>)| {
        let mut frame = message.to_frame();
        encoder.seal(message.kind(), *request, *stream, &mut frame).unwrap();
        frame
    };
    messages.iter().map(seal).collect()
}

/// What a decoder makes of `bytes` when they arrive in pieces of the given sizes, and how it ends.
fn decode(mut bytes: &[u8], pieces: &[usize]) -> (Vec<Received>, Result<(), Error>) {
    let mut decoder = Decoder::new();
    let mut received = Vec::new();
    let mut pieces = pieces.iter().cycle();
    loop {
        let piece = pieces.next().copied().unwrap_or(usize::MAX).clamp(1, bytes.len().max(1)).min(bytes.len());
        let taken = decoder.push(&bytes[..piece]);
        bytes = &bytes[taken..];
        loop {
            match decoder.next() {
                Ok(Some(frame)) => received.push((frame.kind, frame.request, frame.stream, frame.payload.to_vec())),
                Ok(None) => break,
                Err(error) => return (received, Err(error)),
            }
        }
        if bytes.is_empty() {
            return (received, decoder.finish());
        }
    }
}

fn out_of_sequence(end: &Result<(), Error>) -> bool {
    matches!(end, Err(Error::Sequence { .. }))
}

fn text() -> impl Strategy<Value = String> {
    vec(any::<char>(), 0..12).prop_map(|chars| chars.into_iter().collect())
}

fn limits() -> impl Strategy<Value = Limits> {
    any::<(u64, u64, u32, u32)>().prop_map(|(storage, spool, max_stall, max_pause)| Limits {
        storage,
        spool,
        max_stall,
        max_pause,
    })
}

fn dump() -> impl Strategy<Value = DumpHeap> {
    let redact = prop_oneof![Just(Redact::Nothing), Just(Redact::Text), Just(Redact::Arrays), Just(Redact::All)];
    let resume = proptest::option::of(any::<(u64, [u64; 2])>());
    (any::<[bool; 2]>(), redact, limits(), resume).prop_map(|([live, piped], redact, limits, resume)| DumpHeap {
        live,
        redact,
        piped,
        limits,
        resume: resume.map(|(job, stored)| Resume { job, stored }),
    })
}

fn operation() -> impl Strategy<Value = Operation> {
    prop_oneof![
        Just(Operation::List),
        Just(Operation::Shutdown),
        any::<u64>().prop_map(Operation::GiveUp),
        Just(Operation::PrintThreads),
        (text(), vec(text(), 0..5)).prop_map(|(command, arguments)| Operation::Attach { command, arguments }),
        limits().prop_map(Operation::Survey),
        limits().prop_map(Operation::Examine),
        any::<u32>().prop_map(Operation::Echo),
        dump().prop_map(Operation::DumpHeap),
        (text(), any::<u64>(), any::<u64>(), text()).prop_map(|(name, length, hash, options)| Operation::Load {
            name,
            length,
            hash,
            options
        }),
    ]
}

fn phase() -> impl Strategy<Value = Phase> {
    prop_oneof![Just(Phase::Queued), Just(Phase::Attaching), Just(Phase::Dumping), Just(Phase::Sending)]
}

fn failure() -> impl Strategy<Value = Failure> {
    let identity = proptest::option::of((any::<u32>(), any::<u32>(), any::<u64>()));
    (0..Code::ALL.len(), text(), text(), text(), identity).prop_map(|(code, cause, evidence, remedy, identity)| {
        let mut failure = Failure::new(Code::ALL[code], cause).evidence(evidence).remedy(remedy);
        failure.identity = identity.map(|(uid, gid, capabilities)| Identity { uid, gid, capabilities });
        failure
    })
}

fn jvm() -> impl Strategy<Value = Jvm> {
    let strings = [text(), text(), text(), text(), text(), text(), text()];
    (any::<[u32; 4]>(), strings, any::<u16>()).prop_map(|(numbers, strings, code)| {
        let [pid, inner_pid, uid, gid] = numbers;
        let [container, kind, vendor, version, main, obstacle, remedy] = strings;
        Jvm { pid, inner_pid, uid, gid, container, kind, vendor, version, main, obstacle, remedy, code }
    })
}

fn examined() -> impl Strategy<Value = Examined> {
    let identity = || any::<(u32, u32, u64)>().prop_map(|(uid, gid, capabilities)| Identity { uid, gid, capabilities });
    let known = (proptest::option::of(any::<u64>()), proptest::option::of(any::<(u64, u64)>()), any::<u32>());
    (identity(), identity(), [text(), text()], any::<[u64; 3]>(), known).prop_map(
        |(own, theirs, [own_label, label], [spool, free, heap_used], (tmp, memory, left_behind))| Examined {
            own,
            theirs,
            own_label,
            label,
            spool,
            free,
            tmp,
            memory: memory.map(|(used, limit)| Memory { used, limit }),
            heap_used,
            left_behind,
        },
    )
}

fn message() -> impl Strategy<Value = Message<'static>> {
    let bytes = || vec(any::<u8>(), 0..300).prop_map(|bytes| &*bytes.leak());
    prop_oneof![
        (any::<u16>(), text(), any::<u64>()).prop_map(|(version, software, capabilities)| Message::Hello(Hello {
            version,
            software,
            capabilities
        })),
        (any::<u32>(), text(), any::<bool>(), any::<u32>(), operation()).prop_map(
            |(pid, container, wait, ttl, operation)| Message::Request(Request { pid, container, wait, ttl, operation })
        ),
        (any::<u64>(), any::<u32>(), any::<u64>()).prop_map(|(job, pid, start_time)| Message::Started(Started {
            job,
            pid,
            start_time
        })),
        bytes().prop_map(Message::Output),
        (0..2_u32, 0..u64::MAX / 2, 0..=u32::try_from(MAX_BLOCK).unwrap(), bytes()).prop_map(
            |(stream, offset, raw_length, data)| {
                Message::Block(Block { stream, offset, raw_length, codec: Codec::Zstd, data })
            }
        ),
        (phase(), any::<(u64, u64, u32)>()).prop_map(|(phase, (done, total, stalled))| {
            Message::Progress(Progress { phase, done, total, stalled })
        }),
        Just(Message::Heartbeat),
        Just(Message::Bye),
        failure().prop_map(Message::Failure),
        (any::<u64>(), any::<u64>()).prop_map(|(length, hash)| Message::End(End { length, hash })),
        (0..2_u32, any::<u64>()).prop_map(|(stream, offset)| Message::Ack { stream, offset }),
        any::<(u64, u64)>().prop_map(|(length, hash)| Message::StreamEnd(End { length, hash })),
        any::<(u64, u32)>().prop_map(|(offset, length)| Message::Patch(Patch { offset, length })),
        (prop_oneof![Just(Form::File), Just(Form::Stream), Just(Form::Pair)], any::<[u64; 5]>()).prop_map(
            |(form, [heap_used, expected, spool, free, size])| {
                Message::Survey(Survey { form, heap_used, expected, spool, free, size })
            }
        ),
        text().prop_map(|text| Message::Job(text.leak())),
        jvm().prop_map(Message::Jvm),
        examined().prop_map(Message::Examined),
    ]
}

fn conversation() -> impl Strategy<Value = Vec<(u32, u32, Message<'static>)>> {
    vec((any::<u32>(), any::<u32>(), message()), 1..8)
}

fn expected(messages: &[(u32, u32, Message<'_>)]) -> Vec<Received> {
    let payload = |message: &Message<'_>| message.to_frame().split_off(HEADER);
    messages.iter().map(|(request, stream, message)| (message.kind(), *request, *stream, payload(message))).collect()
}

proptest! {
    #[test]
    fn any_split_of_the_stream_gives_the_messages_that_were_sent(
        messages in conversation(),
        pieces in vec(1..200_usize, 1..20),
    ) {
        let (received, end) = decode(&frames(&messages).concat(), &pieces);
        prop_assert_eq!(end, Ok(()));
        prop_assert_eq!(received, expected(&messages));
    }

    #[test]
    fn what_was_written_is_what_is_read(message in message()) {
        let frame = &frames(&[(7, message.stream(), message.clone())])[0];
        let mut decoder = Decoder::new();
        decoder.push(frame);
        let frame = decoder.next().unwrap().unwrap();
        prop_assert_eq!(Message::read(&frame), Ok(message));
    }

    #[test]
    fn a_flipped_bit_is_an_error_and_changes_no_message(
        messages in conversation(),
        at in any::<prop::sample::Index>(),
        bit in 0..8_u32,
    ) {
        let mut bytes = frames(&messages).concat();
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        let (received, end) = decode(&bytes, &[4096]);
        prop_assert!(end.is_err());
        prop_assert_eq!(&received[..], &expected(&messages)[..received.len()]);
    }

    #[test]
    fn a_truncated_stream_is_an_error_unless_it_ends_between_frames(
        messages in conversation(),
        at in any::<prop::sample::Index>(),
    ) {
        let frames = frames(&messages);
        let bytes = frames.concat();
        let at = at.index(bytes.len());
        let (received, end) = decode(&bytes[..at], &[100]);
        let whole = frames.iter().scan(0, |sum, frame| { *sum += frame.len(); Some(*sum) }).filter(|sum| *sum <= at);
        prop_assert_eq!(received.len(), whole.clone().count());
        prop_assert_eq!(end.is_ok(), whole.last().unwrap_or(0) == at);
    }

    #[test]
    fn frames_in_another_order_are_an_error(
        messages in conversation().prop_filter("two at least", |messages| messages.len() > 1),
        first in any::<prop::sample::Index>(),
        second in any::<prop::sample::Index>(),
    ) {
        let mut frames = frames(&messages);
        let (first, second) = (first.index(frames.len()), second.index(frames.len()));
        prop_assume!(first != second);
        frames.swap(first, second);
        let (received, end) = decode(&frames.concat(), &[333]);
        prop_assert!(out_of_sequence(&end), "{:?}", end);
        prop_assert_eq!(received.len(), first.min(second));
    }

    #[test]
    fn a_frame_that_is_left_out_or_sent_twice_is_an_error(
        messages in conversation().prop_filter("two at least", |messages| messages.len() > 1),
        which in any::<prop::sample::Index>(),
        twice in any::<bool>(),
    ) {
        let mut frames = frames(&messages);
        // The last frame left out is an end between frames: only the missing end message tells.
        let which = which.index(frames.len() - 1);
        if twice { frames.insert(which, frames[which].clone()) } else { drop(frames.remove(which)) }
        let (_, end) = decode(&frames.concat(), &[333]);
        prop_assert!(out_of_sequence(&end), "{:?}", end);
    }

    #[test]
    fn arbitrary_bytes_are_never_a_frame_and_never_a_panic(bytes in vec(any::<u8>(), 0..2000)) {
        let (received, _) = decode(&bytes, &[77]);
        prop_assert!(received.is_empty());
    }

    #[test]
    fn a_payload_of_arbitrary_bytes_is_a_message_or_an_error_but_never_a_panic(
        kind in 0..16_u8,
        payload in vec(any::<u8>(), 0..200),
    ) {
        let mut sealed = vec![0; HEADER];
        sealed.extend_from_slice(&payload);
        Encoder::new().seal(kind, 0, 0, &mut sealed).unwrap();
        let mut decoder = Decoder::new();
        decoder.push(&sealed);
        let frame = decoder.next().unwrap().unwrap();
        if let Ok(message) = Message::read(&frame) && !matches!(message, Message::Hello(_)) {
            prop_assert_eq!(&message.to_frame()[HEADER..], &payload[..]);
        }
    }
}

#[test]
fn a_reader_never_holds_more_than_a_frame_and_what_it_read_ahead() {
    let mut decoder = Decoder::new();
    let mut claimed = vec![0; HEADER];
    claimed[..4].copy_from_slice(&u32::try_from(MAX_PAYLOAD).unwrap().to_le_bytes());
    decoder.push(&claimed);
    let mut offered = 0;
    while decoder.next() == Ok(None) {
        let room = decoder.space().len();
        assert!(room <= HEADER + MAX_PAYLOAD + (64 << 10));
        decoder.filled(room);
        offered += room;
        assert!(offered <= 2 * (HEADER + MAX_PAYLOAD), "the frame should have been refused by now");
    }
}

#[test]
fn a_length_above_the_limit_is_refused_before_anything_is_held_for_it() {
    let mut decoder = Decoder::new();
    decoder.push(&u32::MAX.to_le_bytes());
    decoder.push(&[0; 4]);
    assert!(matches!(decoder.next(), Err(Error::NotAFrame { .. })));
    assert!(matches!(decoder.next(), Err(Error::NotAFrame { .. })), "it stays refused");
}

#[test]
fn text_from_another_program_is_named_as_what_it_is() {
    let mut decoder = Decoder::new();
    decoder.push(b"exec /injector: no such file or directory\n");
    assert_eq!(decoder.next().unwrap_err().to_string(), "not a frame: it begins with \"exec /in\"");
}

/// The message as it arrives.
fn sent(message: &Message<'_>) -> Message<'static> {
    let mut decoder = Decoder::new();
    let frame = frames(&[(0, 0, message.clone())]).remove(0).leak();
    let mut rest = &*frame;
    while !rest.is_empty() {
        let taken = decoder.push(rest);
        rest = &rest[taken..];
    }
    let frame = decoder.next().unwrap().unwrap();
    Message::read(&Frame { payload: frame.payload.to_vec().leak(), ..frame }).unwrap()
}

#[test]
fn what_a_target_or_a_client_says_at_length_is_clipped_between_characters_and_never_too_long_for_a_frame() {
    let long = "x".to_owned() + &"\u{20ac}".repeat(1 << 20);
    let clipped = |most: usize| -> String {
        long.chars()
            .scan(0, |bytes, c| {
                *bytes += c.len_utf8();
                (*bytes <= most).then_some(c)
            })
            .collect()
    };
    let failure = Failure::new(Code::Usage, long.clone()).evidence(long.clone()).remedy(long.clone());
    let text = clipped(MAX_TEXT);
    let expected = Failure::new(Code::Usage, text.clone()).evidence(text.clone()).remedy(text);
    assert_eq!(sent(&Message::Failure(failure)), Message::Failure(expected));

    let jvm = |text: &str| {
        let [container, kind, vendor, version, main, obstacle, remedy] = [(); 7].map(|()| text.to_owned());
        Jvm { pid: 1, inner_pid: 1, uid: 0, gid: 0, container, kind, vendor, version, main, obstacle, remedy, code: 9 }
    };
    assert_eq!(sent(&Message::Jvm(jvm(&long))), Message::Jvm(jvm(&clipped(MAX_NAME))));
    let hello = |software: String| Message::Hello(Hello { version: 1, software, capabilities: 0 });
    assert_eq!(sent(&hello(long.clone())), hello(clipped(MAX_NAME)));
}

#[test]
fn a_message_that_no_frame_carries_is_refused_and_the_next_one_takes_its_place() {
    let mut encoder = Encoder::new();
    let mut long = vec![0; HEADER + MAX_PAYLOAD + 1];
    assert_eq!(encoder.seal(4, 1, 0, &mut long), Err(TooLong(MAX_PAYLOAD + 1)));
    let mut next = Message::Heartbeat.to_frame();
    assert_eq!(encoder.seal(7, 0, 0, &mut next), Ok(()));
    assert_eq!(decode(&next, &[100]).0.len(), 1);
}

#[test]
fn a_hello_from_a_newer_side_is_read_in_spite_of_what_it_adds() {
    let hello = Hello { version: 9, software: "injector 9.0".into(), capabilities: 3 };
    let mut sealed = Message::Hello(hello.clone()).to_frame();
    sealed.extend_from_slice(b"and more");
    Encoder::new().seal(1, 0, 0, &mut sealed).unwrap();
    let mut decoder = Decoder::new();
    decoder.push(&sealed);
    assert_eq!(Message::read(&decoder.next().unwrap().unwrap()), Ok(Message::Hello(hello)));
}
