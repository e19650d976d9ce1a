//! The target listens on its socket itself, and says there whatever it likes.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::thread::{JoinHandle, spawn};

use jattach_protocol::{Code, Failure};

use super::{SHORT, SOCKET, listen};
use crate::jvm::command::Command;
use crate::jvm::hotspot::{connect, failure};
use crate::process::Target;
use crate::sys::fake::{Fake, PID};

/// What is done with a client and its request.
type Way = Box<dyn Fn(&mut UnixStream, &[u8]) + Send>;

/// Serves one client after the other, each in its own way.
fn serve(fake: &Fake, ways: Vec<Way>) -> JoinHandle<()> {
    let listener = listen(&fake.path(SOCKET));
    spawn(move || {
        for way in ways {
            let (mut client, _) = listener.accept().expect("a client");
            let mut request = vec![0; 4 << 10];
            let count = client.read(&mut request).expect("a request");
            request.truncate(count);
            way(&mut client, &request);
        }
    })
}

/// All that the target says to a command with an argument of that length.
fn ask(fake: &Fake, length: usize) -> Result<(i32, Vec<u8>), Failure> {
    let target = Target::open(fake, PID)?;
    let command = Command::like_jattach(b"jcmd", &[vec![b'x'; length]])?;
    let mut reply = connect(&target, SHORT)?.request(&command)?;
    let code = reply.code().map_err(|error| failure(&error))?;
    let mut text = Vec::new();
    reply.read_text(&mut text, 1 << 20).map_err(|error| failure(&error))?;
    Ok((code, text))
}

/// Says it, and hangs up. Whoever is hung up on first has said enough.
fn says(bytes: &'static [u8]) -> Way {
    Box::new(|client, _| drop(client.write_all(bytes)))
}

fn is_plain(failure: &Failure) -> bool {
    !failure.to_string().chars().any(|c| c.is_control() && c != '\n')
}

#[test]
fn a_line_without_end_is_no_code_and_fills_no_memory() {
    for endless in [b'x', b'0', b' '] {
        let fake = Fake::jvm();
        let server = serve(&fake, vec![Box::new(move |client, _| while client.write_all(&[endless; 4096]).is_ok() {})]);
        let failure = ask(&fake, 1).expect_err("no code");
        assert!(failure.cause.contains("no attach listener"), "{failure}");
        server.join().expect("it was hung up on");
    }
}

#[test]
fn an_answer_that_breaks_off_in_its_first_line_is_none() {
    for beginning in ["", "-", "0", "-1"] {
        let fake = Fake::jvm();
        let server = serve(&fake, vec![says(beginning.as_bytes())]);
        let failure = ask(&fake, 1).expect_err("no answer");
        assert!(failure.cause.contains("without an answer"), "{beginning:?}: {failure}");
        server.join().expect("no panic");
    }
}

#[test]
fn what_a_target_says_instead_of_a_number_moves_no_cursor() {
    let fake = Fake::jvm();
    let server = serve(&fake, vec![says(b"\x1b[2J\x9b0\n")]);
    let failure = ask(&fake, 1).expect_err("no code");
    assert!(failure.code == Code::NoAnswer && is_plain(&failure), "{failure:?}");
    server.join().expect("no panic");

    let fake = Fake::jvm();
    let server = serve(&fake, vec![says(b"0\n\x1b]0;x\x07\x9b2J\xff")]);
    let failure = ask(&fake, 2000).expect_err("no version");
    assert!(failure.code == Code::Usage && is_plain(&failure), "{failure:?}");
    server.join().expect("no panic");
}

#[test]
fn a_target_that_says_a_little_and_then_nothing_costs_the_limit() {
    let fake = Fake::jvm();
    let way = |client: &mut UnixStream, _: &[u8]| {
        client.write_all(b"0\nsome").expect("somebody reads");
        assert_eq!(client.read(&mut [0]).expect("it is hung up on"), 0);
    };
    let server = serve(&fake, vec![Box::new(way)]);
    assert_eq!(ask(&fake, 1).expect_err("no end").code, Code::NoAnswer);
    server.join().expect("no panic");
}

#[test]
fn versions_of_the_protocol_are_compared_as_numbers() {
    let answer = |client: &mut UnixStream, request: &[u8]| {
        assert!(request.starts_with(b"2\x002006\0jcmd\0xxx"), "{}", request.escape_ascii());
        client.write_all(b"0\nwell").expect("somebody reads");
    };
    for version in ["0\n2", "0\n10\n", "0\n2 streaming"] {
        let fake = Fake::jvm();
        let server = serve(&fake, vec![says(version.as_bytes()), Box::new(answer)]);
        assert_eq!(ask(&fake, 2000).expect("it speaks version 2"), (0, b"well".to_vec()), "{version:?}");
        server.join().expect("no panic");
    }
    for version in ["0\n1", "0\n", "0\nx", "-1\nOperation getversion not recognized!"] {
        let fake = Fake::jvm();
        let server = serve(&fake, vec![says(version.as_bytes())]);
        assert_eq!(ask(&fake, 2000).expect_err("it does not").code, Code::Usage, "{version:?}");
        server.join().expect("no panic");
    }
}
