//! Whatever the bytes, a frame decoder comes to the same frames and the same verdict wherever they are cut, and a message
//! that it lets through says the same when it is encoded again, but for what is clipped then: only once.
#![no_main]

use jattach_protocol::Message;
use jattach_protocol::frame::{Decoder, Encoder, Error, Frame, HEADER, MAX_PAYLOAD};
use jattach_protocol::message::MAX_NAME;
use libfuzzer_sys::fuzz_target;

type Received = (u8, u32, u32, Vec<u8>);

fn read_message(frame: &Frame<'_>) {
    let Ok(message) = Message::read(frame) else { return };
    let again = message.to_frame();
    let payload = &again[HEADER..];
    assert!(payload.len() <= MAX_PAYLOAD);
    let frame = Frame { kind: message.kind(), request: frame.request, stream: frame.stream, payload };
    let clipped = Message::read(&frame).expect("what we write we read");
    assert_eq!(clipped.to_frame(), again);
    if payload.len() <= MAX_NAME {
        assert_eq!(clipped, message);
    }
}

fn decode(stream: &[u8], portion: usize) -> (Vec<Received>, Result<(), Error>) {
    let mut decoder = Decoder::new();
    let mut received = Vec::new();
    for mut bytes in stream.chunks(portion.max(1)) {
        while !bytes.is_empty() {
            let taken = decoder.push(bytes);
            bytes = &bytes[taken..];
            loop {
                match decoder.next() {
                    Ok(Some(frame)) => {
                        read_message(&frame);
                        received.push((frame.kind, frame.request, frame.stream, frame.payload.to_vec()));
                    }
                    Ok(None) => break,
                    Err(error) => return (received, Err(error)),
                }
            }
        }
    }
    (received, decoder.finish())
}

/// The input as payloads (a kind, a length, so many bytes), sealed: no search finds a hash, so these are given to it.
fn seal(mut input: &[u8]) -> Vec<u8> {
    let mut encoder = Encoder::new();
    let mut stream = Vec::new();
    while let Some((&[kind, length], rest)) = input.split_first_chunk() {
        let (payload, rest) = rest.split_at(rest.len().min(length.into()));
        let mut frame = vec![0; HEADER];
        frame.extend_from_slice(payload);
        encoder.seal(kind & 0x7f, 1, u32::from(kind >> 7), &mut frame).expect("255 bytes at the most");
        stream.extend(frame);
        input = rest;
    }
    stream
}

fuzz_target!(|input: &[u8]| {
    let Some(([how, portion], rest)) = input.split_first_chunk() else { return };
    let stream = if how & 1 == 0 { rest.to_vec() } else { seal(rest) };
    assert_eq!(decode(&stream, stream.len()), decode(&stream, usize::from(*portion)));
});
