//! Attach commands whose answer is text: passed on as the JVM writes it, and read for the failures it tells only there.

use std::io::{ErrorKind, Read};
use std::os::fd::AsFd;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use jattach_protocol::message::End;
use jattach_protocol::{Code, Failure, Message};
use nix::errno::Errno;
use xxhash_rust::xxh3::Xxh3Default;

use super::backlog::Backlog;
use super::peer::Peer;
use super::start_thread_for_job;
use crate::jvm::command::Command;
use crate::jvm::{self, Limits, Reply, failure};
use crate::process::Target;

/// How much text one message carries.
const PIECE: usize = 32 << 10;

/// How much of the text is looked at for a failure before any of it is passed on.
const BEGINNING: usize = 1 << 10;

/// How much of a failure's text is quoted.
const MAX_QUOTED: usize = 4 << 10;

/// How long the JVM may work on a command without a word. While it does the client is there and may give up.
const SILENCE: Duration = Duration::from_secs(3600);

/// Has the JVM execute the command, and passes its text on.
///
/// # Errors
/// Also [`Code::JvmFailed`] where the JVM says so by its code or, for the commands that always answer 0, in its text.
pub(super) fn attach(peer: &Arc<Peer>, id: u32, target: &Target<'_>, command: &Command) -> Result<End, Failure> {
    let mut text = Text { reply: jvm::connect(target, Limits::default())?.request(command)?, peer };
    let code = text.code()?;
    let mut beginning = vec![0; MAX_QUOTED];
    let mut filled = text.fill(&mut beginning[..BEGINNING])?;
    if failed(command, code, &beginning[..filled]) {
        filled += text.fill(&mut beginning[filled..])?;
        return Err(jvm_failed(command, code, &beginning[..filled]));
    }
    // The end of the text is the end of the connection, and a JVM that is killed closes that, too.
    let whole = || if target.is_ending() { Err(target.ended(Errno::ESRCH)) } else { Ok(()) };
    pass_on(text, id, &beginning[..filled], &whole)
}

/// Passes on `beginning` and all that follows it, read at the JVM's speed and sent at the client's. `whole` says at the end
/// whether that is all of the text.
fn pass_on(text: Text<'_>, id: u32, beginning: &[u8], whole: &dyn Fn() -> Result<(), Failure>) -> Result<End, Failure> {
    let backlog = Arc::new(Backlog::default());
    let (its_backlog, its_peer) = (Arc::clone(&backlog), Arc::clone(text.peer));
    let sent = Arc::new(OnceLock::new());
    let its_sent = Arc::clone(&sent);
    let sending = start_thread_for_job(Box::new(move || {
        let _ = its_sent.set(send(&its_peer, id, &its_backlog));
        its_backlog.close(None);
    }))?;
    let read = backlog.put(beginning).and_then(|()| text.read_all(&backlog)).and_then(|()| whole());
    backlog.close(read.err());
    let _ = sending.join();
    let died = || Err(Failure::new(Code::Other, "the thread that sends the answer has died"));
    Arc::into_inner(sent).and_then(OnceLock::into_inner).unwrap_or_else(died)
}

fn send(peer: &Peer, id: u32, backlog: &Backlog) -> Result<End, Failure> {
    let mut buffer = vec![0; PIECE];
    let (mut length, mut hash) = (0, Xxh3Default::new());
    loop {
        let filled = backlog.take(&mut buffer)?;
        if filled == 0 {
            return Ok(End { length, hash: hash.digest() });
        }
        hash.update(&buffer[..filled]);
        length += filled as u64;
        peer.wait_for_window(length)?;
        peer.send(id, &Message::Output(&buffer[..filled]))?;
    }
}

/// The JVM's code for a command and all its text up to `limit` bytes, for who acts on it instead of passing it on.
pub(crate) fn ask(
    peer: &Arc<Peer>,
    target: &Target<'_>,
    command: &Command,
    limit: usize,
) -> Result<(i32, Vec<u8>), Failure> {
    let mut text = Text { reply: jvm::connect(target, Limits::default())?.request(command)?, peer };
    let code = text.code()?;
    let mut buffer = vec![0; limit];
    let filled = text.fill(&mut buffer)?;
    buffer.truncate(filled);
    Ok((code, buffer))
}

/// A reply that is read while its client is there.
struct Text<'p> {
    reply: Reply,
    peer: &'p Arc<Peer>,
}

impl Text<'_> {
    fn code(&mut self) -> Result<i32, Failure> {
        self.patiently(Reply::code)
    }

    /// The next piece; 0 bytes at the end.
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Failure> {
        self.patiently(|reply| reply.read(buffer))
    }

    /// Fills `buffer`, or as much of it as there is text.
    fn fill(&mut self, buffer: &mut [u8]) -> Result<usize, Failure> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.read(&mut buffer[filled..])? {
                0 => break,
                count => filled += count,
            }
        }
        Ok(filled)
    }

    /// Reads to the end, and puts all of it into the backlog. The connection is closed then, whatever the client does.
    fn read_all(mut self, backlog: &Backlog) -> Result<(), Failure> {
        let mut buffer = vec![0; PIECE];
        loop {
            match self.read(&mut buffer)? {
                0 => return Ok(()),
                filled => backlog.put(&buffer[..filled])?,
            }
        }
    }

    fn patiently<T>(&mut self, mut read: impl FnMut(&mut Reply) -> std::io::Result<T>) -> Result<T, Failure> {
        self.reply.set_silence_limit(Duration::ZERO);
        loop {
            match read(&mut self.reply) {
                Err(error) if error.kind() == ErrorKind::TimedOut => {}
                result => return result.map_err(|error| failure(&error)),
            }
            if !self.peer.wait_for(self.reply.as_fd(), SILENCE)? {
                return Err(failure(&ErrorKind::TimedOut.into()));
            }
        }
    }
}

/// Whether the JVM means that it failed. `text` is how its answer begins.
fn failed(command: &Command, code: i32, text: &[u8]) -> bool {
    let first = text.split(|byte| *byte == b'\n').next().unwrap_or_default();
    code != 0
        || match command.name() {
            // JDK 8 answers with the bare number, 21 and newer tell any failure in the text only.
            // OpenJ9 has a word of its own.
            b"load" => ![b"return code: 0".as_slice(), b"0", b"ATTACH_ACK"].contains(&first),
            b"printflag" => first.starts_with(b"no such flag "),
            // JDK 25 and newer send their 0 before they look at the command.
            b"jcmd" => first.starts_with(b"java.lang.IllegalArgumentException"),
            b"setflag" => first.starts_with(b"flag "),
            _ => false,
        }
}

fn jvm_failed(command: &Command, code: i32, text: &[u8]) -> Failure {
    let name = String::from_utf8_lossy(command.name());
    let said = String::from_utf8_lossy(text.trim_ascii());
    let evidence = match (code, said.is_empty()) {
        (0, _) => said.into_owned(),
        (code, true) => format!("code {code}, no text"),
        (code, false) => format!("code {code}: {said}"),
    };
    let failure = Failure::new(Code::JvmFailed, format!("the JVM reports a failure of {name}")).evidence(evidence);
    match command.name() {
        b"jcmd" => failure.remedy("`jcmd help` lists what this JVM knows"),
        b"printflag" => failure.remedy("`jcmd VM.flags -all` lists the flags that this JVM has"),
        b"setflag" => failure.remedy("only manageable flags can be set; `jcmd VM.flags -all` shows which are"),
        b"load" => failure.remedy("the path is one in the target's container, and the agent must fit its JVM and libc"),
        _ => failure,
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::unix::net::UnixStream;
    use std::thread;

    use jattach_protocol::frame::Decoder;

    use super::*;

    /// How many bytes of output come before the stream ends.
    fn output_on(mut socket: UnixStream) -> usize {
        let (mut decoder, mut length) = (Decoder::new(), 0);
        while let count @ 1.. = socket.read(decoder.space()).expect("a frame") {
            decoder.filled(count);
            while let Some(frame) = decoder.next().expect("a whole frame") {
                if let Message::Output(bytes) = Message::read(&frame).expect("a message") {
                    length += bytes.len();
                }
            }
        }
        length
    }

    #[test]
    fn a_jvm_is_read_to_its_end_while_the_client_takes_nothing() {
        const LENGTH: usize = 4 << 20;
        let (mut jvm, ours) = UnixStream::pair().expect("sockets");
        let (client, served) = UnixStream::pair().expect("sockets");
        let peer = Arc::new(Peer::new(served).expect("a peer"));
        let text = Text { reply: Reply::hotspots(ours.into()), peer: &peer };
        thread::scope(|scope| {
            let job = scope.spawn(|| {
                let end = pass_on(text, 1, b"", &|| Ok(()));
                peer.hang_up();
                end
            });
            jvm.write_all(b"0\n").and_then(|()| jvm.write_all(&vec![b'x'; LENGTH])).expect("somebody reads");
            drop(jvm);
            assert_eq!(output_on(client), LENGTH);
            assert_eq!(job.join().expect("no panic").expect("an end").length, LENGTH as u64);
        });
    }

    #[test]
    fn a_text_that_the_jvms_end_cuts_off_is_no_success() {
        let (mut jvm, ours) = UnixStream::pair().expect("sockets");
        let (client, served) = UnixStream::pair().expect("sockets");
        let peer = Arc::new(Peer::new(served).expect("a peer"));
        let text = Text { reply: Reply::hotspots(ours.into()), peer: &peer };
        jvm.write_all(b"0\nhalf of it").expect("taken");
        drop(jvm);
        let ended = || Err(Failure::new(Code::TargetEnded, "the JVM was killed"));
        assert_eq!(pass_on(text, 1, b"", &ended).expect_err("not whole").code, Code::TargetEnded);
        peer.hang_up();
        assert_eq!(output_on(client), "half of it".len(), "what there is arrives");
    }

    fn fails(name: &str, code: i32, text: &str) -> bool {
        failed(&Command::like_jattach(name.as_bytes(), &[]).expect("no NUL"), code, text.as_bytes())
    }

    #[test]
    fn a_code_other_than_0_is_a_failure_of_any_command() {
        assert!(fails("threaddump", -1, ""));
        assert!(!fails("threaddump", 0, ""));
    }

    #[test]
    fn a_loaded_agent_is_told_by_a_literal_of_each_jdk() {
        assert!(!fails("load", 0, "0\n"));
        assert!(!fails("load", 0, "return code: 0\n"));
        assert!(fails("load", 0, "return code: 100\n"));
        assert!(fails("load", 0, "100\n"));
        assert!(fails("load", 0, "/no/such.so was not loaded.\n"));
        assert!(fails("load", 0, ""));
    }

    #[test]
    fn failures_told_with_code_0_are_read_in_the_text() {
        assert!(fails("printflag", 0, "no such flag 'X'\n"));
        assert!(!fails("printflag", 0, "-XX:+PrintGC\n"));
        assert!(fails("jcmd", 0, "java.lang.IllegalArgumentException: Unknown diagnostic command\n"));
        assert!(!fails("jcmd", 0, "17.0.21+9\n"));
    }
}
